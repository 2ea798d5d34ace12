"""Region growing: one region beside scikit-image's flood, and pictures divided by a queue of pixels."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from skimage.segmentation import flood, watershed
from torch import Tensor

from seglab.methods import RegionGrowing

from . import Row, benchmark
from .harness import as_numpy

_TOLERANCE = 50  # levels


def _middle(image: Tensor) -> tuple[int, int]:
    return image.shape[1] // 2, image.shape[2] // 2


@benchmark(
    "region growing from one seed",
    reference="scikit-image flood(tolerance=50 levels, connectivity=1) of the luminance",
)
class OneRegion(Row):
    """From a picture in color to a mask; both round the luminance to the same whole numbers."""

    def ours(self, data: Tensor) -> Any:
        return RegionGrowing(
            seeds=[_middle(data)], criterion="seed", color_space="gray", threshold=_TOLERANCE / 255
        ).segment(data)

    def theirs(self, data: Tensor) -> Any:
        weights = np.array([0.2125, 0.7154, 0.0721])
        gray = as_numpy(data) @ weights
        return flood(np.round(16 * gray).astype(int), _middle(data), tolerance=16 * _TOLERANCE, connectivity=1)

    def agree(self, ours: Any, theirs: Any) -> str:
        same = float(((ours.labels == 0).numpy() == theirs).mean())
        assert same > 0.999, f"not the same region: {same:.2%} of the pixels"
        return f"{100 * same:.3f} % of the pixels equal, {ours.state.n_iter} waves, {theirs.mean():.0%} taken"


@benchmark(
    "region growing from 20 found seeds, the rest filled",
    reference="the same by a heap in plain Python (no library has it)",
    least=20,
)
class Found(Row):
    """Running means, colors in RGB; the reference takes the seeds that were found, and pixels best first."""

    theirs_up_to = 200_000

    def ours(self, data: Tensor) -> Any:
        return RegionGrowing(order="best_first", fill=True, color_space="rgb").segment(data)

    def theirs(self, data: Tensor) -> Any:
        method = RegionGrowing(order="best_first", fill=True, color_space="rgb")
        return _by_heap(as_numpy(data).astype(float), method.init(data).seeds.tolist())

    def agree(self, ours: Any, theirs: Any) -> str:
        same = float((ours.labels.numpy() == theirs).mean())
        assert same > 0.9, f"not the same regions: {same:.2%} of the pixels"
        return f"{100 * same:.2f} % of the pixels equal"


@benchmark(
    "region growing, best first, from a grid of 200 seeds",
    reference="scikit-image watershed of the smoothed gradient from the same markers",
    least=1,
)
class Grid(Row):
    """Another method of the same kind (a queue of pixels), compiled: what a user would pick to divide a picture."""

    def prepare(self, image: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
        rows, cols = (
            np.linspace(0, n - 1, k + 2)[1:-1].astype(int) for n, k in zip(image.shape[1:], (10, 20), strict=True)
        )
        return image, sorted({(int(r), int(c)) for r in rows for c in cols})

    def ours(self, data: tuple[Tensor, list[tuple[int, int]]]) -> Any:
        image, seeds = data
        return RegionGrowing(seeds=seeds, order="best_first", fill=True, color_space="rgb").segment(image)

    def theirs(self, data: tuple[Tensor, list[tuple[int, int]]]) -> Any:
        from skimage.filters import sobel

        image, seeds = data
        relief = sobel(as_numpy(image).mean(axis=2))
        markers = np.zeros(relief.shape, int)
        markers[tuple(np.array(seeds).T)] = np.arange(1, len(seeds) + 1)
        return watershed(relief, markers)

    def agree(self, ours: Any, theirs: Any) -> str:
        assert (ours.labels >= 0).all()
        return f"{ours.n_segments} and {theirs.max()} segments"


def _by_heap(x: np.ndarray, seeds: list[list[int]]) -> np.ndarray:
    height, width = x.shape[:2]
    labels = np.full((height, width), -1)
    sums, sizes = [x[r, c].copy() for r, c in seeds], [1] * len(seeds)
    heap: list[tuple[int, int, int, int, int]] = []
    serial = 0
    for k, (r, c) in enumerate(seeds):
        labels[r, c] = k
    waiting = [(r, c, k) for k, (r, c) in enumerate(seeds)]
    while waiting or heap:
        if not waiting:
            _, _, r, c, k = heapq.heappop(heap)
            if labels[r, c] >= 0:
                continue
            labels[r, c] = k
            sums[k] += x[r, c]
            sizes[k] += 1
            waiting.append((r, c, k))
        r, c, k = waiting.pop()
        mean = sums[k] / sizes[k]
        for p, q in ((r, c + 1), (r + 1, c), (r, c - 1), (r - 1, c)):
            if 0 <= p < height and 0 <= q < width and labels[p, q] < 0:
                serial += 1
                heapq.heappush(heap, (int(16 * np.sqrt(((x[p, q] - mean) ** 2).sum())), serial, p, q, k))
    return labels
