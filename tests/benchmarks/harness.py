"""Rows of the benchmark, and how one is measured; see the package's docstring."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["LARGE", "MEDIUM", "PHOTO", "TINY", "Row", "benchmark", "measure", "picture", "rows"]

Size = tuple[int, int]
TINY: Size = (24, 36)
PHOTO: Size = (321, 481)  # 0.15 megapixels, a picture of the Berkeley set
MEDIUM: Size = (1001, 1500)  # 1.5
LARGE: Size = (2832, 4243)  # 12

_SECONDS = 8.0  # for the timed calls of one row at one size
_MAX_PAIRS = 31
_SHORTEST = 0.02  # seconds; what is shorter is called several times and divided
_LONG = 60.0  # after so many seconds one pair is enough
_TIMEOUT = 900.0  # for one process
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Row(ABC):
    """One line of the table: a task, done by us and by the alternative."""

    title: ClassVar[str]
    reference: ClassVar[str]
    least: ClassVar[float | None]
    sizes: ClassVar[tuple[Size, ...]] = (PHOTO, MEDIUM, LARGE)
    theirs_up_to: ClassVar[int] = 100_000_000  # pixels; beyond it the reference is left out as too slow

    def prepare(self, image: Tensor) -> Any:
        """What both sides take, made from the picture; not timed."""
        return image

    @abstractmethod
    def ours(self, data: Any) -> Any:
        """The task with seglab."""

    @abstractmethod
    def theirs(self, data: Any) -> Any:
        """The task with what a user would pick instead."""

    @abstractmethod
    def agree(self, ours: Any, theirs: Any) -> str:
        """One line on the quality of both; raises AssertionError where the comparison is not fair."""


R = TypeVar("R", bound=type[Row])
_ROWS: dict[str, Row] = {}


def benchmark(title: str, *, reference: str, least: float | None = None) -> Callable[[R], R]:
    """Enter a row.

    Parameters
    ----------
    title
        The task, as the table names it.
    reference
        What it is compared with, with the settings that matter.
    least
        The ratio theirs / ours that is asked for at the smallest size.
    """

    def enter(cls: R) -> R:
        if title in _ROWS:
            raise ValueError(f"there is a row {title!r} already")
        cls.title, cls.reference, cls.least = title, reference, least
        _ROWS[title] = cls()
        return cls

    return enter


def rows() -> dict[str, Row]:
    """Every row, by title, in the order of the files' names."""
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        importlib.import_module(f".{path.stem}", __package__)
    return dict(_ROWS)


@lru_cache(maxsize=2)
def picture(size: Size) -> Tensor:
    """A photograph at a size, (3, H, W) float32 with 256 levels a channel.

    It ships inside scikit-learn (a Chinese temple, 427×640), reduced or enlarged. What is enlarged gets noise of 1.5
    levels like a camera's, or it would have far fewer different colors than a photograph of that size.
    """
    from sklearn.datasets import load_sample_image

    image = torch.from_numpy(load_sample_image("china.jpg").copy()).movedim(-1, 0)[None].float()
    larger = size[0] > image.shape[-2]
    out = torch.nn.functional.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    if larger:
        out += 1.5 * torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
    return out.round_().clamp_(0, 255).div_(255)


def measure(
    title: str,
    size: Size,
    what: str,
    seconds: float = _SECONDS,
    n_threads: int | None = None,
    clock: str = "wall",
) -> dict[str, Any]:
    """Measure in a fresh process; ``what`` is ``"time"``, ``"ours"`` or ``"theirs"`` (the memory of one side)."""
    script = str(Path(__file__).with_name("run.py"))
    command = [sys.executable, script, "--child", what, "--size", f"{size[0]}x{size[1]}", "--seconds", str(seconds)]
    command += ["--clock", clock]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}  # for both sides, as in `./run lab`
    if n_threads is not None:
        environment |= dict.fromkeys(_THREADS, str(n_threads))
    try:
        done = subprocess.run(
            [*command, title], capture_output=True, text=True, timeout=_TIMEOUT, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"error": f"over {_TIMEOUT:g} s"}
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def child(title: str, size: Size, what: str, seconds: float, clock: str = "wall") -> dict[str, Any]:
    """What the fresh process does."""
    row = rows()[title]
    with_theirs = size[0] * size[1] <= row.theirs_up_to
    if what == "time":
        return times(row, size, seconds, with_theirs=with_theirs, clock=CLOCKS[clock])
    if what == "theirs" and not with_theirs:
        return {"bytes": None}
    return {"bytes": peak_memory(row, size, getattr(row, what))}


def times(
    row: Row,
    size: Size,
    seconds: float,
    *,
    with_theirs: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Run both sides in turn, at least once each and until the time is used up."""
    small = row.prepare(picture(TINY))
    row.ours(small)
    row.theirs(small)
    data = row.prepare(picture(size))
    gc.collect()
    ours: list[float] = []
    theirs: list[float] = []
    repeats = {"ours": 1, "theirs": 1}
    start = time.perf_counter()
    while len(ours) < _MAX_PAIRS and (len(ours) < 2 or time.perf_counter() - start < seconds):
        spent, result = _timed(row.ours, data, repeats["ours"], clock)
        ours.append(spent)
        repeats["ours"] = max(1, round(_SHORTEST / spent))
        if with_theirs:
            spent, other = _timed(row.theirs, data, repeats["theirs"], clock)
            theirs.append(spent)
            repeats["theirs"] = max(1, round(_SHORTEST / spent))
        if time.perf_counter() - start > _LONG:
            break
    agreement = row.agree(result, other) if with_theirs else "not compared: the reference takes too long"
    ratio = min(theirs) / min(ours) if theirs else None
    return {"ours": ours, "theirs": theirs, "ratio": ratio, "agree": agreement}


def _timed(call: Callable[[Any], Any], data: Any, repeats: int, clock: Callable[[], float]) -> tuple[float, Any]:
    """The mean time of so many calls, and the last result."""
    start = clock()
    for _ in range(repeats):
        result = call(data)
    return max(clock() - start, 1e-9) / repeats, result


def peak_memory(row: Row, size: Size, call: Callable[[Any], Any]) -> int | None:
    """Bytes of resident memory that one call needs at its peak, beyond what was resident before it.

    The peak is the kernel's own where that can be reset (Linux), otherwise the largest of samples taken in a thread;
    None where the system tells neither.
    """
    call(row.prepare(picture(TINY)))  # libraries are loaded and compiled code is there
    data = row.prepare(picture(size))
    gc.collect()
    _give_back_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        call(data)
        return max(0, _status("VmHWM") - before)
    except OSError:
        return _sampled_peak(lambda: call(data))


def _give_back_freed_memory() -> None:
    """Let the allocator hand what `prepare` has freed to the system, or the call would use it without being seen."""
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status does not tell {key}")


def _sampled_peak(call: Callable[[], Any]) -> int | None:
    try:
        import psutil
    except ImportError:
        return None
    process = psutil.Process()
    before = peak = process.memory_info().rss
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        over.set()
        watcher.join()
    return peak - before


def threads(n_threads: int | None = None) -> dict[str, Any]:
    """How many cores there are, and how many threads both sides may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cores": cores, "threads": n_threads or f"as the libraries choose (torch: {torch.get_num_threads()})"}


def as_numpy(image: Tensor) -> np.ndarray:
    """The picture as other libraries take it: (H, W, 3) uint8, contiguous."""
    return np.ascontiguousarray((image * 255).round().to(torch.uint8).movedim(0, -1).cpu().numpy())
