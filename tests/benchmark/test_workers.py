"""Workers that die: processes of this computer, and those of a real Dask scheduler."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import seglab
from seglab.benchmark import Results, WorkerError, run, workers
from seglab.benchmark.workers import in_any_order
from seglab.cli import main

SWEEP = "n_clusters=2,4"
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")


def square(number: int) -> int:
    return number**2


def deadly(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def lost(number: int, error: str) -> int:
    return -number


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_once(jobs: int) -> None:
    assert sorted(in_any_order(square, range(9), jobs=jobs, lost=lost)) == [n**2 for n in range(9)]


def test_a_process_killed_here() -> None:
    with pytest.raises(WorkerError, match="most likely because the memory was full. Start again with fewer --jobs"):
        list(in_any_order(deadly, range(9), jobs=2, lost=lost))


def test_the_commands_say_so_in_one_line(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def killed(*args: Any, **options: Any) -> Iterator[Any]:
        return in_any_order(deadly, range(3, 4), jobs=2, lost=lost)

    for module in ("runner", "evaluation"):
        monkeypatch.setattr(f"seglab.benchmark.{module}.in_any_order", killed)
    out = tmp_path / "out"
    assert main(["benchmark", "kmeans", "--dataset", str(mine), "--out", str(out), "-q"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"Start again with fewer --jobs; what is done lies in {out}, and it goes on there")
    assert main(["evaluate", str(mine / "truth"), "--dataset", str(mine), "-q"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Start again with fewer --jobs")


# ---- a real scheduler -------------------------------------------------------------------------------------------

DIES = """
import os, signal
from seglab.benchmark import runner

real, begun = runner.carry_out, []

def carry_out(task):
    begun.append(task)
    if len(begun) > {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(task)

runner.carry_out = carry_out
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a scheduler and its workers, each a process of its own, that carries out a script first."""
    pytest.importorskip("distributed")
    file, processes = tmp_path / "scheduler.json", []
    environment = {**os.environ, "PYTHONPATH": str(Path(seglab.__file__).parents[1])}
    environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"  # and not 3: fewer workers to start and kill

    def process(*words: str) -> None:
        command = [sys.executable, "-m", *words, "--scheduler-file", str(file)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path))

    def start(*scripts: str) -> str:
        options: tuple[str, ...] = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        process("distributed.cli.dask_scheduler", *options, "--pid-file", str(tmp_path / "pid"))
        wait_for(file.exists)
        for script in scripts:
            preload = tmp_path / f"first{len(processes)}.py"
            preload.write_text(script)
            options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", str(preload))
            process("distributed.cli.dask_worker", *options)
        return str(json.loads(file.read_text())["address"])

    yield start
    for each in processes:
        each.kill()
        each.wait()


def wait_for(happened: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)  # starting processes takes its time
def test_a_worker_of_two_is_killed_half_way(mine: Path, tmp_path: Path, cluster: Callable[..., str]) -> None:
    """Its pictures are done by the other one, and the table is that of this computer alone."""
    address = cluster(DIES.format(after=1), "")
    wait_for_workers(address, 2)
    found = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "there", scheduler=address)
    assert found.failures == []
    assert table(found) == table(run("kmeans", mine, sweep=SWEEP, out=tmp_path / "here"))
    assert wait_for_workers(address, 1) == 1  # and the other one is dead


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_picture_that_no_worker_survives(
    mine: Path, tmp_path: Path, cluster: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = cluster(*2 * [DIES.format(after=0)])
    wait_for_workers(address, 2)
    found = run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", scheduler=address, limit=1)
    ((what, why),) = found.failures
    assert what == "a, KMeans(n_clusters=2)"
    assert why.startswith("given up: ")
    monkeypatch.setattr(workers, "PATIENCE", "3s")
    with pytest.raises(WorkerError, match=f"the scheduler at {address} has no worker"):
        run("kmeans", mine, sweep=SWEEP, out=tmp_path / "out", scheduler=address, limit=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_scheduler_is_killed_half_way(tmp_path: Path, cluster: Callable[..., str]) -> None:
    address = cluster("")
    wait_for_workers(address, 1)
    naps = in_any_order(time.sleep, [0.0, 300.0, 300.0], scheduler=address, lost=lambda nap, error: None)
    next(naps)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    with pytest.raises(WorkerError, match=f"the scheduler at {address} is gone: start it and its workers again"):
        next(naps)


def test_no_scheduler(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE", "0.2s")
    with pytest.raises(WorkerError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        run("kmeans", mine, out=tmp_path / "out", scheduler="tcp://127.0.0.1:1")


def wait_for_workers(address: str, n: int) -> int:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        wait_for(lambda: len(client.scheduler_info(-1)["workers"]) == n)
        return len(client.scheduler_info(-1)["workers"])


def table(results: Results) -> list[Any]:
    return [dataclasses.replace(row, seconds=None) for row in results.table().rows]
