"""Berkeley's table as text, CSV, Markdown, LaTeX or JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["FORMATS", "Cell", "Row", "Table"]

FORMATS = {"text": ".txt", "csv": ".csv", "markdown": ".md", "latex": ".tex", "json": ".json"}
MEASURES = {
    "covering": "SC",
    "rand": "PRI",
    "information": "VI",
    "boundary": "F",
    "segment_f": "F@.5",
    "segment_f_pooled": "F@.5 all",
    "ap50": "AP@.5",
    "ap70": "AP@.7",
}
SCORES = {"chosen": "chosen", "ods": "ODS", "ois": "OIS", "best": "best", "ap": "AP"}
UNVERIFIED = "(?)"
WIDTH = 160  # of the text


@dataclass(frozen=True)
class Cell:
    """One measure of one method: at the best setting for all pictures and at the best for each, and where that is."""

    ods: float | None = None
    ois: float | None = None
    best: float | None = None
    ap: float | None = None
    chosen: float | None = None  # at the setting that was best on other pictures
    at: str = ""
    chosen_at: str = ""
    digits: int = 3  # behind the point, where they are printed


@dataclass(frozen=True)
class Row:
    """One method: a cell for each measure; for a published one its source, and whether that was looked up."""

    name: str
    cells: dict[str, Cell]
    source: str = ""
    verified: bool = True
    n_pictures: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows, and notes to be read with them.

    Examples
    --------
    >>> print(Table([Row("halves", {"covering": Cell(ods=0.5, ois=0.75)})]).to_text())
    method  SC ODS  SC OIS
    halves  0.500   0.750
    """

    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.to_text()

    def to(self, format: str) -> str:
        """The table in one of `FORMATS`."""
        if format not in FORMATS:
            raise ValueError(f"a table is written as one of {', '.join(FORMATS)}; got {format!r}")
        return str(getattr(self, f"to_{format}")())

    def columns(self) -> list[list[str]]:
        """The heads and cells as text, column by column; those without an entry are left out."""
        columns = [["method", *(row.name + ("" if row.verified else f" {UNVERIFIED}") for row in self.rows)]]
        for measure, short in MEASURES.items():
            cells = [row.cells.get(measure, Cell()) for row in self.rows]
            for attribute, head in SCORES.items():
                columns.append([f"{short} {head}", *(_number(getattr(cell, attribute), cell.digits) for cell in cells)])
                if attribute in ("chosen", "ods"):
                    place = "at" if attribute == "ods" else "chosen_at"
                    columns.append([f"{short} {head} at", *(getattr(cell, place) for cell in cells)])
        columns.append(["pictures", *("" if r.n_pictures is None else str(r.n_pictures) for r in self.rows)])
        columns.append(["s/picture", *("" if r.seconds is None else f"{r.seconds:.3g}" for r in self.rows)])
        columns.append(["source", *(row.source for row in self.rows)])
        return [column for column in columns if any(column[1:])]

    def _lines(self) -> list[tuple[str, ...]]:
        return list(zip(*self.columns(), strict=True))

    def to_text(self) -> str:
        """Columns of a fixed width, and the notes; columns that are too many for `WIDTH` go below, with the names."""
        columns = self.columns()
        widths = [max(map(len, column)) for column in columns]
        blocks: list[list[int]] = [[0]]
        for i in range(1, len(columns)):
            if len(blocks[-1]) > 1 and sum(widths[j] + 2 for j in [*blocks[-1], i]) - 2 > WIDTH:
                blocks.append([0])
            blocks[-1].append(i)
        texts = []
        for block in blocks:
            lines = zip(*(columns[i] for i in block), strict=True)
            each = ("  ".join(cell.ljust(widths[i]) for i, cell in zip(block, line, strict=True)) for line in lines)
            texts.append("\n".join(line.rstrip() for line in each))
        return "\n".join(["\n\n".join(texts), *self._notes()])

    def _notes(self) -> list[str]:
        doubt = [] if all(row.verified for row in self.rows) else [f"{UNVERIFIED} from memory: look it up to quote it."]
        return [*self.notes, *doubt]

    def to_csv(self) -> str:
        """Comma-separated values, without the notes."""
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(self._lines())
        return buffer.getvalue().rstrip("\n")

    def to_markdown(self) -> str:
        """A table of Markdown, and the notes."""
        lines = [[cell.replace("|", r"\|") for cell in line] for line in self._lines()]
        lines.insert(1, ["---"] * len(lines[0]))
        return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", *self._notes()]).rstrip()

    def to_latex(self) -> str:
        """A tabular of LaTeX with the rules of booktabs, and the notes as comments."""
        head, *body = [" & ".join(map(_escaped, line)) + r" \\" for line in self._lines()]
        layout = "l" * len(self.columns())
        rules = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "\n".join([*rules, r"\end{tabular}", *(f"% {note}" for note in self._notes())])

    def to_json(self) -> str:
        """Everything, in full precision."""
        return json.dumps({"rows": [dataclasses.asdict(row) for row in self.rows], "notes": self.notes}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Table:
        """What `to_json` gave.

        Examples
        --------
        >>> table = Table([Row("halves", {"covering": Cell(ods=0.5)})], ["a note."])
        >>> Table.from_json(table.to_json()) == table
        True
        """
        content = json.loads(text)
        rows = [
            Row(**{**row, "cells": {name: Cell(**cell) for name, cell in row["cells"].items()}})
            for row in content["rows"]
        ]
        return cls(rows, content["notes"])


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in "_%&#$" else c for c in text)


def rows_to_csv(lines: Sequence[dict[str, object]]) -> str:
    """Entries with the same names as comma-separated values."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()
