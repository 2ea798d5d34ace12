from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.segmentation import find_boundaries
from sklearn.metrics import r2_score

from seglab import datasets
from seglab.metrics import (
    achievable_segmentation_accuracy,
    boundary_precision,
    boundary_recall,
    compactness,
    contingency_table,
    explained_variation,
    read_ground_truth,
    superpixel_scores,
    undersegmentation_error,
)

KINDS = ("min", "np", "levinshtein", "slic")
Maps = tuple[np.ndarray, ...]


def maps(count: int, labels: int = 5, unassigned: bool = False) -> st.SearchStrategy:
    """Label maps of one small shape."""
    values = st.integers(-1 if unassigned else 0, labels - 1)
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 7))
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=values)] * count))


def squares(height: int, width: int, side: int) -> torch.Tensor:
    rows, cols = torch.arange(height) // side, torch.arange(width) // side
    return rows[:, None] * (int(cols[-1]) + 1) + cols


# ---- naive loops: the definitions, a pixel or a segment at a time --------------------------------------------------


def naive_boundary(labels: np.ndarray) -> set[tuple[int, int]]:
    h, w = labels.shape
    found = set()
    for r, c in np.ndindex(h, w):
        for i, j in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if 0 <= i < h and 0 <= j < w and labels[i, j] != labels[r, c] and min(labels[i, j], labels[r, c]) >= 0:
                found.add((r, c))
    return found


def naive_recall(true: np.ndarray, pred: np.ndarray, radius: int) -> float:
    wanted = {place for place in naive_boundary(true) if pred[place] >= 0}
    found = naive_boundary(pred)
    hits = [any(max(abs(r - i), abs(c - j)) <= radius for i, j in found) for r, c in wanted]
    return float(np.mean(hits)) if hits else 1.0


def naive_error(true: np.ndarray, pred: np.ndarray, kind: str) -> float:
    error, n, parts = 0.0, true.size, np.unique(true)
    for s in np.unique(pred):
        size = (pred == s).sum()
        common = [((pred == s) & (true == g)).sum() for g in parts]
        if kind == "min":
            error += (size - max(common)) / n
        elif kind == "np":
            error += sum(min(c, size - c) for c in common) / n
        elif kind == "levinshtein":
            error += sum(size / (true == g).sum() for g, c in zip(parts, common, strict=True) if c > 0) / len(parts)
        else:
            error += size * sum(c > 0.05 * size for c in common) / n
    return error - (kind in ("levinshtein", "slic"))


def naive_compactness(labels: np.ndarray) -> float:
    padded, value = np.pad(labels, 1, constant_values=-2), 0.0
    for s in np.unique(labels[labels >= 0]):
        inside = padded == s
        sides = sum((inside & ~np.roll(inside, by, axis)).sum() for axis in (0, 1) for by in (1, -1))
        value += inside.sum() * 4 * math.pi * inside.sum() / sides**2
    return value / (labels >= 0).sum()


def naive_variation(labels: np.ndarray, image: np.ndarray) -> float:
    mean = image[:, labels >= 0].mean(1, keepdims=True)
    kept = total = 0.0
    for s in np.unique(labels[labels >= 0]):
        colors = image[:, labels == s]
        kept += colors.shape[1] * ((colors.mean(1, keepdims=True) - mean) ** 2).sum()
        total += ((colors - mean) ** 2).sum()
    return kept / total


@given(maps(2, unassigned=True), st.integers(0, 3))
def test_boundaries_by_naive_loops(pair: Maps, radius: int) -> None:
    true, pred = pair
    if not ((true >= 0) & (pred >= 0)).any():
        return
    assert boundary_recall(true, pred, radius) == pytest.approx(naive_recall(true, pred, radius), abs=1e-12)
    assert boundary_precision(true, pred, radius) == pytest.approx(naive_recall(pred, true, radius), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@given(pair=maps(2))
def test_undersegmentation_by_naive_loops(kind: str, pair: Maps) -> None:
    assert undersegmentation_error(*pair, kind=kind) == pytest.approx(naive_error(*pair, kind), abs=1e-12)


@given(maps(1, unassigned=True))
def test_compactness_by_naive_loops(one: Maps) -> None:
    if (one[0] >= 0).any():
        assert compactness(one[0]) == pytest.approx(naive_compactness(one[0]), abs=1e-12)


@given(maps(1, unassigned=True), st.integers(0, 99))
def test_explained_variation_by_naive_loops(one: Maps, seed: int) -> None:
    image = np.random.default_rng(seed).random((3, *one[0].shape))
    if (one[0] >= 0).sum() > 1:
        expected = naive_variation(one[0], image)
        assert explained_variation(one[0], torch.from_numpy(image)) == pytest.approx(expected, abs=1e-12)


# ---- libraries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_boundaries_by_libraries(radius: int) -> None:
    rng = np.random.default_rng(radius)
    true, pred = (rng.integers(0, 4, (12, 15)).repeat(n, 0).repeat(n, 1)[:40, :50] for n in (4, 5))
    boundary_true, boundary_pred = (find_boundaries(labels, connectivity=1, mode="thick") for labels in (true, pred))
    near = ndimage.maximum_filter(boundary_pred, 2 * radius + 1)
    assert 0 < boundary_true.mean() < 1
    assert boundary_recall(true, pred, radius) == pytest.approx(near[boundary_true].mean(), abs=1e-12)
    near = ndimage.maximum_filter(boundary_true, 2 * radius + 1)
    assert boundary_precision(true, pred, radius) == pytest.approx(near[boundary_pred].mean(), abs=1e-12)


def test_explained_variation_is_the_coefficient_of_determination() -> None:
    image = datasets.photo("astronaut", max_side=64)
    labels = squares(*image.shape[1:], 7)
    painted = torch.zeros_like(image)
    for s in labels.unique():
        painted[:, labels == s] = image[:, labels == s].mean(1, keepdim=True)
    pixels, means = image.flatten(1).T.double().numpy(), painted.flatten(1).T.double().numpy()
    # variance-weighted: residual and total sums of squares are pooled over the channels
    expected = r2_score(pixels, means, multioutput="variance_weighted")
    assert explained_variation(labels, image) == pytest.approx(expected, abs=1e-6)


# ---- worked by hand ---------------------------------------------------------------------------------------------


def test_eight_pixels_by_hand() -> None:
    true = [[0, 0, 1, 1], [0, 0, 1, 1]]
    pred = [[0, 0, 0, 1], [0, 0, 2, 1]]  # sizes 5, 2 and 1; one pixel of the first lies on the wrong side
    assert undersegmentation_error(true, pred) == pytest.approx(1 / 8, abs=1e-15)
    assert achievable_segmentation_accuracy(true, pred) == pytest.approx(7 / 8, abs=1e-15)
    assert undersegmentation_error(true, pred, kind="np") == pytest.approx(2 / 8, abs=1e-15)  # min(4, 1) + min(1, 4)
    # the left segment (4 pixels) meets 5; the right one meets 5 + 2 + 1
    assert undersegmentation_error(true, pred, kind="levinshtein") == pytest.approx((1 / 4 + 4 / 4) / 2, abs=1e-15)
    assert undersegmentation_error(true, pred, kind="slic") == pytest.approx((5 + 8) / 8 - 1, abs=1e-15)
    # true boundary: the columns 1 and 2. Predicted: (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)
    assert boundary_recall(true, pred, tolerance=0) == pytest.approx(3 / 4, abs=1e-15)
    assert boundary_recall(true, pred, tolerance=1) == 1
    assert boundary_precision(true, pred, tolerance=0) == pytest.approx(3 / 5, abs=1e-15)
    # perimeters: 10 (a 2×2 square with one pixel beside it), 6 (1×2) and 4 (one pixel)
    by_hand = 4 * math.pi * (5 * 5 / 10**2 + 2 * 2 / 6**2 + 1 * 1 / 4**2) / 8
    assert compactness(pred) == pytest.approx(by_hand, abs=1e-15)
    gray = torch.tensor([[[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]]])
    assert explained_variation(pred, gray) == 1
    # the two halves have means 0 and 3/4, the picture 3/8; its variance is 3/8 · 5/8
    assert explained_variation(true, gray) == pytest.approx((3 / 8) ** 2 / (3 / 8 * 5 / 8), abs=1e-15)


@pytest.mark.parametrize(("over", "expected"), [(1, 0.0), (2, 20 / 60)])
def test_five_percent_of_a_superpixel_are_forgiven(over: int, expected: float) -> None:
    true = torch.arange(60)[None] // 20  # three segments of 20; the first superpixel reaches into the second one
    pred = torch.where(torch.arange(60)[None] < 20, 0, 1 + true)
    true = torch.where(torch.arange(60)[None] < 20 - over, true, true.clamp(min=1))
    # 1 of its 20 pixels is 5 %, which is not above the bound; 2 are, so that it counts twice
    assert undersegmentation_error(true, pred, kind="slic") == pytest.approx(expected, abs=1e-12)


def test_the_slic_kind_may_fall_below_zero() -> None:
    true = torch.arange(30)[None]  # one superpixel in thirty segments, 3.3 % in each
    assert undersegmentation_error(true, torch.zeros_like(true), kind="slic") == -1


def test_the_window_is_a_square() -> None:
    true, pred = torch.zeros(9, 9, dtype=torch.int64), torch.zeros(9, 9, dtype=torch.int64)
    true[0, 0] = 1  # marks (0, 0), (0, 1), (1, 0)
    pred[4:, 4:] = 1  # marks (4, 4) and beyond, (3, 4), (4, 3) and beyond: at least 3 rows and columns away
    assert boundary_recall(true, pred, tolerance=2) == 0
    # (0, 1): (3, 4) is 3 rows and 3 columns off, 4.2 in a straight line; (1, 0): (4, 3); (0, 0) is one further
    assert boundary_recall(true, pred, tolerance=3) == pytest.approx(2 / 3, abs=1e-12)
    assert boundary_recall(true, pred, tolerance=4) == 1


@pytest.mark.parametrize(
    ("shape", "radius"),
    [((321, 481), 1), ((481, 321), 1), ((100, 100), 0), ((3000, 4000), 13), ((480, 360), 2)],
)
def test_the_tolerance_follows_the_diagonal(shape: tuple[int, int], radius: int) -> None:
    # 0.0025 · diagonal: 1.446, 1.446, 0.354, 12.5 and 1.5; halves go up
    true = torch.zeros(shape, dtype=torch.int64)
    true[:, shape[1] // 2 :] = 1
    for by, expected in ((radius, 1.0), (radius + 1, 0.5), (radius + 2, 0.0)):
        # the boundary is two pixels wide: moved by one more than the tolerance, its nearer half is still found
        assert boundary_recall(true, true.roll(by, 1)) == pytest.approx(expected, abs=1e-12)


# ---- closed forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 2, 3, 6])
def test_compactness_of_squares_and_bars(side: int) -> None:
    assert compactness(squares(12, 18, side)) == pytest.approx(math.pi / 4, abs=1e-12)
    bars = torch.arange(5)[:, None].expand(5, side)
    assert compactness(bars) == pytest.approx(math.pi * side / (side + 1) ** 2, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_one_superpixel_over_equal_segments(n: int) -> None:
    true = torch.arange(n)[:, None].expand(n, 6)
    one = torch.zeros_like(true)
    assert achievable_segmentation_accuracy(true, one) == pytest.approx(1 / n, abs=1e-12)
    assert undersegmentation_error(true, one, kind="min") == pytest.approx(1 - 1 / n, abs=1e-12)
    # n · min(1/n, 1 − 1/n)
    assert undersegmentation_error(true, one, kind="np") == pytest.approx(min(1, n - 1), abs=1e-12)
    assert undersegmentation_error(true, one, kind="levinshtein") == pytest.approx(n - 1, abs=1e-12)
    # each of up to 19 segments holds over 5 %; of 20 none does
    assert undersegmentation_error(true, one, kind="slic") == pytest.approx(n - 1 if n < 20 else -1, abs=1e-12)


@given(maps(2))
def test_superpixels_within_segments_are_perfect(pair: Maps) -> None:
    true = pair[0]
    finer = true * 5 + pair[1]  # each superpixel lies in one segment
    scores = superpixel_scores(finer, true, tolerance=0)
    assert scores.boundary_recall == 1
    assert scores.achievable_segmentation_accuracy == 1
    assert [undersegmentation_error(true, finer, kind=kind) for kind in KINDS] == [0, 0, 0, 0]
    assert scores.boundary_precision == pytest.approx(naive_recall(finer, true, 0), abs=1e-12)


def test_every_pixel_for_itself_explains_everything() -> None:
    image = torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(0))
    own = torch.arange(63).reshape(7, 9)
    assert explained_variation(own, image) == pytest.approx(1, abs=1e-12)
    assert explained_variation(torch.zeros_like(own), image) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0])
def test_a_picture_of_one_color_is_explained(value: float) -> None:
    for size in (3, 7, 13, 49):  # the mean of equal values is not always their value: 49 times 0.1 in float64
        image = torch.full((3, size, 7), value, dtype=torch.float64)
        assert explained_variation(squares(size, 7, 2), image) == pytest.approx(1, abs=1e-12)


def test_without_boundaries_nothing_is_missed() -> None:
    one, two = torch.zeros(4, 4, dtype=torch.int64), torch.arange(4).expand(4, 4) // 2
    assert boundary_recall(one, two) == 1
    assert boundary_precision(one, two) == 0
    assert boundary_recall(two, one) == 0
    assert boundary_precision(two, one) == 1


# ---- properties -------------------------------------------------------------------------------------------------


@given(maps(2))
def test_bounds_and_relations(pair: Maps) -> None:
    true, pred = pair
    error = {kind: undersegmentation_error(true, pred, kind=kind) for kind in KINDS}
    accuracy = achievable_segmentation_accuracy(true, pred)
    assert 0 < accuracy <= 1
    assert error["min"] == pytest.approx(1 - accuracy, abs=1e-15)
    assert error["min"] - 1e-12 <= error["np"] <= 2 * error["min"] + 1e-12
    assert error["levinshtein"] >= 0
    assert (error["levinshtein"] == 0) == (error["min"] == 0)
    assert error["slic"] > -1.0 - 1e-12
    assert 0 < compactness(pred) <= math.pi / 4 + 1e-12
    recalls = [boundary_recall(true, pred, radius) for radius in range(8)]
    assert recalls == sorted(recalls)
    assert 0 <= recalls[0] <= recalls[-1] <= 1


@given(maps(2), st.permutations(range(5)), st.permutations(range(5)), st.integers(0, 99))
def test_names_of_labels_and_the_transpose_do_not_matter(pair: Maps, p: list[int], q: list[int], seed: int) -> None:
    true, pred = pair
    image = torch.from_numpy(np.random.default_rng(seed).random((2, *true.shape)))
    before = superpixel_scores(pred, true, image, tolerance=1)
    renamed = superpixel_scores(np.array(q)[pred] * 10**12 + 3, np.array(p)[true] * 10**11, image, tolerance=1)
    turned = superpixel_scores(pred.T, true.T, image.mT, tolerance=1)
    for field in fields(before):
        expected = getattr(before, field.name)
        assert getattr(renamed, field.name) == pytest.approx(expected, abs=1e-9), field.name
        assert getattr(turned, field.name) == pytest.approx(expected, abs=1e-9), field.name


@given(maps(1), st.floats(0.1, 10), st.floats(-3, 3))
def test_explained_variation_has_no_unit(one: Maps, scale: float, shift: float) -> None:
    image = torch.from_numpy(np.random.default_rng(1).random((4, *one[0].shape)))  # four channels are no alpha here
    before = explained_variation(one[0], image)
    assert 0 <= before <= 1
    assert explained_variation(one[0], image * scale + shift) == pytest.approx(before, abs=1e-9)


@given(maps(2, unassigned=True))
def test_unassigned_pixels_do_not_count(pair: Maps) -> None:
    true, pred = pair
    counted = (true >= 0) & (pred >= 0)
    if not counted.any():
        with pytest.raises(ValueError, match="no pixel counts"):
            superpixel_scores(pred, true)
        return
    for kind in KINDS:
        flat = undersegmentation_error(true[counted][None], pred[counted][None], kind=kind)
        assert undersegmentation_error(true, pred, kind=kind) == pytest.approx(flat, abs=1e-12)


def test_large_numbers_beside_unassigned_pixels() -> None:
    small, large = torch.tensor([[-1, 0, 0], [1, 1, -1]]), torch.tensor([[-1, 7, 7], [10**12, 10**12, -1]])
    image = torch.rand(1, 2, 3, generator=torch.Generator().manual_seed(0))
    assert compactness(large) == compactness(small) == pytest.approx(math.pi * 2 / 3**2, abs=1e-15)
    assert explained_variation(large, image) == explained_variation(small, image)


def test_an_open_band_has_no_boundary() -> None:
    true = [[0, 0, -1, 1, 1]]
    pred = [[0, 1, 1, 1, 2]]
    assert boundary_recall(true, pred, tolerance=0) == 1  # nothing is asked for
    assert boundary_precision(true, pred, tolerance=5) == 0
    assert boundary_recall([[0, 0, 1, 1]], [[0, -1, -1, 1]], tolerance=3) == 1  # there, no superpixel is


# ---- several truths, shapes, errors --------------------------------------------------------------------------------


@given(maps(4))
def test_several_truths_are_averaged(given_maps: Maps) -> None:
    *truths, pred = given_maps
    several = superpixel_scores(pred, truths, tolerance=1)
    each = [superpixel_scores(pred, truth, tolerance=1) for truth in truths]
    assert several.n_truths == 3
    for field in fields(several):
        if field.name not in ("n_truths", "explained_variation"):
            mean = np.mean([getattr(scores, field.name) for scores in each])
            assert getattr(several, field.name) == pytest.approx(mean, abs=1e-12), field.name


def test_scores_are_those_of_the_functions() -> None:
    image = datasets.photo("coffee", max_side=100)
    labels = squares(*image.shape[1:], 9)
    truths = [squares(*image.shape[1:], 23), squares(*image.shape[1:], 31)]
    scores = superpixel_scores(labels, truths, image, tolerance=2)
    assert scores.n_segments == len(labels.unique())
    assert scores.boundary_recall == boundary_recall(truths, labels, 2)
    assert scores.boundary_precision == boundary_precision(truths, labels, 2)
    assert scores.undersegmentation_error == undersegmentation_error(truths, labels)
    for kind in KINDS[1:]:
        assert getattr(scores, f"undersegmentation_error_{kind}") == undersegmentation_error(truths, labels, kind=kind)
    assert scores.achievable_segmentation_accuracy == achievable_segmentation_accuracy(truths, labels)
    assert scores.compactness == compactness(labels)
    assert scores.explained_variation == explained_variation(labels, image)
    assert "2 truths" in str(scores)
    assert f"{scores.explained_variation:.4f}" in str(scores)
    without = superpixel_scores(labels, truths)
    assert without.explained_variation is None
    assert "explained" not in str(without)
    assert str(without.tolerance) in str(without).splitlines()[1]


def test_a_table_stands_for_both_maps() -> None:
    true, pred = [[0, 0, 1, 1]], [[0, 1, 1, 1]]
    table = contingency_table(true, pred)
    assert undersegmentation_error(table, kind="np") == undersegmentation_error(true, pred, kind="np")
    assert achievable_segmentation_accuracy(table) == achievable_segmentation_accuracy(true, pred)


def test_labels_without_pixels_do_not_count() -> None:
    true, pred = torch.tensor([[0, 0, 5, 5]]), torch.tensor([[3, 9, 9, 9]])
    for kind in KINDS:
        dense = undersegmentation_error([[0, 0, 1, 1]], [[0, 1, 1, 1]], kind=kind)
        assert undersegmentation_error(true, pred, kind=kind) == pytest.approx(dense, abs=1e-15)
    assert superpixel_scores(pred, true).n_segments == 2


@pytest.mark.parametrize("measure", [boundary_recall, boundary_precision, undersegmentation_error])
def test_maps_of_different_sizes(measure) -> None:
    with pytest.raises(ValueError, match=r"differ in shape: \(2, 3\) and \(3, 2\)"):
        measure(np.zeros((2, 3), int), np.zeros((3, 2), int))
    with pytest.raises(ValueError, match="empty list"):
        measure([], np.zeros((3, 2), int))
    with pytest.raises(ValueError, match="no pixel counts"):
        measure(np.full((2, 2), -1), np.zeros((2, 2), int))


def test_errors() -> None:
    labels = np.zeros((4, 5), int)
    with pytest.raises(ValueError, match=r"labels \(4, 5\) and image \(5, 4\)"):
        explained_variation(labels, torch.zeros(3, 5, 4))
    for empty in (compactness, lambda labels: explained_variation(labels, np.zeros((4, 5)))):
        with pytest.raises(ValueError, match="no pixel counts"):
            empty(labels - 1)
    with pytest.raises(ValueError, match="kind is one of 'min', 'np', 'levinshtein', 'slic'; got 'max'"):
        undersegmentation_error(labels, labels, kind="max")
    for tolerance in (-1, 1.5, True):
        with pytest.raises(ValueError, match="whole number of pixels"):
            boundary_recall(labels, labels, tolerance)


def test_what_is_taken() -> None:
    labels = squares(8, 10, 3)
    image = (np.random.default_rng(0).random((8, 10, 3)) * 255).astype(np.uint8)
    expected = superpixel_scores(labels, labels, torch.from_numpy(image).movedim(-1, 0) / 255)
    for given_labels in (labels.numpy().astype(np.uint8), labels.tolist(), labels.int()):
        scores = superpixel_scores(given_labels, given_labels, image)
        assert scores == expected
    before = labels.clone()
    superpixel_scores(labels, labels, image)
    assert torch.equal(labels, before)


# ---- real truths and devices ------------------------------------------------------------------------------------


@pytest.mark.data
def test_people_against_each_other(seglab_data) -> None:
    found = sorted((seglab_data / "BSDS500").rglob("groundTruth/val/*.mat"))[0]
    truths = [torch.as_tensor(np.asarray(truth)).long() for truth in read_ground_truth(found)]
    one, *others = truths
    scores = superpixel_scores(one, others)
    assert scores.n_truths == len(others) >= 3
    assert superpixel_scores(one, one).boundary_recall == 1
    expected = np.mean([naive_error(other.numpy(), one.numpy(), "np") for other in others])
    assert scores.undersegmentation_error_np == pytest.approx(expected, abs=1e-12)
    assert 0.3 < scores.boundary_recall < 1  # people agree on much, not on everything


@pytest.mark.gpu
def test_gpu_and_cpu() -> None:
    image = datasets.photo("coffee", max_side=200)
    labels, truth = squares(*image.shape[1:], 9), squares(*image.shape[1:], 23)
    truth[10:20, 10:20] = -1
    here, there = superpixel_scores(labels, truth, image), superpixel_scores(labels.cuda(), truth.cuda(), image.cuda())
    for field in fields(here):
        assert getattr(there, field.name) == pytest.approx(getattr(here, field.name), abs=1e-12), field.name
