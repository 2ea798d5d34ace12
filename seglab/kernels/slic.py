"""The parts of SLIC: seeds on a grid, assignment within windows, the move of the centers, and connected superpixels.

Every part gives the same on every device. Features are rounded to whole multiples of a power of two, so that sums are
exact in any order, and distances are made of the same float32 operations in the same order everywhere. On a CPU
compiled loops do the work, one window after another; elsewhere all windows are one long list of pairs of a center and
a pixel, of which each pixel keeps its nearest, and nothing waits for the device.
"""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seglab.labels import adjacency, connected_components, segment_sizes

__all__ = ["Centers", "Pixels", "Seeds", "assign", "enforce_connectivity", "grid", "iterate", "perturb", "update"]

_PAIRS = {"cpu": 1 << 20}  # of centers and pixels that are compared at once where loops are not compiled
_PAIRS_ELSEWHERE = 1 << 25
_FAR = torch.iinfo(torch.int64).max


@dataclass(frozen=True, eq=False)
class Pixels:
    """What is clustered, and what counts how much; the same in all states.

    Attributes
    ----------
    features
        (D, H, W) float32, whole multiples of a power of two: colors, say.
    step
        S, the distance of neighboring centers at the start, and how far a center looks up, down and to the sides.
    place_weight
        What a squared distance of one pixel adds to a squared distance D².
    mask
        (H, W) bool, or None: all pixels.
    """

    features: Tensor
    step: float
    place_weight: float
    mask: Tensor | None = None

    @classmethod
    def of(
        cls, features: Tensor, step: float, place_weight: float, mask: Tensor | None = None, top: float = 0
    ) -> Pixels:
        """Round features of at most ``top`` in size (looked for where that is 0) to 24 bits."""
        top = top or float(features.abs().amax())
        unit = 2.0 ** (math.ceil(math.log2(max(top, 1e-30))) - 23)
        rounded = (features.to(torch.float32) / unit).round_().mul_(unit)
        return cls(rounded.contiguous(), _single(step), _single(place_weight), mask)


class Seeds(NamedTuple):
    """The start.

    Attributes
    ----------
    places
        (K, 2) int64: row and column of a pixel in the middle of each cell.
    cells
        (H, W) int32: the cell of each pixel, 0 … K − 1; −1 outside of the mask.
    step
        S, in pixels.
    """

    places: Tensor
    cells: Tensor
    step: float

    def to(self, device: torch.device | str) -> Seeds:
        """The same on another device."""
        return Seeds(self.places.to(device), self.cells.to(device), self.step)


class Centers(NamedTuple):
    """One step's result.

    Attributes
    ----------
    centers
        (K, D + 2) float32: mean features, mean row and mean column.
    nearest
        (H, W) int32: the center of each pixel before they moved.
    largest
        (K,) float32: the largest squared distance in features between a center, before it moved, and its pixels.
    """

    centers: Tensor
    nearest: Tensor
    largest: Tensor


# ---- the start --------------------------------------------------------------------------------------------------


def grid(height: int, width: int, n_segments: int, mask: Tensor | None = None) -> Seeds:
    """Cut a picture into K cells of nearly equal area, as nearly square as can be.

    Parameters
    ----------
    height, width
        In pixels.
    n_segments
        K, exactly, unless there are fewer pixels.
    mask
        (H, W) bool: the pixels to cut, or None: all.

    Returns
    -------
    Seeds
        S = √(N/K); in a picture that is thinner than that, the length of one of K pieces in a row.

    Notes
    -----
    There are round(H/S) rows of cells. They differ by one in how many cells they have where K is no multiple. With a
    mask, the cells have equal numbers of its pixels: first rows of cells are made so, then the cells in each.

    Examples
    --------
    >>> grid(2, 4, 3).cells.tolist(), grid(100, 100, 25).step
    ([[0, 1, 1, 2], [0, 1, 1, 2]], 20.0)
    """
    if mask is not None:
        return _grid_in_mask(mask, n_segments)
    n = min(n_segments, height * width)
    rows, step = _rows_of_cells(height, width, height * width, n)
    first = torch.arange(rows + 1) * n // rows  # the number of the first cell of each row of cells
    of_row = (2 * torch.arange(height) + 1) * rows // (2 * height)
    start, count = first[of_row][:, None], (first[1:] - first[:-1])[of_row][:, None]
    cells = start + (2 * torch.arange(width) + 1) * count // (2 * width)
    row_of = torch.repeat_interleave(torch.arange(rows), first[1:] - first[:-1])  # of each cell
    in_row = torch.arange(n) - first[row_of]
    down = (2 * row_of + 1) * height // (2 * rows)
    across = (2 * in_row + 1) * width // (2 * (first[1:] - first[:-1])[row_of])
    return Seeds(torch.stack([down, across], dim=1), cells.to(torch.int32), step)


def _rows_of_cells(height: int, width: int, n_pixels: int, n: int) -> tuple[int, float]:
    step = math.sqrt(n_pixels / n)
    if min(height, width) < step:
        step = n_pixels / min(height, width) / n
    rows = min(max(round(height / step), -(-n // width), 1), height, n)
    return rows, step


def _grid_in_mask(mask: Tensor, n_segments: int) -> Seeds:
    row, col = torch.nonzero(mask).unbind(dim=1)
    total = len(row)
    n = min(n_segments, total)
    height, width = int(row[-1] - row[0]) + 1, int(col.amax() - col.amin()) + 1
    rows, step = _rows_of_cells(height, width, total, n)
    rank = torch.arange(total, device=mask.device) * n // total  # so many cells lie before each pixel, in its order
    strip = (rank * rows + rows - 1) // n  # the last i with i·n // rows <= rank: the row of cells
    order = torch.argsort(strip * mask.shape[1] + col, stable=True)
    row, col = row[order], col[order]
    cells = mask.to(torch.int32) - 1
    cells[row, col] = rank.to(torch.int32)
    count = torch.bincount(rank)
    apart = [place - (torch.bincount(rank, place) / count)[rank] for place in (row.double(), col.double())]
    distance = (apart[0] ** 2 + apart[1] ** 2).mul_(1024).round_().to(torch.int64)
    best = torch.full_like(count, _FAR).scatter_reduce(
        0, rank, distance * total + torch.arange(total, device=mask.device), "amin"
    )
    middle = best % total
    return Seeds(torch.stack([row[middle], col[middle]], dim=1), cells, step)


def perturb(features: Tensor, seeds: Seeds) -> Tensor:
    """Move each seed to the lowest gradient among the 3×3 pixels around it, within its cell: (K, 2) int64.

    The gradient is ‖I(r + 1, c) − I(r − 1, c)‖² + ‖I(r, c + 1) − I(r, c − 1)‖², borders repeated. Of equal ones, the
    middle wins, then the first.
    """
    height, width = features.shape[1:]
    own = seeds.cells[seeds.places[:, 0], seeds.places[:, 1]]
    row, col = seeds.places.unbind(dim=1)
    places, lowest = seeds.places, features.new_full((len(row),), torch.inf)
    for down, across in [(0, 0), *((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)]:
        r, c = (row + down).clamp(0, height - 1), (col + across).clamp(0, width - 1)
        vertical = features[:, (r + 1).clamp(max=height - 1), c] - features[:, (r - 1).clamp(min=0), c]
        horizontal = features[:, r, (c + 1).clamp(max=width - 1)] - features[:, r, (c - 1).clamp(min=0)]
        gradient = _sum(vertical.square()) + _sum(horizontal.square())
        better = (gradient < lowest) & (seeds.cells[r, c] == own)
        lowest = torch.where(better, gradient, lowest)
        places = torch.where(better[:, None], torch.stack([r, c], dim=1), places)
    return places


# ---- one step ---------------------------------------------------------------------------------------------------


def assign(
    features: Tensor,
    centers: Tensor,
    step: float,
    compactness: float,
    nearest: Tensor | None = None,
) -> Tensor:
    """Give each pixel the nearest center among those in whose windows it lies: (H, W) int64.

    D² = ‖f − f_k‖² + (m/S)² ‖p − p_k‖², and the window of a center at p_k are the pixels at most S away in each
    direction.

    Parameters
    ----------
    features
        (D, H, W).
    centers
        (K, D + 2): features, row, column.
    step
        S, in pixels.
    compactness
        m, in units of the features.
    nearest
        (H, W): the center that each pixel had. It competes for the pixel also where the window has moved away, so
        that no pixel is worse off than before. Without it, pixels that lie in no window get −1.

    Notes
    -----
    Of equally near centers, the first.

    Examples
    --------
    >>> features = torch.tensor([[[0.0, 0.0, 5.0, 5.0, 5.0]]])
    >>> centers = torch.tensor([[0.0, 0.0, 0.0], [5.0, 0.0, 3.0]])
    >>> assign(features, centers, step=2.0, compactness=1.0).tolist()
    [[0, 0, 1, 1, 1]]
    """
    pixels = Pixels(features.to(torch.float32).contiguous(), _single(step), _single((compactness / step) ** 2))
    return _assigned(pixels, centers.to(torch.float32), None, nearest)[0].to(torch.int64)


def update(features: Tensor, nearest: Tensor, centers: Tensor) -> Tensor:
    """Move each center (K, D + 2) to the mean of its pixels; one without pixels stays.

    Examples
    --------
    >>> features = torch.tensor([[[0.0, 2.0, 5.0]]])
    >>> update(features, torch.tensor([[0, 0, -1]]), torch.zeros(2, 3)).tolist()
    [[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    return _means(_sums(features, nearest, len(centers)), centers)


def iterate(pixels: Pixels, centers: Tensor, nearest: Tensor, color_weight: Tensor | None = None) -> Centers:
    """`assign` and `update` at once.

    Parameters
    ----------
    pixels
        The picture.
    centers
        (K, D + 2).
    nearest
        (H, W) int32: the center that each pixel had.
    color_weight
        (K,) float32: what the squared distance in features is multiplied by for each center; 1 by default.
    """
    labels, sums, largest = _assigned(pixels, centers, color_weight, nearest)
    sums = _sums(pixels.features, labels, len(centers)) if sums is None else sums
    largest = _largest(pixels, centers, labels) if largest is None else largest
    return Centers(_means(sums, centers), labels, largest)


def _assigned(
    pixels: Pixels, centers: Tensor, color_weight: Tensor | None, nearest: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Labels (H, W) int32; sums and largest distances where they come with them."""
    weight = torch.ones_like(centers[:, 0]) if color_weight is None else color_weight
    windows = _windows(pixels, centers)
    if centers.device.type != "cpu":
        return _assign_pairs(pixels, windows, centers, weight, nearest), None, None
    shape = pixels.features.shape[1:]
    before = torch.full(shape, -1, dtype=torch.int32) if nearest is None else nearest.to(torch.int32).contiguous()
    labels, best = torch.full(shape, -1, dtype=torch.int32), torch.full(shape, torch.inf)
    if pixels.mask is not None:
        best.masked_fill_(~pixels.mask, -1)  # nothing is nearer
    sums, largest = centers.new_zeros(len(centers), centers.shape[1] + 1, dtype=torch.float64), torch.zeros_like(weight)
    given = [x.numpy() for x in (pixels.features, windows, centers, weight)]
    scale = np.float32(pixels.place_weight)
    _compiled(_windows_loop)(*given, scale, best.numpy(), labels.numpy())
    made = [x.numpy() for x in (before, best, labels, sums, largest)]
    _compiled(_settle_loop)(*given, scale, *made)
    return labels, sums, largest


def _windows(pixels: Pixels, centers: Tensor) -> Tensor:
    """(K, 4) int32: the first and last row, the first and last column of each window, within the picture."""
    place, (height, width) = centers[:, -2:], pixels.features.shape[1:]
    low, high = (place - pixels.step).ceil().clamp_(min=0), (place + pixels.step).floor()
    ends = [low[:, 0], high[:, 0].clamp(max=height - 1), low[:, 1], high[:, 1].clamp(max=width - 1)]
    return torch.stack(ends, dim=1).to(torch.int32)


def _assign_pairs(pixels: Pixels, windows: Tensor, centers: Tensor, weight: Tensor, nearest: Tensor | None) -> Tensor:
    """The nearest center (H, W) int32 on any device.

    Each pair of a center and a pixel is one whole number, its distance above the center's number (floats from 0 up
    are in the order of their bits); each pixel keeps the least.
    """
    features, (height, width) = pixels.features.flatten(1), pixels.features.shape[1:]
    best = torch.full((height * width,), _FAR, device=features.device)
    side = min(math.floor(2 * pixels.step) + 2, max(height, width))
    offsets = torch.arange(side, device=features.device)
    numbers = torch.arange(len(centers), device=features.device)
    for part in numbers.split(max(1, _PAIRS.get(features.device.type, _PAIRS_ELSEWHERE) // side**2)):
        top, bottom, left, right = windows[part].long()[:, :, None].unbind(dim=1)
        row, col = top + offsets, left + offsets  # (P, side)
        seen = (row <= bottom)[:, :, None] & (col <= right)[:, None, :]
        row, col = row.clamp(max=height - 1)[:, :, None], col.clamp(max=width - 1)[:, None, :]
        index = (row * width + col).flatten()
        keys = _keys(pixels, centers, weight, part[:, None, None].expand_as(seen).flatten(), index)
        best.scatter_reduce_(0, index, torch.where(seen.flatten(), keys, _FAR), "amin")
    if nearest is not None:
        own = nearest.flatten().long()
        keys = _keys(pixels, centers, weight, own.clamp(min=0), torch.arange(height * width, device=features.device))
        best = torch.where(own >= 0, torch.minimum(best, keys), best)
    labels = torch.where(best == _FAR, -1, best & 0xFFFFFFFF).to(torch.int32).reshape(height, width)
    return labels if pixels.mask is None else torch.where(pixels.mask, labels, -1)


def _keys(pixels: Pixels, centers: Tensor, weight: Tensor, k: Tensor, index: Tensor) -> Tensor:
    """Distances of centers ``k`` (P,) to the pixels at ``index`` (P,), above the centers' numbers: (P,) int64."""
    color, place = _distances(pixels, centers, k, index)
    distance = color * weight[k] + place * pixels.place_weight
    return (distance.view(torch.int32).to(torch.int64) << 32) + k


def _distances(pixels: Pixels, centers: Tensor, k: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances in features and in place of centers (P,) to pixels (P,), in the order of the compiled loops."""
    width, own = pixels.features.shape[2], centers.T[:, k]
    color = _sum((pixels.features.flatten(1)[:, index] - own[:-2]).square())
    down, across = (index // width).to(own.dtype) - own[-2], (index % width).to(own.dtype) - own[-1]
    return color, down * down + across * across


def _sum(values: Tensor) -> Tensor:
    """The sum over the first dimension, one after another."""
    return functools.reduce(torch.add, values.unbind(0))


def _largest(pixels: Pixels, centers: Tensor, labels: Tensor) -> Tensor:
    own = labels.flatten().long()
    color, _ = _distances(pixels, centers, own.clamp(min=0), torch.arange(len(own), device=own.device))
    color = torch.where(own >= 0, color, 0)
    return torch.zeros_like(centers[:, 0]).scatter_reduce(0, own.clamp(min=0), color, "amax")


def _sums(features: Tensor, nearest: Tensor, n: int) -> Tensor:
    """(K, D + 3) float64: the sums of features, rows and columns of each center's pixels, and their number."""
    index = nearest.flatten().long()
    inside = (index >= 0).to(_double(features))
    rows, cols = (torch.arange(length, device=index.device) for length in nearest.shape)
    places = torch.stack(torch.meshgrid(rows, cols, indexing="ij")).flatten(1)
    sums = inside.new_zeros(len(features) + 3, n)
    for out, plane in zip(sums, [*features.flatten(1), *places, inside], strict=True):
        out.scatter_add_(0, index.clamp(min=0), plane * inside)
    return sums.T


def _means(sums: Tensor, centers: Tensor) -> Tensor:
    sizes = sums[:, -1:]
    return torch.where(sizes > 0, (sums[:, :-1] / sizes.clamp(min=1)).to(centers.dtype), centers)


def _single(value: float) -> float:
    """A number that float32 has, so that every device multiplies by the same."""
    return float(np.float32(value))


def _double(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64


# ---- connected superpixels --------------------------------------------------------------------------------------


def enforce_connectivity(nearest: Tensor, features: Tensor, n_segments: int, min_size: int = 1) -> Tensor:
    """Make superpixels of the pieces of a label map: connected, not too small, not too many.

    Parameters
    ----------
    nearest
        (H, W): the center of each pixel; −1 outside.
    features
        (D, H, W): neighbors are similar where their mean features are near (Euclidean distance).
    n_segments
        There will be at most so many, except of islands.
    min_size
        There will be no smaller ones, except of islands.

    Returns
    -------
    Tensor
        (H, W) int64. The largest piece of each center comes first, in the order of the centers, then the others.

    Notes
    -----
    Of all 4-connected pieces, the smallest (of equals, the first) is absorbed by its most similar neighbor, and then
    the next, until all have ``min_size`` pixels and there are no more than ``n_segments``. A piece without a neighbor
    (an island in a mask) stays.

    Examples
    --------
    >>> features = torch.tensor([[[0.0, 0.0, 0.6, 1.0, 1.0]]])
    >>> enforce_connectivity(torch.tensor([[0, 0, 2, 1, 1]]), features, n_segments=3, min_size=2).tolist()
    [[0, 0, 1, 1, 1]]
    """
    if nearest.device.type == "cpu":
        arrays = nearest.to(torch.int32).contiguous().numpy(), features.to(torch.float32).contiguous().numpy()
        pieces, sizes, sums, center, edges = _compiled(_pieces_loop)(*arrays)
        number = _compiled(_absorb_loop)(sizes, sums, center, edges, n_segments, min_size)
        return torch.from_numpy(_compiled(_paint_loop)(pieces, number))
    return _connect_anywhere(nearest, features, n_segments, min_size)


def _connect_anywhere(nearest: Tensor, features: Tensor, n_segments: int, min_size: int) -> Tensor:
    """The pieces and who touches whom on the device; only their graph goes to the compiled loop."""
    pieces = connected_components(nearest.long(), 4)
    n = int(pieces.max()) + 1
    if n == 0:
        return pieces
    sizes = segment_sizes(pieces)
    sums = _sums(features, pieces, n)[:, : len(features)].contiguous()
    index, own = (x.flatten().long().clamp(min=0) for x in (pieces, nearest))
    center = torch.zeros_like(sizes).scatter_reduce(0, index, own, "amax")
    edges = adjacency(pieces, 4).edges
    graph = (x.cpu().numpy() for x in (sizes, sums, center, edges))
    number = torch.from_numpy(_compiled(_absorb_loop)(*graph, n_segments, min_size)).to(pieces.device)
    return torch.where(pieces >= 0, number[pieces.clamp(min=0)], -1)


# ---- compiled loops on a CPU ------------------------------------------------------------------------------------


@functools.cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    import numba  # here, because it takes a moment

    return numba.njit(cache=True, nogil=True)(loop)


def _windows_loop(
    features: np.ndarray,
    windows: np.ndarray,
    centers: np.ndarray,
    weight: np.ndarray,
    place_weight: np.float32,
    best: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Let each center compete for the pixels of its window."""
    depth, width = len(features), features.shape[2]
    across, color = np.empty(width, np.float32), np.empty(width, np.float32)
    for k in range(len(centers)):
        top, bottom, left, right = windows[k, 0], windows[k, 1], windows[k, 2], windows[k, 3]
        n = right - left + 1
        row, col, scale = centers[k, depth], centers[k, depth + 1], weight[k]
        for j in range(n):
            away = np.float32(left + j) - col
            across[j] = away * away
        for i in range(top, bottom + 1):
            away = np.float32(i) - row
            down = away * away
            nearest, label = best[i, left : right + 1], labels[i, left : right + 1]
            color[:n] = 0
            for d in range(depth):
                own, plane = centers[k, d], features[d, i, left : right + 1]
                for j in range(n):
                    difference = plane[j] - own
                    color[j] += difference * difference
            for j in range(n):
                distance = color[j] * scale + (down + across[j]) * place_weight
                closer = distance < nearest[j]
                nearest[j] = distance if closer else nearest[j]
                label[j] = k if closer else label[j]


def _settle_loop(
    features: np.ndarray,
    windows: np.ndarray,
    centers: np.ndarray,
    weight: np.ndarray,
    place_weight: np.float32,
    before: np.ndarray,
    best: np.ndarray,
    labels: np.ndarray,
    sums: np.ndarray,
    largest: np.ndarray,
) -> None:
    """Let each pixel's own center compete where its window has moved away; sum up each center's pixels."""
    depth, height, width = features.shape
    for i in range(height):
        for j in range(width):
            k = before[i, j]
            if k >= 0 and (i < windows[k, 0] or i > windows[k, 1] or j < windows[k, 2] or j > windows[k, 3]):
                color = np.float32(0)
                for d in range(depth):
                    difference = features[d, i, j] - centers[k, d]
                    color += difference * difference
                down, across = np.float32(i) - centers[k, depth], np.float32(j) - centers[k, depth + 1]
                distance = color * weight[k] + (down * down + across * across) * place_weight
                if distance < best[i, j] or (distance == best[i, j] and k < labels[i, j]):
                    labels[i, j] = k
            k = labels[i, j]
            if k < 0:
                continue
            color = np.float32(0)
            for d in range(depth):
                value = features[d, i, j]
                difference = value - centers[k, d]
                color += difference * difference
                sums[k, d] += value
            largest[k] = max(largest[k], color)
            sums[k, depth] += i
            sums[k, depth + 1] += j
            sums[k, depth + 2] += 1


def _pieces_loop(
    nearest: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number the 4-connected pieces by their first pixel: the map, sizes, sums, centers, and edges between pieces."""
    height, width = nearest.shape
    depth = len(features)
    pieces = np.full((height, width), -1, np.int32)
    parent = np.empty(height * width, np.int32)
    n = 0
    for i in range(height):
        for j in range(width):
            k = nearest[i, j]
            if k < 0:
                continue
            above = pieces[i - 1, j] if i > 0 and nearest[i - 1, j] == k else -1
            left = pieces[i, j - 1] if j > 0 and nearest[i, j - 1] == k else -1
            if above < 0 and left < 0:
                parent[n] = n
                pieces[i, j] = n
                n += 1
                continue
            if above >= 0:
                while parent[above] != above:
                    above = parent[above]
            if left >= 0:
                while parent[left] != left:
                    left = parent[left]
            if above < 0 or left < 0:
                pieces[i, j] = max(above, left)
            else:
                root = min(above, left)
                parent[above], parent[left] = root, root
                pieces[i, j] = root
    number = np.empty(n, np.int32)
    count = 0
    for p in range(n):  # a root is the first of its piece
        if parent[p] == p:
            number[p] = count
            count += 1
        else:
            number[p] = number[parent[p]]
    sizes, center = np.zeros(count, np.int64), np.empty(count, np.int64)
    sums = np.zeros((count, depth), np.float64)
    edges = np.empty((1024, 2), np.int64)
    m = 0
    for i in range(height):
        for j in range(width):
            if pieces[i, j] < 0:
                continue
            a = number[pieces[i, j]]
            pieces[i, j] = a
            center[a] = nearest[i, j]
            sizes[a] += 1
            for d in range(depth):
                sums[a, d] += features[d, i, j]
            for b in (pieces[i - 1, j] if i > 0 else -1, pieces[i, j - 1] if j > 0 else -1):
                if b < 0 or b == a:
                    continue
                if m > 0 and edges[m - 1, 0] == a and edges[m - 1, 1] == b:
                    continue
                if m == len(edges):
                    longer = np.empty((2 * m, 2), np.int64)
                    longer[:m] = edges
                    edges = longer
                edges[m, 0], edges[m, 1] = a, b
                m += 1
    return pieces, sizes, sums, center, edges[:m]


def _absorb_loop(
    sizes: np.ndarray, sums: np.ndarray, center: np.ndarray, edges: np.ndarray, n_segments: int, min_size: int
) -> np.ndarray:
    """Absorb pieces, the smallest first, and number what is left: (P,) int64, the superpixel of each piece.

    Each piece has a chain of its neighbors; when it is absorbed, its chain is hung onto the other's.
    """
    n = len(sizes)
    sizes, sums = sizes.copy(), sums.copy()
    parent = np.arange(n)
    head, tail = np.full(n, -1), np.full(n, -1)
    link, other = np.full(2 * len(edges), -1), np.empty(2 * len(edges), np.int64)
    for e in range(2 * len(edges)):
        a, other[e] = edges[e // 2, e % 2], edges[e // 2, 1 - e % 2]
        if head[a] < 0:
            head[a] = e
        else:
            link[tail[a]] = e
        tail[a] = e
    heap = [(sizes[p], p) for p in range(n)]
    heapq.heapify(heap)
    left = n
    while len(heap) > 0:
        size, a = heapq.heappop(heap)
        if parent[a] != a or sizes[a] != size:
            continue  # absorbed, or grown since
        if size >= min_size and left <= n_segments:
            break
        best, target = np.inf, -1
        e = head[a]
        while e >= 0:
            b = other[e]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if b != a:
                distance = 0.0
                for d in range(sums.shape[1]):
                    difference = sums[a, d] / sizes[a] - sums[b, d] / sizes[b]
                    distance += difference * difference
                if distance < best or (distance == best and b < target):
                    best, target = distance, b
            e = link[e]
        if target < 0:
            continue  # an island
        parent[a] = target
        link[tail[target]], tail[target] = head[a], tail[a]
        sizes[target] += sizes[a]
        for d in range(sums.shape[1]):
            sums[target, d] += sums[a, d]
        left -= 1
        heapq.heappush(heap, (sizes[target], target))
    main = np.full(center.max() + 1 if n > 0 else 0, -1)  # the largest of each center
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
        root = p
        while parent[root] != root:
            root = parent[root]
        number[p] = number[root]
    return number


def _paint_loop(pieces: np.ndarray, number: np.ndarray) -> np.ndarray:
    labels = np.full(pieces.shape, -1, np.int64)
    for i in range(pieces.shape[0]):
        for j in range(pieces.shape[1]):
            if pieces[i, j] >= 0:
                labels[i, j] = number[pieces[i, j]]
    return labels
