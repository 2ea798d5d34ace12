"""What each choice in Deep Superpixel Cut is worth, and the paper's tables, on parts of BSDS500.

    python -m seglab.benchmark.deep_superpixels choices     # validation split: one choice changed at a time
    python -m seglab.benchmark.deep_superpixels tables      # test split: the paper's tables 2, 3 and 4
    python -m seglab.benchmark.deep_superpixels tables --every 1    # the same on all 200 pictures

Rows are written as they are finished, to ``--out``; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from seglab.benchmark.scores import pooled, score
from seglab.datasets import BSDS500
from seglab.labels import segment_means
from seglab.methods import SLIC, DeepSuperpixelCut, Felzenszwalb, MeanShift
from seglab.methods.deep_superpixel_cut import affinity
from seglab.methods.normalized_cuts import normalized_cut
from seglab.metrics import region_benchmark
from seglab.networks import SuperAE, deep_features, load_weights, smoothed
from seglab.segmenter import Segmenter

__all__ = ["BASE", "CHOICES", "CHOSEN", "TABLES", "deep_cut", "main", "measure"]

Row = Callable[[Tensor], Sequence[Tensor]]  # from a picture to its label maps, one a setting

BASE = DeepSuperpixelCut(beta=5.0, lr=0.03, neighbors="touching", stride=3, max_iter=40, connected=True)
CHOSEN = dataclasses.replace(BASE, neighbors="all", max_iter=64)  # what the tables are made with
ITERATIONS = (10, 20, 40, 64)  # looked at: the settings that ODS and OIS choose among
CHOICES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no L2": {"beta": 0.0},
    "no L1": {"alpha": 0.0},
    "W joins all": {"neighbors": "all"},
    "normalized cut": {"cut": "normalized"},
    "W of colors": {"similarity": "color"},
    "W learned": {"similarity": "learned"},
    "superpixels of the picture": {"smooth": False},
    "start at random": {"start": "random"},
    "Felzenszwalb superpixels": {"superpixels": "felzenszwalb"},
    "β = 1": {"beta": 1.0},
    "β = 20": {"beta": 20.0},
    "learning rate 0.1": {"lr": 0.1},
    "learning rate 0.01": {"lr": 0.01},
    "200 superpixels": {"n_superpixels": 200},
    "800 superpixels": {"n_superpixels": 800},
    "K = 16": {"n_clusters": 16},
    "not cut into parts": {"connected": False},
}
NUMBERS = (2, 4, 6, 8, 12, 16, 24, 32)  # of clusters or segments
COARSE: dict[str, list[Segmenter[Any]]] = {
    "SLIC": [SLIC(n_segments=n) for n in (2, 4, 6, 8, 12, 16, 32, 64)],
    "EGB": [
        Felzenszwalb(scale=k, min_size=m) for k, m in ((100, 50), (300, 100), (500, 300), (1000, 500), (2000, 900))
    ],
    "MS": [MeanShift(range_bandwidth=h, min_size=m) for h, m in ((5, 50), (8, 100), (10, 400), (14, 900))],
}
FINE: dict[str, Any] = {"EGB": "felzenszwalb", "MS": "mean_shift"}


def deep_cut(method: DeepSuperpixelCut) -> Row:
    """The label maps after so many iterations as `ITERATIONS` says; of one that stopped early, its last."""

    def row(image: Tensor) -> list[Tensor]:
        wanted = [i for i in ITERATIONS if i <= method.max_iter]
        maps: list[Tensor] = []
        for state in method.steps(image):
            if len(maps) < len(wanted) and state.n_iter == wanted[len(maps)]:
                maps.append(state.labels)
        return maps + [state.labels] * (len(wanted) - len(maps))

    return row


def coarse(methods: Iterable[Segmenter[Any]], weights: str | None = None) -> Row:
    """A method by itself at each setting, on the picture, or on what an autoencoder of these weights makes of it."""

    def row(image: Tensor) -> list[Tensor]:
        if weights is not None:
            image = smoothed(load_weights(SuperAE(), weights), image)
        return [method.segment(image).labels for method in methods]

    return row


def clustered(by: str, deep: bool) -> Row:
    """Superpixels by SLIC, clustered by k-means or normalized cuts on their colors or deep features."""

    def row(image: Tensor) -> list[Tensor]:
        model = load_weights(SuperAE(), "superae")
        superpixels = SLIC(n_segments=CHOSEN.n_superpixels).segment(smoothed(model, image)).labels
        values = segment_means(superpixels, deep_features(model, image) if deep else image)
        if by == "k-means":
            found = [KMeans(n, n_init=4, random_state=0).fit_predict(values.numpy()) for n in NUMBERS]
            return [torch.from_numpy(labels).long()[superpixels] for labels in found]
        w = affinity(values, CHOSEN.sigma)
        return [normalized_cut(w, n)[superpixels] for n in NUMBERS]

    return row


def _tables() -> dict[str, Row]:
    rows = {
        "table 2: IMG": coarse(COARSE["SLIC"]),
        "table 2: IMG, REC": coarse(COARSE["SLIC"], "superae_plain"),
        "table 2: IMG, REC, TEM": coarse(COARSE["SLIC"], "superae"),
        "table 2: IMG, REC, TEM, L1": deep_cut(dataclasses.replace(CHOSEN, beta=0.0)),
        "table 2: IMG, REC, TEM, L1, L2": deep_cut(CHOSEN),
    }
    for by in ("k-means", "NCut"):
        rows[f"table 4: {by}, RGB"] = clustered(by, deep=False)
        rows[f"table 4: {by}, deep"] = clustered(by, deep=True)
    for kind in ("EGB", "MS"):
        rows[f"table 3: {kind}, IMG"] = coarse(COARSE[kind])
        rows[f"table 3: {kind}, SuperAE"] = coarse(COARSE[kind], "superae")
        rows[f"table 3: {kind}, DSC"] = deep_cut(dataclasses.replace(CHOSEN, superpixels=FINE[kind]))
    for seed in (0, 1, 2):
        rows[f"seeds: start at random, {seed}"] = deep_cut(dataclasses.replace(CHOSEN, start="random", seed=seed))
    return rows


TABLES = _tables()


def measure(row: Row, pictures: BSDS500) -> dict[str, Any]:
    """Score a row's label maps on pictures, as Berkeley's benchmark does: ODS, OIS, and each setting by itself."""
    began, scores = time.perf_counter(), []
    for picture in pictures:
        scores.append([score(picture.segmentations, labels, measures=("region",)) for labels in row(picture.image)])
    result = region_benchmark(region for each in scores if (region := pooled(each).region) is not None)
    found: dict[str, Any] = {
        name: [round(float(x), 4) for x in (measured.ods, measured.ois)]
        for name, measured in (("SC", result.covering), ("PRI", result.rand), ("VI", result.information))
    }
    found["SC at each setting"] = [round(float(x), 4) for x in result.covering_at]
    sums = torch.tensor([[s.n_segments for s in each] for each in scores], dtype=torch.float64)
    found["segments at each setting"] = sums.mean(0).round(decimals=1).tolist()
    found["seconds a picture"] = round((time.perf_counter() - began) / len(pictures), 1)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all rows of a study that its file does not have yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=("choices", "tables"))
    parser.add_argument("--every", type=int, help="each so many pictures (choices: 20, tables: 10)")
    parser.add_argument("--out", type=Path, default=Path("deep_superpixels.json"))
    parser.add_argument("--only", default="", help="rows whose name contains this")
    given = parser.parse_args(arguments)
    choices = given.study == "choices"
    every = given.every or (20 if choices else 10)
    pictures = BSDS500("val" if choices else "test")[::every]
    rows = {name: deep_cut(dataclasses.replace(BASE, **c)) for name, c in CHOICES.items()} if choices else TABLES
    known: dict[str, Any] = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {}
    part = f"{pictures.split}, every {every}th picture" if every > 1 else f"{pictures.split}, all pictures"
    study = known.setdefault(
        part, {"pictures": list(pictures.ids), "base": (BASE if choices else CHOSEN).code(), "rows": {}}
    )
    for name, row in rows.items():
        if given.only in name and name not in study["rows"]:
            study["rows"][name] = measure(row, pictures)
            given.out.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(name, study["rows"][name], flush=True)


if __name__ == "__main__":
    main()
