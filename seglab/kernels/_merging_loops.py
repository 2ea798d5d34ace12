"""The compiled loop of `seglab.region_graph.merge_hierarchical`; imported when first needed.

Each region has a list of its half-edges: number 2e is edge e seen from its first end, 2e + 1 from its second.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["BOUNDARY", "COLOR", "MUMFORD_SHAH", "WARD", "edge_weight", "merge_lightest_first"]

COLOR, WARD, MUMFORD_SHAH, BOUNDARY = range(4)

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_inner = numba.njit(nogil=True, error_model="numpy")
_inline = numba.njit(nogil=True, error_model="numpy", inline="always")


@_inline
def edge_weight(criterion, a, b, length, strength, sizes, sums):  # type: ignore[no-untyped-def]
    """What it costs to join a and b; ``strength`` is summed along their boundary of ``length`` pairs of pixels."""
    if criterion == BOUNDARY:
        return strength / length
    apart = 0.0
    for c in range(sums.shape[1]):
        d = sums[a, c] / sizes[a] - sums[b, c] / sizes[b]
        apart += d * d
    if criterion == COLOR:
        return np.sqrt(apart)
    ward = sizes[a] * sizes[b] / (sizes[a] + sizes[b]) * apart
    return ward / length if criterion == MUMFORD_SHAH else ward


@_loop
def merge_lightest_first(criterion, ends, lengths, strengths, sizes, sums):  # type: ignore[no-untyped-def]
    """Join the two ends of the lightest edge until none is left; all but ``criterion`` are written to.

    Returns the merges (at most M − 1, 2), each by one of the first regions of its two sides, and what they cost.
    """
    n_edges, n_regions = len(ends), len(sizes)
    weights = _first_weights(criterion, ends, lengths, strengths, sizes, sums)
    # The queue holds (weight, edge) once or more for each edge; ``weights`` has the least that waits for it, which is
    # never above the edge's own: what has grown heavier is put back when its turn comes.
    queued = np.argsort(weights, kind="mergesort")
    keys, n = weights[queued], n_edges  # in order, and so a heap
    first, following, degree = _lists(ends, n_regions)
    place, alive = np.full(n_regions, -1), np.ones(n_edges, np.bool_)
    merges, costs, done = np.empty((max(n_regions - 1, 0), 2), np.int64), np.empty(max(n_regions - 1, 0)), 0
    while n > 0:
        cost, edge = keys[0], queued[0]
        n = _pop(keys, queued, n)
        if not alive[edge] or cost != weights[edge]:
            continue
        a, b = ends[edge, 0], ends[edge, 1]
        now = edge_weight(criterion, a, b, lengths[edge], strengths[edge], sizes, sums)
        if now > cost:
            weights[edge] = now
            n = _push(keys, queued, n, now, edge)  # there is room: one was taken
            continue
        if degree[a] < degree[b]:
            a, b = b, a
        merges[done, 0], merges[done, 1], costs[done] = a, b, cost
        done += 1
        alive[edge] = False
        sizes[a] += sizes[b]
        for c in range(sums.shape[1]):
            sums[a, c] += sums[b, c]
        degree[a] = _unite(a, b, first, following, ends, alive, place, lengths, strengths)
        keys, queued = _room(keys, n + degree[a]), _room(queued, n + degree[a])
        half = first[a]
        while half >= 0:
            e = half >> 1
            place[ends[e, 1 - (half & 1)]] = -1
            now = edge_weight(criterion, ends[e, 0], ends[e, 1], lengths[e], strengths[e], sizes, sums)
            if now < weights[e]:
                weights[e] = now
                n = _push(keys, queued, n, now, e)
            half = following[half]
    return merges[:done], costs[:done]


@_inner
def _first_weights(criterion, ends, lengths, strengths, sizes, sums):  # type: ignore[no-untyped-def]
    weights = np.empty(len(ends))
    for e in range(len(ends)):
        weights[e] = edge_weight(criterion, ends[e, 0], ends[e, 1], lengths[e], strengths[e], sizes, sums)
    return weights


@_inner
def _lists(ends, n_regions):  # type: ignore[no-untyped-def]
    first, degree = np.full(n_regions, -1), np.zeros(n_regions, np.int64)
    following = np.empty(2 * len(ends), np.int64)
    for half in range(2 * len(ends) - 1, -1, -1):
        region = ends[half >> 1, half & 1]
        following[half] = first[region]
        first[region] = half
        degree[region] += 1
    return first, following, degree


@_inner
def _unite(a, b, first, following, ends, alive, place, lengths, strengths):  # type: ignore[no-untyped-def]
    """Give a the edges of b, those to the same neighbor made one; how many it has. ``place`` has them by neighbor."""
    n, last, half = 0, -1, first[a]
    while half >= 0:  # leave out of the list what has gone meanwhile
        if alive[half >> 1]:
            place[ends[half >> 1, 1 - (half & 1)]] = half >> 1
            if last >= 0:
                following[last] = half
            else:
                first[a] = half
            last = half
            n += 1
        half = following[half]
    if last >= 0:
        following[last] = -1
    else:
        first[a] = -1
    half = first[b]
    while half >= 0:
        e, further = half >> 1, following[half]
        if alive[e]:
            twin = place[ends[e, 1 - (half & 1)]]
            if twin >= 0:
                lengths[twin] += lengths[e]
                strengths[twin] += strengths[e]
                alive[e] = False
            else:
                ends[e, half & 1] = a
                following[half] = first[a]
                first[a] = half
                n += 1
        half = further
    return n


# ---- a heap of (weight, edge), equal weights by the edge's number -----------------------------------------------


@_inner
def _room(array, n):  # type: ignore[no-untyped-def]
    if len(array) >= n:
        return array
    longer = np.empty(max(n, 2 * len(array)), array.dtype)
    for i in range(len(array)):  # one by one: the assignment of a slice takes seconds longer to compile
        longer[i] = array[i]
    return longer


@_inline
def _before(key, edge, other_key, other_edge):  # type: ignore[no-untyped-def]
    return key < other_key or (key == other_key and edge < other_edge)


@_inner
def _push(keys, queued, n, key, edge):  # type: ignore[no-untyped-def]
    at = n
    while at > 0:
        above = (at - 1) >> 1
        if not _before(key, edge, keys[above], queued[above]):
            break
        keys[at], queued[at] = keys[above], queued[above]
        at = above
    keys[at], queued[at] = key, edge
    return n + 1


@_inner
def _pop(keys, queued, n):  # type: ignore[no-untyped-def]
    n -= 1
    key, edge, at = keys[n], queued[n], 0
    while 2 * at + 1 < n:
        below = 2 * at + 1
        if below + 1 < n and _before(keys[below + 1], queued[below + 1], keys[below], queued[below]):
            below += 1
        if not _before(keys[below], queued[below], key, edge):
            break
        keys[at], queued[at] = keys[below], queued[below]
        at = below
    keys[at], queued[at] = key, edge
    return n
