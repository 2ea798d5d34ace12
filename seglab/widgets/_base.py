"""What the widgets share: their look, their fallback where there is no kernel, and errors that are seen."""

from __future__ import annotations

import base64
import importlib.resources
import logging
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anywidget
import traitlets
from torch import Tensor

from seglab.datasets import bundled
from seglab.image import as_image

__all__ = ["CSS", "Widget", "front", "shrink"]


def _read(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def front(name: str) -> str:
    """The browser's side of a widget as one module: the shared part and its own."""
    return _read("common.js") + "\n" + _read(f"{name}.js")


CSS = _read("widgets.css")
SHOWS = ("labels", "both", "edges", "mean", "none")


class Widget(anywidget.AnyWidget):
    """A widget that also is a picture: where there is no kernel, the picture is what is seen."""

    _css = CSS

    title = traitlets.Unicode().tag(sync=True)
    show = traitlets.Enum(SHOWS, "labels", help="what is laid over the picture").tag(sync=True)
    alpha = traitlets.Float(0.5, min=0.0, max=1.0, help="how much the labels' colors cover").tag(sync=True)
    error = traitlets.Unicode(help="one line, shown in the widget; empty while all is well").tag(sync=True)
    note = traitlets.Unicode(help="what the reader should know of the picture").tag(sync=True)

    exception: Exception | None = None

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._heard)

    @abstractmethod
    def still(self) -> bytes:
        """A PNG that stands in for the widget."""

    def receive(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Answer a message of the browser."""

    def _heard(self, _: Any, content: dict[str, Any], buffers: list[memoryview]) -> None:
        with self.errors_shown():
            self.receive(content, buffers)

    @contextmanager
    def errors_shown(self) -> Iterator[None]:
        """Show what goes wrong inside as one line in the widget; the exception itself is kept in ``exception``."""
        try:
            yield
        except Exception as exception:  # the reader sees it: a callback has no cell of its own
            logging.getLogger(__name__).debug("in a widget", exc_info=True)
            self.exception = exception
            self.error = one_line(exception)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        made = super()._repr_mimebundle_(**kwargs)
        if made is None:
            return None
        data, metadata = made
        data = {**data, "text/plain": repr(self)}
        with self.errors_shown():
            data["image/png"] = base64.b64encode(self.still()).decode("ascii")
        return data, {**(metadata or {}), "image/png": {"alt": repr(self)}}


def one_line(exception: Exception) -> str:
    """An exception in one line."""
    said = str(exception).strip().splitlines()
    name = type(exception).__name__
    if isinstance(exception, (ValueError, TypeError)) and said:
        return said[0]
    return f"{name}: {said[0]}" if said else name


def shrink(image: Any, max_side: int = 640) -> Tensor:
    """Reduce a picture so that its longer side has at most ``max_side`` pixels; smaller ones stay as they are.

    Parameters
    ----------
    image
        Anything that `seglab.image.as_image` takes.
    max_side
        In pixels.

    Returns
    -------
    Tensor
        (C, H, W) float32 in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> shrink(np.zeros((200, 1000, 3)), 500).shape
    torch.Size([3, 100, 500])
    """
    return bundled.shrink(as_image(image), max_side)


def shrunk_note(before: Tensor, after: Tensor) -> str:
    """Say that a picture was reduced, or nothing."""
    if before.shape == after.shape:
        return ""
    (h0, w0), (h, w) = before.shape[-2:], after.shape[-2:]
    return f"The picture of {w0}×{h0} pixels is computed and shown at {w}×{h}; max_side= sets the limit."
