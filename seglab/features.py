"""What a pixel is to a clustering method: a point, made of its color, its place or its neighborhood.

Photographs have far fewer colors than pixels, so methods that look at colors alone work on the distinct ones and
count how often each occurs. That is exact, and several times less work:

    points = distinct_features(image, "lab")     # (U, 3) values, how often each occurs, which one each pixel has
    labels = assign(points.values, centers)[points.inverse]
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seglab.image import ColorSpace, from_color_space, to_color_space

__all__ = [
    "Distinct",
    "center_colors",
    "center_columns",
    "distinct",
    "distinct_features",
    "mirror_pad",
    "pixel_features",
    "windows",
]

_LIGHTNESS = {"gray": 1.0, "rgb": 1.0, "hsv": 1.0, "lab": 100.0, "luv": 100.0}  # from black to white


@dataclass(frozen=True, eq=False)
class Distinct:
    """Different points, how often each occurs, and which of them each pixel has.

    Attributes
    ----------
    values
        (U, D), the points.
    counts
        (U,) int64, the number of pixels of each; they add up to N.
    inverse
        (N,) int64, the point of each pixel: ``values[inverse]`` is (N, D), one row a pixel.
    """

    values: Tensor
    counts: Tensor
    inverse: Tensor

    def __len__(self) -> int:
        return len(self.values)


def pixel_features(
    image: Tensor, color_space: ColorSpace = "lab", spatial_weight: float = 0.0, window: int = 1
) -> Tensor:
    """Describe each pixel by numbers: its color, the colors around it, its place.

    Parameters
    ----------
    image
        (C, H, W) in [0, 1], C = 1 or 3.
    color_space
        The space of the colors, each in its own units: gray, RGB and HSV in [0, 1], CIELAB and CIELUV with L in
        [0, 100]. A gray picture has three equal channels in RGB.
    spatial_weight
        How much the place counts. At 1, the picture's longer side is as far as from black to white (1, or 100 in
        CIELAB and CIELUV); at 0 the place is left out.
    window
        The side α of the window of pixels whose colors are taken, one after another, row by row. Borders are
        mirrored. The window of an even side reaches one pixel further up and left than down and right.

    Returns
    -------
    Tensor
        (N, D), N = H·W pixels row by row, D = α²·(1 or 3 colors), and 2 more (row, column) where
        ``spatial_weight > 0``. Memory: 4·N·D bytes in float32.

    Examples
    --------
    >>> image = torch.rand(3, 4, 5)
    >>> pixel_features(image, "gray").shape, pixel_features(image, "lab", spatial_weight=0.5, window=3).shape
    (torch.Size([20, 1]), torch.Size([20, 29]))
    """
    color = windows(to_color_space(image, color_space), window)  # (H, W, D)
    features = color.reshape(-1, color.shape[-1])
    if spatial_weight > 0:
        place = _places(image) * (spatial_weight * _LIGHTNESS[color_space])
        features = torch.cat([features, place], dim=1)
    return features


def distinct_features(
    image: Tensor, color_space: ColorSpace = "lab", spatial_weight: float = 0.0, window: int = 1
) -> Distinct:
    """The different rows of `pixel_features`, found before the colors are converted where that is enough.

    The fast way for colors alone: the different colors of an 8-bit picture are found by one sort of whole numbers,
    and only these are converted. With places or windows hardly two pixels are equal, so that all of them are
    returned, each with a count of 1, and no time is lost in looking.

    Parameters
    ----------
    image, color_space, spatial_weight, window
        See `pixel_features`.

    Examples
    --------
    >>> image = torch.tensor([[0.0, 1.0, 0.0, 0.0]])[None]
    >>> points = distinct_features(image, "gray")
    >>> points.values.tolist(), points.counts.tolist(), points.inverse.tolist()
    ([[0.0], [1.0]], [3, 1], [0, 1, 0, 0])
    """
    if spatial_weight > 0 or window > 1:
        return _each_alone(pixel_features(image, color_space, spatial_weight, window))
    if color_space == "gray":
        image = to_color_space(image, "gray")
    colors = _distinct_colors(image)
    values = to_color_space(colors.values.T[:, :, None], color_space)[:, :, 0].T  # (D, U, 1) to (U, D)
    return Distinct(values, colors.counts, colors.inverse)


def distinct(features: Tensor) -> Distinct:
    """The different rows of any features (N, D), in lexicographic order.

    Exact: each column's values are ranked, and ranks are put together to one whole number a row; D sorts of numbers
    instead of one sort of rows, which `torch.unique` over a dimension does and which takes many times longer.

    Examples
    --------
    >>> points = distinct(torch.tensor([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0]]))
    >>> points.values.tolist(), points.counts.tolist(), points.inverse.tolist()
    ([[0.0, 5.0], [1.0, 2.0]], [1, 2], [1, 0, 1])
    """
    inverse = torch.zeros(len(features), dtype=torch.int64, device=features.device)
    for column in features.T:
        levels, rank = torch.unique(column, return_inverse=True)
        _, inverse = torch.unique(inverse * len(levels) + rank, return_inverse=True)
    counts = torch.bincount(inverse)
    one_of_each = torch.empty_like(counts).scatter_(0, inverse, torch.arange(len(inverse), device=inverse.device))
    return Distinct(features[one_of_each], counts, inverse)


def windows(image: Tensor, size: int) -> Tensor:
    """The values in the window around each pixel, with mirrored borders.

    Parameters
    ----------
    image
        (C, H, W).
    size
        The window's side α.

    Returns
    -------
    Tensor
        (H, W, α²·C): the window's pixels row by row, each with its C channels.
    """
    if size < 1:
        raise ValueError(f"a window has a side of at least 1 pixel; got {size}")
    if size == 1:
        return image.movedim(0, -1)
    padded = mirror_pad(image, size // 2, (size - 1) // 2)
    return padded.unfold(1, size, 1).unfold(2, size, 1).permute(1, 2, 3, 4, 0).flatten(2)  # from (C, H, W, α, α)


def mirror_pad(image: Tensor, before: int, after: int) -> Tensor:
    """Lengthen the last two sides of (..., H, W) by their mirror image, the border repeated (… 1 0 | 0 1 2 …).

    Unlike `torch.nn.functional.pad`, any number of pixels can be added to a picture of any size.
    """
    rows, cols = (_mirrored(n, before, after, image.device) for n in image.shape[-2:])
    return image[..., rows, :][..., cols]


def center_colors(values: Tensor, color_space: ColorSpace, window: int = 1) -> Tensor:
    """The colors (K, 3), RGB in [0, 1], that features (K, D) stand for: of a window, its central pixel's.

    Examples
    --------
    >>> center_colors(torch.tensor([[100.0, 0.0, 0.0]]), "lab").round(decimals=2).tolist()
    [[1.0, 1.0, 1.0]]
    """
    color = values[:, center_columns(color_space, window)]
    return from_color_space(color.T[:, :, None], color_space)[:, :, 0].T


def center_columns(color_space: ColorSpace, window: int = 1) -> slice:
    """The features that hold the color of the pixel itself, in the middle of its window.

    Examples
    --------
    >>> center_columns("lab", window=3)
    slice(12, 15, None)
    """
    channels = 1 if color_space == "gray" else 3
    first = (window // 2 * window + window // 2) * channels
    return slice(first, first + channels)


def _places(image: Tensor) -> Tensor:
    """(N, 2) rows and columns, in lengths of the picture's longer side."""
    height, width = image.shape[1:]
    rows = torch.arange(height, device=image.device, dtype=image.dtype)
    cols = torch.arange(width, device=image.device, dtype=image.dtype)
    return torch.cartesian_prod(rows, cols) / max(height, width)


def _each_alone(features: Tensor) -> Distinct:
    n = torch.arange(len(features), device=features.device)
    return Distinct(features, torch.ones_like(n), n)


def _distinct_colors(image: Tensor) -> Distinct:
    """The different colors (U, C) of a picture (C, H, W), in lexicographic order."""
    levels = image * 255
    if levels.frac().amax() > 0:  # not an 8-bit picture
        return distinct(image.flatten(1).T)
    code = levels[0]
    for channel in levels[1:]:
        code = torch.add(channel, code, alpha=256)  # below 2²⁴: exact in float32
    found, inverse, counts = torch.unique(code.to(torch.int32), return_inverse=True, return_counts=True)
    shifts = torch.arange(8 * (len(image) - 1), -1, -8, device=image.device)
    values = (found[:, None] >> shifts & 255).to(image.dtype) / 255
    return Distinct(values, counts, inverse.flatten())


def _mirrored(n: int, before: int, after: int, device: torch.device) -> Tensor:
    index = torch.arange(-before, n + after, device=device) % (2 * n)
    return torch.minimum(index, 2 * n - 1 - index)
