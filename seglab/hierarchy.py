"""Hierarchies of segmentations: built once, cut at any level for nothing.

Leaves are a label map; each merge joins two nodes into a new one at a height that never falls, as in SciPy's linkage
matrices. A cut at a height is the leaves with every merge up to that height done. Contour maps of the Berkeley kind
(ultrametric contour maps, at double size) go in and come out.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglab.labels import as_labels, connected_components, count_labels, jump, neighbor_views, relabel

__all__ = ["Hierarchy"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hierarchy:
    """A tree of merges over the segments of a label map.

    Parameters
    ----------
    leaves
        (H, W) int64: the finest segments, 0 … M − 1, all present; −1 where unassigned.
    merges
        (E, 2) int64, E < M: row i joins two nodes into the node M + i. Nodes below M are leaves. Each node is joined
        at most once; with E = M − 1 everything ends in one segment.
    heights
        (E,) floating: the height of each merge; never falls.

    Raises
    ------
    ValueError
        The heights fall, a node is joined before it exists or twice, or the leaves have gaps.

    Examples
    --------
    >>> tree = Hierarchy(
    ...     leaves=torch.tensor([[0, 1, 2]]), merges=torch.tensor([[0, 1], [3, 2]]), heights=torch.tensor([0.1, 0.5])
    ... )
    >>> tree.cut(0.1).tolist(), tree.cut_to(1).tolist()
    ([[0, 0, 1]], [[0, 0, 0]])
    """

    leaves: Tensor
    merges: Tensor
    heights: Tensor

    def __post_init__(self) -> None:
        merges, heights, n = self.merges, self.heights.contiguous(), self.n_leaves
        object.__setattr__(self, "heights", heights)  # a column of a linkage matrix has gaps, which searching minds
        if merges.ndim != 2 or merges.shape[1] != 2 or heights.shape != merges.shape[:1]:
            raise ValueError(f"merges are (E, 2) and heights (E,); got {tuple(merges.shape)}, {tuple(heights.shape)}")
        if count_labels(self.leaves) != n:
            raise ValueError(f"leaves must be numbered 0 … {n - 1} without gaps; see seglab.labels.relabel")
        if bool((heights[1:] < heights[:-1]).any()) or bool(torch.isnan(heights).any()):
            raise ValueError("the heights of merges must not fall; sort the merges by height, or use from_edges")
        made = n + torch.arange(len(merges), device=merges.device)[:, None]
        if bool((merges < 0).any()) or bool((merges >= made).any()):
            raise ValueError("merge i makes the node n_leaves + i, and joins two nodes made before it")
        if len(torch.unique(merges)) != merges.numel():
            raise ValueError("a node can be joined once only: afterwards, use the node that the merge has made")

    @classmethod
    def from_edges(cls, leaves: Any, edges: Any, heights: Any) -> Hierarchy:
        """Build by joining, in the order of their heights, the segments that edges connect (single linkage).

        Parameters
        ----------
        leaves
            A label map (H, W) of the finest segments, 0 … M − 1.
        edges
            (E, 2): pairs of leaves, in any order; those that connect what is connected already are passed over.
            A record of merges goes in too, each named by any leaf of its two sides.
        heights
            (E,): the height of each edge; equal heights keep their order.
        """
        labels = as_labels(leaves)
        pairs = torch.as_tensor(edges, dtype=torch.int64, device=labels.device).reshape(-1, 2)
        values = torch.as_tensor(heights, device=labels.device)
        values = values if values.is_floating_point() else values.to(torch.float64)
        values, order = torch.sort(values, stable=True)
        n = int(labels.max()) + 1
        merges, used = _link(pairs[order], torch.arange(n, device=labels.device))
        return cls(leaves=labels, merges=merges, heights=values[used])

    @classmethod
    def from_contours(cls, ucm: Any) -> Hierarchy:
        """Build from an ultrametric contour map at double size (2H + 1, 2W + 1).

        Pixels lie at the odd rows and columns, where the map must be 0; contours between them. A cut at any height t
        is the 8-connected labelling of ``ucm <= t``, read at every second row and column (Arbeláez, Maire, Fowlkes
        and Malik, TPAMI 2011, and the authors' ``contours2ucm`` and benchmark), exactly.

        Raises
        ------
        ValueError
            A shape that is no double size, a value below 0 or NaN, or a pixel that is a contour.
        """
        values = _contour_map(ucm)
        contour = values > 0
        sets = connected_components(torch.where(contour, -1, 0), 8)
        at_pixels = sets[1::2, 1::2].flatten()
        leaves = relabel(sets[1::2, 1::2])
        # What is joined: the connected parts at 0, then each place of a contour by itself. Only some parts are leaves.
        sets[contour] = int(sets.max()) + 1 + torch.arange(int(contour.sum()), device=values.device)
        leaf_of = torch.full((int(sets.max()) + 1,), -1, device=values.device)
        leaf_of[at_pixels] = leaves.flatten()
        edges, heights = _contour_edges(sets, values)
        heights, order = torch.sort(heights, stable=True)
        merges, used = _link(edges[order], leaf_of)
        return cls(leaves=leaves, merges=merges, heights=heights[used])

    @property
    def n_leaves(self) -> int:
        """M, the number of the finest segments."""
        return self._n_leaves

    @cached_property
    def _n_leaves(self) -> int:
        return int(self.leaves.max()) + 1

    @cached_property
    def levels(self) -> Tensor:
        """The different heights, rising: the cuts change at these and nowhere else."""
        return torch.unique(self.heights)

    def n_merges(self, height: float) -> int:
        """How many merges lie at or below a height (compared in the precision of ``heights``)."""
        at = torch.as_tensor(height, dtype=self.heights.dtype, device=self.heights.device)
        return int(torch.searchsorted(self.heights, at, right=True))

    def assign(self, n_merges: int) -> Tensor:
        """The segment of each leaf after the first ``n_merges`` merges: (M,) int64, numbered by the first leaf."""
        k, m = min(n_merges, len(self.merges)), self.n_leaves
        if m == 0:
            return self.leaves.new_zeros(0)
        parent = torch.arange(m + k, device=self.leaves.device)
        made = parent[m:, None].expand(-1, 2)
        root = jump(parent.scatter(0, self.merges[:k].flatten(), made.flatten()))[:m]
        return relabel(root[None])[0]

    def cut(self, height: float) -> Tensor:
        """The label map (H, W) after every merge at or below ``height``, numbered from 0; −1 stays."""
        return self._paint(self.assign(self.n_merges(height)))

    def cut_to(self, n_segments: int) -> Tensor:
        """The label map (H, W) with ``n_segments`` segments, or the nearest number that the tree has.

        Merges of equal height are done in their order, so that every number between the leaves' and the last is
        reached.
        """
        if n_segments < 1:
            raise ValueError(f"a picture has at least 1 segment; got n_segments={n_segments!r}")
        return self._paint(self.assign(max(self.n_leaves - n_segments, 0)))

    def _paint(self, segment: Tensor) -> Tensor:
        return torch.where(self.leaves >= 0, segment[self.leaves.clamp(min=0)], -1) if len(segment) else self.leaves

    def merge_heights(self, pairs: Tensor) -> Tensor:
        """The height at which two leaves are first in one segment, for pairs (P, 2): (P,).

        This is the tree's ultrametric distance (SciPy's ``cophenet``): 0 from a leaf to itself, inf where two never
        meet.
        """
        m = self.n_leaves
        nodes = torch.arange(m + len(self.merges), device=self.leaves.device)
        parent = nodes.scatter(0, self.merges.flatten(), nodes[m:, None].expand(-1, 2).flatten())
        a, b = _below_meeting(parent, *pairs.unbind(1))
        meeting = torch.where(parent[a] == parent[b], parent[a], -1)
        height = torch.cat([self.heights.new_zeros(m), self.heights])[meeting]
        return torch.where(a == b, 0, torch.where(meeting >= 0, height, torch.inf))

    def contours(self) -> Tensor:
        """The ultrametric contour map at double size (2H + 1, 2W + 1), the inverse of `from_contours`.

        Between two pixels lies the height at which they are first in one segment, at a corner the largest of the
        contours that end there, and at a pixel 0. Around unassigned pixels it is inf.
        """
        h, w = self.leaves.shape
        ucm = self.heights.new_zeros(2 * h + 1, 2 * w + 1)
        ucm[1::2, 2:-1:2] = self._between(self.leaves[:, :-1], self.leaves[:, 1:])
        ucm[2:-1:2, 1::2] = self._between(self.leaves[:-1], self.leaves[1:])
        corners = ucm[::2, ::2]
        corners[:-1] = ucm[1::2, ::2]
        corners[1:] = torch.maximum(corners[1:], ucm[1::2, ::2])
        corners[:, :-1] = torch.maximum(corners[:, :-1], ucm[::2, 1::2])
        corners[:, 1:] = torch.maximum(corners[:, 1:], ucm[::2, 1::2])
        return ucm

    def _between(self, one: Tensor, other: Tensor) -> Tensor:
        """The height of the contour between neighboring pixels, given their leaves."""
        low, high = torch.minimum(one, other), torch.maximum(one, other)
        differ = low != high
        value = self.heights.new_zeros(one.shape)
        keys, where = torch.unique(low[differ] * self.n_leaves + high[differ], return_inverse=True)
        pairs = torch.stack([keys // max(self.n_leaves, 1), keys % max(self.n_leaves, 1)], dim=1)
        outside = keys < 0  # one of the two is unassigned
        heights = self.merge_heights(pairs.clamp(min=0)).masked_fill(outside, torch.inf)
        value[differ] = heights[where]
        return value

    def __repr__(self) -> str:
        h, w = self.leaves.shape
        return f"<Hierarchy {h}×{w}: {self.n_leaves} leaves, {len(self.merges)} merges at {len(self.levels)} heights>"


# ---- trees by pointer doubling ----------------------------------------------------------------------------------


def _below_meeting(parent: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Climb from each pair of leaves to the two children of the node where they meet (to the roots, where never)."""
    up, depth = [parent], (parent != torch.arange(len(parent), device=parent.device)).to(torch.int64)
    while not torch.equal(further := up[-1][up[-1]], up[-1]):
        depth = depth + depth[up[-1]]  # a node's depth, as far as 2^len(up) steps see
        up.append(further)
    rise_a, rise_b = (depth[a] - depth[b]).clamp(min=0), (depth[b] - depth[a]).clamp(min=0)
    for power, hop in enumerate(up):  # to equal depths
        a = torch.where((rise_a >> power) & 1 == 1, hop[a], a)
        b = torch.where((rise_b >> power) & 1 == 1, hop[b], b)
    for hop in reversed(up):
        apart = hop[a] != hop[b]
        a, b = torch.where(apart, hop[a], a), torch.where(apart, hop[b], b)
    return a, b


# ---- single linkage ---------------------------------------------------------------------------------------------


def _link(edges: Tensor, leaf_of: Tensor) -> tuple[Tensor, Tensor]:
    """Join sets along edges (E, 2) in their order: the merges of those that hold leaves, and the edges that made them.

    ``leaf_of`` is the leaf that each set is at the start, −1 for a set that is none.
    """
    pairs = np.ascontiguousarray(edges.cpu().numpy())
    merges, used = _compiled()(pairs, leaf_of.cpu().numpy().copy())
    return torch.from_numpy(merges).to(edges.device), torch.from_numpy(used).to(edges.device)


@functools.cache
def _compiled() -> Any:
    import numba  # here, because only those who build a tree from edges wait for it

    return numba.njit(cache=True)(_link_loop)


def _link_loop(edges: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kruskal's algorithm with a union–find; ``node`` is written to: the tree's node of each set, −1 for none."""
    parent = np.arange(len(node))
    n_leaves = node.max() + 1 if len(node) else 0
    merges = np.empty((max(n_leaves - 1, 0), 2), np.int64)
    used = np.empty(len(merges), np.int64)
    count = 0
    for e in range(len(edges)):
        i, j = edges[e, 0], edges[e, 1]
        while parent[i] != i:
            parent[i] = parent[parent[i]]  # halve the path for those who come later
            i = parent[i]
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = parent[j]
        if i == j:
            continue
        parent[j] = i
        if node[i] < 0:
            node[i] = node[j]
        elif node[j] >= 0:
            merges[count, 0], merges[count, 1] = node[i], node[j]
            used[count] = e
            node[i] = n_leaves + count
            count += 1
    return merges[:count], used[:count]


# ---- contour maps -----------------------------------------------------------------------------------------------


def _contour_map(ucm: Any) -> Tensor:
    values = ucm.detach() if isinstance(ucm, Tensor) else torch.from_numpy(np.array(ucm))
    values = values if values.is_floating_point() else values.to(torch.float64)
    if values.ndim != 2 or min(values.shape) < 3 or values.shape[0] % 2 == 0 or values.shape[1] % 2 == 0:
        raise ValueError(f"a contour map at double size is (2H + 1, 2W + 1); got shape {tuple(values.shape)}")
    if not bool((values >= 0).all()):
        raise ValueError("a contour map holds strengths of 0 and more; this one has negative values or NaN")
    if bool((values[1::2, 1::2] > 0).any()):
        raise ValueError("in a contour map at double size the pixels, at odd rows and columns, are 0; these are not")
    return values


def _contour_edges(sets: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Neighboring places (8) of different sets, (E, 2), and the height at which each pair is joined."""
    edges, heights = [], []
    for (a, b), (x, y) in zip(neighbor_views(sets, 8), neighbor_views(values, 8), strict=True):
        differ = a != b
        edges.append(torch.stack([a[differ], b[differ]], dim=1))
        heights.append(torch.maximum(x[differ], y[differ]))
    return torch.cat(edges), torch.cat(heights)
