"""The look of every figure, and how each kind of panel in `seglab.panels` is drawn; `seglab.plot` hands both on.

The look is applied while a figure is made (`style`) and never to matplotlib as a whole, so that a reader's own figures
stay their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from seglab import labels as label_tools
from seglab.image import as_image, to_uint8
from seglab.panels import Bars, Curve, Histogram, Lines, Panel, Picture, Pictures, Scatter

__all__ = ["SMALL", "STYLE", "draw", "draw_on", "limits", "style"]

SMALL = 64  # pictures up to this side are drawn with hard pixel edges
MAX_POINTS = 3000  # of a scatter; more only cost time and hide each other
LINE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":")
INK = "#222222"
WIDE = 1.67  # width over height of a panel's axes
MARK_COLORS = (INK, "#D55E00", "#009E73", "#CC79A7")

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
    "axes.prop_cycle": cycler(color=LINE_COLORS),
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
    look: Any = {**STYLE, **changes}
    with mpl.rc_context(look):
        token = _INSIDE.set(True)
        try:
            yield
        finally:
            _INSIDE.reset(token)
            interactive = mpl.is_interactive()
    mpl.interactive(interactive)  # a notebook's backend, loaded by the first figure, turns this on for good
    if "inline" in mpl.get_backend():  # it draws a cell's figures when it shows them; this hook would draw them before
        plt.uninstall_repl_displayhook()


_INSIDE: ContextVar[bool] = ContextVar("inside seglab's style", default=False)


def styled() -> AbstractContextManager[None]:
    """The look, unless a caller has set it (with changes of its own) already."""
    return nullcontext() if _INSIDE.get() else style()


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
    with styled():
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
    x, curves = array(panel.x), {name: array(y) for name, y in panel.curves.items()}
    for k, (name, y) in enumerate(curves.items()):
        marker = "o" if len(x) <= 12 else None
        ax.plot(x, y, **_line(name, k), marker=marker, markersize=4, label=name)
    if all(y.dtype.kind in "iu" for y in curves.values()):
        ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))  # no half clusters
    _marks(ax, panel.marks)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    _legend(ax, len(panel.curves) > 1 or bool(panel.marks))


def _draw_histogram(ax: Axes, panel: Histogram) -> None:
    edges, counts = array(panel.edges), array(panel.counts)
    ax.stairs(counts, edges, fill=True, color="#BBBBBB")
    middle = (edges[1:] + edges[:-1]) / 2
    for k, (name, y) in enumerate(panel.curves.items()):
        ax.plot(middle, array(y), **_line(name, k), label=name)
    _marks(ax, panel.marks)
    ax.set_xlim(edges[0], edges[-1])
    top, cut = _top(counts)
    ax.set_ylim(0, top)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(f"{panel.y_label} (tallest cut)" if cut else panel.y_label)
    _legend(ax, bool(panel.curves) or bool(panel.marks))


def _top(counts: np.ndarray) -> tuple[float, bool]:
    """Where a histogram ends, and whether bars are cut: a few far above the rest would flatten all others."""
    ordered = np.sort(counts)[::-1]
    rest = float(ordered[3]) if len(ordered) >= 16 else 0.0
    if rest > 0 and ordered[0] > 4 * rest:
        return 1.6 * rest, True
    return 1.08 * float(ordered[0]) or 1.0, False


def _draw_scatter(ax: Any, panel: Scatter) -> None:
    points = array(panel.points)
    every = max(1, math.ceil(len(points) / MAX_POINTS))
    color: Any = "#888888"
    if panel.colors is not None:
        color = np.clip(array(panel.colors)[::every], 0, 1)
    elif panel.labels is not None:
        color = _label_colors(array(panel.labels)[::every])
    depth = {"depthshade": False} if ax.name == "3d" else {}
    ax.computed_zorder = False  # in space, points would cover paths and centers
    ax.scatter(*points[::every].T, c=color, s=5, linewidths=0, **depth)
    for k, path in enumerate(panel.paths):
        ax.plot(*array(path).T, color="black", linewidth=3)
        ax.plot(*array(path).T, color=_label_color(k), linewidth=1.5)
    if panel.centers is not None:
        _draw_centers(ax, panel)
    for name, axis in zip(panel.axis_labels, "xyz", strict=False):
        getattr(ax, f"set_{axis}label")(name)
    if ax.name == "3d":
        _not_flat(ax)


def _not_flat(ax: Any) -> None:
    """Widen an axis along which nothing varies (a gray picture's a and b): round-off is no shape."""
    spans = {axis: getattr(ax, f"get_{axis}lim")() for axis in "xyz"}
    least = 0.1 * max(high - low for low, high in spans.values())
    for axis, (low, high) in spans.items():
        if high - low < least:
            middle = (low + high) / 2
            getattr(ax, f"set_{axis}lim")(middle - least / 2, middle + least / 2)


def _draw_centers(ax: Any, panel: Scatter) -> None:
    centers = array(panel.centers)
    colors = _label_colors(np.arange(len(centers)))
    more = {"depthshade": False, "zorder": 10} if ax.name == "3d" else {"zorder": 3}
    ax.scatter(*centers.T, c=colors, s=110, edgecolors="black", linewidths=1.5, marker="o", **more)
    if panel.covariances is None:
        return
    for center, covariance, color in zip(centers, array(panel.covariances), colors, strict=True):
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
    values = array(panel.values)
    ax.imshow(
        np.clip(values, 0, 1) if values.ndim == 3 else values,
        vmin=panel.low,
        vmax=panel.high,
        cmap="gray",
        interpolation="nearest" if max(values.shape[:2]) <= SMALL else "auto",
    )
    bare(ax)
    for spine in ax.spines.values():  # a frame: a picture may be white to its edge
        spine.set(visible=True, color="#999999")


def _draw_pictures(ax: Axes, panel: Pictures) -> None:
    values = array(panel.values)
    n, height, width = values.shape
    low = np.nanmin(values) if panel.low is None else panel.low
    high = np.nanmax(values) if panel.high is None else panel.high
    columns = max(range(1, n + 1), key=lambda c: min(WIDE / (c * width), 1 / (math.ceil(n / c) * height)))
    across, down = 1.05 * width, 1.05 * height
    for k, (picture, name) in enumerate(zip(values, panel.names, strict=True)):
        left, top = k % columns * across, k // columns * down
        ax.imshow(
            picture,
            vmin=low,
            vmax=high,
            cmap="gray",
            interpolation="nearest" if max(height, width) <= SMALL else "auto",
            extent=(left, left + width, top + height, top),
        )
        ax.add_patch(Rectangle((left, top), width, height, fill=False, color="#999999", lw=0.8))
        _name(ax, name, left, top)
    ax.set_xlim(0, columns * across)
    ax.set_ylim(math.ceil(n / columns) * down, 0)
    bare(ax)


def _name(ax: Axes, name: str, left: float, top: float) -> None:
    """Write a name into a picture's upper left corner, on its label's color where it is one."""
    back = _label_color(int(name)) if name.isdigit() else (1.0, 1.0, 1.0)
    ink = "black" if np.dot(back, (0.299, 0.587, 0.114)) > 0.5 else "white"
    box = {"boxstyle": "square,pad=0.2", "facecolor": back, "edgecolor": "none"}
    offset: Any = {"xytext": (3.5, -3.5), "textcoords": "offset points"}
    ax.annotate(name, (left, top), **offset, ha="left", va="top", size=8, color=ink, bbox=box)


def _draw_lines(ax: Axes, panel: Lines, image: Any = None) -> None:
    if image is not None:
        pixels = to_uint8(as_image(image))
        ax.imshow(pixels, interpolation="nearest" if max(pixels.shape[:2]) <= SMALL else "auto")
    for line in panel.lines:
        row, col = array(line).T
        ax.plot(col, row, color="black", linewidth=3)
        ax.plot(col, row, color="#F0E442", linewidth=1.5)
    if panel.points is not None:
        row, col = array(panel.points).T
        ax.scatter(col, row, s=25, c="#F0E442", edgecolors="black", zorder=3)
    if image is None:
        ax.set_aspect("equal")
        if not ax.yaxis_inverted():
            ax.invert_yaxis()
    bare(ax)


def _draw_bars(ax: Any, panel: Bars) -> None:
    values = array(panel.values)
    ax.bar(np.arange(len(values)), values, color=_label_colors(np.arange(len(values))), edgecolor="#666666", lw=0.5)
    ax.set_ylabel(panel.y_label)
    ax.set_xlabel("label")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))


_DRAW: dict[type, Any] = {
    Curve: _draw_curve,
    Histogram: _draw_histogram,
    Scatter: _draw_scatter,
    Picture: _draw_picture,
    Pictures: _draw_pictures,
    Lines: _draw_lines,
    Bars: _draw_bars,
}


def bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def array(values: Any) -> np.ndarray:
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
        color = _label_color(int(name)) if name.isdigit() else MARK_COLORS[k % len(MARK_COLORS)]
        ax.axvline(float(x), color=color, linestyle=LINE_STYLES[(k + 1) % 4], linewidth=2, label=name)


def _legend(ax: Axes, wanted: bool) -> None:
    names = ax.get_legend_handles_labels()[1]
    if wanted and 0 < len(names) <= 8:
        ax.legend(loc="best", handlelength=2.2, borderpad=0.3, labelspacing=0.2)


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
        values = array(panel.values)
        return -0.6, len(values) - 0.4, min(0.0, float(values.min())), float(values.max())
    if isinstance(panel, Histogram):
        edges = array(panel.edges)
        # densities may be narrow and high: they are cut rather than let flatten the histogram
        return float(edges[0]), float(edges[-1]), 0.0, _top(array(panel.counts))[0] / 1.05  # `limits` adds room
    if isinstance(panel, Scatter) and np.shape(panel.points)[1] == 2:
        marked = [] if panel.centers is None else [array(panel.centers)]
        low, high = _ends(np.concatenate([array(panel.points), *marked, *(array(p) for p in panel.paths)]))
        pad = 0.06 * (high - low)
        return low[0] - pad[0], high[0] + pad[0], low[1], high[1]
    if isinstance(panel, Curve):
        x = array(panel.x).astype(float)
        y = np.concatenate([array(c).astype(float).ravel() for c in panel.curves.values()])
        y = y[np.isfinite(y)]
        if x.size == 0 or y.size == 0:
            return None
        pad = 0.02 * float(np.ptp(x))
        return float(x.min()) - pad, float(x.max()) + pad, float(y.min()), float(y.max())
    return None


def _ends(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.min(0).astype(float), points.max(0).astype(float)
