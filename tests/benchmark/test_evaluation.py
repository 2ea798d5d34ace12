from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from seglab.benchmark import FolderPicture, evaluate
from seglab.metrics.berkeley import region_benchmark, region_scores

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
    assert found.benchmark.covering == pytest.approx(wanted.covering)
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
    with pytest.raises(ValueError, match="n_thresholds"):
        evaluate(labels, mine, n_thresholds=0)
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


@pytest.mark.data
@pytest.mark.parametrize(("results", "printed"), [("segs", "test_4"), ("segs", "test_5"), ("ucm2", "test_1")])
def test_the_official_sample(seglab_data: Path, results: str, printed: str) -> None:
    """Every region figure that Berkeley's program printed for its own sample."""
    bench = seglab_data / "BSDS500/bench/data"
    ids = sorted(path.stem for path in (bench / "images").glob("*.jpg"))
    pictures = [FolderPicture(id, bench / f"images/{id}.jpg", bench / f"groundTruth/{id}.mat") for id in ids]
    found = evaluate(bench / results, pictures, n_thresholds=5, jobs=1)
    assert len(found.official()) == 5
    for name, text in found.official().items():
        assert text == (bench / printed / name).read_text(), name
    _, ods, ois, best = map(float, (bench / printed / "eval_cover.txt").read_text().split())
    cell = found.table().rows[0].cells["covering"]
    # their program rounds each picture to six digits before it adds up
    assert (cell.ods, cell.ois, cell.best) == pytest.approx((ods, ois, best), abs=1e-6)
    assert f"{ods:.3f}" in str(found.table())
