from __future__ import annotations

import numpy as np
import pytest
import torch

from seglab.metrics.contingency import contingency_table
from seglab.metrics.segments import SegmentScores, segment_benchmark, segment_f, segment_scores


def cells(seed: int, height: int = 20, width: int = 25, n: int = 9, noise: float = 0.5) -> np.ndarray:
    """A label map of n Voronoi cells of the same places for all seeds, each moved a little."""
    places = np.random.default_rng(7).uniform(0, 1, (n, 2)) * (height, width)
    places += np.random.default_rng(seed).normal(0, noise, (n, 2))
    grid = np.stack(np.mgrid[:height, :width], -1)
    return ((grid[:, :, None] - places) ** 2).sum(-1).argmin(-1)


Pictures = list[tuple[list[np.ndarray], np.ndarray]]


def naive(pictures: Pictures, threshold: float, min_size: int, annotators: str) -> tuple[float, float, float, float]:
    """Average precision, precision, recall and mean F by loops over segments and their masks."""
    if annotators == "best":
        pictures = [([best_truth(*picture, threshold, min_size)], picture[1]) for picture in pictures]
    trials, n_true, f = [], 0.0, []
    for k, (truths, labels) in enumerate(pictures):
        masks = [(a, g, truth == g) for a, truth in enumerate(truths) for g in np.unique(truth)]
        own = []
        for s in np.unique(labels):
            mask = labels == s
            if mask.sum() < min_size:
                continue
            found = {(k, a, g) for a, g, true in masks if (mask & true).sum() / (mask | true).sum() > threshold}
            groups = [{x for x in found if x[1] == a} for a in range(len(truths))] if annotators == "each" else [found]
            if annotators in ("correct", "mean"):
                groups = [{(k, int(s))} if found else set()]  # what is counted is the segment itself
            own += [(int(mask.sum()), group) for group in groups]
        in_all = len(masks) / len(truths) if annotators == "mean" else len(masks)
        precision = sum(bool(group) for _, group in own) / max(len(own), 1)
        recall = len(set().union(*(group for _, group in own))) / in_all
        f.append(2 * precision * recall / (precision + recall) if precision + recall else 0)
        n_true += in_all
        trials += own
    area, before, hit, right, taken = 0.0, 0.0, set(), 0, 0
    for size in sorted({size for size, _ in trials}, reverse=True):
        for group in (group for own, group in trials if own == size):
            taken, right, hit = taken + 1, right + bool(group), hit | group
        area += (len(hit) / n_true - before) * right / taken
        before = len(hit) / n_true
    return area, right / max(taken, 1), before, float(np.mean(f))


def best_truth(truths: list[np.ndarray], labels: np.ndarray, threshold: float, min_size: int) -> np.ndarray:
    """The person's with whom the average precision is highest, the first of several."""
    return max(truths, key=lambda truth: naive([([truth], labels)], threshold, min_size, "pooled")[0])


# ---- against loops ----------------------------------------------------------------------------------------------


READINGS = ("pooled", "each", "correct", "mean", "best")


@pytest.mark.parametrize("annotators", READINGS)
@pytest.mark.parametrize("min_size", [1, 8])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.7])
def test_everything_is_what_loops_over_masks_find(threshold: float, min_size: int, annotators: str) -> None:
    pictures = [([cells(10 * i + j, n=9 + j) for j in range(1 + i)], cells(10 * i + 9, n=12)) for i in range(4)]
    pictures[2][1][::3, ::4] = 40  # a scattered one
    pictures[3][1][:2, :3] = 41  # a small one
    scores = [segment_scores(truths, labels, min_size=min_size) for truths, labels in pictures]
    result = segment_benchmark(scores, [threshold], annotators=annotators)  # type: ignore[arg-type]
    expected = naive(pictures, threshold, min_size, annotators)
    assert 0 < expected[0] < 1 or threshold == 0 or annotators == "mean"
    found = result.ap[0], result.precision[0], result.recall[0], result.f[0]
    assert found == pytest.approx(expected, abs=1e-12)
    alone = [naive([picture], threshold, min_size, annotators)[0] for picture in pictures]
    assert result.ap_images[:, 0] == pytest.approx(alone, abs=1e-12)


def test_overlaps_are_those_of_masks() -> None:
    truths, labels = [cells(0) + 1, cells(1, n=5) + 3], cells(2, n=7) * 2  # numbers that are not used
    scores = segment_scores(truths, labels)
    numbers = [np.unique(truth) for truth in truths]
    masks = np.concatenate(
        [truth == of[:, None, None] for truth, of in zip(truths, numbers, strict=True)], dtype=np.int64
    )
    mine = (labels == np.unique(labels)[:, None, None]).astype(np.int64)
    both = np.einsum("syx,ryx->sr", mine, masks)
    either = mine.sum((1, 2))[:, None] + masks.sum((1, 2)) - both
    dense = np.zeros_like(both, float)
    dense[scores.pred, scores.true] = scores.overlaps
    np.testing.assert_allclose(dense, both / either, rtol=1e-12)
    np.testing.assert_array_equal(scores.sizes, mine.sum((1, 2)))
    np.testing.assert_array_equal(scores.truth_of, np.repeat([0, 1], [len(of) for of in numbers]))


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_a_curve_by_hand() -> None:
    # ten pixels; truth 5 + 3 + 2, prediction 4 + 4 + 2: overlaps 4/5, 3/4 and 1
    truth, labels = [[0] * 5 + [1] * 3 + [2] * 2], [[0] * 4 + [1] * 4 + [2] * 2]
    result = segment_benchmark([segment_scores(truth, labels)], [0.5, 0.75, 0.8])
    assert [curve.tolist() for curve in result.curves] == [
        [[4, pytest.approx(2 / 3), 1], [2, 1, 1]],
        [[4, pytest.approx(1 / 3), 0.5], [2, pytest.approx(2 / 3), pytest.approx(2 / 3)]],
        [[4, 0, 0], [2, pytest.approx(1 / 3), pytest.approx(1 / 3)]],  # exactly .8 is not more than .8
    ]
    assert result.ap == pytest.approx([1, 1 / 6 + 2 / 9, 1 / 9])
    assert result.f == pytest.approx([1, 2 / 3, 1 / 3])


def test_people_together_and_one_by_one() -> None:
    # one person has two halves, the other four quarters; the prediction has the left half and the right quarters
    halves, quarters = [[0] * 4 + [1] * 4], [[0, 0, 1, 1, 2, 2, 3, 3]]
    labels = [[0, 0, 0, 0, 1, 1, 2, 2]]
    scores = [segment_scores([halves, quarters], labels)]
    results = {a: segment_benchmark(scores, [0.5], annotators=a) for a in READINGS}  # type: ignore[arg-type]
    ends = {a: (r.precision[0], r.recall[0]) for a, r in results.items()}
    assert ends == {
        "pooled": (1, 0.5),  # three of six segments are found
        "each": (0.5, 0.5),  # three trials of six
        "correct": (1, 0.5),  # three correct ones in six
        "mean": (1, 1),  # … in three, which a person drew on average
        "best": (1 / 3, 0.5),  # AP with the first 1/2, with the second 1/2 · 2/3
    }
    areas = {"pooled": 0.5, "each": 1 / 6 * 1 / 2 + 2 / 6 * 3 / 6, "correct": 0.5, "mean": 1, "best": 0.5}
    assert {a: r.ap[0] for a, r in results.items()} == pytest.approx(areas)


def test_what_two_people_drew_is_found_twice_or_once() -> None:
    # both people have the left half; of the right one, one has quarters, and the prediction has those
    truths, labels = [[[0] * 4 + [1] * 4], [[0] * 4 + [1, 1, 2, 2]]], [[0] * 4 + [1, 1, 2, 2]]
    scores = [segment_scores(truths, labels)]
    recall = {a: segment_benchmark(scores, [0.5], annotators=a).recall[0] for a in READINGS}  # type: ignore[arg-type]
    assert recall == pytest.approx({"pooled": 4 / 5, "each": 4 / 5, "correct": 3 / 5, "mean": 3 / 2.5, "best": 1})


def test_average_precision_of_each_picture() -> None:
    # the first picture is right; of the second both segments are, but one of three is not found; of the third none is
    good = segment_scores([[0, 0, 1]], [[0, 0, 1]])
    half = segment_scores([[0, 1, 1, 2, 2, 2]], [[0, 0, 0, 1, 1, 1]])  # overlaps 1/3, 2/3 and 1
    late = segment_scores([[0, 1, 2, 2]], [[0, 0, 0, 1]])  # the segment of three is wrong, that of one too
    result = segment_benchmark([good, half, late], [0.5])
    assert result.ap_images[:, 0] == pytest.approx([1, 2 / 3, 0])
    # together: three pixels: two of three right, two of eight found; two pixels: 3 of 4; one pixel: 4 of 6
    assert result.ap[0] == pytest.approx(2 / 8 * 2 / 3 + 1 / 8 * 3 / 4 + 1 / 8 * 4 / 6)


def test_small_segments_are_left_out_and_change_the_order() -> None:
    truth = np.zeros((10, 10), int)
    truth[:, 5:] = 1
    labels = truth.copy()
    labels[::2, 0] = np.arange(2, 7)  # five single pixels
    assert segment_f(truth, labels) == pytest.approx(2 * (2 / 7) / (2 / 7 + 1))
    assert segment_f(truth, labels, min_size=2) == 1
    assert segment_f(truth, labels, min_size=46) == pytest.approx(2 / 3)  # one of the two is left
    assert segment_f(truth, labels, min_size=51) == 0
    assert segment_benchmark([segment_scores(truth, labels)]).ap[0] == 1  # the right ones come first
    empty = segment_benchmark([segment_scores(truth, labels, min_size=51)], annotators="each")
    assert (empty.ap[0], empty.precision[0], empty.recall[0]) == (0, 0, 0)


def test_pictures_are_in_one_order() -> None:
    good, bad = segment_scores([[0, 1, 1]], [[0, 1, 1]]), segment_scores([[0, 1, 2, 3]], [[0, 0, 0, 0]])
    result = segment_benchmark([bad, good], [0.5])
    # the wrong segment of four pixels comes first, then right ones of two and of one; six are to be found
    assert result.curves[0].tolist() == [[4, 0, 0], [2, pytest.approx(1 / 6), 0.5], [1, pytest.approx(1 / 3), 2 / 3]]
    assert result.ap[0] == pytest.approx(1 / 6 * 1 / 2 + 1 / 6 * 2 / 3)
    assert result.images.tolist() == [[0], [1]]
    assert result.f[0] == 0.5


def test_text_has_a_row_for_each_threshold() -> None:
    text = str(segment_benchmark([segment_scores([[0, 0, 0, 1]], [[0, 0, 1, 2]])], [0.5, 0.75])).splitlines()
    assert text[1].split() == [">", "0.5", "0.8333", "0.6667", "1.0000", "0.8000"]
    assert len(text) == 3
    assert len({len(line) for line in text}) == 1


# ---- closed forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("annotators", ["pooled", "each", "mean", "best"])
def test_the_same_partition_is_perfect(seed: int, annotators: str) -> None:
    labels = cells(seed)
    result = segment_benchmark([segment_scores([labels] * 3, labels)], annotators=annotators)  # type: ignore[arg-type]
    for values in (result.ap, result.precision, result.recall, result.f):
        assert values.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("n", [2, 3, 8])
def test_one_segment_against_many(n: int) -> None:
    # it overlaps each of n equal ones by 1/n, which is not more than 1/n
    truth, whole = np.repeat(np.arange(n), 6)[None], np.zeros((1, 6 * n), int)
    assert segment_f(truth, whole, threshold=1 / n) == 0
    assert segment_f(truth, whole, threshold=1 / n - 1e-9) == 1
    assert segment_f(whole, truth, threshold=1 / n - 1e-9) == 1
    assert segment_f(truth, whole) == 0


def test_each_segment_cut_in_unequal_parts() -> None:
    # of each pair the larger part is right: F = 2/3; they all come first
    truth, labels = np.repeat(np.arange(4), 10)[None], np.repeat(np.arange(8), [6, 4] * 4)[None]
    assert segment_f(truth, labels) == pytest.approx(2 / 3)
    assert segment_benchmark([segment_scores(truth, labels)]).ap.tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_labels_do_not_matter(seed: int) -> None:
    truth, labels = cells(seed), cells(seed + 20, n=14)
    order = np.random.default_rng(seed).permutation(40)
    first = segment_benchmark([segment_scores(truth, labels)])
    second = segment_benchmark([segment_scores(order[truth], order[labels] + 100)])
    np.testing.assert_allclose(first.ap, second.ap, rtol=1e-12)
    np.testing.assert_allclose(first.f, second.f, rtol=1e-12)


def test_pixels_that_no_truth_has_do_not_count() -> None:
    truth, labels = np.array([[0, 0, -1, -1, 1, 1]]), np.array([[0, 0, 0, 2, 1, 1]])
    scores = segment_scores(truth, labels)
    assert scores.sizes.tolist() == [2, 2]
    assert scores.overlaps.tolist() == [1, 1]


def test_a_table_is_taken_too() -> None:
    truths, labels = [cells(0), cells(1)], cells(2)
    assert segment_f(contingency_table(truths, labels)) == segment_f(truths, labels) > 0


@pytest.mark.gpu
def test_maps_on_the_gpu() -> None:
    truths, labels = [torch.from_numpy(cells(s)) for s in (0, 1)], torch.from_numpy(cells(2))
    here, there = segment_scores(truths, labels), segment_scores([truth.cuda() for truth in truths], labels.cuda())
    for name in SegmentScores.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


# ---- wrong inputs -----------------------------------------------------------------------------------------------


def test_wrong_inputs_are_named() -> None:
    labels = cells(0)
    scores = [segment_scores(labels, labels)]
    with pytest.raises(ValueError, match="min_size is a number of pixels, at least 1; got 0"):
        segment_scores(labels, labels, min_size=0)
    with pytest.raises(ValueError, match="no scores"):
        segment_benchmark([])
    with pytest.raises(ValueError, match="annotators is one of pooled, each, correct, mean, best; got 'worst'"):
        segment_benchmark(scores, annotators="worst")  # type: ignore[arg-type]
    for wrong in ([], [1.0], [-0.1], [float("nan")], 0.5):
        with pytest.raises(ValueError, match=r"thresholds is a list of overlaps, each in \[0, 1\)"):
            segment_benchmark(scores, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="differ in shape"):
        segment_f(labels, labels[:5])
    with pytest.raises(TypeError, match="labels_pred is missing"):
        segment_f(labels)
