"""k-means, from a picture to a label map: what a user does with one library and with the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skimage.color import rgb2lab
from sklearn.cluster import KMeans as Reference
from torch import Tensor

from seglab.features import distinct_features
from seglab.methods import KMeans
from seglab.methods.kmeans import assign, inertia, kmeans_plus_plus
from seglab.segmenter import Status, generator

from . import Row, benchmark
from .harness import as_numpy

_MAX_ITER = 300


class _FromTheSameCenters(Row):
    """8 clusters; both start from the same centers and stop when no pixel changes sides, or after 300 iterations."""

    color_space: str

    def prepare(self, image: Tensor) -> tuple[np.ndarray, Tensor]:
        points = distinct_features(image, self.color_space)  # type: ignore[arg-type]
        return as_numpy(image), kmeans_plus_plus(points.values, points.counts, 8, generator(0))

    def ours(self, data: tuple[np.ndarray, Tensor]) -> Any:
        image, centers = data
        method = KMeans(n_clusters=8, color_space=self.color_space, max_iter=_MAX_ITER, centers=centers)  # type: ignore[arg-type]
        return method.segment(image)

    def theirs(self, data: tuple[np.ndarray, Tensor]) -> Any:
        image, centers = data
        pixels = (
            rgb2lab(image.astype(np.float32) / 255) if self.color_space == "lab" else image.astype(np.float32) / 255
        )
        method = Reference(8, init=centers.numpy(), n_init=1, algorithm="lloyd", tol=0, max_iter=_MAX_ITER)
        labels = method.fit_predict(pixels.reshape(-1, 3))
        return method, labels.reshape(image.shape[:2])

    def agree(self, ours: Any, theirs: Any) -> str:
        method, labels = theirs
        points, centers = ours.state.points, torch.from_numpy(method.cluster_centers_)
        own, other = (  # of both in the same way: theirs is added up in float32
            float(inertia(points.values, points.counts, c, assign(points.values, c)))
            for c in (ours.state.centers, centers)
        )
        equal = float((torch.from_numpy(labels) == ours.labels).double().mean())
        assert ours.status in (Status.CONVERGED, Status.MAX_ITER)
        assert own <= other * (1 + 1e-4), f"not the same optimum: {own:.6g} and {other:.6g}"
        return (
            f"inertia {own:.6g} and {other:.6g}, {ours.state.n_iter} and {method.n_iter_} iterations, "
            f"{100 * equal:.2f} % of the labels equal"
        )


@benchmark(
    "k-means, 8 clusters in CIELAB",
    reference="scikit-image rgb2lab, then scikit-learn KMeans(n_init=1, algorithm='lloyd', tol=0), float32",
    least=2,
)
class KMeansInLab(_FromTheSameCenters):
    color_space = "lab"


@benchmark(
    "k-means, 8 clusters in RGB",
    reference="scikit-learn KMeans(n_init=1, algorithm='lloyd', tol=0), float32",
    least=2,
)
class KMeansInRGB(_FromTheSameCenters):
    color_space = "rgb"
