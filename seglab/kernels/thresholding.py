"""Thresholds of gray values: Otsu's and its relatives from a histogram, local ones, hysteresis.

The kernels of `seglab.methods.thresholding`, which explains them and cites the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.features import mirror_pad
from seglab.labels import connected_components

__all__ = [
    "Statistic",
    "class_ends",
    "class_scores",
    "gray_histogram",
    "gray_levels",
    "hysteresis",
    "level_histogram",
    "local_threshold",
    "multi_otsu",
    "one_class_more",
    "otsu_curve",
    "range_histogram",
]

Statistic = Literal["gaussian", "mean", "sauvola"]


def gray_levels(gray: Tensor) -> Tensor | None:
    """The levels 0 … 255 of an 8-bit picture (all values are multiples of 1/255), uint8; None of any other.

    Examples
    --------
    >>> gray_levels(torch.tensor([[0.0, 0.2, 1.0]])), gray_levels(torch.tensor([[0.0, 0.3]]))
    (tensor([[  0,  51, 255]], dtype=torch.uint8), None)
    """
    levels = gray * 255
    whole = levels.to(torch.int16).to(torch.uint8)  # by way of int16, because that vectorizes
    return whole if levels.frac_().amax() == 0 else None


def gray_histogram(gray: Tensor, n_bins: int = 256, levels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Count gray values, as scikit-image does.

    Parameters
    ----------
    gray
        (H, W) in [0, 1].
    n_bins
        For a picture that is not 8-bit.
    levels
        What `gray_levels` says of it, where that is known.

    Returns
    -------
    counts
        (B,) float64. The first and the last are not 0.
    centers
        (B,) the gray values of the bins, float64 in [0, 1]. An 8-bit picture has one bin for each level from its
        darkest to its brightest; any other has ``n_bins`` equal bins over its range.
    """
    levels = gray_levels(gray) if levels is None else levels
    return range_histogram(gray, n_bins) if levels is None else level_histogram(levels)


def level_histogram(levels: Tensor) -> tuple[Tensor, Tensor]:
    """One bin for each level from the darkest to the brightest, of a picture uint8."""
    counts = torch.bincount(levels.flatten(), minlength=256)
    used = counts.nonzero()[:, 0].tolist()
    centers = torch.arange(used[0], used[-1] + 1, dtype=torch.float64, device=levels.device) / 255
    return counts[used[0] : used[-1] + 1].double(), centers


def range_histogram(gray: Tensor, n_bins: int = 256) -> tuple[Tensor, Tensor]:
    """Equal bins over the range of a picture; a value on an edge belongs to the bin above, as in `numpy.histogram`."""
    low, high = torch.aminmax(gray)
    if low == high:
        return gray.new_full((1,), gray.numel(), dtype=torch.float64), low[None].double()
    edges = _linspace(low, high, n_bins)
    values = gray.flatten()
    place = (values - low).mul_(n_bins / (high - low))
    bins = place.int().clamp_(max=n_bins - 1)
    unsure = place.sub_(place.round()).abs_().lt(1e-3).nonzero()[:, 0]  # next to an edge, where rounding decides
    bins[unsure] = torch.bucketize(values[unsure], edges[1:-1], right=True, out_int32=True)
    return torch.bincount(bins, minlength=n_bins).double(), ((edges[:-1] + edges[1:]) / 2).double()


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
    sizes = counts.cumsum(0, dtype=torch.float64)
    sums = (counts * centers.double()).cumsum(0)
    n, omega = sizes[-1], sizes[:-1] / sizes[-1]  # ω₀
    shortfall = sums[-1] * omega - sums[:-1]  # n ω₀(μ − μ₀) = n ω₀ω₁(μ₁ − μ₀)
    return shortfall.div_(n).square_() / (omega * (1 - omega))


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
