"""What the objects in some bundled photographs are, outlined by hand for this course.

So that a chapter can score a real photograph with no data set at hand. One person drew each outline, to about two
pixels; Berkeley's several annotators a picture are another matter (`BSDS500`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import torch
from skimage.draw import ellipse, polygon
from torch import Tensor

from seglab.datasets.bundled import photo

__all__ = ["PhotoTruth", "photo_truth", "photos_with_truth"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoTruth:
    """A hand-drawn truth.

    Attributes
    ----------
    labels
        (H, W) int64: 0 is the background, then the objects in the order in which they were drawn.
    names
        What each label is: ``names[labels[row, col]]``.
    """

    labels: Tensor
    names: tuple[str, ...]


def photos_with_truth() -> tuple[str, ...]:
    """The bundled photographs that `photo_truth` knows.

    Examples
    --------
    >>> photos_with_truth()
    ('coffee', 'coins', 'flower')
    """
    return tuple(_outlines())


def photo_truth(name: str, *, max_side: int | None = None) -> PhotoTruth:
    """The outlined objects of a bundled photograph.

    Parameters
    ----------
    name
        One of `photos_with_truth`: coffee (cup, saucer, spoon, ...), coins (24 of them), flower.
    max_side
        Shrink to the size of ``photo(name, max_side=max_side)``, each pixel taking the label at its middle.

    Raises
    ------
    ValueError
        No outlines were drawn for that name; the message lists those that have some.

    Examples
    --------
    >>> photo_truth("coffee").names
    ('table', 'dark corner', 'saucer', 'cup', 'spoon', 'coffee')
    """
    if name not in _outlines():
        raise ValueError(f"No truth was drawn for {name!r}; there is one for {', '.join(photos_with_truth())}.")
    record = _outlines()[name]
    labels = np.zeros(record["size"], np.int64)
    names = [record["background"]]
    for shape in record["shapes"]:
        if shape["name"] not in names:
            names.append(shape["name"])
        if "polygon" in shape:
            rows, cols = np.array(shape["polygon"], float).T
            inside = polygon(rows, cols, shape=labels.shape)
        else:
            row, col, height, width = shape["ellipse"]
            inside = ellipse(row, col, height, width, shape=labels.shape)
        labels[inside] = names.index(shape["name"])
    truth = torch.from_numpy(labels)
    if max_side is not None:
        truth = truth[_middles(truth, photo(name, max_side=max_side).shape[-2:])]
    return PhotoTruth(labels=truth, names=tuple(names))


def _middles(labels: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The rows (H, 1) and columns (1, W) of the large map under the middles of a small map's pixels."""
    rows, cols = (((torch.arange(n) + 0.5) * full / n).long() for n, full in zip(shape, labels.shape, strict=True))
    return rows[:, None], cols[None]


@cache
def _outlines() -> dict[str, Any]:
    return json.loads(resources.files(__package__).joinpath("outlines.json").read_text("utf-8"))
