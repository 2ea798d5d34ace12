"""Mean shift: by hand, by plain loops, beside scikit-learn, and what its theorem promises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seglab.kernels import mean_shift as kernels
from seglab.methods import MeanShift
from seglab.methods.mean_shift import Joint, climb, log_density, moves
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
