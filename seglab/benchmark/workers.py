"""Work spread over processes of this computer, or over a Dask cluster; what a worker that dies means for the rest."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

import seglab

__all__ = ["WorkerError", "check_jobs", "in_any_order"]

T = TypeVar("T")
R = TypeVar("R")
PATIENCE = "15s"  # for a scheduler to answer, and for its first worker


class WorkerError(RuntimeError):
    """Workers died, cannot be reached, or are of another version; the message says what to do."""


def check_jobs(jobs: int) -> None:
    """Refuse what is no number of jobs."""
    if jobs < 1 and jobs != -1:
        raise ValueError(f"jobs is a whole number from 1, or -1 for all cores; got {jobs}")


def in_any_order(
    function: Callable[[T], R],
    tasks: Sequence[T],
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    lost: Callable[[T, str], R],
) -> Iterator[R]:
    """Apply a function to every task; results come as they are done.

    Parameters
    ----------
    function, tasks
        Both can be sent to other processes; the function raises nothing.
    jobs
        Processes on this computer; −1 for as many as there are cores.
    scheduler
        The address of a Dask scheduler, whose workers do the work instead.
    lost
        What a task results in whose workers died again and again, and why: on a cluster, where a task is given to
        another worker three times.

    Raises
    ------
    WorkerError
        A process of this computer was killed; there is no scheduler, or it ended half way; there is no worker, or one
        with another version of seglab.

    Notes
    -----
    joblib has a backend for Dask too, but waits forever for a task that no worker survives, so that this is Dask's own
    client. Processes of this computer end with the one that started them, even when that is killed; on Windows, where
    a process is not told so, they may stay.
    """
    if scheduler is not None:
        yield from _on_cluster(function, tasks, scheduler, lost)
        return
    try:
        parallel = joblib.Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1)
        yield from parallel(joblib.delayed(_here)(function, task, os.getpid()) for task in tasks)
    except TerminatedWorkerError as error:
        raise WorkerError(
            "a worker process was killed, most likely because the memory was full. Start again with fewer --jobs"
        ) from error


def _here(function: Callable[[T], R], task: T, parent: int) -> R:
    """A task in a process of this computer, be it the parent itself."""
    if os.getpid() != parent:
        _end_with(parent)
    return function(task)


@functools.cache  # one thread for each process
def _end_with(parent: int) -> None:
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:  # an orphan is given another parent; not on Windows
        time.sleep(1)
    os._exit(1)


def _on_cluster(
    function: Callable[[T], R], tasks: Sequence[T], scheduler: str, lost: Callable[[T, str], R]
) -> Iterator[R]:
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise WorkerError("--scheduler needs the package distributed: pip install distributed") from error
    if not tasks:
        return
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkerError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with _quiet(), client:
        _check_workers(client, scheduler)
        task_of = {client.submit(function, task, pure=False): task for task in tasks}
        for future in as_completed(list(task_of), loop=client.loop):
            task = task_of.pop(future)
            if future.status == "error":  # no worker survived it
                yield lost(task, f"given up: {future.exception()}")
                continue
            try:
                result = future.result()
            except (CancelledError, OSError) as error:  # the connection is lost, and all futures with it
                raise WorkerError(f"the scheduler at {scheduler} is gone: start it and its workers again") from error
            yield result


@contextmanager
def _quiet() -> Iterator[None]:
    """No traceback of a client that is closed while it looks for its scheduler."""
    logger = logging.getLogger("distributed.client")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check_workers(client: Any, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise WorkerError(
            f"the scheduler at {scheduler} has no worker: start some with `dask worker {scheduler}`"
        ) from error
    versions = client.run(_version)
    wrong = sorted({version for version in versions.values() if version != seglab.__version__})
    if wrong:
        raise WorkerError(f"workers have seglab {', '.join(wrong)}, and here is {seglab.__version__}: use the same")


def _version() -> str:
    return seglab.__version__
