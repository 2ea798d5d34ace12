"""Augmentation: samples changed at random, in ways that leave what is to be learned as it is.

Each function takes a sample, the picture (C, H, W) in [0, 1] and its label map (H, W), and a generator on the CPU, and
gives a sample. Fix what else they take with `functools.partial`, and chain them with `chain`:

    augment = chain(partial(random_scale, low=0.8, high=1.25), partial(random_crop, size=(192, 192)), random_flip)
    Training().fit(model, loss, train, augment=augment)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["chain", "random_brightness", "random_crop", "random_flip", "random_scale"]

Sample = tuple[Tensor, Tensor]


def chain(*functions: Callable[[Sample, torch.Generator], Sample]) -> Callable[[Sample, torch.Generator], Sample]:
    """Do one after another."""

    def augment(sample: Sample, generator: torch.Generator) -> Sample:
        for function in functions:
            sample = function(sample, generator)
        return sample

    return augment


def random_flip(sample: Sample, generator: torch.Generator) -> Sample:
    """Mirror left and right, every other time.

    Examples
    --------
    >>> g = torch.Generator().manual_seed(0)
    >>> row = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[0, 1]])
    >>> {tuple(random_flip(row, g)[1][0].tolist()) for _ in range(9)} == {(0, 1), (1, 0)}
    True
    """
    image, labels = sample
    if _between(0, 1, generator) < 0.5:
        return image, labels
    return image.flip(2), labels.flip(1)


def random_scale(sample: Sample, generator: torch.Generator, *, low: float = 0.75, high: float = 1.25) -> Sample:
    """Enlarge or shrink by a factor between `low` and `high`: the picture bilinearly, labels by the nearest pixel."""
    if not 0 < low <= high:
        raise ValueError(f"low and high must be factors, 0 < low ≤ high; got {low} and {high}")
    image, labels = sample
    factor = _between(low, high, generator)
    size = [max(1, round(side * factor)) for side in labels.shape]
    large = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=factor < 1)[0]
    return large.clamp(0, 1), F.interpolate(labels[None, None].double(), size, mode="nearest-exact")[0, 0].long()


def random_crop(sample: Sample, generator: torch.Generator, *, size: tuple[int, int]) -> Sample:
    """Cut a window of `size` (height, width) at a random place; what a smaller picture lacks is gray and unlabeled."""
    image, labels = sample
    height, width = labels.shape
    short = [max(0, want - have) for want, have in zip(size, (height, width), strict=True)]
    if any(short):
        image = F.pad(image, (0, short[1], 0, short[0]), value=0.5)
        labels = F.pad(labels, (0, short[1], 0, short[0]), value=-1)
    top, left = (
        int(torch.randint(have - want + 1, (), generator=generator))
        for want, have in zip(size, labels.shape, strict=True)
    )
    rows, cols = slice(top, top + size[0]), slice(left, left + size[1])
    return image[:, rows, cols], labels[rows, cols]


def random_brightness(sample: Sample, generator: torch.Generator, *, amount: float = 0.2) -> Sample:
    """Multiply by a factor and add a level, each drawn up to `amount` from doing nothing."""
    if not 0 <= amount < 1:
        raise ValueError(f"amount must be in [0, 1), got {amount}")
    image, labels = sample
    factor, level = _between(1 - amount, 1 + amount, generator), _between(-amount / 2, amount / 2, generator)
    return (image * factor + level).clamp(0, 1), labels


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()
