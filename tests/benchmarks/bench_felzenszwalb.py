"""Felzenszwalb–Huttenlocher, from a photograph to a label map, beside scikit-image's compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.segmentation
from torch import Tensor

from seglab.labels import as_labels
from seglab.methods import Felzenszwalb
from seglab.metrics import variation_of_information

from . import Row, benchmark
from .harness import as_numpy


class _Regions(Row):
    """Both join the same 8-neighbors with the same parameters; equal up to ties of 8-bit colors."""

    method: Felzenszwalb

    def prepare(self, image: Tensor) -> np.ndarray:
        return as_numpy(image)

    def ours(self, data: np.ndarray) -> Any:
        return self.method.segment(data)

    def theirs(self, data: np.ndarray) -> np.ndarray:
        m = self.method
        return skimage.segmentation.felzenszwalb(data, scale=m.scale, sigma=m.sigma, min_size=m.min_size)

    def agree(self, ours: Any, theirs: np.ndarray) -> str:
        n, m = ours.n_segments, len(np.unique(theirs))
        apart = variation_of_information(ours, as_labels(theirs))
        assert apart < 0.5, f"not the same partition: {apart:.3g} bits apart"
        return f"{n} and {m} regions, {apart:.3g} bits apart"


_REFERENCE = "scikit-image felzenszwalb, the same parameters"


@benchmark("Felzenszwalb–Huttenlocher, scale 300", reference=_REFERENCE, least=4)
class Scale300(_Regions):
    method = Felzenszwalb(scale=300, sigma=0.8, min_size=50)


@benchmark("Felzenszwalb–Huttenlocher, scale 1, scikit-image's defaults", reference=_REFERENCE, least=4)
class Defaults(_Regions):
    method = Felzenszwalb(scale=1, sigma=0.8, min_size=20)
