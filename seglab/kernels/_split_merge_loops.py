"""The compiled loops of `seglab.kernels.split_merge`; imported when first needed, because compiling takes a moment."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["add_blocks", "bound_blocks", "merge", "outliers"]

_STEPS = 4096  # to which measures are rounded in the queue

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_inner = numba.njit(nogil=True, error_model="numpy")


@_loop
def add_blocks(colors, row_of, col_of, sums, squares):  # type: ignore[no-untyped-def]
    """Add the colors (H, W, D) of each block to ``sums`` (D, R, C), and their squares to ``squares`` (R, C)."""
    height, width, channels = colors.shape
    for r in range(height):
        i = row_of[r]
        for col in range(width):
            j, square = col_of[col], np.int64(0)
            for c in range(channels):
                x = np.int64(colors[r, col, c])
                sums[c, i, j] += x
                square += x * x
            squares[i, j] += square


@_loop
def bound_blocks(colors, row_of, col_of, lows, highs):  # type: ignore[no-untyped-def]
    """The lowest and highest value of each channel in each block, both (D, R, C)."""
    height, width, channels = colors.shape
    for r in range(height):
        i = row_of[r]
        for col in range(width):
            j = col_of[col]
            for c in range(channels):
                x = colors[r, col, c]
                lows[c, i, j] = min(lows[c, i, j], x)
                highs[c, i, j] = max(highs[c, i, j], x)


@_inner
def _outside(colors, box, mean, limit):  # type: ignore[no-untyped-def]
    """How many pixels of a box (top, left, bottom, right) are farther than that from a color."""
    n = 0
    for r in range(box[0], box[2]):
        for col in range(box[1], box[3]):
            apart = 0.0
            for c in range(len(mean)):
                d = colors[r, col, c] - mean[c]
                apart += d * d
            n += apart > limit
    return n


@_loop
def outliers(colors, boxes, means, limit, out):  # type: ignore[no-untyped-def]
    """For each box (n, 4), how many pixels differ from its mean (n, D) by more than the limit, squared."""
    for i in range(len(boxes)):
        out[i] = _outside(colors, boxes[i], means[i], limit)


# ---- merging ----------------------------------------------------------------------------------------------------


@_inner
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]  # halve the path for those who come later
        i = parent[i]
    return i


@_inner
def _union(a, b, predicate, sizes, sums, squares, lows, highs, mean, leaves, boxes, colors, near):  # type: ignore[no-untyped-def]
    """How much the union of two regions varies: the variance, the squared range, or the share of pixels far away."""
    n, total = sizes[a] + sizes[b], 0.0
    if predicate == 1:
        for c in range(lows.shape[1]):
            d = max(highs[a, c], highs[b, c]) - min(lows[a, c], lows[b, c])
            total += np.float64(d) * np.float64(d)
        return total
    for c in range(sums.shape[1]):
        mean[c] = (sums[a, c] + sums[b, c]) / n
        total += mean[c] * mean[c]
    variance = (squares[a] + squares[b]) / n - total
    if predicate == 0:
        return variance
    if variance <= 0:
        return 0.0
    far = 0
    for start in (a, b):
        leaf = start
        while leaf >= 0:
            far += _outside(colors, boxes[leaf], mean, near)
            leaf = leaves[leaf, 0]
    return far / n


@_inner
def _unite(a, b, parent, sizes, sums, squares, lows, highs, leaves):  # type: ignore[no-untyped-def]
    """Join region b to region a, a < b."""
    parent[b] = a
    sizes[a] += sizes[b]
    squares[a] += squares[b]
    for c in range(sums.shape[1]):
        sums[a, c] += sums[b, c]
    for c in range(lows.shape[1]):
        lows[a, c] = min(lows[a, c], lows[b, c])
        highs[a, c] = max(highs[a, c], highs[b, c])
    leaves[leaves[a, 1], 0] = b
    leaves[a, 1] = leaves[b, 1]


@_loop
def merge(edges, parent, predicate, sizes, sums, squares, lows, highs, boxes, colors, near, limit):  # type: ignore[no-untyped-def]
    """Join neighbors whose union varies by no more than the limit, the least first; all but edges is written to.

    Each pair of neighbors has its place in a queue, by how much its union would vary. When its turn comes it is
    measured anew, because both may have grown, and waits on if it varies more now. Returns how many were joined.
    """
    leaves = np.empty((len(parent), 2), np.int64)  # of each region: the next leaf, and at the root the last
    for i in range(len(parent)):
        leaves[i, 0], leaves[i, 1] = -1, i
    for i in range(len(parent)):  # sums stand at the leaves, so far
        if parent[i] != i:
            _unite(_root(parent, i), i, parent, sizes, sums, squares, lows, highs, leaves)
    first, last = np.full(_STEPS, -1, np.int64), np.full(_STEPS, -1, np.int64)
    following = np.empty(len(edges), np.int64)
    mean = np.empty(sums.shape[1])
    joined = 0
    for bucket in range(-1, _STEPS):
        e = np.int64(0) if bucket < 0 else first[bucket]
        while 0 <= e < len(edges):
            after = e + 1 if bucket < 0 else following[e]
            a, b = _root(parent, edges[e, 0]), _root(parent, edges[e, 1])
            varies = limit
            if a != b:
                varies = _union(a, b, predicate, sizes, sums, squares, lows, highs, mean, leaves, boxes, colors, near)
            if a != b and varies <= limit:
                place = np.int64(np.sqrt(max(varies, 0.0) / limit) * (_STEPS - 1)) if limit > 0 else 0
                if place > bucket:
                    following[e] = -1
                    if first[place] < 0:
                        first[place] = e
                    else:
                        following[last[place]] = e
                    last[place] = e
                else:
                    _unite(min(a, b), max(a, b), parent, sizes, sums, squares, lows, highs, leaves)
                    joined += 1
            e = after if bucket >= 0 or after < len(edges) else np.int64(-1)
    for i in range(len(parent)):
        parent[i] = _root(parent, i)
    return joined
