"""k-means: by hand, by plain loops, beside scikit-learn, and what Lloyd's iteration promises."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.cluster
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seglab import datasets
from seglab.features import distinct_features, pixel_features
from seglab.image import as_image
from seglab.kernels import kmeans as clusters
from seglab.kernels.kmeans import Columns, Lloyd
from seglab.methods import KMeans, KMeansState
from seglab.methods.kmeans import assign, inertia, kmeans_plus_plus, random_points, update
from seglab.panels import Histogram, Scatter
from seglab.segmenter import Status, generator


def noisy(height: int = 20, width: int = 30, channels: int = 3, seed: int = 0) -> Tensor:
    """Three areas of different colors, rounded to 8 bits."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.2)
    image[:, :, width // 3 :] = 0.5
    image[0, height // 2 :] += 0.3
    return (255 * (image + 0.08 * torch.randn(image.shape, generator=g)).clamp(0, 1)).round() / 255


def in_float64(method: KMeans, image: Tensor) -> KMeansState:
    """The end of plain steps on a picture in double precision."""
    picture = as_image(image, dtype=torch.float64)
    state = method.init(picture)
    while state.status is Status.RUNNING:
        state = method.step(picture, state)
    return state


def reference(x: np.ndarray, centers: np.ndarray, **options: Any) -> sklearn.cluster.KMeans:
    """scikit-learn's, from given centers until no label changes."""
    method = sklearn.cluster.KMeans(len(centers), init=centers, n_init=1, algorithm="lloyd", tol=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge, where max_iter is small on purpose
        return method.fit(x)


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_six_pixels_by_hand() -> None:
    """0, 1, 2 and 8, 9, 10 from centers 0 and 1: first {0}, {1, 2, 8, 9, 10} with means 0 and 6, then 1 and 9."""
    image = torch.tensor([[0, 1, 2], [8, 9, 10]]) / 10
    method = KMeans(n_clusters=2, color_space="gray", centers=torch.tensor([[0.0], [0.1]]))
    states = list(method.steps(image))
    assert [(10 * state.centers).flatten().tolist() for state in states] == [
        pytest.approx([0, 1], abs=1e-5),
        pytest.approx([0, 6], abs=1e-5),
        pytest.approx([1, 9], abs=1e-5),
    ]
    assert [state.labels.tolist() for state in states] == [
        [[0, 1, 1], [1, 1, 1]],
        [[0, 0, 0], [1, 1, 1]],
        [[0, 0, 0], [1, 1, 1]],
    ]
    assert [100 * float(state.objective) for state in states] == pytest.approx([195, 34, 4], abs=1e-3)
    assert [state.status.name for state in states] == ["RUNNING", "RUNNING", "CONVERGED"]


def test_a_point_between_two_centers_goes_to_the_first() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0]])
    assert assign(x, torch.tensor([[0.0], [2.0]])).tolist() == [0, 0, 1]
    assert assign(x, torch.tensor([[2.0], [0.0], [0.0]])).tolist() == [1, 0, 0]


def test_counts_stand_for_repeated_points() -> None:
    x, counts = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([1, 3, 2])
    nearest, centers = torch.tensor([0, 0, 1]), torch.zeros(2, 1)
    assert update(x, nearest, centers, counts).tolist() == [[0.75], [5.0]]
    assert update(x, nearest, centers).tolist() == [[0.5], [5.0]]


# ---- beside plain loops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 3, 12])
def test_kernels_are_loops_over_points(n_features: int) -> None:
    g = torch.Generator().manual_seed(0)
    x, centers = (torch.randn(n, n_features, generator=g, dtype=torch.float64) for n in (200, 7))
    expected = [int(np.argmin([float(((p - c) ** 2).sum()) for c in centers])) for p in x]
    nearest = assign(x, centers)
    assert nearest.tolist() == expected
    means = torch.stack([x[torch.tensor(expected) == k].mean(dim=0) for k in range(7)])
    torch.testing.assert_close(update(x, nearest, centers), means)
    total = sum(float(((p - centers[k]) ** 2).sum()) for p, k in zip(x, expected, strict=True))
    assert float(inertia(x, torch.ones(200), centers, nearest)) == pytest.approx(total)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(1)
    x, centers = (torch.randn(n, 3, generator=g, dtype=torch.float64) for n in (100, 7))
    whole = assign(x, centers), update(x, assign(x, centers), centers)
    monkeypatch.setattr(clusters, "_BLOCK", {"cpu": 50})
    assert torch.equal(assign(x, centers), whole[0])
    torch.testing.assert_close(update(x, whole[0], centers), whole[1])


@pytest.mark.parametrize("n_features", [1, 3, 8])
@pytest.mark.parametrize("n", [1, 511, 512, 1300])
def test_the_compiled_loop_is_the_matrix_product(n_features: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(n)
    columns = Columns.of(torch.randn(n, n_features, generator=g, dtype=torch.float64))
    centers = torch.randn(7, n_features, generator=g, dtype=torch.float64)
    centers[5] = centers[2]  # of equally near ones, the first
    nearest, slack = clusters._assign_with_slack(columns, centers)
    monkeypatch.setattr(clusters, "_NARROW", 0)
    by_products, its_slack = clusters._assign_with_slack(columns, centers)
    # some matrix products round equal columns differently in the last bit: then they tell the two equal centers apart
    assert torch.equal(nearest, torch.where(by_products == 5, 2, by_products))
    assert 5 not in nearest
    torch.testing.assert_close(slack, its_slack)


def test_distances_far_from_the_origin_keep_their_digits() -> None:
    x = 1000 + torch.tensor([[0.0], [0.4], [0.6], [1.0]])
    assert assign(x, torch.tensor([[1000.0], [1001.0]])).tolist() == [0, 0, 1, 1]
    columns = Columns.of(x)
    assert columns.x[0].abs().max() < 1


# ---- beside scikit-learn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("color_space", ["gray", "rgb", "hsv", "lab", "luv"])
@pytest.mark.parametrize("n_clusters", [1, 2, 5, 11])
def test_the_end_is_scikit_learns(color_space: Any, n_clusters: int) -> None:
    image = noisy()
    x = pixel_features(image.double(), color_space)
    start = random_points(x, torch.ones(len(x)), n_clusters, generator(3))
    state = in_float64(KMeans(n_clusters=n_clusters, color_space=color_space, centers=start), image)
    theirs = reference(x.numpy(), start.numpy())
    np.testing.assert_array_equal(state.labels.flatten(), theirs.labels_)
    np.testing.assert_allclose(state.centers, theirs.cluster_centers_, rtol=1e-9, atol=1e-10)
    assert float(state.objective) == pytest.approx(theirs.inertia_, rel=1e-9)
    assert state.status is Status.CONVERGED
    if n_clusters > 1:
        assert state.n_iter + 1 == theirs.n_iter_  # theirs counts the first assignment too


@pytest.mark.parametrize("options", [{"spatial_weight": 0.7}, {"window": 3}, {"window": 2, "spatial_weight": 0.2}])
def test_places_and_windows_too(options: dict[str, Any]) -> None:
    image = noisy()
    x = pixel_features(image.double(), "rgb", **options)
    start = x[:: len(x) // 4][:4]
    state = in_float64(KMeans(n_clusters=4, color_space="rgb", centers=start, **options), image)
    theirs = reference(x.numpy(), start.numpy())
    np.testing.assert_array_equal(state.labels.flatten(), theirs.labels_)
    np.testing.assert_allclose(state.centers, theirs.cluster_centers_, rtol=1e-9)


@pytest.mark.parametrize("max_iter", [1, 3])
def test_labels_belong_to_the_centers_also_when_stopped(max_iter: int) -> None:
    image = noisy()
    x = pixel_features(image.double(), "rgb")
    start = x[::150].contiguous()
    state = in_float64(KMeans(n_clusters=4, color_space="rgb", centers=start, max_iter=max_iter), image)
    theirs = reference(x.numpy(), start.numpy(), max_iter=max_iter)
    assert state.status is Status.MAX_ITER
    assert state.n_iter == max_iter
    np.testing.assert_allclose(state.centers, theirs.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(state.labels.flatten(), theirs.labels_)
    assert torch.equal(state.labels.flatten(), assign(x, state.centers))


def test_weights_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, counts, start = rng.random((60, 3)), rng.integers(1, 50, 60), rng.random((5, 3))
    columns = Columns.of(torch.from_numpy(x), torch.from_numpy(counts))
    nearest, centers = assign(columns, torch.from_numpy(start)), torch.from_numpy(start)
    for _ in range(30):
        centers = update(columns, nearest, centers)
        nearest = assign(columns, centers)
    theirs = sklearn.cluster.KMeans(5, init=start, n_init=1, tol=0).fit(x, sample_weight=counts)
    np.testing.assert_array_equal(nearest, theirs.labels_)
    np.testing.assert_allclose(centers, theirs.cluster_centers_)
    total = inertia(columns.x[:-1].T + columns.mean, torch.from_numpy(counts), centers, nearest)
    assert float(total) == pytest.approx(theirs.inertia_)


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_a_photograph_in_single_precision_is_as_good_as_scikit_learns(name: str) -> None:
    image = datasets.photo(name)[:, :120, :160]
    points = distinct_features(image)
    start = kmeans_plus_plus(points.values, points.counts, 8, generator(0))
    state = KMeans(n_clusters=8, centers=start).segment(image).state
    theirs = reference(pixel_features(image).double().numpy(), start.double().numpy())
    assert float(state.objective) == pytest.approx(theirs.inertia_, rel=1e-4)
    assert (state.labels.flatten().numpy() == theirs.labels_).mean() > 0.999


# ---- the best of all --------------------------------------------------------------------------------------------


def best_inertia(values: np.ndarray, counts: np.ndarray, n_clusters: int) -> float:
    """The least inertia of sorted numbers: in one dimension clusters are intervals, so dynamic programming finds it."""

    def cost(i: int, j: int) -> float:
        w, v = counts[i:j], values[i:j]
        return float((w * (v - (w * v).sum() / w.sum()) ** 2).sum())

    n = len(values)
    best = [0.0] + [np.inf] * n
    for _ in range(n_clusters):
        best = [0.0] + [min(best[i] + cost(i, j) for i in range(j)) for j in range(1, n + 1)]
    return best[n]


@given(st.lists(st.integers(0, 255), min_size=5, max_size=12, unique=True), st.integers(2, 4), st.integers(0, 5))
def test_in_one_dimension_never_below_the_optimum_and_a_fixed_point(grays: list[int], k: int, seed: int) -> None:
    image = torch.tensor([grays + grays[:2]], dtype=torch.float64) / 255
    state = in_float64(KMeans(n_clusters=k, color_space="gray", seed=seed), image)
    values = np.array(sorted(grays)) / 255
    counts = np.array([1 + (g in grays[:2]) for g in sorted(grays)])
    optimum = best_inertia(values, counts, k)
    assert float(state.objective) >= optimum * (1 - 1e-9) - 1e-12
    again = in_float64(KMeans(n_clusters=k, color_space="gray", centers=state.centers), image)
    assert float(again.objective) == pytest.approx(float(state.objective), abs=1e-12)
    if state.status is Status.CONVERGED:
        starts = [in_float64(KMeans(n_clusters=k, color_space="gray", seed=s), image) for s in range(12)]
        assert min(float(s.objective) for s in starts) <= optimum * 1.5 + 1e-9


def test_the_best_of_several_starts_is_the_optimum_of_a_gray_picture() -> None:
    image = datasets.photo("coins")[:, ::12, ::12]
    points = distinct_features(image, "gray")
    optimum = best_inertia(points.values[:, 0].double().numpy(), points.counts.double().numpy(), 3)
    starts = [KMeans(n_clusters=3, color_space="gray", seed=seed).segment(image).state for seed in range(5)]
    assert min(float(state.objective) for state in starts) == pytest.approx(optimum, rel=1e-3)


# ---- the start --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [kmeans_plus_plus, random_points])
def test_starting_centers_are_different_points(draw: Any) -> None:
    """Also where rounding gives a frequent point a distance to itself, and the last point is rare and near another."""
    for seed in range(30):
        x = 100 * torch.rand(4, 3, generator=generator(seed))
        x = torch.cat([x, x[:1] + 0.2])
        counts = torch.tensor([10**6, 10**6, 10**6, 10**6, 1])
        assert sorted(draw(x, counts, 5, generator(seed)).tolist()) == sorted(x.tolist())


def test_random_points_are_drawn_by_frequency() -> None:
    x, counts = torch.arange(3.0)[:, None], torch.tensor([1, 2, 7])
    drawn = [int(random_points(x, counts, 1, generator(seed))) for seed in range(2000)]
    assert np.bincount(drawn) / 2000 == pytest.approx([0.1, 0.2, 0.7], abs=0.03)


def test_plain_kmeans_plus_plus_draws_in_proportion_to_squared_distances() -> None:
    """From 0, the next center is 1, 2 or 3 with odds 1·3 : 4·2 : 9·1, the first factor D², the second the count."""
    x, counts = torch.arange(4.0)[:, None], torch.tensor([10**9, 3, 2, 1])
    drawn = [int(kmeans_plus_plus(x, counts, 2, generator(seed), n_candidates=1)[1]) for seed in range(2000)]
    assert np.bincount(drawn, minlength=4) / 2000 == pytest.approx([0, 3 / 20, 8 / 20, 9 / 20], abs=0.03)


def test_more_candidates_start_lower() -> None:
    points = distinct_features(datasets.photo("coffee")[:, ::8, ::8])

    def mean(n: int) -> float:
        starts = [kmeans_plus_plus(points.values, points.counts, 8, generator(s), n_candidates=n) for s in range(20)]
        return float(
            np.mean([float(inertia(points.values, points.counts, c, assign(points.values, c))) for c in starts])
        )

    assert mean(5) < mean(1)


# ---- what is promised -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("options", [{}, {"start": "random"}, {"spatial_weight": 1.0}, {"window": 3}])
def test_the_inertia_never_rises(seed: int, options: dict[str, Any]) -> None:
    image = noisy().double()
    method = KMeans(n_clusters=6, seed=seed, **options)
    states = [method.init(image)]
    while states[-1].status is Status.RUNNING:
        states.append(method.step(image, states[-1]))
    values = [float(state.objective) for state in states]
    assert len(values) > 2
    assert all(b <= a * (1 + 1e-12) for a, b in zip(values, values[1:], strict=False))


@pytest.mark.parametrize("name", ["chelsea", "coffee", "coins", "rocket"])
@pytest.mark.parametrize("n_clusters", [1, 2, 8, 25])
@pytest.mark.parametrize("window", [1, 3])
def test_looking_only_where_labels_may_change_gives_the_same_steps(name: str, n_clusters: int, window: int) -> None:
    image = datasets.photo(name)[:, :: 2 * window, :: 2 * window]
    method = KMeans(n_clusters=n_clusters, max_iter=80, window=window)
    *_, plain = method.steps(image)
    quick = method.segment(image).state
    assert quick.n_iter == plain.n_iter
    assert quick.status == plain.status
    assert torch.equal(quick.labels, plain.labels)
    torch.testing.assert_close(quick.centers, plain.centers)
    assert len(quick.path) == len(plain.path) == plain.n_iter


def test_most_points_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    image = datasets.photo("coffee")[:, ::2, ::2]
    state = KMeans(n_clusters=8).init(image)
    looked: list[int] = []
    spend = clusters._compiled(clusters._spend_loop)

    def counted(*arrays: object) -> int:
        looked.append(spend(*arrays))
        return looked[-1]

    plain = clusters._compiled
    monkeypatch.setattr(clusters, "_compiled", lambda loop: counted if loop is clusters._spend_loop else plain(loop))
    lloyd = Lloyd(state.columns, state.nearest, state.centers)
    while not lloyd.step():
        pass
    assert sum(looked) < 0.5 * len(looked) * len(state.points)


@pytest.mark.parametrize("solve", [False, True])
def test_a_center_without_points_moves_to_the_farthest_point(solve: bool) -> None:
    """All pixels are nearest to the first center; the others take 1.0, which is farthest from it, and then 0.9."""
    image = torch.tensor([[0.0, 0.1, 0.1, 0.9, 1.0]])
    method = KMeans(n_clusters=3, color_space="gray", centers=torch.tensor([[0.4], [9.0], [8.0]]), max_iter=1)
    state = method.segment(image).state if solve else list(method.steps(image))[-1]
    assert state.centers.flatten().tolist() == pytest.approx([0.2 / 3, 1.0, 0.9], abs=1e-6)
    assert state.labels.tolist() == [[0, 0, 0, 2, 1]]


def test_a_center_stays_where_no_point_is_at_a_distance() -> None:
    x, centers = torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([[9.0], [0.0], [1.0]])
    assert update(x, torch.tensor([1, 1, 2]), centers).tolist() == centers.tolist()


def test_no_center_stays_empty_while_there_are_points_to_take() -> None:
    far = torch.full((6, 3), 50.0) + torch.arange(6.0)[:, None]
    result = KMeans(n_clusters=6, color_space="rgb", centers=far).segment(noisy())
    assert result.labels.unique().tolist() == [0, 1, 2, 3, 4, 5]
    assert result.status is Status.CONVERGED
    assert bool(result.state.centers.isfinite().all())


@pytest.mark.parametrize("options", [{}, {"start": "random"}, {"centers": torch.rand(5, 3)}])
def test_fewer_colors_than_clusters_are_clusters_of_their_own(options: dict[str, Any]) -> None:
    image = np.array([[[255, 0, 0], [0, 0, 255]], [[255, 0, 0], [255, 0, 0]]], np.uint8)
    result = KMeans(n_clusters=5, **options).segment(image)
    assert result.status is Status.DEGENERATE
    assert result.state.n_iter == 0
    assert result.n_segments == 2
    assert result.labels[0, 0] != result.labels[0, 1]
    assert float(result.state.objective) == pytest.approx(0, abs=1e-3)
    assert result.state.centers.shape == (5, 3)
    assert bool(result.state.centers.isfinite().all())


def test_equal_points_that_are_not_counted_together_leave_clusters_empty() -> None:
    image = torch.full((3, 4, 4), 0.3)
    result = KMeans(n_clusters=3, window=2).segment(image)
    assert result.labels.unique().tolist() == [0]
    assert result.status is Status.CONVERGED
    assert bool(result.state.centers.isfinite().all())


def test_a_tolerance_stops_earlier() -> None:
    image = datasets.photo("coffee")[:, ::4, ::4]
    exact, rough = (KMeans(n_clusters=8, tol=tol).segment(image).state for tol in (0.0, 0.5))
    assert rough.n_iter < exact.n_iter
    assert rough.status is Status.CONVERGED
    last = (rough.centers - rough.path[-1]).norm(dim=1).amax()
    before = (rough.path[-1] - rough.path[-2]).norm(dim=1).amax()
    assert last <= 0.5 < before
    assert torch.equal(rough.labels, list(KMeans(n_clusters=8, tol=0.5).steps(image))[-1].labels)


def test_given_centers_are_left_as_they_are() -> None:
    start = torch.tensor([[0.1], [0.9]])
    kept = start.clone()
    KMeans(n_clusters=2, color_space="gray", centers=start).segment(noisy(channels=1))
    assert torch.equal(start, kept)


@pytest.mark.parametrize(
    ("centers", "message"),
    [
        (torch.zeros(3, 3), r"n_clusters=5; got \(3, 3\)"),
        (np.zeros(5), r"got \(5,\)"),
        (torch.zeros(5, 2), "centers have 2 features, pixels have 3"),
    ],
)
def test_centers_that_do_not_fit_are_refused(centers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KMeans(n_clusters=5, centers=centers).segment(noisy())


def test_turning_the_picture_turns_the_labels() -> None:
    image = noisy()
    start = pixel_features(image)[::150].contiguous()
    method = KMeans(n_clusters=4, centers=start)
    assert torch.equal(method.segment(image).labels.flip(0), method.segment(image.flip(1)).labels)


# ---- what is shown ----------------------------------------------------------------------------------------------


def test_centers_have_colors() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 2:] = (200, 100, 50)
    for color_space in ("rgb", "hsv", "lab", "luv"):
        state = KMeans(n_clusters=2, color_space=color_space).segment(image).state  # type: ignore[arg-type]
        colors = sorted((255 * state.colors).round().int().tolist())
        assert colors == [[0, 0, 0], [200, 100, 50]]


def test_shows_pixels_and_the_ways_of_the_centers() -> None:
    image = datasets.photo("coffee")[:, ::4, ::4]
    states = list(KMeans(n_clusters=4).steps(image))
    (first,), (last,) = states[0].panels(image), states[-1].panels(image)
    assert isinstance(first, Scatter)
    assert isinstance(last, Scatter)
    assert first.paths == ()
    assert len(last.paths) == 4
    assert last.paths[0].shape == (len(states), 3)
    assert torch.equal(last.paths[2][-1], last.centers[2])
    assert len(last.points) == len(last.labels) == 2000
    assert torch.equal(last.labels, assign(last.points, last.centers))
    assert "inertia" in states[0].describe()


@pytest.mark.parametrize(
    ("options", "kind"), [({}, Histogram), ({"window": 3}, Histogram), ({"spatial_weight": 1}, Scatter)]
)
def test_gray_pictures_show_what_they_have(options: dict[str, Any], kind: type) -> None:
    image = noisy(channels=1)
    (panel,) = KMeans(n_clusters=3, color_space="gray", **options).segment(image).state.panels(image)
    assert isinstance(panel, kind)
    if isinstance(panel, Histogram):
        assert float(torch.as_tensor(panel.counts).sum()) == 600
        assert len(panel.marks) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"start": "random"}, {"spatial_weight": 1.0}])
def test_steps_on_a_gpu_are_those_on_the_cpu(options: dict[str, Any]) -> None:
    image = datasets.photo("coffee")
    method = KMeans(n_clusters=8, max_iter=20, **options)
    here, there = method.segment(image), method.segment(image, device="cuda")
    torch.testing.assert_close(there.state.path[0].cpu(), here.state.path[0])
    assert (there.labels.cpu() == here.labels).double().mean() > 0.99
    assert float(there.state.objective) == pytest.approx(float(here.state.objective), rel=1e-3)


def test_an_interruption_gives_the_latest_complete_step_with_its_own_labels(monkeypatch):
    image, method = datasets.photo("coffee", max_side=40), KMeans(n_clusters=4)
    taken, step = [], Lloyd.step

    def two_steps(self):
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(self)
        return step(self)

    monkeypatch.setattr(Lloyd, "step", two_steps)
    result = method.segment(image)
    second = list(method.steps(image))[2]
    assert result.interrupted
    assert result.state.n_iter == 2
    assert torch.equal(result.labels, second.labels)
    monkeypatch.undo()
    assert torch.equal(method.segment(image, init=result.state).labels, method.segment(image).labels)
