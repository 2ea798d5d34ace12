"""What each choice in Deep Superpixel Cut is worth, and the slides' tables, on parts of BSDS500.

    python -m seglab.benchmark.deep_superpixels choices     # validation split, every fourth picture: one change each
    python -m seglab.benchmark.deep_superpixels tables      # test split: tables 2 to 5, every tenth picture
    python -m seglab.benchmark.deep_superpixels tables --every 1 --only "table 5"    # DSC on all 200 pictures

Rows are written as they are finished, to ``--out``; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from seglab import __version__
from seglab.benchmark.scores import pooled, score
from seglab.datasets import BSDS500
from seglab.labels import absorb_small, segment_means
from seglab.methods import SLIC, DeepSuperpixelCut, Felzenszwalb, MeanShift
from seglab.methods.deep_superpixel_cut import affinity
from seglab.methods.normalized_cuts import normalized_cut
from seglab.metrics import region_benchmark
from seglab.networks import SuperAE, deep_features, load_weights, smoothed
from seglab.segmenter import Segmenter

__all__ = ["BASE", "CHOICES", "CHOSEN", "PUBLISHED", "SAME", "TABLES", "deep_cut", "main", "measure"]

Row = Callable[[Tensor], Sequence[Tensor]]  # from a picture to its label maps, one a setting

BASE = DeepSuperpixelCut(
    superpixels="mean_shift", beta=5.0, lr=0.03, stride=4, max_iter=64, min_clusters=3, connected=True, min_size=1000
)
CHOSEN = dataclasses.replace(BASE, min_size=4000)  # what the tables are made with
# What ODS and OIS choose among: so few clusters are left, and small parts are absorbed up to half or twice `min_size`.
CLUSTERS = (16, 12, 9, 7, 6, 5, 4, 3)
CHOICES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "SLIC superpixels": {"superpixels": "slic"},
    "Felzenszwalb superpixels": {"superpixels": "felzenszwalb"},
    "small parts stay": {"min_size": 0},
    "W learned": {"similarity": "learned"},
    "σ = 0.3": {"sigma": 0.3},
    "no L2": {"beta": 0.0},
    "W joins those that touch": {"neighbors": "touching"},
    "superpixels of the picture": {"smooth": False},
    "β = 2": {"beta": 2.0},
    "W of colors": {"similarity": "color"},
    **{f"start at random, seed {seed}": {"start": "random", "seed": seed} for seed in range(3)},
    "normalized cut": {"cut": "normalized"},
    "no L1": {"alpha": 0.0},
    "β = 15": {"beta": 15.0},
    "K = 64": {"n_clusters": 64},
    "min_size = 4000": {"min_size": 4000},
    "normalized cut, β = 5 / K": {"cut": "normalized", "beta": 5 / 32},
}
NUMBERS = (2, 4, 6, 8, 12, 16, 24, 32)  # of clusters or segments
COARSE: dict[str, list[Segmenter[Any]]] = {
    "SLIC": [SLIC(n_segments=n) for n in (2, 4, 6, 8, 12, 16, 32, 64)],
    "EGB": [
        Felzenszwalb(scale=k, min_size=m) for k, m in ((200, 150), (300, 1500), (550, 150), (550, 1500), (1000, 1500))
    ],
    "MS": [MeanShift(range_bandwidth=h, min_size=m) for h, m in ((7, 500), (10, 500), (10, 3000), (13, 3000))],
}
FINE: dict[str, Any] = {"SLIC": "slic", "EGB": "felzenszwalb", "MS": "mean_shift"}


def deep_cut(method: DeepSuperpixelCut) -> Row:
    """The label maps as soon as no more clusters are left than `CLUSTERS` says, or at the end; two of each."""
    methods = [dataclasses.replace(method, min_size=size) for size in _sizes(method)]

    def row(image: Tensor) -> list[Tensor]:
        states = list(method.steps(image))
        left = [int(record[2]) for record in states[-1].history]  # clusters of each state but the last
        reached = [next((s for s, n in zip(states, left, strict=False) if n <= most), states[-1]) for most in CLUSTERS]
        maps = {s.n_iter: [dataclasses.replace(s, method=m).labels for m in methods] for s in reached}
        return [labels for s in reached for labels in maps[s.n_iter]]

    return row


def _sizes(method: DeepSuperpixelCut) -> list[int]:
    """Up to which size small parts are absorbed, for the two maps of each number of clusters."""
    return sorted({method.min_size // 2, 2 * method.min_size})


def coarse(methods: Iterable[Segmenter[Any]], weights: str | None = None) -> Row:
    """A method by itself at each setting, on the picture, or on what an autoencoder of these weights makes of it."""

    def row(image: Tensor) -> list[Tensor]:
        if weights is not None:
            image = smoothed(load_weights(SuperAE(), weights).to(image.device), image)
        return [method.segment(image).labels for method in methods]

    return row


def clustered(by: str, deep: bool) -> Row:
    """The same superpixels, clustered by k-means or normalized cuts on their colors or deep features.

    What becomes of clusters is as with `deep_cut`: connected parts, the small ones absorbed by what is most alike.
    """

    def row(image: Tensor) -> list[Tensor]:
        model = load_weights(SuperAE(), "superae").to(image.device)
        superpixels = CHOSEN.init(image).superpixels
        values = segment_means(superpixels, deep_features(model, image) if deep else image)
        numbers = [min(n, len(values)) for n in NUMBERS]
        if by == "k-means":
            found = [KMeans(n, n_init=4, random_state=0).fit_predict(values.cpu().numpy()) for n in numbers]
            clusters = [torch.from_numpy(labels).long().to(superpixels.device) for labels in found]
        else:
            w = affinity(values, CHOSEN.sigma)  # best of 0.2, 0.5 and 1 for them too, on colors and on deep features
            clusters = [normalized_cut(w, n) for n in numbers]
        features = values.T[:, superpixels]
        return [absorb_small(labels[superpixels], features, size) for labels in clusters for size in _sizes(CHOSEN)]

    return row


def _tables() -> dict[str, Row]:
    rows = {"table 5: DSC": deep_cut(CHOSEN)}
    rows |= {f"table 3: {name}, IMG": coarse(methods) for name, methods in COARSE.items()}
    rows |= {f"table 3: {name}, SuperAE": coarse(methods, "superae") for name, methods in COARSE.items()}
    rows["table 2: IMG, REC"] = coarse(COARSE[KIND], "superae_plain")
    rows["table 2: IMG, REC, TEM, L1"] = deep_cut(dataclasses.replace(CHOSEN, beta=0.0))
    for by in ("k-means", "NCut"):
        rows |= {f"table 4: {by}, {'deep' if deep else 'RGB'}": clustered(by, deep) for deep in (False, True)}
    others = {name: kind for name, kind in FINE.items() if name != KIND}
    rows |= {f"table 3: {n}, DSC": deep_cut(dataclasses.replace(CHOSEN, superpixels=k)) for n, k in others.items()}
    for seed in range(3):
        rows[f"start at random, seed {seed}"] = deep_cut(dataclasses.replace(CHOSEN, start="random", seed=seed))
    return rows


KIND = next(name for name, kind in FINE.items() if kind == CHOSEN.superpixels)  # what tables 2, 4 and 5 are made with
TABLES = _tables()
SAME = {  # rows of the slides that are measured once
    "table 2: IMG": f"table 3: {KIND}, IMG",
    "table 2: IMG, REC, TEM": f"table 3: {KIND}, SuperAE",
    "table 2: IMG, REC, TEM, L1, L2": "table 5: DSC",
    f"table 3: {KIND}, DSC": "table 5: DSC",
    "table 4: DSC": "table 5: DSC",
}
PUBLISHED: dict[str, tuple[float, ...]] = {  # of SC, PRI, VI each ODS and OIS; table 2 does not say which
    "table 2: IMG": (0.405, 0.761, 3.483),
    "table 2: IMG, REC": (0.388, 0.756, 3.622),
    "table 2: IMG, REC, TEM": (0.453, 0.769, 3.019),
    "table 2: IMG, REC, TEM, L1": (0.477, 0.769, 2.471),
    "table 2: IMG, REC, TEM, L1, L2": (0.488, 0.764, 2.315),
    "table 3: SLIC, IMG": (0.354, 0.402, 0.698, 0.726, 2.391, 2.306),
    "table 3: SLIC, SuperAE": (0.376, 0.415, 0.710, 0.745, 2.360, 2.286),
    "table 3: SLIC, DSC": (0.428, 0.485, 0.709, 0.742, 2.262, 2.079),
    "table 3: MS, IMG": (0.515, 0.535, 0.771, 0.805, 2.450, 2.429),
    "table 3: MS, SuperAE": (0.497, 0.550, 0.777, 0.795, 2.162, 2.077),
    "table 3: MS, DSC": (0.504, 0.543, 0.739, 0.762, 2.014, 1.849),
    "table 3: EGB, IMG": (0.458, 0.467, 0.770, 0.775, 2.334, 2.325),
    "table 3: EGB, SuperAE": (0.491, 0.500, 0.774, 0.782, 2.190, 2.180),
    "table 3: EGB, DSC": (0.506, 0.548, 0.737, 0.779, 1.989, 1.853),
    "table 4: k-means, RGB": (0.340, 0.344, 0.708, 0.732, 3.156, 3.146),
    "table 4: k-means, deep": (0.375, 0.382, 0.718, 0.739, 2.865, 2.859),
    "table 4: NCut, RGB": (0.414, 0.465, 0.717, 0.771, 2.308, 2.213),
    "table 4: NCut, deep": (0.386, 0.423, 0.704, 0.754, 2.433, 2.382),
    "table 4: DSC": (0.452, 0.505, 0.726, 0.778, 2.069, 2.002),
    "table 5: DSC": (0.56, 0.60, 0.80, 0.83, 1.82, 1.62),
}


def measure(row: Row, pictures: BSDS500, device: str = "cpu") -> dict[str, Any]:
    """Score a row's label maps on pictures, as Berkeley's benchmark does: ODS, OIS, and each setting by itself."""
    began, scores = time.process_time(), []
    for picture in pictures:
        scores.append(
            [score(picture.segmentations, labels, measures=("region",)) for labels in row(picture.image.to(device))]
        )
    result = region_benchmark(region for each in scores if (region := pooled(each).region) is not None)
    found: dict[str, Any] = {
        name: [round(float(x), 4) for x in (measured.ods, measured.ois)]
        for name, measured in (("SC", result.covering), ("PRI", result.rand), ("VI", result.information))
    }
    found["SC at each setting"] = [round(float(x), 4) for x in result.covering_at]
    sums = torch.tensor([[s.n_segments for s in each] for each in scores], dtype=torch.float64)
    found["segments at each setting"] = sums.mean(0).round(decimals=1).tolist()
    found["seconds a picture"] = round((time.process_time() - began) / len(pictures), 1)
    return found


def _about(study: str, every: int, only: str, base: DeepSuperpixelCut, device: str) -> dict[str, str]:
    """How a part came about."""
    cpu = f"{torch.get_num_threads()} thread(s) of a CPU ({platform.machine()})"
    some = f" --only {shlex.quote(only)}" if only else ""
    return {
        "command": f"python -m seglab.benchmark.deep_superpixels {study} --every {every}{some}",
        "base": base.code(),
        "seglab": __version__,
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": cpu if device == "cpu" else torch.cuda.get_device_name(device),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all rows of a study that its file does not have yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=("choices", "tables"))
    parser.add_argument("--every", type=int, help="each so many pictures (choices: 4, tables: 10)")
    parser.add_argument("--out", type=Path, default=Path("deep_superpixels.json"))
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    given = parser.parse_args(arguments)
    choices = given.study == "choices"
    every = given.every or (4 if choices else 10)
    pictures = BSDS500("val" if choices else "test")[::every]
    rows = {name: deep_cut(dataclasses.replace(BASE, **c)) for name, c in CHOICES.items()} if choices else TABLES
    known: dict[str, Any] = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {}
    part = f"{pictures.split}, every {every}th picture" if every > 1 else f"{pictures.split}, all pictures"
    about = _about(given.study, every, given.only, BASE if choices else CHOSEN, given.device)
    study = known.setdefault(part, {**about, "rows": {}})
    if not given.only:
        study["command"] = about["command"]
    study["pictures"] = list(pictures.ids)
    for name, row in rows.items():
        if given.only in name and name not in study["rows"]:
            study["rows"][name] = measure(row, pictures, given.device)
            given.out.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(name, study["rows"][name], flush=True)


if __name__ == "__main__":
    main()
