"""Generated tissue: cells that touch, with dark membranes between them, as an electron microscope shows nerve cells.

Points on a jittered grid own the pixels nearest to them, in a plane that a smooth field has bent; membranes run along
the borders. What makes it hard is put in on purpose: membranes that fade, organelles as dark as membranes inside the
cells, uneven gray, noise.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import interpolate

from seglab.datasets._drawing import light, uniform
from seglab.datasets.scenes import Scene
from seglab.labels import connected_components, relabel
from seglab.segmenter import generator

__all__ = ["tissue"]

_LEAST = 12  # pixels; what a membrane cuts off smaller is part of it


def tissue(
    *,
    height: int = 256,
    width: int = 256,
    spacing: float = 32.0,
    membrane: float = 4.0,
    fading: float = 0.5,
    organelles: float = 0.6,
    noise: float = 0.08,
    illumination: float = 0.2,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Scene:
    """Draw cells with membranes between them, every pixel's cell known.

    Parameters
    ----------
    height, width
        Size in pixels.
    spacing
        Pixels from one cell's middle to the next, about.
    membrane
        Width of a membrane in pixels.
    fading
        How faint membranes become in places, in [0, 1]; 0 leaves all alike.
    organelles
        The share of cells with an organelle, in [0, 1]: a disk with a rim as dark as a membrane, and no border.
    noise
        Standard deviation of the Gaussian noise of each pixel; gray levels are in [0, 1].
    illumination
        Share of the light that is lost from the brightest to the darkest corner, in [0, 1].
    seed
        The same seed gives the same tissue. The parts are drawn apart: more noise leaves cells where they are.
    device
        Where the tensors are to lie.

    Returns
    -------
    Scene
        Image (1, H, W); semantic 0 on membranes and 1 in cells; instances 0 on membranes, cells from 1.

    Raises
    ------
    ValueError
        A value is out of its range.

    Examples
    --------
    >>> scene = tissue(height=96, width=128, seed=1)
    >>> scene.image.shape, scene.class_names, scene.n_instances
    (torch.Size([1, 96, 128]), ('membrane', 'cell'), 17)
    """
    _check(height, width, spacing, membrane, fading, organelles, noise, illumination)
    place, paint, grain = (generator(3 * seed + k) for k in range(3))
    owner, far, centers = _partition(height, width, spacing, place)
    wall = far < membrane / 2
    wall[:, :-1] |= owner[:, :-1] != owner[:, 1:]
    wall[:-1] |= owner[:-1] != owner[1:]
    cells = _numbered(owner, wall)
    levels = 0.68 + 0.08 * torch.randn(len(centers), generator=paint).clamp(-2, 2)
    image = levels[owner] + 0.04 * _field(height, width, 6, paint)
    image = _with_organelles(image, centers, spacing, organelles, membrane, paint)
    there = (1 - fading * (0.5 + _field(height, width, 2 * spacing, paint)).clamp(0, 1)) * 0.45
    image = image - there * (0.5 + membrane / 2 - far).clamp(0, 1)
    image = image * light(height, width, illumination, paint) + noise * torch.randn(image.shape, generator=grain)
    n = int(cells.max())
    return Scene(
        image=image[None].clamp(0, 1).to(device),
        semantic=(cells > 0).long().to(device),
        instances=cells.to(device),
        class_names=("membrane", "cell"),
        instance_classes=torch.tensor([0, *[1] * n]).to(device),
    )


def _partition(height: int, width: int, spacing: float, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The cell (H, W) that owns each pixel, the distance to its border, and the cells' middles (K, 2)."""
    rows, cols = torch.meshgrid(
        torch.arange(-1, height / spacing + 1), torch.arange(-1, width / spacing + 1), indexing="ij"
    )
    grid = torch.stack([rows, cols + 0.5 * (rows % 2)], -1).reshape(-1, 2)
    centers = spacing * (grid + 0.5 + 0.7 * (torch.rand(grid.shape, generator=g) - 0.5))
    bend = spacing / 5 * torch.stack([_field(height, width, spacing, g) for _ in range(2)], -1)
    pixels = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1) + bend
    distance, nearest = KDTree(centers.numpy()).query(pixels.numpy(), k=2)
    first, second = torch.from_numpy(nearest.astype(np.int64)).unbind(-1)
    near, next_near = torch.from_numpy(distance).float().unbind(-1)
    apart = (centers[first] - centers[second]).norm(dim=-1)
    return first, (next_near**2 - near**2) / (2 * apart), centers


def _numbered(owner: Tensor, wall: Tensor) -> Tensor:
    """Cells from 1 where they hang together and are large enough, 0 elsewhere."""
    parts = connected_components(torch.where(wall, -1, owner))
    sizes = torch.bincount(parts.flatten() + 1)
    small = sizes[parts + 1] < _LEAST
    return relabel(torch.where(small, -1, parts)) + 1


def _with_organelles(
    image: Tensor, centers: Tensor, spacing: float, share: float, membrane: float, g: torch.Generator
) -> Tensor:
    """Disks with dark rims in some cells, near the middle."""
    rows, cols = (torch.arange(n) for n in image.shape)
    chosen = torch.rand(len(centers), generator=g) < share
    offsets = spacing * 0.15 * torch.randn(len(centers), 2, generator=g).clamp(-1, 1)
    radii = spacing * (0.13 + 0.09 * torch.rand(len(centers), generator=g))
    for (row, col), radius in zip((centers + offsets)[chosen].tolist(), radii[chosen].tolist(), strict=True):
        away = torch.hypot((rows - row)[:, None], (cols - col)[None] * (0.7 + 0.6 * uniform(g)))
        inside, rim = (radius - away + 0.5).clamp(0, 1), (1 - (away - radius).abs() / (membrane / 2)).clamp(0, 1)
        image = image - 0.12 * inside - 0.3 * rim
    return image


def _field(height: int, width: int, period: float, g: torch.Generator) -> Tensor:
    """A smooth random field (H, W) of about unit variance, whose waves are about two periods long."""
    size = [int(n // period) + 3 for n in (height, width)]
    coarse = torch.randn(1, 1, *size, generator=g)
    fine = [int(n * period) for n in size]
    return interpolate(coarse, size=fine, mode="bicubic", align_corners=False)[0, 0, :height, :width]


def _check(
    height: int,
    width: int,
    spacing: float,
    membrane: float,
    fading: float,
    organelles: float,
    noise: float,
    illumination: float,
) -> None:
    if min(height, width) < 8:
        raise ValueError(f"a tissue has at least 8×8 pixels; got {height}×{width}")
    if not (spacing >= 8 and 1 <= membrane <= spacing / 3):
        raise ValueError(f"spacing is at least 8, and membrane in [1, spacing / 3]; got {spacing} and {membrane}")
    for name, value in (("fading", fading), ("organelles", organelles), ("illumination", illumination)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is in [0, 1]; got {value}")
    if not noise >= 0:
        raise ValueError(f"noise is at least 0; got {noise}")
