"""Which pictures the command line reads, which files it writes, and what is in them.

Nothing heavy is imported before a picture is encoded: `seglab.cli` says why.
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from seglab.segmenter import Trace

__all__ = ["GIF_STATES", "KINDS", "Job", "UsageError", "enlarged", "find", "plan", "read_targets", "write"]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pnm")

# What can be written: the suffixes that can hold it, the first being the one used in a folder.
KINDS = {
    "labels": (".png", ".tif", ".tiff"),
    "npy": (".npy",),
    "overlay": (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"),
    "boundaries": (".png", ".tif", ".tiff", ".bmp"),
    "gif": (".gif",),
}
BY_SUFFIX = {suffix: kind for kind in reversed(KINDS) for suffix in KINDS[kind]}  # .png is labels, .jpg an overlay

GIF_STATES = 60  # the most steps that an animation shows


class UsageError(Exception):
    """The command as typed cannot be carried out."""


@dataclass(frozen=True)
class Targets:
    """What is to be written: (kind, file) for one picture, or the kinds for each picture in a folder."""

    folder: Path | None
    files: tuple[tuple[str, Path], ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A picture to read, and its name below the folder or the pattern through which it was found."""

    path: Path
    name: Path


@dataclass(frozen=True)
class Job:
    """A picture with the files to be made of it."""

    source: Path
    outputs: tuple[tuple[str, Path], ...]  # (kind, file)


def read_targets(outputs: Sequence[str], kinds: Sequence[str] | None) -> Targets:
    """Pair what is to be written with where."""
    folders = [text for text in outputs if _names_folder(text)]
    if folders:
        if len(outputs) > 1:
            raise UsageError("with a folder as output, give one -o, and --as for each kind of file in it")
        return Targets(Path(folders[0]), kinds=tuple(dict.fromkeys(kinds or ["labels"])))
    if kinds and len(kinds) != len(outputs):
        raise UsageError(f"{len(outputs)} output file(s) and {len(kinds)} --as: give one --as for each -o, or none")
    wanted: Sequence[str | None] = kinds or [None] * len(outputs)
    return Targets(None, tuple((_kind(text, kind), Path(text)) for text, kind in zip(outputs, wanted, strict=True)))


def _names_folder(text: str) -> bool:
    return text.endswith(("/", os.sep)) or Path(text).is_dir() or not Path(text).suffix


def _kind(text: str, kind: str | None) -> str:
    """The kind of a file, from its suffix where none is given."""
    suffix = Path(text).suffix.lower()
    kind = kind or BY_SUFFIX.get(suffix)
    if kind is None:
        raise UsageError(f"{text}: the suffix is none of {', '.join(BY_SUFFIX)}; end a folder's name with a slash")
    if suffix not in KINDS[kind]:
        raise UsageError(f"{text}: {kind} is written as {' or '.join(KINDS[kind])}")
    return kind


def find(inputs: Iterable[str], recursive: bool, output: Path | None) -> tuple[list[Source], list[tuple[str, str]]]:
    """The pictures that the words on the command line stand for, each once, and the words that stand for none."""
    sources: dict[Path, Source] = {}
    failures = []
    for text in inputs:
        found = list(_expand(text, recursive, output))
        if not found:
            folder = Path(text).is_dir()
            reason = "no pictures in this folder" if folder else "no such file, and no pattern that matches one"
            failures.append((text, reason))
        for source in found:
            sources.setdefault(source.path.resolve(), source)
    return list(sources.values()), failures


def _expand(text: str, recursive: bool, output: Path | None) -> Iterator[Source]:
    path = Path(text)
    if path.is_file():
        yield Source(path, Path(path.name))
        return
    paths: Iterable[Path]
    if path.is_dir():
        base, paths = path, path.rglob("*") if recursive else path.glob("*")
    else:
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
        paths = map(Path, glob.iglob(text, recursive=True))
    ours = output.resolve() if output is not None and output.resolve() != base.resolve() else None
    for found in sorted(paths):
        if found.name.startswith(".") or found.suffix.lower() not in PICTURES or not found.is_file():
            continue
        if ours is None or not found.resolve().is_relative_to(ours):  # outputs of an earlier run are no inputs
            yield Source(found, found.relative_to(base))


def plan(sources: Sequence[Source], targets: Targets) -> list[Job]:
    """Give each picture its output files; refuse to write over a picture, or two outputs into one file."""
    if targets.folder is None and len(sources) > 1:
        raise UsageError(f"{len(sources)} pictures and one file {targets.files[0][1]}: give a folder as output")
    jobs = [Job(source.path, targets.files or tuple(_places(source, targets))) for source in sources]
    inputs = {source.path.resolve() for source in sources}
    taken: dict[Path, Path] = {}
    for job in jobs:
        for _, path in job.outputs:
            full = path.resolve()
            if full in inputs:
                raise UsageError(f"{path} is one of the pictures: it would be overwritten; choose another output")
            if full in taken:
                raise UsageError(f"{path} would be written twice, from {taken[full]} and from {job.source}")
            taken[full] = job.source
    return jobs


def _places(source: Source, targets: Targets) -> Iterator[tuple[str, Path]]:
    """Where a picture's outputs go in a folder."""
    assert targets.folder is not None
    for kind in targets.kinds:
        tag = f"_{kind}" if len(targets.kinds) > 1 else ""
        yield kind, targets.folder / source.name.with_name(f"{source.name.stem}{tag}{KINDS[kind][0]}")


def enlarged(labels: Tensor, shape: Sequence[int]) -> Tensor:
    """The label map at another size, each pixel taking the nearest label."""
    import torch

    rows, cols = (
        ((torch.arange(new) + 0.5) * (old / new)).long() for new, old in zip(shape, labels.shape, strict=True)
    )
    return labels[rows[:, None], cols]


def write(kind: str, path: Path, labels: Tensor, image: Tensor, trace: Trace | None) -> None:
    """Write one output file; ``trace`` is needed for the steps alone."""
    from PIL import Image

    from seglab.image import to_uint8
    from seglab.labels import boundaries, overlay

    with _whole(path) as part:
        if kind == "gif":
            from seglab.animation import save_gif

            assert trace is not None
            save_gif(trace, part, max_frames=GIF_STATES)
        elif kind == "npy":
            _save_array(part, labels)
        elif kind == "labels":
            _save_picture(part, path.suffix, _label_picture(labels))
        elif kind == "overlay":
            _save_picture(part, path.suffix, Image.fromarray(to_uint8(overlay(labels, image))))
        else:
            _save_picture(part, path.suffix, Image.fromarray(boundaries(labels).numpy().astype("uint8") * 255))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to, which takes its place once it is whole, or goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _save_array(path: Path, labels: Tensor) -> None:
    import numpy as np

    with path.open("wb") as file:
        np.save(file, labels.numpy(), allow_pickle=False)


def _save_picture(path: Path, suffix: str, picture: Image.Image) -> None:
    from PIL import Image

    options = {"quality": 92} if suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    picture.save(path, Image.registered_extensions()[suffix.lower()], **options)


def _label_picture(labels: Tensor) -> Image.Image:
    """The label map as an indexed picture in the labels' colors, or in 16 bits where 256 do not suffice.

    Pixels without a label take the highest value.
    """
    import numpy as np
    from PIL import Image

    from seglab.labels import colors

    array = labels.numpy()
    free = bool((array < 0).any())
    top = int(array.max())
    if top > 65535 - free:
        raise ValueError(f"label {top} does not fit into a picture of 16 bits; write npy instead")
    if top > 255 - free:
        return Image.fromarray(np.where(array < 0, 65535, array).astype(np.uint16))
    picture = Image.fromarray(np.where(array < 0, 255, array).astype(np.uint8))
    palette = np.round(np.asarray(colors(256).clamp(0, 1)) * 255).astype(np.uint8)
    if free:
        palette[255] = 0
    picture.putpalette(palette.tobytes())
    return picture
