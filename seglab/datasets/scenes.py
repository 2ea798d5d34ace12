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
from torch.nn import functional

from seglab.segmenter import generator

__all__ = ["SHAPES", "TEXTURES", "Scene", "shapes", "two_tone"]

Texture = Literal["mixed", "flat", "stripes", "checks", "speckle"]
TEXTURES = ("flat", "stripes", "checks", "speckle")
"""The textures that ``texture="mixed"`` draws from."""

# Lively, and far enough apart to be told by eye; the ground is taken from quieter ones.
_COLORS = ("#E4572E", "#2E86AB", "#F3A712", "#4DAA57", "#7B4B94", "#D5479B", "#1FB5AD", "#A44A3F", "#F2E3BC", "#33415C")
_GROUNDS = ("#6B705C", "#8D99AE", "#B7B7A4", "#5C6B73", "#A98467", "#7F8B7A")

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
    image = _ground(height, width, texture, paint, weave)
    for distance, color in zip(distances, _pick(_COLORS, n_shapes, paint), strict=True):
        covered = (0.5 - distance).clamp(0, 1) if antialias else (distance < 0).float()
        image = torch.lerp(image, color[:, None, None] * _texture(height, width, texture, weave), covered)
    image = image * _light(height, width, illumination, paint) + noise * torch.randn(image.shape, generator=grain)
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
    outline, light, grain = _generators(seed, 3)
    rows, cols = _grid(height, width, (height - 1) / 2, (width - 1) / 2)
    angle = torch.atan2(rows, cols)
    waves = torch.stack([torch.cos(k * angle + 2 * math.pi * _uniform(outline)) / k for k in (2, 3, 5)]).sum(0)
    depth = torch.hypot(rows / height, cols / width) / (1 + 0.16 * waves)
    inside = torch.zeros(height * width, dtype=torch.int64)
    inside[depth.flatten().argsort(stable=True)[: round(share * height * width)]] = 1  # exactly that many pixels
    inside = inside.reshape(height, width)
    image = torch.tensor(levels)[inside] * _light(height, width, illumination, light)
    image = image + noise * torch.randn(image.shape, generator=grain)
    return Scene(
        image=image[None].clamp(0, 1).to(device),
        semantic=inside.to(device),
        instances=inside.to(device),
        class_names=("ground", "blob"),
        instance_classes=torch.tensor([0, 1], device=device),
    )


# --- shapes as signed distances, in pixels ----------------------------------------------------------------------------


def _disk(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return torch.hypot(u, v) - radius


def _ring(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return (torch.hypot(u, v) - 0.75 * radius).abs() - 0.25 * radius


def _rectangle(u: Tensor, v: Tensor, radius: float) -> Tensor:
    a, b = u.abs() - 0.9 * radius, v.abs() - 0.6 * radius
    return torch.hypot(a.clamp(min=0), b.clamp(min=0)) + torch.maximum(a, b).clamp(max=0)


def _square(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) - radius / math.sqrt(2)


def _triangle(u: Tensor, v: Tensor, radius: float) -> Tensor:
    sides = [u * math.cos(t) + v * math.sin(t) for t in (math.pi / 3, math.pi, 5 * math.pi / 3)]
    return torch.stack(sides).amax(0) - radius / 2


def _star(u: Tensor, v: Tensor, radius: float) -> Tensor:
    """Five points; by symmetry, the distance to the one edge of the sector that a pixel lies in."""
    sector = 2 * math.pi / 5
    angle = (torch.remainder(torch.atan2(v, u) + sector / 2, sector) - sector / 2).abs()
    far = torch.hypot(u, v)
    x, y = far * torch.cos(angle), far * torch.sin(angle)
    inner = 0.48 * radius
    dx, dy = inner * math.cos(sector / 2) - radius, inner * math.sin(sector / 2)  # from the point to the notch
    return (dy * (x - radius) - dx * y) / math.hypot(dx, dy)


SHAPES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "disk": _disk,
    "square": _square,
    "rectangle": _rectangle,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
}
"""The kinds of shapes: each a signed distance of pixels at (u, v) from its center, for a radius."""


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
        kind = int(_uniform(g) * len(classes))
        share = size[0] + _uniform(g) * (size[1] - size[0])
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
    row, col, turn = (_uniform(g) for _ in range(3))
    rows, cols = _grid(height, width, _between(row, radius, height), _between(col, radius, width))
    c, s = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    return shape(c * cols + s * rows, c * rows - s * cols, radius)


def _between(share: float, radius: float, side: int) -> float:
    margin = min(radius, side / 2)
    return margin + share * (side - 2 * margin) - 0.5


# --- color, texture, light --------------------------------------------------------------------------------------------


def _ground(height: int, width: int, texture: str, paint: torch.Generator, weave: torch.Generator) -> Tensor:
    color = _pick(_GROUNDS, 1, paint)[0]
    pattern = 1 + 0.5 * (_texture(height, width, texture, weave) - 1)  # quieter than the shapes'
    return color[:, None, None] * pattern


def _texture(height: int, width: int, texture: str, g: torch.Generator) -> Tensor:
    """Factors about 1 (H, W) by which a color is lightened and darkened."""
    which, turn, phase, pitch = (_uniform(g) for _ in range(4))
    kind = TEXTURES[int(which * len(TEXTURES))] if texture == "mixed" else texture
    period = 7 + 7 * pitch
    rows, cols = _grid(height, width, 0, 0)
    c, s = math.cos(math.pi * turn), math.sin(math.pi * turn)
    waves = [torch.sin(2 * math.pi * ((a * cols + b * rows) / period + phase)) for a, b in ((c, s), (-s, c))]
    if kind == "stripes":
        return 1 + 0.22 * (4 * waves[0]).clamp(-1, 1)
    if kind == "checks":
        return 1 + 0.18 * (6 * waves[0] * waves[1]).clamp(-1, 1)
    if kind == "speckle":
        coarse = torch.randn(1, 1, height // 2 + 2, width // 2 + 2, generator=g)
        grains = functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)[0, 0]
        return 1 + 0.2 * grains.clamp(-2, 2)
    return torch.ones(height, width)


def _light(height: int, width: int, illumination: float, g: torch.Generator) -> Tensor:
    """The light (H, W): 1 in the brightest corner, falling evenly to ``1 - illumination`` in the darkest."""
    turn = 2 * math.pi * _uniform(g)
    rows, cols = _grid(height, width, 0, 0)
    ramp = math.cos(turn) * cols / max(width - 1, 1) + math.sin(turn) * rows / max(height - 1, 1)
    ramp = ramp - ramp.min()
    return 1 - illumination * ramp / ramp.max().clamp(min=1e-6)


def _pick(colors: Sequence[str], n: int, g: torch.Generator) -> Tensor:
    """``n`` colors (n, 3), each a little off its name; none twice before all were used."""
    table = torch.tensor([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in colors])
    rounds = [torch.randperm(len(table), generator=g) for _ in range(-(-n // len(table)))]
    order = torch.cat(rounds)[:n] if rounds else torch.zeros(0, dtype=torch.int64)
    return (table[order] + 0.04 * torch.randn(n, 3, generator=g)).clamp(0.05, 0.95)


# --- small things -----------------------------------------------------------------------------------------------------


def _grid(height: int, width: int, row: float, col: float) -> tuple[Tensor, Tensor]:
    """Rows (H, 1) and columns (1, W) from a point, in pixels."""
    rows, cols = torch.meshgrid(torch.arange(height) - row, torch.arange(width) - col, indexing="ij")
    return rows, cols


def _uniform(g: torch.Generator) -> float:
    return torch.rand((), generator=g).item()


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
