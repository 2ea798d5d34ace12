"""The compiled loops of `seglab.metrics.instance` and `seglab.networks.detection`; imported when first needed."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["match_greedily", "suppress"]

_loop = numba.njit(cache=True, nogil=True)


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
    gone = np.zeros(n, np.bool_)
    kept = np.empty(n, np.int64)
    zero = np.float32(0)
    area = np.maximum(boxes[:, 2] - boxes[:, 0], zero) * np.maximum(boxes[:, 3] - boxes[:, 1], zero)
    n_kept = 0
    for i in range(n):
        if gone[i]:
            continue
        kept[n_kept] = i
        n_kept += 1
        top, left, bottom, right = boxes[i]
        for j in range(i + 1, n):
            if gone[j] or groups[i] != groups[j]:
                continue
            height = min(bottom, boxes[j, 2]) - max(top, boxes[j, 0])
            width = min(right, boxes[j, 3]) - max(left, boxes[j, 1])
            if height <= zero or width <= zero:
                continue
            both = height * width
            gone[j] = both / ((area[i] + area[j]) - both) > threshold
    return kept[:n_kept].copy()
