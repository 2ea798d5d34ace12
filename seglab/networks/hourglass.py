"""An encoder-decoder with a choice of how maps are made larger, and of bridges: to see what each of them does.

Down: convolve, pool, and again. Up: undo a pooling, convolve. All else the same, the inverse of pooling is

- ``"nearest"``: each value fills its block of 2×2;
- ``"bilinear"``: values between are interpolated;
- ``"nails"``: each value at the top left of its block, zeros elsewhere (a bed of nails);
- ``"switches"``: each value where the pooling had found its maximum, zeros elsewhere (SegNet);
- ``"transposed"``: a transposed convolution, whose kernel is learned (FCN, U-Net).

With ``skips``, a level of the way up gets the map that the way down had at its size beside its own.

References
----------
H. Noh, S. Hong, B. Han. Learning deconvolution network for semantic segmentation. ICCV 2015.
doi:10.1109/ICCV.2015.178, for unpooling with switches.
A. Odena, V. Dumoulin, C. Olah. Deconvolution and checkerboard artifacts. Distill 2016. doi:10.23915/distill.00003,
for what a transposed convolution does where its stride does not divide its kernel.
A. Newell, K. Yang, J. Deng. Stacked hourglass networks for human pose estimation. ECCV 2016.
doi:10.1007/978-3-319-46484-8_29, for the name.

*Differs from them*: this is a small network for a comparison, none of theirs.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from seglab.networks.layers import bed_of_nails, bilinear_unpool, crop_and_concatenate, max_unpool, nearest_unpool
from seglab.segmenter import generator

__all__ = ["UNPOOLINGS", "Hourglass", "Unpool"]

Unpooling = Literal["nearest", "bilinear", "nails", "switches", "transposed"]
UNPOOLINGS: tuple[str, ...] = get_args(Unpooling)
"""The inverses of pooling to choose from."""


class Hourglass(nn.Module):
    """The network: a picture (N, C, H, W) to scores (N, n_classes, H, W) before the softmax.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the picture and of the scores.
    width
        Channels of the first level; each level down has twice as many.
    depth
        How often the map is halved; the picture's sides must be multiples of 2^depth.
    unpool
        The inverse of pooling, one of `UNPOOLINGS`.
    skips
        Whether the way up sees the maps of the way down.
    kernel
        Side of the transposed convolutions' kernels, from 2. Odd ones make checkerboards: the stride, 2, does not
        divide them.
    seed
        Of the first weights: normal, of variance 2 / (values that an output sees), biases zero.

    Attributes
    ----------
    down, bottom, up
        Blocks of convolutions: one for each level, from the first that runs to the last.
    unpools
        An `Unpool` before each block of ``up``.

    Examples
    --------
    >>> import torch
    >>> Hourglass(n_classes=5, unpool="switches")(torch.zeros(1, 3, 64, 48)).shape
    torch.Size([1, 5, 64, 48])
    """

    def __init__(
        self,
        in_channels: int = 3,
        n_classes: int = 2,
        *,
        width: int = 16,
        depth: int = 3,
        unpool: Unpooling = "nearest",
        skips: bool = False,
        kernel: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(in_channels, n_classes, width, depth) < 1:
            raise ValueError(
                f"in_channels, n_classes, width and depth must be at least 1, got {in_channels}, {n_classes}, {width} "
                f"and {depth}"
            )
        self.in_channels, self.depth, self.skips = in_channels, depth, skips
        channels = [width * 2**level for level in range(depth)]
        before, upward = [in_channels, *channels], range(depth - 1, -1, -1)
        self.down = nn.ModuleList(_block(before[i], channels[i]) for i in range(depth))
        self.bottom = _block(channels[-1], channels[-1])
        self.unpools = nn.ModuleList(Unpool(unpool, channels[i], kernel=kernel) for i in upward)
        self.up = nn.ModuleList(_block(channels[i] * (1 + skips), channels[max(i - 1, 0)]) for i in upward)
        self.head = nn.Conv2d(width, n_classes, kernel_size=1)
        g = generator(seed)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                area = layer.kernel_size[0] ** 2 / (4 if isinstance(layer, nn.ConvTranspose2d) else 1)
                nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.in_channels * area)), generator=g)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Go down and remember maps and switches; go up.

        Raises
        ------
        ValueError
            The picture has other channels, or a side that cannot be halved `depth` times.
        """
        unit = 2**self.depth
        if x.ndim != 4 or x.shape[1] != self.in_channels or x.shape[2] % unit or x.shape[3] % unit:
            raise ValueError(
                f"expected pictures (N, {self.in_channels}, H, W) with sides that are multiples of {unit}, got "
                f"{tuple(x.shape)}; crop or pad them"
            )
        ways = []
        for block in self.down:
            skip = block(x)
            x, switches = F.max_pool2d(skip, 2, return_indices=True)
            ways.append((skip, switches))
        x = self.bottom(x)
        for unpool, block in zip(self.unpools, self.up, strict=True):
            skip, switches = ways.pop()
            x = unpool(x, switches)
            x = block(crop_and_concatenate(skip, x) if self.skips else x)
        return self.head(x)


class Unpool(nn.Module):
    """An inverse of pooling by 2×2: (N, C, H, W) to (N, C, 2H, 2W).

    Parameters
    ----------
    kind
        One of `UNPOOLINGS`.
    channels
        C; only a transposed convolution, which has weights, asks for it.
    kernel
        Side of the transposed convolution's kernel, at least 2.

    Examples
    --------
    >>> import torch
    >>> Unpool("nails")(torch.tensor([[[[5.0]]]])).tolist()
    [[[[5.0, 0.0], [0.0, 0.0]]]]
    """

    def __init__(self, kind: Unpooling, channels: int = 1, *, kernel: int = 4) -> None:
        super().__init__()
        if kind not in UNPOOLINGS:
            raise ValueError(f"unpool is one of {', '.join(UNPOOLINGS)}; got {kind!r}")
        if kernel < 2:
            raise ValueError(f"kernel must be at least 2, or pixels between would see nothing; got {kernel}")
        self.kind = kind
        odd, padding = kernel % 2, (kernel - 1) // 2  # so that the output is twice as large
        if kind == "transposed":
            self.conv = nn.ConvTranspose2d(channels, channels, kernel, 2, padding, output_padding=odd, bias=False)

    def forward(self, x: Tensor, switches: Tensor | None = None) -> Tensor:
        """Enlarge x; ``switches`` are those of the pooling, (N, C, H, W), and needed for that kind only."""
        if self.kind == "transposed":
            return self.conv(x)
        if self.kind == "switches":
            if switches is None:
                raise ValueError("unpooling with switches needs those of the pooling")
            return max_unpool(x, switches, (2 * x.shape[2], 2 * x.shape[3]))
        forms = {"nearest": nearest_unpool, "bilinear": bilinear_unpool, "nails": bed_of_nails}
        return forms[self.kind](x)

    def extra_repr(self) -> str:
        """Name the kind, where the module is printed."""
        return self.kind


def _block(before: int, after: int) -> nn.Sequential:
    """One 3×3 convolution, normalized, with ReLU: few, so that what the unpooling does is not all repaired."""
    conv = nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
