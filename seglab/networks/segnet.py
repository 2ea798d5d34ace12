"""SegNet: each pooling remembers where its maxima were, and the way up puts values back there.

The encoder is VGG16's thirteen convolutions. To keep its maps costs memory; a switch, the place of a maximum in its
window of 2×2, costs two bits. So only switches cross to the decoder, which mirrors the encoder: unpool with the
switches of the same size, then convolutions that fill what is left empty.

References
----------
V. Badrinarayanan, A. Kendall, R. Cipolla. SegNet: a deep convolutional encoder-decoder architecture for image
segmentation. IEEE Transactions on Pattern Analysis and Machine Intelligence 39(12):2481-2495, 2017.
doi:10.1109/TPAMI.2016.2644615, arXiv:1511.00561.

*Differs from the paper*: the encoder starts from random weights, as the decoder does, not from those that VGG16 learned
on photographs. As in the authors' own code the last convolution gives the scores, without normalization or ReLU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from seglab.networks.layers import max_unpool
from seglab.segmenter import generator

__all__ = ["SegNet", "median_frequency_weights"]


class SegNet(nn.Module):
    """The network: a picture (N, C, H, W) to scores (N, n_classes, H, W) before the softmax.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the picture and of the scores.
    width
        Channels of the first level; each level down has twice as many, up to eight times. 64 is the paper's.
    convs
        How many convolutions each level of the encoder has, and each level of the decoder in the reverse order. The
        default, VGG16's, with a width of 64 has 29 million weights; ``convs=(1, 1, 1), width=16`` trains in minutes.
    seed
        Of the first weights: normal, of variance 2 / (values that an output sees), biases zero.

    Attributes
    ----------
    encoder, decoder
        The blocks of convolutions, from the first to the last that runs; pooling and unpooling lie between.

    Examples
    --------
    >>> net = SegNet(width=8, convs=(1, 1, 2))
    >>> net(torch.zeros(1, 3, 45, 60)).shape  # odd sides too: the decoder knows each map's size
    torch.Size([1, 11, 45, 60])
    """

    def __init__(
        self,
        in_channels: int = 3,
        n_classes: int = 11,
        *,
        width: int = 64,
        convs: Sequence[int] = (2, 2, 3, 3, 3),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(in_channels, n_classes, width) < 1 or not len(convs) or min(convs) < 1:
            raise ValueError(
                f"in_channels, n_classes, width and each of convs must be at least 1, got {in_channels}, {n_classes}, "
                f"{width} and {tuple(convs)}"
            )
        self.in_channels = in_channels
        channels = [in_channels, *(width * min(2**level, 8) for level in range(len(convs)))]
        levels = range(len(convs))
        self.encoder = nn.ModuleList(
            nn.Sequential(*_convs([channels[i]] + [channels[i + 1]] * convs[i])) for i in levels
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(*_convs([channels[i + 1]] * convs[i] + [channels[i]])) for i in levels[:0:-1]
        )
        score = skip_init(nn.Conv2d, width, n_classes, kernel_size=3, padding=1)
        self.decoder.append(nn.Sequential(*_convs([width] * convs[0]), score))
        g = generator(seed)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=g)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Pool and remember; then unpool what was pooled last first.

        Raises
        ------
        ValueError
            The picture has other channels, or is too small to be pooled so often.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels or min(x.shape[2:]) < 2 ** len(self.encoder):
            raise ValueError(
                f"expected pictures (N, {self.in_channels}, H, W) with sides of at least {2 ** len(self.encoder)}, "
                f"got {tuple(x.shape)}"
            )
        ways = []
        for block in self.encoder:
            x = block(x)
            size = (x.shape[2], x.shape[3])
            x, switches = F.max_pool2d(x, 2, return_indices=True)
            ways.append((switches, size))
        for block in self.decoder:
            x = block(max_unpool(x, *ways.pop()))
        return x


def median_frequency_weights(labels: Iterable[Tensor], n_classes: int, *, ignore: int | None = -1) -> Tensor:
    """Weigh classes for the loss by the median of all classes' frequencies over their own, so that rare ones count.

    A class's frequency is its share of the pixels of those pictures in which it occurs.

    Parameters
    ----------
    labels
        The truth of each picture, (H, W) whole numbers.
    n_classes
        The number K of classes.
    ignore
        Pixels with this label are not counted.

    Returns
    -------
    Tensor
        (K,) float32, for ``torch.nn.functional.cross_entropy(weight=…)``; 0 for a class that does not occur.

    Raises
    ------
    ValueError
        No pixel counts, or a label is no class.

    References
    ----------
    D. Eigen, R. Fergus. Predicting depth, surface normals and semantic labels with a common multi-scale convolutional
    architecture. IEEE International Conference on Computer Vision (ICCV) 2015. doi:10.1109/ICCV.2015.304

    Examples
    --------
    >>> pictures = torch.tensor([[[0, 0, 0, 1]], [[0, 0, 2, 2]]])
    >>> median_frequency_weights(pictures, 3)  # frequencies 5/8, 1/4 and 1/2
    tensor([0.8000, 2.0000, 1.0000])
    """
    pixels, among = torch.zeros(2, n_classes, dtype=torch.float64)
    for picture in labels:
        counted: Any = picture if ignore is None else picture[picture != ignore]
        if counted.numel() and not 0 <= int(counted.min()) <= int(counted.max()) < n_classes:
            raise ValueError(f"labels must be classes from 0 to {n_classes - 1}; name one not to count as ignore")
        counts = torch.bincount(counted.flatten().long(), minlength=n_classes).cpu()
        pixels += counts
        among += counted.numel() * (counts > 0)
    if not bool(pixels.sum() > 0):
        raise ValueError("no pixel counts: there is no picture, or all its labels are ignored")
    occurs = pixels > 0
    frequency = pixels[occurs] / among[occurs]
    weights = torch.zeros(n_classes, dtype=torch.float64)
    weights[occurs] = frequency.quantile(0.5) / frequency
    return weights.float()


def _convs(channels: Sequence[int]) -> list[nn.Module]:
    """Convolutions from each number of channels to the next, each normalized and with ReLU."""
    layers: list[nn.Module] = []
    for before, after in zip(channels, channels[1:], strict=False):
        conv = skip_init(nn.Conv2d, before, after, kernel_size=3, padding=1)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return layers
