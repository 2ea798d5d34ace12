"""The compiled loops of `seglab.kernels.slic`; imported when first needed, because compiling takes a moment.

Pixels are counted through, row by row; ``features`` are (D, N), and what belongs to a pixel is (N,).
"""

from __future__ import annotations

import heapq
from typing import Any

import numba
import numpy as np

__all__ = ["absorb", "collect", "compete", "connect", "lab", "largest", "perturb", "settle"]

_F = np.float32
_BLOCK = 256  # pixels whose colors are converted together
_ROUND = 6755399441055744.0  # 1.5 · 2⁵²: added and taken away, it leaves the nearest whole number

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_inner = numba.njit(nogil=True, forceinline=True, error_model="numpy")


# ---- colors -----------------------------------------------------------------------------------------------------


@_loop
def lab(image: Any, levels: Any, linear: Any, matrix: Any, unit: float, out: Any) -> None:
    """CIELAB (3, N) of RGB (3, N), rounded to whole multiples of ``unit``; as `seglab.image.rgb_to_lab`.

    ``linear`` (256,) holds the linear intensities of the usual ``levels`` (256,), ``matrix`` (3, 3) turns them into X,
    Y and Z over those of white.
    """
    light, root = np.empty((3, _BLOCK)), np.empty((3, _BLOCK))
    for start in range(0, image.shape[1], _BLOCK):
        n = min(_BLOCK, image.shape[1] - start)
        for c in range(3):
            for i in range(n):
                value = image[c, start + i]
                k = int(value * _F(255) + _F(0.5))
                if levels[k] == value:
                    light[c, i] = linear[k]
                else:
                    v = np.float64(value)
                    light[c, i] = ((v + 0.055) / 1.055) ** 2.4 if v > 0.04045 else v / 12.92
        for c in range(3):
            for i in range(n):
                t = matrix[c, 0] * light[0, i] + matrix[c, 1] * light[1, i] + matrix[c, 2] * light[2, i]
                s = np.sqrt(t)  # first guess at the cube root: a cubic of √t, within 3 % for t from 0.0085 to 1.1
                y = 0.0864 + s * (1.413 + s * (-0.792 + s * 0.2937))
                y3 = y * y * y
                y = y * (y3 + 2 * t) / (2 * y3 + t)  # Halley
                y3 = y * y * y
                y = y * (y3 + 2 * t) / (2 * y3 + t)
                root[c, i] = y if t > 0.008856 else 7.787 * t + 16 / 116
        for i in range(n):
            x, y, z = root[0, i], root[1, i], root[2, i]
            out[0, start + i] = _F((np.float64(_F(116 * y - 16)) / unit + _ROUND - _ROUND) * unit)
            out[1, start + i] = _F((np.float64(_F(500 * (x - y))) / unit + _ROUND - _ROUND) * unit)
            out[2, start + i] = _F((np.float64(_F(200 * (y - z))) / unit + _ROUND - _ROUND) * unit)


# ---- the start --------------------------------------------------------------------------------------------------


@_loop
def perturb(features: Any, cells: Any, places: Any, out: Any) -> None:
    """Move each seed (K, 2) to the lowest gradient of the 3×3 pixels around it, within its cell."""
    height, width = cells.shape
    for k in range(len(places)):
        row, col = places[k, 0], places[k, 1]
        lowest, own = _F(np.inf), cells[row, col]
        for turn in range(10):
            if turn == 5:
                continue  # the middle, which was first
            step = 4 if turn == 0 else turn - 1
            r, c = row + step // 3 - 1, col + step % 3 - 1
            if r < 0 or r >= height or c < 0 or c >= width or cells[r, c] != own:
                continue
            above, below = max(r - 1, 0) * width + c, min(r + 1, height - 1) * width + c
            left, right = r * width + max(c - 1, 0), r * width + min(c + 1, width - 1)
            down = across = _F(0)
            for d in range(len(features)):
                difference = features[d, below] - features[d, above]
                down += difference * difference
                difference = features[d, right] - features[d, left]
                across += difference * difference
            if down + across < lowest:
                lowest = down + across
                out[k, 0], out[k, 1] = r, c


# ---- one step ---------------------------------------------------------------------------------------------------


@_loop
def compete(  # type: ignore[no-untyped-def]
    features, width, windows, centers, weight, place_weight, first, last, best, labels
):
    """Let each center compete for the pixels of its window in the rows from ``first`` to ``last``."""
    if len(features) == 3:
        _compete_with_three(features, width, windows, centers, weight, place_weight, first, last, best, labels)
    else:
        _compete_with_any(features, width, windows, centers, weight, place_weight, first, last, best, labels)


@_loop
def _compete_with_three(  # type: ignore[no-untyped-def]
    features, width, windows, centers, weight, place_weight, first, last, best, labels
):
    f0, f1, f2, across = features[0], features[1], features[2], np.empty(width, _F)
    for k in range(len(centers)):
        left, n = windows[k, 2], windows[k, 3] - windows[k, 2] + 1
        own0, own1, own2, row, col = centers[k, 0], centers[k, 1], centers[k, 2], centers[k, 3], centers[k, 4]
        scale = weight[k]
        for j in range(n):
            away = _F(left + j) - col
            across[j] = away * away
        for i in range(max(windows[k, 0], first), min(windows[k, 1], last) + 1):
            away = _F(i) - row
            down, start = away * away, np.uintp(i * width + left)
            for j in range(n):
                p = start + np.uintp(j)  # never below 0, and the compiler knows: the loop vectorizes
                d0, d1, d2 = f0[p] - own0, f1[p] - own1, f2[p] - own2
                distance = (d0 * d0 + d1 * d1 + d2 * d2) * scale + (down + across[j]) * place_weight
                closer = distance < best[p]
                best[p] = distance if closer else best[p]
                labels[p] = k if closer else labels[p]


@_loop
def _compete_with_any(  # type: ignore[no-untyped-def]
    features, width, windows, centers, weight, place_weight, first, last, best, labels
):
    depth = len(features)
    across, color = np.empty(width, _F), np.empty(width, _F)
    for k in range(len(centers)):
        left, n = windows[k, 2], windows[k, 3] - windows[k, 2] + 1
        row, col, scale = centers[k, depth], centers[k, depth + 1], weight[k]
        for j in range(n):
            away = _F(left + j) - col
            across[j] = away * away
        for i in range(max(windows[k, 0], first), min(windows[k, 1], last) + 1):
            away = _F(i) - row
            down, start = away * away, np.uintp(i * width + left)
            color[:n] = 0
            for d in range(depth):
                own, plane = centers[k, d], features[d]
                for j in range(n):
                    difference = plane[start + np.uintp(j)] - own
                    color[j] += difference * difference
            for j in range(n):
                p = start + np.uintp(j)
                distance = color[j] * scale + (down + across[j]) * place_weight
                closer = distance < best[p]
                best[p] = distance if closer else best[p]
                labels[p] = k if closer else labels[p]


@_inner
def _color_distance(features, centers, k, p):  # type: ignore[no-untyped-def]
    color = _F(0)
    for d in range(len(features)):
        difference = features[d, p] - centers[k, d]
        color += difference * difference
    return color


@_loop
def settle(  # type: ignore[no-untyped-def]
    features, width, windows, centers, weight, place_weight, first, last, before, best, labels, change
):
    """Let the center that a pixel had compete where its window has moved away; add up how sums (K, D + 3) change.

    A pixel whose center is the same as before has that center's window around it: it needs no look.
    """
    depth = len(features)
    for i in range(first, last + 1):
        for j in range(width):
            p = i * width + j
            k, new = before[p], labels[p]
            if k == new:
                continue
            if k >= 0:
                if i < windows[k, 0] or i > windows[k, 1] or j < windows[k, 2] or j > windows[k, 3]:
                    down, across = _F(i) - centers[k, depth], _F(j) - centers[k, depth + 1]
                    color = _color_distance(features, centers, k, p) * weight[k]
                    distance = color + (down * down + across * across) * place_weight
                    if distance < best[p] or (distance == best[p] and k < new):
                        labels[p] = k
                        continue
                for d in range(depth):
                    change[k, d] -= features[d, p]
                change[k, depth] -= i
                change[k, depth + 1] -= j
                change[k, depth + 2] -= 1
            if new >= 0:
                for d in range(depth):
                    change[new, d] += features[d, p]
                change[new, depth] += i
                change[new, depth + 1] += j
                change[new, depth + 2] += 1


@_loop
def collect(features: Any, width: int, labels: Any, sums: Any) -> None:
    """Add up features, rows, columns and number of each center's pixels, one run of equal labels after another."""
    depth, n = features.shape
    start = 0
    while start < n:
        k, i, j = labels[start], start // width, start % width
        stop = start + 1
        while stop < (i + 1) * width and labels[stop] == k:
            stop += 1
        length = stop - start
        if k >= 0:
            for d in range(depth):
                total = 0.0
                for p in range(start, stop):
                    total += features[d, p]
                sums[k, d] += total
            sums[k, depth] += length * i
            sums[k, depth + 1] += length * j + length * (length - 1) // 2
            sums[k, depth + 2] += length
        start = stop


@_loop
def largest(features: Any, centers: Any, labels: Any, out: Any) -> None:
    """The largest squared distance in features of each center's pixels."""
    for p in range(len(labels)):
        k = labels[p]
        if k >= 0:
            out[k] = max(out[k], _color_distance(features, centers, k, p))


# ---- connected superpixels --------------------------------------------------------------------------------------


@_inner
def _root(parent, a):  # type: ignore[no-untyped-def]
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@_loop
def _runs(labels: Any, width: int) -> Any:
    """Where runs of one label in a row start, with an end after the last, and the first run of each row."""
    n = len(labels)
    height = n // width
    starts, of_row, m = np.empty(n + 1, np.int32), np.empty(height + 1, np.int32), 0
    for i in range(height):
        of_row[i] = m
        for p in range(i * width, (i + 1) * width):
            if p == i * width or labels[p] != labels[p - 1]:
                starts[m] = p
                m += 1
    of_row[height] = m
    starts[m] = n
    return starts[: m + 1], of_row


@_loop
def _pieces(labels: Any, width: int, starts: Any, of_row: Any) -> Any:
    """The piece of each run, numbered by the first run, −1 outside; and their number."""
    m = len(starts) - 1
    parent = np.arange(m)
    for i in range(1, len(of_row) - 1):
        a, b = of_row[i - 1], of_row[i]
        while a < of_row[i] and b < of_row[i + 1]:  # both rows from left to right
            if labels[starts[a]] == labels[starts[b]]:
                x, y = _root(parent, a), _root(parent, b)
                parent[max(x, y)] = min(x, y)
            end_a, end_b = starts[a + 1] + width, starts[b + 1]
            a += end_a <= end_b
            b += end_b <= end_a
    piece, count = np.empty(m, np.int64), 0
    for r in range(m):
        if labels[starts[r]] < 0:
            piece[r] = -1
        elif parent[r] == r:
            piece[r] = count
            count += 1
        else:
            piece[r] = piece[parent[r]]
    return piece, count


@_loop
def _edges(piece: Any, width: int, starts: Any, of_row: Any) -> Any:
    """Pairs (E, 2) of pieces that touch, some of them repeated."""
    edges, e = np.empty((3 * len(piece), 2), np.int64), 0
    for i in range(len(of_row) - 1):
        for r in range(of_row[i] + 1, of_row[i + 1]):
            if piece[r] >= 0 and piece[r - 1] >= 0:
                edges[e, 0], edges[e, 1] = piece[r - 1], piece[r]
                e += 1
        if i == 0:
            continue
        a, b = of_row[i - 1], of_row[i]
        while a < of_row[i] and b < of_row[i + 1]:
            if piece[a] != piece[b] and piece[a] >= 0 and piece[b] >= 0:
                edges[e, 0], edges[e, 1] = piece[a], piece[b]
                e += 1
            end_a, end_b = starts[a + 1] + width, starts[b + 1]
            a += end_a <= end_b
            b += end_b <= end_a
    return edges[:e]


@_loop
def connect(labels: Any, width: int, features: Any, n_segments: int, min_size: int) -> Any:
    """The superpixel (N,) int64 of each pixel; see `seglab.kernels.slic.enforce_connectivity`."""
    starts, of_row = _runs(labels, width)
    piece, count = _pieces(labels, width, starts, of_row)
    sizes, center = np.zeros(count, np.int64), np.zeros(count, np.int64)
    sums = np.zeros((count, len(features)), np.float64)
    for r in range(len(piece)):
        a = piece[r]
        if a < 0:
            continue
        sizes[a] += starts[r + 1] - starts[r]
        center[a] = labels[starts[r]]
        for d in range(len(features)):
            total = 0.0
            for p in range(starts[r], starts[r + 1]):
                total += features[d, p]
            sums[a, d] += total
    number = absorb(sizes, sums, center, _edges(piece, width, starts, of_row), n_segments, min_size)
    out = np.empty(len(labels), np.int64)
    for r in range(len(piece)):
        out[starts[r] : starts[r + 1]] = number[piece[r]] if piece[r] >= 0 else -1
    return out


@_loop
def _neighbors(edges: Any, n: int) -> Any:
    """The neighbors of piece p are ``other[first[p] : first[p + 1]]``."""
    first = np.zeros(n + 1, np.int64)
    for e in range(len(edges)):
        first[edges[e, 0] + 1] += 1
        first[edges[e, 1] + 1] += 1
    first = np.cumsum(first)
    at, other = first[:-1].copy(), np.empty(2 * len(edges), np.int64)
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        other[at[a]], other[at[b]] = b, a
        at[a] += 1
        at[b] += 1
    return first, other


@_inner
def _most_similar(a, first, other, chain, parent, means):  # type: ignore[no-untyped-def]
    """The neighbor of piece ``a``, and of all that it has absorbed, with the nearest mean; −1 where there is none."""
    best, target, member = np.inf, -1, a
    while member >= 0:
        for e in range(first[member], first[member + 1]):
            b = _root(parent, other[e])
            if b in (a, target):
                continue
            distance = 0.0
            for d in range(means.shape[1]):
                difference = means[a, d] - means[b, d]
                distance += difference * difference
            if distance < best or (distance == best and b < target):
                best, target = distance, b
        member = chain[member]
    return target


@_loop
def absorb(sizes: Any, sums: Any, center: Any, edges: Any, n_segments: int, min_size: int) -> Any:
    """Absorb pieces (P,), the smallest first, and number what is left: (P,) int64, the superpixel of each piece."""
    n, left = len(sizes), len(sizes)
    sizes, sums, parent = sizes.copy(), sums.copy(), np.arange(n)
    means = sums / sizes.reshape(-1, 1)
    chain, tail = np.full(n, -1), np.arange(n)  # what a piece has absorbed, one after another
    first, other = _neighbors(edges, n)
    small = np.flatnonzero(sizes < min_size)
    queue = np.sort(sizes[small] << 32 | small)  # by size, then by number
    heap = [np.int64(0) for _ in range(0)]  # those that have grown and are small all the same
    taken, all_of_them = 0, False
    while True:
        if taken < len(queue) and (len(heap) == 0 or queue[taken] < heap[0]):
            key = queue[taken]
            taken += 1
        elif len(heap) > 0:
            key = heapq.heappop(heap)
        elif left > n_segments and not all_of_them:  # none is too small any more, but they are too many
            heap, all_of_them = [sizes[p] << 32 | p for p in range(n) if parent[p] == p], True
            heapq.heapify(heap)
            continue
        else:
            break
        if all_of_them and left <= n_segments:
            break
        a = key & 0xFFFFFFFF
        if parent[a] != a or sizes[a] != key >> 32:
            continue  # absorbed, or grown since
        b = _most_similar(a, first, other, chain, parent, means)
        if b < 0:
            continue  # an island
        parent[a], chain[tail[b]], tail[b] = b, a, tail[a]
        sizes[b] += sizes[a]
        for d in range(sums.shape[1]):
            sums[b, d] += sums[a, d]
            means[b, d] = sums[b, d] / sizes[b]
        left -= 1
        if all_of_them or sizes[b] < min_size:
            heapq.heappush(heap, sizes[b] << 32 | b)
    return _numbers(parent, sizes, center)


@_loop
def _numbers(parent: Any, sizes: Any, center: Any) -> Any:
    """Number the roots: the largest of each center, in the order of the centers, then the others."""
    n = len(parent)
    main = np.full(center.max() + 1 if n > 0 else 0, -1)
    for p in range(n):
        if parent[p] == p and (main[center[p]] < 0 or sizes[p] > sizes[main[center[p]]]):
            main[center[p]] = p
    number, count = np.full(n, -1), 0
    for k in range(len(main)):
        if main[k] >= 0:
            number[main[k]] = count
            count += 1
    for p in range(n):
        if parent[p] == p and number[p] < 0:
            number[p] = count
            count += 1
    for p in range(n):
        number[p] = number[_root(parent, p)]
    return number
