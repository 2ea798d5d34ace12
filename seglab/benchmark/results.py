"""The scores of methods over a data set, and Berkeley's table of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from seglab.benchmark.scores import SettingScore, pooled
from seglab.benchmark.table import Cell, Row, Table
from seglab.metrics.berkeley import RegionBenchmark, RegionScores, region_benchmark
from seglab.params import parameters
from seglab.segmenter import Segmenter

__all__ = ["Results", "Run", "evaluated", "published_rows"]


@dataclass(frozen=True)
class Run:
    """One method over a data set: its settings, and for each complete picture the scores at each of them."""

    name: str
    settings: tuple[Segmenter, ...]
    scores: dict[str, list[SettingScore]]
    n_pictures: int

    @cached_property
    def pooled(self) -> RegionBenchmark | None:
        """Berkeley's region scores, or None where no picture is complete."""
        return region_benchmark(pooled(each) for each in self.scores.values()) if self.scores else None

    @property
    def seconds(self) -> float:
        """The mean time for a picture at one setting."""
        each = [score.seconds for scores in self.scores.values() for score in scores]
        return sum(each) / max(len(each), 1)

    def label(self, index: int) -> str:
        """What tells a setting from the method's others: ``"scale=300"``."""
        names = [p.name for p in parameters(self.settings[0])]
        varied = [name for name in names if len({getattr(m, name) for m in self.settings}) > 1]
        return " ".join(f"{name}={getattr(self.settings[index], name)}" for name in varied)


@dataclass(frozen=True)
class Results:
    """What `seglab.benchmark.run` gives.

    Attributes
    ----------
    dataset
        Its name and split.
    runs
        One for each method.
    failures
        (picture and setting, why) for each that failed.
    interrupted
        Whether somebody stopped the run before its end.
    chosen_on, choosers
        The data set on which settings were chosen beside, and the same methods' runs there.
    """

    dataset: str
    runs: list[Run]
    failures: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False
    chosen_on: str | None = None
    choosers: list[Run] = field(default_factory=list)

    def table(self, published: bool = False) -> Table:
        """Berkeley's table, a row for each method; with the published ones below."""
        choosers: Sequence[Run | None] = self.choosers or [None] * len(self.runs)
        rows = [_row(run, other) for run, other in zip(self.runs, choosers, strict=True) if run.pooled is not None]
        notes = [f"{self.dataset}: ODS and OIS choose settings on these pictures themselves."]
        if self.chosen_on:
            notes.append(f"chosen: the setting that is best on {self.chosen_on}, scored on {self.dataset}.")
        for run in self.runs:
            if len(run.scores) < run.n_pictures:
                notes.append(f"{run.name}: {len(run.scores)} of {run.n_pictures} pictures are complete.")
        for run in self.choosers:
            if len(run.scores) < run.n_pictures:
                notes.append(f"{run.name}: chosen on {len(run.scores)} of {run.n_pictures} pictures.")
        return Table(rows + (published_rows() if published else []), notes)

    def per_picture(self) -> list[dict[str, Any]]:
        """One entry for each method, picture and setting: its scores, flat."""
        return [
            {"method": run.name, "picture": id, "setting": run.label(i), "covering": _short(_covering(score))}
            | {name: _short(getattr(score, name)) for name in ("rand", "information", "n_segments", "seconds")}
            for run in self.runs
            for id, scores in run.scores.items()
            for i, score in enumerate(scores)
        ]


def _covering(score: SettingScore) -> float:
    return sum(o * s for o, s in zip(score.overlaps, score.sizes, strict=True)) / sum(score.sizes)


def _row(run: Run, chooser: Run | None) -> Row:
    assert run.pooled is not None
    labels = [run.label(i) for i in range(len(run.settings))]
    return dataclasses.replace(
        evaluated(run.name, run.pooled, labels, len(run.scores), chooser.pooled if chooser else None),
        seconds=run.seconds,
    )


def evaluated(
    name: str, result: RegionBenchmark, labels: Sequence[str], n_pictures: int, chooser: RegionBenchmark | None = None
) -> Row:
    """A row of the table.

    Parameters
    ----------
    name
        What the row is called.
    result
        The pooled scores.
    labels
        What the settings are called; empty where they are thresholds.
    n_pictures
        How many were pooled.
    chooser
        The scores at the same settings on the pictures on which settings are chosen.
    """
    cells = {}
    for measure in ("covering", "rand", "information"):
        score, at = getattr(result, measure), getattr(result, f"{measure}_at")
        place = int(at.argmin() if measure == "information" else at.argmax())
        cell = Cell(ods=float(score.ods), ois=float(score.ois), at=_label(result, labels, place))
        if measure == "covering":
            cell = dataclasses.replace(cell, best=float(result.covering_best))
        if chooser is not None:
            other = getattr(chooser, f"{measure}_at")
            place = int(other.argmin() if measure == "information" else other.argmax())
            cell = dataclasses.replace(cell, chosen=float(at[place]), chosen_at=_label(result, labels, place))
        cells[measure] = cell
    return Row(name, cells, n_pictures=n_pictures)


def _label(result: RegionBenchmark, labels: Sequence[str], index: int) -> str:
    return labels[index] if labels else f"{result.thresholds[index]:.4g}"


def picture_lines(ids: Sequence[str], scores: Sequence[RegionScores], labels: Sequence[str]) -> list[dict[str, Any]]:
    """For each picture its best setting and score by each measure."""
    lines = []
    for id, each in zip(ids, scores, strict=True):
        line: dict[str, Any] = {"picture": id}
        for measure, values in (("covering", each.covered / each.total), ("rand", each.rand)):
            line |= {measure: _short(float(values.max())), f"{measure}_at": _at(each, labels, int(values.argmax()))}
        low = int(each.information.argmin())
        lines.append(
            line | {"information": _short(float(each.information[low])), "information_at": _at(each, labels, low)}
        )
    return lines


def _short(value: float) -> float:
    return float(f"{value:.6g}") if isinstance(value, float) else value  # as Berkeley's text files have it


def _at(scores: RegionScores, labels: Sequence[str], index: int) -> str:
    return labels[index] if labels else f"{scores.thresholds[index]:.4g}"


def published_rows() -> list[Row]:
    """What was published for BSDS500's test pictures; ``verified`` is False where it was written down from memory."""
    text = Path(__file__).with_name("published.json").read_text(encoding="utf-8")
    rows = []
    for entry in json.loads(text)["rows"]:
        cells = {name: _printed(values) for name, values in entry["measures"].items()}
        rows.append(Row(entry["method"], cells, source=entry["source"], verified=entry["verified"]))
    return rows


def _printed(values: dict[str, str]) -> Cell:
    """Numbers with the digits that they were published with."""
    (digits,) = {len(value.partition(".")[2]) for value in values.values()}
    cell = {name: float(value) for name, value in values.items()}
    return Cell(ods=cell.get("ods"), ois=cell.get("ois"), best=cell.get("best"), ap=cell.get("ap"), digits=digits)
