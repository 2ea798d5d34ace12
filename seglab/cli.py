"""The command line: ``seglab segment``, ``methods``, ``data``, ``evaluate``, ``benchmark`` and ``train``.

Nothing heavy is imported before a command needs it, so that ``seglab --help`` answers at once. The exit status is 0
when all went well, 1 when a picture or a file failed, 2 when the command itself is wrong, 130 when it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import seglab
from seglab._batch import GIF_STATES, KINDS, Job, UsageError, enlarged, find, plan, read_targets, write
from seglab._cli_benchmark import add_benchmark
from seglab._cli_evaluate import add_evaluate
from seglab._cli_train import add_train

if TYPE_CHECKING:
    from seglab.datasets import DatasetInfo
    from seglab.params import Param
    from seglab.segmenter import Segmenter

__all__ = ["UsageError", "main"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

TOP_EPILOG = """\
examples:
  seglab methods                              what there is
  seglab methods kmeans                       its parameters, and the call in Python
  seglab segment photo.jpg -o labels.png      k-means with its defaults
  seglab segment photo.jpg --method kmeans -p n_clusters=5 -o steps.gif
  seglab data list                            the data sets, and where they are found
  seglab evaluate labels/                     a folder of segmentations, scored as the Berkeley benchmark does
  seglab benchmark kmeans --sweep n_clusters  a method over a data set, scored at many settings
  seglab train fcn_textures                   a network, trained by its recipe

Each command has its own help: seglab segment --help
"""

SEGMENT_EPILOG = """\
what is written:
  labels      the label map as an image: indexed with up to 256 labels, 16-bit with more (.png, .tif).
              Pixels without a label are 255 in the first and 65535 in the second.
  npy         the label map as a NumPy array, int64, -1 where there is no label (.npy)
  overlay     the labels' colors over the picture (.png, .jpg, .webp, .tif, .bmp)
  boundaries  the boundaries between segments, white on black (.png, .tif, .bmp)
  gif         the steps of the method, with what the method shows beside the picture (.gif)
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


DATA_EPILOG = """\
Data sets lie in the folder that the environment variable SEGLAB_DATA names, or else in the user's cache; --root is
another. The bundled pictures need none of this.

exit status: 0 all is well, 1 a download failed or files are missing or broken, 2 the command is wrong, 130 stopped
(a download goes on where it was stopped)
"""


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
    for add in (_add_segment, _add_methods, _add_data, add_evaluate, add_benchmark, add_train):
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


def _segment(args: argparse.Namespace) -> int:
    targets = read_targets(args.output, args.kinds)
    sources, failures = find(args.pictures, args.recursive, targets.folder)
    jobs = plan(sources, targets)
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
    jobs: Sequence[Job], method: Segmenter, device: str, args: argparse.Namespace
) -> Iterator[tuple[Job, str | None]]:
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


def _carry_out(job: Job, method: Segmenter, device: str, max_side: int | None) -> str:
    """Segment one picture and write its files; return the line to print."""
    from seglab.datasets.bundled import shrink
    from seglab.image import as_image
    from seglab.labels import count_labels

    picture = as_image(job.source)
    small = shrink(picture, max_side) if max_side else picture
    trace = None
    if any(kind == "gif" for kind, _ in job.outputs):
        trace = method.trace(small, device=device, max_states=GIF_STATES)
        state, seconds, stopped = trace[-1], trace.seconds, trace[-1].status.name == "RUNNING"
    else:
        result = method.segment(small, device=device)
        state, seconds, stopped = result.state, result.seconds, result.interrupted
    if stopped:  # half a segmentation is not written
        raise KeyboardInterrupt
    labels = enlarged(state.labels.cpu(), picture.shape[-2:])
    for kind, path in job.outputs:
        write(kind, path, labels, picture, trace)
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


# --- seglab data ------------------------------------------------------------------------------------------------------


def _add_data(commands: Any, formatter: Any) -> None:
    about = "list, fetch or verify the real data sets"
    p = commands.add_parser("data", help=about, description=about, epilog=DATA_EPILOG, formatter_class=formatter)
    p.set_defaults(run=_data, action="list", name=None, root=None, json=False)
    actions = p.add_subparsers(metavar="ACTION")
    for action, text in (
        ("list", "what there is, and where it is found (the default)"),
        ("fetch", "download a data set once, and check every file; repair one that is broken"),
        ("verify", "check every file of a data set that is there"),
    ):
        a = actions.add_parser(action, help=text, description=text)
        a.set_defaults(action=action)
        a.add_argument("--root", type=Path, metavar="FOLDER", help="where data sets lie")
        if action == "list":
            a.add_argument("--json", action="store_true", help="for programs")
        else:
            a.add_argument("name", metavar="NAME")


def _data(args: argparse.Namespace) -> int:
    from seglab import datasets

    try:
        if args.action == "fetch":
            print(f"{args.name}: {datasets.fetch(args.name, args.root)}")
            return DONE
        if args.action == "verify":
            return _verified(args.name, datasets.verify(args.name, args.root))
        infos = datasets.list_datasets(args.root)
    except datasets.DatasetError as error:
        print(f"seglab: {error}", file=sys.stderr)
        return FAILED
    except ValueError as error:
        raise UsageError(str(error)) from error
    if args.json:
        print(json.dumps([dataclasses.asdict(info) for info in infos], indent=2, default=str))
        return DONE
    rows = [(i.name, f"{i.bytes / 1e6:.0f} MB", f"{i.n_present} of {i.n_files}", _where(i), i.about) for i in infos]
    print(_table(rows, ("data set", "size", "files", "found in", "what it is")))
    if not all(info.complete for info in infos):
        print("\nseglab data fetch NAME downloads what is missing.")
    return DONE


def _where(info: DatasetInfo) -> str:
    return "-" if info.found is None else str(info.found)


def _verified(name: str, problems: Sequence[str]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{name}: {len(problems)} files are missing or broken; seglab data fetch {name} repairs it")
        return FAILED
    print(f"{name}: every file is there and has its checksum")
    return DONE
