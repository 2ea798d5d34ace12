"""The contingency table of two label maps: how many pixels have label i in one and label j in the other.

Covering, Rand index and variation of information all follow from this one table, whose size is that of the segments
that meet and not that of the picture. Tables can be merged when segments of the prediction merge, so that a hierarchy
of segmentations needs its pixels to be counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["ContingencyTable", "contingency_table"]

_DENSE = 16  # a table of up to so many cells for each of its entries is counted in place, a larger one by sorting


@dataclass(frozen=True, kw_only=True, eq=False)
class ContingencyTable:
    """The pairs of segments that meet, and in how many pixels; of one truth or of several.

    Segments of several truths (several people's segmentations of one picture) are numbered on, the second one's after
    the first one's; ``truth_of`` says whose each one is.

    Attributes
    ----------
    true, pred
        (E,) int64, the segment of the truth and that of the prediction; each pair at most once.
    counts
        (E,) int64, the pixels that they have in common, at least one.
    truth_of
        (R,) int64 from 0, for each segment of the truths the truth to which it belongs.
    n_pred
        The number S of labels of the prediction, unused ones included.
    """

    true: Tensor
    pred: Tensor
    counts: Tensor
    truth_of: Tensor
    n_pred: int
    n_truths: int = 1

    @cached_property
    def sizes_true(self) -> Tensor:
        """(R,) int64, the pixels of each segment of the truths."""
        return _sums(self.true, self.counts, len(self.truth_of))

    @cached_property
    def sizes_pred(self) -> Tensor:
        """(A, S) int64, the pixels of each segment of the prediction that count under each truth."""
        cell = self.pred if self.n_truths == 1 else self.truth_of[self.true] * self.n_pred + self.pred
        return _sums(cell, self.counts, self.n_truths * self.n_pred).view(self.n_truths, self.n_pred)

    @cached_property
    def n_pixels(self) -> Tensor:
        """(A,) int64, the pixels that count under each truth."""
        return self.sizes_pred.sum(1)

    def dense(self) -> Tensor:
        """The table as a matrix (R, S) int64; mind its size when segments are many.

        Examples
        --------
        >>> contingency_table(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]])).dense()
        tensor([[1, 1],
                [0, 2]])
        """
        cell = self.true * self.n_pred + self.pred
        return _sums(cell, self.counts, len(self.truth_of) * self.n_pred).view(-1, self.n_pred)

    def merged(self, into: Tensor, n_pred: int | None = None) -> ContingencyTable:
        """The table after segments of the prediction have merged.

        Parameters
        ----------
        into
            (S,) int64, for each segment of the prediction the one that it belongs to afterwards, from 0.
        n_pred
            The number of segments afterwards; the largest number in ``into`` and one by default.
        """
        n_pred = (int(into.max()) + 1 if len(into) else 0) if n_pred is None else n_pred
        cell, counts = _tally(self.true * n_pred + into[self.pred], len(self.truth_of) * n_pred, self.counts)
        true = cell // max(n_pred, 1)
        return ContingencyTable(
            true=true,
            pred=cell - true * n_pred,
            counts=counts,
            truth_of=self.truth_of,
            n_pred=n_pred,
            n_truths=self.n_truths,
        )

    @staticmethod
    def pooled(tables: Sequence[ContingencyTable]) -> ContingencyTable:
        """One table of several truths from one table for each, all with the same prediction."""
        if len(tables) == 1:
            return tables[0]
        n_pred = max(table.n_pred for table in tables)
        segments = np.cumsum([0, *(len(table.truth_of) for table in tables)]).tolist()
        truths = np.cumsum([0, *(table.n_truths for table in tables)]).tolist()
        return ContingencyTable(
            true=torch.cat([table.true + first for table, first in zip(tables, segments, strict=False)]),
            pred=torch.cat([table.pred for table in tables]),
            counts=torch.cat([table.counts for table in tables]),
            truth_of=torch.cat([table.truth_of + first for table, first in zip(tables, truths, strict=False)]),
            n_pred=n_pred,
            n_truths=truths[-1],
        )


def contingency_table(labels_true: Any, labels_pred: Any) -> ContingencyTable:
    """Count how many pixels each segment of the truth shares with each segment of the prediction.

    Parameters
    ----------
    labels_true
        A label map (H, W) of whole numbers, or a list of them: several people's truths for one picture. Any numbers
        from 0; −1 where a pixel is not to count.
    labels_pred
        A label map of the same shape. A pixel with −1 does not count either: give unassigned pixels a label of their
        own where a method is to answer for them.

    Returns
    -------
    ContingencyTable
        On the device of ``labels_pred``. Segments have the numbers that they have in the maps, or are numbered in
        that order from 0 where these are too large for a table.

    Raises
    ------
    ValueError
        The maps differ in shape, no truth is given, a number is below −1, or no pixel counts.
    TypeError
        Numbers are not whole.

    Notes
    -----
    Label maps are piecewise constant, so what is counted is runs of pixels, with their lengths as weights: on
    photographs some thirty times fewer than pixels. Few labels are counted by one `torch.bincount`; where the table
    would be much larger than the number of runs (ten thousand superpixels against ten thousand), by sorting. Memory
    and time are those of the runs, never of the product of the numbers of labels.

    Segments are as the maps have them: two places with the same label are one segment, connected or not. Berkeley's
    benchmark does the same; split a clustering into connected components first if that is what you want to compare.

    Examples
    --------
    >>> table = contingency_table([[0, 0, 1, 1]], [[5, 7, 7, 7]])
    >>> table.true, table.pred, table.counts
    (tensor([0, 0, 1]), tensor([5, 7, 7]), tensor([1, 1, 2]))
    """
    pred = _label_map(labels_pred, "labels_pred")
    truths = labels_true if _is_several(labels_true) else [labels_true]
    if not len(truths):
        raise ValueError("labels_true is an empty list: at least one truth is needed")
    maps = [_label_map(truth, "labels_true", pred.device) for truth in truths]
    for truth in maps:
        if truth.shape != pred.shape:
            raise ValueError(
                f"labels_true and labels_pred differ in shape: {tuple(truth.shape)} and {tuple(pred.shape)}"
            )
    return ContingencyTable.pooled([_table(truth.reshape(-1), pred.reshape(-1)) for truth in maps])


def _is_several(labels: Any) -> bool:
    """Whether this is a list of label maps; nested lists of numbers are one map."""
    return isinstance(labels, list | tuple) and not (len(labels) and np.ndim(labels[0]) < 2)


def _label_map(labels: Any, name: str, device: torch.device | None = None) -> Tensor:
    """A tensor of whole numbers, of the type that it comes in as far as torch can compute with it."""
    labels = getattr(labels, "labels", labels)  # a Segmentation
    if not isinstance(labels, Tensor):
        array = np.asarray(labels)
        if array.dtype.kind == "u":  # torch computes with few unsigned types
            array = array.astype(np.int64 if array.itemsize > 2 else np.int32)
        labels = torch.as_tensor(array)
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"{name} holds whole numbers, one for each segment; got {labels.dtype}")
    if labels.dtype in (torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        labels = labels.long()
    return labels.to(device) if device is not None else labels


def _table(true: Tensor, pred: Tensor) -> ContingencyTable:
    """The table of one pair of flat label maps."""
    true, pred, lengths = _runs(true, pred)
    ranges = _ranges(true, pred)
    if min(ranges[0][0], ranges[1][0]) < 0:
        true, pred, lengths = _counted(true, pred, lengths)
        ranges = _ranges(true, pred)
    (true, n_true), (pred, n_pred) = _numbered(true, ranges[0][1]), _numbered(pred, ranges[1][1])
    cell, counts = _tally(true * n_pred + pred, n_true * n_pred, lengths)
    true = cell // n_pred
    return ContingencyTable(
        true=true,
        pred=cell - true * n_pred,
        counts=counts,
        truth_of=torch.zeros(n_true, dtype=torch.int64, device=true.device),
        n_pred=n_pred,
    )


def _runs(true: Tensor, pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Runs of pixels in which neither label changes: both labels and the length of each."""
    first = _starts(true, pred)
    lengths = first.diff()
    first = first[:-1]
    return true.index_select(0, first).long(), pred.index_select(0, first).long(), lengths


def _starts(true: Tensor, pred: Tensor) -> Tensor:
    """Where runs start, and the number of pixels behind them."""
    n = true.numel()
    if not n:
        return torch.zeros(1, dtype=torch.int64, device=true.device)
    edge = torch.ones(n + 1, dtype=torch.bool, device=true.device)
    if true.device.type != "cpu":
        torch.logical_or(true[1:] != true[:-1], pred[1:] != pred[:-1], out=edge[1:n])
        return edge.nonzero()[:, 0]
    # The only pass over pixels. NumPy compares twice and finds four times as fast as torch, in one thread.
    t, p, marks = true.numpy(), pred.numpy(), edge.numpy()
    np.logical_or(t[1:] != t[:-1], p[1:] != p[:-1], out=marks[1:n])
    return torch.from_numpy(np.flatnonzero(marks))


def _ranges(true: Tensor, pred: Tensor) -> list[tuple[int, int]]:
    """The smallest and the largest label of either map."""
    if not len(true):
        raise ValueError("no pixel counts: every one has label −1 in the truth or in the prediction, or there is none")
    ranges = [(int(low), int(high)) for low, high in (torch.aminmax(true), torch.aminmax(pred))]
    for (low, _), name in zip(ranges, ("labels_true", "labels_pred"), strict=True):
        if low < -1:
            raise ValueError(f"{name} holds labels from 0, and −1 where a pixel is not to count; got {low}")
    return ranges


def _counted(true: Tensor, pred: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The runs that have a label in both maps."""
    counted = (true >= 0) & (pred >= 0)
    return true[counted], pred[counted], lengths[counted]


def _numbered(labels: Tensor, high: int) -> tuple[Tensor, int]:
    """The labels, numbered anew only where a table over them would be far larger than they are many; how many."""
    if high < 2**16 or high < 4 * len(labels):
        return labels, high + 1
    values, inverse = torch.unique(labels, return_inverse=True)
    return inverse, len(values)


def _tally(cells: Tensor, n_cells: int, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The different cells in order, and the sum of weights in each, exactly."""
    if n_cells <= _DENSE * len(cells) + 2**12:
        sums = _sums(cells, weights, n_cells)
        found = sums.nonzero()[:, 0]
        return found, sums[found]
    found, inverse = torch.unique(cells, return_inverse=True)
    return found, _sums(inverse, weights, len(found))


def _sums(index: Tensor, weights: Tensor, n: int) -> Tensor:
    """(n,) int64, the sum of the whole weights at each index."""
    if index.device.type == "cpu":
        return torch.bincount(index, weights=weights.double(), minlength=n).long()  # exact up to 2^53 pixels
    return torch.zeros(n, dtype=torch.int64, device=index.device).index_add_(0, index, weights)
