"""The compiled loops of `seglab.metrics.instance` and `seglab.networks.detection`; imported when first needed."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["match_greedily", "suppress"]

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")


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
