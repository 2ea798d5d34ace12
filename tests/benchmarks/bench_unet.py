"""What U-Net's training does besides the network, border weights and elastic deformation; and its scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, map_coordinates
from skimage.metrics import adapted_rand_error, variation_of_information
from torch import Tensor

from seglab.metrics import membrane_scores
from seglab.networks.elastic import bend, displacements
from seglab.networks.unet import border_weights

from . import MEDIUM, PHOTO, Row, benchmark

_SPACING = 24  # pixels from cell to cell


@benchmark("border weights, a cell every 24 px", reference="SciPy distance transform per cell, two least", least=3)
class BorderWeights(Row):
    """Squares that nearly touch; the reference keeps the two least distances while it goes through the cells."""

    sizes = (PHOTO, MEDIUM)
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


@benchmark("elastic deformation, picture and labels", reference="SciPy map_coordinates, cubic and nearest", least=1.5)
class Elastic(Row):
    """The same field for both; SciPy's cubic is a spline, ours a convolution: they differ by some gray levels."""

    sizes = (PHOTO, MEDIUM)

    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gray = image.mean(0, keepdim=True)
        return gray, (gray[0] * 8).long(), displacements(*gray.shape[1:])

    def ours(self, data: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        gray, labels, field = data
        return bend(gray, field), bend(labels, field)

    def theirs(self, data: tuple[Tensor, Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        gray, labels, field = (x.numpy() for x in data)
        there = np.indices(labels.shape) + field
        return map_coordinates(gray[0], there, order=3, mode="mirror"), map_coordinates(
            labels, np.rint(there), order=0, mode="mirror"
        )

    def agree(self, ours: tuple[Tensor, Tensor], theirs: Any) -> str:
        error, same = float((ours[0][0] - torch.from_numpy(theirs[0])).abs().mean()), ours[1].numpy() == theirs[1]
        assert error < 0.02
        assert same.mean() > 0.999
        return f"gray within {error:.1g} in the mean, {same.mean():.2%} of labels equal"


@benchmark("membrane scores, unthinned", reference="scikit-image adapted_rand_error and variation_of_information")
class Membranes(Row):
    """Cells whose membranes have gaps; scikit-image has neither the thinning nor cells of one pixel."""

    sizes = (PHOTO, MEDIUM)

    def prepare(self, image: Tensor) -> tuple[np.ndarray, np.ndarray]:
        row, col = np.indices(image.shape[1:])
        true = row // 24 * (image.shape[2] // 24 + 1) + col // 24 + 1
        return np.where((row % 24 < 21) & (col % 24 < 21), true, 0), true // 2 + 1

    def ours(self, data: tuple[np.ndarray, np.ndarray]) -> Any:
        return membrane_scores(*data, thin=False)

    def theirs(self, data: tuple[np.ndarray, np.ndarray]) -> Any:
        error, *_ = adapted_rand_error(*data, ignore_labels=(0,))
        return 1 - error, variation_of_information(*data, ignore_labels=(0,))

    def agree(self, ours: Any, theirs: Any) -> str:
        assert abs(ours.rand - theirs[0]) < 0.01
        return f"Rand {ours.rand:.4f} and {theirs[0]:.4f}"
