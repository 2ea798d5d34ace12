"""Score a folder of segmentations that somebody else made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from seglab.benchmark.inputs import Entry, find_results
from seglab.benchmark.pictures import Picture, open_pictures
from seglab.benchmark.results import evaluated, picture_lines, published_rows
from seglab.benchmark.table import Table
from seglab.metrics.berkeley import RegionBenchmark, RegionScores, format_official, region_benchmark

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """The region scores of a folder of segmentations.

    Attributes
    ----------
    name, dataset
        Of the folder, and of the data set with its split.
    ids, scores
        The pictures that could be scored, and their scores at each setting.
    labels
        What the settings are called; empty for contour maps, whose settings are thresholds.
    failures
        (picture, why) for each that could not be scored.
    """

    name: str
    dataset: str
    ids: list[str]
    scores: list[RegionScores]
    labels: tuple[str, ...]
    failures: list[tuple[str, str]]

    @property
    def benchmark(self) -> RegionBenchmark:
        """The pooled scores."""
        return region_benchmark(self.scores)

    def table(self, published: bool = False) -> Table:
        """Berkeley's table of one row; with the published ones below."""
        row = evaluated(self.name, self.benchmark, self.labels, len(self.ids))
        return Table([row, *(published_rows() if published else [])], [f"{self.dataset}, regions."])

    def per_picture(self) -> list[dict[str, Any]]:
        """For each picture its best setting and score by each measure."""
        return picture_lines(self.ids, self.scores, self.labels)

    def official(self) -> dict[str, str]:
        """The text files that Berkeley's own program writes."""
        return format_official(self.scores)


def evaluate(
    results: str | Path,
    dataset: str | Path | Iterable[Picture] = "bsds500",
    *,
    split: str = "test",
    n_thresholds: int = 99,
    jobs: int = -1,
    progress: bool = False,
) -> Evaluation:
    """Score a folder of segmentations by Berkeley's region measures.

    Parameters
    ----------
    results
        One file for each picture, named after its id, or a subfolder of these for each setting: .mat with ``segs``
        (several label maps) or ``ucm2`` (a contour map of double size), a label map as a picture, .npy or .npz of
        one (H, W) or several (n, H, W).
    dataset, split
        As `seglab.benchmark.open_pictures` takes them.
    n_thresholds
        At how many thresholds contour maps are cut.
    jobs
        Pictures at a time; −1 for as many as there are cores.
    progress
        Show a bar with the time to go.

    Raises
    ------
    ValueError
        Files are missing, extra, unreadable, of a wrong size or pictures of boundaries; they are named before the work
        starts.
    """
    if n_thresholds < 1:
        raise ValueError(f"n_thresholds is a whole number from 1; got {n_thresholds}")
    if jobs < 1 and jobs != -1:
        raise ValueError(f"jobs is a whole number from 1, or -1 for all cores; got {jobs}")
    name, pictures = open_pictures(dataset, split)
    if not len(pictures):
        raise ValueError("no pictures: the data set is empty")
    entries, labels = find_results(Path(results), pictures)
    work = joblib.Parallel(n_jobs=min(jobs, len(entries)), return_as="generator")
    scored = work(joblib.delayed(_scored)(entry, n_thresholds) for entry in entries)
    shown = tqdm(scored, total=len(entries), unit="picture", disable=None if progress else True)
    good, failures = [], []
    for entry, (score, error) in zip(entries, shown, strict=True):
        if score is None:
            failures.append((entry.picture.id, error))
        else:
            good.append((entry.picture.id, score))
    ids, scores = [id for id, _ in good], [score for _, score in good]
    return Evaluation(Path(results).resolve().name, name, ids, scores, labels, failures)


def _scored(entry: Entry, n_thresholds: int) -> tuple[RegionScores | None, str]:
    try:
        return entry.scores(n_thresholds), ""
    except Exception as error:  # whatever one picture does, the others are still to be done
        return None, f"{type(error).__name__}: {error}"
