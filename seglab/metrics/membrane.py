"""The membrane challenge's scores: whether the cells that a map of membranes leaves are the true ones.

A gap of one pixel in a membrane joins two cells: one wrong pixel, and thousands in the wrong cell. So a map of
membranes is judged by the cells between them, on the pixels that are truly in a cell, after its membranes were thinned
to a line (a membrane drawn too thick is no mistake):

V = Σ p_ij² / (½ Σ s_i² + ½ Σ t_j²)  (Rand),   V = I(S; T) / (½ H(S) + ½ H(T))  (information),

where p_ij is the share of pixels in cell i of the prediction S and in cell j of the truth T. Each is the harmonic mean
of a score that splits lower and one that mergers lower. Pixels that the prediction calls membrane are cells of one
pixel.

References
----------
I. Arganda-Carreras et al. (2015). Crowdsourcing the creation of image segmentation algorithms for connectomics.
Frontiers in Neuroanatomy 9:142. doi:10.3389/fnana.2015.00142.

*Differs from the challenge*: it thins with a watershed; here every pixel of a membrane goes to the nearest cell, and
lines of one pixel are left where two meet. Scores of several slices are averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from seglab.labels import as_labels, connected_components
from seglab.metrics.contingency import contingency_table

__all__ = ["MembraneScores", "cells_between", "mean_scores", "membrane_scores", "membrane_sweep", "thin_membranes"]

_TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, kw_only=True)
class MembraneScores:
    """How good the cells between membranes are; of one slice, or the mean of several.

    Attributes
    ----------
    rand, information
        The challenge's two scores, in [0, 1]; 1 where the cells are the true ones.
    rand_split, information_split
        What splits lower: of pairs in one true cell, the share that is in one of ours; I(S; T) / H(S).
    rand_merge, information_merge
        What mergers lower: of pairs in one of our cells, the share that is in one true cell; I(S; T) / H(T).
    pixel_error
        The share of pixels that are membrane in one map and cell in the other, before thinning.
    pixel_f
        Harmonic mean of precision and recall of the cells' pixels, before thinning.
    threshold
        From which probability a pixel was called membrane; None where there was none to choose.
    """

    rand: float
    rand_split: float
    rand_merge: float
    information: float
    information_split: float
    information_merge: float
    pixel_error: float
    pixel_f: float
    threshold: float | None = None


def membrane_scores(cells_true: Any, cells_pred: Any, *, thin: bool = True) -> MembraneScores:
    """Score the cells of one slice.

    Parameters
    ----------
    cells_true, cells_pred
        (H, W) whole numbers: 0 a membrane, every other number a cell. Anything that `seglab.labels.as_labels` takes.
    thin
        Thin the prediction's membranes first.

    Returns
    -------
    MembraneScores

    Raises
    ------
    ValueError
        The maps differ in shape, or the truth has no cell.

    Notes
    -----
    One table of contingency, and a distance transform on the CPU. Without thinning and without membranes in the
    prediction, ``rand`` is one less `adapted_rand_error`, but for pairs of a pixel with itself, which the challenge
    counts.

    Examples
    --------
    >>> scores = membrane_scores([[1, 1, 0, 2, 2]], [[1, 1, 1, 1, 1]])  # a merger
    >>> round(scores.rand, 3), scores.rand_split, scores.rand_merge, scores.information, scores.pixel_error
    (0.667, 1.0, 0.5, 0.0, 0.2)
    """
    true, pred = as_labels(cells_true), as_labels(cells_pred)
    if true.shape != pred.shape:
        raise ValueError(f"the maps differ in shape: {tuple(true.shape)} and {tuple(pred.shape)}")
    if not (true > 0).any():
        raise ValueError("the truth has no cell: cells are numbered from 1, and 0 is membrane")
    both = int(((true > 0) & (pred > 0)).sum())
    pixels = int((true > 0).sum() + (pred > 0).sum())
    segments = thin_membranes(pred) if thin else pred
    return MembraneScores(
        **_of_cells(true, segments),
        pixel_error=float(((true > 0) != (pred > 0)).double().mean()),
        pixel_f=2 * both / pixels,
    )


def membrane_sweep(
    cells_true: Sequence[Any],
    probabilities: Sequence[Any],
    thresholds: Iterable[float] = _TENTHS,
    *,
    thin: bool = True,
) -> list[MembraneScores]:
    """Score several slices at each threshold of their membranes' probability; the challenge counts the best.

    Parameters
    ----------
    cells_true
        For each slice, cells (H, W) as of `membrane_scores`.
    probabilities
        For each slice, (H, W) numbers that are larger on a membrane.
    thresholds
        A pixel is membrane where its number is at least this.
    thin
        Thin the membranes first.

    Returns
    -------
    list of MembraneScores
        One for each threshold, the means over the slices.

    Examples
    --------
    >>> sweep = membrane_sweep([[[1, 0, 2]]], [[[0.1, 0.6, 0.3]]], (0.2, 0.5, 0.8))
    >>> [scores.rand for scores in sweep], max(sweep, key=lambda scores: scores.rand).threshold
    ([0.66666..., 1.0, 0.66666...], 0.5)
    """
    if len(cells_true) != len(probabilities) or not len(cells_true):
        raise ValueError(f"expected one map for each truth, got {len(probabilities)} for {len(cells_true)}")
    sweep = []
    for threshold in thresholds:
        of_slices = [
            membrane_scores(true, cells_between(probability, threshold), thin=thin)
            for true, probability in zip(cells_true, probabilities, strict=True)
        ]
        sweep.append(replace(mean_scores(of_slices), threshold=float(threshold)))
    return sweep


def mean_scores(scores: Sequence[MembraneScores]) -> MembraneScores:
    """Average the scores of several slices; the threshold is left out."""
    names = [field.name for field in fields(MembraneScores) if field.name != "threshold"]
    return MembraneScores(**{name: float(np.mean([getattr(one, name) for one in scores])) for name in names})


def cells_between(probability: Any, threshold: float = 0.5) -> Tensor:
    """Number the regions between membranes: 0 where the probability is at least the threshold, cells from 1.

    Regions share sides: two that touch at a corner are two.

    Examples
    --------
    >>> cells_between(torch.tensor([[0.1, 0.9, 0.2], [0.1, 0.3, 0.8]])).tolist()
    [[1, 0, 2], [1, 1, 0]]
    """
    probability = torch.as_tensor(probability)
    if probability.ndim != 2:
        raise ValueError(f"expected a map (H, W), got {tuple(probability.shape)}")
    return connected_components(torch.where(probability >= threshold, -1, 0)) + 1


def thin_membranes(cells: Any) -> Tensor:
    """Let cells grow into the membranes, each pixel to the nearest, but for a line of one pixel where two meet.

    Parameters
    ----------
    cells
        (H, W) whole numbers, 0 a membrane.

    Returns
    -------
    Tensor
        (H, W) int64, on the device of `cells`; where it has no cell at all, all membrane still.

    Examples
    --------
    >>> thin_membranes([[1, 0, 0, 0, 2, 2, 0]]).tolist()
    [[1, 1, 0, 2, 2, 2, 2]]
    """
    cells = as_labels(cells)
    was = cells.cpu().numpy()
    if not was.any():
        return cells
    at = distance_transform_edt(was == 0, return_distances=False, return_indices=True)
    grown = was[tuple(at)]
    out = grown.copy()
    free = was == 0
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        meet = grown[first] != grown[second]
        out[first][meet & free[first]] = 0
        out[second][meet & ~free[first] & free[second]] = 0
    return torch.from_numpy(out).to(cells.device)


def _of_cells(true: Tensor, pred: Tensor) -> dict[str, float]:
    """The challenge's scores, on the pixels that are in a cell of the truth."""
    table = contingency_table(torch.where(true > 0, true - 1, -1), pred)
    n = float(table.n_pixels)
    in_cell = table.pred > 0  # pred 0: as many cells of one pixel
    alone = float(table.counts[~in_cell].sum())
    # Counts are exact anywhere; a GPU rounds logarithms of them its own way.
    p, t, s = (x.double().cpu() for x in (table.counts[in_cell], table.sizes_true, table.sizes_pred[0, 1:]))
    together, in_pred, in_true = (float((x**2).sum()) for x in (p, s, t))
    together, in_pred = together + alone, in_pred + alone
    of_both, of_pred = _entropy(p, n, alone), _entropy(s, n, alone)
    of_true = _entropy(t, n, 0)
    shared = max(of_pred + of_true - of_both, 0.0)
    return {
        "rand": 2 * together / (in_pred + in_true),
        "rand_split": together / in_true,
        "rand_merge": together / in_pred,
        "information": 2 * shared / (of_pred + of_true) if of_pred + of_true > 0 else 1.0,
        "information_split": shared / of_pred if of_pred > 0 else 1.0,
        "information_merge": shared / of_true if of_true > 0 else 1.0,
    }


def _entropy(counts: Tensor, n: float, alone: float) -> float:
    """In bits, of cells with so many of n pixels, and of others that have one each."""
    share = counts[counts > 0] / n
    return float(-(share * share.log2()).sum()) + alone / n * float(np.log2(n))
