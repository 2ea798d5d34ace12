"""The compiled loops of `seglab.metrics.instance` and `seglab.networks.detection`; imported when first needed."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["match_greedily", "read_inside", "spread_inside", "suppress"]

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})


@_loop
def match_greedily(pred, true, overlaps, thresholds, strict, n_pred, n_true):  # type: ignore[no-untyped-def]
    """Give each prediction at most one truth and each truth at most one prediction, the first pairs first.

    Returns (K, n_pred) int64: for each of K thresholds, the truth of each prediction, −1 where it has none. With
    ``strict`` an overlap must be more than the threshold, otherwise at least as much.
    """
    found = np.full((len(thresholds), n_pred), -1, np.int64)
    taken = np.zeros(n_true, np.bool_)
    for k in range(len(thresholds)):
        taken[:] = False
        for e in range(len(pred)):
            enough = overlaps[e] > thresholds[k] if strict else overlaps[e] >= thresholds[k]
            if enough and found[k, pred[e]] < 0 and not taken[true[e]]:
                found[k, pred[e]] = true[e]
                taken[true[e]] = True
    return found


@_loop
def suppress(boxes, groups, threshold):  # type: ignore[no-untyped-def]
    """Which boxes (N, 4) float32, the surest first, greedy suppression keeps: their numbers in order.

    The arithmetic is that of `seglab.networks.detection.box_iou`, operation for operation.
    """
    n = len(boxes)
    gone = np.zeros(n, np.uint8)
    kept = np.empty(n, np.int64)
    zero, tiny = np.float32(0), np.float32(1e-12)
    top, left, bottom, right = boxes[:, 0].copy(), boxes[:, 1].copy(), boxes[:, 2].copy(), boxes[:, 3].copy()
    area = np.maximum(bottom - top, zero) * np.maximum(right - left, zero)
    n_kept = 0
    for i in range(n):
        if gone[i]:
            continue
        kept[n_kept] = i
        n_kept += 1
        # those that are less sure, as arrays from 0 and without a branch: the compiler takes eight at a time
        y0, x0, y1, x1, size, group, off = top[i:], left[i:], bottom[i:], right[i:], area[i:], groups[i:], gone[i:]
        for j in range(1, len(off)):
            height = max(min(y1[0], y1[j]) - max(y0[0], y0[j]), zero)
            width = max(min(x1[0], x1[j]) - max(x0[0], x0[j]), zero)
            both = height * width
            overlap = both / max((size[0] + size[j]) - both, tiny)
            off[j] |= (overlap > threshold) & (group[0] == group[j])
    return kept[:n_kept].copy()


@_sums
def read_inside(maps, image, rows, cols, out):  # type: ignore[no-untyped-def]
    """W_row · F · W_colᵀ for each box, by the weights that are not 0; the channels of a cell lie together.

    Maps (N, H, W, C), image (R,), rows (R, size, H), cols (R, size, W), out (R, size, size, C).
    """
    line = np.empty(maps.shape[2:], maps.dtype)  # a row of bins, before its columns are weighed
    for box in range(len(out)):
        first, end = _reach(cols[box])
        here = line[first:end].reshape(-1)
        for i in range(len(out[box])):
            here[:] = 0
            for y in range(maps.shape[1]):
                weight = rows[box, i, y]
                if weight != 0:
                    _add(here, weight, maps[image[box], y, first:end].reshape(-1))
            for j in range(len(out[box])):
                value = out[box, i, j]
                value[:] = 0
                for x in range(first, end):
                    weight = cols[box, j, x]
                    if weight != 0:
                        _add(value, weight, line[x])


@_sums
def spread_inside(grad, image, rows, cols, maps):  # type: ignore[no-untyped-def]
    """Add to the maps what `read_inside` took from them, times the gradient of what it read: its backward pass."""
    line = np.empty(maps.shape[2:], maps.dtype)
    for box in range(len(grad)):
        first, end = _reach(cols[box])
        here = line[first:end].reshape(-1)
        for i in range(len(grad[box])):
            here[:] = 0
            for j in range(len(grad[box])):
                value = grad[box, i, j]
                for x in range(first, end):
                    weight = cols[box, j, x]
                    if weight != 0:
                        _add(line[x], weight, value)
            for y in range(maps.shape[1]):
                weight = rows[box, i, y]
                if weight != 0:
                    _add(maps[image[box], y, first:end].reshape(-1), weight, here)


@_sums
def _add(sums, weight, values):  # type: ignore[no-untyped-def]
    for i in range(len(sums)):
        sums[i] += weight * values[i]


@_loop
def _reach(weights):  # type: ignore[no-untyped-def]
    """The first cell that any of the bins (size, n) weighs, and the one after the last."""
    first, end = weights.shape[1], 0
    for i in range(len(weights)):
        for x in range(weights.shape[1]):
            if weights[i, x] != 0:
                first, end = min(first, x), max(end, x + 1)
    return min(first, end), end
