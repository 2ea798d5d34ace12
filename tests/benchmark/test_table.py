from __future__ import annotations

import csv
import io
import json

import pytest

from seglab import _cli_evaluate
from seglab.benchmark.table import FORMATS, MEASURES, WIDTH, Cell, Row, Table, rows_to_csv

TABLE = Table(
    [
        Row("k_means", {"covering": Cell(ods=0.41249, ois=0.5, chosen=0.4, at="k=5", chosen_at="k=7")}, n_pictures=200),
        Row("old | new", {"covering": Cell(ods=0.4, digits=2)}, source="somewhere, 2011", verified=False),
    ],
    ["a note."],
)
HEAD = ["method", "SC chosen", "SC chosen at", "SC ODS", "SC ODS at", "SC OIS", "pictures", "source"]


def test_text() -> None:
    assert str(TABLE).split("\n") == [
        "method         SC chosen  SC chosen at  SC ODS  SC ODS at  SC OIS  pictures  source",
        "k_means        0.400      k=7           0.412   k=5        0.500   200",
        "old | new (?)                           0.40                                 somewhere, 2011",
        "a note.",
        "(?) from memory: look it up to quote it.",
    ]


def test_columns_that_are_too_many_go_below() -> None:
    cell = Cell(ods=0.1234, ois=0.5, best=0.6, ap=0.7, chosen=0.1, at="n_clusters=2", chosen_at="n_clusters=3")
    lines = Table([Row("a", dict.fromkeys(MEASURES, cell))], ["a note."]).to_text().split("\n")
    assert max(map(len, lines)) <= WIDTH
    heads = [line for line in lines if line.startswith("method")]
    assert len(heads) > 1
    assert lines.count("") == len(heads) - 1
    assert sum(line.count("n_clusters=2") for line in lines) == len(MEASURES)
    assert lines[-1] == "a note."


def test_csv() -> None:
    lines = list(csv.reader(io.StringIO(TABLE.to("csv"))))
    assert lines[0] == HEAD
    assert lines[1] == ["k_means", "0.400", "k=7", "0.412", "k=5", "0.500", "200", ""]
    assert lines[2] == ["old | new (?)", "", "", "0.40", "", "", "", "somewhere, 2011"]


def test_markdown() -> None:
    lines = TABLE.to("markdown").split("\n")
    assert lines[0] == "| " + " | ".join(HEAD) + " |"
    assert lines[1] == "| --- | --- | --- | --- | --- | --- | --- | --- |"
    assert lines[3] == r"| old \| new (?) |  |  | 0.40 |  |  |  | somewhere, 2011 |"
    assert lines[4:] == ["", "a note.", "(?) from memory: look it up to quote it."]


def test_latex() -> None:
    lines = TABLE.to("latex").split("\n")
    assert lines[0] == r"\begin{tabular}{llllllll}"
    assert lines[1:5:2] == [r"\toprule", r"\midrule"]
    assert lines[4] == r"k\_means & 0.400 & k=7 & 0.412 & k=5 & 0.500 & 200 &  \\"
    assert lines[6:] == [r"\bottomrule", r"\end{tabular}", "% a note.", "% (?) from memory: look it up to quote it."]


def test_json_keeps_all_digits() -> None:
    first, second = json.loads(TABLE.to("json"))["rows"]
    assert first["cells"]["covering"]["ods"] == 0.41249
    assert second["verified"] is False


def test_formats() -> None:
    with pytest.raises(ValueError, match=r"text, csv.*got 'html'"):
        TABLE.to("html")
    assert {suffix: name for name, suffix in FORMATS.items()} == _cli_evaluate.SUFFIXES
    assert tuple(FORMATS) == _cli_evaluate.FORMATS


def test_entries_as_csv() -> None:
    assert rows_to_csv([{"picture": "a", "rand": 0.5}, {"picture": "b", "rand": 1}]) == "picture,rand\na,0.5\nb,1\n"
