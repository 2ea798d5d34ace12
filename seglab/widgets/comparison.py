"""The comparison: methods side by side on the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from IPython.display import display
from PIL import Image
from torch import Tensor

from seglab import animation, drawing, plot
from seglab.image import to_uint8
from seglab.labels import as_labels
from seglab.metrics.region import probabilistic_rand_index, segmentation_covering, variation_of_information
from seglab.segmenter import Segmentation, Segmenter, get_method
from seglab.widgets import _pictures
from seglab.widgets._base import Widget, front, one_line, shrink, shrunk_note

__all__ = ["Comparison", "compare"]


class Comparison(Widget):
    """A grid of methods and pictures; made by `compare`.

    Attributes
    ----------
    results
        A tuple of rows, one for each picture, of segmentations, one for each method; None where a method failed.
    scores
        In the same order, a dictionary of scores each (empty without a truth).
    """

    _esm = front("comparison")

    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    bases: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        methods: Sequence[Segmenter],
        images: Mapping[str, Tensor],
        truths: Mapping[str, list[Tensor]],
        **traits: Any,
    ) -> None:
        self.methods, self.images, self.truths = list(methods), dict(images), dict(truths)
        self._results: dict[int, Segmentation | None] = {}
        self._scores: dict[int, dict[str, float]] = {}
        super().__init__(
            columns=[plot.method_title(method) for method in self.methods],
            rows=[{"name": n, "width": i.shape[-1], "height": i.shape[-2]} for n, i in self.images.items()],
            bases=[animation.picture_png(image) for image in self.images.values()],
            **traits,
        )
        waiting = {"state": "waiting", "caption": "waiting"}
        # one trait for each cell: filling one does not send the others again
        self.add_traits(**{f"cell_{k}": traitlets.Dict(dict(waiting)).tag(sync=True) for k in range(self.n_cells)})

    @property
    def n_cells(self) -> int:
        """Methods times pictures."""
        return len(self.methods) * len(self.images)

    @property
    def finished(self) -> bool:
        """Whether all cells have been tried."""
        return len(self._results) == self.n_cells

    @property
    def results(self) -> tuple[tuple[Segmentation | None, ...], ...]:
        """All segmentations; those that are still due are computed first."""
        self.run()
        return self._in_rows(self._results)

    @property
    def scores(self) -> tuple[tuple[dict[str, float], ...], ...]:
        """All scores, in the order of `results`."""
        self.run()
        return self._in_rows(self._scores)

    def _in_rows(self, cells: dict[int, Any]) -> tuple[tuple[Any, ...], ...]:
        n = len(self.methods)
        return tuple(tuple(cells[row * n + col] for col in range(n)) for row in range(len(self.images)))

    def run(self) -> None:
        """Fill the cells that are empty, one after another; each is shown as soon as it is done."""
        for k in range(self.n_cells):
            if k not in self._results:
                self._fill(k)

    def _fill(self, k: int) -> None:
        name = list(self.images)[k // len(self.methods)]
        method = self.methods[k % len(self.methods)]
        self._tell(k, state="computing", caption="computing …")
        try:
            result = method.segment(self.images[name])
            self._scores[k] = score(result.labels, self.truths.get(name, []))
            self._tell(
                k,
                state="done",
                caption=caption(result, self._scores[k]),
                fill=animation.fill_layer(result.labels),
                mean=animation.fill_layer(result.labels, result.image),
                edges=animation.edge_layer(result.labels),
            )
            self._results[k] = result
        except Exception as problem:  # one method that fails does not take the others with it
            self.exception = problem
            self._results[k], self._scores[k] = None, {}
            self._tell(k, state="failed", caption=one_line(problem))

    def _tell(self, k: int, **cell: Any) -> None:
        setattr(self, f"cell_{k}", cell)

    def receive(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Fill what is empty when the browser shows the grid, if nobody has before."""
        if content.get("kind") == "ready":
            self.run()

    def _ipython_display_(self) -> None:
        """Show the grid at once, fill it, then leave its picture for where there is no kernel."""
        bundle = super(Widget, self)._repr_mimebundle_()
        assert bundle is not None
        data, metadata = bundle
        if self.finished:
            data, metadata = self._repr_mimebundle_() or bundle
            display(data, metadata=metadata, raw=True)
            return
        handle = display({**data, "text/plain": repr(self)}, metadata=metadata, raw=True, display_id=True)
        self.run()
        if handle is not None:
            data, metadata = self._repr_mimebundle_() or bundle
            handle.update(data, metadata=metadata, raw=True)

    def still(self) -> bytes:
        """The grid as one picture."""
        self.run()
        width = 300 if len(self.methods) <= 3 else 220
        cells = [self._still_cell(k, width) for k in range(self.n_cells)]
        n = len(self.methods)
        lines = [cells[i : i + n] for i in range(0, len(cells), n)]
        heights = [max(c.height for c in line) for line in lines]
        sheet = Image.new("RGB", (width * n + 8 * (n - 1), sum(heights)), "white")
        for row, line in enumerate(lines):
            for col, cell in enumerate(line):
                sheet.paste(cell, (col * (width + 8), sum(heights[:row])))
        return animation.few_colors(sheet)

    def _still_cell(self, k: int, width: int) -> Image.Image:
        result = self._results[k]
        image = list(self.images.values())[k // len(self.methods)]
        sheet = Image.fromarray(to_uint8(image if result is None else result.overlay()))
        small = max(sheet.size) <= drawing.SMALL
        how = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
        sheet = sheet.resize((width, max(1, round(sheet.height * width / sheet.width))), how)
        said = getattr(self, f"cell_{k}")["caption"].split("\n")
        return animation.captioned(sheet, self.columns[k % len(self.methods)], *said, size=12)

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.methods)} methods on {len(self.images)} pictures>"


def score(labels_pred: Tensor, labels_true: list[Tensor]) -> dict[str, float]:
    """Covering, probabilistic Rand index and variation of information against the truths; empty without any."""
    if not labels_true:
        return {}
    return {
        "SC": segmentation_covering(labels_true, labels_pred),
        "PRI": probabilistic_rand_index(labels_true, labels_pred),
        "VI": variation_of_information(labels_true, labels_pred),
    }


def caption(result: Segmentation, scores: dict[str, float]) -> str:
    """Segments and time, and below them the scores."""
    first = f"{result.n_segments} segments · {plot.seconds_text(result.seconds)}"
    second = " · ".join(f"{name} {value:.2f}" for name, value in scores.items())
    return f"{first}\n{second}" if second else first


def compare(
    methods: Sequence[Segmenter | type[Segmenter] | str] | Segmenter,
    images: Any,
    truths: Any = None,
    *,
    max_side: int = 640,
    show: str = "both",
    alpha: float = 0.5,
) -> Comparison:
    """Show methods side by side on the same pictures; zooming into one cell zooms into all of that picture.

    Parameters
    ----------
    methods
        Methods; a class or a name stands for its defaults.
    images
        One picture, a list, or a dictionary by name; each anything that `seglab.image.as_image` takes, or the name
        of a bundled photograph.
    truths
        Label maps to score against, in the order (or by the names) of the pictures: each one (H, W) map, a list of
        them (several people's), or None. Scores: covering (SC, higher is better), probabilistic Rand index (PRI,
        higher) and variation of information in bits (VI, lower).
    max_side
        Larger pictures, and their truths, are reduced to this many pixels on their longer side, with a note.
    show, alpha
        What is laid over the pictures, and how strongly; see `step_through`.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import KMeans
    >>> scene = datasets.shapes(height=32, width=32)
    >>> grid = compare([KMeans(n_clusters=2), KMeans(n_clusters=4)], scene.image, scene.instances)
    >>> [result.n_segments for result in grid.results[0]]
    [2, 4]
    """
    chosen = [methods] if isinstance(methods, (Segmenter, type, str)) else list(methods)
    made = [get_method(m)() if isinstance(m, str) else m() if isinstance(m, type) else m for m in chosen]
    sources = _pictures.given(images)
    if not made or not sources:
        raise ValueError("compare needs at least one method and one picture")
    named = {source.name: source.image for source in sources}
    if len(named) < len(sources):
        raise ValueError("two pictures have one name: give a dictionary with a name for each")
    smaller = {name: shrink(image, max_side) for name, image in named.items()}
    notes = [f"{n}: {shrunk_note(named[n], smaller[n])}" for n in named if shrunk_note(named[n], smaller[n])]
    maps = {name: _fitted(maps, named[name], smaller[name], name) for name, maps in _by_name(truths, named).items()}
    return Comparison(made, smaller, maps, note=" ".join(notes), show=show, alpha=alpha)


def _by_name(truths: Any, named: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    if truths is None:
        return {}
    if isinstance(truths, Mapping):
        unknown = [name for name in truths if name not in named]
        if unknown:
            raise ValueError(f"a truth for {unknown[0]!r}, but the pictures are {', '.join(named)}")
        return {name: _several(maps) for name, maps in truths.items()}
    if len(named) == 1 and not (isinstance(truths, (list, tuple)) and len(truths) == 1):
        truths = [truths]
    truths = list(truths)
    if len(truths) != len(named):
        raise ValueError(f"{len(named)} pictures and {len(truths)} truths: give one for each, None where there is none")
    return {name: _several(maps) for name, maps in zip(named, truths, strict=True)}


def _several(maps: Any) -> list[Any]:
    if maps is None:
        return []
    if isinstance(maps, (Tensor, np.ndarray)) and maps.ndim == 2:
        return [maps]
    return list(maps)


def _fitted(maps: list[Any], whole: Tensor, smaller: Tensor, name: str) -> list[Tensor]:
    """Truths as label maps of the size at which the picture is computed."""
    fitted = []
    for given in maps:
        labels = as_labels(given).cpu()
        if labels.shape != whole.shape[-2:]:
            sizes = f"the picture is {tuple(whole.shape[-2:])} and its truth {tuple(labels.shape)}"
            raise ValueError(f"{name}: {sizes}; they need one size")
        if whole.shape != smaller.shape:
            size = smaller.shape[-2:]
            labels = torch.nn.functional.interpolate(labels[None, None].double(), size=size, mode="nearest-exact")
            labels = labels[0, 0].long()
        fitted.append(labels)
    return fitted
