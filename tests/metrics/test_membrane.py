"""The membrane challenge's scores against every pair of pixels, scikit-image's, and pictures worked by hand."""

from __future__ import annotations

import doctest
from collections import Counter
from math import log2

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from skimage.metrics import adapted_rand_error, variation_of_information

from seglab.metrics import cells_between, membrane, membrane_scores, membrane_sweep, thin_membranes

SCORES = ("rand", "rand_split", "rand_merge", "information", "information_split", "information_merge")


def draw(seed: int, *, membranes: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 4, (7, 8)), rng.integers(0 if membranes else 1, 5, (7, 8))


def of_pairs(true: np.ndarray, pred: np.ndarray) -> dict[str, float]:
    """Go through all pairs of pixels in cells of the truth, a pixel with itself too."""
    inside = [(int(t), int(s) if s else -i - 1) for i, (t, s) in enumerate(zip(true.flat, pred.flat, strict=True)) if t]
    both = sum(a == b for a in inside for b in inside)
    in_true = sum(a[0] == b[0] for a in inside for b in inside)
    in_pred = sum(a[1] == b[1] for a in inside for b in inside)

    def entropy(values):
        return -sum(n / len(inside) * log2(n / len(inside)) for n in Counter(values).values())

    of_true, of_pred = entropy([t for t, _ in inside]), entropy([s for _, s in inside])
    shared = of_true + of_pred - entropy(inside)
    return {
        "rand": both / (in_true / 2 + in_pred / 2),
        "rand_split": both / in_true,
        "rand_merge": both / in_pred,
        "information": shared / (of_true / 2 + of_pred / 2),
        "information_split": shared / of_pred,
        "information_merge": shared / of_true,
    }


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_those_of_all_pairs(seed):
    true, pred = draw(seed)
    ours = membrane_scores(true, pred, thin=False)
    expected = of_pairs(true, pred)
    assert {name: getattr(ours, name) for name in SCORES} == pytest.approx(expected, abs=1e-12)
    assert ours.pixel_error == np.mean((true > 0) != (pred > 0))
    hit, called, there = ((true > 0) & (pred > 0)).sum(), (pred > 0).sum(), (true > 0).sum()
    assert ours.pixel_f == pytest.approx(2 / (called / hit + there / hit))
    for kind in ("rand", "information"):  # harmonic means of split and merger
        split, merge = getattr(ours, f"{kind}_split"), getattr(ours, f"{kind}_merge")
        assert getattr(ours, kind) == pytest.approx(2 * split * merge / (split + merge))


@pytest.mark.parametrize("seed", range(4))
def test_scikit_image_says_the_same(seed):
    true, pred = draw(seed, membranes=False)
    ours = membrane_scores(true, pred, thin=False)
    n = np.count_nonzero(true)
    error, recall, precision = adapted_rand_error(true, pred, ignore_labels=(0,))
    # scikit-image calls precision what is of the truth, and leaves out the n pairs of a pixel with itself
    t2 = sum(int((true == t).sum()) ** 2 for t in range(1, 4))
    s2 = sum(int(((pred == s) & (true > 0)).sum()) ** 2 for s in range(1, 5))
    both = recall * (t2 - n) + n
    assert both == pytest.approx(precision * (s2 - n) + n)
    assert error == pytest.approx(1 - 2 * (both - n) / (t2 + s2 - 2 * n))
    assert ours.rand == pytest.approx(2 * both / (t2 + s2))
    inside = true > 0
    split, merge = variation_of_information(true[inside], pred[inside])  # H(S|T), H(T|S), in bits
    of_true = variation_of_information(true[inside], np.ones(n, int)).sum()
    assert ours.information_merge == pytest.approx((of_true - merge) / of_true)
    assert ours.information_split == pytest.approx((of_true - merge) / (of_true - merge + split))


def test_by_hand():
    true = torch.tensor([[1, 1, 0, 2, 2]])
    right = membrane_scores(true, true)
    assert [getattr(right, name) for name in SCORES] == [1.0] * 6
    assert right.pixel_error == 0
    split = membrane_scores(true, torch.tensor([[1, 2, 0, 3, 4]]), thin=False)
    assert (split.rand_split, split.rand_merge, split.information_split, split.information_merge) == (0.5, 1, 0.5, 1)
    merged = membrane_scores(true, torch.ones(1, 5, dtype=torch.int64))
    assert (merged.rand_split, merged.rand_merge, merged.information) == (1, 0.5, 0)
    nothing = membrane_scores(true, torch.zeros(1, 5, dtype=torch.int64))  # cells of one pixel each
    assert (nothing.rand_split, nothing.rand_merge) == (0.5, 1)
    one = membrane_scores(torch.ones(1, 3, dtype=torch.int64), torch.ones(1, 3, dtype=torch.int64))
    assert [getattr(one, name) for name in SCORES] == [1.0] * 6, "one cell leaves nothing to know"


def test_what_is_membrane_in_truth_does_not_count():
    true = torch.tensor([[1, 1, 0, 0, 2, 2]])
    a, b = torch.tensor([[1, 1, 1, 0, 2, 2]]), torch.tensor([[1, 1, 0, 2, 2, 2]])
    for name in SCORES:
        assert getattr(membrane_scores(true, a), name) == getattr(membrane_scores(true, b), name) == 1


def test_numbers_of_cells_do_not_matter():
    true, pred = draw(1)
    names = np.array([0, 30, 7, 1000, 5])
    ours, theirs = (membrane_scores(true, x, thin=False) for x in (names[pred], pred))
    assert [getattr(ours, name) for name in SCORES] == pytest.approx([getattr(theirs, name) for name in SCORES])


def test_a_gap_of_one_pixel_is_a_merger_and_a_thick_membrane_is_no_mistake():
    true = np.ones((21, 21), int)
    true[:, 10], true[:, 11:] = 0, 2
    gap, thick = true.copy(), true.copy()
    gap[5, 10] = 1
    gap = label(gap > 0)[0]
    thick[:, 7:14] = 0
    assert membrane_scores(true, gap).pixel_error < 0.01
    assert membrane_scores(true, gap).rand < 0.68
    assert membrane_scores(true, thick).pixel_error > 0.25
    assert membrane_scores(true, thick).rand == 1
    assert membrane_scores(true, thick, thin=False).rand < 0.9


@pytest.mark.parametrize("seed", range(5))
def test_thinning_keeps_cells_and_leaves_lines(seed):
    rng = np.random.default_rng(seed)
    cells = label(rng.random((20, 25)) < 0.15)[0]
    thin = thin_membranes(cells).numpy()
    assert (thin[cells > 0] == cells[cells > 0]).all()
    places, numbers = np.argwhere(cells), cells[cells > 0]
    lines = 0
    for place in np.ndindex(cells.shape):
        far = ((places - place) ** 2).sum(1)
        if thin[place]:
            assert thin[place] in numbers[far == far.min()], "a nearest cell"
        row, col = place
        beside = {thin[row, min(col + 1, 24)], thin[min(row + 1, 19), col]} - {0, thin[place]}
        assert not thin[place] or not beside, "no two cells share a side"
        lines += thin[place] == 0
    assert 0.1 < lines / thin.size < 0.7


def test_a_straight_membrane_becomes_one_line():
    cells = torch.ones(6, 9, dtype=torch.int64)
    for width in range(1, 6):
        cells[:, 2:], cells[:, 2 : 2 + width] = 2, 0
        assert (thin_membranes(cells) == 0).sum(1).tolist() == [1] * 6
    cells[:] = 0
    cells[2, 2] = 5
    assert thin_membranes(cells).eq(5).all(), "no line where there is one cell"
    touching = torch.tensor([[1, 1, 2, 2]])
    assert torch.equal(thin_membranes(touching), touching)


def test_nothing_to_thin():
    none = torch.zeros(3, 4, dtype=torch.int64)
    assert torch.equal(thin_membranes(none), none)
    assert torch.equal(thin_membranes(none + 1), none + 1)


def test_sweep_is_the_mean_of_its_slices():
    rng = np.random.default_rng(0)
    truths = [label(rng.random((20, 20)) < 0.6)[0] for _ in range(3)]
    maps = [rng.random((20, 20)) for _ in range(3)]
    sweep = membrane_sweep(truths, maps, (0.3, 0.6))
    assert [scores.threshold for scores in sweep] == [0.3, 0.6]
    alone = [membrane_scores(t, label(m < 0.6)[0]) for t, m in zip(truths, maps, strict=True)]
    assert sweep[1].rand == pytest.approx(np.mean([scores.rand for scores in alone]))
    assert sweep[1].pixel_error == pytest.approx(np.mean([scores.pixel_error for scores in alone]))


def test_cells_share_sides():
    assert torch.equal(cells_between(torch.eye(3)), torch.tensor([[0, 1, 1], [2, 0, 1], [2, 2, 0]]))


def test_wrong_inputs():
    some = torch.ones(2, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"differ in shape: \(2, 3\) and \(3, 2\)"):
        membrane_scores(some, some.T)
    with pytest.raises(ValueError, match="the truth has no cell"):
        membrane_scores(0 * some, some)
    with pytest.raises(ValueError, match="one map for each truth, got 1 for 2"):
        membrane_sweep([some, some], [some.float()])
    with pytest.raises(ValueError, match=r"expected a map \(H, W\)"):
        cells_between(torch.zeros(1, 2, 2))


@pytest.mark.gpu
def test_gpu_gives_the_same():
    true, pred = (torch.from_numpy(x) for x in draw(3))
    assert membrane_scores(true.cuda(), pred.cuda()) == membrane_scores(true, pred)
    assert thin_membranes(pred.cuda()).is_cuda


def test_examples():
    result = doctest.testmod(membrane, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
