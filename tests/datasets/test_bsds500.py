"""Berkeley's data set: its numbers, its files, and what happens when some are missing."""

from __future__ import annotations

import doctest
from collections import Counter

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from skimage.morphology import thin

from seglab.datasets import BSDS500, DatasetError, DatasetNotFoundError, available, bsds500, list_datasets, verify
from seglab.datasets._catalog import SOURCES

SIZES = {"train": 200, "val": 100, "test": 200}


# --- with the real files ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def test_split(seglab_data) -> BSDS500:
    return BSDS500("test", root=seglab_data)


@pytest.mark.data
@pytest.mark.parametrize("split", SIZES)
def test_split_has_its_published_size_and_disjoint_numbers(split, seglab_data):
    bsds = BSDS500(split, root=seglab_data)
    assert len(bsds) == len(set(bsds.ids)) == SIZES[split]
    others = {id for other in SIZES if other != split for id in BSDS500(other, root=seglab_data).ids}
    assert not others & set(bsds.ids)
    assert bsds[0].image.shape in ((3, 321, 481), (3, 481, 321))


@pytest.mark.data
@pytest.mark.slow
def test_there_are_2696_segmentations_four_to_nine_each_numbered_from_zero(seglab_data):
    counts: Counter[int] = Counter()
    on_boundary: Counter[str] = Counter()
    for split in SIZES:
        for sample in BSDS500(split, root=seglab_data):
            counts[len(sample.segmentations)] += 1
            for labels, boundary in zip(sample.segmentations, sample.boundaries, strict=True):
                assert labels.dtype == torch.int64
                assert boundary.dtype == torch.bool
                assert labels.shape == boundary.shape
                assert tuple(labels.shape) in ((321, 481), (481, 321))
                assert labels.flatten().bincount().min() >= 1, "numbered from 0 without gaps"
                on_boundary[split] += int(boundary.sum())
    assert sum(k * n for k, n in counts.items()) == 2696
    assert set(counts) == set(range(4, 10))
    assert on_boundary["test"] == 3_059_750, "the count in the evaluation files that the seism project publishes"


@pytest.mark.data
def test_every_file_has_its_checksum(seglab_data):
    assert verify("bsds500", seglab_data, progress=False) == []
    assert "bsds500" in available(seglab_data)
    info = list_datasets(seglab_data, check=True)[0]
    assert info.n_files == info.n_present == info.n_verified == 1000
    assert info.bytes == sum((info.found / path).stat().st_size for path in SOURCES["bsds500"].files)


def seg2bdry(labels: np.ndarray) -> np.ndarray:
    """Berkeley's seg2bdry, image size: where a pixel differs from its right, lower or lower right neighbor."""
    padded = np.pad(labels, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    edge = (here != padded[1:, :-1]) | (here != padded[:-1, 1:]) | (here != padded[1:, 1:])
    edge[-1] = here[-1] != padded[-1, 1:]
    edge[:, -1] = here[:, -1] != padded[1:, -1]
    edge[-1, -1] = False
    return edge


@pytest.mark.data
@pytest.mark.parametrize("position", [0, 57, -1])
def test_boundaries_are_the_thinned_borders_of_the_segments(position, test_split):
    sample = test_split[position]
    for labels, boundary in zip(sample.segmentations, sample.boundaries, strict=True):
        np.testing.assert_array_equal(boundary.numpy(), thin(seg2bdry(labels.numpy())))


@pytest.mark.data
def test_picture_and_numbers_are_the_files(test_split):
    sample = test_split["108004"]
    with Image.open(sample.image_path) as file:
        np.testing.assert_allclose(sample.image.movedim(0, -1).numpy(), np.asarray(file) / 255, atol=1e-6)
    cells = scipy.io.loadmat(sample.truth_path)["groundTruth"]
    assert len(sample.segmentations) == cells.shape[1] == 5
    for k, labels in enumerate(sample.segmentations):
        np.testing.assert_array_equal(labels.numpy() + 1, cells[0, k]["Segmentation"][0, 0])


@pytest.mark.data
def test_the_documented_example_runs(seglab_data, monkeypatch):
    monkeypatch.setenv("SEGLAB_DATA", str(seglab_data))
    text = BSDS500.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {"BSDS500": BSDS500}, "BSDS500", None, None)
    assert doctest.DocTestRunner().run(example) == (0, 3)


# --- with files of our own --------------------------------------------------------------------------------------------


def write_sample(folder, split, id, people):
    for kind in ("images", "groundTruth"):
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), 128, np.uint8)).save(folder / "images" / split / f"{id}.jpg")
    cells = np.empty((1, len(people)), object)
    for k, labels in enumerate(people):
        cells[0, k] = {"Segmentation": np.array(labels, np.uint16), "Boundaries": np.array(labels, np.uint8) % 2}
    scipy.io.savemat(folder / "groundTruth" / split / f"{id}.mat", {"groundTruth": cells})


LABELS = [[1, 1, 1, 2, 2, 2]] * 4


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Three photographs, and a list that names them."""
    ids = ("10", "9", "100")
    for id in ids:
        write_sample(tmp_path / "BSDS500/data", "val", id, [LABELS, LABELS])
    paths = [f"{kind}/val/{id}.{end}" for id in ids for kind, end in (("images", "jpg"), ("groundTruth", "mat"))]
    listing = tmp_path / "small.sha256"
    listing.write_text("".join(f"{'0' * 64}  {path}\n" for path in paths))
    import dataclasses

    monkeypatch.setitem(SOURCES, "bsds500", dataclasses.replace(SOURCES["bsds500"], checksums=listing))
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    return tmp_path


def test_is_a_sequence_by_position_number_and_slice(small):
    bsds = BSDS500("val")
    assert bsds.ids == ("10", "100", "9"), "in the order of the numbers as strings"
    assert [s.id for s in bsds] == list(bsds.ids)
    assert [s.id for s in reversed(bsds)] == list(reversed(bsds.ids))
    assert bsds[-1].id == bsds["9"].id == "9"
    assert "100" in bsds
    assert bsds[0] in bsds
    assert "7" not in bsds
    part = bsds[1:]
    assert isinstance(part, BSDS500)
    assert part.ids == ("100", "9")
    assert part["9"].id == "9"
    assert repr(part) == "BSDS500('val', 2 photographs)"
    with pytest.raises(KeyError, match="10 is not in this part"):
        part["10"]
    with pytest.raises(IndexError):
        bsds[3]


def test_reads_pictures_and_truth_only_when_looked_at_and_once(small, monkeypatch):
    reads = []
    inner = scipy.io.loadmat
    monkeypatch.setattr(bsds500.scipy.io, "loadmat", lambda path: reads.append(path) or inner(path))
    samples = list(BSDS500("val"))
    assert reads == []
    assert samples[0].image.shape == (3, 4, 6)
    assert reads == []
    assert samples[0].segmentations[1].tolist() == (np.array(LABELS) - 1).tolist()
    assert samples[0].boundaries[0].tolist() == (np.array(LABELS) == 1).tolist()
    assert len(reads) == 1


@pytest.mark.parametrize("place", ["", "BSDS500", "BSDS500/data"])
def test_is_found_from_each_of_its_folders(small, place, monkeypatch):
    monkeypatch.delenv("SEGLAB_DATA")
    assert BSDS500("val", root=small / place).folder == small / "BSDS500/data"


def test_a_missing_file_is_told_before_anything_is_read(small):
    (small / "BSDS500/data/groundTruth/val/100.mat").unlink()
    with pytest.raises(DatasetError, match=r"1 of the 6 files .*groundTruth/val/100.mat the first.*seglab data fetch"):
        BSDS500("val")


@pytest.mark.parametrize(("what", "file"), [("image", "images/val/9.jpg"), ("segmentations", "groundTruth/val/9.mat")])
def test_a_broken_file_is_named(small, what, file):
    path = small / "BSDS500/data" / file
    path.write_bytes(path.read_bytes()[:150])
    sample = BSDS500("val")["9"]
    with pytest.raises(DatasetError, match=rf"{file} cannot be read"):
        getattr(sample, what)


def test_where_it_is_absent_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("SEGLAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DatasetNotFoundError, match=r"SEGLAB_DATA .*60 MB.*seglab data fetch bsds500"):
        BSDS500("train")


def test_download_fetches_what_is_not_there_and_only_that(small, monkeypatch):
    fetched = []
    monkeypatch.setattr(
        "seglab.datasets._download.install", lambda source, root: fetched.append(root) or small / "BSDS500/data"
    )
    assert len(BSDS500("val", download=True)) == 3
    assert fetched == [], "it is complete"
    path = small / "BSDS500/data/images/val/10.jpg"
    path.rename(small / "kept")
    monkeypatch.setattr(
        "seglab.datasets._download.install",
        lambda source, root: fetched.append(root) or (small / "kept").rename(path).parents[2],
    )
    assert len(BSDS500("val", root=small, download=True)) == 3
    assert fetched == [small]


def test_wrong_split():
    with pytest.raises(ValueError, match="train, val, test; got 'validation'"):
        BSDS500("validation")
