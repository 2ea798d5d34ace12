"""The pictures that a widget offers, each with the line of Python that gets it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from seglab import datasets
from seglab.image import as_image

__all__ = ["Source", "bundled", "given", "uploaded"]


@dataclass(frozen=True, eq=False)
class Source:
    """A picture by name, read when first looked at.

    Attributes
    ----------
    name
        As a chooser shows it.
    load
        Returns anything that `seglab.image.as_image` takes.
    code
        A Python expression for the picture.
    remark
        A comment to put before it.
    needs
        The import it needs.
    """

    name: str
    load: Callable[[], Any]
    code: str
    remark: str = ""
    needs: str = ""

    @cached_property
    def image(self) -> Tensor:
        """(C, H, W) in [0, 1]."""
        return as_image(self.load())


def bundled() -> list[Source]:
    """The photographs and scenes that need no network."""
    needs = "from seglab import datasets"
    photos = [
        Source(name, lambda name=name: datasets.photo(name), f"datasets.photo({name!r})", needs=needs)  # type: ignore[misc]
        for name in datasets.photos()
    ]
    scenes = [
        Source(
            f"scene {seed}",
            lambda seed=seed: datasets.shapes(seed=seed).image,  # type: ignore[misc]
            f"datasets.shapes(seed={seed}).image",
            needs=needs,
        )
        for seed in (0, 1)
    ]
    return photos + scenes


def given(images: Any) -> list[Source]:
    """Pictures that were passed in: one, a list, or a dictionary by name.

    The name of a bundled photograph is taken where no file is called so.
    """
    if images is None:
        return []
    if isinstance(images, Mapping):
        return [_one(image, str(name)) for name, image in images.items()]
    if isinstance(images, (list, tuple)):
        return [_one(image, f"picture {k + 1}") for k, image in enumerate(images)]
    return [_one(images, "picture")]


def _one(image: Any, name: str) -> Source:
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if str(image) in datasets.photos() and not path.exists():
            return Source(
                str(image),
                lambda: datasets.photo(str(image)),
                f"datasets.photo({str(image)!r})",
                needs="from seglab import datasets",
            )
        return Source(path.name, lambda: image, repr(str(image)))
    return Source(name, lambda: image, "", remark=f"image is the picture that you gave as {name!r}")


def uploaded(name: str, content: bytes) -> Source:
    """A file that came from the browser; it is read at once, so that a wrong one is told at once."""
    made = Source(name, lambda: content, repr(name), remark="the file that you uploaded, where Python finds it")
    try:
        _ = made.image
    except Exception as problem:
        said = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ValueError(f"{name} is no picture that can be read: {said[0]}") from problem
    return made
