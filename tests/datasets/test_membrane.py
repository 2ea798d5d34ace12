"""The membrane challenge's slices: the split, what a slice holds, and what happens when files are missing."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import label

from seglab.datasets import DatasetError, DatasetNotFoundError, Membrane, membrane, verify
from seglab.datasets._catalog import SOURCES


@pytest.mark.data
def test_every_file_has_its_checksum(seglab_data):
    assert verify("membrane", seglab_data, progress=False) == []
    source = SOURCES["membrane"]
    folder = source.find(seglab_data)
    assert source.n_bytes == sum((folder / path).stat().st_size for path in source.files)


@pytest.mark.data
def test_20_and_4_and_6_slices(seglab_data):
    train, val, test = (Membrane(split, seglab_data) for split in ("train", "val", "test"))
    assert [one.number for one in [*train, *val, *test]] == list(range(30))
    assert (len(train), len(val), len(test)) == (20, 4, 6)
    assert test[-1].number == 29
    assert [one.number for one in train[2:4]] == [2, 3]
    assert "test" in repr(test)
    assert "29" in repr(test[-1])


@pytest.mark.data
def test_a_slice(seglab_data):
    one = Membrane("test", seglab_data)[0]
    assert one.image.shape == (1, 512, 512)
    assert one.image.dtype == torch.float32
    assert 0 <= one.image.min() < 0.2 < 0.8 < one.image.max() <= 1
    assert one.membrane.dtype == torch.bool
    assert 0.1 < one.membrane.float().mean() < 0.3
    assert torch.equal(one.cells == 0, one.membrane)
    cells, _ = label(~one.membrane.numpy())
    assert np.array_equal(one.cells.numpy(), cells)
    assert one.image[0][one.membrane].mean() < one.image[0][~one.membrane].mean() - 0.1, "membranes are dark"


@pytest.fixture
def folder(tmp_path):
    for path in SOURCES["membrane"].files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6), 200, np.uint8)).save(tmp_path / path)
    return tmp_path


def test_is_read_when_looked_at(folder):
    slices = Membrane("train", folder)
    assert slices[3].image.shape == (1, 4, 6)
    assert slices[3].cells.eq(1).all()
    (folder / "train/label/5.png").write_bytes(b"no picture")
    broken = Membrane("train", folder)[5]
    with pytest.raises(DatasetError, match=r"5\.png cannot be read .* seglab data fetch membrane"):
        _ = broken.membrane


def test_missing_files(folder, tmp_path_factory, monkeypatch):
    (folder / "train/image/29.png").unlink()
    with pytest.raises(DatasetError, match="1 of its 60 files are missing"):
        Membrane("train", folder)
    with pytest.raises(DatasetNotFoundError, match="seglab data fetch membrane"):
        Membrane("test", tmp_path_factory.mktemp("empty"))
    with pytest.raises(ValueError, match="split is one of train, val, test; got 'all'"):
        Membrane("all", folder)


def test_downloads_what_is_missing(folder, monkeypatch):
    asked = []
    monkeypatch.setattr("seglab.datasets._download.install", lambda source, root: asked.append(source.name) or folder)
    Membrane("train", folder, download=True)
    assert asked == []
    path = folder / "train/image/0.png"
    content = path.read_bytes()
    path.unlink()

    def install(source, root):
        asked.append(source.name)
        path.write_bytes(content)
        return folder

    monkeypatch.setattr("seglab.datasets._download.install", install)
    assert len(Membrane("test", folder, download=True)) == 6
    assert asked == ["membrane"]


def test_examples():
    assert not doctest.testmod(membrane).failed
