"""The nuclei: the split, what a picture holds, and what happens when files are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from seglab.datasets import DatasetError, DatasetNotFoundError, Nuclei, bright_nuclei, nuclei, verify
from seglab.datasets._catalog import SOURCES


@pytest.mark.data
@pytest.mark.slow
def test_every_file_has_its_checksum(seglab_data):
    assert verify("nuclei", seglab_data, progress=False) == []
    source = SOURCES["nuclei"]
    folder = source.find(seglab_data)
    assert source.n_bytes == sum((folder / path).stat().st_size for path in source.files)


@pytest.mark.data
@pytest.mark.slow
def test_4152_nuclei_in_65_pictures_that_do_not_overlap(seglab_data):
    total = 0
    for picture in (picture for split in ("train", "val", "test") for picture in Nuclei(split, seglab_data)):
        present = picture.instances.unique()
        assert present.tolist() == list(range(len(picture.mask_paths) + 1))  # none is hidden by a later one
        total += len(picture.mask_paths)
    assert total == 4152


@pytest.mark.data
def test_a_picture(seglab_data):
    picture = next(p for p in Nuclei("test", seglab_data) if p.id.startswith("432f367a"))
    assert picture.image.shape == (3, 520, 348)
    assert picture.image.dtype == torch.float32
    assert 0 <= picture.image.min() < picture.image.max() <= 1
    assert picture.instances.shape == (520, 348)
    assert picture.instances.max() == 329
    bright = bright_nuclei(picture.image)[0]
    assert bright[picture.instances > 0].mean() > bright[picture.instances == 0].mean() + 0.2


def test_the_split_is_drawn_once_and_by_picture():
    source = SOURCES["nuclei"]
    assert len(source.files) == 65 + 4152
    ids = {split: list(nuclei._masks(split)) for split in ("train", "val", "test")}
    assert [len(own) for own in ids.values()] == [36, 9, 20]
    assert {id for own in ids.values() for id in own} == {path.split("/")[0] for path in source.files}
    for masks in nuclei._masks("test").values():
        assert [nuclei._number(path) for path in masks] == list(range(len(masks)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four by six pixels for each picture, and masks of one pixel each, as many as fit."""
    root = tmp_path_factory.mktemp("nuclei")
    for path in SOURCES["nuclei"].files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if "/masks/" in path:
            (root / path).touch()  # most are never read
        else:
            Image.fromarray(np.full((4, 6), 200, np.uint8)).save(root / path)
    return root


def test_is_read_when_looked_at(folder):
    pictures = Nuclei("train", folder)
    picture = pictures[3]
    assert picture.image.shape == (3, 4, 6)
    for number, path in enumerate(picture.mask_paths):
        mask = np.zeros((4, 6), np.uint8)
        mask.flat[number % 24] = 255
        Image.fromarray(mask).save(path)
    assert picture.instances.max() == len(picture.mask_paths)
    assert picture.instances.dtype == torch.int64
    assert picture.instances[0, 0] % 24 == 1
    assert [p.id for p in pictures[1:3]] == list(pictures.ids[1:3])
    assert "train" in repr(pictures)
    assert picture.id[:8] in repr(picture)
    broken = Nuclei("train", folder)[5]
    with pytest.raises(DatasetError, match=r"png cannot be read .* seglab data fetch nuclei"):
        _ = broken.instances


def test_missing_files(folder, tmp_path):
    one = Nuclei("test", folder)[0].mask_paths[0]
    one.rename(one.with_suffix(".gone"))
    try:
        with pytest.raises(DatasetError, match=r"1 of the \d+ files of the split 'test' are missing"):
            Nuclei("test", folder)
    finally:
        one.with_suffix(".gone").rename(one)
    with pytest.raises(DatasetNotFoundError, match="seglab data fetch nuclei"):
        Nuclei("test", tmp_path)
    with pytest.raises(ValueError, match="split is one of train, val, test; got 'all'"):
        Nuclei("all", folder)


def test_downloads_where_it_is_not_found(folder, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("seglab.datasets._download.install", lambda source, root: asked.append((source.name, root)))
    assert len(Nuclei("test", folder, download=True)) == 20
    assert asked == []
    with pytest.raises(DatasetNotFoundError):
        Nuclei("test", tmp_path, download=True)
    assert asked == [("nuclei", tmp_path)]


def test_bright_nuclei_of_both_kinds_are_alike():
    draw = torch.Generator().manual_seed(0)
    dark = 0.1 + 0.02 * torch.rand(3, 40, 50, generator=draw)
    dark[:, 10:20, 10:20] = 0.4
    first, second = bright_nuclei(dark), bright_nuclei(1 - dark)
    torch.testing.assert_close(first, second)
    assert (first[0, 10:20, 10:20] > 0.99).all()
    assert first.median() == 0
    assert bright_nuclei(torch.full((3, 5, 5), 0.3)).abs().max() == 0
