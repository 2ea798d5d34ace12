"""The command line: ``seglab segment``, ``seglab methods``, ``seglab data``.

Nothing heavy is imported before a command needs it, so that ``seglab --help`` answers at once. The exit status is 0
when all went well, 1 when a picture or a file failed, 2 when the command itself is wrong, 130 when it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import glob
import io
import itertools
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import seglab

if TYPE_CHECKING:
    from torch import Tensor

    from seglab.params import Param
    from seglab.segmenter import Segmenter, State

__all__ = ["UsageError", "main"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

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

GIF_SIDE = 640  # a GIF's longer side at most, in pixels
GIF_STATES = 60

TOP_EPILOG = """\
examples:
  seglab methods                              what there is
  seglab methods kmeans                       its parameters, and the call in Python
  seglab segment photo.jpg -o labels.png      k-means with its defaults
  seglab segment photo.jpg --method kmeans -p n_clusters=5 -o steps.gif
  seglab data list                            the data sets, and where they are found

Each command has its own help: seglab segment --help
"""

SEGMENT_EPILOG = """\
what is written:
  labels      the label map as an image: indexed with up to 256 labels, 16-bit with more (.png, .tif).
              Pixels without a label are 255 in the first and 65535 in the second.
  npy         the label map as a NumPy array, int64, -1 where there is no label (.npy)
  overlay     the labels' colors over the picture (.png, .jpg, .webp, .tif, .bmp)
  boundaries  the boundaries between segments, white on black (.png, .tif, .bmp)
  gif         the steps of the method as an animation, at most 640 pixels wide or high (.gif)
  Without --as the suffix decides: .png and .tif are labels, .jpg, .webp and .bmp an overlay, .npy and .gif themselves.

  In a folder each picture's output takes its name (photo.jpg -> photo.png); with several kinds the kind
  is added (photo_labels.png, photo_overlay.png). Subfolders are mirrored.
  Existing outputs are overwritten, unless --skip-existing. A picture that is read is never overwritten.

examples:
  seglab segment photo.jpg --method kmeans -p n_clusters=5 -o out.png
  seglab segment photo.jpg -o labels.png -o labels.npy -o look.jpg -o steps.gif
  seglab segment photo.jpg -o look.png --as overlay
  seglab segment photos/ --recursive -m gmm -o results/ --as labels --as overlay
  seglab segment "photos/**/*.jpg" -o results/ --skip-existing

exit status: 0 done, 1 a picture failed, 2 the command is wrong, 130 stopped (finished files stay)
"""


class UsageError(Exception):
    """The command as typed cannot be carried out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The words after ``seglab``; those of the process by default.

    Returns
    -------
    int
        The exit status: 0 done, 1 something failed, 2 the command is wrong, 130 stopped.

    Examples
    --------
    >>> main(["--version"])
    seglab ...
    0
    """
    parser = _parser()
    try:
        args = parser.parse_args(argv)
        return args.run(args)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else USAGE
    except UsageError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `seglab methods | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="seglab", description="Segment pictures.", epilog=TOP_EPILOG, formatter_class=formatter
    )
    parser.add_argument("--version", action="version", version=f"seglab {seglab.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_segment, _add_methods):
        add(commands, formatter)
    return parser


# --- seglab segment ---------------------------------------------------------------------------------------------------


def _add_segment(commands: Any, formatter: Any) -> None:
    about = "segment pictures and write label maps, overlays or animations"
    p = commands.add_parser("segment", help=about, description=about, epilog=SEGMENT_EPILOG, formatter_class=formatter)
    p.add_argument("pictures", nargs="+", metavar="PICTURE", help="files, folders, or patterns in quotes")
    p.add_argument("-o", "--output", action="append", required=True, metavar="OUT", help="a file or a folder; repeat")
    p.add_argument(
        "--as", "--kind", dest="kinds", action="append", choices=list(KINDS), help="what to write, see below; repeat"
    )
    p.add_argument("-m", "--method", default="kmeans", help="see `seglab methods` (default: kmeans)")
    p.add_argument(
        "-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the method; repeat"
    )
    p.add_argument("--seed", type=int, metavar="N", help="the seed, for methods that draw at random")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, or auto")
    p.add_argument(
        "--max-side", type=_positive, metavar="N", help="segment at N pixels at most; labels return to full size"
    )
    p.add_argument("-r", "--recursive", action="store_true", help="take the pictures of subfolders too")
    p.add_argument("--skip-existing", action="store_true", help="leave pictures whose outputs are all there")
    p.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    p.set_defaults(run=_segment)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1; got {text!r}")
    return int(text)


@dataclass(frozen=True)
class _Targets:
    """What is to be written: (kind, file) for one picture, or the kinds for each picture in a folder."""

    folder: Path | None
    files: tuple[tuple[str, Path], ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """A picture to read, and its name below the folder or the pattern through which it was found."""

    path: Path
    name: Path


@dataclass(frozen=True)
class _Job:
    """A picture with the files to be made of it."""

    source: Path
    outputs: tuple[tuple[str, Path], ...]  # (kind, file)


def _segment(args: argparse.Namespace) -> int:
    targets = _targets(args.output, args.kinds)
    sources, failures = _find(args.pictures, args.recursive, targets.folder)
    jobs = _plan(sources, targets)
    method = _method(args.method, args.param, args.seed)
    device = _device(args.device)
    skipped = [job for job in jobs if args.skip_existing and all(path.exists() for _, path in job.outputs)]
    todo = [job for job in jobs if job not in skipped]
    done = 0
    try:
        for job, error in _run(todo, method, device, args):
            done += error is None
            failures += [] if error is None else [(str(job.source), error)]
    except KeyboardInterrupt:
        print(f"seglab: stopped; {done} of {len(todo)} pictures are done", file=sys.stderr)
        return INTERRUPTED
    return _report(done, len(skipped), failures, args.quiet)


def _run(
    jobs: Sequence[_Job], method: Segmenter, device: str, args: argparse.Namespace
) -> Iterator[tuple[_Job, str | None]]:
    """Carry out the jobs one by one; yield each with what went wrong, or None."""
    from tqdm import tqdm

    hide = True if args.quiet or len(jobs) < 2 else None  # None: shown on a terminal
    with tqdm(jobs, desc=method.title or method.name, unit="picture", disable=hide) as bar:
        for job in bar:
            try:
                line = _carry_out(job, method, device, args.max_side)
            except Exception as error:  # whatever one picture does, the others are still to be done
                yield job, _reason(error)
                continue
            if not args.quiet:
                bar.write(line, file=sys.stdout)
            yield job, None


def _carry_out(job: _Job, method: Segmenter, device: str, max_side: int | None) -> str:
    """Segment one picture and write its files; return the line to print."""
    from seglab.datasets.bundled import shrink
    from seglab.image import as_image
    from seglab.labels import count_labels

    picture = as_image(job.source)
    small = shrink(picture, max_side) if max_side else picture
    steps: Sequence[State] = ()
    if any(kind == "gif" for kind, _ in job.outputs):
        trace = method.trace(small, device=device, max_states=GIF_STATES)
        steps, state, seconds = trace.states, trace.states[-1], trace.seconds
        stopped = state.status.name == "RUNNING"
    else:
        result = method.segment(small, device=device)
        state, seconds, stopped = result.state, result.seconds, result.interrupted
    if stopped:  # half a segmentation is not written
        raise KeyboardInterrupt
    labels = _enlarged(state.labels.cpu(), picture.shape[-2:])
    for kind, path in job.outputs:
        _write(path, _encode(kind, path.suffix, labels, picture, steps))
    files = ", ".join(str(path) for _, path in job.outputs)
    return f"{job.source} -> {files}: {count_labels(labels)} segments, {state.status}, {seconds:.2f} s"


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {text}"


def _report(done: int, skipped: int, failures: Sequence[tuple[str, str]], quiet: bool) -> int:
    if not quiet and (done + skipped + len(failures) > 1 or skipped):
        parts = [f"{done} done"] + ([f"{skipped} there already"] if skipped else [])
        parts += [f"{len(failures)} failed"] if failures else []
        print(", ".join(parts))
    for name, reason in failures:
        print(f"seglab: failed: {name}: {reason}", file=sys.stderr)
    return FAILED if failures else DONE


# --- which pictures, which files --------------------------------------------------------------------------------------


def _targets(outputs: Sequence[str], kinds: Sequence[str] | None) -> _Targets:
    """Pair what is to be written with where."""
    folders = [text for text in outputs if _names_folder(text)]
    if folders:
        if len(outputs) > 1:
            raise UsageError("with a folder as output, give one -o, and --as for each kind of file in it")
        return _Targets(Path(folders[0]), kinds=tuple(dict.fromkeys(kinds or ["labels"])))
    if kinds and len(kinds) != len(outputs):
        raise UsageError(f"{len(outputs)} output file(s) and {len(kinds)} --as: give one --as for each -o, or none")
    wanted = kinds or [None] * len(outputs)
    return _Targets(None, tuple((_kind(text, kind), Path(text)) for text, kind in zip(outputs, wanted, strict=True)))


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


def _find(inputs: Iterable[str], recursive: bool, output: Path | None) -> tuple[list[_Source], list[tuple[str, str]]]:
    """The pictures that the words on the command line stand for, each once, and the words that stand for none."""
    sources: dict[Path, _Source] = {}
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


def _expand(text: str, recursive: bool, output: Path | None) -> Iterator[_Source]:
    path = Path(text)
    if path.is_file():
        yield _Source(path, Path(path.name))
        return
    if path.is_dir():
        base, paths = path, path.rglob("*") if recursive else path.glob("*")
    else:
        fixed = itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)
        base, paths = Path(*fixed), map(Path, glob.iglob(text, recursive=True))
    ours = output.resolve() if output is not None and output.resolve() != base.resolve() else None
    for found in sorted(paths):
        if found.name.startswith(".") or found.suffix.lower() not in PICTURES or not found.is_file():
            continue
        if ours is None or not found.resolve().is_relative_to(ours):  # outputs of an earlier run are no inputs
            yield _Source(found, found.relative_to(base))


def _plan(sources: Sequence[_Source], targets: _Targets) -> list[_Job]:
    """Give each picture its output files; refuse to write over a picture, or two outputs into one file."""
    if targets.folder is None and len(sources) > 1:
        raise UsageError(f"{len(sources)} pictures and one file {targets.files[0][1]}: give a folder as output")
    jobs = [_Job(source.path, targets.files or tuple(_places(source, targets))) for source in sources]
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


def _places(source: _Source, targets: _Targets) -> Iterator[tuple[str, Path]]:
    """Where a picture's outputs go in a folder."""
    assert targets.folder is not None
    for kind in targets.kinds:
        tag = f"_{kind}" if len(targets.kinds) > 1 else ""
        yield kind, targets.folder / source.name.with_name(f"{source.name.stem}{tag}{KINDS[kind][0]}")


# --- the method, from words -------------------------------------------------------------------------------------------


def _method(name: str, pairs: Sequence[str], seed: int | None) -> Segmenter:
    """The method of a name with the parameters given as ``name=value``."""
    from seglab.params import parameters

    cls = _method_class(name)
    known = {p.name: p for p in parameters(cls)}
    fields = {field.name for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals:
            raise UsageError(f"-p {pair}: write NAME=VALUE, such as -p {next(iter(known), 'name')}=…")
        if key == "seed" and key in fields and key not in known:
            values[key] = _whole(text)
        elif key not in known:
            raise UsageError(_unknown_parameter(cls, key, known))
        else:
            values[key] = _parsed(known[key], text, cls, known)
    if seed is not None and "seed" in fields:
        values["seed"] = seed
    elif seed is not None:
        print(f"seglab: note: {name} draws nothing at random; --seed has no effect", file=sys.stderr)
    try:
        method = cls(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{error}\n{_parameter_table(known.values())}") from error
    _note_idle(method, values, known)
    return method


def _method_class(name: str) -> type[Segmenter]:
    from seglab.segmenter import get_method

    try:
        return get_method(name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"seed must be a whole number; got {text!r}") from None


def _parsed(p: Param, text: str, cls: type[Segmenter], known: dict[str, Param]) -> Any:
    try:
        return p.parse(text, cls.name)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{error}\nThe parameters of {cls.name}:\n{_parameter_table(known.values())}") from error


def _unknown_parameter(cls: type[Segmenter], key: str, known: dict[str, Param]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if not known:
        return f"{cls.name} has no parameter {key!r}; it has none at all."
    return f"{cls.name} has no parameter {key!r}.{hint} It has:\n{_parameter_table(known.values())}"


def _note_idle(method: Segmenter, given: dict[str, Any], known: dict[str, Param]) -> None:
    """Say so where a parameter that was given has no effect beside the others."""
    values = {name: getattr(method, name) for name in known}
    for name in given:
        if name in known and not known[name].applies(values):
            when = " and ".join(
                f"{other} is {' or '.join(str(v) for v in wanted)}" for other, wanted in known[name].when.items()
            )
            print(f"seglab: note: {name} has an effect only where {when}", file=sys.stderr)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator.type if accelerator is not None else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"--device {name}: {str(error).splitlines()[0]}") from error
    return name


# --- pictures in, files out -------------------------------------------------------------------------------------------


def _enlarged(labels: Tensor, shape: Sequence[int]) -> Tensor:
    """The label map at another size, each pixel taking the nearest label."""
    import torch

    rows, cols = (
        ((torch.arange(new) + 0.5) * (old / new)).long() for new, old in zip(shape, labels.shape, strict=True)
    )
    return labels[rows[:, None], cols]


def _encode(kind: str, suffix: str, labels: Tensor, image: Tensor, steps: Sequence[State]) -> bytes:
    """The bytes of one output file."""
    from PIL import Image

    from seglab.image import to_uint8
    from seglab.labels import boundaries, overlay

    if kind == "gif":
        return _gif(steps, image)
    if kind == "labels":
        return _saved(_label_picture(labels), suffix)
    if kind == "overlay":
        return _saved(Image.fromarray(to_uint8(overlay(labels, image))), suffix)
    if kind == "boundaries":
        return _saved(Image.fromarray(boundaries(labels).numpy().astype("uint8") * 255), suffix)
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, labels.numpy(), allow_pickle=False)
    return buffer.getvalue()


def _saved(picture: Any, suffix: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": 92} if suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    picture.save(buffer, Image.registered_extensions()[suffix.lower()], **options)
    return buffer.getvalue()


def _label_picture(labels: Tensor) -> Any:
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


def _gif(steps: Sequence[State], image: Tensor) -> bytes:
    """The steps' overlays as an animation that stays on the last for two seconds."""
    from PIL import Image

    from seglab.datasets.bundled import shrink
    from seglab.image import to_uint8
    from seglab.labels import overlay

    small = shrink(image, GIF_SIDE)
    frames = [
        Image.fromarray(to_uint8(overlay(_enlarged(state.labels.cpu(), small.shape[-2:]), small))) for state in steps
    ]
    durations = [200] * (len(frames) - 1) + [2000]  # milliseconds
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    """Write a whole file or none: beside its place first, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


# --- seglab methods ---------------------------------------------------------------------------------------------------


def _add_methods(commands: Any, formatter: Any) -> None:
    about = "list the methods, or describe one"
    p = commands.add_parser("methods", help=about, description=about, formatter_class=formatter)
    p.add_argument("name", nargs="?", metavar="NAME", help="describe this method: its parameters and its call")
    p.add_argument("--json", action="store_true", help="for programs")
    p.set_defaults(run=_methods)


def _methods(args: argparse.Namespace) -> int:
    from seglab.segmenter import methods

    if args.name is None:
        known = methods()
        if args.json:
            print(json.dumps([_described(cls) for cls in known.values()], indent=2))
        else:
            print(_table([(name, _summary(cls)) for name, cls in known.items()], ("method", "what it does")))
            print("\nseglab methods NAME lists a method's parameters.")
        return DONE
    cls = _method_class(args.name)
    print(json.dumps(_described(cls), indent=2) if args.json else _page(cls))
    return DONE


def _summary(cls: type[Segmenter]) -> str:
    return (cls.__doc__ or cls.title or cls.name).strip().splitlines()[0]


def _described(cls: type[Segmenter]) -> dict[str, Any]:
    from seglab.params import parameters

    about = []
    for p in parameters(cls):
        entry = {"name": p.name, "type": p.kind.__name__, "default": p.default, "optional": p.optional}
        entry |= {"choices": list(p.choices), "low": p.low, "high": p.high, "scale": p.scale, "unit": p.unit}
        entry |= {"valid": p.valid.text if p.valid else None, "when": p.when, "help": p.help}
        about.append(entry)
    return {"name": cls.name, "title": cls.title, "class": cls.__name__, "summary": _summary(cls), "parameters": about}


def _page(cls: type[Segmenter]) -> str:
    """What is to be known of one method, for a reader."""
    import seglab.methods
    from seglab.params import parameters

    known = parameters(cls)
    lines = [f"{cls.name} - {cls.title or cls.__name__}", "", textwrap.fill(_summary(cls), 100), ""]
    lines += [_parameter_table(known) if known else "It has no parameters.", ""]
    example = [p for p in known if p.low is not None][:1]
    values = {p.name: p.sweep(3)[1] for p in example}
    module = "seglab.methods" if hasattr(seglab.methods, cls.__name__) else cls.__module__
    call = ", ".join(f"{name}={value!r}" for name, value in values.items())
    words = "".join(f" -p {name}={value}" for name, value in values.items())
    lines += ["In Python:", f"  from {module} import {cls.__name__}"]
    lines += [f'  {cls.__name__}({call}).segment("photo.jpg")', ""]
    lines += ["Here:", f"  seglab segment photo.jpg --method {cls.name}{words} -o labels.png"]
    return "\n".join(lines)


def _parameter_table(known: Iterable[Param]) -> str:
    rows = []
    for p in known:
        useful = f"{p.low:g} to {p.high:g}" if p.low is not None and p.high is not None else ""
        accepted = " | ".join(map(str, p.choices)) if p.choices else p.expected().removesuffix(" or None")
        accepted += " | none" if p.optional else ""
        rows.append((p.name, str(p.default), accepted, useful, p.unit, _help(p)))
    return _table(rows, ("parameter", "default", "accepted", "useful", "unit", "meaning"))


def _help(p: Param) -> str:
    when = " and ".join(f"{name} = {' or '.join(map(str, wanted))}" for name, wanted in p.when.items())
    return f"{p.help} (with {when})" if when else p.help


def _table(rows: Sequence[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """Rows under their heads, in columns; a column without an entry is left out."""
    columns = [c for c in zip(head, *rows, strict=True) if any(c[1:])] if rows else [(h,) for h in head]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    ]
    return "\n".join(f"  {line.rstrip()}" for line in lines)
