"""Felzenszwalb–Huttenlocher: by hand, by a plain Kruskal loop, beside scikit-image, and what the paper proves."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.segmentation
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from seglab import datasets
from seglab.image import as_image
from seglab.kernels import felzenszwalb as parts
from seglab.kernels.felzenszwalb import gaussian_taps, roots
from seglab.labels import as_labels, connected_components, count_labels, relabel, segment_sizes
from seglab.methods import Felzenszwalb, FelzenszwalbState
from seglab.methods.felzenszwalb import grid_edges, nearest_edges, smooth
from seglab.metrics import region_benchmark, region_scores, variation_of_information
from seglab.panels import Histogram, Lines, Picture
from seglab.segmenter import Status

PLAIN = {"sigma": 0.0, "min_size": 1}


def noisy(height: int = 24, width: int = 32, channels: int = 3, seed: int = 0, noise: float = 0.05) -> Tensor:
    """Areas of different colors with noise, without ties."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.3)
    image[:, :, width // 3 :] = 0.5
    image[0, height // 2 :] += 0.2
    return (image + noise * torch.randn(image.shape, generator=g)).clamp(0, 1)


def row(*levels: float) -> Tensor:
    """A picture of one row, in levels of 0 to 255."""
    return torch.tensor([[levels]], dtype=torch.float32) / 255


def naive_edges(image: Tensor, connectivity: int = 8) -> list[tuple[float, int, int]]:
    """Weights and pixels of all edges, lightest first: to the right, then down, down right, down left."""
    x, (height, width) = image.movedim(0, -1).double().numpy(), image.shape[1:]
    edges = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1))[: connectivity // 2]:
        for r in range(height):
            for c in range(width):
                p, q = r + down, c + right
                if p < height and 0 <= q < width:
                    edges.append((float(np.linalg.norm(x[r, c] - x[p, q])), r * width + c, p * width + q))
    return sorted(edges, key=lambda edge: edge[0])


def naive(image: Tensor, k: float, min_size: int = 1, connectivity: int = 8) -> Tensor:
    """The paper's algorithm, each region a set; k in units of the weights."""
    edges, n = naive_edges(image, connectivity), image[0].numel()
    members, internal = {i: [i] for i in range(n)}, dict.fromkeys(range(n), 0.0)
    of = list(range(n))
    for small in (False, True):
        for w, i, j in edges:
            a, b = of[i], of[j]
            bound = min(internal[a] + k / len(members[a]), internal[b] + k / len(members[b]))
            joins = min(len(members[a]), len(members[b])) < min_size if small else w <= bound
            if a != b and joins:
                internal[a] = max(w, internal[a], internal[b])
                for pixel in members[b]:
                    of[pixel] = a
                members[a] += members.pop(b)
    return relabel(torch.tensor(of).reshape(image.shape[1:]))


def segments(method: Felzenszwalb, image: Any) -> Tensor:
    return method.segment(image).labels


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_a_row_by_hand() -> None:
    """0 10 30 80, k = 40. 0–10 (w 10 ≤ 40/1), Int 10; 10–30 (20 ≤ 10 + 40/2, 20 ≤ 40), Int 20; 30–80 (50 > 40/1)."""
    method = Felzenszwalb(scale=40, connectivity=4, n_batches=3, **PLAIN)
    states = list(method.steps(row(0, 10, 30, 80)))
    assert [state.labels.tolist()[0] for state in states] == [[0, 1, 2, 3], [0, 0, 1, 2], [0, 0, 0, 1], [0, 0, 0, 1]]
    end = states[-1]
    assert end.status is Status.CONVERGED
    assert (255 * end.internal[end.parent[0]]).item() == pytest.approx(20, abs=1e-4)
    assert end.size[end.parent[0]] == 3
    assert [len(places) for places in end.joined] == [1, 1, 0]
    assert end.n_regions == 2


def test_equality_joins_as_in_the_paper_and_not_in_scikit_image() -> None:
    """Two pixels apart by w = 64 levels, exactly in binary, and k = 64."""
    image = torch.tensor([[[0.0, 0.25]]])
    assert segments(Felzenszwalb(scale=0.25 * 255, **PLAIN), image).tolist() == [[0, 0]]
    theirs = skimage.segmentation.felzenszwalb(image[0].numpy(), scale=0.25 * 255, sigma=0, min_size=0)
    assert theirs.tolist() == [[0, 1]]


def test_a_constant_picture_is_one_region() -> None:
    assert segments(Felzenszwalb(scale=0, **PLAIN), torch.full((3, 5, 7), 0.4)).unique().tolist() == [0]


@pytest.mark.parametrize("h", [0.1, 0.2])
@pytest.mark.parametrize("left", [1, 3, 6])
def test_two_flat_areas_join_if_the_step_is_at_most_k_over_the_larger(left: int, h: float) -> None:
    """Both have Int = 0: they join iff h ≤ min(k/|A|, k/|B|)."""
    image = torch.zeros(1, 4, 8)
    image[:, :, left:] = h
    larger = 4 * max(left, 8 - left)
    for k, n in ((1.01 * h * larger, 1), (0.99 * h * larger, 2)):
        assert count_labels(segments(Felzenszwalb(scale=255 * k, **PLAIN), image)) == n


def test_small_regions_join_at_their_lightest_edge() -> None:
    image = row(0, 0, 0, 100, 140, 140, 140)
    assert segments(Felzenszwalb(scale=1, sigma=0, min_size=1), image).tolist() == [[0, 0, 0, 1, 2, 2, 2]]
    assert segments(Felzenszwalb(scale=1, sigma=0, min_size=2), image).tolist() == [[0, 0, 0, 1, 1, 1, 1]]
    assert segments(Felzenszwalb(scale=1, sigma=0, min_size=5), image).tolist() == [[0] * 7]


# ---- plain loops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("k", [0.05, 0.5, 4.0])
@pytest.mark.parametrize("min_size", [1, 12])
@pytest.mark.parametrize("seed", [0, 1])
def test_kernels_are_a_plain_kruskal(connectivity: Any, k: float, min_size: int, seed: int) -> None:
    image = noisy(10, 13, seed=seed)
    method = Felzenszwalb(scale=255 * k, sigma=0, min_size=min_size, connectivity=connectivity)
    assert torch.equal(segments(method, image), naive(image, k, min_size, connectivity))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("shape", [(7, 9), (1, 6), (6, 1), (2, 2)])
def test_edges_are_all_pairs_of_neighbors_lightest_first(channels: int, connectivity: Any, shape: tuple) -> None:
    image = noisy(*shape, channels=channels)
    edges, expected = grid_edges(image, connectivity), naive_edges(image, connectivity)
    assert edges.pairs(slice(None)).tolist() == [[i, j] for _, i, j in expected]
    torch.testing.assert_close(edges.weights.double(), torch.tensor([w for w, _, _ in expected]).double())


def test_edges_of_equal_weight_keep_their_order() -> None:
    edges = grid_edges(torch.zeros(1, 3, 4))
    right, down = [[0, 1], [1, 2], [2, 3]], [[0, 4], [1, 5], [2, 6], [3, 7]]
    pairs = edges.pairs(slice(None)).tolist()
    assert pairs[:3] == right
    assert pairs[9:13] == down
    assert pairs[-1] == [7, 10]


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.sampled_from([4, 8]), st.integers(0, 99))
def test_compiled_loops_are_the_operations_of_any_device(h: int, w: int, c: int, connectivity: Any, seed: int) -> None:
    """Bit by bit, ties too: half of these pictures have few levels."""
    image = torch.rand(c, h, w, generator=torch.Generator().manual_seed(seed))
    image = image if seed % 2 else (image * 4).round() / 4
    with pytest.MonkeyPatch.context() as patch:
        mine = smooth(image, 0.8), grid_edges(image, connectivity)
        patch.setattr(parts, "_is_compiled", lambda image: False)
        theirs = smooth(image, 0.8), grid_edges(image, connectivity)
    assert torch.equal(mine[0], theirs[0])
    assert torch.equal(mine[1].weights, theirs[1].weights)
    assert torch.equal(mine[1].codes, theirs[1].codes)


def test_double_precision_is_computed_as_it_is_given() -> None:
    image = noisy().double()
    assert grid_edges(image).weights.dtype == torch.float64
    assert count_labels(Felzenszwalb(**PLAIN).init(image).labels) == image[0].numel()


def test_trees_are_numbered_by_their_first_pixel() -> None:
    labels, found = roots(np.array([3, 1, 1, 3, 4], np.int32))
    assert labels.tolist() == [0, 1, 1, 0, 2]
    assert found.tolist() == [3, 1, 4]


# ---- smoothing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.5])
@pytest.mark.parametrize("shape", [(20, 31), (3, 40), (1, 1)])
def test_smoothing_is_scipys(sigma: float, shape: tuple[int, int]) -> None:
    image = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    expected = scipy.ndimage.gaussian_filter(image.double().numpy(), (0, sigma, sigma), mode="reflect")
    torch.testing.assert_close(smooth(image, sigma).double(), torch.from_numpy(expected), atol=2e-6, rtol=0)
    assert gaussian_taps(sigma)[0] + 2 * gaussian_taps(sigma)[1:].sum() == pytest.approx(1)


@pytest.mark.parametrize("sigma", [0.4, 1.5, 6.0])
def test_smoothing_is_scipys_in_double_precision(sigma: float) -> None:
    x = torch.randn(2, 9, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [scipy.ndimage.gaussian_filter(plane, sigma) for plane in x.numpy()]
    np.testing.assert_allclose(smooth(x, sigma), expected, atol=1e-12)


def test_no_smoothing_is_the_picture() -> None:
    image = noisy()
    assert smooth(image, 0) is image


# ---- scikit-image -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.0, 0.8])
@pytest.mark.parametrize("scale", [10, 100, 1000])
@pytest.mark.parametrize("min_size", [1, 20])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scikit_image_has_the_same_partition(sigma: float, scale: float, min_size: int, seed: int) -> None:
    """In double precision and without ties, so that neither rounding nor the order of equals plays a part."""
    image = noisy(40, 50, seed=seed).double()
    method = Felzenszwalb(scale=scale, sigma=sigma, min_size=min_size)
    state = method.init(image)
    while state.status is Status.RUNNING:
        state = method.step(image, state)
    theirs = skimage.segmentation.felzenszwalb(
        image.movedim(0, -1).numpy(), scale=scale, sigma=sigma, min_size=min_size
    )
    assert torch.equal(state.labels, relabel(as_labels(theirs)))


@pytest.mark.parametrize("name", ["coffee", "flower", "coins"])
def test_photographs_come_out_as_scikit_images_but_for_ties(name: str) -> None:
    image = datasets.photo(name, max_side=300)
    array = image.movedim(0, -1).numpy()
    theirs = skimage.segmentation.felzenszwalb(array, scale=300, sigma=0.8, min_size=50, channel_axis=-1)
    ours = segments(Felzenszwalb(), image)
    assert variation_of_information(as_labels(theirs), ours) < 0.15
    assert abs(count_labels(ours) - len(np.unique(theirs))) <= 3


@pytest.mark.data
@pytest.mark.slow
def test_berkeley_scores_are_scikit_images(seglab_data: Path) -> None:
    """Every twentieth test picture at five of the usual settings, scored side by side."""
    settings = [(0.8, k, 50) for k in (200, 400, 800, 1500)] + [(0.8, 4000, 300)]
    ours, theirs = [], []
    for picture in datasets.BSDS500("test", root=seglab_data)[::20]:
        array = picture.image.movedim(0, -1).numpy()
        maps = [Felzenszwalb(sigma=s, scale=k, min_size=m).segment(picture.image).labels for s, k, m in settings]
        other = [skimage.segmentation.felzenszwalb(array, sigma=s, scale=k, min_size=m) for s, k, m in settings]
        ours.append(region_scores(picture.segmentations, maps))
        theirs.append(region_scores(picture.segmentations, [as_labels(x) for x in other]))
    a, b = region_benchmark(ours), region_benchmark(theirs)
    for name in ("covering", "rand", "information"):
        for kind in ("ods", "ois"):
            assert getattr(getattr(a, name), kind) == pytest.approx(getattr(getattr(b, name), kind), abs=0.005)
    assert a.covering.ods > 0.45


# ---- what the paper proves --------------------------------------------------------------------------------------


def spanning_tree(pixels: set[int], edges: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    tree, where = [], {p: {p} for p in pixels}
    for w, i, j in edges:
        if i in pixels and j in pixels and where[i] is not where[j]:
            union = where[i] | where[j]
            where.update(dict.fromkeys(union, union))
            tree.append((w, i, j))
    assert len(tree) == len(pixels) - 1, "a region is connected"
    return tree


def boundary_between(a: set[int], b: set[int], edges: list[tuple[float, int, int]], k: float) -> bool:
    between = [w for w, i, j in edges if (i in a and j in b) or (i in b and j in a)]
    internal = [max((w for w, _, _ in spanning_tree(s, edges)), default=0.0) + k / len(s) for s in (a, b)]
    return bool(between) and min(between) > min(internal)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("k", [0.1, 0.6])
def test_neither_too_fine_nor_too_coarse(seed: int, k: float) -> None:
    """Theorems 1 and 2: a boundary between any two neighbors, and some region would have none between its parts."""
    image = noisy(6, 8, seed=seed, noise=0.1)
    edges = naive_edges(image)
    labels = segments(Felzenszwalb(scale=255 * k, **PLAIN), image).flatten().tolist()
    regions = [{p for p, label in enumerate(labels) if label == n} for n in range(max(labels) + 1)]
    touching = {(labels[i], labels[j]) for _, i, j in edges if labels[i] != labels[j]}
    assert len(touching) > 0
    for a, b in touching:
        assert boundary_between(regions[a], regions[b], edges, k), "too fine"
    for region in regions:  # what splits a region first is its heaviest edge
        if len(region) > 1:
            *rest, (_, i, _) = spanning_tree(region, edges)
            part = {i}
            for _ in region:
                part |= {q for _, p, q in rest if p in part} | {p for _, p, q in rest if q in part}
            assert not boundary_between(part, region - part, edges, k), "too coarse"


@pytest.mark.parametrize("min_size", [2, 30, 400])
def test_regions_are_connected_and_none_is_too_small(min_size: int) -> None:
    labels = segments(Felzenszwalb(scale=20, min_size=min_size, sigma=0), noisy(30, 40, noise=0.15))
    assert torch.equal(labels, connected_components(labels, 8))
    assert segment_sizes(labels).min() >= min_size


def test_regions_join_only_and_come_lightest_first() -> None:
    states = list(Felzenszwalb(scale=100, n_batches=10).steps(noisy()))
    for before, after in pairwise(states):
        pairs = torch.unique(torch.stack([before.labels.flatten(), after.labels.flatten()], dim=1), dim=0)
        assert len(pairs) == count_labels(before.labels), "a region is part of one region afterwards"
        assert after.n_regions == count_labels(after.labels)
    assert bool((states[0].edges.weights.diff() >= 0).all())


@pytest.mark.parametrize("flip", [(1,), (2,), (1, 2)])
def test_flips_of_a_picture_without_ties(flip: tuple[int, ...]) -> None:
    image = noisy(20, 30)
    method = Felzenszwalb(scale=100, min_size=10, sigma=0)
    turned = segments(method, image.flip(flip)).flip([d - 1 for d in flip])
    assert torch.equal(relabel(turned), segments(method, image))


# ---- the nearest-neighbor graph ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spatial_weight", [0.5, 3.0])
def test_nearest_neighbors_are_scikit_learns(spatial_weight: float) -> None:
    image = noisy(9, 11)
    places = torch.cartesian_prod(torch.arange(9.0), torch.arange(11.0)).double() * spatial_weight
    points = torch.cat([places, 255 * image.double().flatten(1).T], dim=1).numpy()
    distances, others = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(points).kneighbors()
    expected = {(min(i, j), max(i, j)): d for i in range(99) for d, j in zip(distances[i], others[i], strict=True)}
    edges = nearest_edges(image, 6, spatial_weight)
    found = {tuple(p): 255 * w for p, w in zip(edges.pairs(slice(None)).tolist(), edges.weights.tolist(), strict=True)}
    assert found.keys() == expected.keys()
    assert all(found[pair] == pytest.approx(expected[pair], rel=1e-5) for pair in found)
    assert bool((edges.weights.diff() >= 0).all())


def test_what_is_seen_through_a_fence_is_one_region() -> None:
    image = torch.full((3, 20, 30), 0.2)
    image[:, :, 9:11] = image[:, :, 19:21] = 0.9  # two posts
    far = Felzenszwalb(graph="nearest", n_neighbors=30, spatial_weight=0.1, scale=2000, sigma=0, min_size=1)
    labels = segments(far, image)
    assert labels[0, 0] == labels[0, 15] == labels[0, 29]
    assert labels[0, 9] != labels[0, 0]
    assert count_labels(segments(Felzenszwalb(scale=200, **PLAIN), image)) == 5


# ---- steps, ends, and going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_batches", [1, 7, 50, 10_000])
def test_the_number_of_batches_makes_no_difference(n_batches: int) -> None:
    image = noisy(12, 15)
    expected = segments(Felzenszwalb(scale=50, min_size=5), image)
    *_, end = Felzenszwalb(scale=50, min_size=5, n_batches=n_batches).steps(image)
    assert torch.equal(end.labels, expected)
    assert end.passed == 2 * len(end.edges)


def test_steps_leave_earlier_states_alone_and_any_of_them_goes_on_to_the_same_end() -> None:
    method, image = Felzenszwalb(scale=50, min_size=5, n_batches=5), noisy()
    states = list(method.steps(image))
    for state in states:
        assert torch.equal(method.segment(image, init=state).labels, states[-1].labels)
    assert count_labels(states[0].labels) == image[0].numel()


def test_an_interruption_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    method, image = Felzenszwalb(scale=50, min_size=5, n_batches=5), noisy()
    calls = []

    def join(*args: Any) -> np.ndarray:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return parts.join(*args)

    monkeypatch.setattr("seglab.methods.felzenszwalb.join", join)
    result = method.segment(image)
    assert result.interrupted
    assert result.state.n_iter == 2
    monkeypatch.undo()
    assert torch.equal(method.segment(image, init=result.state).labels, segments(method, image))


def test_one_pixel_has_no_edges() -> None:
    result = Felzenszwalb().segment(torch.full((3, 1, 1), 0.5))
    assert result.labels.tolist() == [[0]]
    assert result.status is Status.CONVERGED
    assert result.state.panels(result.image) == ()


@pytest.mark.parametrize(
    "wrong",
    [{"scale": -1}, {"sigma": -0.1}, {"min_size": -5}, {"connectivity": 6}, {"graph": "tree"}, {"n_neighbors": 0}],
)
def test_refuses_parameters_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Felzenszwalb(**wrong)


# ---- the hierarchy ----------------------------------------------------------------------------------------------

SCALES = [20.0, 100.0, 1000.0, 10000.0]


@pytest.mark.parametrize("min_size", [1, 8])
def test_scales_nest_and_the_lowest_is_the_segmentation(min_size: int) -> None:
    image = noisy(noise=0.12)
    method = Felzenszwalb(scale=SCALES[0], sigma=0, min_size=min_size)
    tree = method.hierarchy(image, SCALES)
    cuts = [tree.cut(scale) for scale in SCALES]
    assert torch.equal(cuts[0], segments(method, image))
    for fine, coarse in pairwise(cuts):
        pairs = torch.unique(torch.stack([fine.flatten(), coarse.flatten()], dim=1), dim=0)
        assert len(pairs) == count_labels(fine)
        assert torch.equal(coarse, connected_components(coarse, 8))
    counts = [count_labels(cut) for cut in cuts]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    assert set(tree.levels.tolist()) <= set(SCALES[1:])


def test_a_higher_scale_joins_regions_by_their_mean_colors() -> None:
    """Areas of 2 pixels: 0, 10, 30. 21: 10 ≤ 21/2, but 20 > 21/2. 41: means 5 and 30, 25 > 41/4. 101: 25 ≤ 101/4."""
    image = row(0, 0, 10, 10, 30, 30)
    tree = Felzenszwalb(**PLAIN).hierarchy(image, [1, 21, 41, 101])
    cuts = [tree.cut(scale)[0].tolist() for scale in (1, 21, 41, 101)]
    assert cuts == [[0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1], [0] * 6]
    assert tree.heights.tolist() == [21, 101]


@pytest.mark.parametrize("seed", range(4))
def test_each_level_is_the_same_algorithm_on_regions(seed: int) -> None:
    image = noisy(12, 15, seed=seed, noise=0.12)
    tree = Felzenszwalb(**PLAIN).hierarchy(image, SCALES)
    for low, high in pairwise(SCALES):
        labels = tree.cut(low)
        n = count_labels(labels)
        means = torch.stack([image[:, labels == k].double().mean(1) for k in range(n)])
        found = ((int(labels[p]), int(labels[q])) for p, q in neighbors(labels))
        touching = {(min(pair), max(pair)) for pair in found}
        edges = sorted((float((means[a] - means[b]).norm()), int(a), int(b)) for a, b in touching if a != b)
        of, size, internal = list(range(n)), segment_sizes(labels).tolist(), [0.0] * n
        for w, i, j in edges:
            a, b = of[i], of[j]
            if a != b and w <= min(internal[x] + high / 255 / size[x] for x in (a, b)):
                of = [a if x == b else x for x in of]
                size[a], internal[a] = size[a] + size[b], w
        assert torch.equal(relabel(torch.tensor(of)[labels]), tree.cut(high))


def neighbors(labels: Tensor) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    height, width = labels.shape
    steps = ((0, 1), (1, 0), (1, 1), (1, -1))
    places = [((r, c), (r + i, c + j)) for r in range(height) for c in range(width) for i, j in steps]
    return [(p, q) for p, q in places if q[0] < height and 0 <= q[1] < width]


def test_one_scale_is_a_tree_of_leaves_alone() -> None:
    tree = Felzenszwalb(scale=5).hierarchy(noisy(), [100])
    assert len(tree.merges) == 0
    assert torch.equal(tree.leaves, segments(Felzenszwalb(scale=100), noisy()))


@pytest.mark.parametrize("scales", [[], [100, 100], [300, 100], [-1, 5]])
def test_refuses_scales_that_do_not_rise(scales: list[float]) -> None:
    with pytest.raises(ValueError, match="scales must rise"):
        Felzenszwalb().hierarchy(noisy(), scales)


# ---- what is shown ----------------------------------------------------------------------------------------------


def test_shows_the_forest_of_a_small_picture_and_the_difference_within_regions_of_a_large_one() -> None:
    small, large = (Felzenszwalb(n_batches=4).trace(noisy(h, w)) for h, w in ((8, 8), (40, 50)))
    forest, weights = small[-1].panels(small.image)
    assert isinstance(forest, Lines)
    assert isinstance(weights, Histogram)
    assert len(forest.lines) == 64 - small[-1].n_regions
    assert weights.y_label == "edges"
    internal, weights = large[2].panels(large.image)
    assert isinstance(internal, Picture)
    assert internal.values.shape == (40, 50)
    assert set(weights.marks) == {"this batch from", "to"}
    assert weights.counts.sum() <= len(large[0].edges)
    assert "levels" in large[2].describe()
    assert str(large[0].n_regions) in large[0].describe()
    assert "small regions" in large[-1].describe()


@pytest.mark.gpu
@pytest.mark.parametrize("graph", ["grid", "nearest"])
def test_a_gpu_comes_to_the_same_regions(graph: Any) -> None:
    image = as_image(datasets.photo("coffee", max_side=120))
    method = Felzenszwalb(graph=graph)
    assert torch.equal(method.segment(image, device="cuda").labels.cpu(), segments(method, image))


def test_a_state_moves_with_all_that_it_has() -> None:
    state = Felzenszwalb().init(noisy())
    assert isinstance(state, FelzenszwalbState)
    assert state.to("cpu") is not None
    assert state.to("meta").edges.weights.device.type == "meta"
