"""Put on the path of a chapter's kernel by the tests: whoever asks for anything but this machine is refused."""

import socket

_connect, _lookup = socket.socket.connect, socket.getaddrinfo


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    return name in (None, "", "localhost", "::1", "0.0.0.0") or str(name).startswith("127.")


def _guarded_connect(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):  # type: ignore[index]
        raise OSError(f"a chapter asks the network for {address}; it must run without one")
    _connect(self, address)


def _guarded_lookup(host: object, *arguments: object, **named: object) -> list:
    if not _is_local(host):
        raise socket.gaierror(f"a chapter asks the network for {host}; it must run without one")
    return _lookup(host, *arguments, **named)


socket.socket.connect = _guarded_connect
socket.getaddrinfo = _guarded_lookup
