"""EM beside scikit-learn's: the same iterations from the same start."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Reference
from torch import Tensor

from seglab.methods import GaussianMixture, GaussianMixtureState
from seglab.segmenter import Segmentation

from . import LARGE, MEDIUM, PHOTO, Row, benchmark

_STEPS = 20
_REFERENCE = "scikit-learn GaussianMixture(8), fit_predict"


class _Mixture(Row):
    """From the picture to its labels; the start, by k-means, is made before and given to both."""

    covariance_type: str
    dtype: type = np.float64
    sizes = (PHOTO, MEDIUM, LARGE)
    theirs_up_to = MEDIUM[0] * MEDIUM[1]  # ten minutes at 12 megapixels

    def prepare(self, image: Tensor) -> Any:
        method = GaussianMixture(
            n_components=8, covariance_type=self.covariance_type, color_space="rgb", tol=0, max_iter=_STEPS
        )
        start = method.init(image)
        given = GaussianMixture(**{**vars(method), **start.mixture._asdict()})
        precisions = torch.linalg.inv(start.covariances).numpy()
        reference = Reference(
            n_components=8,
            covariance_type=self.covariance_type,
            weights_init=start.weights.numpy(),
            means_init=start.means.numpy(),
            precisions_init=precisions if self.covariance_type == "full" else np.diagonal(precisions, 0, 1, 2),
            max_iter=_STEPS,
            tol=0,
        )
        colors = np.ascontiguousarray(image.flatten(1).T.numpy(), dtype=self.dtype)
        return image, given, colors, reference

    def ours(self, data: Any) -> Segmentation:
        return data[1].segment(data[0])

    def theirs(self, data: Any) -> tuple[np.ndarray, Reference]:
        _, _, colors, reference = data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = reference.fit_predict(colors)
        return labels, reference

    def agree(self, ours: Segmentation, theirs: tuple[np.ndarray, Reference]) -> str:
        labels, reference = theirs
        state = ours.state
        assert isinstance(state, GaussianMixtureState)
        assert state.n_iter == reference.n_iter_ == _STEPS
        colors = np.ascontiguousarray(ours.image.flatten(1).T.numpy(), dtype=self.dtype)
        both = float(state.log_likelihood), float(reference.score(colors))
        assert both[0] > both[1] - 1e-6 * abs(both[1]), f"log-likelihood {both[0]} below {both[1]}"
        same = (state.labels.numpy().ravel() == labels).mean()
        return f"log-likelihood {both[0]:.7f} and {both[1]:.7f}; {100 * same:.2f} % of labels equal"


@benchmark(f"Gaussian mixture, 8 full, {_STEPS} iterations", reference=f"{_REFERENCE}, float64", least=8)
class Full(_Mixture):
    covariance_type = "full"


@benchmark(
    f"Gaussian mixture, 8 full, {_STEPS} iterations, beside float32", reference=f"{_REFERENCE}, float32", least=8
)
class FullBesideFloat32(_Mixture):
    covariance_type = "full"
    dtype = np.float32


@benchmark(f"Gaussian mixture, 8 diagonal, {_STEPS} iterations", reference=f"{_REFERENCE}, float64")
class Diagonal(_Mixture):
    covariance_type = "diag"
