"""Berkeley's boundary benchmark: precision and recall of boundaries, matched pixel by pixel to those that people drew.

Pixels of the machine's boundaries are paired with those of each person's (`seglab.metrics.matching`). Recall counts
the pairs of each person, precision the machine's pixels that are in a pair with somebody's. Counts, not ratios, are
summed over pictures.

D. R. Martin, C. C. Fowlkes, J. Malik. Learning to Detect Natural Image Boundaries Using Local Brightness, Color, and
Texture Cues. IEEE Transactions on Pattern Analysis and Machine Intelligence 26(5):530-549, 2004.
doi:10.1109/TPAMI.2004.1273918
P. Arbeláez, M. Maire, C. Fowlkes, J. Malik. Contour Detection and Hierarchical Image Segmentation. IEEE Transactions
on Pattern Analysis and Machine Intelligence 33(5):898-916, 2011. doi:10.1109/TPAMI.2010.161
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.metrics.berkeley import spread_thresholds
from seglab.metrics.matching import TOLERANCE, as_array, match_boundaries, thin, thin_boundaries

__all__ = [
    "BoundaryBenchmark",
    "BoundaryScores",
    "boundary_benchmark",
    "boundary_f",
    "boundary_scores",
    "boundary_scores_of_contours",
    "format_official_boundaries",
    "match_boundaries",
    "thin_boundaries",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryScores:
    """The counts of one picture at each of T settings.

    Attributes
    ----------
    thresholds
        (T,) the settings: thresholds of a contour map, or 1, 2, … for a list of segmentations.
    matched_true, total_true
        (T,) pixels of the truths' boundaries that are in a pair, and all; sums over the truths.
    matched_pred, total_pred
        (T,) pixels of the prediction's boundaries that are in a pair with any truth's, and all.
    """

    thresholds: Array
    matched_true: Array
    total_true: Array
    matched_pred: Array
    total_pred: Array

    @property
    def recall(self) -> Array:
        """(T,) the part of the truths' pixels that are in a pair; 0 where there is none."""
        return _ratio(self.matched_true, self.total_true)

    @property
    def precision(self) -> Array:
        """(T,) the part of the prediction's pixels that are in a pair; 0 where there is none."""
        return _ratio(self.matched_pred, self.total_pred)

    @property
    def f(self) -> Array:
        """(T,) the harmonic mean of both."""
        return _harmonic(self.recall, self.precision)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryBenchmark:
    """Berkeley's boundary scores of a method over a data set.

    Attributes
    ----------
    ods, threshold, recall, precision
        F at the best setting for all pictures, that setting (between two that were tried, as a rule), and recall and
        precision there.
    ois, ois_recall, ois_precision
        F from the counts of each picture at its own best setting, and recall and precision.
    ap
        Average precision: the area under the curve of precision over recall.
    thresholds, recall_at, precision_at, f_at
        (T,) the settings, and the scores over the data set at each.
    images
        (M, 4) for each picture its best setting, and recall, precision and F there.
    """

    ods: float
    threshold: float
    recall: float
    precision: float
    ois: float
    ois_recall: float
    ois_precision: float
    ap: float
    thresholds: Array
    recall_at: Array
    precision_at: Array
    f_at: Array
    images: Array

    def __str__(self) -> str:
        return (
            "                          ODS (at)          OIS      AP\n"
            + f"boundary F          {self.ods:9.4f} ({self.threshold:.4g})".ljust(38)
            + f"{self.ois:9.4f}{self.ap:8.4f}"
        )


def boundary_f(labels_true: Any, labels_pred: Any, *, tolerance: float = TOLERANCE) -> float:
    """The F measure of a segmentation's boundaries: the harmonic mean of their precision and recall.

    Parameters
    ----------
    labels_true
        A label map (H, W), or a list of them: several people's. Maps of booleans are boundaries already.
    labels_pred
        A label map or a boundary map of the same shape.
    tolerance
        How far apart two pixels of a pair may be, as a part of the image's diagonal.

    Returns
    -------
    float
        In [0, 1]; 0 where either has no boundaries.

    Examples
    --------
    >>> boundary_f([[0, 0, 1, 1]] * 2, [[0, 1, 1, 1]] * 2, tolerance=0.3)  # one pixel off, the diagonal is 4.47
    1.0
    >>> boundary_f([[0, 0, 1, 1]] * 2, [[0, 1, 1, 1]] * 2, tolerance=0.2)
    0.0
    """
    several = isinstance(labels_true, list | tuple) and len(labels_true) and np.ndim(labels_true[0]) > 1
    truths = labels_true if several else [labels_true]
    return float(boundary_scores(truths, [labels_pred], tolerance=tolerance).f[0])


def boundary_scores(
    truths: Sequence[Any], segmentations: Sequence[Any], *, tolerance: float = TOLERANCE
) -> BoundaryScores:
    """Compare the boundaries of each of a picture's segmentations with those of all of its truths.

    Parameters
    ----------
    truths
        Label maps (H, W), one for each person, whose boundaries are thinned; or, as (H, W) of booleans, their
        boundaries, which are taken as they are: Berkeley's files and `seglab.datasets.BSDSImage.boundaries` have them.
    segmentations
        Label maps (H, W), or boundaries (H, W) of booleans, one for each setting of the method; either is thinned.
    tolerance
        How far apart two pixels of a pair may be, as a part of the image's diagonal.

    Returns
    -------
    BoundaryScores

    Raises
    ------
    ValueError
        There is no truth or no segmentation, shapes differ, or the tolerance is negative.

    Examples
    --------
    >>> left, right = [[0, 1, 1, 1]] * 3, [[0, 0, 0, 1]] * 3
    >>> scores = boundary_scores([left, right], [left], tolerance=0.1)
    >>> scores.recall, scores.precision
    (array([0.5]), array([1.]))
    """
    if not len(segmentations):
        raise ValueError("segmentations is an empty list: at least one is needed")
    maps = [thin_boundaries(segmentation) for segmentation in segmentations]
    return _scores(np.arange(1.0, len(maps) + 1), truths, maps, tolerance)


def boundary_scores_of_contours(
    truths: Sequence[Any],
    contours: Any,
    thresholds: Sequence[float] | Array | int = 99,
    *,
    tolerance: float = TOLERANCE,
) -> BoundaryScores:
    """Compare a contour map, cut at many heights, with the boundaries of all of a picture's truths.

    Parameters
    ----------
    truths
        As for `boundary_scores`.
    contours
        (H, W) how strong a boundary is at each pixel, from 0 to 1, or from 0 to 255 in whole numbers of eight bits; or
        an ultrametric contour map of double size (2H+1, 2W+1).
    thresholds
        The heights, or how many of them to spread evenly over (0, 1). A pixel is on where it is at least so high.
    tolerance
        How far apart two pixels of a pair may be, as a part of the image's diagonal.

    Returns
    -------
    BoundaryScores

    Raises
    ------
    ValueError
        There is no truth or no threshold, shapes differ, or the tolerance is negative.

    Examples
    --------
    >>> truth = [[False, True, False, False]] * 3
    >>> scores = boundary_scores_of_contours([truth], [[0, 0.8, 0, 0.3]] * 3, [0.2, 0.5], tolerance=0.1)
    >>> scores.precision, scores.recall
    (array([0.5, 1. ]), array([1., 1.]))
    """
    heights = spread_thresholds(thresholds) if isinstance(thresholds, int) else np.asarray(thresholds, float)
    if not len(heights):
        raise ValueError("thresholds is an empty list: at least one is needed")
    values = as_array(contours)
    if values.ndim != 2:
        raise ValueError(f"contours is a map (H, W) or (2H+1, 2W+1); got shape {values.shape}")
    values = values / 255 if values.dtype == np.uint8 else values
    drawn = [_boundary(truth) for truth in truths]
    if drawn and values.shape == tuple(2 * n + 1 for n in drawn[0].shape):
        values = values[2::2, 2::2]
    above = np.searchsorted(np.sort(values, None), heights)  # heights with as many pixels above have the same map
    found, which = np.unique(above, return_index=True)
    scores = _scores(heights[which], drawn, [thin(values >= height) for height in heights[which]], tolerance)
    places = np.searchsorted(found, above)
    counts = {
        name: getattr(scores, name)[places] for name in ("matched_true", "total_true", "matched_pred", "total_pred")
    }
    return BoundaryScores(thresholds=heights, **counts)


def boundary_benchmark(scores: Iterable[BoundaryScores]) -> BoundaryBenchmark:
    """Pool the counts of many pictures into Berkeley's table.

    Parameters
    ----------
    scores
        One for each picture, all at the same settings, in an order in which neighbors are alike: between two settings
        that follow one another, precision and recall are interpolated in 100 steps.

    Raises
    ------
    ValueError
        There is none, or the settings differ.

    Notes
    -----
    Where the F of settings tie, the first is chosen, but for OIS the last, as in the published program.
    """
    each = list(scores)
    if not each:
        raise ValueError("no scores: at least one picture is needed")
    thresholds = each[0].thresholds
    if any(not np.array_equal(s.thresholds, thresholds) for s in each):
        raise ValueError("pictures have different settings: each needs the same number of segmentations or thresholds")
    names = ("matched_true", "total_true", "matched_pred", "total_pred")
    counts = np.array([[getattr(s, name) for name in names] for s in each], float)  # (M, 4, T)
    pooled = BoundaryScores(thresholds=thresholds, **dict(zip(names, counts.sum(0), strict=True)))
    last = [len(s.f) - 1 - s.f[::-1].argmax() for s in each]
    own = counts[np.arange(len(each)), :, last].sum(0)
    ois_recall, ois_precision = float(_ratio(own[0], own[1])), float(_ratio(own[2], own[3]))
    best = _best(thresholds, pooled.recall, pooled.precision)
    return BoundaryBenchmark(
        threshold=best[0],
        recall=best[1],
        precision=best[2],
        ods=best[3],
        ois=float(_harmonic(ois_recall, ois_precision)),
        ois_recall=ois_recall,
        ois_precision=ois_precision,
        ap=_area(pooled.recall, pooled.precision),
        thresholds=thresholds,
        recall_at=pooled.recall,
        precision_at=pooled.precision,
        f_at=pooled.f,
        images=np.array([_best(thresholds, s.recall, s.precision) for s in each]),
    )


def format_official_boundaries(scores: Iterable[BoundaryScores], names: Sequence[str] = ()) -> dict[str, str]:
    """Write the text files of Berkeley's own program, in its format.

    Parameters
    ----------
    scores
        One for each picture, in the order of their files' names.
    names
        The pictures' names; with them, each picture's counts are written too.

    Returns
    -------
    dict
        For each file's name its text: ``eval_bdry.txt`` (setting, recall, precision and F of ODS; recall, precision
        and F of OIS; area), ``eval_bdry_thr.txt`` (setting, recall, precision, F), ``eval_bdry_img.txt`` (number, best
        setting, recall, precision, F of each picture), and ``<name>_ev1.txt`` (setting, matched and all pixels of the
        truths, matched and all pixels of the prediction).
    """
    each = list(scores)
    if names and len(names) != len(each):
        raise ValueError(f"names has one for each picture; got {len(names)} for {len(each)}")
    r = boundary_benchmark(each)
    rows: dict[str, Any] = {
        "eval_bdry.txt": [
            (r.threshold, r.recall, r.precision, r.ods, r.ois_recall, r.ois_precision, r.ois, r.ap),
        ],
        "eval_bdry_thr.txt": zip(r.thresholds, r.recall_at, r.precision_at, r.f_at, strict=True),
        "eval_bdry_img.txt": [(i, *row) for i, row in enumerate(r.images, start=1)],
    }
    for name, s in zip(names, each, strict=False):
        rows[f"{name}_ev1.txt"] = zip(
            s.thresholds, s.matched_true, s.total_true, s.matched_pred, s.total_pred, strict=True
        )
    return {
        name: "".join(" ".join(f"{value:10.6g}" for value in row) + "\n" for row in lines)
        for name, lines in rows.items()
    }


def _scores(thresholds: Array, truths: Sequence[Any], maps: list[Mask], tolerance: float) -> BoundaryScores:
    """The counts for thin boundary maps, one for each setting."""
    drawn = [_boundary(truth) for truth in truths]
    if not drawn:
        raise ValueError("truths is an empty list: at least one is needed")
    for boundary in drawn:
        if boundary.shape != maps[0].shape:
            raise ValueError(f"truths and predictions differ in shape: {boundary.shape} and {maps[0].shape}")
    counts = []
    for edge in maps:
        pairs = [match_boundaries(boundary, edge, tolerance=tolerance) for boundary in drawn]
        anybody = np.logical_or.reduce([pred for _, pred in pairs])
        counts.append((sum(int(true.sum()) for true, _ in pairs), int(anybody.sum()), int(edge.sum())))
    matched_true, matched_pred, total_pred = np.array(counts, float).T
    return BoundaryScores(
        thresholds=thresholds,
        matched_true=matched_true,
        total_true=np.full(len(maps), float(sum(int(boundary.sum()) for boundary in drawn))),
        matched_pred=matched_pred,
        total_pred=total_pred,
    )


def _boundary(truth: Any) -> Mask:
    """A truth's boundaries: its own where it is a map of booleans, and else those of its segments."""
    values = as_array(truth)
    return values if values.dtype == bool else thin_boundaries(truth)


def _ratio(part: Any, whole: Any) -> Array:
    return np.asarray(part / np.maximum(whole, 1))


def _harmonic(a: Any, b: Any) -> Array:
    total = np.asarray(a + b)
    return 2 * np.asarray(a * b) / np.where(total == 0, 1, total)


def _best(thresholds: Array, recall: Array, precision: Array) -> tuple[float, float, float, float]:
    """The best F, between settings too: the setting, recall, precision, F."""
    step = np.linspace(0, 1, 100)
    between = [np.append(v[0], v[1:, None] * step + v[:-1, None] * (1 - step)) for v in (thresholds, recall, precision)]
    f = _harmonic(between[1], between[2])
    best = int(f.argmax())
    return float(between[0][best]), float(between[1][best]), float(between[2][best]), float(f[best])


def _area(recall: Array, precision: Array) -> float:
    """The area under precision over recall, at 101 places; where the curve does not reach, precision is 0."""
    known, first = np.unique(recall, return_index=True)
    if len(known) < 2:
        return 0.0
    places = np.linspace(0, 1, 101)
    return float(np.interp(places, known, precision[first], left=0, right=0).sum() * 0.01)
