"""The network that labels the pixels of one picture, as a torch module: see `seglab.methods.BackpropSegmentation`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from seglab.kernels.backprop_segmentation import EPS, Layer

__all__ = ["cluster_network"]


def cluster_network(layers: Sequence[Layer], *, normalize: bool = True) -> nn.Sequential:
    """Make torch's own layers of a network's weights: convolution, ReLU and normalization, M times, then 1×1.

    Parameters
    ----------
    layers
        Of one network (B = 1), such as `seglab.kernels.backprop_segmentation.draw_network` draws.
    normalize
        Normalize the responses too.

    Returns
    -------
    nn.Sequential
        From (1, C, H, W) to (1, q, H, W). Its weights are copies, which can be trained. Normalizations use the
        statistics of the picture at hand, in training and after.

    Raises
    ------
    ValueError
        Several networks side by side.

    Examples
    --------
    >>> from seglab.kernels.backprop_segmentation import draw_network
    >>> [type(layer).__name__ for layer in cluster_network(draw_network(3, 1, 8, 5))]
    ['Conv2d', 'ReLU', 'BatchNorm2d', 'Conv2d', 'BatchNorm2d']
    """
    if any(len(layer.weight) != 1 for layer in layers):
        raise ValueError(f"a module holds one network; these are {len(layers[0].weight)} side by side")
    modules: list[nn.Module] = []
    for i, layer in enumerate(layers):
        last = i == len(layers) - 1
        modules.append(_convolution(layer))
        if not last:
            modules.append(nn.ReLU())
        if not last or normalize:
            modules.append(_normalization(layer))
    return nn.Sequential(*modules)


def _convolution(layer: Layer) -> nn.Conv2d:
    _, n_out, n_in, k, _ = layer.weight.shape
    with torch.device("meta"):  # draws nothing from the global generator
        conv = nn.Conv2d(n_in, n_out, k, padding=k // 2)
    conv.weight, conv.bias = (nn.Parameter(p[0].detach().clone()) for p in (layer.weight, layer.bias))
    return conv


def _normalization(layer: Layer) -> nn.BatchNorm2d:
    n, affine = layer.weight.shape[1], layer.gain is not None
    norm = nn.BatchNorm2d(n, eps=EPS, affine=affine, track_running_stats=False, device=layer.weight.device)
    if layer.gain is not None and layer.shift is not None:
        norm.weight, norm.bias = (nn.Parameter(p[0].detach().clone()) for p in (layer.gain, layer.shift))
    return norm
