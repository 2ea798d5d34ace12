"""Split and merge: halve what is not even, then join neighbors that are even together.

The whole picture is one block. A block that is not homogeneous is cut into four, and each of these again, until all are
homogeneous or too small: a quadtree. Its cuts lie where halving put them, not where objects end, so neighboring blocks
whose union is homogeneous are joined, the most even first, until there is none. What is sought is a partition into
regions R of which each satisfies a predicate P(R), while no two neighbors do together: P(R ∪ R′) is false.

S. L. Horowitz and T. Pavlidis (1976). Picture segmentation by a tree traversal algorithm. Journal of the ACM 23(2),
368–388. doi:10.1145/321941.321956

*Differs from the paper*: it begins at a depth in the middle of the tree and merges four siblings before it splits; here
splitting begins with the whole picture. Sides need not be powers of two. Predicates are a choice, of which the paper's
is ``"range"``, and pairs are joined best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from seglab.kernels._whole import WholeSpace, whole_colors
from seglab.kernels.split_merge import Predicate, Pyramid, Stats, join_neighbors, neighboring_blocks
from seglab.panels import Curve, Histogram, Lines, Panel
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status

__all__ = ["Leaves", "SplitMerge", "SplitMergeState", "leaves_of"]

ROUNDS = 8  # in which the limit for joining rises to its full height; then until nothing is joined


@dataclass(frozen=True, eq=False)
class Leaves:
    """The blocks that are not halved, in the order of their first pixels.

    Attributes
    ----------
    where
        (R, C) int64: which of them lies at each place of the finest grid so far.
    boxes
        (M, 4) int64: top, left, bottom, right.
    stats
        What is known of them, (M,) or (D, M).
    """

    where: Tensor
    boxes: Tensor
    stats: Stats


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitMergeState(State):
    """A quadtree, as deep as it is so far, and which of its leaves are joined.

    Attributes
    ----------
    pyramid
        All blocks there could be and what is known of them; the same in all states.
    halved
        For each depth, a mask (R, C) of the blocks that are halved.
    leaves
        Once the tree is complete; else None.
    regions
        (M,) int64: the first leaf of each leaf's region, once the tree is complete; else None.
    round
        How many rounds of joining there were.
    counts
        How many segments there were at the start and after each step.
    """

    pyramid: Pyramid
    halved: tuple[Tensor, ...] = ()
    leaves: Leaves | None = None
    regions: Tensor | None = None
    round: int = 0
    counts: tuple[int, ...] = (1,)

    @property
    def depth(self) -> int:
        """The deepest level of the tree; the whole picture is at 0."""
        return len(self.halved)

    @cached_property
    def tree(self) -> Leaves:
        """The leaves, complete or not."""
        return leaves_of(self.pyramid, self.halved) if self.leaves is None else self.leaves

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: segments, numbered in the order of their first pixels."""
        where = self.tree.where
        if self.regions is not None:
            first = self.regions == torch.arange(len(self.regions), device=self.regions.device)
            where = (first.cumsum(0) - 1)[self.regions][where]
        return self.pyramid.grids[self.depth].painted(where)

    def describe(self) -> str:
        """What the step did, and how many segments there are."""
        what = f"{self.round} rounds of joining" if self.round else f"depth {self.depth}"
        return f"{what} · {len(self.tree.boxes)} blocks · {self.counts[-1]} segments"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The quadtree over the picture; how even the blocks are that come next; the number of segments."""
        tree = Lines(title="quadtree", lines=_corners(self.tree.boxes.cpu()))
        counts = Curve(
            title="segments after each step",
            x=range(len(self.counts)),
            curves={"segments": self.counts},
            x_label="step",
            y_label="segments",
        )
        return (tree, *_evenness(self), *([counts] if self.n_iter else []))  # one point is no curve


@dataclass(frozen=True, kw_only=True)
class SplitMerge(Segmenter[SplitMergeState], name="split_merge"):
    """Halve blocks until they are homogeneous, then join neighbors that are so together.

    Parameters
    ----------
    predicate
        When a region is homogeneous, with a threshold τ for colors x with mean m: ``"std"``, the root mean square of
        ‖x − m‖ is at most τ; ``"range"``, so is the diagonal of the box that holds all colors (max − min, where there
        is one channel); ``"share"``, ‖x − m‖ ≤ τ for 80 % of the pixels; ``"none"``, never: a quadtree by depth alone.
    threshold
        τ, where black to white is 1 (in CIELAB and CIELUV, hundredths of their units; in RGB, the root mean square over
        channels). Higher: larger blocks, fewer segments. ``"none"`` does not look at it.
    min_block
        The least height and width of a block, in pixels: what would become smaller is not halved.
    max_depth
        How often a block may be halved.
    merge
        Join neighbors afterwards; without it, segments are the blocks of the quadtree.
    color_space
        In which colors are compared.

    Notes
    -----
    A side of odd length is halved into a smaller first and a larger second part. Of a block, only those sides are
    halved whose halves are long enough: four parts, or two. A block that is too small to be halved and not homogeneous
    stays; every other segment is homogeneous, whatever is joined.

    The limit for joining rises in eight rounds, by equal steps of τ (of the share, by squares); in each, pairs whose
    union is most even come first, to a 4096th of the limit, equal ones in the order in which they were queued. The last
    round is repeated until it joins nothing. Sharing one boundary segment is being neighbors; corners do not count.

    The bound of ``"share"`` is a parameter. Textbooks take twice the standard deviation of the region itself; within
    that lie at least 75 % of any set of numbers, so that hardly a region would fail.

    Colors are rounded to 4080 steps from black to white: the levels of an 8-bit picture are exact, and so are sums and
    the result, on every device. Halving looks at each pixel once, then at pairs of blocks; joining is compiled, and
    runs on the CPU. With ``"share"``, all pixels of a union are looked at each time: it takes far longer.

    Examples
    --------
    >>> from seglab.datasets import tiny
    >>> SplitMerge(threshold=0.1, merge=False).segment(tiny("island").image).n_segments
    27
    >>> SplitMerge(threshold=0.1).segment(tiny("island").image).n_segments
    2
    """

    title = "split and merge"

    predicate: Predicate = param("std", help="when a region is homogeneous")
    threshold: float = param(
        0.06, low=0.01, high=0.5, scale="log", valid="[0, inf)", help="largest deviation; black to white is 1"
    )
    min_block: int = param(1, low=1, high=32, scale="log", unit="px", valid="[1, inf)", help="least side of a block")
    max_depth: int = param(16, low=0, high=16, valid="[0, inf)", help="how often a block may be halved")
    merge: bool = param(True, help="join neighbors that are homogeneous together")
    color_space: WholeSpace = param("lab", help="color space in which deviations are measured")

    def init(self, image: Tensor) -> SplitMergeState:
        """The whole picture, one block."""
        colors = whole_colors(image, self.color_space)
        return SplitMergeState(
            pyramid=Pyramid.of(colors, self.predicate, self.threshold, self.min_block, self.max_depth)
        )

    def step(self, image: Tensor, state: SplitMergeState) -> SplitMergeState:
        """Halve the blocks of one depth; when there are none, one round of joining."""
        return self._split(state) if state.regions is None else self._join(state)

    def _split(self, state: SplitMergeState) -> SplitMergeState:
        pyramid, depth = state.pyramid, state.depth
        halved = _nodes(pyramid, state.halved) & pyramid.splittable(depth)
        if pyramid.predicate != "none":
            halved[halved.clone()] = pyramid.measure(depth, halved) > pyramid.limit
        n_iter = state.n_iter + 1
        if bool(halved.any()):
            more = int(pyramid.grids[depth + 1].under(halved).sum()) - int(halved.sum())
            counts = (*state.counts, state.counts[-1] + more)
            return replace(state, n_iter=n_iter, halved=(*state.halved, halved), counts=counts)
        regions = torch.arange(len(state.tree.boxes), device=halved.device)
        joins = self.merge and pyramid.predicate != "none" and len(regions) > 1
        new = replace(state, n_iter=n_iter, leaves=state.tree, regions=regions, counts=(*state.counts, len(regions)))
        return new if joins else replace(new, code=Status.CONVERGED)

    def _join(self, state: SplitMergeState) -> SplitMergeState:
        pyramid, tree, regions = state.pyramid, state.tree, state.regions
        assert regions is not None
        level = min(1.0, (state.round + 1) / ROUNDS) if pyramid.limit > 0 else 1.0
        edges = neighboring_blocks(tree.where)
        regions, joined = join_neighbors(pyramid, tree.stats, tree.boxes, edges, regions, pyramid.limit * level**2)
        left = state.counts[-1] - joined
        over = left == 1 or (level == 1 and joined == 0)
        return replace(
            state,
            n_iter=state.n_iter + 1,
            code=Status.CONVERGED if over else Status.RUNNING,
            regions=regions,
            round=state.round + 1,
            counts=(*state.counts, left),
        )


# ---- the tree ---------------------------------------------------------------------------------------------------


def leaves_of(pyramid: Pyramid, halved: Sequence[Tensor]) -> Leaves:
    """The leaves of a quadtree.

    Parameters
    ----------
    pyramid
        Of the picture.
    halved
        For each depth but the deepest, a mask (R, C) of the blocks that are halved.
    """
    height, width = pyramid.colors.values.shape[:2]
    grids = pyramid.grids[: len(halved) + 1]
    node = torch.ones(1, 1, dtype=torch.bool, device=pyramid.colors.values.device)
    corner = torch.zeros(1, 1, dtype=torch.int64, device=node.device)  # of the leaf at each place, as a pixel's number
    boxes, stats = [], []
    for depth, grid in enumerate(grids):
        if depth:
            node = grid.under(node & halved[depth - 1])
            own = grid.rows[:-1, None] * width + grid.cols[:-1]
            corner = torch.where(node, own, grid.under(corner))
        leaf = node & ~halved[depth] if depth < len(halved) else node
        boxes.append(grid.boxes(leaf))
        stats.append([values[..., leaf] for values in pyramid.stats[depth]])
    first = torch.zeros(height * width, dtype=torch.bool, device=node.device)
    first[corner.flatten()] = True
    found = torch.cat(boxes)
    order = (found[:, 0] * width + found[:, 1]).argsort()
    joined = Stats(*(torch.cat(parts, dim=-1)[..., order] for parts in zip(*stats, strict=True)))
    return Leaves((first.cumsum(0) - 1)[corner], found[order], joined)


def _nodes(pyramid: Pyramid, halved: Sequence[Tensor]) -> Tensor:
    """Which blocks (R, C) of the depth below the last are in the tree."""
    if not halved:
        return torch.ones(1, 1, dtype=torch.bool, device=pyramid.colors.values.device)
    return pyramid.grids[len(halved)].under(halved[-1])


# ---- what is shown ----------------------------------------------------------------------------------------------


def _corners(boxes: Tensor) -> tuple[Tensor, ...]:
    """The left and the top side of each box; the others are its neighbors' or the picture's."""
    top, left, bottom, right = (boxes.to(torch.float32) - 0.5).unbind(1)
    lines = torch.stack([bottom, left, top, left, top, right], dim=1).reshape(-1, 3, 2)
    return tuple(lines.unbind())


def _evenness(state: SplitMergeState) -> tuple[Histogram, ...]:
    """How uneven the blocks are of which some are halved next; nothing once the tree is complete."""
    pyramid = state.pyramid
    if state.regions is not None or pyramid.predicate == "none":
        return ()
    measure = pyramid.measure(state.depth, _nodes(pyramid, state.halved))
    limit, label = state.pyramid.limit, "share of pixels that are far from the mean"
    if pyramid.predicate != "share":
        measure, limit = (measure.clamp(min=0) / pyramid.colors.white).sqrt(), pyramid.threshold
        label = {"std": "standard deviation", "range": "range"}[pyramid.predicate] + " (black to white is 1)"
    high = 1.0 if pyramid.predicate == "share" else max(0.2, 3 * limit)
    return (
        Histogram(
            title="the blocks of this depth: how uneven",
            edges=torch.linspace(0, high, 41),
            counts=torch.histc(measure.float().cpu().clamp(max=high), 40, 0, high),
            marks={"threshold": limit},
            x_label=label,
            y_label="blocks",
        ),
    )
