"""Berkeley's region benchmark: covering, Rand index and variation of information over many pictures.

A method is run at several settings (thresholds of a contour map, numbers of clusters). For each picture `region_scores`
compares every setting's segmentation with all human ones; `region_benchmark` pools the pictures. ODS is the score at
the one setting that is best for the whole data set, OIS that with the best setting for each picture; each measure
chooses its own. `best` lets each human segment choose the setting that covers it best.

Conventions that differ from the obvious, all as in the published benchmark: covering is pooled over segments, people
and pictures (not a mean of pictures' scores); Rand index and variation of information are plain means over people,
then over pictures; places that are not connected but have the same label are one segment.

P. Arbeláez, M. Maire, C. Fowlkes, J. Malik. Contour Detection and Hierarchical Image Segmentation. IEEE Transactions
on Pattern Analysis and Machine Intelligence 33(5):898-916, 2011. doi:10.1109/TPAMI.2010.161
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab.hierarchy import Hierarchy
from seglab.metrics.contingency import ContingencyTable, contingency_table
from seglab.metrics.region import best_overlaps, best_overlaps_of_prediction, rand_indices, variations_of_information

__all__ = [
    "RegionBenchmark",
    "RegionScores",
    "Score",
    "format_official",
    "read_ground_truth",
    "read_segs",
    "read_ucm2",
    "region_benchmark",
    "region_scores",
    "region_scores_of_hierarchy",
    "region_scores_of_tables",
    "spread_thresholds",
    "tables_of_hierarchy",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionScores:
    """The scores of one picture at each of T settings, with what pooling needs.

    Attributes
    ----------
    thresholds
        (T,) the settings: thresholds of a contour map, or 1, 2, … for a list of segmentations.
    covered
        (T,) Σ |R| · max IoU over the segments R of all truths.
    covered_best
        The same where each segment of a truth takes its best setting.
    total
        Σ |R|: pixels times truths.
    covered_pred, total_pred
        (T,) the same sums for the segments of the prediction, covered by those of the truths.
    rand, information
        (T,) the probabilistic Rand index and the variation of information in bits.
    """

    thresholds: Array
    covered: Array
    covered_best: float
    total: float
    covered_pred: Array
    total_pred: Array
    rand: Array
    information: Array


class Score(NamedTuple):
    """One measure over a data set: at the best setting for all pictures, which one, and at the best for each."""

    ods: float
    threshold: float
    ois: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionBenchmark:
    """Berkeley's region scores of a method over a data set.

    Attributes
    ----------
    covering, rand, information
        ODS, its setting, and OIS of segmentation covering, probabilistic Rand index and variation of information
        (bits; less is better).
    covering_best
        The covering where each human segment takes its best setting.
    thresholds
        (T,) the settings.
    covering_at, rand_at, information_at
        (T,) the scores over the data set at each setting.
    images
        (M, 3) for each picture its best setting for the covering, the covering of the truth by the prediction there,
        and that of the prediction by the truth.
    """

    covering: Score
    covering_best: float
    rand: Score
    information: Score
    thresholds: Array
    covering_at: Array
    rand_at: Array
    information_at: Array
    images: Array

    def __str__(self) -> str:
        lines = ["                          ODS (at)          OIS    best"]
        for name, score in (("covering", self.covering), ("Rand index", self.rand), ("information", self.information)):
            best = f"{self.covering_best:8.4f}" if name == "covering" else ""
            lines.append(f"{name:<20}{score.ods:9.4f} ({score.threshold:.4g})".ljust(38) + f"{score.ois:9.4f}{best}")
        return "\n".join(lines)


def region_scores(truths: Sequence[Any], segmentations: Sequence[Any]) -> RegionScores:
    """Compare each of a picture's segmentations with all of its truths.

    Parameters
    ----------
    truths
        Label maps (H, W), one for each person; −1 where a pixel is not to count.
    segmentations
        Label maps (H, W), one for each setting of the method, in the same order for every picture.

    Returns
    -------
    RegionScores

    Examples
    --------
    >>> scores = region_scores([[[0, 0, 1, 1]]], [[[0, 0, 0, 0]], [[0, 0, 0, 1]]])
    >>> scores.covered / scores.total
    array([0.5       , 0.583...])
    """
    if not len(segmentations):
        raise ValueError("segmentations is an empty list: at least one is needed")
    tables = [contingency_table(list(truths), labels) for labels in segmentations]
    return region_scores_of_tables(np.arange(1.0, len(tables) + 1), tables)


def region_scores_of_hierarchy(
    truths: Sequence[Any], hierarchy: Hierarchy | Any, thresholds: Sequence[float] | Array | int = 99
) -> RegionScores:
    """Compare a hierarchy of segmentations, cut at many heights, with all of a picture's truths.

    Parameters
    ----------
    truths
        Label maps (H, W), one for each person; −1 where a pixel is not to count.
    hierarchy
        A `Hierarchy`, or an ultrametric contour map of double size (2H+1, 2W+1) with values from 0 to 1.
    thresholds
        The heights, or how many of them to spread evenly over (0, 1), as Berkeley's benchmark does.

    Returns
    -------
    RegionScores

    Notes
    -----
    Pixels are counted once, in the finest segments; above, it is segments and their counts that merge.

    Examples
    --------
    >>> contours = torch.zeros(3, 9)
    >>> contours[:, 4], contours[:, 6] = 0.8, 0.3
    >>> scores = region_scores_of_hierarchy([[[0, 0, 1, 1]]], contours, [0.2, 0.5, 0.9])
    >>> scores.covered / scores.total
    array([0.75, 1.  , 0.5 ])
    """
    heights = spread_thresholds(thresholds) if isinstance(thresholds, int) else np.asarray(thresholds, float)
    return region_scores_of_tables(heights, tables_of_hierarchy(truths, hierarchy, heights))


def tables_of_hierarchy(
    truths: Sequence[Any], hierarchy: Hierarchy | Any, heights: Sequence[float] | Array
) -> list[ContingencyTable]:
    """The contingency tables of a hierarchy cut at given heights; cuts that are the same share one object.

    Parameters as for `region_scores_of_hierarchy`.
    """
    if not len(heights):
        raise ValueError("thresholds is an empty list: at least one is needed")
    tree = hierarchy if isinstance(hierarchy, Hierarchy) else Hierarchy.from_contours(hierarchy)
    finest = contingency_table(list(truths), tree.leaves)
    merges = [tree.n_merges(height) for height in heights]
    tables = {n: finest.merged(tree.assign(n)) for n in sorted(set(merges))}
    return [tables[n] for n in merges]


def spread_thresholds(n: int = 99) -> Array:
    """The thresholds at which Berkeley's benchmark cuts contour maps: n, evenly spread over (0, 1).

    Examples
    --------
    >>> spread_thresholds(3)
    array([0.25, 0.5 , 0.75])
    """
    return np.linspace(1 / (n + 1), 1 - 1 / (n + 1), n)


def region_benchmark(scores: Iterable[RegionScores]) -> RegionBenchmark:
    """Pool the scores of many pictures into Berkeley's table.

    Parameters
    ----------
    scores
        One for each picture, all at the same settings.

    Raises
    ------
    ValueError
        There is none, or the settings differ.

    Notes
    -----
    Where settings tie, the first is chosen.
    """
    each = list(scores)
    if not each:
        raise ValueError("no scores: at least one picture is needed")
    thresholds = each[0].thresholds
    if any(not np.array_equal(s.thresholds, thresholds) for s in each):
        raise ValueError("pictures have different settings: each needs the same number of segmentations or thresholds")
    total = np.array([s.total for s in each])
    covered = np.stack([s.covered for s in each])
    reverse = np.stack([s.covered_pred / s.total_pred for s in each])
    own = (np.arange(len(each)), (covered / total[:, None]).argmax(1))
    at = covered.sum(0) / total.sum()
    rand = np.stack([s.rand for s in each])
    information = np.stack([s.information for s in each])
    return RegionBenchmark(
        covering=Score(at.max(), thresholds[at.argmax()], covered[own].sum() / total.sum()),
        covering_best=sum(s.covered_best for s in each) / total.sum(),
        rand=Score(rand.mean(0).max(), thresholds[rand.mean(0).argmax()], rand.max(1).mean()),
        information=Score(
            information.mean(0).min(), thresholds[information.mean(0).argmin()], information.min(1).mean()
        ),
        thresholds=thresholds,
        covering_at=at,
        rand_at=rand.mean(0),
        information_at=information.mean(0),
        images=np.column_stack([thresholds[own[1]], covered[own] / total, reverse[own]]),
    )


def format_official(scores: Iterable[RegionScores]) -> dict[str, str]:
    """Write the text files of Berkeley's own program, character for character.

    Parameters
    ----------
    scores
        One for each picture, in the order of their files' names.

    Returns
    -------
    dict
        For each file's name its text: ``eval_cover.txt`` (setting, ODS, OIS, best), ``eval_cover_img.txt`` (number,
        best setting, covering, covering the other way, for each picture), ``eval_cover_th.txt`` (covering at each
        setting), ``eval_RI_VOI.txt`` (setting, ODS, OIS of either) and ``eval_RI_VOI_thr.txt`` (both at each setting).

    Notes
    -----
    That program keeps each picture's sums and scores in text files of six significant digits, and pools what it reads
    back. So does this function, or the last printed digit would differ here and there; `region_benchmark` does not.
    """
    result = region_benchmark(_printed_and_read_back(score) for score in scores)
    rows: dict[str, Any] = {
        "eval_cover.txt": [(result.covering.threshold, result.covering.ods, result.covering.ois, result.covering_best)],
        "eval_cover_img.txt": [(i, *row) for i, row in enumerate(result.images, start=1)],
        "eval_cover_th.txt": zip(result.thresholds, result.covering_at, strict=True),
        "eval_RI_VOI.txt": [
            tuple(v for s in (result.rand, result.information) for v in (s.threshold, s.ods, s.ois)),
        ],
        "eval_RI_VOI_thr.txt": zip(result.thresholds, result.rand_at, result.information_at, strict=True),
    }
    return {
        name: "".join(" ".join(f"{value:10.6g}" for value in row) + "\n" for row in lines)
        for name, lines in rows.items()
    }


def _printed_and_read_back(scores: RegionScores) -> RegionScores:
    """The scores with six significant digits each."""
    fields = {field.name: getattr(scores, field.name) for field in dataclasses.fields(scores)}
    return RegionScores(**{name: _six_digits(value) for name, value in fields.items()})


def _six_digits(value: Any) -> Any:
    return float(f"{value:.6g}") if np.ndim(value) == 0 else np.array([float(f"{v:.6g}") for v in value])


def read_segs(path: str | os.PathLike) -> list[Tensor]:
    """The segmentations in a file of Berkeley's format: the cell ``segs`` of a .mat file, as label maps (H, W) int64.

    Labels are as in the file, which numbers from 1.
    """
    return [torch.from_numpy(labels.astype(np.int64, "C")) for labels in _cell(path, "segs").ravel()]


def read_ucm2(path: str | os.PathLike) -> Tensor:
    """The contour map of double size (2H+1, 2W+1) float64 in a file of Berkeley's format: ``ucm2`` of a .mat file."""
    return torch.from_numpy(np.ascontiguousarray(_cell(path, "ucm2"), dtype=np.float64))


def read_ground_truth(path: str | os.PathLike) -> list[Tensor]:
    """The human segmentations in a file of Berkeley's format: the cell ``groundTruth`` of a .mat file.

    Label maps (H, W) int64, numbered as in the file, from 1.
    """
    people = [person["Segmentation"].item() for person in _cell(path, "groundTruth").ravel()]
    return [torch.from_numpy(labels.astype(np.int64, "C")) for labels in people]


def _cell(path: str | os.PathLike, name: str) -> NDArray[Any]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {Path(path)}")
    try:
        content = scipy.io.loadmat(str(path), appendmat=False, variable_names=[name])
    except Exception as error:  # scipy raises many kinds on a broken file
        raise ValueError(f"{Path(path)} cannot be read as a .mat file: {error}") from error
    if name not in content:
        raise ValueError(f"{Path(path)} holds no variable {name!r}")
    return content[name]


def region_scores_of_tables(thresholds: Array, tables: Sequence[ContingencyTable]) -> RegionScores:
    """The scores from one table for each setting; a table that comes again is measured once."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for table in tables:
        if id(table) not in found:
            found[id(table)] = _measured(table)
    sizes = tables[0].sizes_true.double()
    overlaps = torch.stack([found[id(table)][1] for table in tables])
    values = torch.stack([found[id(table)][0] for table in tables]).T.cpu().numpy()
    return RegionScores(
        thresholds=thresholds,
        covered=(overlaps @ sizes).cpu().numpy(),
        covered_best=float(overlaps.amax(0) @ sizes),
        total=float(sizes.sum()),
        covered_pred=values[0],
        total_pred=values[1],
        rand=values[2],
        information=values[3],
    )


def _measured(table: ContingencyTable) -> tuple[Tensor, Tensor]:
    """Four sums and means (covered and all pixels of the prediction, Rand, information), and (R,) best overlaps."""
    # Under several truths a segment of the prediction takes its best overlap with a segment of any of them.
    best = best_overlaps_of_prediction(table).amax(0)
    sizes = table.sizes_pred.amax(0).double()
    covered = best @ sizes
    values = (covered, sizes.sum(), rand_indices(table).mean(), variations_of_information(table).mean())
    return torch.stack(values), best_overlaps(table)
