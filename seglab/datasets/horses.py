"""The Weizmann horses: 327 photographs of a horse each, with its figure as a mask."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.datasets._catalog import SOURCES
from seglab.datasets._download import complete
from seglab.datasets._source import read_pixels
from seglab.image import as_image
from seglab.segmenter import generator

__all__ = ["HorseImage", "WeizmannHorses"]

_SIZES = {"train": 200, "val": 27, "test": 100}


@dataclass(frozen=True, kw_only=True, eq=False)
class HorseImage:
    """One photograph with its mask, read when somebody looks and then kept with this object.

    Attributes
    ----------
    id
        Its name: ``"horse001"``.
    image_path, mask_path
        Its two files.
    """

    id: str
    image_path: Path
    mask_path: Path

    @cached_property
    def photograph(self) -> Tensor:
        """The photograph as published (3, H, W) float32 in [0, 1]; from 81 to 1280 pixels a side."""
        return as_image(read_pixels(self.image_path, "RGB", "horses"))

    @cached_property
    def labels(self) -> Tensor:
        """The truth (h, w) int64: 1 on the horse, 0 elsewhere; at the mask's size, about 250 pixels a side."""
        return torch.from_numpy((read_pixels(self.mask_path, "L", "horses") > 127).astype(np.int64))

    @cached_property
    def image(self) -> Tensor:
        """The photograph at the mask's size (3, h, w), so that picture and truth fit; the truth is never resized."""
        size = list(self.labels.shape)
        small = F.interpolate(self.photograph[None], size, mode="bilinear", align_corners=False, antialias=True)
        return small[0].clamp(0, 1)

    def __repr__(self) -> str:
        return f"HorseImage(id={self.id!r})"


class WeizmannHorses(Sequence[HorseImage]):
    """The Weizmann horses, as a sequence of `HorseImage`.

    Parameters
    ----------
    split
        ``"train"`` (200 photographs), ``"val"`` (27), ``"test"`` (100), or ``"all"``. The set is published without a
        division; this one is drawn at random, once and for all.
    root
        The folder that holds ``weizmann_horses``, or that folder itself. By default the folder that the environment
        variable SEGLAB_DATA names, then the user's cache.
    download
        Download the data set (15 MB of files) where it is not found, and repair it where it is incomplete.

    Raises
    ------
    ValueError
        There is no such split.
    DatasetNotFoundError
        The data set is not on this computer, and ``download`` is off.
    DatasetError
        Files are missing, or the download failed.

    References
    ----------
    E. Borenstein, S. Ullman. Class-specific, top-down segmentation. ECCV 2002. doi:10.1007/3-540-47967-8_8

    Examples
    --------
    >>> horses = WeizmannHorses("test")  # doctest: +SKIP
    >>> horses[0].image.shape[1:] == horses[0].labels.shape, len(horses)  # doctest: +SKIP
    (True, 100)
    """

    def __init__(
        self,
        split: Literal["train", "val", "test", "all"] = "train",
        root: str | os.PathLike | None = None,
        *,
        download: bool = False,
    ):
        if split not in (*_SIZES, "all"):
            raise ValueError(f"split is one of {', '.join(_SIZES)}, all; got {split!r}")
        self.folder = complete(SOURCES["horses"], root, download=download)
        self.split: str = split
        self.ids: tuple[str, ...] = _divided(split, sorted({Path(path).stem for path in SOURCES["horses"].files}))

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, key: int) -> HorseImage: ...
    @overload
    def __getitem__(self, key: slice) -> list[HorseImage]: ...
    def __getitem__(self, key: int | slice) -> HorseImage | list[HorseImage]:
        if isinstance(key, slice):
            return [self[i] for i in range(len(self))[key]]
        id = self.ids[key]
        paths = self.folder / "images" / f"{id}.jpg", self.folder / "labels" / f"{id}.png"
        return HorseImage(id=id, image_path=paths[0], mask_path=paths[1])

    def __iter__(self) -> Iterator[HorseImage]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"WeizmannHorses({self.split!r}, {len(self)} photographs)"


def _divided(split: str, ids: Sequence[str]) -> tuple[str, ...]:
    """The names of a part, in order."""
    if split == "all":
        return tuple(ids)
    order = torch.randperm(len(ids), generator=generator(0)).tolist()
    ends = np.cumsum([0, *_SIZES.values()])
    k = list(_SIZES).index(split)
    return tuple(sorted(ids[i] for i in order[ends[k] : ends[k + 1]]))
