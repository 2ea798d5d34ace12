"""Superpixel measures, beside the same ones from SciPy, scikit-image and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

from seglab.metrics import superpixel_scores

from . import Row, benchmark
from .bench_region import maps

_RADIUS = 2
_NAMES = (
    "boundary_recall",
    "boundary_precision",
    "undersegmentation_error",
    "undersegmentation_error_np",
    "achievable_segmentation_accuracy",
    "compactness",
    "explained_variation",
)


class _Scores(Row):
    """All measures of one map of superpixels against one truth."""

    n_segments: int

    def prepare(self, image: Tensor) -> Any:
        few = min(image.shape[-2:]) < 100
        truth, labels = maps(image, *((3, 20) if few else (25, self.n_segments)))
        return image, truth, labels

    def ours(self, data: tuple[Tensor, Tensor, Tensor]) -> tuple[float, ...]:
        image, truth, labels = data
        scores = superpixel_scores(labels, truth, image, tolerance=_RADIUS)
        return tuple(getattr(scores, name) for name in _NAMES)

    def theirs(self, data: tuple[Tensor, Tensor, Tensor]) -> tuple[float, ...]:
        image, truth, labels = data[0].numpy(), data[1].numpy(), data[2].numpy()
        marks = [find_boundaries(x, connectivity=1, mode="thick") for x in (truth, labels)]
        near = [ndimage.maximum_filter(mark, 2 * _RADIUS + 1) for mark in marks]
        table = contingency_matrix(truth.ravel(), labels.ravel(), sparse=True)
        accuracy = table.max(0).sum() / truth.size
        size = np.asarray(table.sum(0))[0]
        pairs = table.tocoo()
        np_error = np.minimum(pairs.data, size[pairs.col] - pairs.data).sum() / truth.size
        padded, sides = np.pad(labels, 1, constant_values=-1), np.zeros(len(size))
        for other in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
            sides += np.bincount(labels[labels != other], minlength=len(size))
        compact = 4 * np.pi * (size**2 / sides**2).sum() / truth.size
        every, within = np.arange(len(size)), 0.0
        for plane in image.astype(np.float64):
            within += (ndimage.variance(plane, labels, every) * size).sum()
        variation = 1 - within / (image.astype(np.float64).reshape(3, -1).var(1).sum() * truth.size)
        recall, precision = near[1][marks[0]].mean(), near[0][marks[1]].mean()
        return recall, precision, 1 - accuracy, np_error, accuracy, compact, variation

    def agree(self, ours: tuple[float, ...], theirs: tuple[float, ...]) -> str:
        apart = np.abs(np.subtract(ours, theirs)).max()
        assert apart < 1e-9, f"{ours} and {theirs}"
        return f"recall {ours[0]:.4f}, leaked {ours[2]:.4f}, compactness {ours[5]:.4f}; differ by {apart:.0e}"


_REFERENCE = "the same by SciPy, scikit-image and scikit-learn"


@benchmark("superpixel measures, 200 superpixels", reference=_REFERENCE)
class Few(_Scores):
    n_segments = 200


@benchmark("superpixel measures, 5000 superpixels", reference=_REFERENCE)
class Many(_Scores):
    n_segments = 5000
