"""Results on disk, a file for each picture and method: whole or absent, whenever the run is killed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import seglab
from seglab.benchmark.scores import SettingScore
from seglab.segmenter import Segmenter

__all__ = ["Store", "key"]

STALE = 24 * 60 * 60  # seconds; another run, maybe of another computer, writes a file in less


def key(method: Segmenter, connected: bool = False, of: str = "") -> str:
    """A short name for a method with all of its parameters, its seed, the package's version, and the picture."""
    return hashlib.sha256(json.dumps(_described(method, connected, of), sort_keys=True).encode()).hexdigest()[:16]


def _described(method: Segmenter, connected: bool, of: str) -> dict[str, Any]:
    values = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    simple = {name: v if isinstance(v, (str, int, float, bool, type(None))) else repr(v) for name, v in values.items()}
    return {"method": method.name, "params": simple, "version": seglab.__version__, "connected": connected, "of": of}


@dataclasses.dataclass(frozen=True)
class Store:
    """The scores of one data set in a folder: ``FOLDER/DATASET/METHOD/ID.json``.

    A file holds a picture's scores at every setting that was ever run, so that a longer sweep computes what is new.
    What killed runs left half written is removed a day later, when a store is opened.
    """

    folder: Path

    def __post_init__(self) -> None:
        for part in self.folder.glob("*/*/.*.part"):
            with suppress(OSError):  # removed by another run meanwhile, or not ours to remove
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()

    def path(self, dataset: str, method: str, id: str) -> Path:
        """Where a picture's scores lie."""
        return self.folder / dataset / method / f"{id}.json"

    def read(self, path: Path) -> dict[str, SettingScore]:
        """The scores by `key`; none where there is no file, or none of ours."""
        try:
            return {k: SettingScore.from_json(entry["score"]) for k, entry in _content(path).items()}
        except (KeyError, TypeError, AttributeError):  # another version's
            return {}

    def add(
        self, path: Path, scored: dict[str, tuple[Segmenter, SettingScore]], connected: bool = False, of: str = ""
    ) -> None:
        """Add scores to a picture's file, which is replaced in one go; measures that were there before stay."""
        known = self.read(path)
        content = _content(path) if known else {}
        for k, (method, score) in scored.items():
            content[k] = {**_described(method, connected, of), "score": score.joined(known.get(k)).to_json()}
        _replace(path, json.dumps(content).encode())

    def keep(self, path: Path, k: str, labels: NDArray[np.int32]) -> None:
        """Keep a label map beside the scores: ``ID.KEY.npz``, whose one array is ``labels``."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, labels=labels)
        _replace(self.labels_path(path, k), buffer.getvalue())

    @staticmethod
    def labels_path(path: Path, k: str) -> Path:
        """Where the label map of a setting is kept."""
        return path.with_name(f"{path.stem}.{k}.npz")


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:  # not ours, or the disk's fault: computed again
        return {}
    return content if isinstance(content, dict) else {}


def _replace(path: Path, content: bytes) -> None:
    """Write beside, then rename: what is read is the old file or the new one, after a power cut too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Write a folder's names to the disk, which renaming alone does not."""
    if os.name != "posix":  # a folder cannot be opened elsewhere
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks know no such thing
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
