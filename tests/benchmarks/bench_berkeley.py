"""Berkeley's benchmark of one picture that five people have segmented, beside the same from libraries step by step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree
from scipy.special import xlogy
from skimage.measure import label
from skimage.morphology import thin
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

from seglab.labels import boundaries
from seglab.metrics import boundary_scores_of_contours, region_scores_of_hierarchy
from seglab.metrics.boundary import TOLERANCE
from seglab.region_graph import merge_hierarchical

from . import PHOTO, Row, benchmark
from .bench_region import maps

_PEOPLE = (8, 12, 20, 30, 60)  # segments that they have drawn


def contour_map(image: Tensor) -> Any:
    """Five people's label maps, and an ultrametric contour map (2H+1, 2W+1) of 400 regions with values in [0, 1]."""
    few = min(image.shape[-2:]) < 100
    *people, leaves = maps(image, *(max(2, n // 20) if few else n for n in _PEOPLE), 12 if few else 400)
    contours = merge_hierarchical(leaves, image, "boundary").contours()
    ranks = torch.unique(contours, return_inverse=True)[1]  # evenly spread, so that each threshold has its own map
    return people, (ranks / (ranks.max() + 1)).double()


@benchmark(
    "boundaries at 5 thresholds against 5 people (asked: 1 s)",
    reference="scikit-image thin, SciPy KDTree and min_weight_full_bipartite_matching",
)
class Boundaries(Row):
    sizes = (PHOTO,)
    thresholds = (0.3, 0.45, 0.6, 0.75, 0.9)

    def prepare(self, image: Tensor) -> Any:
        people, contours = contour_map(image)
        return [thin(boundaries(labels, "bsds").numpy()) for labels in people], contours

    def ours(self, data: Any) -> Any:
        scores = boundary_scores_of_contours(*data, self.thresholds)
        return np.stack([scores.matched_true, scores.total_true, scores.matched_pred, scores.total_pred])

    def theirs(self, data: Any) -> Any:
        people, contours = data
        drawn, counts = contours[2::2, 2::2].numpy(), []
        for threshold in self.thresholds:
            edge = thin(drawn >= threshold)
            anybody, found = np.zeros(edge.sum(), bool), 0
            for person in people:
                pairs = _pairs(person, edge)
                anybody[pairs] = True
                found += len(pairs)
            counts.append((found, sum(person.sum() for person in people), anybody.sum(), edge.sum()))
        return np.array(counts, float).T

    def agree(self, ours: Any, theirs: Any) -> str:
        assert np.array_equal(ours[[0, 1, 3]], theirs[[0, 1, 3]]), "other numbers of pairs"
        apart = np.abs(ours[2] - theirs[2]).max() / ours[3].max()  # pairs may be others, where distances are equal
        assert apart < 0.01, f"precision differs by {apart}"
        return f"{int(ours[0].sum())} pairs, as many; precision differs by {apart:.4f} at most"


def _pairs(person: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """The pixels of the machine's boundary, by number, that are paired with one of the person's."""
    one, other = np.argwhere(person), np.argwhere(edge)
    radius = TOLERANCE * math.hypot(*edge.shape)
    near = KDTree(one).sparse_distance_matrix(KDTree(other), radius, output_type="ndarray")
    n, m = len(one), len(other)
    rows, cols = np.append(near["i"], np.arange(n)), np.append(near["j"], m + np.arange(n))
    costs = 1 + np.append(np.rint(100 * near["v"]), np.full(n, math.ceil(100 * 100 * radius)))  # 0 is no edge
    found = min_weight_full_bipartite_matching(csr_matrix((costs, (rows, cols)), (n, m + n)))[1]
    return found[found < m]


@benchmark(
    "regions at 99 thresholds against 5 people (asked: 200 pictures in 60 s on two cores)",
    reference="scikit-image label and scikit-learn contingency_matrix, cut by cut",
)
class Regions(Row):
    sizes = (PHOTO,)

    def prepare(self, image: Tensor) -> Any:
        people, contours = contour_map(image)
        return people, contours, [labels.numpy() for labels in people]

    def ours(self, data: Any) -> Any:
        scores = region_scores_of_hierarchy(data[0], data[1], 99)
        return np.stack([scores.covered / scores.total, scores.rand, scores.information])

    def theirs(self, data: Any) -> Any:
        found = []
        for k in range(1, 100):
            cut = label(data[1].numpy() <= k / 100, connectivity=2)[1::2, 1::2]
            found.append(np.mean([self._three(person, cut) for person in data[2]], 0))
        return np.array(found).T

    def _three(self, person: np.ndarray, cut: np.ndarray) -> tuple[float, float, float]:
        table = contingency_matrix(person.ravel(), cut.ravel()).astype(float)
        rows, cols, n = table.sum(1), table.sum(0), person.size
        covered = rows @ (table / (rows[:, None] + cols - table)).max(1) / n
        apart = ((rows**2).sum() + (cols**2).sum()) / 2 - (table**2).sum()
        bits = [xlogy(x / n, x / n).sum() / np.log(2) for x in (rows, cols, table)]
        return covered, 1 - apart / (n * (n - 1) / 2), bits[0] + bits[1] - 2 * bits[2]

    def agree(self, ours: Any, theirs: Any) -> str:
        apart = np.abs(ours - theirs).max()
        assert apart < 1e-9, f"scores differ by {apart}"
        return f"best covering {ours[0].max():.4f}; all scores differ by at most {apart:.0e}"
