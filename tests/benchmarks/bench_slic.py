"""SLIC, from a photograph to a label map of connected superpixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.segmentation
from torch import Tensor

from seglab.labels import as_labels, mean_color
from seglab.methods import SLIC

from . import Row, benchmark
from .harness import as_numpy


class _Superpixels(Row):
    """Both take ten steps in CIELAB with compactness 10, and connect what they have found."""

    n_segments: int

    def prepare(self, image: Tensor) -> np.ndarray:
        return as_numpy(image)

    def ours(self, data: np.ndarray) -> Any:
        return SLIC(n_segments=self.n_segments, max_iter=10).segment(data)

    def theirs(self, data: np.ndarray) -> np.ndarray:
        return skimage.segmentation.slic(data, self.n_segments, compactness=10, max_num_iter=10, start_label=0)

    def agree(self, ours: Any, theirs: np.ndarray) -> str:
        image, maps = ours.image, (ours.labels, as_labels(theirs))
        own, other = (float((mean_color(labels, image) - image).square().mean()) for labels in maps)
        n, m = ours.n_segments, len(np.unique(theirs))
        assert n <= self.n_segments
        return f"{n} and {m} superpixels, mean squared error of their mean colors {own:.3g} and {other:.3g}"


@benchmark("SLIC, 200 superpixels", reference="scikit-image slic(200, compactness=10), ten iterations", least=2.5)
class Few(_Superpixels):
    n_segments = 200


@benchmark("SLIC, 10,000 superpixels", reference="scikit-image slic(10000, compactness=10), ten iterations", least=2.5)
class Many(_Superpixels):
    n_segments = 10_000
