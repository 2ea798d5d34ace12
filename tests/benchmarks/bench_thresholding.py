"""Thresholding, from a gray picture of 256 levels to a label map."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.color import rgb2gray
from skimage.filters import threshold_local, threshold_multiotsu, threshold_otsu
from torch import Tensor

from seglab.image import rgb_to_gray
from seglab.methods import Thresholding
from seglab.segmenter import Segmentation

from . import Row, benchmark
from .harness import as_numpy


class _Gray(Row):
    """Both take the same array (H, W) of bytes.

    Otsu's rule on it is the one row where most of our time is the frame, not the method: a float picture of every
    pixel before, int64 labels after, where scikit-image counts bytes and makes a bool mask. On a photograph, which
    scikit-image turns into a float picture too, the next row, the work is the same.
    """

    method: Thresholding

    def prepare(self, image: Tensor) -> np.ndarray:
        return np.ascontiguousarray(as_numpy(rgb_to_gray(image).expand(3, -1, -1))[..., 0])

    def ours(self, data: np.ndarray) -> Segmentation:
        return self.method.segment(data)

    def agree(self, ours: Segmentation, theirs: tuple[Any, np.ndarray]) -> str:
        thresholds, labels = theirs
        equal = float((np.asarray(ours) == labels).mean())
        assert equal > 0.9999, f"only {100 * equal:.2f} % of the labels are equal"
        return f"{100 * equal:.2f} % of the labels equal" + (
            f", thresholds {thresholds}" if np.size(thresholds) < 9 else ""
        )


@benchmark("Otsu's threshold of bytes", reference="scikit-image threshold_otsu and a comparison", least=1)
class Otsu(_Gray):
    method = Thresholding()

    def theirs(self, data: np.ndarray) -> tuple[Any, np.ndarray]:
        threshold = threshold_otsu(data)
        return threshold, data > threshold


@benchmark(
    "Otsu's threshold of a color photograph", reference="scikit-image rgb2gray, threshold_otsu, compare", least=1
)
class OtsuOfColor(Otsu):
    """Both take the same array (H, W, 3) of bytes."""

    def prepare(self, image: Tensor) -> np.ndarray:
        return as_numpy(image)

    def theirs(self, data: np.ndarray) -> tuple[Any, np.ndarray]:
        return super().theirs(rgb2gray(data))


@benchmark("multi-Otsu, 4 classes", reference="scikit-image threshold_multiotsu and numpy.digitize", least=1)
class MultiOtsu(_Gray):
    method = Thresholding(rule="multi-otsu", n_classes=4)

    def theirs(self, data: np.ndarray) -> tuple[Any, np.ndarray]:
        thresholds = threshold_multiotsu(data, 4)
        return thresholds, np.digitize(data, thresholds, right=True)


@benchmark("local mean, 35×35", reference="scikit-image threshold_local(method='mean') and a comparison")
class LocalMean(_Gray):
    method = Thresholding(rule="local", statistic="mean", radius=17)

    def theirs(self, data: np.ndarray) -> tuple[Any, np.ndarray]:
        surface = threshold_local(data, 35, "mean")
        return surface, data > surface


@benchmark("local Gaussian mean, 35×35", reference="scikit-image threshold_local(method='gaussian') and a comparison")
class LocalGaussian(_Gray):
    method = Thresholding(rule="local", statistic="gaussian", radius=17)

    def theirs(self, data: np.ndarray) -> tuple[Any, np.ndarray]:
        surface = threshold_local(data, 35, "gaussian")
        return surface, data > surface
