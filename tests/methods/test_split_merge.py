"""Split and merge: by hand, by recursion and a plain queue, and what splitting and merging promise."""

from __future__ import annotations

import heapq
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seglab import datasets
from seglab.kernels import split_merge as kernels
from seglab.kernels._whole import UNITS, whole_colors
from seglab.kernels.split_merge import FAR, Pyramid, halvings, make_grids, neighboring_blocks
from seglab.labels import connected_components, count_labels
from seglab.methods import SplitMerge
from seglab.methods.split_merge import ROUNDS, leaves_of
from seglab.metrics import region_benchmark, region_scores
from seglab.panels import Curve, Histogram, Lines
from seglab.segmenter import Status

PREDICATES = ("std", "range", "share")


def gray(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)[None]


def blotches(height: int, width: int, seed: int, channels: int = 1, levels: int = 256) -> Tensor:
    """Two or three even areas with some noise."""
    g = torch.Generator().manual_seed(seed)
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    areas = ((rows > height * 0.4).int() + (cols > width * 0.6).int()) * 0.3
    image = (areas + 0.15 * torch.rand(channels, height, width, generator=g)).clamp(0, 1)
    return (image * (levels - 1)).round() / (levels - 1)


def run(image: Tensor, **values: Any) -> Any:
    return SplitMerge(**{"color_space": "gray" if len(image) == 1 else "rgb", **values}).segment(image)


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_a_corner_by_hand() -> None:
    """4×4, black but for one white pixel: 1 block, 4, and the upper right again: 7. Merged: black and white."""
    image = torch.zeros(1, 4, 4)
    image[0, 0, 3] = 1
    states = list(SplitMerge(threshold=0.1, color_space="gray").steps(image))
    assert states[0].counts == (1,)
    assert [count_labels(state.labels) for state in states] == list(states[-1].counts)
    assert states[2].labels.tolist() == [[0, 0, 1, 2], [0, 0, 3, 4], [5, 5, 6, 6], [5, 5, 6, 6]]
    assert states[-1].labels.tolist() == (image[0] == 1).long().tolist()
    assert states[-1].status is Status.CONVERGED


def test_predicates_at_their_limits() -> None:
    """0 0 0 100 levels: mean 25, σ = √(3·25² + 75²)/2 = 43.3; range 100; one of four is farther than 70 from 25."""
    image = gray([0.0, 0.0], [0.0, 100 / 255])
    for predicate, least in (("std", 43.302 / 255), ("range", 100 / 255)):
        assert run(image, predicate=predicate, threshold=least * 1.0001, merge=False).n_segments == 1
        assert run(image, predicate=predicate, threshold=least * 0.9999, merge=False).n_segments == 4
    assert run(image, predicate="range", threshold=100 / 255, merge=False).n_segments == 1  # equal is not above
    assert run(image, predicate="share", threshold=70 / 255, merge=False).n_segments == 4  # a quarter is far
    assert run(image, predicate="share", threshold=75 / 255, merge=False).n_segments == 1
    five = gray([0.0, 0.0, 0.0, 0.0, 0.5])
    assert run(five, predicate="share", threshold=0.2, merge=False).n_segments == 1  # a fifth may be


def test_colors_count_together_and_channels_of_rgb_on_average() -> None:
    """Black and white differ by 1 in each space, so the σ of one of each is a half."""
    image = gray([0.0, 1.0]).expand(3, 1, 2)
    for space in ("gray", "rgb", "lab"):
        assert run(image, color_space=space, threshold=0.501).n_segments == 1
        assert run(image, color_space=space, threshold=0.499).n_segments == 2


def test_sides_are_halved_down_and_up_and_not_below_the_least() -> None:
    assert [b.tolist() for b in halvings(7, 2)] == [[0, 7], [0, 3, 7], [0, 3, 5, 7]]
    result = run(torch.rand(1, 5, 3, generator=torch.Generator().manual_seed(0)), predicate="none", max_depth=1)
    assert result.labels.tolist() == [[0, 1, 1]] * 2 + [[2, 3, 3]] * 3
    narrow = run(torch.rand(1, 8, 3, generator=torch.Generator().manual_seed(0)), predicate="none", min_block=2)
    assert narrow.labels.tolist() == [[k] * 3 for k in range(4) for _ in range(2)]  # two parts where four are too small


def test_ties_go_to_the_pair_that_comes_first() -> None:
    """Around a square 0 10 20 30: three pairs are as good; those side by side come before those one above the other."""
    for predicate, tau in (("std", 0.0501), ("range", 0.1)):
        values = {"predicate": predicate, "threshold": tau}
        assert run(gray([0.0, 0.1], [0.3, 0.2]), **values).labels.tolist() == [[0, 0], [1, 1]]
        assert run(gray([0.0, 0.3], [0.1, 0.2]), **values).labels.tolist() == [[0, 1], [2, 2]]
        assert run(gray([0.0, 0.1], [0.3, 0.18]), **values).labels.tolist() == [[0, 1], [2, 1]]  # the better pair first


def test_corners_do_not_touch() -> None:
    image = gray([0.0, 1.0], [1.0, 0.0])
    assert run(image, threshold=0.1).labels.tolist() == [[0, 1], [2, 3]]


# ---- beside recursion and a plain queue -------------------------------------------------------------------------


def homogeneous(x: np.ndarray, predicate: str, threshold: float) -> tuple[float, bool]:
    """How uneven the colors (n, D) are, relative to the limit, and whether they pass."""
    near = UNITS**2 * threshold**2 * x.shape[1] * (1 + 1e-9)  # RGB: the mean square over channels
    mean = x.mean(0)
    if predicate == "share":
        return float((((x - mean) ** 2).sum(1) > near).mean()), bool((((x - mean) ** 2).sum(1) > near).mean() <= FAR)
    squared = float(((x - mean) ** 2).sum(1).mean() if predicate == "std" else (np.ptp(x, axis=0) ** 2).sum())
    return squared, squared <= near


def by_recursion(x: np.ndarray, predicate: str, threshold: float, least: int) -> list[tuple[int, int, int, int]]:
    def split(top: int, left: int, bottom: int, right: int) -> list[tuple[int, int, int, int]]:
        pixels = x[top:bottom, left:right].reshape(-1, x.shape[2])
        rows, cols = [top, bottom], [left, right]
        if not homogeneous(pixels, predicate, threshold)[1]:
            rows = [top, (top + bottom) // 2, bottom] if bottom - top >= 2 * least else rows
            cols = [left, (left + right) // 2, right] if right - left >= 2 * least else cols
        if len(rows) + len(cols) == 4:
            return [(top, left, bottom, right)]
        parts = itertools.product(itertools.pairwise(rows), itertools.pairwise(cols))
        return [leaf for (a, b), (c, d) in parts for leaf in split(a, c, b, d)]

    return sorted(split(0, 0, *x.shape[:2]))


def paint(boxes: list[tuple[int, int, int, int]], shape: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(shape, int)
    for k, (top, left, bottom, right) in enumerate(boxes):
        labels[top:bottom, left:right] = k
    return labels


def touching(labels: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of neighbors in the order of their first places: side by side, then one above the other."""
    sides = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    pairs = [sorted(pair) for a, b in sides for pair in zip(a.flat, b.flat, strict=True)]
    return list(dict.fromkeys((int(a), int(b)) for a, b in pairs if a != b))


def by_queue(x: np.ndarray, leaves: np.ndarray, predicate: str, threshold: float) -> np.ndarray:
    """Rounds of joining, each union measured from its pixels."""
    labels, edges = leaves.copy(), touching(leaves)
    limit = FAR if predicate == "share" else UNITS**2 * threshold**2 * x.shape[2] * (1 + 1e-9)
    level, joined = 0.0, True
    while level < 1 or joined:
        level, joined = min(1.0, level + 1 / ROUNDS), False
        bound, serial = limit * level**2, itertools.count()
        waiting = [(-1, next(serial), pair) for pair in edges]
        while waiting:
            place, _, pair = heapq.heappop(waiting)
            a, b = sorted(int(labels[leaves == leaf][0]) for leaf in pair)
            uneven = homogeneous(x[(labels == a) | (labels == b)], predicate, threshold)[0]
            if a == b or uneven > bound:
                continue
            now = int(np.sqrt(uneven / bound) * 4095)
            if now > place:
                heapq.heappush(waiting, (now, next(serial), pair))
            else:
                labels[labels == b], joined = a, True
    return labels


CASES = [
    (predicate, shape, channels, least, seed)
    for seed, (predicate, (shape, channels, least)) in enumerate(
        itertools.product(PREDICATES, [((8, 8), 1, 1), ((7, 11), 3, 1), ((13, 6), 1, 2), ((1, 9), 1, 1)])
    )
]


@pytest.mark.parametrize(("predicate", "shape", "channels", "least", "seed"), CASES)
def test_the_tree_is_that_of_recursion_and_merging_that_of_a_queue(
    predicate: str, shape: tuple[int, int], channels: int, least: int, seed: int
) -> None:
    image = blotches(*shape, seed, channels, levels=256)
    x = whole_colors(image, "gray" if channels == 1 else "rgb").values.numpy().astype(float)
    threshold = {"std": 0.06, "range": 0.15, "share": 0.05}[predicate]
    boxes = by_recursion(x, predicate, threshold, least)
    found = run(image, predicate=predicate, threshold=threshold, min_block=least)
    assert len(boxes) > 1
    assert [tuple(box) for box in found.state.tree.boxes.tolist()] == boxes
    leaves = paint(boxes, shape)
    split = run(image, predicate=predicate, threshold=threshold, min_block=least, merge=False)
    assert split.labels.tolist() == leaves.tolist()
    assert touching(leaves) == [tuple(pair) for pair in neighboring_blocks(found.state.tree.where).tolist()]
    expected = np.unique(by_queue(x, leaves, predicate, threshold), return_inverse=True)[1].reshape(shape)
    assert found.labels.tolist() == expected.tolist()


def test_numbers_of_blocks_are_those_of_their_pixels() -> None:
    image = blotches(13, 10, 3, channels=3)
    colors = whole_colors(image, "lab")
    pyramid = Pyramid.of(colors, "range", 0.1)
    for grid, stats in zip(pyramid.grids, pyramid.stats, strict=True):
        for i, j in itertools.product(*map(range, grid.shape)):
            block = colors.values[grid.rows[i] : grid.rows[i + 1], grid.cols[j] : grid.cols[j + 1]].flatten(0, 1).long()
            assert int(stats.sizes[i, j]) == len(block)
            assert stats.sums[:, i, j].tolist() == block.sum(0).tolist()
            assert int(stats.squares[i, j]) == int(block.square().sum())
            assert stats.lows[:, i, j].tolist() == block.amin(0).tolist()
            assert stats.highs[:, i, j].tolist() == block.amax(0).tolist()


@pytest.mark.parametrize("predicate", PREDICATES)
def test_without_compiled_loops_the_same(predicate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = blotches(21, 34, 5, channels=3)
    compiled = run(image, predicate=predicate, threshold=0.07)
    monkeypatch.setattr(kernels, "_compiled", lambda device: False)
    plain = run(image, predicate=predicate, threshold=0.07)
    assert compiled.n_segments > 1
    assert torch.equal(compiled.labels, plain.labels)
    for a, b in zip(compiled.state.tree.stats, plain.state.tree.stats, strict=True):
        assert torch.equal(a, b)


# ---- what is promised -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("predicate", PREDICATES)
@pytest.mark.parametrize("least", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_segments_are_homogeneous_and_no_two_neighbors_together(predicate: str, least: int, seed: int) -> None:
    image = blotches(24, 19, seed, channels=3)
    x = whole_colors(image, "rgb").values.numpy().astype(float)
    threshold = {"std": 0.05, "range": 0.16, "share": 0.06}[predicate]
    result = run(image, predicate=predicate, threshold=threshold, min_block=least)
    labels, leaves = result.labels.numpy(), paint(result.state.tree.boxes.tolist(), (24, 19))
    for label in range(result.n_segments):
        inside = labels == label
        alone = len(np.unique(leaves[inside])) == 1
        small = min(np.ptp(np.nonzero(inside), axis=1) + 1) < 2 * least
        assert homogeneous(x[inside], predicate, threshold)[1] or (alone and small and least > 1)
    for a, b in touching(labels):
        assert not homogeneous(x[(labels == a) | (labels == b)], predicate, threshold)[1]
    assert count_labels(connected_components(result.labels)) == result.n_segments
    assert result.n_segments < len(result.state.tree.boxes)


@pytest.mark.parametrize("predicate", PREDICATES)
def test_even_pieces_are_found_exactly(predicate: str) -> None:
    scene = datasets.tiny("island")
    found = SplitMerge(predicate=predicate, threshold=0.1).segment(scene.image)
    assert torch.equal(found.labels, scene.semantic)
    board = torch.arange(16).reshape(4, 4).repeat_interleave(5, 0).repeat_interleave(7, 1)
    assert torch.equal(run(board[None] / 15, predicate=predicate, threshold=0.01).labels, board)


def test_labels_do_not_depend_on_brightness_or_on_a_power_of_two_turned() -> None:
    image = blotches(16, 16, 1, levels=64)
    split = {"threshold": 0.05, "merge": False}
    labels = run(image, **split).labels
    assert torch.equal(run(1 - image, **split).labels, labels)
    turned = run(image.flip(1).rot90(1, (1, 2)), **split).labels
    expected = labels.flip(0).rot90(1, (0, 1))
    assert len(torch.unique(turned * 1000 + expected)) == count_labels(labels) == count_labels(turned)
    assert torch.equal(run(image.double(), threshold=0.05).labels, run(image, threshold=0.05).labels)


def test_degenerate_pictures() -> None:
    for shape in ((1, 1), (1, 5), (6, 1), (3, 3)):
        even = run(torch.full((1, *shape), 0.5), threshold=0.0)
        assert (even.n_segments, even.status) == (1, Status.CONVERGED)
    noise = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(1))
    assert run(noise, threshold=0.0).n_segments == 81
    assert run(noise, threshold=0.0, min_block=5).n_segments == 1
    assert run(noise, threshold=0.0, max_depth=0).n_segments == 1
    assert run(noise, threshold=9.0).n_segments == 1


def test_joining_never_loses_a_pair_whose_union_becomes_even() -> None:
    """A variance may fall as a region grows: 0 | 10 ×8: refused while 10 is alone, joined once it is large."""
    image = gray([0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    result = run(image, threshold=0.04)  # σ of 0 and 10 is 5; of 0 and eight times 10 it is 3.1
    assert result.n_segments == 1


def test_wrong_values_are_refused() -> None:
    for name, value in (("threshold", -0.1), ("min_block", 0), ("max_depth", -1), ("predicate", "variance")):
        with pytest.raises((ValueError, TypeError), match=name):
            SplitMerge(**{name: value})  # type: ignore[arg-type]


# ---- what is shown ----------------------------------------------------------------------------------------------


def test_the_tree_and_what_is_halved_next_are_shown() -> None:
    image = blotches(16, 16, 1)
    states = list(SplitMerge(threshold=0.05, color_space="gray").steps(image))
    first, last = states[1].panels(image), states[-1].panels(image)
    assert [type(p) for p in first] == [Lines, Histogram, Curve]
    assert [type(p) for p in last] == [Lines, Curve]
    assert isinstance(first[0], Lines)
    assert isinstance(first[1], Histogram)
    assert first[0].lines[0].tolist() == [[7.5, -0.5], [-0.5, -0.5], [-0.5, 7.5]]
    assert float(first[1].counts.sum()) == len(first[0].lines) == 4
    assert states[1].describe() == "depth 1 · 4 blocks · 4 segments"
    share = next(iter(SplitMerge(predicate="share").steps(image))).panels(image)[1]
    assert isinstance(share, Histogram)
    assert share.marks == {"threshold": FAR}
    by_depth = next(iter(SplitMerge(predicate="none").steps(image)))
    assert [type(p) for p in by_depth.panels(image)] == [Lines]


def test_leaves_of_no_halving_are_the_picture() -> None:
    pyramid = Pyramid.of(whole_colors(torch.rand(1, 5, 4), "gray"), "std", 0.1)
    assert leaves_of(pyramid, ()).boxes.tolist() == [[0, 0, 5, 4]]
    assert make_grids(5, 4, 1)[1].shape == (2, 2)


# ---- devices and real data --------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("predicate", PREDICATES)
def test_the_gpu_finds_the_same(predicate: str) -> None:
    image = datasets.photo("coffee", max_side=200)
    values: dict[str, Any] = {"predicate": predicate, "color_space": "rgb", "min_block": 2}
    here, there = (SplitMerge(**values).segment(image, device=device) for device in ("cpu", "cuda"))
    assert there.labels.device.type == "cuda"
    assert torch.equal(here.labels, there.labels.cpu())


@pytest.mark.data
@pytest.mark.slow
def test_the_quad_tree_of_the_benchmark(seglab_data: Path) -> None:
    """Published (Arbeláez et al. 2011): .32/.37/.46, .73/.74, 2.46/2.32; levels 0 to 7, the whole picture included."""
    trees: dict[tuple[int, ...], list[Tensor]] = {}
    scores = []
    for picture in datasets.BSDS500("test", root=seglab_data):
        size = tuple(picture.image.shape[1:])
        if size not in trees:
            trees[size] = [run(picture.image, predicate="none", max_depth=depth).labels for depth in range(8)]
        scores.append(region_scores(picture.segmentations, trees[size]))
    table = region_benchmark(scores)
    covering = table.covering.ods, table.covering.ois, table.covering_best
    assert covering == pytest.approx((0.3207, 0.3734, 0.4555), abs=6e-5)
    assert (table.rand.ods, table.rand.ois) == pytest.approx((0.7269, 0.7444), abs=6e-5)
    assert (table.information.ods, table.information.ois) == pytest.approx((2.4552, 2.3242), abs=6e-5)
