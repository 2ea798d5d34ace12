from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.io
import torch

from seglab.benchmark.pictures import FolderPicture, fingerprint, open_pictures, shape_of
from seglab.datasets import DatasetError


def test_a_folder(mine: Path) -> None:
    name, pictures = open_pictures(mine)
    assert name == "mine-test"
    assert [picture.id for picture in pictures] == ["a", "b", "c", "d"]
    assert pictures[1].image.shape[1:] == (6, 16)
    assert [truth.shape for truth in pictures[1].segmentations] == [(6, 16)] * 2
    assert shape_of(pictures[1]) == (6, 16)


def test_splits_of_a_folder(split: Path) -> None:
    names, parts = zip(*(open_pictures(split, part) for part in ("val", "test")), strict=True)
    assert names == ("split-val", "split-test")
    assert [part[0].segmentations[0].max() for part in parts] == [1, 3]
    with pytest.raises(ValueError, match="no split 'train'"):
        open_pictures(split, "train")


def test_a_folder_without_splits_has_no_other_than_test(mine: Path) -> None:
    with pytest.raises(ValueError, match="no split 'val'"):
        open_pictures(mine, "val")


def test_a_truth_in_berkeleys_format(mine: Path) -> None:
    (mine / "truth/a.npy").unlink()
    people = np.empty((1, 1), object)
    people[0, 0] = np.array([(np.ones((6, 16), np.uint16),)], dtype=[("Segmentation", object)])
    scipy.io.savemat(mine / "truth/a.mat", {"groundTruth": people})
    _, pictures = open_pictures(mine)
    assert [truth.shape for truth in pictures[0].segmentations] == [(6, 16)]


def test_what_does_not_open(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine / "truth/c.npy").unlink()
    with pytest.raises(ValueError, match="c: each picture needs a truth"):
        open_pictures(mine)
    with pytest.raises(ValueError, match="no folder images"):
        open_pictures(tmp_path)
    with pytest.raises(ValueError, match="no data set 'bsds'"):
        open_pictures("bsds")
    twice = [SimpleNamespace(id="a"), SimpleNamespace(id="a")]
    with pytest.raises(ValueError, match="same id"):
        open_pictures(twice)
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match="tset"):
        open_pictures("bsds500", "tset")


def test_bsds500_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DatasetError):
        open_pictures("bsds500")


def test_the_print_tells_pictures_apart(mine: Path) -> None:
    _, pictures = open_pictures(mine)
    prints = [fingerprint(picture) for picture in pictures]
    assert len(set(prints)) == 4
    assert [fingerprint(picture) for picture in pictures] == prints
    np.save(mine / "truth/a.npy", np.zeros((6, 16), int))
    assert fingerprint(pictures[0]) != prints[0]
    # the same bytes in the other order are another picture
    swapped = FolderPicture("b", pictures[1].truth_path, pictures[1].image_path)
    assert fingerprint(swapped) != prints[1]


def test_the_print_of_a_picture_without_files() -> None:
    own = SimpleNamespace(id="a", image=np.zeros((3, 4)), segmentations=[np.zeros((3, 4), int)])
    other = SimpleNamespace(**{**vars(own), "segmentations": [torch.eye(3, 4).long()]})
    assert fingerprint(own) == fingerprint(SimpleNamespace(**vars(own)))
    assert fingerprint(own) != fingerprint(other)
    assert shape_of(own) == (3, 4)
