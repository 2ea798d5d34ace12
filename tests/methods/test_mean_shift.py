"""Mean shift: by hand, by plain loops, beside scikit-learn, and what its theorem promises."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage.measure import label
from sklearn.cluster import MeanShift as Reference
from sklearn.cluster import estimate_bandwidth as reference_bandwidth
from sklearn.datasets import make_blobs
from torch import Tensor

from seglab import datasets
from seglab.kernels import mean_shift as kernels
from seglab.labels import relabel
from seglab.methods import MeanShift
from seglab.methods import mean_shift as method_module
from seglab.methods.mean_shift import Joint, climb, estimate_bandwidth, fuse, log_density, mean_shift, moves
from seglab.panels import Lines, Picture, Scatter
from seglab.segmenter import Status

KERNELS: list[Any] = ["flat", "gaussian"]


def noisy(height: int = 20, width: int = 26, channels: int = 3, seed: int = 0) -> Tensor:
    """Two halves that differ, with noise; 8-bit."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.4)
    image[:, :, width // 2 :] = 0.6
    return ((image + 0.05 * torch.randn(image.shape, generator=g)).clamp(0, 1) * 255).round() / 255


def plain_move(joint: Joint, point: np.ndarray) -> np.ndarray:
    """One move of one point, by a loop over all pixels."""
    colors = joint.colors.double().numpy() * joint.color_unit
    total, weights = np.zeros(len(point)), 0.0
    for row in range(joint.shape[0]):
        for col in range(joint.shape[1]):
            pixel = np.array([row, col, *colors[:, row, col]])
            place = ((pixel[:2] - point[:2]) ** 2).sum() / joint.spatial_bandwidth**2
            color = ((pixel[2:] - point[2:]) ** 2).sum() / joint.range_bandwidth**2
            if joint.kernel == "flat":
                weight = float(place <= 1 and color <= 1)
            else:
                weight = math.exp(-(place + color) / 2) if place + color < 9 else 0.0
            total, weights = total + weight * pixel, weights + weight
    return total / weights


def rounded(joint: Joint, point: np.ndarray, before: np.ndarray) -> np.ndarray:
    """To the units in which the flat kernel keeps positions: places, and moves in color; halves to even."""
    place = np.round((point[:2] / joint.place_unit).round(6)) * joint.place_unit
    color = np.round(((point - before)[2:] / joint.color_unit).round(6)) * joint.color_unit
    return np.array([*place, *(before[2:] + color)])


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_a_point_moves_to_the_mean_of_what_it_sees_by_hand() -> None:
    """Grays 0, 0.25, 0.5, 1 in a row, h_s = 2, h_r = 0.5.

    The first pixel sees columns 0 to 2 with grays up to 0.5, all three: column 1, gray 0.25. The second sees columns
    0 to 3 without the last, whose gray is 0.75 away: the same. The third sees all four: 1.5, 0.4375. The last sees
    columns 1 to 3 and of these the grays 0.5 and 1: 2.5, 0.75.
    """
    joint = Joint.of(torch.tensor([[[0.0, 0.25, 0.5, 1.0]]]), 2.0, 0.5)
    expected = [[0, 1, 0.25], [0, 1, 0.25], [0, 1.5, 0.4375], [0, 2.5, 0.75]]
    assert moves(joint, joint.start()).tolist() == expected
    assert kernels._means(joint, joint.start()).tolist() == expected


def test_a_gaussian_move_by_hand() -> None:
    """Two pixels of one gray: the other weighs e^(−1/2)."""
    joint = Joint.of(torch.zeros(1, 1, 2), 1.0, 1.0, "gaussian")
    w = math.exp(-0.5)
    columns = moves(joint, joint.start())[:, 1].tolist()
    assert columns == pytest.approx([w / (1 + w), 1 / (1 + w)], abs=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_point_that_sees_nothing_stays(kernel: Any) -> None:
    joint = Joint.of(torch.zeros(3, 5, 6), 2.0, 0.1, kernel)
    lost = torch.tensor([[1.0, 3.0, 0.5, 0.5, 0.5], [1.0, 3.0, 0.0, 0.0, 0.0]])
    for found in (moves(joint, lost), kernels._means(joint, lost)):
        assert torch.equal(found[0], lost[0])
        assert not torch.equal(found[1], lost[1])


def test_two_flat_areas_are_two_segments_and_stay_as_they_are() -> None:
    image = torch.zeros(3, 12, 20)
    image[:, :, 9:] = 0.8
    result = MeanShift().segment(image)
    assert result.n_segments == 2
    assert torch.equal(result.labels, (torch.arange(20) >= 9).long().expand(12, 20))
    assert torch.allclose(result.state.picture, image, atol=2e-3)


def test_a_constant_picture_is_one_segment() -> None:
    assert MeanShift().segment(torch.full((3, 30, 40), 0.3)).labels.unique().tolist() == [0]


# ---- beside plain loops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("spatial", "range_"), [(2.5, 0.11), (1.0, 0.3), (17.0, 0.06), (40.0, 5.0)])
def test_a_move_is_a_loop_over_all_pixels(kernel: Any, channels: int, spatial: float, range_: float) -> None:
    joint = Joint.of(noisy(9, 37, channels), spatial, range_, kernel)
    points = joint.start()
    for _ in range(2):  # from the pixels, and from somewhere between them
        found = moves(joint, points)
        some = torch.arange(0, len(points), 23)
        before = points[some].double().numpy()
        expected = np.array([plain_move(joint, point) for point in before])
        if kernel == "flat":
            expected = np.array([rounded(joint, *pair) for pair in zip(expected, before, strict=True)])
            assert np.array_equal(found[some].double().numpy(), expected)
        else:
            np.testing.assert_allclose(found[some].numpy(), expected, rtol=1e-5, atol=1e-5)
        points = found


@pytest.mark.parametrize("kernel", KERNELS)
def test_climbing_is_moving_until_the_move_is_short(kernel: Any) -> None:
    image, method = noisy(12, 15, 1), MeanShift(kernel=kernel, spatial_bandwidth=3, range_bandwidth=6)
    state = method.segment(image).state
    joint = method.joint(image)
    lengths = []
    for i, start in enumerate(joint.start().double().numpy()[::7]):
        point, n_moves = start, 0
        while True:
            before, point = point, plain_move(joint, point)
            point = rounded(joint, point, before) if kernel == "flat" else point.astype(np.float32).astype(np.float64)
            shift, n_moves = point - before, n_moves + 1
            if (shift[:2] ** 2).sum() / 3**2 + (shift[2:] ** 2).sum() / 6**2 <= method.tol**2:
                break
        lengths.append(n_moves)
        np.testing.assert_allclose(state.modes[7 * i].numpy(), point, atol=0 if kernel == "flat" else 2e-3)
    assert state.n_iter >= max(lengths) > 2
    assert state.status is Status.CONVERGED


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("color_space", ["gray", "luv"])
def test_torch_and_the_compiled_loops_agree(kernel: Any, color_space: Any) -> None:
    """The way of other devices, run on this one."""
    joint = MeanShift(
        kernel=kernel,
        color_space=color_space,
        spatial_bandwidth=4.3,
        range_bandwidth=0.1 if color_space == "gray" else 8,
    ).joint(noisy(30, 41))
    points = others = joint.start()
    moving = still = torch.ones(len(points), dtype=torch.bool)
    for _ in range(6):
        points, moving, _ = climb(joint, points, moving, 0.01)
        others, still = kernels._climb_once(joint, others, still, 0.01)
        if kernel == "flat":
            assert torch.equal(points, others)
            assert torch.equal(moving, still)
        else:
            torch.testing.assert_close(points, others, rtol=1e-5, atol=1e-3)
    assert 0 < int(moving.sum()) < len(moving)


@pytest.mark.parametrize("column", range(5))
def test_a_remembered_move_is_taken_from_its_own_place_alone(column: int) -> None:
    """`moves` remembers the last one only; here two differ in one coordinate."""
    joint = Joint.of(noisy(), 4.0, 0.15)
    points = joint.start()[[205, 205, 205]]
    points[1, column] += 2.0 if column < 2 else 0.0625
    found = moves(joint, points)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1:2], moves(joint, points[1:2]))
    assert not torch.equal(found[0], found[1])


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    joint = Joint.of(noisy(), 3.0, 0.1)
    whole = kernels._means(joint, joint.start())
    monkeypatch.setattr(kernels, "_BLOCK", 100)
    assert torch.equal(kernels._means(joint, joint.start()), whole)


@pytest.mark.parametrize("kernel", KERNELS)
def test_several_moves_at_a_time_end_where_single_steps_do(kernel: Any) -> None:
    image, method = noisy(40, 50), MeanShift(kernel=kernel, spatial_bandwidth=5, max_iter=30)
    last = list(method.steps(image))[-1]
    state = method.segment(image).state
    assert torch.equal(last.modes, state.modes)
    assert torch.equal(last.moving, state.moving)
    assert last.n_iter == state.n_iter
    assert last.n_iter > 12  # more than one batch of moves


def test_threads_make_no_difference() -> None:
    image, before = noisy(70, 60), torch.get_num_threads()
    one = MeanShift().segment(image).state
    try:
        torch.set_num_threads(3)
        several = MeanShift().segment(image).state
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one.modes, several.modes)
    assert one.n_iter == several.n_iter


# ---- what is promised -------------------------------------------------------------------------------------------


def test_no_step_lowers_the_density_at_any_point() -> None:
    """Comaniciu & Meer 2002, theorem 1, for the Gaussian that ends at three bandwidths."""
    states = list(MeanShift(kernel="gaussian", spatial_bandwidth=3, range_bandwidth=5).steps(noisy()))
    densities = torch.stack([log_density(state.joint, state.modes) for state in states])
    assert len(states) > 5
    assert float((densities[1:] - densities[:-1]).min()) > -2e-6
    assert float(densities[-1].mean() - densities[0].mean()) > 0.1


def test_the_density_is_the_sum_of_lowered_gaussians() -> None:
    joint = Joint.of(noisy(9, 11, 1), 2.0, 0.1, "gaussian")
    points = joint.start() + 0.3
    x = joint.start().double()
    for i in range(0, len(points), 17):
        d = points[i].double() - x
        s = d[:, :2].square().sum(1) / 4 + d[:, 2] ** 2 / 0.01
        expected = torch.where(s < 9, torch.exp(-s / 2) - math.exp(-4.5), 0).sum().log()
        found = log_density(joint, points[i : i + 1]), kernels._sums(joint, points[i : i + 1])[1].log()
        assert [float(value) for value in found] == pytest.approx([float(expected)] * 2, abs=1e-5)


# ---- fusing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("min_size", [0, 1, 5, 20, 10_000])
@pytest.mark.parametrize("seed", range(1, 5))
def test_fusing_is_the_same_by_torch_and_compiled(min_size: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    colors = (torch.rand((1 + 2 * (seed % 2), 40, 50), generator=g) * (5 + 10 * seed)).round(decimals=1)
    ours = fuse(colors, 1.0, 4.0, min_size)
    assert torch.equal(ours, kernels._fuse_anywhere(colors, 1.0, 4.0, min_size))
    assert min_size == 10_000 or int(ours.max()) > 3


def plain_fuse(colors: np.ndarray, step: float, range_bandwidth: float) -> np.ndarray:
    """Regions by flooding, then rounds of joining by loops over pixels; (H, W, D)."""
    height, width = colors.shape[:2]
    around = [(dr, dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1) if (dr, dc) != (0, 0)]
    links = [
        ((r, c), (r + dr, c + dc))
        for r in range(height)
        for c in range(width)
        for dr, dc in around
        if 0 <= r + dr < height and 0 <= c + dc < width
    ]

    def flooded(edges: list) -> np.ndarray:
        labels = np.arange(height * width).reshape(height, width)
        for _ in range(height * width):
            before = labels.copy()
            for a, b in edges:
                labels[a] = labels[b] = min(labels[a], labels[b])
            if np.array_equal(labels, before):
                break
        return labels

    labels = flooded([(a, b) for a, b in links if np.abs(colors[a] - colors[b]).max() < step])
    while True:
        mean = {k: colors[labels == k].mean(axis=0) for k in np.unique(labels)}
        near = {
            (a, b)
            for a, b in links
            if labels[a] == labels[b] or np.linalg.norm(mean[labels[a]] - mean[labels[b]]) < range_bandwidth / 2
        }
        joined = flooded(sorted(near))
        if np.array_equal(joined, labels):
            return labels
        labels = joined


@pytest.mark.parametrize("seed", range(3))
def test_fusing_is_flooding_and_joining(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    colors = (torch.rand(2, 7, 9, generator=g) * 9).round(decimals=2)
    expected = plain_fuse(colors.movedim(0, -1).double().numpy(), 1.0, 4.0)
    found = fuse(colors, 1.0, 4.0, 1)
    assert torch.equal(found, relabel(torch.from_numpy(expected)))
    assert 2 < int(found.max()) < 50


def test_neighbors_that_differ_by_the_step_are_two_regions() -> None:
    colors = torch.tensor([[[0.0, 0.75, 1.75]]])
    assert fuse(colors, 1.0, 0.1, 1).tolist() == [[0, 0, 1]]
    assert kernels._fuse_anywhere(colors, 1.0, 0.1, 1).tolist() == [[0, 0, 1]]


def test_segments_are_connected_and_large_enough() -> None:
    image = datasets.photo("astronaut")[:, 100:180, 100:200]
    labels = MeanShift(spatial_bandwidth=4, min_size=30).segment(image).numpy()
    sizes = np.bincount(labels.ravel())
    assert sizes.min() >= 30
    assert len(sizes) > 5
    assert label(labels, connectivity=2, background=-1).max() == len(sizes)


# ---- points in any space, beside scikit-learn -------------------------------------------------------------------


@pytest.mark.parametrize(("bandwidth", "n_features"), [(0.8, 1), (1.5, 2), (3.0, 2), (2.5, 5)])
def test_points_are_clustered_as_by_scikit_learn(bandwidth: float, n_features: int) -> None:
    x, _ = make_blobs(n_samples=150, n_features=n_features, centers=4, random_state=3)
    theirs = Reference(bandwidth=bandwidth, bin_seeding=False).fit(x)
    ours = mean_shift(x, bandwidth)
    np.testing.assert_allclose(ours.modes.numpy(), theirs.cluster_centers_, atol=1e-12)
    assert ours.labels.tolist() == theirs.labels_.tolist()
    assert ours.n_iter == theirs.n_iter_ + 1  # scikit-learn does not count the move that it stops at
    assert len(ours.modes) > 2


def test_seeds_are_those_that_climb() -> None:
    x, _ = make_blobs(n_samples=100, centers=3, random_state=0)
    theirs = Reference(bandwidth=1.5, seeds=x[:5]).fit(x)
    ours = mean_shift(x, 1.5, seeds=x[:5])
    np.testing.assert_allclose(ours.modes.numpy(), theirs.cluster_centers_, atol=1e-12)
    assert ours.labels.tolist() == theirs.labels_.tolist()
    assert ours.ends.shape == (5, 2)


def test_two_groups_on_a_line_by_hand() -> None:
    """Around 1: 0, 1, 2 see one another, h = 2; 10 and 11 as well."""
    found = mean_shift([[0.0], [1.0], [2.0], [10.0], [11.0]], 2.0)
    assert found.modes.tolist() == [[1.0], [10.5]]
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert found.ends.tolist() == [[1.0]] * 3 + [[10.5]] * 2
    assert found.n_iter == 2


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_stand_for_repeated_points(kernel: Any) -> None:
    g = torch.Generator().manual_seed(0)
    x, counts = torch.randn(40, 2, generator=g, dtype=torch.float64), torch.randint(1, 4, (40,), generator=g)
    one = mean_shift(x, 0.7, kernel, weights=counts)
    other = mean_shift(x.repeat_interleave(counts, dim=0), 0.7, kernel, seeds=x)
    torch.testing.assert_close(one.modes, other.modes)
    assert one.labels.repeat_interleave(counts).tolist() == other.labels.tolist()


@pytest.mark.parametrize("kernel", KERNELS)
def test_points_in_other_units_climb_as_long(kernel: Any) -> None:
    x, _ = make_blobs(n_samples=60, random_state=2)
    one, other = mean_shift(x, 1.0, kernel), mean_shift(1024 * x, 1024.0, kernel)
    assert one.n_iter == other.n_iter > 3
    torch.testing.assert_close(1024 * one.modes, other.modes)


def test_gaussian_means_are_weighted_by_a_loop() -> None:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(30, 3, generator=g, dtype=torch.float64)
    expected = []
    for y in x:
        d = (x - y).norm(dim=1)
        w = torch.exp(-(d**2) / (2 * 0.6**2)) * (d < 1.8)
        expected.append((w[:, None] * x).sum(0) / w.sum())
    ones = torch.ones(30, dtype=torch.float64)
    torch.testing.assert_close(kernels._plain_means(x, ones, x, 0.6, "gaussian"), torch.stack(expected))


@pytest.mark.parametrize("quantile", [0.05, 0.3, 1.0])
def test_the_bandwidth_is_scikit_learns(quantile: float) -> None:
    x, _ = make_blobs(n_samples=90, n_features=3, random_state=1)
    assert estimate_bandwidth(x, quantile) == pytest.approx(reference_bandwidth(x, quantile=quantile), rel=1e-12)


def test_a_bandwidth_of_some_points_is_near_that_of_all() -> None:
    x, _ = make_blobs(n_samples=400, random_state=1)
    some = estimate_bandwidth(x, 0.1, n_samples=100, seed=2)
    assert some == estimate_bandwidth(x, 0.1, n_samples=100, seed=2)
    assert 0 < abs(some / estimate_bandwidth(x, 0.1) - 1) < 0.2


def test_blocks_of_points_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = make_blobs(n_samples=80, random_state=5)
    whole = mean_shift(x, 1.5), estimate_bandwidth(x)
    monkeypatch.setattr(kernels, "_rows", lambda points: 7)
    assert torch.equal(mean_shift(x, 1.5).labels, whole[0].labels)
    assert estimate_bandwidth(x) == pytest.approx(whole[1], rel=1e-12)


# ---- what a student looks at ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_way_of_a_pixel_is_that_of_the_steps(kernel: Any) -> None:
    image = noisy()
    method = MeanShift(kernel=kernel, spatial_bandwidth=4, watch=[(3, 5), (19, 25)])
    states = list(method.steps(image))
    for way, (row, col) in zip(states[-1].ways, method.watch, strict=True):
        kept = torch.stack([state.modes[row * 26 + col] for state in states])
        assert torch.equal(torch.cat(way, dim=1), kept)
        whole = torch.cat(method.path(image, row, col), dim=1)
        assert whole[0, :2].tolist() == [row, col]
        assert torch.equal(whole, kept[: len(whole)])
        assert torch.equal(whole[-1], kept[-1])
        assert 2 < len(whole) <= len(kept)


@pytest.mark.parametrize("kernel", KERNELS)
def test_ways_that_were_not_kept_are_climbed_once_more(kernel: Any) -> None:
    image, method = noisy(), MeanShift(kernel=kernel, spatial_bandwidth=4, watch=[(3, 5), (19, 25), (10, 13)])
    last, state = list(method.steps(image))[-1], method.segment(image).state
    assert state.path == ()
    for way, kept in zip(state.ways, last.ways, strict=True):
        for found, expected in zip(way, kept, strict=True):
            assert 2 < len(found) <= len(expected)
            assert torch.equal(found, expected[: len(found)])
            assert torch.equal(found[-1], expected[-1])
    early = replace(method, max_iter=2).segment(image).state
    assert [len(way.places) for way in early.ways] == [3, 3, 3]


def test_a_way_ends_after_so_many_steps() -> None:
    assert len(MeanShift(max_iter=2, tol=0).path(noisy(), 3, 5).places) == 3


def test_panels_show_the_filtered_picture_and_the_ways() -> None:
    image = noisy()
    state = list(MeanShift(max_iter=3).steps(image))[-1]
    picture, scatter, lines = state.panels(image)
    assert isinstance(picture, Picture)
    assert torch.equal(picture.values.movedim(-1, 0), state.picture)
    assert isinstance(scatter, Scatter)
    assert scatter.points.shape == scatter.colors.shape == (20 * 26, 3)
    assert isinstance(lines, Lines)
    assert len(lines.lines) == len(scatter.paths) == len(state.watched)
    assert all(line.shape == (4, 2) for line in lines.lines)
    torch.testing.assert_close(scatter.paths[0][0], state.joint.start()[state.watched[0], 2:])
    assert "3 · " in state.describe()


def test_filtering_smooths_what_is_even_and_keeps_the_edge() -> None:
    image, method = noisy(), MeanShift(range_bandwidth=12)
    filtered = method.filter(image)
    assert torch.equal(filtered, method.segment(image).state.picture)
    assert float(filtered[:, :, :10].std()) < float(image[:, :, :10].std()) / 2
    assert float(filtered[:, :, 16:].mean() - filtered[:, :, :10].mean()) == pytest.approx(0.2, abs=0.02)


def test_segment_keeps_no_ways() -> None:
    image, method = noisy(), MeanShift()
    assert method.segment(image).state.path == ()
    third = list(method.steps(image))[2]
    assert len(third.path) == 2
    assert method.segment(image, init=third).state.path == ()


def test_progress_and_steps_come_to_the_same_end(capsys: pytest.CaptureFixture) -> None:
    image, method = noisy(), MeanShift(spatial_bandwidth=4)
    shown, quiet = method.segment(image, progress=True), method.segment(image)
    assert torch.equal(shown.state.modes, quiet.state.modes)
    assert shown.state.n_iter == quiet.state.n_iter
    assert "mean shift" in capsys.readouterr().err


# ---- interruption, precision, what cannot be --------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interruption_gives_the_latest_complete_state(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    image, method = noisy(40, 50), MeanShift(spatial_bandwidth=5, tol=0)
    calls = []

    def interrupted(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return climb(*args)

    monkeypatch.setattr(method_module, "climb", interrupted)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        result = method.segment(image)
    finally:
        torch.set_num_threads(before)
    monkeypatch.undo()
    state = result.state
    assert result.interrupted
    assert state.status is Status.RUNNING
    assert state.n_iter == 8
    expected = list(MeanShift(spatial_bandwidth=5, tol=0, max_iter=8).steps(image))[-1]
    assert torch.equal(state.modes, expected.modes)
    assert torch.equal(method.segment(image, init=state).labels, method.segment(image).labels)


def test_an_interrupted_band_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def work(item: int) -> int:
        if item == 1:
            raise KeyboardInterrupt
        done.append(item)
        return 1

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        kernels._in_threads(work, range(10_000))
    assert len(done) < 10_000


def test_rounding_hardly_changes_where_points_arrive() -> None:
    """Beside the same climb with nothing rounded, on a photograph."""
    image, method = datasets.photo("astronaut")[:, 60:110, 190:260], MeanShift(tol=1e-3)
    state = method.segment(image).state
    colors = state.joint.start()[:, 2:].double().numpy()
    pixels = np.concatenate([np.argwhere(np.ones(image.shape[1:])), colors], axis=1)
    scale = np.array([7.0] * 2 + [6.5] * 3)
    apart = []
    for i in range(0, len(pixels), 13):
        point = pixels[i]
        for _ in range(100):
            d = ((pixels - point) / scale) ** 2
            before, point = point, pixels[(d[:, :2].sum(1) <= 1) & (d[:, 2:].sum(1) <= 1)].mean(axis=0)
            if np.linalg.norm((point - before) / scale) <= 1e-3:
                break
        apart.append(np.linalg.norm((state.modes[i].numpy() - point) / scale))
    assert np.mean(np.array(apart) < 0.05) > 0.9
    assert np.median(apart) < 2e-3


def test_a_large_picture_keeps_its_places() -> None:
    """Rows and columns are whole numbers of a unit that float32 holds exactly."""
    joint = Joint.of(torch.zeros(1, 2, 90_000), 1.0, 1.0)
    points = joint.start()
    assert (points[:, 1] / joint.place_unit).max() < 2**24
    assert points[89_999, 1] == 89_999
    assert moves(joint, points[89_998:89_999])[0, 1] == 89_998


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_shift([1.0, 2.0], 1.0), r"points are \(N, D\).*got shape \(2,\)"),
        (lambda: mean_shift(np.zeros((0, 2)), 1.0), "at least one"),
        (lambda: mean_shift([[np.nan]], 1.0), "NaN or infinity"),
        (lambda: mean_shift([[1.0]], 0.0), "bandwidth is a length above 0; got 0.0"),
        (lambda: mean_shift([[1.0]], math.inf), "bandwidth is a length above 0; got inf"),
        (lambda: mean_shift([[1.0]], 1.0, "box"), "'flat' or 'gaussian'; got 'box'"),
        (lambda: mean_shift([[1.0]], 1.0, seeds=[[1.0, 2.0]]), "seeds have 2 coordinates, points 1"),
        (lambda: mean_shift([[1.0]], 1.0, seeds=[[9.0]]), "no seed has a point within the bandwidth"),
        (lambda: mean_shift([[1.0]], 1.0, weights=[0.0]), "weights are 1 numbers above 0"),
        (lambda: mean_shift([[1.0]], 1.0, weights=[1.0, 1.0]), "weights are 1 numbers"),
        (lambda: mean_shift([[1.0]], 1.0, max_iter=0), "max_iter is at least 1"),
        (lambda: estimate_bandwidth([[1.0]], 0.0), r"share in \(0, 1\]; got 0.0"),
        (lambda: estimate_bandwidth([[1.0]], n_samples=0), "n_samples is at least 1"),
        (lambda: MeanShift().path(noisy(), 20, 0), r"no pixel \(20, 0\)"),
        (lambda: MeanShift(watch=[(0, -1)]).segment(noisy()), r"no pixel \(0, -1\)"),
        (lambda: log_density(Joint.of(noisy(), 1.0, 1.0), torch.zeros(1, 5)), "take kernel='gaussian'"),
    ],
)
def test_what_cannot_be_is_said_in_one_clear_error(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
