from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from seglab.benchmark.inputs import find_results
from seglab.benchmark.pictures import open_pictures
from seglab.hierarchy import Hierarchy
from seglab.metrics.berkeley import region_scores, region_scores_of_hierarchy

IDS = "abcd"
Write = Callable[..., Path]


def labels(seed: int, n: int = 3) -> np.ndarray:
    """Blocks of 2×2 pixels with one of n labels."""
    return np.random.default_rng(seed).integers(0, n, (3, 8)).repeat(2, 0).repeat(2, 1)


def save_mat(path: Path, **content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, content)


def cell(*maps: np.ndarray) -> np.ndarray:
    found = np.empty((1, len(maps)), object)
    for i, each in enumerate(maps):
        found[0, i] = each.astype(np.uint16) + 1
    return found


def assert_scored(folder: Path, mine: Path, wanted: dict[str, list[np.ndarray]], names: tuple[str, ...]) -> None:
    _, pictures = open_pictures(mine)
    entries, found = find_results(folder, pictures)
    assert found == names
    for entry, picture in zip(entries, pictures, strict=True):
        scores, direct = entry.scores(), region_scores(picture.segmentations, wanted[picture.id])
        assert scores.region is not None
        np.testing.assert_allclose(scores.region.covered, direct.covered, rtol=1e-12)
        np.testing.assert_allclose(scores.region.information, direct.information, rtol=1e-12)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".tif", ".PNG", ".bmp"])
def test_one_label_map(mine: Path, folder: Write, suffix: str) -> None:
    wanted = {id: labels(i) for i, id in enumerate(IDS)}
    found = folder("labels", {id + suffix: each for id, each in wanted.items()})
    assert_scored(found, mine, {id: [each] for id, each in wanted.items()}, ("1",))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat"])
def test_several_label_maps_in_a_file(mine: Path, folder: Write, tmp_path: Path, suffix: str) -> None:
    wanted = {id: [labels(10 * i + k, k + 2) for k in range(3)] for i, id in enumerate(IDS)}
    for id, maps in wanted.items():
        if suffix == ".mat":
            save_mat(tmp_path / f"labels/{id}.mat", segs=cell(*maps))
        else:
            folder("labels", {id + suffix: np.stack(maps)})
    assert_scored(tmp_path / "labels", mine, wanted, ("1", "2", "3"))


def test_a_folder_for_each_setting(mine: Path, folder: Write) -> None:
    """10 comes after 9, and the settings have the folders' names."""
    wanted = {id: [labels(10 * i + k, k + 2) for k in range(3)] for i, id in enumerate(IDS)}
    names = ("2", "9", "10")
    for k, name in enumerate(names):
        found = folder("labels", {f"{name}/{id}.png": maps[k] for id, maps in wanted.items()})
    assert_scored(found, mine, wanted, names)


def test_contour_maps(mine: Path, tmp_path: Path) -> None:
    maps = {}
    for i, id in enumerate(IDS):
        bands = np.repeat(np.arange(8), 2)[None].repeat(6, 0)
        weights = np.random.default_rng(i).uniform(0.05, 0.95, 7)
        maps[id] = Hierarchy.from_edges(bands, [(k, k + 1) for k in range(7)], weights).contours()
        save_mat(tmp_path / f"ucm2/{id}.mat", ucm2=maps[id].numpy())
    _, pictures = open_pictures(mine)
    entries, names = find_results(tmp_path / "ucm2", pictures)
    assert names == ()
    for entry in entries:
        direct = region_scores_of_hierarchy(entry.picture.segmentations, maps[entry.picture.id], 9)
        scores = entry.scores(9).region
        assert scores is not None
        np.testing.assert_array_equal(scores.covered, direct.covered)


def test_pixels_without_a_label_count_against_it(mine: Path, folder: Write) -> None:
    holes = np.where(np.arange(16) < 8, 0, -1)[None].repeat(6, 0)
    found = folder("labels", {f"{id}.npy": holes for id in IDS})
    assert_scored(found, mine, {id: [holes + 1] for id in IDS}, ("1",))


# ---- what does not fit ------------------------------------------------------------------------------------------


def refusal(folder: Path, mine: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        find_results(folder, open_pictures(mine)[1])
    return str(caught.value)


def test_missing_and_extra_files_are_named_at_once(mine: Path, folder: Write) -> None:
    names = ("a.png", "b.png", "b.npy", "x.png")
    said = refusal(folder("labels", {name: labels(0) for name in names}), mine)
    assert [line.strip() for line in said.split("\n")[1:]] == [
        "missing: c (in labels)",
        "missing: d (in labels)",
        "extra: x.png (in labels) belongs to no picture",
        "extra: b.npy and b.png (in labels): which of them?",
    ]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".npz", ".mat"])
def test_wrong_and_unreadable_files_are_named_at_once(mine: Path, folder: Write, tmp_path: Path, suffix: str) -> None:
    good, large = labels(0), np.zeros((7, 16), np.uint8)
    for id, each in (("a", good), ("b", large), ("c", good), ("d", good)):
        if suffix == ".mat":
            save_mat(tmp_path / f"labels/{id}.mat", segs=cell(each))
        else:
            folder("labels", {id + suffix: each})
    where = tmp_path / "labels"
    for id in "cd":  # half of one, and nothing of the other
        content = (where / f"{id}{suffix}").read_bytes()
        (where / f"{id}{suffix}").write_bytes(content[: len(content) // 2] if id == "c" else b"")
    lines = refusal(where, mine).split("\n")[1:]
    assert len(lines) == 3
    assert lines[0] == f"  wrong size: {where}/b{suffix} is 7×16 where 6×16 is wanted"
    assert all(f"{id}{suffix}" in line for id, line in zip("cd", lines[1:], strict=True))


def test_missing_and_wrong_sized_files_are_told_together(mine: Path, folder: Write) -> None:
    large = np.zeros((7, 16), np.uint8)
    where = folder("labels", {"a.png": large, "b.png": labels(0), "b.npy": large, "x.png": labels(0)})
    assert [line.strip() for line in refusal(where, mine).split("\n")[1:]] == [
        "missing: c (in labels)",
        "missing: d (in labels)",
        "extra: x.png (in labels) belongs to no picture",
        "extra: b.npy and b.png (in labels): which of them?",
        f"wrong size: {where}/a.png is 7×16 where 6×16 is wanted",
        f"wrong size: {where}/b.npy is 7×16 where 6×16 is wanted",
    ]


def test_many_of_a_sort_hide_no_other(mine: Path, folder: Write) -> None:
    files = {f"x{i:02}.png": labels(0) for i in range(20)}
    said = refusal(folder("labels", {**files, "a.png": np.zeros((7, 16)), "b.png": b""}), mine)
    lines = [line.strip() for line in said.split("\n")[1:]]
    starts = ["missing: "] * 2 + ["extra: "] * 6 + ["wrong size: ", "cannot identify image file"]
    assert all(line.startswith(start) for line, start in zip(lines[:-1], starts, strict=True))
    assert lines[-1] == "and 14 more"


@pytest.mark.parametrize("suffix", [".mat", ".npz", ".npy"])
def test_files_without_a_label_map(mine: Path, folder: Write, tmp_path: Path, suffix: str) -> None:
    for id in IDS:
        maps = [labels(0)] if id != "c" else []
        if suffix == ".mat":
            save_mat(tmp_path / f"labels/{id}.mat", segs=cell(*maps))
        else:
            folder("labels", {id + suffix: np.array(maps, int).reshape(-1, 6, 16)})
    cells = "the cell segs of " if suffix == ".mat" else ""
    (line,) = refusal(tmp_path / "labels", mine).split("\n")[1:]
    assert line.strip() == f"empty: {cells}{tmp_path}/labels/c{suffix} holds no label map where at least one is wanted"


def test_a_contour_map_of_a_wrong_size(mine: Path, tmp_path: Path) -> None:
    for id in IDS:
        save_mat(tmp_path / f"ucm2/{id}.mat", ucm2=np.zeros((6, 16)))
    assert "a.mat is 6×16 where 13×33 is wanted" in refusal(tmp_path / "ucm2", mine)
    for id in IDS:
        save_mat(tmp_path / f"other/{id}.mat", labels=np.zeros((6, 16)))
    assert "neither 'segs' nor 'ucm2'" in refusal(tmp_path / "other", mine)


def test_no_more_than_ten_are_named(mine: Path, folder: Write) -> None:
    said = refusal(folder("labels", {f"x{i:02}.png": labels(0) for i in range(20)}), mine)
    assert len(said.split("\n")) == 12
    assert said.endswith("and 14 more")


def test_boundaries_are_not_taken_for_labels(mine: Path, folder: Write) -> None:
    white_on_black = np.where(np.arange(16) == 7, 255, 0)[None].repeat(6, 0)
    good = labels(1)
    said = refusal(folder("mixed", {"a.png": white_on_black, **{f"{id}.png": good for id in "bcd"}}), mine)
    assert said.endswith("a.png holds boundaries where others hold labels")
    said = refusal(folder("black", {"a.png": 255 - white_on_black, **{f"{id}.png": good for id in "bcd"}}), mine)
    assert "a.png has lines of 0 on 255: draw them the other way around" in said


def test_a_black_and_white_mask_is_a_label_map(mine: Path, folder: Write) -> None:
    mask = np.where(np.arange(16) < 5, 0, 255)[None].repeat(6, 0)
    thin = np.where(np.arange(16) == 5, 1, 0)[None].repeat(6, 0)  # 0 and 1: labels, if of a wire
    found = folder("labels", {"a.png": mask, "b.png": thin, "c.png": mask * 0, "d.png": mask * 0 + 255})
    assert_scored(found, mine, {"a": [mask], "b": [thin], "c": [mask * 0], "d": [mask * 0]}, ("1",))


def test_colors_are_no_labels(mine: Path, folder: Write) -> None:
    found = folder("labels", {f"{id}.png": labels(0)[..., None].repeat(3, -1) for id in IDS})
    assert "holds colors, not labels" in refusal(found, mine)


def test_folders_that_cannot_be_meant(mine: Path, folder: Write, tmp_path: Path) -> None:
    assert "no folder" in refusal(tmp_path / "absent", mine)
    both = folder("both", {**{f"{id}.png": labels(0) for id in IDS}, "old/a.png": labels(0)})
    assert "both files and subfolders" in refusal(both, mine)
    files = {f"{id}.npy": np.stack([labels(k) for k in range(1 + (id == "c"))]) for id in IDS}
    assert "from 1 (a) to 2 settings" in refusal(folder("uneven", files), mine)
    for id in IDS:
        save_mat(
            tmp_path / f"mixed/{id}.mat", **({"ucm2": np.zeros((13, 33))} if id == "a" else {"segs": cell(labels(0))})
        )
    assert "a.mat holds ucm where others hold labels" in refusal(tmp_path / "mixed", mine)
    for id in IDS:
        save_mat(tmp_path / f"several/1/{id}.mat", ucm2=np.zeros((13, 33)))
        save_mat(tmp_path / f"several/2/{id}.mat", ucm2=np.zeros((13, 33)))
    assert "contour maps lie in one folder" in refusal(tmp_path / "several", mine)
