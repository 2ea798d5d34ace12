"""What scenes are drawn with: shapes as signed distances, colors, textures, light."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["COLORS", "GROUNDS", "SHAPES", "TEXTURES", "grid", "ground", "light", "pick", "texture_of", "uniform"]

TEXTURES = ("flat", "stripes", "checks", "speckle")
"""The textures that ``texture="mixed"`` draws from."""

# Lively, and far enough apart to be told by eye; the ground is taken from quieter ones.
COLORS = ("#E4572E", "#2E86AB", "#F3A712", "#4DAA57", "#7B4B94", "#D5479B", "#1FB5AD", "#A44A3F", "#F2E3BC", "#33415C")
GROUNDS = ("#6B705C", "#8D99AE", "#B7B7A4", "#5C6B73", "#A98467", "#7F8B7A")

# --- shapes as signed distances, in pixels ----------------------------------------------------------------------------


def _disk(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return torch.hypot(u, v) - radius


def _ring(u: Tensor, v: Tensor, radius: float) -> Tensor:
    return (torch.hypot(u, v) - 0.75 * radius).abs() - 0.25 * radius


def _rectangle(u: Tensor, v: Tensor, radius: float) -> Tensor:
    a, b = u.abs() - 0.8 * radius, v.abs() - 0.55 * radius
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


def _stick(u: Tensor, v: Tensor, radius: float) -> Tensor:
    """Two pixels thin, however long."""
    return torch.hypot((u.abs() - radius + 1).clamp(min=0), v) - 1


SHAPES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "disk": _disk,
    "square": _square,
    "rectangle": _rectangle,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "stick": _stick,
}
"""The kinds of shapes: each a signed distance of pixels at (u, v) from its center, for a radius."""


# --- color, texture, light --------------------------------------------------------------------------------------------


def ground(height: int, width: int, texture: str, paint: torch.Generator, weave: torch.Generator) -> Tensor:
    color = pick(GROUNDS, 1, paint)[0]
    pattern = 1 + 0.5 * (texture_of(height, width, texture, weave) - 1)  # quieter than the shapes'
    return color[:, None, None] * pattern


def texture_of(height: int, width: int, texture: str, g: torch.Generator) -> Tensor:
    """Factors about 1 (H, W) by which a color is lightened and darkened."""
    which, turn, phase, pitch = (uniform(g) for _ in range(4))
    kind = TEXTURES[int(which * len(TEXTURES))] if texture == "mixed" else texture
    period = 7 + 7 * pitch
    rows, cols = grid(height, width, 0, 0)
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


def light(height: int, width: int, illumination: float, g: torch.Generator) -> Tensor:
    """The light (H, W): 1 in the brightest corner, falling evenly to ``1 - illumination`` in the darkest."""
    turn = 2 * math.pi * uniform(g)
    rows, cols = grid(height, width, 0, 0)
    ramp = math.cos(turn) * cols / max(width - 1, 1) + math.sin(turn) * rows / max(height - 1, 1)
    ramp = ramp - ramp.min()
    return 1 - illumination * ramp / ramp.max().clamp(min=1e-6)


def pick(colors: Sequence[str], n: int, g: torch.Generator) -> Tensor:
    """``n`` colors (n, 3), each a little off its name; none twice before all were used."""
    table = torch.tensor([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in colors])
    rounds = [torch.randperm(len(table), generator=g) for _ in range(-(-n // len(table)))]
    order = torch.cat(rounds)[:n] if rounds else torch.zeros(0, dtype=torch.int64)
    return (table[order] + 0.04 * torch.randn(n, 3, generator=g)).clamp(0.05, 0.95)


# --- small things -----------------------------------------------------------------------------------------------------


def grid(height: int, width: int, row: float, col: float) -> tuple[Tensor, Tensor]:
    """Rows (H, 1) and columns (1, W) from a point, in pixels."""
    rows, cols = torch.meshgrid(torch.arange(height) - row, torch.arange(width) - col, indexing="ij")
    return rows, cols


def uniform(g: torch.Generator) -> float:
    return torch.rand((), generator=g).item()
