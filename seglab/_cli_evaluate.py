"""``seglab evaluate``: score a folder of segmentations. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglab._batch import UsageError

if TYPE_CHECKING:
    from seglab.benchmark import Table

__all__ = ["add_evaluate", "add_table_options", "write_table"]

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

exit status: 0 done, 1 a picture failed or the data set is not there, 2 the command or the files are wrong, 130 stopped
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
    return [float(value) for value in text.split(",")] if "," in text or "." in text else int(text)


def add_table_options(p: argparse.ArgumentParser) -> None:
    """Add what both commands say of their table."""
    p.add_argument("-f", "--format", choices=FORMATS, default="text", help="how the table is printed (default: text)")
    p.add_argument("-o", "--output", type=Path, action="append", default=[], metavar="FILE",
                   help="write the table too; .txt, .csv, .md, .tex or .json; repeat")  # fmt: skip
    p.add_argument("--published", action="store_true", help="print published scores below")
    p.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def check_outputs(outputs: list[Path]) -> None:
    """Refuse files of another suffix, before any work."""
    for path in outputs:
        if path.suffix not in SUFFIXES:
            raise UsageError(f"{path}: a table is written as {', '.join(SUFFIXES)}")


def write_table(table: Table, format: str, outputs: list[Path]) -> None:
    """Print the table, and write it where that is wanted."""
    print(table.to(format))
    for path in outputs:
        save(path, table.to(SUFFIXES[path.suffix]) + "\n")


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

    check_outputs(args.output)
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
    except (DatasetError, WorkerError) as error:
        print(f"seglab: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        raise UsageError(str(error)) from error
    if found.ids:
        write_table(found.table(args.published), args.format, args.output)
        if args.pictures:
            save(args.pictures, rows_to_csv(found.per_picture()))
        for name, text in found.official().items() if args.official else ():
            save(args.official / name, text)
    return report(found.failures)
