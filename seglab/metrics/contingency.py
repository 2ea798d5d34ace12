"""The contingency table of two label maps: how many pixels have label i in one and label j in the other.

Covering, Rand index and variation of information all follow from this one table, whose size is that of the segments
that meet and not that of the picture. Tables can be merged when segments of the prediction merge, so that a hierarchy
of segmentations needs its pixels to be counted once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglab.labels import as_labels

__all__ = ["ContingencyTable", "as_table", "contingency_table", "label_maps", "runs_of", "sums_at", "tally"]

_TYPES = (torch.int64, torch.int32)
_DENSE = 16  # a table of up to so many cells for each of its entries is counted in place, a larger one by sorting


@dataclass(frozen=True, kw_only=True, eq=False)
class ContingencyTable:
    """The pairs of segments that meet, and in how many pixels; of one truth or of several.

    Segments of several truths (several people's segmentations of one picture) are numbered on, the second one's after
    the first one's; `truth_of` says whose each one is.

    Attributes
    ----------
    true, pred
        (E,) int64, the segment of the truth and that of the prediction; each pair at most once.
    counts
        (E,) int64, the pixels that they have in common, at least one.
    n_true
        The number of labels of each truth, unused ones included; R together.
    n_pred
        The number S of labels of the prediction, unused ones included.
    """

    true: Tensor
    pred: Tensor
    counts: Tensor
    n_true: tuple[int, ...]
    n_pred: int

    @property
    def n_truths(self) -> int:
        """A, the number of truths."""
        return len(self.n_true)

    @cached_property
    def truth_of(self) -> Tensor:
        """(R,) int64 from 0, the truth to which each segment of the truths belongs."""
        return torch.from_numpy(np.repeat(np.arange(self.n_truths), self.n_true)).to(self.true.device)

    @cached_property
    def truth_of_entry(self) -> Tensor:
        """(E,) int64, the truth to which each entry belongs."""
        return self.truth_of[self.true]

    @cached_property
    def sizes_true(self) -> Tensor:
        """(R,) int64, the pixels of each segment of the truths."""
        return sums_at(self.true, self.counts, sum(self.n_true))

    @cached_property
    def sizes_pred(self) -> Tensor:
        """(A, S) int64, the pixels of each segment of the prediction that count under each truth."""
        cell = self.pred if self.n_truths == 1 else self.truth_of_entry * self.n_pred + self.pred
        return sums_at(cell, self.counts, self.n_truths * self.n_pred).view(self.n_truths, self.n_pred)

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
        return sums_at(cell, self.counts, sum(self.n_true) * self.n_pred).view(-1, self.n_pred)

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
        cell, counts = tally(self.true * n_pred + into[self.pred], sum(self.n_true) * n_pred, self.counts)
        true = cell // max(n_pred, 1)
        return ContingencyTable(
            true=true,
            pred=cell - true * n_pred,
            counts=counts,
            n_true=self.n_true,
            n_pred=n_pred,
        )


def contingency_table(labels_true: Any, labels_pred: Any) -> ContingencyTable:
    """Count how many pixels each segment of the truth shares with each segment of the prediction.

    Parameters
    ----------
    labels_true
        A label map (H, W), or a list of them: several people's truths for one picture. Any whole numbers from 0; −1
        where a pixel is not to count. Anything that `seglab.labels.as_labels` takes.
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
        The maps differ in shape, no truth is given, a label is below −1, or no pixel counts.

    Notes
    -----
    Label maps are piecewise constant, so what is counted is runs of pixels, with their lengths as weights: far
    fewer than there are pixels. Few labels are counted by one `torch.bincount`; where the table
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
    truths, pred = label_maps(labels_true, labels_pred)
    return _table([truth.reshape(-1) for truth in truths], pred.reshape(-1))


def as_table(labels_true: Any, labels_pred: Any = None) -> ContingencyTable:
    """The table of two maps, or the table that is given instead of both; what the measures take."""
    if not isinstance(labels_true, ContingencyTable):
        if labels_pred is None:
            raise TypeError("labels_pred is missing; it is left out only where a ContingencyTable is given")
        return contingency_table(labels_true, labels_pred)
    if labels_pred is not None:
        raise TypeError("a ContingencyTable has the prediction in it: labels_pred is left out")
    return labels_true


def label_maps(labels_true: Any, labels_pred: Any) -> tuple[list[Tensor], Tensor]:
    """The truths, one or a list of them, and the prediction: tensors (H, W) of one shape on the prediction's device.

    Their range is not looked at: a measure that needs it asks later, where there is less to look at.
    """
    pred = _label_map(labels_pred)
    truths = labels_true if _is_several(labels_true) else [labels_true]
    if not len(truths):
        raise ValueError("labels_true is an empty list: at least one truth is needed")
    maps = [_label_map(truth, pred.device) for truth in truths]
    for truth in maps:
        if truth.shape != pred.shape:
            raise ValueError(
                f"labels_true and labels_pred differ in shape: {tuple(truth.shape)} and {tuple(pred.shape)}"
            )
    return maps, pred


def _is_several(labels: Any) -> bool:
    """Whether this is a list of label maps (or of their files); nested lists of numbers are one map."""
    if not isinstance(labels, list | tuple) or not len(labels):
        return isinstance(labels, list | tuple)
    return isinstance(labels[0], str | os.PathLike) or np.ndim(labels[0]) > 1


def _label_map(labels: Any, device: torch.device | None = None) -> Tensor:
    """A tensor of whole numbers; their range is looked at later, where there are only runs to look at."""
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "i" and labels.flags.carray:
        labels = torch.from_numpy(labels)
    if not (isinstance(labels, Tensor) and labels.ndim == 2 and len(labels) and labels.dtype in _TYPES):
        labels = as_labels(labels)
    return labels if device is None else labels.to(device)


def _table(truths: list[Tensor], pred: Tensor) -> ContingencyTable:
    """The table from flat label maps: runs of pixels first, then those of the same pair together."""
    first, lengths = runs_of([*truths, pred])
    runs = torch.stack([labels.index_select(0, first).long() for labels in (*truths, pred)])  # (A + 1, runs)
    lowest, (*n_true, n_pred) = _number(runs, len(pred))
    true = runs[:-1]
    if len(n_true) > 1:
        true = true + torch.tensor([[sum(n_true[:i])] for i in range(len(n_true))], device=pred.device)
    cells, lengths = true * n_pred + runs[-1], lengths.expand_as(true)
    if lowest < 0:
        counted = (runs[:-1] >= 0) & (runs[-1] >= 0)
        if not bool(counted.any(1).all()):
            raise ValueError("no pixel counts: every one has label −1 in the truth or in the prediction")
        cells, lengths = cells[counted], lengths[counted]
    cell, counts = tally(cells.flatten(), sum(n_true) * n_pred, lengths.flatten())
    true = cell // n_pred
    return ContingencyTable(
        true=true,
        pred=cell - true * n_pred,
        counts=counts,
        n_true=tuple(n_true),
        n_pred=n_pred,
    )


def runs_of(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The first pixel and the length of each run in which no map changes."""
    n = len(maps[0])
    if maps[0].device.type == "cpu":
        # The only pass over pixels. NumPy compares twice as fast as torch and finds up to four times as fast, in one
        # thread, so that it does not wait for a second one where the machine is busy.
        change = np.ones(n + 1, bool)
        inner = change[1:n]
        np.not_equal(maps[0].numpy()[1:], maps[0].numpy()[:-1], out=inner)
        for labels in maps[1:]:
            np.logical_or(inner, labels.numpy()[1:] != labels.numpy()[:-1], out=inner)
        bounds = torch.from_numpy(np.flatnonzero(change))
    else:
        edge = torch.ones(n + 1, dtype=torch.bool, device=maps[0].device)
        edge[1:n] = torch.stack([labels[1:] != labels[:-1] for labels in maps]).any(0)
        bounds = edge.nonzero()[:, 0]
    return bounds[:-1], bounds[1:] - bounds[:-1]


def _number(runs: Tensor, n_pixels: int) -> tuple[int, list[int]]:
    """The lowest label of all maps (A + 1, runs), and how many numbers each of them has.

    Labels keep their numbers, unless these go beyond the number of pixels: then they are numbered anew, in place. The
    leaves of a tree always keep theirs.
    """
    # One by one: along a dimension torch takes all threads, however little there is to do.
    lowest, high = min(int(row.min()) for row in runs), [int(row.max()) for row in runs]
    if lowest < -1:
        name = "labels_pred" if int(runs[-1].min()) < -1 else "labels_true"
        raise ValueError(f"{name} holds labels from 0, and −1 where a pixel is not to count; got {lowest}")
    for i, largest in enumerate(high):
        if largest >= max(2**16, n_pixels):
            values, ranks = torch.unique(runs[i], return_inverse=True)
            unassigned = int(values[0] < 0)  # −1 stays
            runs[i] = ranks - unassigned
            high[i] = len(values) - 1 - unassigned
    return lowest, [largest + 1 for largest in high]


def tally(cells: Tensor, n_cells: int, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The different cells in order, and the sum of weights in each, exactly."""
    if n_cells <= _DENSE * len(cells) + 2**12:
        sums = sums_at(cells, weights, n_cells)
        found = sums.nonzero()[:, 0]
        return found, sums[found]
    found, inverse = torch.unique(cells, return_inverse=True)
    return found, sums_at(inverse, weights, len(found))


def sums_at(index: Tensor, weights: Tensor, n: int) -> Tensor:
    """(n,) int64, the sum of the whole weights at each index."""
    if index.device.type == "cpu":
        return torch.bincount(index, weights=weights.double(), minlength=n).long()  # exact up to 2^53 pixels
    return torch.zeros(n, dtype=torch.int64, device=index.device).index_add_(0, index, weights)
