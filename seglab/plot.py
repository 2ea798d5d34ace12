"""Every figure's common look: pictures, label maps, what a state shows, and rows of results.

The look (`seglab.drawing`) is set while a figure is made and never for matplotlib as a whole. Functions that make a
figure leave it to pyplot, which shows it once, and return its axes.

    from seglab import plot
    plot.show(image, result, titles=["picture", "k-means"])
    plot.filmstrip(KMeans(n_clusters=4).trace(image))
    plot.sweep(KMeans, image, "n_clusters", [2, 4, 8])
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from seglab import labels as label_tools
from seglab.drawing import INK, SMALL, bare, draw, limits, style
from seglab.image import as_image, to_uint8
from seglab.panels import Curve
from seglab.params import Param, parameters
from seglab.region_graph import RegionGraph, region_graph
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
    "show_graph",
    "show_segmentation",
    "style",
    "sweep",
]

TINY = 8  # pictures up to this side get their pixel values written on


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
    bare(ax)
    tiny = max(height, width) <= TINY
    if annotate is None:
        annotate = tiny and item.values is not None and item.values.ndim == 2
    if annotate:
        if not tiny:
            raise ValueError(f"pixel values are legible up to {TINY}×{TINY} pixels; this picture is {height}×{width}")
        if item.values is not None:
            _write_values(ax, item.pixels, item.values)


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


def show_graph(
    labels: Any,
    image: Any,
    *,
    weights: Any = None,
    title: str = "region adjacency graph",
    weight_label: str | None = None,
    size: float = 5.5,
    ax: Axes | None = None,
) -> Axes:
    """Draw the graph of a label map's regions over the picture: a dot at each centroid, a line for each two that touch.

    Parameters
    ----------
    labels
        A label map, without gaps, or a `seglab.region_graph.RegionGraph`.
    image
        The picture, anything that `seglab.image.as_image` takes.
    weights
        (E,): what colors the edges, in the order of the graph's; the distance of mean colors by default. The scale ends
        at what one edge in fifty exceeds.
    title, weight_label
        Above the picture, and beside the scale.
    size
        Width in inches of a figure of its own.
    ax
        Where to draw; a new figure otherwise.

    Raises
    ------
    ValueError
        Not one weight for each edge; labels with gaps or of another size.

    Examples
    --------
    >>> from seglab import datasets
    >>> scene = datasets.shapes(height=32, width=32)
    >>> ax = show_graph(scene.instances, scene.image)
    >>> ax.get_title()
    'region adjacency graph'
    """
    picture = as_image(image).cpu()
    graph = labels if isinstance(labels, RegionGraph) else region_graph(labels, image)
    values = np.asarray(graph.differences.cpu() if weights is None else torch.as_tensor(weights).detach().cpu())
    if values.shape != (len(graph.edges),):
        raise ValueError(f"the graph has {len(graph.edges)} edges and weights {values.shape}: give one for each")
    if weights is None and weight_label is None:
        weight_label = "difference of mean colors"
    with style():
        if ax is None:
            height, width = picture.shape[1:]
            _, ax = plt.subplots(figsize=(size + 1, size * min(max(height / width, 0.25), 2.0) + 0.75))
        pixels = to_uint8(label_tools.overlay(graph.labels.cpu(), picture, alpha=0, boundary=(0.65, 0.65, 0.65)))
        _imshow(ax, _Item(pixels, None))
        _draw_edges(ax, graph, values, weight_label or "")
        ax.set_title(title)
    return ax


def _draw_edges(ax: Axes, graph: RegionGraph, values: np.ndarray, label: str) -> None:
    """Edges in the colors of their weights, heavy ones on top, and nodes in the mean colors of their regions."""
    centers = graph.centroids.cpu().flip(1).numpy()  # (M, 2) as x, y
    order = np.argsort(values, kind="stable")
    if len(order):
        high = float(np.quantile(values, 0.98)) or 1.0
        lines = LineCollection(
            list(centers[graph.edges.cpu().numpy()[order]]), array=values[order], cmap="viridis", linewidths=1.8
        )
        lines.set_clim(min(0.0, float(values.min())), high)
        ax.add_collection(lines)
        ax.figure.colorbar(lines, ax=ax, label=label, shrink=0.8)
    colors = graph.colors.cpu().numpy()
    is_color = colors.shape[1] == 3 and len(colors) and colors.min() >= 0 and colors.max() <= 1
    ax.scatter(
        centers[:, 0],
        centers[:, 1],
        s=16,
        c=colors if is_color else "white",
        edgecolors="black",
        linewidths=0.6,
        zorder=3,
    )


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
