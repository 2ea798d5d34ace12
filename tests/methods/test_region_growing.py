"""Region growing: by hand, by plain loops, beside scikit-image's flood, and what growing promises."""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.segmentation import flood
from torch import Tensor

from seglab import datasets
from seglab.kernels import _whole
from seglab.kernels import region_growing as growing
from seglab.kernels._whole import UNITS, whole_colors
from seglab.kernels.region_growing import Grown, best_first, gradient, minima, open_pairs, wave, waves
from seglab.labels import connected_components, count_labels
from seglab.methods import RegionGrowing, RegionGrowingState
from seglab.methods import region_growing as method_module
from seglab.methods.region_growing import automatic_seeds
from seglab.panels import Histogram, Lines, Picture
from seglab.segmenter import Status

AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))


def gray(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)[None]


def noise(height: int, width: int, seed: int, levels: int = 256, channels: int = 1) -> Tensor:
    """A slope with noise, of so many levels: ties are frequent where there are few."""
    g = torch.Generator().manual_seed(seed)
    slope = torch.linspace(0, 0.5, width).expand(channels, height, width)
    image = (slope + 0.5 * torch.rand(channels, height, width, generator=g)).clamp(0, 1)
    return (image * (levels - 1)).round() / (levels - 1)


def some_points(height: int, width: int, n: int, seed: int) -> list[tuple[int, int]]:
    chosen = np.random.default_rng(seed).choice(height * width, n, replace=False)
    return [(int(p) // width, int(p) % width) for p in chosen]


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_a_row_by_hand() -> None:
    """0 10 20 30 90 (hundredths) from the left, τ = 15. Means: 0, then 5 with 10, then 10 with 20; 30 is 20 away."""
    method = RegionGrowing(seeds=[(0, 0)], threshold=0.15, color_space="gray")
    states = list(method.steps(gray([0.0, 0.1, 0.2, 0.3, 0.9])))
    assert [state.labels.tolist() for state in states] == [
        [[0, -1, -1, -1, -1]],
        [[0, 0, -1, -1, -1]],
        [[0, 0, 0, -1, -1]],
        [[0, 0, 0, -1, -1]],
    ]
    assert [str(state.status) for state in states] == ["running", "running", "running", "converged"]
    assert states[-1].arrival.tolist() == [[0, 1, 2, -1, -1]]
    assert states[-1].grown.sums.tolist() == [[3 * 408]]
    assert states[-1].grown.sizes.tolist() == [3]


def test_the_seed_does_not_drift_and_the_mean_does() -> None:
    """A slope of 10 a pixel: within 20 of the seed are two pixels; that after n is 5 (n + 1) from the mean."""
    slope = gray([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    by_seed, by_mean = (
        RegionGrowing(seeds=[(0, 0)], threshold=0.2, color_space="gray", criterion=criterion).segment(slope)  # type: ignore[arg-type]
        for criterion in ("seed", "mean")
    )
    assert by_seed.labels.tolist() == [[0, 0, 0, -1, -1, -1, -1]]
    assert by_mean.labels.tolist() == [[0, 0, 0, 0, -1, -1, -1]]


def test_equal_differences_go_to_the_lower_label_and_smaller_ones_first() -> None:
    between = gray([0.4, 0.5, 0.6])
    assert RegionGrowing(seeds=[(0, 0), (0, 2)], threshold=0.2, color_space="gray").segment(
        between
    ).labels.tolist() == [[0, 0, 1]]
    swapped = RegionGrowing(seeds=[(0, 2), (0, 0)], threshold=0.2, color_space="gray").segment(between)
    assert swapped.labels.tolist() == [[1, 0, 0]]
    nearer = gray([0.3, 0.5, 0.6])
    assert RegionGrowing(seeds=[(0, 0), (0, 2)], threshold=0.3, color_space="gray").segment(nearer).labels.tolist() == [
        [0, 1, 1]
    ]


def test_corners_count_with_eight_neighbors_only() -> None:
    scene = datasets.tiny("corner")
    four, eight = (
        RegionGrowing(seeds=[(0, 0)], threshold=0.1, connectivity=n).segment(scene.image)  # type: ignore[arg-type]
        for n in (4, 8)
    )
    assert (four.labels == 0).sum() == 4
    assert torch.equal(eight.labels >= 0, scene.semantic == 1)


def test_a_pixel_that_was_refused_is_asked_again() -> None:
    """20 50 | 60: 60 is 40 from the seed; once 50 has joined, the mean is 35, and 60 within 30."""
    image = gray([0.6, 0.2, 0.5], [1.0, 1.0, 1.0])
    labels = RegionGrowing(seeds=[(0, 1)], threshold=0.3, color_space="gray").segment(image)
    assert labels.labels.tolist() == [[0, 0, 0], [-1, -1, -1]]
    assert labels.state.arrival[0].tolist() == [2, 0, 1]  # type: ignore[attr-defined]


def test_best_first_takes_the_most_similar_pixel_of_all() -> None:
    """From 0 and 100: 55 is 55 and 45 away, but 30 joins the left before it, 60 the right, so 55 is 5 from 60 or 40…"""
    image = gray([0.0, 0.3, 0.55, 0.6, 1.0])
    method = RegionGrowing(seeds=[(0, 0), (0, 4)], order="best_first", fill=True, color_space="gray")
    result = method.segment(image)
    # 30 is 30 from 0, 60 is 40 from 100: 30 joins first, the mean is 15, and 55 offered with 40. Then 60 (40, offered
    # earlier) joins the right, mean 80; 55 is offered with 25, and joins the right.
    assert result.labels.tolist() == [[0, 0, 1, 1, 1]]
    order = torch.cat(result.state.joined).tolist()  # type: ignore[attr-defined]
    assert order == [1, 3, 2]


# ---- beside plain loops -----------------------------------------------------------------------------------------


def neighbors(p: tuple[int, int], shape: tuple[int, ...], connectivity: int) -> list[tuple[int, int]]:
    places = [(p[0] + dr, p[1] + dc) for dr, dc in AROUND[:connectivity]]
    return [(r, c) for r, c in places if 0 <= r < shape[0] and 0 <= c < shape[1]]


def by_loops(
    x: np.ndarray, start: np.ndarray, limit: float, running: bool, connectivity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every wave looks at all pixels: labels, and the wave in which each came."""
    labels, when, n = start.copy(), np.where(start < 0, -1, 0), 0
    seed_means = [x[start == k].mean(0) for k in range(start.max() + 1)]
    while True:
        n += 1
        means = [x[labels == k].mean(0) for k in range(start.max() + 1)] if running else seed_means
        joins = {}
        for p in zip(*np.nonzero(labels < 0), strict=True):
            touched = {labels[q] for q in neighbors(p, labels.shape, connectivity)} - {-1}
            offers = [(((x[p] - means[k]) ** 2).sum(), k) for k in touched]
            if offers and min(offers)[0] <= limit:
                joins[p] = min(offers)[1]
        for p, k in joins.items():
            labels[p], when[p] = k, n
        if not joins:
            return labels, when


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("criterion", ["mean", "seed"])
@pytest.mark.parametrize(("seed", "levels", "channels"), [(0, 256, 1), (1, 6, 1), (2, 256, 3), (3, 4, 3), (4, 16, 1)])
def test_waves_are_loops_over_all_pixels(
    criterion: Any, connectivity: Any, seed: int, levels: int, channels: int
) -> None:
    image = noise(15, 22, seed, levels, channels)
    space: Any = "gray" if channels == 1 else "rgb"
    method = RegionGrowing(
        seeds=some_points(15, 22, 5, seed), threshold=0.22, criterion=criterion, connectivity=connectivity,
        color_space=space,
    )  # fmt: skip
    state = method.init(image)
    colors = state.colors
    expected, when = by_loops(
        colors.values.numpy().astype(float),
        state.labels.numpy(),
        colors.square(0.22),
        criterion == "mean",
        connectivity,
    )
    assert 5 < (expected >= 0).sum() < expected.size, "a picture in which something is taken and something is not"
    result = method.segment(image)
    assert np.array_equal(result, expected)
    assert np.array_equal(result.state.arrival, when)  # type: ignore[attr-defined]
    last = list(method.steps(image))[-1]
    assert torch.equal(last.arrival, result.state.arrival)  # type: ignore[attr-defined]
    assert last.n_iter == result.state.n_iter == when.max() + 1
    by_torch = state.grown
    for n in range(1, last.n_iter + 1):
        by_torch, joined = wave(colors.values, by_torch, colors.square(0.22), state.means, connectivity)
        assert sorted(joined.tolist()) == np.flatnonzero(when.ravel() == n).tolist()
    assert torch.equal(by_torch.regions, result.state.grown.regions)  # type: ignore[attr-defined]
    assert torch.equal(by_torch.sums, result.state.grown.sums)  # type: ignore[attr-defined]


@pytest.mark.parametrize("connectivity", [4, 8])
def test_patience_never_runs_out_late_on_a_photograph(connectivity: Any) -> None:
    """Long waits: thousands of pixels that were refused, and means that move a little in every wave."""
    image = datasets.photo("coffee", max_side=120)
    method = RegionGrowing(n_seeds=12, threshold=0.07, connectivity=connectivity)
    state = method.init(image)
    grown, limit = state.grown, state.colors.square(0.07)
    compiled, joined, over = waves(state.colors.values, grown, limit, None, connectivity, 10**9)
    assert over
    assert len(joined) > 30
    for pixels in joined:
        grown, here = wave(state.colors.values, grown, limit, None, connectivity)
        assert torch.equal(here, pixels.long().sort().values)
    assert torch.equal(grown.regions, compiled.regions)


def best_first_by_heap(x: np.ndarray, start: np.ndarray, limit: float, running: bool, connectivity: int) -> list:
    """The same queue with a heap: (rounded difference, serial number, pixel, region)."""
    labels, heap, order = start.copy(), [], []
    sums = {k: x[start == k].sum(0) for k in range(start.max() + 1)}
    sizes = {k: (start == k).sum() for k in sums}
    seed_means = {k: sums[k] / sizes[k] for k in sums}

    def offer(p: tuple[int, int], k: int) -> None:
        apart = ((x[p] - (sums[k] / sizes[k] if running else seed_means[k])) ** 2).sum()
        if apart <= limit:
            heapq.heappush(heap, (int(math.sqrt(apart)), len(seen), p, k))
            seen.append(p)

    seen: list[tuple[int, int]] = []
    for p in zip(*map(np.ndarray.tolist, np.nonzero(start < 0)), strict=True):
        for k in sorted({labels[q] for q in neighbors(p, labels.shape, connectivity)} - {-1}):
            offer(p, k)
    while heap:
        _, _, p, k = heapq.heappop(heap)
        if labels[p] >= 0:
            continue
        labels[p], sums[k], sizes[k] = k, sums[k] + x[p], sizes[k] + 1
        order.append((p, k))
        for q in neighbors(p, labels.shape, connectivity):
            before = {labels[o] for o in neighbors(q, labels.shape, connectivity) if o != p}
            if labels[q] < 0 and k not in before:
                offer(q, k)
    return order


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("criterion", ["mean", "seed"])
@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize(("seed", "levels"), [(0, 256), (1, 5)])
def test_best_first_is_a_heap(criterion: Any, connectivity: Any, fill: bool, seed: int, levels: int) -> None:
    image = noise(16, 19, seed, levels)
    method = RegionGrowing(
        seeds=some_points(16, 19, 4, seed), threshold=0.2, criterion=criterion, connectivity=connectivity, fill=fill,
        color_space="gray", order="best_first", n_batches=7,
    )  # fmt: skip
    state = method.init(image)
    limit = math.inf if fill else state.colors.square(0.2)
    start = state.labels.numpy()
    order = best_first_by_heap(
        state.colors.values.numpy().astype(float), start, limit, criterion == "mean", connectivity
    )
    result = method.segment(image)
    joined = torch.cat(result.state.joined).tolist()  # type: ignore[attr-defined]
    assert joined == [r * 19 + c for (r, c), _ in order]
    assert [int(result.labels[p]) for p, _ in order] == [k for _, k in order]
    assert bool((result.labels >= 0).all()) == fill


@pytest.mark.parametrize("n_batches", [5, 6, 50, 1000])
def test_batches_make_no_difference(n_batches: int) -> None:
    image = noise(12, 14, 3)
    results = [
        RegionGrowing(seeds=[(2, 2), (9, 11)], order="best_first", fill=True, n_batches=n).segment(image)
        for n in (20, n_batches)
    ]
    assert torch.equal(results[0].labels, results[1].labels)
    assert results[1].state.n_iter == math.ceil(166 / math.ceil(168 / n_batches))
    states = list(results[1].method.steps(image))
    assert len(states) == results[1].state.n_iter + 1


# ---- beside scikit-image ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("tolerance", [0, 3, 20, 60, 255])
def test_a_fixed_seed_is_scikit_images_flood(tolerance: int, connectivity: Any) -> None:
    """Levels of 8 bits are exact, so that a difference that equals the tolerance is on the same side."""
    photo = datasets.photo("coins")
    levels = (photo[0] * 255).round().to(torch.uint8).numpy()
    taken = 0
    for point in some_points(*levels.shape, 8, seed=1):
        method = RegionGrowing(
            seeds=[point], criterion="seed", threshold=tolerance / 255, color_space="gray", connectivity=connectivity
        )
        expected = flood(levels.astype(int), point, tolerance=tolerance, connectivity=1 if connectivity == 4 else 2)
        assert np.array_equal(method.segment(photo) == 0, expected)
        taken += expected.sum()
    assert taken > 8


def test_gradient_is_scipys_correlation() -> None:
    for space in ("gray", "lab"):
        colors = whole_colors(noise(17, 23, 5, channels=3), space).values  # type: ignore[arg-type]
        total = np.zeros((17, 23))
        for plane in colors.permute(2, 0, 1).numpy().astype(np.int64):
            for axis in (0, 1, 0, 1):
                plane = ndimage.correlate1d(plane, [1, 4, 6, 4, 1], axis, mode="nearest")
            total += sum(ndimage.correlate1d(plane, [-1, 0, 1], axis, mode="nearest") ** 2 for axis in (0, 1))
        expected = np.floor(np.sqrt(total) * 16 / (2 * 16**4))
        assert np.array_equal(gradient(colors), expected)
        assert np.array_equal(growing._squared_gradients(colors), total)
        assert expected.max() > 0


# ---- seeds ------------------------------------------------------------------------------------------------------


def depths(relief: np.ndarray) -> dict[int, float]:
    """The depth of each minimum, by trying all levels: how high the water stands when a lower basin is reached."""
    found = {}
    flat = relief.ravel()
    rank = np.lexsort((np.arange(flat.size), flat)).argsort()  # of equal ones, the first is the lower
    for p in range(flat.size):
        for level in np.unique(flat[flat >= flat[p]]):
            basin = ndimage.label(relief <= level)[0].ravel()
            if rank[basin == basin[p]].min() < rank[p]:
                depth = level - flat[p]
                break
        else:
            depth = flat.max() - flat[p] + 1
        if depth > 0:
            found[p] = depth
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_minima_are_the_deepest_basins(seed: int) -> None:
    relief = np.random.default_rng(seed).integers(0, 9, (7, 9))
    expected = sorted(depths(relief).items(), key=lambda item: (-item[1], relief.ravel()[item[0]], item[0]))
    assert len(expected) > 5
    assert minima(torch.from_numpy(relief), 100).tolist() == [p for p, _ in expected]
    assert minima(torch.from_numpy(relief), 3).tolist() == [p for p, _ in expected[:3]]


def test_one_seed_in_each_even_area() -> None:
    scene = datasets.shapes(height=80, width=100, n_shapes=3, texture="flat", noise=0.0, illumination=0.0, seed=1)
    colors = whole_colors(scene.image, "lab").values
    seeds = automatic_seeds(colors, 4)
    areas = connected_components(scene.instances)
    assert sorted(areas[seeds[:, 0], seeds[:, 1]].tolist()) == list(range(count_labels(areas)))
    result = RegionGrowing(n_seeds=4, threshold=0.02).segment(scene.image)
    assert (result.labels >= 0).double().mean() > 0.9, "all but the hole of a ring"
    for k in range(4):
        assert len(torch.unique(areas[result.labels == k])) == 1


def test_fewer_seeds_where_there_are_fewer_minima() -> None:
    result = RegionGrowing(n_seeds=20).segment(torch.full((3, 9, 8), 0.5))
    assert result.n_segments == 1
    assert torch.equal(result.labels, torch.zeros(9, 8, dtype=torch.int64))


def test_seeds_as_a_label_map_keep_their_labels() -> None:
    scene = datasets.tiny("twins")
    strokes = np.full((8, 8), -1)
    strokes[1, 1], strokes[1, 5], strokes[6, 2:4], strokes[0] = 1, 1, 0, 2
    result = RegionGrowing(seeds=strokes, threshold=0.1).segment(scene.image)
    expected = torch.tensor([2, 1, 0])[scene.semantic]
    assert torch.equal(result.labels, expected), "both red squares are region 1, far from one another"


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "one or more"),
        ([(1, 2), (3, 4), (1, 2)], r"\(1, 2\) twice"),
        ([(1, 2, 3)], "a seed is"),
        ([(1.5, 2)], "a seed is"),
        ([(-1, 2)], "from 0"),
        ([3, 4], "a seed is"),
        (np.array([[0, 2], [-1, -1]]), "without gaps"),
        (np.full((2, 2), -1), "only −1"),
    ],
)
def test_refuses_what_are_no_seeds(seeds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RegionGrowing(seeds=seeds)


def test_refuses_seeds_that_are_not_in_the_picture() -> None:
    with pytest.raises(ValueError, match=r"\(4, 0\) lies outside the picture of 4 rows and 5 columns"):
        RegionGrowing(seeds=[(0, 0), (4, 0)]).segment(torch.rand(3, 4, 5))
    with pytest.raises(ValueError, match="outside"):
        RegionGrowing(seeds=[(0, 5)]).segment(torch.rand(3, 4, 5))
    with pytest.raises(ValueError, match="label map of the picture's size"):
        RegionGrowing(seeds=np.array([[0, 1]])).segment(torch.rand(3, 4, 5))


def test_code_makes_the_same_method_again() -> None:
    for method in (
        RegionGrowing(seeds=[(3, 4), (0, 1)], threshold=0.2),
        RegionGrowing(seeds=[(3, 4)]),
        RegionGrowing(fill=True),
    ):
        again = eval(method.code(), {"RegionGrowing": RegionGrowing})
        assert again == method
        assert again.seeds == method.seeds


# ---- what growing promises --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["waves", "best_first"])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_regions_are_connected_and_hold_their_seeds(order: Any, connectivity: Any) -> None:
    image = datasets.photo("coffee", max_side=80)
    for fill in (True, False):
        result = RegionGrowing(n_seeds=9, order=order, connectivity=connectivity, fill=fill).segment(image)
        state: Any = result.state
        assert result.labels[state.seeds[:, 0], state.seeds[:, 1]].tolist() == list(range(9))
        assert count_labels(connected_components(result.labels, connectivity)) == 9
        assert bool((result.labels >= 0).all()) == fill


def test_filling_leaves_what_has_grown() -> None:
    image = datasets.photo("coffee", max_side=80)
    grown, filled = (RegionGrowing(n_seeds=9, fill=fill).segment(image) for fill in (False, True))
    taken = grown.labels >= 0
    assert 0.1 < taken.double().mean() < 0.9
    assert torch.equal(grown.labels[taken], filled.labels[taken])
    assert filled.state.n_iter > grown.state.n_iter


def test_a_higher_threshold_reaches_farther_from_a_fixed_seed() -> None:
    image = datasets.photo("coins", max_side=100)
    reached = [
        RegionGrowing(seeds=[(20, 20)], criterion="seed", threshold=t).segment(image).labels == 0
        for t in (0.02, 0.05, 0.1, 0.2)
    ]
    for less, more in zip(reached, reached[1:], strict=False):
        assert not bool((less & ~more).any())
        assert more.sum() > less.sum()


def test_mirrored_pictures_and_renumbered_seeds() -> None:
    image, points = noise(20, 24, 8, levels=10_000, channels=3), some_points(20, 24, 4, 8)
    labels = RegionGrowing(seeds=points, threshold=0.2).segment(image).labels
    mirrored = RegionGrowing(seeds=[(r, 23 - c) for r, c in points], threshold=0.2).segment(image.flip(2)).labels
    assert torch.equal(mirrored.flip(1), labels)
    renumbered = RegionGrowing(seeds=points[::-1], threshold=0.2).segment(image).labels
    assert torch.equal(torch.where(renumbered >= 0, 3 - renumbered, -1), labels)


def test_levels_of_eight_bits_are_exact_and_large_pictures_are_converted_by_a_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    levels = torch.arange(256).reshape(1, 16, 16) / 255
    assert torch.equal(
        whole_colors(levels, "gray").values.flatten(), torch.arange(256).to(torch.int16) * (UNITS // 255)
    )
    photo = datasets.photo("coffee", max_side=60)
    for space in ("lab", "luv"):
        direct = whole_colors(photo, space).values  # type: ignore[arg-type]
        monkeypatch.setattr(_whole, "_LARGE", 1)
        assert len(_whole._codes((photo * 255).round() / 255)) == photo[0].numel()
        assert len(_whole._codes(photo * 0.999)) == 0
        eight_bit = (photo * 255).round() / 255
        table = whole_colors(eight_bit, space).values  # type: ignore[arg-type]
        monkeypatch.undo()
        assert torch.equal(table, whole_colors(eight_bit, space).values)  # type: ignore[arg-type]
        assert direct.dtype == torch.int16


def test_an_interruption_gives_the_latest_complete_state(monkeypatch: pytest.MonkeyPatch) -> None:
    image, method = datasets.photo("coffee", max_side=80), RegionGrowing(n_seeds=5, fill=True)
    taken = []

    def twice(*args: Any) -> Any:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(args)
        return waves(*args)

    monkeypatch.setattr(method_module, "waves", twice)
    monkeypatch.setattr(method_module, "_AT_ONCE", 300)
    result = method.segment(image)
    assert result.interrupted
    monkeypatch.undo()
    assert torch.equal(result.labels, list(method.steps(image))[result.state.n_iter].labels)
    assert torch.equal(method.segment(image, init=result.state).labels, method.segment(image).labels)


def test_open_pairs_are_all_free_neighbors() -> None:
    regions = torch.from_numpy(np.random.default_rng(0).integers(-1, 2, (6, 7)).astype(np.int32))
    for connectivity in (4, 8):
        expected = [
            [r * 7 + c, k]
            for r, c in np.argwhere(regions.numpy() < 0).tolist()
            for k in sorted({int(regions[q]) for q in neighbors((r, c), (6, 7), connectivity)} - {-1})
        ]
        assert open_pairs(regions, connectivity).tolist() == expected


def test_the_queue_goes_on_where_it_was() -> None:
    """One pixel at a time, the queue handed on as tensors, is all at once."""
    method = RegionGrowing(n_seeds=4, order="best_first", fill=True)
    state = method.init(noise(9, 11, 2, channels=3))
    whole, order = best_first(state.colors.values, state.grown, math.inf, None, 4, 99)
    grown, pixels = state.grown, []
    for _ in order:
        grown, one = best_first(state.colors.values, grown, math.inf, None, 4, 1)
        pixels.append(one)
    assert torch.equal(torch.cat(pixels), order)
    assert torch.equal(grown.regions, whole.regions)
    assert isinstance(grown, Grown)
    assert len(grown.queue) == 0


# ---- what is shown ----------------------------------------------------------------------------------------------


def test_panels_show_frontier_seeds_and_differences() -> None:
    image = datasets.tiny("island").image
    states: list[RegionGrowingState] = list(RegionGrowing(seeds=[(2, 2)], threshold=0.1).steps(image))
    lines, picture, histogram = states[1].panels(image)
    assert isinstance(lines, Lines)
    assert isinstance(picture, Picture)
    assert isinstance(histogram, Histogram)
    assert [line.tolist() for line in lines.lines] == [
        [[1, 1.5], [1, 2.5]],
        [[2, 0.5], [2, 1.5]],
        [[2, 2.5], [2, 3.5]],
        [[3, 1.5], [3, 2.5]],
    ]
    assert lines.points.tolist() == [[2, 2]]
    assert picture.values[2].tolist() == [-1, 1, 0, 1, -1, -1]
    assert histogram.counts.sum() == len(states[1].grown.queue)
    assert states[1].describe() == "wave 1 · 1 region · 13.9% of the pixels"
    assert states[-1].status is Status.CONVERGED


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"criterion": "seed"}, {"fill": True}, {"order": "best_first", "n_seeds": 3}])
@pytest.mark.parametrize("color_space", ["gray", "rgb"])
def test_the_same_on_a_gpu(options: dict[str, Any], color_space: Any) -> None:
    image = datasets.photo("coffee", max_side=200)
    method = RegionGrowing(color_space=color_space, **options)
    here, there = method.segment(image), method.segment(image, device="cuda")
    assert torch.equal(here.labels, there.labels.cpu())
    assert here.state.n_iter == there.state.n_iter
