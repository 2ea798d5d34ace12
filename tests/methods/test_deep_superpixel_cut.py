"""Deep Superpixel Cut: losses against plain loops, the cut against `normalized_cuts`, gradients against autograd."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from seglab.datasets import shapes
from seglab.kernels.normalized_cuts import ncut_value
from seglab.labels import majority_vote, segment_means
from seglab.methods import DeepSuperpixelCut
from seglab.methods.deep_superpixel_cut import (
    Losses,
    affinity,
    encode,
    losses,
    membership,
    normalized_soft_cut,
    pixel_loss,
    soft_cut,
    soft_cut_gradient,
    superpixel_means,
    touching,
    vote,
)
from seglab.networks import SuperAE
from seglab.segmenter import Status


def graph(seed: int = 0, m: int = 6, k: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits G (M, K) and a symmetric W (M, M) without loops, float64."""
    g = torch.Generator().manual_seed(seed)
    w = torch.rand(m, m, generator=g, dtype=torch.float64)
    return torch.randn(m, k, generator=g, dtype=torch.float64), (w + w.T) * (1 - torch.eye(m))


def pixels(seed: int = 0, k: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (N, K) of a 5×6 picture, and superpixels (5, 6) numbered 0 … 3."""
    g = torch.Generator().manual_seed(seed)
    superpixels = torch.randint(0, 4, (5, 6), generator=g)
    superpixels[0, :4] = torch.arange(4)
    return torch.randn(30, k, generator=g, dtype=torch.float64), superpixels


def two_blocks(height: int = 24, width: int = 32) -> torch.Tensor:
    image = torch.zeros(3, height, width)
    image[0, :, : width // 2] = 0.9
    image[2, :, width // 2 :] = 0.8
    g = torch.Generator().manual_seed(0)
    return (image + 0.02 * torch.randn(image.shape, generator=g)).clamp(0, 1)


# ----------------------------------------------------------------------------------------------------------- kernels


def test_a_soft_cut_by_hand():
    w = torch.tensor([[0.0, 2.0, 1.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    one_hot = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(soft_cut(one_hot, w)) == 2 * 1.0  # the edge 0–2, twice
    assert float(soft_cut(torch.full((3, 2), 0.5), w)) == pytest.approx((1 - 1 / 2) * 6)
    assert float(soft_cut(torch.tensor([[1.0, 0.0]] * 3), w)) == 0
    assert float(normalized_soft_cut(one_hot, w)) == pytest.approx(1 / 5 + 1 / 1)


def test_soft_cut_is_that_of_a_plain_loop():
    logits, w = graph()
    q = logits.softmax(1)
    expected = 0.0
    for k in range(q.shape[1]):
        for a in range(len(q)):
            for b in range(len(q)):
                expected += float(q[a, k] * w[a, b] * (1 - q[b, k]))
    assert float(soft_cut(q, w)) == pytest.approx(expected)
    agree = sum(float(w[a, b] * (1 - q[a] @ q[b])) for a in range(len(q)) for b in range(len(q)))
    assert float(soft_cut(q, w)) == pytest.approx(agree)


def test_normalized_soft_cut_is_that_of_a_plain_loop():
    logits, w = graph(1)
    q, d = logits.softmax(1), w.sum(1)
    expected = sum(float(q[:, k] @ w @ (1 - q[:, k]) / (q[:, k] @ d)) for k in range(q.shape[1]))
    assert float(normalized_soft_cut(q, w)) == pytest.approx(expected)
    uniform = torch.full_like(q, 1 / q.shape[1])
    assert float(normalized_soft_cut(uniform, w)) == pytest.approx(q.shape[1] - 1)


@pytest.mark.parametrize("seed", range(4))
def test_one_hot_it_is_the_cut_and_the_normalized_cut(seed):
    _, w = graph(seed, m=9)
    labels = torch.randint(0, 3, (9,), generator=torch.Generator().manual_seed(seed))
    q = torch.nn.functional.one_hot(labels, 3).double()
    apart = labels[:, None] != labels
    assert float(soft_cut(q, w)) == pytest.approx(float(w[apart].sum()))
    assert float(normalized_soft_cut(q, w)) == pytest.approx(ncut_value(w, labels))


@pytest.mark.parametrize("cut", [soft_cut, normalized_soft_cut])
def test_a_cut_does_not_care_for_the_order_of_clusters_and_superpixels(cut):
    logits, w = graph(2)
    q, order, clusters = logits.softmax(1), torch.tensor([3, 0, 5, 1, 4, 2]), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(cut(q[order][:, clusters], w[order][:, order]), cut(q, w))


def test_the_gradient_by_hand_is_autograds():
    logits, w = graph(3)
    w = w + torch.triu(w)  # not symmetric: the formula does not need it
    logits.requires_grad_()
    (expected,) = torch.autograd.grad(soft_cut(logits.softmax(1), w), logits)
    torch.testing.assert_close(soft_cut_gradient(logits.softmax(1).detach(), w), expected)
    assert torch.autograd.gradcheck(lambda x: soft_cut(x.softmax(1), w), logits)


def test_means_and_their_gradient_are_those_of_a_plain_loop():
    features, superpixels = pixels()
    features.requires_grad_()
    means = superpixel_means(features, membership(superpixels))
    flat = superpixels.flatten()
    for j in range(4):
        torch.testing.assert_close(means[j], features[flat == j].mean(0))
    upstream = torch.randn(means.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(means, features, upstream)
    sizes = torch.bincount(flat)
    for i, j in enumerate(flat.tolist()):
        torch.testing.assert_close(gradient[i], upstream[j] / sizes[j])


def test_pixel_loss_is_that_of_a_plain_loop():
    features, superpixels = pixels(1)
    members = membership(superpixels)
    p, flat = features.softmax(1), superpixels.flatten().tolist()
    labels = vote(p.argmax(1), members, 4)
    expected = -sum(float(p[i, labels[j]].log()) for i, j in enumerate(flat)) / len(flat)
    assert float(pixel_loss(features, members, labels)) == pytest.approx(expected)


def test_a_vote_is_the_majority_of_each_superpixel_and_ties_go_to_the_smallest():
    features, superpixels = pixels(2)
    classes = features.argmax(1)
    expected = majority_vote(classes.reshape(5, 6), superpixels)
    assert torch.equal(vote(classes, membership(superpixels), 4)[superpixels], expected)
    assert vote(torch.tensor([3, 1]), membership(torch.tensor([[0, 0]])), 4).tolist() == [1]


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_membership_counts_the_pictures_pixels(stride):
    _, superpixels = pixels(3)
    members = membership(superpixels, stride)
    expected = np.zeros((4, -(-5 // stride) * -(-6 // stride)))
    for row, col in np.ndindex(5, 6):
        expected[superpixels[row, col], row // stride * -(-6 // stride) + col // stride] += 1
    found = np.zeros_like(expected)
    found[members.superpixel, members.pixel] = members.weight
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(members.mass, expected.sum(1))


def test_affinity_by_a_plain_loop():
    means = torch.rand(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    squares = [[float((a - b).square().sum()) for b in means] for a in means]
    mean = sum(map(sum, squares)) / 20
    w = affinity(means, 0.7)
    for a, b in np.ndindex(5, 5):
        expected = 0 if a == b else np.exp(-squares[a][b] / (0.49 * mean))
        assert float(w[a, b]) == pytest.approx(expected)
    assert torch.equal(w, w.T)
    same = affinity(torch.ones(3, 2))
    assert torch.equal(same, 1 - torch.eye(3))
    touch = touching(torch.tensor([[0, 1], [2, 1]]), 3)
    assert touch.int().tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    chain = touching(torch.tensor([[0, 1, 2]]), 3)
    assert float(affinity(means[:3], touch=chain)[0, 2]) == 0


def test_the_encoder_is_superaes_in_training_mode():
    torch.manual_seed(0)
    model = SuperAE(n_features=5, width=4).train()
    picture = torch.rand(3, 9, 8)
    expected = model.encoder(picture[None])[0].flatten(1).T
    torch.testing.assert_close(encode(picture, tuple(model.encoder.parameters())), expected)
    features = encode(picture, [w if w.ndim == 4 else torch.ones(len(w)) for w in model.encoder.parameters()])
    torch.testing.assert_close(features.var(0, correction=0), torch.ones(5), rtol=1e-2, atol=0)


# ---------------------------------------------------------------------------------------------------------- the method


def test_a_step_is_one_of_torchs_sgd_on_the_losses_of_the_paper():
    image = two_blocks()
    method = DeepSuperpixelCut(n_superpixels=30, alpha=0.8, beta=2.0, stride=1, min_clusters=1, max_iter=3)
    state = method.init(image)
    weights = [w.clone().requires_grad_() for w in state.weights]
    optimizer = torch.optim.SGD(weights, lr=method.lr, momentum=method.momentum)
    for _ in range(3):
        features = encode(image, weights)
        classes = majority_vote(features.argmax(1).reshape(image.shape[1:]), state.superpixels)
        q = torch.stack(
            [features[state.superpixels.flatten() == j].mean(0) for j in range(len(state.affinity))]
        ).softmax(1)
        agreement = torch.nn.functional.cross_entropy(features, classes.flatten())
        cut = sum(q[:, k] @ state.affinity @ (1 - q[:, k]) for k in range(q.shape[1])) / state.affinity.sum()
        optimizer.zero_grad()
        (0.8 * agreement + 2.0 * cut).backward()
        optimizer.step()
        state = method.step(image, state)
    for ours, theirs in zip(state.weights, weights, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=2e-3, atol=2e-5)
    assert [float(record[0]) for record in state.history][-1] == pytest.approx(float(agreement.detach()), rel=1e-3)
    assert [float(record[1]) for record in state.history][-1] == pytest.approx(float(cut.detach()), rel=1e-3)


def test_finds_two_areas():
    image = two_blocks()
    result = DeepSuperpixelCut(n_superpixels=40, max_iter=60, min_clusters=2, stride=1).segment(image)
    left, right = result.labels[:, :15].flatten().bincount(), result.labels[:, 17:].flatten().bincount()
    assert int(left.argmax()) != int(right.argmax())
    assert left.max() / left.sum() > 0.9
    assert right.max() / right.sum() > 0.9


def test_labels_are_the_clusters_of_the_states_own_network():
    image = shapes(height=40, width=48).image
    state = DeepSuperpixelCut(n_superpixels=40, max_iter=4).segment(image).state
    features = encode(state.picture, state.weights)
    q = superpixel_means(features, state.members).softmax(1)
    torch.testing.assert_close(state.association, q)
    assert torch.equal(state.clusters, q.argmax(1)[state.superpixels])
    torch.testing.assert_close(q.sum(1), torch.ones(len(q)))
    pure = [len(state.labels[state.superpixels == j].unique()) for j in range(len(q))]
    assert pure == [1] * len(q)
    split = dataclasses.replace(state, method=dataclasses.replace(state.method, connected=True))
    assert len(split.labels.unique()) >= len(state.labels.unique())


def test_small_parts_go_to_the_neighbor_of_the_nearest_association():
    state = (
        DeepSuperpixelCut(n_superpixels=40, max_iter=1, connected=True).segment(shapes(height=40, width=48).image).state
    )
    superpixels = torch.tensor([[0, 0, 0, 1, 2, 2, 2]])
    q = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.35, 0.35], [0.1, 0.2, 0.7]])
    for least, expected in ((0, [0, 0, 0, 1, 2, 2, 2]), (2, [0, 0, 0, 1, 1, 1, 1]), (9, [0] * 7)):
        method = dataclasses.replace(state.method, min_size=least)
        made = dataclasses.replace(state, superpixels=superpixels, method=method)
        made.__dict__["losses"] = Losses(q, torch.tensor(0.0), torch.tensor(0.0))
        assert made.labels.tolist() == [expected]


def test_the_two_losses_do_what_they_are_for():
    image = shapes(height=48, width=64).image
    base = DeepSuperpixelCut(n_superpixels=60, max_iter=40, min_clusters=1, lr=0.1)
    first = base.init(image).losses
    only_l1 = dataclasses.replace(base, beta=0.0).segment(image).state
    only_l2 = dataclasses.replace(base, alpha=0.0, beta=30.0).segment(image).state
    seen = losses(base, only_l2, only_l2.weights)
    assert float(losses(base, only_l1, only_l1.weights).agreement) < 0.7 * float(first.agreement)
    assert float(seen.cut) < 0.8 * float(first.cut)
    assert float(only_l1.losses.cut) == 0
    assert float(only_l2.losses.agreement) == 0


def test_stops_at_few_clusters_and_keeps_them():
    image = two_blocks()
    method = DeepSuperpixelCut(n_superpixels=40, min_clusters=8, max_iter=200)
    states = list(method.steps(image))
    assert states[-1].status is Status.CONVERGED
    assert states[-1].n_clusters == states[-2].n_clusters <= 8
    assert all(torch.equal(a, b) for a, b in zip(states[-1].weights, states[-2].weights, strict=True))
    assert states[-2].status is Status.RUNNING


@pytest.mark.parametrize(
    "options",
    [
        {"superpixels": "felzenszwalb"},
        {"superpixels": "mean_shift"},
        {"similarity": "color"},
        {"similarity": "learned"},
        {"neighbors": "touching"},
        {"cut": "normalized"},
        {"start": "random"},
        {"smooth": False},
        {"stride": 3},
        {"n_clusters": 8},
        {"n_clusters": 40},
    ],
    ids=str,
)
def test_every_choice_runs_and_is_one(options):
    image = shapes(height=36, width=48).image
    base = DeepSuperpixelCut(max_iter=3, n_superpixels=40)
    plain, other = (m.segment(image).state for m in (base, dataclasses.replace(base, **options)))
    assert np.isfinite(float(other.objective))
    same = plain.weights[0].shape == other.weights[0].shape and torch.equal(plain.weights[0], other.weights[0])
    assert not same


def test_seeds_draw_other_weights_and_superaes_are_the_same():
    random = [DeepSuperpixelCut(start="random", seed=s).init(two_blocks()).weights for s in (0, 0, 1)]
    assert torch.equal(random[0][0], random[1][0])
    assert not torch.equal(random[0][0], random[2][0])
    trained = [DeepSuperpixelCut(seed=s).init(two_blocks()).weights for s in (0, 1)]
    assert all(map(torch.equal, *trained))
    more = [DeepSuperpixelCut(n_clusters=34, seed=s).init(two_blocks()).weights for s in (0, 1)]
    assert torch.equal(more[0][6][:32], more[1][6][:32])
    assert not torch.equal(more[0][6][32:], more[1][6][32:])


def test_the_affinity_is_of_superaes_features():
    image = two_blocks()
    state = DeepSuperpixelCut(n_superpixels=30).init(image)
    left = segment_means(state.superpixels, image)[:, 0] > 0.5
    within = state.affinity[left][:, left].mean() + state.affinity[~left][:, ~left].mean()
    assert float(within) > 10 * float(state.affinity[left][:, ~left].mean())


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 1)])
def test_one_superpixel_is_degenerate(shape):
    result = DeepSuperpixelCut().segment(torch.full(shape, 0.5))
    assert result.status is Status.DEGENERATE
    assert result.labels.tolist() == [[0]]


def test_a_constant_picture_is_one_cluster():
    result = DeepSuperpixelCut(max_iter=5).segment(torch.full((3, 20, 30), 0.4))
    assert result.n_segments == 1


def test_refuses_impossible_settings():
    for options in ({"n_clusters": 1}, {"beta": -1.0}, {"lr": 0.0}, {"stride": 0}, {"cut": "min"}):
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            DeepSuperpixelCut(**options)


@pytest.mark.gpu
@pytest.mark.parametrize("cut", ["soft", "normalized"])
def test_losses_and_gradients_are_the_same_on_a_gpu(cut):
    image = shapes(height=60, width=80).image
    method = DeepSuperpixelCut(cut=cut, max_iter=1, min_clusters=1)
    states = [method.segment(image, device=device).state for device in ("cpu", "cuda")]
    for a, b in zip(*(state.velocity for state in states), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-2, atol=1e-4)
