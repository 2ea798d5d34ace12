"""SLIC: by hand, by plain loops, beside k-means and scikit-image, and what it promises of number, pieces and energy."""

from __future__ import annotations

import dataclasses
import heapq
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.segmentation
import sklearn.cluster
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seglab import datasets
from seglab.image import to_color_space, to_uint8
from seglab.kernels import slic as parts
from seglab.labels import as_labels, connected_components, count_labels, segment_means, segment_sizes
from seglab.methods import SLIC, SLICState
from seglab.methods.slic import assign, enforce_connectivity, grid, iterate, perturb, update
from seglab.metrics import superpixel_scores
from seglab.panels import Curve, Lines, Picture
from seglab.segmenter import Status


def noisy(height: int = 40, width: int = 60, channels: int = 3, noise: float = 0.08, seed: int = 0) -> Tensor:
    """Areas of different colors with noise."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.2)
    image[:, :, width // 3 :] = 0.5
    image[0, height // 2 :] += 0.3
    return (image + noise * torch.randn(image.shape, generator=g)).clamp(0, 1)


def blurred(height: int, width: int, seed: int) -> Tensor:
    """Soft patches of random colors."""
    g = torch.Generator().manual_seed(seed)
    size = (max(1, height // 8) + 1, max(1, width // 8) + 1)
    return torch.nn.functional.interpolate(torch.rand(1, 3, *size, generator=g), (height, width), mode="bilinear")[0]


def naive_assign(features: Tensor, centers: Tensor, step: float, m: float, nearest: Tensor | None = None) -> Tensor:
    height, width = features.shape[1:]
    labels = torch.full((height, width), -1)
    for i in range(height):
        for j in range(width):
            least = np.inf
            for k, c in enumerate(centers.double()):
                row, col = float(c[-2]), float(c[-1])
                near = abs(i - row) <= step and abs(j - col) <= step
                if not near and (nearest is None or int(nearest[i, j]) != k):
                    continue
                color = float((features[:, i, j].double() - c[:-2]).square().sum())
                distance = color + (m / step) ** 2 * ((i - row) ** 2 + (j - col) ** 2)
                if distance < least:
                    least, labels[i, j] = distance, k
    return labels


def random_centers(features: Tensor, n: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    places = torch.rand(n, 2, generator=g) * torch.tensor([float(size - 1) for size in features.shape[1:]])
    at = places.round().long()
    return torch.cat([features[:, at[:, 0], at[:, 1]].T, places], dim=1)


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_six_pixels_by_hand() -> None:
    """A dark part of 4 and a bright part of 2 pixels; S = 3, and (m/S)² = (0.3/3)² = 0.01 in units of gray.

    Seeds in columns 1 and 4; the second moves to 5, where the gradient is 0 (in 3 and 4 it is 0.25). In column 3:
    0.01·2² = 0.04 to the first, 0.25 + 0.01·2² to the second. Means of the columns: 1.5 and 4.5, a move of 0.5 each.
    D² afterwards: 0.01·(1.5² + 0.5² + 0.5² + 1.5² + 0.5² + 0.5²) = 0.055.
    """
    image = torch.tensor([[[0, 0, 0, 0, 0.5, 0.5]]])
    states = list(SLIC(n_segments=2, compactness=30, color_space="gray").steps(image))
    assert states[0].pixels.step == 3
    assert states[0].labels.tolist() == [[0, 0, 0, 1, 1, 1]]
    assert states[0].centers.tolist() == [[0, 0, 1], [0.5, 0, 5]]
    assert states[1].labels.tolist() == [[0, 0, 0, 0, 1, 1]]
    assert states[1].centers.tolist() == [[0, 0, 1.5], [0.5, 0, 4.5]]
    assert float(states[1].residual) == 0.5
    assert float(states[1].objective) == pytest.approx(0.055)
    assert states[1].distances[0, 0] == pytest.approx(0.0225)
    assert [state.status for state in states] == [Status.RUNNING, Status.RUNNING, Status.CONVERGED]
    assert float(states[2].residual) == 0


def test_a_pixel_between_two_centers_goes_to_the_first() -> None:
    features = torch.zeros(1, 1, 5)
    centers = torch.tensor([[0.0, 0, 4], [0, 0, 0], [0, 0, 0]])
    for nearest in (None, torch.tensor([[2, 2, 1, 2, 2]])):  # also where its own is as near
        assert assign(features, centers, 4, 1, nearest).tolist() == [[1, 1, 0, 0, 0]]


def test_a_window_ends_at_s_and_its_border_counts() -> None:
    features, centers = torch.zeros(1, 7, 7), torch.tensor([[0.0, 3, 3]])
    labels = assign(features, centers, step=2, compactness=1)
    expected = torch.full((7, 7), -1)
    expected[1:6, 1:6] = 0
    assert torch.equal(labels, expected)
    assert int((assign(features, torch.tensor([[0.0, 3.5, 3]]), 2, 1) == 0).sum()) == 4 * 5
    assert int((assign(features, torch.tensor([[0.0, 0, 6]]), 2, 1) == 0).sum()) == 3 * 3


def test_a_pixels_own_center_competes_from_afar() -> None:
    features = torch.tensor([[[0.0, 0, 0, 0, 9]]])
    centers = torch.tensor([[0.0, 0, 0], [9, 0, 4]])
    assert assign(features, centers, step=1, compactness=1).tolist() == [[0, 0, -1, 1, 1]]
    before = torch.tensor([[0, 0, 0, 0, 0]])
    assert assign(features, centers, step=1, compactness=1, nearest=before).tolist() == [[0, 0, 0, 0, 1]]
    worse = torch.tensor([[0, 0, 1, 1, 1]])  # the pixel in the middle keeps the only one that it has
    assert assign(features, centers, step=1, compactness=1, nearest=worse).tolist() == [[0, 0, 1, 1, 1]]


def test_a_center_without_pixels_stays() -> None:
    centers = torch.tensor([[1.0, 0, 0], [7, 3, 2]])
    assert update(torch.ones(1, 2, 2), torch.zeros(2, 2), centers).tolist() == [[1, 0.5, 0.5], [7, 3, 2]]


# ---- beside plain loops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 3, 7])
@pytest.mark.parametrize(("n", "step"), [(5, 6.0), (30, 3.3), (12, 40.0)])
def test_kernels_are_loops_over_pixels_and_centers(depth: int, n: int, step: float) -> None:
    features = torch.randn(depth, 13, 17, generator=torch.Generator().manual_seed(0))
    centers = random_centers(features, n)
    before = torch.randint(n, (13, 17), generator=torch.Generator().manual_seed(1))
    for nearest in (None, before):
        labels = assign(features, centers, step, 2.0, nearest)
        assert torch.equal(labels, naive_assign(features, centers, step, 2.0, nearest))
    rows, cols = torch.meshgrid(torch.arange(13.0), torch.arange(17.0), indexing="ij")
    five = torch.cat([features, rows[None], cols[None]])
    expected = torch.stack([five[:, labels == k].mean(1) if (labels == k).any() else centers[k] for k in range(n)])
    torch.testing.assert_close(update(features, labels, centers), expected)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("n_segments", [1, 7, 60, 900])
@pytest.mark.parametrize("mask", [None, "a disk"])
def test_compiled_loops_are_the_operations_of_any_device(adaptive: bool, n_segments: int, mask: Any) -> None:
    if mask is not None:
        rows, cols = torch.meshgrid(torch.arange(40), torch.arange(60), indexing="ij")
        mask = (rows - 15) ** 2 + (cols - 30) ** 2 < 400
    method = SLIC(n_segments=n_segments, adaptive=adaptive, mask=mask, max_iter=4)
    for state in method.steps(noisy()):
        pixels, weight = state.pixels, torch.ones(len(state.centers))
        weight = weight if state.color_scale is None else state.color_scale.reciprocal()
        step = iterate(pixels, state.centers, state.nearest, state.sums, weight)
        windows = parts._windows(pixels, state.centers)
        labels = parts._assign_pairs(pixels, windows, state.centers, weight, state.nearest)
        assert torch.equal(labels, step.nearest)
        assert torch.equal(parts._sums_anywhere(pixels.features, labels, len(state.centers)), step.sums)
        assert torch.equal(update(pixels.features, labels, state.centers), step.centers)
        largest = parts.largest_differences(pixels, state.centers, labels)
        assert torch.equal(parts._largest_anywhere(pixels, state.centers, labels), largest)
        connected = enforce_connectivity(labels, pixels.features, state.n_segments, 5)
        assert torch.equal(parts._connect_anywhere(labels, pixels.features, state.n_segments, 5), connected)


def test_blocks_of_centers_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    state = SLIC(n_segments=50).init(noisy())
    given = state.pixels, parts._windows(state.pixels, state.centers), state.centers, torch.ones(50), None
    whole = parts._assign_pairs(*given)
    monkeypatch.setattr(parts, "_PAIRS", {"cpu": 1000})
    assert torch.equal(parts._assign_pairs(*given), whole)


@pytest.mark.parametrize("adaptive", [False, True])
def test_nothing_in_a_step_waits_for_the_device(adaptive: bool) -> None:
    """On the device ``meta`` tensors have no values, and whatever asks for one fails."""
    method = SLIC(n_segments=30, adaptive=adaptive)
    state = method.init(noisy()).to("meta")
    following = method.step(torch.empty(0, device="meta"), state)
    assert following.nearest.shape == (40, 60)
    assert following.centers.device.type == "meta"
    assert isinstance(following.code, Tensor)


def test_sums_are_exact_in_any_order() -> None:
    image = datasets.photo("coffee")[:, :200, :300]
    state = SLIC(n_segments=50).init(image)
    order = torch.randperm(200 * 300, generator=torch.Generator().manual_seed(0))
    shuffled = state.pixels.features.flatten(1)[:, order].reshape(3, 200, 300)
    labels = state.nearest.flatten()[order].reshape(200, 300)
    in_order, out_of_order = (parts._sums(*x, 50) for x in ((state.pixels.features, state.nearest), (shuffled, labels)))
    assert torch.equal(in_order[:, :3], out_of_order[:, :3])
    assert (state.pixels.features - to_color_space(image, "lab")).abs().max() <= 2**-17


# ---- the start --------------------------------------------------------------------------------------------------


def test_a_grid_by_hand() -> None:
    seeds = grid(4, 6, 6)
    assert seeds.step == 2
    assert seeds.places.tolist() == [[1, 1], [1, 3], [1, 5], [3, 1], [3, 3], [3, 5]]
    assert seeds.cells.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2
    assert grid(10, 10, 7).places.tolist() == [[1, 2], [1, 7], [5, 2], [5, 7], [8, 1], [8, 5], [8, 8]]
    assert grid(1, 17, 4).step == 4.25


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 1800))
def test_a_grid_has_exactly_k_cells_with_a_seed_in_each_that_sees_all_of_it(height: int, width: int, k: int) -> None:
    places, cells, step = grid(height, width, k)
    n = min(k, height * width)
    sizes = segment_sizes(cells)
    assert len(places) == len(sizes) == n
    assert sizes.min() >= 1
    assert torch.equal(cells[places[:, 0], places[:, 1]], torch.arange(n, dtype=torch.int32))
    assert len(torch.unique(places, dim=0)) == n
    if min(height, width) >= (height * width / n) ** 0.5:
        assert step == pytest.approx((height * width / n) ** 0.5)
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    away = torch.stack([rows, cols], 2) - places[cells.long()]
    assert away.abs().max() <= step + 0.5  # half a pixel, because seeds are pixels


@given(st.integers(1, 25), st.integers(1, 25), st.integers(1, 300), st.integers(0, 99))
def test_a_grid_in_a_mask_has_cells_of_equal_size(height: int, width: int, k: int, seed: int) -> None:
    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) < 0.4
    mask[seed % height, seed % width] = True
    places, cells, _ = grid(height, width, k, mask)
    sizes = segment_sizes(cells)
    assert len(places) == len(sizes) == min(k, int(mask.sum()))
    assert sizes.max() - sizes.min() <= 1
    assert torch.equal(cells >= 0, mask)
    assert torch.equal(cells[places[:, 0], places[:, 1]], torch.arange(len(places), dtype=torch.int32))


def test_a_seed_moves_to_the_lowest_gradient_of_its_neighbors() -> None:
    features, seeds = torch.randn(2, 30, 40, generator=torch.Generator().manual_seed(0)), grid(30, 40, 20)
    padded = np.pad(features.double().numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    gradient = ((padded[:, 2:] - padded[:, :-2])[:, :, 1:-1] ** 2).sum(0)
    gradient += ((padded[:, :, 2:] - padded[:, :, :-2])[:, 1:-1] ** 2).sum(0)
    for (row, col), (r, c) in zip(seeds.places.tolist(), perturb(features, seeds).tolist(), strict=True):
        assert abs(r - row) <= 1
        assert abs(c - col) <= 1
        assert gradient[r, c] == gradient[row - 1 : row + 2, col - 1 : col + 2].min()


def test_seeds_stay_where_all_is_even_and_in_their_cells_where_these_are_small() -> None:
    seeds = grid(30, 40, 20)
    assert torch.equal(perturb(torch.zeros(3, 30, 40), seeds), seeds.places)
    crowded = grid(12, 12, 60)
    moved = perturb(torch.randn(1, 12, 12, generator=torch.Generator().manual_seed(0)), crowded)
    assert not torch.equal(moved, crowded.places)
    assert torch.equal(crowded.cells[moved[:, 0], moved[:, 1]], torch.arange(60, dtype=torch.int32))


# ---- beside k-means ---------------------------------------------------------------------------------------------


def test_with_windows_over_all_the_picture_it_is_k_means() -> None:
    """Lloyd's iteration of scikit-learn on (L, a, b, m/S·row, m/S·col), from the same centers."""
    image = noisy(24, 36)
    lab, scale = to_color_space(image, "lab"), 10 / 8
    centers, before = random_centers(lab, 12), None
    rows, cols = torch.meshgrid(torch.arange(24.0), torch.arange(36.0), indexing="ij")
    five = torch.cat([lab, scale * rows[None], scale * cols[None]]).flatten(1).T.double().numpy()
    start = centers.double().numpy() * [1, 1, 1, scale, scale]
    method = sklearn.cluster.KMeans(12, init=start, n_init=1, algorithm="lloyd", tol=0, max_iter=300).fit(five)
    while True:
        labels = assign(lab, centers, step=100.0, compactness=100 * scale)
        if before is not None and torch.equal(labels, before):
            break
        centers, before = update(lab, labels, centers), labels
    np.testing.assert_array_equal(labels.flatten(), method.labels_)
    np.testing.assert_allclose(centers * torch.tensor([1, 1, 1, scale, scale]), method.cluster_centers_, rtol=1e-4)


# ---- what it promises -------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 60), st.booleans(), st.booleans(), st.integers(0, 50))
def test_no_step_raises_the_objective(height: int, width: int, k: int, noise: bool, adaptive: bool, seed: int) -> None:
    image = noisy(height, width, noise=0.5, seed=seed) if noise else blurred(height, width, seed)
    method = SLIC(n_segments=k, adaptive=adaptive, max_iter=8, compactness=5 + seed)
    values = [float(state.objective) for state in method.steps(image)][adaptive:]  # the first step changes the units
    assert all(b <= a * (1 + 1e-6) + 1e-6 for a, b in zip(values, values[1:], strict=False))


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 400) | st.sampled_from([1, 2, 100_000]),
    st.sampled_from(["patches", "noise", "constant"]),
    st.integers(0, 99),
)
def test_never_more_superpixels_than_asked_for_and_few_less(h: int, w: int, k: int, kind: str, seed: int) -> None:
    """At most K, and at least 0.9 K − 1; connected, of a quarter of N/K at least, and no pixel is left out."""
    image = {"patches": blurred(h, w, seed), "noise": noisy(h, w, noise=1, seed=seed), "constant": torch.ones(1, h, w)}
    result = SLIC(n_segments=k, max_iter=5).segment(image[kind])
    n = min(k, h * w)
    assert 0.9 * n - 1 <= result.n_segments <= n
    sizes = segment_sizes(result.labels)
    assert len(sizes) == result.n_segments
    assert result.labels.min() == 0
    assert sizes.min() >= min(0.25 * h * w / n, h * w)
    assert count_labels(connected_components(result.labels)) == result.n_segments


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 200), st.booleans(), st.integers(0, 99))
def test_without_a_smallest_size_the_number_is_met(h: int, w: int, k: int, noise: bool, seed: int) -> None:
    image = noisy(h, w, noise=0.5, seed=seed) if noise else blurred(h, w, seed)
    result = SLIC(n_segments=k, max_iter=5, min_size=0).segment(image)
    assert 0.97 * min(k, h * w) <= result.n_segments <= min(k, h * w)  # less by centers that have lost all pixels


@pytest.mark.parametrize("name", ["coffee", "flower", "astronaut"])
@pytest.mark.parametrize("n_segments", [50, 200, 2000])
@pytest.mark.parametrize("adaptive", [False, True])
def test_on_photographs_the_number_is_met_within_a_tenth(name: str, n_segments: int, adaptive: bool) -> None:
    image = datasets.photo(name, max_side=300)
    found = SLIC(n_segments=n_segments, adaptive=adaptive).segment(image).n_segments
    assert 0.9 * n_segments <= found <= n_segments


def test_each_pixel_its_own_superpixel_and_one_superpixel_for_all() -> None:
    image = noisy(7, 9)
    assert SLIC(n_segments=63).segment(image).labels.flatten().tolist() == list(range(63))
    assert SLIC(n_segments=1000).segment(image).labels.flatten().tolist() == list(range(63))
    assert SLIC(n_segments=1).segment(image).labels.unique().tolist() == [0]


@pytest.mark.parametrize(("image", "m"), [(torch.full((3, 45, 63), 0.5), 10.0), (noisy(45, 63), 1e5)])
def test_where_color_says_nothing_the_grid_is_left(image: Tensor, m: float) -> None:
    labels = SLIC(n_segments=35, compactness=m).segment(image).labels  # cells of 9×9 pixels: each has a middle
    assert (labels == grid(45, 63, 35).cells).double().mean() > (0.99 if m == 10 else 0.9)


def test_superpixels_follow_an_edge() -> None:
    rows, cols = torch.meshgrid(torch.arange(60), torch.arange(90), indexing="ij")
    truth = (rows + 2 * cols > 110).long()
    image = (0.3 + 0.4 * truth).expand(3, -1, -1)
    labels = SLIC(n_segments=24).segment(image).labels
    assert segment_means(labels, truth[None].float()).unique().tolist() == [0, 1]  # none is on both sides


def test_distances_are_the_paper_s_and_the_objective_is_their_sum() -> None:
    state = SLIC(n_segments=30, compactness=7, max_iter=3).segment(noisy()).state
    lab, total = to_color_space(noisy(), "lab"), 0.0
    step = (40 * 60 / 30) ** 0.5
    for i, j in ((0, 0), (17, 31), (39, 59)):
        center = state.centers[state.nearest[i, j]]
        place = (i - center[3]) ** 2 + (j - center[4]) ** 2
        expected = (lab[:, i, j] - center[:3]).square().sum() + (7 / step) ** 2 * place
        assert float(state.distances[i, j]) == pytest.approx(float(expected), rel=1e-4)
    total = float(state.distances.double().sum())
    assert float(state.objective) == pytest.approx(total)


def test_residual_is_how_far_the_centers_have_moved() -> None:
    first, second, third = list(SLIC(n_segments=30, max_iter=2).steps(noisy()))
    assert torch.equal(third.path[1], second.centers)
    moved = (third.centers - second.centers)[:, 3:].square().sum(1).sqrt()
    assert float(third.residual) == pytest.approx(float(moved.mean()))
    assert float(first.residual) == float("inf")


def test_stops_where_centers_move_little_or_not() -> None:
    image = noisy()
    plain = list(SLIC(n_segments=12, max_iter=200).steps(image))
    assert plain[-1].status is Status.CONVERGED
    assert torch.equal(plain[-1].centers, plain[-2].centers)
    assert not any(torch.equal(a.centers, b.centers) for a, b in zip(plain[:-2], plain[1:-1], strict=True))
    early = list(SLIC(n_segments=12, max_iter=200, tol=0.1).steps(image))
    assert early[-1].status is Status.CONVERGED
    assert float(early[-1].residual) <= 0.1 < float(early[-2].residual)
    assert SLIC(n_segments=12, max_iter=2).segment(image).status is Status.MAX_ITER


def test_goes_on_where_it_stopped() -> None:
    image = noisy()
    stopped = SLIC(n_segments=20, max_iter=3).segment(image)
    further = SLIC(n_segments=20, max_iter=8).segment(image, init=stopped.state)
    assert torch.equal(further.labels, SLIC(n_segments=20, max_iter=8).segment(image).labels)


# ---- connected superpixels --------------------------------------------------------------------------------------


def test_pieces_by_hand() -> None:
    """Three pieces of one pixel: the first goes to the more similar neighbor, as does each of the next ones."""
    nearest = torch.tensor([[0, 0, 2, 1, 1], [0, 0, 0, 1, 1], [0, 1, 0, 1, 0]])
    features = torch.tensor([[[0.0, 0, 0.9, 1, 1], [0, 0, 0, 1, 1], [0, 1, 0, 1, 0.2]]])
    expected = [[0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]
    assert enforce_connectivity(nearest, features, 3, 2).tolist() == expected
    six = enforce_connectivity(nearest, features, 6, 1)
    assert six.tolist() == [[0, 0, 2, 1, 1], [0, 0, 0, 1, 1], [0, 3, 0, 1, 4]]
    assert enforce_connectivity(nearest, features, 1, 1).unique().tolist() == [0]


def test_small_pieces_may_become_large_enough_together() -> None:
    """Singles from the left: 0 joins 1 (0.1 apart), 2 joins 3; then both have two pixels, and stay."""
    nearest, features = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[[0.0, 0.1, 0.6, 0.7]]])
    assert enforce_connectivity(nearest, features, 4, 2).tolist() == [[0, 0, 1, 1]]


def test_islands_stay_and_nothing_may_be_there() -> None:
    nearest = torch.tensor([[0, -1, 0, 0, -1, 1]])
    assert enforce_connectivity(nearest, torch.zeros(1, 1, 6), 1, 4).tolist() == [[2, -1, 0, 0, -1, 1]]
    nothing = torch.full((2, 3), -1)
    for connect in (enforce_connectivity, parts._connect_anywhere):
        assert connect(nothing, torch.zeros(1, 2, 3), 1, 1).tolist() == nothing.tolist()


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 6), st.integers(1, 8), st.integers(0, 10_000))
def test_connecting_is_a_plain_loop_over_the_smallest(h: int, w: int, k: int, min_size: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    nearest = torch.randint(-1, 3, (h, w), generator=g)
    features = torch.randint(0, 4, (2, h, w), generator=g).float()
    pieces = connected_components(nearest)
    name = pieces.clone()  # the piece into which each has gone, by the number of the one that absorbed
    while True:
        sizes = {int(p): int((name == p).sum()) for p in name[name >= 0].unique()}
        neighbors: dict[int, set[int]] = {p: set() for p in sizes}
        for a, b in [(name[1:], name[:-1]), (name[:, 1:], name[:, :-1])]:
            for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True):
                if x != y and min(x, y) >= 0:
                    neighbors[x].add(y)
                    neighbors[y].add(x)
        order = [(size, p) for p, size in sizes.items() if neighbors[p]]
        heapq.heapify(order)
        if not order or (order[0][0] >= min_size and len(sizes) <= k):
            break
        small = order[0][1]
        mean = {p: features[:, name == p].double().mean(1) for p in sizes}
        name[name == small] = min(neighbors[small], key=lambda p: (float((mean[p] - mean[small]).square().sum()), p))
    found = enforce_connectivity(nearest, features, k, min_size)
    assert torch.equal(connected_components(found), connected_components(torch.where(name >= 0, name, -1)))
    assert count_labels(found) == len(sizes)


def test_superpixels_are_numbered_as_their_centers() -> None:
    result = SLIC(n_segments=40).segment(noisy(noise=0.02))
    assert result.n_segments == 40
    kept = result.labels == result.state.nearest
    assert kept.double().mean() > 0.95


def test_only_the_end_is_mended_and_only_where_asked() -> None:
    image = noisy(noise=0.3)
    *running, last = SLIC(n_segments=30, compactness=2).steps(image)
    assert all(torch.equal(state.labels, state.nearest.long()) for state in running)
    loose = SLIC(n_segments=30, compactness=2, connected=False).segment(image)
    assert torch.equal(loose.labels, last.nearest.long())
    assert count_labels(connected_components(loose.labels)) > 30 >= count_labels(connected_components(last.labels))


# ---- adaptive, masks, channels ----------------------------------------------------------------------------------


def test_adaptive_divides_by_the_largest_difference_so_far() -> None:
    image = noisy(noise=0.2)
    states: list[SLICState] = list(SLIC(n_segments=20, adaptive=True, max_iter=4, compactness=13).steps(image))
    lab = states[0].pixels.features
    assert states[0].color_scale is not None
    assert states[0].color_scale.unique().tolist() == [169]
    largest = torch.ones(20)
    for before, after in zip(states, states[1:], strict=False):
        rows, cols = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
        color = (lab[None] - before.centers[:, :3, None, None]).square().sum(1)  # (K, H, W)
        place = (rows - before.centers[:, 3, None, None]) ** 2 + (cols - before.centers[:, 4, None, None]) ** 2
        distance = color / before.color_scale[:, None, None] + place / before.pixels.step**2
        away = torch.maximum(
            (rows - before.centers[:, 3, None, None]).abs(), (cols - before.centers[:, 4, None, None]).abs()
        )
        own = torch.arange(20)[:, None, None] == before.nearest
        distance[(away > before.pixels.step) & ~own] = torch.inf
        assert (distance.argmin(0) == after.nearest).double().mean() > 0.999  # but for ties by rounding
        found = color.gather(0, after.nearest.long()[None])[0]
        largest = largest.scatter_reduce(0, after.nearest.flatten().long(), found.flatten(), "amax")
        torch.testing.assert_close(after.color_scale, largest, rtol=1e-4, atol=1e-3)


def test_adaptive_superpixels_are_as_compact_in_rough_places_as_in_smooth_ones() -> None:
    g = torch.Generator().manual_seed(0)
    image = 0.5 + torch.tensor([0.02, 0.25]).repeat_interleave(60) * torch.randn(1, 60, 120, generator=g)
    image = image.clamp(0, 1)

    def roughness(method: SLIC) -> float:
        """How many times as many boundary pixels the rough half has."""
        labels = method.segment(image).labels
        across = (labels[:, 1:] != labels[:, :-1]).double()
        return float(across[:, 60:].mean() / across[:, :60].mean())

    assert roughness(SLIC(n_segments=50, adaptive=True)) < 0.7 * roughness(SLIC(n_segments=50))


def test_a_mask_holds_the_superpixels() -> None:
    rows, cols = torch.meshgrid(torch.arange(40), torch.arange(60), indexing="ij")
    mask = (rows - 20) ** 2 + (cols - 30) ** 2 < 300
    result = SLIC(n_segments=25, mask=mask).segment(noisy())
    assert torch.equal(result.labels >= 0, mask)
    assert 20 <= result.n_segments <= 25
    assert count_labels(connected_components(result.labels)) == result.n_segments
    assert segment_sizes(result.labels).min() >= int(mask.sum()) / 25 / 4
    other = noisy()
    other[:, ~mask] = torch.rand(3, int((~mask).sum()), generator=torch.Generator().manual_seed(0))
    assert torch.equal(SLIC(n_segments=25, mask=mask).segment(other).labels >= 0, mask)


def test_each_island_of_a_mask_is_labeled() -> None:
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2, 2] = mask[10:16, 10:20] = mask[18, 25:28] = True
    labels = SLIC(n_segments=3, mask=mask.numpy()).segment(noisy(20, 30)).labels
    assert torch.equal(labels >= 0, mask)
    assert (labels[2, 2] >= 0) & (labels[2, 2] != labels[18, 25])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(40, 60), "True in one pixel"),
        (torch.ones(40), r"\(H, W\)"),
        (torch.ones(4, 5, dtype=torch.bool), "same height and width"),
    ],
)
def test_refuses_a_mask_that_does_not_fit(mask: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SLIC(mask=mask).segment(noisy())


def test_gray_is_color_without_color() -> None:
    gray = noisy(channels=1)
    assert torch.equal(SLIC(n_segments=30).segment(gray).labels, SLIC(n_segments=30).segment(gray[0].numpy()).labels)
    three = SLIC(n_segments=30).segment(gray.expand(3, -1, -1))
    assert torch.equal(SLIC(n_segments=30).segment(gray).labels, three.labels)
    one = SLIC(n_segments=30, color_space="gray").segment(gray)
    assert one.state.centers.shape == (30, 3)
    by_rgb = SLIC(n_segments=30, color_space="rgb", compactness=10 * 3**0.5).segment(gray)  # distances are √3 as large
    assert (one.labels == by_rgb.labels).double().mean() > 0.99


def test_the_order_of_channels_does_not_matter() -> None:
    image = noisy()
    plain, turned = (SLIC(n_segments=30, color_space="rgb").segment(x).labels for x in (image, image[[2, 0, 1]]))
    assert (plain == turned).double().mean() > 0.99


def test_features_of_any_depth() -> None:
    lab = to_color_space(noisy(), "lab")
    method = SLIC(n_segments=30)
    of_lab = method.segment_features(lab)
    assert (of_lab.labels == method.segment(noisy()).labels).double().mean() > 0.99
    assert torch.equal(of_lab.labels, method.segment_features(lab.double().numpy()).labels)
    many = torch.randn(20, 40, 60, generator=torch.Generator().manual_seed(0))
    many[:, :, 31:] += 2
    found = SLIC(n_segments=30, compactness=1).segment_features(many)
    assert found.centers.shape == (30, 22)
    assert found.status is not Status.RUNNING
    sides = segment_means(found.labels, (torch.arange(60) >= 31).expand(1, 40, -1).float())
    assert ((sides < 0.01) | (sides > 0.99)).all()
    scaled = SLIC(n_segments=30, compactness=1e-3).segment_features(1e-3 * many)  # units of features do not matter
    assert (scaled.labels == found.labels).double().mean() > 0.999


@pytest.mark.parametrize(
    ("features", "message"),
    [(torch.zeros(4, 5), "D, H, W"), (torch.zeros(0, 4, 5), "D, H, W"), (torch.full((2, 4, 5), torch.nan), "finite")],
)
def test_refuses_what_is_no_feature_map(features: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SLIC().segment_features(features)


def test_smoothing_calms_superpixels() -> None:
    def boundary(sigma: float) -> float:
        labels = SLIC(n_segments=40, compactness=5, sigma=sigma).segment(noisy(noise=0.2)).labels
        return float((labels[:, 1:] != labels[:, :-1]).double().mean())

    assert boundary(2.0) < 0.8 * boundary(0)


@pytest.mark.parametrize(
    "wrong", [{"n_segments": 0}, {"compactness": 0}, {"sigma": -1}, {"min_size": 2}, {"max_iter": 0}]
)
def test_refuses_parameters_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SLIC(**wrong)


def test_shows_centers_on_their_ways() -> None:
    image = noisy()
    states = list(SLIC(n_segments=12, max_iter=3).steps(image))
    ways, means, residual = states[2].panels(image)
    assert isinstance(ways, Lines)
    assert len(ways.lines) == 12
    assert ways.lines[5].tolist() == [state.centers[5, -2:].tolist() for state in states[:3]]
    assert isinstance(means, Picture)
    assert means.values.shape == (40, 60, 3)
    assert isinstance(residual, Curve)
    assert residual.curves["mean move"].tolist() == pytest.approx([float(s.residual) for s in states[1:3]])
    assert states[0].describe() == "iteration 0 · seeds on their grid · 12 superpixels"
    assert "residual" in states[1].describe()


def test_a_state_moves_with_all_that_it_has() -> None:
    state = SLIC(n_segments=12, adaptive=True, mask=torch.ones(40, 60)).init(noisy()).to("meta")
    devices = {value.device.type for value in vars(state).values() if isinstance(value, Tensor)}
    devices |= {value.device.type for value in vars(state.pixels).values() if isinstance(value, Tensor)}
    assert devices == {"meta"}
    assert {field.name for field in dataclasses.fields(state)} >= {"centers", "nearest", "residual", "color_scale"}


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("asked", [200, 1000])
def test_superpixels_are_as_good_as_scikit_images(seglab_data: Path, asked: int) -> None:
    """On 50 pictures for tuning, as many as scikit-image finds: no more leaks, no fewer boundaries found."""
    own, other = [], []
    for picture in datasets.BSDS500("val", root=seglab_data)[:100:2]:
        theirs = skimage.segmentation.slic(to_uint8(picture.image), asked, compactness=10, start_label=0)
        ours = SLIC(n_segments=int(theirs.max()) + 1).segment(picture.image)
        assert ours.n_segments <= int(theirs.max()) + 1
        for scores, labels in ((own, ours.labels), (other, as_labels(theirs))):
            found = superpixel_scores(labels, picture.segmentations)
            scores.append((found.boundary_recall, found.undersegmentation_error, found.undersegmentation_error_np))
    recall, *errors = (np.mean(own, axis=0) - np.mean(other, axis=0)).tolist()
    assert recall >= 0
    assert max(errors) <= 0
