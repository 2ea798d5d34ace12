"""What a pixel is: colors, places, windows, and the different ones among them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.color import rgb2lab

from seglab.features import (
    center_colors,
    center_columns,
    distinct,
    distinct_features,
    mirror_pad,
    pixel_features,
    windows,
)

SPACES = ("gray", "rgb", "hsv", "lab", "luv")
every_space = pytest.mark.parametrize("space", SPACES)


def eight_bit(height: int = 9, width: int = 7, channels: int = 3, seed: int = 0, levels: int = 4) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels, (channels, height, width), generator=g) * (255 // (levels - 1)) / 255


def test_a_pixel_is_its_color_row_by_row() -> None:
    image = torch.tensor([[[0.0, 0.1], [0.2, 0.3]], [[0.4, 0.5], [0.6, 0.7]], [[0.8, 0.9], [1.0, 0.0]]])
    expected = [[0.0, 0.4, 0.8], [0.1, 0.5, 0.9], [0.2, 0.6, 1.0], [0.3, 0.7, 0.0]]
    assert torch.equal(pixel_features(image, "rgb"), torch.tensor(expected))


def test_lab_has_its_own_units() -> None:
    image = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = rgb2lab(image.movedim(0, -1).numpy()).reshape(-1, 3)
    np.testing.assert_allclose(pixel_features(image, "lab"), expected, atol=1e-4)


@pytest.mark.parametrize(("space", "unit"), [("gray", 1), ("rgb", 1), ("hsv", 1), ("lab", 100), ("luv", 100)])
def test_places_are_parts_of_the_longer_side_in_units_of_black_to_white(space: str, unit: float) -> None:
    image = torch.rand(3, 2, 4)
    features = pixel_features(image, space, spatial_weight=0.5)  # type: ignore[arg-type]
    rows, cols = (features[:, -2:].T / (0.5 * unit)).reshape(2, 2, 4)
    assert torch.allclose(rows, torch.tensor([0.0, 0.25])[:, None].expand(2, 4))
    assert torch.allclose(cols, torch.tensor([0.0, 0.25, 0.5, 0.75]).expand(2, 4))
    assert torch.equal(features[:, :-2], pixel_features(image, space))  # type: ignore[arg-type]


def test_without_weight_the_place_is_left_out() -> None:
    assert pixel_features(torch.rand(3, 4, 5), "lab", spatial_weight=0).shape == (20, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 2), (5, 6)], ids=str)
def test_windows_are_those_of_numpys_symmetric_padding(size: int, shape: tuple[int, int]) -> None:
    image = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    before, after = size // 2, (size - 1) // 2
    padded = np.pad(image.numpy(), ((0, 0), (before, after), (before, after)), mode="symmetric")
    found = windows(image, size).reshape(*shape, size, size, 2)
    for row in range(shape[0]):
        for col in range(shape[1]):
            expected = padded[:, row : row + size, col : col + size]
            np.testing.assert_array_equal(found[row, col].movedim(-1, 0), expected)


def test_mirror_pad_repeats_the_border_and_may_be_wider_than_the_picture() -> None:
    assert mirror_pad(torch.tensor([[1, 2]]), 0, 0).tolist() == [[1, 2]]
    assert mirror_pad(torch.tensor([[1, 2]]), 3, 2)[0].tolist() == [2, 2, 1, 1, 2, 2, 1]


def test_a_window_of_no_side_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel; got 0"):
        windows(torch.rand(1, 3, 3), 0)


@every_space
@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_central_pixels_color_comes_back(space: str, window: int) -> None:
    image = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(2)) * 0.6 + 0.2
    features = pixel_features(image, space, spatial_weight=0.3, window=window)  # type: ignore[arg-type]
    expected = image.flatten(1).T
    if space == "gray":
        expected = pixel_features(image, "gray").expand(-1, 3)
    assert torch.allclose(center_colors(features, space, window), expected, atol=2e-3)  # type: ignore[arg-type]
    assert center_columns(space, window).stop <= features.shape[1] - 2  # type: ignore[arg-type]


@every_space
@pytest.mark.parametrize("channels", [1, 3])
def test_distinct_features_are_the_features_once_each(space: str, channels: int) -> None:
    image = eight_bit(channels=channels)
    points = distinct_features(image, space)  # type: ignore[arg-type]
    assert torch.allclose(points.values[points.inverse], pixel_features(image, space), atol=1e-6)  # type: ignore[arg-type]
    assert torch.equal(torch.bincount(points.inverse), points.counts)
    n_colors = len({tuple(pixel) for pixel in image.flatten(1).T.tolist()})
    assert len(points) <= n_colors
    if space != "gray":
        assert len(points) == n_colors


def test_colors_that_are_not_eight_bit_are_told_apart_to_the_last_digit() -> None:
    step = torch.finfo(torch.float32).eps
    image = torch.tensor([0.5, 0.5 + step, 0.5, 0.5 + 2 * step]).expand(3, 1, 4)
    points = distinct_features(image, "rgb")
    assert points.counts.tolist() == [2, 1, 1]
    assert points.inverse.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("options", [{"spatial_weight": 0.1}, {"window": 2}])
def test_with_places_or_windows_every_pixel_stands_alone(options: dict) -> None:
    image = eight_bit()
    points = distinct_features(image, "rgb", **options)
    assert torch.equal(points.values, pixel_features(image, "rgb", **options))
    assert torch.equal(points.counts, torch.ones(63, dtype=torch.int64))
    assert torch.equal(points.inverse, torch.arange(63))


@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([-1.5, 0, 0.25, 3]))
)
def test_distinct_agrees_with_torch_unique(rows: np.ndarray) -> None:
    points = distinct(torch.from_numpy(rows))
    values, inverse, counts = torch.unique(torch.from_numpy(rows), dim=0, return_inverse=True, return_counts=True)
    assert torch.equal(points.values, values)
    assert torch.equal(points.inverse, inverse)
    assert torch.equal(points.counts, counts)


def test_many_columns_of_many_values_do_not_overflow() -> None:
    rows = torch.rand(500, 40, generator=torch.Generator().manual_seed(0))
    points = distinct(torch.cat([rows, rows]))
    assert len(points) == 500
    assert torch.equal(points.counts, torch.full((500,), 2))


@pytest.mark.gpu
def test_the_same_on_a_gpu() -> None:
    image = eight_bit(40, 50, levels=6)
    here, there = distinct_features(image), distinct_features(image.cuda())
    assert there.values.is_cuda
    assert torch.equal(there.inverse.cpu(), here.inverse)
    assert torch.allclose(there.values.cpu(), here.values, atol=1e-3)
