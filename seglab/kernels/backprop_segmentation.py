"""The network of `seglab.methods.backprop_segmentation`, B of them side by side, its losses, and one step of learning.

Everything has a leading axis of B pictures of one size, each with a network of its own: independent networks are the
groups of one convolution. A single picture is B = 1. No function writes to its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.kernels.devices import exact_convolutions
from seglab.labels import most_votes

__all__ = [
    "EPS",
    "Aims",
    "Layer",
    "Learned",
    "Network",
    "Precision",
    "Problem",
    "Start",
    "batch_norm",
    "cluster_loss",
    "count_each",
    "descend",
    "discontinuity",
    "draw_network",
    "each",
    "features",
    "learn",
    "learn_by_blocks",
    "learn_plainly",
    "losses",
    "rebuilt",
    "respond",
    "stack_networks",
    "targets",
    "tensors_of",
    "vote",
]

Start = Literal["xavier", "torch"]
Precision = Literal["float32", "tf32", "bfloat16"]
_LARGE = 4096  # pixels, from which on blocks pay
EPS = 1e-5  # in batch normalization, as in torch


class Layer(NamedTuple):
    """A convolution of each of B networks, and the scale of the batch normalization after it.

    Attributes
    ----------
    weight
        (B, C_out, C_in, k, k).
    bias
        (B, C_out).
    gain, shift
        (B, C_out): what the normalized values are multiplied by, and what is added; None: neither.
    """

    weight: Tensor
    bias: Tensor
    gain: Tensor | None = None
    shift: Tensor | None = None


Network = tuple[Layer, ...]


def each(network: Network, change: Callable[[Tensor], Tensor]) -> Network:
    """The network with each of its tensors changed, in order."""
    layers = []
    for layer in network:
        weight, bias = change(layer.weight), change(layer.bias)
        gain, shift = (None if p is None else change(p) for p in (layer.gain, layer.shift))
        layers.append(Layer(weight, bias, gain, shift))
    return tuple(layers)


class Problem(NamedTuple):
    """B pictures of one size, and what is known of them.

    Attributes
    ----------
    images
        (B, C, H, W) float32.
    segments
        (B, H, W) int64, the superpixels in which pixels vote; None: every pixel keeps its own label.
    n_segments
        More than any superpixel's number.
    scribbles
        (B, H, W) int64, the labels that somebody has drawn, −1 elsewhere; or None.
    """

    images: Tensor
    segments: Tensor | None = None
    n_segments: int = 0
    scribbles: Tensor | None = None


class Aims(NamedTuple):
    """What is minimized: similarity · cross-entropy + continuity · discontinuity + scribble · cross-entropy there."""

    similarity: float = 1.0
    continuity: float = 0.0
    scribble: float = 0.5
    normalize: bool = True


class Learned(NamedTuple):
    """What one look at the pictures gives.

    Attributes
    ----------
    losses
        (B,).
    labels
        (B, H, W) int64: the argmax of the responses, before any vote.
    gradients
        Of every tensor of the network, in order.
    """

    losses: Tensor
    labels: Tensor
    gradients: tuple[Tensor | None, ...]


def draw_network(
    channels: int,
    n_components: int,
    n_filters: int,
    max_labels: int,
    *,
    start: Start = "xavier",
    affine: bool = False,
    seed: int = 0,
) -> Network:
    """Draw one network (B = 1) on the CPU: M convolutions 3×3 to p filters, and one 1×1 to q.

    Parameters
    ----------
    start
        ``"xavier"``: uniform within √(6 / (fan in + fan out)), biases 0. ``"torch"``: weights and biases uniform
        within 1 / √fan in, as torch's layers start.
    affine
        Give the batch normalizations a gain of 1 and a shift of 0, which are learned.

    Examples
    --------
    >>> [tuple(layer.weight.shape) for layer in draw_network(3, 2, 8, 5)]
    [(1, 8, 3, 3, 3), (1, 8, 8, 3, 3), (1, 5, 8, 1, 1)]
    """
    g = torch.Generator().manual_seed(seed)
    sizes = [(n_filters, channels if m == 0 else n_filters, 3) for m in range(n_components)]
    layers = []
    for n_out, n_in, k in [*sizes, (max_labels, n_filters if sizes else channels, 1)]:
        fan_in, fan_out = n_in * k * k, n_out * k * k
        bound = math.sqrt(6 / (fan_in + fan_out)) if start == "xavier" else 1 / math.sqrt(fan_in)
        weight = (2 * torch.rand(1, n_out, n_in, k, k, generator=g) - 1) * bound
        bias = torch.zeros(1, n_out) if start == "xavier" else (2 * torch.rand(1, n_out, generator=g) - 1) / fan_in**0.5
        scale = (torch.ones(1, n_out), torch.zeros(1, n_out)) if affine else (None, None)
        layers.append(Layer(weight, bias, *scale))
    return tuple(layers)


def batch_norm(x: Tensor, gain: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    """Give each channel of each picture of (B, C, H, W) mean 0 and variance 1 over its pixels, then scale and shift.

    As `torch.nn.BatchNorm2d` in training, of each picture alone; of a single pixel it is the shift.

    Examples
    --------
    >>> batch_norm(torch.tensor([[[[1.0, 3.0]]]])).round(decimals=3).tolist()
    [[[[-1.0, 1.0]]]]
    """
    scale, offset = (None if p is None else p.flatten() for p in (gain, shift))
    if x[0, 0].numel() == 1:
        zero = x - x.detach()
        return zero if shift is None else zero + shift[..., None, None]
    y = F.batch_norm(_as_one(x), None, None, scale, offset, training=True, eps=EPS)
    return _apart(y, len(x))


def _convolve(x: Tensor, layer: Layer) -> Tensor:
    weight = layer.weight.flatten(0, 1).to(x.dtype)  # (B · C_out, C_in, k, k)
    bias = layer.bias.flatten().to(x.dtype)
    y = F.conv2d(_as_one(x), weight, bias, padding=weight.shape[-1] // 2, groups=len(x))
    return _apart(y, len(x))


def _as_one(x: Tensor) -> Tensor:
    """B pictures as the channels of one; a single one stays as it is, with its order in memory."""
    return x if len(x) == 1 else x.reshape(1, -1, *x.shape[2:])


def _apart(x: Tensor, b: int) -> Tensor:
    return x if b == 1 else x.reshape(b, -1, *x.shape[2:])


def features(images: Tensor, network: Network) -> Tensor:
    """The features x (B, p, H, W): convolution, ReLU and batch normalization, M times."""
    x = images
    for layer in network[:-1]:
        x = batch_norm(_convolve(x, layer).relu(), layer.gain, layer.shift)
    return x


def respond(images: Tensor, network: Network, *, normalize: bool = True) -> Tensor:
    """The responses y' (B, q, H, W) of B networks to their pictures (equation 2).

    Parameters
    ----------
    images
        (B, C, H, W).
    normalize
        Give the response to each label mean 0 and variance 1: without it there is nothing that keeps labels apart.
    """
    y = _convolve(features(images, network), network[-1])
    return batch_norm(y, network[-1].gain, network[-1].shift) if normalize else y


def vote(labels: Tensor, segments: Tensor, max_labels: int, n_segments: int) -> Tensor:
    """Give every pixel of (B, H, W) the most frequent label of its segment; the smallest of equally frequent ones.

    One scatter, without waiting for a device: as `seglab.labels.majority_vote` where all pixels have a label below
    ``max_labels`` and a segment below ``n_segments``.

    Examples
    --------
    >>> vote(torch.tensor([[[0, 1, 1, 2]]]), torch.tensor([[[0, 0, 0, 1]]]), 3, 2).tolist()
    [[[1, 1, 1, 2]]]
    """
    b = len(labels)
    first = n_segments * torch.arange(b, device=labels.device)[:, None, None]
    place = (segments + first).flatten()
    whole = torch.int32 if labels[0].numel() * max_labels < 2**31 else torch.int64
    table = torch.zeros(b * n_segments * max_labels, dtype=whole, device=labels.device)
    table.index_add_(0, place * max_labels + labels.flatten(), table.new_ones(()).expand(len(place)))
    return most_votes(table.reshape(-1, max_labels))[place].reshape(labels.shape)


def count_each(labels: Tensor, max_labels: int) -> Tensor:
    """How many different labels each map of (B, H, W) has: (B,) int64, without waiting for a device."""
    there = torch.zeros(len(labels), max_labels, dtype=torch.bool, device=labels.device)
    return there.scatter_(1, labels.flatten(1), True).sum(1)


def discontinuity(y: Tensor) -> Tensor:
    """How much responses (B, q, H, W) change from pixel to pixel: (B,), mean |difference| down plus that across."""
    total = y.new_zeros(len(y))
    for dim in (2, 3):
        if y.shape[dim] > 1:
            total = total + y.diff(dim=dim).abs().flatten(1).mean(1)
    return total


def cluster_loss(y: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of responses (B, q, H, W) with labels (B, H, W): (B,), the mean over pixels that have one.

    A target of −1 does not count.
    """
    counted = (targets >= 0).flatten(1).sum(1).clamp(min=1)
    b, rows = len(y), y.movedim(1, -1)
    if rows.is_contiguous():  # a softmax within rows is the quicker one, on a GPU
        y, targets = rows.flatten(0, -2), targets.flatten()
    return F.cross_entropy(y, targets, ignore_index=-1, reduction="none").reshape(b, -1).sum(1) / counted


def targets(labels: Tensor, problem: Problem, max_labels: int) -> Tensor:
    """What the network is to answer, (B, H, W): its own labels after the vote; −1 where somebody scribbled."""
    if problem.segments is not None:
        labels = vote(labels, problem.segments, max_labels, problem.n_segments)
    return labels if problem.scribbles is None else torch.where(problem.scribbles >= 0, -1, labels)


def losses(y: Tensor, labels: Tensor, problem: Problem, aims: Aims) -> Tensor:
    """The loss of responses y' (B, q, H, W), given their argmax (B, H, W): (B,)."""
    total = aims.similarity * cluster_loss(y, targets(labels, problem, y.shape[1]))
    if problem.scribbles is not None:
        total = total + aims.scribble * cluster_loss(y, problem.scribbles)
    return total + aims.continuity * discontinuity(y) if aims.continuity else total


def learn(problem: Problem, network: Network, aims: Aims, precision: Precision = "float32") -> Learned:
    """Look at the pictures once: losses, labels and gradients; by whichever of the two ways below is quicker."""
    n = problem.images[0, 0].numel()
    on_cpu = problem.images.device.type == "cpu" and problem.images.dtype == torch.float32 and precision != "bfloat16"
    if on_cpu and n >= _LARGE and aims.normalize and not aims.continuity and len(network) > 1:
        return learn_by_blocks(problem, network, aims)
    return learn_plainly(problem, network, aims, precision)


def learn_by_blocks(problem: Problem, network: Network, aims: Aims) -> Learned:
    """`learn` on a CPU, in few passes over memory: equal to `learn_plainly` but for rounding."""
    from seglab.kernels._backprop_fast import look

    found = []
    for b in range(len(problem.images)):
        own = each(network, partial(torch.narrow, dim=0, start=b, length=1))
        segments, scribbles = (None if x is None else x[b : b + 1] for x in (problem.segments, problem.scribbles))
        alone = Problem(problem.images[b : b + 1], segments, problem.n_segments, scribbles)
        refine = partial(_weighed, problem=alone, aims=aims, max_labels=own[-1].bias.shape[1])
        found.append(look(problem.images[b], own, refine, EPS, problem.images))
    losses, labels, gradients = zip(*found, strict=True)
    return Learned(torch.stack(losses), torch.stack(labels), tuple(map(torch.cat, zip(*gradients, strict=True))))


def _weighed(labels: Tensor, problem: Problem, aims: Aims, max_labels: int) -> tuple[Tensor, Tensor]:
    """The target of each pixel (H, W), and the weight of its cross-entropy in the loss."""
    own = targets(labels[None], problem, max_labels)[0]
    voting = own >= 0
    weight = voting * (aims.similarity / voting.sum().clamp(min=1))
    if problem.scribbles is not None:
        weight = torch.where(voting, weight, aims.scribble / (~voting).sum().clamp(min=1))
        own = torch.where(voting, own, problem.scribbles[0])
    return own, weight


def learn_plainly(problem: Problem, network: Network, aims: Aims, precision: Precision = "float32") -> Learned:
    """`learn` by torch's own layers and autograd."""
    images, rounded = problem.images, precision == "tf32"
    if images.is_cuda and rounded and len(images) == 1:
        images = images.contiguous(memory_format=torch.channels_last)  # which the units for such products read
    with torch.enable_grad(), exact_convolutions(images.device, unless=rounded):
        leaves = each(network, lambda p: p.detach().requires_grad_())
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            y = respond(images, leaves, normalize=aims.normalize)
        y = y.float() if precision == "bfloat16" else y
        labels = y.detach().argmax(1)
        loss = losses(y, labels, problem, aims)
        gradients = torch.autograd.grad(loss.sum(), tensors_of(leaves), allow_unused=True)
    return Learned(loss.detach(), labels, gradients)


def stack_networks(networks: Sequence[Network]) -> Network:
    """Put networks of one shape side by side: B of all of them."""
    flat = [torch.cat(tensors) for tensors in zip(*map(tensors_of, networks), strict=True)]
    return rebuilt(networks[0], flat)


def tensors_of(network: Network) -> list[Tensor]:
    """All tensors of a network, in order."""
    return [p for layer in network for p in layer if p is not None]


def rebuilt(network: Network, tensors: Sequence[Tensor]) -> Network:
    """A network of the same make from other tensors, in the order of `tensors_of`."""
    rest = iter(tensors)
    return each(network, lambda _: next(rest))


def descend(
    network: Network, velocity: Network, gradients: tuple[Tensor | None, ...], lr: float, momentum: float
) -> tuple[Network, Network]:
    """One step of gradient descent with momentum, v ← momentum · v + gradient, θ ← θ − lr · v, as torch's SGD.

    ``gradients`` are those of all tensors of the network, in order.
    """
    tensors = tensors_of(network)
    slopes = [torch.zeros_like(p) if g is None else g for p, g in zip(tensors, gradients, strict=True)]
    old, speed, slope = (
        torch.cat([x.flatten(1) for x in of], 1) for of in (tensors, tensors_of(velocity), slopes)
    )  # (B, all weights): a few operations, not a few for each tensor
    speed = momentum * speed + slope
    return _like(network, old - lr * speed), _like(network, speed)


def _like(network: Network, flat: Tensor) -> Network:
    """A network of the same make from all of its weights in order (B, …)."""
    tensors = tensors_of(network)
    parts = flat.split([p[0].numel() for p in tensors], 1)
    return rebuilt(network, [part.reshape(p.shape) for part, p in zip(parts, tensors, strict=True)])
