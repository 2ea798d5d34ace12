"""Gaussian mixtures by expectation–maximization: soft clusters, each with a weight, a place and a shape of its own.

A pixel's color x comes from component k with probability π_k, then from the Gaussian N(μ_k, Σ_k). EM climbs the
log-likelihood Σ_j log Σ_k π_k N(x_j; μ_k, Σ_k) in turns: say how far each component answers for each pixel (E), then
fit each component to what it answers for (M). A step is one M-step and the E-step after it, so that the likelihood,
the responsibilities and the labels of a state always belong to its own parameters.

Differs from the paper: εI is added to each covariance, without which a component on a single color would make the
likelihood infinite. With ε > 0 the likelihood may fall by about as little.

References
----------
A. P. Dempster, N. M. Laird and D. B. Rubin (1977). Maximum likelihood from incomplete data via the EM algorithm.
Journal of the Royal Statistical Society B 39(1), 1–38. doi:10.1111/j.2517-6161.1977.tb01600.x
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import torch
from torch import Tensor

from seglab.image import ColorSpace
from seglab.kernels.gmm import (
    CovarianceType,
    Mixture,
    Samples,
    coefficients,
    e_step,
    is_degenerate,
    log_joint,
    m_step,
    monomials,
    sufficient_statistics,
)
from seglab.methods.kmeans import KMeans, KMeansState, random_points
from seglab.panels import Bars, Histogram, Panel, Picture, Pictures, Scatter
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status, generator

__all__ = ["GaussianMixture", "GaussianMixtureState"]

_SHOWN = 12  # components whose responsibilities are shown
_SIDE = 200  # pixels of the longer side that is enough for them
_WHITE = {"lab": 100.0, "luv": 100.0}  # from black to white; 1 in the other color spaces


@dataclass(frozen=True, kw_only=True, eq=False)
class GaussianMixtureState(State):
    """The mixture after ``n_iter`` steps.

    Attributes
    ----------
    weights, means, covariances
        (K,) with sum 1; (K, D) in the units of the features; (K, D, D), whatever the ``covariance_type``.
    log_likelihood
        (0-d) of these parameters: the mean over pixels, in nats.
    lower_bound
        (0-d) how far the M-step alone had lifted it, by the responsibilities of the state before: between the
        likelihood of that state and this one's.
    statistics
        (K, M) the responsibility-weighted sums that the next M-step fits; see `seglab.kernels.gmm.e_step`.
    covariance_type
        The shape of the components.
    samples
        The colors, shared by all states of a run.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    log_likelihood: Tensor
    lower_bound: Tensor
    statistics: Tensor
    covariance_type: CovarianceType
    samples: Samples

    @property
    def mixture(self) -> Mixture:
        """Weights, means and covariances."""
        return Mixture(self.weights, self.means, self.covariances)

    @cached_property
    def labels(self) -> Tensor:
        """The most responsible component of each pixel, the first of equals."""
        best = log_joint(self.samples, self.mixture).max(0).indices  # argmax, but several times faster on a CPU
        return best.take(self.samples.inverse)

    @property
    def resp(self) -> Tensor:
        """The responsibilities P(component k | pixel), (K, H, W) float32, with sum 1 over k; computed when asked."""
        return _spread(log_joint(self.samples, self.mixture).softmax(0), self.samples)

    @property
    def log_resp(self) -> Tensor:
        """Their logarithms, (K, H, W) float32, finite where ``resp`` is 0."""
        return _spread(log_joint(self.samples, self.mixture).log_softmax(0), self.samples)

    @property
    def objective(self) -> Tensor:
        """The mean log-likelihood of a pixel."""
        return self.log_likelihood

    @property
    def n_parameters(self) -> int:
        """The number p of free parameters: means, covariances, and weights with sum one."""
        k, d = self.means.shape
        triangle = d * (d + 1) // 2
        free = {"full": k * triangle, "tied": triangle, "diag": k * d, "spherical": k}
        return k * d + free[self.covariance_type] + k - 1

    @property
    def bic(self) -> float:
        """The Bayesian information criterion −2 L + p log N; lower is better."""
        n_pixels = self.samples.inverse.numel()
        return -2 * n_pixels * float(self.log_likelihood) + self.n_parameters * math.log(n_pixels)

    @property
    def aic(self) -> float:
        """Akaike's information criterion −2 L + 2 p; lower is better."""
        return -2 * self.samples.inverse.numel() * float(self.log_likelihood) + 2 * self.n_parameters

    def describe(self) -> str:
        """The iteration and its log-likelihood."""
        return f"iteration {self.n_iter} · log-likelihood {float(self.log_likelihood):.4f} per pixel"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The components over the colors, their responsibilities and weights, and how unsure each pixel is."""
        resp = self.resp
        unsure = torch.special.entr(resp).sum(0) / math.log(2)
        return (
            _histogram(self) if len(self.samples.center) == 1 else _scatter(self, image),
            _claims(self.weights, resp),
            Bars(title="Weights", values=self.weights, y_label="π"),
            Picture(title="Uncertainty (bits)", values=unsure, low=0.0, high=max(math.log2(len(self.weights)), 1.0)),
        )


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(Segmenter[GaussianMixtureState], name="gmm"):
    """Segment by a mixture of Gaussians over the pixels' colors.

    Maximizes the mean over pixels of log Σ_k π_k N(x; μ_k, Σ_k); a pixel goes to the component that most probably
    made it.

    Parameters
    ----------
    n_components
        K. A picture with fewer colors leaves the others with weight 0.
    covariance_type
        ``"full"``: any ellipsoid each; ``"tied"``: one for all; ``"diag"``: along the axes; ``"spherical"``: balls.
    start
        ``"kmeans"``: fit the clusters of `KMeans`, once its centers move by less than a hundredth of the way from black
        to white; ``"random"``: at K colors drawn by frequency, each with the whole
        picture's covariance.
    color_space, spatial_weight
        The features; see `seglab.features.pixel_features`.
    reg_covar
        ε, added to the diagonal of each covariance, in squared distances from black to white (so that in CIELAB 1e-6
        adds 0.01). No component gets narrower; the default is about the variance that rounding to 8 bits adds. With
        0 the likelihood never falls, but when a component is left with a single color the run ends, its status is
        degenerate, and the parameters are those from before.
    tol
        Stop when a step changes the mean log-likelihood of a pixel by less, in nats. As scikit-learn's, which sees
        the same change one iteration later.
    max_iter
        Stop after so many steps.
    seed
        Of the start.
    weights, means, covariances
        (K,), (K, D) and (K, D, D): where to begin instead, each on its own or all three.

    Raises
    ------
    ValueError
        Given starting parameters do not fit ``n_components``, the features or one another.

    Notes
    -----
    A step takes O(U K D²) time, and memory for U (D + 2) numbers, for U different colors. Means, covariances and
    likelihood are computed in float64. To stop early by hand, or to see each step, use ``steps``.

    Examples
    --------
    >>> from seglab import datasets
    >>> result = GaussianMixture(n_components=3).segment(datasets.shapes(height=32, width=32).image)
    >>> result.n_segments, result.state.resp.shape
    (3, torch.Size([3, 32, 32]))
    """

    title = "Gaussian mixture"
    objective_name = "log-likelihood"
    objective_sense = "max"

    n_components: int = param(5, low=2, high=12, valid="[1, inf)", help="number of Gaussians K")
    covariance_type: CovarianceType = param("full", help="the shape that a component may take")
    start: Literal["kmeans", "random"] = param("kmeans", help="where the components begin")
    color_space: ColorSpace = param("lab", help="color space of the features")
    spatial_weight: float = param(0.0, low=0, high=2, valid="[0, inf)", help="weight of position beside color")
    reg_covar: float = param(1e-6, low=1e-8, high=1e-2, scale="log", valid="[0, inf)", help="ε added to each variance")
    tol: float = param(1e-3, low=1e-6, high=1e-2, scale="log", valid="[0, inf)", unit="nats", help="least change")
    max_iter: int = param(100, low=1, high=300, valid="[0, inf)", help="most steps")
    seed: int = param(0, low=0, high=20, help="seed of the start")
    weights: Tensor | None = dataclasses.field(default=None, compare=False, repr=False)
    means: Tensor | None = dataclasses.field(default=None, compare=False, repr=False)
    covariances: Tensor | None = dataclasses.field(default=None, compare=False, repr=False)

    def init(self, image: Tensor) -> GaussianMixtureState:
        """Start from k-means, from random colors, or from what was given."""
        samples = Samples.of(image, self.color_space, self.spatial_weight)
        mixture = self._begin(samples, image)
        degenerate = is_degenerate(samples, mixture)
        wider = 1e6 * samples.narrowest + 1e-12  # a width for what has none, so that all that follows is finite
        covariances = mixture.covariances + degenerate * wider * torch.eye(len(samples.center)).to(samples.values)
        mixture = mixture._replace(covariances=covariances)
        log_likelihood, statistics = e_step(samples, mixture)
        return GaussianMixtureState(
            code=torch.where(degenerate, int(Status.DEGENERATE), int(Status.after(0, self.max_iter))),
            **mixture._asdict(),
            log_likelihood=log_likelihood,
            lower_bound=log_likelihood,
            statistics=statistics,
            covariance_type=self.covariance_type,
            samples=samples,
        )

    def step(self, image: Tensor, state: GaussianMixtureState) -> GaussianMixtureState:
        """Fit the components to what they answer for, then say anew what that is."""
        samples, n_iter, before = state.samples, state.n_iter + 1, state.mixture
        fitted = m_step(samples, state.statistics, self.covariance_type, self._epsilon)
        degenerate = is_degenerate(samples, fitted)
        after = Mixture(*(torch.where(degenerate, old, new) for old, new in zip(before, fitted, strict=True)))
        log_likelihood, statistics = e_step(samples, after)
        converged = (log_likelihood - state.log_likelihood).abs() < self.tol
        code = Status.after(n_iter, self.max_iter, converged)
        return dataclasses.replace(
            state,
            n_iter=n_iter,
            code=torch.where(degenerate, int(Status.DEGENERATE), code),
            **after._asdict(),
            log_likelihood=log_likelihood,
            lower_bound=state.log_likelihood + _gain(samples, state.statistics, before, after),
            statistics=statistics,
        )

    @property
    def _epsilon(self) -> float:
        """ε in squared units of the features."""
        return self.reg_covar * _WHITE.get(self.color_space, 1.0) ** 2

    def _begin(self, samples: Samples, image: Tensor) -> Mixture:
        """What was given, and the start's for the rest."""
        given = (self.weights, self.means, self.covariances)
        if all(part is not None for part in given):
            mixture = Mixture(*(part.to(samples.values) for part in given if part is not None))
        else:
            found = self._from_kmeans(samples, image) if self.start == "kmeans" else self._from_random(samples)
            parts = zip(found, given, strict=True)
            mixture = Mixture(*(f if part is None else part.to(samples.values) for f, part in parts))
        if any(part is not None for part in given):
            _check(mixture, self.n_components, len(samples.center))
        return mixture

    def _from_kmeans(self, samples: Samples, image: Tensor) -> Mixture:
        """Fit the clusters of k-means; where it found fewer than K, the others wait with weight 0."""
        n = min(self.n_components, samples.counts.numel())
        kmeans = KMeans(
            n_clusters=n,
            color_space=self.color_space,
            spatial_weight=self.spatial_weight,
            tol=0.01 * _WHITE.get(self.color_space, 1.0),
            seed=self.seed,
        )
        nearest = cast(KMeansState, kmeans.segment(image).state).nearest  # of the same different colors, in their order
        resp = (nearest == torch.arange(self.n_components, device=nearest.device)[:, None]).to(samples.values)
        return m_step(samples, sufficient_statistics(samples, resp), self.covariance_type, self._epsilon)

    def _from_random(self, samples: Samples) -> Mixture:
        """Components of one size at K different colors drawn by frequency."""
        k = self.n_components
        n = min(k, samples.counts.numel())
        means = random_points(samples.values.T, samples.counts, n, generator(self.seed)) + samples.center
        means = means[torch.arange(k, device=means.device) % n]  # again from the first where there are too few colors
        whole = sufficient_statistics(samples, torch.ones_like(samples.counts)[None])
        covariance = m_step(samples, whole, self.covariance_type, self._epsilon).covariances
        return Mixture(samples.counts.new_full((k,), 1 / k), means, covariance.expand(k, -1, -1))


def _spread(of_colors: Tensor, samples: Samples) -> Tensor:
    """From values of the different colors (K, U) to those of the pixels (K, H, W)."""
    return of_colors.float().index_select(1, samples.inverse.flatten()).reshape(-1, *samples.inverse.shape)


def _gain(samples: Samples, statistics: Tensor, before: Mixture, after: Mixture) -> Tensor:
    """How much more likely (mean over pixels, in nats) what each component answers for has become."""
    rows = [coefficients(mixture._replace(means=mixture.means - samples.center)) for mixture in (before, after)]
    return (statistics * (rows[1] - rows[0])).sum() / samples.counts.sum()


def _check(mixture: Mixture, n_components: int, n_features: int) -> None:
    wanted = ((n_components,), (n_components, n_features), (n_components, n_features, n_features))
    for name, part, shape in zip(Mixture._fields, mixture, wanted, strict=True):
        if part.shape != shape:
            raise ValueError(
                f"GaussianMixture: {name} must have shape {shape}, for {n_components=} and the {n_features} features "
                f"of a pixel; got {tuple(part.shape)}"
            )
    if not (mixture.weights >= 0).all() or abs(float(mixture.weights.sum()) - 1) > 1e-4:
        raise ValueError(
            f"GaussianMixture: weights must not be negative and have sum 1; got {mixture.weights.tolist()}"
        )
    if (torch.linalg.cholesky_ex(mixture.covariances).info > 0).any():
        raise ValueError(
            "GaussianMixture: covariances must be symmetric and positive definite; add a little to the diagonal"
        )


def _histogram(state: GaussianMixtureState, n_bins: int = 128) -> Histogram:
    """The values of a one-dimensional feature with the components over them."""
    samples = state.samples
    values, center = samples.values[0], samples.center
    low = values.min()
    width = (values.max() - low).clamp(min=1e-3) / n_bins
    index = ((values - low) / width).long().clamp(max=n_bins - 1)
    counts = values.new_zeros(n_bins).index_add(0, index, samples.counts)
    edges = low + width * torch.arange(n_bins + 1, device=low.device)
    rows = coefficients(state.mixture._replace(means=state.means - center))
    density = (rows @ monomials((edges[None, 1:] + edges[None, :-1]) / 2)).exp() * width * samples.counts.sum()
    curves = {str(k): curve for k, curve in enumerate(density)} | {"mixture": density.sum(0)}
    return Histogram(title="Components", edges=edges + center, counts=counts, curves=curves)


def _claims(weights: Tensor, resp: Tensor) -> Pictures:
    """How far each component claims each pixel; of many components, the heaviest, in the order of the labels."""
    n, every = min(len(weights), _SHOWN), -(-max(resp.shape[1:]) // _SIDE)
    shown = weights.argsort(descending=True, stable=True)[:n].sort().values
    values = torch.nn.functional.avg_pool2d(resp[shown], every, ceil_mode=True)
    some = f": {n} of {len(weights)}" if n < len(weights) else ""
    names = [str(k) for k in shown.tolist()]
    return Pictures(title=f"Responsibilities{some} (white: 1)", values=values, names=names, low=0.0, high=1.0)


def _scatter(state: GaussianMixtureState, image: Tensor, n_points: int = 2000) -> Scatter:
    """Some pixels in the plane of the first two features, with the components as ellipses."""
    samples, n_pixels = state.samples, state.samples.inverse.numel()
    some = torch.arange(0, n_pixels, -(-n_pixels // n_points), device=image.device)
    index = samples.inverse.flatten()[some]
    return Scatter(
        title="Components (features 1 and 2)",
        points=samples.values[:2, index].T + samples.center[:2],
        colors=image.flatten(1)[:, some].expand(3, -1).T,
        centers=state.means[:, :2],
        covariances=state.covariances[:, :2, :2],
    )
