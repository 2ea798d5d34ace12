"""Nerve cells in an electron microscope: the 30 slices that the ISBI 2012 challenge gave out with their truth."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import torch
from torch import Tensor

from seglab.datasets._catalog import SOURCES
from seglab.datasets._download import complete
from seglab.datasets._source import read_pixels
from seglab.labels import connected_components

__all__ = ["Membrane", "MembraneSlice"]

_SPLITS = {"train": range(20), "val": range(20, 24), "test": range(24, 30)}


@dataclass(frozen=True, kw_only=True, eq=False)
class MembraneSlice:
    """One slice with its truth, read when somebody looks and then kept with this object.

    Attributes
    ----------
    number
        Its place in the stack, from 0: neighbors show the same cells 50 nm further on.
    image_path, truth_path
        Its two files.
    """

    number: int
    image_path: Path
    truth_path: Path

    @cached_property
    def image(self) -> Tensor:
        """The slice (1, 512, 512) float32 in [0, 1]."""
        return torch.from_numpy(read_pixels(self.image_path, "L", "membrane"))[None].float() / 255

    @cached_property
    def membrane(self) -> Tensor:
        """(512, 512) bool: True on a membrane between cells."""
        return torch.from_numpy(read_pixels(self.truth_path, "L", "membrane")) < 128

    @cached_property
    def cells(self) -> Tensor:
        """(512, 512) int64: 0 on a membrane, and a number for each region between them that hangs together by sides."""
        return connected_components(torch.where(self.membrane, -1, 0)) + 1

    def __repr__(self) -> str:
        return f"MembraneSlice(number={self.number})"


class Membrane(Sequence[MembraneSlice]):
    """The labelled stack of the ISBI 2012 challenge: 20 slices to learn from, 4 to choose by, 6 held out.

    A sequence of `MembraneSlice`. Nothing is read before somebody looks at a slice or its truth.

    Parameters
    ----------
    split
        ``"train"`` (slices 0 to 19), ``"val"`` (20 to 23) or ``"test"`` (24 to 29).
    root
        The folder that holds ``membrane``, or that folder itself. By default the folder that the environment variable
        SEGLAB_DATA names, then the user's cache.
    download
        Download the data set (6.5 MB of files) where it is not found, and repair it where it is incomplete.

    Raises
    ------
    ValueError
        There is no such split.
    DatasetNotFoundError
        The data set is not on this computer, and ``download`` is off.
    DatasetError
        Files are missing or broken, or the download failed.

    Notes
    -----
    The challenge kept the truth of another 30 slices to itself, so this split is ours. Neighboring slices resemble
    each other; the last six in a row are held out so that one of them only has a neighbor among the others.

    References
    ----------
    I. Arganda-Carreras et al. Crowdsourcing the creation of image segmentation algorithms for connectomics. Frontiers
    in Neuroanatomy 9:142, 2015. doi:10.3389/fnana.2015.00142

    Examples
    --------
    >>> held_out = Membrane("test")  # doctest: +SKIP
    >>> held_out[0].image.shape, int(held_out[0].cells.max())  # doctest: +SKIP
    (torch.Size([1, 512, 512]), 105)
    """

    def __init__(
        self,
        split: Literal["train", "val", "test"] = "train",
        root: str | os.PathLike | None = None,
        *,
        download: bool = False,
    ):
        if split not in _SPLITS:
            raise ValueError(f"split is one of {', '.join(_SPLITS)}; got {split!r}")
        self.folder = complete(SOURCES["membrane"], root, download=download)
        self.split: str = split
        self._slices = [self._slice(number) for number in _SPLITS[split]]

    def _slice(self, number: int) -> MembraneSlice:
        image, truth = (self.folder / "train" / kind / f"{number}.png" for kind in ("image", "label"))
        return MembraneSlice(number=number, image_path=image, truth_path=truth)

    def __len__(self) -> int:
        return len(self._slices)

    @overload
    def __getitem__(self, key: int) -> MembraneSlice: ...
    @overload
    def __getitem__(self, key: slice) -> list[MembraneSlice]: ...
    def __getitem__(self, key: int | slice) -> MembraneSlice | list[MembraneSlice]:
        return self._slices[key]

    def __iter__(self) -> Iterator[MembraneSlice]:
        return iter(self._slices)

    def __repr__(self) -> str:
        return f"Membrane({self.split!r}, {len(self)} slices)"
