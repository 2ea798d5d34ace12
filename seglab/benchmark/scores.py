"""What is kept of one segmentation beside its truths: enough for every table, without computing again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab.labels import connected_components, count_labels
from seglab.metrics.berkeley import RegionScores
from seglab.metrics.boundary import BoundaryScores, boundary_scores, thin_boundaries
from seglab.metrics.contingency import ContingencyTable, contingency_table
from seglab.metrics.region import best_overlaps, best_overlaps_of_prediction, rand_indices, variations_of_information
from seglab.metrics.segments import SegmentScores, segment_scores

__all__ = ["MEASURES", "PictureScores", "SettingScore", "Truths", "checked_measures", "pooled", "score", "whole"]

MEASURES = ("region", "boundary", "segments")


def checked_measures(measures: str | Iterable[str]) -> tuple[str, ...]:
    """Some of `MEASURES`, in their order.

    Examples
    --------
    >>> checked_measures("segments,region")
    ('region', 'segments')
    """
    names = [name.strip() for name in (measures.split(",") if isinstance(measures, str) else measures)]
    if not names or not set(names) <= set(MEASURES):
        raise ValueError(f"measures are some of {', '.join(MEASURES)}; got {', '.join(names) or 'none'}")
    return tuple(name for name in MEASURES if name in names)


@dataclass(frozen=True, eq=False)
class Truths:
    """What people made of a picture: label maps (H, W), and their boundaries (H, W) bool, thinned."""

    labels: Sequence[Any]
    boundaries: Sequence[Any] = ()

    @classmethod
    def of(cls, picture: Any, measures: Sequence[str] = MEASURES) -> Truths:
        """Those of a picture, with the boundaries that its file has, or else those of its label maps."""
        labels = list(picture.segmentations)
        if "boundary" not in measures:
            return cls(labels)
        drawn = getattr(picture, "boundaries", None)
        return cls(labels, [thin_boundaries(each) for each in labels] if drawn is None else list(drawn))


@dataclass(frozen=True, kw_only=True)
class Region:
    """Region measures.

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
    """

    overlaps: tuple[float, ...]
    sizes: tuple[int, ...]
    covered_pred: float
    total_pred: float
    rand: float
    information: float


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """Pixels of boundaries that are in a pair, and all: of the truths together, and of the segmentation."""

    matched_true: int
    total_true: int
    matched_pred: int
    total_pred: int


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Segments as detections.

    Attributes
    ----------
    sizes, counts
        Each size that segments have, in decreasing order, and how many have it.
    n_true
        For each truth how many segments it has.
    pred, true, overlaps
        For each pair that overlaps by more than a half (no other can be a detection): the segment's place in the order
        of sizes, the number of the truth's segment, and their intersection over union.
    """

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    n_true: tuple[int, ...]
    pred: tuple[int, ...]
    true: tuple[int, ...]
    overlaps: tuple[float, ...]

    @classmethod
    def of(cls, found: SegmentScores) -> Segments:
        """What is kept of them."""
        order = np.argsort(-found.sizes, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        sizes, counts = np.unique(found.sizes, return_counts=True)
        half = found.overlaps > 0.5
        return cls(
            sizes=tuple(sizes[::-1].tolist()),
            counts=tuple(counts[::-1].tolist()),
            n_true=tuple(np.bincount(found.truth_of).tolist()),
            pred=tuple(place[found.pred[half]].tolist()),
            true=tuple(found.true[half].tolist()),
            overlaps=tuple(found.overlaps[half].tolist()),
        )

    def scores(self) -> SegmentScores:
        """As `seglab.metrics.segment_benchmark` takes them, at thresholds from a half."""
        return SegmentScores(
            sizes=np.repeat(np.array(self.sizes, np.int64), np.array(self.counts, np.int64)),
            truth_of=np.repeat(np.arange(len(self.n_true)), self.n_true),
            pred=np.array(self.pred, np.int64),
            true=np.array(self.true, np.int64),
            overlaps=np.array(self.overlaps, float),
        )


@dataclass(frozen=True, kw_only=True)
class SettingScore:
    """One picture's segmentation at one setting, compared with all of its truths.

    Attributes
    ----------
    n_segments
        How many segments it has.
    seconds
        How long the method took.
    region, boundary, segments
        The measures; None where one was not asked for.
    """

    n_segments: int
    seconds: float
    region: Region | None = None
    boundary: Boundary | None = None
    segments: Segments | None = None

    @property
    def measures(self) -> set[str]:
        """Those that are there."""
        return {name for name in MEASURES if getattr(self, name) is not None}

    def joined(self, older: SettingScore | None) -> SettingScore:
        """These scores, and an older one's where one is not here."""
        if older is None:
            return self
        return dataclasses.replace(self, **{n: getattr(older, n) for n in older.measures - self.measures})

    def only(self, measures: Iterable[str]) -> SettingScore:
        """Without other measures than these."""
        others: dict[str, Any] = dict.fromkeys(self.measures - set(measures))
        return dataclasses.replace(self, **others)

    def to_json(self) -> dict[str, Any]:
        """The fields, as they are stored."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> SettingScore:
        """What `to_json` gave, after a way through a file."""
        fields: dict[str, Any] = dict(stored)
        for name, kind in (("region", Region), ("boundary", Boundary), ("segments", Segments)):
            if stored[name] is not None:
                content: dict[str, Any] = {
                    key: tuple(v) if isinstance(v, list) else v for key, v in stored[name].items()
                }
                fields[name] = kind(**content)
        return cls(**fields)


def score(
    truths: Truths | Sequence[Any],
    labels: Tensor,
    seconds: float = 0.0,
    connected: bool = False,
    measures: Sequence[str] = MEASURES,
) -> SettingScore:
    """Compare a segmentation with a picture's truths.

    Parameters
    ----------
    truths
        `Truths`, or label maps (H, W), one for each person.
    labels
        (H, W) int64; pixels without a label (−1) count as one more segment.
    seconds
        How long it took to make, to be kept with the scores.
    connected
        Count places of one label that do not touch as segments of their own, as Berkeley's benchmark does not.
    measures
        Some of `MEASURES`. Segments as detections are connected in any case, as in the paper.

    Examples
    --------
    >>> import torch
    >>> found = score([[[0, 0, 1, 1]]], torch.tensor([[0, 0, 0, 1]]))
    >>> found.region.overlaps, found.segments.overlaps
    ((0.666..., 0.5), (0.666...,))
    """
    if not isinstance(truths, Truths):
        truths = Truths(list(truths), [thin_boundaries(truth) for truth in truths] if "boundary" in measures else [])
    pieces = whole(connected_components(labels)) if connected or "segments" in measures else labels
    counted = pieces if connected else whole(labels)
    regions = contingency_table(truths.labels, counted) if "region" in measures else None
    found: dict[str, Any] = {}
    if regions is not None:
        found["region"] = _region(regions)
    if "boundary" in measures:
        found["boundary"] = _boundary(boundary_scores(truths.boundaries, [counted]))
    if "segments" in measures:
        table = regions if connected and regions is not None else contingency_table(truths.labels, pieces)
        found["segments"] = Segments.of(segment_scores(table))
    return SettingScore(n_segments=count_labels(counted), seconds=seconds, **found)


def _region(table: ContingencyTable) -> Region:
    sizes = table.sizes_pred.amax(0).double()
    return Region(
        overlaps=tuple(best_overlaps(table).tolist()),
        sizes=tuple(table.sizes_true.tolist()),
        covered_pred=float(best_overlaps_of_prediction(table).amax(0) @ sizes),
        total_pred=float(sizes.sum()),
        rand=float(rand_indices(table).mean()),
        information=float(variations_of_information(table).mean()),
    )


def _boundary(scores: BoundaryScores) -> Boundary:
    names = [field.name for field in dataclasses.fields(Boundary)]
    return Boundary(**{name: int(getattr(scores, name)[0]) for name in names})


def whole(labels: Tensor) -> Tensor:
    """Give pixels without a label (−1) one of their own: what is left out has to count against a segmentation."""
    return torch.where(labels < 0, labels.max() + 1, labels)


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureScores:
    """One picture's scores at all settings; a measure that was left out is None."""

    region: RegionScores | None = None
    boundary: BoundaryScores | None = None
    segments: tuple[SegmentScores, ...] | None = None


def pooled(scores: Sequence[SettingScore]) -> PictureScores:
    """One picture's scores at all settings; of each measure that is there at all of them."""
    places = np.arange(1.0, len(scores) + 1)
    regions = [s.region for s in scores if s.region is not None]
    drawn = [s.boundary for s in scores if s.boundary is not None]
    detections = [s.segments.scores() for s in scores if s.segments is not None]
    names = [field.name for field in dataclasses.fields(Boundary)]
    return PictureScores(
        region=_regions(regions, places) if len(regions) == len(scores) else None,
        boundary=(
            BoundaryScores(thresholds=places, **{n: np.array([getattr(b, n) for b in drawn], float) for n in names})
            if len(drawn) == len(scores)
            else None
        ),
        segments=tuple(detections) if len(detections) == len(scores) else None,
    )


def _regions(scores: Sequence[Region], places: NDArray[np.float64]) -> RegionScores:
    overlaps, sizes = np.array([s.overlaps for s in scores]), np.array(scores[0].sizes, float)
    return RegionScores(
        thresholds=places,
        covered=overlaps @ sizes,
        covered_best=float(overlaps.max(0) @ sizes),
        total=float(sizes.sum()),
        covered_pred=np.array([s.covered_pred for s in scores]),
        total_pred=np.array([s.total_pred for s in scores]),
        rand=np.array([s.rand for s in scores]),
        information=np.array([s.information for s in scores]),
    )
