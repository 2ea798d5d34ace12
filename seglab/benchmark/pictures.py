"""Pictures with truths to run methods over: a real data set by its name, or a folder of one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from seglab.datasets import BSDS500
from seglab.image import as_image
from seglab.labels import as_labels
from seglab.metrics.berkeley import read_ground_truth

__all__ = ["FolderPicture", "Picture", "fingerprint", "open_pictures", "shape_of"]


class Picture(Protocol):
    """A picture to segment, with what people made of it."""

    @property
    def id(self) -> str:
        """Its name, unlike all others."""

    @property
    def image(self) -> Any:
        """Anything that `seglab.image.as_image` takes."""

    @property
    def segmentations(self) -> Sequence[Any]:
        """Its true label maps (H, W), one for each person."""


@dataclass(frozen=True)
class FolderPicture:
    """A picture file with its truth: a Berkeley .mat file, or a label map as a picture or an array."""

    id: str
    image_path: Path
    truth_path: Path

    @property
    def image(self) -> Tensor:
        """The picture (C, H, W)."""
        return as_image(self.image_path)

    @property
    def segmentations(self) -> list[Tensor]:
        """Its truths."""
        from seglab.benchmark.inputs import read_label_maps

        berkeley = self.truth_path.suffix.lower() == ".mat"
        return read_ground_truth(self.truth_path) if berkeley else read_label_maps(self.truth_path)


def open_pictures(dataset: str | Path | Iterable[Picture], split: str = "test") -> tuple[str, Sequence[Picture]]:
    """Open a data set: its name for tables and folders, and its pictures.

    Parameters
    ----------
    dataset
        ``"bsds500"``; a folder with the subfolders ``images`` and ``truth`` whose files have the same stems; or
        anything iterable whose elements have ``id``, ``image`` and ``segmentations``.
    split
        The part of a named data set; in a folder, ``images/SPLIT`` and ``truth/SPLIT``. A folder without them is all
        one part, ``"test"``.

    Raises
    ------
    ValueError
        There is no such data set or split, or two pictures have the same id.
    DatasetError
        It is not on this computer; the message says how to get it.
    """
    if dataset == "bsds500":
        return f"bsds500-{split}", BSDS500(split)  # type: ignore[arg-type]
    if isinstance(dataset, (str, Path)):
        if not Path(dataset).is_dir():
            raise ValueError(f"no data set {str(dataset)!r}: name bsds500, or a folder with images/ and truth/")
        return f"{Path(dataset).resolve().name}-{split}", _folder(Path(dataset), split)
    pictures = list(dataset)
    if len({picture.id for picture in pictures}) < len(pictures):
        raise ValueError("two pictures have the same id: each is stored under its own")
    return f"own-{split}", pictures


def _folder(root: Path, split: str) -> list[FolderPicture]:
    if split != "test" and not (root / "images" / split).is_dir():
        raise ValueError(f"{root} has no split {split!r}: its pictures would lie in {root / 'images' / split}")
    folders = []
    for name in ("images", "truth"):
        folder = root / name / split if (root / name / split).is_dir() else root / name
        if not folder.is_dir():
            raise ValueError(f"{root} has no folder {name}: pictures lie in images/, truths of the same stem in truth/")
        folders.append({p.stem: p for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")})
    images, truths = folders
    if set(images) != set(truths) or not images:
        lone = sorted(set(images) ^ set(truths))
        raise ValueError(f"{root}: {', '.join(lone[:5]) or 'nothing there'}: each picture needs a truth of its stem")
    return [FolderPicture(stem, images[stem], truths[stem]) for stem in sorted(images)]


def shape_of(picture: Picture) -> tuple[int, int]:
    """Height and width, from the picture file's head where there is one."""
    path = getattr(picture, "image_path", None)
    if path is None:
        height, width = np.shape(picture.segmentations[0])[-2:]
        return height, width
    with Image.open(path) as file:
        return file.height, file.width


def fingerprint(picture: Picture) -> str:
    """Tell a picture and its truths from others of the same id, so that scores of those are not taken for its own."""
    digest = hashlib.sha256()
    files = [getattr(picture, name, None) for name in ("image_path", "truth_path")]
    paths = [path for path in files if isinstance(path, Path)]
    if len(paths) == len(files):
        for path in paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    else:
        for tensor in (as_image(picture.image), *map(as_labels, picture.segmentations)):
            digest.update(repr(tuple(tensor.shape)).encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
