from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seglab.benchmark import Results, run, runner
from seglab.benchmark.pictures import open_pictures
from seglab.image import as_image
from seglab.methods import KMeans
from seglab.metrics.berkeley import region_benchmark, region_scores

SWEEP = "n_clusters=2,4"


def rows(results: Results) -> list[dict[str, Any]]:
    """The table but for the times."""
    return [dataclasses.asdict(dataclasses.replace(row, seconds=None)) for row in results.table().rows]


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The pictures that were worked on, and at how many settings."""
    seen, real = [], runner.carry_out

    def noted(task: runner.Task) -> runner.Done:
        seen.append((task.picture.id, len(task.methods)))
        return real(task)

    monkeypatch.setattr(runner, "carry_out", noted)
    return seen


def test_the_scores_are_those_of_the_methods_label_maps(mine: Path, tmp_path: Path) -> None:
    _, pictures = open_pictures(mine)
    direct = [
        region_scores(p.segmentations, [KMeans(n_clusters=k).segment(as_image(p.image)).labels for k in (2, 4)])
        for p in pictures
    ]
    wanted = region_benchmark(direct)
    found = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out").runs[0].pooled
    for measure in ("covering", "rand", "information"):
        m = found[measure]
        assert (m.ods, m.threshold, m.ois) == pytest.approx(getattr(wanted, measure), rel=1e-12)
    assert found["covering"].best == pytest.approx(wanted.covering_best)


def test_what_is_there_is_not_computed_again(mine: Path, tmp_path: Path, carried_out: list) -> None:
    first = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=2)
    assert carried_out == [("a", 2), ("b", 2)]
    carried_out.clear()
    assert rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=2)) == rows(first)
    assert carried_out == []
    run("kmeans", mine, sweep="n_clusters=2,3,4", out=tmp_path / "out", limit=3)
    assert carried_out == [("a", 1), ("b", 1), ("c", 3)]


def test_every_second_picture_is_a_sample_that_the_rest_completes(
    mine: Path, tmp_path: Path, carried_out: list
) -> None:
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", every=2)
    assert carried_out == [("a", 2), ("c", 2)]
    carried_out.clear()
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    assert carried_out == [("b", 2), ("d", 2)]


def test_a_truncated_file_is_computed_again(mine: Path, tmp_path: Path, carried_out: list) -> None:
    first = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    path = tmp_path / "out/mine-test/kmeans/b.json"
    path.write_bytes(path.read_bytes()[:100])
    carried_out.clear()
    assert rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")) == rows(first)
    assert carried_out == [("b", 2)]


def test_another_truth_is_scored_anew(mine: Path, tmp_path: Path, carried_out: list) -> None:
    first = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    np.save(mine / "truth/a.npy", np.zeros((6, 16), int))
    carried_out.clear()
    assert rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")) != rows(first)
    assert carried_out == [("a", 2)]


def test_a_measure_more_is_added_to_what_is_there(mine: Path, tmp_path: Path, carried_out: list) -> None:
    few = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", measures="region")
    assert list(few.table().rows[0].cells) == ["covering", "rand", "information"]
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", measures="boundary")
    assert len(carried_out) == 8
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", measures=["region", "boundary"])
    assert len(carried_out) == 8
    every = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    assert len(carried_out) == 12
    assert rows(every) == rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "new"))
    assert rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", measures="region")) == rows(few)


def test_nothing_between_settings_of_a_grid(mine: Path, tmp_path: Path) -> None:
    """Settings of one parameter are in its order, so that F between two is taken, as Berkeley does; not in a grid."""
    line = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out").runs[0].pooled["boundary"]
    assert line.ods >= line.at.max()
    grid = run("kmeans", mine, sweep=[SWEEP, "max_iter=1,9"], out=tmp_path / "out").runs[0].pooled["boundary"]
    assert grid.ods == grid.at.max()
    assert grid.threshold in (1, 2, 3, 4)


def test_two_jobs_do_what_one_does(mine: Path, tmp_path: Path) -> None:
    one = run(["kmeans", "slic"], mine, sweep=[SWEEP, "n_segments=2,6"], out=tmp_path / "one")
    two = run(["kmeans", "slic"], mine, sweep=[SWEEP, "n_segments=2,6"], out=tmp_path / "two", jobs=2)
    assert rows(one) == rows(two)
    assert [row["name"] for row in rows(two)] == ["kmeans", "slic"]
    assert two.failures == []


def test_a_failing_picture_does_not_stop_the_others(mine: Path, tmp_path: Path) -> None:
    broken = mine / "images/b.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60])
    found = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    ((what, why),) = found.failures
    assert what == "b, KMeans(n_clusters=2)"
    assert "b.png" in why
    assert list(found.runs[0].scores) == ["a", "c", "d"]
    assert "kmeans: 3 of 4 pictures are complete." in found.table().notes
    broken.write_bytes(whole)
    again = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    assert again.failures == []
    assert rows(again) == rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "new"))


def test_settings_before_the_one_that_fails_are_kept(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carried_out: list
) -> None:
    with monkeypatch.context() as patch:
        real = KMeans.segment

        def fails(self: KMeans, image: Any, **options: Any) -> Any:
            if self.n_clusters == 4:
                raise RuntimeError("out of memory")
            return real(self, image, **options)

        patch.setattr(KMeans, "segment", fails)
        found = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=1)
    assert found.failures == [("a, KMeans(n_clusters=4)", "RuntimeError: out of memory")]
    assert found.table().rows == []
    carried_out.clear()
    assert run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=1).failures == []
    assert carried_out == [("a", 1)]


def test_settings_chosen_on_other_pictures(split: Path, tmp_path: Path) -> None:
    """In val the truth is the halves, in test the bands: what val chooses scores half of what test would have."""
    found = run("kmeans", split, sweep=SWEEP, out=tmp_path / "out", choose_on="val")
    cell = found.table().rows[0].cells["covering"]
    assert (cell.ods, cell.at) == (1, "n_clusters=4")
    assert (cell.chosen, cell.chosen_at) == (0.5, "n_clusters=2")
    bits = found.table().rows[0].cells["information"]
    assert (bits.ods, bits.at) == (0, "n_clusters=4")
    assert (bits.chosen, bits.chosen_at) == (pytest.approx(1), "n_clusters=2")
    assert found.chosen_on == "split-val"
    assert all(len(each.scores) == 2 for each in (*found.runs, *found.choosers))
    drawn = found.table().rows[0].cells["boundary"]
    assert (drawn.chosen, drawn.chosen_at) == (0.5, "n_clusters=2")
    without = run("kmeans", split, sweep=SWEEP, out=tmp_path / "out").table().rows[0].cells["covering"]
    assert without == dataclasses.replace(cell, chosen=None, chosen_at="")


def test_places_that_do_not_touch_are_split(tmp_path: Path) -> None:
    stripes = np.arange(9)[None].repeat(6, 0)
    picture = SimpleNamespace(id="a", image=np.where(stripes // 3 % 2, 0.9, 0.1), segmentations=[stripes // 3])
    for connected, n in ((False, 2), (True, 3), (False, 2)):
        found = run("kmeans", [picture], sweep="n_clusters=2", out=tmp_path, connected=connected)
        assert [line["n_segments"] for line in found.per_picture()] == [n]


def test_label_maps_are_kept_and_made_where_they_lack(mine: Path, tmp_path: Path, carried_out: list) -> None:
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=2)
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=2, keep_labels=True)
    assert len(carried_out) == 4
    kept = sorted((tmp_path / "out/mine-test/kmeans").glob("a.*.npz"))
    assert len(kept) == 2
    found = [np.load(path)["labels"].max() + 1 for path in kept]
    assert sorted(found) == [2, 4]
    run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", limit=2, keep_labels=True)
    assert len(carried_out) == 4


def test_pictures_do_not_fill_the_memory(tmp_path: Path) -> None:
    """What a picture keeps when it is read is not kept by the tasks, of which there are many."""

    class Kept(SimpleNamespace):
        @property
        def image(self) -> np.ndarray:
            self.read = True
            return np.eye(8)

    picture = Kept(id="a", segmentations=[np.eye(8, dtype=int)])
    task = runner.Task(tmp_path, picture, (KMeans(n_clusters=2),))
    done = runner.carry_out(task)
    assert done.error == ""
    assert "read" not in vars(done.task.picture)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["kmeans", KMeans()]}, "kmeans is named twice"),
        ({"choose_on": "test"}, "choose_on is another split"),
        ({"choose_on": "val"}, "no split 'val'"),
        ({"measures": "area"}, "measures are some of"),
        ({"jobs": 0}, "jobs is a whole number"),
        ({"dataset": []}, "the data set is empty"),
    ],
)
def test_what_makes_no_sense_is_told(mine: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(**{"methods": "kmeans", "dataset": mine, "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


# ---- killed and stopped -----------------------------------------------------------------------------------------

DEADLY = """
import os, signal, sys
from seglab.cli import main

done, replace = [], os.replace

def deadly(*paths):
    done.append(paths)
    if len(done) == 3:  # while the third picture's file is being written
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

os.replace = deadly
sys.exit(main(sys.argv[1:]))
"""


def command(mine: Path, out: Path, *more: str) -> Sequence[str]:
    return ["benchmark", "kmeans", "--dataset", str(mine), "--sweep", SWEEP, "--out", str(out), "-q", *more]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_a_killed_run_goes_on_where_it_was(mine: Path, tmp_path: Path, carried_out: list) -> None:
    killed = subprocess.run([sys.executable, "-c", DEADLY, *command(mine, tmp_path / "out")], timeout=200)
    assert killed.returncode == -signal.SIGKILL
    folder = tmp_path / "out/mine-test/kmeans"
    written = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len([name for name in written if name.endswith(".part")]) == 1
    assert {name for name in written if not name.startswith(".")} == {"a.json", "b.json"}
    again = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    assert carried_out == [("c", 2), ("d", 2)]
    assert all((folder / name).stat().st_mtime_ns == written[name] for name in ("a.json", "b.json"))
    assert rows(again) == rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "new"))


ORPHANS = """
import os, signal, sys
import psutil
from seglab.benchmark import runner
from seglab.cli import main

def killed(*what):
    keep(*what)
    print(*(child.pid for child in psutil.Process().children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

keep, runner._keep = runner._keep, killed
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_the_workers_of_a_killed_run_end_too(mine: Path, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")

    def lives(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    words = [sys.executable, "-c", ORPHANS, *command(mine, tmp_path / "out", "--jobs", "2")]
    with (tmp_path / "children").open("w") as file:  # a pipe would wait for the workers, who have it too
        killed = subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL, timeout=200)
    assert killed.returncode == -signal.SIGKILL
    children = [int(pid) for pid in (tmp_path / "children").read_text().split()]
    assert len(children) >= 2
    end = time.monotonic() + 30
    while (left := [pid for pid in children if lives(pid)]) and time.monotonic() < end:
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
    again = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out")
    assert rows(again) == rows(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "new"))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal; it is ignored where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_what_is_done(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carried_out: list, capsys: pytest.CaptureFixture
) -> None:
    from seglab.cli import main

    with monkeypatch.context() as patch:
        real = runner.score

        def stopped(*args: Any) -> Any:
            if len(carried_out) == 3:
                signal.raise_signal(signal.SIGINT)
            return real(*args)

        patch.setattr(runner, "score", stopped)
        assert main(command(mine, tmp_path / "out", "-o", str(tmp_path / "table.md"))) == 130
    said = capsys.readouterr()
    assert f"stopped; what is done lies in {tmp_path / 'out'}, and the same command goes on there" in said.err
    assert "2 of 4 pictures are complete" in said.out
    assert not (tmp_path / "table.md").exists()  # half a table is not written
    assert sorted(os.listdir(tmp_path / "out/mine-test/kmeans")) == ["a.json", "b.json"]
    carried_out.clear()
    assert main(command(mine, tmp_path / "out", "-o", str(tmp_path / "table.md"))) == 0
    assert carried_out == [("c", 2), ("d", 2)]
    assert "| kmeans |" in (tmp_path / "table.md").read_text()
