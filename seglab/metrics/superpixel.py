"""How good superpixels are: whether they follow the objects' boundaries, stay inside, are even in color and compact.

Five questions, none of which can be answered for another: *boundary recall* (are the truth's boundaries among the
superpixels'?), *undersegmentation error* (how much leaks over them?), *achievable segmentation accuracy* (how good can
a method become that merges superpixels?), *compactness* and *explained variation*. All but compactness get better when
there are more superpixels, so compare methods at the same number of them.

The definitions are those of D. Stutz, A. Hermans, B. Leibe. Superpixels: An Evaluation of the State-of-the-Art.
Computer Vision and Image Understanding 166:1-27, 2018. doi:10.1016/j.cviu.2017.03.007

Several truths (several people's segmentations): each measure is the mean of its values with each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from seglab.image import as_image
from seglab.labels import as_labels, neighbor_views
from seglab.metrics.contingency import ContingencyTable, as_table, contingency_table, label_maps

__all__ = [
    "SuperpixelScores",
    "UndersegmentationKind",
    "achievable_segmentation_accuracy",
    "boundary_precision",
    "boundary_recall",
    "compactness",
    "explained_variation",
    "superpixel_scores",
    "undersegmentation_error",
]

UndersegmentationKind = Literal["min", "np", "levinshtein", "slic"]


# ---- boundaries -------------------------------------------------------------------------------------------------


def boundary_recall(labels_true: Any, labels_pred: Any, tolerance: int | None = None) -> float:
    """Count the boundary pixels of the truth that have one of the superpixels nearby, as a part of all of them.

    Parameters
    ----------
    labels_true
        A label map (H, W), or a list of them; −1 where a pixel is not to count.
    labels_pred
        A label map of the same shape; −1 where a pixel is in no superpixel.
    tolerance
        "Nearby" is the square of 2 · tolerance + 1 pixels a side. By default 0.0025 of the picture's diagonal,
        rounded: 1 for a picture of 481×321 pixels. Papers on SLIC mostly use 2. Raise it and every method gets better.

    Returns
    -------
    float
        In [0, 1]; 1 where a truth has no boundary. The mean over the truths.

    Raises
    ------
    ValueError
        The maps differ in shape, no pixel counts, or the tolerance is no whole number from 0.

    Notes
    -----
    A boundary pixel has a neighbor of another label above, below, left or right, so boundaries are two pixels wide,
    and the tolerance is measured from the nearer side. No boundary lies between a segment and pixels with −1.

    Recall alone is cheated by many or ragged boundaries: look at `boundary_precision` and `compactness` beside it.

    Examples
    --------
    >>> truth, superpixels = [[0, 0, 0, 1, 1, 1]], [[0, 1, 1, 1, 1, 1]]
    >>> boundary_recall(truth, superpixels, tolerance=0), boundary_recall(truth, superpixels, tolerance=1)
    (0.0, 0.5)
    """
    return _mean(_boundary_scores(*_maps(labels_true, labels_pred), tolerance)[0])


def boundary_precision(labels_true: Any, labels_pred: Any, tolerance: int | None = None) -> float:
    """Count the boundary pixels of the superpixels that have one of the truth nearby, as a part of all of them.

    `boundary_recall` the other way. Superpixels cut objects on purpose, so it is low where they are many.

    Parameters
    ----------
    labels_true
        A label map (H, W), or a list of them; −1 where a pixel is not to count.
    labels_pred
        A label map of the same shape; −1 where a pixel is in no superpixel.
    tolerance
        As in `boundary_recall`.

    Returns
    -------
    float
        In [0, 1]; 1 where the prediction has no boundary. The mean over the truths.

    Examples
    --------
    >>> boundary_precision([[0, 0, 0, 0, 1, 1]], [[0, 1, 1, 1, 2, 2]], tolerance=0)
    0.5
    """
    return _mean(_boundary_scores(*_maps(labels_true, labels_pred), tolerance)[1])


def _boundary_scores(truths: list[Tensor], pred: Tensor, tolerance: int | None) -> tuple[Tensor, Tensor]:
    """(A,) float64 each: recall and precision with each truth."""
    radius = _radius(tolerance, pred)
    found, assigned = _boundary(pred), pred >= 0
    near_found = _widen(found, radius)
    recall, precision = [], []
    for truth in truths:
        wanted = _boundary(truth)
        recall.append(_share(near_found, wanted & assigned))
        precision.append(_share(_widen(wanted, radius), found & (truth >= 0)))
    return torch.stack(recall), torch.stack(precision)


def _radius(tolerance: int | None, labels: Tensor) -> int:
    if tolerance is None:
        return math.floor(0.0025 * math.hypot(*labels.shape) + 0.5)
    if isinstance(tolerance, bool) or int(tolerance) != tolerance or tolerance < 0:
        raise ValueError(f"tolerance is a whole number of pixels from 0, or None; got {tolerance!r}")
    return int(tolerance)


def _boundary(labels: Tensor) -> Tensor:
    """(H, W) bool: the pixels that have a neighbor in another segment."""
    mark = torch.zeros_like(labels, dtype=torch.bool)
    for (a, b), (mark_a, mark_b) in zip(neighbor_views(labels, 4), neighbor_views(mark, 4), strict=True):
        differ = (a != b) & (a >= 0) & (b >= 0)
        mark_a |= differ
        mark_b |= differ
    return mark


def _widen(mark: Tensor, radius: int) -> Tensor:
    """(H, W) bool: where the square of 2 · radius + 1 pixels around a pixel holds a marked one."""
    wide = torch.nn.functional.pad(mark, [radius] * 4)
    for dim in (0, 1):
        reach = 1  # each entry looks so far ahead; doubled, so that a large tolerance costs little more
        while reach < 2 * radius + 1:
            by = min(reach, 2 * radius + 1 - reach)
            n = wide.shape[dim] - by
            wide = wide.narrow(dim, 0, n) | wide.narrow(dim, by, n)
            reach += by
    return wide


def _share(hit: Tensor, among: Tensor) -> Tensor:
    """() float64: how many of the pixels ``among`` are hit; 1 where there are none."""
    n = among.sum()
    return torch.where(n > 0, (hit & among).sum().double() / n.clamp(min=1), 1.0)


# ---- overlaps ---------------------------------------------------------------------------------------------------


def undersegmentation_error(labels_true: Any, labels_pred: Any = None, kind: UndersegmentationKind = "min") -> float:
    r"""Sum what leaks out of the truth's segments G through superpixels S that lie on both sides of a boundary.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else; −1 where a pixel is not to count.
    labels_pred
        A label map of the same shape.
    kind
        - ``"min"``: each superpixel belongs to the segment in which most of it lies, the rest has leaked:
          Σ_S (|S| − max_G |S ∩ G|) / N. In [0, 1), and the same as 1 − `achievable_segmentation_accuracy`.
        - ``"np"`` (Neubert and Protzel): for each pair that meets the smaller of the two parts into which the segment
          cuts the superpixel: Σ_G Σ_S min(|S ∩ G|, |S \ G|) / N. At least "min", at most twice it.
        - ``"levinshtein"``: by how much the superpixels that touch a segment exceed it, as a part of its size, mean
          over the segments: (Σ_{S meets G} |S| − |G|) / |G|. Unbounded, and a single pixel counts a superpixel in.
        - ``"slic"`` (Achanta): Σ_G Σ_{S: |S ∩ G| > |S| / 20} |S| / N − 1: as the last, but all segments together, and
          what is no more than 5 % of a superpixel is taken for an error of the truth. Below 0 where a superpixel is
          in so many segments that it has no more in any.

    Returns
    -------
    float
        0 where no superpixel leaks; the mean over the truths.

    Raises
    ------
    ValueError
        The maps differ in shape, no pixel counts, or there is no such kind.

    References
    ----------
    A. Levinshtein et al. TurboPixels: Fast Superpixels Using Geometric Flows. IEEE Transactions on Pattern Analysis
    and Machine Intelligence 31(12):2290-2297, 2009. doi:10.1109/TPAMI.2009.96

    P. Neubert, P. Protzel. Superpixel Benchmark and Comparison. Forum Bildverarbeitung, 2012.

    R. Achanta et al. SLIC Superpixels Compared to State-of-the-Art Superpixel Methods. IEEE Transactions on Pattern
    Analysis and Machine Intelligence 34(11):2274-2282, 2012. doi:10.1109/TPAMI.2012.120

    Examples
    --------
    >>> truth, superpixels = [[0, 0, 1, 1, 1, 1]], [[0, 0, 0, 1, 1, 1]]  # one pixel of three is on the wrong side
    >>> [round(undersegmentation_error(truth, superpixels, kind), 3) for kind in ("min", "np", "levinshtein", "slic")]
    [0.167, 0.333, 0.5, 0.5]
    """
    if kind not in get_args(UndersegmentationKind):
        raise ValueError(f"kind is one of {', '.join(map(repr, get_args(UndersegmentationKind)))}; got {kind!r}")
    return _mean(_undersegmentation(as_table(labels_true, labels_pred), kind))


def achievable_segmentation_accuracy(labels_true: Any, labels_pred: Any = None) -> float:
    """Give each superpixel to the segment in which most of it lies: the share of pixels that are then right.

    ASA = Σ_S max_G |S ∩ G| / N: no way of merging the superpixels gets more pixels right.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else; −1 where a pixel is not to count.
    labels_pred
        A label map of the same shape.

    Returns
    -------
    float
        In (0, 1]; 1 − `undersegmentation_error` of the kind "min". The mean over the truths.

    References
    ----------
    M.-Y. Liu, O. Tuzel, S. Ramalingam, R. Chellappa. Entropy Rate Superpixel Segmentation. IEEE Conference on
    Computer Vision and Pattern Recognition, 2011. doi:10.1109/CVPR.2011.5995323

    Examples
    --------
    >>> achievable_segmentation_accuracy([[0, 0, 0, 1, 1, 1]], [[0, 0, 0, 0, 1, 1]])
    0.8333...
    """
    table = as_table(labels_true, labels_pred)
    return _mean(_rightly_given(table) / table.n_pixels)


def _undersegmentation(table: ContingencyTable, kind: str) -> Tensor:
    """(A,) float64: the error with each truth."""
    if kind == "min":
        return (table.n_pixels - _rightly_given(table)) / table.n_pixels
    size = table.sizes_pred[table.truth_of_entry, table.pred]  # (E,) |S| for each pair that meets
    none = torch.zeros(table.n_truths, dtype=torch.float64, device=size.device)
    if kind == "levinshtein":
        meeting = torch.zeros(sum(table.n_true), dtype=torch.int64, device=size.device)
        meeting.index_add_(0, table.true, size)
        used = table.sizes_true > 0
        excess = (meeting - table.sizes_true).double() / table.sizes_true.clamp(min=1)  # 0 for an unused number
        return none.index_add(0, table.truth_of, excess) / none.index_add(0, table.truth_of, used.double())
    if kind == "np":
        leaked = torch.minimum(table.counts, size - table.counts)
        return none.index_add(0, table.truth_of_entry, leaked.double()) / table.n_pixels
    counted = torch.where(20 * table.counts > size, size, 0)
    return none.index_add(0, table.truth_of_entry, counted.double()) / table.n_pixels - 1


def _rightly_given(table: ContingencyTable) -> Tensor:
    """(A,) float64: Σ_S max_G |S ∩ G| for each truth."""
    best = table.counts.new_zeros(table.n_truths * table.n_pred)
    cell = table.truth_of_entry * table.n_pred + table.pred
    return best.scatter_reduce_(0, cell, table.counts, "amax").view(table.n_truths, table.n_pred).sum(1).double()


# ---- without a truth --------------------------------------------------------------------------------------------


def compactness(labels: Any) -> float:
    """Compare each segment with a disk of its perimeter, by area; the mean over the pixels.

    CO = Σ_S |S| / N · 4π |S| / P², where the perimeter P counts the sides of pixels at which the segment ends, those
    at the border of the picture included.

    Parameters
    ----------
    labels
        A label map (H, W); pixels with −1 are in no segment and do not count.

    Returns
    -------
    float
        In (0, π/4]: π/4 where all segments are squares, whatever their size; a bar of 1×n pixels has πn / (n + 1)².

    Raises
    ------
    ValueError
        All pixels are −1.

    References
    ----------
    A. Schick, M. Fischer, R. Stiefelhagen. Measuring and Evaluating the Compactness of Superpixels. International
    Conference on Pattern Recognition, 2012.

    Examples
    --------
    >>> compactness([[0, 0], [0, 0]])
    0.78539...
    """
    labels = _numbered(as_labels(labels))
    sizes = torch.bincount(labels.flatten() + 1)[1:].double()
    perimeters = _perimeters(labels, len(sizes)).clamp(min=1)  # a number without pixels has no perimeter either
    return float(4 * math.pi * (sizes / perimeters).square().sum() / sizes.sum())


def _perimeters(labels: Tensor, n: int) -> Tensor:
    """(n,) float64: the sides of pixels at which each segment ends."""
    border = [labels[0], labels[-1], labels[:, 0], labels[:, -1]]
    for a, b in neighbor_views(labels, 4):
        differ = a != b
        border += [a[differ], b[differ]]
    return torch.bincount(torch.cat(border) + 1, minlength=n + 1)[1:].double()


def explained_variation(labels: Any, image: Any) -> float:
    """Paint each segment in its mean color: the share of the picture's variance that is still there.

    EV = Σ_x ‖μ_S(x) − μ‖² / Σ_x ‖I(x) − μ‖², with the mean colors μ_S of the segments and μ of the picture, all
    channels together.

    Parameters
    ----------
    labels
        A label map (H, W); pixels with −1 do not count.
    image
        The picture: what `seglab.image.as_image` takes, or a floating-point tensor (C, H, W) of any channels and range
        (a picture in CIELAB, features).

    Returns
    -------
    float
        In [0, 1]: 0 where all segments have the same mean, 1 where each has one color (a picture of one color, too).

    Raises
    ------
    ValueError
        The picture is of another size than the map, or all pixels are −1.

    References
    ----------
    A. P. Moore, S. J. D. Prince, J. Warrell, U. Mohammed, G. Jones. Superpixel Lattices. IEEE Conference on Computer
    Vision and Pattern Recognition, 2008. doi:10.1109/CVPR.2008.4587471

    Examples
    --------
    >>> explained_variation([[0, 0, 1, 1]], torch.tensor([[[0.0, 0.2, 0.8, 1.0]]]))  # what is left over: 4 · 0.1²
    0.9411...
    """
    labels = _numbered(as_labels(labels))
    planes = _planes(image, labels)
    index = labels.flatten()
    if not bool((index >= 0).all()):
        index, planes = index[index >= 0], planes[:, index >= 0]
    sizes, total, kept = torch.bincount(index), 0.0, 0.0
    for plane in planes:
        values = plane.double()
        values = values - values.mean()  # first, so that no digits cancel
        sums = torch.bincount(index, weights=values)
        total += float(values.square().sum())
        kept += float((sums.square() / sizes.clamp(min=1)).sum())
    return min(kept / total, 1.0) if total > 0 else 1.0


def _planes(image: Any, labels: Tensor) -> Tensor:
    """(C, N): the picture's channels on the device of the labels."""
    if not (isinstance(image, Tensor) and image.is_floating_point() and image.shape[1:] == labels.shape):
        image = as_image(image)
    if image.shape[1:] != labels.shape:
        raise ValueError(
            f"labels {tuple(labels.shape)} and image {tuple(image.shape[1:])} are of different sizes: "
            "give the picture that was segmented"
        )
    return image.detach().to(labels.device).flatten(1)


def _numbered(labels: Tensor) -> Tensor:
    """The map with numbers that a table can have: its own, or their ranks where they go beyond the pixels."""
    largest = int(labels.max())
    if largest < 0:
        raise ValueError("no pixel counts: every one has label −1")
    if largest < max(2**16, labels.numel()):
        return labels
    values, ranks = torch.unique(labels, return_inverse=True)
    return ranks - int(values[0] < 0)


# ---- all of them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SuperpixelScores:
    """What `superpixel_scores` finds; prints as a table.

    Attributes
    ----------
    n_segments
        The number of superpixels: of different labels, connected or not.
    boundary_recall, boundary_precision
        With the tolerance of ``tolerance`` pixels.
    undersegmentation_error, undersegmentation_error_np, undersegmentation_error_levinshtein
        Of the kinds "min", "np" and "levinshtein".
    undersegmentation_error_slic
        Of the kind "slic".
    achievable_segmentation_accuracy
        1 less the first of them.
    compactness
        It needs no truth.
    explained_variation
        It needs the picture; None without.
    tolerance
        In pixels.
    n_truths
        Over so many truths the first measures are averaged.
    """

    n_segments: int
    boundary_recall: float
    boundary_precision: float
    undersegmentation_error: float
    undersegmentation_error_np: float
    undersegmentation_error_levinshtein: float
    undersegmentation_error_slic: float
    achievable_segmentation_accuracy: float
    compactness: float
    explained_variation: float | None
    tolerance: int
    n_truths: int

    def __str__(self) -> str:
        rows: list[tuple[str, float | None]] = [
            (f"boundary recall (±{self.tolerance} px) ↑", self.boundary_recall),
            (f"boundary precision (±{self.tolerance} px) ↑", self.boundary_precision),
            ("undersegmentation error, min ↓", self.undersegmentation_error),
            ("undersegmentation error, np ↓", self.undersegmentation_error_np),
            ("undersegmentation error, levinshtein ↓", self.undersegmentation_error_levinshtein),
            ("undersegmentation error, slic ↓", self.undersegmentation_error_slic),
            ("achievable segmentation accuracy ↑", self.achievable_segmentation_accuracy),
            ("compactness ↑", self.compactness),
            ("explained variation ↑", self.explained_variation),
        ]
        truths = "1 truth" if self.n_truths == 1 else f"mean over {self.n_truths} truths"
        head = f"{self.n_segments} superpixels, {truths}"
        return "\n".join([head, *(f"{name:<40}{value:8.4f}" for name, value in rows if value is not None)])


def superpixel_scores(labels: Any, truths: Any, image: Any = None, *, tolerance: int | None = None) -> SuperpixelScores:
    """Measure superpixels in every way of this module.

    Parameters
    ----------
    labels
        The superpixels: a label map (H, W), −1 where a pixel is in none; anything that `seglab.labels.as_labels`
        takes, a `Segmentation` too.
    truths
        A label map of the same shape, or a list of them; −1 where a pixel is not to count.
    image
        The picture, for the explained variation; what `explained_variation` takes.
    tolerance
        In pixels, as in `boundary_recall`.

    Returns
    -------
    SuperpixelScores
        With several truths, each measure that needs one is the mean of its values with each of them.

    Examples
    --------
    >>> truth = torch.tensor([[0, 0, 1, 1]]).expand(4, 4)
    >>> superpixels = torch.arange(4)[:, None] // 2 * 2 + truth
    >>> print(superpixel_scores(superpixels, truth))
    4 superpixels, 1 truth
    boundary recall (±0 px) ↑                 1.0000
    boundary precision (±0 px) ↑              0.6667
    undersegmentation error, min ↓            0.0000
    undersegmentation error, np ↓             0.0000
    undersegmentation error, levinshtein ↓    0.0000
    undersegmentation error, slic ↓           0.0000
    achievable segmentation accuracy ↑        1.0000
    compactness ↑                             0.7854
    """
    maps, pred = _maps(truths, labels)
    table = contingency_table(maps, pred)
    recall, precision = _boundary_scores(maps, pred, tolerance)
    error = {kind: _mean(_undersegmentation(table, kind)) for kind in get_args(UndersegmentationKind)}
    numbered = _numbered(pred)
    return SuperpixelScores(
        n_segments=int((torch.bincount(numbered.flatten() + 1)[1:] > 0).sum()),
        boundary_recall=_mean(recall),
        boundary_precision=_mean(precision),
        undersegmentation_error=error["min"],
        undersegmentation_error_np=error["np"],
        undersegmentation_error_levinshtein=error["levinshtein"],
        undersegmentation_error_slic=error["slic"],
        achievable_segmentation_accuracy=achievable_segmentation_accuracy(table),
        compactness=compactness(numbered),
        explained_variation=None if image is None else explained_variation(numbered, image),
        tolerance=_radius(tolerance, pred),
        n_truths=table.n_truths,
    )


def _maps(labels_true: Any, labels_pred: Any) -> tuple[list[Tensor], Tensor]:
    """The truths and the prediction as tensors of one shape on one device."""
    truths, pred = label_maps(labels_true, labels_pred)
    truths, pred = [as_labels(truth) for truth in truths], as_labels(pred)  # int64, from −1
    if not all(bool(((truth >= 0) & (pred >= 0)).any()) for truth in truths):
        raise ValueError("no pixel counts: every one has label −1 in the truth or in the prediction")
    return truths, pred


def _mean(values: Tensor) -> float:
    return float(values.mean())
