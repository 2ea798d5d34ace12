"""The compiled loops of `seglab.kernels.mean_shift`; imported when first needed, because compiling takes a moment."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["climb_flat", "climb_gaussian", "fuse", "gaussian_density"]

_I = np.int32
_F = np.float32
_U = np.uint32
BLOCK = 8  # rows and columns that are looked at together
PAD = 16  # columns after a picture's last, which nobody sees
UNITS = 2.0**24  # in which sums of modes are whole numbers
_TABLE = 1 << 14  # moves that are remembered

# What is exact may be added up in any order, and what is rounded need not be in one: so sums are made in vectors.
_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_inner = numba.njit(nogil=True, forceinline=True, error_model="numpy")
_sums = numba.njit(nogil=True, forceinline=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
_exact = numba.njit(nogil=True, forceinline=True, error_model="numpy", fastmath={"contract"})


@_exact
def _look(first, second, third, i, mark, across, left, y1, y2, y3, limit, s1, s2, s3, marks):  # type: ignore[no-untyped-def]
    """Add to the sums what the pixel at i is worth: its color, less the point's own, and a mark."""
    d1, d2, d3 = first[i] - y1, second[i] - y2, third[i] - y3
    seen = (d1 * d1 + d2 * d2 + d3 * d3 <= limit) & (across <= left)
    return (
        s1 + (d1 if seen else _F(0)), s2 + (d2 if seen else _F(0)), s3 + (d3 if seen else _F(0)),
        _I(marks + (mark if seen else _I(0))),
    )  # fmt: skip


@_exact
def _look_down(first, second, third, i, stride, mark, x, off, square, y1, y2, y3, limit, a, b, c, m):  # type: ignore[no-untyped-def]
    """`_look` at four pixels one below another, the first of which is ``off`` below the point."""
    a, b, c, m = _look(first, second, third, i, mark, x, square - off * off, y1, y2, y3, limit, a, b, c, m)
    i, mark, off = i + stride, _I(mark + _I(1 << 8)), off + _F(1)
    a, b, c, m = _look(first, second, third, i, mark, x, square - off * off, y1, y2, y3, limit, a, b, c, m)
    i, mark, off = i + stride, _I(mark + _I(1 << 8)), off + _F(1)
    a, b, c, m = _look(first, second, third, i, mark, x, square - off * off, y1, y2, y3, limit, a, b, c, m)
    i, mark, off = i + stride, _I(mark + _I(1 << 8)), off + _F(1)
    return _look(first, second, third, i, mark, x, square - off * off, y1, y2, y3, limit, a, b, c, m)


@_sums
def _flat_block(first, second, third, at, stride, down, right, square, y1, y2, y3, limit):  # type: ignore[no-untyped-def]
    """Sums over a block of pixels, the first of which has index ``at`` and is ``down`` and ``right`` of the point.

    Returns the sums of colors and, because to add up the lanes of a vector takes as long as to look, in one whole
    number how many pixels there are (8 bits), how many rows they are below the first (12 bits), and columns beside it.
    """
    s1 = s2 = s3 = _F(0)
    marks = _I(0)
    for lane in range(BLOCK):
        a = b = c = _F(0)
        m = _I(0)
        i, mark, off = at + np.uintp(lane), _I(_I(_I(lane) << 20) + _I(1)), down
        x = (right + _F(_I(lane))) * (right + _F(_I(lane)))
        a, b, c, m = _look_down(first, second, third, i, stride, mark, x, off, square, y1, y2, y3, limit, a, b, c, m)
        i, mark, off = i + np.uintp(4) * stride, _I(mark + _I(4 << 8)), off + _F(4)
        a, b, c, m = _look_down(first, second, third, i, stride, mark, x, off, square, y1, y2, y3, limit, a, b, c, m)
        s1 += a
        s2 += b
        s3 += c
        marks = _I(marks + m)
    return s1, s2, s3, marks


@_inner
def _flat_sums(first, second, third, width, bandwidth, limit, top, bottom, row, col, y1, y2, y3):  # type: ignore[no-untyped-def]
    """How many pixels a point sees, the sums of their rows and columns, and of their colors less its own."""
    stride = width + PAD
    n = rows = cols = 0
    s1 = s2 = s3 = 0.0
    left, right = max(int(np.ceil(col - bandwidth)), 0), min(int(np.floor(col + bandwidth)), width - 1)
    for i in range(top, bottom + 1, BLOCK):
        for j in range(left, right + 1, BLOCK):
            at, down = np.uintp(i * stride + j), np.uintp(stride)
            d1, d2, d3, marks = _flat_block(
                first, second, third, at, down, _F(i) - row, _F(j) - col, bandwidth * bandwidth, y1, y2, y3, limit
            )
            count = marks & 0xFF
            n += count
            rows += count * i + ((marks >> 8) & 0xFFF)
            cols += count * j + (marks >> 20)
            s1 += d1
            s2 += d2
            s3 += d3
    return n, rows, cols, s1, s2, s3


@_inner
def _flat_mean(  # type: ignore[no-untyped-def]
    first, second, third, height, width, bandwidth, limit, place_unit, row, col, y1, y2, y3
):
    """Where a point moves: the mean place and color of what it sees, in whole units."""
    top, bottom = max(int(np.ceil(row - bandwidth)), 0), min(int(np.floor(row + bandwidth)), height - 1)
    n, rows, cols, s1, s2, s3 = _flat_sums(
        first, second, third, width, bandwidth, limit, top, bottom, row, col, y1, y2, y3
    )
    if n == 0:  # never where a point sets out from a pixel
        return row, col, y1, y2, y3
    return (
        _F(np.rint(rows / n / place_unit) * place_unit),
        _F(np.rint(cols / n / place_unit) * place_unit),
        _F(y1 + np.rint(s1 / n)),
        _F(y2 + np.rint(s2 / n)),
        _F(y3 + np.rint(s3 / n)),
    )


@_loop
def climb_flat(  # type: ignore[no-untyped-def]
    first, second, third, height, width, bandwidth, range_, place_unit, color_unit, points, moving, tol2, n_moves
):
    """Move points (P, 5) and mark those that have stopped, in place; the largest number of moves.

    Moves are remembered by where they start (a table in which later ones replace earlier ones): many points come to
    places where others have been, and from there on go the same way.
    """
    limit = _F(range_ / color_unit) * _F(range_ / color_unit)
    size = _TABLE if n_moves > 1 else 1
    seen = np.full((size, 10), _F(-1))
    unit = _F(color_unit)
    most = 0
    for p in range(len(points)):
        taken = 0
        row, col = points[p, 0], points[p, 1]
        y1, y2, y3 = points[p, 2] / unit, points[p, 3] / unit, points[p, 4] / unit
        while moving[p] and taken < n_moves:
            k = _place_in_table(row / _F(place_unit), col / _F(place_unit), y1, y2, y3, size)
            if not (
                (seen[k, 0] == row) & (seen[k, 1] == col)
                & (seen[k, 2] == y1) & (seen[k, 3] == y2) & (seen[k, 4] == y3)
            ):  # fmt: skip
                seen[k, 0], seen[k, 1], seen[k, 2], seen[k, 3], seen[k, 4] = row, col, y1, y2, y3
                seen[k, 5], seen[k, 6], seen[k, 7], seen[k, 8], seen[k, 9] = _flat_mean(
                    first, second, third, height, width, _F(bandwidth), limit, place_unit, row, col, y1, y2, y3
                )
            down, right = np.float64(seen[k, 5] - row), np.float64(seen[k, 6] - col)
            d1, d2, d3 = np.float64(seen[k, 7] - y1), np.float64(seen[k, 8] - y2), np.float64(seen[k, 9] - y3)
            d1, d2, d3 = d1 * color_unit, d2 * color_unit, d3 * color_unit
            length2 = (down * down + right * right) / bandwidth**2 + (d1 * d1 + d2 * d2 + d3 * d3) / range_**2
            moving[p] = length2 > tol2
            row, col, y1, y2, y3 = seen[k, 5], seen[k, 6], seen[k, 7], seen[k, 8], seen[k, 9]
            taken += 1
        points[p, 0], points[p, 1] = row, col
        points[p, 2], points[p, 3], points[p, 4] = y1 * unit, y2 * unit, y3 * unit
        most = max(most, taken)
    return most


@_inner
def _place_in_table(row, col, y1, y2, y3, size):  # type: ignore[no-untyped-def]
    """A hash of a point in whole units; ``size`` is a power of two."""
    key = np.uint64(int(row) + (int(col) << 32)) * np.uint64(0x9E3779B97F4A7C15)
    key ^= np.uint64(int(y1) + (int(y2) << 21) + (int(y3) << 42)) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0xBF58476D1CE4E5B9)
    return int((key >> np.uint64(40)) & np.uint64(size - 1))


# ---- the Gaussian kernel ----------------------------------------------------------------------------------------


@_sums
def _gaussian_row(  # type: ignore[no-untyped-def]
    first, second, third, start, length, y1, y2, y3, per_color, off, per_place, far
):
    """Over a row: Σw, Σw·column, Σw·color, less the point's own, and Σ(w − e^(−9/2)), where s < 9.

    Up to a multiple of 16 columns, so that vectors are full; what is past the end is farther away than 9.
    """
    w = wc = w1 = w2 = w3 = lowered = _F(0)
    for k in range((length + 15) // 16 * 16):
        i = start + np.uintp(k)
        d1, d2, d3 = first[i] - y1, second[i] - y2, third[i] - y3
        c = off + _F(_I(k))
        s = far + c * c * per_place + (d1 * d1 + d2 * d2 + d3 * d3) * per_color
        x = s * _F(-1 / 16)  # e^(−s/2) is the eighth power of e^x, −9/16 < x ≤ 0, by its series
        e = _F(1) + x * (_F(1) + x * (_F(1 / 2) + x * (_F(1 / 6) + x * (_F(1 / 24) + x * (_F(1 / 120) + x * (
            _F(1 / 720) + x * (_F(1 / 5040) + x * _F(1 / 40320))))))))  # fmt: skip
        e *= e
        e *= e
        e *= e
        weight = e if s < _F(9) else _F(0)
        lowered += e - _F(0.011108996538242306) if s < _F(9) else _F(0)
        w += weight
        wc += weight * c
        w1 += weight * d1
        w2 += weight * d2
        w3 += weight * d3
    return w, wc, w1, w2, w3, lowered


@numba.njit(nogil=True, error_model="numpy")
def _gaussian_sums(first, second, third, height, width, bandwidth, range_, color_unit, y):  # type: ignore[no-untyped-def]
    """Over what a point y (row, column, three colors in units) sees: Σw, Σw·(place and color less its own), density."""
    stride = width + PAD
    row, col = np.float64(y[0]), np.float64(y[1])
    total = np.zeros(7)
    reach = 3 * bandwidth
    per_color, per_place = _F((color_unit / range_) ** 2), _F(1 / bandwidth**2)
    for i in range(max(int(np.ceil(row - reach)), 0), min(int(np.floor(row + reach)), height - 1) + 1):
        half = np.sqrt(max(reach**2 - (i - row) ** 2, 0.0))
        low = max(int(np.ceil(col - half)), 0)
        length = min(int(np.floor(col + half)), width - 1) + 1 - low
        far = _F((i - row) ** 2 / bandwidth**2)
        at = np.uintp(i * stride + low)
        w, wc, w1, w2, w3, lowered = _gaussian_row(
            first, second, third, at, length, y[2], y[3], y[4], per_color, _F(low - col), per_place, far
        )
        total[0] += w
        total[1] += w * (i - row)
        total[2] += wc
        total[3] += w1
        total[4] += w2
        total[5] += w3
        total[6] += lowered
    return total


@_loop
def climb_gaussian(  # type: ignore[no-untyped-def]
    first, second, third, height, width, bandwidth, range_, color_unit, points, moving, tol2, n_moves
):
    """Move points (P, 5) and mark those that have stopped, in place; the largest number of moves."""
    y = np.empty(5, np.float32)
    most = 0
    for p in range(len(points)):
        taken = 0
        while moving[p] and taken < n_moves:
            for d in range(5):
                y[d] = points[p, d] if d < 2 else points[p, d] / _F(color_unit)
            total = _gaussian_sums(first, second, third, height, width, bandwidth, range_, color_unit, y)
            length2 = 0.0
            for d in range(5):
                move = total[1 + d] / max(total[0], 1e-30) * (color_unit if d > 1 else 1.0)
                points[p, d] += _F(move)
                length2 += (move / (range_ if d > 1 else bandwidth)) ** 2
            moving[p] = length2 > tol2
            taken += 1
        most = max(most, taken)
    return most


@_loop
def gaussian_density(  # type: ignore[no-untyped-def]
    first, second, third, height, width, bandwidth, range_, color_unit, points, out
):
    """The density at points (P, 5), up to a constant, written to ``out`` (P,)."""
    y = np.empty(5, np.float32)
    for p in range(len(points)):
        for d in range(5):
            y[d] = points[p, d] if d < 2 else points[p, d] / _F(color_unit)
        out[p] = _gaussian_sums(first, second, third, height, width, bandwidth, range_, color_unit, y)[6]


# ---- fusing -----------------------------------------------------------------------------------------------------


@_loop
def fuse(colors, step, limit, min_size):  # type: ignore[no-untyped-def]
    """`seglab.kernels.mean_shift.fuse` of colors (H, W, D) float32; modes nearer than √limit are joined."""
    height, width, depth = colors.shape
    region, n = _numbered(_regions(colors, step))
    sizes, sums = np.zeros(n, np.int64), np.zeros((n, depth), np.int64)
    for i in range(height * width):
        sizes[region[i]] += 1
        for d in range(depth):
            sums[region[i], d] += np.int64(np.rint(np.float64(colors[i // width, i % width, d]) * UNITS))
    pairs = _pairs(region, height, width)
    segment = np.arange(n)
    absorbing = False
    while len(pairs):
        target = _absorbed(pairs, sizes, sums, min_size) if absorbing else _joined(pairs, sizes, sums, limit)
        index, n = _compact(target)
        if n == len(sizes):
            if absorbing:
                break
            absorbing = True  # nothing is left to join
            continue
        old_sizes, old_sums = sizes, sums
        sizes, sums = np.zeros(n, np.int64), np.zeros((n, depth), np.int64)
        for k in range(len(index)):
            sizes[index[k]] += old_sizes[k]
            for d in range(depth):  # one by one: whole rows take seconds longer to compile
                sums[index[k], d] += old_sums[k, d]
        for k in range(len(segment)):
            segment[k] = index[segment[k]]
        pairs = _renamed(pairs, index)
    first = np.full(n, -1)  # the first pixel of each segment
    for i in range(len(region)):
        k = segment[region[i]]
        if first[k] < 0:
            first[k] = i
        region[i] = first[k]
    return _numbered(region)[0].reshape(height, width)


@_loop
def _regions(colors, step):  # type: ignore[no-untyped-def]
    """The first pixel of each pixel's region, (H·W,): 8-neighbors are of one where no channel differs by the step."""
    height, width, depth = colors.shape
    parent = np.arange(height * width)
    for r in range(height):
        for c in range(width):
            for dr, dc in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                if r + dr < 0 or c + dc < 0 or c + dc >= width:
                    continue
                near = True
                for d in range(depth):
                    near &= abs(colors[r, c, d] - colors[r + dr, c + dc, d]) < step
                if near:
                    _link(parent, r * width + c, (r + dr) * width + c + dc)
    for i in range(len(parent)):
        parent[i] = parent[parent[i]]
    return parent


@_inner
def _link(parent, i, j):  # type: ignore[no-untyped-def]
    """Join the trees of i and j; the earlier root stays one."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    while parent[j] != j:
        parent[j] = parent[parent[j]]
        j = parent[j]
    parent[max(i, j)] = min(i, j)


@_loop
def _numbered(root):  # type: ignore[no-untyped-def]
    """Labels in the order of the roots, each of which is the first of its own; and how many there are."""
    labels = np.empty_like(root)
    n = 0
    for i in range(len(root)):
        if root[i] == i:
            labels[i] = n
            n += 1
        else:
            labels[i] = labels[root[i]]
    return labels, n


@_loop
def _pairs(region, height, width):  # type: ignore[no-untyped-def]
    """The regions of all 8-neighbors that are of two, (E, 2); a pair may come several times."""
    count = 0
    pairs = np.empty((0, 2), np.int64)
    for filling in range(2):
        if filling:
            pairs = np.empty((count, 2), np.int64)
            count = 0
        for dr, dc in ((0, 1), (1, -1), (1, 0), (1, 1)):
            for r in range(height - dr):
                last_a = last_b = -1
                for c in range(max(0, -dc), width - max(0, dc)):
                    a, b = region[r * width + c], region[(r + dr) * width + c + dc]
                    if a == b or (a == last_a and b == last_b):
                        continue
                    last_a, last_b = a, b
                    if filling:
                        pairs[count, 0], pairs[count, 1] = a, b
                    count += 1
    return pairs


@_loop
def _renamed(pairs, index):  # type: ignore[no-untyped-def]
    """Pairs by their new names, without those that are one now."""
    count = 0
    for e in range(len(pairs)):
        a, b = index[pairs[e, 0]], index[pairs[e, 1]]
        if a != b:
            pairs[count, 0], pairs[count, 1] = a, b
            count += 1
    return pairs[:count].copy()


@_loop
def _compact(target):  # type: ignore[no-untyped-def]
    """New names 0, 1, … for those that stay (are their own target), in their order; each gets its target's."""
    name = np.empty_like(target)
    n = 0
    for k in range(len(target)):
        if target[k] == k:
            name[k] = n
            n += 1
    index = np.empty_like(target)
    for k in range(len(target)):
        index[k] = name[target[k]]
    return index, n


@_inner
def _apart(sizes, sums, a, b):  # type: ignore[no-untyped-def]
    """The squared distance of two mean modes."""
    total = 0.0
    for d in range(sums.shape[1]):
        difference = sums[a, d] / UNITS / sizes[a] - sums[b, d] / UNITS / sizes[b]
        total += difference * difference
    return total


@_loop
def _joined(pairs, sizes, sums, limit):  # type: ignore[no-untyped-def]
    """Where each goes in a round of joining: to the first of those to which near modes connect it."""
    parent = np.arange(len(sizes))
    for e in range(len(pairs)):
        if _apart(sizes, sums, pairs[e, 0], pairs[e, 1]) < limit:
            _link(parent, pairs[e, 0], pairs[e, 1])
    for k in range(len(parent)):
        parent[k] = parent[parent[k]]
    return parent


@_loop
def _absorbed(pairs, sizes, sums, min_size):  # type: ignore[no-untyped-def]
    """Where each goes in a round of `seglab.labels.absorb_small`."""
    n = len(sizes)
    order = np.empty(n, np.int64)  # by size; equal ones in a fixed shuffle
    for k in range(n):
        order[k] = sizes[k] * 2**32 + (k * 2654435761) % 2**32
    rival = np.full(n, np.iinfo(np.int64).max)
    for e in range(len(pairs)):
        a, b = pairs[e, 0], pairs[e, 1]
        rival[a], rival[b] = min(rival[a], order[b]), min(rival[b], order[a])
    nearest, target = np.full(n, np.inf), np.arange(n)
    for e in range(len(pairs)):
        for side in range(2):
            a, b = pairs[e, side], pairs[e, 1 - side]
            if sizes[a] >= min_size or order[a] > rival[a]:
                continue
            distance = _apart(sizes, sums, a, b)
            if distance < nearest[a] or (distance == nearest[a] and b < target[a]):
                nearest[a], target[a] = distance, b
    return target
