"""Deep Superpixel Cut: a network learns, on one picture, features by which its superpixels fall into few clusters.

An encoder gives each pixel i K features f_i, and p_i = softmax(f_i); a superpixel S_j has their mean g_j, and
q_j = softmax(g_j), row j of the association Q (M × K). Every iteration follows the gradient of

    L = α L1 + β L2,   L1 = −(1/N) Σ_i log p_i^{C_j(i)},   L2 = Σ_k Q_kᵀ W (1 − Q_k) / Σ_ab W_ab,

where C_j is the class of most pixels of S_j: pixels learn to agree within superpixels, and superpixels that are similar
(W) to share a cluster. L2 is a soft cut. Its least value is 0, for one single cluster; what keeps clusters apart is
batch normalization, which gives every class its share of large responses, and that there are only so many iterations.

Q. Lin, W. Zhong & J. Lu, 2020, Deep superpixel cut for unsupervised image segmentation, ICPR,
arXiv:2103.06031.

*Differs from the paper*: written from the authors' slides, which give equations and figures, no settings; there is no
public code. Everything else is a choice made here, and most are parameters: which picture superpixels are made of, and
by what; the features behind W, and which superpixels it joins; where training starts; K, α, β, learning rate and
iterations; what becomes of small parts. `seglab.benchmark.deep_superpixels` says what choices are worth, and has the
settings that were measured. The network may see a smaller picture (`stride`); superpixels are always those of the
whole. L1 is divided by the number of pixels, L2 by the sum of weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.image import to_color_space
from seglab.kernels.devices import exact_convolutions
from seglab.kernels.superpixel_cut import (
    Membership,
    affinity,
    encode,
    first_largest,
    membership,
    normalized_soft_cut,
    pixel_loss,
    soft_cut,
    soft_cut_gradient,
    superpixel_means,
    touching,
    vote,
)
from seglab.labels import absorb_small, connected_components, relabel, segment_means
from seglab.methods.felzenszwalb import Felzenszwalb
from seglab.methods.mean_shift import MeanShift
from seglab.methods.slic import SLIC
from seglab.networks.superae import SuperAE, deep_features, smoothed
from seglab.networks.weights import load_weights
from seglab.panels import Curve, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status, generator

__all__ = [
    "DeepSuperpixelCut",
    "DeepSuperpixelCutState",
    "Losses",
    "Membership",
    "affinity",
    "encode",
    "losses",
    "membership",
    "normalized_soft_cut",
    "pixel_loss",
    "soft_cut",
    "soft_cut_gradient",
    "superpixel_means",
    "touching",
    "vote",
]

_WIDTH = 32  # channels of SuperAE


@dataclass(frozen=True, eq=False)
class Losses:
    """What a network is told on a picture.

    Attributes
    ----------
    association
        Q (M, K).
    agreement, cut
        L1 and L2, scalars; those that have no part are 0.
    """

    association: Tensor
    agreement: Tensor
    cut: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class DeepSuperpixelCutState(State):
    """The network after ``n_iter`` steps, and what it is told by.

    Attributes
    ----------
    weights
        The encoder: kernel, scale and shift of each layer; see `encode`.
    velocity
        The optimizer's: a running sum of gradients for each weight.
    picture
        (3, H / stride, W / stride): what the network sees; the same in all states, as are the following.
    superpixels
        (H, W) int64, M of them.
    members
        Which pixels belong to which superpixel.
    affinity
        W (M, M), or None where it is made anew of each step's features.
    method
        The settings.
    history
        (L1, L2, number of clusters) before each step so far, each (3,).
    """

    weights: tuple[Tensor, ...]
    velocity: tuple[Tensor, ...]
    picture: Tensor
    superpixels: Tensor
    members: Membership
    affinity: Tensor | None
    method: DeepSuperpixelCut
    history: tuple[Tensor, ...] = ()

    @cached_property
    def losses(self) -> Losses:
        """L1, L2 and Q of this state's network, by one pass through it."""
        with torch.no_grad():
            return losses(self.method, self, self.weights)

    @property
    def association(self) -> Tensor:
        """Q (M, K): how much each superpixel belongs to each cluster."""
        return self.losses.association

    @cached_property
    def clusters(self) -> Tensor:
        """(H, W) int64: the cluster of each pixel's superpixel, 0 … K − 1."""
        return first_largest(self.association)[self.superpixels]

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the clusters that there are, or their connected parts, numbered by their first pixel."""
        if not self.method.connected:
            return relabel(self.clusters)
        parts = connected_components(self.clusters)
        if self.method.min_size <= 1:
            return parts
        return absorb_small(parts, self.association.T[:, self.superpixels], self.method.min_size)

    @cached_property
    def objective(self) -> Tensor:
        """α L1 + β L2; not monotone, as the votes change."""
        return self.method.alpha * self.losses.agreement + self.method.beta * self.losses.cut

    @property
    def n_clusters(self) -> int:
        """The number of clusters that some superpixel belongs to most."""
        return len(first_largest(self.association).unique())

    def describe(self) -> str:
        """The iteration, clusters, and both losses."""
        found = self.losses
        return (
            f"iteration {self.n_iter} · {self.n_clusters} clusters · "
            f"L1 {float(found.agreement):.3f} · L2 {float(found.cut):.3f}"
        )

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """How sure each superpixel is of its cluster; the losses so far."""
        now = torch.stack([self.losses.agreement, self.losses.cut])
        past = torch.stack([*(record[:2].to(now) for record in self.history), now]).cpu()  # (T + 1, 2)
        sure = self.association.amax(1)[self.superpixels].cpu()
        curve = Curve(
            title="losses", x=range(len(past)), curves={"L1": past[:, 0], "L2": past[:, 1]}, x_label="iteration"
        )
        return (Picture(title="largest association", values=sure, low=0, high=1), curve)


@dataclass(frozen=True, kw_only=True)
class DeepSuperpixelCut(Segmenter[DeepSuperpixelCutState], name="deep_superpixel_cut"):
    """Cluster superpixels by features that a network learns on this one picture.

    Minimizes α L1 + β L2, by gradient descent: see the module's text for both.

    Parameters
    ----------
    n_clusters
        K, the clusters that there may be. Far fewer are left at the end.
    alpha, beta
        The weights of L1 and L2. With α = 0 nothing but the cut counts, which is least where there is one cluster; with
        β = 0 there is no graph, and similar superpixels far apart need not meet.
    max_iter
        Steps of the optimizer. More leave fewer clusters.
    min_clusters
        Stop as soon as there are so few.
    superpixels
        ``"slic"``, ``"felzenszwalb"`` or ``"mean_shift"``.
    n_superpixels, scale, range_bandwidth
        How fine they are: the parameters of these three methods.
    smooth
        Make superpixels of SuperAE's smoothed picture, not of the picture.
    similarity
        The features behind W: ``"superae"``, SuperAE's; ``"color"``, Lab; ``"learned"``, those of the network as it is
        at each step (no gradient flows through W).
    sigma
        σ² of W is so many squares times the mean squared distance of features.
    neighbors
        Join ``"all"`` pairs of superpixels, or those that are ``"touching"``.
    cut
        L2: ``"soft"``, the paper's, or ``"normalized"``, W-Net's.
    start
        Begin with SuperAE's encoder, or at ``"random"``.
    stride
        The network sees a picture of means over so many pixels in each direction: 2 is four times quicker.
    lr, momentum
        Of the gradient descent.
    connected
        Make a segment of each connected part of a cluster.
    min_size
        In pixels: a smaller part is absorbed by the neighbor whose mean association is the nearest.
    seed
        Of the weights that are drawn: all, or those for clusters beyond SuperAE's 32 features.

    Notes
    -----
    A step is one step of the optimizer. Votes' ties go to the smallest class. Where there is one superpixel only, the
    status is `Status.DEGENERATE`. A step on N pixels takes time ∝ N and, for the graph, ∝ M² K.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> result = DeepSuperpixelCut(max_iter=8).segment(shapes(height=48, width=64).image)
    >>> str(result.status), result.state.association.shape[1]
    ('max_iter', 32)
    """

    title = "Deep Superpixel Cut"
    objective_name = "α L1 + β L2"
    alone = 0

    n_clusters: int = param(32, low=2, high=64, valid="[2, inf)", help="clusters K that there may be")
    alpha: float = param(1.0, low=0, high=5, valid="[0, inf)", help="weight of L1: agreement within superpixels")
    beta: float = param(5.0, low=0, high=50, valid="[0, inf)", help="weight of L2: the soft cut")
    max_iter: int = param(128, low=8, high=256, valid="[1, inf)", help="steps")
    min_clusters: int = param(2, low=1, high=10, valid="[1, inf)", help="stop at so few clusters")
    superpixels: Literal["slic", "felzenszwalb", "mean_shift"] = param("slic", help="how superpixels are made")
    n_superpixels: int = param(
        400, low=50, high=2000, scale="log", valid="[1, inf)", help="superpixels, by SLIC", when={"superpixels": "slic"}
    )
    scale: float = param(
        60.0,
        low=10,
        high=1000,
        scale="log",
        valid="(0, inf)",
        help="of Felzenszwalb",
        when={"superpixels": "felzenszwalb"},
    )
    range_bandwidth: float = param(
        5.0, low=1, high=20, scale="log", valid="(0, inf)", help="of mean shift", when={"superpixels": "mean_shift"}
    )
    smooth: bool = param(True, help="superpixels of the smoothed picture")
    similarity: Literal["superae", "color", "learned"] = param("superae", help="features behind W")
    sigma: float = param(0.5, low=0.1, high=3, scale="log", valid="(0, inf)", help="reach of W")
    neighbors: Literal["all", "touching"] = param("all", help="which superpixels W joins")
    cut: Literal["soft", "normalized"] = param("soft", help="what L2 is")
    start: Literal["superae", "random"] = param("superae", help="the network at the start")
    stride: int = param(
        2, low=1, high=4, valid="[1, inf)", unit="px", help="the network sees means over so many pixels"
    )
    lr: float = param(0.03, low=1e-3, high=1.0, scale="log", valid="(0, inf)", help="learning rate")
    momentum: float = param(0.9, low=0, high=0.99, valid="[0, 1)", help="of the steps")
    connected: bool = param(False, help="segments are connected parts of clusters")
    min_size: int = param(
        0, low=0, high=3000, valid="[0, inf)", unit="px", help="smaller parts are absorbed", when={"connected": True}
    )
    seed: int = 0

    def init(self, image: Tensor) -> DeepSuperpixelCutState:
        """Superpixels, their graph, and the encoder before its first step."""
        rgb = to_color_space(image, "rgb")
        with torch.no_grad(), exact_convolutions(image.device):
            model = _superae().to(image.device)
            superpixels = self._superpixels(smoothed(model, rgb) if self.smooth else image)
            graph = self._graph(model, rgb, superpixels)
        members = membership(superpixels, self.stride)
        weights = self._start(image.device)
        code = Status.DEGENERATE if members.n_superpixels < 2 else Status.RUNNING
        return DeepSuperpixelCutState(
            code=code,
            weights=weights,
            velocity=tuple(map(torch.zeros_like, weights)),
            picture=F.avg_pool2d(rgb[None], self.stride, ceil_mode=True)[0],
            superpixels=superpixels,
            members=members,
            affinity=graph,
            method=self,
        )

    def step(self, image: Tensor, state: DeepSuperpixelCutState) -> DeepSuperpixelCutState:
        """Follow the gradient of α L1 + β L2 once; stay where there are few clusters already."""
        weights = tuple(w.detach().requires_grad_() for w in state.weights)
        with torch.enable_grad(), exact_convolutions(image.device):
            found = losses(self, state, weights)
            total = self.alpha * found.agreement + self.beta * found.cut
            gradients = torch.autograd.grad(total, weights)
        with torch.no_grad():
            present = torch.zeros(self.n_clusters, device=image.device)
            n = present.index_fill(0, first_largest(found.association), 1).sum()
            few = n <= self.min_clusters
            velocity = tuple(self.momentum * v + g for v, g in zip(state.velocity, gradients, strict=True))
            rate = torch.where(few, 0.0, self.lr)
            weights = tuple(w.detach() - rate * v for w, v in zip(weights, velocity, strict=True))
            record = torch.stack([found.agreement.detach(), found.cut.detach(), n])
        return replace(
            state,
            n_iter=state.n_iter + 1,
            code=Status.after(state.n_iter + 1, self.max_iter, few),
            weights=weights,
            velocity=velocity,
            method=self,
            history=(*state.history, record),
        )

    def _superpixels(self, picture: Tensor) -> Tensor:
        """(H, W) int64 from 0 without gaps."""
        if self.superpixels == "slic":
            method: Segmenter[Any] = SLIC(n_segments=self.n_superpixels)
        elif self.superpixels == "felzenszwalb":
            method = Felzenszwalb(scale=self.scale, min_size=20)
        else:
            method = MeanShift(range_bandwidth=self.range_bandwidth)
        return relabel(method.segment(picture).labels)

    def _graph(self, model: SuperAE, image: Tensor, superpixels: Tensor) -> Tensor | None:
        """W (M, M), or None where it is not fixed."""
        if self.similarity == "learned":
            return None
        features = deep_features(model, image) if self.similarity == "superae" else to_color_space(image, "lab")
        return self._affinity(segment_means(superpixels, features), superpixels)

    def _affinity(self, means: Tensor, superpixels: Tensor) -> Tensor:
        touch = touching(superpixels, len(means)) if self.neighbors == "touching" else None
        return affinity(means, self.sigma, touch)

    def _start(self, device: torch.device) -> tuple[Tensor, ...]:
        """The encoder's weights: drawn as He et al. do, and then SuperAE's, as far as it has them."""
        draw = generator(self.seed)
        sizes = [(_WIDTH, 3), (_WIDTH, _WIDTH), (self.n_clusters, _WIDTH)]
        weights: list[Tensor] = []
        for n_out, n_in in sizes:
            kernel = torch.randn(n_out, n_in, 3, 3, generator=draw) * (2 / (9 * n_in)) ** 0.5
            weights += [kernel, torch.ones(n_out), torch.zeros(n_out)]
        if self.start == "superae":
            for own, given in zip(weights, _superae().encoder.parameters(), strict=True):
                n = min(len(own), len(given))
                own[:n] = given.detach()[:n]
        return tuple(w.to(device) for w in weights)


def losses(method: DeepSuperpixelCut, state: DeepSuperpixelCutState, weights: Sequence[Tensor]) -> Losses:
    """L1, L2 and Q of a network on a state's picture; with gradients, if its weights ask for them."""
    features = encode(state.picture, weights)  # (N, K)
    means = superpixel_means(features, state.members)
    q = means.softmax(1)
    zero = means.new_zeros(())
    labels = vote(first_largest(features.detach()), state.members, features.shape[1])
    agreement = pixel_loss(features, state.members, labels) if method.alpha else zero
    if not method.beta:
        return Losses(q, agreement + 0 * means.sum(), zero)
    w = method._affinity(means.detach(), state.superpixels) if state.affinity is None else state.affinity
    total = w.sum()
    cut = normalized_soft_cut(q, w) if method.cut == "normalized" else soft_cut(q, w) / total.clamp(min=1e-12)
    return Losses(q, agreement, cut)


@lru_cache(maxsize=1)
def _superae() -> SuperAE:
    """SuperAE with its trained weights."""
    with torch.random.fork_rng(devices=[]):
        return load_weights(SuperAE(width=_WIDTH), "superae")
