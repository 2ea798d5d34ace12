"""Mean shift filtering of a photograph, each pixel to its mode, beside OpenCV's at the same bandwidths.

OpenCV rounds places and colors to whole numbers after each move, and stops when a rounded place stays; so its modes
are farther from points that no move changes. How far both are is measured and told.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from seglab.methods import MeanShift
from seglab.methods.mean_shift import moves

from . import Row, benchmark
from .harness import as_numpy

_MAX_ITER = 100  # OpenCV's own limit


class _Filter(Row):
    """Both in RGB, 8-bit, until nothing moves as each understands it; OpenCV's window is a square, ours a disc."""

    spatial: float
    range_: float  # in levels of 256

    def method(self) -> MeanShift:
        return MeanShift(
            spatial_bandwidth=self.spatial, range_bandwidth=self.range_ / 255, color_space="rgb", max_iter=_MAX_ITER
        )

    def prepare(self, image: Tensor) -> tuple[Tensor, np.ndarray]:
        return image, as_numpy(image)

    def ours(self, data: tuple[Tensor, np.ndarray]) -> Tensor:
        return self.method().filter(data[0])

    def theirs(self, data: tuple[Tensor, np.ndarray]) -> Any:
        end = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, _MAX_ITER, 0)
        return data[1], cv2.pyrMeanShiftFiltering(data[1], self.spatial, self.range_, maxLevel=0, termcrit=end)

    def agree(self, ours: Tensor, theirs: Any) -> str:
        image, filtered = (torch.from_numpy(array).movedim(-1, 0).float() / 255 for array in theirs)
        rest, other = self.residual(image, ours), self.residual(image, filtered)
        near = float((ours - filtered).abs().amax(0).le(8 / 255).double().mean())
        assert rest <= other, f"colors still move by {rest:.3g} and {other:.3g} bandwidths"
        return (
            f"the next move changes colors by {rest:.4f} and {other:.4f} bandwidths on average; "
            f"{100 * near:.0f} % of the pixels within 8 levels"
        )

    def residual(self, image: Tensor, filtered: Tensor) -> float:
        """The mean length, in bandwidths, of the next move in color, the places moved to where they fit best."""
        joint = self.method().joint(image)
        points = torch.cat([joint.start()[:, :2], filtered.flatten(1).T], dim=1)
        for _ in range(20):
            moved = moves(joint, points)
            rest = (moved - points)[:, 2:].norm(dim=1) / joint.range_bandwidth
            points = torch.cat([moved[:, :2], points[:, 2:]], dim=1)
        return float(rest.mean())


_REFERENCE = "OpenCV pyrMeanShiftFiltering(maxLevel=0), 100 iterations, epsilon 0"


@benchmark("mean shift filter, bandwidths 8 px and 16 levels", reference=_REFERENCE, least=3)
class Filter8(_Filter):
    spatial, range_ = 8, 16


@benchmark("mean shift filter, bandwidths 16 px and 16 levels", reference=_REFERENCE, least=3)
class Filter16(_Filter):
    spatial, range_ = 16, 16
    theirs_up_to = 2_000_000
