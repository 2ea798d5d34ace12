"""From pictures' scores to a data set's: each measure at each setting, and rows of the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.benchmark.scores import PictureScores
from seglab.benchmark.table import Cell, Row
from seglab.metrics.berkeley import region_benchmark
from seglab.metrics.boundary import boundary_benchmark
from seglab.metrics.segments import segment_benchmark

__all__ = ["Measured", "evaluated", "picture_lines", "pool"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One measure over a data set.

    Attributes
    ----------
    at
        (T,) its value at each setting.
    settings
        (T,) the settings: thresholds, or 1, 2, ….
    images
        (M, T) its value for each picture, where a picture has one of its own.
    ods, threshold
        The value at the best setting for all pictures, and that setting; for boundaries of ordered settings it lies
        between two of them as a rule.
    ois
        The value where each picture takes its own best setting; None where pictures have no value of their own.
    best, ap
        The covering where each human segment takes its best setting; the area under precision over recall.
    least
        Whether less is better.
    """

    at: Array
    settings: Array
    images: Array | None = None
    ods: float
    threshold: float
    ois: float | None = None
    best: float | None = None
    ap: float | None = None
    least: bool = False

    @property
    def place(self) -> int:
        """Which of the settings is best for the whole data set."""
        return int(self.at.argmin() if self.least else self.at.argmax())


def pool(scores: Sequence[PictureScores], ordered: bool = True) -> dict[str, Measured]:
    """Pool pictures' scores by every measure that all of them have.

    Parameters
    ----------
    scores
        One for each picture, at the same settings.
    ordered
        Whether settings that follow one another are alike, as thresholds are. If so, Berkeley's program looks for the
        best F of boundaries between two settings too; otherwise that of the settings themselves is taken.

    Raises
    ------
    ValueError
        There is no picture, or the settings differ.
    """
    if not scores:
        raise ValueError("no scores: at least one picture is needed")
    found: dict[str, Measured] = {}
    if all(each.region is not None for each in scores):
        found |= _regions(scores)
    if all(each.boundary is not None for each in scores):
        found["boundary"] = _boundaries(scores, ordered)
    if all(each.segments is not None for each in scores):
        found |= _segments(scores)
    return found


def _regions(scores: Sequence[PictureScores]) -> dict[str, Measured]:
    each = [s.region for s in scores if s.region is not None]
    result = region_benchmark(each)
    images = {
        "covering": np.stack([s.covered / s.total for s in each]),
        "rand": np.stack([s.rand for s in each]),
        "information": np.stack([s.information for s in each]),
    }
    return {
        name: Measured(
            at=getattr(result, f"{name}_at"),
            settings=result.thresholds,
            images=values,
            ods=float(getattr(result, name).ods),
            threshold=float(getattr(result, name).threshold),
            ois=float(getattr(result, name).ois),
            best=float(result.covering_best) if name == "covering" else None,
            least=name == "information",
        )
        for name, values in images.items()
    }


def _boundaries(scores: Sequence[PictureScores], ordered: bool) -> Measured:
    each = [s.boundary for s in scores if s.boundary is not None]
    result = boundary_benchmark(each)
    place = int(result.f_at.argmax())
    return Measured(
        at=result.f_at,
        settings=result.thresholds,
        images=np.stack([s.f for s in each]),
        ods=float(result.ods if ordered else result.f_at[place]),
        threshold=float(result.threshold if ordered else result.thresholds[place]),
        ois=float(result.ois),
        ap=float(result.ap) if len(result.thresholds) > 1 else None,
    )


def _segments(scores: Sequence[PictureScores]) -> dict[str, Measured]:
    """F of each picture at an overlap of a half and its mean, F of all segments together, AP at .5 and at .7."""
    settings = list(zip(*(s.segments for s in scores if s.segments is not None), strict=True))
    results = [segment_benchmark(each, (0.5, 0.7)) for each in settings]
    images = np.stack([result.images[:, 0] for result in results], 1)
    together = [2 * r.precision[0] * r.recall[0] / max(r.precision[0] + r.recall[0], 1e-300) for r in results]
    values = {
        "segment_f": images.mean(0),
        "segment_f_pooled": np.array(together),
        "ap50": np.array([result.ap[0] for result in results]),
        "ap70": np.array([result.ap[1] for result in results]),
    }
    places = _settings_of(scores[0], len(settings))
    return {
        name: Measured(
            at=at,
            settings=places,
            images=images if name == "segment_f" else None,
            ods=float(at.max()),
            threshold=float(places[at.argmax()]),
            ois=float(images.max(1).mean()) if name == "segment_f" else None,
        )
        for name, at in values.items()
    }


def _settings_of(scores: PictureScores, n: int) -> Array:
    known = scores.region or scores.boundary
    return np.arange(1.0, n + 1) if known is None else known.thresholds


def evaluated(
    name: str,
    measured: Mapping[str, Measured],
    labels: Sequence[str],
    n_pictures: int,
    chooser: Mapping[str, Measured] | None = None,
) -> Row:
    """A row of the table.

    Parameters
    ----------
    name
        What the row is called.
    measured
        What `pool` gave.
    labels
        What the settings are called; empty where they are thresholds.
    n_pictures
        How many were pooled.
    chooser
        The measures at the same settings on the pictures on which settings are chosen.
    """
    cells = {}
    for measure, m in measured.items():
        at = labels[m.place] if labels else f"{m.threshold:.4g}"
        cell = Cell(ods=m.ods, ois=m.ois, best=m.best, ap=m.ap, at=at)
        if chooser and measure in chooser:
            place = chooser[measure].place
            chosen_at = labels[place] if labels else f"{m.settings[place]:.4g}"
            cell = dataclasses.replace(cell, chosen=float(m.at[place]), chosen_at=chosen_at)
        cells[measure] = cell
    return Row(name, cells, n_pictures=n_pictures)


def picture_lines(ids: Sequence[str], measured: Mapping[str, Measured], labels: Sequence[str]) -> list[dict[str, Any]]:
    """For each picture its best setting and score by each measure."""
    lines: list[dict[str, Any]] = [{"picture": id} for id in ids]
    for measure, m in measured.items():
        if m.images is None:
            continue
        places = m.images.argmin(1) if m.least else m.images.argmax(1)
        for line, values, place in zip(lines, m.images, places, strict=True):
            at = labels[place] if labels else f"{m.settings[place]:.4g}"
            line |= {measure: short(float(values[place])), f"{measure}_at": at}
    return lines


def short(value: float) -> float:
    """A number with the six digits of Berkeley's text files; other things as they are."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
