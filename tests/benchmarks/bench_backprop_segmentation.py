"""One step of segmentation by backpropagation, and its vote in superpixels, beside the published program's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seglab.kernels.backprop_segmentation import Aims, Problem, count_each, descend, draw_network, each, learn, vote
from seglab.methods import SLIC
from seglab.networks import cluster_network

from . import PHOTO, Row, benchmark

_LABELS, _SEGMENTS = 100, 10_000


def vote_by_loop(labels: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """The published program's refinement: for each superpixel, count the labels of its pixels."""
    labels = labels.copy()
    for place in places:
        inside = labels[place]
        found = np.unique(inside)
        counts = [np.sum(inside == label) for label in found]
        labels[place] = found[np.argmax(counts)]
    return labels


def superpixels(image: Tensor) -> tuple[Tensor, list[np.ndarray]]:
    """The superpixels as a map, and each one's pixels; the program makes both once, before it learns."""
    segments = SLIC(n_segments=_SEGMENTS).segment(image).labels
    order, sizes = segments.flatten().argsort(stable=True).numpy(), torch.bincount(segments.flatten()).tolist()
    return segments, np.split(order, np.cumsum(sizes)[:-1])


@benchmark("vote in 10,000 superpixels", reference="the published program's loop over superpixels, NumPy", least=50)
class Vote(Row):
    """The labels of a network that was just drawn, from which learning starts: many in a superpixel."""

    sizes = (PHOTO,)

    def prepare(self, image: Tensor) -> Any:
        segments, places = superpixels(image)
        return learn(Problem(image[None]), draw_network(3, 2, 16, _LABELS), Aims()).labels, segments, places

    def ours(self, data: Any) -> Tensor:
        labels, segments, _ = data
        return vote(labels, segments[None], _LABELS, _SEGMENTS)

    def theirs(self, data: Any) -> np.ndarray:
        labels, _, places = data
        return vote_by_loop(labels.flatten().numpy(), places)

    def agree(self, ours: Tensor, theirs: np.ndarray) -> str:
        assert np.array_equal(ours.flatten().numpy(), theirs)
        return "equal labels"


@benchmark(
    "a step of learning by backpropagation, M = 2, p = q = 100",
    reference="the published program: torch's layers and optimizer in float32, the loop over superpixels",
    least=4,
)
class Step(Row):
    """From the same network: label, vote, gradients, update. On two cores 0.69 s of 2.87 s.

    What limits it, on two cores with AVX2 and no products of half the bits: the products alone, 32 billion operations
    (94 where a convolution is not Winograd's), take 0.22 s at the 74 billion a second and core that a large product of
    matrices reaches, and 0.33 s at the 48 that products of these sizes do. Of about 0.6 s, the three convolutions
    between the layers take 0.35 (half of it products, half the way into tiles and out of them), the classifier there
    and back 0.12, labels and softmax 0.05, the first layer there and back 0.04; the vote, the cross-entropy and the
    normalizations, which touch every map once, 0.05 together.
    """

    sizes = (PHOTO,)

    def prepare(self, image: Tensor) -> Any:
        segments, places = superpixels(image)
        return Problem(image[None], segments[None], _SEGMENTS), places, draw_network(3, 2, 100, _LABELS)

    def ours(self, data: Any) -> tuple[float, int]:
        problem, _, network = data
        found = learn(problem, network, Aims())
        descend(network, each(network, torch.zeros_like), found.gradients, 0.1, 0.9)
        return float(found.losses), int(count_each(found.labels, _LABELS))

    def theirs(self, data: Any) -> tuple[float, int]:
        problem, places, network = data
        model = cluster_network(network)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        optimizer.zero_grad()
        output = model(problem.images)[0].permute(1, 2, 0).reshape(-1, _LABELS)
        labels = output.detach().argmax(1)
        loss = nn.CrossEntropyLoss()(output, torch.from_numpy(vote_by_loop(labels.numpy(), places)))
        loss.backward()
        optimizer.step()
        return float(loss.detach()), len(labels.unique())

    def agree(self, ours: tuple[float, int], theirs: tuple[float, int]) -> str:
        assert abs(ours[0] - theirs[0]) < 1e-3 * theirs[0]
        return f"losses {ours[0]:.5f} and {theirs[0]:.5f}, labels {ours[1]} and {theirs[1]}"
