"""U-Net's border weights of a picture full of cells, beside a distance transform for each cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from seglab.networks.unet import border_weights

from . import Row, benchmark

_SPACING = 24  # pixels from cell to cell


@benchmark("border weights, a cell every 24 px", reference="SciPy distance transform per cell, two least", least=3)
class BorderWeights(Row):
    """Squares that nearly touch; the reference keeps the two least distances while it goes through the cells."""

    theirs_up_to = 200_000

    def prepare(self, image: Tensor) -> np.ndarray:
        row, col = np.indices(image.shape[1:])
        number = row // _SPACING * (image.shape[2] // _SPACING + 1) + col // _SPACING + 1
        return np.where((row % _SPACING < 20) & (col % _SPACING < 21), number, 0)

    def ours(self, data: np.ndarray) -> Tensor:
        return border_weights(data, class_weights=(1.0, 1.0))

    def theirs(self, data: np.ndarray) -> np.ndarray:
        d1 = d2 = np.full(data.shape, np.inf)
        for name in np.unique(data[data != 0]):
            distance = distance_transform_edt(data != name)
            d1, d2 = np.minimum(d1, distance), np.minimum(d2, np.maximum(d1, distance))
        return 1 + 10 * np.exp(-((d1 + d2) ** 2) / 50)

    def agree(self, ours: Tensor, theirs: Any) -> str:
        error = float((ours - torch.from_numpy(theirs)).abs().max())
        assert error < 1e-5
        return f"weights within {error:.1g}"
