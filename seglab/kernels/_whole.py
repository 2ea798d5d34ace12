"""Colors in whole numbers, so that sums of them are exact: the same on every device, in any order."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from seglab.image import to_color_space

__all__ = ["UNITS", "WholeColors", "WholeSpace", "whole_colors"]

WholeSpace = Literal["gray", "rgb", "lab", "luv"]
UNITS = 4080  # from black to white: 16 to each of 255 levels, so that those of an 8-bit picture are exact
_LARGE = 1 << 15  # pixels, from which on it pays to look for equal colors
_RANGE = {"gray": 1.0, "rgb": 1.0, "lab": 100.0, "luv": 100.0}


class WholeColors(NamedTuple):
    """The colors of a picture in whole numbers.

    Attributes
    ----------
    values
        (H, W, D) int16, contiguous.
    white
        The squared distance of black and white.
    """

    values: Tensor
    white: float

    def square(self, distance: float) -> float:
        """The square of a distance, given where black to white is 1; a hair more, so that equal is not above."""
        return self.white * distance * distance * (1 + 1e-9)


def whole_colors(image: Tensor, color_space: WholeSpace) -> WholeColors:
    """Round the colors of (C, H, W) to 4080 steps from black to white.

    Examples
    --------
    >>> whole_colors(torch.tensor([[[0.0, 1.0, 0.2]]]), "gray").values.flatten().tolist()
    [0, 4080, 816]
    """
    convert = color_space in ("lab", "luv") and image.device.type == "cpu"
    codes = _codes(image) if convert else torch.empty(0)
    if len(codes):  # the conversion takes far longer than to find the different colors
        there = torch.zeros(2**24, dtype=torch.bool)
        there[codes] = True
        found = there.nonzero()[:, 0]
        colors = torch.stack([found >> 16, found >> 8 & 255, found & 255]).to(image.dtype) / 255
        table = torch.empty((2**24, 3), dtype=torch.int16)
        table[found] = _rounded(colors[:, None], color_space)[0]
        values = table[codes].reshape(*image.shape[1:], 3)
    else:
        values = _rounded(image, color_space)
    return WholeColors(values, float(UNITS) ** 2 * (3 if color_space == "rgb" else 1))


def _rounded(image: Tensor, color_space: WholeSpace) -> Tensor:
    planes = to_color_space(image, color_space) * (UNITS / _RANGE[color_space])
    return planes.round_().to(torch.int16).movedim(0, 2).contiguous()


def _codes(image: Tensor) -> Tensor:
    """The color of each pixel as one number (N,), where the picture is a large one of 8 bits; else nothing."""
    if image[0].numel() < _LARGE:
        return torch.empty(0)
    code = torch.zeros(image.shape[1:], dtype=torch.int32)
    for channel in image.expand(3, -1, -1):
        level = (channel * 255).round_()
        if not torch.equal(level / 255, channel):
            return torch.empty(0)
        code = code << 8 | level.to(torch.int32)
    return code.flatten()
