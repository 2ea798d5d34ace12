"""SqueezeNet v1.0: a real classifier of photographs in 1.2 million weights, and how it comes to see everywhere at once.

The weights are those that its authors published, pruned and quantized. A classifier that ends in a global average is
convolutional already: without the average it gives a score map of any picture, in one pass.

*Differs from the paper*: there is no dropout, which does nothing at prediction.

References
----------
F. N. Iandola et al. (2016). SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size.
arXiv:1602.07360. S. Han, H. Mao, W. J. Dally (2016). Deep Compression. ICLR. arXiv:1510.00149.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab.image import as_image

__all__ = [
    "Fire",
    "SqueezeNet",
    "class_names",
    "classify",
    "linear_to_conv",
    "load_squeezenet",
    "normalize",
    "preprocess",
    "read_compressed",
    "to_fully_convolutional",
]

_FILE = "compressed_SqueezeNet.net"
_MEAN_BGR = (104.0, 117.0, 123.0)


class Fire(nn.Module):
    """Squeeze to few channels by 1×1, then expand by 1×1 and by 3×3 side by side: (N, C, H, W) to (N, 2E, H, W)."""

    def __init__(self, channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.expand1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze, expand, and put the channels of 1×1 before those of 3×3."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1(x).relu(), self.expand3(x).relu()], dim=1)


class SqueezeNet(nn.Module):
    """The network: (N, 3, H, W), as `preprocess` gives it, to scores (N, 1000) before the softmax.

    Parameters
    ----------
    dense
        Leave out the global average: a score map (N, 1000, h, w), one place per 16 pixels.
    """

    def __init__(self, *, dense: bool = False) -> None:
        super().__init__()
        self.dense = dense
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), _pool()),
            *(Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), _pool()),
            *(Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), _pool()),
            Fire(512, 64, 256),
        )
        self.classifier = nn.Conv2d(512, 1000, 1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Score 1000 classes; the scores are never negative, for a ReLU follows the last convolution too."""
        scores = self.classifier(self.features(x)).relu()
        return scores if self.dense else scores.mean((2, 3))


def read_compressed(data: bytes, model: nn.Module) -> None:
    """Write the weights of the authors' file into a model of the same layers, in the order of its modules.

    The file: for each layer a count n of non-zero weights (uint32); then for each layer 256 values and the biases
    (float32), n codes (uint8) that say which value, and n gaps of 4 bits, the low half of a byte first. A weight's
    place is the sum of (gap + 1) so far, less one.

    Raises
    ------
    ValueError
        The file ends too early, goes on too long, or leads out of a layer.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    counts, rest = _take(data, "<u4", len(layers))
    for layer, n in zip(layers, counts.tolist(), strict=True):
        values, rest = _take(rest, "<f4", 256)
        bias, rest = _take(rest, "<f4", layer.out_channels)
        codes, rest = _take(rest, "u1", n)
        pairs, rest = _take(rest, "u1", (n + 1) // 2)
        gaps = np.stack([pairs & 15, pairs >> 4], axis=1).ravel()[:n]
        places = np.cumsum(gaps.astype(np.int64) + 1) - 1
        if n and places[-1] >= layer.weight.numel():
            raise ValueError(f"place {places[-1]} is outside a layer of {layer.weight.numel()} weights")
        weight = np.zeros(layer.weight.numel(), np.float32)
        weight[places] = values[codes]
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight).view_as(layer.weight))
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
    if rest:
        raise ValueError(f"{len(rest)} bytes are left after the last layer")


def load_squeezenet(root: str | os.PathLike | None = None, *, download: bool = False) -> SqueezeNet:
    """Load the published weights, from the folder that SEGLAB_DATA names or the user's cache.

    Parameters
    ----------
    root
        The folder of data sets; by default the one that SEGLAB_DATA names, else the user's cache.
    download
        Fetch the authors' archive once where the file is not there, and again where it is broken.

    Returns
    -------
    SqueezeNet
        On the CPU, ready to predict.

    Raises
    ------
    DatasetNotFoundError
        The file is not there, and `download` is false.
    DatasetError
        Its checksum is wrong and `download` is false, or the download failed.
    """
    from seglab.datasets._catalog import SOURCES  # here, because what downloads takes a moment to import
    from seglab.datasets._download import install
    from seglab.datasets._source import DatasetError

    source = SOURCES["squeezenet"]
    path = (install(source, root) if download else source.require(root)) / _FILE
    if source.problems(path.parent):
        raise DatasetError(f"{path} is broken: its checksum is wrong. Load with download=True to mend it.")
    model = SqueezeNet()
    read_compressed(path.read_bytes(), model)
    return model.eval()


def class_names(root: str | os.PathLike | None = None) -> list[str]:
    """Give the names of ImageNet's 1000 classes where a list of them lies beside the weights, else "class 0", ….

    The authors' archive has no such list, so none comes with the download and none ships here. One that is put there
    must be called ``imagenet_class_names.txt`` and have a line for each class: number, tab, WordNet id, tab, names.

    Parameters
    ----------
    root
        Where the weights are looked for, as in `load_squeezenet`.

    Raises
    ------
    ValueError
        The list does not have 1000 such lines in order.

    Examples
    --------
    >>> class_names("no/such/folder")[292]
    'class 292'
    """
    from seglab.datasets._catalog import SOURCES

    folder = SOURCES["squeezenet"].find(root)
    path = Path() if folder is None else folder / "imagenet_class_names.txt"
    if not path.is_file():
        return [f"class {i}" for i in range(1000)]
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    if len(rows) != 1000 or any(len(row) != 3 or row[0] != str(i) for i, row in enumerate(rows)):
        raise ValueError(f"{path} must have 1000 lines 'number<tab>WordNet id<tab>names', numbered from 0")
    return [row[2] for row in rows]


def preprocess(image: Any, *, short_side: int | None = 256, crop: int | None = 227) -> Tensor:
    """Turn a picture into what the network takes: (1, 3, H, W), BGR from 0 to 255, less the mean color.

    Parameters
    ----------
    short_side
        Resize (bilinear, smoothed) so that the shorter side has as many pixels; None leaves the size.
    crop
        Cut as large a square from the middle; None keeps all.

    Examples
    --------
    >>> preprocess(torch.zeros(3, 10, 20)).shape
    torch.Size([1, 3, 227, 227])
    """
    x = as_image(image)[None]
    x = x.expand(1, 3, *x.shape[2:])
    if short_side is not None:
        factor = short_side / min(x.shape[2:])
        size = [round(side * factor) for side in x.shape[2:]]
        x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
    if crop is not None:
        if crop > min(x.shape[2:]):
            raise ValueError(f"cannot cut {crop}×{crop} from {x.shape[2]}×{x.shape[3]}; give a larger short_side")
        top, left = ((side - crop) // 2 for side in x.shape[2:])
        x = x[..., top : top + crop, left : left + crop]
    return normalize(x)


def normalize(x: Tensor) -> Tensor:
    """Turn pictures (N, 3, H, W), RGB in [0, 1], into the network's BGR from 0 to 255, less the mean color."""
    return x.flip(1) * 255 - x.new_tensor(_MEAN_BGR)[:, None, None]


def classify(model: SqueezeNet, image: Any, *, k: int = 5, names: list[str] | None = None) -> list[tuple[str, float]]:
    """Give the k likeliest classes of a picture, and their probabilities, the likeliest first."""
    if not 1 <= k <= 1000:
        raise ValueError(f"k must be from 1 to 1000, got {k}")
    with torch.inference_mode():
        scores = model(preprocess(image).to(next(model.parameters()).device))
        if scores.ndim == 4:
            scores = scores.mean((2, 3))
        best = scores[0].softmax(0).topk(k)
    names = class_names() if names is None else names
    return [(names[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def to_fully_convolutional(model: SqueezeNet) -> SqueezeNet:
    """Make the same network without its global average, of copied weights.

    Channel c of its score map is the class activation map of class c: their mean is the classifier's score.
    """
    parameter = next(model.parameters())
    dense = SqueezeNet(dense=True).to(parameter.device, parameter.dtype)
    dense.load_state_dict(model.state_dict())
    return dense.train(model.training)


def linear_to_conv(linear: nn.Linear, channels: int, height: int, width: int) -> nn.Conv2d:
    """Make the convolution that does to each height × width window what a linear layer does to the flattened map.

    The weights are the same, (out, C · h · w) seen as (out, C, h, w); on a larger map the outputs form a grid.

    Examples
    --------
    >>> conv = linear_to_conv(nn.Linear(2 * 3 * 3, 5), 2, 3, 3)
    >>> conv(torch.zeros(1, 2, 3, 3)).shape, conv(torch.zeros(1, 2, 4, 6)).shape
    (torch.Size([1, 5, 1, 1]), torch.Size([1, 5, 2, 4]))
    """
    if linear.in_features != channels * height * width:
        raise ValueError(f"the layer takes {linear.in_features} numbers, not {channels} · {height} · {width}")
    conv = nn.Conv2d(channels, linear.out_features, (height, width), bias=linear.bias is not None)
    conv = conv.to(linear.weight.device, linear.weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(linear.weight.view_as(conv.weight))
        if conv.bias is not None:
            conv.bias.copy_(linear.bias)
    return conv


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _take(data: bytes, dtype: str, n: int) -> tuple[np.ndarray, bytes]:
    """Read n numbers, and give what follows them."""
    size = n * np.dtype(dtype).itemsize
    if len(data) < size:
        raise ValueError(f"the file ends too early: {size} bytes expected, {len(data)} left")
    return np.frombuffer(data, dtype, n), data[size:]
