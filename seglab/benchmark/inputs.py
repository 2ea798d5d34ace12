"""Segmentations that somebody else made, in the formats of Berkeley's benchmark and as label maps."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from seglab.benchmark.pictures import Picture, shape_of
from seglab.benchmark.scores import whole
from seglab.labels import as_labels
from seglab.metrics.berkeley import (
    RegionScores,
    read_segs,
    read_ucm2,
    region_scores,
    region_scores_of_hierarchy,
)

__all__ = ["Entry", "find_results", "read_label_maps"]

SUFFIXES = (".mat", ".npy", ".npz", ".png", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class Entry:
    """A picture's results: one file, or one for each setting."""

    picture: Picture
    paths: tuple[Path, ...]
    contours: bool = False  # a contour map, to be cut at many thresholds

    def scores(self, n_thresholds: int = 99) -> RegionScores:
        """Compare with the picture's truths."""
        truths = copy.copy(self.picture).segmentations  # what a picture keeps when it is read goes with the copy
        if self.contours:
            return region_scores_of_hierarchy(truths, read_ucm2(self.paths[0]), n_thresholds)
        return region_scores(truths, [whole(labels) for path in self.paths for labels in read_label_maps(path)])


def read_label_maps(path: Path) -> list[Tensor]:
    """The label maps in a file: one of a picture or an array (H, W), several of (n, H, W), .npz or a cell ``segs``."""
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return read_segs(path)
    if suffix == ".npy":
        arrays = [np.load(path, allow_pickle=False)]
    elif suffix == ".npz":
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = [content[name] for name in content.files]
    else:
        return [as_labels(path)]
    return [as_labels(labels) for array in arrays for labels in (array if array.ndim == 3 else [array])]


def find_results(folder: Path, pictures: Sequence[Picture]) -> tuple[list[Entry], tuple[str, ...]]:
    """Pair a folder's files with pictures, and name the settings; refuse what does not fit before any work.

    Parameters
    ----------
    folder
        Files named after the pictures' ids, or a subfolder of these for each setting.
    pictures
        Those to be scored.

    Raises
    ------
    ValueError
        Missing, extra, unreadable or wrong-sized files, pictures of boundaries, or other numbers of settings. The
        first ten are named, and how many more there are.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: give the folder with one file for each picture")
    subfolders = sorted((p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_natural)
    groups = [(g.name, _files(g)) for g in (subfolders or [folder])]
    if subfolders and _files(folder):
        raise ValueError(f"{folder} has both files and subfolders: a subfolder is a setting, with all of its files")
    wanted = {picture.id for picture in pictures}
    problems = [line for name, files in groups for line in _mismatches(name, files, wanted)]
    if problems:
        raise ValueError(_listed(folder, problems))
    entries, counts = [], {}
    for picture in pictures:
        paths = tuple(files[picture.id][0] for _, files in groups)
        contours = False
        shape = shape_of(picture)
        for path in paths:
            try:
                contours, counts[path] = _checked(path, shape)
            except Exception as error:  # broken files raise whatever they like
                problems.append(str(error) if str(path) in str(error) else f"unreadable: {path}: {error}")
        entries.append(Entry(picture, paths, contours))
    if problems:
        raise ValueError(_listed(folder, problems))
    return entries, _settings(folder, [name for name, _ in groups] if subfolders else [], entries, counts)


def _settings(folder: Path, names: list[str], entries: list[Entry], counts: dict[Path, int]) -> tuple[str, ...]:
    """The settings' names; none for contour maps."""
    kinds = {entry.contours for entry in entries}
    each = {sum(counts[path] for path in entry.paths) for entry in entries}
    if len(kinds) > 1 or (names and kinds == {True}):
        raise ValueError(f"{folder}: contour maps lie in one folder, and not with other files")
    if kinds == {True}:
        return ()
    if len(each) > 1:
        few = min(entries, key=lambda entry: sum(counts[path] for path in entry.paths))
        raise ValueError(f"{folder}: from {min(each)} ({few.picture.id}) to {max(each)} settings: all need the same")
    (n,) = each
    return tuple(names) if len(names) == n else tuple(str(i) for i in range(1, n + 1))


def _natural(path: Path) -> list[tuple[float, str]]:
    return [(float(word), "") if word[:1].isdigit() else (0.0, word) for word in re.split(r"(\d+\.?\d*)", path.name)]


def _files(folder: Path) -> dict[str, list[Path]]:
    """By the picture's id, the files that can be read."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    return found


def _mismatches(name: str, files: dict[str, list[Path]], wanted: set[str]) -> Iterator[str]:
    for id in sorted(wanted - set(files)):
        yield f"missing: {id} (in {name})"
    for id in sorted(set(files) - wanted):
        yield f"extra: {files[id][0].name} (in {name}) belongs to no picture"
    for id in sorted(id for id, paths in files.items() if len(paths) > 1):
        yield f"extra: {' and '.join(path.name for path in files[id])} (in {name}): which of them?"


def _checked(path: Path, shape: tuple[int, int]) -> tuple[bool, int]:
    """Whether a file holds a contour map, and how many label maps otherwise; it fits the picture."""
    if path.suffix.lower() == ".mat":
        names = {name for name, _, _ in scipy.io.whosmat(str(path))}
        if "ucm2" in names:
            _fits(path, tuple(read_ucm2(path).shape), (2 * shape[0] + 1, 2 * shape[1] + 1))
            return True, 0
        if "segs" not in names:
            raise ValueError(f"unreadable: {path}: neither 'segs' nor 'ucm2' is in this .mat file")
    maps = read_label_maps(path)
    for labels in maps:
        _fits(path, tuple(labels.shape), shape)
        if _is_drawing(labels.numpy()):
            raise ValueError(
                f"boundaries: {path} has thin lines of 255 on 0, or of 0 on 255: give its label map instead"
            )
    return False, len(maps)


def _is_drawing(labels: NDArray[np.int64]) -> bool:
    """Whether a label map is rather a picture of boundaries: black and white, and one of them nowhere 3×3 pixels."""
    if not np.array_equal(np.unique(labels), [0, 255]):
        return False
    return any(not ndimage.binary_erosion(labels == value, np.ones((3, 3), bool)).any() for value in (0, 255))


def _fits(path: Path, size: tuple[int, ...], wanted: tuple[int, int]) -> None:
    if tuple(size) != wanted:
        got = "×".join(map(str, size))
        raise ValueError(f"wrong size: {path} is {got} where {wanted[0]}×{wanted[1]} is wanted")


def _listed(folder: Path, problems: Sequence[str]) -> str:
    more = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
    return "\n  ".join([f"{folder} does not fit the data set:", *problems[:10], *more])
