"""The protocol that every method follows, and the one loop that runs it.

A method is a frozen dataclass of hyper-parameters with two pure functions: ``init`` makes the first state from a
picture, ``step`` the next state from the last. Looping, timing, tracing, progress and interruption are written here,
once, for all of them:

    result = KMeans(n_clusters=5).segment(image)            # the end
    for state in KMeans(n_clusters=5).steps(image): ...     # each step
    trace = KMeans(n_clusters=5).trace(image)               # kept, for a player
"""

from __future__ import annotations

import dataclasses
import enum
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, overload

import numpy as np
import torch
from numpy.lib.mixins import NDArrayOperatorsMixin
from torch import Tensor
from tqdm.auto import tqdm

from seglab.image import as_image
from seglab.labels import count_labels, overlay, to_png
from seglab.params import parameters, points_name

if TYPE_CHECKING:
    from seglab.panels import Panel

__all__ = ["Segmentation", "Segmenter", "State", "Status", "Trace", "generator", "get_method", "methods"]

_ALONE = 1 << 20  # pixels; up to this size on a CPU, waking a second thread costs more than it does
_WINDOW = 8  # steps taken on an accelerator between two looks at the status


class Status(enum.IntEnum):
    """How a state stands: to be continued, or finished and why."""

    RUNNING = 0
    CONVERGED = 1
    MAX_ITER = 2
    DEGENERATE = 3

    def __str__(self) -> str:
        return self.name.lower()

    @staticmethod
    def after(n_iter: int, max_iter: int, converged: bool | Tensor = False) -> int | Tensor:
        """The status after a step; a tensor stays on its device, so that nothing waits for it.

        Parameters
        ----------
        n_iter, max_iter
            Steps taken and allowed.
        converged
            Whether the method has arrived; a 0-d bool tensor where that is computed on a device.
        """
        otherwise = Status.MAX_ITER if n_iter >= max_iter else Status.RUNNING
        if isinstance(converged, Tensor):
            return torch.where(converged, int(Status.CONVERGED), int(otherwise))
        return Status.CONVERGED if converged else otherwise


@dataclass(frozen=True, kw_only=True, eq=False)
class State(ABC):
    """One moment of a method: what it knows after ``n_iter`` steps.

    A method adds the fields that its literature names (``centers``, ``resp``, ``phi``) and says how labels follow
    from them. Labels are computed when somebody looks, not at each step. Fields are never written to.
    """

    n_iter: int = 0
    code: int | Tensor = Status.RUNNING  # the status, perhaps still on its way on a device

    @property
    @abstractmethod
    def labels(self) -> Tensor:
        """The label map (H, W), int64 from 0, −1 where unassigned."""

    @property
    def objective(self) -> float | Tensor | None:
        """What the method minimises or maximises, or None."""
        return None

    @cached_property
    def status(self) -> Status:
        """How the state stands (waits for the device, once)."""
        return Status(int(self.code))

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """What to show beside the picture; see `seglab.panels`."""
        return ()

    def describe(self) -> str:
        """One line for a player: ``"iteration 3 · inertia 12.4"``."""
        return f"iteration {self.n_iter}"

    def to(self, device: torch.device | str, memo: dict[int, Any] | None = None) -> State:
        """The same state on another device; tensors that states share are copied once for one ``memo``."""
        memo = {} if memo is None else memo
        moved = {field.name: _move(getattr(self, field.name), device, memo) for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{k: v for k, v in moved.items() if v is not getattr(self, k)})


def _move(value: Any, device: torch.device | str, memo: dict[int, Any]) -> Any:
    if isinstance(value, Tensor):
        if id(value) not in memo:
            memo[id(value)] = (value.detach().to(device), value)  # the original stays alive, so its id stays its own
        return memo[id(value)][0]
    if isinstance(value, torch.nn.Module):
        raise TypeError("a state that holds a module says itself how it moves: override State.to")
    if isinstance(value, tuple):
        items = [_move(item, device, memo) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        moved = {field.name: _move(getattr(value, field.name), device, memo) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **moved)
    return value


S = TypeVar("S", bound=State)


@dataclass(frozen=True, kw_only=True)
class Segmenter(ABC, Generic[S]):
    """A method of segmentation: hyper-parameters, a first state and a step.

    To write one, subclass with a name (it is then found by `get_method` and by the command line), declare the
    hyper-parameters with `seglab.params.param`, and give ``init`` and ``step``:

        @dataclass(frozen=True, kw_only=True)
        class KMeans(Segmenter[KMeansState], name="kmeans"):
            n_clusters: int = param(5, low=2, high=20, valid="[1, inf)", help="number of clusters K")

            def init(self, image): ...
            def step(self, image, state): ...
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""  # as figures name it
    objective_name: ClassVar[str] = ""
    objective_sense: ClassVar[Literal["min", "max", ""]] = ""
    objective_in_panels: ClassVar[bool] = False  # the states draw it over the steps themselves
    alone: ClassVar[int] = _ALONE  # pixels up to which one thread is quicker than several; networks say 0

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = name
        if not name:
            return
        other = _REGISTRY.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"the name {name!r} is taken by {other.__module__}.{other.__qualname__}")
        _REGISTRY[name] = cls

    def __post_init__(self) -> None:
        for p in parameters(self):
            value = p.check(getattr(self, p.name), type(self).__name__)
            object.__setattr__(self, p.name, value)

    @abstractmethod
    def init(self, image: Tensor) -> S:
        """The first state, from a picture (C, H, W) float in [0, 1]."""

    @abstractmethod
    def step(self, image: Tensor, state: S) -> S:
        """The next state; neither argument is changed."""

    def solve(self, image: Tensor, state: S) -> S | None:
        """Go from a state straight to the end, or return None where there is no such way and the loop is to be run.

        Methods with a direct way to their last state (a closed form, a compiled loop) override this; the end must
        be the same as that of ``steps``. One that takes long catches KeyboardInterrupt and returns its latest complete
        state, still running.
        """
        return None

    def steps(self, image: Any, *, init: S | None = None, device: torch.device | str | None = None) -> Iterator[S]:
        """Yield the first state and every later one up to the last.

        Parameters
        ----------
        image
            Anything that `seglab.image.as_image` takes.
        init
            A state of the same picture from which to go on. One that had stopped at a smaller ``max_iter`` goes on.
        device
            Where to compute; where the picture is, by default.
        """
        picture = as_image(image, device=device)
        with self._threads(picture):
            state = self.init(picture) if init is None else self._resumed(init)
        yield state
        yield from self._run(picture, state)

    def segment(
        self,
        image: Any,
        *,
        init: S | None = None,
        device: torch.device | str | None = None,
        progress: bool = False,
    ) -> Segmentation:
        """Run to the end.

        Parameters
        ----------
        image
            Anything that `seglab.image.as_image` takes: a file, an array, a tensor, a PIL image.
        init
            A state of the same picture from which to go on.
        device
            Where to compute; where the picture is, by default.
        progress
            Show a bar, a step at a time.

        Returns
        -------
        Segmentation
            The last state with its picture. When interrupted (Ctrl-C, the stop button) after the first step, the
            latest complete state, and ``interrupted`` is set. That is the best so far: an objective with a sense gets
            no worse by a step (or the method says when and why), and one without ranks no segmentations (the fewer
            labels, the less is a network's loss).
        """
        picture = as_image(image, device=device)
        start = time.perf_counter()
        with self._threads(picture):
            state = self.init(picture) if init is None else self._resumed(init)
            state, interrupted = self._finish(picture, state, progress)
            labels = state.labels
        if labels.device.type != "cpu":
            labels[:1, :1].cpu()  # wait for the device, so that the time is the whole time
        seconds = time.perf_counter() - start
        return Segmentation(
            labels=labels, image=picture, method=self, state=state, seconds=seconds, interrupted=interrupted
        )

    @classmethod
    def segment_each(
        cls, methods: Sequence[Segmenter[S]], image: Any, *, device: torch.device | str | None = None
    ) -> Iterator[Segmentation]:
        """Segment a picture by several settings of this method, in their order; each as `segment` would.

        Methods that have several settings' results from one computation override this. ``seconds`` is then the time
        that a setting takes for itself, what is shared included.
        """
        picture = as_image(image, device=device)
        for method in methods:
            yield method.segment(picture, device=device)

    def _finish(self, image: Tensor, state: S, progress: bool) -> tuple[S, bool]:
        """The last state, and whether somebody stopped the loop before it."""
        if not progress:
            end = self.solve(image, state)
            if end is not None:
                return end, end.status is Status.RUNNING
        latest = state
        total = getattr(self, "max_iter", None)
        bar = tqdm(total=total, desc=self._label(), leave=False, disable=not progress)
        try:
            with bar:
                for latest in self._run(image, state, stride=1 if image.device.type == "cpu" else _WINDOW):
                    bar.update(latest.n_iter - bar.n)
        except KeyboardInterrupt:
            return latest, True
        return latest, False

    def _run(self, image: Tensor, state: S, stride: int = 1) -> Iterator[S]:
        """The loop: yield every state after ``state``, or every ``stride``-th where looking would stall a device.

        The last one yielded is the first that was finished, whatever the stride.
        """
        while state.status is Status.RUNNING:
            window = [state]
            try:
                with self._threads(image):
                    while len(window) == 1 or (len(window) <= stride and not self._known_to_be_over(window[-1])):
                        window.append(self.step(image, window[-1]))
            except KeyboardInterrupt:
                if len(window) > 1:  # what is complete comes out before the interruption does
                    yield _end(window)
                raise
            state = _end(window)
            yield state

    def _known_to_be_over(self, state: State) -> bool:
        """Whether a state is finished, as far as is known without waiting for the device."""
        if isinstance(state.code, Tensor):
            max_iter = getattr(self, "max_iter", None)
            return max_iter is not None and state.n_iter >= max_iter
        return state.code != Status.RUNNING

    @contextmanager
    def _threads(self, image: Tensor) -> Iterator[None]:
        """Compute on one thread while the picture is small; as many as there were, afterwards."""
        before = torch.get_num_threads()
        if before == 1 or image.device.type != "cpu" or image.shape[-2] * image.shape[-1] > self.alone:
            yield
            return
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _label(self) -> str:
        return self.title or self.name or type(self).__name__

    def trace(
        self,
        image: Any,
        *,
        every: int = 1,
        max_states: int = 200,
        init: S | None = None,
        device: torch.device | str | None = None,
        progress: bool = False,
    ) -> Trace:
        """Run to the end and keep states on the CPU: every ``every``-th, the first and the last.

        At most ``max_states`` are kept: when there are more, every other one is let go and ``every`` doubles.
        """
        if every < 1 or max_states < 2:
            raise ValueError(f"trace keeps every n-th state, n ≥ 1, and at least 2; got {every=}, {max_states=}")
        picture = as_image(image, device=device)
        memo: dict[int, Any] = {}
        kept: list[State] = []
        state: State | None = None
        index = 0
        start = time.perf_counter()
        states = tqdm(self.steps(picture, init=init), desc=self._label(), leave=False, disable=not progress)
        try:
            for index, state in enumerate(states):
                if index % every == 0:
                    kept.append(state.to("cpu", memo))
                if len(kept) >= max_states:
                    kept, every = kept[::2], every * 2
        except KeyboardInterrupt:
            if state is None:
                raise
        assert state is not None
        if kept[-1].n_iter != state.n_iter:
            kept.append(state.to("cpu", memo))
        return Trace(
            states=tuple(kept), image=picture.cpu(), method=self, every=every, seconds=time.perf_counter() - start
        )

    def _resumed(self, state: S) -> S:
        max_iter = getattr(self, "max_iter", None)
        if state.status is Status.MAX_ITER and max_iter is not None and state.n_iter < max_iter:
            return dataclasses.replace(state, code=Status.RUNNING)
        return state

    def code(self) -> str:
        """The call that makes this method: only what differs from the defaults, and the points that it was given.

        Examples
        --------
        >>> from seglab.methods import KMeans
        >>> KMeans(n_clusters=8).code()
        'KMeans(n_clusters=8)'
        """
        given = [f"{p.name}={getattr(self, p.name)!r}" for p in parameters(self) if getattr(self, p.name) != p.default]
        name = points_name(self)
        if name and isinstance(getattr(self, name), tuple):
            given.append(f"{name}={list(getattr(self, name))}")
        return f"{type(self).__name__}({', '.join(given)})"


def _end(window: Sequence[S]) -> S:
    """The first state that was finished, or the last."""
    return next((state for state in window if state.status is not Status.RUNNING), window[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation(NDArrayOperatorsMixin):
    """The result of a method on a picture; shows itself in a notebook, and is a label map to NumPy.

    ``np.asarray(result)``, ``plt.imshow(result)`` and any scikit-image function that takes a label map work, and
    ``result == 2`` is a mask: arithmetic, comparison, indexing and array methods are those of `numpy`.

    Attributes
    ----------
    labels
        (H, W) int64 from 0, −1 where unassigned, on the picture's device.
    image
        (C, H, W) float in [0, 1].
    method
        The method that made it.
    state
        Its last state.
    seconds
        The time from the picture to the labels.
    interrupted
        Whether the loop was stopped before its end.
    """

    labels: Tensor
    image: Tensor
    method: Segmenter
    state: State
    seconds: float
    interrupted: bool = False

    @cached_property
    def n_segments(self) -> int:
        """The number of different labels, −1 left out."""
        return count_labels(self.labels)

    @property
    def status(self) -> Status:
        """How the method ended."""
        return self.state.status

    def numpy(self) -> np.ndarray:
        """The labels as a NumPy array (H, W) int64."""
        return self.labels.cpu().numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            if copy is False:
                raise ValueError(f"labels are {array.dtype}; as {np.dtype(dtype)} they have to be copied")
            return array.astype(dtype)
        return array.copy() if copy else array

    @property
    def shape(self) -> tuple[int, int]:
        """The label map's (H, W)."""
        return tuple(self.labels.shape)  # type: ignore[return-value]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(out, Segmentation) for out in options.get("out", ())):
            return NotImplemented  # a result is not written to
        return getattr(ufunc, method)(*(x.numpy() if isinstance(x, Segmentation) else x for x in inputs), **options)

    __hash__ = object.__hash__  # two results are compared pixel by pixel, but each is an object of its own

    def __getitem__(self, index: Any) -> Any:
        return self.numpy()[index]

    def __len__(self) -> int:
        return self.shape[0]

    def __getattr__(self, name: str) -> Any:  # what is not found here: dtype, min, reshape, … of the array
        if name.startswith("_") or name in self.__dataclass_fields__:
            raise AttributeError(f"a Segmentation has no {name!r}")
        return getattr(self.numpy(), name)

    def overlay(self, **options: Any) -> Tensor:
        """Label colors over the picture (3, H, W) in [0, 1]; see `seglab.labels.overlay`."""
        return overlay(self.labels, self.image, **options)

    def _caption(self) -> str:
        how = "interrupted" if self.interrupted else str(self.status)
        text = f"{self.method.code()}: {self.n_segments} segments, {how} after {self.state.n_iter} steps"
        return f"{text}, {1000 * self.seconds:.3g} ms"

    def __repr__(self) -> str:
        return f"<Segmentation {self.shape[0]}×{self.shape[1]} by {self._caption()}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return {"image/png": to_png(self.overlay()), "text/plain": repr(self)}, {"image/png": {"alt": repr(self)}}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace(Sequence):
    """States kept on the CPU, first and last included, for a player or a figure.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> trace = KMeans(n_clusters=3).trace(datasets.shapes(height=32, width=32).image)
    >>> trace[0].n_iter, trace[-1].status.name
    (0, 'CONVERGED')
    """

    states: tuple[State, ...]
    image: Tensor
    method: Segmenter
    every: int
    seconds: float

    def __len__(self) -> int:
        return len(self.states)

    @overload
    def __getitem__(self, index: int) -> State: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[State, ...]: ...

    def __getitem__(self, index: int | slice) -> State | tuple[State, ...]:
        return self.states[index]

    @cached_property
    def objectives(self) -> list[float | None]:
        """The objective at each kept state."""
        return [None if state.objective is None else float(state.objective) for state in self.states]

    def __repr__(self) -> str:
        last = self.states[-1]
        return f"<Trace of {self.method.code()}: {len(self)} states, {last.status} after {last.n_iter} steps>"


_REGISTRY: dict[str, type[Segmenter]] = {}


def methods() -> dict[str, type[Segmenter]]:
    """All methods by name, in alphabetical order."""
    import seglab.methods  # noqa: F401  (importing the package registers its methods)

    return dict(sorted(_REGISTRY.items()))


def get_method(name: str) -> type[Segmenter]:
    """The method of a name.

    Examples
    --------
    >>> get_method("kmeans")(n_clusters=4).n_clusters
    4
    """
    known = methods()
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No method is called {name!r}.{hint} The methods are: {', '.join(known)}.")
    return known[name]


def generator(seed: int) -> torch.Generator:
    """A generator of its own on the CPU: draw there, then move the draws, so that every device starts alike."""
    return torch.Generator(device="cpu").manual_seed(seed)
