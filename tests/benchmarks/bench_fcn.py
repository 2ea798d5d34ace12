"""A classifier over a whole picture: one pass of its fully convolutional form, beside a window at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.networks.fcn import bilinear_kernel_between, sliding_scores, to_pixels
from seglab.networks.squeezenet import normalize
from seglab.networks.texturenet import TextureNet

from . import Row, benchmark


@benchmark("classifier in one pass, 16 px apart", reference="the same classifier, window by window", least=10)
class OnePass(Row):
    """The scores are the same; windows go through the classifier in batches of 64, as one would do."""

    theirs_up_to = 200_000

    def __init__(self) -> None:
        super().__init__()
        self.net = TextureNet().eval()
        self.dense = self.net.dense()

    def prepare(self, image: Tensor) -> Tensor:
        x = normalize(image[None].expand(1, 3, -1, -1))
        side = max(91, min(x.shape[2:]))
        return F.pad(x, (0, max(0, side - x.shape[3]), 0, max(0, side - x.shape[2])))

    def ours(self, data: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.dense(data)

    def theirs(self, data: Tensor) -> Tensor:
        return sliding_scores(self.net, data, self.net.window, self.net.stride)

    def agree(self, ours: Tensor, theirs: Any) -> str:
        error = float((ours - theirs).abs().max())
        assert error < 1e-3
        return f"scores within {error:.1g}"


@benchmark("scores to pixels, 11 classes, stride 8", reference="transposed convolution, torch", least=2)
class ToPixels(Row):
    """The fixed upsampling at an FCN's end, by interpolation, beside the transposed convolution that defines it."""

    def prepare(self, image: Tensor) -> tuple[Tensor, int, int]:
        height, width = image.shape[1:]
        size = [-(-(side + 1) // 8) + 1 for side in (height, width)]
        return torch.randn(1, 11, *size, generator=torch.Generator().manual_seed(0)), height, width

    def ours(self, data: tuple[Tensor, int, int]) -> Tensor:
        return to_pixels(data[0], 8, -2, *data[1:])

    def theirs(self, data: tuple[Tensor, int, int]) -> Tensor:
        large = F.conv_transpose2d(data[0], bilinear_kernel_between(11, 8), stride=8, padding=7)
        return large[..., 2 : 2 + data[1], 2 : 2 + data[2]]

    def agree(self, ours: Tensor, theirs: Any) -> str:
        error = float((ours - theirs).abs().max())
        assert error < 1e-4
        return f"scores within {error:.1g}"
