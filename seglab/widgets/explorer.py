"""The explorer: a method's parameters under sliders, its result beside them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import traitlets
from PIL import Image

from seglab import animation, plot
from seglab.image import to_uint8
from seglab.panels import Lines
from seglab.params import Param, parameters, points_name
from seglab.segmenter import Segmentation, Segmenter, get_method
from seglab.widgets import _pictures
from seglab.widgets._base import Widget, front, shrink, shrunk_note
from seglab.widgets._debounce import Debouncer

__all__ = ["Explorer", "explore"]

MAX_BYTES = 50_000_000  # of an upload


class Explorer(Widget):
    """A method under controls; made by `explore`.

    Attributes
    ----------
    values
        The parameters by name; assign a new dictionary, or use `set`.
    points
        For a method that takes points, such as the seeds of region growing: a list of (row, column), pixels of the
        picture as it is computed (see ``max_side``). Clicks add to it, another picture empties it.
    picture, pictures
        The name of the picture that is looked at, and of those on offer.
    result
        The latest segmentation.
    method
        The method with the values that are set.
    """

    _esm = front("explorer")

    controls: Any = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    enabled = traitlets.Dict().tag(sync=True)
    points: Any = traitlets.List(traitlets.Tuple(traitlets.CInt(), traitlets.CInt())).tag(sync=True)
    points_name = traitlets.Unicode(help="what takes the points; empty where nothing does").tag(sync=True)
    pictures = traitlets.List(traitlets.Unicode()).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    upload = traitlets.Bool(True).tag(sync=True)
    max_bytes = traitlets.Int(MAX_BYTES).tag(sync=True)
    base = traitlets.Bytes().tag(sync=True)
    fill = traitlets.Bytes().tag(sync=True)
    mean = traitlets.Bytes().tag(sync=True)
    edges = traitlets.Bytes().tag(sync=True)
    lines = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    serial = traitlets.Int(0, help="counts the results").tag(sync=True)
    panels: Any = traitlets.List().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    code = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        start: Segmenter,
        sources: list[_pictures.Source],
        *,
        max_side: int = 640,
        delay: float = 0.15,
        draw_panels: bool = True,
        later: Callable[..., Any] | None = None,
        **traits: Any,
    ) -> None:
        self.start, self.max_side, self.draw_panels = start, max_side, draw_panels
        self.sources = {source.name: source for source in sources}
        self._result: Segmentation | None = None
        self._slots: dict[int, animation.Slot] = {}
        self._shown: _pictures.Source | None = None
        self._since = 0  # the result with which it was first shown
        self._soon = Debouncer(self._compute, delay, later)
        values, name = self._started(), points_name(start)
        points = getattr(start, name, None)
        super().__init__(
            title=start.title or start.name or type(start).__name__,
            controls=[describe(p) for p in parameters(start)],
            values=values,
            enabled=_enabled(start, values),
            points_name=name,
            points=list(points) if isinstance(points, tuple) else [],
            pictures=list(self.sources),
            picture=next(iter(self.sources)),
            **traits,
        )
        self.observe(self._changed, ["values", "points"])
        self.observe(self._looked_away, "picture")
        self._compute()

    def _started(self) -> dict[str, Any]:
        return {p.name: getattr(self.start, p.name) for p in parameters(self.start)}

    def _changed(self, change: Any) -> None:
        with self.errors_shown():
            self.enabled = _enabled(self.start, self.values)
            self._soon()

    def _looked_away(self, change: Any = None) -> None:
        with self.errors_shown():
            if self.points:
                self.points = []  # they were of the other picture; this asks for a result, too
            else:
                self._soon()

    @property
    def method(self) -> Segmenter:
        """The method with the values that are set; raises where they are not accepted."""
        name = self.points_name
        if name and (self.points or isinstance(getattr(self.start, name), tuple)):
            return dataclasses.replace(self.start, **self.values, **{name: tuple(self.points) or None})
        return dataclasses.replace(self.start, **self.values)

    @property
    def result(self) -> Segmentation | None:
        """The latest segmentation; what is still due is computed first."""
        self._soon.flush()
        return self._result

    def set(self, **values: Any) -> None:
        """Set parameters and compute at once."""
        unknown = [name for name in values if name not in self.values]
        if unknown:
            raise ValueError(f"{type(self.start).__name__} has no parameter {unknown[0]!r}")
        self.values = {**self.values, **values}
        self._soon.flush()

    def reset(self) -> None:
        """Put all parameters back to where they began."""
        self.values = self._started()

    def add_picture(self, name: str, content: bytes) -> None:
        """Take a file that was uploaded, and look at it."""
        source = _pictures.uploaded(name, content)
        self.sources[source.name] = source
        self.pictures = list(self.sources)
        if self.picture == name:  # the same name again, perhaps with other pixels
            self._looked_away()
        self.picture = name

    def click(self, x: float, y: float, serial: int | None = None) -> None:
        """Add the pixel at the shares x and y of the shown picture's width and height, if it is not there already.

        A click on a picture that has been replaced since, seen with the result ``serial``, is dropped.
        """
        stale = self._shown is not self.sources[self.picture] or (serial is not None and serial < self._since)
        point = (_pixel(y, self.height), _pixel(x, self.width))
        if self.points_name and not stale and point not in self.points:
            self.points = [*self.points, point]

    def place(self, text: str) -> None:
        """Put points at the pixels that are written as ``"row, column; row, column"``; none where the text is empty.

        Raises
        ------
        ValueError
            The text is something else, or a pixel is outside the picture or there twice; the points stay as they were.
        """
        self._soon.flush()  # the size is that of the picture looked at
        points = _parsed(text)
        inside = points is not None and all(row < self.height and col < self.width for row, col in points)
        if points is None or not inside or len(set(points)) < len(points):
            raise ValueError(
                f"{self.points_name}: write different pixels as row, column; row, column, with rows 0 to "
                f"{self.height - 1} and columns 0 to {self.width - 1}; got {text[:60]!r}"
            )
        if points == self.points:
            self._soon()  # an error that was told before goes
        self.points = points

    def receive(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Take a file, a reset or points from the browser."""
        kind = content.get("kind")
        if kind == "reset":
            self.reset()
        elif kind == "upload":
            self.add_picture(str(content["name"]), bytes(buffers[0]))
        elif kind == "click":
            self.click(float(content["x"]), float(content["y"]), int(content["serial"]))
        elif kind == "place":
            self.place(str(content["text"]))
        elif kind == "undo":
            self.points = self.points[:-1]

    def _compute(self) -> None:
        self.busy = True
        try:
            with self.errors_shown():
                source = self.sources[self.picture]
                whole = source.image
                image = shrink(whole, self.max_side)
                method = self.method
                result = method.segment(image)
                self._result = result
                self._show(source, result, shrunk_note(whole, image))
        finally:
            self.busy = False

    def _show(self, source: _pictures.Source, result: Segmentation, note: str) -> None:
        picture, labels = result.image.cpu(), result.labels.cpu()
        said = list(result.state.panels(result.image))
        with self.hold_sync():
            if self._shown is not source:
                self._shown, self._since = source, self.serial + 1
                self.base = animation.picture_png(picture)
                self.height, self.width = picture.shape[-2:]
            self.fill = animation.fill_layer(labels)
            self.mean = animation.fill_layer(labels, picture)
            self.edges = animation.edge_layer(labels)
            self.lines = animation.line_layer(said, picture.shape[-2:]) or b""
            how = f"{result.status} after {result.state.n_iter} steps"
            self.status = f"{result.n_segments} segments · {plot.seconds_text(result.seconds)} · {how}"
            self.note, self.error = note, ""
            self.code = self._code(source, result.method, bool(note))
            self.serial += 1
        if self.draw_panels:
            self.panels = [
                {"title": p.title, "png": self._slots.setdefault(k, animation.Slot()).draw(p)}
                for k, p in enumerate(p for p in said if not isinstance(p, Lines))
            ]

    def _code(self, source: _pictures.Source, method: Segmenter, smaller: bool) -> str:
        cls = type(method)
        home = "seglab.methods" if cls.__module__.startswith("seglab.methods.") else cls.__module__
        imports = [source.needs] if source.needs else []
        imports += [] if home == "__main__" else [f"from {home} import {cls.__name__}"]
        imports += ["from seglab.widgets import shrink"] if smaller else []
        made = [f"# {source.remark}"] if source.remark else []
        made += [f"image = {source.code}"] if source.code else []
        if smaller:
            made.append(f"image = shrink(image, {self.max_side})  # as in the explorer: the picture is larger")
        data = [f.name for f in dataclasses.fields(cls) if f.name not in self.values]
        written = self.points_name if self.points else ""
        other = [name for name in data if getattr(method, name) is not None and name != written]
        last = f"result = {method.code()}.segment(image)"
        last += f"  # and {', '.join(other)} as you gave it" if other else ""
        return "\n".join([*imports, "", *made, last])

    def still(self) -> bytes:
        """The latest result with its caption."""
        if self._result is None:
            sheet = Image.new("RGB", (480, 60), "white")
            return animation.few_colors(animation.captioned(sheet, self.error or self.title))
        sheet = Image.fromarray(to_uint8(self._result.overlay()))
        width = 480
        sheet = sheet.resize((width, max(1, round(sheet.height * width / sheet.width))), Image.Resampling.BICUBIC)
        return animation.few_colors(animation.captioned(sheet, self._result.method.code(), self.status))

    def __repr__(self) -> str:
        return f"<Explorer of {self.title}: {self.error or self.status}>"


def _enabled(method: Segmenter, values: dict[str, Any]) -> dict[str, bool]:
    return {p.name: p.applies(values) for p in parameters(method)}


def _pixel(share: float, n: int) -> int:
    """Which of n pixels in a row lies at this share of their length."""
    return min(max(int(share * n), 0), n - 1)


def _parsed(text: str) -> list[tuple[int, int]] | None:
    """The points of ``"row, column; row, column"``, or None where the text is something else."""
    words = text.strip().removesuffix(";")
    found = [re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", word) for word in words.split(";")] if words else []
    pairs = [(int(match[1]), int(match[2])) for match in found if match]
    return pairs if len(pairs) == len(found) else None


def describe(p: Param) -> dict[str, Any]:
    """What the browser needs to know to make a control.

    Examples
    --------
    >>> describe(Param(name="n_clusters", kind=int, default=5, low=2, high=20))["kind"]
    'int'
    """
    kind = "choice" if p.choices else {bool: "bool", int: "int", float: "float", str: "text"}[p.kind]
    choices = list(p.choices) + ([None] if p.choices and p.optional else [])
    about: dict[str, Any] = {"name": p.name, "label": p.name, "kind": kind, "choices": choices}
    about |= {"default": p.default, "optional": p.optional, "unit": p.unit, "help": p.help}
    about |= {"low": p.low, "high": p.high, "scale": p.scale, "step": p.step}
    if p.step is None and p.low is not None and p.high is not None:
        about["step"] = 1 if p.kind is int else float(f"{(p.high - p.low) / 100:.1g}")
    return about


def explore(
    method: type[Segmenter] | Segmenter | str,
    image: Any = None,
    *,
    photos: bool = True,
    upload: bool = True,
    max_side: int = 640,
    delay: float = 0.15,
    panels: bool = True,
    show: str = "labels",
    alpha: float = 0.5,
) -> Explorer:
    """Move a method's parameters and see the segmentation change.

    Where a method takes points, such as the seeds of region growing, a click on the picture places one.

    Parameters
    ----------
    method
        A class of methods, an instance whose values are the start, or a name.
    image
        One picture, a list of them, or a dictionary by name; each anything that `seglab.image.as_image` takes, or
        the name of a bundled photograph. The first is looked at first.
    photos
        Offer the bundled photographs and scenes too.
    upload
        Offer to take the reader's own file.
    max_side
        Larger pictures are reduced to this many pixels on their longer side, with a note.
    delay
        Seconds without a further change after which the method runs.
    panels
        Draw what the last state has to show.
    show, alpha
        What is laid over the picture, and how strongly; see `step_through`.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> explorer = explore(KMeans, datasets.shapes(height=32, width=32).image)
    >>> explorer.set(n_clusters=3)
    >>> explorer.result.n_segments
    3
    """
    if isinstance(method, str):
        method = get_method(method)
    start = method() if isinstance(method, type) else method
    sources = _pictures.given(image)
    if photos or not sources:
        names = {source.name for source in sources}
        sources += [source for source in _pictures.bundled() if source.name not in names]
    return Explorer(
        start, sources, upload=upload, max_side=max_side, delay=delay, draw_panels=panels, show=show, alpha=alpha
    )
