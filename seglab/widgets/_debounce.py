"""Run something once a reader has stopped moving a control."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["Debouncer"]


class Debouncer:
    """Call ``what`` once ``delay`` seconds have gone by without a further request: of many, only the last counts.

    Parameters
    ----------
    what
        Takes no arguments.
    delay
        In seconds.
    later
        ``later(delay, function)`` returns a handle with ``cancel()``; the running event loop's ``call_later`` by
        default. Where no loop runs (a script, a test) the call is made at once.
    """

    def __init__(
        self,
        what: Callable[[], Any],
        delay: float = 0.15,
        later: Callable[[float, Callable[[], Any]], Any] | None = None,
    ) -> None:
        self.what, self.delay, self._later = what, delay, later
        self._waiting: Any = None

    @property
    def waiting(self) -> bool:
        """Whether a call is due."""
        return self._waiting is not None

    def __call__(self) -> None:
        """Request a call; an earlier request that still waits is dropped."""
        self.cancel()
        later = self._later or _loop_later()
        if later is None:
            self.what()
        else:
            self._waiting = later(self.delay, self.flush)

    def cancel(self) -> None:
        """Drop what waits."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def flush(self) -> None:
        """Do now what waits, if anything does."""
        if self._waiting is not None:
            self.cancel()
            self.what()


def _loop_later() -> Callable[[float, Callable[[], Any]], Any] | None:
    try:
        return asyncio.get_running_loop().call_later
    except RuntimeError:
        return None
