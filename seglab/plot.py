"""Every figure's common look: pictures, label maps, what a state shows, and rows of results.

The look is applied while a figure is made (`style`) and never to matplotlib as a whole, so that a reader's own figures
stay their own. Functions that make a figure leave it to pyplot, which shows it once, and return its axes.

    from seglab import plot
    plot.show(image, result, titles=["picture", "k-means"])
    plot.filmstrip(KMeans(n_clusters=4).trace(image))
    plot.sweep(KMeans, image, "n_clusters", [2, 4, 8])
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from seglab import labels as label_tools
from seglab.image import as_image, to_uint8
from seglab.panels import Bars, Curve, Histogram, Lines, Panel, Picture, Scatter
from seglab.params import Param, parameters
from seglab.segmenter import Segmentation, Segmenter, State, Trace

__all__ = [
    "AxesArray",
    "curves",
    "draw",
    "filmstrip",
    "limits",
    "method_title",
    "objective",
    "save_gif",
    "show",
    "show_segmentation",
    "style",
    "sweep",
]

TINY = 8  # pictures up to this side get their pixel values written on
SMALL = 64  # pictures up to this side are drawn with hard pixel edges
MAX_POINTS = 3000  # of a scatter; more only cost time and hide each other
LINE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":")
INK = "#222222"

STYLE: dict[str, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.titlesize": 15,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#666666",
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.titlesize": 13,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=LINE_COLORS),
    "axes.formatter.limits": (-3, 4),
    "font.size": 12,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.framealpha": 0.85,
    "legend.frameon": True,
    "legend.edgecolor": "none",
    "lines.linewidth": 2.0,
    "image.cmap": "gray",
    "image.interpolation": "auto",
}


@contextmanager
def style(**changes: Any) -> Iterator[None]:
    """Draw with the course's look inside this block, and with the reader's own outside.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> before = mpl.rcParams["axes.titlesize"]
    >>> with style():
    ...     inside = mpl.rcParams["axes.titlesize"]
    >>> inside, mpl.rcParams["axes.titlesize"] == before
    (13.0, True)
    """
    with mpl.rc_context({**STYLE, **changes}):
        token = _INSIDE.set(True)
        try:
            yield
        finally:
            _INSIDE.reset(token)
            interactive = mpl.is_interactive()
    mpl.interactive(interactive)  # a notebook's backend, loaded by the first figure, turns this on for good


_INSIDE: ContextVar[bool] = ContextVar("inside seglab's style", default=False)


def _styled() -> AbstractContextManager[None]:
    """The look, unless a caller has set it (with changes of its own) already."""
    return nullcontext() if _INSIDE.get() else style()


class AxesArray(np.ndarray):
    """The axes of a figure, in a flat array that leaves no line of text under a cell.

    Attributes
    ----------
    figure
        The figure they are in.
    results
        The segmentations that were drawn, where the function ran them (`sweep`).
    """

    figure: Figure
    results: tuple[Segmentation, ...]

    def __array_finalize__(self, other: Any) -> None:
        self.figure = getattr(other, "figure", None)  # type: ignore[assignment]
        self.results = getattr(other, "results", ())

    def _ipython_display_(self) -> None:
        """Nothing: the figure is shown by pyplot, once."""


def _axes(axes: Sequence[Axes], figure: Figure, results: Sequence[Segmentation] = ()) -> AxesArray:
    array = np.empty(len(axes), dtype=object)
    array[:] = list(axes)
    grid = array.view(AxesArray)
    grid.figure, grid.results = figure, tuple(results)
    return grid


# Titles


def method_title(method: Segmenter) -> str:
    """The method's name with its key parameter, the first that is declared, and those that were changed.

    Examples
    --------
    >>> from seglab.methods import KMeans
    >>> method_title(KMeans(n_clusters=8))
    'k-means, n_clusters = 8'
    """
    name = method.title or method.name or type(method).__name__
    values = {p.name: getattr(method, p.name) for p in parameters(method)}
    told = [
        f"{p.name} = {_number(values[p.name])}"
        for i, p in enumerate(parameters(method))
        if i == 0 or (p.applies(values) and values[p.name] != p.default)
    ]
    return ", ".join([name, *told])


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def seconds_text(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _caption(result: Segmentation) -> str:
    return f"{result.n_segments} segments · {seconds_text(result.seconds)}"


def _wrap(text: str, inches: float, size: float = 13) -> str:
    """Break a title so that it stays over its picture; a character is about half as wide as its size."""
    width = max(int(inches * 72 / (0.52 * size)), 12)
    return "\n".join("\n".join(textwrap.wrap(line, width)) for line in text.split("\n"))


# Pictures


def show(
    *images: Any,
    titles: str | Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    image: Any = None,
    overlay: bool | None = None,
    alpha: float = 0.5,
    annotate: bool | None = None,
    cols: int | None = None,
    size: float | None = None,
    suptitle: str = "",
) -> AxesArray:
    """Draw pictures, label maps, masks and results side by side.

    Parameters
    ----------
    *images
        Each a picture (anything `seglab.image.as_image` takes, or a plain (H, W) array of floats), a label map (an
        integer array (H, W) wider than 8 bits), a boolean mask (H, W), or a `Segmentation`.
    titles
        One for each; results name their method otherwise.
    captions
        A line below each; results tell their segments and time otherwise.
    image
        The picture over which label maps and masks are laid.
    overlay
        Lay labels over the picture: ``image``, the result's own, or the last picture before them. By default
        results are laid over and bare label maps are not.
    alpha
        How much of the color of the labels covers the picture.
    annotate
        Write each pixel's value on it; by default on pictures of at most 8×8 with one value for each pixel.
    cols
        Pictures in a row, at most 5 by default.
    size
        Width of one picture in inches.
    suptitle
        A title over all of them.

    Returns
    -------
    AxesArray
        The axes, one for each, in a flat array, also where there is only one.

    Examples
    --------
    >>> import numpy as np
    >>> axes = show(np.eye(3), np.eye(3, dtype=int), titles=["picture", "labels"])
    >>> axes[1].get_title()
    'labels'
    """
    if not images:
        raise ValueError("show needs at least one picture")
    names = [titles] if isinstance(titles, str) else list(titles or [])
    for what, given in (("titles", names), ("captions", captions or [])):
        if given and len(given) != len(images):
            raise ValueError(f"{len(images)} pictures and {len(given)} {what}: give one for each")
    cols = min(len(images), cols or 5)
    size = size or {1: 4.2, 2: 3.9, 3: 3.5}.get(cols, 3.0)
    behind = None if image is None else as_image(image)
    items = []
    for item in images:
        items.append(_Item.of(item, behind, overlay, alpha))
        if items[-1].is_picture and image is None:
            behind = items[-1].picture
    with style():
        figure, grid = _grid(len(items), cols, size, max(i.pixels.shape[0] / i.pixels.shape[1] for i in items))
        for k, (item, ax) in enumerate(zip(items, grid, strict=True)):
            title = names[k] if names else item.title
            _imshow(ax, item, annotate)
            ax.set_title(_wrap(title, size))
            caption = captions[k] if captions else item.caption
            if caption:
                _below(ax, _wrap(caption, size, 11))
        if suptitle:
            figure.suptitle(suptitle)
    return _axes(grid, figure)


class _Item:
    """One thing to show: its pixels (H, W, 3) uint8, the values written on them, its title and caption."""

    def __init__(self, pixels: np.ndarray, values: np.ndarray | None, picture: Tensor | None = None) -> None:
        self.pixels, self.values, self.picture = pixels, values, picture
        self.title = self.caption = ""

    @property
    def is_picture(self) -> bool:
        return self.picture is not None

    @classmethod
    def of(cls, item: Any, behind: Tensor | None, overlay: bool | None, alpha: float) -> _Item:
        if isinstance(item, Segmentation):
            return cls._result(item, True if overlay is None else overlay, alpha)
        array = (
            item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item) if _is_array(item) else None
        )
        if array is not None and array.ndim == 2:
            if array.dtype == bool or (array.dtype.kind in "iu" and array.dtype.itemsize > 1):
                return cls._labels(array, behind if overlay else None, alpha)
            if array.dtype.kind == "f":
                low, high = _range(array)
                gray = (np.nan_to_num(array) - low) / (high - low)
                return cls(_rgb(torch.from_numpy(gray[None].astype(np.float32))), array, torch.from_numpy(gray[None]))
        picture = as_image(item).cpu()
        values = array if array is not None and array.ndim == 2 else None
        if values is None:
            values = picture[0].numpy() if len(picture) == 1 else picture.movedim(0, -1).numpy()
        return cls(_rgb(picture), values, picture)

    @classmethod
    def _labels(cls, array: np.ndarray, behind: Tensor | None, alpha: float) -> _Item:
        if array.dtype == bool:  # what is off stays as it was, or white
            array = np.where(array, 0, -1)
            values = None
        else:
            values = array
        labels = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
        if behind is not None and behind.shape[1:] != labels.shape:
            raise ValueError(
                f"the label map is {tuple(labels.shape)} and the picture {tuple(behind.shape[1:])}: they need one size"
            )
        return cls(_label_pixels(labels, behind, alpha), values)

    @classmethod
    def _result(cls, result: Segmentation, overlay: bool, alpha: float) -> _Item:
        made = cls(_label_pixels(result.labels.cpu(), result.image.cpu() if overlay else None, alpha), result.numpy())
        made.title, made.caption = method_title(result.method), _caption(result)
        return made


def _is_array(item: Any) -> bool:
    return hasattr(item, "__array__") and hasattr(item, "ndim")


def _range(array: np.ndarray) -> tuple[float, float]:
    """The gray scale of a plain array: [0, 1] where it fits in, its own range otherwise."""
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high if high > low else low + 1)


def _rgb(picture: Tensor) -> np.ndarray:
    return to_uint8(picture)


def _label_pixels(labels: Tensor, behind: Tensor | None, alpha: float) -> np.ndarray:
    """Colors of labels (H, W, 3) uint8, over a picture or on white."""
    table = label_tools.colors(max(int(labels.max()) + 1, 1)).to(torch.float32)
    color = table[labels.clamp(min=0)].movedim(-1, 0)
    if behind is None:
        return to_uint8(torch.where(labels >= 0, color, 1.0))
    return to_uint8(torch.where(labels >= 0, alpha * color + (1 - alpha) * behind, behind.expand(3, -1, -1)))


def _grid(n: int, cols: int, size: float, aspect: float) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(n / cols)
    height = size * min(max(aspect, 0.25), 2.0) + 0.75
    figure, grid = plt.subplots(rows, cols, figsize=(size * cols, height * rows), squeeze=False)
    axes = list(grid.flat)
    for ax in axes[n:]:
        ax.remove()
    return figure, axes[:n]


def _imshow(ax: Axes, item: _Item, annotate: bool | None = None) -> None:
    height, width = item.pixels.shape[:2]
    ax.imshow(item.pixels, interpolation="nearest" if max(height, width) <= SMALL else "auto")
    _bare(ax)
    tiny = max(height, width) <= TINY
    if annotate is None:
        annotate = tiny and item.values is not None and item.values.ndim == 2
    if annotate:
        if not tiny:
            raise ValueError(f"pixel values are legible up to {TINY}×{TINY} pixels; this picture is {height}×{width}")
        if item.values is not None:
            _write_values(ax, item.pixels, item.values)


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _write_values(ax: Axes, pixels: np.ndarray, values: np.ndarray) -> None:
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    size = 12 if values.ndim == 2 else 8
    for row, col in np.ndindex(*pixels.shape[:2]):  # at most 64
        text = "\n".join(_value(v) for v in np.atleast_1d(values[row, col]))
        ax.text(col, row, text, ha="center", va="center", size=size, color="black" if luma[row, col] > 130 else "white")


def _value(value: Any) -> str:
    return str(int(value)) if np.asarray(value).dtype.kind in "iub" else f"{float(value):.2g}"


def _below(ax: Axes, text: str) -> None:
    ax.set_xlabel(text, size=11, color=INK)


def show_segmentation(result: Segmentation, *, suptitle: str | None = None) -> AxesArray:
    """Draw a result in three: the picture, its label map, and the labels over the picture.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> axes = show_segmentation(KMeans(n_clusters=3).segment(datasets.shapes(height=32, width=32).image))
    >>> len(axes)
    3
    """
    return show(
        result.image,
        result.labels,
        result,
        titles=["picture", "label map", "labels over the picture"],
        captions=["", _caption(result), ""],
        suptitle=method_title(result.method) if suptitle is None else suptitle,
    )


# What a state shows


def draw(panel: Panel, ax: Axes | None = None, *, image: Any = None, bounds: tuple | None = None) -> Axes:
    """Draw a panel of `seglab.panels`.

    Parameters
    ----------
    panel
        Any of its kinds.
    ax
        Where to; a new figure otherwise. For points in space a flat ``ax`` is replaced by one in perspective.
    image
        The picture under a `Lines` panel.
    bounds
        Fixed limits ``((x0, x1), (y0, y1))`` from `limits`, so that the frames of a player do not jump.

    Returns
    -------
    Axes
        The axes that were drawn on.
    """
    with _styled():
        if ax is None:
            ax = plt.figure(figsize=(4.5, 3.4)).add_subplot()
        if isinstance(panel, Scatter) and np.shape(panel.points)[1] == 3 and ax.name != "3d":
            place, figure = ax.get_subplotspec(), ax.figure
            ax.remove()
            ax = figure.add_subplot(place, projection="3d")
        draw_on(ax, panel, image=image, bounds=bounds)
    return ax


def draw_on(ax: Axes, panel: Panel, *, image: Any = None, bounds: tuple | None = None) -> None:
    """Draw a panel on axes that fit it, in the look that is set."""
    for kind, function in _DRAW.items():
        if isinstance(panel, kind):
            function(ax, panel, image) if kind is Lines else function(ax, panel)
            break
    else:
        raise TypeError(f"no way to draw a panel of type {type(panel).__name__}")
    ax.set_title(panel.title)
    if bounds is not None and ax.name != "3d":
        ax.set_xlim(*bounds[0])
        ax.set_ylim(*bounds[1])


def _draw_curve(ax: Axes, panel: Curve) -> None:
    x = _array(panel.x)
    for k, (name, y) in enumerate(panel.curves.items()):
        marker = "o" if len(x) <= 12 else None
        ax.plot(x, _array(y), **_line(name, k), marker=marker, markersize=4, label=name)
    _marks(ax, panel.marks)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    _legend(ax, len(panel.curves) > 1 or bool(panel.marks))


def _draw_histogram(ax: Axes, panel: Histogram) -> None:
    edges, counts = _array(panel.edges), _array(panel.counts)
    ax.stairs(counts, edges, fill=True, color="#BBBBBB")
    middle = (edges[1:] + edges[:-1]) / 2
    for k, (name, y) in enumerate(panel.curves.items()):
        ax.plot(middle, _array(y), **_line(name, k), label=name)
    _marks(ax, panel.marks)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel("pixels")
    _legend(ax, bool(panel.curves) or bool(panel.marks))


def _draw_scatter(ax: Axes, panel: Scatter) -> None:
    points = _array(panel.points)
    every = max(1, math.ceil(len(points) / MAX_POINTS))
    color: Any = "#888888"
    if panel.colors is not None:
        color = np.clip(_array(panel.colors)[::every], 0, 1)
    elif panel.labels is not None:
        color = _label_colors(_array(panel.labels)[::every])
    depth = {"depthshade": False} if ax.name == "3d" else {}
    ax.scatter(*points[::every].T, c=color, s=5, linewidths=0, **depth)
    for k, path in enumerate(panel.paths):
        ax.plot(*_array(path).T, color=_label_color(k), linewidth=1.5)
    if panel.centers is not None:
        _draw_centers(ax, panel)
    for name, setter in zip(panel.axis_labels, ("set_xlabel", "set_ylabel", "set_zlabel"), strict=False):
        getattr(ax, setter)(name)


def _draw_centers(ax: Axes, panel: Scatter) -> None:
    centers = _array(panel.centers)
    colors = _label_colors(np.arange(len(centers)))
    more = {"depthshade": False, "zorder": 10} if ax.name == "3d" else {"zorder": 3}
    ax.scatter(*centers.T, c=colors, s=110, edgecolors="black", linewidths=1.5, marker="o", **more)
    if panel.covariances is None:
        return
    for center, covariance, color in zip(centers, _array(panel.covariances), colors, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        radii = 2 * np.sqrt(np.clip(values, 0, None))  # two standard deviations
        if len(center) == 2:
            angle = math.degrees(math.atan2(vectors[1, -1], vectors[0, -1]))
            shape = Ellipse(center, 2 * radii[-1], 2 * radii[0], angle=angle, fill=False, ec=color, lw=2)
            ax.add_patch(shape)
        else:
            u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 13), np.linspace(0, np.pi, 7))
            ball = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1)
            surface = (ball * radii) @ vectors.T + center
            ax.plot_wireframe(*np.moveaxis(surface, -1, 0), color=color, linewidth=0.7)


def _draw_picture(ax: Axes, panel: Picture) -> None:
    values = _array(panel.values)
    ax.imshow(
        np.clip(values, 0, 1) if values.ndim == 3 else values,
        vmin=panel.low,
        vmax=panel.high,
        cmap="gray",
        interpolation="nearest" if max(values.shape[:2]) <= SMALL else "auto",
    )
    _bare(ax)


def _draw_lines(ax: Axes, panel: Lines, image: Any = None) -> None:
    if image is not None:
        _imshow(ax, _Item.of(image, None, None, 0), annotate=False)
    for line in panel.lines:
        row, col = _array(line).T
        ax.plot(col, row, color="black", linewidth=3)
        ax.plot(col, row, color="#F0E442", linewidth=1.5)
    if panel.points is not None:
        row, col = _array(panel.points).T
        ax.scatter(col, row, s=25, c="#F0E442", edgecolors="black", zorder=3)
    if image is None:
        ax.set_aspect("equal")
        if not ax.yaxis_inverted():
            ax.invert_yaxis()
    _bare(ax)


def _draw_bars(ax: Axes, panel: Bars) -> None:
    values = _array(panel.values)
    ax.bar(np.arange(len(values)), values, color=_label_colors(np.arange(len(values))), edgecolor="#666666", lw=0.5)
    ax.set_ylabel(panel.y_label)
    ax.set_xlabel("label")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))


_DRAW: dict[type, Any] = {
    Curve: _draw_curve,
    Histogram: _draw_histogram,
    Scatter: _draw_scatter,
    Picture: _draw_picture,
    Lines: _draw_lines,
    Bars: _draw_bars,
}


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _label_colors(labels: np.ndarray) -> np.ndarray:
    """Colors (N, 3) of labels, gray where unassigned."""
    table = label_tools.colors(max(int(labels.max(initial=0)) + 1, 1)).numpy()
    return np.where((labels >= 0)[:, None], table[np.maximum(labels, 0)], 0.6)


def _label_color(label: int) -> tuple[float, ...]:
    return tuple(label_tools.colors(label + 1)[label].tolist())


def _line(name: str, k: int) -> dict[str, Any]:
    """A line's color and dashes: the label's where it is named after one."""
    if name.isdigit():
        return {"color": _label_color(int(name)), "linestyle": "-"}
    return {"color": LINE_COLORS[k % len(LINE_COLORS)], "linestyle": LINE_STYLES[k % len(LINE_STYLES)]}


def _marks(ax: Axes, marks: Mapping[str, float]) -> None:
    for k, (name, x) in enumerate(marks.items()):
        color = _label_color(int(name)) if name.isdigit() else INK
        ax.axvline(float(x), color=color, linestyle=LINE_STYLES[(k + 1) % 4], linewidth=2, label=name)


def _legend(ax: Axes, wanted: bool) -> None:
    names = ax.get_legend_handles_labels()[1]
    if wanted and 0 < len(names) <= 8:
        ax.legend(loc="best", handlelength=1.6, borderpad=0.3, labelspacing=0.2)


def limits(panels: Sequence[Panel]) -> tuple | None:
    """Common limits ``((x0, x1), (y0, y1))`` of panels of one kind over several frames, or None where it has none.

    Examples
    --------
    >>> limits([Bars(title="", values=[1, 2]), Bars(title="", values=[4, 1])])[1]
    (0.0, 4.2)
    """
    boxes = [box for box in (_box(panel) for panel in panels) if box is not None]
    if not boxes:
        return None
    x0, x1, y0, y1 = np.array(boxes).T
    low, high = float(y0.min()), float(y1.max())
    room = 0.05 * (high - low or 1.0)
    return (float(x0.min()), float(x1.max())), (low - (room if low else 0.0), high + room)


def _box(panel: Panel) -> tuple[float, float, float, float] | None:
    """Say (x from, x to, y from, y to) for kinds of panels whose extent may change from frame to frame."""
    if isinstance(panel, Bars):
        values = _array(panel.values)
        return -0.6, len(values) - 0.4, min(0.0, float(values.min())), float(values.max())
    if isinstance(panel, Histogram):
        edges = _array(panel.edges)
        # densities may be narrow and high: they are cut rather than let flatten the histogram
        return float(edges[0]), float(edges[-1]), 0.0, float(_array(panel.counts).max())
    if isinstance(panel, Scatter) and np.shape(panel.points)[1] == 2:
        marked = [] if panel.centers is None else [_array(panel.centers)]
        low, high = _ends(np.concatenate([_array(panel.points), *marked, *(_array(p) for p in panel.paths)]))
        pad = 0.06 * (high - low)
        return low[0] - pad[0], high[0] + pad[0], low[1], high[1]
    if isinstance(panel, Curve):
        x = _array(panel.x).astype(float)
        y = np.concatenate([_array(c).astype(float).ravel() for c in panel.curves.values()])
        y = y[np.isfinite(y)]
        if x.size == 0 or y.size == 0:
            return None
        pad = 0.02 * float(np.ptp(x))
        return float(x.min()) - pad, float(x.max()) + pad, float(y.min()), float(y.max())
    return None


def _ends(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.min(0).astype(float), points.max(0).astype(float)


# Rows of results and of states


def curves(
    x: Any,
    ys: Mapping[str, Any],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    marks: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw named curves over one x, with vertical marks.

    Examples
    --------
    >>> ax = curves([1, 2, 3], {"BIC": [3, 1, 2]}, marks={"best": 2}, x_label="components")
    >>> ax.get_xlabel()
    'components'
    """
    panel = Curve(title=title, x=x, curves=dict(ys), x_label=x_label, y_label=y_label, marks=dict(marks or {}))
    return draw(panel, ax)


def objective(trace: Trace, *, ax: Axes | None = None) -> Axes:
    """Draw what the method minimizes or maximizes over the steps.

    Raises
    ------
    ValueError
        The method has no objective.
    """
    kept = [(s.n_iter, v) for s, v in zip(trace.states, trace.objectives, strict=True) if v is not None]
    name = type(trace.method).objective_name or "objective"
    if not kept:
        raise ValueError(f"{trace.method.code()} has no objective to draw")
    x, y = zip(*kept, strict=True)
    sense = {"min": " (falls)", "max": " (rises)"}.get(type(trace.method).objective_sense, "")
    panel = Curve(title=method_title(trace.method), x=x, curves={name: y}, x_label="step", y_label=name + sense)
    return draw(panel, ax)


def chosen(n_states: int, n: int) -> list[int]:
    """Up to ``n`` places in a trace, evenly spread, the first and the last among them.

    Examples
    --------
    >>> chosen(11, 3)
    [0, 5, 10]
    """
    return sorted({round(i) for i in np.linspace(0, n_states - 1, max(min(n, n_states), 1))})


def filmstrip(trace: Trace, n: int = 6, *, panels: bool = True, alpha: float = 0.5, size: float = 2.7) -> AxesArray:
    """Draw ``n`` states of a trace side by side: labels over the picture and, below, what each has to show.

    Parameters
    ----------
    trace
        From `Segmenter.trace`.
    n
        How many states, the first and the last among them.
    panels
        Whether to draw the states' panels below.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> trace = KMeans(n_clusters=3).trace(datasets.shapes(height=32, width=32).image)
    >>> axes = filmstrip(trace, n=2, panels=False)
    >>> len(axes)
    2
    """
    states = [trace[i] for i in chosen(len(trace), n)]
    beside = [list(s.panels(trace.image)) if panels else [] for s in states]
    rows = 1 + max(len(b) for b in beside)
    aspect = trace.image.shape[1] / trace.image.shape[2]
    heights = [size * min(max(aspect, 0.25), 2.0) + 0.8, *[size * 0.85] * (rows - 1)]
    shared = [limits([b[r] for b in beside if len(b) > r]) for r in range(rows - 1)]
    with style(**{"axes.titlesize": 11, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9}):
        figure, grid = plt.subplots(
            rows, len(states), figsize=(size * len(states), sum(heights)), squeeze=False, height_ratios=heights
        )
        drawn = []
        for col, (state, shown) in enumerate(zip(states, beside, strict=True)):
            _imshow(grid[0, col], _state_item(state, trace.image, alpha))
            grid[0, col].set_title(_wrap(state.describe(), size, 11), size=11)
            drawn.append(grid[0, col])
            for r, ax in enumerate(grid[1:, col]):
                if r < len(shown):
                    drawn.append(draw(shown[r], ax, image=trace.image, bounds=shared[r]))
                    drawn[-1].set_title(_wrap(shown[r].title, size, 11))
                else:
                    ax.remove()
        figure.suptitle(method_title(trace.method))
    return _axes(drawn, figure)


def _state_item(state: State, image: Tensor, alpha: float) -> _Item:
    return _Item._labels(state.labels.cpu().numpy(), image, alpha)


def sweep(
    method: type[Segmenter] | Segmenter,
    image: Any,
    name: str,
    values: Sequence[Any] | None = None,
    *,
    alpha: float = 0.5,
    size: float | None = None,
    **fixed: Any,
) -> AxesArray:
    """Draw one row of results, one for each value of a parameter.

    Parameters
    ----------
    method
        The class of a method, or an instance whose other parameters are kept.
    image
        Anything that `seglab.image.as_image` takes.
    name
        The parameter.
    values
        Its values; five over its useful range by default.
    **fixed
        Other parameters.

    Returns
    -------
    AxesArray
        The axes; ``.results`` holds the segmentations.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> axes = sweep(KMeans, datasets.shapes(height=32, width=32).image, "n_clusters", [2, 3])
    >>> [result.n_segments for result in axes.results]
    [2, 3]
    """
    import dataclasses

    about = _parameter(method, name)
    given = about.sweep(5) if values is None else list(values)
    base = method(**fixed) if isinstance(method, type) else dataclasses.replace(method, **fixed)
    picture = as_image(image)
    results = [dataclasses.replace(base, **{name: value}).segment(picture) for value in given]
    title = base.title or base.name or type(base).__name__
    axes = show(
        *results,
        titles=[f"{title}\n{name} = {_number(value)}{about.unit and ' ' + about.unit}" for value in given],
        alpha=alpha,
        size=size,
    )
    axes.results = tuple(results)
    return axes


def _parameter(method: type[Segmenter] | Segmenter, name: str) -> Param:
    known = {p.name: p for p in parameters(method)}
    if name not in known:
        cls = method if isinstance(method, type) else type(method)
        raise ValueError(f"{cls.__name__} has no parameter {name!r}; it has {', '.join(known)}")
    return known[name]


def save_gif(trace: Trace, path: str | Path, **options: Any) -> Path:
    """Write the steps as an animated GIF; see `seglab.animation.save_gif`."""
    from seglab import animation

    return animation.save_gif(trace, path, **options)
