"""The parts of SLIC: seeds on a grid, assignment within windows, the move of the centers, and connected superpixels.

Every part gives the same on every device. Features are rounded to whole multiples of a power of two, so that sums are
exact in any order, and distances are made of the same float32 operations in the same order everywhere. On a CPU
compiled loops do the work, one window after another; elsewhere all windows are one long list of pairs of a center and
a pixel, of which each pixel keeps its nearest, and nothing waits for the device.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from seglab.image import _WHITE, _XYZ_FROM_RGB, ColorSpace, to_color_space
from seglab.labels import adjacency, connected_components, segment_sizes

__all__ = [
    "Centers",
    "Pixels",
    "Seeds",
    "assign",
    "colors",
    "enforce_connectivity",
    "grid",
    "iterate",
    "largest_differences",
    "perturb",
    "rounded",
    "update",
]

T = TypeVar("T")

_PAIRS = {"cpu": 1 << 20}  # of centers and pixels that are compared at once where loops are not compiled
_PAIRS_ELSEWHERE = 1 << 25
_TOP = {"gray": 1.0, "rgb": 1.0, "hsv": 1.0, "lab": 128.0, "luv": 256.0}  # no value of a color is larger
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
    def of(cls, features: Tensor, step: float, place_weight: float, mask: Tensor | None = None) -> Pixels:
        """Of features as `rounded` and `colors` make them."""
        return cls(features.contiguous(), _single(step), _single(place_weight), mask)


def rounded(features: Tensor, top: float = 0) -> Tensor:
    """Features of at most ``top`` in size (looked for where that is 0) in float32, rounded to 24 bits below it."""
    unit = _unit(top or float(features.abs().amax()))
    return (features.to(torch.float32) / unit).round_().mul_(unit)


def colors(image: Tensor, color_space: ColorSpace) -> Tensor:
    """The colors (D, H, W) of a picture (C, H, W), `rounded`; CIELAB on a CPU in a compiled loop."""
    if color_space != "lab" or len(image) != 3 or image.device.type != "cpu" or image.dtype != torch.float32:
        return rounded(to_color_space(image, color_space), _TOP[color_space])
    levels = torch.arange(256, dtype=torch.float32) / 255
    linear = levels.double()  # sRGB's curve
    linear = torch.where(linear > 0.04045, ((linear + 0.055) / 1.055) ** 2.4, linear / 12.92)
    matrix, unit = np.array(_XYZ_FROM_RGB) / np.array(_WHITE)[:, None], _unit(_TOP["lab"])
    given, out = _flat(image), torch.empty_like(image, memory_format=torch.contiguous_format)

    def of_band(first: int, last: int) -> None:
        part = slice(first * image.shape[2], (last + 1) * image.shape[2])
        _loops().lab(given[:, part], levels.numpy(), linear.numpy(), matrix, unit, _flat(out)[:, part])

    _in_bands(of_band, image.shape[1])
    return out


def _unit(top: float) -> float:
    return 2.0 ** (math.ceil(math.log2(max(top, 1e-30))) - 23)


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
    sums
        (K, D + 3) float64: the sums of features, rows and columns of each center's pixels, and their number.
    """

    centers: Tensor
    nearest: Tensor
    sums: Tensor


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
    start, count = first[:-1].to(torch.int32), first[1:] - first[:-1]
    counts = torch.tensor([n // rows, n // rows + 1])[:, None]  # each row of cells has one of these numbers
    across = ((2 * torch.arange(width) + 1) * counts // (2 * width)).to(torch.int32)
    cells = start[of_row][:, None] + across[(count - n // rows)[of_row]]
    row_of = torch.repeat_interleave(torch.arange(rows), count)  # of each cell
    in_row = torch.arange(n) - first[row_of]
    down = (2 * row_of + 1) * height // (2 * rows)
    across = (2 * in_row + 1) * width // (2 * count[row_of])
    return Seeds(torch.stack([down, across], dim=1), cells, step)


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
    if features.device.type != "cpu":
        return _perturb_anywhere(features, seeds)
    places = seeds.places.clone()
    arrays = (x.contiguous().numpy() for x in (seeds.cells, seeds.places, places))
    _loops().perturb(_flat(features.to(torch.float32)), *arrays)
    return places


def _perturb_anywhere(features: Tensor, seeds: Seeds) -> Tensor:
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


def iterate(
    pixels: Pixels,
    centers: Tensor,
    nearest: Tensor,
    sums: Tensor | None = None,
    color_weight: Tensor | None = None,
) -> Centers:
    """`assign` and `update` at once.

    Parameters
    ----------
    pixels
        The picture.
    centers
        (K, D + 2).
    nearest
        (H, W) int32: the center that each pixel had.
    sums
        (K, D + 3) float64: what `Centers.sums` was one step before, so that only what changes is added up.
    color_weight
        (K,) float32: what the squared distance in features is multiplied by for each center; 1 by default.
    """
    labels, change = _assigned(pixels, centers, color_weight, nearest, sums is not None)
    sums = _sums(pixels.features, labels, len(centers)) if sums is None or change is None else sums + change
    return Centers(_means(sums, centers), labels, sums)


def _assigned(
    pixels: Pixels,
    centers: Tensor,
    color_weight: Tensor | None,
    nearest: Tensor | None,
    with_change: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Labels (H, W) int32, and on a CPU how the sums change."""
    weight = torch.ones_like(centers[:, 0]) if color_weight is None else color_weight
    windows = _windows(pixels, centers)
    if centers.device.type != "cpu":
        return _assign_pairs(pixels, windows, centers, weight, nearest), None
    (height, width), loops = pixels.features.shape[1:], _loops()
    labels, best = torch.full((height * width,), -1, dtype=torch.int32), torch.full((height * width,), torch.inf)
    if pixels.mask is not None:
        best.masked_fill_(~pixels.mask.flatten(), -1)  # nothing is nearer
    before = labels.clone() if nearest is None else nearest.to(torch.int32)
    given = _flat(pixels.features), width, *(x.numpy() for x in (windows, centers, weight))
    made = _flat(before), best.numpy(), labels.numpy()

    def of_rows(first: int, last: int) -> np.ndarray:
        change = np.zeros((len(centers), centers.shape[1] + 1))
        loops.compete(*given, np.float32(pixels.place_weight), first, last, *made[1:])
        if nearest is not None:
            loops.settle(*given, np.float32(pixels.place_weight), first, last, *made, change)
        return change

    change = sum(_in_bands(of_rows, height))
    return labels.reshape(height, width), torch.from_numpy(change) if with_change else None


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


def largest_differences(pixels: Pixels, centers: Tensor, nearest: Tensor) -> Tensor:
    """The largest squared distance in features of each center's pixels: (K,) float32, 0 of one without pixels."""
    if centers.device.type != "cpu":
        return _largest_anywhere(pixels, centers, nearest)
    largest = torch.zeros_like(centers[:, 0])
    _loops().largest(_flat(pixels.features), centers.numpy(), _flat(nearest.to(torch.int32)), largest.numpy())
    return largest


def _largest_anywhere(pixels: Pixels, centers: Tensor, nearest: Tensor) -> Tensor:
    own = nearest.flatten().long()
    color, _ = _distances(pixels, centers, own.clamp(min=0), torch.arange(len(own), device=own.device))
    color = torch.where(own >= 0, color, 0)
    return torch.zeros_like(centers[:, 0]).scatter_reduce(0, own.clamp(min=0), color, "amax")


def _sums(features: Tensor, nearest: Tensor, n: int) -> Tensor:
    """(K, D + 3) float64: the sums of features, rows and columns of each center's pixels, and their number."""
    if features.device.type != "cpu":
        return _sums_anywhere(features, nearest, n)
    sums = torch.zeros(n, len(features) + 3, dtype=torch.float64)
    _loops().collect(_flat(features), nearest.shape[1], _flat(nearest.to(torch.int32)), sums.numpy())
    return sums


def _sums_anywhere(features: Tensor, nearest: Tensor, n: int) -> Tensor:
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


def _loops() -> Any:
    from seglab.kernels import _slic_loops  # here, because only those who compute on a CPU wait for it

    return _slic_loops


def _flat(x: Tensor) -> np.ndarray:
    """(N,) of a map (H, W), (D, N) of features (D, H, W)."""
    return x.contiguous().flatten(max(x.ndim - 2, 0)).numpy()


def _in_bands(work: Callable[[int, int], T], height: int) -> list[T]:
    """What ``work`` makes of the rows from a first to a last one, in as many bands as torch has threads."""
    n = min(torch.get_num_threads(), height)
    ends = [(i * height // n, (i + 1) * height // n - 1) for i in range(n)]
    if n == 1:
        return [work(*ends[0])]
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, *zip(*ends, strict=True)))


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
    if nearest.device.type != "cpu":
        return _connect_anywhere(nearest, features, n_segments, min_size)
    width, flat = nearest.shape[1], _flat(features.to(torch.float32))
    labels = _loops().connect(_flat(nearest.to(torch.int32)), width, flat, n_segments, min_size)
    return torch.from_numpy(labels).reshape(nearest.shape)


def _connect_anywhere(nearest: Tensor, features: Tensor, n_segments: int, min_size: int) -> Tensor:
    """The pieces and who touches whom on the device; only their graph goes to the compiled loop."""
    pieces = connected_components(nearest.long(), 4)
    n = int(pieces.max()) + 1
    if n == 0:
        return pieces
    sizes = segment_sizes(pieces)
    sums = _sums_anywhere(features, pieces, n)[:, : len(features)].contiguous()
    index, own = (x.flatten().long().clamp(min=0) for x in (pieces, nearest))
    center = torch.zeros_like(sizes).scatter_reduce(0, index, own, "amax")
    edges = adjacency(pieces, 4).edges
    graph = (x.cpu().numpy() for x in (sizes, sums, center, edges))
    number = torch.from_numpy(_loops().absorb(*graph, n_segments, min_size)).to(pieces.device)
    return torch.where(pieces >= 0, number[pieces.clamp(min=0)], -1)
