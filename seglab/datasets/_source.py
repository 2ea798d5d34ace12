"""A data set that is published as an archive: what it is, its list of checksums, where it is found, what is broken.

Another set follows by one more `Source` and one more list (``sha256sum $(find . -type f) > name.sha256``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import pooch
from PIL import Image, UnidentifiedImageError
from tqdm.auto import tqdm

__all__ = ["DatasetError", "DatasetNotFoundError", "Source", "data_root", "read_pixels"]

ENVIRONMENT = "SEGLAB_DATA"


class DatasetError(OSError):
    """A data set is absent, incomplete or broken, or cannot be downloaded; the message says what to do."""


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """A data set is not on this computer."""


def data_root() -> Path:
    """Where data sets are stored: the folder that SEGLAB_DATA names, else the user's cache."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named).expanduser() if named else Path(pooch.os_cache("seglab"))


def read_pixels(path: Path, mode: str, name: str) -> np.ndarray:
    """The pixels of a picture file of the data set ``name``, in a mode of Pillow's: ``"L"``, ``"RGB"``."""
    try:
        with Image.open(path) as file:
            return np.array(file.convert(mode))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}). seglab data fetch {name} checks and repairs the data set."
        ) from error


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set, as it is published.

    Attributes
    ----------
    name, title, about
        What to call it, and what it is.
    folder
        Where it lies below the data root, as ``BSDS500/data``; its list's paths start there.
    url
        The archive (zip), pinned.
    inside
        Where it lies in the archive, below the one folder that an archive of GitHub's has at its top.
    checksums
        The list: lines of ``sha256  path``, as ``sha256sum`` writes and reads them.
    n_bytes
        The size of the listed files together.
    terms, citation
        What may be done with it, and what to cite.
    """

    name: str
    title: str
    about: str
    folder: str
    url: str
    inside: str
    checksums: Path
    n_bytes: int
    terms: str
    citation: str

    @property
    def files(self) -> Mapping[str, str]:
        """The path of each file in the data set, with its checksum."""
        return _read_list(self.checksums)

    def find(self, root: str | os.PathLike | None = None) -> Path | None:
        """The data set's folder, or None where none of its files is found.

        Parameters
        ----------
        root
            A folder of data sets, or the data set's own folder. By default the folder that SEGLAB_DATA names, then
            the user's cache.
        """
        roots = [Path(root).expanduser()] if root is not None else [data_root(), Path(pooch.os_cache("seglab"))]
        parts = PurePosixPath(self.folder).parts
        for place in roots:
            for i in range(len(parts) + 1):
                folder = place.joinpath(*parts[i:])
                if folder.is_dir() and any((folder / path).is_file() for path in self.files):
                    return folder
        return None

    def require(self, root: str | os.PathLike | None = None) -> Path:
        """The data set's folder.

        Raises
        ------
        DatasetNotFoundError
            None of its files is found; the message says where it was looked for and how to get it.
        """
        folder = self.find(root)
        if folder is None:
            place = Path(root) if root is not None else data_root()
            raise DatasetNotFoundError(
                f"{self.title} was not found in {place}. Set the environment variable {ENVIRONMENT} to the folder that "
                f"holds {self.folder}, or download it once ({self.n_bytes / 1e6:.0f} MB of files): "
                f"seglab data fetch {self.name}, or in Python seglab.datasets.fetch({self.name!r})."
            )
        return folder

    def missing(self, folder: Path, paths: Iterable[str] | None = None) -> list[str]:
        """The listed files that are not there; a matter of milliseconds."""
        return [path for path in (self.files if paths is None else paths) if not (folder / path).is_file()]

    def problems(self, folder: Path, progress: bool = False) -> dict[str, str]:
        """What is wrong in a folder: the path of each missing or broken file, and what is the matter with it."""
        with ThreadPoolExecutor(max_workers=4) as pool:  # reading and hashing leave the interpreter free
            states = pool.map(lambda path: _state(folder / path, self.files[path]), self.files)
            bar = tqdm(states, total=len(self.files), desc=f"checking {self.title}", leave=False, disable=not progress)
            return {path: state for path, state in zip(self.files, bar, strict=True) if state}


def _state(path: Path, checksum: str) -> str:
    """What is wrong with a file, in a few words; nothing where all is well."""
    try:
        return "" if pooch.file_hash(str(path)) == checksum else "its checksum is wrong"
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


@cache
def _read_list(path: Path) -> Mapping[str, str]:
    """Read lines of ``sha256  path``; no path may lead out of the data set's folder."""
    files = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match is None or not is_inside(match[2]):
            raise ValueError(f"{path.name}, line {number}: expected 'sha256  path/inside/the/set', got {line!r}")
        files[match[2]] = match[1]
    return MappingProxyType(files)


def is_inside(path: str) -> bool:
    """Whether a path (with forward slashes) stays in the folder that it is relative to, on any system.

    Examples
    --------
    >>> is_inside("images/test/100007.jpg"), is_inside("../secret"), is_inside("/etc/passwd"), is_inside("C:/x")
    (True, False, False, False)
    """
    parts = path.split("/")
    return not any(part in ("", ".", "..") or ":" in part or "\\" in part for part in parts)
