"""The horses: a division that never changes, pictures and masks that fit, and clear errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from seglab.datasets import DatasetError, DatasetNotFoundError, WeizmannHorses, horses, verify
from seglab.datasets._catalog import SOURCES


@pytest.mark.data
def test_the_published_files(seglab_data):
    assert verify("horses", seglab_data, progress=False) == []
    folder = SOURCES["horses"].require(seglab_data)
    assert sum((folder / path).stat().st_size for path in SOURCES["horses"].files) == SOURCES["horses"].n_bytes
    assert len(WeizmannHorses("all", seglab_data)) == 327


@pytest.mark.data
def test_pictures_and_truth_fit(seglab_data):
    for horse in WeizmannHorses("test", seglab_data)[::10]:
        assert horse.image.shape[1:] == horse.labels.shape
        assert horse.image.dtype == torch.float32
        assert set(horse.labels.unique().tolist()) == {0, 1}
        assert 0.02 < horse.labels.double().mean() < 0.6
        aspects = [h / w for h, w in (horse.labels.shape, horse.photograph.shape[1:])]
        assert aspects[0] == pytest.approx(aspects[1], rel=0.03)


def test_the_division_is_a_division_and_stays_as_it_is():
    ids = [f"horse{i:03}" for i in range(1, 328)]
    parts = {split: horses._divided(split, ids) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 200, "val": 27, "test": 100}
    assert sorted(id for part in parts.values() for id in part) == ids
    assert parts["val"][:3] == ("horse010", "horse022", "horse028")
    assert horses._divided("all", ids) == tuple(ids)


@pytest.fixture
def small(tmp_path, monkeypatch):
    folder = tmp_path / "weizmann_horses"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    names = [f"horse{i:03}" for i in range(1, 328)]
    listing = tmp_path / "small.sha256"
    paths = [f"{kind}/{name}.{end}" for name in names for kind, end in (("images", "jpg"), ("labels", "png"))]
    listing.write_text("".join(f"{'0' * 64}  {path}\n" for path in paths))
    for path in paths:
        (folder / path).touch()
    monkeypatch.setitem(SOURCES, "horses", dataclasses.replace(SOURCES["horses"], checksums=listing))
    return folder


def test_reading(small, monkeypatch):
    monkeypatch.setenv("SEGLAB_DATA", str(small.parent))
    horse = WeizmannHorses("all")[1]
    assert (horse.id, repr(horse)) == ("horse002", "HorseImage(id='horse002')")
    Image.fromarray(np.full((40, 60, 3), 51, np.uint8)).save(horse.image_path)
    Image.fromarray(np.repeat([[0, 254, 255]], 20, 0).repeat(10, 1).astype(np.uint8)).save(horse.mask_path)
    assert horse.photograph.shape == (3, 40, 60)
    assert horse.image.shape == (3, 20, 30)
    torch.testing.assert_close(horse.image, torch.full((3, 20, 30), 0.2), atol=0.01, rtol=0)
    assert horse.labels.tolist() == [[0] * 10 + [1] * 20] * 20
    part = WeizmannHorses("all")[:2]
    assert [each.id for each in part] == ["horse001", "horse002"]
    with pytest.raises(DatasetError, match="cannot be read"):
        _ = part[0].image


def test_what_is_missing(small, tmp_path):
    with pytest.raises(ValueError, match="split is one of"):
        WeizmannHorses("valid")
    with pytest.raises(DatasetNotFoundError, match="seglab data fetch horses"):
        WeizmannHorses("train", tmp_path / "nowhere")
    (small / "labels/horse007.png").unlink()
    with pytest.raises(DatasetError, match=r"incomplete: 1 of its 654 files are missing, labels/horse007\.png"):
        WeizmannHorses("train", small)


def test_a_download_only_where_something_is_missing(small, monkeypatch):
    asked = []
    monkeypatch.setattr("seglab.datasets._download.install", lambda source, root: asked.append(source.name) or small)
    WeizmannHorses("val", small, download=True)
    assert asked == []
    (small / "labels/horse007.png").unlink()
    with pytest.raises(DatasetError, match="incomplete"):
        WeizmannHorses("val", small, download=True)
    assert asked == ["horses"]
