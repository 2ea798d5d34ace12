"""``seglab evaluate`` and ``seglab benchmark`` through ``main``: what they print and write, and the exit status."""

from __future__ import annotations

import csv
import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seglab import _cli_evaluate
from seglab.cli import main

BANDS = np.repeat(np.arange(4), 4)[None].repeat(6, 0)


@pytest.fixture
def labels(folder: Callable[..., Path]) -> Path:
    return folder("labels", {f"{id}.png": BANDS // 2 for id in "abcd"})


def evaluate(mine: Path, labels: Path, *more: str) -> int:
    return main(["evaluate", str(labels), "--dataset", str(mine), "-j", "1", "-q", *more])


def benchmark(mine: Path, out: Path, *more: str) -> int:
    return main(["benchmark", "kmeans", "--dataset", str(mine), "--out", str(out), "-q", *more])


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_evaluate_prints_and_writes(mine: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    files = [tmp_path / f"new/table{suffix}" for suffix in (".txt", ".csv", ".md", ".tex", ".json")]
    options = [word for file in files for word in ("-o", str(file))]
    options += ["--pictures", str(tmp_path / "p.csv"), "--official", str(tmp_path / "eval"), "--published"]
    assert evaluate(mine, labels, *options) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out == files[0].read_text()
    assert said.out.split("\n")[1].startswith("labels  ")
    assert "gPb-owt-ucm" in said.out
    assert rows(files[1])[0]["method"] == "labels"
    assert files[2].read_text().startswith("| method |")
    assert files[3].read_text().startswith(r"\begin{tabular}")
    assert [row["picture"] for row in rows(tmp_path / "p.csv")] == list("abcd")
    assert len(list((tmp_path / "eval").iterdir())) == 8


@pytest.mark.parametrize("format", ["csv", "markdown", "latex", "json"])
def test_evaluate_prints_in_a_format(mine: Path, labels: Path, capsys: pytest.CaptureFixture, format: str) -> None:
    assert evaluate(mine, labels, "-f", format) == 0
    start = {"csv": "method,", "markdown": "| method", "latex": r"\begin{tabular}", "json": "{"}[format]
    assert capsys.readouterr().out.startswith(start)


def test_files_that_do_not_fit(mine: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (labels / "b.png").rename(labels / "x.png")
    assert evaluate(mine, labels, "-o", str(tmp_path / "t.csv")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("seglab: error: ")
    assert "missing: b" in said.err
    assert "extra: x.png" in said.err
    assert not (tmp_path / "t.csv").exists()


def test_a_truth_that_fails(mine: Path, labels: Path, capsys: pytest.CaptureFixture) -> None:
    (mine / "truth/b.npy").write_bytes(b"")
    assert evaluate(mine, labels) == 1
    said = capsys.readouterr()
    assert "labels" in said.out
    assert said.err.startswith("seglab: failed: b: ")


def test_a_data_set_that_is_not_there(labels: Path, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["evaluate", str(labels)]) == 1
    assert "seglab data fetch bsds500" in capsys.readouterr().err
    assert main(["benchmark", "kmeans", "--out", str(tmp_path / "out")]) == 1


def test_benchmark_sweeps_and_fixes(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    more = ["--sweep", "n_clusters", "--sweep", "max_iter=3,5", "--values", "3", "-p", "color_space=rgb"]
    more += ["--pictures", str(tmp_path / "p.csv"), "-o", str(tmp_path / "t.csv"), "--limit", "2"]
    assert benchmark(mine, tmp_path / "out", *more) == 0
    assert capsys.readouterr().err == ""
    lines = rows(tmp_path / "p.csv")
    assert len(lines) == 2 * 3 * 2
    assert len({line["setting"] for line in lines}) == 6
    assert all("max_iter=" in line["setting"] and "n_clusters=" in line["setting"] for line in lines)
    stored = (tmp_path / "out/mine-test/kmeans/a.json").read_text()
    assert stored.count('"color_space": "rgb"') == 6
    (row,) = rows(tmp_path / "t.csv")
    assert (row["method"], row["pictures"]) == ("kmeans", "2")
    assert len(row["SC ODS"]) == len("0.123")


def test_benchmark_names_what_failed_at_the_end(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (mine / "images/b.png").write_bytes(b"")
    assert benchmark(mine, tmp_path / "out", "--sweep", "n_clusters=2,4") == 1
    said = capsys.readouterr()
    assert "kmeans: 3 of 4 pictures are complete." in said.out
    assert said.err.startswith("seglab: failed: b, KMeans(n_clusters=2): ")
    assert said.err.count("\n") == 1


def test_both_columns_are_there_and_apart(split: Path, tmp_path: Path) -> None:
    more = ["--sweep", "n_clusters=2,4", "--choose-on", "val", "-o", str(tmp_path / "t.csv")]
    assert benchmark(split, tmp_path / "out", *more) == 0
    (row,) = rows(tmp_path / "t.csv")
    assert (row["SC chosen"], row["SC chosen at"]) == ("0.500", "n_clusters=2")
    assert (row["SC ODS"], row["SC ODS at"], row["SC OIS"]) == ("1.000", "n_clusters=4", "1.000")


def test_measures_are_left_out(mine: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = tmp_path / "t.csv"
    assert evaluate(mine, labels, "--measures", "boundary,region", "-o", str(table)) == 0
    assert {head.split()[0] for head in rows(table)[0]} == {"method", "SC", "PRI", "VI", "F", "pictures"}
    more = [
        "--measures",
        "segments",
        "--sweep",
        "n_clusters=2,4",
        "-o",
        str(table),
        "--pictures",
        str(tmp_path / "p.csv"),
    ]
    assert benchmark(mine, tmp_path / "out", *more) == 0
    heads = {"method", "F@.5", "AP@.5", "AP@.7", "pictures", "s/picture"}
    assert {head.split()[0] for head in rows(table)[0]} == heads
    assert list(rows(tmp_path / "p.csv")[0]) == ["method", "picture", "setting", "segment_f", "n_segments", "seconds"]
    capsys.readouterr()
    assert evaluate(mine, labels, "--measures", "areas") == 2
    assert "measures are some of region, boundary, segments; got areas" in capsys.readouterr().err


def test_settings_are_chosen_on_fewer_pictures(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    more = ["--sweep", "n_clusters=2,4", "--choose-on", "val", "--choose-limit", "1", "--measures", "region"]
    assert benchmark(split, tmp_path / "out", *more) == 0
    assert "best on 1 pictures of split-val" in capsys.readouterr().out
    assert [path.name for path in sorted((tmp_path / "out/split-val/kmeans").iterdir())] == ["a.json"]
    assert len(list((tmp_path / "out/split-test/kmeans").iterdir())) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--sweep", "n_cluster"], "Did you mean 'n_clusters'"),
        (["-p", "n_clusters"], "write NAME=VALUE"),
        (["-p", "n_clusters=0"], "n_clusters"),
        (["--limit", "0"], "--limit is a whole number from 1"),
        (["--every", "0"], "--every is a whole number from 1"),
        (["--choose-limit", "0"], "--choose-limit is a whole number from 1"),
        (["--values", "0"], "--values is a whole number from 1"),
        (["-o", "table.html"], "a table is written as"),
        (["-j", "0"], "jobs is a whole number"),
        (["--choose-on", "val"], "no split 'val'"),
        (["--device", "abacus"], "--device abacus"),
        (["kmeens"], "kmeens"),
    ],
)
def test_a_wrong_command(mine: Path, tmp_path: Path, capsys, more: list[str], message: str) -> None:
    assert benchmark(mine, tmp_path / "out", *more) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---- what cannot be written -------------------------------------------------------------------------------------


WRONG_FILES = [
    ("{file}/t.csv", "{file} is a file where a folder is needed"),
    ("{file}/deep/t.csv", "{file} is a file where a folder is needed"),
    ("{folder}", "{folder} is a folder: name a file in it"),
]


def refused(
    command: Callable[..., int], option: str, place: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The command ends with one line that names the option, and status 2."""
    names = {"file": str(tmp_path / "notes"), "folder": str(tmp_path / "results.csv")}
    (tmp_path / "notes").write_text("kept")
    (tmp_path / "results.csv").mkdir()
    assert command(option, place.format(**names)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"seglab: error: {option} {place.format(**names)}")
    assert message.format(**names) in said.err
    assert said.err.count("\n") == 1
    assert (tmp_path / "notes").read_text() == "kept"


@pytest.mark.parametrize(
    ("option", "place", "message"),
    [
        *(("-o", *each) for each in WRONG_FILES),
        *(("--pictures", *each) for each in WRONG_FILES),
        ("--official", "{file}", "{file} is a file where a folder is needed"),
        ("--official", "{file}/eval", "{file} is a file where a folder is needed"),
    ],
)
def test_evaluate_refuses_outputs_before_the_work(
    mine: Path, labels: Path, tmp_path: Path, monkeypatch, capsys, option: str, place: str, message: str
) -> None:
    monkeypatch.setattr("seglab.benchmark.evaluate", lambda *a, **k: pytest.fail("the work began"))
    refused(lambda *more: evaluate(mine, labels, *more), option, place, message, tmp_path, capsys)


@pytest.mark.parametrize(
    ("option", "place", "message"),
    [
        *(("-o", *each) for each in WRONG_FILES),
        *(("--pictures", *each) for each in WRONG_FILES),
        ("--out", "{file}", "{file} is a file where a folder is needed"),
    ],
)
def test_benchmark_refuses_outputs_before_the_work(
    mine: Path, tmp_path: Path, monkeypatch, capsys, option: str, place: str, message: str
) -> None:
    monkeypatch.setattr("seglab.benchmark.run", lambda *a, **k: pytest.fail("the work began"))
    refused(lambda *more: benchmark(mine, tmp_path / "out", *more), option, place, message, tmp_path, capsys)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_right_to_write(mine: Path, labels: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """Rights are asked for through `os.access`, for the tests may run as somebody who has them all."""
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert evaluate(mine, labels, "-o", str(tmp_path / "new/t.csv")) == 2
    assert f"the folder {tmp_path} cannot be written to" in capsys.readouterr().err


def test_two_outputs_in_one_file(mine: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert evaluate(mine, labels, "-o", str(tmp_path / "t.csv"), "--pictures", str(tmp_path / "t.csv")) == 2
    assert f"--pictures {tmp_path / 't.csv'} would be written twice" in capsys.readouterr().err


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no room for t.csv."""
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(target).name == "t.csv":
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replace(source, target)

    monkeypatch.setattr(_cli_evaluate.os, "replace", refuse)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("command", ["evaluate", "benchmark"])
def test_what_cannot_be_written_is_printed(mine: Path, labels: Path, tmp_path: Path, capsys, command: str) -> None:
    more = ["-o", str(tmp_path / "t.csv"), "-o", str(tmp_path / "t.md"), "--pictures", str(tmp_path / "p.csv")]
    called = evaluate(mine, labels, *more) if command == "evaluate" else benchmark(mine, tmp_path / "out", *more)
    assert called == 1
    said = capsys.readouterr()
    assert said.out.startswith("method  SC ")
    assert said.err == f"seglab: failed: {tmp_path / 't.csv'}: not written: No space left on device\n"
    assert (tmp_path / "t.md").read_text().startswith("| method |")
    assert [row["picture"] for row in rows(tmp_path / "p.csv")][:4] == list("abcd")
    assert not list(tmp_path.glob(".*part"))


def test_what_nobody_reads_is_written(mine: Path, labels: Path, tmp_path: Path, monkeypatch) -> None:
    def closed(*words: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(_cli_evaluate, "print", closed, raising=False)
    monkeypatch.setattr(os, "dup2", lambda *each: None)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1, raising=False)
    assert evaluate(mine, labels, "-o", str(tmp_path / "t.csv")) == 1
    assert rows(tmp_path / "t.csv")[0]["method"] == "labels"


@pytest.mark.parametrize("text", ["nan,0.2", "0.2,inf", "-inf,0.5", "nan", "inf", "0.2,", "many"])
def test_thresholds_that_are_none(mine: Path, labels: Path, capsys: pytest.CaptureFixture, text: str) -> None:
    assert evaluate(mine, labels, f"--thresholds={text}") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"seglab: error: --thresholds {text}: give how many, such as 99, or finite heights")
    assert said.err.count("\n") == 1


def test_an_unreadable_picture_of_the_data_set(mine: Path, labels: Path, capsys: pytest.CaptureFixture) -> None:
    (mine / "images/b.png").write_bytes(b"")
    assert evaluate(mine, labels) == 1
    said = capsys.readouterr()
    assert said.err.startswith("seglab: cannot identify image file")
    assert "b.png" in said.err
