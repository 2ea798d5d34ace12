"""The Berkeley Segmentation Data Set: 500 photographs, each segmented by four to nine people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import numpy as np
import scipy.io
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from seglab.datasets._catalog import SOURCES
from seglab.datasets._download import complete
from seglab.datasets._source import DatasetError
from seglab.image import as_image

__all__ = ["BSDS500", "BSDSImage"]

Split = Literal["train", "val", "test"]
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class BSDSImage:
    """One photograph with its human segmentations, read when somebody looks and then kept with this object.

    Attributes
    ----------
    id
        Its number, as a string: ``"108004"``.
    split
        ``"train"``, ``"val"`` or ``"test"``.
    image_path, truth_path
        Its two files.
    """

    id: str
    split: str
    image_path: Path
    truth_path: Path

    @cached_property
    def image(self) -> Tensor:
        """The photograph (3, H, W) float32 in [0, 1]; 321×481 or 481×321."""
        try:
            with Image.open(self.image_path) as file:
                return as_image(np.array(file.convert("RGB")))
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise _unreadable(self.image_path, error) from error

    @property
    def segmentations(self) -> list[Tensor]:
        """Each person's label map (H, W) int64, numbered from 0: the file's numbers less one."""
        return [labels for labels, _ in self._truth]

    @property
    def boundaries(self) -> list[Tensor]:
        """Each person's boundaries (H, W) bool: the file's own, thinned, as the boundary benchmark uses them."""
        return [boundary for _, boundary in self._truth]

    @cached_property
    def _truth(self) -> list[tuple[Tensor, Tensor]]:
        try:
            cells = scipy.io.loadmat(self.truth_path)["groundTruth"].ravel()
            # Each cell holds a 1×1 struct, whose fields are 1×1 cells.
            people = [(cell["Segmentation"].item(), cell["Boundaries"].item()) for cell in cells]
        except Exception as error:  # scipy raises many kinds on a broken file
            raise _unreadable(self.truth_path, error) from error
        return [
            (torch.from_numpy(labels.astype(np.int64, "C") - 1), torch.from_numpy(boundary.astype(bool, "C")))
            for labels, boundary in people
        ]

    def __repr__(self) -> str:
        return f"BSDSImage(id={self.id!r}, split={self.split!r})"


class BSDS500(Sequence[BSDSImage]):
    """A split of the Berkeley Segmentation Data Set and Benchmarks 500.

    A sequence of `BSDSImage`. Nothing is read before somebody looks at a picture or its truth.

    Parameters
    ----------
    split
        ``"train"`` (200 photographs), ``"val"`` (100) or ``"test"`` (200).
    root
        The folder that holds ``BSDS500/data``, or one of these two folders themselves. By default the folder that the
        environment variable SEGLAB_DATA names, then the user's cache.
    download
        Download the data set (60 MB of files) where it is not found, and repair it where it is incomplete.

    Raises
    ------
    ValueError
        There is no such split.
    DatasetNotFoundError
        The data set is not on this computer, and ``download`` is off.
    DatasetError
        Files of the split are missing, or the download failed.

    Notes
    -----
    Photographs are in the order of their numbers as strings, the order of Berkeley's benchmark. Index by position, by
    number (``bsds["108004"]``), or with a slice, which is another, smaller `BSDS500`.

    References
    ----------
    P. Arbeláez, M. Maire, C. Fowlkes, J. Malik. Contour Detection and Hierarchical Image Segmentation. IEEE
    Transactions on Pattern Analysis and Machine Intelligence 33(5):898-916, 2011. doi:10.1109/TPAMI.2010.161

    Examples
    --------
    >>> bsds = BSDS500("test")  # doctest: +SKIP
    >>> tiger = bsds["108004"]  # doctest: +SKIP
    >>> tiger.image.shape, len(tiger.segmentations)  # doctest: +SKIP
    (torch.Size([3, 321, 481]), 5)
    """

    def __init__(self, split: Split = "train", root: str | os.PathLike | None = None, *, download: bool = False):
        if split not in _SPLITS:
            raise ValueError(f"split is one of {', '.join(_SPLITS)}; got {split!r}")
        part = f" of the split {split!r}"
        self.folder = complete(SOURCES["bsds500"], root, download=download, paths=_paths(split), part=part)
        self.split: str = split
        self.ids: tuple[str, ...] = _ids(split)
        self._position = {id: i for i, id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, key: int | str) -> BSDSImage: ...
    @overload
    def __getitem__(self, key: slice) -> BSDS500: ...
    def __getitem__(self, key: int | str | slice) -> BSDSImage | BSDS500:
        if isinstance(key, slice):
            return self._part(self.ids[key])
        if isinstance(key, str):
            if key not in self._position:
                raise KeyError(f"{key} is not in this part of BSDS500 ({self.split}, {len(self)} photographs)")
            key = self._position[key]
        id = self.ids[key]
        return BSDSImage(
            id=id,
            split=self.split,
            image_path=self.folder / "images" / self.split / f"{id}.jpg",
            truth_path=self.folder / "groundTruth" / self.split / f"{id}.mat",
        )

    def __iter__(self) -> Iterator[BSDSImage]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, item: object) -> bool:
        return (item.id if isinstance(item, BSDSImage) else item) in self._position

    def _part(self, ids: tuple[str, ...]) -> BSDS500:
        part = object.__new__(type(self))
        part.split, part.folder, part.ids = self.split, self.folder, ids
        part._position = {id: i for i, id in enumerate(ids)}
        return part

    def __repr__(self) -> str:
        return f"BSDS500({self.split!r}, {len(self)} photographs)"


def _paths(split: str) -> list[str]:
    return [path for path in SOURCES["bsds500"].files if path.split("/")[1] == split]


def _ids(split: str) -> tuple[str, ...]:
    """The split's numbers, from the list of checksums: the same whether or not files are missing."""
    return tuple(sorted(Path(path).stem for path in _paths(split) if path.startswith("images/")))


def _unreadable(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{path} cannot be read ({error}). seglab data fetch bsds500 checks and repairs the data set.")
