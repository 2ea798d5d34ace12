"""Kanezaki's average precision, with several people's segmentations of a picture counted in each of six ways.

A. Kanezaki. Unsupervised Image Segmentation by Backpropagation. IEEE International Conference on Acoustics, Speech and
Signal Processing (ICASSP) 2018, 1543-1547. doi:10.1109/ICASSP.2018.8462533

The paper has one figure for each method and does not say how people count. The benchmark's table takes ``"any
person"``; the others are to be seen beside it. ``readings.json`` has what they give for two methods on BSDS500's 200
test pictures, at some of the paper's settings (k-means with windows of 1, 3 and 5, and not with all of its k); with the
data at hand, `write_readings` makes it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.benchmark.results import Run
from seglab.benchmark.runner import run
from seglab.benchmark.table import Cell, Row, Table
from seglab.metrics.segments import segment_benchmark

__all__ = ["READINGS", "average_precisions", "measured_readings", "readings_table", "write_readings"]

Array = NDArray[np.float64]

THRESHOLDS = (0.5, 0.7)
READINGS: dict[str, tuple[Any, bool]] = {  # how people count, see `segment_benchmark`; whether each picture has its own
    "any person": ("pooled", False),
    "each person": ("each", False),
    "found once": ("correct", False),
    "found once, of one person's": ("mean", False),
    "best person": ("best", False),
    "mean of pictures": ("pooled", True),
}
_K_MEANS = {"color_space": "rgb", "max_iter": 30}
# The paper has windows of 1, 3, 5 and 7, k from 2 to 20, and these five scales; it gives neither sigma nor min_size.
SWEEPS: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "k-means": [
        ("kmeans", {**_K_MEANS, "window": 1}, "n_clusters=2,3,4,6,10"),
        ("kmeans", {**_K_MEANS, "window": 3}, "n_clusters=2,3,6"),
        ("kmeans", {**_K_MEANS, "window": 5}, "n_clusters=2,4"),
    ],
    "Felzenszwalb–Huttenlocher": [
        ("felzenszwalb", {"sigma": 0.5, "min_size": 20}, "scale=100,500,1000,1500,2000"),
    ],
}


def average_precisions(scores: Run) -> dict[str, Array]:
    """For each of `READINGS` the average precisions (T, 2) of a run's settings, at overlaps of 0.5 and 0.7."""
    settings = list(zip(*(each.segments for each in scores.pictures if each.segments is not None), strict=True))
    found = {}
    for name, (annotators, alone) in READINGS.items():
        results = [segment_benchmark(each, THRESHOLDS, annotators=annotators) for each in settings]
        found[name] = np.array([result.ap_images.mean(0) if alone else result.ap for result in results])
    return found


def readings_table(name: str, runs: Sequence[Run]) -> list[Row]:
    """A row for each of `READINGS`: the best average precision among all settings of some runs, and where it is."""
    each = [average_precisions(one) for one in runs]
    labels = [method.code() for one in runs for method in one.settings]
    rows = []
    for reading in READINGS:
        values = np.concatenate([found[reading] for found in each])
        cells = {
            measure: Cell(ods=round(float(at.max()), 6), at=labels[at.argmax()], digits=4)
            for measure, at in zip(("ap50", "ap70"), values.T, strict=True)
        }
        rows.append(Row(f"{name}: {reading}", cells, n_pictures=min(len(one.scores) for one in runs)))
    return rows


def measured_readings() -> Table:
    """The stored table: a row for each method and reading, ``"k-means: any person"``; needs no data set.

    Examples
    --------
    >>> for row in measured_readings().rows[:2]:
    ...     print(f"{row.name:24} {row.cells['ap50'].ods:.3f}")
    k-means: any person      0.074
    k-means: each person     0.053
    """
    return Table.from_json(_FILE.read_text(encoding="utf-8"))


_FILE = Path(__file__).with_name("readings.json")
_NOTES = [
    "bsds500-test: average precision of segments, the best among the settings.",
    "Made by: seglab.benchmark.readings.write_readings('readings.json')",
]


def write_readings(path: str | Path, dataset: Any = "bsds500", out: str | Path = "benchmark", jobs: int = 1) -> None:
    """Run the methods, and write what `measured_readings` reads; takes an hour, and resumes from ``out``."""
    rows: list[Row] = []
    for name, sweeps in SWEEPS.items():
        results = [
            run(method, dataset, fixed=fixed, sweep=sweep, measures="segments", out=out, jobs=jobs)
            for method, fixed, sweep in sweeps
        ]
        rows += readings_table(name, [result.runs[0] for result in results])
    Path(path).write_text(Table(rows, _NOTES).to_json() + "\n", encoding="utf-8")
