"""Segmentation by backpropagation: by hand, by loops, beside torch's layers and optimizer, and what each aim does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab import datasets
from seglab.kernels import backprop_segmentation as kernels
from seglab.kernels._backprop_fast import _SPARE
from seglab.kernels.backprop_segmentation import (
    Aims,
    Layer,
    Network,
    Problem,
    batch_norm,
    cluster_loss,
    count_each,
    descend,
    discontinuity,
    draw_network,
    each,
    learn,
    learn_by_blocks,
    learn_plainly,
    respond,
    stack_networks,
    tensors_of,
    vote,
)
from seglab.labels import count_labels, majority_vote
from seglab.methods import SLIC, BackpropSegmentation
from seglab.networks import cluster_network
from seglab.segmenter import Status


def noisy(height: int = 20, width: int = 30, channels: int = 3, seed: int = 0) -> Tensor:
    """Three areas of different colors."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.2)
    image[:, :, width // 3 :] = 0.5
    image[0, height // 2 :] += 0.3
    return (image + 0.05 * torch.randn(image.shape, generator=g)).clamp(0, 1)


def doubled(network: Network) -> Network:
    """The same network in float64."""
    return each(network, lambda p: p.double())


SMALL = {"n_filters": 12, "max_labels": 9, "n_segments": 60}


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_two_pixels_by_hand() -> None:
    """Responses 1, 3 and 5, 1 become −1, 1 and 1, −1: labels 1, 0, each with probability 1 / (1 + e⁻²)."""
    y = batch_norm(torch.tensor([[[[1.0, 3.0]], [[5.0, 1.0]]]], dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor([[[[-1, 1]], [[1, -1]]]], dtype=torch.float64), atol=1e-5, rtol=0)
    labels = y.argmax(1)
    assert labels.tolist() == [[[1, 0]]]
    assert float(cluster_loss(y, labels)) == pytest.approx(np.log(1 + np.exp(-2)), abs=1e-5)
    assert float(discontinuity(y)) == pytest.approx(2, abs=1e-4)  # one row: only across


def test_unlabeled_pixels_do_not_count() -> None:
    y = torch.tensor([[[[0.0, 2.0]], [[0.0, 0.0]]]])
    assert float(cluster_loss(y, torch.tensor([[[0, -1]]]))) == pytest.approx(np.log(2))
    assert float(cluster_loss(y, torch.tensor([[[-1, -1]]]))) == 0


def test_a_step_of_descent_by_hand() -> None:
    """Gradient 1 twice, rate 0.1, momentum 0.9: 0, −0.1, −0.1 − 0.19."""
    network = still = (Layer(torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 1)),)
    ones = tuple(torch.ones_like(p) for p in (network[0].weight, network[0].bias))
    network, velocity = descend(network, still, ones, 0.1, 0.9)
    assert float(network[0].weight) == pytest.approx(-0.1)
    network, velocity = descend(network, velocity, ones, 0.1, 0.9)
    assert float(network[0].bias) == pytest.approx(-0.29)
    assert float(velocity[0].bias) == pytest.approx(1.9)


def test_votes_of_equal_number_go_to_the_smaller_label() -> None:
    labels, segments = torch.tensor([[[2, 1, 0, 2]]]), torch.tensor([[[0, 0, 1, 1]]])
    assert vote(labels, segments, 3, 2).tolist() == [[[1, 1, 0, 0]]]


# ---- beside plain loops -----------------------------------------------------------------------------------------


def vote_by_loop(labels: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The published program's refinement: a loop over superpixels."""
    refined = labels.copy()
    for k in np.unique(segments):
        here = segments == k
        found, counts = np.unique(labels[here], return_counts=True)
        refined[here] = found[counts.argmax()]
    return refined


@pytest.mark.parametrize("max_labels", [1, 2, 7, 100])
def test_the_vote_is_the_loop_over_superpixels(max_labels: int) -> None:
    g = torch.Generator().manual_seed(max_labels)
    labels = torch.randint(0, max_labels, (2, 30, 41), generator=g)
    segments = torch.randint(0, 50, (2, 30, 41), generator=g)
    voted = vote(labels, segments, max_labels, 60)
    for i in range(2):
        assert np.array_equal(voted[i].numpy(), vote_by_loop(labels[i].numpy(), segments[i].numpy()))
        assert torch.equal(voted[i], majority_vote(labels[i], segments[i]))
    assert count_each(labels, max_labels).tolist() == [count_labels(each) for each in labels]


def test_after_the_vote_every_superpixel_is_of_one_label() -> None:
    state = BackpropSegmentation(**SMALL, max_iter=3).segment(noisy()).state
    assert state.problem.segments is not None
    segments = state.problem.segments[0]
    assert int(segments.max()) > 20
    for k in range(int(segments.max()) + 1):
        assert len(state.targets[segments == k].unique()) == 1


# ---- beside torch's own layers and optimizer --------------------------------------------------------------------


def published_program(image: Tensor, segments: Tensor, method: BackpropSegmentation) -> tuple[list[float], Tensor]:
    """The published program's loop, with torch's layers, loss and optimizer, from the same weights."""
    network = draw_network(
        len(image),
        method.n_components,
        method.n_filters,
        method.max_labels,
        start=method.start,
        affine=method.affine,
        seed=method.seed,
    )
    model = cluster_network(doubled(network))
    optimizer = torch.optim.SGD(model.parameters(), lr=method.lr, momentum=method.momentum)
    losses = []
    for _ in range(method.max_iter):
        optimizer.zero_grad()
        output = model(image[None].double())[0].permute(1, 2, 0).reshape(-1, method.max_labels)
        target = output.argmax(1).reshape(segments.shape).numpy()
        target = torch.from_numpy(vote_by_loop(target, segments.numpy())).flatten()
        loss = nn.CrossEntropyLoss()(output, target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, model(image[None].double())[0].argmax(0)


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("settings", ["paper", "published_code"])
def test_agrees_with_the_published_program(settings: str, n_components: int) -> None:
    image = noisy()
    method = getattr(BackpropSegmentation, settings)(**SMALL, n_components=n_components, max_iter=6, min_labels=0)
    segments = SLIC(n_segments=60, compactness=method.compactness).segment(image).labels
    expected, labels = published_program(image, segments, method)
    state = method.segment(image).state
    assert [float(loss) for loss in state.losses] == pytest.approx(expected, rel=1e-3)
    assert (state.labels == labels).double().mean() > 0.99


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("continuity", [0.0, 0.7])
def test_gradients_are_those_of_torchs_layers(affine: bool, continuity: float) -> None:
    image, network = noisy().double(), doubled(draw_network(3, 2, 12, 9, affine=affine, start="torch"))
    segments = SLIC(n_segments=60).segment(image).labels
    model = cluster_network(network)
    y = model(image[None])
    target = majority_vote(y[0].argmax(0), segments)
    loss = F.cross_entropy(y, target[None])
    if continuity:
        loss = loss + continuity * (y.diff(dim=2).abs().mean() + y.diff(dim=3).abs().mean())
    loss.backward()
    found = learn(Problem(image[None], segments[None], 60), network, Aims(continuity=continuity))
    torch.testing.assert_close(found.losses[0], loss.detach())
    parameters = list(model.parameters())
    assert len(found.gradients) == len(parameters)
    for gradient, p in zip(found.gradients, parameters, strict=True):
        torch.testing.assert_close(gradient[0], p.grad, atol=1e-12, rtol=1e-6)


def test_responses_have_mean_0_and_variance_1() -> None:
    y = respond(noisy()[None].double(), doubled(draw_network(3, 2, 12, 9)))[0].flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(9, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(9, dtype=torch.float64), atol=1e-3, rtol=0)


def test_one_pixel_has_the_shift_as_its_response() -> None:
    x, gain, shift = torch.full((1, 2, 1, 1), 7.0), torch.full((1, 2), 3.0), torch.tensor([[4.0, 5.0]])
    assert batch_norm(x).flatten().tolist() == [0, 0]
    assert batch_norm(x, gain, shift).flatten().tolist() == [4, 5]


@pytest.mark.parametrize("start", ["xavier", "torch"])
def test_weights_are_drawn_as_torch_draws_them(start: str) -> None:
    network = draw_network(3, 2, 100, 100, start=start, seed=3)
    g = torch.Generator().manual_seed(0)
    for layer in network:
        theirs = torch.empty(layer.weight.shape[1:])
        if start == "xavier":
            nn.init.xavier_uniform_(theirs, generator=g)
            assert layer.bias.abs().max() == 0
        else:
            nn.init.kaiming_uniform_(theirs, a=5**0.5, generator=g)
            bound = theirs[0].numel() ** -0.5
            assert 0.8 * bound < float(layer.bias.abs().max()) <= bound
        assert float(layer.weight.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.02)
        assert float(layer.weight.std()) == pytest.approx(float(theirs.std()), rel=0.05)
    again, other = (draw_network(3, 2, 100, 100, start=start, seed=s) for s in (3, 4))
    assert torch.equal(network[1].weight, again[1].weight)
    assert not torch.equal(network[1].weight, other[1].weight)


# ---- few passes over memory, beside the plain way -----------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("shape", "n_components", "affine", "scribbled"),
    [((70, 83), 2, False, False), ((64, 64), 1, True, False), ((65, 90), 3, True, True), ((4100, 1), 2, False, True)],
    ids=str,
)
def test_blocks_and_tiles_are_the_plain_way(
    shape: tuple[int, int], n_components: int, affine: bool, scribbled: bool, threads: int
) -> None:
    """Loss, labels and every gradient, against torch's layers in float64; gains and shifts are drawn at random."""
    g = torch.Generator().manual_seed(0)
    network = draw_network(3, n_components, 20, 11, affine=affine, start="torch")
    if affine:
        scales = [
            (0.5 + torch.rand(a.gain.shape, generator=g), torch.randn(a.gain.shape, generator=g)) for a in network
        ]
        network = tuple(a._replace(gain=x, shift=y) for a, (x, y) in zip(network, scales, strict=True))
    segments = torch.randint(0, 300, (1, *shape), generator=g)
    scribbles = torch.full((1, *shape), -1)
    scribbles[:, 3:9] = 2
    problem = Problem(torch.rand(1, 3, *shape, generator=g), segments, 300, scribbles if scribbled else None)
    exact = learn_plainly(problem._replace(images=problem.images.double()), doubled(network), Aims())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = learn_by_blocks(problem, network, Aims())
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert torch.equal(found.labels, exact.labels)
    assert float(found.losses) == pytest.approx(float(exact.losses), rel=1e-5)
    for ours, theirs in zip(found.gradients, exact.gradients, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours.double(), theirs, atol=1e-4 * float(theirs.abs().max()) + 1e-9, rtol=0)


def test_memory_is_kept_for_the_last_picture_as_long_as_it_is_there() -> None:
    """Later looks write where earlier ones did; results that were given away stay as they are."""
    network = draw_network(3, 2, 8, 8)
    first, second = (Problem(noisy(24, 40, seed=seed)[None]) for seed in (0, 1))
    found = learn_by_blocks(first, network, Aims())
    kept = [p.clone() for p in (found.labels, *found.gradients)]
    assert first.images in _SPARE
    again, other = learn_by_blocks(first, network, Aims()), learn_by_blocks(second, network, Aims())
    for one, two, three in zip((found.labels, *found.gradients), (again.labels, *again.gradients), kept, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    assert not torch.equal(found.labels, other.labels)
    assert first.images not in _SPARE
    assert len(_SPARE[second.images]) == 4  # two layers, responses and their gradient
    del second
    assert not _SPARE


def test_networks_side_by_side_by_blocks() -> None:
    images = torch.stack([noisy(64, 70, seed=s) for s in range(2)])
    network = stack_networks([draw_network(3, 2, 12, 9, seed=s) for s in range(2)])
    problem = Problem(images)
    ours, theirs = learn_by_blocks(problem, network, Aims()), learn_plainly(problem, network, Aims())
    torch.testing.assert_close(ours.losses, theirs.losses)
    assert (ours.labels == theirs.labels).double().mean() > 0.999
    for a, b in zip(ours.gradients, theirs.gradients, strict=True):
        assert a is not None
        assert b is not None
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "blocks"),
    [
        ({}, True),
        ({"continuity": "differences"}, False),
        ({"normalize": False}, False),
        ({"precision": "bfloat16"}, False),
        ({"n_components": 0}, False),
    ],
    ids=str,
)
def test_blocks_are_for_what_they_can_do(changes: dict, blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    plain = kernels.learn_by_blocks
    monkeypatch.setattr(kernels, "learn_by_blocks", lambda *args: called.append(1) or plain(*args))
    BackpropSegmentation(**{**SMALL, **changes}, max_iter=1).segment(noisy(64, 64))
    assert bool(called) == blocks


# ---- several at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", [False, True])
def test_networks_side_by_side_learn_as_each_alone(affine: bool) -> None:
    images = torch.stack([noisy(seed=s) for s in range(3)]).double()
    networks = [doubled(draw_network(3, 2, 12, 9, affine=affine, seed=s)) for s in range(3)]
    segments = torch.stack([SLIC(n_segments=60).segment(image).labels for image in images])
    together = learn(Problem(images, segments, 60), stack_networks(networks), Aims(continuity=0.3))
    for i in range(3):
        alone = learn(Problem(images[i : i + 1], segments[i : i + 1], 60), networks[i], Aims(continuity=0.3))
        torch.testing.assert_close(together.losses[i], alone.losses[0])
        assert torch.equal(together.labels[i], alone.labels[0])
        for a, b in zip(together.gradients, alone.gradients, strict=True):
            assert a is not None
            torch.testing.assert_close(a[i : i + 1], b, atol=1e-12, rtol=1e-6)


def test_segments_many_pictures_as_each_alone() -> None:
    images = [noisy(seed=s) for s in range(3)]
    method = BackpropSegmentation(**SMALL, max_iter=8)
    for image, labels in zip(images, method.segment_many(images), strict=True):
        assert (labels == method.segment(image).labels).double().mean() > 0.98


def test_a_picture_that_is_done_lets_the_others_go_on() -> None:
    images = [torch.full((3, 20, 30), 0.3), noisy()]
    method = BackpropSegmentation(**SMALL, max_iter=12, min_labels=7)
    alone = [method.segment(image).state.n_iter for image in images]
    assert alone[0] != alone[1]
    together = method.segment_many(images)
    assert [count_labels(labels) for labels in together] == [method.segment(image).n_segments for image in images]


def test_many_pictures_are_of_one_shape() -> None:
    with pytest.raises(ValueError, match="one shape"):
        BackpropSegmentation().segment_many([noisy(), noisy(21)])
    with pytest.raises(ValueError, match="one at least"):
        BackpropSegmentation().segment_many([])


# ---- what each aim does -----------------------------------------------------------------------------------------


def test_labels_grow_fewer_and_colors_come_apart() -> None:
    image = torch.zeros(3, 32, 32)
    image[0, :, 16:] = 1
    image = (image + 0.02 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    trace = BackpropSegmentation(n_filters=16, max_labels=16, n_segments=80, max_iter=60).trace(image)
    counts = [int(n) for n in trace[-1].counts]
    assert counts[-1] < counts[0]
    left, right = (trace[-1].labels[4:-4, columns].unique() for columns in (slice(2, 12), slice(20, 30)))
    assert not set(left.tolist()) & set(right.tolist())


def test_without_normalization_labels_are_lost() -> None:
    image = datasets.shapes(height=40, width=40).image
    found = [
        BackpropSegmentation(**SMALL, max_iter=60, normalize=normalize).segment(image).n_segments
        for normalize in (True, False)
    ]
    assert found[1] < found[0]


def test_continuity_makes_labels_even() -> None:
    image = noisy(40, 40)

    def changes(**options: object) -> int:
        labels = BackpropSegmentation(**SMALL, max_iter=30, **options).segment(image).labels
        return int((labels.diff(dim=1) != 0).sum())

    alone = changes(continuity="none")
    assert changes() < alone
    assert changes(continuity="differences", continuity_weight=5) < alone


def test_stops_when_few_labels_are_left() -> None:
    method = BackpropSegmentation(**SMALL, max_iter=200, min_labels=8)
    state = method.segment(noisy()).state
    assert state.status is Status.CONVERGED
    counts = [int(n) for n in state.counts]
    assert counts[-1] <= 8 < min(counts[:-1])


# ---- the form of 2020 -------------------------------------------------------------------------------------------


def test_scribbles_are_obeyed_and_leave_the_rest_to_the_network() -> None:
    image = noisy(40, 40)
    scribbles = torch.full((40, 40), -1)
    scribbles[5:8, 3:9], scribbles[30:33, 25:35] = 0, 1
    method = BackpropSegmentation.differentiable(**SMALL, max_iter=80, scribbles=scribbles)
    state = method.segment(image).state
    for label in (0, 1):
        assert (state.labels[scribbles == label] == label).double().mean() > 0.9
    assert torch.equal(state.targets == -1, scribbles >= 0)


def test_the_scribbles_loss_is_that_of_the_published_program() -> None:
    image, network = noisy().double(), doubled(draw_network(3, 1, 12, 9))
    scribbles = torch.full((1, 20, 30), -1)
    scribbles[0, 2:5, 2:9], scribbles[0, 12:15, 20:28] = 3, 1
    y = respond(image[None], network)
    drawn = scribbles >= 0
    flat = y.movedim(1, -1)
    own = F.cross_entropy(flat[~drawn], flat[~drawn].argmax(1))
    theirs = F.cross_entropy(flat[drawn], scribbles[drawn])
    found = learn(Problem(image[None], scribbles=scribbles), network, Aims(scribble=0.5, continuity=2.0))
    expected = own + 0.5 * theirs + 2 * (y.diff(dim=2).abs().mean() + y.diff(dim=3).abs().mean())
    torch.testing.assert_close(found.losses[0], expected)


def test_a_network_is_transferred_to_another_picture() -> None:
    method = BackpropSegmentation.differentiable(**SMALL, max_iter=30)
    reference = method.segment(noisy(seed=0)).state
    other = noisy(24, 26, seed=1)
    there = method.transfer(reference, other)
    expected = reference.module(other[None]).argmax(1)[0]
    assert torch.equal(there.labels, expected)
    assert method.segment(other, init=there).state.n_iter == 30
    with pytest.raises(ValueError, match="channels"):
        method.transfer(reference, noisy(channels=1))


@pytest.mark.parametrize(
    ("scribbles", "message"),
    [(torch.full((20, 30), 9), "below max_labels=9"), (torch.zeros(3, 4, dtype=torch.int64), "same height")],
)
def test_refuses_scribbles_that_do_not_fit(scribbles: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BackpropSegmentation(**SMALL, scribbles=scribbles).segment(noisy())


# ---- the state --------------------------------------------------------------------------------------------------


def test_the_module_answers_as_the_state() -> None:
    image = noisy()
    state = BackpropSegmentation(**SMALL, max_iter=4, affine=True).segment(image).state
    before = torch.random.get_rng_state()
    module = state.module
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.testing.assert_close(module(image[None])[0], state.responses)
    with torch.no_grad():
        module[0].weight.zero_()
    assert state.network[0].weight.abs().max() > 0  # a copy


def test_a_module_holds_one_network() -> None:
    with pytest.raises(ValueError, match="2 side by side"):
        cluster_network(stack_networks([draw_network(3, 1, 8, 5)] * 2))


def test_nothing_in_a_state_asks_for_gradients() -> None:
    state = BackpropSegmentation(**SMALL, max_iter=2).segment(noisy()).state
    tensors = [*tensors_of(state.network), *tensors_of(state.velocity)]
    assert not any(t.requires_grad for t in (*tensors, *state.losses, state.responses))
    moved = dataclasses.replace(state).to("cpu")
    assert torch.equal(moved.labels, state.labels)


def test_half_the_bits_give_much_the_same() -> None:
    image = noisy(40, 40)
    full, half = (
        BackpropSegmentation(**SMALL, max_iter=4, precision=p).segment(image) for p in ("float32", "bfloat16")
    )
    assert float(half.state.objective) == pytest.approx(float(full.state.objective), rel=0.05)


def test_the_order_in_memory_changes_nothing() -> None:
    segments = SLIC(n_segments=60).segment(noisy()).labels[None]
    network = draw_network(3, 2, 12, 9, affine=True)
    rows = Problem(noisy()[None].contiguous(memory_format=torch.channels_last), segments, 60)
    assert respond(rows.images, network).movedim(1, -1).is_contiguous()
    ours, theirs = (learn_plainly(p, network, Aims()) for p in (rows, Problem(noisy()[None], segments, 60)))
    assert torch.equal(ours.labels, theirs.labels)
    torch.testing.assert_close(ours.losses, theirs.losses)
    torch.testing.assert_close(ours.gradients, theirs.gradients, atol=1e-6, rtol=1e-4)


def test_ten_bits_are_for_a_gpu() -> None:
    image = noisy()
    results = [BackpropSegmentation(**SMALL, max_iter=4, precision=p).segment(image) for p in ("float32", "tf32")]
    assert torch.equal(results[0].labels, results[1].labels)


@pytest.mark.gpu
def test_ten_bits_give_much_the_same() -> None:
    problem = Problem(noisy()[None].cuda(), SLIC(n_segments=60).segment(noisy()).labels[None].cuda(), 60)
    network = each(draw_network(3, 2, 12, 9), lambda p: p.cuda())
    exact, rounded = (learn(problem, network, Aims(), precision) for precision in ("float32", "tf32"))
    torch.testing.assert_close(rounded.losses, exact.losses, atol=0, rtol=1e-2)
    assert (rounded.labels == exact.labels).double().mean() > 0.97


@pytest.mark.gpu
def test_learns_the_same_on_a_gpu() -> None:
    problem = Problem(noisy()[None], SLIC(n_segments=60).segment(noisy()).labels[None], 60)
    network = draw_network(3, 2, 12, 9)
    there = each(network, lambda p: p.cuda())
    moved = Problem(problem.images.cuda(), problem.segments.cuda(), 60)  # type: ignore[union-attr]
    ours, theirs = learn(problem, network, Aims()), learn(moved, there, Aims())
    assert float(ours.losses) == pytest.approx(float(theirs.losses), rel=1e-4)
    for a, b in zip(ours.gradients, theirs.gradients, strict=True):
        assert a is not None
        assert b is not None
        torch.testing.assert_close(a, b.cpu(), atol=1e-5, rtol=1e-3)


def test_the_vote_of_a_large_picture_in_one_segment_does_not_overflow():
    labels = torch.full((1, 3000, 4000), 5)
    assert vote(labels, torch.zeros_like(labels), 200, 1).unique().tolist() == [5]
