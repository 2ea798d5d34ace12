"""Suppression and RoIAlign, beside the loops of their definitions, or beside torchvision where that can be imported.

Boxes follow from the picture's size: as many as a region proposal network has for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglab.metrics.instance import instance_scores
from seglab.networks.detection import nms, roi_align

from . import PHOTO, Row, benchmark

try:
    from torchvision import ops as _OTHERS
except Exception:  # not there, or built for another torch, which it says by a RuntimeError
    _OTHERS = None
_REFERENCE = "torchvision" if _OTHERS else "a loop over boxes in Python"


def boxes_in(height: int, width: int, n: int, seed: int = 0) -> Tensor:
    """Boxes (n, 4) in heaps, as a network proposes them."""
    draw = torch.Generator().manual_seed(seed)
    size = torch.tensor([height, width])
    center = torch.rand(max(n // 20, 1), 2, generator=draw).repeat(41, 1)[:n] * size
    center = center + 4 * torch.randn(n, 2, generator=draw)
    half = 4 + torch.rand(n, 2, generator=draw) * size.min() / 10
    return torch.cat([center - half, center + half], 1)


@benchmark("suppression of 1000 boxes", reference=_REFERENCE, least=1 if _OTHERS else 20)
class Suppression(Row):
    sizes = (PHOTO,)

    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor]:
        n = min(1000, image.shape[1] * image.shape[2] // 10)
        return boxes_in(*image.shape[1:], n), torch.rand(n, generator=torch.Generator().manual_seed(1))

    def ours(self, data: tuple[Tensor, Tensor]) -> list[int]:
        return nms(*data, 0.5).tolist()

    def theirs(self, data: tuple[Tensor, Tensor]) -> list[int]:
        boxes, scores = data
        if _OTHERS:
            return _OTHERS.nms(boxes, scores, 0.5).tolist()
        array, kept = boxes.numpy(), []
        order = np.argsort(-scores.numpy(), kind="stable")
        area = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
        while len(order):
            best, order = order[0], order[1:]
            kept.append(int(best))
            low, high = np.maximum(array[best, :2], array[order, :2]), np.minimum(array[best, 2:], array[order, 2:])
            both = np.clip(high - low, 0, None).prod(1)
            order = order[both / (area[best] + area[order] - both) <= np.float32(0.5)]
        return kept

    def agree(self, ours: list[int], theirs: list[int]) -> str:
        assert ours == theirs
        return f"the same {len(ours)} boxes are kept"


@benchmark("RoIAlign of 256 boxes, 64 channels, 7×7, stride 8", reference=_REFERENCE, least=None if _OTHERS else 100)
class Align(Row):
    """Forward and backward; the loop is forward only, over boxes, bins and points, all channels at once."""

    sizes = (PHOTO,)

    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = image.shape[1] // 8, image.shape[2] // 8
        n = min(256, image.shape[1] * image.shape[2] // 100)
        features = torch.randn(1, 64, height, width, generator=torch.Generator().manual_seed(0))
        return features, boxes_in(*image.shape[1:], n), torch.zeros(n, dtype=torch.int64)

    def ours(self, data: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        features, boxes, image = data
        features = features.clone().requires_grad_()
        out = roi_align(features, boxes, image, 7, stride=8)
        out.sum().backward()
        return out.detach()

    def theirs(self, data: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        features, boxes, _ = data
        if _OTHERS:
            features = features.clone().requires_grad_()
            out = _OTHERS.roi_align(features, [boxes[:, [1, 0, 3, 2]]], 7, 1 / 8, 2, True)
            out.sum().backward()
            return out.detach()
        maps = features[0].numpy()
        return torch.from_numpy(np.stack([_aligned(maps, box) for box in (boxes / 8 - 0.5).tolist()]))

    def agree(self, ours: Tensor, theirs: Tensor) -> str:
        error = float((ours - theirs).abs().max())
        assert error < 1e-4
        return f"within {error:.1g}"


def _aligned(maps: np.ndarray, box: list[float]) -> np.ndarray:
    """One box (in cells, a cell's center at a whole number) by loops over bins and points."""
    _, height, width = maps.shape
    top, left, bottom, right = box
    out = np.zeros((len(maps), 7, 7), np.float32)
    for i in range(14):
        for j in range(14):
            y, x = top + (bottom - top) * (i + 0.5) / 14, left + (right - left) * (j + 0.5) / 14
            if -1 <= y <= height and -1 <= x <= width:
                y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                y0, x0 = int(y), int(x)
                y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
                above = (x0 + 1 - x) * maps[:, y0, x0] + (x - x0) * maps[:, y0, x1]
                below = (x0 + 1 - x) * maps[:, y1, x0] + (x - x0) * maps[:, y1, x1]
                out[:, i // 2, j // 2] += ((y0 + 1 - y) * above + (y - y0) * below) / 4
    return out


@benchmark(
    "overlaps of the objects of two maps, 12 px apart", reference="NumPy, mask by mask, where boxes meet", least=5
)
class Overlaps(Row):
    def prepare(self, image: Tensor) -> tuple[np.ndarray, np.ndarray]:
        row, col = np.indices(image.shape[1:])

        def grid(shift: int) -> np.ndarray:
            y, x = row + shift, col + shift
            return np.where((y % 12 < 10) & (x % 12 < 10), y // 12 * (image.shape[2] // 12 + 2) + x // 12 + 1, 0)

        return grid(0), grid(2)

    theirs_up_to = 2_000_000

    def ours(self, data: tuple[np.ndarray, np.ndarray]) -> Any:
        return np.sort(instance_scores(*data).overlaps)

    def theirs(self, data: tuple[np.ndarray, np.ndarray]) -> Any:
        from scipy.ndimage import find_objects

        truth, pred = data
        sizes, found = np.bincount(pred.ravel()), []
        for number, place in enumerate(find_objects(truth), 1):
            if place is None:
                continue
            mask = truth[place] == number
            for other in np.unique(pred[place][mask]):
                if other:
                    both = (mask & (pred[place] == other)).sum()
                    found.append(both / (mask.sum() + sizes[other] - both))
        return np.sort(found)

    def agree(self, ours: Any, theirs: Any) -> str:
        assert np.allclose(ours, theirs)
        return f"{len(ours)} pairs meet"
