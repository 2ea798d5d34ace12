from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from seglab.datasets import shapes
from seglab.metrics.instance import (
    COCO_THRESHOLDS,
    InstanceScores,
    bowl_score,
    instance_benchmark,
    instance_scores,
    mask_iou,
    panoptic_quality,
)


def cells(seed: int, n: int = 12, noise: float = 0.8, size: int = 32) -> np.ndarray:
    """A map of n disks and background, numbered from 1; the same places for all seeds, each moved a little."""
    rng = np.random.default_rng(7)
    places, radii = rng.uniform(3, size - 3, (n, 2)), rng.uniform(2, 5, n)
    places = places + np.random.default_rng(seed).normal(0, noise, (n, 2))
    grid = np.stack(np.mgrid[:size, :size], -1)
    labels = np.zeros((size, size), int)
    for k in range(n):
        labels[((grid - places[k]) ** 2).sum(-1) < radii[k] ** 2] = k + 1
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def blobs(seed: int, n: int, size: int = 24) -> np.ndarray:
    """Masks that overlap one another."""
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, size - 8, (2, n, 1, 1))
    height, width = rng.integers(4, 9, (2, n, 1, 1))
    row, col = np.mgrid[:size, :size]
    return (row >= top) & (row < top + height) & (col >= left) & (col < left + width)


def naive_ap(pictures: list[tuple], threshold: float, most: int | None = None) -> dict[int, float]:
    """AP of each class from masks, by the loops of its definition; confidences must differ."""
    classes = sorted({int(c) for _, kinds, *_ in pictures for c in kinds})
    result = {}
    for c in classes:
        trials, n_true = [], 0
        for truth, kinds, pred, own, sure in pictures:
            free = [g for g in range(len(truth)) if kinds[g] == c]
            n_true += len(free)
            ranked = sorted((d for d in range(len(pred)) if own[d] == c), key=lambda d: -sure[d])[:most]
            for d in ranked:
                iou = {g: (truth[g] & pred[d]).sum() / (truth[g] | pred[d]).sum() for g in free}
                best = max(iou, key=lambda g: iou[g], default=None)
                right = best is not None and iou[best] >= threshold
                if right:
                    free.remove(best)
                trials.append((sure[d], right))
        trials.sort(reverse=True)
        points = []
        for k in range(1, len(trials) + 1):
            tp = sum(right for _, right in trials[:k])
            points.append((tp / n_true, tp / k))
        best = [max([p for r, p in points if r >= at], default=0) for at in np.linspace(0, 1, 101)]
        result[c] = float(np.mean(best))
    return result


# ---- average precision ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [None, 3])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75])
def test_ap_of_overlapping_masks_of_three_classes_is_what_loops_find(threshold: float, most: int | None) -> None:
    rng = np.random.default_rng(3)
    pictures = []
    for i in range(5):
        truth = blobs(i, 6 + i)
        pred = np.concatenate([np.roll(truth[: 4 + i], (i % 3, 1), (1, 2)), truth[:3], blobs(90 + i, 4)])
        kinds = rng.integers(0, 3, len(truth))
        own = np.concatenate([kinds[: 4 + i], kinds[:3], rng.integers(0, 3, 4)])
        pictures.append((truth, kinds, pred, own, rng.permutation(1000)[: len(pred)] / 1000 + 1e-4 * i))
    scores = [instance_scores(t, p, scores=s, classes_true=k, classes_pred=o) for t, k, p, o, s in pictures]
    result = instance_benchmark(scores, [threshold], max_detections=most)
    expected = naive_ap(pictures, threshold, most)
    assert result.classes.tolist() == list(expected)
    np.testing.assert_allclose(result.ap[:, 0], list(expected.values()), rtol=1e-12)
    assert 0.1 < result.mean_ap < 0.9
    assert result.at(threshold) == result.mean_ap


def coco_ap(truths: list[dict], found: list[dict], n_pictures: int, size: int) -> list[float]:
    """AP, AP50 and AP75 by COCO's own program."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "height": size, "width": size} for i in range(n_pictures)],
        "annotations": [{"id": i, "area": 1, "bbox": [0] * 4, "iscrowd": 0, **t} for i, t in enumerate(truths, 1)],
        "categories": [{"id": k} for k in sorted({t["category_id"] for t in truths})],
        "info": {},
    }
    coco.createIndex()
    judge = COCOeval(coco, coco.loadRes(found), "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return judge.stats[:3].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_ap_is_that_of_pycocotools(seed: int) -> None:
    from pycocotools.mask import encode

    rng = np.random.default_rng(seed)
    scores, truths, found = [], [], []
    for i in range(6):
        truth = blobs(100 * seed + i, 6 + i)
        moved = np.roll(truth[: 4 + i], rng.integers(-1, 2, 2), (1, 2))
        pred = np.concatenate([moved, truth[:3], blobs(90 + i, 4)])
        kinds, own, sure = rng.integers(1, 4, len(truth)), rng.integers(1, 4, len(pred)), rng.random(len(pred))
        own[: 4 + i] = kinds[: 4 + i]
        scores.append(instance_scores(truth, pred, scores=sure, classes_true=kinds, classes_pred=own))
        for into, masks, classes in ((truths, truth, kinds), (found, pred, own)):
            for runs, k in zip(encode(np.asfortranarray(np.moveaxis(masks, 0, -1), np.uint8)), classes, strict=True):
                into.append({"image_id": i, "category_id": int(k), "segmentation": runs})
        for one, value in zip(found[-len(pred) :], sure.tolist(), strict=True):
            one["score"] = value
    ours = instance_benchmark(scores)
    assert [ours.mean_ap, ours.at(0.5), ours.at(0.75)] == pytest.approx(coco_ap(truths, found, 6, 24), rel=1e-12)
    assert 0.1 < ours.mean_ap < 0.9


def test_a_curve_by_hand() -> None:
    # Truths of 4, 4 and 2 pixels. Predictions, the surest first: right (1), wrong (.25), right (2/3).
    truth = [[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 0, 0]]
    pred = [[1, 1, 1, 1, 2, 0, 0, 0, 3, 3, 3, 0]]
    result = instance_benchmark([instance_scores(truth, pred, scores=[0.9, 0.8, 0.3])], [0.5, 0.75])
    # precision 1 up to a recall of 1/3: 34 of the 101 (0 to .33); then 2/3 up to 2/3: 33 more (.34 to .66)
    assert result.ap[0] == pytest.approx([(34 + 33 * 2 / 3) / 101, 34 / 101])
    assert result.recall[0] == pytest.approx([2 / 3, 1 / 3])
    assert result.precision[0, 0, [0, 33, 34, 66, 67]] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0])
    assert result.mean_ap == pytest.approx(result.ap.mean())


def test_the_surest_prediction_takes_the_truth_and_the_second_is_wrong() -> None:
    truth = np.ones((1, 1, 10), bool)
    pred = np.zeros((2, 1, 10), bool)
    pred[0, 0, :9], pred[1, 0, :] = True, True
    scores = instance_scores(truth, pred, scores=[0.9, 0.8])
    assert scores.matches([0.5, 0.95]).tolist() == [[0, -1], [-1, 0]]
    assert instance_benchmark([scores], [0.5]).ap[0, 0] == 1  # the wrong one comes after full recall
    late = instance_scores(
        truth, np.concatenate([pred[1:, :, :] & False | (np.arange(10) < 2), pred]), scores=[1, 1, 1]
    )
    assert instance_benchmark([late], [0.5]).ap[0, 0] == pytest.approx(1 / 3)  # equal: one place of the curve


def test_a_free_truth_is_taken_though_a_better_one_is_gone() -> None:
    truth, pred = np.zeros((2, 2, 1, 12), bool)
    truth[0, 0, :10], truth[1, 0, 2:12] = True, True
    pred[0, 0, :10], pred[1, 0, 1:11] = True, True  # the second overlaps both by 9/11; the first is gone
    assert instance_scores(truth, pred, scores=[2, 1]).matches([0.7]).tolist() == [[0, 1]]
    assert instance_scores(truth, pred, scores=[1, 2]).matches([0.7]).tolist() == [[-1, 0]]  # ties: the first truth


def test_overlaps_at_a_threshold_are_pairs_for_ap_and_not_for_the_bowl() -> None:
    truth, pred = [[1, 1, 1, 1]], [[1, 1, 0, 0]]
    result = instance_benchmark([instance_scores(truth, pred)], [0.5])
    assert (result.ap[0, 0], result.bowl[0], result.panoptic.mean[0]) == (1, 0, 0)


def test_order_of_objects_and_pictures_does_not_matter() -> None:
    pictures = [(cells(2 * i), cells(2 * i + 1)) for i in range(4)]
    rng = np.random.default_rng(0)
    sure = [rng.integers(0, 4, p.max()) / 4 for _, p in pictures]  # many equal ones
    first = instance_benchmark([instance_scores(t, p, scores=s) for (t, p), s in zip(pictures, sure, strict=True)])
    moved = []
    for (t, p), s in reversed(list(zip(pictures, sure, strict=True))):
        order = rng.permutation(p.max())
        moved.append(instance_scores(t, np.r_[0, np.argsort(order) + 1][p], scores=s[order]))
    second = instance_benchmark(moved)
    np.testing.assert_allclose(second.ap, first.ap, rtol=1e-12)
    assert 0 < first.mean_ap < 1
    np.testing.assert_allclose(second.bowl, first.bowl[::-1], rtol=1e-12)


def test_a_class_that_only_the_prediction_has_is_no_class_of_ap() -> None:
    scores = instance_scores([[1, 1, 0]], [[1, 1, 2]], classes_true=[5], classes_pred=[5, 7])
    result = instance_benchmark([scores])
    assert (result.classes.tolist(), result.mean_ap) == ([5], 1)
    assert result.panoptic.classes.tolist() == [5, 7]
    assert result.panoptic.mean[0] == 0.5


# ---- overlaps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_maps_and_their_masks_say_the_same(seed: int) -> None:
    truth, pred = cells(seed), cells(seed + 10)
    masks = [np.arange(1, of.max() + 1)[:, None, None] == of for of in (truth, pred)]
    results = [instance_scores(a, b) for a, b in ((truth, pred), masks, (truth, masks[1]), (masks[0], pred))]
    for name in InstanceScores.__dataclass_fields__:
        for other in results[1:]:
            left, right = (
                getattr(of, name)[np.lexsort((of.true, of.pred))] if name in ("pred", "true", "overlaps")
                else getattr(of, name) for of in (results[0], other)
            )  # fmt: skip
            np.testing.assert_allclose(left, right, rtol=1e-12)
    assert len(results[0].overlaps) > 5


def test_iou_is_that_of_sets_of_pixels() -> None:
    a, b = blobs(0, 5), blobs(1, 7)
    expected = [[(x & y).sum() / (x | y).sum() for y in b] for x in a]
    np.testing.assert_allclose(mask_iou(a, b), expected, rtol=1e-12)
    assert mask_iou(a[:0], b).shape == (0, 7)


def test_numbers_with_gaps_keep_their_scores_and_classes() -> None:
    scores = instance_scores([[3, 3, 0]], [[2, 2, 5]], scores=[0.1, 0.2, 0.3, 0.4, 0.5], classes_true=[0, 0, 9],
                             classes_pred=[0, 9, 0, 0, 8])  # fmt: skip
    assert scores.scores.tolist() == [0.2, 0.5]
    assert (scores.classes_pred.tolist(), scores.classes_true.tolist()) == ([9, 8], [9])
    assert scores.overlaps.tolist() == [1]


def test_how_large_numbers_are_does_not_matter() -> None:
    truth, pred = cells(1), cells(2)
    truth[:4, :9] = -1
    small, large = (instance_scores(np.where(truth < 0, -1, truth * by), pred * by) for by in (1, 10**15))
    for name in ("pred", "true", "overlaps", "void"):
        np.testing.assert_array_equal(getattr(small, name), getattr(large, name))
    assert len(small.overlaps) > 10


# ---- the Bowl's score ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_bowl_score_is_what_a_loop_over_masks_finds(seed: int) -> None:
    truth, pred = cells(seed), cells(seed + 10)
    a, b = ([of == k for k in range(1, of.max() + 1)] for of in (truth, pred))
    values = []
    for t in COCO_THRESHOLDS:
        tp = sum(any((x & y).sum() / (x | y).sum() > t for y in b) for x in a)
        values.append(tp / (len(a) + len(b) - tp))
    assert bowl_score(truth, pred) == pytest.approx(np.mean(values), rel=1e-12)
    assert 0 < np.mean(values) < 1


def test_bowl_score_of_nothing() -> None:
    nothing, one = np.zeros((3, 3), int), np.eye(3, dtype=int)
    assert bowl_score(nothing, nothing) == 1
    assert bowl_score(one, nothing) == bowl_score(nothing, one) == 0
    assert bowl_score(one, one) == 1


# ---- panoptic quality -----------------------------------------------------------------------------------------------


def test_panoptic_quality_by_hand() -> None:
    # class 1: overlaps 3/4 and 1/4 (no pair); class 2: one pair of 1, a prediction too many
    truth = [[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 0, 0]]
    pred = [[1, 1, 1, 0, 2, 0, 0, 0, 3, 3, 4, 0]]
    got = panoptic_quality(truth, pred, classes_true=[1, 1, 2], classes_pred=[1, 1, 2, 2])
    pq1, pq2 = 0.75 / (1 + 0.5 + 0.5), 1 / (1 + 0.5)
    assert got == pytest.approx(((pq1 + pq2) / 2, (0.75 + 1) / 2, (1 / 2 + 2 / 3) / 2))


@pytest.mark.parametrize("seed", range(3))
def test_panoptic_quality_is_that_of_torchmetrics(seed: int) -> None:
    from torchmetrics.functional.detection import panoptic_quality as theirs

    rng = np.random.default_rng(seed)
    scores, maps = [], ([], [])
    for i in range(3):
        truth, pred = cells(10 * seed + i), cells(10 * seed + i + 5)
        kinds = [rng.integers(1, 3, of.max()) for of in (truth, pred)]
        kinds[1][:6] = kinds[0][:6]
        full = truth.copy()
        truth[:, 25:] = -1
        scores.append(instance_scores(truth, pred, classes_true=kinds[0], classes_pred=kinds[1]))
        for k, (of, kind) in enumerate(zip((full, pred), kinds, strict=True)):
            # theirs knows things (1, 2), a background that is not measured (0) and takes unknown classes for void
            kind = np.r_[0, kind][of]
            kind[:, 25:] = 7 if k == 0 else kind[:, 25:]
            maps[k].append(np.stack([kind, of], -1))
    got = instance_benchmark(scores).panoptic
    pred, true = (torch.from_numpy(np.stack(of)) for of in reversed(maps))
    keep = {"things": {1, 2}, "stuffs": {0}, "allow_unknown_preds_category": True, "return_sq_and_rq": True}
    per_class = theirs(pred, true, **keep, return_per_class=True).numpy()[:2]  # the last is class 0
    np.testing.assert_allclose(np.stack([got.sq * got.rq, got.sq, got.rq], -1), per_class, rtol=2e-7)
    assert (got.tp > 0).all()
    assert (got.fp + got.fn > 0).all()


def test_predictions_in_the_void_are_not_wrong() -> None:
    truth, pred = [[1, 1, 0, -1, -1, -1]], [[1, 1, 2, 2, 2, 0]]
    scores = instance_scores(truth, pred, scores=[0.5, 0.9])
    result = instance_benchmark([scores], [0.5])
    assert scores.void.tolist() == [False, True]
    assert (result.ap[0, 0], result.bowl[0], result.panoptic.mean[0]) == (1, 1, 1)
    half = instance_scores([[1, 1, 0, 0, -1, -1]], [[1, 1, 2, 2, 2, 2]], scores=[0.5, 0.9])
    assert not half.void.any()  # exactly half counts
    assert instance_benchmark([half], [0.5]).ap[0, 0] == 0.5


# ---- closed forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_the_truth_itself_is_perfect(seed: int) -> None:
    scene = shapes(height=80, width=90, n_shapes=7, seed=seed)
    kinds = scene.instance_classes[1:]
    one = instance_scores(scene.instances, scene.instances, classes_true=kinds, classes_pred=kinds)
    result = instance_benchmark([one], [0.5, 0.95, 1])
    assert result.mean_ap == pytest.approx(1)
    assert (result.bowl[0], result.panoptic.mean) == (pytest.approx(2 / 3), (1, 1, 1))  # more than 1 there is not


def test_greedy_by_overlap_is_the_best_matching_where_pairs_exceed_a_half() -> None:
    """Disjoint objects that overlap by more than a half have one partner: no order can find more pairs."""
    truth, pred = cells(1, noise=0.3), cells(2, noise=0.3)
    first = instance_scores(truth, pred)
    n = (first.matches([0.5], strict=True) >= 0).sum()
    over = {(p, t) for p, t, o in zip(first.pred, first.true, first.overlaps, strict=True) if o > 0.5}
    assert n == len(over) == len({p for p, _ in over}) > 3
    for order in list(permutations(range(4)))[::5]:
        sure = np.ones(len(first.scores))
        sure[:4] = order
        again = instance_scores(truth, pred, scores=sure)
        assert (again.matches([0.5], strict=True) >= 0).sum() == n


def test_an_empty_prediction_is_wrong() -> None:
    masks = blobs(0, 3)
    both = np.concatenate([masks, masks[:1] & False])
    result = instance_benchmark([instance_scores(masks, both)])
    assert result.bowl[0] == pytest.approx(0.75)
    assert result.mean_ap == pytest.approx(0.75)


def test_pictures_without_predictions_or_truths() -> None:
    nothing, one = np.zeros((3, 4), int), np.eye(3, 4, dtype=int)
    result = instance_benchmark([instance_scores(one, nothing), instance_scores(nothing, one)])
    assert (result.mean_ap, result.panoptic.mean[0], result.bowl.tolist()) == (0, 0, [0, 0])
    empty = instance_benchmark([instance_scores(nothing, nothing)])
    assert np.isnan(empty.mean_ap)
    assert np.isnan(empty.panoptic.mean[0])
    assert np.isnan(empty.at(0.5))


@pytest.mark.gpu
def test_maps_and_masks_on_the_gpu() -> None:
    truth, pred = torch.from_numpy(cells(0)), torch.from_numpy(cells(1))
    for a, b in ((truth, pred), (torch.from_numpy(blobs(0, 5)), torch.from_numpy(blobs(1, 6)))):
        here, there = instance_scores(a, b), instance_scores(a.cuda(), b.cuda())
        for name in InstanceScores.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


# ---- wrong inputs -----------------------------------------------------------------------------------------------


def test_wrong_inputs_are_named() -> None:
    a, masks = cells(0), blobs(0, 3)
    with pytest.raises(ValueError, match="truth and pred differ in shape"):
        instance_scores(a, a[:5])
    with pytest.raises(ValueError, match=r"truth and pred differ in shape: \(24, 24\) and \(20, 24\)"):
        instance_scores(masks, masks[:, 4:])
    with pytest.raises(ValueError, match=r"scores has one value for each of 3 objects; got shape \(2,\)"):
        instance_scores(masks, masks, scores=[1, 2])
    with pytest.raises(ValueError, match="a score is NaN"):
        instance_scores(masks, masks, scores=[1, 2, float("nan")])
    with pytest.raises(ValueError, match="truth: a mask is empty"):
        instance_scores(masks & False, masks)
    with pytest.raises(ValueError, match=r"pred: masks are \(N, H, W\) of 0 and 1"):
        instance_scores(masks, masks * 3)
    with pytest.raises(ValueError, match="−1 is for two maps"):
        instance_scores(np.full((24, 24), -1), masks)
    with pytest.raises(ValueError, match="1 to N without a gap"):
        instance_scores(np.full((24, 24), 2), masks)
    scores = [instance_scores(a, a)]
    with pytest.raises(ValueError, match="no scores"):
        instance_benchmark([])
    for wrong in ([], [0.0], [1.1], 0.5):
        with pytest.raises(ValueError, match=r"thresholds is a list of overlaps, each in \(0, 1\]"):
            instance_benchmark(scores, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_detections is at least 1"):
        instance_benchmark(scores, max_detections=0)
    with pytest.raises(ValueError, match=r"there is no threshold 0\.6"):
        instance_benchmark(scores, [0.5]).at(0.6)
