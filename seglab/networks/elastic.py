"""Elastic deformation: pictures of soft tissue that might have been, and their labels with them.

U-Net learned from thirty pictures because each was bent anew every time: a smooth field of displacements, drawn on a
coarse grid and interpolated, moves every pixel, and the labels move along. Bent cells are cells still.

References
----------
O. Ronneberger, P. Fischer, T. Brox (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.
doi:10.1007/978-3-319-24574-4_28: "random displacement vectors on a coarse 3 by 3 grid", Gaussian of 10 pixels, bicubic.

*Differs from the paper*: what it leaves open. Beyond its borders a picture is mirrored; values that bicubic
interpolation throws out of the picture's range are put back on it; labels take the nearest pixel's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bend", "center_window", "displacements", "elastic", "flip_or_turn", "window"]


def displacements(
    height: int, width: int, *, sigma: float = 10.0, grid: int = 3, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a smooth field: Gaussian vectors on a coarse grid, with bicubic interpolation between them.

    Parameters
    ----------
    height, width
        Size of the picture.
    sigma
        Standard deviation of a vector's row and of its column, in pixels; 10 in the paper. More bends more.
    grid
        Vectors on a side, the outer ones on the picture's corners; 3 in the paper. More make finer waves.
    generator
        On the CPU; without one the field is that of seed 0.

    Returns
    -------
    Tensor
        (2, H, W) float32: by how many rows and columns from each pixel its value is to be read.

    Examples
    --------
    >>> displacements(48, 64).shape, displacements(48, 64, sigma=0).abs().max().item()
    (torch.Size([2, 48, 64]), 0.0)
    """
    if min(height, width) < 1 or grid < 2 or not sigma >= 0:
        raise ValueError(
            f"expected a picture of 1×1 pixels or more, grid of 2 or more and sigma of 0 or more, got "
            f"{height}×{width}, {grid} and {sigma}"
        )
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    coarse = sigma * torch.randn(1, 2, grid, grid, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0]


def bend(values: Tensor, field: Tensor) -> Tensor:
    """Read each pixel's value where the field points: bicubic for pictures, the nearest pixel's for whole numbers.

    Parameters
    ----------
    values
        (..., H, W): a picture or weights, floating; labels, whole numbers or bool.
    field
        (2, H, W), as `displacements` gives it.

    Returns
    -------
    Tensor
        As `values`.

    Examples
    --------
    >>> one_row_down = torch.stack([torch.ones(3, 3), torch.zeros(3, 3)])
    >>> bend(torch.tensor([[1, 1, 1], [2, 2, 2], [3, 3, 3]]), one_row_down).tolist()  # mirrored below
    [[2, 2, 2], [3, 3, 3], [2, 2, 2]]
    """
    height, width = values.shape[-2:]
    if field.shape != (2, height, width):
        raise ValueError(f"values of {height}×{width} need a field (2, {height}, {width}), got {tuple(field.shape)}")
    rows = torch.arange(height, device=values.device)[:, None] + field[0].to(values.device)
    cols = torch.arange(width, device=values.device) + field[1].to(values.device)
    if not values.is_floating_point():
        return values[..., _mirrored(rows.round().long(), height), _mirrored(cols.round().long(), width)]
    where = torch.stack([2 * cols / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1], dim=-1)  # (H, W, 2)
    flat = values.reshape(1, -1, height, width)
    out = F.grid_sample(flat, where[None].to(values), mode="bicubic", padding_mode="reflection", align_corners=True)
    return out.clamp(values.min(), values.max()).reshape(values.shape)


def elastic(
    sample: tuple[Tensor, ...], generator: torch.Generator, *, sigma: float = 10.0, grid: int = 3
) -> tuple[Tensor, ...]:
    """Bend a picture and all that belongs to its pixels by one random field.

    Parameters
    ----------
    sample
        Tensors (..., H, W) of one size: a picture, its labels, their weights.
    generator
        On the CPU.
    sigma, grid
        As of `displacements`.

    Examples
    --------
    >>> picture, labels = elastic((torch.rand(1, 32, 32), torch.ones(32, 32).long()), torch.Generator().manual_seed(5))
    >>> picture.shape, labels.unique().tolist()
    (torch.Size([1, 32, 32]), [1])
    """
    field = displacements(*_size(sample), sigma=sigma, grid=grid, generator=generator)
    return tuple(bend(values, field) for values in sample)


def flip_or_turn(sample: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Turn a sample of squares by 0, 90, 180 or 270 degrees, and mirror it or not: one of eight, alike for all.

    Examples
    --------
    >>> (turned,) = flip_or_turn((torch.tensor([[1, 2], [3, 4]]),), torch.Generator().manual_seed(5))
    >>> turned.tolist()
    [[3, 1], [4, 2]]
    """
    height, width = _size(sample)
    if height != width:
        raise ValueError(f"only squares keep their size when turned, got {height}×{width}")
    which = int(torch.randint(8, (), generator=generator))
    turned = tuple(torch.rot90(values, which % 4, (-2, -1)) for values in sample)
    return tuple(values.flip(-1) for values in turned) if which >= 4 else turned


def window(sample: tuple[Tensor, ...], size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Cut the same random square of a side out of all.

    Raises
    ------
    ValueError
        The pictures are smaller.
    """
    height, width = _size(sample)
    if size > min(height, width):
        raise ValueError(f"a window of {size}×{size} does not fit into {height}×{width}")
    row = int(torch.randint(height - size + 1, (), generator=generator))
    col = int(torch.randint(width - size + 1, (), generator=generator))
    return tuple(values[..., row : row + size, col : col + size] for values in sample)


def center_window(values: Tensor, height: int, width: int) -> Tensor:
    """Cut the middle out of (..., H, W): what a network without padding has scores for."""
    row, col = (values.shape[-2] - height) // 2, (values.shape[-1] - width) // 2
    if min(row, col) < 0:
        raise ValueError(f"a window of {height}×{width} does not fit into {values.shape[-2]}×{values.shape[-1]}")
    return values[..., row : row + height, col : col + width]


def _size(sample: tuple[Tensor, ...]) -> tuple[int, int]:
    sizes: set[Any] = {tuple(values.shape[-2:]) for values in sample}
    if len(sizes) != 1:
        raise ValueError(f"a sample's tensors (..., H, W) must be of one size, got {sorted(sizes)}")
    height, width = sizes.pop()
    return height, width


def _mirrored(index: Tensor, n: int) -> Tensor:
    """Indices as if the axis went on mirrored at its first and last pixel."""
    if n == 1:
        return torch.zeros_like(index)
    index = index.abs() % (2 * n - 2)
    return torch.minimum(index, 2 * n - 2 - index)
