"""Pictures of boundaries: told from label maps where that is clear, and asked about where it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from seglab.benchmark import evaluate
from seglab.benchmark.kinds import possible_kinds, read_contours
from seglab.cli import main
from seglab.metrics import boundary_benchmark, boundary_scores_of_contours

BANDS = np.repeat(np.arange(4), 4)[None].repeat(6, 0)
TRUTHS = [[BANDS, np.roll(BANDS // 2, seed, 1)] for seed in range(4)]
Write = Callable[..., Path]


def lines(*strengths: int) -> np.ndarray:
    """(6, 16): a line between each two bands."""
    drawn = np.zeros((6, 16), np.uint8)
    drawn[:, [3, 7, 11]] = strengths
    return drawn


def soft(height: int = 60) -> np.ndarray:
    """(H, 160): boundaries that fade to both sides."""
    distance = np.minimum.reduce([abs(np.arange(160) - place) for place in (40, 80, 120)])
    return (255 * np.exp(-(distance**2) / 500)).astype(np.uint8)[None].repeat(height, 0)


def kinds(tmp_path: Path, gray: np.ndarray) -> set[str]:
    Image.fromarray(gray.astype(np.uint8)).save(tmp_path / "a.png")
    return possible_kinds(tmp_path / "a.png")


def test_what_a_gray_picture_may_be(tmp_path: Path) -> None:
    superpixels = (np.arange(60)[:, None] // 4 * 13 + np.arange(60) // 5) % 256  # 180 labels, a place for each
    assert kinds(tmp_path, lines(255, 255, 255)) == {"boundaries"}
    assert kinds(tmp_path, lines(200, 90, 130)) == {"boundaries"}
    assert kinds(tmp_path, BANDS) == kinds(tmp_path, BANDS + 1) == kinds(tmp_path, BANDS * 60) == {"labels"}
    assert kinds(tmp_path, lines(1, 2, 3)) == {"labels"}  # thin things, counted from 0
    assert kinds(tmp_path, superpixels) == {"labels"}
    assert kinds(tmp_path, np.zeros((6, 16))) == {"labels", "boundaries"}
    assert kinds(tmp_path, soft()) == set()
    assert kinds(tmp_path, lines(20, 40, 60)) == set()  # weak boundaries, or thin things of three labels


def test_colors_and_palettes_are_no_boundaries(tmp_path: Path) -> None:
    Image.fromarray(soft()).quantize(16).save(tmp_path / "a.png")
    assert possible_kinds(tmp_path / "a.png") == {"labels"}
    with pytest.raises(ValueError, match="boundaries are a gray picture"):
        read_contours(tmp_path / "a.png")


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", soft() / 255)
    assert possible_kinds(tmp_path / "a.npy") == {"boundaries", "ucm"}
    np.save(tmp_path / "a.npy", BANDS)
    assert possible_kinds(tmp_path / "a.npy") == {"labels"}
    np.save(tmp_path / "a.npy", BANDS * 1.5)
    with pytest.raises(ValueError, match="boundaries are from 0 to 1"):
        read_contours(tmp_path / "a.npy")


@pytest.mark.parametrize(("mode", "full"), [("L", 255), ("1", 1), ("I;16", 65535)])
def test_strengths_are_from_0_to_1(tmp_path: Path, mode: str, full: int) -> None:
    drawn = {"L": np.uint8, "1": bool, "I;16": np.uint16}[mode]
    Image.fromarray((lines(1, 0, 1).astype(int) * full).astype(drawn)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_contours(tmp_path / "a.png"), lines(1, 0, 1))


def test_drawings_and_soft_maps_are_scored_as_boundaries(mine: Path, folder: Write) -> None:
    each = {id: lines(255, 100 + 20 * i, 180) for i, id in enumerate("abcd")}
    found = evaluate(folder("edges", {f"{id}.png": drawn for id, drawn in each.items()}), mine, jobs=1)
    scores = [boundary_scores_of_contours(t, drawn) for t, drawn in zip(TRUTHS, each.values(), strict=True)]
    wanted = boundary_benchmark(scores)
    (row,) = found.table().rows
    assert list(row.cells) == ["boundary"]
    cell = row.cells["boundary"]
    assert (cell.ods, cell.ois, cell.ap) == pytest.approx((wanted.ods, wanted.ois, wanted.ap))
    assert found.labels == ()
    assert set(found.official()) == {"eval_bdry.txt", "eval_bdry_thr.txt", "eval_bdry_img.txt"}


def test_an_empty_drawing_among_others(mine: Path, folder: Write) -> None:
    """A picture in which somebody found nothing is all 0, and may be anything."""
    files = {f"{id}.png": lines(255, 255, 255) * (id != "c") for id in "abcd"}
    found = evaluate(folder("edges", files), mine, thresholds=[0.5], jobs=1)
    assert found.boundary.images[2].tolist() == [0.5, 0, 0, 0]
    assert found.boundary.recall_at > 0


def test_what_is_unclear_is_asked_about(mine: Path, folder: Write, capsys: pytest.CaptureFixture) -> None:
    place = folder("edges", {f"{id}.png": lines(20, 40, 60) for id in "abcd"})
    command = ["evaluate", str(place), "--dataset", str(mine), "-q", "-j", "1"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "a.png may be soft boundaries or labels: say what it is with --kind labels or --kind boundaries" in said
    assert main([*command, "--kind", "boundaries", "--thresholds", "0.05,0.1"]) == 0
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head == ["method", "F", "ODS", "F", "ODS", "at", "F", "OIS", "F", "AP", "pictures"]
    assert main([*command, "--kind", "labels"]) == 0
    assert capsys.readouterr().out.startswith("method  SC ODS")
    assert main([*command, "--kind", "ucm"]) == 2
    assert "a.png is 6×16 where 13×33 is wanted" in capsys.readouterr().err


def test_boundaries_have_no_regions(mine: Path, folder: Write, capsys: pytest.CaptureFixture) -> None:
    place = folder("edges", {f"{id}.png": lines(255, 255, 255) for id in "abcd"})
    assert main(["evaluate", str(place), "--dataset", str(mine), "--measures", "region", "-q"]) == 2
    assert "holds boundaries, which have no regions" in capsys.readouterr().err


def test_contour_maps_of_double_size_as_arrays(mine: Path, folder: Write, tmp_path: Path) -> None:
    """The same as a .mat file of Berkeley's, by every measure."""
    large = np.zeros((13, 33))
    large[:, [8, 16, 24]] = 0.3, 0.9, 0.6
    (tmp_path / "mat").mkdir()
    for id in "abcd":
        scipy.io.savemat(tmp_path / f"mat/{id}.mat", {"ucm2": large})
    arrays = folder("arrays", {f"{id}.npy": large for id in "abcd"})
    first, second = (evaluate(each, mine, thresholds=9, jobs=1).table() for each in (tmp_path / "mat", arrays))
    assert first.rows[0].cells == second.rows[0].cells
    assert len(first.rows[0].cells) == 8
