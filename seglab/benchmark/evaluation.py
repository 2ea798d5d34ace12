"""Score a folder of segmentations that somebody else made."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seglab.benchmark.inputs import Entry, find_results
from seglab.benchmark.pictures import Picture, open_pictures
from seglab.benchmark.pooling import Measured, evaluated, picture_lines, pool
from seglab.benchmark.results import published_rows
from seglab.benchmark.scores import MEASURES, PictureScores, checked_measures
from seglab.benchmark.table import Table
from seglab.benchmark.workers import check_jobs, in_any_order
from seglab.metrics.berkeley import RegionBenchmark, RegionScores, format_official, region_benchmark
from seglab.metrics.boundary import BoundaryBenchmark, BoundaryScores, boundary_benchmark, format_official_boundaries

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """The scores of a folder of segmentations.

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
    scores: list[PictureScores]
    labels: tuple[str, ...]
    failures: list[tuple[str, str]]

    @cached_property
    def pooled(self) -> dict[str, Measured]:
        """Each measure over the data set."""
        return pool(self.scores)

    @property
    def region(self) -> RegionBenchmark:
        """Berkeley's region scores."""
        return region_benchmark(self._regions)

    @property
    def boundary(self) -> BoundaryBenchmark:
        """Berkeley's boundary scores."""
        return boundary_benchmark(self._boundaries)

    @property
    def _regions(self) -> list[RegionScores]:
        return [each.region for each in self.scores if each.region is not None]

    @property
    def _boundaries(self) -> list[BoundaryScores]:
        return [each.boundary for each in self.scores if each.boundary is not None]

    def table(self, published: bool = False) -> Table:
        """Berkeley's table of one row; with the published ones below."""
        row = evaluated(self.name, self.pooled, self.labels, len(self.ids))
        return Table([row, *(published_rows() if published else [])], [f"{self.dataset}."])

    def per_picture(self) -> list[dict[str, Any]]:
        """For each picture its best setting and score by each measure."""
        return picture_lines(self.ids, self.pooled, self.labels)

    def official(self) -> dict[str, str]:
        """The text files that Berkeley's own program writes, of the measures that are there."""
        regions = format_official(self._regions) if self._regions else {}
        return regions | (format_official_boundaries(self._boundaries) if self._boundaries else {})


def evaluate(
    results: str | Path,
    dataset: str | Path | Iterable[Picture] = "bsds500",
    *,
    split: str = "test",
    thresholds: int | Sequence[float] = 99,
    measures: str | Iterable[str] | None = None,
    kind: str = "auto",
    jobs: int = -1,
    progress: bool = False,
) -> Evaluation:
    """Score a folder of segmentations by Berkeley's measures, and its segments as detections.

    Parameters
    ----------
    results
        One file for each picture, named after its id, or a subfolder of these for each setting: .mat with ``segs``
        (several label maps) or ``ucm2`` (a contour map of double size), a label map as a picture, .npy or .npz of
        one (H, W) or several (n, H, W), or boundaries as a gray picture, 255 where there is one.
    dataset, split
        As `seglab.benchmark.open_pictures` takes them.
    thresholds
        At how many thresholds contour maps are cut, or at which.
    measures
        Some of ``"region"``, ``"boundary"`` and ``"segments"``; by default all that the files can be scored by.
    kind
        What the files hold: ``"labels"``, ``"ucm"`` or ``"boundaries"``. ``"auto"`` tells it from their content, and
        refuses a gray picture that may be either.
    jobs
        Pictures at a time; −1 for as many as there are cores.
    progress
        Show a bar with the time to go.

    Raises
    ------
    ValueError
        Files are missing, extra, unreadable, of a wrong size, mixed or of no clear kind; they are named before the
        work starts.
    WorkerError
        A process was killed, as a rule for lack of memory.
    """
    if thresholds < 1 if isinstance(thresholds, int) else not len(thresholds):
        raise ValueError(f"thresholds is a whole number from 1, or a list of heights; got {thresholds}")
    wanted = checked_measures(MEASURES if measures is None else measures)
    check_jobs(jobs)
    name, pictures = open_pictures(dataset, split)
    if not len(pictures):
        raise ValueError("no pictures: the data set is empty")
    entries, labels = find_results(Path(results), pictures, kind)
    if entries[0].kind == "boundaries":
        if measures is not None and wanted != ("boundary",):
            raise ValueError(f"{results} holds boundaries, which have no regions: --measures boundary is what there is")
        wanted = ("boundary",)
    work = in_any_order(
        functools.partial(_scored, thresholds=thresholds, measures=wanted),
        list(enumerate(entries)),
        jobs=min(jobs, len(entries)),
        lost=_lost,
    )
    shown = tqdm(work, total=len(entries), unit="picture", disable=None if progress else True)
    found = sorted(shown, key=lambda each: each[0])
    good = [(entries[i].picture.id, score) for i, score, _ in found if score is not None]
    failures = [(entries[i].picture.id, error) for i, score, error in found if score is None]
    ids, scores = [id for id, _ in good], [score for _, score in good]
    return Evaluation(Path(results).resolve().name, name, ids, scores, labels, failures)


Scored = tuple[int, PictureScores | None, str]  # which, its scores, and why there are none


def _scored(task: tuple[int, Entry], thresholds: int | Sequence[float], measures: tuple[str, ...]) -> Scored:
    number, entry = task
    try:
        return number, entry.scores(thresholds, measures), ""
    except Exception as error:  # whatever one picture does, the others are still to be done
        return number, None, f"{type(error).__name__}: {error}"


def _lost(task: tuple[int, Entry], error: str) -> Scored:
    return task[0], None, error
