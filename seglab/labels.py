"""Provisional: replaced by the full label toolbox."""

from __future__ import annotations

import io

import torch
from PIL import Image
from torch import Tensor

from seglab.image import to_uint8

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def count_labels(labels: Tensor) -> int:
    return int((torch.unique(labels) >= 0).sum())


def colors(n: int) -> Tensor:
    rows = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in PALETTE]
    table = torch.tensor(rows)
    return table[torch.arange(n) % len(table)]


def overlay(labels: Tensor, image: Tensor | None = None, alpha: float = 0.5) -> Tensor:
    table = colors(int(labels.max()) + 1).to(labels.device)
    color = table[labels.clamp(min=0)].movedim(-1, 0)
    return color if image is None else alpha * color + (1 - alpha) * image


def to_png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, "PNG")
    return buffer.getvalue()
