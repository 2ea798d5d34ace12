from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from seglab.benchmark import FolderPicture, evaluate
from seglab.metrics import (
    boundary_benchmark,
    boundary_scores,
    region_benchmark,
    region_scores,
    segment_benchmark,
    segment_scores,
)

BANDS = np.repeat(np.arange(4), 4)[None].repeat(6, 0)
Write = Callable[..., Path]


@pytest.fixture
def labels(folder: Write) -> Path:
    """Two settings for each picture: halves and bands."""
    return folder("labels", {f"{id}.npy": np.stack([BANDS // 2, BANDS]) for id in "abcd"})


def test_the_table_of_a_folder(mine: Path, labels: Path) -> None:
    found = evaluate(labels, mine, jobs=1)
    truths = [[BANDS, np.roll(BANDS // 2, seed, 1)] for seed in range(4)]
    wanted = region_benchmark(region_scores(truth, [BANDS // 2, BANDS]) for truth in truths)
    assert found.region.covering == pytest.approx(wanted.covering)
    (row,) = found.table().rows
    assert (row.name, row.n_pictures, row.cells["covering"].at) == ("labels", 4, str(int(wanted.covering.threshold)))
    assert f"{wanted.covering.ods:.3f}" in str(found.table())
    assert found.failures == []


def test_a_line_for_each_picture(mine: Path, labels: Path) -> None:
    lines = evaluate(labels, mine, jobs=1).per_picture()
    assert [line["picture"] for line in lines] == ["a", "b", "c", "d"]
    # picture a, halves: whole half 1, each band 1/2, over twice as many pixels; bands the other way around: the same
    assert (lines[0]["covering"], lines[0]["covering_at"]) == (0.75, "1")
    assert (lines[0]["information"], lines[0]["information_at"]) == (0.5, "1")


def test_segments_and_boundaries_of_a_folder(mine: Path, labels: Path) -> None:
    """The measures themselves, picture by picture, without what is stored in between."""
    found = evaluate(labels, mine, jobs=1)
    truths = [[BANDS, np.roll(BANDS // 2, seed, 1)] for seed in range(4)]
    cells = found.table().rows[0].cells
    drawn = boundary_benchmark(boundary_scores(truth, [BANDS // 2, BANDS]) for truth in truths)
    assert (cells["boundary"].ods, cells["boundary"].ois) == pytest.approx((drawn.ods, drawn.ois))
    each = [segment_benchmark([segment_scores(truth, maps) for truth in truths]) for maps in (BANDS // 2, BANDS)]
    assert cells["segment_f"].ods == pytest.approx(max(e.f[0] for e in each))
    assert cells["segment_f"].ois == pytest.approx(np.stack([e.images[:, 0] for e in each]).max(0).mean())
    assert (cells["ap50"].ods, cells["ap70"].ods) == pytest.approx(tuple(max(e.ap[k] for e in each) for k in (0, 1)))
    ends = [2 * e.precision[0] * e.recall[0] / (e.precision[0] + e.recall[0]) for e in each]
    assert cells["segment_f_pooled"].ods == pytest.approx(max(ends))
    assert found.per_picture()[1]["boundary"] == pytest.approx(max(boundary_scores(truths[1], [BANDS // 2, BANDS]).f))


def test_two_jobs_do_what_one_does(mine: Path, labels: Path) -> None:
    assert evaluate(labels, mine, jobs=2).official() == evaluate(labels, mine, jobs=1).official()


def test_a_picture_whose_truth_is_broken_is_named(mine: Path, labels: Path) -> None:
    (mine / "truth/b.npy").write_bytes(b"")
    found = evaluate(labels, mine, jobs=1)
    assert found.ids == ["a", "c", "d"]
    ((id, why),) = found.failures
    assert id == "b"
    assert why


def test_what_makes_no_sense_is_told(mine: Path, labels: Path) -> None:
    with pytest.raises(ValueError, match="jobs is a whole number"):
        evaluate(labels, mine, jobs=0)
    with pytest.raises(ValueError, match="thresholds"):
        evaluate(labels, mine, thresholds=0)
    with pytest.raises(ValueError, match="empty"):
        evaluate(labels, [])


def test_a_broken_contour_map_is_named_before_the_work_starts(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "ucm2").mkdir()
    for id in "abcd":
        scipy.io.savemat(tmp_path / f"ucm2/{id}.mat", {"ucm2": np.zeros((13, 33))}, do_compression=True)
    path = tmp_path / "ucm2/c.mat"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"c\.mat"):
        evaluate(tmp_path / "ucm2", mine, jobs=1)


# ---- Berkeley's own results -------------------------------------------------------------------------------------


@pytest.fixture
def sample(seglab_data: Path) -> tuple[Path, list[FolderPicture]]:
    """The folder of Berkeley's own five pictures."""
    bench = seglab_data / "BSDS500/bench/data"
    ids = sorted(path.stem for path in (bench / "images").glob("*.jpg"))
    return bench, [FolderPicture(id, bench / f"images/{id}.jpg", bench / f"groundTruth/{id}.mat") for id in ids]


@pytest.mark.data
@pytest.mark.parametrize(("results", "printed"), [("segs", "test_4"), ("segs", "test_5"), ("ucm2", "test_1")])
def test_the_official_regions(sample: tuple[Path, list[FolderPicture]], results: str, printed: str) -> None:
    """Every region figure that Berkeley's program printed for its own sample, to the character."""
    bench, pictures = sample
    found = evaluate(bench / results, pictures, thresholds=5, measures="region", jobs=1)
    assert len(found.official()) == 5
    for name, text in found.official().items():
        assert text == (bench / printed / name).read_text(), name
    _, ods, ois, best = map(float, (bench / printed / "eval_cover.txt").read_text().split())
    cell = found.table().rows[0].cells["covering"]
    # their program rounds each picture to six digits before it adds up
    assert (cell.ods, cell.ois, cell.best) == pytest.approx((ods, ois, best), abs=1e-6)
    assert f"{ods:.3f}" in str(found.table())


@pytest.mark.data
@pytest.mark.parametrize(
    ("results", "printed"), [("ucm2", "test_1"), ("png", "test_2"), ("segs", "test_3"), ("segs", "test_4")]
)
def test_the_official_boundaries(sample: tuple[Path, list[FolderPicture]], results: str, printed: str) -> None:
    """Every total of the boundaries within .001; `seglab.metrics.match_boundaries` says what is left and why."""
    bench, pictures = sample
    found = evaluate(bench / results, pictures, thresholds=5, measures="boundary", jobs=1)
    for name in ("eval_bdry.txt", "eval_bdry_thr.txt"):
        text = [line.split() for line in found.official()[name].splitlines()]
        np.testing.assert_allclose(np.array(text, float), np.loadtxt(bench / printed / name, ndmin=2), atol=1e-3)
    setting, _, _, ods, _, _, ois, ap = np.loadtxt(bench / printed / "eval_bdry.txt")
    cell = found.table().rows[0].cells["boundary"]
    assert (cell.ods, cell.ois, cell.ap) == pytest.approx((ods, ois, ap), abs=1e-3)
    assert float(cell.at) == pytest.approx(setting, abs=1e-4)


@pytest.mark.data
def test_all_measures_at_once_and_apart(sample: tuple[Path, list[FolderPicture]]) -> None:
    """What is left out changes nothing of the rest, and the two ways to the same regions agree."""
    bench, pictures = sample
    every = evaluate(bench / "ucm2", pictures, thresholds=5, jobs=1)
    cells = every.table().rows[0].cells
    assert list(cells) == [
        "covering",
        "rand",
        "information",
        "boundary",
        "segment_f",
        "segment_f_pooled",
        "ap50",
        "ap70",
    ]
    for measures, n in (("region", 3), ("boundary", 1), ("segments", 4)):
        (row,) = evaluate(bench / "ucm2", pictures, thresholds=5, measures=measures, jobs=1).table().rows
        assert len(row.cells) == n
        assert all(
            dataclasses.replace(cells[name], at="") == dataclasses.replace(cell, at="")
            for name, cell in row.cells.items()
        )
    segs = evaluate(bench / "segs", pictures, jobs=1).table().rows[0].cells
    for name in ("covering", "rand", "information", "segment_f", "segment_f_pooled", "ap50", "ap70"):
        assert segs[name].ods == pytest.approx(cells[name].ods, rel=1e-9)
