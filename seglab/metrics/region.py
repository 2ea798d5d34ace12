"""How well the segments of a prediction are those of the truth: covering, Rand index, variation of information.

Each is a number for one picture, whose truth is a label map or a list of them (several people's segmentations), and
follows from one contingency table. What Berkeley's benchmark makes of many pictures is in `seglab.metrics.berkeley`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seglab.metrics.contingency import ContingencyTable, as_table, contingency_table

__all__ = [
    "adapted_rand_error",
    "best_overlaps",
    "best_overlaps_of_prediction",
    "contingency_table",
    "overlaps",
    "probabilistic_rand_index",
    "rand_index",
    "rand_indices",
    "segmentation_covering",
    "variation_of_information",
    "variations_of_information",
]


def segmentation_covering(labels_true: Any, labels_pred: Any = None) -> float:
    """Cover the truth by the prediction: how well the best segment overlaps each segment of the truth.

    C = Σ_R |R| · max_S |R ∩ S| / |R ∪ S|  /  Σ_R |R|, over the segments R of all truths.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else.
    labels_pred
        A label map of the same shape.

    Returns
    -------
    float
        In (0, 1]; 1 where the prediction and every truth are the same partition.

    Notes
    -----
    Not symmetric: exchange the arguments to cover the prediction by the truth. With several truths numerator and
    denominator are summed over all of them, as Berkeley's benchmark does.

    References
    ----------
    P. Arbeláez, M. Maire, C. Fowlkes, J. Malik. Contour Detection and Hierarchical Image Segmentation. IEEE
    Transactions on Pattern Analysis and Machine Intelligence 33(5):898-916, 2011. doi:10.1109/TPAMI.2010.161

    Examples
    --------
    >>> segmentation_covering([[0, 0, 1, 1]], [[0, 1, 1, 1]])  # 1/2 for the left segment, 2/3 for the right one
    0.58333...
    """
    table = as_table(labels_true, labels_pred)
    sizes = table.sizes_true.double()
    return float((sizes * best_overlaps(table)).sum() / sizes.sum())


def probabilistic_rand_index(labels_true: Any, labels_pred: Any = None) -> float:
    """Average the Rand index over the truths.

    The probability that the prediction and a truth drawn at random agree on whether two pixels drawn at random belong
    together.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else.
    labels_pred
        A label map of the same shape.

    Returns
    -------
    float
        In [0, 1]; 1 where the prediction and every truth are the same partition.

    References
    ----------
    R. Unnikrishnan, C. Pantofaru, M. Hebert. Toward Objective Evaluation of Image Segmentation Algorithms. IEEE
    Transactions on Pattern Analysis and Machine Intelligence 29(6):929-944, 2007. doi:10.1109/TPAMI.2007.1046

    Examples
    --------
    >>> probabilistic_rand_index([[[0, 0, 1, 1]], [[0, 1, 1, 1]]], [[0, 0, 1, 1]])  # 6 pairs of 6, and 3 of 6
    0.75
    """
    return float(rand_indices(as_table(labels_true, labels_pred)).mean())


def rand_index(labels_true: Any, labels_pred: Any = None) -> float:
    """Count the pairs of pixels that are together in both label maps, or apart in both, as a part of all pairs.

    Parameters
    ----------
    labels_true, labels_pred
        Two label maps of the same shape, or a `ContingencyTable` and nothing else.

    Returns
    -------
    float
        In [0, 1]; symmetric. 1 for a single pixel.

    Raises
    ------
    ValueError
        There are several truths: `probabilistic_rand_index` averages over them.

    References
    ----------
    W. M. Rand. Objective Criteria for the Evaluation of Clustering Methods. Journal of the American Statistical
    Association 66(336):846-850, 1971. doi:10.2307/2284239

    Examples
    --------
    >>> rand_index([[0, 0, 1, 1]], [[0, 1, 1, 1]])
    0.5
    """
    table = as_table(labels_true, labels_pred)
    if table.n_truths != 1:
        raise ValueError(f"rand_index compares two label maps; got {table.n_truths} truths: probabilistic_rand_index")
    return float(rand_indices(table))


def variation_of_information(labels_true: Any, labels_pred: Any = None) -> float:
    """Sum, in bits, what each label map leaves open about the other: H(S|G) + H(G|S), averaged over the truths.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else.
    labels_pred
        A label map of the same shape.

    Returns
    -------
    float
        In bits, from 0 (the same partition) to log2 of the number of pixels; symmetric.

    Notes
    -----
    scikit-image's function of the same name gives the two summands, in bits too.

    References
    ----------
    M. Meilă. Comparing Clusterings: An Axiomatic View. International Conference on Machine Learning, 2005.
    doi:10.1145/1102351.1102424

    Examples
    --------
    >>> variation_of_information([[0, 0, 1, 1]], [[0, 1, 1, 1]])
    1.18872...
    """
    return float(variations_of_information(as_table(labels_true, labels_pred)).mean())


def adapted_rand_error(labels_true: Any, labels_pred: Any = None) -> float:
    """One less the harmonic mean of precision and recall on pairs of pixels that are together; mean over the truths.

    Parameters
    ----------
    labels_true
        A label map (H, W), a list of them, or a `ContingencyTable` and nothing else. The membrane challenge leaves
        out what is no cell: give it −1.
    labels_pred
        A label map of the same shape.

    Returns
    -------
    float
        In [0, 1]; 0 for the same partition. Symmetric.

    References
    ----------
    I. Arganda-Carreras et al. Crowdsourcing the creation of image segmentation algorithms for connectomics. Frontiers
    in Neuroanatomy 9:142, 2015. doi:10.3389/fnana.2015.00142

    Examples
    --------
    >>> adapted_rand_error([[0, 0, 1, 1]], [[0, 1, 1, 1]])  # 2 and 3 pairs together, 1 of them in both
    0.6
    """
    both, either = _pairs_together(as_table(labels_true, labels_pred))
    return float(torch.where(either > 0, 1 - 2 * both / either, 0.0).mean())


def best_overlaps(table: ContingencyTable) -> Tensor:
    """(R,) float64: for each segment of the truths the largest |R ∩ S| / |R ∪ S| with a segment of the prediction."""
    best = torch.zeros(sum(table.n_true), dtype=torch.float64, device=table.counts.device)
    return best.scatter_reduce_(0, table.true, overlaps(table), "amax")


def best_overlaps_of_prediction(table: ContingencyTable) -> Tensor:
    """(A, S) float64: the same the other way, for each truth and each segment of the prediction; 0 where unused."""
    best = torch.zeros(table.n_truths * table.n_pred, dtype=torch.float64, device=table.counts.device)
    cell = table.truth_of_entry * table.n_pred + table.pred
    return best.scatter_reduce_(0, cell, overlaps(table), "amax").view(table.n_truths, table.n_pred)


def rand_indices(table: ContingencyTable) -> Tensor:
    """(A,) float64: the Rand index with each truth."""
    both, either = _pairs_together(table)
    pairs = table.n_pixels * (table.n_pixels - 1)
    return torch.where(pairs > 0, 1 - (either - 2 * both) / pairs, 1.0)


def variations_of_information(table: ContingencyTable) -> Tensor:
    """(A,) float64: the variation of information with each truth, in bits."""
    # H(G|S) + H(S|G) = 2 H(G,S) − H(G) − H(S), where H = log2 N − Σ n log2 n / N
    both, true, pred = _sums_per_truth(table, _n_ln_n)
    bits = (true + pred).sub_(both, alpha=2) / table.n_pixels / math.log(2)
    return bits.clamp_(min=0)  # rounding may leave −1e-16


def _n_ln_n(n: Tensor) -> Tensor:
    n = n.double()
    return torch.special.xlogy(n, n)  # 0 log 0 = 0


def _pairs_together(table: ContingencyTable) -> tuple[Tensor, Tensor]:
    """(A,) float64 each: ordered pairs of pixels together in both, and in the truth plus in the prediction."""
    both, true, pred = _sums_per_truth(table, torch.square)  # n² − n pairs each; summed exactly, in int64
    return (both - table.n_pixels).double(), (true + pred).sub_(table.n_pixels, alpha=2).double()


def _sums_per_truth(table: ContingencyTable, f: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """(A,) each: Σ f(n) over the table's counts, the sizes of the truth's segments and those of the prediction's."""
    both, true, pred = f(table.counts), f(table.sizes_true), f(table.sizes_pred)
    if table.n_truths == 1:
        return both.sum(0, keepdim=True), true.sum(0, keepdim=True), pred.sum(1)
    none = both.new_zeros(table.n_truths)
    both = none.index_add(0, table.truth_of_entry, both)
    return both, none.index_add(0, table.truth_of, true), pred.sum(1)


def overlaps(table: ContingencyTable) -> Tensor:
    """(E,) float64: intersection over union of the pairs of segments that meet."""
    n_pred = table.sizes_pred[table.truth_of_entry, table.pred]
    return table.counts.double() / (table.sizes_true[table.true] + n_pred - table.counts)
