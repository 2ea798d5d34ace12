"""Split and merge: a quadtree beside recursion in NumPy, and the whole beside what a user would pick."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.segmentation import felzenszwalb
from torch import Tensor

from seglab.methods import SplitMerge

from . import Row, benchmark
from .harness import as_numpy

_THRESHOLD, _LEAST = 0.04, 2


@benchmark("split: a quadtree by standard deviation", reference="recursion in NumPy (no library has it)", least=5)
class Split(Row):
    """Colors in RGB, blocks of at least 2×2 pixels."""

    theirs_up_to = 300_000

    def ours(self, data: Tensor) -> Any:
        return SplitMerge(threshold=_THRESHOLD, min_block=_LEAST, merge=False, color_space="rgb").segment(data)

    def theirs(self, data: Tensor) -> Any:
        image = as_numpy(data).astype(np.float64)
        labels = np.zeros(image.shape[:2], int)
        _recurse(image, labels, 0)
        return labels

    def agree(self, ours: Any, theirs: Any) -> str:
        assert ours.n_segments == theirs.max() + 1
        pairs = np.unique(np.stack([ours.labels.numpy().ravel(), theirs.ravel()]), axis=1).shape[1]
        assert pairs == ours.n_segments, "not the same blocks"
        return f"the same {ours.n_segments} blocks"


@benchmark("split and merge", reference="scikit-image felzenszwalb(scale=50, sigma=0.8)")
class Whole(Row):
    """Another way from pixels to even regions of any shape: what a user would pick, as no library has this one."""

    def ours(self, data: Tensor) -> Any:
        return SplitMerge(threshold=_THRESHOLD, min_block=_LEAST, color_space="rgb").segment(data)

    def theirs(self, data: Tensor) -> Any:
        return felzenszwalb(as_numpy(data), scale=50, sigma=0.8, channel_axis=2)

    def agree(self, ours: Any, theirs: Any) -> str:
        assert (ours.labels >= 0).all()
        return f"{ours.n_segments} and {theirs.max() + 1} segments"


def _recurse(image: np.ndarray, labels: np.ndarray, n: int) -> int:
    """Write labels from n on into the views of one block; returns the next free one."""
    height, width = labels.shape
    rows = (slice(0, height // 2), slice(height // 2, None)) if height >= 2 * _LEAST else (slice(None),)
    cols = (slice(0, width // 2), slice(width // 2, None)) if width >= 2 * _LEAST else (slice(None),)
    pixels = image.reshape(-1, image.shape[2])
    if len(rows) + len(cols) == 2 or pixels.var(axis=0).mean() <= (255 * _THRESHOLD) ** 2:
        labels[...] = n
        return n + 1
    for r in rows:
        for c in cols:
            n = _recurse(image[r, c], labels[r, c], n)
    return n
