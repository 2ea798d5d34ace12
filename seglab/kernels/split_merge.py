"""Blocks of a quadtree: where they lie, how much they vary, and neighbors that are joined again.

A side of n pixels is halved again and again, the lower half the smaller by one where n is odd. So all blocks of one
depth make a grid, and what is known of them (sums of colors, of squares, lowest and highest values) follows from the
finest grid by adding up pairs of rows and columns. All sums are whole numbers: exact, on every device. Who is joined
first depends on all before it: joining is compiled, and runs on the CPU.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seglab.kernels._whole import WholeColors

__all__ = ["FAR", "Grid", "Predicate", "Pyramid", "Stats", "halvings", "join_neighbors", "neighboring_blocks", "varies"]

Predicate = Literal["std", "range", "share", "none"]
FAR = 0.2  # of the pixels may be far from the mean, where the predicate is "share"
_NUMBER = {"std": 0, "range": 1, "share": 2}


def halvings(n: int, min_block: int = 1) -> list[Tensor]:
    """Where the parts of a side of n pixels begin and end, at each depth until none is halved.

    A part is halved if both halves have at least ``min_block`` pixels.

    Examples
    --------
    >>> [bounds.tolist() for bounds in halvings(5, 1)]
    [[0, 5], [0, 2, 5], [0, 1, 2, 3, 5], [0, 1, 2, 3, 4, 5]]
    """
    found = [torch.tensor([0, n])]
    while True:
        bounds = found[-1]
        lengths = bounds.diff()
        halved = lengths >= 2 * min_block
        if not bool(halved.any()):
            return found
        found.append(torch.cat([bounds, (bounds[:-1] + lengths // 2)[halved]]).sort().values)


class Stats(NamedTuple):
    """What is known of the colors of blocks, any shape (...).

    Attributes
    ----------
    sizes
        (...) int64, how many pixels.
    sums
        (D, ...) int64.
    squares
        (...) int64, the sum of squares over all channels.
    lows, highs
        (D, ...) int32 each, or (0, ...) where they are not wanted.
    """

    sizes: Tensor
    sums: Tensor
    squares: Tensor
    lows: Tensor
    highs: Tensor


@dataclass(frozen=True, eq=False)
class Grid:
    """The bounds of all blocks of one depth.

    Attributes
    ----------
    rows, cols
        (R + 1,) and (C + 1,) int64.
    row_parent, col_parent
        (R,) and (C,) int64: in which row and column of blocks of the depth above each lies.
    """

    rows: Tensor
    cols: Tensor
    row_parent: Tensor
    col_parent: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of blocks."""
        return len(self.rows) - 1, len(self.cols) - 1

    def boxes(self, which: Tensor) -> Tensor:
        """The bounds (n, 4) of those blocks that a mask (R, C) names: top, left, bottom, right."""
        i, j = which.nonzero().unbind(1)
        return torch.stack([self.rows[i], self.cols[j], self.rows[i + 1], self.cols[j + 1]], dim=1)

    def under(self, values: Tensor) -> Tensor:
        """What each block's parent has, (R, C), for values of the depth above."""
        return values[self.row_parent][:, self.col_parent]

    def painted(self, values: Tensor) -> Tensor:
        """(H, W): what each pixel's block has."""
        return values.repeat_interleave(self.rows.diff(), 0).repeat_interleave(self.cols.diff(), 1)


@dataclass(frozen=True, eq=False)
class Pyramid:
    """The blocks of each depth, the whole picture first, and what is known of them."""

    colors: WholeColors
    grids: tuple[Grid, ...]
    stats: tuple[Stats, ...]
    predicate: Predicate
    threshold: float

    @classmethod
    def of(
        cls, colors: WholeColors, predicate: Predicate, threshold: float, min_block: int = 1, max_depth: int = 64
    ) -> Pyramid:
        """Look at each pixel once, then at pairs of rows and columns of blocks."""
        height, width = colors.values.shape[:2]
        grids = make_grids(height, width, min_block, colors.values.device)[: max_depth + 1]
        stats = [_finest(colors.values, grids[-1], predicate == "range")]
        for below, above in zip(grids[:0:-1], grids[-2::-1], strict=True):
            stats.append(_coarser(stats[-1], below, above))
        return cls(colors, grids, tuple(stats[::-1]), predicate, threshold)

    @property
    def limit(self) -> float:
        """The largest measure of a block that is homogeneous."""
        if self.predicate == "none":
            return -math.inf
        return FAR if self.predicate == "share" else self.colors.square(self.threshold)

    def splittable(self, depth: int) -> Tensor:
        """(R, C) bool: which blocks of a depth have smaller ones."""
        if depth == len(self.grids) - 1:
            return torch.zeros(self.grids[depth].shape, dtype=torch.bool, device=self.colors.values.device)
        below = self.grids[depth + 1]
        rows, cols = (torch.bincount(parent) > 1 for parent in (below.row_parent, below.col_parent))
        return rows[:, None] | cols

    def measure(self, depth: int, which: Tensor) -> Tensor:
        """How much the blocks of a depth that a mask (R, C) names vary, (n,): see `varies`."""
        stats = Stats(*(values[..., which] for values in self.stats[depth]))
        if self.predicate != "share":
            return varies(stats, self.predicate)
        boxes = self.grids[depth].boxes(which)
        means = (stats.sums.to(_double(stats.sums)) / stats.sizes).T.contiguous()
        return self.outliers(boxes, means).to(means.dtype) / stats.sizes

    def outliers(self, boxes: Tensor, means: Tensor) -> Tensor:
        """How many pixels of each box (n, 4) are farther than the threshold from a color (n, D): (n,) int64."""
        values, limit = self.colors.values, self.colors.square(self.threshold)
        if _compiled(values.device):
            out = torch.zeros(len(boxes), dtype=torch.int64)
            _loops().outliers(values.numpy(), boxes.numpy(), means.numpy(), limit, out.numpy())
            return out
        top, left, bottom, right = boxes.unbind(1)
        which = torch.arange(len(boxes), device=boxes.device).repeat_interleave((bottom - top) * (right - left))
        place = torch.arange(len(which), device=boxes.device)
        place = place - torch.searchsorted(which, which)  # the pixel's number in its box
        wide = (right - left)[which]
        pixels = values[top[which] + place // wide, left[which] + place % wide].to(means.dtype) - means[which]
        apart = functools.reduce(torch.add, (channel * channel for channel in pixels.unbind(1)))
        return torch.bincount(which[apart > limit], minlength=len(boxes))


def varies(stats: Stats, predicate: Predicate) -> Tensor:
    """The variance of blocks about their mean color, or the squared diagonal of the box of their colors, (...)."""
    kind = _double(stats.sums)
    if predicate == "range":
        return functools.reduce(torch.add, ((stats.highs - stats.lows).to(kind) ** 2).unbind(0))
    means = stats.sums.to(kind) / stats.sizes
    return stats.squares.to(kind) / stats.sizes - functools.reduce(torch.add, (means * means).unbind(0))


def make_grids(height: int, width: int, min_block: int, device: torch.device | str = "cpu") -> tuple[Grid, ...]:
    """The grids of all depths, until no side is halved any more."""
    rows, cols = halvings(height, min_block), halvings(width, min_block)
    depths = max(len(rows), len(cols))
    rows, cols = (sides + [sides[-1]] * (depths - len(sides)) for sides in (rows, cols))
    grids = []
    for depth in range(depths):
        parents = [
            torch.searchsorted(sides[max(depth - 1, 0)], sides[depth][:-1], right=True) - 1 for sides in (rows, cols)
        ]
        grids.append(Grid(*(tensor.to(device) for tensor in (rows[depth], cols[depth], *parents))))
    return tuple(grids)


def _finest(colors: Tensor, grid: Grid, with_range: bool) -> Stats:
    channels, shape, device = colors.shape[2], grid.shape, colors.device
    sizes = grid.rows.diff()[:, None] * grid.cols.diff()
    sums = torch.zeros((channels, *shape), dtype=torch.int64, device=device)
    squares = torch.zeros(shape, dtype=torch.int64, device=device)
    bounded = (channels if with_range else 0, *shape)
    lows = torch.full(bounded, 2**15, dtype=torch.int32, device=device)
    highs = torch.full(bounded, -(2**15), dtype=torch.int32, device=device)
    row_of, col_of = (
        torch.arange(len(n), device=device).repeat_interleave(n) for n in (grid.rows.diff(), grid.cols.diff())
    )
    if _compiled(device):
        arrays = colors.numpy(), row_of.numpy(), col_of.numpy()
        _loops().add_blocks(*arrays, sums.numpy(), squares.numpy())
        if with_range:
            _loops().bound_blocks(*arrays, lows.numpy(), highs.numpy())
        return Stats(sizes, sums, squares, lows, highs)
    index = (row_of[:, None] * shape[1] + col_of).flatten()
    for c, plane in enumerate(colors.unbind(2)):
        values = plane.flatten().to(torch.int64)
        sums[c].view(-1).index_add_(0, index, values)
        squares.view(-1).index_add_(0, index, values * values)
        if with_range:
            lows[c].view(-1).scatter_reduce_(0, index, plane.flatten().to(torch.int32), "amin")
            highs[c].view(-1).scatter_reduce_(0, index, plane.flatten().to(torch.int32), "amax")
    return Stats(sizes, sums, squares, lows, highs)


def _coarser(stats: Stats, below: Grid, above: Grid) -> Stats:
    """What is known of the blocks above, from that of the one, two or four below each."""
    first, last = _first_and_last(below.row_parent, below.col_parent)

    def put_together(values: Tensor, how: Any, neutral: int) -> Tensor:
        for dim in (-2, -1):
            a, b = values.index_select(dim, first[dim]), values.index_select(dim, last[dim])
            alone = (first[dim] == last[dim])[:, None] if dim == -2 else first[dim] == last[dim]
            values = how(a, b.masked_fill(alone, neutral))
        return values

    return Stats(
        above.rows.diff()[:, None] * above.cols.diff(),
        put_together(stats.sums, torch.add, 0),
        put_together(stats.squares, torch.add, 0),
        put_together(stats.lows, torch.minimum, 2**15),
        put_together(stats.highs, torch.maximum, -(2**15)),
    )


def _first_and_last(row_parent: Tensor, col_parent: Tensor) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    ends = {dim: torch.bincount(parent).cumsum(0) for dim, parent in ((-2, row_parent), (-1, col_parent))}
    first = {dim: torch.cat([end.new_zeros(1), end[:-1]]) for dim, end in ends.items()}
    return first, {dim: end - 1 for dim, end in ends.items()}


# ---- neighbors --------------------------------------------------------------------------------------------------


def neighboring_blocks(blocks: Tensor) -> Tensor:
    """Pairs of neighbors (E, 2) int64, the lower number first, from the number of the block at each place of a grid.

    In the order of their first places, those side by side before those one above the other. Two blocks meet along one
    straight line, so that every pair is found once, where that line begins.
    """
    pairs = []
    for dim in (1, 0):
        n = blocks.shape[dim]
        one, other = blocks.narrow(dim, 0, max(n - 1, 0)), blocks.narrow(dim, 1, max(n - 1, 0))
        begins = one != other
        along = 1 - dim
        if blocks.shape[along] > 1:
            m = blocks.shape[along] - 1
            goes_on = (one.narrow(along, 0, m) == one.narrow(along, 1, m)) & (
                other.narrow(along, 0, m) == other.narrow(along, 1, m)
            )
            begins.narrow(along, 1, m).logical_and_(~goes_on)
        pairs.append(torch.stack([one[begins], other[begins]], dim=1))
    edges = torch.cat(pairs)
    return torch.stack([edges.amin(1), edges.amax(1)], dim=1)


def join_neighbors(
    pyramid: Pyramid, leaves: Stats, boxes: Tensor, edges: Tensor, regions: Tensor, limit: float | None = None
) -> tuple[Tensor, int]:
    """Join neighboring regions whose union varies by no more than the limit, that which varies least first.

    Parameters
    ----------
    pyramid
        Of the picture.
    leaves
        What is known of the leaves, (M,) or (D, M).
    boxes
        (M, 4) their bounds.
    edges
        (E, 2) pairs of leaves that are neighbors.
    regions
        (M,) int64: the first leaf of each leaf's region.
    limit
        In the units of `varies`; for ``"share"`` a share. The pyramid's own, by default.

    Returns
    -------
    regions
        Afterwards.
    joined
        How many pairs of regions were joined.

    Notes
    -----
    Pairs wait in a queue by what their union measures, rounded to a 4096th of the limit (of its root, where it is a
    square), equal ones in the order of ``edges``. When its turn comes a pair is measured again, for both sides may have
    grown, and if it measures more it waits on. The range of a union is never less than that of its parts, so with it
    this is the best pair at any time; a variance may fall, which is then seen when the turn has come.
    """
    apart = regions[edges[:, 0]] != regions[edges[:, 1]]
    parent = regions.cpu().numpy().copy()
    arrays = [values.movedim(-1, 0).cpu().numpy().copy() for values in leaves]
    joined = _loops().merge(
        np.ascontiguousarray(edges[apart].cpu().numpy()),
        parent,
        _NUMBER[pyramid.predicate],
        *arrays,
        np.ascontiguousarray(boxes.cpu().numpy()),
        pyramid.colors.values.cpu().numpy(),
        pyramid.colors.square(pyramid.threshold),
        pyramid.limit if limit is None else limit,
    )
    return torch.from_numpy(parent).to(regions.device), int(joined)


def _compiled(device: torch.device) -> bool:
    """Whether compiled loops do the work; elsewhere torch does."""
    return device.type == "cpu"


@functools.cache
def _loops() -> Any:
    from seglab.kernels import _split_merge_loops  # here, because compiling takes a moment

    return _split_merge_loops


def _double(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64
