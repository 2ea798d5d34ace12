"""Cell nuclei under all kinds of microscopes, each nucleus by itself: the 2018 Data Science Bowl.

These are the 65 pictures of its stage-1 test, whose truth was published after the contest: fluorescence, stained tissue
and bright field, in six sizes, 4,152 nuclei. They are split here into pictures to learn from, to choose
by and to be scored on.
"""

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

from seglab.datasets._catalog import SOURCES
from seglab.datasets._download import complete
from seglab.datasets._source import read_pixels
from seglab.image import as_image
from seglab.segmenter import generator

__all__ = ["Nuclei", "NucleiImage", "bright_nuclei"]

Split = Literal["train", "val", "test"]
_SPLITS = {"train": slice(29, None), "val": slice(20, 29), "test": slice(20)}  # of the pictures in an order of chance
_SEED = 0


def bright_nuclei(image: Tensor) -> Tensor:
    """Make every kind of picture look alike: one channel, nuclei bright on a dark ground, the same contrast.

    Gray; light and dark exchanged where the median is above the middle, for most of a picture is ground; then stretched
    so that the median is 0 and the 99.5th percentile 1.

    Parameters
    ----------
    image
        (C, H, W) in [0, 1].

    Returns
    -------
    Tensor
        (1, H, W) in [0, 1].

    Examples
    --------
    >>> dark = torch.tensor([[[0.9, 0.9, 0.9], [0.9, 0.5, 0.1]]])  # two dark nuclei on a bright ground
    >>> bright_nuclei(dark).round(decimals=1).tolist()
    [[[0.0, 0.0, 0.0], [0.0, 0.5, 1.0]]]
    """
    gray = image.mean(0, keepdim=True)
    gray = 1 - gray if gray.median() > 0.5 else gray
    low, high = gray.median(), torch.quantile(gray.flatten()[:: 1 + gray.numel() // 1_000_000], 0.995)
    return ((gray - low) / (high - low).clamp(min=1e-3)).clamp(0, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class NucleiImage:
    """One picture with its nuclei, read when somebody looks and then kept with this object.

    Attributes
    ----------
    id
        Its name, 64 hexadecimal digits.
    split
        ``"train"``, ``"val"`` or ``"test"``.
    image_path, mask_paths
        Its files: the picture, and one mask for each nucleus.
    """

    id: str
    split: str
    image_path: Path
    mask_paths: tuple[Path, ...]

    @cached_property
    def image(self) -> Tensor:
        """The picture (3, H, W) float32 in [0, 1]."""
        return as_image(read_pixels(self.image_path, "RGB", "nuclei"))

    @cached_property
    def instances(self) -> Tensor:
        """(H, W) int64: 0 the ground, and from 1 the nuclei in the order of their files."""
        labels = np.zeros(self.image.shape[1:], np.int64)
        for number, path in enumerate(self.mask_paths, 1):
            labels[read_pixels(path, "L", "nuclei") > 0] = number
        return torch.from_numpy(labels)

    def __repr__(self) -> str:
        return f"NucleiImage(id={self.id[:8]!r}…, split={self.split!r}, {len(self.mask_paths)} nuclei)"


class Nuclei(Sequence[NucleiImage]):
    """A split of the 2018 Data Science Bowl's stage-1 test, a sequence of `NucleiImage`.

    Parameters
    ----------
    split
        ``"train"`` (36 pictures), ``"val"`` (9) or ``"test"`` (20), drawn once by chance.
    root
        The folder that holds ``nuclei``, or that folder itself. By default the folder that the environment variable
        SEGLAB_DATA names, then the user's cache.
    download
        Download the data set (11 MB of files) where it is not found, and repair it where it is incomplete.

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
    The contest's own training pictures are other ones (670). A score on the 20 pictures held out here is not a place
    on its leaderboard: the network has seen pictures of the same microscopes, 36 of them, not 670.

    References
    ----------
    J. C. Caicedo et al. (2019). Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl. Nature
    Methods 16, 1247-1253. doi:10.1038/s41592-019-0612-7. The pictures: BBBC038v1, Broad Bioimage Benchmark Collection.

    Examples
    --------
    >>> nuclei = Nuclei("test")  # doctest: +SKIP
    >>> nuclei[0].image.shape, nuclei[0].instances.max()  # doctest: +SKIP
    """

    def __init__(self, split: Split = "train", root: str | os.PathLike | None = None, *, download: bool = False):
        if split not in _SPLITS:
            raise ValueError(f"split is one of {', '.join(_SPLITS)}; got {split!r}")
        self._masks = _masks(split)
        self.ids: tuple[str, ...] = tuple(self._masks)
        paths = [path for id in self.ids for path in (_picture(id), *self._masks[id])]
        self.folder = complete(SOURCES["nuclei"], root, download=download, paths=paths, part=f" of the split {split!r}")
        self.split: str = split

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, key: int) -> NucleiImage: ...
    @overload
    def __getitem__(self, key: slice) -> list[NucleiImage]: ...
    def __getitem__(self, key: int | slice) -> NucleiImage | list[NucleiImage]:
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        id = self.ids[key]
        return NucleiImage(
            id=id,
            split=self.split,
            image_path=self.folder / _picture(id),
            mask_paths=tuple(self.folder / path for path in self._masks[id]),
        )

    def __iter__(self) -> Iterator[NucleiImage]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Nuclei({self.split!r}, {len(self)} pictures)"


def _masks(split: str) -> dict[str, list[str]]:
    """The mask files of each picture of a split, from the list of checksums: the same where some are missing."""
    found: dict[str, list[str]] = {}
    for path in SOURCES["nuclei"].files:
        id, kind, _ = path.split("/")
        own = found.setdefault(id, [])
        if kind == "masks":
            own.append(path)
    ids = sorted(found)
    order = torch.randperm(len(ids), generator=generator(_SEED)).tolist()
    return {ids[i]: sorted(found[ids[i]], key=_number) for i in sorted(order[_SPLITS[split]])}


def _number(path: str) -> int:
    return int(Path(path).stem.rpartition("_")[2])


def _picture(id: str) -> str:
    return f"{id}/images/{id}.png"
