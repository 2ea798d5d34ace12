"""What a step of Deep Superpixel Cut does with superpixels, beside a loop over them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seglab.methods import SLIC
from seglab.methods.deep_superpixel_cut import Membership, membership, pixel_loss, soft_cut, superpixel_means, vote

from . import MEDIUM, PHOTO, Row, benchmark


class Data(NamedTuple):
    superpixels: Tensor
    members: Membership
    features: Tensor
    weights: Tensor


@benchmark(
    "superpixel cut: votes, means, both losses, gradient", reference="loops over superpixels, clusters", least=40
)
class SuperpixelCut(Row):
    """1000 superpixels, 32 features a pixel; the network itself is left out, as it is the same on both sides."""

    sizes = (PHOTO, MEDIUM)

    def prepare(self, image: Tensor) -> Data:
        superpixels = SLIC(n_segments=1000).segment(image).labels
        draw = torch.Generator().manual_seed(0)
        features = torch.randn(superpixels.numel(), 32, generator=draw)
        n = int(superpixels.max()) + 1
        w = torch.rand(n, n, generator=draw)
        return Data(superpixels, membership(superpixels), features, (w + w.T) / n)

    def ours(self, data: Data) -> Tensor:
        features = data.features.clone().requires_grad_()
        votes = vote(features.detach().argmax(1), data.members, 32)
        q = superpixel_means(features, data.members).softmax(1)
        loss = pixel_loss(features, data.members, votes) + soft_cut(q, data.weights)
        return torch.autograd.grad(loss, features)[0]

    def theirs(self, data: Data) -> Tensor:
        features = data.features.clone().requires_grad_()
        flat, classes = data.superpixels.flatten(), features.detach().argmax(1)
        target, means = torch.empty_like(classes), []
        for j in range(len(data.weights)):
            inside = flat == j
            target[inside] = classes[inside].bincount().argmax()
            means.append(features[inside].mean(0))
        q = torch.stack(means).softmax(1)
        cut = sum(q[:, k] @ data.weights @ (1 - q[:, k]) for k in range(q.shape[1]))
        return torch.autograd.grad(torch.nn.functional.cross_entropy(features, target) + cut, features)[0]

    def agree(self, ours: Tensor, theirs: Any) -> str:
        error = float((ours - theirs).abs().max() / theirs.abs().max())
        assert error < 1e-3
        return f"gradients within {error:.1g} of the largest"
