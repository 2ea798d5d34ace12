"""The compiled loops of `seglab.kernels.region_growing`; imported when first needed, because compiling takes a moment.

Pictures are in rows with one more column, and a row above and below, so that nobody has to ask where they end.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["ASKED", "FREE", "OUTSIDE", "add_squared_gradients", "best_first", "minima", "waves"]

FREE, OUTSIDE, ASKED = -1, -2, -3  # in a map of regions; ASKED and below: has asked to join in this wave
_LEVELS, _LONGEST = 18, 4096.0  # of patience, by which pixels that were refused wait; the first level's
_BUCKETS, _GROUP = 1 << 14, 1 << 7  # of the queue, and how many of them are counted together

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_inner = numba.njit(nogil=True, error_model="numpy")
_inline = numba.njit(nogil=True, error_model="numpy", inline="always")


@_inline
def _squared(colors, p, means, r):  # type: ignore[no-untyped-def]
    apart = 0.0
    for c in range(colors.shape[1]):
        d = colors[p, c] - means[r, c]
        apart += d * d
    return apart


@_inner
def _room(array, n):  # type: ignore[no-untyped-def]
    """The array, or a longer copy that has room for n."""
    if len(array) >= n:
        return array
    longer = np.empty((max(n, 2 * len(array)), *array.shape[1:]), array.dtype)
    old, new = array.ravel(), longer.ravel()
    for i in range(len(old)):  # one by one: the assignment of a slice takes seconds longer to compile
        new[i] = old[i]
    return longer


# ---- waves ------------------------------------------------------------------------------------------------------


@_loop
def waves(colors, regions, hops, pairs, sums, sizes, means, limit, running, enough, order):  # type: ignore[no-untyped-def]
    """Waves until ``enough`` pixels have joined; regions, sums, sizes, means and order are written to.

    A pixel that was refused by a running mean is asked again only when the mean can have come near enough: it waits
    on the level of its patience 2^k, no more than what it was too far away, and those on a level are asked whenever
    the way that the mean has gone passes another multiple of 2^k. Returns where in ``order`` each wave ends, the pairs
    to be looked at next, and whether the last wave found none.
    """
    n = len(pairs)
    offered = np.zeros(len(regions), np.int32)  # one more than the region that a pixel was last offered to
    for i in range(n):
        offered[pairs[i, 0]] = pairs[i, 1] + 1
    first = np.full((len(sizes), _LEVELS), -1, np.int32)  # of those that wait for a region on a level
    nodes = np.empty((16, 2), np.int32)  # of the lists: the pixel, and the next
    store = np.array([-1, 0])  # the first node of those that are free again, and how many have been made
    way, grew = np.zeros(len(sizes)), np.zeros(len(sizes), np.int64)  # of the means, and when they last went on
    asked, least = np.empty((16, 2), np.int32), np.empty(16)
    ends, n_waves, joined, over = np.zeros(64, np.int64), 0, 0, False
    while joined < enough and not over:
        asked, least = _room(asked, n), _room(least, n)
        nodes = _room(nodes, store[1] + n)
        found = _ask(colors, regions, pairs[:n], means, limit, running, asked, least, first, nodes, store)
        _join(colors, regions, asked[:found], sums, sizes, order[joined:])
        joined, over, n_waves, ends = joined + found, found == 0, n_waves + 1, _room(ends, n_waves + 1)
        ends[n_waves - 1] = joined
        pairs = _room(pairs, found * len(hops) + store[1])
        n = _offer(regions, hops, asked[:found], offered, pairs)
        if running:
            n = _move(regions, asked[:found], sums, sizes, means, way, grew, n_waves, first, nodes, store, pairs, n)
    return ends[:n_waves], _rest(regions, pairs[:n], first, nodes, store), over


@_inner
def _ask(colors, regions, pairs, means, limit, running, asked, least, first, nodes, store):  # type: ignore[no-untyped-def]
    """Compare pixels with the means that there were before the wave; how many may join, and which region each."""
    found, reach = 0, np.sqrt(limit)
    for i in range(len(pairs)):
        p, r = pairs[i, 0], pairs[i, 1]
        at = regions[p]
        if at >= 0:
            continue
        apart = _squared(colors, p, means, r)
        if apart > limit:
            if running:
                _wait(p, r, np.sqrt(apart) - reach, first, nodes, store)
        elif at == FREE:
            regions[p] = ASKED - found
            asked[found, 0], asked[found, 1], least[found] = p, r, apart
            found += 1
        else:
            k = ASKED - at
            if apart < least[k] or (apart == least[k] and r < asked[k, 1]):
                asked[k, 1], least[k] = r, apart
    return found


@_inner
def _wait(p, r, too_far, first, nodes, store):  # type: ignore[no-untyped-def]
    patience, level = _LONGEST, 0
    while level < _LEVELS - 1 and too_far < patience:
        patience *= 0.5
        level += 1
    node = store[0]
    if node < 0:
        node = store[1]
        store[1] += 1
    else:
        store[0] = nodes[node, 1]
    nodes[node, 0], nodes[node, 1] = p, first[r, level]
    first[r, level] = node


@_inner
def _join(colors, regions, asked, sums, sizes, order):  # type: ignore[no-untyped-def]
    for i in range(len(asked)):
        p, r = asked[i, 0], asked[i, 1]
        regions[p] = r
        order[i] = p
        sizes[r] += 1
        for c in range(colors.shape[1]):
            sums[r, c] += colors[p, c]


@_inner
def _offer(regions, hops, asked, offered, pairs):  # type: ignore[no-untyped-def]
    """The free neighbors of those that have joined, each with their region."""
    n = 0
    for i in range(len(asked)):
        p, r = asked[i, 0], asked[i, 1]
        for hop in hops:
            q = p + hop
            if regions[q] == FREE and offered[q] != r + 1:
                offered[q] = r + 1
                pairs[n, 0], pairs[n, 1] = q, r
                n += 1
    return n


@_inner
def _move(regions, asked, sums, sizes, means, way, grew, now, first, nodes, store, pairs, n):  # type: ignore[no-untyped-def]
    """Renew the means of regions that grew; those whose patience is over are added to the n pairs."""
    for i in range(len(asked)):
        r = asked[i, 1]
        if grew[r] == now:
            continue
        grew[r] = now
        moved, before, patience = 0.0, way[r], _LONGEST
        for c in range(sums.shape[1]):
            mean = sums[r, c] / sizes[r]
            moved += (mean - means[r, c]) ** 2
            means[r, c] = mean
        way[r] += np.sqrt(moved) * (1 + 1e-9) + 1e-9  # and what may have been lost in rounding
        for level in range(_LEVELS):
            over = level == _LEVELS - 1 or np.floor(way[r] / patience) > np.floor(before / patience)
            patience *= 0.5
            node = first[r, level] if over else -1
            while node >= 0:
                if regions[nodes[node, 0]] == FREE:
                    pairs[n, 0], pairs[n, 1] = nodes[node, 0], r
                    n += 1
                following = nodes[node, 1]
                nodes[node, 1] = store[0]
                store[0] = node
                node = following
            if over:
                first[r, level] = -1
    return n


@_inner
def _rest(regions, pairs, first, nodes, store):  # type: ignore[no-untyped-def]
    """The pairs, and those that wait."""
    n = len(pairs)
    rest = np.empty((n + store[1], 2), np.int32)
    for i in range(n):
        rest[i, 0], rest[i, 1] = pairs[i, 0], pairs[i, 1]
    for r in range(len(first) if store[1] else 0):
        for level in range(_LEVELS):
            node = first[r, level]
            while node >= 0:
                if regions[nodes[node, 0]] == FREE:
                    rest[n, 0], rest[n, 1] = nodes[node, 0], r
                    n += 1
                node = nodes[node, 1]
    return rest[:n].copy()


# ---- best first -------------------------------------------------------------------------------------------------


@_loop
def best_first(colors, regions, hops, queue, sums, sizes, means, limit, running, order):  # type: ignore[no-untyped-def]
    """Let ``len(order)`` pixels join; regions, sums, sizes, means and order are written to.

    The queue has a list for each difference, in which those wait that were offered with it: first come, first served.
    Entries of ``queue`` whose difference is −1 have none yet. Returns how many joined, and the queue that is left.
    """
    lists = np.full((_BUCKETS, 2), -1, np.int32)  # the first and the last node of each list
    groups = np.zeros(_BUCKETS // _GROUP, np.int64)  # how many there are in so many lists
    nodes = np.empty((2 * len(queue) + 64, 3), np.int32)  # pixel, region, the next node
    store = np.array([-1, 0])
    for i in range(len(queue)):
        p, r, bucket = queue[i, 0], queue[i, 1], np.int64(queue[i, 2])
        if bucket < 0:
            apart = _squared(colors, p, means, r)
            if apart > limit:
                continue
            bucket = _bucket(apart)
        _enter(p, r, bucket, lists, groups, nodes, store)
    joined, lowest = 0, 0
    while joined < len(order):
        while lowest < len(groups) and groups[lowest] == 0:
            lowest += 1
        if lowest == len(groups):
            break
        p, r = _take(lowest, lists, groups, nodes, store)
        if regions[p] != FREE:
            continue
        regions[p], order[joined] = r, p
        joined, sizes[r] = joined + 1, sizes[r] + 1
        for c in range(colors.shape[1]):
            sums[r, c] += colors[p, c]
            if running:
                means[r, c] = sums[r, c] / sizes[r]
        nodes = _room(nodes, store[1] + len(hops))
        for hop in hops:
            q = p + hop
            if regions[q] != FREE or _touched_before(regions, hops, q, p, r):
                continue
            apart = _squared(colors, q, means, r)
            if apart <= limit:
                bucket = _bucket(apart)
                _enter(q, r, bucket, lists, groups, nodes, store)
                if bucket // _GROUP < lowest:
                    lowest = bucket // _GROUP
    return joined, _left(regions, lists, nodes, groups.sum())


@_inline
def _bucket(apart):  # type: ignore[no-untyped-def]
    return np.int64(min(np.sqrt(apart), _BUCKETS - 1.0))


@_inner
def _touched_before(regions, hops, q, p, r):  # type: ignore[no-untyped-def]
    """Whether q has another neighbor in region r than p."""
    before = False
    for hop in hops:
        before |= regions[q + hop] == r and q + hop != p
    return before


@_inner
def _enter(p, r, bucket, lists, groups, nodes, store):  # type: ignore[no-untyped-def]
    node = store[0]
    if node < 0:
        node = store[1]
        store[1] += 1
    else:
        store[0] = nodes[node, 2]
    nodes[node, 0], nodes[node, 1], nodes[node, 2] = p, r, -1
    if lists[bucket, 0] < 0:
        lists[bucket, 0] = node
    else:
        nodes[lists[bucket, 1], 2] = node
    lists[bucket, 1] = node
    groups[bucket // _GROUP] += 1


@_inner
def _take(group, lists, groups, nodes, store):  # type: ignore[no-untyped-def]
    """The first entry of the first list of a group that has one."""
    bucket = group * _GROUP
    while lists[bucket, 0] < 0:
        bucket += 1
    node = np.int64(lists[bucket, 0])
    p, r = np.int64(nodes[node, 0]), np.int64(nodes[node, 1])
    lists[bucket, 0] = nodes[node, 2]
    nodes[node, 2] = store[0]
    store[0] = node
    groups[group] -= 1
    return p, r


@_inner
def _left(regions, lists, nodes, n_left):  # type: ignore[no-untyped-def]
    """What is left in the queue, in the order in which it would be taken."""
    rest, n = np.empty((n_left, 3), np.int32), 0
    for bucket in range(_BUCKETS):
        node = np.int64(lists[bucket, 0])
        while node >= 0:
            if regions[nodes[node, 0]] == FREE:
                rest[n, 0], rest[n, 1], rest[n, 2] = nodes[node, 0], nodes[node, 1], bucket
                n += 1
            node = np.int64(nodes[node, 2])
    return rest[:n].copy()


# ---- seeds ------------------------------------------------------------------------------------------------------


@_loop
def add_squared_gradients(colors, total):  # type: ignore[no-untyped-def]
    """Smooth each channel of (H, W, D) twice, and add the squared length of its gradient to ``total``."""
    height, width = total.shape
    plane, smooth = np.empty((height, width), np.int32), np.empty((height, width), np.int32)
    for c in range(colors.shape[2]):
        for r in range(height):
            for col in range(width):
                plane[r, col] = colors[r, col, c]
        _smooth(plane, smooth)
        _smooth(smooth, plane)
        for r in range(height):
            above, here, below = plane[max(r - 1, 0)], plane[r], plane[min(r + 1, height - 1)]
            for col in range(width):
                down = np.float64(below[col] - above[col])
                right = np.float64(here[min(col + 1, width - 1)] - here[max(col - 1, 0)])
                total[r, col] += down * down + right * right


@_inner
def _smooth(plane, out):  # type: ignore[no-untyped-def]
    """Convolve columns, then rows, with (1 4 6 4 1); the border is repeated."""
    height, width = plane.shape
    wide = np.empty(width + 4, np.int32)
    for r in range(height):
        a, b, here = plane[max(r - 2, 0)], plane[max(r - 1, 0)], plane[r]
        d, e = plane[min(r + 1, height - 1)], plane[min(r + 2, height - 1)]
        for col in range(width):
            wide[col + 2] = a[col] + e[col] + 4 * (b[col] + d[col]) + 6 * here[col]
        wide[0] = wide[1] = wide[2]
        wide[width + 2] = wide[width + 3] = wide[width + 1]
        for col in range(width):
            out[r, col] = wide[col] + wide[col + 4] + 4 * (wide[col + 1] + wide[col + 3]) + 6 * wide[col + 2]


@_loop
def minima(relief, order):  # type: ignore[no-untyped-def]
    """The minima of a relief (H, W) and their depths, by flooding it: pixels in ``order``, basins in a union–find.

    Where two basins meet, the one with the higher minimum ends. The lowest of all is deeper than the relief is high.
    """
    width, level = relief.shape[1], relief.ravel()
    parent = np.full(len(order), -1, np.int64)  # −1: still dry
    bottom = np.empty(len(order), np.int64)  # the place in ``order`` of the lowest pixel of each root's basin
    found, n = np.empty((64, 2), np.int64), 0
    around = np.empty(4, np.int64)
    for k in range(len(order)):
        p = order[k]
        parent[p], bottom[p], root = p, k, p
        around[0], around[1] = p - width, p - 1 if p % width > 0 else -1
        around[2], around[3] = p + 1 if (p + 1) % width > 0 else -1, p + width if p + width < len(order) else -1
        for q in around:
            if q < 0 or parent[q] < 0:
                continue
            while parent[q] != q:
                parent[q] = parent[parent[q]]  # halve the path for those who come later
                q = parent[q]
            if q == root:
                continue
            older, younger = (root, q) if bottom[root] < bottom[q] else (q, root)
            parent[younger], root = older, older
            climb = np.int64(level[p]) - np.int64(level[order[bottom[younger]]])
            if climb > 0:
                found = _room(found, n + 1)
                found[n, 0], found[n, 1] = order[bottom[younger]], climb
                n += 1
    found = _room(found, n + 1)
    found[n, 0], found[n, 1] = order[0], np.int64(level[order[-1]]) - np.int64(level[order[0]]) + 1
    return found[: n + 1]
