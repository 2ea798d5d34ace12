"""What is kept of one segmentation beside its truths: enough for every table, without computing again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglab.labels import connected_components
from seglab.metrics.berkeley import RegionScores
from seglab.metrics.contingency import contingency_table
from seglab.metrics.region import best_overlaps, best_overlaps_of_prediction, rand_indices, variations_of_information

__all__ = ["SettingScore", "pooled", "score", "whole"]


@dataclass(frozen=True, kw_only=True)
class SettingScore:
    """One picture's segmentation at one setting, compared with all of its truths.

    Attributes
    ----------
    overlaps
        (R,) for each segment of the truths its best overlap with one of the segmentation.
    sizes
        (R,) the pixels of those segments.
    covered_pred, total_pred
        The pixels of the segmentation, weighted by how well a segment of the truths covers them, and all of them.
    rand, information
        The probabilistic Rand index, and the variation of information in bits.
    n_segments
        How many segments it has.
    seconds
        How long the method took.
    """

    overlaps: tuple[float, ...]
    sizes: tuple[int, ...]
    covered_pred: float
    total_pred: float
    rand: float
    information: float
    n_segments: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The fields, as they are stored."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> SettingScore:
        """What `to_json` gave, after a way through a file."""
        lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
        return cls(**{**stored, **lists})


def score(truths: Sequence[Any], labels: Tensor, seconds: float = 0.0, connected: bool = False) -> SettingScore:
    """Compare a segmentation with a picture's truths.

    Parameters
    ----------
    truths
        Label maps (H, W), one for each person.
    labels
        (H, W) int64; pixels without a label (−1) count as one more segment.
    seconds
        How long it took to make, to be kept with the scores.
    connected
        Count places of one label that do not touch as segments of their own, as Berkeley's benchmark does not.

    Examples
    --------
    >>> import torch
    >>> score([[[0, 0, 1, 1]]], torch.tensor([[0, 0, 0, 1]])).overlaps
    (0.666..., 0.5)
    """
    table = contingency_table(list(truths), whole(connected_components(labels) if connected else labels))
    sizes = table.sizes_pred.amax(0).double()
    best = best_overlaps_of_prediction(table).amax(0)
    return SettingScore(
        overlaps=tuple(best_overlaps(table).tolist()),
        sizes=tuple(table.sizes_true.tolist()),
        covered_pred=float(best @ sizes),
        total_pred=float(sizes.sum()),
        rand=float(rand_indices(table).mean()),
        information=float(variations_of_information(table).mean()),
        n_segments=int((sizes > 0).sum()),
        seconds=seconds,
    )


def whole(labels: Tensor) -> Tensor:
    """Give pixels without a label (−1) one of their own: what is left out has to count against a segmentation."""
    return torch.where(labels < 0, labels.max() + 1, labels)


def pooled(scores: Sequence[SettingScore]) -> RegionScores:
    """One picture's scores at all settings, as `seglab.metrics.region_benchmark` takes them."""
    overlaps = np.array([s.overlaps for s in scores])
    sizes = np.array(scores[0].sizes, float)
    return RegionScores(
        thresholds=np.arange(1.0, len(scores) + 1),
        covered=overlaps @ sizes,
        covered_best=float(overlaps.max(0) @ sizes),
        total=float(sizes.sum()),
        covered_pred=np.array([s.covered_pred for s in scores]),
        total_pred=np.array([s.total_pred for s in scores]),
        rand=np.array([s.rand for s in scores]),
        information=np.array([s.information for s in scores]),
    )
