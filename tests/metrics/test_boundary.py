from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree
from skimage.morphology import thin

from seglab.kernels import _matching_loops as loops
from seglab.labels import boundaries
from seglab.metrics import boundary
from seglab.metrics.berkeley import read_ground_truth, read_segs, read_ucm2
from seglab.metrics.boundary import (
    BoundaryScores,
    boundary_benchmark,
    boundary_f,
    boundary_scores,
    boundary_scores_of_contours,
    format_official_boundaries,
    match_boundaries,
    thin_boundaries,
)

COUNTS = ("matched_true", "total_true", "matched_pred", "total_pred")


def cells(seed: int, height: int = 12, width: int = 15, n: int = 9) -> np.ndarray:
    """A label map of n Voronoi cells."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 1, (n, 2)) * (height, width)
    grid = np.stack(np.mgrid[:height, :width], -1)
    return ((grid[:, :, None] - place) ** 2).sum(-1).argmin(-1)


def dense(true: np.ndarray, pred: np.ndarray, radius: float) -> tuple[int, int]:
    """The number of pairs and their total distance in hundredths, by SciPy's solver on the full matrix."""
    one, other = np.argwhere(true), np.argwhere(pred)
    far = np.sqrt(((one[:, None] - other[None]) ** 2).sum(-1))
    alone = 100 * 100 * radius
    cost = np.full((len(one), len(other) + len(one)), alone)
    cost[:, : len(other)] = np.where(far <= radius + 1e-9, np.rint(100 * far), 1e9)
    rows, cols = linear_sum_assignment(cost)
    pair = cols < len(other)
    return int(pair.sum()), int(cost[rows[pair], cols[pair]].sum())


# ---- the matching -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_pairs_are_as_many_and_as_short_as_can_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 16, 2))
    true, pred = (rng.random(shape) < density for density in rng.uniform(0.02, 0.6, 2))
    radius = rng.choice([1.0, 1.5, 2.0, 3.2, 5.0])
    found = match_boundaries(true, pred, tolerance=radius / np.hypot(*shape))
    number, total = dense(true, pred, radius)
    assert found[0].sum() == found[1].sum() == number
    assert not (found[0] & ~true).any()
    assert not (found[1] & ~pred).any()
    # what was chosen is enough for an optimum: all of it in pairs, at the same total
    assert dense(*found, radius) == (number, total)


@pytest.mark.parametrize("seed", range(6))
def test_pairs_of_thin_curves(seed: int) -> None:
    true, pred = (thin(boundaries(torch.from_numpy(cells(s, 40, 50, 12)), "bsds").numpy()) for s in (seed, seed + 50))
    found = match_boundaries(true, pred, tolerance=4.337 / np.hypot(40, 50))
    assert dense(*found, 4.337) == dense(true, pred, 4.337)


@given(st.integers(0, 10**6), st.integers(300, 900))
def test_a_row_stays_alone_where_that_is_cheaper(seed: int, alone: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 300, tuple(rng.integers(1, 12, 2)))
    edge = rng.random(cost.shape) < 0.4
    order = [sorted(np.flatnonzero(row), key=lambda j, i=i: cost[i, j]) for i, row in enumerate(edge)]
    starts = np.cumsum([0, *map(len, order)])
    ends = np.array([j for row in order for j in row], np.int32)
    costs = np.array([cost[i, j] for i, row in enumerate(order) for j in row], np.int64)
    found = loops.assign(starts, ends, costs, cost.shape[1], alone)
    full = np.hstack([np.where(edge, cost, 10**6), np.full((len(cost), len(cost)), alone)])
    paired = np.flatnonzero(found >= 0)
    assert edge[paired, found[paired]].all()
    assert len(set(found[paired])) == len(paired)
    total = cost[paired, found[paired]].sum() + alone * (len(cost) - len(paired))
    assert total == full[linear_sum_assignment(full)].sum()


def test_a_greedy_pairing_would_lose_one() -> None:
    # the nearest of b is A, but then a has nobody: a-A and b-B is longer and has more pairs
    true, pred = np.zeros((2, 1, 9), bool)
    true[0, [0, 3]], pred[0, [2, 5]] = True, True
    found = match_boundaries(true, pred, tolerance=2 / np.hypot(1, 9))
    np.testing.assert_array_equal(found, [true, pred])


def test_of_two_candidates_the_nearer_is_taken() -> None:
    true, pred = np.zeros((2, 1, 9), bool)
    true[0, 4], pred[0, [1, 6]] = True, True
    found = match_boundaries(true, pred, tolerance=3 / np.hypot(1, 9))[1]
    assert np.flatnonzero(found).tolist() == [6]


@pytest.mark.parametrize(("down", "right"), [(3, 4), (0, 5), (5, 0), (4, -3)])
def test_the_tolerance_is_inclusive_and_a_circle(down: int, right: int) -> None:
    true, pred = np.zeros((2, 13, 17), bool)
    true[6, 8], pred[6 + down, 8 + right] = True, True
    diagonal = np.hypot(13, 17)
    assert match_boundaries(true, pred, tolerance=5 / diagonal)[0].sum() == 1
    assert match_boundaries(true, pred, tolerance=4.999 / diagonal)[0].sum() == 0


def test_tolerance_zero_pairs_only_the_same_pixels() -> None:
    rng = np.random.default_rng(0)
    true, pred = rng.random((2, 9, 11)) < 0.4
    found = match_boundaries(true, pred, tolerance=0)
    np.testing.assert_array_equal(found, [true & pred] * 2)


def test_everything_is_within_a_large_tolerance() -> None:
    rng = np.random.default_rng(1)
    true, pred = rng.random((9, 11)) < 0.1, rng.random((9, 11)) < 0.5
    assert match_boundaries(true, pred, tolerance=7.0)[0].sum() == true.sum()


# ---- one picture ------------------------------------------------------------------------------------------------


def test_counts_by_hand() -> None:
    # two people and the machine draw a vertical line each, at columns 2, 7 and 3 of 10, five pixels long
    one, other, machine = np.zeros((3, 5, 10), bool)
    one[:, 2], other[:, 7], machine[:, 3] = True, True, True
    scores = boundary_scores([one, other], [machine, machine | other, machine & False], tolerance=1 / np.hypot(5, 10))
    assert [getattr(scores, name).tolist() for name in COUNTS] == [[5, 10, 0], [10] * 3, [5, 10, 0], [5, 10, 0]]
    assert scores.recall.tolist() == [0.5, 1, 0]
    assert scores.precision.tolist() == [1, 1, 0]
    assert scores.f.tolist() == [pytest.approx(2 / 3), 1, 0]
    assert scores.thresholds.tolist() == [1, 2, 3]


def test_a_pixel_that_anybody_has_is_right_once() -> None:
    line = np.zeros((5, 10), bool)
    line[:, 4] = True
    scores = boundary_scores([line, line, line & False], [line])
    assert [getattr(scores, name).tolist() for name in COUNTS] == [[10], [10], [5], [5]]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_map_is_perfect(seed: int) -> None:
    labels = cells(seed)
    assert boundary_f(labels, labels) == 1
    assert boundary_f([labels, labels], labels, tolerance=0) == 1


@pytest.mark.parametrize("seed", range(8))
def test_exchanged_maps_exchange_precision_and_recall(seed: int) -> None:
    one, other = cells(seed, 30, 35), cells(seed + 30, 30, 35, 5)
    there = boundary_scores([one], [other], tolerance=0.04)
    back = boundary_scores([other], [one], tolerance=0.04)
    assert 0 < there.precision < 1
    assert (there.precision, there.recall) == (back.recall, back.precision)


def test_no_boundaries_score_nothing() -> None:
    flat, labels = np.zeros((8, 9), int), cells(0, 8, 9)
    for true, pred in ((flat, labels), (labels, flat), (flat, flat)):
        scores = boundary_scores([true], [pred])
        assert (scores.precision[0], scores.recall[0], scores.f[0]) == (0, 0, 0)


def test_label_maps_and_their_boundaries_are_the_same() -> None:
    truths, maps = [cells(s, 30, 40) for s in (1, 2)], [cells(s, 30, 40, 20) for s in (3, 4)]
    edges = [boundaries(torch.from_numpy(labels), "bsds") for labels in maps]
    drawn = [torch.from_numpy(thin(boundaries(torch.from_numpy(labels), "bsds").numpy())) for labels in truths]
    first, second = boundary_scores(truths, maps), boundary_scores(drawn, edges)
    for name in COUNTS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(thin(edges[0].numpy()), edges[0].numpy())  # so thinning was needed


def test_a_truth_of_booleans_is_taken_as_it_is() -> None:
    thick = np.zeros((9, 9), bool)
    thick[2:7, 2:7] = True
    scores = boundary_scores([thick], [thick])
    assert scores.total_true == 25
    assert scores.total_pred == thin(thick).sum() < 25


def test_a_wider_tolerance_never_loses_pairs() -> None:
    one, other = cells(0, 40, 40), cells(9, 40, 40)
    found = [boundary_scores([one], [other], tolerance=t).matched_true[0] for t in np.linspace(0, 0.2, 9)]
    assert found == sorted(found)
    assert found[0] < found[-1]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_thinning_is_scikit_images(share: float) -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (17, 23), (40, 31)):
        edges = rng.random(shape) < share
        np.testing.assert_array_equal(thin_boundaries(edges), thin(edges))
    smooth = gaussian_filter(rng.random((60, 70)), 3)  # thick lines too, which take several rounds
    edges = smooth > np.quantile(smooth, 1 - share)
    np.testing.assert_array_equal(thin_boundaries(edges), thin(edges))


def test_heights_between_which_nothing_lies_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, real = [], boundary.match_boundaries
    monkeypatch.setattr(boundary, "match_boundaries", lambda *a, **k: calls.append(1) or real(*a, **k))
    contours = np.where(cells(0) % 2, 0.5, 0.0)
    found = boundary_scores_of_contours([cells(1)], contours, [0.1, 0.9, 0.2, 0.5, 0.6])
    assert len(calls) == 2
    each = [boundary_scores_of_contours([cells(1)], contours, [t]) for t in found.thresholds]
    for name in COUNTS:
        np.testing.assert_array_equal(getattr(found, name), np.concatenate([getattr(one, name) for one in each]))


def test_contours_are_cut_where_they_are_at_least_so_high() -> None:
    truth = np.zeros((3, 7), bool)
    truth[:, 1] = True
    contours = np.zeros((3, 7))
    contours[:, 1], contours[:, 4] = 0.5, 0.25
    scores = boundary_scores_of_contours([truth], contours, [0.25, 0.5, 0.75], tolerance=0)
    assert scores.total_pred.tolist() == [6, 3, 0]
    assert scores.matched_pred.tolist() == [3, 3, 0]
    assert boundary_scores_of_contours([truth], contours).thresholds == pytest.approx(np.arange(1, 100) / 100)
    eight_bits = boundary_scores_of_contours([truth], (contours * 255).round().astype(np.uint8), [0.25, 0.5, 0.75])
    assert eight_bits.total_pred.tolist() == [6, 3, 0]


def test_contour_maps_of_double_size() -> None:
    # the contour between columns 1 and 2 is in column 4 of the large map, and becomes that of column 1
    ucm2 = np.zeros((7, 9))
    ucm2[:, 4] = 0.6
    labels = np.array([[0, 0, 1, 1]] * 3)
    small = boundary_scores_of_contours([labels], ucm2[2::2, 2::2], [0.5], tolerance=0)
    large = boundary_scores_of_contours([labels], ucm2, [0.5], tolerance=0)
    for name in COUNTS:
        assert getattr(large, name) == getattr(small, name) == 3


@pytest.mark.gpu
def test_maps_on_the_gpu() -> None:
    truths, maps = [torch.from_numpy(cells(s)) for s in (1, 2)], [torch.from_numpy(cells(s)) for s in (3, 4)]
    here = boundary_scores(truths, maps)
    there = boundary_scores([labels.cuda() for labels in truths], [labels.cuda() for labels in maps])
    for name in COUNTS:
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


# ---- wrong inputs -----------------------------------------------------------------------------------------------


def test_wrong_inputs_are_named() -> None:
    labels = cells(0)
    with pytest.raises(ValueError, match="segmentations is an empty list"):
        boundary_scores([labels], [])
    with pytest.raises(ValueError, match="truths is an empty list"):
        boundary_scores([], [labels])
    with pytest.raises(ValueError, match=r"differ in shape: \(12, 15\) and \(5, 15\)"):
        boundary_scores([labels], [labels[:5]])
    with pytest.raises(ValueError, match="tolerance is a part of the diagonal, at least 0; got -0.1"):
        boundary_f(labels, labels, tolerance=-0.1)
    with pytest.raises(ValueError, match="tolerance"):
        boundary_f(labels, labels, tolerance=float("nan"))
    with pytest.raises(ValueError, match=r"one shape \(H, W\); got \(3,\) and \(3,\)"):
        match_boundaries([True] * 3, [True] * 3)
    with pytest.raises(ValueError, match="thresholds is an empty list"):
        boundary_scores_of_contours([labels], np.zeros((12, 15)), [])
    with pytest.raises(ValueError, match=r"contours is a map .* got shape \(2, 12, 15\)"):
        boundary_scores_of_contours([labels], np.zeros((2, 12, 15)))
    with pytest.raises(ValueError, match="truths is an empty list"):
        boundary_scores_of_contours([], np.zeros((12, 15)))
    with pytest.raises(ValueError, match="no scores"):
        boundary_benchmark([])
    with pytest.raises(ValueError, match="different settings"):
        boundary_benchmark([boundary_scores([labels], [labels] * n) for n in (1, 2)])
    with pytest.raises(ValueError, match="got 2 for 1"):
        format_official_boundaries([boundary_scores([labels], [labels])], ["a", "b"])


# ---- pooling ----------------------------------------------------------------------------------------------------


def by_hand(matched_true: list[float], total_true: float, matched_pred: list[float], total_pred: list[float]):  # type: ignore[no-untyped-def]
    n = len(matched_true)
    return BoundaryScores(
        thresholds=np.arange(1.0, n + 1),
        matched_true=np.array(matched_true, float),
        total_true=np.full(n, total_true),
        matched_pred=np.array(matched_pred, float),
        total_pred=np.array(total_pred, float),
    )


def test_the_best_is_between_settings() -> None:
    # recall .2 to .8 while precision falls from 1 to .4: they meet at .6, after two thirds of the way
    result = boundary_benchmark([by_hand([2, 8], 10, [5, 4], [5, 10])])
    found = (result.ods, result.threshold, result.recall, result.precision)
    assert found == pytest.approx((0.6, 1 + 2 / 3, 0.6, 0.6))
    assert result.f_at.tolist() == pytest.approx([1 / 3, 8 / 15])
    np.testing.assert_allclose(result.images, [[1 + 2 / 3, 0.6, 0.6, 0.6]])
    assert result.ois == pytest.approx(8 / 15)  # of the settings themselves


def test_average_precision_is_the_area_within_the_reach() -> None:
    # 61 places from .2 to .8, at which precision is .7 in the mean
    assert boundary_benchmark([by_hand([2, 8], 10, [5, 4], [5, 10])]).ap == pytest.approx(0.427)
    assert boundary_benchmark([by_hand([2], 10, [5], [5])]).ap == 0  # one point has no area
    # of two settings with the same recall the first counts, whatever comes first in order of recall
    assert boundary_benchmark([by_hand([8, 2, 2], 10, [4, 5, 0], [10, 5, 5])]).ap == pytest.approx(0.427)


def test_counts_are_pooled_and_not_ratios() -> None:
    small, large = by_hand([1, 4], 4, [1, 2], [1, 8]), by_hand([90, 10], 100, [50, 9], [60, 10])
    result = boundary_benchmark([small, large])
    assert result.recall_at.tolist() == pytest.approx([91 / 104, 14 / 104])
    assert result.precision_at.tolist() == pytest.approx([51 / 61, 11 / 18])
    # F of the small one is .4 at either setting: the last is taken; of the large one the first
    assert small.f.tolist() == pytest.approx([0.4, 0.4])
    assert (result.ois_recall, result.ois_precision) == pytest.approx((94 / 104, 52 / 68))
    assert str(result).splitlines()[1].split() == ["boundary", "F", f"{result.ods:.4f}", "(1)", f"{result.ois:.4f}",
                                                   f"{result.ap:.4f}"]  # fmt: skip


def test_official_text() -> None:
    scores = [by_hand([2, 8], 10, [5, 4], [5, 10]), by_hand([1, 4], 4, [1, 2], [1, 8])]
    text = format_official_boundaries(scores[:1], ["a"])
    assert text["a_ev1.txt"] == (
        "         1          2         10          5          5\n"
        "         2          8         10          4         10\n"
    )
    assert text["eval_bdry_thr.txt"].splitlines()[0] == "         1        0.2          1   0.333333"
    assert text["eval_bdry_img.txt"] == "         1    1.66667        0.6        0.6        0.6\n"
    assert text["eval_bdry.txt"] == (
        "   1.66667        0.6        0.6        0.6        0.8        0.4   0.533333      0.427\n"
    )
    assert list(format_official_boundaries(scores)) == ["eval_bdry.txt", "eval_bdry_thr.txt", "eval_bdry_img.txt"]


# ---- Berkeley's own results -------------------------------------------------------------------------------------

SETTINGS = ("test_1", "test_2", "test_3", "test_4")


@pytest.fixture(scope="module")
def official(seglab_data: Path) -> tuple[Path, dict[str, list[BoundaryScores]]]:
    """Five pictures at five settings: as contour maps of double size, as pictures of contours, as segmentations."""
    from PIL import Image

    bench = seglab_data / "BSDS500" / "bench" / "data"
    ids = sorted(path.stem for path in (bench / "images").glob("*.jpg"))
    truths = {i: read_ground_truth(bench / f"groundTruth/{i}.mat") for i in ids}
    segs = [boundary_scores(truths[i], read_segs(bench / f"segs/{i}.mat")) for i in ids]
    ucm2 = [boundary_scores_of_contours(truths[i], read_ucm2(bench / f"ucm2/{i}.mat"), 5) for i in ids]
    png = [boundary_scores_of_contours(truths[i], np.asarray(Image.open(bench / f"png/{i}.png")), 5) for i in ids]
    return bench, {"test_1": ucm2, "test_2": png, "test_3": segs, "test_4": segs}


def printed(path: Path) -> np.ndarray:
    return np.loadtxt(path, ndmin=2)


def ours(text: str) -> np.ndarray:
    return np.array([line.split() for line in text.splitlines()], float)


@pytest.mark.data
@pytest.mark.parametrize("test", SETTINGS)
def test_official_results(official: tuple[Path, dict[str, list[BoundaryScores]]], test: str) -> None:
    """Within .0005 and, for precision at one setting, .0008: as far apart as four runs of the official program are."""
    bench, scores = official
    text = format_official_boundaries(scores[test])
    for name, bound in (("eval_bdry.txt", 5e-4), ("eval_bdry_thr.txt", 8e-4), ("eval_bdry_img.txt", 1.5e-3)):
        np.testing.assert_allclose(ours(text[name]), printed(bench / test / name), rtol=0, atol=bound, err_msg=name)


@pytest.mark.data
@pytest.mark.parametrize("test", SETTINGS)
def test_official_totals(official: tuple[Path, dict[str, list[BoundaryScores]]], test: str) -> None:
    """The printed ratios are whole numbers of pixels over our totals, so that thinning and truths are the same."""
    bench, scores = official
    table = printed(bench / test / "eval_bdry_thr.txt")
    total_true, total_pred = (sum(getattr(s, name) for s in scores[test]) for name in ("total_true", "total_pred"))
    assert total_true[0] == 69505
    for ratio, total in ((table[:, 1], total_true), (table[:, 2], total_pred)):
        assert (abs(ratio * total - np.rint(ratio * total)) <= 6e-7 * total).all()
        assert not (abs(ratio * (total + 1) - np.rint(ratio * (total + 1))) <= 6e-7 * total).all()
    # no run of the official program finds more pairs than the most that there can be
    found = sum(s.matched_true for s in scores[test])
    assert (np.rint(table[:, 1] * total_true) <= found).all()


def pairs_with_random_stand_ins(true: np.ndarray, pred: np.ndarray, rng: np.random.Generator, degree: int = 6) -> int:
    """How many pairs Berkeley's program makes: its graph, whose edges to stand-ins are few and drawn at random.

    Rows are pixels of ``true`` and stand-ins of those of ``pred``, columns the other way round; each has to be paired.
    """
    radius = 0.0075 * np.hypot(*true.shape)
    near = KDTree(np.argwhere(true)).sparse_distance_matrix(KDTree(np.argwhere(pred)), radius, output_type="ndarray")
    i, j = (np.unique(near[end], return_inverse=True)[1] for end in "ij")  # a pixel with no other around is left out
    n1, n2 = i.max() + 1, j.max() + 1
    alone = np.ceil(100 * 100 * radius)

    def some(n: int, of: int, but_own: bool) -> tuple[np.ndarray, np.ndarray]:
        """For each of n, ``degree`` different numbers below ``of``; none is its own."""
        own = np.arange(n)[:, None]
        drawn = np.argpartition(rng.random((n, of - but_own)), degree, axis=1)[:, :degree]
        return np.repeat(own, degree), (drawn + (but_own & (drawn >= own))).ravel()

    a, b = some(n1, n1, True), some(n2, n2, True)
    c = some(max(n1, n2), min(n1, n2), False)
    c = c if n1 < n2 else c[::-1]
    rows = [i, a[0], n1 + b[1], n1 + c[0], np.arange(n1), n1 + np.arange(n2)]
    cols = [j, n2 + a[1], b[0], n2 + c[1], n2 + np.arange(n1), np.arange(n2)]
    costs = [np.rint(100 * near["v"]), *(np.full(len(edges[0]), alone) for edges in (a, b, c))]
    costs += [np.full(n, 100 * alone) for n in (n1, n2)]  # and a way out that is as good as closed
    graph = csr_matrix((1 + np.concatenate(costs), (np.concatenate(rows), np.concatenate(cols))))  # 0 is no edge
    found = min_weight_full_bipartite_matching(graph)
    return int(((found[0] < n1) & (found[1] < n2)).sum())


@pytest.mark.data
@pytest.mark.slow
def test_official_recall_with_its_random_graph(official: tuple[Path, dict[str, list[BoundaryScores]]]) -> None:
    """What the official recall lacks to ours is what its graph costs: with it there is no bias."""
    bench, scores = official
    rng = np.random.default_rng(0)
    settings = [1, 2, 3, 4]
    pairs = np.zeros(len(settings))
    for path in sorted((bench / "groundTruth").glob("*.mat")):
        truths = [thin(boundaries(labels, "bsds").numpy()) for labels in read_ground_truth(path)]
        maps = read_segs(bench / "segs" / path.name)
        edges = [thin(boundaries(maps[k], "bsds").numpy()) for k in settings]
        pairs += [sum(pairs_with_random_stand_ins(truth, edge, rng) for truth in truths) for edge in edges]
    total = sum(s.total_true[0] for s in scores["test_4"])
    runs = np.array([printed(bench / test / "eval_bdry_thr.txt")[settings, 1] for test in SETTINGS])
    exact = boundary_benchmark(scores["test_4"]).recall_at[settings]
    assert (exact - runs > 1e-4).all()
    assert abs(pairs / total - runs.mean(0)).max() < 2.5e-4
    assert abs((pairs / total - runs.mean(0)).mean()) < 1e-4 < 2.5e-4 < (exact - runs.mean(0)).mean()


@pytest.mark.data
def test_truths_of_the_files_are_thinned_boundaries(seglab_data: Path) -> None:
    bench = seglab_data / "BSDS500" / "bench" / "data"
    for path in sorted((bench / "groundTruth").glob("*.mat")):
        people = scipy.io.loadmat(path)["groundTruth"][0]
        drawn = [np.asarray(person["Boundaries"][0, 0], bool) for person in people]
        for own, labels in zip(drawn, read_ground_truth(path), strict=True):
            np.testing.assert_array_equal(own, thin(boundaries(labels, "bsds").numpy()))
