"""How people agree with one another: each person's segmentation scored against the others', as if it were a method's.

What a method can hope for: where people differ, no segmentation agrees with all of them. The scores of BSDS500's 200
test pictures are stored in ``people.json``; with the data at hand, `write_people` makes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seglab.datasets import BSDS500
from seglab.labels import as_labels, count_labels
from seglab.metrics.boundary import BoundaryScores, boundary_scores
from seglab.metrics.region import probabilistic_rand_index, segmentation_covering, variation_of_information

__all__ = ["PeopleScores", "leave_one_out", "people_on_bsds500", "pooled_f", "write_people"]


@dataclass(frozen=True, kw_only=True)
class PeopleScores:
    """One picture: its people scored against one another; means over the person who is left out.

    Attributes
    ----------
    id
        The picture's number.
    n_segments
        How many segments each person drew.
    covering, rand, information
        Covering of the others' segments, probabilistic Rand index, variation of information in bits.
    boundary
        Four counts, summed over the person left out: matched and all boundary pixels of the others, matched and all of
        the person. See `seglab.metrics.BoundaryScores`.
    """

    id: str
    n_segments: tuple[int, ...]
    covering: float
    rand: float
    information: float
    boundary: tuple[int, int, int, int]

    @property
    def f(self) -> float:
        """F of the boundaries, from the picture's counts."""
        return pooled_f([self])


def leave_one_out(truths: Sequence[Any], boundaries: Sequence[Any] | None = None, *, id: str = "") -> PeopleScores:
    """Score each person's segmentation of a picture against all the others'.

    Parameters
    ----------
    truths
        Label maps (H, W), one for each person, at least two.
    boundaries
        (H, W) bool for each person, thin; those of the label maps otherwise.
    id
        The picture's number.

    Raises
    ------
    ValueError
        There are fewer than two people.

    Examples
    --------
    >>> scores = leave_one_out([[[0, 0, 1, 1]], [[0, 0, 1, 2]]])
    >>> scores.covering, round(scores.information, 3), scores.n_segments
    (0.75, 0.5, (2, 3))
    """
    maps = [as_labels(labels) for labels in truths]
    if len(maps) < 2:
        raise ValueError(f"people are compared with one another: at least two are needed; got {len(maps)}")
    drawn = list(truths if boundaries is None else boundaries)
    values, counts = [], []
    for k, own in enumerate(maps):
        others = maps[:k] + maps[k + 1 :]
        values.append([f(others, own) for f in (segmentation_covering, probabilistic_rand_index)])
        values[-1].append(variation_of_information(others, own))
        s = boundary_scores(drawn[:k] + drawn[k + 1 :], [drawn[k]])
        counts.append([s.matched_true[0], s.total_true[0], s.matched_pred[0], s.total_pred[0]])
    covering, rand, information = (float(v) for v in np.mean(values, 0))
    matched_true, total_true, matched_pred, total_pred = (int(n) for n in np.sum(counts, 0))
    return PeopleScores(
        id=id,
        n_segments=tuple(count_labels(labels) for labels in maps),
        covering=covering,
        rand=rand,
        information=information,
        boundary=(matched_true, total_true, matched_pred, total_pred),
    )


def pooled_f(each: Sequence[PeopleScores]) -> float:
    """F of the boundaries from the sums of the pictures' counts, as the benchmark pools them."""
    sums = np.sum([s.boundary for s in each], 0, dtype=float)[:, None]
    names = ("matched_true", "total_true", "matched_pred", "total_pred")
    return float(BoundaryScores(thresholds=np.ones(1), **dict(zip(names, sums, strict=True))).f[0])


def people_on_bsds500() -> list[PeopleScores]:
    """The stored scores of the 200 test pictures of BSDS500, in the order of their numbers; needs no data set.

    Examples
    --------
    >>> people = people_on_bsds500()
    >>> len(people), f"{np.mean([s.covering for s in people]):.2f}"  # 0.72 was published
    (200, '0.72')
    """
    rows = json.loads(_FILE.read_text(encoding="utf-8"))["pictures"]
    return [
        PeopleScores(**row | {"n_segments": tuple(row["n_segments"]), "boundary": tuple(row["boundary"])})
        for row in rows
    ]


_FILE = Path(__file__).with_name("people.json")
_ABOUT = (
    "BSDS500, test: each person scored against the others of the same picture, means over the person left out; "
    "boundary: matched and all pixels of the others, matched and all of the person, summed over the person left out. "
    "Made by: seglab.benchmark.people.write_people('people.json')"
)


def write_people(path: str | Path) -> None:
    """Score the people of BSDS500's test pictures, and write what `people_on_bsds500` reads; takes some minutes."""
    lines = []
    for picture in BSDS500("test"):
        row = asdict(leave_one_out(picture.segmentations, picture.boundaries, id=picture.id))
        lines.append(json.dumps({name: round(v, 6) if isinstance(v, float) else v for name, v in row.items()}))
    pictures = ",\n  ".join(lines)
    Path(path).write_text(
        f'{{\n "about": {json.dumps(_ABOUT)},\n "pictures": [\n  {pictures}\n ]\n}}\n', encoding="utf-8"
    )
