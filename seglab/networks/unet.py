"""U-Net: down to what is there, up to where it is, and a bridge across at every size.

Each level down doubles the channels and halves the map; each level up does the reverse, and gets beside its own
channels those that the way down had at this size. Without padding an output pixel has seen the picture only, never
zeros around it; so the output is smaller than the input, 388 of 572, and pictures are predicted in overlapping tiles.

References
----------
O. Ronneberger, P. Fischer, T. Brox (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.
doi:10.1007/978-3-319-24574-4_28, arXiv:1505.04597.

*Differs from the paper*: it fixes neither how the weight map balances classes nor what its distances are inside a cell;
`border_weights` says what is done here. Tiles overlap by a few pixels, so that all halve at the same places.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from seglab.features import mirror_pad
from seglab.networks.layers import crop_and_concatenate

__all__ = ["UNet", "border_weights", "predict_tiled"]


class UNet(nn.Module):
    """The network: a picture (N, C, H, W) to scores (N, n_classes, h, w) before the softmax.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the picture and of the scores.
    width
        Channels of the first level; each level down has twice as many.
    depth
        How often the map is halved; 4 and a width of 64 are the paper's, 31 million weights.
    padded
        False: the original, whose output loses `border` pixels. True: zeros around each 3×3 convolution, as in most
        later U-Nets, so that the output is as large as the picture.
    batch_norm
        Normalize after each 3×3 convolution, which the original does not.
    dropout
        How likely a value of the deepest map is dropped in training.
    seed
        Of the first weights: normal, of variance 2 / (values that an output sees), biases zero.

    Examples
    --------
    >>> UNet(width=4).output_size(572, 572)
    (388, 388)
    >>> UNet(width=4, depth=2, padded=True)(torch.zeros(1, 1, 64, 48)).shape
    torch.Size([1, 2, 64, 48])
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_classes: int = 2,
        *,
        width: int = 64,
        depth: int = 4,
        padded: bool = False,
        batch_norm: bool = False,
        dropout: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(in_channels, n_classes, width, depth) < 1:
            raise ValueError(
                f"in_channels, n_classes, width and depth must be at least 1, got {in_channels}, {n_classes}, {width} "
                f"and {depth}"
            )
        self.in_channels, self.depth, self.padded = in_channels, depth, padded
        channels = [width * 2**level for level in range(depth + 1)]
        before = [in_channels, *channels]
        self.down = nn.ModuleList(_block(before[i], channels[i], padded, batch_norm) for i in range(depth))
        self.bottom = _block(before[depth], channels[depth], padded, batch_norm)
        self.drop = nn.Dropout(dropout)
        upward = range(depth - 1, -1, -1)
        self.up = nn.ModuleList(
            skip_init(nn.ConvTranspose2d, channels[i + 1], channels[i], kernel_size=2, stride=2) for i in upward
        )
        self.merge = nn.ModuleList(_block(2 * channels[i], channels[i], padded, batch_norm) for i in upward)
        self.head = skip_init(nn.Conv2d, width, n_classes, kernel_size=1)
        self._draw(torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Tensor:
        """Go down, keep each level's map, and join its middle on the way up."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"expected pictures (N, {self.in_channels}, H, W), got {tuple(x.shape)}")
        self.output_size(*x.shape[2:])
        skips = []
        for block in self.down:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.drop(self.bottom(x))
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(crop_and_concatenate(skips.pop(), up(x)))
        return self.head(x)

    @property
    def unit(self) -> int:
        """How many pixels one of the deepest map stands for; a picture moved by as many has the same scores, moved."""
        return 2**self.depth

    @property
    def border(self) -> int:
        """How many pixels fewer a side has after the network: 184 in the paper, none where `padded`."""
        return 0 if self.padded else 12 * self.unit - 8

    @property
    def context(self) -> int:
        """How far around its tile the network must see: half the border, or what keeps the padding's zeros away."""
        return 6 * self.unit if self.padded else self.border // 2

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Give the size of the scores of a picture.

        Raises
        ------
        ValueError
            A map would have an odd side before it is halved, or nothing would be left; the nearest sizes are named.

        Examples
        --------
        >>> UNet(width=4).output_size(512, 512)
        Traceback (most recent call last):
        ...
        ValueError: 512×512 does not fit a U-Net of depth 4 without padding; the nearest that do are 508×508, 524×524
        """
        near = [self._nearest(side) for side in (height, width)]
        if any(low != high or low != side for (low, high), side in zip(near, (height, width), strict=True)):
            names = dict.fromkeys(f"{rows}×{cols}" for rows, cols in zip(*near, strict=True))
            raise ValueError(
                f"{height}×{width} does not fit a U-Net of depth {self.depth} with{'' if self.padded else 'out'} "
                f"padding; the nearest that do are {', '.join(names)}"
            )
        return height - self.border, width - self.border

    def _nearest(self, side: int) -> tuple[int, int]:
        """The nearest sides that fit, not larger and not smaller; the least one where a side is less."""
        rest = 0 if self.padded else -4  # modulo the unit; the paper's are 12 more than multiples of 16
        least = self.border + 1 + (rest - self.border - 1) % self.unit
        low = max(side - (side - rest) % self.unit, least)
        return low, max(side + (rest - side) % self.unit, least)

    def _draw(self, generator: torch.Generator) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                seen = layer.in_channels * (layer.kernel_size[0] ** 2 if isinstance(layer, nn.Conv2d) else 1)
                nn.init.normal_(layer.weight, std=math.sqrt(2 / seen), generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


@torch.inference_mode()
def predict_tiled(model: UNet, image: Tensor, *, tile: int = 572, turned: bool = False) -> Tensor:
    """Predict a picture of any size, tile by tile, as if it were mirrored at its borders without end.

    A tile that is not `unit` pixels from the last would be halved at other places, and would have other scores. So
    tiles are laid a multiple of it apart and overlap by the rest; then the result is that of the whole at once.

    Parameters
    ----------
    model
        Is in evaluation mode while this runs.
    image
        (N, C, H, W), on the model's device.
    tile
        The largest side of a network's input: a larger one takes more memory and less time. The next smaller one that
        fits is taken, and what the picture needs where that is less.
    turned
        Average the scores of the picture's eight views, turned by quarters and mirrored: eight times the work. Where a
        picture has no up and down, each view errs in its own way. (The paper averages seven turned ones.)

    Returns
    -------
    Tensor
        Scores (N, n_classes, H, W).

    Raises
    ------
    ValueError
        The tile is too small for the network.

    Examples
    --------
    >>> predict_tiled(UNet(width=2, depth=2), torch.rand(1, 1, 50, 70), tile=72).shape
    torch.Size([1, 2, 50, 70])
    """
    if turned:
        return _mean_of_views(lambda view: predict_tiled(model, view, tile=tile), image)
    sides = [_tile(model, n, tile) for n in image.shape[2:]]
    kept = [_kept(model, side) for side in sides]
    starts = [range(0, n, keep) for n, keep in zip(image.shape[2:], kept, strict=True)]
    after = max(s[-1] + side - model.context - n for s, side, n in zip(starts, sides, image.shape[2:], strict=True))
    padded = mirror_pad(image, model.context, max(after, 0))
    cut = model.context if model.padded else 0
    out = None
    mode = model.training
    model.eval()
    try:
        for row, col in product(*starts):
            scores = model(padded[..., row : row + sides[0], col : col + sides[1]])
            out = scores.new_empty(*scores.shape[:2], *image.shape[2:]) if out is None else out
            place = out[..., row : row + kept[0], col : col + kept[1]]
            place.copy_(scores[..., cut : cut + place.shape[2], cut : cut + place.shape[3]])
    finally:
        model.train(mode)
    assert out is not None
    return out


def _mean_of_views(predict: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """The mean over the eight views of a picture, each turned back."""
    total: Tensor | None = None
    for k, mirrored in product(range(4), (False, True)):
        view = torch.rot90(image.flip(-1) if mirrored else image, k, (-2, -1))
        back = torch.rot90(predict(view), -k, (-2, -1))
        back = back.flip(-1) if mirrored else back
        total = back if total is None else total + back
    assert total is not None
    return total / 8


def border_weights(
    cells: Any, *, w0: float = 10.0, sigma: float = 5.0, class_weights: tuple[float, float] | None = None
) -> Tensor:
    """Weigh each pixel for the loss: w = w_c + w0 · exp(−(d1 + d2)² / 2σ²), large in narrow gaps between cells.

    Parameters
    ----------
    cells
        (H, W) whole numbers: 0 the background, every other number a cell.
    w0
        What a pixel in a gap of no width has more; 10 in the paper.
    sigma
        How wide a gap still counts, in pixels; 5 in the paper.
    class_weights
        w_c of background and of cells; by default each is the inverse of its frequency, so that the mean is 1.

    Returns
    -------
    Tensor
        (H, W) float32, on the device of `cells`.

    Raises
    ------
    ValueError
        `cells` is not a map of whole numbers, or a parameter is out of range.

    Notes
    -----
    d1 and d2 are the distances to the nearest pixel of the nearest and of the second nearest cell; in a cell, d1 = 0.
    With fewer than two cells w = w_c. Any two cells differ in a bit of their number, so d2 is the least, over the bits,
    of the distances to cells that differ from the nearest one in it: 2 log₂ K distance transforms, not K.

    Examples
    --------
    >>> border_weights(np.array([[1, 0, 2]]), sigma=1.0, class_weights=(1.0, 1.0))
    tensor([[2.3534, 2.3534, 2.3534]])
    """
    device = cells.device if isinstance(cells, Tensor) else None
    array = cells.cpu().numpy() if isinstance(cells, Tensor) else np.asarray(cells)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iub":
        raise ValueError(f"cells must be whole numbers (H, W), got {array.dtype} {array.shape}")
    if not (w0 >= 0 and sigma > 0):
        raise ValueError(f"w0 must be at least 0 and sigma more, got {w0} and {sigma}")
    inside = array != 0
    if class_weights is None:
        n = inside.size
        share = [max(n - int(inside.sum()), 1) / n, max(int(inside.sum()), 1) / n]
        present = len(np.unique(inside))
        class_weights = (1 / (present * share[0]), 1 / (present * share[1]))
    weights = np.where(inside, class_weights[1], class_weights[0])
    if np.unique(array[inside]).size > 1:
        d1, d2 = _two_nearest(array)
        weights = weights + w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return torch.from_numpy(weights.astype(np.float32)).to(device)


def _two_nearest(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distances to the nearest and the second nearest of two or more cells."""
    inside = cells != 0
    names, number = np.unique(cells[inside], return_inverse=True)
    numbers = np.zeros(cells.shape, np.int64)
    numbers[inside] = number
    d1, at = distance_transform_edt(~inside, return_indices=True)
    nearest = numbers[tuple(at)]
    d2 = np.full(cells.shape, np.inf)
    for bit in range((len(names) - 1).bit_length()):
        own, has = nearest >> bit & 1, numbers >> bit & 1
        for value in (0, 1):
            others = distance_transform_edt(~(inside & (has != value)))
            d2 = np.where(own == value, np.minimum(d2, others), d2)
    return d1, d2


def _block(before: int, after: int, padded: bool, batch_norm: bool) -> nn.Sequential:
    """Two 3×3 convolutions, each with ReLU."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        conv = skip_init(nn.Conv2d, channels, after, kernel_size=3, padding=int(padded), bias=not batch_norm)
        layers += [conv, *([nn.BatchNorm2d(after)] if batch_norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _kept(model: UNet, side: int) -> int:
    """How many pixels of a tile's scores are used: the most that leave the next tile on the grid."""
    out = side - 2 * model.context
    return out - out % model.unit


def _tile(model: UNet, n: int, tile: int) -> int:
    """The side of the tiles for a side of n pixels."""
    least = model._nearest(2 * model.context + model.unit)[1]
    if tile < least:
        raise ValueError(f"a tile must be at least {least} pixels for this network, got {tile}")
    enough = model._nearest(2 * model.context + math.ceil(n / model.unit) * model.unit)[1]
    return min(model._nearest(tile)[0], enough)
