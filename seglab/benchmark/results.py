"""The scores of methods over a data set, and Berkeley's table of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from seglab.benchmark.pooling import Measured, evaluated, pool, short
from seglab.benchmark.scores import PictureScores, SettingScore, pooled
from seglab.benchmark.table import Cell, Row, Table
from seglab.params import parameters
from seglab.segmenter import Segmenter

__all__ = ["Results", "Run", "measured", "published_rows"]


@dataclass(frozen=True)
class Run:
    """One method over a data set: its settings, and for each complete picture the scores at each of them."""

    name: str
    settings: tuple[Segmenter, ...]
    scores: dict[str, list[SettingScore]]
    n_pictures: int

    @cached_property
    def pictures(self) -> list[PictureScores]:
        """The scores of each complete picture at all settings."""
        return [pooled(each) for each in self.scores.values()]

    @cached_property
    def pooled(self) -> dict[str, Measured]:
        """Each measure over the data set; empty where no picture is complete."""
        return pool(self.pictures, ordered=False) if self.scores else {}

    @property
    def seconds(self) -> float:
        """The mean time for a picture at one setting."""
        each = [score.seconds for scores in self.scores.values() for score in scores]
        return sum(each) / max(len(each), 1)

    @property
    def _varied(self) -> list[str]:
        names = [p.name for p in parameters(self.settings[0])]
        return [name for name in names if len({getattr(m, name) for m in self.settings}) > 1]

    @property
    def labels(self) -> list[str]:
        """What tells each setting from the method's others: ``"scale=300"``."""
        return [" ".join(f"{name}={getattr(method, name)}" for name in self._varied) for method in self.settings]


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
        rows = [_row(run, other) for run, other in zip(self.runs, choosers, strict=True) if run.scores]
        notes = [f"{self.dataset}: ODS and OIS choose settings on these pictures themselves."]
        if self.chosen_on:
            n = max((run.n_pictures for run in self.choosers), default=0)
            notes.append(
                f"chosen: the setting that is best on {n} pictures of {self.chosen_on}, scored on {self.dataset}."
            )
        for run in self.runs:
            if len(run.scores) < run.n_pictures:
                notes.append(f"{run.name}: {len(run.scores)} of {run.n_pictures} pictures are complete.")
        for run in self.choosers:
            if len(run.scores) < run.n_pictures:
                notes.append(f"{run.name}: chosen on {len(run.scores)} of {run.n_pictures} pictures.")
        return Table(rows + (published_rows() if published else []), notes)

    def per_picture(self) -> list[dict[str, Any]]:
        """One entry for each method, picture and setting: its scores, flat."""
        lines: list[dict[str, Any]] = []
        for run in self.runs:
            images = {name: m.images for name, m in run.pooled.items() if m.images is not None}
            for row, (id, scores) in enumerate(run.scores.items()):
                for column, (score, label) in enumerate(zip(scores, run.labels, strict=True)):
                    line: dict[str, Any] = {"method": run.name, "picture": id, "setting": label}
                    line |= {name: short(float(values[row, column])) for name, values in images.items()}
                    lines.append(line | {"n_segments": score.n_segments, "seconds": short(score.seconds)})
        return lines


def _row(run: Run, chooser: Run | None) -> Row:
    row = evaluated(run.name, run.pooled, run.labels, len(run.scores), chooser.pooled if chooser else None)
    return dataclasses.replace(row, seconds=run.seconds)


def measured() -> Table:
    """The package's own methods on BSDS500's 200 test pictures.

    A row for each method. ``row.cells["covering"]`` (or ``rand``, ``information``, ``boundary``, ``segment_f``,
    ``segment_f_pooled``, ``ap50``, ``ap70``) has ``ods`` and ``ois``, which choose settings on the test pictures, and
    ``chosen``, at the setting that is best on validation pictures; ``at`` and ``chosen_at`` say which. ``row.source``
    is the command that made the row, ``row.seconds`` the mean time for a picture at one setting; the notes say with
    what and when. `published_rows` are what others measured.

    Examples
    --------
    >>> from seglab.benchmark import measured
    >>> len(measured().rows) > 0
    True
    """
    return Table.from_json(Path(__file__).with_name("measured.json").read_text(encoding="utf-8"))


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
