"""Run methods over pictures, at every setting, several pictures at a time; resume where it stopped."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seglab.benchmark.pictures import Picture, fingerprint, open_pictures
from seglab.benchmark.results import Results, Run
from seglab.benchmark.scores import MEASURES, SettingScore, Truths, checked_measures, score
from seglab.benchmark.store import Store, key
from seglab.benchmark.sweeps import Sweep, settings
from seglab.benchmark.workers import check_jobs, in_any_order
from seglab.image import as_image
from seglab.segmenter import Segmenter

__all__ = ["Task", "run"]

Prints = Sequence[tuple[Picture, str]]  # pictures with their fingerprints


@dataclasses.dataclass(frozen=True)
class Task:
    """The unit of work: a picture, a method, and all of its settings that are still to be scored.

    One unit for all settings, so that a method that has many settings' segmentations from one computation (cuts of
    a hierarchy, numbers of clusters from the same eigenvectors) can share it.
    """

    path: Path
    picture: Picture
    methods: tuple[Segmenter, ...]
    of: str = ""  # the picture's fingerprint
    device: str = "cpu"
    connected: bool = False
    keep_labels: bool = False
    measures: tuple[str, ...] = MEASURES


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of a task; ``error`` says what went wrong where ``scores`` is not complete."""

    task: Task
    scores: list[SettingScore]
    labels: list[NDArray[np.int32]]
    error: str = ""


def run(
    methods: str | Segmenter | Iterable[str | Segmenter],
    dataset: str | Path | Iterable[Picture] = "bsds500",
    *,
    sweep: Sweep = None,
    out: str | Path = "benchmark",
    split: str = "test",
    choose_on: str | None = None,
    choose_limit: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    n_values: int = 7,
    seed: int | None = None,
    limit: int | None = None,
    every: int = 1,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str = "cpu",
    connected: bool = False,
    keep_labels: bool = False,
    measures: str | Iterable[str] = MEASURES,
    progress: bool = False,
) -> Results:
    """Run methods over a data set and score them; what is in ``out`` already is not computed again.

    Parameters
    ----------
    methods
        Names, or methods with hyper-parameters of their own.
    dataset, split
        As `seglab.benchmark.open_pictures` takes them.
    sweep, fixed, n_values, seed
        The settings of each method: see `seglab.benchmark.settings`.
    out
        The folder of results: a file for each picture and method, written whole, so that a run which is killed and
        started again loses the pictures in hand and no more.
    choose_on
        A second split on which settings are chosen; their scores on ``split`` are reported beside ODS and OIS, which
        choose on ``split`` itself.
    choose_limit
        Choose on the first so many pictures of that split.
    limit
        Take the first so many pictures.
    every
        Take the first picture of ``split`` and every n-th after it: a sample, for methods that take long.
    jobs
        Pictures at a time; −1 for as many as there are cores.
    scheduler
        The address of a Dask scheduler, such as ``"tcp://10.0.0.5:8786"``, whose workers do the work instead of
        processes here. They need the same version of seglab and the pictures at the same place; results are stored
        here. A worker that dies costs the pictures in its hands, which others take over.
    device
        Where methods compute.
    connected
        Split each label's places that do not touch before scoring.
    keep_labels
        Keep the label maps beside the scores.
    measures
        What to score by, some of ``"region"``, ``"boundary"`` and ``"segments"``; fewer are quicker.
    progress
        Show a bar with the time to go.

    Returns
    -------
    Results
        What is done; ``failures`` names what is not. When interrupted (Ctrl-C), with ``interrupted`` set.

    Raises
    ------
    ValueError
        No such method, parameter, data set or split; no settings to choose from.
    WorkerError
        A process was killed, or the scheduler has no workers; what is done is stored.
    """
    check_jobs(jobs)
    wanted = checked_measures(measures)
    names = [methods] if isinstance(methods, (str, Segmenter)) else list(methods)
    grids = settings(names, sweep, fixed=fixed, n_values=n_values, seed=seed)
    _check_names(grids)
    if choose_on is not None and (choose_on == split or not isinstance(dataset, (str, Path))):
        raise ValueError(f"choose_on is another split of a named data set than the one reported; got {choose_on!r}")
    opened = [open_pictures(dataset, part) for part in (split, choose_on) if part is not None]
    if not all(len(pictures) for _, pictures in opened):
        raise ValueError("no pictures: the data set is empty")
    store = Store(Path(out))
    options = {"device": device, "connected": connected, "keep_labels": keep_labels, "measures": wanted}
    parts_of = (slice(None, None, every), slice(None))
    limits = (limit, choose_limit if choose_limit is not None else limit)
    parts = [
        (name, [(picture, _print(picture)) for picture in pictures[part][:most]])
        for (name, pictures), part, most in zip(opened, parts_of, limits, strict=False)
    ]
    tasks = [t for name, pictures in parts for grid in grids for t in _tasks(store, name, pictures, grid, options)]
    failures, interrupted = _work(store, tasks, jobs, scheduler, progress)
    chosen = parts[1][0] if choose_on is not None else None
    runs = [_collected(store, parts[0], grid, connected, wanted) for grid in grids]
    others = [_collected(store, parts[1], grid, connected, wanted) for grid in grids] if chosen else []
    return Results(parts[0][0], runs, failures=failures, interrupted=interrupted, chosen_on=chosen, choosers=others)


def _print(picture: Picture) -> str:
    try:
        return fingerprint(picture)
    except Exception:  # unreadable: named when its turn comes
        return ""


def _check_names(grids: Sequence[Sequence[Segmenter]]) -> None:
    names = [grid[0].name for grid in grids]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(f"{', '.join(double)} is named twice; its settings belong into one sweep")


def _tasks(
    store: Store, dataset: str, pictures: Prints, grid: Sequence[Segmenter], options: dict[str, Any]
) -> Iterator[Task]:
    """The tasks that remain for one method."""
    for picture, of in pictures:
        path = store.path(dataset, grid[0].name, picture.id)
        known = store.read(path)
        todo = []
        for method in grid:
            k = key(method, options["connected"], of)
            lacks = k not in known or not known[k].measures.issuperset(options["measures"])
            if lacks or (options["keep_labels"] and not store.labels_path(path, k).exists()):
                todo.append(method)
        if todo:
            yield Task(path, picture, tuple(todo), of, **options)


def _work(
    store: Store, tasks: Sequence[Task], jobs: int, scheduler: str | None, progress: bool
) -> tuple[list[tuple[str, str]], bool]:
    """Carry out the tasks, store what comes as it comes; return the failures, and whether somebody stopped it."""
    failures: list[tuple[str, str]] = []
    hide = None if progress else True  # None: shown on a terminal
    results = in_any_order(carry_out, tasks, jobs=jobs, scheduler=scheduler, lost=_lost)
    try:
        with tqdm(total=len(tasks), unit="picture", disable=hide) as bar:
            for done in results:
                _keep(store, done)
                if done.error:
                    failures.append(
                        (f"{done.task.picture.id}, {done.task.methods[len(done.scores)].code()}", done.error)
                    )
                bar.update()
    except KeyboardInterrupt:
        return failures, True
    return sorted(failures), False


def _lost(task: Task, error: str) -> Done:
    return Done(task, [], [], error)


def carry_out(task: Task) -> Done:
    """Segment and score one picture at every setting of a task; whatever goes wrong is told, not raised."""
    scores: list[SettingScore] = []
    kept: list[NDArray[np.int32]] = []
    try:
        picture = copy.copy(task.picture)  # what it keeps when it is read goes with the copy
        image, truths = as_image(picture.image), Truths.of(picture, task.measures)
        for result in type(task.methods[0]).segment_each(task.methods, image, device=task.device):
            if result.interrupted:
                raise KeyboardInterrupt
            labels = result.labels.cpu()
            scores.append(score(truths, labels, result.seconds, task.connected, task.measures))
            if task.keep_labels:
                kept.append(labels.numpy().astype(np.int32))
    except Exception as error:  # whatever one picture does, the others are still to be done
        return Done(task, scores, kept, f"{type(error).__name__}: {error}")
    return Done(task, scores, kept)


def _keep(store: Store, done: Done) -> None:
    task = done.task
    pairs = list(zip(task.methods, done.scores, strict=False))
    for (method, _), labels in zip(pairs, done.labels, strict=False):
        store.keep(task.path, key(method, task.connected, task.of), labels)
    if pairs:  # last, so that what is scored is kept
        scored = {key(method, task.connected, task.of): (method, s) for method, s in pairs}
        store.add(task.path, scored, task.connected, task.of)


def _collected(
    store: Store, part: tuple[str, Prints], grid: Sequence[Segmenter], connected: bool, measures: tuple[str, ...]
) -> Run:
    """One method's scores on all pictures that are complete."""
    dataset, pictures = part
    scores = {}
    for picture, of in pictures:
        known = store.read(store.path(dataset, grid[0].name, picture.id))
        keys = [key(method, connected, of) for method in grid]
        if all(k in known and known[k].measures.issuperset(measures) for k in keys):
            scores[picture.id] = [known[k].only(measures) for k in keys]
    return Run(grid[0].name, tuple(grid), scores, len(pictures))
