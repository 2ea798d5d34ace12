"""Region graphs and merging their regions, lightest edge first, beside scikit-image's graph and its Python heap."""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.graph
import torch
from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.image import grid_to_graph
from torch import Tensor

from seglab.labels import as_labels, count_labels
from seglab.methods import SLIC
from seglab.metrics import variation_of_information
from seglab.region_graph import merge_hierarchical, region_graph

from . import Row, benchmark
from .harness import PHOTO, as_numpy

_THRESHOLD = 0.25


def _superpixels(image: Tensor) -> tuple[Tensor, Tensor, np.ndarray, np.ndarray]:
    labels = SLIC(n_segments=1000).segment(image).labels
    return labels, image, labels.numpy(), as_numpy(image) / 255


@benchmark(
    "graph of 1000 superpixels",
    reference="scikit-image rag_mean_color",
    least=20,
)
class Graph(Row):
    """Ours has the lengths and strengths of boundaries, and centroids, too."""

    def prepare(self, image: Tensor) -> Any:
        return _superpixels(image)

    def ours(self, data: Any) -> Any:
        return region_graph(data[0], data[1])

    def theirs(self, data: Any) -> Any:
        return skimage.graph.rag_mean_color(data[3], data[2], connectivity=1)

    def agree(self, ours: Any, theirs: Any) -> str:
        weights = [theirs.edges[i, j]["weight"] for i, j in ours.edges.tolist()]
        apart = np.abs(ours.differences.numpy() - weights).max()
        assert len(ours.edges) == theirs.number_of_edges()
        assert apart < 1e-5
        return f"{len(ours.edges)} edges, differences of colors within {apart:.1g}"


@benchmark(
    "merging 1000 superpixels by color, lightest first",
    reference="scikit-image rag_mean_color and merge_hierarchical, up to a threshold",
    least=20,
)
class Merge(Row):
    """Ours makes the whole tree, and cuts it at the threshold at which the reference stops."""

    def prepare(self, image: Tensor) -> Any:
        return _superpixels(image)

    def ours(self, data: Any) -> Any:
        return merge_hierarchical(data[0], data[1], "color").cut(_THRESHOLD)

    def theirs(self, data: Any) -> Any:
        graph = skimage.graph.rag_mean_color(data[3], data[2], connectivity=1)
        return skimage.graph.merge_hierarchical(
            data[2],
            graph,
            thresh=_THRESHOLD,
            rag_copy=False,
            in_place_merge=True,
            merge_func=_join_colors,
            weight_func=_color_weight,
        )

    def agree(self, ours: Any, theirs: Any) -> str:
        apart = variation_of_information(ours, as_labels(theirs))
        assert apart < 0.02, f"not the same partition: {apart:.3g} bits apart"
        return f"{count_labels(ours)} and {len(np.unique(theirs))} regions, {apart:.3g} bits apart"


@benchmark(
    "Ward's merging of all pixels of a 120×180 picture",
    reference="scikit-learn AgglomerativeClustering(connectivity=grid, linkage='ward')",
    least=5,
)
class Ward(Row):
    sizes = (PHOTO,)

    def prepare(self, image: Tensor) -> Any:
        small = torch.nn.functional.interpolate(image[None], size=(120, 180), mode="area")[0]
        noise = torch.rand(small.shape, generator=torch.Generator().manual_seed(0)) / 255  # so that there are no ties
        return torch.arange(120 * 180).reshape(120, 180), small + noise

    def ours(self, data: Any) -> Any:
        return merge_hierarchical(*data, "ward").cut_to(50)

    def theirs(self, data: Any) -> Any:
        ward = AgglomerativeClustering(n_clusters=50, linkage="ward", connectivity=grid_to_graph(120, 180))
        return ward.fit_predict(data[1].flatten(1).T.double().numpy()).reshape(120, 180)

    def agree(self, ours: Any, theirs: Any) -> str:
        apart = variation_of_information(ours, as_labels(theirs))
        assert apart < 0.02, f"not the same partition: {apart:.3g} bits apart"
        return f"50 regions each, {apart:.3g} bits apart"


def _join_colors(graph: Any, src: int, dst: int) -> None:
    node = graph.nodes[dst]
    node["total color"] += graph.nodes[src]["total color"]
    node["pixel count"] += graph.nodes[src]["pixel count"]
    node["mean color"] = node["total color"] / node["pixel count"]


def _color_weight(graph: Any, src: int, dst: int, n: int) -> dict[str, float]:
    return {"weight": float(np.linalg.norm(graph.nodes[dst]["mean color"] - graph.nodes[n]["mean color"]))}
