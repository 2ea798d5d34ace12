"""Gaussians fitted to the colors of a picture: the two halves of EM as matrix products.

The logarithm of a Gaussian is linear in the monomials (1, x_a, x_a x_b) of a color, and their sums weighted by
responsibility are all that its refit needs. So the E-step is one product of coefficients (K, M) with monomials
(M, U), and what the M-step needs is one product the other way. Equal colors are counted, not repeated: exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from seglab.features import distinct_features
from seglab.image import ColorSpace

__all__ = [
    "CovarianceType",
    "Mixture",
    "Samples",
    "coefficients",
    "e_step",
    "is_degenerate",
    "log_joint",
    "m_step",
    "monomials",
    "sufficient_statistics",
]

CovarianceType = Literal["full", "tied", "diag", "spherical"]

_BLOCK = {"cpu": 2**19}  # monomials in memory at a time: about what a processor's cache holds
_BLOCK_ELSEWHERE = 2**25  # about what keeps a large device busy
_NARROWEST = 1e-12  # a variance below this part of the mean square is rounding, not spread
_NEVER = -1e30  # the logarithm of weight 0, finite so that 0 times it is 0
_FAINTEST = (
    -300.0
)  # below e^-300 a responsibility adds nothing, but exp, at the end of the range, takes 20 times longer
_NOTHING = 1e-100  # pixels: what so many faint ones may add up to
_KEPT = 2**23  # monomials that are kept from one step to the next: 64 MB


class Mixture(NamedTuple):
    """The parameters of a mixture of K Gaussians in D dimensions."""

    weights: Tensor  # (K,), with sum 1
    means: Tensor  # (K, D)
    covariances: Tensor  # (K, D, D), whatever their type


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """The different colors of a picture and how often each occurs, about their mean.

    Attributes
    ----------
    values
        (D, U) float64, less ``center``: then the products x_a x_b lose fewer digits. float64, because in float32 they
        would drown the variance of a flat area (float32 on devices that have no other).
    counts
        (U,) as ``values``, pixels of each color.
    inverse
        (H, W) int64, the color of each pixel.
    center
        (D,) as ``values``, the mean over the pixels.
    """

    values: Tensor
    counts: Tensor
    inverse: Tensor
    center: Tensor

    @classmethod
    def of(cls, image: Tensor, color_space: ColorSpace = "lab", spatial_weight: float = 0.0) -> Samples:
        """The samples of a picture (C, H, W); see `seglab.features.pixel_features`."""
        found = distinct_features(image, color_space, spatial_weight)
        dtype = torch.float32 if image.device.type == "mps" else torch.float64
        values, counts = found.values.T.to(dtype), found.counts.to(dtype)
        center = (values * counts).sum(1) / counts.sum()
        values = (values - center[:, None]).contiguous()
        return cls(values=values, counts=counts, inverse=found.inverse.reshape(image.shape[-2:]), center=center)

    @cached_property
    def narrowest(self) -> Tensor:
        """The variance (0-d) below which spread is not told from rounding."""
        mean_square = ((self.values + self.center[:, None]).square() * self.counts).sum() / self.counts.sum()
        return _NARROWEST * mean_square

    @property
    def block(self) -> int:
        """How many colors to work on at a time."""
        d = len(self.center)
        size = _BLOCK.get(self.values.device.type, _BLOCK_ELSEWHERE)
        return max(size // ((d + 1) * (d + 2) // 2), 256)

    def blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The monomials (M, B) of some colors and their counts (B,), block after block."""
        d, n_colors = self.values.shape
        return iter(self._monomials) if (d + 1) * (d + 2) // 2 * n_colors <= _KEPT else self._made()

    @cached_property
    def _monomials(self) -> tuple[tuple[Tensor, Tensor], ...]:
        return tuple(self._made())

    def _made(self) -> Iterator[tuple[Tensor, Tensor]]:
        parts = zip(self.values.split(self.block, 1), self.counts.split(self.block), strict=True)
        return ((monomials(values), counts) for values, counts in parts)


def monomials(values: Tensor) -> Tensor:
    """1, x_a and x_a x_b (a ≤ b) of each column of ``values`` (D, U), as the rows of (M, U), M = (D+1)(D+2)/2.

    Examples
    --------
    >>> monomials(torch.tensor([[2.0], [3.0]])).flatten().tolist()
    [1.0, 2.0, 3.0, 4.0, 6.0, 9.0]
    """
    products = [values[a] * values[a:] for a in range(len(values))]
    return torch.cat([torch.ones_like(values[:1]), values, *products])


def coefficients(mixture: Mixture) -> Tensor:
    """The coefficients (K, M) that make log π_k N(x; μ_k, Σ_k) of the monomials of x.

    With P = Σ⁻¹ it is log π − ½(D log 2π + log|Σ| + μᵀPμ) + (Pμ)ᵀx − ½ Σ_a P_aa x_a² − Σ_{a<b} P_ab x_a x_b.

    Examples
    --------
    >>> standard = Mixture(torch.ones(1), torch.zeros(1, 1), torch.ones(1, 1, 1))
    >>> coefficients(standard)  # −½ log 2π, 0 · x, −½ x²
    tensor([[-0.9189,  0.0000, -0.5000]])
    """
    weights, means, covariances = mixture
    d = means.shape[1]
    factor, _ = torch.linalg.cholesky_ex(covariances)
    precision = torch.cholesky_inverse(factor)
    linear = (precision @ means[:, :, None])[:, :, 0]
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(1)
    log_weights = torch.where(weights > 0, weights.log(), _NEVER)
    constant = log_weights - (d * math.log(2 * math.pi) + log_det + (linear * means).sum(1)) / 2
    a, b = torch.triu_indices(d, d, device=means.device)
    quadratic = precision[:, a, b] * torch.where(a == b, -0.5, -1.0).to(precision)
    return torch.cat([constant[:, None], linear, quadratic], 1)


def log_joint(samples: Samples, mixture: Mixture) -> Tensor:
    """The values log π_k N(x; μ_k, Σ_k) of each color, (K, U); their softmax over k is the posterior."""
    rows = _centered(samples, mixture)
    return torch.cat([rows @ phi for phi, _ in samples.blocks()], 1)


def e_step(samples: Samples, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """How likely the colors are, and what each component answers for.

    Returns
    -------
    log_likelihood
        (0-d) the mean over pixels of log Σ_k π_k N(x; μ_k, Σ_k), by log-sum-exp.
    statistics
        (K, M) the sums Σ_j r_jk (1, x_a, x_a x_b) about ``samples.center``, with the responsibilities
        r_jk = π_k N(x_j; μ_k, Σ_k) / Σ_l π_l N(x_j; μ_l, Σ_l).
    """
    rows = _centered(samples, mixture)
    log_likelihood, statistics = samples.counts.new_zeros(()), torch.zeros_like(rows)
    for phi, counts in samples.blocks():
        joint = rows @ phi  # (K, B), in place from here: a pass over it is what takes the time
        top = joint.amax(0)
        evidence = joint.sub_(top).clamp_(min=_FAINTEST).exp_().sum(0)
        log_likelihood += counts @ (top + evidence.log())
        statistics += joint.mul_(counts / evidence) @ phi.T
    return log_likelihood / samples.counts.sum(), statistics


def sufficient_statistics(samples: Samples, resp: Tensor) -> Tensor:
    """The sums Σ_j r_jk (1, x_a, x_a x_b), (K, M), of given responsibilities (K, U)."""
    blocks = zip(samples.blocks(), resp.split(samples.block, 1), strict=True)
    return torch.stack([(part * counts) @ phi.T for (phi, counts), part in blocks]).sum(0)


def m_step(
    samples: Samples, statistics: Tensor, covariance_type: CovarianceType = "full", reg_covar: float = 0.0
) -> Mixture:
    """The mixture that fits given responsibilities best.

    N_k = Σ_j r_jk, π_k = N_k / N, μ_k = Σ_j r_jk x_j / N_k and Σ_k = Σ_j r_jk (x_j − μ_k)(x_j − μ_k)ᵀ / N_k + εI, with
    the *new* μ_k. A component that answers for nothing gets weight 0 and waits at the picture's mean.
    """
    d = len(samples.center)
    total = torch.where(statistics[:, 0] > _NOTHING, statistics[:, 0], 0.0)
    n = total.clamp(min=torch.finfo(total.dtype).tiny)[:, None]
    means = statistics[:, 1 : d + 1] / n
    a, b = torch.triu_indices(d, d, device=means.device)
    second = means.new_zeros(len(means), d, d)
    second[:, a, b] = second[:, b, a] = statistics[:, d + 1 :] / n
    covariances = second - means[:, :, None] * means[:, None, :]
    covariances = _of_type(covariance_type, covariances, total) + reg_covar * torch.eye(d).to(means)
    return Mixture(total / total.sum(), means + samples.center, covariances)


def is_degenerate(samples: Samples, mixture: Mixture) -> Tensor:
    """Whether a component has no spread in some direction (0-d bool), so that its density has no bound."""
    factor, failed = torch.linalg.cholesky_ex(mixture.covariances)
    spread = factor.diagonal(dim1=-2, dim2=-1).square()
    return (failed > 0).any() | ~(spread > samples.narrowest).all()


def _centered(samples: Samples, mixture: Mixture) -> Tensor:
    """The coefficients for monomials about the samples' center."""
    return coefficients(mixture._replace(means=mixture.means - samples.center))


def _of_type(covariance_type: CovarianceType, covariances: Tensor, total: Tensor) -> Tensor:
    """The best covariances (K, D, D) of a type, from those without restriction and N_k."""
    if covariance_type == "tied":
        shared = torch.tensordot(total / total.sum(), covariances, 1)
        return shared.expand_as(covariances)
    if covariance_type == "diag":
        return covariances.diagonal(dim1=-2, dim2=-1).diag_embed()
    if covariance_type == "spherical":
        variance = covariances.diagonal(dim1=-2, dim2=-1).mean(1)
        return variance[:, None, None] * torch.eye(covariances.shape[-1]).to(covariances)
    return covariances
