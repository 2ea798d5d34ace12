"""A server on this computer that behaves, or misbehaves, as a test asks; and a small data set to serve."""

from __future__ import annotations

import hashlib
import io
import random
import re
import socket
import threading
import zipfile
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from seglab.datasets._source import Source


def content(n_files: int = 9, n_bytes: int = 120_000) -> dict[str, bytes]:
    """Files of a data set; bytes that do not compress, so that the archive spans several pieces of a download."""
    rng = random.Random(0)
    return {f"images/{'train' if i % 2 else 'test'}/{i}.jpg": rng.randbytes(n_bytes) for i in range(n_files)}


def pack(files: dict[str, bytes], top: str = "Fake-0123abc") -> bytes:
    """An archive as a code host makes it: one folder around everything, and more in it than the data set."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(f"{top}/README.md", "# more than the data")
        for path, data in files.items():
            packed.writestr(f"{top}/inner/data/{path}", data)
    return out.getvalue()


def source(url: str, files: dict[str, bytes], folder: Path) -> Source:
    """The data set, with its list of checksums written into ``folder``."""
    folder.mkdir(exist_ok=True)
    checksums = folder / "fake.sha256"
    checksums.write_text("".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in files.items()))
    return Source(
        name="fake",
        title="Fake Data Set",
        about="for tests",
        folder="FAKE/data",
        url=url,
        inside="inner/data",
        checksums=checksums,
        n_bytes=sum(map(len, files.values())),
        terms="none",
        citation="nobody",
    )


@dataclass
class Server:
    """What to serve and how; and what was asked and served."""

    body: bytes
    ranges: bool = True
    etag: str = '"one"'
    modified: bool = False
    status: int = 200
    cuts: list[int] = field(default_factory=list)  # bytes after which the next answers are cut
    always_cut: int | None = None
    hold_after: int | None = None  # bytes after which an answer waits for `go_on`
    chunked: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)
    served: list[int] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Server:
        owner = self

        class Handler(_Handler):
            server_state = owner

        self._http = _Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/archive/0123abc.zip"


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that were killed are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.server_state
        state.requests.append(dict(self.headers))
        index = len(state.served)
        state.served.append(0)
        self.close_connection = True
        if state.status != 200:
            self.send_error(state.status)
            return
        start = self._start()
        if start is not None and start >= len(state.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(state.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._head(start)
        self._body(state.body[start or 0 :], index)

    def _start(self) -> int | None:
        state = self.server_state
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        wanted = self.headers.get("If-Range")
        if not state.ranges or asked is None or (wanted is not None and wanted not in (state.etag, self._date())):
            return None
        return int(asked[1])

    def _date(self) -> str:
        return formatdate(1_000_000_000, usegmt=True)

    def _head(self, start: int | None) -> None:
        state = self.server_state
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(state.body) - 1}/{len(state.body)}")
        if state.etag:
            self.send_header("ETag", state.etag)
        if state.modified:
            self.send_header("Last-Modified", self._date())
        if state.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(state.body) - (start or 0)))
        self.end_headers()

    def _body(self, data: bytes, index: int) -> None:
        state = self.server_state
        cut = state.cuts.pop(0) if state.cuts else state.always_cut
        self._send(data[: cut if state.hold_after is None else state.hold_after], index)
        if state.hold_after is not None:
            state.go_on.wait(60)
        elif cut is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif state.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, data: bytes, index: int) -> None:
        for i in range(0, len(data), 50_000):
            piece = data[i : i + 50_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self.server_state.chunked else piece)
            self.server_state.served[index] += len(piece)
