"""A contour map under a threshold: segments, boundaries and all measures move with it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.morphology import thin
from torch import Tensor

from seglab import animation
from seglab.hierarchy import Hierarchy
from seglab.image import as_image
from seglab.labels import boundaries
from seglab.metrics.berkeley import region_scores_of_hierarchy
from seglab.metrics.boundary import boundary_scores, match_boundaries
from seglab.metrics.contingency import label_maps
from seglab.panels import Curve
from seglab.widgets._base import Widget, front
from seglab.widgets._page import data_url, write_page

__all__ = ["CutExplorer", "explore_cuts"]

LAYERS = ("fill", "mean", "edges", "pairs")
NAMES = {"SC": "covering SC", "PRI": "Rand index PRI", "VI": "VI, bits", "F": "boundary F"}
MATCHED, ALONE, MISSED = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x22, 0x22, 0x22)


class CutExplorer(Widget):
    """A hierarchy under a threshold; made by `explore_cuts`.

    Attributes
    ----------
    index
        The threshold that is looked at, by its place in ``thresholds``.
    thresholds, n_segments
        The thresholds, rising, and how many segments each leaves.
    reveal
        Whether the whole curves are seen and the best of each is marked, or only what has been looked at.
    scores
        The measures by name ("SC", "PRI", "VI", "F"), each an array over the thresholds.
    best
        For each measure the place of its best value.
    """

    _esm = front("cuts")

    index = traitlets.Int(0).tag(sync=True)
    reveal = traitlets.Bool(True).tag(sync=True)
    thresholds = traitlets.List(traitlets.Float()).tag(sync=True)
    n_segments = traitlets.List(traitlets.Int()).tag(sync=True)
    measures: Any = traitlets.List().tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    base = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)

    def __init__(
        self, tree: Hierarchy, image: Tensor, truths: list[Tensor], thresholds: NDArray[np.float64], **traits: Any
    ) -> None:
        self.tree, self.image, self.truths = tree, image, truths
        self.drawn = [_boundary(truth) for truth in truths]
        self.scores, precision, recall = self._measured(thresholds)
        self.best = {name: int(v.argmin() if name == "VI" else v.argmax()) for name, v in self.scores.items()}
        counts = [tree.n_leaves - tree.n_merges(t) for t in thresholds]
        self._kept: dict[tuple[str, int], bytes] = {}
        super().__init__(
            thresholds=[float(t) for t in thresholds],
            n_segments=counts,
            measures=[
                {"name": name, "title": NAMES[name], "best": self.best[name], "values": [round(float(x), 5) for x in v]}
                for name, v in self.scores.items()
            ],
            texts=[
                f"threshold {t:.3g} · {_several(n, 'segment')} · precision {p:.2f}, recall {r:.2f} of the boundaries"
                for t, n, p, r in zip(thresholds, counts, precision, recall, strict=True)
            ],
            base=animation.picture_png(image),
            width=image.shape[-1],
            height=image.shape[-2],
            **traits,
        )

    def _measured(self, thresholds: NDArray[np.float64]) -> tuple[dict[str, NDArray[np.float64]], Any, Any]:
        regions = region_scores_of_hierarchy(self.truths, self.tree, thresholds)
        edges = boundary_scores(self.drawn, [self.tree.cut(t) for t in thresholds])
        scores = {"SC": regions.covered / regions.total, "PRI": regions.rand, "VI": regions.information, "F": edges.f}
        return scores, edges.precision, edges.recall

    @traitlets.validate("index")
    def _within(self, proposal: Any) -> int:
        return min(max(proposal["value"], 0), len(self.thresholds) - 1)

    @property
    def labels(self) -> Tensor:
        """(H, W) the segmentation that is shown."""
        return self.tree.cut(self.thresholds[self.index])

    def layer(self, name: str, i: int) -> bytes:
        """One layer over the picture at the i-th threshold, as a PNG: fill, mean, edges, or the pairs of pixels."""
        if (name, i) not in self._kept:
            labels = self.tree.cut(self.thresholds[i]).cpu()
            make = {
                "fill": lambda: animation.fill_layer(labels),
                "mean": lambda: animation.fill_layer(labels, self.image),
                "edges": lambda: animation.edge_layer(labels),
                "pairs": lambda: _pairs_layer(self.drawn, _boundary(labels)),
            }
            self._kept[name, i] = make[name]()
        return self._kept[name, i]

    def receive(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Send the layers of a frame."""
        if content.get("kind") != "frame":
            return
        i, failed = int(content["index"]), True
        try:
            names = [name for name in content.get("layers", ()) if name in LAYERS]
            self.send({"kind": "layers", "index": i, "names": names}, buffers=[self.layer(name, i) for name in names])
            failed = False
        finally:
            self.send({"kind": "done", "index": i, "failed": failed})

    def still(self) -> bytes:
        """Some thresholds as an animated PNG."""
        return animation.save_apng(_Sheets(self), max_bytes=500_000)

    def save_html(self, path: str | Path) -> Path:
        """Write a page that works in any browser, with no kernel and no network."""
        state = {
            name: getattr(self, name) for name in self.trait_names(sync=True) if name[0] != "_" and name in _STATIC
        }
        frames = [
            {"layers": {name: data_url(self.layer(name, i)) for name in LAYERS}, "panels": []}
            for i in range(len(self.thresholds))
        ]
        return write_page(path, "cuts", state | {"base": data_url(self.base)}, frames)

    def score_text(self, i: int) -> str:
        """The measures at the i-th threshold in one line."""
        return " · ".join(f"{name} {v[i]:.2f}" for name, v in self.scores.items())

    def __repr__(self) -> str:
        t, n = self.thresholds[self.index], self.n_segments[self.index]
        return (
            f"<CutExplorer of {self.title}: threshold {t:.3g}, {_several(n, 'segment')}, {self.score_text(self.index)}>"
        )


_STATIC = (
    *("title", "show", "alpha", "error", "note", "width", "height"),
    *("index", "reveal", "thresholds", "n_segments", "measures", "texts"),
)


class _Sheets:
    """Thresholds as composed pictures: segments and pairs side by side, the curves below."""

    def __init__(self, widget: CutExplorer) -> None:
        self.widget = widget

    def __len__(self) -> int:
        return len(self.widget.thresholds)

    def compose(self, i: int, width: int) -> Image.Image:
        w = self.widget
        base = Image.open(io.BytesIO(w.base)).convert("RGB")
        size = (width, max(1, round(base.height * width / base.width)))
        base = base.resize(size, Image.Resampling.LANCZOS)
        fill = _opened(w.layer("fill", i), size)
        fill.putalpha(fill.getchannel("A").point(lambda a: round(a * w.alpha)))
        faded = Image.blend(base, Image.new("RGB", size, "white"), 0.6)
        left = Image.alpha_composite(base.convert("RGBA"), fill).convert("RGB")
        right = Image.alpha_composite(faded.convert("RGBA"), _opened(w.layer("pairs", i), size)).convert("RGB")
        parts = [left, right, *(self._curve(k, i, width) for k in range(2 if w.reveal else 0))]
        sheet = Image.new("RGB", (2 * width, size[1] + max((part.height for part in parts[2:]), default=0)), "white")
        for k, part in enumerate(parts):
            sheet.paste(part, (k % 2 * width, k // 2 * size[1]))
        return animation.captioned(sheet, w.texts[i], w.score_text(i))

    def _curve(self, k: int, i: int, width: int) -> Image.Image:
        """The k-th figure, drawn once, with a line at the i-th threshold."""
        curve = self.curves[k].resize((width, round(self.curves[k].height * width / self.curves[k].width)))
        low, high = self.widget.thresholds[0], self.widget.thresholds[-1]
        left, bottom, wide, tall = animation.PANEL_AXES
        x = width * (left + wide * (self.widget.thresholds[i] - low) / ((high - low) or 1.0))
        pen = ImageDraw.Draw(curve)
        pen.line((x, curve.height * (1 - bottom - tall), x, curve.height * (1 - bottom)), fill="#222222", width=2)
        return curve

    @cached_property
    def curves(self) -> list[Image.Image]:
        w, groups = self.widget, {"SC, PRI and F": ("SC", "PRI", "F"), "VI, bits": ("VI",)}
        found = []
        for title, names in groups.items():
            scores = {name: w.scores[name] for name in names}
            panel = Curve(title=title, x=np.array(w.thresholds), curves=scores, x_label="threshold")
            bounds = (w.thresholds[0], w.thresholds[-1]), (0.0, 1.05 * max(v.max() for v in scores.values()) or 1.0)
            found.append(Image.open(io.BytesIO(animation.Slot().draw(panel, bounds))).convert("RGB"))
        return found


def _opened(png: bytes, size: tuple[int, int]) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGBA").resize(size, Image.Resampling.NEAREST)


def _boundary(labels: Tensor) -> NDArray[np.bool_]:
    return thin(boundaries(labels.cpu(), mode="bsds").numpy())


def _pairs_layer(drawn: Sequence[NDArray[np.bool_]], edge: NDArray[np.bool_]) -> bytes:
    """The boundary's pixels that are in a pair with any person's, those that are not, and people's that are alone."""
    pairs = [match_boundaries(person, edge) for person in drawn]
    layer = np.full(edge.shape, 3, np.uint8)
    for person, (found, _) in zip(drawn, pairs, strict=True):
        layer[person & ~found] = 2
    layer[edge] = 1
    layer[np.logical_or.reduce([pred for _, pred in pairs])] = 0
    picture = Image.fromarray(layer, "P")
    picture.putpalette(bytes([*MATCHED, *ALONE, *MISSED, 0, 0, 0]))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=3)
    return buffer.getvalue()


def _several(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def spread_cuts(tree: Hierarchy, n: int) -> NDArray[np.float64]:
    """At most n thresholds, rising, at which the numbers of segments fall evenly on a logarithmic scale.

    Examples
    --------
    >>> import torch
    >>> chain = torch.tensor([[0, 1], [4, 2], [5, 3]])
    >>> tree = Hierarchy(leaves=torch.arange(4)[None], merges=chain, heights=torch.tensor([0.25, 0.5, 0.75]))
    >>> spread_cuts(tree, 3)  # 4 segments, 2 and 1
    array([0.  , 0.5 , 0.75])
    """
    if n < 2:
        raise ValueError(f"a slider needs at least 2 thresholds; got {n}")
    heights = np.concatenate([[0.0], tree.heights.cpu().double().numpy()])
    last = tree.n_leaves - len(tree.merges)
    numbers = np.geomspace(max(tree.n_leaves, 1), max(last, 1), n).round().astype(int)
    return np.unique(heights[tree.n_leaves - numbers])


def explore_cuts(
    hierarchy: Hierarchy | Any,
    image: Any,
    truths: Any,
    *,
    thresholds: Sequence[float] | NDArray[np.float64] | int = 32,
    index: int | None = None,
    reveal: bool = True,
    title: str = "a contour map",
    show: str = "both",
    alpha: float = 0.5,
) -> CutExplorer:
    """Move a contour map's threshold and see what becomes of segments, boundaries and measures.

    Left, the segments. Right, the boundaries as the benchmark sees them: pixels that are in a pair with a person's
    (blue), those that are not (orange), and people's that the map misses (black). Below, covering, Rand index,
    variation of information and boundary F over the threshold, the best of each marked. Keys: the arrows move the
    threshold, Home and End go to the ends.

    Parameters
    ----------
    hierarchy
        A `Hierarchy`, or an ultrametric contour map of double size (2H+1, 2W+1).
    image
        Anything that `seglab.image.as_image` takes, (H, W) pixels.
    truths
        A label map (H, W), or a list of them, one for each person.
    thresholds
        The thresholds, rising, or at most how many: these are then chosen so that the number of segments falls evenly.
    index
        The place of the threshold at which it opens; the middle by default.
    reveal
        Show the curves from the start; otherwise only what has been looked at, so that a reader may find the best
        threshold by eye first.
    title
        What the map is called.
    show, alpha
        What is laid over the picture on the left, and how strongly; see `step_through`.

    Raises
    ------
    ValueError
        Picture, hierarchy and truths differ in size, there is no truth, or thresholds do not rise.

    Examples
    --------
    >>> from seglab import datasets
    >>> from seglab.methods import SLIC
    >>> from seglab.region_graph import merge_hierarchical
    >>> scene = datasets.shapes(height=48, width=64)
    >>> tree = merge_hierarchical(SLIC(n_segments=40).segment(scene.image).labels, scene.image, "boundary")
    >>> explorer = explore_cuts(tree, scene.image, scene.instances, thresholds=[0.01, 0.1, 0.9])
    >>> explorer.n_segments[-1]
    1
    """
    tree = hierarchy if isinstance(hierarchy, Hierarchy) else Hierarchy.from_contours(hierarchy)
    picture = as_image(image).cpu()
    size = tuple(tree.leaves.shape)
    if tuple(picture.shape[-2:]) != size:
        raise ValueError(f"the picture is {tuple(picture.shape[-2:])} and the hierarchy {size}: they need one size")
    maps, _ = label_maps(truths, tree.leaves)
    heights = spread_cuts(tree, thresholds) if isinstance(thresholds, int) else np.asarray(thresholds, float)
    if heights.ndim != 1 or not len(heights) or (np.diff(heights) <= 0).any():
        raise ValueError(f"thresholds must rise, and there must be at least one; got {list(heights)}")
    at = len(heights) // 2 if index is None else index
    return CutExplorer(tree, picture, maps, heights, index=at, reveal=reveal, title=title, show=show, alpha=alpha)
