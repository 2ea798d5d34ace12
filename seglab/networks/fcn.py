"""Fully convolutional networks: a classifier that answers for every pixel.

A classifier's convolutions shrink the picture to a coarse map of what is where. 1×1 convolutions score each place of
that map for every class (FCN-32s: one place per 32 pixels), and bilinear upsampling brings the scores back to pixels.
Finer maps from further down know better *where*: their scores are added on the way up (16s, 8s, and here 4s).

*Differs from the paper*: the backbone's pools are 3×3, not 2×2, so maps lie on another's even places, and the kernel
that enlarges twice is 3×3 and not 4×4. Instead of 100 black pixels around the picture, 3 in the mean color are added
and each map repeats its border once. The classifier's stride is 16; what makes it 32 is one pool and one stage more,
which starts as a copy of the last.

References
----------
E. Shelhamer, J. Long, T. Darrell (2017). Fully convolutional networks for semantic segmentation. IEEE TPAMI
39(4):640-651. doi:10.1109/TPAMI.2016.2572683, arXiv:1605.06211. B. Zhou et al. (2016). Learning deep features for
discriminative localization. CVPR. doi:10.1109/CVPR.2016.319.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab.image import as_image
from seglab.networks.squeezenet import Fire, SqueezeNet, normalize, to_fully_convolutional

__all__ = ["FCN", "bilinear_kernel_between", "class_activation", "pixel_loss", "sliding_scores", "to_pixels"]

_PAD = 3  # pixels around the picture; 2 would do for every pixel to lie between two places of each map
_LEAST = 37  # the smallest side, borders included, of which the coarsest map still has a place


class FCN(nn.Module):
    """The network: pictures (N, 3, H, W) in [0, 1] to scores (N, n_classes, H, W) before the softmax, of any size.

    Parameters
    ----------
    features
        The convolutional part of a classifier, such as ``load_squeezenet().features``: a 7×7 convolution of stride 2,
        then stages, each behind a 3×3 max-pool of stride 2. It is copied; its 3×3 convolutions get a padding of 1.
    n_classes
        How many scores a pixel has.
    stride
        Of the finest map that is scored: 32, 16, 8 or 4. Each finer one adds a skip.
    dropout
        How likely a value of the coarsest map is dropped in training.

    Attributes
    ----------
    stages
        What makes the map of stride 2, 4, 8, 16, and 32.
    heads
        The 1×1 convolutions that score the maps, the coarsest first; they start at zero, as the paper's.
    ups
        The transposed convolutions between two maps: they start bilinear, and are learned. The last upsampling, to
        pixels, is fixed.

    Examples
    --------
    >>> model = FCN(SqueezeNet().features, n_classes=2, stride=8)
    >>> model(torch.zeros(1, 3, 50, 70)).shape
    torch.Size([1, 2, 50, 70])
    """

    def __init__(self, features: nn.Sequential, n_classes: int, *, stride: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        if stride not in (32, 16, 8, 4):
            raise ValueError(f"stride is 32, 16, 8 or 4; got {stride}")
        if n_classes < 2:
            raise ValueError(f"n_classes must be at least 2, got {n_classes}")
        self.n_classes, self.stride = n_classes, stride
        stages = list(_stages(features))
        self.stages = nn.ModuleList(stages)
        self.drop = nn.Dropout(dropout)
        channels = [_channels(stage) for stage in stages]
        scored = {32: 1, 16: 2, 8: 3, 4: 4}[stride]
        self.heads = nn.ModuleList(nn.Conv2d(n, n_classes, 1) for n in channels[::-1][:scored])
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(n_classes, n_classes, 3, stride=2, padding=1, bias=False) for _ in range(scored - 1)
        )
        for p in self.heads.parameters():
            nn.init.zeros_(p)
        with torch.no_grad():
            for p in self.ups.parameters():
                p.copy_(bilinear_kernel_between(n_classes, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Make maps ever coarser, score them, and come up again, adding finer scores."""
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"expected pictures (N, 3, H, W) in [0, 1], got {tuple(x.shape)}")
        height, width = x.shape[2:]
        far = [max(_PAD, _LEAST - _PAD - side) for side in (height, width)]
        x = F.pad(normalize(x), (_PAD, far[1], _PAD, far[0]))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        scores = _bordered(self.heads[0](self.drop(maps.pop())))
        for head, up in zip(list(self.heads)[1:], self.ups, strict=True):
            finer = _bordered(head(maps.pop()))
            # Place n of the coarser map lies where place 2n of the finer one does: both start at 1 - _PAD.
            scores = up(scores)[..., : finer.shape[2], : finer.shape[3]] + finer
        return to_pixels(scores, self.stride, 1 - _PAD, height, width)

    def freeze(self, n_stages: int) -> FCN:
        """Let the first stages stay as they are in training, which is quicker; return the network."""
        for stage in list(self.stages)[:n_stages]:
            stage.requires_grad_(False)
        return self

    def finer(self) -> FCN:
        """Make the network of half the stride: the same weights, and a skip that adds nothing until it is trained."""
        features = nn.Sequential(*(layer for stage in list(self.stages)[:-1] for layer in stage.children()))
        model = FCN(features, self.n_classes, stride=self.stride // 2, dropout=self.drop.p)
        model.load_state_dict({**model.state_dict(), **self.state_dict()})
        for own, given in zip(model.stages, self.stages, strict=True):
            own.requires_grad_(any(p.requires_grad for p in given.parameters()))
        return model.to(next(self.parameters()).device).train(self.training)


def pixel_loss(model: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Take the mean over labeled pixels of the cross-entropy −log p(true class); −1 is unlabeled.

    Parameters
    ----------
    model
        Gives scores (N, K, H, W) for pictures.
    batch
        Pictures (N, 3, H, W) and labels (N, H, W) int64.
    """
    images, labels = batch
    return F.cross_entropy(model(images).float(), labels, ignore_index=-1)


def bilinear_kernel_between(channels: int, factor: int) -> Tensor:
    """Make the weight (channels, channels, k, k) of a transposed convolution that puts values between given ones.

    k = 2f - 1, weight (1 - |i - f + 1| / f)(1 - |j - f + 1| / f), with stride f and padding f - 1: of n places come
    (n - 1) f + 1, each f-th is a given one, and there is no border. `seglab.networks.bilinear_kernel`, of even side,
    is for maps of pixels that are squares cut into smaller squares, as 2×2 pools make them.

    Examples
    --------
    >>> bilinear_kernel_between(1, 2)[0, 0].tolist()
    [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]
    """
    if channels < 1 or factor < 1:
        raise ValueError(f"channels and factor must be at least 1, got {channels} and {factor}")
    line = 1 - (torch.arange(2 * factor - 1) - factor + 1).abs() / factor
    return torch.eye(channels)[:, :, None, None] * (line[:, None] * line)


def to_pixels(scores: Tensor, stride: int, start: int, height: int, width: int) -> Tensor:
    """Bring a map (N, K, h, w), whose place i lies at pixel ``start + stride · i``, to pixels by bilinear upsampling.

    The same as a transposed convolution of `bilinear_kernel_between` and a crop.

    Raises
    ------
    ValueError
        The map does not reach all pixels.
    """
    size = [(n - 1) * stride + 1 for n in scores.shape[2:]]
    if start > 0 or size[0] + start < height or size[1] + start < width:
        raise ValueError(
            f"a map from {start} to {[n + start - 1 for n in size]} does not reach {height}×{width} pixels"
        )
    large = F.interpolate(scores, size, mode="bilinear", align_corners=True)
    return large[..., -start : height - start, -start : width - start]


@torch.inference_mode()
def class_activation(model: SqueezeNet, image: Any, number: int, *, short_side: int | None = None) -> Tensor:
    """Show where a classifier sees a class: its score map, brought to the pixels of a picture of any size.

    Parameters
    ----------
    model
        With or without its global average.
    image
        Anything that `seglab.image.as_image` takes.
    number
        The class.
    short_side
        Resize the picture to this first; None leaves it. What the network was trained on is 256 pixels high or wide.

    Returns
    -------
    Tensor
        (H, W) of the picture's size; the scores' mean before upsampling is the classifier's score of the whole.
    """
    picture = as_image(image)[None].expand(1, 3, -1, -1)
    height, width = picture.shape[2:]
    x = picture.to(next(model.parameters()).device)
    if short_side is not None:
        size = [round(side * short_side / min(height, width)) for side in (height, width)]
        x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
    scores = to_fully_convolutional(model)(normalize(x))[:, number : number + 1]
    # The classifier's own padding puts its first place at pixel 1; the repeated border, at 1 - 16.
    large = to_pixels(_bordered(_bordered(scores)), 16, 1 - 32, *x.shape[2:])
    return F.interpolate(large, (height, width), mode="bilinear", align_corners=False)[0, 0]


@torch.inference_mode()
def sliding_scores(classifier: Any, x: Tensor, window: int, stride: int, *, batch: int = 64) -> Tensor:
    """Score each window of a picture by itself, as was done before networks were fully convolutional.

    Parameters
    ----------
    classifier
        Gives scores (N, K) for (N, C, window, window).
    x
        (1, C, H, W).
    window, stride
        Sides of the windows, and pixels from one to the next.
    batch
        Windows that are classified together.

    Returns
    -------
    Tensor
        (1, K, h, w), h = (H - window) // stride + 1.
    """
    if x.ndim != 4 or x.shape[0] != 1 or min(x.shape[2:]) < window:
        raise ValueError(f"expected one picture (1, C, H, W) of at least {window} pixels a side, got {tuple(x.shape)}")
    windows = x[0].unfold(1, window, stride).unfold(2, window, stride)  # (C, h, w, window, window)
    rows, cols = windows.shape[1:3]
    flat = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
    scores = torch.cat([classifier(part.contiguous()) for part in flat.split(batch)])
    return scores.T.reshape(1, -1, rows, cols)


def _stages(features: nn.Sequential) -> Iterator[nn.Sequential]:
    """Copies of the layers up to each pool, and one stage more that is a copy of the last."""
    layers = [copy.deepcopy(layer) for layer in features]
    for module in (m for layer in layers for m in layer.modules()):
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.padding = (1, 1)
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = True  # the last places count where the side is even
    at = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    first = layers[0] if layers else None
    if not isinstance(first, nn.Conv2d) or (first.kernel_size, first.stride) != ((7, 7), (2, 2)) or len(at) != 3:
        raise ValueError("features must be a 7×7 convolution of stride 2, then three stages, each behind a max-pool")
    for start, end in zip([0, *at], [*at, len(layers)], strict=True):
        last = nn.Sequential(*layers[start:end])
        yield last
    yield copy.deepcopy(last)


def _channels(stage: nn.Sequential) -> int:
    """How many channels come out of a stage; a Fire puts those of two convolutions side by side."""
    last = [layer for layer in stage if isinstance(layer, nn.Conv2d | Fire)][-1]
    return 2 * last.expand3.out_channels if isinstance(last, Fire) else last.out_channels


def _bordered(x: Tensor) -> Tensor:
    """A map with its border repeated once."""
    return F.pad(x, (1, 1, 1, 1), mode="replicate")
