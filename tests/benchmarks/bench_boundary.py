"""Boundaries matched one to one beside SciPy's sparse solver, and segments as detections beside scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree
from skimage.morphology import thin
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

from seglab.labels import boundaries
from seglab.metrics import match_boundaries, segment_f
from seglab.metrics.boundary import TOLERANCE

from . import Row, benchmark
from .bench_region import maps


@benchmark("boundaries of 40 segments matched to those of 100", reference="SciPy min_weight_full_bipartite_matching")
class Matching(Row):
    def prepare(self, image: Tensor) -> Any:
        few = min(image.shape[-2:]) < 100
        return [thin(boundaries(labels, "bsds").numpy()) for labels in maps(image, *((3, 9) if few else (40, 100)))]

    def ours(self, data: Any) -> int:
        return int(match_boundaries(*data)[0].sum())

    def theirs(self, data: Any) -> int:
        """Each row may have its own stand-in, at the same cost as ours."""
        one, other = (np.argwhere(edge) for edge in data)
        radius = TOLERANCE * math.hypot(*data[0].shape)
        near = KDTree(one).sparse_distance_matrix(KDTree(other), radius, output_type="ndarray")
        n, m = len(one), len(other)
        rows, cols = np.append(near["i"], np.arange(n)), np.append(near["j"], m + np.arange(n))
        costs = 1 + np.append(np.rint(100 * near["v"]), np.full(n, math.ceil(100 * 100 * radius)))  # 0 is no edge
        found = min_weight_full_bipartite_matching(csr_matrix((costs, (rows, cols)), (n, m + n)))[1]
        return int((found < m).sum())

    def agree(self, ours: int, theirs: int) -> str:
        assert ours == theirs, f"{ours} and {theirs} pairs"
        return f"{ours} pairs, as many"


@benchmark("F of 200 segments as detections, 40 true ones", reference="scikit-learn contingency_matrix and NumPy")
class Detections(Row):
    def prepare(self, image: Tensor) -> Any:
        few = min(image.shape[-2:]) < 100
        return maps(image, *((3, 9) if few else (40, 200)))

    def ours(self, data: Any) -> float:
        return segment_f(*data)

    def theirs(self, data: Any) -> float:
        table = contingency_matrix(*(labels.numpy().ravel() for labels in data))
        right = table / (table.sum(0) + table.sum(1)[:, None] - table) > 0.5
        recall, precision = right.any(1).mean(), right.any(0).mean()
        return float(2 * recall * precision / max(recall + precision, 1e-9))

    def agree(self, ours: float, theirs: float) -> str:
        assert abs(ours - theirs) < 1e-12, f"{ours} and {theirs}"
        return f"F {ours:.4f}, the same"
