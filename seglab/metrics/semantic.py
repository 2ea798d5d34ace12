"""How well the classes of pixels are predicted: pixel accuracy, intersection over union, Dice, class by class.

All follow from one confusion matrix C: C[i, j] pixels of class i were called class j. **A data set's score is that of
the sum of its pictures' matrices, not the mean of their scores**: a picture with three pixels of a class would weigh as
much as one with thousands, and in one without the class its IoU is 0 or not defined. So keep adding,

    total = sum(confusion(labels_true, labels_pred, n_classes=11) for labels_true, labels_pred in pairs)

and ask the total.

References
----------
J. Long, E. Shelhamer, T. Darrell. Fully convolutional networks for semantic segmentation. IEEE Conference on Computer
Vision and Pattern Recognition (CVPR) 2015, 3431-3440. doi:10.1109/CVPR.2015.7298965, for the four measures.
P. Kohli, L. Ladický, P. Torr. Robust higher order potentials for enforcing label consistency. International Journal of
Computer Vision 82:302-324, 2009. doi:10.1007/s11263-008-0202-0, for the band around boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "SemanticScores",
    "boundary_band",
    "class_accuracy",
    "class_dice",
    "class_iou",
    "confusion",
    "dice",
    "frequency_weighted_iou",
    "mean_accuracy",
    "mean_iou",
    "pixel_accuracy",
    "semantic_scores",
]

_BLOCK = {"cpu": 2**17}  # pixels counted at a time: what is in between stays in the cache


def confusion(labels_true: Any, labels_pred: Any, *, n_classes: int, ignore: int | None = -1) -> Tensor:
    """Count how many pixels of each class are called what.

    Parameters
    ----------
    labels_true
        Classes from 0 to ``n_classes`` − 1: a map (H, W), a batch of them, or any other shape; a tensor or array of
        whole numbers or bool, nested lists, a `Segmentation`.
    labels_pred
        The same shape.
    n_classes
        The number K of classes.
    ignore
        Where the truth has this label, the pixel does not count, whatever is predicted there; None counts all. Many
        data sets have 255. A prediction cannot be ignored: where a method gives no class, it is wrong.

    Returns
    -------
    Tensor
        (K, K) int64, rows the truth and columns the prediction, on the prediction's device. Zero if no pixel counts.

    Raises
    ------
    ValueError
        The shapes differ, labels are no whole numbers, or one that counts is not a class.

    Examples
    --------
    >>> confusion([[0, 0, 1, -1]], [[0, 1, 1, 1]], n_classes=2)
    tensor([[1, 1],
            [0, 1]])
    """
    if n_classes < 1:
        raise ValueError(f"n_classes must be at least 1, got {n_classes}")
    pred = _labels(labels_pred, "labels_pred")
    true = _labels(labels_true, "labels_true").to(pred.device)
    if true.shape != pred.shape:
        raise ValueError(f"labels_true and labels_pred differ in shape: {tuple(true.shape)} and {tuple(pred.shape)}")
    counts = torch.zeros(n_classes * n_classes, dtype=torch.int64, device=pred.device)
    block = _BLOCK.get(pred.device.type, 2**24)
    for t, p in zip(true.reshape(-1).split(block), pred.reshape(-1).split(block), strict=True):
        counts += _count(t.long(), p.long(), n_classes, ignore)
    return counts.view(n_classes, n_classes)


def pixel_accuracy(matrix: Tensor) -> float:
    """The share of pixels that are called what they are: Σ_i C_ii / Σ_ij C_ij.

    Examples
    --------
    >>> pixel_accuracy(torch.tensor([[3, 1], [2, 2]]))
    0.625
    """
    right, true, _ = _sums(matrix)
    return float(right.sum() / true.sum())


def mean_accuracy(matrix: Tensor) -> float:
    """The mean of `class_accuracy` over the classes that the truth has.

    Examples
    --------
    >>> mean_accuracy(torch.tensor([[3, 1], [2, 2]]))
    0.625
    """
    return float(class_accuracy(matrix).nanmean())


def mean_iou(matrix: Tensor) -> float:
    """The mean of `class_iou` over the classes that the truth or the prediction has.

    Examples
    --------
    >>> mean_iou(torch.tensor([[3, 1], [2, 2]]))  # 3/6 and 2/5
    0.45
    """
    return float(class_iou(matrix).nanmean())


def frequency_weighted_iou(matrix: Tensor) -> float:
    """The mean of `class_iou`, each class weighted by its share of the truth's pixels.

    Examples
    --------
    >>> frequency_weighted_iou(torch.tensor([[3, 0], [2, 1]]))  # 3/5 and 1/3, each a half
    0.46666...
    """
    _, true, _ = _sums(matrix)
    return float((true / true.sum() * class_iou(matrix)).nansum())


def dice(matrix: Tensor) -> float:
    """The mean of `class_dice` over the classes that the truth or the prediction has.

    Pooled over the classes instead, Dice is pixel accuracy.

    Examples
    --------
    >>> dice(torch.tensor([[3, 1], [1, 3]]))
    0.75
    """
    return float(class_dice(matrix).nanmean())


def class_accuracy(matrix: Tensor) -> Tensor:
    """(K,) float64: the share of each class's pixels that are found, C_ii / Σ_j C_ij; NaN where the truth has none.

    Examples
    --------
    >>> class_accuracy(torch.tensor([[3, 1], [2, 2]])).tolist()
    [0.75, 0.5]
    """
    right, true, _ = _sums(matrix)
    return right / true  # 0 / 0 is NaN


def class_iou(matrix: Tensor) -> Tensor:
    """(K,) float64: intersection over union, C_ii / (Σ_j C_ij + Σ_j C_ji − C_ii); NaN for a class nobody has.

    Also called the Jaccard index. A class that the prediction has and the truth has not is 0, not NaN.

    Examples
    --------
    >>> class_iou(torch.tensor([[3, 1], [2, 2]])).tolist()
    [0.5, 0.4]
    """
    right, true, pred = _sums(matrix)
    return right / (true + pred - right)


def class_dice(matrix: Tensor) -> Tensor:
    """(K,) float64: 2 C_ii / (Σ_j C_ij + Σ_j C_ji), the F-measure of each class; NaN for a class nobody has.

    Dice = 2 IoU / (1 + IoU), class by class; of means this is not true.

    Examples
    --------
    >>> class_dice(torch.tensor([[3, 1], [1, 3]])).tolist()
    [0.75, 0.75]
    """
    right, true, pred = _sums(matrix)
    return 2 * right / (true + pred)


@dataclass(frozen=True, kw_only=True, eq=False)
class SemanticScores:
    """All measures of a confusion matrix; printed, a table.

    Attributes
    ----------
    class_names
        K names.
    accuracy, iou, dice
        (K,) float64, NaN as in `class_accuracy`, `class_iou` and `class_dice`.
    share
        (K,) float64: each class's share of the truth's pixels.
    pixel_accuracy, mean_accuracy, mean_iou, frequency_weighted_iou, mean_dice
        Of all classes together.
    """

    class_names: tuple[str, ...]
    accuracy: Tensor
    iou: Tensor
    dice: Tensor
    share: Tensor
    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    mean_dice: float

    def __str__(self) -> str:
        wide = max(len(name) for name in (*self.class_names, "frequency-weighted"))
        lines = [f"{'':<{wide}}  share  accuracy    IoU   Dice"]
        rows = zip(self.class_names, self.share, self.accuracy, self.iou, self.dice, strict=True)
        for name, share, *values in [*rows, ("mean", None, self.mean_accuracy, self.mean_iou, self.mean_dice)]:
            cells = [f"{float(value):.3f}" if value == value else "–" for value in values]
            part = "" if share is None else f"{float(share):.3f}"
            lines.append(f"{name:<{wide}}  {part:>5}  {cells[0]:>8}  {cells[1]:>5}  {cells[2]:>5}")
        lines.append(f"{'all pixels':<{wide}}         {self.pixel_accuracy:>8.3f}")
        lines.append(f"{'frequency-weighted':<{wide}}                   {self.frequency_weighted_iou:>5.3f}")
        return "\n".join(lines)


def semantic_scores(matrix: Tensor, class_names: Sequence[str] | None = None) -> SemanticScores:
    """Take all measures of a confusion matrix, class by class and together.

    Parameters
    ----------
    matrix
        (K, K), as `confusion` gives it; of a data set, the sum.
    class_names
        K names; numbers by default.

    Raises
    ------
    ValueError
        No pixel counts, or there are more or fewer names than classes.

    Examples
    --------
    >>> print(semantic_scores(torch.tensor([[3, 1], [2, 2]]), ["sky", "road"]))
                        share  accuracy    IoU   Dice
    sky                 0.500     0.750  0.500  0.667
    road                0.500     0.500  0.400  0.571
    mean                          0.625  0.450  0.619
    all pixels                    0.625
    frequency-weighted                   0.450
    """
    _, true, _ = _sums(matrix)
    names = tuple(map(str, range(len(matrix)))) if class_names is None else tuple(class_names)
    if len(names) != len(matrix):
        raise ValueError(f"{len(matrix)} classes, but {len(names)} class_names")
    return SemanticScores(
        class_names=names,
        accuracy=class_accuracy(matrix),
        iou=class_iou(matrix),
        dice=class_dice(matrix),
        share=true / true.sum(),
        pixel_accuracy=pixel_accuracy(matrix),
        mean_accuracy=mean_accuracy(matrix),
        mean_iou=mean_iou(matrix),
        frequency_weighted_iou=frequency_weighted_iou(matrix),
        mean_dice=dice(matrix),
    )


def boundary_band(labels: Tensor, width: int, *, ignore: int | None = -1) -> Tensor:
    """Mark the pixels near a boundary: those with two labels in the square of `width` pixels around them.

    Most pixels lie deep inside something, where every network is right. Score those in the band by ignoring the others:
    ``confusion(labels_true.where(band, -1), labels_pred, n_classes=K)``.

    Parameters
    ----------
    labels
        (H, W) or (N, H, W) whole numbers.
    width
        How many rows or columns a pixel of another label is away at most; the band is twice as wide.
    ignore
        A label that makes no boundary and is not in the band.

    Returns
    -------
    Tensor
        bool, the shape and device of the labels.

    Raises
    ------
    ValueError
        Labels of another shape or type, or a width below 1.

    Examples
    --------
    >>> boundary_band(torch.tensor([[0, 0, 0, 1, 1]]), 1).long()
    tensor([[0, 0, 1, 1, 0]])
    """
    if width < 1:
        raise ValueError(f"width is a number of pixels, at least 1; got {width}")
    if labels.ndim not in (2, 3) or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels must be whole numbers (H, W) or (N, H, W), got {labels.dtype} {tuple(labels.shape)}")
    counts = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    values = labels.double().reshape(-1, 1, *labels.shape[-2:])
    outside = torch.tensor(-torch.inf, dtype=torch.float64, device=labels.device)
    highest, lowest = values.clone(), -values
    for side in (highest, lowest):
        side[~counts.reshape(side.shape)] = outside
    size, pad = 2 * width + 1, width
    for kernel, padding in (((size, 1), (pad, 0)), ((1, size), (0, pad))):
        highest = F.max_pool2d(highest, kernel, 1, padding)
        lowest = F.max_pool2d(lowest, kernel, 1, padding)
    return (highest != -lowest).reshape(labels.shape) & counts


def _labels(labels: Any, name: str) -> Tensor:
    """Whole numbers of any shape, where they are."""
    labels = getattr(labels, "labels", labels)  # a Segmentation
    tensor = labels.detach() if isinstance(labels, Tensor) else None
    if tensor is None:
        array = np.asarray(labels)
        if array.dtype.kind not in "biu":
            raise ValueError(f"{name} must be whole numbers, got {array.dtype}; give classes, the argmax of scores")
        tensor = torch.from_numpy(array.astype(np.int64))
    if tensor.is_floating_point() or tensor.is_complex():
        raise ValueError(f"{name} must be whole numbers, got {tensor.dtype}; give classes, the argmax of scores")
    return tensor


def _count(true: Tensor, pred: Tensor, n_classes: int, ignore: int | None) -> Tensor:
    """(K²,) the flat matrix of some pixels, int64."""
    n_ignored = 0
    if ignore is not None:  # counted as (0, 0) and taken off again: five times faster than picking the others
        ignored = true == ignore
        n_ignored = int(ignored.sum())
        true, pred = true.masked_fill(ignored, 0), pred.masked_fill(ignored, 0)
    for labels, name in ((true, "labels_true"), (pred, "labels_pred")):
        low, high = (int(value) for value in torch.aminmax(labels)) if len(labels) else (0, 0)
        if low < 0 or high >= n_classes:
            wrong = low if low < 0 else high
            raise ValueError(f"{name} has {wrong}, which is none of the {n_classes} classes from 0; {_remedy(name)}")
    counts = torch.bincount(torch.add(pred, true, alpha=n_classes), minlength=n_classes * n_classes)
    counts[0] -= n_ignored
    return counts


def _remedy(name: str) -> str:
    return "name a label not to count as ignore" if name == "labels_true" else "a method must give each pixel a class"


def _sums(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(K,) float64 each: the pixels that are right, those of the truth, those of the prediction."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"expected a confusion matrix (K, K), got {tuple(matrix.shape)}")
    counts = matrix.double()
    if not bool(counts.sum() > 0):
        raise ValueError("no pixel counts: the confusion matrix is zero")
    return counts.diagonal(), counts.sum(1), counts.sum(0)
