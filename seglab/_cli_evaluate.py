"""``seglab evaluate``: score a folder of segmentations. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglab._batch import UsageError

if TYPE_CHECKING:
    from seglab.benchmark import Table

__all__ = ["add_evaluate", "add_table_options", "check_outputs", "report", "write_table"]

FORMATS = ("text", "csv", "markdown", "latex", "json")
SUFFIXES = {".txt": "text", ".csv": "csv", ".md": "markdown", ".tex": "latex", ".json": "json"}

EPILOG = """\
what RESULTS may hold, each file named after its picture (108004.mat, 108004.png, …):
  .mat       of Berkeley's benchmark: the cell segs (several label maps), or ucm2 (a contour map of double size)
  .npz .npy  one label map (H, W), or one for each setting (n, H, W)
  .png .tif  one label map; or boundaries, white on black or how strong each pixel is (--kind says which, if need be)
  or a subfolder of label maps for each setting (RESULTS/10/108004.png, RESULTS/20/108004.png, …)

the table: segmentation covering (SC), probabilistic Rand index (PRI), variation of information (VI, bits; less is
better) and F of the boundaries (F, and AP, the area under precision over recall), each at the one best setting for all
pictures (ODS) and at the best for each (OIS), as Berkeley's program. Segments as detections: F at an overlap of .5,
the mean over pictures (F@.5) and of all segments together (F@.5 all), and average precision (AP@.5, AP@.7)

examples:
  seglab evaluate ucm2/
  seglab evaluate ucm2/ --measures region             faster: boundaries take most of the time
  seglab evaluate edges/ --kind boundaries
  seglab evaluate labels/ --split val --published
  seglab evaluate segs/ -o table.tex -o table.csv --pictures pictures.csv --official eval/
  seglab evaluate labels/ --dataset mine/             mine/images/NAME.jpg with mine/truth/NAME.png or .mat

exit status: 0 done, 1 a picture failed, a file could not be written or the data set is not there, 2 the command or the
  files are wrong, 130 stopped
"""


def add_evaluate(commands: Any, formatter: Any) -> None:
    """Add the command to the parser."""
    about = "score a folder of segmentations as the Berkeley benchmark does"
    p = commands.add_parser("evaluate", help=about, description=about, epilog=EPILOG, formatter_class=formatter)
    p.add_argument("results", metavar="RESULTS", type=Path, help="a folder, see below")
    p.add_argument("--dataset", default="bsds500", help="bsds500 (default), or a folder with images/ and truth/")
    p.add_argument("--split", default="test", help="train, val or test (default)")
    p.add_argument("--kind", choices=("auto", "labels", "ucm", "boundaries"), default="auto",
                   help="what the files hold (default: told from their content)")  # fmt: skip
    p.add_argument("--measures", metavar="M,M", help="some of region,boundary,segments (default: all that apply)")
    p.add_argument("--thresholds", type=_thresholds, default=99, metavar="N|T,T",
                   help="cuts of a contour map, how many or at which heights (default: 99)")  # fmt: skip
    p.add_argument("--pictures", type=Path, metavar="FILE", help="write each picture's best scores to a .csv file")
    p.add_argument("--official", type=Path, metavar="FOLDER", help="write the text files of Berkeley's own program")
    add_table_options(p)
    p.add_argument("-j", "--jobs", type=int, default=-1, metavar="N", help="pictures at a time (default: all cores)")
    p.set_defaults(run=_evaluate)


def _thresholds(text: str) -> int | list[float]:
    """How many, or at which; refused here, for the work is long."""
    try:
        heights = [float(value) for value in text.split(",")]
        if all(map(math.isfinite, heights)):
            return heights if "," in text or "." in text else int(text)
    except ValueError:
        pass
    raise UsageError(f"--thresholds {text}: give how many, such as 99, or finite heights, such as 0.1,0.25,0.5")


def add_table_options(p: argparse.ArgumentParser) -> None:
    """Add what both commands say of their table."""
    p.add_argument("-f", "--format", choices=FORMATS, default="text", help="how the table is printed (default: text)")
    p.add_argument("-o", "--output", type=Path, action="append", default=[], metavar="FILE",
                   help="write the table too; .txt, .csv, .md, .tex or .json; repeat")  # fmt: skip
    p.add_argument("--published", action="store_true", help="print published scores below")
    p.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def check_outputs(tables: list[Path], pictures: Path | None, folders: dict[str, Path | None]) -> None:
    """Refuse what could not be written, before any work: ``folders`` are those of the options in its keys."""
    files = [("-o", path) for path in tables] + ([] if pictures is None else [("--pictures", pictures)])
    for path in tables:
        if path.suffix not in SUFFIXES:
            raise UsageError(f"{path}: a table is written as {', '.join(SUFFIXES)}")
    for i, (option, path) in enumerate(files):
        if path in [other for _, other in files[:i]]:
            raise UsageError(f"{option} {path} would be written twice: name another file")
        if path.is_dir():
            raise UsageError(f"{option} {path} is a folder: name a file in it, such as {path / 'scores.csv'}")
        _check_folder(f"{option} {path}", path.parent)
    for option, folder in folders.items():
        if folder is not None:
            _check_folder(f"{option} {folder}", folder)


def _check_folder(said: str, folder: Path) -> None:
    """The folder can be written to, or be made."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UsageError(f"{said}: {there} is a file where a folder is needed: name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{said}: the folder {there} cannot be written to: name another place")


def write_table(table: Table, format: str, outputs: list[Path], more: dict[Path, str]) -> list[tuple[str, str]]:
    """Print the table, and write it where that is wanted, and more; (file, why) for each that could not be written."""
    try:
        print(table.to(format))
    finally:  # nobody may read what is printed: what was computed is kept all the same
        failures = []
        for path, text in [*((path, table.to(SUFFIXES[path.suffix]) + "\n") for path in outputs), *more.items()]:
            try:
                save(path, text)
            except OSError as error:
                failures.append((str(path), f"not written: {error.strerror or error}"))
    return failures


def save(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def report(failures: list[tuple[str, str]]) -> int:
    """Name what failed; the exit status."""
    for name, reason in failures:
        print(f"seglab: failed: {name}: {reason}", file=sys.stderr)
    return 1 if failures else 0


def _evaluate(args: argparse.Namespace) -> int:
    from seglab.benchmark import WorkerError, evaluate
    from seglab.benchmark.table import rows_to_csv
    from seglab.datasets import DatasetError

    check_outputs(args.output, args.pictures, {"--official": args.official})
    try:
        found = evaluate(
            args.results,
            args.dataset,
            split=args.split,
            thresholds=args.thresholds,
            measures=args.measures,
            kind=args.kind,
            jobs=args.jobs,
            progress=not args.quiet,
        )
    except (DatasetError, WorkerError, OSError) as error:
        print(f"seglab: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not found.ids:
        return report(found.failures)
    more = {args.pictures: rows_to_csv(found.per_picture())} if args.pictures else {}
    more |= {args.official / name: text for name, text in found.official().items()} if args.official else {}
    return report(found.failures + write_table(found.table(args.published), args.format, args.output, more))
