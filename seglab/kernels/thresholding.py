"""Thresholds of gray values: Otsu's and its relatives from a histogram, local ones, hysteresis.

The kernels of `seglab.methods.thresholding`, which explains them and cites the papers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.features import mirror_pad
from seglab.labels import connected_components

__all__ = [
    "Statistic",
    "class_ends",
    "class_scores",
    "classes_above",
    "gray_histogram",
    "hysteresis",
    "level_counts",
    "local_threshold",
    "multi_otsu",
    "one_class_more",
    "otsu_curve",
    "range_histogram",
]

Statistic = Literal["gaussian", "mean", "sauvola"]


def gray_histogram(gray: Tensor, n_bins: int = 256) -> tuple[Tensor, Tensor]:
    """Count gray values, as scikit-image does.

    Parameters
    ----------
    gray
        (H, W) in [0, 1].
    n_bins
        For a picture that is not 8-bit.

    Returns
    -------
    counts
        (B,) float64. The first and the last are not 0.
    centers
        (B,) the gray values of the bins, float64 in [0, 1]. An 8-bit picture has one bin for each level from its
        darkest to its brightest; any other has ``n_bins`` equal bins over its range.
    """
    counts = level_counts(gray)
    if counts is None:
        return range_histogram(gray, n_bins)
    used = np.flatnonzero(counts.cpu().numpy())
    first, end = int(used[0]), int(used[-1]) + 1
    return counts[first:end], _levels(gray.device)[first:end]


@functools.cache
def _levels(device: torch.device) -> Tensor:
    """0/255, 1/255, …, 1."""
    return torch.arange(256, dtype=torch.float64, device=device) / 255


def level_counts(gray: Tensor) -> Tensor | None:
    """How often each of the levels 0 … 255 occurs in an 8-bit picture, (256,) float64; None of any other picture.

    A picture is 8-bit where all values are multiples of 1/255.

    Examples
    --------
    >>> level_counts(torch.tensor([[0.0, 0.2, 1.0]])).nonzero().flatten(), level_counts(torch.tensor([[0.0, 0.3]]))
    (tensor([  0,  51, 255]), None)
    """
    if _is_plain(gray):
        counts = np.empty(256)
        return torch.from_numpy(counts) if _compiled(_level_loop)(gray.numpy().reshape(-1), counts) else None
    levels = gray * 255
    whole = levels.to(torch.uint8)
    return torch.bincount(whole.flatten(), minlength=256).double() if levels.frac_().amax() == 0 else None


def range_histogram(gray: Tensor, n_bins: int = 256) -> tuple[Tensor, Tensor]:
    """Equal bins over the range of a picture; a value on an edge belongs to the bin above, as in `numpy.histogram`."""
    low, high = torch.aminmax(gray)
    if low == high:
        return gray.new_full((1,), gray.numel(), dtype=torch.float64), low[None].double()
    edges = _linspace(low, high, n_bins)
    centers = ((edges[:-1] + edges[1:]) / 2).double()
    if _is_plain(gray):
        counts = np.zeros(n_bins, np.int64)
        _compiled(_range_loop)(gray.numpy().reshape(-1), edges.numpy(), counts)
        return torch.from_numpy(counts).double(), centers
    bins = torch.bucketize(gray.flatten(), edges[1:-1], right=True, out_int32=True)
    return torch.bincount(bins, minlength=n_bins).double(), centers


def classes_above(gray: Tensor, thresholds: Tensor) -> Tensor:
    """The number of thresholds (T,) that each pixel exceeds, (H, W) int64.

    Examples
    --------
    >>> classes_above(torch.tensor([[0.1, 0.2, 0.9]]), torch.tensor([0.2, 0.5])).tolist()
    [[0, 0, 2]]
    """
    if _is_plain(gray):
        out = np.empty(gray.shape, np.int64)
        _compiled(_class_loop)(gray.numpy().reshape(-1), thresholds.numpy(), out.reshape(-1))
        return torch.from_numpy(out)
    classes = torch.zeros(gray.shape, dtype=torch.int64, device=gray.device)
    for threshold in thresholds:
        classes += gray > threshold
    return classes


def otsu_curve(counts: Tensor, centers: Tensor) -> Tensor:
    """The between-class variance ω₀ω₁(μ₁ − μ₀)² of each threshold.

    Parameters
    ----------
    counts, centers
        (B,) a histogram; the first and the last count are not 0.

    Returns
    -------
    Tensor
        (B − 1,) float64, in squared units of ``centers``. Entry t is for the classes 0 … t and t + 1 … B − 1.

    Examples
    --------
    >>> otsu_curve(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0.25, 0.25]
    """
    counts, centers = counts.double(), centers.double()
    if counts.device.type == "cpu":
        variance = np.empty(len(counts) - 1)
        _compiled(_curve_loop)(counts.numpy(), centers.numpy(), variance)  # for so few numbers, many times faster
        return torch.from_numpy(variance)
    sizes, sums = counts.cumsum(0), (counts * centers).cumsum(0)
    n, omega = sizes[-1], sizes[:-1] / sizes[-1]  # ω₀
    shortfall = (sums[-1] * omega - sums[:-1]) / n  # ω₀(μ − μ₀) = ω₀ω₁(μ₁ − μ₀)
    return shortfall * shortfall / (omega * (1 - omega))


def class_scores(counts: Tensor, centers: Tensor) -> Tensor:
    """What a class of the bins i … j − 1 adds to the between-class variance, ω(μ − μ_all)².

    Parameters
    ----------
    counts, centers
        (B,) a histogram without empty bins.

    Returns
    -------
    Tensor
        (B + 1, B + 1) float64; −∞ where j ≤ i.
    """
    share = counts.double() / counts.sum()
    deviation = centers.double() - share @ centers.double()
    omega = F.pad(share.cumsum(0), (1, 0))
    moment = F.pad((share * deviation).cumsum(0), (1, 0))
    scores = (moment - moment[:, None]).square_().div_(omega - omega[:, None])
    return scores.masked_fill_(torch.ones_like(scores, dtype=torch.bool).tril_(), -torch.inf)


def one_class_more(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """A level of the dynamic program: the best first class i … j − 1, given the best of the rest from j on.

    Returns the new ``values`` (B + 1,) and where the first class ends, j, (B + 1,) int64.
    """
    return (scores + values).max(dim=1)


def class_ends(choices: Sequence[Tensor]) -> Tensor:
    """The last bin of each class but the last, (T,): follow the choices of the dynamic program from the start."""
    start = choices[0].new_zeros(())
    ends = []
    for choice in reversed(choices):
        start = choice[start]
        ends.append(start - 1)
    return torch.stack(ends)


def multi_otsu(counts: Tensor, centers: Tensor, n_classes: int) -> Tensor:
    """The thresholds (n_classes − 1,) that maximize the between-class variance Σ ω_k(μ_k − μ)² of a histogram.

    Dynamic programming: B² work for each class more than one, whatever their number. Of equally good thresholds, the
    lowest are taken.

    Raises
    ------
    ValueError
        There are fewer bins with pixels than classes.

    Examples
    --------
    >>> multi_otsu(torch.tensor([5.0, 1.0, 0.0, 6.0, 0.0, 4.0]), torch.arange(6.0), 3).tolist()
    [1.0, 3.0]
    """
    counts, centers = counts[counts > 0], centers[counts > 0]
    if len(counts) < n_classes:
        raise ValueError(f"{len(counts)} gray values cannot be split into {n_classes} classes; ask for fewer")
    scores = class_scores(counts, centers)
    values, choices = scores[:, -1], []
    for _ in range(n_classes - 1):
        values, choice = one_class_more(scores, values)
        choices.append(choice)
    return centers[class_ends(choices)]


def local_threshold(gray: Tensor, radius: int, statistic: Statistic = "gaussian", offset: float = 0.0) -> Tensor:
    """A threshold for each pixel (H, W), from the window of side 2·radius + 1 around it; borders are mirrored.

    Parameters
    ----------
    gray
        (H, W).
    radius
        In pixels.
    statistic
        ``"mean"`` of the window; ``"gaussian"``, the mean weighted by a Gaussian of σ = radius / 3; ``"sauvola"``,
        m·(1 + 0.2·(s / 0.5 − 1)) of the window's mean m and standard deviation s.
    offset
        Subtracted from it.

    Notes
    -----
    The first two are `skimage.filters.threshold_local`'s, the third is `skimage.filters.threshold_sauvola`'s except
    within ``radius`` of the border, which is mirrored there without repeating the last pixel.
    """
    if statistic == "gaussian":
        sigma = radius / 3
        reach = int(4 * sigma + 0.5)
        x = torch.arange(-reach, reach + 1, dtype=gray.dtype, device=gray.device)
        weights = torch.exp(-x.square() / (2 * sigma**2))
        return _smooth(gray, weights / weights.sum()) - offset
    mean = _box_mean(gray, radius)
    if statistic == "sauvola":
        deviation = (_box_mean(gray.square(), radius) - mean.square()).clamp(min=0).sqrt()
        mean = mean * (1 + 0.2 * (deviation / 0.5 - 1))
    return mean.to(gray.dtype) - offset


def hysteresis(gray: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Where a pixel exceeds ``high``, or exceeds ``low`` and is 4-connected, through such pixels, to one that does.

    Returns (H, W) bool. A ``low`` above ``high`` counts as ``high``.

    Examples
    --------
    >>> hysteresis(torch.tensor([[0.5, 0.9, 0.1, 0.5]]), low=0.4, high=0.8).tolist()
    [[True, True, False, False]]
    """
    sure = gray > high
    possible = (gray > low) | sure
    regions = connected_components(torch.where(possible, 0, -1))
    kept = torch.zeros(gray.numel() + 1, dtype=torch.bool, device=gray.device)
    kept[regions[sure]] = True
    return kept[regions]  # −1, no region, is the last entry, which stays False


def _box_mean(gray: Tensor, radius: int) -> Tensor:
    """The mean (H, W) float64 of the window around each pixel, from cumulative sums: no dearer for large windows."""
    side = 2 * radius + 1
    sums = F.pad(mirror_pad(gray.double(), radius, radius), (1, 0, 1, 0)).cumsum(0).cumsum(1)
    rows = sums[side:] - sums[:-side]
    return (rows[:, side:] - rows[:, :-side]) / side**2


def _smooth(gray: Tensor, weights: Tensor) -> Tensor:
    """Correlate columns and rows with the same weights (2·reach + 1,); borders are mirrored."""
    reach = len(weights) // 2
    padded = mirror_pad(gray, reach, reach)
    return _correlate(_correlate(padded.T, weights).T, weights)


def _correlate(x: Tensor, weights: Tensor) -> Tensor:
    """Correlate each row (H, n + k − 1) with weights (k,): (H, n).

    As matrix products: k neighboring results are 2k − 1 values times one matrix with the weights along its diagonals.
    On a CPU this is several times faster than `torch.nn.functional.conv2d` with one channel.
    """
    k, n = len(weights), x.shape[1] - len(weights) + 1
    lag = torch.arange(2 * k - 1, device=x.device)[:, None] - torch.arange(k, device=x.device)
    band = torch.where((lag >= 0) & (lag < k), weights[lag.clamp(0, k - 1)], 0.0)  # (2k − 1, k)
    pieces = F.pad(x, (0, -n % k)).unfold(1, 2 * k - 1, k)  # (H, ⌈n / k⌉, 2k − 1)
    return (pieces @ band).flatten(1)[:, :n]


def _linspace(low: Tensor, high: Tensor, n: int) -> Tensor:
    """The n + 1 edges of equal bins, rounded as `numpy.linspace` does, so that values on an edge fall alike."""
    edges = torch.arange(n + 1, dtype=low.dtype, device=low.device) * ((high - low) / n) + low
    edges[-1] = high
    return edges


# ---- compiled loops over the pixels of a picture on a CPU ----------------------------------------------------------


def _is_plain(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32 and values.is_contiguous()


@functools.cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    import numba  # here, because it takes a moment, and not every rule needs it

    return numba.njit(cache=True, nogil=True)(loop)


def _level_loop(values: np.ndarray, counts: np.ndarray) -> bool:
    """Count the levels of 8-bit values; False at the first piece that holds another value.

    Reads eight levels as one word, and counts in four tables in turn: where neighbors are alike, none waits for the
    one before.
    """
    tables = np.zeros((4, 256), np.uint32)
    levels, one, byte = np.empty(2048, np.uint8), np.uint32(1), np.uint64(255)
    for start in range(0, len(values), len(levels)):
        piece = values[start : start + len(levels)]
        others = np.int32(0)
        for i in range(len(piece)):
            scaled = piece[i] * np.float32(255)
            level = np.int32(scaled)
            levels[i] = np.uint8(level)
            others += np.int32(np.float32(level) != scaled)  # a sum, because that vectorizes
        if others:
            return False
        words = levels[: len(piece) // 8 * 8].view(np.uint64)
        for i in range(len(words)):
            word = words[i]
            for k in range(8):
                tables[k & 3, word >> np.uint64(8 * k) & byte] += one
        for i in range(8 * len(words), len(piece)):
            tables[0, levels[i]] += one
    for j in range(256):
        counts[j] = np.float64(tables[0, j]) + tables[1, j] + tables[2, j] + tables[3, j]
    return True


def _curve_loop(counts: np.ndarray, centers: np.ndarray, variance: np.ndarray) -> None:
    n = total = 0.0
    for i in range(len(counts)):
        n += counts[i]
        total += counts[i] * centers[i]
    size = part = 0.0
    for i in range(len(variance)):
        size += counts[i]
        part += counts[i] * centers[i]
        omega = size / n
        shortfall = (total * omega - part) / n
        variance[i] = shortfall * shortfall / (omega * (1 - omega))


def _range_loop(values: np.ndarray, edges: np.ndarray, counts: np.ndarray) -> None:
    """Count in equal bins; rounding may miss the bin by one, and its edges say so."""
    last = len(counts) - 1
    low = edges[0]
    scale = np.float32(len(counts)) / (edges[-1] - low)
    for i in range(len(values)):
        value = values[i]
        place = min(int((value - low) * scale), last)
        if value < edges[place]:
            place -= 1
        elif place < last and value >= edges[place + 1]:
            place += 1
        counts[place] += 1


def _class_loop(values: np.ndarray, thresholds: np.ndarray, classes: np.ndarray) -> None:
    if len(thresholds) == 0:
        classes[:] = 0
    for t in range(len(thresholds)):
        for i in range(len(values)):
            above = np.int64(values[i] > thresholds[t])
            classes[i] = above if t == 0 else classes[i] + above
