from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import adapted_rand_error as skimage_rand_error
from skimage.metrics import variation_of_information as skimage_information
from sklearn.metrics import rand_score
from sklearn.metrics.cluster import contingency_matrix

from seglab.metrics import contingency as contingency_module
from seglab.metrics.region import (
    adapted_rand_error,
    best_overlaps,
    best_overlaps_of_prediction,
    contingency_table,
    probabilistic_rand_index,
    rand_index,
    segmentation_covering,
    variation_of_information,
)

MEASURES = (segmentation_covering, rand_index, variation_of_information, adapted_rand_error, probabilistic_rand_index)
SYMMETRIC = (rand_index, variation_of_information, adapted_rand_error)


def maps(count: int, labels: int = 5, unassigned: bool = False) -> st.SearchStrategy:
    """Label maps of one small shape."""
    values = st.integers(-1 if unassigned else 0, labels - 1)
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 7))
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=values)] * count))


def naive_covering(truths: list[np.ndarray], pred: np.ndarray) -> float:
    covered = total = 0.0
    for truth in truths:
        for r in np.unique(truth):
            overlaps = [
                ((truth == r) & (pred == s)).sum() / ((truth == r) | (pred == s)).sum() for s in np.unique(pred)
            ]
            covered += (truth == r).sum() * max(overlaps)
            total += (truth == r).sum()
    return covered / total


def naive_rand(true: np.ndarray, pred: np.ndarray) -> float:
    t, p = true.ravel(), pred.ravel()
    pairs = [(t[i] == t[j]) == (p[i] == p[j]) for i in range(len(t)) for j in range(i)]
    return float(np.mean(pairs)) if pairs else 1.0


# ---- worked by hand ---------------------------------------------------------------------------------------------


def test_four_pixels_by_hand() -> None:
    true, pred = [[0, 0], [1, 1]], [[0, 1], [1, 1]]
    # pairs of pixels: 01 together/apart, 23 together/together, 12 and 13 apart/together, 02 and 03 apart/apart
    assert rand_index(true, pred) == pytest.approx(3 / 6, abs=1e-15)
    # |R∩S|/|R∪S|: upper row 1/2 with 0 and 1/4 with 1; lower row 2/3 with 1
    assert segmentation_covering(true, pred) == pytest.approx((2 * 1 / 2 + 2 * 2 / 3) / 4, abs=1e-15)
    # H(true) = 1, H(pred) = 2 − 3/4 log2 3, joint entropy 1/4·2 + 1/4·2 + 1/2·1 = 1.5
    assert variation_of_information(true, pred) == pytest.approx(2 * 1.5 - 1 - (2 - 0.75 * math.log2(3)), abs=1e-14)
    # pairs together: 1 in both, 2 in the truth, 3 in the prediction
    assert adapted_rand_error(true, pred) == pytest.approx(1 - 2 * 1 / (2 + 3), abs=1e-15)


@pytest.mark.parametrize(("n", "size"), [(1, 12), (2, 6), (3, 5), (8, 16)])
def test_one_region_against_equal_regions(n: int, size: int) -> None:
    pixels = n * size
    equal, one = torch.arange(pixels).reshape(n, size) // size, torch.zeros(n, size, dtype=torch.int64)
    assert variation_of_information(equal, one) == pytest.approx(math.log2(n), abs=1e-12)
    assert segmentation_covering(equal, one) == pytest.approx(1 / n, abs=1e-15)
    assert segmentation_covering(one, equal) == pytest.approx(1 / n, abs=1e-15)
    assert rand_index(equal, one) == pytest.approx((pixels / n - 1) / (pixels - 1), abs=1e-15)


def test_every_pixel_its_own_against_one_region() -> None:
    own, one = torch.arange(35).reshape(5, 7), torch.zeros(5, 7, dtype=torch.int64)
    assert variation_of_information(own, one) == pytest.approx(math.log2(35), abs=1e-12)
    assert rand_index(own, one) == 0
    assert adapted_rand_error(own, one) == 1


@pytest.mark.parametrize("labels", [[[0]], [[7]], [[0, 1], [2, 3]], [[4, 4, 4]]])
def test_the_same_partition_is_perfect(labels: list) -> None:
    assert segmentation_covering(labels, labels) == 1
    assert rand_index(labels, labels) == 1
    assert probabilistic_rand_index([labels, labels], labels) == 1
    assert variation_of_information(labels, labels) == 0
    assert adapted_rand_error(labels, labels) == 0


# ---- oracles ----------------------------------------------------------------------------------------------------


@given(maps(2))
def test_naive_loops(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred = pair
    assert segmentation_covering(true, pred) == pytest.approx(naive_covering([true], pred), abs=1e-12)
    assert rand_index(true, pred) == pytest.approx(naive_rand(true, pred), abs=1e-12)


@given(maps(2))
def test_libraries(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred = pair
    assert variation_of_information(true, pred) == pytest.approx(sum(skimage_information(true, pred)), abs=1e-12)
    assert rand_index(true, pred) == pytest.approx(rand_score(true.ravel(), pred.ravel()), abs=1e-12)
    table = contingency_table(true, pred).dense().numpy()
    rows, cols = table.any(1), table.any(0)
    np.testing.assert_array_equal(table[rows][:, cols], contingency_matrix(true.ravel(), pred.ravel()))
    if len(np.unique(true)) < true.size or len(np.unique(pred)) < pred.size:  # scikit-image divides by zero otherwise
        if len(np.unique(true)) == true.size or len(np.unique(pred)) == pred.size:
            return
        expected = skimage_rand_error(true, pred, ignore_labels=())[0]
        assert adapted_rand_error(true, pred) == pytest.approx(expected, abs=1e-12)


def test_libraries_on_a_large_map_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    true, pred = (rng.integers(0, n, (30, 40)).repeat(16, 0).repeat(16, 1) for n in (37, 5))
    pred = pred[::-1, ::-1]
    assert variation_of_information(true, pred) == pytest.approx(sum(skimage_information(true, pred)), rel=1e-12)
    assert rand_index(true, pred) == pytest.approx(rand_score(true.ravel(), pred.ravel()), rel=1e-12)
    expected = skimage_rand_error(true, pred, ignore_labels=())[0]
    assert adapted_rand_error(true, pred) == pytest.approx(expected, rel=1e-12)


def test_counts_do_not_overflow() -> None:
    # a gigapixel picture, whose pairs of pixels are beyond float32 and 32 bits; made from sizes alone
    table = contingency_module.ContingencyTable(
        true=torch.tensor([0, 1]),
        pred=torch.tensor([0, 0]),
        counts=torch.tensor([2**30 + 1, 2**29]),
        n_true=(2,),
        n_pred=1,
    )
    a, b = 2**30 + 1, 2**29
    together = a * (a - 1) + b * (b - 1)
    assert rand_index(table) == pytest.approx(together / ((a + b) * (a + b - 1)), rel=1e-15)
    assert segmentation_covering(table) == pytest.approx((a * a + b * b) / (a + b) ** 2, rel=1e-12)


# ---- several truths ---------------------------------------------------------------------------------------------


@given(maps(4))
def test_several_truths(given_maps: tuple[np.ndarray, ...]) -> None:
    *truths, pred = given_maps
    assert segmentation_covering(truths, pred) == pytest.approx(naive_covering(truths, pred), abs=1e-12)
    for several, single in (
        (probabilistic_rand_index, rand_index),
        (variation_of_information, variation_of_information),
        (adapted_rand_error, adapted_rand_error),
    ):
        each = [single(truth, pred) for truth in truths]
        assert several(truths, pred) == pytest.approx(np.mean(each), abs=1e-12)


@given(maps(3))
def test_overlaps_both_ways(given_maps: tuple[np.ndarray, ...]) -> None:
    *truths, pred = given_maps
    found = best_overlaps_of_prediction(contingency_table(truths, pred))
    for row, truth in zip(found, truths, strict=True):
        other_way = best_overlaps(contingency_table(pred, truth))
        np.testing.assert_allclose(row[: len(other_way)].numpy(), other_way.numpy(), atol=1e-15)


def test_rand_index_is_of_two_maps() -> None:
    with pytest.raises(ValueError, match="probabilistic_rand_index"):
        rand_index([np.zeros((2, 2), int)] * 2, np.zeros((2, 2), int))


def test_a_table_stands_for_both_maps() -> None:
    true, pred = [[0, 0, 1, 1]], [[0, 1, 1, 1]]
    table = contingency_table(true, pred)
    for measure in MEASURES:
        assert measure(table) == measure(true, pred)
        with pytest.raises(TypeError, match="left out"):
            measure(table, pred)
        with pytest.raises(TypeError, match="missing"):
            measure(true)


# ---- invariances ------------------------------------------------------------------------------------------------


@given(maps(2), st.permutations(range(5)), st.permutations(range(5)))
def test_names_of_labels_do_not_matter(pair: tuple[np.ndarray, np.ndarray], p: list[int], q: list[int]) -> None:
    true, pred = pair
    for measure in MEASURES:
        renamed = measure(np.array(p)[true], np.array(q)[pred] * 10**12 + 3)
        assert renamed == pytest.approx(measure(true, pred), abs=1e-12)


@given(maps(2))
def test_symmetry_and_bounds(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred = pair
    for measure in SYMMETRIC:
        assert measure(true, pred) == pytest.approx(measure(pred, true), abs=1e-12)
    assert 0 < segmentation_covering(true, pred) <= 1
    assert 0 <= rand_index(true, pred) <= 1
    assert 0 <= adapted_rand_error(true, pred) <= 1
    assert 0 <= variation_of_information(true, pred) <= math.log2(true.size) + 1e-12


@given(maps(3))
def test_variation_of_information_is_a_metric(three: tuple[np.ndarray, ...]) -> None:
    a, b, c = three
    through_b = variation_of_information(a, b) + variation_of_information(b, c)
    assert variation_of_information(a, c) <= through_b + 1e-12


@given(maps(2, unassigned=True))
def test_unassigned_pixels_do_not_count(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred = pair
    counted = (true >= 0) & (pred >= 0)
    if not counted.any():
        with pytest.raises(ValueError, match="no pixel counts"):
            contingency_table(true, pred)
        return
    for measure in MEASURES:
        assert measure(true, pred) == pytest.approx(measure(true[counted][None], pred[counted][None]), abs=1e-12)


def test_unassigned_pixels_of_one_truth_count_for_another() -> None:
    truths = [np.array([[0, 0, -1, -1]]), np.array([[0, 0, 1, 1]])]
    pred = np.array([[0, 0, 0, 1]])
    each = [variation_of_information(truth, pred) for truth in truths]
    assert each[0] == 0
    assert each[1] > 0.5
    assert variation_of_information(truths, pred) == pytest.approx(sum(each) / 2, abs=1e-12)
    assert segmentation_covering(truths, pred) == pytest.approx((2 * 1 + 2 * 2 / 3 + 2 * 1 / 2) / 6, abs=1e-12)


def test_places_with_one_label_are_one_segment() -> None:
    apart = [[0, 1, 0]]
    assert rand_index(apart, [[0, 1, 2]]) < 1
    assert segmentation_covering(apart, apart) == 1


def test_inputs_are_not_written_to() -> None:
    true, pred = torch.tensor([[3, -1, 0]]), torch.tensor([[0, 1, -1]])
    before = true.clone(), pred.clone()
    contingency_table(true, pred)
    assert torch.equal(true, before[0])
    assert torch.equal(pred, before[1])
