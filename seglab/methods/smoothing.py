"""A smoothed posterior: each pixel listens to its own color and to its neighbors.

A mixture labels every pixel alone, and noise becomes specks. With the responsibilities r_ik of each pixel i and a price
β for each pair of neighbors that differ, a label map y costs

    E(y) = Σ_i −log r_{i,y_i} + β Σ_{neighbors i, j} [y_i ≠ y_j],

a Potts model, whose minimum is NP-hard to find for three labels or more. Two ways down:

- iterated conditional modes (ICM): give a pixel the label that is best for its neighbors' present labels, and repeat;
- mean field: let each pixel keep a distribution Q_i, and repeat Q_i(k) ∝ r_ik exp(β Σ_{neighbors j} Q_j(k)). It goes
  down F(Q) = Σ_i Σ_k Q_i(k) log(Q_i(k) / r_ik) + β Σ_{neighbors i, j} (1 − Σ_k Q_i(k) Q_j(k)), which is E where Q is
  certain; ICM is mean field that has to be certain at once.

Differs from the papers: they visit pixels row by row. Here a sweep visits every second pixel of every second row at
once, four times. No two of those are neighbors, so that each still sees the newest labels of its neighbors, and
neither E nor F can rise. (All pixels at once can make both rise, and swing for ever.) Another order may end in
another local minimum.

References
----------
J. Besag (1986). On the statistical analysis of dirty pictures. Journal of the Royal Statistical Society B 48(3),
259–302. doi:10.1111/j.2517-6161.1986.tb01412.x
C. M. Bishop (2006). Pattern recognition and machine learning, sections 8.3.3 and 10.1. Springer.
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
from seglab.kernels.gmm import CovarianceType
from seglab.methods.gmm import GaussianMixture, GaussianMixtureState
from seglab.panels import Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status

__all__ = ["SmoothedMixture", "SmoothedMixtureState", "energy", "free_energy", "sweep", "votes"]

_HALF = ((0, 1), (1, 0), (1, 1), (1, -1))  # to the neighbors after a pixel; the first two for connectivity 4
_TURNS = ((0, 0), (1, 1), (0, 1), (1, 0))  # for connectivity 4, the two colors of a checkerboard
_IMPOSSIBLE = -1e30  # the logarithm of probability 0, finite so that 0 times it is 0


@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothedMixtureState(State):
    """The label distributions after ``n_iter`` sweeps.

    Attributes
    ----------
    log_resp
        (K, H, W) the logarithm of the posterior that is smoothed, the same in all states.
    q
        (K, H, W) the distribution of each pixel's label, with sum 1 over k; 0 and 1 in ICM.
    beta, connectivity
        The price of two neighbors that differ, and how many neighbors a pixel has.
    """

    log_resp: Tensor
    q: Tensor
    beta: float
    connectivity: Literal[4, 8]

    @cached_property
    def labels(self) -> Tensor:
        """The most probable label of each pixel, the first of equals."""
        return self.q.max(0).indices

    @cached_property
    def objective(self) -> Tensor:
        """The free energy F(Q) in nats; in ICM that is the energy E(y)."""
        return free_energy(self.log_resp, self.q, self.beta, self.connectivity)

    @property
    def energy(self) -> Tensor:
        """The energy E(y) of the labels, in nats."""
        return energy(self.log_resp, self.labels, self.beta, self.connectivity)

    def describe(self) -> str:
        """The sweep and its energy."""
        return f"sweep {self.n_iter} · energy {float(self.objective):.1f}"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """Where the neighbors have changed a label, and how unsure each pixel is."""
        changed = self.labels != self.log_resp.max(0).indices
        unsure = torch.special.entr(self.q).sum(0) / math.log(2)
        high = max(math.log2(len(self.q)), 1.0)
        return (
            Picture(title=f"Changed: {int(changed.sum())} pixels", values=changed, low=0, high=1),
            Picture(title="Uncertainty (bits)", values=unsure, low=0.0, high=high),
        )


@dataclass(frozen=True, kw_only=True)
class SmoothedMixture(Segmenter[SmoothedMixtureState], name="gmm_smoothed"):
    """Segment by a Gaussian mixture, then smooth its posterior on the grid of pixels.

    Minimizes E(y) = Σ_i −log r_{i,y_i} + β Σ_{neighbors} [y_i ≠ y_j] by ICM, or a bound on it by mean field. The first
    state is the mixture's own segmentation; each step is one sweep over all pixels.

    Parameters
    ----------
    smoothing
        ``"icm"``: labels, at once; few sweeps, caught in a near minimum. ``"mean_field"``: distributions, which settle
        slowly and may turn over larger areas.
    beta
        β, the price in nats of two neighbors that differ. 0 leaves the labels as they are; higher is smoother.
    connectivity
        4 or 8 neighbors; 8 neighbors are twice as strong at the same β.
    n_components, covariance_type, color_space, seed
        Of the mixture; see `GaussianMixture`.
    tol
        Stop when no probability in Q has changed by more. ICM stops when no label changes.
    max_iter
        Stop after so many sweeps.
    log_resp
        (K, H, W): the logarithm of any posterior, to be smoothed instead of a mixture's: a
        `GaussianMixtureState.log_resp`, or a network's ``log_softmax``.

    Raises
    ------
    ValueError
        ``log_resp`` does not fit the picture, or has NaN.

    Notes
    -----
    ICM keeps a pixel's label where another is only as good, so that each change lowers E and it must end: then no
    change of a single pixel lowers E. A sweep takes O(K H W) time.

    Examples
    --------
    >>> from seglab import datasets
    >>> image = datasets.shapes(height=32, width=32).image
    >>> mixture = GaussianMixture(n_components=3).segment(image).state
    >>> smooth = SmoothedMixture(log_resp=mixture.log_resp, beta=2.0).segment(image).state
    >>> bool((smooth.labels != mixture.labels).any()), smooth.status.name
    (True, 'CONVERGED')
    """

    title = "Gaussian mixture, smoothed"
    objective_name = "energy"
    objective_sense = "min"

    n_components: int = param(5, low=2, high=12, valid="[1, inf)", help="number of Gaussians K")
    smoothing: Literal["icm", "mean_field"] = param("icm", help="labels at once, or distributions that settle")
    beta: float = param(2.0, low=0, high=5, valid="[0, inf)", unit="nats", help="price of two neighbors that differ")
    connectivity: Literal[4, 8] = param(4, help="neighbors of a pixel")
    covariance_type: CovarianceType = param("full", help="the shape that a component may take")
    color_space: ColorSpace = param("lab", help="color space of the features")
    seed: int = param(0, low=0, high=20, help="seed of the mixture's start")
    tol: float = param(1e-2, low=1e-5, high=1e-1, scale="log", valid="[0, 1)", help="least change of a probability")
    max_iter: int = param(100, low=1, high=200, valid="[0, inf)", help="most sweeps")
    log_resp: Tensor | None = dataclasses.field(default=None, compare=False, repr=False)

    def init(self, image: Tensor) -> SmoothedMixtureState:
        """The posterior before smoothing."""
        log_resp = self._posterior(image)
        hard = self.smoothing == "icm"
        return SmoothedMixtureState(
            code=Status.after(0, self.max_iter),
            log_resp=log_resp,
            q=_certain(log_resp) if hard else log_resp.softmax(0),
            beta=self.beta,
            connectivity=self.connectivity,
        )

    def step(self, image: Tensor, state: SmoothedMixtureState) -> SmoothedMixtureState:
        """Visit every pixel once."""
        n_iter = state.n_iter + 1
        q = sweep(state.log_resp, state.q, self.beta, self.connectivity, hard=self.smoothing == "icm")
        converged = (q - state.q).abs_().amax() <= self.tol
        code = Status.after(n_iter, self.max_iter, converged)
        return dataclasses.replace(state, n_iter=n_iter, code=code, q=q, beta=self.beta, connectivity=self.connectivity)

    def _posterior(self, image: Tensor) -> Tensor:
        if self.log_resp is None:
            mixture = GaussianMixture(
                n_components=self.n_components,
                covariance_type=self.covariance_type,
                color_space=self.color_space,
                seed=self.seed,
            )
            return cast(GaussianMixtureState, mixture.segment(image).state).log_resp
        if self.log_resp.ndim != 3 or self.log_resp.shape[1:] != image.shape[1:] or self.log_resp.isnan().any():
            raise ValueError(
                f"SmoothedMixture: log_resp must be (K, H, W) without NaN, for a picture of {tuple(image.shape[1:])}; "
                f"got {tuple(self.log_resp.shape)}"
            )
        return self.log_resp.to(image).clamp(min=_IMPOSSIBLE)


def votes(q: Tensor, connectivity: int = 4) -> Tensor:
    """Σ_{neighbors j} Q_j(k) of each pixel, (K, H, W); a pixel at the border has fewer neighbors.

    Examples
    --------
    >>> votes(torch.ones(1, 3, 3))[0].tolist()
    [[2.0, 3.0, 2.0], [3.0, 4.0, 3.0], [2.0, 3.0, 2.0]]
    """
    padded = torch.nn.functional.pad(q, (1, 1, 1, 1))
    height, width = q.shape[1:]
    return _votes(padded, (slice(1, height + 1), slice(1, width + 1)), connectivity)


def sweep(log_resp: Tensor, q: Tensor, beta: float, connectivity: int = 4, *, hard: bool) -> Tensor:
    """Visit every pixel once, a quarter of them at a time: mean field, or ICM where ``hard``.

    Parameters
    ----------
    log_resp
        (K, H, W), the logarithm of the posterior.
    q
        (K, H, W), the present distributions, one-hot where ``hard``.
    beta, connectivity
        See `SmoothedMixture`.

    Returns
    -------
    Tensor
        The new distributions (K, H, W), of no higher `free_energy`.
    """
    padded = torch.nn.functional.pad(q, (1, 1, 1, 1))
    height, width = q.shape[1:]
    for row, col in _TURNS:
        here = (slice(1 + row, height + 1, 2), slice(1 + col, width + 1, 2))
        field = log_resp[:, row::2, col::2] + beta * _votes(padded, here, connectivity)
        present = padded[:, *here]
        if hard:
            stays = (field * present).sum(0) >= field.amax(0)
            padded[:, *here] = torch.where(stays, present, _certain(field))
        else:
            padded[:, *here] = field.softmax(0)
    return padded[:, 1:-1, 1:-1]


def free_energy(log_resp: Tensor, q: Tensor, beta: float, connectivity: int = 4) -> Tensor:
    """F(Q) = Σ_i Σ_k Q_i(k) log(Q_i(k) / r_ik) + β Σ_{neighbors} (1 − Σ_k Q_i(k) Q_j(k)), 0-d float64."""
    own = -(q * log_resp + torch.special.entr(q)).sum(dtype=torch.float64)
    return own + beta * sum((1 - (a * b).sum(0)).sum(dtype=torch.float64) for a, b in _pairs(q, connectivity))


def energy(log_resp: Tensor, labels: Tensor, beta: float, connectivity: int = 4) -> Tensor:
    """E(y) = Σ_i −log r_{i,y_i} + β Σ_{neighbors} [y_i ≠ y_j], 0-d float64.

    Examples
    --------
    >>> log_resp = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]]).log()  # a row of two pixels
    >>> for labels in ([[0, 1]], [[0, 0]]):  # −2 log 0.9 + β, and −log 0.9 − log 0.1
    ...     print(round(float(energy(log_resp, torch.tensor(labels), beta=3.0)), 4))
    3.2107
    2.4079
    """
    own = -log_resp.gather(0, labels[None]).sum(dtype=torch.float64)
    return own + beta * sum((a != b).sum(dtype=torch.float64) for a, b in _pairs(labels, connectivity))


def _votes(padded: Tensor, here: tuple[slice, slice], connectivity: int) -> Tensor:
    """The neighbors' sum at some pixels of a picture with a border of zeros."""
    steps = [(s * row, s * col) for row, col in _HALF[: connectivity // 2] for s in (-1, 1)]
    total = torch.zeros_like(padded[:, *here])
    for row, col in steps:
        total += padded[:, _shift(here[0], row), _shift(here[1], col)]
    return total


def _shift(where: slice, by: int) -> slice:
    return slice(where.start + by, where.stop + by, where.step)


def _pairs(values: Tensor, connectivity: int) -> list[tuple[Tensor, Tensor]]:
    """The values (…, H, W) on both sides of all pairs of neighbors, one direction after another."""
    height, width = values.shape[-2:]
    return [
        (
            values[..., : height - row, max(-col, 0) : width - max(col, 0)],
            values[..., row:, max(col, 0) : width - max(-col, 0)],
        )
        for row, col in _HALF[: connectivity // 2]
    ]


def _certain(field: Tensor) -> Tensor:
    """1 at the first maximum over k, 0 elsewhere."""
    return torch.zeros_like(field).scatter_(0, field.max(0, keepdim=True).indices, 1.0)
