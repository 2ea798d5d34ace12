"""Fetch a data set's archive and install its files: resumable, verified file by file, all or nothing.

The order of things: download into ``archive.part``, which a cut connection or a kill leaves for the next run to go on
from; rename it to ``archive.zip``; write the listed files, each against its checksum, into a folder beside the data
set's place; rename that folder to its place. Until the last rename there is no data set, after it there is a whole
one. The archive itself has no checksum: a code host may pack the same files anew.

Of pooch only the cache's place and the checksums of files are used: its downloads begin anew after a cut connection,
and it unpacks file by file into the final folder, where a kill leaves half a data set.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import requests
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from seglab.datasets._source import ENVIRONMENT, DatasetError, Source, data_root

__all__ = ["BrokenArchiveError", "complete", "download", "install"]

CHUNK = 1 << 18
PAUSE = 1.0  # seconds before trying again, doubled each time
TRIES = 4  # in a row without one byte more
TIMEOUT = (20, 60)  # seconds to connect, and between two pieces of the answer


class BrokenArchiveError(DatasetError):
    """What was downloaded is not the published archive."""


def complete(
    source: Source,
    root: str | os.PathLike | None = None,
    *,
    download: bool = False,
    paths: Sequence[str] | None = None,
    part: str = "",
) -> Path:
    """Find the folder of a data set with all files, or some, present.

    Parameters
    ----------
    source
        The data set.
    root
        As for `install`.
    download
        Bring it where files are missing; a folder that has all is not hashed each time.
    paths
        The files that are needed; all of the data set's by default.
    part
        What they are, for the message: ``" of the split 'test'"``.

    Raises
    ------
    DatasetNotFoundError
        The data set is not on this computer, and `download` is off.
    DatasetError
        Files are missing, or the download failed.
    """
    found = source.find(root)
    if download and (found is None or source.missing(found)):
        found = install(source, root)
    folder = source.require(root) if found is None else found
    missing = source.missing(folder, paths)
    if missing:
        wanted = f"its {len(source.files)} files" if paths is None else f"the {len(paths)} files{part}"
        raise DatasetError(
            f"{folder} is incomplete: {len(missing)} of {wanted} are missing, {missing[0]} the first. "
            f"seglab data fetch {source.name} completes it."
        )
    return folder


def install(source: Source, root: str | os.PathLike | None = None, *, progress: bool = True) -> Path:
    """Find a data set with every checksum right, or bring it to that.

    Parameters
    ----------
    source
        The data set.
    root
        The folder of data sets; by default the one that SEGLAB_DATA names, else the user's cache.
    progress
        Show bars.

    Returns
    -------
    Path
        The data set's folder.
    """
    found = source.find(root)
    if found is not None and not source.problems(found, progress):
        return found
    place = Path(root).expanduser() if root is not None else data_root()
    target = found or place / source.folder
    work = target.parent / f".{source.name}.partial"
    with _explained(source, target.parent), _alone(work.with_suffix(".lock"), source, progress):
        broken = source.problems(target, progress) if target.exists() else dict.fromkeys(source.files, "")
        if broken:  # another process may have done it all while this one waited
            work.mkdir(parents=True, exist_ok=True)
            _publish(_unpacked(source, work, progress), target, list(broken))
        shutil.rmtree(work, ignore_errors=True)
    return target


def _unpacked(source: Source, work: Path, progress: bool) -> Path:
    """Download and unpack into ``work``; what an earlier run left is used, once."""
    archive, files = work / "archive.zip", work / "files"
    left_over = any(work.glob("archive.*"))
    while True:
        if not archive.exists():
            download(source.url, archive, title=source.title, progress=progress)
        try:
            _extract(source, archive, files, progress)
            return files
        except BrokenArchiveError:
            archive.unlink()  # the next run is not to go on from it
            if not left_over:
                raise
            left_over = False


# --- the transfer -----------------------------------------------------------------------------------------------------


def download(url: str, file: Path, *, title: str = "", progress: bool = True) -> None:
    """Download to a file that appears when it is complete; go on from what an earlier run left.

    A connection that is cut is taken up again while bytes keep coming. A server that knows no ranges begins anew.
    """
    part = file.with_suffix(".part")
    most, tries = -1, TRIES
    while True:
        try:
            _transfer(url, part, title, progress)
            break
        except requests.HTTPError as error:
            tries -= 1
            if error.response is None or error.response.status_code < 500 or tries <= 0:
                raise DatasetError(f"The server refused: {error}. {_elsewhere()}") from error
        except requests.RequestException as error:
            tries = TRIES if _size(part) > most else tries - 1
            if tries <= 0:
                raise DatasetError(_cut(url, part, error)) from error
        most = max(most, _size(part))
        time.sleep(PAUSE * 2 ** (TRIES - tries))
    os.replace(part, file)


def _transfer(url: str, part: Path, title: str, progress: bool) -> None:
    """One connection: add to ``part`` what it lacks."""
    have, mark = _size(part), part.with_suffix(".mark")
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if mark.exists():
            headers["If-Range"] = mark.read_text("utf-8")  # another version of the file comes as a whole
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # there is nothing after what we have: it is complete, or of another file
            if answer.headers.get("Content-Range") != f"bytes */{have}":
                part.unlink()
                raise requests.ConnectionError(f"the {have} bytes kept from an earlier run are not of this file")
            return
        answer.raise_for_status()
        resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-") and answer.status_code == 206
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(
            desc=f"downloading {title}", total=total, initial=have, unit="B", unit_scale=True, disable=not progress
        )
        with open(part, "ab" if resumed else "wb") as out, bar:
            if not resumed:
                _remember(answer, mark)
            for chunk in answer.iter_content(CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
            _to_disk(out)
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"{_size(part)} of {total} bytes came")


def _remember(answer: requests.Response, mark: Path) -> None:
    """Keep what tells this version of the file from another; a weak tag cannot be used with ranges."""
    tag = answer.headers.get("ETag", "")
    tag = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    if tag:
        mark.write_text(tag, "utf-8")
    else:
        mark.unlink(missing_ok=True)


def _cut(url: str, part: Path, error: Exception) -> str:
    kept = f" {_size(part) / 1e6:.1f} MB are kept; the next run goes on from there." if _size(part) else ""
    return f"{url} could not be downloaded: {error}.{kept} {_elsewhere()}"


def _elsewhere() -> str:
    return (
        f"If this computer has no network, copy the data set from another one and set the environment variable "
        f"{ENVIRONMENT} to the folder that holds it."
    )


# --- the files --------------------------------------------------------------------------------------------------------


def _extract(source: Source, archive: Path, into: Path, progress: bool) -> None:
    """Write the listed files, and only those, below ``into``; each must have its checksum.

    Names in the archive are looked up, never followed: whatever else it holds, nothing is written elsewhere.
    """
    shutil.rmtree(into, ignore_errors=True)
    problems = {}
    try:
        with zipfile.ZipFile(archive) as packed:
            members = _members(packed, source.inside)
            bar = tqdm(source.files.items(), desc=f"unpacking {source.title}", leave=False, disable=not progress)
            for path, checksum in bar:
                if path not in members:
                    problems[path] = "it is missing"
                elif _write(packed, members[path], into / path) != checksum:
                    problems[path] = "its checksum is wrong"
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BrokenArchiveError(f"The archive from {source.url} is broken ({error}). Try again later.") from error
    if problems:
        named = "; ".join(f"{path}: {what}" for path, what in list(problems.items())[:3])
        raise BrokenArchiveError(
            f"The archive from {source.url} is not the published one: {len(problems)} of {len(source.files)} files "
            f"differ ({named}{'; …' if len(problems) > 3 else ''}). Nothing was installed."
        )
    with ThreadPoolExecutor(16) as pool:  # a disk takes many at once in the time of a few
        list(pool.map(_file_to_disk, (into / path for path in source.files)))


def _members(packed: zipfile.ZipFile, inside: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by their path in the data set; a code host puts one folder around everything."""
    prefix = f"{inside}/" if inside else ""
    below_top = {info.filename.partition("/")[2]: info for info in packed.infolist()}
    return {name[len(prefix) :]: info for name, info in below_top.items() if name.startswith(prefix)}


def _write(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> str:
    """Write one file and return its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checksum = hashlib.sha256()
    with packed.open(member) as content, open(path, "wb") as out:
        while chunk := content.read(CHUNK):
            checksum.update(chunk)
            out.write(chunk)
    return checksum.hexdigest()


def _publish(files: Path, target: Path, broken: list[str]) -> None:
    """Put the files in their place: all in one rename where there was nothing, else one by one what was broken."""
    with contextlib.suppress(OSError):
        target.rmdir()  # an empty folder is nothing
    if not target.exists():
        os.rename(files, target)
    else:
        for path in broken:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(files / path, target / path)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)


def _file_to_disk(path: Path) -> None:
    with open(path, "rb+") as file:
        _to_disk(file)


def _to_disk(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# --- around it --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(path: Path, source: Source, progress: bool) -> Iterator[None]:
    """Let one process at a time in; the system takes the lock back from one that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if progress:
            tqdm.write(f"another process is fetching {source.title}; waiting for it")
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _explained(source: Source, place: Path) -> Iterator[None]:
    """Say in plain words what the disk's errors mean."""
    try:
        yield
    except DatasetError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            raise DatasetError(
                f"The disk is full: {place} has {shutil.disk_usage(place).free / 1e6:.0f} MB free, and {source.title} "
                f"needs about {2 * source.n_bytes / 1e6:.0f} MB while it is installed. Free some and run again, or set "
                f"{ENVIRONMENT} to a folder on another disk."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise DatasetError(
                f"{place} cannot be written to ({error.strerror}), so {source.title} cannot be stored there. Set "
                f"{ENVIRONMENT} to a folder of your own."
            ) from error
        raise
