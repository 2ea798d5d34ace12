"""The compiled loops of `seglab.kernels.mean_shift`; imported when first needed, because compiling takes a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

__all__ = ["climb_flat", "climb_gaussian", "gaussian_density", "join"]

_I = np.int32
_F = np.float32
_MARK = 512  # what a pixel adds to the upper half of the second sum besides its place; places add up to less
_TABLE = 1 << 14  # moves that are remembered

# What is exact may be added up in any order, and what is rounded need not be in one: so sums are made in vectors.
_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_sums = numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})


def _flat_piece(lanes: int) -> Callable[..., Any]:
    """Sum over a piece of a row, of a length that the compiler knows."""

    def piece(  # type: ignore[no-untyped-def]
        first, second, third, pair, single, start, length, y1, y2, y3, pair_y, single_y, limit
    ):
        """Σ(first, second) and Σ(third, 512 + k) of the colors within the limit, each two numbers of 16 bits in one."""
        a = _I(0)
        b = _I(0)
        for k in range(lanes):
            i = start + np.uintp(k)
            d1, d2, d3 = first[i] - y1, second[i] - y2, third[i] - y3
            inside = (d1 * d1 + d2 * d2 + d3 * d3 <= limit) & (_I(k) < length)
            a = _I(a + (_I(pair[i] - pair_y) if inside else _I(0)))
            b = _I(b + (_I(_I(single[i] - single_y) + (_I(k + _MARK) << 16)) if inside else _I(0)))
        return a, b

    return _sums(piece)


_flat8, _flat16, _flat24, _flat32 = (_flat_piece(lanes) for lanes in (8, 16, 24, 32))


@numba.njit(nogil=True, error_model="numpy")
def _flat_move(first, second, third, pair, single, height, width, bandwidth, limit, y):  # type: ignore[no-untyped-def]
    """How many pixels a point y (row, column, three whole colors) sees, and their sums, of colors less its own."""
    stride = width + 32
    row, col, y1, y2, y3 = _F(y[0]), _F(y[1]), _F(y[2]), _F(y[3]), _F(y[4])
    pair_y, single_y = _I(_I(y1) + (_I(y2) << 16)), _I(y3)
    n = rows = cols = s1 = s2 = s3 = 0
    a: Any
    b: Any
    square = bandwidth * bandwidth
    for i in range(max(int(np.ceil(row - bandwidth)), 0), min(int(np.floor(row + bandwidth)), height - 1) + 1):
        off = _F(i) - row
        half = np.sqrt(max(square - off * off, _F(0)))
        low = max(int(np.ceil(col - half)), 0)
        left = min(int(np.floor(col + half)), width - 1) + 1 - low
        while left > 0:
            at, length = np.uintp(i * stride + low), _I(min(left, 32))
            if length <= 8:
                a, b = _flat8(first, second, third, pair, single, at, length, y1, y2, y3, pair_y, single_y, limit)
            elif length <= 16:
                a, b = _flat16(first, second, third, pair, single, at, length, y1, y2, y3, pair_y, single_y, limit)
            elif length <= 24:
                a, b = _flat24(first, second, third, pair, single, at, length, y1, y2, y3, pair_y, single_y, limit)
            else:
                a, b = _flat32(first, second, third, pair, single, at, length, y1, y2, y3, pair_y, single_y, limit)
            a1, b1 = _I(_I(a << 16) >> 16), _I(_I(b << 16) >> 16)  # the lower halves, with their signs
            marks = (b - b1) >> 16
            count = marks // _MARK
            n += count
            rows += count * i
            cols += count * low + marks % _MARK
            s1 += a1
            s2 += (a - a1) >> 16
            s3 += b1
            low += 32
            left -= 32
    return n, rows, cols, s1, s2, s3


@_loop
def climb_flat(  # type: ignore[no-untyped-def]
    first, second, third, pair, single, height, width, bandwidth, range_, place_unit, color_unit, points, moving,
    tol2, n_moves,
):  # fmt: skip
    """Move points (P, 5) and mark those that have stopped, in place; the largest number of moves.

    Moves are remembered by where they start (a table in which later ones replace earlier ones): many points come to
    places where others have been, and from there on go the same way.
    """
    limit = _F(range_ / color_unit) * _F(range_ / color_unit)
    remembered = np.full((_TABLE if n_moves > 1 else 1, 10), np.float32(-1))
    y, new = np.empty(5, np.float32), np.empty(5, np.float32)
    most = 0
    for p in range(len(points)):
        taken = 0
        y[:2] = points[p, :2]
        y[2:] = points[p, 2:] / _F(color_unit)
        while moving[p] and taken < n_moves:
            entry = remembered[_place_in_table(y, len(remembered), place_unit)]
            if entry[0] == y[0] and entry[1] == y[1] and entry[2] == y[2] and entry[3] == y[3] and entry[4] == y[4]:
                new[:] = entry[5:]
            else:
                n, rows, cols, s1, s2, s3 = _flat_move(
                    first, second, third, pair, single, height, width, _F(bandwidth), limit, y
                )
                new[0] = np.rint(rows / n / place_unit) * place_unit
                new[1] = np.rint(cols / n / place_unit) * place_unit
                new[2], new[3], new[4] = y[2] + np.rint(s1 / n), y[3] + np.rint(s2 / n), y[4] + np.rint(s3 / n)
                entry[:5] = y
                entry[5:] = new
            place, color = _squared_move(y, new, color_unit)
            moving[p] = place / bandwidth**2 + color / range_**2 > tol2
            y[:] = new
            taken += 1
        points[p, :2] = y[:2]
        points[p, 2:] = y[2:] * _F(color_unit)
        most = max(most, taken)
    return most


@numba.njit(nogil=True, error_model="numpy")
def _place_in_table(y, size, place_unit):  # type: ignore[no-untyped-def]
    """A hash of a point; ``size`` is a power of two."""
    key = np.uint64(int(y[0] / place_unit)) * np.uint64(0x9E3779B97F4A7C15)
    key ^= np.uint64(int(y[1] / place_unit)) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= np.uint64(int(y[2]) + 7 * int(y[3]) + 31 * int(y[4])) * np.uint64(0x165667B19E3779F9)
    return int((key >> np.uint64(40)) & np.uint64(size - 1))


@numba.njit(nogil=True, error_model="numpy")
def _squared_move(y, new, color_unit):  # type: ignore[no-untyped-def]
    """The squared lengths in pixels and in color."""
    d = new.astype(np.float64) - y
    d[2:] *= color_unit
    return d[0] ** 2 + d[1] ** 2, d[2] ** 2 + d[3] ** 2 + d[4] ** 2


# ---- the Gaussian kernel ----------------------------------------------------------------------------------------


@_sums
def _gaussian_row(  # type: ignore[no-untyped-def]
    first, second, third, start, length, y1, y2, y3, per_color, off, per_place, far
):
    """Over a row: Σw, Σw·column, Σw·color, less the point's own, and Σ(w − e^(−9/2)), where s ≤ 9."""
    w = wc = w1 = w2 = w3 = lowered = _F(0)
    for k in range(length):
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
    stride = width + 32
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
    first, second, third, pair, single, height, width, bandwidth, range_, color_unit, points, moving, tol2, n_moves
):
    """Move points (P, 5) and mark those that have stopped, in place; the largest number of moves."""
    y = np.empty(5, np.float32)
    most = 0
    for p in range(len(points)):
        taken = 0
        while moving[p] and taken < n_moves:
            y[:2] = points[p, :2]
            y[2:] = points[p, 2:] / _F(color_unit)
            total = _gaussian_sums(first, second, third, height, width, bandwidth, range_, color_unit, y)
            length2 = 0.0
            for d in range(5):
                move = total[1 + d] / total[0] * (color_unit if d > 1 else 1.0)
                points[p, d] += _F(move)
                length2 += (move / (range_ if d > 1 else bandwidth)) ** 2
            moving[p] = length2 > tol2
            taken += 1
        most = max(most, taken)
    return most


@_loop
def gaussian_density(  # type: ignore[no-untyped-def]
    first, second, third, pair, single, height, width, bandwidth, range_, color_unit, points, out
):
    """The density at points (P, 5), up to a constant, written to ``out`` (P,)."""
    y = np.empty(5, np.float32)
    for p in range(len(points)):
        y[:2] = points[p, :2]
        y[2:] = points[p, 2:] / _F(color_unit)
        out[p] = _gaussian_sums(first, second, third, height, width, bandwidth, range_, color_unit, y)[6]


# ---- fusing -----------------------------------------------------------------------------------------------------


@_loop
def join(colors, limit):  # type: ignore[no-untyped-def]
    """The first pixel of each pixel's region, (H·W,), for colors (H, W, D): 8-neighbors are of one region where no
    channel differs by the limit.
    """
    height, width, depth = colors.shape
    parent = np.arange(height * width)
    for r in range(height):
        for c in range(width):
            for dr, dc in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                if r + dr < 0 or c + dc < 0 or c + dc >= width:
                    continue
                near = True
                for d in range(depth):
                    near &= abs(colors[r, c, d] - colors[r + dr, c + dc, d]) < limit
                if not near:
                    continue
                i, j = r * width + c, (r + dr) * width + c + dc
                while parent[i] != i:
                    parent[i] = parent[parent[i]]
                    i = parent[i]
                while parent[j] != j:
                    parent[j] = parent[parent[j]]
                    j = parent[j]
                parent[max(i, j)] = min(i, j)
    for i in range(len(parent)):
        parent[i] = parent[parent[i]]
    return parent
