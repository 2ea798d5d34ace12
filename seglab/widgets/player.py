"""The player: a method's states one after another."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import traitlets

from seglab import animation, plot
from seglab.image import as_image
from seglab.segmenter import Segmenter, State, Trace
from seglab.widgets._base import Widget, front, shrink, shrunk_note
from seglab.widgets._page import data_url, write_page

__all__ = ["Player", "step_through"]


class Player(Widget):
    """A player over a trace; made by `step_through`.

    Attributes
    ----------
    index
        The state that is shown; set it to go there.
    playing, interval
        Whether it plays, and the milliseconds between two states.
    show, alpha
        What is laid over the picture (labels, both, edges, mean, none), and how strongly.
    trace
        The states.
    """

    _esm = front("player")

    index = traitlets.Int(0).tag(sync=True)
    n_frames = traitlets.Int(1).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    interval = traitlets.Int(800, min=20).tag(sync=True)
    base = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    steps = traitlets.List(traitlets.Int()).tag(sync=True)
    objective: Any = traitlets.List().tag(sync=True)
    objective_name = traitlets.Unicode().tag(sync=True)

    def __init__(self, trace: Trace, *, max_side: int = 800, **traits: Any) -> None:
        self.trace = trace
        self.frames = frames = animation.Frames(trace, max_side)
        drawn = type(trace.method).objective_in_panels  # once is enough
        sense = {"min": " – falls", "max": " – rises"}.get(type(trace.method).objective_sense, "")
        super().__init__(
            n_frames=len(trace),
            title=plot.method_title(trace.method),
            base=frames.picture,
            width=trace.image.shape[-1],
            height=trace.image.shape[-2],
            texts=[frames.text(i) for i in range(len(trace))],
            steps=[state.n_iter for state in trace.states],
            objective=[] if drawn else [_finite(value) for value in trace.objectives],
            objective_name=(type(trace.method).objective_name or "objective") + sense,
            **traits,
        )

    @traitlets.validate("index")
    def _within(self, proposal: Any) -> int:
        return min(max(proposal["value"], 0), self.n_frames - 1)

    @property
    def state(self) -> State:
        """The state that is shown."""
        return self.trace[self.index]

    def receive(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Send a frame: first the layers over the picture, then the panels, which take longer."""
        if content.get("kind") != "frame":
            return
        i, failed = int(content["index"]), True
        try:
            self._send_parts("layers", i, {name: getattr(self.frames, name)(i) for name in content.get("layers", ())})
            if content.get("panels"):
                self._send_parts("panels", i, dict(enumerate(self.frames.panels(i))), self.frames.titles(i))
            failed = False
        finally:
            self.send({"kind": "done", "index": i, "failed": failed})

    def _send_parts(self, kind: str, i: int, parts: dict[Any, bytes | None], names: list[str] | None = None) -> None:
        self.send(
            {"kind": kind, "index": i, "names": list(parts) if names is None else names},
            buffers=[part or b"" for part in parts.values()],
        )

    def still(self) -> bytes:
        """The steps as an animated PNG."""
        return animation.save_apng(self.frames)

    def save_gif(self, path: str | Path, **options: Any) -> Path:
        """Write the steps as an animated GIF; see `seglab.animation.save_gif`."""
        return animation.save_gif(self.frames, path, **options)

    def save_html(self, path: str | Path, *, max_frames: int = 60) -> Path:
        """Write a page that plays and scrubs in any browser, with no kernel and no network.

        Parameters
        ----------
        path
            The file.
        max_frames
            At most this many states, evenly chosen, the first and the last among them.
        """
        chosen = plot.chosen(len(self.trace), max_frames)
        state: dict[str, Any] = {name: getattr(self, name) for name in self.trait_names(sync=True) if name[0] != "_"}
        state = {name: state[name] for name in _STATIC if name in state}
        for name in ("texts", "steps", "objective"):
            state[name] = [state[name][i] for i in chosen]
        state |= {"base": data_url(self.base), "n_frames": len(chosen), "index": 0, "playing": False}
        kept = [
            {
                "layers": {
                    name: data_url(getattr(self.frames, name)(i)) for name in ("fill", "mean", "edges", "lines")
                },
                "panels": [[t, data_url(p)] for t, p in zip(self.frames.titles(i), self.frames.panels(i), strict=True)],
            }
            for i in chosen
        ]
        return write_page(path, "player", state, kept)

    def __repr__(self) -> str:
        return f"<Player of {self.trace.method.code()}: {self.n_frames} states, at {self.index + 1}>"


_STATIC = (
    *("title", "show", "alpha", "error", "note", "interval", "width", "height"),
    *("texts", "steps", "objective", "objective_name"),
)


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def step_through(
    method: Segmenter | type[Segmenter] | Trace,
    image: Any = None,
    *,
    every: int = 1,
    max_states: int = 200,
    max_side: int = 640,
    index: int = 0,
    interval: int = 800,
    show: str = "labels",
    alpha: float = 0.5,
    progress: bool = False,
) -> Player:
    """Step through a method on a picture: play, pause, scrub, first and last, with what each state has to show.

    It opens at the first state, and the curve of the objective is drawn as far as it has been seen, so that a reader
    may predict what comes. Keys: the arrows step, space plays, Home and End go to the ends.

    Parameters
    ----------
    method
        A method, a class of methods (with its defaults), or a trace that was made before.
    image
        Anything that `seglab.image.as_image` takes; not needed with a trace.
    every, max_states
        Which states are kept; see `Segmenter.trace`.
    max_side
        Larger pictures are reduced to this many pixels on their longer side, with a note.
    index
        The state to open at.
    interval
        Milliseconds between two states.
    show
        What is laid over the picture: ``"labels"``, ``"both"`` (with boundaries), ``"edges"`` (boundaries only),
        ``"mean"`` (each segment in its mean color) or ``"none"``.
    alpha
        How much the labels' colors cover the picture.
    progress
        Show a bar while the states are computed.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> player = step_through(KMeans(n_clusters=3), datasets.shapes(height=32, width=32).image)
    >>> player.index = player.n_frames - 1
    >>> player.state.status.name
    'CONVERGED'
    """
    note = ""
    if isinstance(method, Trace):
        trace = method
    else:
        if image is None:
            raise TypeError("step_through needs a picture, unless it is given a trace")
        method = method() if isinstance(method, type) else method
        picture = as_image(image)
        smaller = shrink(picture, max_side)
        note = shrunk_note(picture, smaller)
        trace = method.trace(smaller, every=every, max_states=max_states, progress=progress)
    return Player(trace, index=index, interval=interval, show=show, alpha=alpha, note=note)
