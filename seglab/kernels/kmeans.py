"""The two halves of k-means as matrix products, and its iteration that looks only where labels may change.

Squared distances ‖x − c‖² = ‖x‖² − 2x·c + ‖c‖² are one product of centers (K, D + 1) with points (D + 1, U), and the
sums of clusters one product of their members (K, U) with points the other way. Equal points are counted, not repeated:
exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Columns", "Lloyd", "assign", "update"]

# Distances computed at once: few enough for a processor's cache, and for torch to leave them to one thread (from 32768
# on it wakes others, for microseconds of work each time, which costs more than it saves).
_BLOCK = {"cpu": 32_000}
_BLOCK_ELSEWHERE = 1 << 25  # about what keeps a large device busy
_WATCHED = 0.3  # `Lloyd` watches this part of the points at most, after a look at all
_PATIENCE = 8  # and after so many steps looks whether fewer do


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

    A point's *slack* is how much farther its second nearest center is than its nearest. By the triangle inequality it
    stays where it is until the two centers that have moved most have together moved by that much (Hamerly, 2010,
    Making k-means even faster, SIAM Conf. Data Mining, 10.1137/1.9781611972801.12). So only points whose slack is
    within a *budget* are watched. Moves use the budget up, and then all points are looked at again; as moves become
    smaller, so does what need be watched. Sums change by the points that change sides.

    Attributes
    ----------
    centers
        (K, D).
    smallest
        The number of pixels of the smallest cluster. Where that is 0, the next step is `update`'s, and a new `Lloyd`
        goes on from there.
    """

    def __init__(self, points: Columns, nearest: Tensor, centers: Tensor) -> None:
        self.centers, self._points, self._all_nearest = centers, points, nearest
        self._sums = _sums(points, nearest, len(centers))
        self.smallest = float(self._sums[:, -1].amin())
        self._places: Tensor | None = None  # of the points that are watched; None: all are
        self._watched, self._nearest = points, nearest
        self._budget, self._age = 0.0, 0

    @property
    def nearest(self) -> Tensor:
        """(U,) the nearest center of each point."""
        if self._places is None:
            return self._nearest
        return self._all_nearest.index_copy(0, self._places, self._nearest)

    def step(self) -> bool:
        """Move each center to the mean of its points and assign again; tell whether all points stayed."""
        before, self.centers = self.centers, _means(self._points, self._sums, self.centers)
        move = sum(sorted((self.centers - before).norm(dim=1).tolist())[-2:])
        self._budget, self._age = self._budget - move, self._age + 1
        if self._budget > 0 and self._age < _PATIENCE:
            return self._take(assign(self._watched, self.centers))
        if self._budget <= 0:
            self._watch(None, math.inf)
        nearest, slack = _assign_with_slack(self._watched, self.centers)
        stayed = self._take(nearest)
        budget = min(self._budget, 2 * _PATIENCE * move)
        if self._places is None:
            budget = min(budget, float(slack[:: max(1, len(slack) // 1000)].quantile(_WATCHED)))
        few = (slack <= budget).nonzero()[:, 0]
        self._watch(few if self._places is None else self._places[few], budget)
        return stayed

    def _watch(self, places: Tensor | None, budget: float) -> None:
        self._all_nearest = self.nearest
        self._places, self._budget, self._age = places, budget, 0
        self._watched = self._points if places is None else self._points.at(places)
        self._nearest = self._all_nearest if places is None else self._all_nearest[places]

    def _take(self, nearest: Tensor) -> bool:
        changed = (nearest != self._nearest).nonzero()[:, 0]
        if len(changed) == 0:
            return True
        new, old, k = nearest[changed], self._nearest[changed], len(self.centers)
        self._sums += _sums(self._watched.at(changed), new, k, old)
        self.smallest = float(self._sums[:, -1].amin())
        self._nearest = nearest
        return False


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


def _assign_with_slack(points: Columns, centers: Tensor) -> tuple[Tensor, Tensor]:
    """`assign`, and the slack (U,), lowered by what rounding may get wrong in it and in later distances."""
    factors = _factors(points, centers)
    found = []
    for x in points.x.split(_rows(points.x, len(centers)), dim=1):
        distance = factors @ x
        index, first = _first_lowest(distance)
        second = distance.scatter_(0, index[None], torch.inf).amin(dim=0)
        found.append((index, first, second, x[:-1].square().sum(dim=0)))
    nearest, first, second, length = (torch.cat(parts) for parts in zip(*found, strict=True))
    gap = second.add_(length).clamp_(min=0).sqrt_() - first.add_(length).clamp_(min=0).sqrt_()
    reach = factors[:, -1].amax().sqrt()  # of the centers
    safety = 4 * torch.finfo(centers.dtype).eps ** 0.5
    return nearest, gap.sub_(length.sqrt_().add_(reach), alpha=safety)


def _sums(points: Columns, nearest: Tensor, n_clusters: int, before: Tensor | None = None) -> Tensor:
    """(K, D + 1) float64: the sum of each cluster's points, and the number of its pixels.

    With ``before``, by how much they have changed since the nearest centers were those.
    """
    rows, total = _rows(nearest, n_clusters), None
    for start in range(0, len(nearest), rows):
        block = slice(start, start + rows)
        members = _one_hot(nearest[block], n_clusters)
        if before is not None:
            members -= _one_hot(before[block], n_clusters)
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
