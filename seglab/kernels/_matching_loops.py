"""The compiled loops of `seglab.metrics.matching`; imported when first needed, because compiling takes a moment."""

from __future__ import annotations

import heapq

import numba
import numpy as np

__all__ = ["assign", "neighbors", "thin"]

_FAR = np.int64(2) ** 62
_loop = numba.njit(cache=True, nogil=True)


@_loop
def thin(padded, removable):  # type: ignore[no-untyped-def]
    """Thin lines until nothing changes, in place; (H + 2, W + 2) with a border of False.

    ``removable`` (2, 256) says, for both of the half steps of Guo and Hall (1989), with which neighbors a pixel goes;
    to the right is bit 0, then on against the clock.
    """
    rows, cols = np.nonzero(padded)
    n, changed = len(rows), True
    gone = np.zeros(n, np.bool_)
    while changed:
        changed = False
        for half in range(2):
            for i in range(n):
                y, x = rows[i], cols[i]
                code = padded[y, x + 1] | padded[y - 1, x + 1] << 1 | padded[y - 1, x] << 2 | padded[y - 1, x - 1] << 3
                code |= padded[y, x - 1] << 4 | padded[y + 1, x - 1] << 5 | padded[y + 1, x] << 6
                gone[i] = removable[half, code | padded[y + 1, x + 1] << 7]
            left = 0
            for i in range(n):
                if gone[i]:
                    padded[rows[i], cols[i]] = False
                    changed = True
                else:
                    rows[left], cols[left] = rows[i], cols[i]
                    left += 1
            n = left


@_loop
def neighbors(rows, cols, numbers, offsets):  # type: ignore[no-untyped-def]
    """For each pixel of one map the numbers of the other map's pixels around it, nearest first: starts and numbers.

    ``numbers`` (H, W) is −1 where there is none. Also which offset each is at.
    """
    height, width = numbers.shape
    starts = np.zeros(len(rows) + 1, np.int64)
    found = np.empty(len(rows) * len(offsets), np.int32)
    which = np.empty(len(rows) * len(offsets), np.int32)
    n = 0
    for i in range(len(rows)):
        for k in range(len(offsets)):
            y, x = rows[i] + offsets[k, 0], cols[i] + offsets[k, 1]
            if 0 <= y < height and 0 <= x < width and numbers[y, x] >= 0:
                found[n], which[n] = numbers[y, x], k
                n += 1
        starts[i + 1] = n
    return starts, found[:n].copy(), which[:n].copy()


@_loop
def assign(starts, ends, costs, n_cols, alone):  # type: ignore[no-untyped-def]
    """Give rows columns at the least total cost, where a row without one costs ``alone``: (rows,) int64, −1 is none.

    A row's edges are in order, the cheapest first, and none costs more than ``alone``; costs are from 0.
    Shortest augmenting paths (Jonker and Volgenant 1987) over whole costs. ``u`` and ``v`` are the prices of rows and
    columns: no edge costs less than both, and those of the matching cost just as much. A price stays once a search has
    failed, so that the next search does not enter the same part in vain.
    """
    n_rows = len(starts) - 1
    col_of, row_of = np.full(n_rows, -1, np.int64), np.full(n_cols, -1, np.int64)
    u, v = np.zeros(n_rows, np.int64), np.zeros(n_cols, np.int64)
    for i in range(n_rows):
        if starts[i] == starts[i + 1]:
            continue
        u[i] = costs[starts[i]]  # the nearest: edges are in order
        for e in range(starts[i], starts[i + 1]):
            if costs[e] == u[i] and row_of[ends[e]] < 0:
                col_of[i], row_of[ends[e]] = ends[e], i
                break
    far, came = np.full(n_cols, _FAR, np.int64), np.full(n_cols, -1, np.int64)
    done, touched = np.zeros(n_cols, np.bool_), np.empty(n_cols, np.int64)
    for first in range(n_rows):
        if col_of[first] < 0 and starts[first] < starts[first + 1]:
            _augment(first, starts, ends, costs, alone, col_of, row_of, u, v, far, came, done, touched)
    return col_of


@_loop
def _augment(first, starts, ends, costs, alone, col_of, row_of, u, v, far, came, done, touched):  # type: ignore[no-untyped-def]
    """Find the cheapest way from a row to a free column, or to a row that goes without, and exchange along it."""
    row, way, n_touched, target = first, np.int64(0), 0, np.int64(-1)
    least, loser = alone - u[first], first
    heap = [(_FAR, np.int64(-1))]
    while True:
        for e in range(starts[row], starts[row + 1]):
            col = np.int64(ends[e])
            length = way + costs[e] - u[row] - v[col]
            if length < far[col] and length < least:
                if far[col] == _FAR:
                    touched[n_touched] = col
                    n_touched += 1
                far[col], came[col] = length, row
                heapq.heappush(heap, (length, col))
        length, col = heapq.heappop(heap)
        while col >= 0 and (done[col] or length > far[col]):
            length, col = heapq.heappop(heap)
        if col < 0 or length >= least:
            break
        if row_of[col] < 0:
            least, target = length, col
            break
        done[col] = True
        row, way = row_of[col], length
        if way + alone - u[row] < least:
            least, loser = way + alone - u[row], row
    u[first] += least
    for k in range(n_touched):
        col = touched[k]
        if done[col]:
            u[row_of[col]] += least - far[col]
            v[col] += far[col] - least
    if target < 0:  # the loser gives up its column
        target = col_of[loser]
        col_of[loser] = -1
    while target >= 0:
        row = came[target]
        row_of[target] = row
        col_of[row], target = target, col_of[row]
    for k in range(n_touched):
        far[touched[k]], came[touched[k]], done[touched[k]] = _FAR, -1, False
