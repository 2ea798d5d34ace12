"""Instances: which predicted objects are the truth's, one for one, and what that says of a whole data set.

A predicted object and a true one are a pair if they have the same class and their intersection over union is large
enough. From the pairs follow three measures:

- **average precision** of masks, as COCO takes it: predictions are ranked by their confidence, and the best precision
  that is reached at or beyond each of 101 recalls is averaged;
- **the 2018 Data Science Bowl's score** of a picture, TP / (TP + FP + FN), averaged over thresholds: no ranking;
- **panoptic quality**: the mean overlap of the pairs (SQ) times the F-measure of finding them (RQ).

T.-Y. Lin et al. (2014). Microsoft COCO: common objects in context. ECCV. doi:10.1007/978-3-319-10602-1_48
A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár (2019). Panoptic segmentation. CVPR. doi:10.1109/CVPR.2019.00963
J. C. Caicedo et al. (2019). Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl. Nature Methods
16, 1247-1253. doi:10.1038/s41592-019-0612-7

*Differs from COCO's program*: predictions of equal confidence are one place of the curve, so that AP does not depend on
their order; there, pictures that come first go first. Truths have no "crowd" flag; pixels with −1 are the void instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab.labels import as_labels
from seglab.metrics.contingency import runs_of, sums_at, tally

__all__ = [
    "COCO_THRESHOLDS",
    "InstanceBenchmark",
    "InstanceScores",
    "PanopticQuality",
    "bowl_score",
    "instance_benchmark",
    "instance_scores",
    "mask_iou",
    "panoptic_quality",
]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True, eq=False)
class InstanceScores:
    """The objects of one picture, and how those of the prediction and of the truth overlap.

    Attributes
    ----------
    scores
        (P,) float64, how sure the prediction is of each of its objects.
    classes_pred, classes_true
        (P,) and (T,) int64, the class of each object.
    void
        (P,) bool, whether more than half of the object lies where the truth does not say what is there: it is then
        not wrong if it has no pair.
    pred, true, overlaps
        (E,) for each two of the same class that meet, their numbers from 0 and their intersection over union.
    """

    scores: Array
    classes_pred: Whole
    classes_true: Whole
    void: NDArray[np.bool_]
    pred: Whole
    true: Whole
    overlaps: Array

    def matches(self, thresholds: Sequence[float] | Array, *, strict: bool = False) -> Whole:
        """(K, P): the truth that each prediction gets at each threshold, −1 where none is left.

        The surest prediction chooses first, and takes the truth that it overlaps most among those that are free.
        """
        from seglab.kernels._detection_loops import match_greedily

        first = np.empty(len(self.scores), np.int64)
        first[np.argsort(-self.scores, kind="stable")] = np.arange(len(first))
        order = np.lexsort((self.true, -self.overlaps, first[self.pred]))
        pred, true, overlaps = (of[order] for of in (self.pred, self.true, self.overlaps))
        n_pred, n_true = len(self.scores), len(self.classes_true)
        return match_greedily(pred, true, overlaps, np.asarray(thresholds, float), strict, n_pred, n_true)


@dataclass(frozen=True, kw_only=True, eq=False)
class PanopticQuality:
    """PQ = SQ · RQ of each class that occurs, and their means.

    Attributes
    ----------
    classes
        (C,) the classes.
    tp, fp, fn
        (C,) pairs, predictions without a pair, truths without one.
    overlap
        (C,) the sum of the pairs' intersections over unions.
    """

    classes: Whole
    tp: Whole
    fp: Whole
    fn: Whole
    overlap: Array

    @property
    def sq(self) -> Array:
        """(C,) segmentation quality: the mean overlap of the pairs, 0 where there is none."""
        return self.overlap / np.maximum(self.tp, 1)

    @property
    def rq(self) -> Array:
        """(C,) recognition quality: TP / (TP + FP / 2 + FN / 2)."""
        return self.tp / np.maximum(self.tp + (self.fp + self.fn) / 2, 0.5)

    @property
    def mean(self) -> tuple[float, float, float]:
        """PQ, SQ and RQ, each averaged over the classes; NaN where no class occurs."""
        if not len(self.classes):
            return (float("nan"),) * 3
        return float((self.sq * self.rq).mean()), float(self.sq.mean()), float(self.rq.mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class InstanceBenchmark:
    """The measures over a data set.

    Attributes
    ----------
    thresholds
        (K,) the intersections over union that make a pair.
    classes
        (C,) the classes that a truth has.
    ap
        (C, K) average precision.
    recall
        (C, K) the part of the truths that have a pair.
    precision
        (C, K, 101) the best precision at or beyond each recall from 0 to 1: the curves whose means are `ap`.
    bowl
        (M,) the Data Science Bowl's score of each picture.
    panoptic
        Panoptic quality.
    """

    thresholds: Array
    classes: Whole
    ap: Array
    recall: Array
    precision: Array
    bowl: Array
    panoptic: PanopticQuality

    @property
    def mean_ap(self) -> float:
        """COCO's AP: the mean over classes and thresholds."""
        return float(self.ap.mean()) if self.ap.size else float("nan")

    def at(self, threshold: float) -> float:
        """AP at one threshold, the mean over classes.

        Raises
        ------
        ValueError
            It is not one of `thresholds`.
        """
        near = np.flatnonzero(np.isclose(self.thresholds, threshold, atol=1e-9))
        if not len(near):
            raise ValueError(f"there is no threshold {threshold}; there are {self.thresholds.round(4).tolist()}")
        return float(self.ap[:, near[0]].mean()) if len(self.classes) else float("nan")

    def __str__(self) -> str:
        pq, sq, rq = self.panoptic.mean
        rows = [f"AP {self.mean_ap:.4f} over thresholds {self.thresholds[0]:.2f} to {self.thresholds[-1]:.2f}"]
        rows += [f"   {self.at(t):.4f} at {t:.2f}" for t in (0.5, 0.75) if np.isclose(self.thresholds, t).any()]
        return "\n".join([*rows, f"Bowl {self.bowl.mean():.4f}", f"PQ {pq:.4f} = SQ {sq:.4f} · RQ {rq:.4f} by class"])


def instance_scores(
    truth: Any,
    pred: Any,
    *,
    scores: Any = None,
    classes_true: Any = None,
    classes_pred: Any = None,
) -> InstanceScores:
    """Compare the objects of a picture with the true ones.

    Parameters
    ----------
    truth, pred
        A map of instances (H, W): 0 the background, every other number an object, −1 in the truth what is not known
        and does not count (in the prediction: background). Or masks (N, H, W), bool, which may overlap.
    scores
        How sure the prediction is of each object; 1 for all by default. For masks (N,); for a map, of the numbers 1,
        2, … in order, those that no pixel has included.
    classes_true, classes_pred
        The class of each object, in the same order; all of one class by default.

    Returns
    -------
    InstanceScores

    Raises
    ------
    ValueError
        Shapes differ, there are not as many scores or classes as objects, a score is NaN, a true mask is empty.

    Notes
    -----
    Maps are compared by one table of their runs; masks by a matrix product, all pairs at once.

    Examples
    --------
    >>> found = instance_scores([[1, 1, 1, 0, 2]], [[1, 1, 2, 2, 0]])
    >>> found.pred, found.true, found.overlaps.round(2)
    (array([0, 1]), array([0, 0]), array([0.67, 0.25]))
    """
    maps = [_is_map(of) for of in (truth, pred)]
    if all(maps):
        n_true, n_pred, void, p, t, overlaps = _compare_maps(as_labels(truth), as_labels(pred))
    else:
        a, b = (_as_masks(of, name) for of, name in ((truth, "truth"), (pred, "pred")))
        if a.shape[1:] != b.shape[1:]:
            raise ValueError(f"truth and pred differ in shape: {tuple(a.shape[1:])} and {tuple(b.shape[1:])}")
        n_true, n_pred = np.arange(len(a)), np.arange(len(b))
        iou = mask_iou(b, a.to(b.device)).cpu().numpy()
        p, t = np.nonzero(iou)
        void, overlaps = np.zeros(len(b), bool), iou[p, t]
    values = _of(scores, n_pred, "scores", 1.0).astype(np.float64)
    if np.isnan(values).any():
        raise ValueError(f"a score is NaN: {values}")
    kinds = [_of(c, n, name, 1).astype(np.int64) for c, n, name in
             ((classes_true, n_true, "classes_true"), (classes_pred, n_pred, "classes_pred"))]  # fmt: skip
    same = kinds[0][t] == kinds[1][p]
    return InstanceScores(
        scores=values,
        classes_true=kinds[0],
        classes_pred=kinds[1],
        void=void,
        pred=p[same],
        true=t[same],
        overlaps=overlaps[same],
    )


def instance_benchmark(
    scores: Iterable[InstanceScores],
    thresholds: Sequence[float] | Array = COCO_THRESHOLDS,
    *,
    max_detections: int | None = None,
) -> InstanceBenchmark:
    """Pool the objects of many pictures into the measures of a data set.

    Parameters
    ----------
    scores
        One for each picture.
    thresholds
        Intersections over union, in (0, 1]. For AP a pair has at least so much, for the Bowl's score more.
    max_detections
        Only so many predictions of a class in a picture, the surest, count for AP; all by default, 100 in COCO.

    Returns
    -------
    InstanceBenchmark

    Raises
    ------
    ValueError
        There is no picture or no threshold, or one is out of its range.

    Examples
    --------
    >>> one = instance_scores([[1, 1, 1, 0, 2]], [[1, 1, 2, 2, 0]], scores=[0.9, 0.4])
    >>> print(instance_benchmark([one]))
    AP 0.2020 over thresholds 0.50 to 0.95
       0.5050 at 0.50
       0.0000 at 0.75
    Bowl 0.1333
    PQ 0.3333 = SQ 0.6667 · RQ 0.5000 by class
    """
    each, heights = list(scores), np.asarray(thresholds, float)
    if not each:
        raise ValueError("no scores: at least one picture is needed")
    if heights.ndim != 1 or not len(heights) or not ((heights > 0) & (heights <= 1)).all():
        raise ValueError(f"thresholds is a list of overlaps, each in (0, 1]; got {thresholds}")
    if max_detections is not None and max_detections < 1:
        raise ValueError(f"max_detections is at least 1, or None for all; got {max_detections}")
    classes, n_true = np.unique(np.concatenate([one.classes_true for one in each]), return_counts=True)
    found = [_ranked(one, heights, max_detections) for one in each]
    kinds, sure, right, counts = (np.concatenate(part) for part in zip(*found, strict=True))
    precision = np.zeros((len(classes), len(heights), len(_RECALLS)))
    recall = np.zeros((len(classes), len(heights)))
    for c, (kind, n) in enumerate(zip(classes, n_true, strict=True)):
        own = kinds == kind
        precision[c], recall[c] = _curves(sure[own], right[own], counts[own], n)
    return InstanceBenchmark(
        thresholds=heights,
        classes=classes,
        ap=precision.mean(2),
        recall=recall,
        precision=precision,
        bowl=np.array([_bowl(one, heights) for one in each]),
        panoptic=_panoptic(each),
    )


def bowl_score(truth: Any, pred: Any, thresholds: Sequence[float] = COCO_THRESHOLDS) -> float:
    """The 2018 Data Science Bowl's score of one picture: TP / (TP + FP + FN), averaged over thresholds.

    Parameters
    ----------
    truth, pred
        As for `instance_scores`; classes are not looked at.
    thresholds
        A pair's overlap is more than this.

    Returns
    -------
    float
        In [0, 1]; 1 also where there is nothing to find and nothing was found.

    Examples
    --------
    >>> bowl_score([[1, 1, 1, 0, 2]], [[1, 1, 2, 2, 0]], thresholds=[0.5])  # one pair, one too many, one missed
    0.3333333333333333
    """
    return _bowl(instance_scores(truth, pred), np.asarray(thresholds, float))


def panoptic_quality(
    truth: Any, pred: Any, *, classes_true: Any = None, classes_pred: Any = None
) -> tuple[float, float, float]:
    """PQ, SQ and RQ of one picture, averaged over the classes; for many pictures, pool with `instance_benchmark`.

    Parameters
    ----------
    truth, pred, classes_true, classes_pred
        As for `instance_scores`. A class without instances ("stuff": sky, road) is one object of its class.

    Examples
    --------
    >>> [round(x, 4) for x in panoptic_quality([[1, 1, 1, 0, 2]], [[1, 1, 2, 2, 0]])]
    [0.3333, 0.6667, 0.5]
    """
    return _panoptic([instance_scores(truth, pred, classes_true=classes_true, classes_pred=classes_pred)]).mean


def mask_iou(a: Any, b: Any) -> Tensor:
    """(A, B) float64: intersection over union of every mask (A, H, W) with every mask (B, H, W).

    Examples
    --------
    >>> mask_iou([[[1, 1, 1, 0]]], [[[1, 1, 0, 0]], [[0, 0, 0, 1]]]).tolist()
    [[0.6666666666666666, 0.0]]
    """
    first, second = (torch.as_tensor(of, dtype=torch.bool).flatten(1) for of in (a, b))
    # sums of ones: exact in float32 up to 2^24 pixels
    both = (first.float() @ second.float().T).double()
    either = first.sum(1)[:, None] + second.sum(1) - both
    return both / either.clamp(min=1)


# --- how objects overlap ----------------------------------------------------------------------------------------------


def _is_map(of: Any) -> bool:
    return not isinstance(of, Tensor | np.ndarray) or of.ndim == 2


def _as_masks(of: Any, name: str) -> Tensor:
    """Masks (N, H, W) as they are, a map's objects as masks."""
    if not _is_map(of):
        masks = torch.as_tensor(of)
        if masks.ndim != 3 or (masks.dtype != torch.bool and bool(((masks != 0) & (masks != 1)).any())):
            raise ValueError(f"{name}: masks are (N, H, W) of 0 and 1, a map is (H, W); got {tuple(masks.shape)}")
        if name == "truth" and bool((~masks.bool().flatten(1).any(1)).any()):
            raise ValueError("truth: a mask is empty, and nothing can find it; leave it out")
        return masks.bool()
    labels = as_labels(of)
    if bool((labels < 0).any()):
        raise ValueError(f"{name}: −1 is for two maps; masks have no void")
    n = int(labels.max())
    masks = torch.arange(1, n + 1, device=labels.device)[:, None, None] == labels
    if bool((~masks.flatten(1).any(1)).any()):
        raise ValueError(f"{name}: beside masks a map's objects are 1 to N without a gap; relabel it first")
    return masks


def _compare_maps(truth: Tensor, pred: Tensor) -> tuple[Whole, Whole, NDArray[np.bool_], Whole, Whole, Array]:
    """The objects' numbers less one, which are void, and the pairs that meet with their overlaps."""
    if truth.shape != pred.shape:
        raise ValueError(f"truth and pred differ in shape: {tuple(truth.shape)} and {tuple(pred.shape)}")
    maps = [truth.to(pred.device).reshape(-1), pred.clamp(min=0).reshape(-1)]
    first, lengths = runs_of(maps)
    (names, true), (names_pred, p) = (_ranks(of[first]) for of in maps)
    n, n_pred = len(names), len(names_pred)
    cells, counts = tally(true * n_pred + p, n * n_pred, lengths)
    true, p = cells // n_pred, cells % n_pred
    known = names[true] >= 0
    sizes = sums_at(true, counts, n)
    inside, unknown = (sums_at(p[of], counts[of], n_pred) for of in (known, ~known))
    void = (unknown > inside)[names_pred > 0]
    meet = (names[true] > 0) & (names_pred[p] > 0)
    true, p, counts = true[meet], p[meet], counts[meet].double()
    overlaps = counts / (sizes[true] + inside[p] - counts)
    first_true, first_pred = (int((of <= 0).sum()) for of in (names, names_pred))  # what is no object comes before
    numbers = names[first_true:] - 1, names_pred[first_pred:] - 1
    found: Any = (*numbers, void, p - first_pred, true - first_true, overlaps)
    found = tuple(of.cpu().numpy() for of in found)
    return found


def _ranks(values: Tensor) -> tuple[Tensor, Tensor]:
    """The different ones of values from −1 on, in order, and which of these each value is."""
    most = int(values.max()) + 2
    if most > 4 * len(values) + 2**12:
        return torch.unique(values, return_inverse=True)
    there = torch.zeros(most, dtype=torch.bool, device=values.device).index_fill_(0, values + 1, True)
    return there.nonzero()[:, 0] - 1, (there.cumsum(0) - 1)[values + 1]


def _of(values: Any, numbers: Whole, name: str, default: float) -> np.ndarray:
    """The value of each object that there is."""
    if values is None:
        return np.full(len(numbers), default)
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    least = int(numbers[-1]) + 1 if len(numbers) else 0
    if array.ndim != 1 or len(array) < least:
        raise ValueError(f"{name} has one value for each of {least} objects; got shape {array.shape}")
    return array[numbers]


# --- what the pairs say -----------------------------------------------------------------------------------------------


def _ranked(one: InstanceScores, thresholds: Array, most: int | None) -> tuple[Whole, Array, np.ndarray, np.ndarray]:
    """For AP: class and confidence of each prediction, and at each threshold if it is right and if it counts."""
    kept = np.ones(len(one.scores), bool)
    if most is not None:
        order = np.lexsort((-one.scores, one.classes_pred))
        kinds = one.classes_pred[order]
        place = np.arange(len(order)) - np.searchsorted(kinds, kinds)
        kept[order] = place < most
    pairs = kept[one.pred]
    cut = InstanceScores(**{**vars(one), **{name: getattr(one, name)[pairs] for name in ("pred", "true", "overlaps")}})
    right = (cut.matches(np.minimum(thresholds, 1 - 1e-10)) >= 0).T  # as COCO's: 1 is reached in spite of rounding
    counts = right | ~one.void[:, None]
    return one.classes_pred[kept], one.scores[kept], right[kept], counts[kept]


def _curves(sure: Array, right: np.ndarray, counts: np.ndarray, n_true: int) -> tuple[Array, Array]:
    """Precision at the 101 recalls (K, 101), and the last recall (K,), of the predictions of one class."""
    order = np.argsort(-sure, kind="stable")
    last = np.flatnonzero(np.diff(sure[order], append=np.nan) != 0)  # of each group of equal confidence
    tp, taken = (of[order].cumsum(0)[last] for of in (right, counts))  # (places, K)
    recall = tp / n_true
    best = np.maximum.accumulate((tp / np.maximum(taken, 1))[::-1])[::-1]
    best = np.concatenate([best, np.zeros((1, best.shape[1]))])  # a recall that is never reached
    places = [np.searchsorted(recall[:, k], _RECALLS) for k in range(recall.shape[1])]
    precision = np.stack([best[place, k] for k, place in enumerate(places)])
    return precision, recall[-1] if len(recall) else np.zeros(recall.shape[1])


def _bowl(one: InstanceScores, thresholds: Array) -> float:
    found = one.matches(thresholds, strict=True)
    tp = (found >= 0).sum(1)
    fp = ((found < 0) & ~one.void).sum(1)
    n = fp + len(one.classes_true)
    return float(np.where(n > 0, tp / np.maximum(n, 1), 1).mean())


def _panoptic(each: Sequence[InstanceScores]) -> PanopticQuality:
    classes = np.unique(np.concatenate([of for one in each for of in (one.classes_true, one.classes_pred)]))
    tp, fp, fn = (np.zeros(len(classes), np.int64) for _ in range(3))
    overlap = np.zeros(len(classes))
    for one in each:
        found = one.matches([0.5], strict=True)[0]
        kind, own = np.searchsorted(classes, one.classes_true), np.searchsorted(classes, one.classes_pred)
        pair = found[one.pred] == one.true
        np.add.at(overlap, own[one.pred[pair]], one.overlaps[pair])
        tp += np.bincount(own[found >= 0], minlength=len(classes))
        fp += np.bincount(own[(found < 0) & ~one.void], minlength=len(classes))
        fn += np.bincount(kind, minlength=len(classes)) - np.bincount(own[found >= 0], minlength=len(classes))
    return PanopticQuality(classes=classes, tp=tp, fp=fp, fn=fn, overlap=overlap)
