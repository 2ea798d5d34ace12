"""Thresholding: by hand, by plain loops, beside scikit-image, and what Otsu's rule promises."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.filters import (
    apply_hysteresis_threshold,
    threshold_local,
    threshold_multiotsu,
    threshold_otsu,
    threshold_sauvola,
)
from torch import Tensor

from seglab import datasets
from seglab.image import rgb_to_gray
from seglab.kernels import thresholding as kernels
from seglab.kernels.thresholding import (
    classes_above,
    gray_histogram,
    hysteresis,
    level_counts,
    local_threshold,
    multi_otsu,
    otsu_curve,
)
from seglab.methods import Thresholding
from seglab.methods.thresholding import MultiOtsuState, OtsuState
from seglab.panels import Curve, Histogram, Picture
from seglab.segmenter import Status

PHOTOS = datasets.photos()
histograms = st.lists(st.integers(0, 20), min_size=4, max_size=9).filter(lambda counts: counts[0] and counts[-1])


def as_uint8(image: Tensor) -> np.ndarray:
    """A photograph's gray values in 256 levels."""
    gray = image if len(image) == 1 else rgb_to_gray(image)
    return (gray[0] * 255).round().byte().numpy()


def as_floats(image: Tensor) -> np.ndarray:
    """A photograph's gray values that are not 8-bit."""
    return ((image if len(image) == 1 else rgb_to_gray(image))[0] * 0.937 + 0.0123).numpy()


def between_class_variance(values: np.ndarray, labels: np.ndarray) -> float:
    """Σ ω_k (μ_k − μ)², from the pixels themselves."""
    values = values.astype(float)
    classes = [values[labels == k] for k in np.unique(labels)]
    return sum(len(c) / values.size * (c.mean() - values.mean()) ** 2 for c in classes)


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_otsu_by_hand() -> None:
    """0, 0, 0.2 | 1, 1 and 0.8: after 0.2, ω₀ = ω₁ = 1/2, μ₀ = 0.2/3, μ₁ = 2.8/3, so the variance is (2.6/3)²/4."""
    image = torch.tensor([[0.0, 0.0, 0.2], [1.0, 0.8, 1.0]])[None]
    result = Thresholding().segment(image)
    assert result.labels.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert result.state.thresholds.tolist() == pytest.approx([0.2])
    assert float(result.state.objective) == pytest.approx((2.6 / 3) ** 2 / 4)
    assert result.status is Status.CONVERGED


def test_multi_otsu_by_hand() -> None:
    image = torch.tensor([[0, 10, 100], [110, 240, 250]], dtype=torch.uint8)
    result = Thresholding(rule="multi-otsu", n_classes=3).segment(image)
    assert result.labels.tolist() == [[0, 0, 1], [1, 2, 2]]
    assert (result.state.thresholds * 255).tolist() == pytest.approx([10, 110])


def test_a_fixed_threshold_is_exceeded_not_reached() -> None:
    image = np.array([[127, 128, 129]], np.uint8)
    assert Thresholding(rule="fixed", threshold=128 / 255).segment(image).labels.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("rule", ["otsu", "multi-otsu", "fixed", "local"])
def test_dark_polarity_numbers_the_classes_the_other_way_round(rule: Any) -> None:
    image = datasets.photo("coins")[:, :60, :80]
    bright, dark = (Thresholding(rule=rule, polarity=p).segment(image).labels for p in ("bright", "dark"))
    assert torch.equal(dark, bright.max() - bright)


# ---- the histogram ----------------------------------------------------------------------------------------------


def test_eight_bit_pictures_have_a_bin_for_each_level_from_the_darkest_to_the_brightest() -> None:
    gray = torch.tensor([[3, 5, 5], [7, 3, 3]], dtype=torch.uint8) / 255
    counts, centers = gray_histogram(gray)
    assert counts.tolist() == [3, 0, 2, 0, 1]
    assert (centers * 255).round().tolist() == [3, 4, 5, 6, 7]


def test_every_level_of_256_is_known_again() -> None:
    levels = torch.arange(256)
    often = levels % 7 + 1
    for gray in (levels.float() / 255, levels.double() / 255):
        counts = level_counts(gray.repeat_interleave(often)[None])
        assert counts is not None
        assert counts.tolist() == often.tolist()
    assert level_counts(torch.tensor([[0.5]])) is None


@pytest.mark.parametrize("place", [0, 2047, 2048, 4999])
def test_one_value_between_two_levels_makes_another_picture(place: int) -> None:
    gray = torch.full((50, 100), 0.2)
    gray.view(-1)[place] = 0.3
    assert level_counts(gray) is None
    assert level_counts(gray.double()) is None


def test_one_result_with_and_without_the_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = datasets.photo("camera")
    cases = [photo[0], rgb_to_gray(datasets.photo("coffee"))[0]]
    thresholds = torch.tensor([0.2, 0.21, 0.6])
    with_loops = [(*gray_histogram(gray), classes_above(gray, thresholds)) for gray in cases]
    monkeypatch.setattr(kernels, "_is_plain", lambda values: False)
    for gray, expected in zip(cases, with_loops, strict=True):
        for found, wanted in zip((*gray_histogram(gray), classes_above(gray, thresholds)), expected, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_pictures_have_numpys_bins(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    gray = rng.random((60, 70)).astype(dtype)
    gray[0] = np.linspace(gray.min(), gray.max(), 257, dtype=dtype)[rng.integers(0, 257, 70)]  # on the bins' edges
    counts, centers = gray_histogram(torch.from_numpy(gray))
    expected, edges = np.histogram(gray, 256)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(centers, (edges[:-1] + edges[1:]) / 2)


# ---- beside scikit-image ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("kind", [as_uint8, as_floats])
def test_otsu_is_scikit_images(name: str, kind: Any) -> None:
    gray = kind(datasets.photo(name))
    state = Thresholding().segment(gray).state
    unit = 255 if gray.dtype == np.uint8 else 1
    assert float(state.thresholds[0]) == np.float32(threshold_otsu(gray) / unit)
    np.testing.assert_array_equal(state.labels, gray > threshold_otsu(gray))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("kind", [as_uint8, as_floats])
def test_multi_otsu_is_scikit_images_or_better(name: str, n_classes: int, kind: Any) -> None:
    """Theirs is computed in float32, so that of nearly equal thresholds it does not always take the best."""
    gray = kind(datasets.photo(name))
    unit = np.float32(255 if gray.dtype == np.uint8 else 1)
    result = Thresholding(rule="multi-otsu", n_classes=n_classes).segment(gray)
    ours = result.state.thresholds.numpy()
    np.testing.assert_array_equal(result.labels, np.searchsorted(ours, gray / unit))
    if result.status is Status.DEGENERATE:
        assert len(np.unique(gray)) < n_classes
        return
    theirs = threshold_multiotsu(gray, n_classes) / unit
    if not np.allclose(ours, theirs, atol=1e-6):
        counts, centers = (x.numpy() for x in gray_histogram(torch.from_numpy(gray / unit)))
        values = np.repeat(centers, counts.astype(int))
        best, other = (between_class_variance(values, np.searchsorted(t + 1e-6, values)) for t in (ours, theirs))
        assert other * (1 - 1e-12) <= best <= other * (1 + 1e-4)


@pytest.mark.parametrize("radius", [1, 4, 17, 60])
def test_local_means_are_scikit_images(radius: int) -> None:
    gray = as_floats(datasets.photo("page"))[:90, :100].astype(np.float64)
    for statistic in ("gaussian", "mean"):
        ours = local_threshold(torch.from_numpy(gray), radius, statistic, offset=0.03)  # type: ignore[arg-type]
        theirs = threshold_local(gray, 2 * radius + 1, statistic, offset=0.03)
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_sauvola_is_scikit_images_away_from_the_border() -> None:
    gray = as_floats(datasets.photo("page")).astype(np.float64)
    ours, theirs = local_threshold(torch.from_numpy(gray), 7, "sauvola"), threshold_sauvola(gray, 15, r=0.5)
    np.testing.assert_allclose(ours[7:-7, 7:-7], theirs[7:-7, 7:-7], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_hysteresis_is_scikit_images(seed: int, polarity: Any) -> None:
    gray = torch.rand(30, 41, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    method = Thresholding(rule="hysteresis", low=0.35, high=0.8, polarity=polarity)
    state = method.init(gray[None])
    assert torch.equal(state.labels.bool(), gray > 0.8 if polarity == "bright" else gray < 0.35)
    state = method.step(gray[None], state)
    theirs = apply_hysteresis_threshold(gray.numpy(), 0.35, 0.8)
    if polarity == "dark":
        theirs = apply_hysteresis_threshold(-gray.numpy(), -0.8, -0.35)
    np.testing.assert_array_equal(state.labels, theirs)


def test_a_low_threshold_above_the_high_one_counts_as_the_high_one() -> None:
    gray = torch.rand(20, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(hysteresis(gray, 0.9, 0.5), gray > 0.5)
    assert torch.equal(Thresholding(rule="hysteresis", low=0.9, high=0.5).segment(gray).labels.bool(), gray > 0.5)


# ---- beside plain loops -----------------------------------------------------------------------------------------


@given(histograms)
def test_the_curve_is_the_variance_of_the_classes_means(counts: list[int]) -> None:
    values = np.repeat(np.arange(len(counts)), counts)
    curve = otsu_curve(torch.tensor(counts), torch.arange(float(len(counts))))
    expected = [between_class_variance(values, values > t) for t in range(len(counts) - 1)]
    np.testing.assert_allclose(curve, expected, rtol=1e-9, atol=1e-12)


@given(histograms)
def test_otsu_is_scikit_images_on_any_histogram(counts: list[int]) -> None:
    curve = otsu_curve(torch.tensor(counts), torch.arange(float(len(counts))))
    theirs = threshold_otsu(hist=np.array(counts))
    assert float(curve[int(theirs)]) == pytest.approx(float(curve.max()), rel=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
@given(counts=histograms)
def test_multi_otsu_is_the_best_of_all_thresholds(n_classes: int, counts: list[int]) -> None:
    histogram, centers = torch.tensor(counts), torch.arange(float(len(counts)))
    values = np.repeat(np.arange(len(counts)), counts)
    if np.count_nonzero(counts) < n_classes:
        with pytest.raises(ValueError, match=f"cannot be split into {n_classes} classes"):
            multi_otsu(histogram, centers, n_classes)
        return
    all_thresholds = itertools.combinations(range(len(counts) - 1), n_classes - 1)
    best = max(between_class_variance(values, np.searchsorted(t, values)) for t in all_thresholds)
    found = multi_otsu(histogram, centers, n_classes).numpy()
    assert len(np.unique(np.searchsorted(found, values))) == n_classes
    assert between_class_variance(values, np.searchsorted(found, values)) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize(("radius", "statistic"), [(1, "mean"), (3, "mean"), (2, "sauvola"), (5, "sauvola")])
def test_local_thresholds_are_a_loop_over_windows(radius: int, statistic: Any) -> None:
    gray = torch.rand(7, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    padded = np.pad(gray.numpy(), radius, mode="symmetric")
    found = local_threshold(gray, radius, statistic)
    for row, col in np.ndindex(7, 6):
        window = padded[row : row + 2 * radius + 1, col : col + 2 * radius + 1]
        expected = window.mean()
        if statistic == "sauvola":
            expected = window.mean() * (1 + 0.2 * (window.std() / 0.5 - 1))
        assert float(found[row, col]) == pytest.approx(expected)


# ---- what is promised -------------------------------------------------------------------------------------------


def test_otsu_tries_every_candidate_and_keeps_the_best_so_far() -> None:
    image = datasets.photo("coins")[:, :40, :50]
    states = list(Thresholding().steps(image))
    n = len(np.unique(as_uint8(image)))
    assert len(states) > n / 2
    values = as_uint8(image) / 255
    for state in states[1::20]:
        assert isinstance(state, OtsuState)
        candidates = [between_class_variance(values, values > float(c) + 1e-6) for c in state.centers[: state.n_iter]]
        assert float(state.objective) == pytest.approx(max(candidates), rel=1e-5)
        assert between_class_variance(values, state.labels.numpy()) == pytest.approx(max(candidates), rel=1e-5)
    assert states[-1].n_iter == len(states) - 1 == len(states[-1].centers) - 1


def test_a_class_more_never_lowers_the_variance_and_each_step_is_the_best_for_its_classes() -> None:
    image = datasets.photo("coins")
    states = list(Thresholding(rule="multi-otsu", n_classes=6).steps(image))
    assert [len(state.thresholds) for state in states] == [0, 1, 2, 3, 4, 5]
    for n_classes, state in enumerate(states[1:], 2):
        assert isinstance(state, MultiOtsuState)
        assert torch.equal(state.thresholds, multi_otsu(*gray_histogram(image[0]), n_classes).float())
        variance = between_class_variance(image[0].numpy(), state.labels.numpy())
        assert float(state.objective) == pytest.approx(variance, rel=1e-4)
    two = Thresholding().segment(image)
    assert torch.equal(states[1].labels, two.labels)
    assert float(states[1].objective) == pytest.approx(float(two.state.objective))


@pytest.mark.parametrize("rule", ["otsu", "multi-otsu"])
@pytest.mark.parametrize("value", [0.0, 64 / 255, 0.3, 1.0])
def test_a_constant_picture_is_one_class(rule: Any, value: float) -> None:
    for polarity in ("bright", "dark"):
        result = Thresholding(rule=rule, polarity=polarity).segment(torch.full((1, 4, 5), value))
        assert result.status is Status.DEGENERATE
        assert result.labels.unique().tolist() == [0]
        assert result.state.n_iter == 0


def test_fewer_gray_values_than_classes_are_all_told_apart() -> None:
    image = np.array([[10, 10, 200], [90, 90, 200]], np.uint8)
    result = Thresholding(rule="multi-otsu", n_classes=5).segment(image)
    assert result.status is Status.DEGENERATE
    assert result.labels.tolist() == [[0, 0, 2], [1, 1, 2]]


def test_colors_are_thresholded_on_their_luminance() -> None:
    image = datasets.photo("coffee")[:, :80, :90]
    colored, gray = (Thresholding().segment(x) for x in (image, rgb_to_gray(image)))
    assert torch.equal(colored.labels, gray.labels)


def test_a_local_rule_is_not_misled_by_a_gradient_of_light() -> None:
    rows, cols = torch.meshgrid(torch.arange(60), torch.arange(80), indexing="ij")
    spots = ((rows % 20 - 10) ** 2 + (cols % 20 - 10) ** 2) < 16
    image = (0.6 * cols / 80 + 0.3 * spots)[None]
    errors = {
        r: float((Thresholding(rule=r).segment(image).labels.bool() != spots).double().mean())
        for r in ("otsu", "local")
    }  # type: ignore[arg-type]
    assert errors["local"] < 0.05 < errors["otsu"]


def test_half_the_rows_flipped_flip_the_labels() -> None:
    image = datasets.photo("coins")[:, :60, :80]
    for rule in ("otsu", "multi-otsu", "local", "hysteresis"):
        method = Thresholding(rule=rule)  # type: ignore[arg-type]
        here, there = method.segment(image).labels, method.segment(image.flip(1)).labels
        assert (here.flip(0) == there).double().mean() > 0.999


# ---- what is shown ----------------------------------------------------------------------------------------------


def test_otsu_shows_the_histogram_and_the_curve_so_far() -> None:
    image = datasets.photo("coins")[:, :40, :50]
    states = list(Thresholding().steps(image))
    assert [type(panel) for panel in states[0].panels(image)] == [Histogram]
    bars, curve = states[30].panels(image)
    assert isinstance(bars, Histogram)
    assert isinstance(curve, Curve)
    assert len(bars.edges) == len(bars.counts) + 1
    assert float(bars.counts.sum()) == 2000
    assert len(curve.x) == len(curve.curves["variance"]) == 30
    assert curve.marks["best"] == pytest.approx(float(states[30].thresholds))
    assert curve.marks["candidate"] == pytest.approx(float(curve.x[-1]))
    assert "candidate" in states[30].describe()


def test_other_rules_show_their_thresholds() -> None:
    image = datasets.photo("coins")[:, :40, :50]
    (surface,) = Thresholding(rule="local").segment(image).state.panels(image)
    assert isinstance(surface, Picture)
    for rule, n in (("fixed", 1), ("multi-otsu", 2), ("hysteresis", 2)):
        (bars,) = Thresholding(rule=rule).segment(image).state.panels(image)  # type: ignore[arg-type]
        assert isinstance(bars, Histogram)
        assert len(bars.marks) == n
    (bars,) = Thresholding().segment(torch.full((1, 3, 3), 0.5)).state.panels(image)
    assert isinstance(bars, Histogram)
    assert bool((bars.edges.diff() > 0).all())


@pytest.mark.gpu
@pytest.mark.parametrize("rule", ["otsu", "multi-otsu", "fixed", "local", "hysteresis"])
def test_every_rule_is_the_same_on_a_gpu(rule: Any) -> None:
    image = datasets.photo("coins")
    here, there = Thresholding(rule=rule).segment(image), Thresholding(rule=rule).segment(image, device="cuda")
    assert there.labels.is_cuda
    assert (here.labels == there.labels.cpu()).double().mean() > 0.9999
