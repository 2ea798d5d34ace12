"""A data set of four tiny pictures on disk: four bands of gray, whose truths are the bands, and their halves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHAPE = (6, 16)
BANDS = np.repeat(np.arange(4), 4)[None].repeat(6, 0)  # (6, 16)


def save_picture(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gray = np.array([20, 90, 160, 230])[BANDS] + rng.integers(-9, 10, SHAPE)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(gray.astype(np.uint8)).save(path)


def save_truth(path: Path, *maps: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.stack(maps))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The folder of the data set: pictures a to d, each with two truths."""
    for seed, id in enumerate("abcd"):
        save_picture(tmp_path / f"mine/images/{id}.png", seed)
        save_truth(tmp_path / f"mine/truth/{id}.npy", BANDS, np.roll(BANDS // 2, seed, 1))
    return tmp_path / "mine"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A folder with two splits: in val the truths are halves, in test bands."""
    for part, truth in (("val", BANDS // 2), ("test", BANDS)):
        for seed, id in enumerate("ab"):
            save_picture(tmp_path / f"split/images/{part}/{id}.png", seed)
            save_truth(tmp_path / f"split/truth/{part}/{id}.npy", truth)
    return tmp_path / "split"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of results: ``folder("labels", {"a.npy": array, ...})``."""

    def write(name: str, files: dict[str, np.ndarray | bytes]) -> Path:
        for file, content in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif path.suffix == ".npy":
                np.save(path, content)
            elif path.suffix == ".npz":
                np.savez(path, labels=content)
            else:
                Image.fromarray(content.astype(np.uint8)).save(path)
        return tmp_path / name

    return write
