"""Smoothing of a posterior: by hand, by plain loops, by trying everything, and beside exact graph cuts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from torch import Tensor

from seglab.methods import GaussianMixture, SmoothedMixture
from seglab.methods.smoothing import energy, free_energy, sweep, votes
from seglab.segmenter import Status

both_grids = pytest.mark.parametrize("connectivity", [4, 8])
both_ways = pytest.mark.parametrize("smoothing", ["icm", "mean_field"])


def posterior(k: int, height: int, width: int, seed: int = 0, sharpness: float = 2.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(k, height, width, generator=g, dtype=torch.float64)).log_softmax(0)


def one_hot(labels: Tensor, k: int) -> Tensor:
    return torch.nn.functional.one_hot(labels, k).movedim(-1, 0).double()


def pairs(height: int, width: int, connectivity: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """All pairs of neighbors, each once."""
    ahead = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if connectivity == 8 else [])
    every = ((r, c, r + dr, c + dc) for r in range(height) for c in range(width) for dr, dc in ahead)
    return [((r, c), (s, t)) for r, c, s, t in every if s < height and 0 <= t < width]


def around(row: int, col: int, height: int, width: int, connectivity: int) -> list[tuple[int, int]]:
    every = pairs(height, width, connectivity)
    return [b for a, b in every if a == (row, col)] + [a for a, b in every if b == (row, col)]


def order(height: int, width: int) -> list[tuple[int, int]]:
    """The pixels one by one, in the order in which a sweep visits them."""
    turns = [(0, 0), (1, 1), (0, 1), (1, 0)]
    return [(r, c) for a, b in turns for r in range(a, height, 2) for c in range(b, width, 2)]


def run(log_resp: Tensor, **options: object) -> list:
    image = torch.zeros(1, *log_resp.shape[1:], dtype=torch.float64)
    method = SmoothedMixture(log_resp=log_resp, **options)  # type: ignore[arg-type]
    states = [method.init(image)]
    while states[-1].status is Status.RUNNING:
        states.append(method.step(image, states[-1]))
    return states


# By hand


@pytest.mark.parametrize(
    ("beta", "connectivity", "flips"), [(0.2, 4, False), (0.25, 4, False), (0.3, 4, True), (0.2, 8, True)]
)
def test_a_speck_goes_when_its_neighbors_outbid_its_color(beta, connectivity, flips):
    log_resp = torch.zeros(2, 3, 3)
    log_resp[1] = -5.0  # all others are clearly 0
    log_resp[:, 1, 1] = torch.tensor([-1.0, 0.0])  # the one in the middle prefers 1, by one nat
    end = run(log_resp, beta=beta, connectivity=connectivity)[-1]
    assert int(end.labels[1, 1]) == (0 if flips else 1)  # 4 · 0.25 is a tie: the label stays
    assert end.status is Status.CONVERGED
    assert float(end.objective) == pytest.approx(1.0 if flips else 4 * beta)


def test_a_checkerboard_falls_in_one_sweep():
    board = (torch.arange(6)[:, None] + torch.arange(7)) % 2
    log_resp = torch.full((2, 6, 7), -math.log(2), dtype=torch.float64)
    after = sweep(log_resp, one_hot(board, 2), beta=1.0, hard=True)
    assert len(after.argmax(0).unique()) == 1  # all pixels at once would turn it into the opposite board, for ever


# By plain loops


@both_grids
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (4, 5), (5, 6)], ids=str)
def test_energies_and_votes_are_the_loops(size, connectivity):
    log_resp, q = posterior(3, *size), posterior(3, *size, seed=1).exp()
    labels, beta = q.argmax(0), 0.7
    every = pairs(*size, connectivity)
    pixels = list(itertools.product(*map(range, size)))
    expected = sum(-float(log_resp[labels[p], *p]) for p in pixels)
    expected += beta * sum(int(labels[a] != labels[b]) for a, b in every)
    assert float(energy(log_resp, labels, beta, connectivity)) == pytest.approx(expected)
    assert float(free_energy(log_resp, one_hot(labels, 3), beta, connectivity)) == pytest.approx(expected)

    expected = sum(float(q[k, *p] * (q[k, *p].log() - log_resp[k, *p])) for k in range(3) for p in pixels)
    expected += beta * sum(1 - float(q[:, *a] @ q[:, *b]) for a, b in every)
    assert float(free_energy(log_resp, q, beta, connectivity)) == pytest.approx(expected)

    expected = torch.zeros_like(q)
    for a, b in every:
        expected[:, *a] += q[:, *b]
        expected[:, *b] += q[:, *a]
    torch.testing.assert_close(votes(q, connectivity), expected)


@both_grids
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (5, 6)], ids=str)
def test_a_sweep_is_the_loop_over_single_pixels(size, connectivity):
    log_resp, beta = posterior(3, *size), 0.8
    labels = log_resp.argmax(0)
    q = log_resp.exp()
    hard, soft = (
        sweep(log_resp, one_hot(labels, 3), beta, connectivity, hard=True),
        sweep(log_resp, q, beta, connectivity, hard=False),
    )
    for p in order(*size):
        near = around(*p, *size, connectivity)
        field = [float(log_resp[k, *p]) + beta * sum(int(labels[n]) == k for n in near) for k in range(3)]
        labels[p] = int(np.argmax(field)) if max(field) > field[labels[p]] else labels[p]
        soft_field = log_resp[:, *p] + beta * sum((q[:, *n] for n in near), torch.zeros(3))
        q[:, *p] = soft_field.exp() / soft_field.exp().sum()
    assert torch.equal(hard.argmax(0), labels)
    torch.testing.assert_close(soft, q)


# What is promised


@both_grids
@both_ways
@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
def test_the_energy_never_rises(beta, smoothing, connectivity):
    states = run(posterior(4, 21, 30), beta=beta, smoothing=smoothing, connectivity=connectivity, max_iter=60)
    values = [float(state.objective) for state in states]
    assert len(values) > 2
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(values))
    assert values[-1] < values[0]


@both_grids
def test_icm_ends_where_no_single_change_lowers_the_energy(connectivity):
    log_resp, beta = posterior(4, 12, 13), 0.9
    end = run(log_resp, beta=beta, connectivity=connectivity)[-1]
    assert end.status is Status.CONVERGED
    least = float(end.energy)
    start = log_resp.argmax(0)
    assert least < float(energy(log_resp, start, beta, connectivity))
    for row, col, k in itertools.product(range(12), range(13), range(4)):
        changed = end.labels.clone()
        changed[row, col] = k
        assert float(energy(log_resp, changed, beta, connectivity)) >= least - 1e-9


@both_grids
def test_mean_field_ends_at_its_own_equation(connectivity):
    log_resp, beta = posterior(4, 12, 13), 0.6
    end = run(log_resp, beta=beta, connectivity=connectivity, smoothing="mean_field", tol=1e-9, max_iter=500)[-1]
    assert end.status is Status.CONVERGED
    expected = (log_resp + beta * votes(end.q, connectivity)).softmax(0)
    torch.testing.assert_close(end.q, expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(end.q.sum(0), torch.ones(12, 13, dtype=torch.float64))


@both_grids
@pytest.mark.parametrize("seed", range(5))
def test_neither_gets_below_what_trying_everything_finds(seed, connectivity):
    log_resp, beta = posterior(2, 3, 4, seed, sharpness=1.0), 0.7
    every = [torch.tensor(bits).reshape(3, 4) for bits in itertools.product((0, 1), repeat=12)]
    energies = torch.stack([energy(log_resp, labels, beta, connectivity) for labels in every])
    icm = run(log_resp, beta=beta, connectivity=connectivity)[-1]
    soft = run(log_resp, beta=beta, connectivity=connectivity, smoothing="mean_field", tol=1e-9, max_iter=500)[-1]
    assert float(icm.energy) >= float(energies.min()) - 1e-9
    assert float(icm.energy) <= float(energies.median())
    assert float(soft.objective) >= -float((-energies).logsumexp(0)) - 1e-9  # F(Q) ≥ −log Σ_y exp(−E(y))


def exact_cut(log_resp: Tensor, beta: float, connectivity: int) -> Tensor:
    """The labels (two kinds) of the lowest energy, by a minimum cut with whole capacities."""
    scale = 10_000
    height, width = log_resp.shape[1:]
    n = height * width
    cost = (-scale * log_resp).round().int().flatten(1).numpy()  # cut from the source (0): pay for label 1
    pixels = np.arange(n)
    links = np.array([(a[0] * width + a[1], b[0] * width + b[1]) for a, b in pairs(height, width, connectivity)])
    rows = np.concatenate([np.full(n, n), pixels, links[:, 0], links[:, 1]])
    cols = np.concatenate([pixels, np.full(n, n + 1), links[:, 1], links[:, 0]])
    capacity = np.concatenate([cost[1], cost[0], np.full(2 * len(links), round(scale * beta))]).astype(np.int32)
    graph = csr_array((capacity, (rows, cols)), shape=(n + 2, n + 2))
    residual = graph - maximum_flow(graph, n, n + 1).flow
    residual.eliminate_zeros()
    reached = breadth_first_order(csr_array(residual > 0), n, return_predecessors=False)
    labels = torch.ones(n + 2, dtype=torch.int64)
    labels[torch.from_numpy(reached.astype(np.int64))] = 0
    return labels[:n].reshape(height, width)


@both_grids
def test_the_exact_cut_is_what_trying_everything_finds(connectivity):
    log_resp = posterior(2, 3, 4, sharpness=1.0)
    every = (torch.tensor(bits).reshape(3, 4) for bits in itertools.product((0, 1), repeat=12))
    least = min(float(energy(log_resp, labels, 0.7, connectivity)) for labels in every)
    cut = exact_cut(log_resp, 0.7, connectivity)
    assert float(energy(log_resp, cut, 0.7, connectivity)) == pytest.approx(least, abs=12e-4)


@both_grids
@both_ways
def test_two_labels_come_near_to_the_exact_cut(smoothing, connectivity):
    truth = (torch.arange(20)[:, None] + 2 * torch.arange(24) > 33).long()
    noise = torch.randn(20, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    evidence = 2.0 * (truth - 0.5) + 1.5 * noise
    log_resp, beta = torch.stack([-evidence, evidence]).log_softmax(0), 3.2 / connectivity
    states = run(log_resp, beta=beta, connectivity=connectivity, smoothing=smoothing)
    start, end = float(states[0].energy), float(states[-1].energy)
    least = float(energy(log_resp, exact_cut(log_resp, beta, connectivity), beta, connectivity))
    assert least - 0.1 <= end < start  # 0.1: the capacities are rounded
    assert end - least < 0.35 * (start - least)
    right = [(state.labels == truth).double().mean() for state in states]
    assert right[-1] > right[0] + 0.1


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_mean_field_stops_once_no_probability_moves_by_more(tol):
    states = run(posterior(3, 10, 11), beta=0.5, smoothing="mean_field", tol=tol)
    moves = [float((b.q - a.q).abs().max()) for a, b in itertools.pairwise(states)]
    assert states[-1].status is Status.CONVERGED
    assert moves[-1] <= tol < min(moves[:-1])


# The method


@both_ways
def test_without_a_price_the_labels_stay(smoothing):
    log_resp = posterior(4, 9, 10)
    states = run(log_resp, beta=0.0, smoothing=smoothing)
    assert len(states) == 2
    assert torch.equal(states[-1].labels, log_resp.argmax(0))
    torch.testing.assert_close(states[-1].q.argmax(0), log_resp.argmax(0))


@both_ways
def test_a_higher_price_gives_shorter_borders(smoothing):
    log_resp = posterior(3, 30, 30)
    ends = [run(log_resp, beta=beta, smoothing=smoothing)[-1].labels for beta in (0.0, 0.5, 1.0, 2.0)]
    lengths = [sum(int((labels.diff(dim=d) != 0).sum()) for d in (0, 1)) for labels in ends]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < lengths[0] / 2


@both_ways
def test_begins_with_the_mixture(smoothing):
    g = torch.Generator().manual_seed(0)
    image = (torch.tensor([0.3, 0.6]).repeat_interleave(12) + 0.15 * torch.randn(3, 20, 24, generator=g)).clamp(0, 1)
    method = SmoothedMixture(n_components=2, color_space="rgb", covariance_type="diag", seed=3, smoothing=smoothing)
    mixture = GaussianMixture(n_components=2, color_space="rgb", covariance_type="diag", seed=3).segment(image).state
    start, *_, end = method.steps(image)
    assert torch.equal(start.labels, mixture.labels)
    assert torch.equal(start.log_resp, mixture.log_resp)
    changed, unsure = end.panels(image)
    assert int(changed.values.sum()) == int((end.labels != start.labels).sum()) > 0
    assert changed.title.endswith(f"{int(changed.values.sum())} pixels")
    assert float(unsure.values.max()) <= 1
    assert (float(unsure.values.max()) == 0) == (smoothing == "icm")
    assert end.describe() == f"sweep {end.n_iter} · energy {float(end.objective):.1f}"


@both_ways
def test_takes_impossible_labels(smoothing):
    log_resp = posterior(3, 6, 7)
    log_resp[0, 2:4] = -math.inf
    end = run(log_resp, beta=5.0, smoothing=smoothing)[-1]
    assert not (end.labels[2:4] == 0).any()
    assert math.isfinite(float(end.objective))


@pytest.mark.parametrize(
    "log_resp", [torch.zeros(2, 4, 4), torch.zeros(4, 5), torch.full((2, 4, 5), math.nan)], ids=["size", "axes", "NaN"]
)
def test_a_posterior_that_does_not_fit_is_refused(log_resp):
    with pytest.raises(ValueError, match=r"log_resp must be \(K, H, W\) without NaN, for a picture of \(4, 5\)"):
        SmoothedMixture(log_resp=log_resp).segment(torch.zeros(3, 4, 5))
