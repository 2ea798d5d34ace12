"""Generated pictures whose truth is known: textured shapes that overlap, and a bright blob on a dark ground.

A shape is a signed distance on the grid of pixels: negative inside, in pixels. From it follow the truth (inside or
not) and the share of each border pixel that it covers. Later shapes are drawn over earlier ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from seglab.datasets._drawing import COLORS, SHAPES, TEXTURES, grid, ground, light, pick, texture_of, uniform
from seglab.segmenter import generator

__all__ = ["SHAPES", "TEXTURES", "Scene", "shapes", "two_tone"]

Texture = Literal["mixed", "flat", "stripes", "checks", "speckle"]

_GAP = 2.0  # pixels between shapes that are not to overlap
_TRIES = 200  # places tried for a shape, smaller ones as they go


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A picture and its truth.

    Attributes
    ----------
    image
        (C, H, W) float32 in [0, 1].
    semantic
        (H, W) int64: the class of each pixel, an index into ``class_names``.
    instances
        (H, W) int64: 0 for the background, then 1 to ``n_instances`` in drawing order.
    class_names
        The name of each class; the background first, where there is one.
    instance_classes
        (n_instances + 1,) int64: the class of each instance, so that ``semantic == instance_classes[instances]``.
    """

    image: Tensor
    semantic: Tensor
    instances: Tensor
    class_names: tuple[str, ...]
    instance_classes: Tensor

    @property
    def n_instances(self) -> int:
        """The number of objects."""
        return len(self.instance_classes) - 1


def shapes(
    *,
    height: int = 240,
    width: int = 320,
    n_shapes: int = 8,
    noise: float = 0.03,
    illumination: float = 0.3,
    texture: Texture = "mixed",
    overlap: float = 0.4,
    size: tuple[float, float] = (0.12, 0.25),
    classes: Sequence[str] = ("disk", "rectangle", "triangle", "star", "ring"),
    antialias: bool = True,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Scene:
    """Draw textured shapes on a textured ground, with every pixel's class and instance known.

    The parts of a scene are drawn apart: with the same seed, more noise or other light leaves shapes, colors and
    textures where they are.

    Parameters
    ----------
    height, width
        Size in pixels.
    n_shapes
        How many shapes; 0 gives the ground alone.
    noise
        Standard deviation of the Gaussian noise on each channel of each pixel; gray levels are in [0, 1].
    illumination
        Share of the light that is lost from the brightest to the darkest corner, in [0, 1]; 0 is even light.
    texture
        What is on shapes and ground: ``"flat"``, ``"stripes"``, ``"checks"``, ``"speckle"``, or ``"mixed"`` for one
        of them each.
    overlap
        The largest share of a shape that later ones may hide, in [0, 1). With 0, shapes keep two pixels apart.
    size
        Range of the shapes' radius, as a share of the picture's shorter side. Where there is no room for a shape of
        that size, a smaller one is drawn.
    classes
        The kinds of shapes to draw from; see `SHAPES`.
    antialias
        Mix the colors of a pixel on a border by the share that each covers. Without, and with flat texture, no noise
        and even light, each shape has exactly one color.
    seed
        The same seed gives the same scene, on every device.
    device
        Where the tensors are to lie.

    Returns
    -------
    Scene
        Image (3, H, W), semantic (0 background, then the classes in the order given) and instances.

    Raises
    ------
    ValueError
        A value is out of its range, or so many shapes do not fit without hiding one another more than allowed.

    Examples
    --------
    >>> scene = shapes(n_shapes=5, seed=3)
    >>> scene.image.shape, scene.n_instances, scene.class_names[:3]
    (torch.Size([3, 240, 320]), 5, ('background', 'disk', 'rectangle'))
    >>> torch.unique(scene.instances).tolist()
    [0, 1, 2, 3, 4, 5]
    """
    _check(height, width, n_shapes, noise, illumination, texture, overlap, size, classes)
    place, paint, weave, grain = _generators(seed, 4)
    distances, kinds, instances = _place(height, width, n_shapes, overlap, size, classes, place)
    image = ground(height, width, texture, paint, weave)
    for distance, color in zip(distances, pick(COLORS, n_shapes, paint), strict=True):
        covered = (0.5 - distance).clamp(0, 1) if antialias else (distance < 0).float()
        image = torch.lerp(image, color[:, None, None] * texture_of(height, width, texture, weave), covered)
    image = image * light(height, width, illumination, paint) + noise * torch.randn(image.shape, generator=grain)
    table = torch.tensor([0, *kinds])
    return Scene(
        image=image.clamp(0, 1).to(device),
        semantic=table[instances].to(device),
        instances=instances.to(device),
        class_names=("background", *classes),
        instance_classes=table.to(device),
    )


def two_tone(
    *,
    height: int = 128,
    width: int = 128,
    levels: tuple[float, float] = (0.35, 0.65),
    share: float = 0.3,
    noise: float = 0.08,
    illumination: float = 0.0,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Scene:
    """Draw one bright blob on a dark ground, gray, with noise: a histogram of two Gaussians that are known.

    Parameters
    ----------
    height, width
        Size in pixels.
    levels
        Gray of the ground and of the blob before light and noise.
    share
        Share of the pixels in the blob, in (0, 0.6]: the weight of the second Gaussian, to the pixel.
    noise
        Standard deviation of both Gaussians.
    illumination
        Share of the light that is lost from the brightest to the darkest corner, in [0, 1].
    seed
        The same seed gives the same picture.
    device
        Where the tensors are to lie.

    Returns
    -------
    Scene
        Image (1, H, W); semantic and instances are 0 on the ground and 1 on the blob.

    Examples
    --------
    >>> scene = two_tone(share=0.25)
    >>> scene.image.shape, scene.semantic.double().mean().item()
    (torch.Size([1, 128, 128]), 0.25)
    """
    _check(height, width, 0, noise, illumination, "flat", 0.0, (0.1, 0.1), ("disk",))
    if not 0 < share <= 0.6:
        raise ValueError(f"share is in (0, 0.6]; got {share}")
    outline, lamp, grain = _generators(seed, 3)
    rows, cols = grid(height, width, (height - 1) / 2, (width - 1) / 2)
    angle = torch.atan2(rows, cols)
    waves = torch.stack([torch.cos(k * angle + 2 * math.pi * uniform(outline)) / k for k in (2, 3, 5)]).sum(0)
    depth = torch.hypot(rows / height, cols / width) / (1 + 0.16 * waves)
    inside = torch.zeros(height * width, dtype=torch.int64)
    inside[depth.flatten().argsort(stable=True)[: round(share * height * width)]] = 1  # exactly that many pixels
    inside = inside.reshape(height, width)
    image = torch.tensor(levels)[inside] * light(height, width, illumination, lamp)
    image = image + noise * torch.randn(image.shape, generator=grain)
    return Scene(
        image=image[None].clamp(0, 1).to(device),
        semantic=inside.to(device),
        instances=inside.to(device),
        class_names=("ground", "blob"),
        instance_classes=torch.tensor([0, 1], device=device),
    )


def _place(
    height: int,
    width: int,
    n_shapes: int,
    overlap: float,
    size: tuple[float, float],
    classes: Sequence[str],
    g: torch.Generator,
) -> tuple[list[Tensor], list[int], Tensor]:
    """Find a place for each shape; return their distances, their classes from 1, and the map of instances."""
    instances = torch.zeros(height, width, dtype=torch.int64)
    areas = torch.zeros(n_shapes + 1)
    distances: list[Tensor] = []
    kinds: list[int] = []
    gap = 0.0 if overlap > 0 else _GAP
    for k in range(1, n_shapes + 1):
        kind = int(uniform(g) * len(classes))
        share = size[0] + uniform(g) * (size[1] - size[0])
        for attempt in range(_TRIES):
            radius = max(share * min(height, width) * 0.985**attempt, 1.5)
            distance = _put(SHAPES[classes[kind]], height, width, radius, g)
            hidden = torch.bincount(instances[distance < gap], minlength=n_shapes + 1)
            visible = torch.bincount(instances.flatten(), minlength=n_shapes + 1) - hidden
            if bool((distance < 0).any()) and bool((visible[1:k] >= (1 - overlap) * areas[1:k]).all()):
                break
        else:
            raise ValueError(
                f"there is no room for shape {k} of {n_shapes} in {height}×{width} pixels with {overlap=}: draw fewer "
                "or smaller ones, or let them hide more of one another"
            )
        inside = distance < 0
        instances[inside], areas[k] = k, inside.sum()
        distances.append(distance)
        kinds.append(kind + 1)
    return distances, kinds, instances


def _put(shape: Callable, height: int, width: int, radius: float, g: torch.Generator) -> Tensor:
    """The distances of all pixels from a shape at a random place, turned by a random angle, inside the picture."""
    row, col, turn = (uniform(g) for _ in range(3))
    rows, cols = grid(height, width, _between(row, radius, height), _between(col, radius, width))
    c, s = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    return shape(c * cols + s * rows, c * rows - s * cols, radius)


def _between(share: float, radius: float, side: int) -> float:
    margin = min(radius, side / 2)
    return margin + share * (side - 2 * margin) - 0.5


# --- small things -----------------------------------------------------------------------------------------------------


def _generators(seed: int, n: int) -> list[torch.Generator]:
    """Independent generators, one for each part of a scene."""
    seeds = torch.randint(2**62, (n,), generator=generator(seed))
    return [generator(int(s)) for s in seeds]


def _check(
    height: int,
    width: int,
    n_shapes: int,
    noise: float,
    illumination: float,
    texture: str,
    overlap: float,
    size: tuple[float, float],
    classes: Sequence[str],
) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"a picture has at least one pixel; got {height=}, {width=}")
    if n_shapes < 0:
        raise ValueError(f"n_shapes is at least 0; got {n_shapes}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is a standard deviation, at least 0; got {noise}")
    if not 0 <= illumination <= 1:
        raise ValueError(f"illumination is in [0, 1]; got {illumination}")
    if texture not in ("mixed", *TEXTURES):
        raise ValueError(f"texture is one of mixed, {', '.join(TEXTURES)}; got {texture!r}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is in [0, 1); got {overlap}")
    if not 0 < size[0] <= size[1] <= 0.5:
        raise ValueError(f"size is a range of radii in (0, 0.5] of the shorter side; got {size}")
    unknown = [name for name in classes if name not in SHAPES]
    if unknown or not classes:
        raise ValueError(f"classes are of {', '.join(SHAPES)}; got {tuple(classes)}")
