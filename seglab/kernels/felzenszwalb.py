"""The graph of a picture, its edges in rising order, and the passes over them, for Felzenszwalb–Huttenlocher.

Everything that is computed for each pixel (smoothing, weights) is the same arithmetic in the same order in the compiled
loops for a CPU in single precision and in the torch operations for everything else, so that both give the same bits.
Passing over the sorted edges is sequential by nature: compiled, on the CPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from seglab.labels import adjacency, neighbor_views, segment_means

__all__ = ["Edges", "absorb", "gaussian_taps", "grid_edges", "join", "nearest_edges", "region_edges", "roots", "smooth"]

_BITS = 11  # of a digit at most: so many heaps that writing to all of them in turn stays fast


@dataclass(frozen=True, eq=False)
class Edges:
    """The edges of a picture's graph, lightest first.

    Attributes
    ----------
    weights
        (E,) floating, never falling, in units of the picture's range [0, 1].
    codes
        (E,) int32: on a grid, four times the edge's first pixel, plus 0 to 3 for its right, lower, lower right and
        lower left neighbor; in another graph, a row of ``ends``.
    ends
        (E, 2) int32: the pixels of each edge, sorted or not; (0, 2) on a grid, where they follow from the codes.
    shape
        (H, W) of the picture.
    """

    weights: Tensor
    codes: Tensor
    ends: Tensor
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.weights)

    def pairs(self, index: Tensor | slice) -> Tensor:
        """The two pixels (n, 2) int64 of some edges, each numbered row by row."""
        codes = self.codes[index].to(torch.int64)
        if len(self.ends):
            return self.ends[codes].to(torch.int64)
        first, direction = codes >> 2, codes & 3
        return torch.stack([first, first + torch.from_numpy(self.hops).to(codes)[direction]], dim=1)

    @property
    def hops(self) -> np.ndarray:
        """How much later a pixel's right, lower, lower right and lower left neighbor come."""
        width = self.shape[1]
        return np.array([1, width, width + 1, width - 1], np.int64)

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the compiled loops take; copied from a device once."""
        return (*(t.cpu().numpy() for t in (self.weights, self.codes, self.ends)), self.hops)


# ---- smoothing --------------------------------------------------------------------------------------------------


def gaussian_taps(sigma: float) -> np.ndarray:
    """The Gaussian's weights at 0, 1, …, ⌊4σ + ½⌋ pixels from the middle, float64; the whole kernel's sum is 1.

    Examples
    --------
    >>> gaussian_taps(0.5).round(4).tolist()
    [0.7866, 0.1065, 0.0003]
    """
    x = np.arange(int(4 * sigma + 0.5) + 1)
    taps = np.exp(-0.5 * (x / sigma) ** 2) if sigma > 0 else np.ones(1)
    return taps / (taps[0] + 2 * taps[1:].sum())


def smooth(image: Tensor, sigma: float) -> Tensor:
    """Convolve each channel of (C, H, W) with a Gaussian of standard deviation ``sigma`` pixels; borders are mirrored.

    The same as `scipy.ndimage.gaussian_filter` up to rounding.
    """
    taps = gaussian_taps(sigma)
    if len(taps) == 1:
        return image
    if _is_compiled(image):
        reach = len(taps) - 1
        rows, cols = (_mirrored(n, reach) for n in image.shape[1:])
        out = torch.empty_like(image, memory_format=torch.contiguous_format)
        _compiled(_smooth_loop)(_array(image), taps.astype(np.float32), rows, cols, out.numpy())
        return out
    return _along_columns(_along_columns(image, taps).mT, taps).mT.contiguous()


def _along_columns(image: Tensor, taps: np.ndarray) -> Tensor:
    """Convolve the columns of (C, H, W): one rounding for each product and sum, in the order of `_smooth_loop`."""
    reach, height = len(taps) - 1, image.shape[1]
    padded = image[:, torch.from_numpy(_mirrored(height, reach)).to(image.device)]
    total = padded[:, reach : reach + height] * float(taps[0])
    for k in range(1, len(taps)):
        above, below = padded[:, reach - k : reach - k + height], padded[:, reach + k : reach + k + height]
        total += (above + below) * float(taps[k])
    return total


def _mirrored(n: int, reach: int) -> np.ndarray:
    """The places −reach … n − 1 + reach of a line of n, where the line is continued by its mirror image."""
    index = np.arange(-reach, n + reach) % (2 * n)
    return np.minimum(index, 2 * n - 1 - index)


# ---- graphs -----------------------------------------------------------------------------------------------------


def grid_edges(image: Tensor, connectivity: Literal[4, 8] = 8) -> Edges:
    """Join each pixel of (C, H, W) with its 4 or 8 neighbors; the weight is the Euclidean distance of their colors.

    Edges of equal weight keep their order: all to the right, row by row, then all down, down right, down left.

    Examples
    --------
    >>> edges = grid_edges(torch.tensor([[[0.0, 0.5], [0.25, 0.5]]]), connectivity=4)
    >>> edges.weights.tolist(), edges.pairs(slice(None)).tolist()
    ([0.0, 0.25, 0.25, 0.5], [[1, 3], [2, 3], [0, 2], [0, 1]])
    """
    _, height, width = image.shape
    if 4 * height * width > np.iinfo(np.int32).max:
        raise ValueError(f"a graph of pixels has at most 2**29 of them; got {height}×{width}. Make the picture smaller")
    none = torch.empty((0, 2), dtype=torch.int32, device=image.device)
    if _is_compiled(image):
        n = len(neighbor_views(image[0], connectivity))
        sizes = [height * (width - 1), (height - 1) * width] + [(height - 1) * (width - 1)] * (n - 2)
        weights, codes = _sorted_keys(lambda keys: _compiled(_grid_loop)(_array(image), n, keys), sum(sizes))
    else:
        pixels = 4 * torch.arange(height * width, dtype=torch.int32, device=image.device).reshape(height, width)
        ids = neighbor_views(pixels, connectivity)
        views = [neighbor_views(channel, connectivity) for channel in image]
        squares = [sum((a - b).square() for a, b in pairs).flatten() for pairs in zip(*views, strict=True)]
        codes = torch.cat([(a + d).flatten() for d, (a, _) in enumerate(ids)])
        weights, order = torch.sort(_roots_of(torch.cat(squares)), stable=True)
        codes = codes[order]
    return Edges(weights=weights, codes=codes, ends=none, shape=(height, width))


def region_edges(labels: Tensor, image: Tensor, connectivity: Literal[4, 8] = 8) -> Edges:
    """Join each region of a label map (H, W) with its neighbors; the weight is the distance of their mean colors."""
    pairs = adjacency(labels, connectivity).edges
    means = segment_means(labels, image)
    apart = _roots_of((means[pairs[:, 0]] - means[pairs[:, 1]]).square().sum(1))
    weights, order = torch.sort(apart, stable=True)
    return Edges(weights, order.to(torch.int32), pairs.to(torch.int32), tuple(labels.shape))  # type: ignore[arg-type]


def _roots_of(squares: Tensor) -> Tensor:
    """Square roots to the last bit: in single precision, some libraries' are not."""
    double = torch.float32 if squares.device.type == "mps" else torch.float64
    return squares.to(double).sqrt_().to(squares.dtype)


def nearest_edges(image: Tensor, n_neighbors: int = 10, spatial_weight: float = 1.0) -> Edges:
    """Join each pixel of (C, H, W) with those most like it in color and place.

    A pixel is a point (row, column, color), the color in levels of 0 to 255 and the place in pixels times
    ``spatial_weight``. It is joined with its ``n_neighbors`` nearest; the weight is their distance (over 255, as the
    other graph's). The neighbors are exact, found on the CPU by `scipy.spatial.KDTree`. Edges of equal weight keep the
    order of their pixels.
    """
    from scipy.spatial import KDTree

    channels, height, width = image.shape
    n = height * width
    rows, cols = np.divmod(np.arange(n), width)
    color = 255 * image.detach().reshape(channels, n).T.cpu().double().numpy()
    points = np.concatenate([spatial_weight * np.stack([rows, cols], axis=1), color], axis=1)
    k = min(n_neighbors + 1, n)  # a pixel is its own nearest neighbor
    found = KDTree(points, balanced_tree=False).query(points, k=np.arange(1, k + 1))
    distances, others = (np.asarray(array).ravel() for array in found)
    pairs = np.stack([np.repeat(np.arange(n), k), others], axis=1)
    pairs.sort(axis=1)
    _, once = np.unique(pairs[:, 0] * n + pairs[:, 1], return_index=True)  # most are found from both sides
    once = once[pairs[once, 0] != pairs[once, 1]]
    weights, order = torch.sort(torch.from_numpy(distances[once] / 255).to(image.dtype), stable=True)
    ends = torch.from_numpy(pairs[once].astype(np.int32))
    tensors = (tensor.to(image.device) for tensor in (weights, order.to(torch.int32), ends))
    return Edges(**dict(zip(("weights", "codes", "ends"), tensors, strict=True)), shape=(height, width))


# ---- passes over the edges --------------------------------------------------------------------------------------


def join(edges: Edges, forest: tuple[np.ndarray, ...], start: int, stop: int, scale: float) -> np.ndarray:
    """Pass over the edges from ``start`` to ``stop`` and join regions where the paper's predicate finds no boundary.

    Parameters
    ----------
    edges
        Of the picture.
    forest
        ``parent``, ``size`` and ``internal`` (N,), written to; see `seglab.methods.FelzenszwalbState`.
    start, stop
        Which edges.
    scale
        k, in units of the weights.

    Returns
    -------
    ndarray
        int64, the places in ``edges`` of those that have joined two regions.
    """
    joined = np.empty(min(stop - start, len(forest[0])), np.int64)
    return joined[: _compiled(_join_loop)(*edges.arrays, start, stop, float(scale), *forest, joined)]


def absorb(edges: Edges, forest: tuple[np.ndarray, ...], start: int, stop: int, min_size: int) -> np.ndarray:
    """`join`, wherever one of the two regions has fewer than ``min_size`` pixels."""
    joined = np.empty(min(stop - start, len(forest[0])), np.int64)
    return joined[: _compiled(_absorb_loop)(*edges.arrays, start, stop, min_size, *forest, joined)]


def roots(parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tree of each pixel (N,) int64, numbered by its first pixel, and the root of each tree."""
    labels, found = np.empty(len(parent), np.int64), np.empty(len(parent), np.int64)
    return labels, found[: _compiled(_roots_loop)(parent.copy(), labels, found)]


# ---- compiled loops, on a CPU -----------------------------------------------------------------------------------


def _is_compiled(image: Tensor) -> bool:
    return image.device.type == "cpu" and image.dtype == torch.float32


def _array(image: Tensor) -> np.ndarray:
    return image.detach().contiguous().numpy()


@functools.cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    import numba  # here, because it takes a moment

    return numba.njit(cache=True, nogil=True)(loop)


def _sorted_keys(fill: Callable[[np.ndarray], Any], n: int) -> tuple[Tensor, Tensor]:
    """Weights (n,) float32 in rising order and their codes (n,) int32, from keys that ``fill`` writes.

    A key has the weight's bits, which order as the weight does (none is negative), above the code's.
    """
    keys, scratch = np.empty(n, np.uint64), np.empty(n, np.uint64)
    fill(keys)
    highest = int(keys.max(initial=0)) >> 32
    passes = max(1, -(-highest.bit_length() // _BITS))
    _compiled(_radix_loop)(keys, scratch, passes, max(1, -(-highest.bit_length() // passes)))
    ordered, free = (scratch, keys) if passes % 2 else (keys, scratch)
    halves = free.view(np.uint32)  # the memory is there already
    _compiled(_split_loop)(ordered, halves[:n], halves[n:])
    return torch.from_numpy(halves[:n].view(np.float32)), torch.from_numpy(halves[n:].view(np.int32))


def _smooth_loop(image: np.ndarray, taps: np.ndarray, rows: np.ndarray, cols: np.ndarray, out: np.ndarray) -> None:
    """Convolve down the columns, then along the rows, a row at a time."""
    reach, width = len(taps) - 1, image.shape[2]
    down, padded = np.empty(width, image.dtype), np.empty(width + 2 * reach, image.dtype)
    for channel in range(len(image)):
        plane = image[channel]
        for r in range(len(plane)):
            here = plane[r]
            for c in range(width):
                down[c] = here[c] * taps[0]
            for k in range(1, reach + 1):
                above, below, tap = plane[rows[r + reach - k]], plane[rows[r + reach + k]], taps[k]
                for c in range(width):
                    down[c] += (above[c] + below[c]) * tap
            for c in range(len(padded)):
                padded[c] = down[cols[c]]
            row = out[channel, r]
            for c in range(width):
                row[c] = padded[c + reach] * taps[0]
            for k in range(1, reach + 1):
                left, right, tap = padded[reach - k :], padded[reach + k :], taps[k]
                for c in range(width):
                    row[c] += (left[c] + right[c]) * tap


def _grid_loop(image: np.ndarray, n_directions: int, keys: np.ndarray) -> None:
    """Write the key of each edge: its weight's bits above its code."""
    channels, height, width = image.shape
    weight = np.empty(width, np.float32)
    bits = weight.view(np.uint32)
    n = 0
    for d in range(n_directions):
        down, first = min(d, 1), d // 3  # to the next row; the column of the first pixel that has the neighbor
        last = width - (0 if d == 1 else 1)  # how many there are in a row
        hop = 1 - d if d < 2 else 5 - 2 * d  # 1, 0, 1, −1 columns
        for r in range(height - down):
            weight[:last] = 0
            for channel in range(channels):
                here = image[channel, r, first:]
                there = image[channel, r + down, first + hop :]
                for c in range(last):
                    difference = here[c] - there[c]
                    weight[c] += difference * difference
            code = 4 * (r * width + first) + d
            for c in range(last):
                weight[c] = np.sqrt(weight[c])
            for c in range(last):
                keys[n + c] = np.uint64(bits[c]) << np.uint64(32) | np.uint64(code + 4 * c)
            n += last


def _radix_loop(keys: np.ndarray, scratch: np.ndarray, passes: int, bits: int) -> None:
    """Sort keys by their upper half: stable, so many bits at a time, from one array to the other and back."""
    mask = np.uint64((1 << bits) - 1)
    starts = np.zeros((passes, 1 << bits), np.int64)
    for i in range(len(keys)):
        for p in range(passes):
            starts[p, keys[i] >> np.uint64(32 + p * bits) & mask] += 1
    for p in range(passes):
        source, target = (keys, scratch) if p % 2 == 0 else (scratch, keys)
        start, shift = starts[p], np.uint64(32 + p * bits)
        total = 0
        for digit in range(len(start)):
            count = start[digit]
            start[digit] = total
            total += count
        for i in range(len(source)):
            digit = source[i] >> shift & mask
            target[start[digit]] = source[i]
            start[digit] += 1


def _split_loop(keys: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> None:
    for i in range(len(keys)):
        upper[i], lower[i] = keys[i] >> np.uint64(32), keys[i]


def _join_loop(
    weights: np.ndarray,
    codes: np.ndarray,
    ends: np.ndarray,
    hops: np.ndarray,
    start: int,
    stop: int,
    scale: float,
    parent: np.ndarray,
    size: np.ndarray,
    internal: np.ndarray,
    joined: np.ndarray,
) -> int:
    """Kruskal's algorithm with the predicate w ≤ min(Int(A) + k/|A|, Int(B) + k/|B|); a union–find by size."""
    n = 0
    on_grid = len(ends) == 0
    for e in range(start, stop):
        code = codes[e]
        i = np.int64(code >> 2 if on_grid else ends[code, 0])
        j = np.int64(i + hops[code & 3] if on_grid else ends[code, 1])
        while parent[i] != i:
            parent[i] = parent[parent[i]]  # halve the path for those who come later
            i = np.int64(parent[i])
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = np.int64(parent[j])
        if i == j or weights[e] > internal[i] + scale / size[i] or weights[e] > internal[j] + scale / size[j]:
            continue
        if size[i] < size[j]:
            i, j = j, i
        parent[j] = i
        size[i] += size[j]
        internal[i] = weights[e]  # edges come lightest first: the heaviest of the tree is its last
        joined[n] = e
        n += 1
    return n


def _absorb_loop(
    weights: np.ndarray,
    codes: np.ndarray,
    ends: np.ndarray,
    hops: np.ndarray,
    start: int,
    stop: int,
    min_size: int,
    parent: np.ndarray,
    size: np.ndarray,
    internal: np.ndarray,
    joined: np.ndarray,
) -> int:
    """The same loop, where one of the two is too small; their internal difference is that of the tree they make."""
    n = 0
    on_grid = len(ends) == 0
    for e in range(start, stop):
        code = codes[e]
        i = np.int64(code >> 2 if on_grid else ends[code, 0])
        j = np.int64(i + hops[code & 3] if on_grid else ends[code, 1])
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = np.int64(parent[i])
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = np.int64(parent[j])
        if i == j or (size[i] >= min_size and size[j] >= min_size):
            continue
        if size[i] < size[j]:
            i, j = j, i
        parent[j] = i
        size[i] += size[j]
        internal[i] = max(internal[i], internal[j], weights[e])
        joined[n] = e
        n += 1
    return n


def _roots_loop(parent: np.ndarray, labels: np.ndarray, found: np.ndarray) -> int:
    """Number the trees by their first pixel; ``parent`` is written to."""
    labels[:] = -1
    n = 0
    for pixel in range(len(parent)):
        i = pixel
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        if labels[i] < 0:
            found[n] = i
            labels[i] = n  # a root that comes later gets its own number now
            n += 1
        labels[pixel] = labels[i]
    return n
