"""The two halves of k-means as matrix products, and its iteration that looks only where labels may change.

Squared distances ‖x − c‖² = ‖x‖² − 2x·c + ‖c‖² are one product of centers (K, D + 1) with points (D + 1, U), and the
sums of clusters one product of their members (K, U) with points the other way. Equal points are counted, not repeated:
exact. On a CPU, where points have few features, a compiled loop takes the place of the first product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Columns", "Lloyd", "assign", "update"]

# Distances computed at once: few enough for a processor's cache, and for torch to leave them to one thread (from 32768
# on it wakes others, for microseconds of work each time, which costs more than it saves).
_BLOCK = {"cpu": 32_000}
_NARROW = 9  # rows of `Columns.x`, up to which a compiled loop is quicker than matrix products
_BLOCK_ELSEWHERE = 1 << 25  # about what keeps a large device busy


@dataclass(frozen=True, eq=False)
class Columns:
    """Points prepared once for `assign` and `update`, one column each.

    Attributes
    ----------
    x
        (D + 1, U) the points less their mean, over a row of ones.
    counts
        (U,) how often each occurs, or None: once.
    mean
        (D,) the mean of all pixels. Far from it the terms of a squared distance are large and nearly cancel.
    """

    x: Tensor
    counts: Tensor | None
    mean: Tensor

    @classmethod
    def of(cls, values: Tensor, counts: Tensor | None = None) -> Columns:
        """From points (U, D) and how often each occurs (U,); once, if that is not given."""
        weights = torch.ones_like(values[:, 0]) if counts is None else counts.to(values.dtype)
        mean = weights @ values / weights.sum()
        return cls(torch.cat([(values - mean).T, torch.ones_like(weights)[None]]), counts, mean)

    def at(self, places: Tensor) -> Columns:
        """Some of the points, about the same mean."""
        counts = None if self.counts is None else self.counts.index_select(0, places)
        return Columns(self.x.index_select(1, places), counts, self.mean)


def assign(points: Tensor | Columns, centers: Tensor) -> Tensor:
    """The index (U,) int64 of the center (K, D) nearest to each point (U, D); of equally near ones, the first.

    ‖x‖² is the same for all centers and is left out.

    Examples
    --------
    >>> assign(torch.tensor([[0.0], [0.4], [0.5], [0.9]]), torch.tensor([[0.0], [1.0]])).tolist()
    [0, 0, 0, 1]
    """
    points = points if isinstance(points, Columns) else Columns.of(points)
    factors = _factors(points, centers)
    if _is_narrow(points):
        return _two_lowest(points.x, factors)[0]
    blocks = points.x.split(_rows(points.x, len(centers)), dim=1)
    return torch.cat([_first_lowest(factors @ x)[0] for x in blocks])


def update(points: Tensor | Columns, nearest: Tensor, centers: Tensor, counts: Tensor | None = None) -> Tensor:
    """The mean (K, D) of each center's points.

    Parameters
    ----------
    points
        (U, D), or their `Columns`.
    nearest
        (U,) the index of the center of each point.
    centers
        (K, D) the present centers. One without points moves to the point that is farthest from its own center, the
        next to the second farthest; where none is at any distance, it stays.
    counts
        (U,) how often each point occurs, where ``points`` do not say it; once by default.

    Examples
    --------
    >>> update(torch.tensor([[0.0], [0.5], [1.0]]), torch.tensor([0, 0, 1]), torch.tensor([[0.0], [1.0]])).tolist()
    [[0.25], [1.0]]
    """
    points = points if isinstance(points, Columns) else Columns.of(points, counts)
    empty = torch.ones(len(centers), dtype=torch.bool, device=centers.device).index_fill_(0, nearest, False)
    if empty.device.type != "cpu" or empty.any():  # on a device, looking would wait; there it is done each time
        nearest = _relocate(points, nearest, centers, empty)
    return _means(points, _sums(points, nearest, len(centers)), centers)


class Lloyd:
    """Lloyd's iteration on a CPU that looks only where labels may change; its labels are those of plain `assign`.

    A point's *slack* is how much farther its second nearest center is than its nearest. When centers move, it shrinks
    by the move of the point's own center and by the largest move of another one at most (triangle inequality); as long
    as some is left, the point stays where it is, and its distances are not computed (Hamerly, 2010, Making k-means
    even faster, SIAM Conf. Data Mining, 10.1137/1.9781611972801.12). Sums change by the points that change sides.

    Attributes
    ----------
    centers
        (K, D).
    nearest
        (U,) the nearest center of each point.
    smallest
        The number of pixels of the smallest cluster. Where that is 0, the next step is `update`'s, and a new `Lloyd`
        goes on from there.
    """

    def __init__(self, points: Columns, nearest: Tensor, centers: Tensor) -> None:
        self.centers, self.nearest, self._points = centers, nearest.clone(), points
        self._sums = _sums(points, nearest, len(centers))
        self.smallest = float(self._sums[:, -1].amin())
        self._slack = torch.zeros_like(points.x[0])  # not known: the first step looks at all points
        self._found = np.empty(len(nearest), np.int64)

    def step(self) -> bool:
        """Move each center to the mean of its points and assign again; tell whether all points stayed."""
        before, self.centers = self.centers, _means(self._points, self._sums, self.centers)
        arrays = (self._slack, self.nearest, before, self.centers)
        n = _compiled(_spend_loop)(*(array.numpy() for array in arrays), self._found)
        if n == 0:
            return True
        places = torch.from_numpy(self._found[:n])
        nearest, slack = self._look(places)
        counts = torch.ones(0, dtype=torch.int64) if self._points.counts is None else self._points.counts
        found = (places, nearest, slack, self.nearest, self._slack, self._points.x, counts, self._sums)
        if _compiled(_take_loop)(*(array.numpy() for array in found)) == 0:
            return True
        self.smallest = float(self._sums[:, -1].amin())
        return False

    def _look(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """`_assign_with_slack` for the points at these places (P,)."""
        if len(places) == len(self.nearest):
            return _assign_with_slack(self._points, self.centers)
        if not _is_narrow(self._points) or 4 * len(places) > len(self.nearest):
            return _assign_with_slack(self._points.at(places), self.centers)
        factors = _factors(self._points, self.centers).to(self._slack.dtype)
        nearest, slack = torch.empty_like(places), self._slack.new_empty(len(places))
        arrays = (places, factors, self._points.x, nearest, slack)
        _compiled(_look_loop)(*(array.numpy() for array in arrays))
        return nearest, slack


def _factors(points: Columns, centers: Tensor) -> Tensor:
    """(K, D + 1), whose product with ``points.x`` is ‖c‖² − 2x·c."""
    c = centers - points.mean
    return torch.cat([-2 * c, c.square().sum(dim=1, keepdim=True)], dim=1)


def _first_lowest(distance: Tensor) -> tuple[Tensor, Tensor]:
    """The first row (U,) in which each column of (K, U) is at its minimum, and the minimum (U,).

    The same as ``distance.min(dim=0)``, in passes that vectorize: on a CPU min and argmin take many times longer.
    """
    k, lowest = len(distance), distance.amin(dim=0)
    reached = torch.le(distance, lowest, out=torch.empty_like(distance))  # 1 or 0
    height = torch.arange(k, 0, -1, dtype=distance.dtype, device=distance.device)[:, None]
    return reached.mul_(height).amax(dim=0).neg_().add_(k).long(), lowest


def _is_narrow(points: Columns) -> bool:
    """Whether a compiled loop is quicker than matrix products: on a CPU, for few features."""
    return points.x.device.type == "cpu" and len(points.x) <= _NARROW


def _two_lowest(x: Tensor, factors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first row (U,) in which each column of ``factors @ x`` is at its minimum, and its two lowest values (U,)."""
    index = torch.empty(x.shape[1], dtype=torch.int64)
    first, second = torch.empty_like(x[0]), torch.empty_like(x[0])
    arrays = (x, factors.to(x.dtype), index, first, second)
    _compiled(_two_lowest_loop)(*(array.numpy() for array in arrays))
    return index, first, second


def _assign_with_slack(points: Columns, centers: Tensor) -> tuple[Tensor, Tensor]:
    """`assign`, and the slack (U,), lowered by what rounding may get wrong in it and in later distances."""
    factors = _factors(points, centers)
    if _is_narrow(points):
        nearest, first, second = _two_lowest(points.x, factors)
    else:
        found = []
        for x in points.x.split(_rows(points.x, len(centers)), dim=1):
            distance = factors @ x
            index, lowest = _first_lowest(distance)
            found.append((index, lowest, distance.scatter_(0, index[None], torch.inf).amin(dim=0)))
        nearest, first, second = (torch.cat(parts) for parts in zip(*found, strict=True))
    length = points.x[:-1].square().sum(dim=0)
    gap = second.add_(length).clamp_(min=0).sqrt_() - first.add_(length).clamp_(min=0).sqrt_()
    reach = factors[:, -1].amax().sqrt()  # of the centers
    safety = 4 * torch.finfo(centers.dtype).eps ** 0.5
    return nearest, gap.sub_(length.sqrt_().add_(reach), alpha=safety)


def _sums(points: Columns, nearest: Tensor, n_clusters: int) -> Tensor:
    """(K, D + 1) float64: the sum of each cluster's points, and the number of its pixels."""
    rows, total = _rows(nearest, n_clusters), None
    for start in range(0, len(nearest), rows):
        block = slice(start, start + rows)
        members = _one_hot(nearest[block], n_clusters)
        if points.counts is not None:
            members *= points.counts[block]
        sums = members @ points.x[:, block].T.double()
        total = sums if total is None else total.add_(sums)
    assert total is not None  # there is at least one point
    return total


def _one_hot(index: Tensor, k: int) -> Tensor:
    """(K, U) float64, 1 in the row that ``index`` (U,) names."""
    numbers = torch.arange(k, dtype=torch.float64, device=index.device)[:, None]
    return torch.eq(index.double(), numbers, out=numbers.new_empty(k, len(index)))


def _means(points: Columns, sums: Tensor, centers: Tensor) -> Tensor:
    """(K, D); a center without points stays."""
    sizes = sums[:, -1:]
    means = (sums[:, :-1] / sizes.clamp(min=1)).to(centers.dtype) + points.mean
    return torch.where(sizes > 0, means, centers)


def _relocate(points: Columns, nearest: Tensor, centers: Tensor, empty: Tensor) -> Tensor:
    """Give the first ``empty`` center (K,) the farthest point, the second the second farthest, and so on.

    Returns the changed ``nearest``. Points that lie on their center are left where they are.
    """
    distance = (points.x[:-1] - (centers - points.mean)[nearest].T).square().sum(dim=0)
    far = distance.topk(min(len(centers), len(nearest)))
    takers = torch.argsort(~empty, stable=True)[: len(far.indices)]  # the empty ones first
    moves = empty[takers] & (far.values > 0)
    return nearest.scatter(0, far.indices, torch.where(moves, takers, nearest[far.indices]))


def _rows(points: Tensor, n_clusters: int) -> int:
    """How many points to take at once."""
    return max(1, _BLOCK.get(points.device.type, _BLOCK_ELSEWHERE) // n_clusters)


# ---- compiled loops over the points, on a CPU -----------------------------------------------------------------------


@functools.cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    import numba  # here, because it takes a moment

    return numba.njit(cache=True, nogil=True)(loop)


def _two_lowest_loop(
    x: np.ndarray, factors: np.ndarray, index: np.ndarray, first: np.ndarray, second: np.ndarray
) -> None:
    """Write the two lowest values of each column of ``factors @ x``, and the row of the first.

    In blocks that stay in the processor's cache; each inner loop vectorizes, and rounds alike whatever the block.
    """
    last = len(x) - 1
    block = np.empty(512, x.dtype)
    for start in range(0, x.shape[1], len(block)):
        part = slice(start, min(start + len(block), x.shape[1]))
        lowest, next_lowest, row = first[part], second[part], index[part]
        lowest[:], next_lowest[:], row[:] = np.inf, np.inf, 0
        value = block[: len(row)]
        for k in range(len(factors)):
            value[:] = factors[k, last]
            for d in range(last):
                factor, values = factors[k, d], x[d, part]
                for i in range(len(row)):
                    value[i] += factor * values[i]
            for i in range(len(row)):
                closer = value[i] < lowest[i]
                other = lowest[i] if closer else value[i]
                next_lowest[i] = other if other < next_lowest[i] else next_lowest[i]
                lowest[i] = value[i] if closer else lowest[i]
                row[i] = k if closer else row[i]


def _spend_loop(
    slack: np.ndarray, nearest: np.ndarray, before: np.ndarray, centers: np.ndarray, found: np.ndarray
) -> int:
    """Take from each point's slack what the moves of the centers (K, D) cost, and list the points with none left."""
    moves = np.empty(len(centers), centers.dtype)
    for k in range(len(centers)):
        moves[k] = 0
        for d in range(centers.shape[1]):
            moves[k] += (centers[k, d] - before[k, d]) ** 2
        moves[k] = np.sqrt(moves[k])
    spent = moves.copy()
    for i in range(len(moves)):
        other = moves[0] * 0
        for j in range(len(moves)):
            other = max(other, moves[j]) if j != i else other
        spent[i] += other
    n, block = 0, 64
    for start in range(0, len(slack), block):
        own, center = slack[start : start + block], nearest[start : start + block]
        least = own[0]
        for i in range(len(own)):
            own[i] -= spent[center[i]]
            least = min(least, own[i])
        if least <= 0:
            for i in range(len(own)):
                found[n] = start + i
                n += own[i] <= 0  # without a branch, which would often be guessed wrong
    return n


def _look_loop(places: np.ndarray, factors: np.ndarray, x: np.ndarray, nearest: np.ndarray, slack: np.ndarray) -> None:
    """`_assign_with_slack` for few points, one after the other; distances are rounded as in `_two_lowest_loop`."""
    last, zero, inf = len(x) - 1, x.dtype.type(0), x.dtype.type(np.inf)
    safety = 4 * np.sqrt(np.finfo(x.dtype).eps)
    reach = np.sqrt(factors[:, last].max())
    for n in range(len(places)):
        i, length, lowest, second, nearest[n] = places[n], zero, inf, inf, 0
        for d in range(last):
            length += x[d, i] * x[d, i]
        for k in range(len(factors)):
            value = factors[k, last]
            for d in range(last):
                value += factors[k, d] * x[d, i]
            if value < lowest:
                lowest, second, nearest[n] = value, lowest, k
            elif value < second:
                second = value
        gap = np.sqrt(max(second + length, zero)) - np.sqrt(max(lowest + length, zero))
        slack[n] = gap - safety * (np.sqrt(length) + reach)


def _take_loop(
    places: np.ndarray,
    new: np.ndarray,
    new_slack: np.ndarray,
    nearest: np.ndarray,
    slack: np.ndarray,
    x: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> int:
    """Give the points at ``places`` their new centers and slack, move what they weigh in the sums, and count those."""
    changed = 0
    for n in range(len(places)):
        i, k = places[n], new[n]
        slack[i] = new_slack[n]
        old = nearest[i]
        if k == old:
            continue
        weight = np.float64(counts[i]) if len(counts) else 1.0
        for d in range(len(x)):
            sums[k, d] += weight * x[d, i]
            sums[old, d] -= weight * x[d, i]
        nearest[i] = k
        changed += 1
    return changed
