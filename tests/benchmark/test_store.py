from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import seglab
from seglab.benchmark.scores import SettingScore, score
from seglab.benchmark.store import Store, key
from seglab.methods import KMeans

METHOD = KMeans(n_clusters=2)


def some(seconds: float = 1.0) -> SettingScore:
    return score([[[0, 0, 1]]], torch.tensor([[0, 1, 1]]), seconds)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


@pytest.fixture
def path(store: Store) -> Path:
    path = store.path("mine-test", "kmeans", "a")
    store.add(path, {key(METHOD): (METHOD, some())})
    return path


def test_a_key_is_for_everything_that_a_score_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        key(METHOD),
        key(KMeans(n_clusters=3)),
        key(KMeans(n_clusters=2, seed=1)),
        key(METHOD, connected=True),
        key(METHOD, of="another picture"),
    ]
    assert key(KMeans(n_clusters=2)) == keys[0]
    monkeypatch.setattr(seglab, "__version__", "99")
    assert len({*keys, key(METHOD)}) == 6


def test_what_was_added_is_read(store: Store, path: Path) -> None:
    other = KMeans(n_clusters=3)
    store.add(path, {key(other): (other, some(2.0))})
    assert store.read(path) == {key(METHOD): some(), key(other): some(2.0)}
    assert json.loads(path.read_text())[key(other)]["params"]["n_clusters"] == 3
    assert os.listdir(path.parent) == ["a.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"x": 1}', '{"x": {}}', '{"x": {"score": {"rand": 1}}}', "\x00"])
def test_a_broken_file_is_none(store: Store, path: Path, content: str) -> None:
    path.write_text(content)
    assert store.read(path) == {}
    store.add(path, {key(METHOD): (METHOD, some())})
    assert store.read(path) == {key(METHOD): some()}


def test_half_a_file_is_none(store: Store, path: Path) -> None:
    whole = path.read_bytes()
    for length in range(1, len(whole) - 1, 50):
        path.write_bytes(whole[:length])
        assert store.read(path) == {}


def test_a_file_is_replaced_or_left(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        store.add(path, {"x": (METHOD, some())})
    assert store.read(path) == {key(METHOD): some()}
    assert os.listdir(path.parent) == ["a.json"]


def test_half_written_files_of_a_killed_process_are_not_looked_at(store: Store, path: Path) -> None:
    (path.parent / f".a.json.{os.getpid()}.part").write_text("{")
    (path.parent / ".a.json.1.part").write_text("{")
    assert store.read(path) == {key(METHOD): some()}
    store.add(path, {key(METHOD): (METHOD, some(3.0))})
    assert store.read(path) == {key(METHOD): some(3.0)}


def test_what_a_killed_run_left_is_removed_a_day_later(store: Store, path: Path) -> None:
    old, new, mine = (path.parent / name for name in (".b.json.1.part", ".b.json.2.part", "mine.part"))
    for part, hours in ((old, 25), (new, 23), (mine, 25)):
        part.write_text("{")
        os.utime(part, 2 * (time.time() - 3600 * hours,))
    Store(store.folder)
    assert set(path.parent.iterdir()) == {path, new, mine}


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be opened")
@pytest.mark.parametrize("network", [False, True])
def test_the_new_name_is_on_the_disk_too(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    done, replace = [], os.replace

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if folder else "file")
        if folder and network:
            raise OSError("invalid argument")

    def renamed(*paths: Path) -> None:
        done.append("name")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renamed)
    store.add(path, {"x": (METHOD, some())})
    assert done == ["file", "name", "folder"]
    assert set(store.read(path)) == {key(METHOD), "x"}


def test_label_maps(store: Store, path: Path) -> None:
    labels = np.array([[0, 1, -1]], np.int32)
    store.keep(path, "k", labels)
    with np.load(store.labels_path(path, "k")) as content:
        np.testing.assert_array_equal(content["labels"], labels)
    assert sorted(os.listdir(path.parent)) == ["a.json", "a.k.npz"]
