from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from scipy import ndimage

from seglab.hierarchy import Hierarchy
from seglab.metrics.berkeley import (
    RegionScores,
    format_official,
    read_ground_truth,
    read_segs,
    read_ucm2,
    region_benchmark,
    region_scores,
    region_scores_of_hierarchy,
    spread_thresholds,
)
from seglab.metrics.region import probabilistic_rand_index, segmentation_covering, variation_of_information

FILES = ("eval_cover.txt", "eval_cover_img.txt", "eval_cover_th.txt", "eval_RI_VOI.txt", "eval_RI_VOI_thr.txt")


def cells(seed: int, height: int = 12, width: int = 15, n: int = 9) -> np.ndarray:
    """A label map of n Voronoi cells."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 1, (n, 2)) * (height, width)
    grid = np.stack(np.mgrid[:height, :width], -1)
    return ((grid[:, :, None] - place) ** 2).sum(-1).argmin(-1)


def contours(seed: int) -> torch.Tensor:
    """A contour map of a random tree over Voronoi cells."""
    leaves = torch.from_numpy(np.unique(cells(seed), return_inverse=True)[1].reshape(12, 15))
    n = int(leaves.max()) + 1
    rng = np.random.default_rng(seed + 100)
    edges = [(i, int(rng.integers(0, i))) for i in range(1, n)]
    return Hierarchy.from_edges(leaves, edges, rng.uniform(0.05, 0.95, n - 1)).contours()


# ---- pooling ----------------------------------------------------------------------------------------------------


def test_scores_of_one_picture_are_the_measures() -> None:
    truths = [cells(1, n=4), cells(2, n=6)]
    segmentations = [cells(seed, n=n) for seed, n in ((3, 3), (4, 8), (5, 20))]
    scores = region_scores(truths, segmentations)
    for i, labels in enumerate(segmentations):
        assert scores.covered[i] / scores.total == pytest.approx(segmentation_covering(truths, labels), abs=1e-12)
        assert scores.rand[i] == pytest.approx(probabilistic_rand_index(truths, labels), abs=1e-12)
        assert scores.information[i] == pytest.approx(variation_of_information(truths, labels), abs=1e-12)
    assert scores.thresholds.tolist() == [1, 2, 3]
    assert scores.total == 2 * 12 * 15


def test_best_lets_each_segment_choose() -> None:
    truth = [[0, 0, 1, 1]]
    one_right, other_right = [[0, 0, 1, 2]], [[0, 1, 2, 2]]
    scores = region_scores([truth], [one_right, other_right])
    assert (scores.covered / scores.total).tolist() == [0.75, 0.75]
    assert scores.covered_best / scores.total == 1
    assert region_benchmark([scores]).covering_best == 1


def test_covering_the_other_way_takes_the_best_of_all_truths() -> None:
    prediction = [[0, 0, 1, 1]]
    scores = region_scores([[[0, 0, 1, 2]], [[0, 1, 2, 2]]], [prediction])
    assert scores.covered_pred / scores.total_pred == 1


def by_hand(covered: list[float], total: float, rand: list[float], information: list[float]) -> RegionScores:
    n = len(covered)
    return RegionScores(
        thresholds=np.arange(1.0, n + 1),
        covered=np.array(covered),
        covered_best=max(covered),
        total=total,
        covered_pred=np.ones(n),
        total_pred=np.full(n, 2.0),
        rand=np.array(rand),
        information=np.array(information),
    )


def test_pooling_by_hand() -> None:
    small = by_hand([8, 2], 10, [0.5, 0.7], [2.0, 1.0])
    large = by_hand([10, 60], 90, [0.9, 0.8], [1.0, 3.0])
    result = region_benchmark([small, large])
    # covering is pooled: 18/100 and 62/100, not a mean of pictures; OIS (8 + 60)/100
    assert result.covering == pytest.approx((0.62, 2, 0.68))
    assert result.covering_best == pytest.approx(0.68)
    # the other two are means over pictures, each with a setting of its own: Rand .7 and .75, information 1.5 and 2
    assert result.rand == pytest.approx((0.75, 2, 0.8))
    assert result.information == pytest.approx((1.5, 1, 1.0))
    assert result.covering_at.tolist() == pytest.approx([0.18, 0.62])
    assert result.rand_at.tolist() == pytest.approx([0.7, 0.75])
    assert result.information_at.tolist() == pytest.approx([1.5, 2])
    np.testing.assert_allclose(result.images, [[1, 0.8, 0.5], [2, 60 / 90, 0.5]])
    text = str(result)
    assert all(number in text for number in ("0.6200 (2)", "0.7500 (2)", "1.5000 (1)", "0.6800"))


def test_the_first_of_equal_settings_is_chosen() -> None:
    result = region_benchmark([by_hand([5, 5], 10, [0.5, 0.5], [1.0, 1.0])])
    assert (result.covering.threshold, result.rand.threshold, result.information.threshold) == (1, 1, 1)
    assert result.images[0, 0] == 1


def test_settings_have_to_be_the_same() -> None:
    with pytest.raises(ValueError, match="different settings"):
        region_benchmark([by_hand([1], 2, [1], [1]), by_hand([1, 1], 2, [1, 1], [1, 1])])
    with pytest.raises(ValueError, match="no scores"):
        region_benchmark([])
    with pytest.raises(ValueError, match="empty"):
        region_scores([cells(0)], [])
    with pytest.raises(ValueError, match="empty"):
        region_scores_of_hierarchy([cells(0)], contours(0), [])


def test_official_text_rounds_each_picture_first() -> None:
    scores = [by_hand([1.2345678], 10, [0.1234567], [1.0]), by_hand([2], 10, [0.5], [1.0])]
    text = format_official(scores)
    assert tuple(text) == FILES
    assert text["eval_cover.txt"] == "         1   0.161728   0.161728   0.161728\n"
    assert text["eval_cover_img.txt"].splitlines()[1] == "         2          1        0.2        0.5"
    # (.123457 + .5) / 2, where the exact mean .31172835 prints as .311728
    assert text["eval_RI_VOI.txt"] == "         1   0.311729   0.311729          1          1          1\n"
    assert f"{region_benchmark(scores).rand.ods:.6g}" == "0.311728"


# ---- hierarchies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_cuts_of_a_contour_map_are_its_labelings(seed: int) -> None:
    ucm2 = contours(seed)
    truths = [cells(seed + 50, n=5), cells(seed + 60, n=3)]
    found = region_scores_of_hierarchy(truths, ucm2, 19)
    labelings = [ndimage.label(ucm2.numpy() <= t, np.ones((3, 3)))[0][1::2, 1::2] for t in spread_thresholds(19)]
    direct = region_scores(truths, labelings)
    assert len({len(np.unique(labels)) for labels in labelings}) > 3
    for name in ("covered", "covered_best", "total", "covered_pred", "total_pred", "rand", "information"):
        np.testing.assert_allclose(getattr(found, name), getattr(direct, name), rtol=1e-12, atol=1e-12, err_msg=name)
    tree = region_scores_of_hierarchy(truths, Hierarchy.from_contours(ucm2), 19)
    np.testing.assert_array_equal(tree.covered, found.covered)
    np.testing.assert_allclose(found.thresholds, np.arange(1, 20) / 20)


# ---- files ------------------------------------------------------------------------------------------------------


def test_files_in_berkeleys_format(tmp_path: Path) -> None:
    segs = np.empty((1, 2), object)
    segs[0, 0], segs[0, 1] = cells(0).astype(np.uint16) + 1, cells(1).astype(np.uint8) + 1
    person = np.array([(segs[0, 0],)], dtype=[("Segmentation", object)])
    people = np.empty((1, 1), object)
    people[0, 0] = person
    ucm2 = contours(0).numpy()
    scipy.io.savemat(tmp_path / "a.mat", {"segs": segs, "ucm2": ucm2, "groundTruth": people})
    read = read_segs(tmp_path / "a.mat")
    assert [labels.dtype for labels in read] == [torch.int64] * 2
    np.testing.assert_array_equal(read[1].numpy(), cells(1) + 1)
    np.testing.assert_array_equal(read_ground_truth(tmp_path / "a.mat")[0].numpy(), cells(0) + 1)
    np.testing.assert_array_equal(read_ucm2(tmp_path / "a.mat").numpy(), ucm2)


def test_broken_files_are_named(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "other.mat", {"other": np.zeros(3)})
    with pytest.raises(ValueError, match=r"other\.mat holds no variable 'segs'"):
        read_segs(tmp_path / "other.mat")
    (tmp_path / "broken.mat").write_bytes(b"no such format" * 40)
    with pytest.raises(ValueError, match=r"broken\.mat cannot be read"):
        read_ucm2(tmp_path / "broken.mat")
    with pytest.raises(FileNotFoundError):
        read_ground_truth(tmp_path / "absent.mat")


# ---- Berkeley's own results -------------------------------------------------------------------------------------


def sample(folder: Path) -> tuple[Path, list[str]]:
    bench = folder / "BSDS500" / "bench" / "data"
    return bench, sorted(path.stem for path in (bench / "images").glob("*.jpg"))


def assert_official(text: dict[str, str], results: Path) -> None:
    assert tuple(text) == FILES
    for name in FILES:
        assert text[name] == (results / name).read_text(), name


@pytest.mark.data
@pytest.mark.parametrize("test", ["test_4", "test_5"])
def test_official_results_from_segs(seglab_data: Path, test: str) -> None:
    bench, ids = sample(seglab_data)
    scores = [
        region_scores(read_ground_truth(bench / f"groundTruth/{i}.mat"), read_segs(bench / f"segs/{i}.mat"))
        for i in ids
    ]
    assert_official(format_official(scores), bench / test)


@pytest.mark.data
def test_official_results_from_contour_maps(seglab_data: Path) -> None:
    bench, ids = sample(seglab_data)
    scores = [
        region_scores_of_hierarchy(
            read_ground_truth(bench / f"groundTruth/{i}.mat"), read_ucm2(bench / f"ucm2/{i}.mat"), 5
        )
        for i in ids
    ]
    assert_official(format_official(scores), bench / "test_1")


@pytest.mark.data
def test_ninety_nine_thresholds_of_a_real_contour_map(seglab_data: Path) -> None:
    bench, ids = sample(seglab_data)
    truths, ucm2 = read_ground_truth(bench / f"groundTruth/{ids[0]}.mat"), read_ucm2(bench / f"ucm2/{ids[0]}.mat")
    found = region_scores_of_hierarchy(truths, ucm2)
    some = [0, 9, 49, 98]
    labelings = [ndimage.label(ucm2.numpy() <= t, np.ones((3, 3)))[0][1::2, 1::2] for t in spread_thresholds(99)[some]]
    direct = region_scores(truths, labelings)
    np.testing.assert_allclose(found.covered[some], direct.covered, rtol=1e-12)
    np.testing.assert_allclose(found.rand[some], direct.rand, rtol=1e-12)
    np.testing.assert_allclose(found.information[some], direct.information, rtol=1e-12)


@pytest.mark.data
@pytest.mark.slow
def test_people_agree_as_published(seglab_data: Path) -> None:
    """Each person against the others of the same picture, mean over people, then over the 200 test pictures.

    Published (Arbeláez et al. 2011): covering .72, Rand .88, information 1.17.
    """
    folder = seglab_data / "BSDS500/data/groundTruth/test"
    paths = sorted(folder.glob("*.mat"))
    assert len(paths) == 200
    means = []
    for path in paths:
        people = read_ground_truth(path)
        scores = []
        for i, one in enumerate(people):
            others = region_scores(people[:i] + people[i + 1 :], [one])
            scores.append((others.covered[0] / others.total, others.rand[0], others.information[0]))
        means.append(np.mean(scores, 0))
    found = np.mean(means, 0)
    assert [f"{value:.3f}" for value in found] == ["0.722", "0.877", "1.169"]
