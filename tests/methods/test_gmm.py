"""Gaussian mixtures: by hand, by plain loops, beside scikit-learn, and what EM promises."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch import Tensor

from seglab.datasets import shapes
from seglab.features import pixel_features
from seglab.kernels import gmm as gaussians
from seglab.kernels.gmm import (
    Mixture,
    Samples,
    coefficients,
    e_step,
    is_degenerate,
    log_joint,
    m_step,
    monomials,
    sufficient_statistics,
)
from seglab.methods import ComponentCurve, GaussianMixture, GaussianMixtureState, KMeans, select_components
from seglab.panels import Bars, Histogram, Picture, Pictures, Scatter
from seglab.segmenter import Status

TYPES = ("full", "tied", "diag", "spherical")
every_type = pytest.mark.parametrize("covariance_type", TYPES)


def noisy(height: int = 20, width: int = 30, channels: int = 3, seed: int = 0) -> Tensor:
    """Three areas of different colors and spreads, rounded to 8 bits."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.2)
    image[:, :, width // 3 :] = 0.5
    image[0, height // 2 :] += 0.3
    spread = torch.where(torch.arange(width) < width // 2, 0.03, 0.09)
    return (255 * (image + spread * torch.randn(image.shape, generator=g)).clamp(0, 1)).round() / 255


def random_mixture(k: int, d: int, seed: int = 0) -> Mixture:
    g = torch.Generator().manual_seed(seed)
    root = torch.randn(k, d, d, generator=g, dtype=torch.float64) / 4
    weights = torch.rand(k, generator=g, dtype=torch.float64) + 0.1
    means = torch.rand(k, d, generator=g, dtype=torch.float64)
    return Mixture(weights / weights.sum(), means, root @ root.mT + 0.02 * torch.eye(d))


def samples_of(values: Tensor, counts: Tensor) -> Samples:
    center = values @ counts / counts.sum()
    inverse = torch.arange(len(counts))[None]
    return Samples(values=values - center[:, None], counts=counts, inverse=inverse, center=center)


def random_samples(d: int, n: int = 50, seed: int = 1) -> Samples:
    g = torch.Generator().manual_seed(seed)
    values = torch.rand(d, n, generator=g, dtype=torch.float64)
    return samples_of(values, torch.randint(1, 5, (n,), generator=g).double())


def reference(state: GaussianMixtureState, max_iter: int, **options: Any) -> sklearn.mixture.GaussianMixture:
    """scikit-learn's mixture, with the state's parameters as its start."""
    precisions = torch.linalg.inv(state.covariances).numpy()
    shaped = {
        "full": precisions,
        "tied": precisions[0],
        "diag": np.diagonal(precisions, axis1=1, axis2=2),
        "spherical": precisions[:, 0, 0],
    }
    return sklearn.mixture.GaussianMixture(
        n_components=len(state.weights),
        covariance_type=state.covariance_type,
        weights_init=state.weights.numpy(),
        means_init=state.means.numpy(),
        precisions_init=shaped[state.covariance_type],
        max_iter=max_iter,
        **options,
    )


def full_covariances(fitted: sklearn.mixture.GaussianMixture) -> np.ndarray:
    """scikit-learn's covariances, (K, D, D) whatever their type."""
    k, d = fitted.means_.shape
    found = fitted.covariances_
    shaped = {
        "full": lambda: found,
        "tied": lambda: np.broadcast_to(found, (k, d, d)),
        "diag": lambda: np.stack([np.diag(row) for row in found]),
        "spherical": lambda: found[:, None, None] * np.eye(d),
    }
    return shaped[fitted.covariance_type]()


# By hand


@pytest.fixture
def three_pixels() -> tuple[GaussianMixture, Tensor]:
    """Grays 0, ½, 1 and two equal Gaussians at 0 and 1, with densities at x as 3^(−x²) to 3^(−(x−1)²)."""
    method = GaussianMixture(
        n_components=2,
        color_space="gray",
        reg_covar=0.0,
        weights=torch.tensor([0.5, 0.5]),
        means=torch.tensor([[0.0], [1.0]]),
        covariances=torch.full((2, 1, 1), 1 / (2 * math.log(3)), dtype=torch.float64),
    )
    return method, torch.tensor([[[0.0, 0.5, 1.0]]])


def test_responsibilities_and_likelihood_worked_by_hand(three_pixels):
    method, image = three_pixels
    state = method.init(image)
    assert state.resp[0, 0].tolist() == pytest.approx([3 / 4, 1 / 2, 1 / 4])
    densities = math.sqrt(math.log(3) / math.pi) / 2 * np.array([4 / 3, 2 * 3**-0.25, 4 / 3])
    assert float(state.log_likelihood) == pytest.approx(np.log(densities).mean(), abs=1e-12)
    assert state.labels.tolist() == [[0, 0, 1]]  # ½ is as near to both: the first of equals


def test_one_step_worked_by_hand(three_pixels):
    method, image = three_pixels
    state = method.step(image, method.init(image))
    assert state.weights.tolist() == pytest.approx([1 / 2, 1 / 2])
    assert state.means.flatten().tolist() == pytest.approx([1 / 3, 2 / 3])  # (½·½ + 1·¼) / 1½
    # about the new means: (¼·½ + 1·¼) / 1½ − (1/3)²; about the old mean, 0, it would be 1/4
    assert state.covariances.flatten().tolist() == pytest.approx([5 / 36, 5 / 36])
    assert state.n_iter == 1


# By plain loops


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_log_joint_is_scipys_logpdf_and_the_logarithm_of_the_weight(d):
    samples, mixture = random_samples(d), random_mixture(4, d)
    x = (samples.values + samples.center[:, None]).T.numpy()
    expected = [
        math.log(w) + multivariate_normal(m.numpy(), c.numpy()).logpdf(x) for w, m, c in zip(*mixture, strict=True)
    ]
    np.testing.assert_allclose(log_joint(samples, mixture).numpy(), expected, rtol=1e-11, atol=1e-11)


@every_type
@pytest.mark.parametrize("d", [1, 3, 5])
def test_both_steps_are_the_loops_over_pixels_and_components(d, covariance_type):
    samples, mixture = random_samples(d), random_mixture(3, d)
    x = (samples.values + samples.center[:, None]).T.numpy().repeat(samples.counts.long().numpy(), 0)
    joint = np.array(
        [
            [w * multivariate_normal(m, c).pdf(row) for w, m, c in zip(*map(np.asarray, mixture), strict=True)]
            for row in x
        ]
    )
    resp = joint / joint.sum(1, keepdims=True)
    n = resp.sum(0)
    means = np.array([sum(r[k] * row for r, row in zip(resp, x, strict=True)) / n[k] for k in range(3)])
    spread = [
        sum(r[k] * np.outer(row - means[k], row - means[k]) for r, row in zip(resp, x, strict=True)) for k in range(3)
    ]
    covariances = {
        "full": [s / n_k for s, n_k in zip(spread, n, strict=True)],
        "tied": [sum(spread) / len(x)] * 3,
        "diag": [np.diag(np.diag(s)) / n_k for s, n_k in zip(spread, n, strict=True)],
        "spherical": [np.eye(d) * np.trace(s) / n_k / d for s, n_k in zip(spread, n, strict=True)],
    }[covariance_type]

    log_likelihood, statistics = e_step(samples, mixture)
    fitted = m_step(samples, statistics, covariance_type, reg_covar=0.125)
    assert float(log_likelihood) == pytest.approx(np.log(joint.sum(1)).mean(), rel=1e-11)
    np.testing.assert_allclose(fitted.weights, n / len(x), rtol=1e-10)
    np.testing.assert_allclose(fitted.means, means, rtol=1e-10)
    np.testing.assert_allclose(fitted.covariances, np.array(covariances) + 0.125 * np.eye(d), rtol=1e-9, atol=1e-12)


def test_blocks_change_nothing(monkeypatch):
    samples, mixture = random_samples(3, n=1000), random_mixture(4, 3)
    resp = torch.rand(4, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = *e_step(samples, mixture), log_joint(samples, mixture), sufficient_statistics(samples, resp)
    monkeypatch.setitem(gaussians._BLOCK, "cpu", 1)  # the least block, 256 colors
    monkeypatch.setattr(gaussians, "_KEPT", 0)
    parts = *e_step(samples, mixture), log_joint(samples, mixture), sufficient_statistics(samples, resp)
    assert len(list(samples.blocks())) == 4
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_counting_equal_colors_is_exact():
    image = noisy()
    counted = Samples.of(image, "rgb")
    each = samples_of(image.flatten(1).double(), torch.ones(image[0].numel(), dtype=torch.float64))
    assert counted.counts.numel() < each.counts.numel()
    mixture = random_mixture(3, 3)
    for a, b in zip(e_step(counted, mixture), e_step(each, mixture), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-9)


# Beside scikit-learn


@every_type
@pytest.mark.parametrize("n_iter", [1, 2, 10])
@pytest.mark.parametrize("space", ["gray", "rgb", "lab", "rgb and place"])
def test_is_scikit_learns_from_the_same_start(space, n_iter, covariance_type):
    image, reg_covar = noisy(), 1e-4
    method = GaussianMixture(
        n_components=4,
        covariance_type=covariance_type,
        color_space=space.split()[0],
        spatial_weight=0.5 if "place" in space else 0.0,
        reg_covar=reg_covar,
        tol=0.0,
        max_iter=n_iter,
        start="random",
    )
    states = list(method.steps(image))
    fitted = reference(states[0], n_iter, tol=0.0, reg_covar=reg_covar * (1e4 if space == "lab" else 1))
    x = pixel_features(image, method.color_space, method.spatial_weight).double().numpy()
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        labels = fitted.fit_predict(x)
    last = states[-1]
    close = {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(last.weights, fitted.weights_, **close)
    np.testing.assert_allclose(last.means, fitted.means_, **close)
    np.testing.assert_allclose(last.covariances, full_covariances(fitted), **close)
    np.testing.assert_allclose(states[-2].log_likelihood, fitted.lower_bound_, **close)  # theirs is one E-step behind
    np.testing.assert_allclose(last.log_likelihood, fitted.score(x), **close)
    np.testing.assert_allclose(last.resp.flatten(1).T, fitted.predict_proba(x), atol=1e-6)
    np.testing.assert_allclose(last.bic, fitted.bic(x), rtol=1e-9)
    np.testing.assert_allclose(last.aic, fitted.aic(x), rtol=1e-9)
    assert (last.labels.flatten().numpy() == labels).all()


@pytest.mark.parametrize("tol", [1e-2, 1e-3])
def test_stops_by_scikit_learns_rule_one_iteration_before_it(tol):
    image = noisy()
    method = GaussianMixture(n_components=4, color_space="rgb", tol=tol, start="random")
    end = method.segment(image)
    assert end.status is Status.CONVERGED
    fitted = reference(method.init(image), 100, tol=tol).fit(image.flatten(1).T.double().numpy())
    assert end.state.n_iter == fitted.n_iter_ - 1


def test_keeps_its_digits_beside_a_flat_area():
    g = torch.Generator().manual_seed(0)
    image = torch.rand(3, 20, 30, generator=g)
    image[:, :, :10] = 0.9 + 1e-4 * torch.randn(3, 20, 10, generator=g)  # variance 1e-8, far from the mean
    method = GaussianMixture(n_components=3, color_space="rgb", reg_covar=1e-9, tol=0.0, max_iter=5)
    states = list(method.steps(image))
    x = image.flatten(1).T.double().numpy()
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        fitted = reference(states[0], 5, tol=0.0, reg_covar=1e-9).fit(x)
    assert full_covariances(fitted)[:, 0, 0].min() < 2e-8
    np.testing.assert_allclose(states[-1].covariances, full_covariances(fitted), rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(states[-1].log_likelihood, fitted.score(x), rtol=1e-8)


# What EM promises


@every_type
@pytest.mark.parametrize("start", ["kmeans", "random"])
def test_the_likelihood_never_falls_and_the_bound_lies_between(start, covariance_type):
    method = GaussianMixture(
        n_components=5, covariance_type=covariance_type, start=start, reg_covar=0.0, tol=0.0, max_iter=40
    )
    states = list(method.steps(noisy()))
    assert len(states) == 41
    for before, after in zip(states, states[1:], strict=False):
        assert before.log_likelihood <= after.lower_bound + 1e-12
        assert after.lower_bound <= after.log_likelihood + 1e-12
    assert states[-1].log_likelihood > states[0].log_likelihood + 0.01


def test_the_lower_bound_is_the_textbooks():
    samples = Samples.of(noisy(), "rgb")
    method = GaussianMixture(n_components=3, color_space="rgb", start="random", reg_covar=0.0)
    before, after, *_ = method.steps(noisy())
    q = log_joint(samples, before.mixture).softmax(0)
    bound = (samples.counts * q * (log_joint(samples, after.mixture) - q.log())).sum() / samples.counts.sum()
    assert float(after.lower_bound) == pytest.approx(float(bound), abs=1e-12)


@given(
    k=st.integers(1, 6),
    covariance_type=st.sampled_from(TYPES),
    start=st.sampled_from(["kmeans", "random"]),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    n_levels=st.integers(1, 6),
    reg_covar=st.sampled_from([0.0, 1e-6, 1e-2]),
    seed=st.integers(0, 100),
)
def test_every_state_is_a_mixture(k, covariance_type, start, size, n_levels, reg_covar, seed):
    g = torch.Generator().manual_seed(seed)
    image = torch.randint(0, n_levels, (3, *size), generator=g) / max(n_levels - 1, 1)
    method = GaussianMixture(
        n_components=k, covariance_type=covariance_type, start=start, reg_covar=reg_covar, seed=seed, max_iter=8
    )
    for state in method.steps(image):
        assert state.resp.shape == (k, *size)
        torch.testing.assert_close(state.resp.sum(0), torch.ones(size))
        assert float(state.weights.sum()) == pytest.approx(1)
        assert bool((state.weights >= 0).all())
        assert bool((torch.linalg.eigvalsh(state.covariances) > 0).all())
        assert bool(state.log_resp.isfinite().all())
        assert math.isfinite(float(state.log_likelihood))
        chosen = state.resp.gather(0, state.labels[None])[0]
        assert bool((chosen >= state.resp.amax(0) - 1e-6).all())


# Where it is degenerate


@every_type
@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_a_constant_picture_has_one_component(value, covariance_type):
    image = torch.full((3, 4, 5), value)
    end = GaussianMixture(n_components=3, covariance_type=covariance_type, color_space="rgb").segment(image)
    assert end.status is Status.CONVERGED
    assert end.n_segments == 1
    torch.testing.assert_close(end.state.weights.sort().values, torch.tensor([0.0, 0.0, 1.0]).double())
    assert end.state.means[end.labels[0, 0]].tolist() == pytest.approx([value] * 3, abs=1e-6)
    without = GaussianMixture(n_components=3, covariance_type=covariance_type, reg_covar=0.0).segment(image)
    assert without.status is Status.DEGENERATE
    assert without.state.n_iter == 0
    assert math.isfinite(float(without.state.log_likelihood))


def test_fewer_colors_than_components_leave_the_others_without_weight():
    image = torch.tensor([[0.1, 0.1, 0.5, 0.9]]).expand(3, 1, 4).contiguous()
    state = GaussianMixture(n_components=5, color_space="rgb").segment(image).state
    assert state.weights.sort().values.tolist() == pytest.approx([0, 0, 1 / 4, 1 / 4, 1 / 2], abs=1e-12)
    assert len(state.labels.unique()) == 3
    assert state.labels[0, 0] == state.labels[0, 1]
    assert state.resp.amax(0).tolist() == [[1.0] * 4]


def test_a_component_that_collapses_ends_the_run_with_what_was_before():
    image = torch.cat([torch.full((1, 10, 10), 0.9), 0.2 * torch.rand(1, 10, 10, generator=torch.Generator())], 1)
    given = {
        "weights": torch.tensor([0.5, 0.5]),
        "means": torch.tensor([[0.1], [0.9]]),
        "covariances": torch.full((2, 1, 1), 0.01),
    }
    method = GaussianMixture(n_components=2, color_space="gray", reg_covar=0.0, tol=0.0, **given)
    *_, before, last = method.steps(image)
    assert last.status is Status.DEGENERATE
    for name in ("weights", "means", "covariances", "log_likelihood"):
        assert torch.equal(getattr(last, name), getattr(before, name))
    regular = dataclasses.replace(method, reg_covar=1e-6, tol=1e-6).segment(image)
    assert regular.status is Status.CONVERGED
    narrow = regular.state.covariances[1, 0, 0]
    assert float(narrow) == pytest.approx(1e-6, rel=1e-3)  # what the regularization leaves


@pytest.mark.parametrize(("variance", "degenerate"), [(1e-10, False), (1e-14, True), (0.0, True), (-1e-9, True)])
def test_a_spread_of_the_size_of_rounding_is_none(variance, degenerate):
    samples, covariances = random_samples(2), 0.1 * torch.eye(2, dtype=torch.float64).repeat(3, 1, 1)
    covariances[1, 0, 0] = variance
    mixture = Mixture(torch.full((3,), 1 / 3, dtype=torch.float64), torch.zeros(3, 2).double(), covariances)
    assert bool(is_degenerate(samples, mixture)) is degenerate


def test_a_component_without_support_waits_with_weight_zero():
    samples = random_samples(2)
    resp = torch.zeros(2, len(samples.counts), dtype=torch.float64)
    resp[0] = 1
    fitted = m_step(samples, sufficient_statistics(samples, resp), "full", 1e-6)
    assert fitted.weights.tolist() == [1.0, 0.0]
    torch.testing.assert_close(fitted.means[1], samples.center)
    log_likelihood, statistics = e_step(samples, fitted)
    again = m_step(samples, statistics, "full", 1e-6)
    assert again.weights.tolist() == [1.0, 0.0]
    alone = Mixture(*(part[:1] for part in fitted))
    torch.testing.assert_close(log_likelihood, e_step(samples, alone)[0])


# Starts


def test_the_start_by_k_means_fits_its_clusters():
    image = noisy()
    state = GaussianMixture(n_components=3, reg_covar=0.0, seed=4).init(image)
    labels = KMeans(n_clusters=3, tol=1.0, seed=4).segment(image).labels.flatten()
    x = pixel_features(image, "lab").double()
    for k in range(3):
        own = x[labels == k]
        torch.testing.assert_close(state.weights[k], torch.tensor(len(own) / len(x), dtype=torch.float64))
        torch.testing.assert_close(state.means[k], own.mean(0), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(state.covariances[k], torch.cov(own.T, correction=0), rtol=1e-6, atol=1e-4)


def test_the_random_start_follows_its_seed_and_takes_the_pictures_colors():
    image = noisy()
    starts = [GaussianMixture(start="random", color_space="rgb", seed=seed).init(image) for seed in (0, 0, 1)]
    assert torch.equal(starts[0].means, starts[1].means)
    assert not torch.equal(starts[0].means, starts[2].means)
    colors = image.flatten(1).T.double()
    assert torch.cdist(starts[0].means, colors).amin(1).max() < 1e-7
    assert starts[0].means.unique(dim=0).shape == (5, 3)
    torch.testing.assert_close(
        starts[0].covariances[0], torch.cov(colors.T, correction=0) + 1e-6 * torch.eye(3), rtol=1e-9, atol=1e-12
    )


def test_each_given_parameter_replaces_the_starts():
    image, means = noisy(), torch.tensor([[0.2, 0.2, 0.2], [0.5, 0.5, 0.5]])
    plain = GaussianMixture(n_components=2, color_space="rgb")
    state, found = dataclasses.replace(plain, means=means).init(image), plain.init(image)
    torch.testing.assert_close(state.means, means.double())
    assert torch.equal(state.weights, found.weights)
    assert torch.equal(state.covariances, found.covariances)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"means": torch.zeros(3, 3)}, r"means must have shape \(2, 3\).*got \(3, 3\)"),
        ({"means": torch.zeros(2, 1)}, r"means must have shape \(2, 3\)"),
        ({"covariances": torch.eye(3)}, "covariances must have shape"),
        ({"covariances": torch.zeros(2, 3, 3)}, "positive definite"),
        ({"weights": torch.tensor([0.5, 0.6])}, "sum 1"),
        ({"weights": torch.tensor([1.5, -0.5])}, "negative"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(n_components=2, color_space="rgb", **wrong).init(noisy())


def test_regularization_means_the_same_in_every_color_space():
    image = torch.full((3, 4, 5), 0.5)
    for space, white in (("rgb", 1.0), ("hsv", 1.0), ("lab", 100.0), ("luv", 100.0)):
        state = GaussianMixture(n_components=1, color_space=space, reg_covar=1e-3).init(image)
        torch.testing.assert_close(state.covariances[0], 1e-3 * white**2 * torch.eye(3).double())


# Invariances, views and selection


@pytest.mark.parametrize(
    "turn", [lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT], ids=["left", "up", "turned"]
)
def test_a_turned_picture_has_the_turned_labels(turn):
    image = noisy()
    method = GaussianMixture(n_components=3)
    assert torch.equal(method.segment(turn(image).contiguous()).labels, turn(method.segment(image).labels))


def test_finds_the_areas_of_a_scene():
    scene = shapes(height=48, width=64, seed=1)
    state = GaussianMixture(n_components=3).segment(scene.image).state
    assert state.log_likelihood > GaussianMixture(n_components=1).segment(scene.image).state.log_likelihood


def by_bayes(image: Tensor, state: GaussianMixtureState) -> Tensor:
    """The responsibilities (K, H, W) of a mixture of a picture's own values, by SciPy's densities."""
    x = image.flatten(1).T.double().numpy()
    parts = zip(*(part.numpy() for part in state.mixture), strict=True)
    joint = np.stack([w * multivariate_normal(m, c).pdf(x) for w, m, c in parts])
    return torch.from_numpy(joint / joint.sum(0)).reshape(-1, *image.shape[1:]).float()


@pytest.mark.parametrize("channels", [1, 3])
def test_shows_the_components_over_the_colors(channels):
    image = noisy(channels=channels)
    state = GaussianMixture(n_components=3, color_space="gray" if channels == 1 else "rgb").segment(image).state
    first, claims, bars, unsure = state.panels(image)
    assert isinstance(claims, Pictures)
    torch.testing.assert_close(claims.values, by_bayes(image, state))
    assert claims.names == list("012")
    assert torch.equal(claims.values.argmax(0), state.labels)  # a picture's name is its label
    assert (claims.low, claims.high) == (0, 1)
    assert isinstance(bars, Bars)
    assert isinstance(unsure, Picture)
    assert torch.equal(bars.values, state.weights)
    assert unsure.values.shape == image.shape[1:]
    assert 0 <= float(unsure.values.min()) <= float(unsure.values.max()) <= math.log2(3)
    if channels == 3:
        assert isinstance(first, Scatter)
        assert first.points.shape == (600, 2)
        torch.testing.assert_close(first.points.float(), image[:2].flatten(1).T)
        torch.testing.assert_close(first.colors, image.flatten(1).T)
        assert first.covariances.shape == (3, 2, 2)
        return
    assert isinstance(first, Histogram)
    assert float(first.counts.sum()) == 600
    torch.testing.assert_close(first.edges[[0, -1]].float(), torch.stack([image.min(), image.max()]))
    assert set(first.curves) == {"0", "1", "2", "mixture"}
    torch.testing.assert_close(sum(first.curves[k] for k in "012"), first.curves["mixture"])
    inside = float(first.curves["mixture"].sum())  # the rest lies beyond the darkest and the lightest pixel
    assert 0.95 * 600 < inside < 600


@pytest.mark.parametrize(
    ("k", "title"), [(12, "Responsibilities (white: 1)"), (14, "Responsibilities: 12 of 14 (white: 1)")]
)
def test_shows_the_responsibilities_of_the_heaviest_where_they_always_stand(k, title):
    image, mixture = noisy(), random_mixture(k, 3)
    state = GaussianMixture(n_components=k, color_space="rgb", max_iter=0, **mixture._asdict()).init(image)
    claims = state.panels(image)[1]
    heaviest = sorted(sorted(range(k), key=lambda i: -float(mixture.weights[i]))[:12])
    assert claims.title == title
    assert claims.names == [str(i) for i in heaviest]
    torch.testing.assert_close(claims.values, by_bayes(image, state)[heaviest])


@pytest.mark.parametrize("turned", [False, True])
def test_shows_the_mean_responsibilities_of_blocks_of_a_large_picture(turned):
    image = noisy(10, 500)
    image = image.mT.contiguous() if turned else image
    state = GaussianMixture(n_components=3, color_space="rgb", max_iter=2).segment(image).state
    shown = state.panels(image)[1].values
    shown = shown.mT if turned else shown
    resp = by_bayes(image, state)
    resp = resp.mT if turned else resp
    assert shown.shape == (
        3,
        4,
        167,
    )  # 500 pixels are more than twice 200: blocks of 3 × 3, with what is left at the end
    for row, col in ((0, 0), (1, 80), (3, 166)):
        block = resp[:, 3 * row : 3 * row + 3, 3 * col : 3 * col + 3]
        torch.testing.assert_close(shown[:, row, col], block.mean((1, 2)))


def test_a_large_picture_shows_some_of_its_pixels():
    image = noisy(60, 70)
    (first, *_) = GaussianMixture(n_components=2, max_iter=1).segment(image).state.panels(image)
    assert 1000 < len(first.points) <= 2000


def test_selects_as_many_components_as_there_are():
    g = torch.Generator().manual_seed(3)
    which = torch.randint(0, 3, (40, 40), generator=g)
    colors = torch.tensor([[0.2, 0.3, 0.4], [0.5, 0.6, 0.3], [0.8, 0.4, 0.7]])
    image = (colors[which] + 0.04 * torch.randn(40, 40, 3, generator=g)).movedim(-1, 0).clamp(0, 1)
    curve = select_components(image, range(1, 6), GaussianMixture(color_space="rgb", tol=1e-5))
    assert curve.best == 3
    assert curve.n_components == (1, 2, 3, 4, 5)
    assert [len(state.weights) for state in curve.states] == [1, 2, 3, 4, 5]
    assert curve.bic == [state.bic for state in curve.states]
    assert curve.aic[2] < min(curve.aic[:2])
    panel = curve.panel()
    assert panel.marks == {"lowest BIC": 3.0}
    assert len(panel.curves["BIC"]) == 5


def test_the_best_size_has_the_lowest_bic_and_is_the_smallest_of_equals():
    scores = [(5.0, 5.0), (3.0, 4.0), (3.0, 2.0)]  # BIC, AIC
    states = tuple(SimpleNamespace(bic=bic, aic=aic) for bic, aic in scores)
    assert ComponentCurve(n_components=(1, 2, 3), states=states).best == 2


def test_monomials_and_coefficients_are_one_scalar_product():
    mixture = random_mixture(2, 4)
    x = torch.rand(4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    product = coefficients(mixture) @ monomials(x)
    assert monomials(x).shape == (15, 7)
    for k, (w, m, c) in enumerate(zip(*mixture, strict=True)):
        expected = w.log() + torch.distributions.MultivariateNormal(m, c).log_prob(x.T)
        torch.testing.assert_close(product[k], expected)


@pytest.mark.gpu
def test_both_steps_on_a_gpu():
    samples, mixture = random_samples(3), random_mixture(4, 3)
    there = Samples(**{f.name: getattr(samples, f.name).cuda() for f in dataclasses.fields(samples)})
    log_likelihood, statistics = e_step(there, Mixture(*(part.cuda() for part in mixture)))
    torch.testing.assert_close(statistics.cpu(), e_step(samples, mixture)[1])
    fitted = m_step(there, statistics, "full", 1e-6)
    assert fitted.means.device.type == log_likelihood.device.type == "cuda"


@pytest.mark.gpu
def test_shows_the_same_on_a_gpu():
    image = noisy()
    mixture = random_mixture(14, 3)
    method = GaussianMixture(n_components=14, color_space="rgb", max_iter=0, **mixture._asdict())
    here, there = (method.init(x).panels(x)[1] for x in (image, image.cuda()))
    assert there.names == here.names
    torch.testing.assert_close(there.values.cpu(), here.values)
