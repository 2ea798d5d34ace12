"""The arithmetic of Deep Superpixel Cut: an encoder as a function, votes, means, affinities and soft cuts.

M superpixels share N pixels. ``Membership`` says which pixel belongs to which, with what weight z_ij; everything else
is sums over these pairs, without a loop over superpixels. All functions are differentiable where that makes sense.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "Membership",
    "affinity",
    "encode",
    "membership",
    "normalized_soft_cut",
    "pixel_loss",
    "soft_cut",
    "soft_cut_gradient",
    "superpixel_means",
    "touching",
    "vote",
]


class Membership(NamedTuple):
    """Which pixel belongs to which superpixel.

    Attributes
    ----------
    superpixel, pixel
        (P,) int64: pairs (j, i).
    weight
        (P,) float32: z_ij, how much of pixel i lies in superpixel j.
    mass
        (M,) float32: Σ_i z_ij, above 0.
    """

    superpixel: Tensor
    pixel: Tensor
    weight: Tensor
    mass: Tensor

    @property
    def n_superpixels(self) -> int:
        """M."""
        return len(self.mass)


def membership(superpixels: Tensor, stride: int = 1) -> Membership:
    """Say which pixels, means over ``stride`` × ``stride`` of the picture's, belong to which superpixel.

    Parameters
    ----------
    superpixels
        (H, W) int64 from 0, without gaps.
    stride
        A coarse pixel that several superpixels share belongs to each by the number of the picture's pixels.

    Examples
    --------
    >>> m = membership(torch.tensor([[0, 0, 0, 1]]), stride=2)
    >>> list(zip(m.superpixel.tolist(), m.pixel.tolist(), m.weight.tolist()))
    [(0, 0, 2.0), (0, 1, 1.0), (1, 1, 1.0)]
    """
    height, width = superpixels.shape
    rows = torch.arange(height, device=superpixels.device) // stride
    cols = torch.arange(width, device=superpixels.device) // stride
    n_cols = -(-width // stride)
    n = -(-height // stride) * n_cols
    key = superpixels * n + rows[:, None] * n_cols + cols
    pairs, counts = torch.unique(key, return_counts=True)
    superpixel, pixel, weight = pairs // n, pairs % n, counts.to(torch.float32)
    return Membership(superpixel, pixel, weight, torch.bincount(superpixels.flatten()).to(torch.float32))


def encode(picture: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Give the features (N, K) of the pixels of a picture (C, H, W).

    Parameters
    ----------
    picture
        The network's input.
    weights
        Three tensors a layer: the kernel (C_out, C_in, 3, 3), and the scale and shift (C_out,) after normalization.

    Notes
    -----
    Each layer is a 3×3 convolution, borders replicated, and batch normalization by the picture's own mean and variance,
    with a ReLU between layers: the encoder of `seglab.networks.superae.SuperAE` in training mode.
    """
    x = picture[None]
    for i in range(0, len(weights), 3):
        kernel, scale, shift = weights[i : i + 3]
        x = F.conv2d(F.pad(x.relu() if i else x, (1, 1, 1, 1), mode="replicate"), kernel)
        x = torch.batch_norm(x, scale, shift, None, None, True, 0.0, 1e-5, True)  # F.batch_norm refuses one pixel
    return x[0].flatten(1).T.contiguous()  # (N, K)


def superpixel_means(features: Tensor, members: Membership) -> Tensor:
    """Average pixel features (N, K) over superpixels: g_j = Σ_i z_ij f_i / Σ_i z_ij, (M, K).

    Examples
    --------
    >>> members = membership(torch.tensor([[0, 0, 1]]))
    >>> superpixel_means(torch.tensor([[1.0], [3.0], [5.0]]), members).tolist()
    [[2.0], [5.0]]
    """
    weight = members.weight.to(features.dtype)[:, None]
    sums = features.new_zeros(members.n_superpixels, features.shape[1])
    return (
        sums.index_add(0, members.superpixel, weight * features[members.pixel])
        / members.mass.to(features.dtype)[:, None]
    )


def vote(classes: Tensor, members: Membership, n_classes: int) -> Tensor:
    """Give each superpixel the class that most of its pixels have: C_j, (M,) int64; a tie goes to the smallest class.

    Parameters
    ----------
    classes
        (N,) int64: c_i of each pixel.
    members
        Of N pixels.
    n_classes
        K.

    Examples
    --------
    >>> vote(torch.tensor([0, 1, 1, 2]), membership(torch.tensor([[0, 0, 0, 1]])), 3).tolist()
    [1, 2]
    """
    key = members.superpixel * n_classes + classes[members.pixel]
    counts = members.weight.new_zeros(members.n_superpixels * n_classes).index_add(0, key, members.weight)
    return first_largest(counts.reshape(-1, n_classes))


def first_largest(values: Tensor) -> Tensor:
    """The place of the first of the largest in each row (M, K): torch's argmax promises any."""
    n = values.shape[1]
    places = torch.arange(n, device=values.device, dtype=torch.int32)  # three times faster than int64
    return torch.where(values == values.amax(1, keepdim=True), places, n).amin(1).clamp(max=n - 1).long()


def pixel_loss(features: Tensor, members: Membership, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the pixels to their superpixel's label: L1 = −Σ_ij z_ij log p_i^{C_j} / Σ_ij z_ij.

    Parameters
    ----------
    features
        (N, K): p_i is the softmax of f_i.
    members
        Of N pixels and M superpixels.
    labels
        (M,) int64: C_j.

    Examples
    --------
    >>> members = membership(torch.tensor([[0, 1]]))
    >>> round(float(pixel_loss(torch.zeros(2, 4), members, torch.tensor([0, 3]))), 4)  # log 4
    1.3863
    """
    log_p = features.log_softmax(1)
    weight = members.weight.to(features.dtype)
    return -(weight * log_p[members.pixel, labels[members.superpixel]]).sum() / weight.sum()


def affinity(features: Tensor, sigma: float = 1.0, touch: Tensor | None = None) -> Tensor:
    """Similarity of superpixels: W_ab = exp(−‖g_a − g_b‖² / σ²), W_aa = 0; (M, M), symmetric.

    Parameters
    ----------
    features
        (M, D): g.
    sigma
        σ² is so many squares times the mean squared distance; higher makes unlike superpixels count as similar.
    touch
        (M, M) bool: which superpixels are joined; all if not given.

    Notes
    -----
    Where all features are equal, so are all weights: 1.

    Examples
    --------
    >>> affinity(torch.tensor([[0.0], [1.0]])).double().round(decimals=4).tolist()
    [[0.0, 0.3679], [0.3679, 0.0]]
    """
    n = len(features)
    squares = features.square().sum(1)
    distance = (squares[:, None] + squares - 2 * features @ features.T).clamp(min=0)
    apart = 1 - torch.eye(n, dtype=features.dtype, device=features.device)
    distance = (distance + distance.T) / 2 * apart
    mean = distance.sum() / max(n * (n - 1), 1)
    tiny = 1e-6 * squares.mean() + torch.finfo(features.dtype).tiny  # what rounding leaves of equal features
    weights = torch.exp(-distance / (sigma**2 * mean).clamp(min=float(tiny))) * apart
    return weights if touch is None else weights * touch


def touching(superpixels: Tensor, n: int) -> Tensor:
    """Which superpixels (H, W) are neighbors: (n, n) bool, symmetric.

    Examples
    --------
    >>> touching(torch.tensor([[0, 1, 2]]), 3).int().tolist()
    [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    found = torch.zeros(n, n, dtype=torch.bool, device=superpixels.device)
    found[superpixels[:, 1:], superpixels[:, :-1]] = True
    found[superpixels[1:], superpixels[:-1]] = True
    found.fill_diagonal_(False)
    return found | found.T


def soft_cut(q: Tensor, weights: Tensor) -> Tensor:
    """The soft cut L2 = Σ_k Q_kᵀ W (1 − Q_k) of an association Q (M, K).

    For rows that sum to one it is Σ_ab W_ab (1 − q_a · q_b): the expected weight between superpixels that fall apart,
    each pair counted twice. One-hot: twice the cut. All in one cluster: 0, or Σ_a W_aa (1 − q_a · q_a) at most.

    Examples
    --------
    >>> w = torch.tensor([[0.0, 3.0], [3.0, 0.0]])
    >>> float(soft_cut(torch.eye(2), w)), float(soft_cut(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), w))
    (6.0, 0.0)
    """
    return (q * (weights @ (1 - q))).sum()


def soft_cut_gradient(q: Tensor, weights: Tensor) -> Tensor:
    """∂L2/∂G where Q is the softmax of G (M, K), by hand.

    A = ∂L2/∂Q has the columns W1 − (W + Wᵀ) Q_k; the softmax makes of it Q_jk (A_jk − Σ_m Q_jm A_jm), in which the
    first part, the same for all k, drops out.
    """
    a = -(weights + weights.T) @ q
    return q * (a - (q * a).sum(1, keepdim=True))


def normalized_soft_cut(q: Tensor, weights: Tensor) -> Tensor:
    """The soft normalized cut J = Σ_k Q_kᵀ W (1 − Q_k) / Q_kᵀ d with the degrees d = W 1.

    One-hot, it is Shi and Malik's normalized cut; a cluster without weight counts 0.

    Examples
    --------
    >>> w = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> round(float(normalized_soft_cut(torch.tensor([[1.0, 0], [1, 0], [0, 1]]), w)), 4)  # 1 / 3 + 1 / 1
    1.3333
    """
    cut = (q * (weights @ (1 - q))).sum(0)
    volume = q.T @ weights.sum(1)
    return (cut / torch.where(volume > 0, volume, 1)).sum()
