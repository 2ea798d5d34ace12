"""Segments as detections: which of a prediction's are a person's, taken in order of decreasing size.

A segment is correct if its intersection with a segment of the truth, over their union, is more than a threshold, and
that segment of the truth is then found. Precision is the part of the prediction's segments that are correct, recall the
part of the truths' that are found. A method has no confidence to rank its segments by, so they are ranked by size.

A. Kanezaki. Unsupervised Image Segmentation by Backpropagation. IEEE International Conference on Acoustics, Speech and
Signal Processing (ICASSP) 2018, 1543-1547. doi:10.1109/ICASSP.2018.8462533

The paper does not say how several people's segmentations of a picture count; ``annotators`` names the choice. Compare
methods by the same choice, and do not compare any with the published figures as if they were of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seglab.metrics.contingency import as_table
from seglab.metrics.region import overlaps

__all__ = ["SegmentBenchmark", "SegmentScores", "segment_benchmark", "segment_f", "segment_scores"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
Annotators = Literal["pooled", "each", "correct", "mean", "best"]
Detected = tuple[Whole, Whole, Whole, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentScores:
    """The segments of one picture, and how those of the prediction and of the truths overlap.

    Attributes
    ----------
    sizes
        (S,) the pixels of each segment of the prediction that counts.
    truth_of
        (R,) from 0, the truth to which each segment of the truths belongs.
    pred, true, overlaps
        (E,) for each pair that meets, their numbers and their intersection over union.
    """

    sizes: Whole
    truth_of: Whole
    pred: Whole
    true: Whole
    overlaps: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentBenchmark:
    """Precision and recall of a method's segments over a data set, at each of K thresholds of overlap.

    Attributes
    ----------
    thresholds
        (K,) the overlap that a correct segment exceeds.
    ap
        (K,) average precision: the precision at each place of the curve, weighted by how much recall grows there.
    precision, recall
        (K,) of all segments, the end of the curve.
    f
        (K,) the mean over pictures of each one's harmonic mean of precision and recall.
    images
        (M, K) that of each picture.
    ap_images
        (M, K) the average precision of each picture's segments alone.
    curves
        For each threshold (N, 3), from the largest segment of the data set to the smallest: the size, and recall and
        precision of the segments of at least this size.
    """

    thresholds: Array
    ap: Array
    precision: Array
    recall: Array
    f: Array
    images: Array
    ap_images: Array
    curves: tuple[Array, ...]

    def __str__(self) -> str:
        rows = zip(self.thresholds, self.ap, self.precision, self.recall, self.f, strict=True)
        head = "overlap     AP  precision  recall  mean F\n"
        return head + "\n".join(f"> {t:.3g}".ljust(7) + f"{a:7.4f}{p:11.4f}{r:8.4f}{f:8.4f}" for t, a, p, r, f in rows)


def segment_f(
    labels_true: Any,
    labels_pred: Any = None,
    *,
    threshold: float = 0.5,
    min_size: int = 1,
    annotators: Annotators = "pooled",
) -> float:
    """The harmonic mean of the part of a picture's segments that are correct and the part of the truth's found.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else.
    labels_pred
        A label map of the same shape.
    threshold
        The intersection over union that a correct segment exceeds, in [0, 1).
    min_size
        In pixels: smaller segments of the prediction are left out.
    annotators
        As for `segment_benchmark`.

    Returns
    -------
    float
        In [0, 1]; 1 where the prediction and every truth are the same partition.

    Examples
    --------
    >>> segment_f([[0, 0, 0, 1]], [[0, 0, 1, 2]])  # of three segments two are correct, and both are found
    0.8
    """
    scores = segment_scores(labels_true, labels_pred, min_size=min_size)
    return float(segment_benchmark([scores], [threshold], annotators=annotators).f[0])


def segment_scores(labels_true: Any, labels_pred: Any = None, *, min_size: int = 1) -> SegmentScores:
    """Compare the segments of a picture with those of all of its truths.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else.
    labels_pred
        A label map of the same shape.
    min_size
        In pixels: smaller segments of the prediction are left out. Scattered ones of a few pixels, which a clustering
        of pixels leaves, otherwise decide precision.

    Raises
    ------
    ValueError
        ``min_size`` is below 1, or as for `contingency_table`.

    Notes
    -----
    Segments are as the maps have them, connected or not: split a clustering with
    `seglab.labels.connected_components` first. Pixels with −1 in a truth do not count with that truth.

    Examples
    --------
    >>> scores = segment_scores([[0, 0, 0, 1]], [[0, 0, 1, 2]])
    >>> scores.sizes, scores.pred, scores.true, scores.overlaps.round(2)
    (array([2, 1, 1]), array([0, 1, 2]), array([0, 0, 1]), array([0.67, 0.33, 1.  ]))
    """
    if min_size < 1:
        raise ValueError(f"min_size is a number of pixels, at least 1; got {min_size}")
    table = as_table(labels_true, labels_pred)
    sizes, used = table.sizes_pred.amax(0), table.sizes_true > 0
    large = sizes >= min_size
    met = large[table.pred]
    pred, true = ((kept.cumsum(0) - 1)[of[met]] for kept, of in ((large, table.pred), (used, table.true)))
    values = (sizes[large], table.truth_of[used], pred, true, overlaps(table)[met])
    names = ("sizes", "truth_of", "pred", "true", "overlaps")
    return SegmentScores(**{name: value.cpu().numpy() for name, value in zip(names, values, strict=True)})


def segment_benchmark(
    scores: Iterable[SegmentScores],
    thresholds: Sequence[float] | Array = (0.5, 0.7),
    *,
    annotators: Annotators = "pooled",
) -> SegmentBenchmark:
    """Pool the segments of many pictures into one curve of precision and recall.

    Parameters
    ----------
    scores
        One for each picture.
    thresholds
        The intersections over union that a correct segment exceeds, in [0, 1).
    annotators
        How several people's segmentations of a picture count.

        - ``"pooled"``: a segment is correct if it is any person's, and recall is of all people's segments together.
        - ``"each"``: it counts once for each person, and is correct or not for each; recall as before.
        - ``"correct"``: as pooled, but recall is the number of correct segments in that of all people's: a segment that
          two people drew is found once.
        - ``"mean"``: the same in the number that a person drew on average. May be more than 1, as people's correct
          segments may be different ones.
        - ``"best"``: against one person only, with whom the picture's average precision is highest at that threshold
          (the first such).

    Returns
    -------
    SegmentBenchmark

    Raises
    ------
    ValueError
        There is no picture or no threshold, a threshold is out of its range, or ``annotators`` is no choice.

    Notes
    -----
    Segments of all pictures are in one order. Those of equal size are one place of the curve, so that nothing depends
    on how labels are numbered.

    Examples
    --------
    >>> print(segment_benchmark([segment_scores([[0, 0, 0, 1]], [[0, 0, 1, 2]])]))
    overlap     AP  precision  recall  mean F
    > 0.5   0.8333     0.6667  1.0000  0.8000
    > 0.7   0.1667     0.3333  0.5000  0.4000
    """
    each, heights = list(scores), np.asarray(thresholds, float)
    if not each:
        raise ValueError("no scores: at least one picture is needed")
    if annotators not in get_args(Annotators):
        raise ValueError(f"annotators is one of {', '.join(get_args(Annotators))}; got {annotators!r}")
    if heights.ndim != 1 or not len(heights) or not ((heights >= 0) & (heights < 1)).all():
        raise ValueError(f"thresholds is a list of overlaps, each in [0, 1); got {thresholds}")
    curves, images = [], []
    for threshold in heights:
        found = [_detections(s, threshold, annotators) for s in each]
        images.append([_curve(*one) for one in found])
        sizes, correct, finders, n_true = zip(*found, strict=True)
        curves.append(_curve(np.concatenate(sizes), np.concatenate(correct), np.concatenate(finders), sum(n_true)))
    f = np.array([[_f(*curve[-1, 1:]) for curve in one] for one in images]).T
    return SegmentBenchmark(
        thresholds=heights,
        ap=np.array([_area(curve) for curve in curves]),
        precision=np.array([curve[-1, 2] for curve in curves]),
        recall=np.array([curve[-1, 1] for curve in curves]),
        f=f.mean(0),
        images=f,
        ap_images=np.array([[_area(curve) for curve in one] for one in images]).T,
        curves=tuple(curves),
    )


def _detections(scores: SegmentScores, threshold: float, annotators: Annotators) -> Detected:
    """Sizes: of the prediction's segments, of those that are correct, of those that find a true one, 0 if none does.

    And the number of true segments of which recall is a part.
    """
    over = scores.overlaps > threshold
    pred, true, n_true = scores.pred[over], scores.true[over], len(scores.truth_of)
    if annotators == "best":
        alone = [_alone(scores, pred, true, person) for person in np.unique(scores.truth_of)]
        return max(alone, key=lambda one: _area(_curve(*one)))
    sizes, correct = scores.sizes, scores.sizes[np.unique(pred)]
    if annotators in ("correct", "mean"):
        n_people = int(scores.truth_of[-1]) + 1
        return sizes, correct, correct, n_true if annotators == "correct" else n_true / n_people
    if annotators == "each":
        n = len(sizes)
        correct = sizes[np.unique(scores.truth_of[true] * n + pred) % max(n, 1)]
        sizes = np.tile(sizes, int(scores.truth_of[-1]) + 1)
    return sizes, correct, _finders(scores, pred, true), n_true


def _alone(scores: SegmentScores, pred: Whole, true: Whole, person: int) -> Detected:
    """Against one person."""
    own = scores.truth_of[true] == person
    pred, true = pred[own], true[own]
    n_true = int((scores.truth_of == person).sum())
    return scores.sizes, scores.sizes[np.unique(pred)], _finders(scores, pred, true), n_true


def _finders(scores: SegmentScores, pred: Whole, true: Whole) -> Whole:
    """(R,) for each true segment the size of the largest one that finds it; 0 where none does."""
    largest = np.zeros(len(scores.truth_of), np.int64)
    np.maximum.at(largest, true, scores.sizes[pred])
    return largest


def _curve(sizes: Whole, correct: Whole, finders: Whole, n_true: float) -> Array:
    """(N, 3): each size in decreasing order, and recall and precision of the segments that are at least so large."""
    places = np.unique(sizes)[::-1] if len(sizes) else np.ones(1, np.int64)
    taken, right, found = (len(of) - np.searchsorted(np.sort(of), places) for of in (sizes, correct, finders))
    return np.stack([places, found / n_true, right / np.maximum(taken, 1)], 1)


def _area(curve: Array) -> float:
    """Average precision: the precision at each place, weighted by how much recall grows there."""
    return float(np.diff(curve[:, 1], prepend=0) @ curve[:, 2])


def _f(recall: float, precision: float) -> float:
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0
