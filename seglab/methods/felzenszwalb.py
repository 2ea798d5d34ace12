"""Felzenszwalb–Huttenlocher: edges between pixels, lightest first, join regions unless there is a boundary.

Each pixel is a region, each edge weighs how much its two pixels differ. Of two regions A and B, the internal difference
Int is the heaviest edge of a region's minimum spanning tree: how much it varies within. An edge of weight w joins A and
B if w ≤ min(Int(A) + k/|A|, Int(B) + k/|B|): not much more between them than within them, where small regions are given
room by the scale k. One pass over the sorted edges, so the work is mostly that of sorting.

P. F. Felzenszwalb and D. P. Huttenlocher (2004). Efficient graph-based image segmentation. International Journal of
Computer Vision 59(2), 167–181. doi:10.1023/B:VISI.0000022288.19776.77

*Differs from the paper*: colors are compared by their Euclidean distance, as the authors' own program does (the paper
segments each channel and intersects the results). Borders are mirrored where a picture is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from seglab.hierarchy import Hierarchy
from seglab.image import as_image
from seglab.kernels.felzenszwalb import (
    Edges,
    absorb,
    grid_edges,
    join,
    nearest_edges,
    region_edges,
    roots,
    smooth,
)
from seglab.labels import segment_sizes
from seglab.panels import Histogram, Lines, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status

__all__ = [
    "Edges",
    "Felzenszwalb",
    "FelzenszwalbState",
    "absorb",
    "grid_edges",
    "join",
    "nearest_edges",
    "region_edges",
    "smooth",
]

_LEVELS = 255  # what the range [0, 1] of a picture is in the units of scale
_DRAWN = 1024  # pixels, up to which the edges themselves are shown
_Forest = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class FelzenszwalbState(State):
    """A forest over the pixels, each tree a region.

    Attributes
    ----------
    parent
        (N,) int32: another pixel of the same tree, nearer to its root; a root is its own.
    size
        (N,) int32: |C|, the number of pixels, at the root of each region C.
    internal
        (N,) Int(C), the heaviest edge of its tree, at the root of each region; in units of the picture's range [0, 1].
    edges
        All edges, lightest first; the same in all states.
    passed
        How many of the edges have been looked at, counted on in the second pass: 0 … 2E.
    batch
        How many before this step.
    joined
        For each step, the places in ``edges`` of those that have joined two regions, int64.
    """

    parent: Tensor
    size: Tensor
    internal: Tensor
    edges: Edges
    passed: int = 0
    batch: int = 0
    joined: tuple[Tensor, ...] = ()

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the regions, numbered by their first pixel."""
        return self._numbered[0].reshape(self.edges.shape)

    @cached_property
    def _numbered(self) -> tuple[Tensor, Tensor]:
        labels, found = roots(self.parent.cpu().numpy())
        return torch.from_numpy(labels).to(self.parent.device), torch.from_numpy(found).to(self.parent.device)

    @property
    def n_regions(self) -> int:
        """How many regions there are."""
        return len(self.parent) - sum(map(len, self.joined))

    def describe(self) -> str:
        """How far the pass has come, and how many regions are left."""
        n = len(self.edges)
        if self.passed == 0:
            return f"{n} edges · {self.n_regions} regions"
        place = (self.passed - 1) % n
        what = "edges" if self.passed <= n else "small regions, edges"
        return f"{what} up to {_LEVELS * float(self.edges.weights[place]):.3g} levels · {self.n_regions} regions"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The edges that have joined pixels, or where there are too many, what they have come to; and all weights."""
        if len(self.edges) == 0:
            return ()
        first = _forest_lines(self) if len(self.parent) <= _DRAWN else _internal_picture(self)
        return (first, _weight_histogram(self))


@dataclass(frozen=True, kw_only=True)
class Felzenszwalb(Segmenter[FelzenszwalbState], name="felzenszwalb"):
    """Join pixels to regions along the edges of a graph, lightest first, where there is no boundary between them.

    There is one between A and B where w > min(Int(A) + k/|A|, Int(B) + k/|B|): the lightest edge w that joins them is
    heavier than the heaviest within one of them, Int, and what its size |A| or |B| allows beyond that.

    Parameters
    ----------
    scale
        The paper's k, for weights in levels of 0 to 255, times pixels: a region of n pixels may differ from its
        neighbor by ``scale / n`` levels more than within. The same number as scikit-image's ``scale`` (which divides
        it by 255 for pictures in [0, 1], as here). Higher: fewer and larger regions. It is no least size: where there
        is enough contrast, small regions stay.
    sigma
        The standard deviation in pixels of the Gaussian that smooths the picture first, against noise and the traces of
        compression; 0 for none.
    min_size
        In a second pass over the edges, a region of fewer pixels is joined with that at the other end of its lightest
        edge. 0 or 1: none.
    graph
        ``"grid"`` joins each pixel with its neighbors in the picture; regions are connected. ``"nearest"`` joins it
        with the pixels that are nearest in color and place together (section 6 of the paper); a region may then be in
        several parts, such as what is seen between leaves.
    connectivity
        4 or 8 neighbors on the grid.
    n_neighbors, spatial_weight
        Of the other graph: how many neighbors, and how many levels of color a step of one pixel is worth.
    n_batches
        A step is this part of the sorted edges, and one in five batches more go over them again for ``min_size``. It
        makes no difference to the result.

    Notes
    -----
    Before small regions are joined, the result is neither too fine nor too coarse in the sense of the paper: between
    any two neighboring regions there is a boundary, and no region could be divided so that there would be one between
    its parts. It depends on the order of edges that weigh the same, here a fixed one: all edges to the right, row by
    row, then all down, down right and down left (of the other graph, by the numbers of their pixels). scikit-image
    leaves the order to its sort, and joins only where w is strictly less; on pictures without ties the partitions are
    the same, up to rounding (it computes in double precision).

    E log E for sorting, nearly E for the two passes: N pixels have about 4N edges. Memory: at most about 64 bytes a
    pixel on a grid of 8 neighbors. Smoothing, weights and sorting run on the picture's device, the passes on the CPU:
    what an edge does depends on all before it.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> result = Felzenszwalb(scale=100).segment(shapes(height=48, width=64).image)
    >>> result.shape, str(result.status), result.n_segments == result.state.n_regions
    ((48, 64), 'converged', True)
    """

    title = "Felzenszwalb–Huttenlocher"

    scale: float = param(
        300.0, low=10, high=10000, scale="log", valid="[0, inf)", unit="levels × px", help="k; higher: larger regions"
    )
    sigma: float = param(0.8, low=0, high=3, valid="[0, inf)", unit="px", help="smoothing before, standard deviation")
    min_size: int = param(50, low=1, high=1000, scale="log", valid="[0, inf)", unit="px", help="smallest region left")
    graph: Literal["grid", "nearest"] = param("grid", help="neighbors in the picture, or in color and place together")
    connectivity: Literal[4, 8] = param(8, help="neighbors of a pixel on the grid", when={"graph": "grid"})
    n_neighbors: int = param(
        10, low=4, high=30, valid="[1, inf)", help="nearest pixels in color and place", when={"graph": "nearest"}
    )
    spatial_weight: float = param(
        1.0, low=0.1, high=10, scale="log", valid="(0, inf)", unit="levels / px", help="weight of the place",
        when={"graph": "nearest"},
    )  # fmt: skip
    n_batches: int = param(20, low=5, high=50, valid="[1, inf)", help="steps to show; the result is the same")

    def init(self, image: Tensor) -> FelzenszwalbState:
        """Smooth the picture, make its graph and sort the edges; each pixel is a region."""
        edges = self._edges(image)
        n, device = image[0].numel(), image.device
        return FelzenszwalbState(
            code=Status.RUNNING if len(edges) else Status.CONVERGED,
            parent=torch.arange(n, dtype=torch.int32, device=device),
            size=torch.ones(n, dtype=torch.int32, device=device),
            internal=torch.zeros(n, dtype=edges.weights.dtype, device=device),
            edges=edges,
        )

    def step(self, image: Tensor, state: FelzenszwalbState) -> FelzenszwalbState:
        """Pass over one batch of edges."""
        forest = _copied(state)
        return _with_forest(self._next(state, forest), forest)

    def solve(self, image: Tensor, state: FelzenszwalbState) -> FelzenszwalbState | None:
        """The same steps on one copy of the forest."""
        forest = _copied(state)
        try:
            while state.status is Status.RUNNING:
                state = self._next(state, forest)
        except KeyboardInterrupt:
            pass  # where a batch is done that the state does not know of, doing it again changes nothing
        return _with_forest(state, forest)

    def hierarchy(self, image: Any, scales: Sequence[float], *, device: torch.device | str | None = None) -> Hierarchy:
        """Nested segmentations of a picture, one for each scale; ``scale`` itself is not looked at.

        The finest is that of ``segment`` at the lowest scale. For each higher one the regions of the last are the nodes
        of a graph, joined with their neighbors in the picture, an edge weighing the distance of their mean colors; the
        same predicate decides, |C| still counting pixels (as Grundmann, Kwatra, Han and Essa build theirs of a film,
        CVPR 2010, doi:10.1109/CVPR.2010.5539893, with histograms of colors). `segment` at a higher scale would start
        from pixels instead, and its regions need not be made of those at a lower one. Let scales rise by factors: a
        region of n pixels needs one of n times the difference.

        Parameters
        ----------
        image
            Anything that `seglab.image.as_image` takes.
        scales
            Rising, at least one.
        device
            Where to smooth, weigh and sort; where the picture is, by default.

        Returns
        -------
        Hierarchy
            Its heights are the scales: ``hierarchy.cut(scales[i])`` is the segmentation of the i-th.

        Raises
        ------
        ValueError
            The scales do not rise, there are none, or one is below 0.

        Examples
        --------
        >>> from seglab.datasets import shapes
        >>> tree = Felzenszwalb(min_size=20).hierarchy(shapes(height=48, width=64).image, [50, 200, 5000])
        >>> n = [len(tree.cut(scale).unique()) for scale in (50, 200, 5000)]
        >>> n == sorted(n, reverse=True)
        True
        """
        levels = [float(scale) for scale in scales]
        if not levels or levels[0] < 0 or any(b <= a for a, b in pairwise(levels)):
            raise ValueError(f"scales must rise from 0 or more, such as [100, 300, 1000]; got {list(scales)}")
        picture = as_image(image, device=device)
        smoothed = smooth(picture, self.sigma)
        leaves = replace(self, scale=levels[0]).segment(picture).labels
        labels, pairs, heights = leaves, list[Tensor](), list[float]()
        for scale in levels[1:]:
            edges = region_edges(labels, smoothed, self.connectivity)
            sizes = segment_sizes(labels).to(torch.int32)
            parent = torch.arange(len(sizes), dtype=torch.int32)
            forest = parent.numpy(), sizes.cpu().numpy(), torch.zeros(len(sizes), dtype=edges.weights.dtype).numpy()
            joined = edges.pairs(
                torch.from_numpy(join(edges, forest, 0, len(edges), scale / _LEVELS)).to(labels.device)
            )
            leaf = torch.empty_like(sizes, dtype=torch.int64).scatter_(
                0, labels.flatten(), leaves.flatten()
            )  # any of each
            pairs.append(leaf[joined])
            heights += [scale] * len(joined)
            labels = torch.from_numpy(roots(forest[0])[0]).to(labels.device)[labels]
        ends = torch.cat(pairs) if pairs else leaves.new_empty(0, 2)
        return Hierarchy.from_edges(leaves, ends, torch.tensor(heights, dtype=torch.float64))

    def _edges(self, image: Tensor) -> Edges:
        smoothed = smooth(image, self.sigma)
        if self.graph == "nearest":
            return nearest_edges(smoothed, self.n_neighbors, self.spatial_weight)
        return grid_edges(smoothed, self.connectivity)

    def _next(self, state: FelzenszwalbState, forest: _Forest) -> FelzenszwalbState:
        """Write a batch into the forest, and return all else of the next state."""
        edges, start, n = state.edges, state.passed, len(state.edges)
        if start < n:
            stop = _end_of_batch(start, n, self.n_batches)
            joined = join(edges, forest, start, stop, self.scale / _LEVELS)
        else:
            stop = n + _end_of_batch(start - n, n, max(1, self.n_batches // 5))
            joined = absorb(edges, forest, start - n, stop - n, self.min_size)
        last = stop == 2 * n or (stop == n and self.min_size <= 1)
        places = torch.from_numpy(joined).to(edges.weights.device)
        return replace(
            state,
            n_iter=state.n_iter + 1,
            code=Status.CONVERGED if last else Status.RUNNING,
            passed=stop,
            batch=start,
            joined=(*state.joined, places),
        )


def _end_of_batch(start: int, n: int, n_batches: int) -> int:
    """The first of the places n/B, 2n/B, …, n, rounded down, that comes after ``start``."""
    return next(stop for i in range(1, n_batches + 1) if (stop := n * i // n_batches) > start)


def _copied(state: FelzenszwalbState) -> _Forest:
    parent, size, internal = (t.cpu().numpy().copy() for t in (state.parent, state.size, state.internal))
    return parent, size, internal


def _with_forest(state: FelzenszwalbState, forest: _Forest) -> FelzenszwalbState:
    parent, size, internal = (torch.from_numpy(array).to(state.parent.device) for array in forest)
    return replace(state, parent=parent, size=size, internal=internal)


# ---- what is shown ----------------------------------------------------------------------------------------------


def _forest_lines(state: FelzenszwalbState) -> Lines:
    height, width = state.edges.shape
    places = torch.cat([torch.empty(0, dtype=torch.int64, device=state.parent.device), *state.joined])
    ends = state.edges.pairs(places)
    lines = torch.stack([ends // width, ends % width], dim=2)  # (n, 2, 2)
    pixels = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    return Lines(title=f"{len(lines)} edges have joined pixels", lines=tuple(lines.cpu().unbind()), points=pixels)


def _internal_picture(state: FelzenszwalbState) -> Picture:
    labels, found = state._numbered
    internal = _LEVELS * state.internal[found.long()][labels].reshape(state.edges.shape)
    return Picture(title="internal difference (levels)", values=internal, low=0.0, high=_usual_weight(state))


def _usual_weight(state: FelzenszwalbState) -> float:
    """What one edge in a hundred exceeds, in levels; at least 1."""
    return max(1.0, _LEVELS * float(state.edges.weights[99 * (len(state.edges) - 1) // 100]))


def _weight_histogram(state: FelzenszwalbState) -> Histogram:
    weights, n = state.edges.weights, len(state.edges)
    high = _usual_weight(state)
    bounds = torch.linspace(0, high, 51, dtype=weights.dtype, device=weights.device)
    places = torch.searchsorted(weights, bounds / _LEVELS)
    joined = torch.cat([places[:0], *state.joined])
    bars = torch.histc(_LEVELS * weights[joined].float(), 50, 0, high)
    marks = {}
    if state.passed:
        lightest, heaviest = (_LEVELS * float(weights[p % n]) for p in (state.batch, state.passed - 1))
        marks = {"this batch from": min(lightest, high), "to": min(heaviest, high)}
    return Histogram(
        title="edge weights",
        edges=bounds,
        counts=places.diff(),
        curves={"have joined regions": bars},
        marks=marks,
        x_label="difference of colors (levels of 0 to 255)",
    )
