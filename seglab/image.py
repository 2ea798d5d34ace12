"""Provisional: replaced by the full front door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["as_image", "to_uint8"]


def as_image(image: Any, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    if isinstance(image, (str, Path)):
        image = Image.open(image).convert("RGB")
    if isinstance(image, Tensor):
        picture = image
    else:
        array = np.asarray(image)
        array = array[..., None] if array.ndim == 2 else array
        scale = 255 if array.dtype == np.uint8 else 1
        picture = torch.from_numpy(np.ascontiguousarray(array)).movedim(-1, 0)[:3].to(dtype) / scale
    return picture.to(device=device, dtype=dtype)


def to_uint8(image: Tensor) -> np.ndarray:
    """(C, H, W) in [0, 1] -> (H, W, 3) uint8."""
    array = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))
