"""The compiled loops of `seglab.kernels._backprop_fast`; imported when first needed, because compiling takes a moment.

Maps are (H, W, C), so that the innermost loop runs over channels, which lie side by side. Tiles are those of Winograd's
F(4×4, 3×3): 4×4 outputs of a convolution 3×3 from 6×6 inputs by 36 products instead of 144.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["add_up", "gather", "scatter", "spread", "through_norm", "weigh"]

_F = np.float32

_loop = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_loop
def _carry(first: Any, second: Any, sums: Any) -> None:
    """Add two partial sums (C,), float32, to ``sums`` (2, C), float64, and begin them anew."""
    for c in range(len(first)):
        sums[0, c] += first[c]
        sums[1, c] += second[c]
        first[c] = second[c] = 0


@_loop
def gather(x: Any, scale: Any, offset: Any, first: int, last: int, out: Any) -> None:
    """Bᵀ d B of every tile d (6×6) of scale · x + offset, zero outside of the picture.

    ``out`` is (36, tiles, C); ``first`` and ``last`` bound the tiles, which are counted along rows.
    """
    height, width, n = x.shape
    across = (width + 3) // 4
    d, half = np.empty((6, 6, n), _F), np.empty((6, 6, n), _F)
    for tile in range(last - first):
        top, left = 4 * ((first + tile) // across) - 1, 4 * ((first + tile) % across) - 1
        for i in range(6):
            for j in range(6):
                row, col = top + i, left + j
                if 0 <= row < height and 0 <= col < width:
                    for c in range(n):
                        d[i, j, c] = x[row, col, c] * scale[c] + offset[c]
                else:
                    d[i, j, :] = _F(0)
        for i in range(6):
            for c in range(n):
                d0, d1, d2, d3, d4, d5 = d[i, 0, c], d[i, 1, c], d[i, 2, c], d[i, 3, c], d[i, 4, c], d[i, 5, c]
                a, b = d4 - _F(4) * d2, d3 - _F(4) * d1
                e, f = d4 - d2, _F(2) * (d3 - d1)
                half[i, 0, c] = _F(4) * d0 - _F(5) * d2 + d4
                half[i, 1, c] = a + b
                half[i, 2, c] = a - b
                half[i, 3, c] = e + f
                half[i, 4, c] = e - f
                half[i, 5, c] = _F(4) * d1 - _F(5) * d3 + d5
        for j in range(6):
            for c in range(n):
                d0, d1, d2, d3 = half[0, j, c], half[1, j, c], half[2, j, c], half[3, j, c]
                d4, d5 = half[4, j, c], half[5, j, c]
                a, b = d4 - _F(4) * d2, d3 - _F(4) * d1
                e, f = d4 - d2, _F(2) * (d3 - d1)
                out[j, tile, c] = _F(4) * d0 - _F(5) * d2 + d4
                out[6 + j, tile, c] = a + b
                out[12 + j, tile, c] = a - b
                out[18 + j, tile, c] = e + f
                out[24 + j, tile, c] = e - f
                out[30 + j, tile, c] = _F(4) * d1 - _F(5) * d3 + d5


@_loop
def scatter(m: Any, bias: Any, relu: bool, first: int, last: int, out: Any, other: Any, sums: Any) -> None:
    """Aᵀ m A of every tile m (6×6), plus a bias, rectified where wanted, into ``out`` (H, W, C).

    The sums over pixels of what is written, and of its product with ``other`` (H, W, C; ``out`` itself for squares),
    are added to ``sums`` (2, C), float64.
    """
    height, width, n = out.shape
    across = (width + 3) // 4
    half, y = np.empty((4, 6, n), _F), np.empty((4, n), _F)
    total, product = np.zeros(n, _F), np.zeros(n, _F)
    for tile in range(last - first):
        top, left = 4 * ((first + tile) // across), 4 * ((first + tile) % across)
        for j in range(6):
            for c in range(n):
                p, q = m[6 + j, tile, c] + m[12 + j, tile, c], m[6 + j, tile, c] - m[12 + j, tile, c]
                r, s = m[18 + j, tile, c] + m[24 + j, tile, c], m[18 + j, tile, c] - m[24 + j, tile, c]
                half[0, j, c] = m[j, tile, c] + p + r
                half[1, j, c] = q + _F(2) * s
                half[2, j, c] = p + _F(4) * r
                half[3, j, c] = q + _F(8) * s + m[30 + j, tile, c]
        for i in range(min(4, height - top)):
            for c in range(n):
                p, q = half[i, 1, c] + half[i, 2, c], half[i, 1, c] - half[i, 2, c]
                r, s = half[i, 3, c] + half[i, 4, c], half[i, 3, c] - half[i, 4, c]
                y[0, c] = half[i, 0, c] + p + r
                y[1, c] = q + _F(2) * s
                y[2, c] = p + _F(4) * r
                y[3, c] = q + _F(8) * s + half[i, 5, c]
            for j in range(min(4, width - left)):
                for c in range(n):
                    value = y[j, c] + bias[c]
                    if relu:
                        value = max(value, _F(0))
                    out[top + i, left + j, c] = value
                    total[c] += value
                    product[c] += value * other[top + i, left + j, c]
        if tile % 64 == 63 or tile == last - first - 1:
            _carry(total, product, sums)


@_loop
def spread(dy: Any, first: int, last: int, out: Any) -> None:
    """A d Aᵀ of every tile d (4×4) of a gradient (H, W, C), into (36, tiles, C): the way back through `scatter`."""
    height, width, n = dy.shape
    across = (width + 3) // 4
    d, half = np.empty((4, 4, n), _F), np.empty((4, 6, n), _F)
    for tile in range(last - first):
        top, left = 4 * ((first + tile) // across), 4 * ((first + tile) % across)
        for i in range(4):
            for j in range(4):
                if top + i < height and left + j < width:
                    for c in range(n):
                        d[i, j, c] = dy[top + i, left + j, c]
                else:
                    d[i, j, :] = _F(0)
        for i in range(4):
            for c in range(n):
                d0, d1, d2, d3 = d[i, 0, c], d[i, 1, c], d[i, 2, c], d[i, 3, c]
                half[i, 0, c] = d0
                half[i, 1, c] = (d0 + d2) + (d1 + d3)
                half[i, 2, c] = (d0 + d2) - (d1 + d3)
                half[i, 3, c] = (d0 + _F(4) * d2) + (_F(2) * d1 + _F(8) * d3)
                half[i, 4, c] = (d0 + _F(4) * d2) - (_F(2) * d1 + _F(8) * d3)
                half[i, 5, c] = d3
        for j in range(6):
            for c in range(n):
                d0, d1, d2, d3 = half[0, j, c], half[1, j, c], half[2, j, c], half[3, j, c]
                out[j, tile, c] = d0
                out[6 + j, tile, c] = (d0 + d2) + (d1 + d3)
                out[12 + j, tile, c] = (d0 + d2) - (d1 + d3)
                out[18 + j, tile, c] = (d0 + _F(4) * d2) + (_F(2) * d1 + _F(8) * d3)
                out[24 + j, tile, c] = (d0 + _F(4) * d2) - (_F(2) * d1 + _F(8) * d3)
                out[30 + j, tile, c] = d3


@_loop
def add_up(x: Any, bias: Any, relu: bool, sums: Any) -> None:
    """Add a bias to rows of pixels, and rectify them where wanted, in place.

    The sums over pixels of what comes of it, and of its squares, are added to ``sums`` (2, C), float64.
    """
    rows, n = x.shape
    total, square = np.zeros(n, _F), np.zeros(n, _F)
    for i in range(rows):
        for c in range(n):
            value = x[i, c] + bias[c]
            if relu:
                value = max(value, _F(0))
            x[i, c] = value
            total[c] += value
            square[c] += value * value
        if i % 512 == 511 or i == rows - 1:
            _carry(total, square, sums)


@_loop
def weigh(p: Any, y: Any, targets: Any, weights: Any, sums: Any) -> None:
    """From probabilities to the gradient of the weighted cross-entropy, weight · (p − 1 at the target), in place.

    Its sums over pixels, and those of its product with y, are added to ``sums`` (2, C), float64.
    """
    rows, n = p.shape
    total, product = np.zeros(n, _F), np.zeros(n, _F)
    for i in range(rows):
        p[i, targets[i]] -= _F(1)
        for c in range(n):
            value = weights[i] * p[i, c]
            p[i, c] = value
            total[c] += value
            product[c] += value * y[i, c]
        if i % 512 == 511 or i == rows - 1:
            _carry(total, product, sums)


@_loop
def through_norm(dx: Any, r: Any, slope: Any, constant: Any, scale: Any, relu: bool, sums: Any) -> None:
    """From the gradient at normalized values back to that at the values r before, in place; rows are pixels.

    dz = scale · dx + slope · r + constant; with ``relu``, 0 where r = 0. Its sum over pixels is added to ``sums`` (C,),
    float64.
    """
    rows, n = dx.shape
    total = np.zeros(n, _F)
    for i in range(rows):
        for c in range(n):
            value = scale[c] * dx[i, c] + slope[c] * r[i, c] + constant[c]
            if relu:
                value = value if r[i, c] > _F(0) else _F(0)
            dx[i, c] = value
            total[c] += value
        if i % 512 == 511 or i == rows - 1:
            for c in range(n):
                sums[c] += total[c]
                total[c] = 0
