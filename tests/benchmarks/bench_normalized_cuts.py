"""Normalized cuts: of one and the same graph, and from a picture to a label map."""

from __future__ import annotations

from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import scipy.sparse as sp
import skimage.graph
import skimage.segmentation
import torch
from sklearn.cluster import spectral_clustering
from torch import Tensor

from seglab.methods import NormalizedCuts
from seglab.methods.normalized_cuts import ncut_value, normalized_cut, pixel_affinity

from . import Row, benchmark
from .harness import MEDIUM, PHOTO, as_numpy


class _Graph(NamedTuple):
    """Superpixels as scikit-image's graph, the same as a matrix, and the number of segments that it finds."""

    nodes: np.ndarray
    rag: Any
    affinity: sp.csr_array
    n_segments: int


def _superpixels(image: np.ndarray) -> np.ndarray:
    return skimage.segmentation.slic(image, 400, start_label=0).astype(np.int64)


def _cut(nodes: np.ndarray, rag: Any) -> np.ndarray:
    return skimage.graph.cut_normalized(nodes, rag, rng=0)


def _of_nodes(labels: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    found = np.zeros(nodes.max() + 1, np.int64)
    found[nodes.ravel()] = labels.ravel()
    return found


@benchmark(
    "normalized cuts of a given graph, 400 superpixels",
    reference="scikit-image cut_normalized, of the same rag_mean_color(mode='similarity'), into as many segments",
    least=5,
)
class CutsOfAGraph(Row):
    """Both cut the graph, with each node's weight 1 to itself that scikit-image adds, and paint the label map."""

    sizes = (PHOTO, MEDIUM)  # the graph is as large for all pictures, and their making of it slow

    def prepare(self, image: Tensor) -> _Graph:
        picture = as_numpy(image)
        nodes = _superpixels(picture)
        rag = skimage.graph.rag_mean_color(picture, nodes, mode="similarity")
        affinity = nx.to_scipy_sparse_array(rag, nodelist=range(len(rag)), weight="weight", format="csr")
        affinity = sp.csr_array(affinity + sp.eye_array(len(rag)))
        return _Graph(nodes, rag, affinity, max(2, len(np.unique(_cut(nodes, rag)))))

    def ours(self, data: _Graph) -> Any:
        return normalized_cut(data.affinity, data.n_segments)[torch.from_numpy(data.nodes)], data

    def theirs(self, data: _Graph) -> Any:
        return _cut(data.nodes, data.rag)

    def agree(self, ours: Any, theirs: Any) -> str:
        labels, data = ours
        own, other = (ncut_value(data.affinity, _of_nodes(found, data.nodes)) for found in (labels.numpy(), theirs))
        n = len(np.unique(theirs))
        assert n == 1 or own <= other * (1 + 1e-9) + 1e-12, f"a higher cut: {own:.6g} and {other:.6g}"
        return (
            f"{len(labels.unique())} and {n} segments of {data.affinity.shape[0]} nodes, Ncut {own:.6g} and {other:.6g}"
        )


@benchmark(
    "normalized cuts, picture to label map, 400 superpixels",
    reference="scikit-image slic(400), rag_mean_color(mode='similarity'), cut_normalized, with its thresholds",
    least=5,
)
class CutsOfSuperpixels(Row):
    """Each has its own superpixels and weights: this row compares times, the one above cuts."""

    theirs_up_to = 2_000_000  # their graph takes a Python loop over the pixels

    def prepare(self, image: Tensor) -> tuple[Tensor, np.ndarray]:
        return image, as_numpy(image)

    def ours(self, data: tuple[Tensor, np.ndarray]) -> Any:
        return NormalizedCuts(n_segments=20, nodes="superpixels", n_superpixels=400).segment(data[0])

    def theirs(self, data: tuple[Tensor, np.ndarray]) -> Any:
        nodes = _superpixels(data[1])
        return _cut(nodes, skimage.graph.rag_mean_color(data[1], nodes, mode="similarity"))

    def agree(self, ours: Any, theirs: Any) -> str:
        n_nodes = len(ours.state.assignment)
        assert ours.n_segments == min(20, n_nodes)
        return f"{ours.n_segments} segments of {n_nodes} superpixels, and {len(np.unique(theirs))} segments"


@benchmark(
    "normalized cuts of pixels, 12 ways",
    reference="scikit-learn spectral_clustering(12, eigen_solver='arpack', assign_labels='discretize'), the same graph",
    least=2,
)
class CutsOfPixels(Row):
    """Pixels of small pictures, joined up to 4 pixels away; both make the same rotation of the same eigenvectors."""

    sizes = ((54, 80), (80, 120), (107, 160))
    theirs_up_to = 10_000  # with eigenvalues so near to one another their solver takes minutes

    def prepare(self, image: Tensor) -> sp.csr_array:
        return pixel_affinity(image)

    def ours(self, data: sp.csr_array) -> Any:
        return normalized_cut(data, 12, mode="kway"), data

    def theirs(self, data: sp.csr_array) -> Any:
        matrix = sp.csr_matrix(data)
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
        return spectral_clustering(
            matrix, n_clusters=12, eigen_solver="arpack", assign_labels="discretize", random_state=0
        )

    def agree(self, ours: Any, theirs: Any) -> str:
        labels, affinity = ours
        own, other = ncut_value(affinity, labels), ncut_value(affinity, theirs)
        assert own <= other * 1.1 + 0.01, f"a higher cut: {own:.6g} and {other:.6g}"
        return f"Ncut {own:.6g} and {other:.6g}, {len(labels.unique())} and {len(np.unique(theirs))} segments"
