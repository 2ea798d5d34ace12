"""Fetching a data set from a server that behaves and from ones that do not: all of it, or nothing."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from seglab.datasets import DatasetError, DatasetNotFoundError, _catalog, _download, fetch, list_datasets, verify
from seglab.datasets._download import BrokenArchiveError, install
from seglab.datasets._source import Source, is_inside

from .server import Server, content, pack, source

FILES = content()
ARCHIVE = pack(FILES)
HALF = len(ARCHIVE) // 2
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, tmp_path):
    monkeypatch.setattr(_download, "PAUSE", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGLAB_DATA", raising=False)


@pytest.fixture
def store(tmp_path) -> Path:
    """A folder of data sets, empty."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def fake(server: Server, tmp_path: Path, files: dict[str, bytes] = FILES) -> Source:
    return source(server.url, files, tmp_path / "lists")


def get(a_source: Source, store: Path) -> Path:
    return install(a_source, store, progress=False)


def assert_complete(folder: Path, store: Path) -> None:
    assert folder == store / "FAKE/data"
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == FILES
    assert not list(store.rglob("*.partial")), "nothing is left of the download"


def assert_nothing(a_source: Source, store: Path) -> None:
    assert not (store / "FAKE/data").exists()
    assert a_source.find(store) is None


def broken_part(store: Path) -> Path:
    return store / "FAKE/.fake.partial/archive.part"


# --- the good way -----------------------------------------------------------------------------------------------------


def test_fetches_once_then_finds(tmp_path, store):
    with Server(ARCHIVE) as server:
        assert_complete(get(fake(server, tmp_path), store), store)
        assert_complete(get(fake(server, tmp_path), store), store)
    assert server.served == [len(ARCHIVE)]


def test_shows_bars_only_when_asked(tmp_path, store, capsys):
    with Server(ARCHIVE) as server:
        install(fake(server, tmp_path), store / "quiet", progress=False)
        assert capsys.readouterr() == ("", "")
        install(fake(server, tmp_path), store / "loud", progress=True)
        shown = capsys.readouterr().err
    assert "downloading Fake Data Set: 100%" in shown
    assert "unpacking Fake Data Set" in shown


@pytest.mark.parametrize("place", ["", "FAKE", "FAKE/data"])
def test_finds_it_from_each_of_its_folders(tmp_path, store, place):
    with Server(ARCHIVE) as server:
        a_source = fake(server, tmp_path)
        get(a_source, store)
    assert a_source.find(store / place) == store / "FAKE/data"


def test_stores_where_the_environment_says_else_in_the_cache(tmp_path, store, monkeypatch):
    with Server(ARCHIVE) as server:
        a_source = fake(server, tmp_path)
        in_cache = install(a_source, progress=False)
        assert "seglab" in in_cache.parts
        monkeypatch.setenv("SEGLAB_DATA", str(store))
        assert install(a_source, progress=False) == in_cache, "the cache is looked into as well"
        shutil.rmtree(in_cache)
        assert_complete(install(a_source, progress=False), store)


@pytest.mark.parametrize("empty_folder", [False, True])
def test_appears_in_one_step(tmp_path, store, monkeypatch, empty_folder):
    """The folder that was unpacked is itself what is found in the end: it was renamed, not filled."""
    if empty_folder:
        (store / "FAKE/data").mkdir(parents=True)
    unpacked, inner = [], _download._publish
    monkeypatch.setattr(
        _download, "_publish", lambda files, *rest: unpacked.append(files.stat()) or inner(files, *rest)
    )
    with Server(ARCHIVE) as server:
        folder = get(fake(server, tmp_path), store)
    assert_complete(folder, store)
    assert os.path.samestat(folder.stat(), unpacked[0])


# --- cut connections --------------------------------------------------------------------------------------------------


def test_goes_on_where_the_connection_was_cut(tmp_path, store):
    with Server(ARCHIVE, cuts=[HALF]) as server:
        assert_complete(get(fake(server, tmp_path), store), store)
    assert server.served[0] == HALF
    kept = int(server.requests[1]["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < kept <= HALF
    assert server.served[1] == len(ARCHIVE) - kept, "only the rest came"


def test_a_later_run_goes_on_where_the_first_gave_up(tmp_path, store):
    with Server(ARCHIVE, cuts=[HALF], always_cut=0) as server:
        a_source = fake(server, tmp_path)
        with pytest.raises(DatasetError, match=r"MB are kept; the next run goes on from there.*SEGLAB_DATA"):
            get(a_source, store)
        assert len(server.requests) == 1 + _download.TRIES
        assert_nothing(a_source, store)
        kept = broken_part(store).stat().st_size
        assert kept > 0
        server.always_cut = None
        assert_complete(get(a_source, store), store)
    assert server.served[-1] == len(ARCHIVE) - kept


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_begins_anew_where_the_server_knows_no_ranges(tmp_path, store, chunked):
    with Server(ARCHIVE, ranges=False, cuts=[HALF], chunked=chunked) as server:
        assert_complete(get(fake(server, tmp_path), store), store)
    assert server.served == [HALF, len(ARCHIVE)]
    assert "Range" in server.requests[1]


def test_a_new_version_of_the_archive_is_not_joined_to_half_of_the_old(tmp_path, store):
    repacked = pack(FILES, top="Another-name-for-the-top-folder")
    with Server(ARCHIVE, cuts=[HALF], always_cut=0) as server:
        a_source = fake(server, tmp_path)
        with pytest.raises(DatasetError):
            get(a_source, store)
        server.body, server.etag, server.always_cut = repacked, '"two"', None
        assert_complete(get(a_source, store), store)
    assert server.requests[-1]["If-Range"] == '"one"'
    assert server.served[-1] == len(repacked)


def test_a_weak_tag_gives_way_to_the_date(tmp_path, store):
    with Server(ARCHIVE, etag='W/"weak"', modified=True, cuts=[HALF]) as server:
        assert_complete(get(fake(server, tmp_path), store), store)
    assert server.requests[1]["If-Range"].endswith("GMT")
    assert server.served[1] < len(ARCHIVE)


def test_joins_without_a_tag_are_found_out_and_mended(tmp_path, store):
    part = broken_part(store)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half of something else" * 1000)
    with Server(ARCHIVE, etag="") as server:
        assert_complete(get(fake(server, tmp_path), store), store)
    assert server.served == [len(ARCHIVE) - 22_000, len(ARCHIVE)]


def test_joins_of_a_wrong_archive_are_tried_afresh_once(tmp_path, store):
    part = broken_part(store)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half of something else" * 1000)
    with Server(changed(VICTIM, b"other"), etag="") as server:
        a_source = fake(server, tmp_path)
        with pytest.raises(BrokenArchiveError):
            get(a_source, store)
        assert_nothing(a_source, store)
    assert len(server.served) == 2


def test_fewer_bytes_than_promised_are_a_cut_even_where_the_client_library_lets_it_pass(tmp_path, monkeypatch):
    class Short(requests.Response):
        status_code = 200

        def iter_content(self, *args, **kwargs):
            yield b"abc"

        def close(self):
            pass

    def short(*args, **kwargs):
        answer = Short()
        answer.status_code = 200
        answer.headers["Content-Length"] = "5"
        return answer

    monkeypatch.setattr(_download.requests, "get", short)
    with pytest.raises(DatasetError, match="3 of 5 bytes came"):
        _download.download("http://127.0.0.1/x.zip", tmp_path / "x.zip", progress=False)
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.parametrize("extra", [b"", b"more than there is"], ids=["complete", "too long"])
def test_nothing_more_to_come(tmp_path, store, extra):
    part = broken_part(store)
    part.parent.mkdir(parents=True)
    part.write_bytes(ARCHIVE + extra)
    with Server(ARCHIVE) as server:
        assert_complete(get(fake(server, tmp_path), store), store)
    assert sum(server.served) == (len(ARCHIVE) if extra else 0)


# --- wrong archives ---------------------------------------------------------------------------------------------------


def changed(path: str, data: bytes | None) -> bytes:
    files = {**FILES, path: data}
    return pack({k: v for k, v in files.items() if v is not None})


VICTIM = "images/train/3.jpg"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(ARCHIVE[:HALF], "is broken", id="truncated"),
        pytest.param(b"<html>Sign in to the hotel's network</html>", "is broken", id="a web page"),
        pytest.param(ARCHIVE.replace(FILES[VICTIM][:64], bytes(64)), "is broken.*CRC", id="a bad checksum in the zip"),
        pytest.param(changed(VICTIM, b"other"), rf"1 of 9 files differ \({VICTIM}: its checksum", id="a wrong file"),
        pytest.param(changed(VICTIM, None), rf"{VICTIM}: it is missing", id="a missing file"),
        pytest.param(pack({}), r"9 of 9 files differ .*; …\)", id="empty"),
    ],
)
def test_a_wrong_archive_installs_nothing_and_is_not_kept(tmp_path, store, body, message):
    with Server(body) as server:
        a_source = fake(server, tmp_path)
        with pytest.raises(BrokenArchiveError, match=message):
            get(a_source, store)
        assert len(server.served) == 1, "a fresh download is not repeated"
        assert_nothing(a_source, store)
        server.body = ARCHIVE
        assert_complete(get(a_source, store), store)
    assert server.served[1:] == [len(ARCHIVE)]


def test_writes_listed_files_only_whatever_the_archive_names(tmp_path, store):
    out = io.BytesIO(ARCHIVE)
    with zipfile.ZipFile(out, "a") as packed:
        for name in ("../../evil", "/evil", "top/inner/data/../../../evil", "top/inner/data/extra.jpg"):
            packed.writestr(name, b"evil")
    with Server(out.getvalue()) as server:
        assert_complete(get(fake(server, tmp_path), store), store)
    assert not [p for p in tmp_path.rglob("*") if p.name in ("evil", "extra.jpg")]


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "C:/x", "a\\..\\x", "a//x", "./x"])
def test_a_list_that_leads_out_of_its_folder_is_refused(tmp_path, path):
    assert not is_inside(path)
    with Server(ARCHIVE) as server, pytest.raises(ValueError, match="line 1"):
        _ = fake(server, tmp_path, {path: b""}).files


# --- missing and broken files -----------------------------------------------------------------------------------------


def test_verify_names_what_is_wrong_and_fetch_mends_it(tmp_path, store, monkeypatch):
    with Server(ARCHIVE) as server:
        a_source = fake(server, tmp_path)
        monkeypatch.setitem(_catalog.SOURCES, "fake", a_source)
        with pytest.raises(DatasetNotFoundError, match=r"SEGLAB_DATA.*seglab data fetch fake"):
            verify("fake", store)
        folder = fetch("fake", store, progress=False)
        assert verify("fake", store, progress=False) == []
        untouched = (folder / "images/test/2.jpg").stat().st_mtime_ns
        (folder / "images/test/0.jpg").unlink()
        (folder / VICTIM).write_bytes(b"\0" + FILES[VICTIM][1:])
        assert verify("fake", store, progress=False) == [
            "images/test/0.jpg: it is missing",
            f"{VICTIM}: its checksum is wrong",
        ]
        info = next(i for i in list_datasets(store, check=True) if i.name == "fake")
        assert (info.n_files, info.n_present, info.n_verified, info.complete) == (9, 8, 7, False)
        assert fetch("FAKE", store, progress=False) == folder
    assert_complete(folder, store)
    assert (folder / "images/test/2.jpg").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("act", [fetch, verify])
def test_an_unknown_name_is_answered_with_the_nearest(act):
    with pytest.raises(ValueError, match="did you mean 'bsds500'"):
        act("bsd500")


# --- killed, full, away -----------------------------------------------------------------------------------------------

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from server import content, source
from seglab.datasets import _download

class Bar:
    def __init__(self, *args, **kwargs): pass
    def __enter__(self): return self
    def __exit__(self, *args): pass
    def update(self, n): print("downloaded", n, flush=True)

def write(*args, written=[], inner=_download._write):
    result = inner(*args)
    written.append(result)
    if len(written) == 4:
        print("unpacked", 4, flush=True)
        sys.stdin.read()  # until killed
    return result

if sys.argv[4] == "download":
    _download.tqdm = Bar
else:
    _download._write = write
tmp_path, url = Path(sys.argv[2]), sys.argv[3]
_download.install(source(url, content(), tmp_path / "lists"), tmp_path / "store", progress=False)
"""


def killed(server: Server, tmp_path: Path, stage: str, n_lines: int) -> None:
    """Run a fetch in a process of its own, and kill it at a known point."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(HERE), str(tmp_path), server.url, stage],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        lines = [child.stdout.readline() for _ in range(n_lines)]
        child.send_signal(signal.SIGKILL)
    assert all(lines), "the child ended too early"
    assert child.returncode == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_while_downloading_it_goes_on(tmp_path, store):
    with Server(ARCHIVE, hold_after=HALF) as server:
        a_source = fake(server, tmp_path)
        killed(server, tmp_path, "download", 2)
        assert_nothing(a_source, store)
        kept = broken_part(store).stat().st_size
        assert kept == 2 * _download.CHUNK
        server.hold_after = None
        assert_complete(get(a_source, store), store)
    assert server.served[1] == len(ARCHIVE) - kept


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_while_unpacking_it_is_not_downloaded_again(tmp_path, store):
    with Server(ARCHIVE) as server:
        a_source = fake(server, tmp_path)
        killed(server, tmp_path, "unpack", 1)
        assert_nothing(a_source, store)
        assert len(list((store / "FAKE/.fake.partial/files").rglob("*.jpg"))) == 4
        assert_complete(get(a_source, store), store)
    assert server.served == [len(ARCHIVE)]


@pytest.mark.parametrize("calls_before", [0, 3], ids=["downloading", "unpacking"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, store, monkeypatch, calls_before):
    calls, inner = [], _download._to_disk

    def full(out):
        calls.append(out.name)
        if len(calls) > calls_before:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        inner(out)

    with Server(ARCHIVE) as server:
        a_source = fake(server, tmp_path)
        monkeypatch.setattr(_download, "_to_disk", full)
        with pytest.raises(DatasetError, match=r"disk is full: .*FAKE has \d+ MB free.*needs about 2 MB.*SEGLAB_DATA"):
            get(a_source, store)
        assert len(calls) > calls_before
        assert_nothing(a_source, store)
        monkeypatch.setattr(_download, "_to_disk", inner)
        assert_complete(get(a_source, store), store)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, store, monkeypatch, code):
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with Server(ARCHIVE) as server:
        a_source = fake(server, tmp_path)
        monkeypatch.setattr(_download, "FileLock", refuse)
        with pytest.raises(DatasetError, match=r"FAKE cannot be written to .*SEGLAB_DATA to a folder of your own"):
            get(a_source, store)
    assert server.served == []


def test_an_archive_that_has_moved_is_told_at_once(tmp_path, store):
    with (
        Server(ARCHIVE, status=404) as server,
        pytest.raises(DatasetError, match=r"404 .*archive/0123abc.*SEGLAB_DATA"),
    ):
        get(fake(server, tmp_path), store)
    assert len(server.requests) == 1


def test_a_server_in_trouble_is_asked_again(tmp_path, store):
    with Server(ARCHIVE, status=503) as server, pytest.raises(DatasetError, match="503"):
        get(fake(server, tmp_path), store)
    assert len(server.requests) == _download.TRIES


def test_no_network_is_told_with_the_way_around(tmp_path, store):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/archive.zip"
        a_source = source(url, FILES, tmp_path / "lists")
        with pytest.raises(DatasetError, match=r"could not be downloaded: .*no network, copy .*SEGLAB_DATA"):
            get(a_source, store)
    assert_nothing(a_source, store)


def test_several_at_once_download_once(tmp_path, store):
    with Server(ARCHIVE) as server, ThreadPoolExecutor(4) as pool:
        a_source = fake(server, tmp_path)
        for folder in pool.map(lambda _: get(a_source, store), range(4)):
            assert_complete(folder, store)
    assert server.served == [len(ARCHIVE)]
