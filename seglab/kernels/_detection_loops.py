"""The compiled loop of `seglab.metrics.instance`; imported when first needed."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["match_greedily"]

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
