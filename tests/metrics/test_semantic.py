from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, recall_score

from seglab.metrics import semantic
from seglab.metrics.semantic import (
    boundary_band,
    class_accuracy,
    class_dice,
    class_iou,
    confusion,
    dice,
    frequency_weighted_iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
    semantic_scores,
)
from seglab.segmenter import Segmentation

K = 4
MAPS = st.tuples(st.integers(1, 5), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.int64, shape, elements=st.integers(-1, K - 1)),
        hnp.arrays(np.int64, shape, elements=st.integers(0, K - 1)),
    )
)


def test_by_hand():
    true = [[0, 0, 0, 1], [1, 2, 2, -1]]
    pred = [[0, 0, 1, 1], [1, 1, 2, 0]]
    matrix = confusion(true, pred, n_classes=4)
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert matrix.dtype == torch.int64
    assert pixel_accuracy(matrix) == pytest.approx(5 / 7)
    assert class_accuracy(matrix)[:3].tolist() == pytest.approx([2 / 3, 1, 1 / 2])
    assert class_iou(matrix)[:3].tolist() == pytest.approx([2 / 3, 2 / 4, 1 / 2])
    assert class_dice(matrix)[:3].tolist() == pytest.approx([4 / 5, 4 / 6, 2 / 3])
    for of_class in (class_accuracy, class_iou, class_dice):
        assert of_class(matrix)[3].isnan(), "nobody has class 3"
    assert mean_accuracy(matrix) == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert mean_iou(matrix) == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert frequency_weighted_iou(matrix) == pytest.approx((3 * 2 / 3 + 2 / 2 + 2 / 2) / 7)
    assert dice(matrix) == pytest.approx((4 / 5 + 4 / 6 + 2 / 3) / 3)


@given(MAPS)
def test_naive_count(maps):
    true, pred = maps
    expected = np.zeros((K, K), int)
    for t, p in zip(true.ravel(), pred.ravel(), strict=True):
        if t >= 0:
            expected[t, p] += 1
    assert confusion(true, pred, n_classes=K).tolist() == expected.tolist()


@given(MAPS)
def test_scikit_learns_scores(maps):
    true, pred = (labels[maps[0] >= 0] for labels in maps)
    if not true.size:
        return
    matrix = confusion(*maps, n_classes=K)
    options = {"labels": range(K), "average": None, "zero_division": np.nan}
    np.testing.assert_array_equal(matrix, confusion_matrix(true, pred, labels=range(K)))
    np.testing.assert_allclose(class_dice(matrix), f1_score(true, pred, **options), atol=1e-12)
    had = np.isin(np.arange(K), [true, pred])
    theirs = jaccard_score(true, pred, labels=range(K), average=None, zero_division=0)
    np.testing.assert_allclose(class_iou(matrix), np.where(had, theirs, np.nan), atol=1e-12)
    assert mean_iou(matrix) == pytest.approx(theirs[had].mean(), abs=1e-12)
    weighted = jaccard_score(true, pred, average="weighted", zero_division=0)
    assert frequency_weighted_iou(matrix) == pytest.approx(weighted, abs=1e-12)
    assert pixel_accuracy(matrix) == pytest.approx(f1_score(true, pred, average="micro"), abs=1e-12)
    recall = recall_score(true, pred, labels=np.unique(true), average="macro")
    assert mean_accuracy(matrix) == pytest.approx(recall, abs=1e-12)


@given(MAPS)
def test_dice_and_iou_say_the_same_of_a_class(maps):
    matrix = confusion(*maps, n_classes=K)
    if matrix.sum() == 0:
        return
    iou, f = class_iou(matrix), class_dice(matrix)
    torch.testing.assert_close(f, 2 * iou / (1 + iou), equal_nan=True)
    assert bool((iou[~iou.isnan()] <= f[~f.isnan()]).all())


@given(MAPS, st.permutations(range(K)))
def test_the_names_of_classes_do_not_matter(maps, order):
    true, pred = maps
    table = np.array([*order, -1])  # −1 stays
    first, second = confusion(true, pred, n_classes=K), confusion(table[true], table[pred], n_classes=K)
    assert torch.equal(second[order][:, order], first)


def test_a_data_sets_score_is_that_of_the_sum():
    """One picture with a hundred pixels of class 1, all found; one with a single one, missed."""
    large = confusion(np.arange(200) // 100, np.arange(200) // 100, n_classes=2)
    small = confusion(np.arange(200) // 199, np.zeros(200, int), n_classes=2)
    assert class_iou(large)[1] == 1
    assert class_iou(small)[1] == 0
    assert class_iou(large + small)[1] == pytest.approx(100 / 101)
    assert mean_iou(sum([large, small])) == pytest.approx((299 / 300 + 100 / 101) / 2)
    assert abs(mean_iou(large + small) - (mean_iou(large) + mean_iou(small)) / 2) > 0.2


def test_a_class_that_is_only_predicted_counts_as_zero():
    matrix = confusion([0, 0], [0, 2], n_classes=4)
    assert class_iou(matrix).nan_to_num(-1).tolist() == [0.5, -1, 0, -1]
    assert mean_iou(matrix) == 0.25
    assert mean_accuracy(matrix) == 0.5, "accuracy asks for the classes of the truth"


def test_what_is_ignored(monkeypatch):
    monkeypatch.setitem(semantic._BLOCK, "cpu", 3)  # three blocks, one of them ignored
    true = [255, 255, 255, 0, 1, 255, 1, 1]
    pred = [9, 0, -1, 0, 1, 77, 0, 1]
    assert confusion(true, pred, n_classes=2, ignore=255).tolist() == [[1, 0], [1, 2]]
    assert confusion([[0, 1]], [[1, 1]], n_classes=2, ignore=0).tolist() == [[0, 0], [0, 1]]
    assert confusion([[-1]], [[0]], n_classes=2).sum() == 0


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.int64])
def test_types_and_shapes(dtype):
    rng = np.random.default_rng(0)
    true, pred = (rng.integers(0, 2, (3, 5, 7)).astype(dtype) for _ in range(2))
    expected = confusion_matrix(true.ravel(), pred.ravel())
    for t, p in ((true, pred), (true.transpose(2, 0, 1), pred.transpose(2, 0, 1)), (true.ravel(), pred.ravel())):
        np.testing.assert_array_equal(confusion(t, p, n_classes=2), expected)
    if dtype != np.uint16:
        np.testing.assert_array_equal(confusion(torch.tensor(true), torch.tensor(pred), n_classes=2), expected)


def test_many_classes_in_a_small_type():
    labels = np.arange(200, dtype=np.uint8)
    assert torch.equal(confusion(labels, labels, n_classes=200), torch.eye(200, dtype=torch.int64))


def test_a_segmentation_is_a_prediction():
    from seglab.methods import KMeans

    found = KMeans(n_clusters=2).segment(torch.tensor([[[0.0, 0.0, 1.0]]]))
    assert isinstance(found, Segmentation)
    assert confusion(found.labels, found, n_classes=2).trace() == 3


def test_the_table():
    text = str(semantic_scores(torch.tensor([[3, 1, 0], [2, 2, 0], [0, 0, 0]]), ("sky", "road", "cat")))
    assert text.split("\n")[3].split() == ["cat", "0.000", "–", "–", "–"]
    assert semantic_scores(torch.eye(2)).class_names == ("0", "1")
    assert semantic_scores(torch.eye(2)).share.tolist() == [0.5, 0.5]


def naive_band(labels, width, ignore=-1):
    out = np.zeros(labels.shape, bool)
    for row, col in np.ndindex(labels.shape):
        window = labels[max(row - width, 0) : row + width + 1, max(col - width, 0) : col + width + 1]
        out[row, col] = labels[row, col] != ignore and len(np.unique(window[window != ignore])) > 1
    return out


@given(MAPS, st.integers(1, 3))
def test_naive_band(maps, width):
    true, pred = maps
    for labels, ignore in ((true, -1), (pred, 2), (pred, None)):
        found = boundary_band(torch.from_numpy(labels), width, ignore=ignore)
        np.testing.assert_array_equal(found, naive_band(labels, width, ignore))


def test_a_batch_has_the_bands_of_its_pictures():
    labels = torch.randint(0, 3, (4, 6, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels[0] = 1
    band = boundary_band(labels, 1)
    assert torch.equal(band, torch.stack([boundary_band(one, 1) for one in labels]))
    assert not band[0].any()


def test_what_is_wrong_is_said():
    ok = np.zeros((2, 3), int)
    with pytest.raises(ValueError, match=r"differ in shape: \(3, 2\) and \(2, 3\)"):
        confusion(ok.T, ok, n_classes=2)
    with pytest.raises(ValueError, match=r"labels_true has 2, .* name a label not to count as ignore"):
        confusion(ok + 2, ok, n_classes=2)
    with pytest.raises(ValueError, match=r"labels_true has -1, "):
        confusion(ok - 1, ok, n_classes=2, ignore=255)
    with pytest.raises(ValueError, match=r"labels_pred has -1, .* give each pixel a class"):
        confusion(ok, ok - 1, n_classes=2)
    with pytest.raises(ValueError, match=r"labels_pred must be whole numbers, got torch.float32; .* argmax"):
        confusion(ok, torch.zeros(2, 3), n_classes=2)
    with pytest.raises(ValueError, match="labels_true must be whole numbers, got float64"):
        confusion(ok + 0.5, ok, n_classes=2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        confusion(ok, ok, n_classes=0)
    with pytest.raises(ValueError, match="no pixel counts"):
        mean_iou(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"confusion matrix \(K, K\), got \(2, 3\)"):
        pixel_accuracy(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="2 classes, but 1 class_names"):
        semantic_scores(torch.eye(2), ["sky"])
    with pytest.raises(ValueError, match="at least 1; got 0"):
        boundary_band(torch.zeros(2, 3, dtype=torch.int64), 0)
    with pytest.raises(ValueError, match=r"\(H, W\) or \(N, H, W\), got torch.float32"):
        boundary_band(torch.zeros(2, 3), 1)


@pytest.mark.gpu
def test_device_is_kept_and_agrees():
    generator = torch.Generator().manual_seed(0)
    true, pred = (torch.randint(low, 11, (3, 50, 60), generator=generator) for low in (-1, 0))
    there = confusion(true.cuda(), pred.cuda(), n_classes=11)
    assert there.device.type == "cuda"
    assert torch.equal(there.cpu(), confusion(true, pred, n_classes=11))
    assert torch.equal(confusion(true, pred.cuda(), n_classes=11), there)
    assert mean_iou(there) == pytest.approx(mean_iou(there.cpu()), abs=1e-12)
    band = boundary_band(true.cuda(), 2)
    assert band.device.type == "cuda"
    assert torch.equal(band.cpu(), boundary_band(true, 2))
