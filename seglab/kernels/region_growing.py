"""Growing regions: wave by wave by torch and compiled, best first compiled, and where seeds lie by themselves.

Colors are whole numbers and sums of them exact; means and differences are computed in double precision by the same
operations in the same order. So the compiled loops for a CPU and the torch operations for everything else agree pixel
by pixel. Who comes first in a queue depends on all before it: best first is compiled, and runs on the CPU.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Grown", "best_first", "differences", "gradient", "means_of", "minima", "open_pairs", "wave", "waves"]

_NEIGHBORS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))


class Grown(NamedTuple):
    """What regions have come to.

    Attributes
    ----------
    regions
        (H, W) int32: the region of each pixel, −1 for none.
    sums, sizes
        (K, D) int64 and (K,) int64: the sum of each region's colors in whole numbers, and how many pixels it has.
    queue
        (n, 2) int32 pairs of a free pixel, numbered row by row, and a region that it touches, to be looked at in the
        next wave; (n, 3) with the difference, where the smallest goes first.
    """

    regions: Tensor
    sums: Tensor
    sizes: Tensor
    queue: Tensor


def differences(colors: Tensor, pixels: Tensor, regions: Tensor, means: Tensor) -> Tensor:
    """The squared differences (n,) float64 of pixels' colors (H, W, D) and regions' means (K, D), pair by pair."""
    apart = colors.flatten(0, 1)[pixels].to(means.dtype) - means[regions]
    return functools.reduce(torch.add, (channel * channel for channel in apart.unbind(1)))


def means_of(sums: Tensor, sizes: Tensor) -> Tensor:
    """The mean colors (K, D) of regions, in double precision where the device has it."""
    return sums.to(_double(sums)) / sizes.to(_double(sums))[:, None]


def _double(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def open_pairs(regions: Tensor, connectivity: int = 4) -> Tensor:
    """Each free pixel with each region that it touches, (n, 2) int32, by pixel and region.

    Examples
    --------
    >>> open_pairs(torch.tensor([[0, -1, 1], [-1, -1, 1]], dtype=torch.int32)).tolist()
    [[1, 0], [1, 1], [3, 0], [4, 1]]
    """
    height, width = regions.shape
    taken = regions >= 0
    edge = torch.zeros_like(taken)
    for dr, dc in _NEIGHBORS[:connectivity]:
        here, there = _shifted(height, dr), _shifted(width, dc)
        edge[here[0], there[0]] |= taken[here[0], there[0]] & ~taken[here[1], there[1]]
    index = edge.flatten().nonzero()[:, 0]
    return _touched(regions, index, connectivity)


def _shifted(n: int, by: int) -> tuple[slice, slice]:
    """The places of a line of n that have a neighbor so far on, and the places of those neighbors."""
    return slice(max(0, -by), n - max(0, by)), slice(max(0, by), n - max(0, -by))


def _touched(regions: Tensor, index: Tensor, connectivity: int) -> Tensor:
    """The free neighbors of pixels ``index`` (n,), each with the region of that pixel; every pair once, in order."""
    height, width = regions.shape
    flat = regions.flatten()
    steps = torch.tensor(_NEIGHBORS[:connectivity], device=index.device)
    row, col = (index // width)[:, None] + steps[:, 0], (index % width)[:, None] + steps[:, 1]  # (n, 4 or 8)
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    pixel = (row * width + col)[inside]
    region = flat[index][:, None].expand(-1, connectivity)[inside].to(torch.int64)
    free = flat[pixel] < 0
    return _once(pixel[free], region[free])


def _once(pixel: Tensor, region: Tensor) -> Tensor:
    """Pairs (n, 2) int32, every one once, by pixel and region."""
    key = torch.unique(pixel.to(torch.int64) << 31 | region.to(torch.int64))
    return torch.stack([key >> 31, key & (2**31 - 1)], dim=1).to(torch.int32)


# ---- wave by wave -----------------------------------------------------------------------------------------------


def wave(colors: Tensor, grown: Grown, limit: float, means: Tensor | None, connectivity: int) -> tuple[Grown, Tensor]:
    """One wave, by torch on any device.

    Parameters
    ----------
    colors
        (H, W, D) int16.
    grown
        Before the wave, with pairs to look at.
    limit
        The largest squared difference with which a pixel joins.
    means
        (K, D) that pixels are compared with; None for the regions' own, which change from wave to wave.
    connectivity
        4 or 8.

    Returns
    -------
    grown
        Afterwards.
    joined
        (n,) int64, the pixels that have joined a region.
    """
    regions, sums, sizes, queue = grown
    pixel, region = queue.to(torch.int64).unbind(1)
    own = means_of(sums, sizes) if means is None else means
    difference = differences(colors, pixel, region, own)
    near = difference <= limit
    joined, place = torch.unique(pixel[near], return_inverse=True)
    difference, candidate = difference[near], region[near]
    least = difference.new_full((len(joined),), torch.inf).scatter_reduce(0, place, difference, "amin")
    ties = difference == least[place]
    winner = candidate.new_full((len(joined),), len(sizes)).scatter_reduce(0, place[ties], candidate[ties], "amin")
    flat = regions.flatten().index_put((joined,), winner.to(torch.int32))
    regions = flat.reshape(regions.shape)
    sums = sums.index_add(0, winner, colors.flatten(0, 1)[joined].to(torch.int64))
    sizes = sizes + torch.bincount(winner, minlength=len(sizes))
    fresh = _touched(regions, joined, connectivity)
    if means is None:  # those that were refused are asked again: the means move
        stays = (flat[pixel] < 0) & ~near
        fresh = _once(*torch.cat([queue[stays], fresh]).unbind(1))
    return Grown(regions, sums, sizes, fresh), joined


def waves(
    colors: Tensor, grown: Grown, limit: float, means: Tensor | None, connectivity: int, enough: int = 1
) -> tuple[Grown, list[Tensor], bool]:
    """As many waves as it takes until ``enough`` pixels have joined, compiled, on a CPU; `wave` says what they are.

    Returns
    -------
    grown
        Afterwards.
    joined
        For each wave, the pixels (n,) int32 that have joined.
    over
        Whether the last wave found none.
    """
    height, width = grown.regions.shape
    regions, padded, hops = _padded(grown.regions, colors, connectivity)
    sums, sizes = grown.sums.numpy().copy(), grown.sizes.numpy().copy()
    running = means is None
    own = sums / sizes[:, None] if means is None else means.numpy().copy()  # NumPy's: in double precision
    order = np.empty(int((grown.regions < 0).sum()), np.int32)
    pairs = _to_padded(grown.queue, width)
    ends, rest, over = _loops().waves(padded, regions, hops, pairs, sums, sizes, own, limit, running, enough, order)
    order = _from_padded(order[: ends[-1]], width)
    joined = torch.from_numpy(order).tensor_split(torch.from_numpy(ends[:-1]))
    rest[:, 0] = _from_padded(rest[:, 0], width)
    after = Grown(_unpadded(regions, height, width), *map(torch.from_numpy, (sums, sizes, rest)))
    return after, list(joined), over


# ---- best first -------------------------------------------------------------------------------------------------


def best_first(
    colors: Tensor, grown: Grown, limit: float, means: Tensor | None, connectivity: int, n_pixels: int
) -> tuple[Grown, Tensor]:
    """Let up to ``n_pixels`` pixels join, the most similar always next; compiled, on a CPU.

    A pixel is offered to a region when it first touches it, with its difference to the mean of that time, rounded down
    to one of 4080 steps from black to white; of equal differences, the one that was offered first is taken. A
    ``queue`` of pairs is made into one with differences. A pixel that differs by more than ``limit`` is not offered.

    Parameters and returns as of `wave`; there are fewer than ``n_pixels`` where no more can join.
    """
    height, width = grown.regions.shape
    regions, padded, hops = _padded(grown.regions, colors, connectivity)
    sums, sizes = grown.sums.numpy().copy(), grown.sizes.numpy().copy()
    running = means is None
    own = sums / sizes[:, None] if means is None else means.numpy().copy()  # NumPy's: in double precision
    queue = _to_padded(grown.queue, width)
    if queue.shape[1] == 2:
        queue = np.concatenate([queue, np.full((len(queue), 1), -1, np.int32)], axis=1)
    order = np.empty(n_pixels, np.int32)
    n, rest = _loops().best_first(
        padded, regions, hops, np.ascontiguousarray(queue), sums, sizes, own, limit, running, order
    )
    rest[:, 0] = _from_padded(rest[:, 0], width)
    after = Grown(_unpadded(regions, height, width), *map(torch.from_numpy, (sums, sizes, rest)))
    return after, torch.from_numpy(_from_padded(order[:n], width))


# ---- seeds ------------------------------------------------------------------------------------------------------


def gradient(colors: Tensor) -> Tensor:
    """How much the colors (H, W, D) change from pixel to pixel, smoothed: the length of the gradient, (H, W) int32.

    Smoothed twice by the binomial kernel (1 4 6 4 1) / 16 along rows and columns, then central differences; the border
    is repeated. In sixteenths of the units of ``colors``, rounded down.
    """
    if colors.device.type == "cpu":
        total = torch.zeros(colors.shape[:2], dtype=torch.float64)
        _loops().add_squared_gradients(colors.numpy(), total.numpy())
    else:
        total = _squared_gradients(colors)
    return (total.sqrt_() * (16 / (2 * 16**4))).to(torch.int32)


def _squared_gradients(colors: Tensor) -> Tensor:
    total = torch.zeros(colors.shape[:2], dtype=_double(colors), device=colors.device)
    for plane in colors.unbind(2):
        smooth = plane.to(torch.int32)
        for dim in (0, 1, 0, 1):
            smooth = _weighted(smooth, (1, 4, 6, 4, 1), dim)
        for dim in (0, 1):
            total += _weighted(smooth, (-1, 0, 1), dim).to(total.dtype).square()
    return total


def _weighted(plane: Tensor, weights: tuple[int, ...], dim: int) -> Tensor:
    n, reach = plane.shape[dim], len(weights) // 2
    index = torch.arange(-reach, n + reach, device=plane.device).clamp(0, n - 1)
    wide = plane.index_select(dim, index)
    return functools.reduce(torch.add, (w * wide.narrow(dim, k, n) for k, w in enumerate(weights) if w))


def minima(relief: Tensor, n: int) -> Tensor:
    """The n deepest minima of a relief (H, W) of whole numbers: their pixels (n,) int64, deepest first.

    The depth of a minimum is how far one has to climb from it to come to a lower one (its dynamics, Grimaud 1992; its
    persistence). Of equal ones, the first pixel is the lower. There are fewer than n where the relief has fewer.

    Examples
    --------
    >>> minima(torch.tensor([[0, 5, 2, 3, 1, 9, 7]]), 3).tolist()
    [0, 4, 6]
    """
    levels = relief.cpu().clamp(0, 2**16 - 1).to(torch.int32).numpy().astype(np.uint16)
    order = np.argsort(levels.ravel(), kind="stable")  # of 16 bits: by radix
    lowest, depth = _loops().minima(levels, order).T
    best = np.lexsort((lowest, levels.ravel()[lowest], -depth))[:n]
    return torch.from_numpy(lowest[best]).to(relief.device)


# ---- compiled loops, on a CPU -----------------------------------------------------------------------------------


@functools.cache
def _loops() -> Any:
    from seglab.kernels import _region_growing_loops  # here, because compiling takes a moment

    return _region_growing_loops


def _padded(regions: Tensor, colors: Tensor, connectivity: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regions and colors in rows with one more column, and a row above and below; and how far neighbors lie there.

    The last column of one row is left of the first of the next: nobody has to ask where the picture ends.
    """
    height, width = regions.shape
    wide = width + 1
    around = np.full((height + 2) * wide + 1, _loops().OUTSIDE, np.int32)
    around[:-1].reshape(height + 2, wide)[1:-1, :-1] = regions.numpy()
    values = np.empty(((height + 2) * wide, colors.shape[2]), np.int16)
    values.reshape(height + 2, wide, -1)[1:-1, :-1] = colors.numpy()
    hops = np.array([dr * wide + dc for dr, dc in _NEIGHBORS[:connectivity]], np.int64)
    return around, values, hops


def _unpadded(regions: np.ndarray, height: int, width: int) -> Tensor:
    inside = regions[:-1].reshape(height + 2, width + 1)[1:-1, :-1]
    return torch.from_numpy(np.ascontiguousarray(inside))


def _to_padded(queue: Tensor, width: int) -> np.ndarray:
    pairs = queue.numpy().astype(np.int32, copy=True)
    pairs[:, 0] += pairs[:, 0] // width + width + 1
    return pairs


def _from_padded(pixels: np.ndarray, width: int) -> np.ndarray:
    row, col = np.divmod(pixels, np.int32(width + 1))
    return (row - 1) * np.int32(width) + col
