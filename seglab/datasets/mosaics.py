"""Mosaics: generated pictures whose regions differ in texture, not in color, and whose truth is known."""

from __future__ import annotations

import torch

from seglab.datasets._drawing import COLORS, GROUNDS, TEXTURES, grid, light, pick, texture_of, uniform
from seglab.datasets.scenes import Scene, _generators

__all__ = ["mosaic"]


def mosaic(
    *,
    height: int = 120,
    width: int = 160,
    n_regions: int = 6,
    noise: float = 0.03,
    illumination: float = 0.2,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Scene:
    """Divide a picture among random points, each pixel to the nearest, and fill each part with a texture and a color.

    Any color may come with any texture, so that a color says nothing about the class.

    Parameters
    ----------
    height, width
        Size in pixels.
    n_regions
        How many points. Neighbors may have the same texture, in different colors; 1 gives one texture everywhere.
    noise
        Standard deviation of the Gaussian noise on each channel; gray levels are in [0, 1].
    illumination
        Share of the light that is lost from the brightest to the darkest corner, in [0, 1].
    seed
        The same seed gives the same picture, on every device.
    device
        Where the tensors are to lie.

    Returns
    -------
    Scene
        Image (3, H, W); semantic (H, W), the texture, an index into ``class_names``; instances (H, W) from 1.

    Examples
    --------
    >>> scene = mosaic(n_regions=5, seed=1)
    >>> scene.class_names, scene.image.shape, scene.n_instances
    (('flat', 'stripes', 'checks', 'speckle'), torch.Size([3, 120, 160]), 5)
    """
    if min(height, width, n_regions) < 1:
        raise ValueError(f"height, width and n_regions must be at least 1; got {height}, {width} and {n_regions}")
    if not (noise >= 0 and 0 <= illumination <= 1):
        raise ValueError(f"noise is at least 0 and illumination in [0, 1]; got {noise} and {illumination}")
    place, paint, weave, grain = _generators(seed, 4)
    points = torch.rand(n_regions, 2, generator=place) * torch.tensor([height, width])
    rows, cols = grid(height, width, 0, 0)
    distance = (rows[..., None] - points[:, 0]) ** 2 + (cols[..., None] - points[:, 1]) ** 2
    region = distance.argmin(2)
    classes = torch.tensor([int(uniform(place) * len(TEXTURES)) for _ in range(n_regions)])
    image = torch.zeros(3, height, width)
    for k, color in enumerate(pick((*COLORS, *GROUNDS), n_regions, paint)):
        filled = color[:, None, None] * texture_of(height, width, TEXTURES[classes[k]], weave)
        image = torch.where(region == k, filled, image)
    image = image * light(height, width, illumination, paint) + noise * torch.randn(image.shape, generator=grain)
    table = torch.cat([torch.tensor([-1]), classes])
    present = torch.unique(region)  # a point may be nearest to no pixel
    renumbered = torch.zeros(n_regions, dtype=torch.int64)
    renumbered[present] = torch.arange(1, len(present) + 1)
    return Scene(
        image=image.clamp(0, 1).to(device),
        semantic=classes[region].to(device),
        instances=renumbered[region].to(device),
        class_names=TEXTURES,
        instance_classes=torch.cat([table[:1], classes[present]]).to(device),
    )
