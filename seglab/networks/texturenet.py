"""A small classifier of our own, of the kind that ends in fully connected layers: it names the texture of a window.

Three convolutions without padding, each with a pool, then two fully connected layers that take the last map as a list
of numbers, and so only windows of one size, 91×91. `dense` turns them into convolutions with the same weights: on a
window the same scores, on a larger picture those of all windows, 16 pixels apart, in one pass.

It does what AlexNet and VGG do, in 63,000 weights, on generated pictures: no network connection, no data set.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seglab.networks.squeezenet import linear_to_conv
from seglab.segmenter import generator

__all__ = ["TextureNet"]


class TextureNet(nn.Module):
    """The classifier: windows (N, 3, 91, 91), as `seglab.networks.preprocess` gives them, to scores (N, 4).

    Parameters
    ----------
    n_classes
        How many textures.
    seed
        Of the first weights.

    Examples
    --------
    >>> net = TextureNet()
    >>> net(torch.zeros(1, 3, 91, 91)).shape, net.dense()(torch.zeros(1, 3, 123, 155)).shape
    (torch.Size([1, 4]), torch.Size([1, 4, 3, 5]))
    """

    window = 91
    stride = 16

    def __init__(self, n_classes: int = 4, *, seed: int = 0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 16, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        )
        self.fc6 = nn.Linear(64 * 3 * 3, 64)
        self.fc7 = nn.Linear(64, n_classes)
        draw = generator(seed)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            else:
                nn.init.kaiming_normal_(p, nonlinearity="relu", generator=draw)
        with torch.no_grad():
            next(self.parameters()).div_(64)  # the first layer's input runs from -128 to 127

    def forward(self, x: Tensor) -> Tensor:
        """Score the classes of whole windows."""
        if x.shape[2:] != (self.window, self.window):
            raise ValueError(f"the fully connected layers take windows of 91×91 pixels, got {tuple(x.shape)}")
        return self.fc7(self.fc6(self.features(x).flatten(1)).relu())

    def dense(self) -> nn.Sequential:
        """Make the fully convolutional network with the same weights: fc6 a 3×3 convolution, fc7 a 1×1 one."""
        conv6, conv7 = linear_to_conv(self.fc6, 64, 3, 3), linear_to_conv(self.fc7, 64, 1, 1)
        return nn.Sequential(*self.features, conv6, nn.ReLU(), conv7)
