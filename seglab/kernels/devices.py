"""What must be said to a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["exact_convolutions"]


@contextmanager
def exact_convolutions(device: torch.device, *, unless: bool = False) -> Iterator[None]:
    """Convolve on a GPU as on a CPU: in full float32, by algorithms that always give the same.

    torch lets a GPU round what it multiplies to ten bits (TF32), up to seven times quicker; ``unless`` lets it too.
    """
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=not unless, allow_tf32=unless):
        yield
