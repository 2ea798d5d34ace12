"""What a file of results holds: label maps, an ultrametric contour map, or boundaries; none is silently taken for one.

A gray picture may be either of two. Its lines are boundaries if it is 0 but for lines so thin that no 3×3 pixels have
one value; it is a label map if its values count from 0 or 1 without a gap, or have one place each. What is neither, as
a soft map of boundaries, is not guessed at: somebody has to say what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from seglab.labels import as_labels, connected_components, count_labels
from seglab.metrics.berkeley import read_segs, read_ucm2

__all__ = ["KINDS", "Kind", "possible_kinds", "read_contours", "read_label_maps"]

Kind = Literal["labels", "ucm", "boundaries"]
KINDS: tuple[str, ...] = get_args(Kind)
PICTURES = (".png", ".tif", ".tiff", ".bmp")


def read_label_maps(path: Path) -> list[Tensor]:
    """The label maps in a file: one of a picture or an array (H, W), several of (n, H, W), .npz or a cell ``segs``.

    Raises
    ------
    ValueError
        There is none in it.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        return [as_labels(path)]
    if suffix == ".mat":
        maps = read_segs(path)
    else:
        maps = [as_labels(labels) for array in _arrays(path) for labels in (array if array.ndim == 3 else [array])]
    if not maps:
        where = "the cell segs of " if suffix == ".mat" else ""
        raise ValueError(f"empty: {where}{path} holds no label map where at least one is wanted")
    return maps


def read_contours(path: Path) -> NDArray[np.float64]:
    """How strong a boundary is, from 0 to 1: (H, W) of a gray picture or an array, or (2H+1, 2W+1) of a ``ucm2``."""
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return read_ucm2(path).numpy()
    if suffix in PICTURES:
        with Image.open(path) as file:
            if file.mode not in ("L", "1", "I;16"):
                raise ValueError(f"boundaries are a gray picture; {path} has the mode {file.mode}")
            full = {"L": 255, "1": 1, "I;16": 65535}[file.mode]
            return np.asarray(file).astype(float) / full
    (array,) = _arrays(path)
    values = array / 255 if array.dtype == np.uint8 else array.astype(float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"boundaries are from 0 to 1, or whole numbers of eight bits; {path} has others")
    return values


def _arrays(path: Path) -> list[NDArray]:
    if path.suffix.lower() == ".npy":
        return [np.load(path, allow_pickle=False)]
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        return [content[name] for name in content.files]


def possible_kinds(path: Path) -> set[str]:
    """What a file may hold, by its content; nothing where that cannot be told.

    Raises
    ------
    ValueError
        A .mat file with neither ``segs`` nor ``ucm2``, or lines of 0 on 255.
    """
    if path.suffix.lower() == ".mat":
        names = {name for name, _, _ in scipy.io.whosmat(str(path))}
        if not names & {"segs", "ucm2"}:
            raise ValueError(f"unreadable: {path}: neither 'segs' nor 'ucm2' is in this .mat file")
        return {"ucm" if "ucm2" in names else "labels"}
    if path.suffix.lower() in PICTURES:
        with Image.open(path) as file:
            return _kinds(path, np.asarray(file)) if file.mode == "L" else {"labels"}
    arrays = _arrays(path)
    if any(array.dtype.kind == "f" and not (array == np.floor(array)).all() for array in arrays):
        return {"boundaries", "ucm"}  # which of them, its size says
    return _kinds(path, arrays[0]) if len(arrays) == 1 and arrays[0].dtype == np.uint8 else {"labels"}


def _kinds(path: Path, gray: NDArray) -> set[str]:
    if gray.ndim != 2:
        return {"labels"}  # whatever it is, its reader refuses it by name
    gray = gray.astype(np.int64)
    values = np.unique(gray)
    if len(values) == 1:
        return {"labels", "boundaries"}
    thick = {int(value) for value in values if ndimage.binary_erosion(gray == value, np.ones((3, 3), bool)).any()}
    if values.tolist() == [0, 255] and thick == {255}:
        raise ValueError(f"boundaries: {path} has lines of 0 on 255: draw them the other way around, 255 on 0")
    counted = len(values) == values[-1] - values[0] + 1 and values[0] <= 1 and len(values) <= 32
    if counted:
        return {"labels"}
    if not thick <= {0}:
        n_places = count_labels(connected_components(torch.from_numpy(gray)))
        return {"labels"} if len(values) <= 32 or n_places <= 3 * len(values) else set()
    return {"boundaries"} if values[0] == 0 and values[-1] >= 128 else set()
