"""Maps made larger by hand, beside torch's own: unpooling with switches, and a transposed convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.networks.layers import max_unpool, transposed_by_gradient

from . import Row, benchmark


class _Beside(Row):
    """The same numbers from both."""

    def agree(self, ours: Tensor, theirs: Tensor) -> str:
        apart = float((ours - theirs).abs().max())
        assert apart < 1e-4
        return f"differ by {apart:.0e}"


def _maps(image: Tensor, channels: int) -> Tensor:
    """Maps with half the picture's sides, from the picture, with noise."""
    small = F.avg_pool2d(image[None], 2).repeat(1, channels // 3 + 1, 1, 1)[:, :channels]
    return small + 0.1 * torch.randn(small.shape, generator=torch.Generator().manual_seed(0))


@benchmark("unpooling with switches, 16 channels", reference="torch max_unpool2d", least=0.5)
class MaxUnpool(_Beside):
    def prepare(self, image: Tensor) -> Any:
        maps = _maps(image, 16)
        return (*F.max_pool2d(maps, 2, return_indices=True), tuple(maps.shape[2:]))

    def ours(self, data: Any) -> Tensor:
        return max_unpool(*data)

    def theirs(self, data: Any) -> Tensor:
        return F.max_unpool2d(data[0], data[1], 2, output_size=data[2])


@benchmark("transposed convolution 4×4, 16 channels", reference="torch conv_transpose2d", least=0.5)
class Transposed(_Beside):
    """The form that runs the convolution's backward pass."""

    theirs_up_to = 2_000_000

    def prepare(self, image: Tensor) -> Any:
        return _maps(image, 16), 0.1 * torch.randn(16, 16, 4, 4, generator=torch.Generator().manual_seed(1))

    def ours(self, data: Any) -> Tensor:
        return transposed_by_gradient(*data, stride=2, padding=1)

    def theirs(self, data: Any) -> Tensor:
        return F.conv_transpose2d(*data, stride=2, padding=1)
