"""``seglab benchmark``: run methods over a data set and score them. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seglab._batch import UsageError
from seglab._cli_evaluate import add_table_options, check_outputs, report, write_table

__all__ = ["add_benchmark"]

EPILOG = """\
sweeps: --sweep scale takes the parameter's useful range (seglab methods NAME shows it) in --values steps;
  --sweep scale=100,300,1000 takes these; several sweeps make a grid. A sweep applies to the methods that have that
  parameter.

results lie in the folder --out, a file for each picture and method. A run that was stopped, or killed, goes on where
  it was when the same command is given again; what is there already is not computed again. It counts only for the
  same picture, truths, parameters and version of seglab; after changes to a method's code, remove its folder.

several computers: on one of them `dask scheduler`, on each `dask worker tcp://ADDRESS:8786 --nthreads 1 --nworkers 4`
  (pip install distributed), and here --scheduler tcp://ADDRESS:8786. All need the same seglab, and the pictures at the
  same place, as on the shared disk of a class server or a cluster, whose jobs then run `dask worker`. Workers may come,
  go and die: their pictures are given to others.

the table: ODS and OIS choose settings on the reported pictures themselves. With --choose-on val there is one column
  more: the setting that is best on val, scored on test.

examples:
  seglab benchmark kmeans slic --sweep n_clusters --sweep n_segments=50,200 --limit 10
  seglab benchmark felzenszwalb --sweep scale --values 9 --choose-on val --published --jobs 2
  seglab benchmark kmeans --dataset mine/ -p color_space=rgb

exit status: 0 done, 1 a picture failed, a file could not be written or the data set is not there, 2 the command is
  wrong, 130 stopped
"""


def add_benchmark(commands: Any, formatter: Any) -> None:
    """Add the command to the parser."""
    about = "run methods over a data set at many settings, and score them"
    p = commands.add_parser("benchmark", help=about, description=about, epilog=EPILOG, formatter_class=formatter)
    p.add_argument("methods", nargs="+", metavar="METHOD", help="see `seglab methods`")
    p.add_argument("--dataset", default="bsds500", help="bsds500 (default), or a folder with images/ and truth/")
    p.add_argument("--split", default="test", help="train, val or test (default)")
    p.add_argument("--choose-on", metavar="SPLIT", help="choose settings on this split too, and score them on --split")
    p.add_argument("--choose-limit", type=int, metavar="N", help="choose on the first N pictures of that split only")
    p.add_argument("--limit", type=int, metavar="N", help="only the first N pictures")
    p.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th picture of --split")
    p.add_argument("--sweep", action="append", default=[], metavar="NAME[=V,V]", help="see below; repeat for a grid")
    p.add_argument("--values", type=int, default=7, metavar="N", help="values of a useful range (default: 7)")
    p.add_argument("-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="a fixed parameter; repeat")
    p.add_argument("--seed", type=int, metavar="N", help="the seed, for methods that draw at random")
    p.add_argument("--connected", action="store_true", help="split labels' places that do not touch before scoring")
    p.add_argument("--out", type=Path, default=Path("benchmark"), metavar="FOLDER", help="results (default: benchmark)")
    p.add_argument("--measures", default="region,boundary,segments", metavar="M,M",
                   help="what to score by (default: region,boundary,segments)")  # fmt: skip
    p.add_argument("--keep-labels", action="store_true", help="keep the label maps beside the scores")
    p.add_argument("--pictures", type=Path, metavar="FILE", help="write each picture's scores to a .csv file")
    p.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="pictures at a time; -1: all cores")
    p.add_argument("--scheduler", metavar="ADDRESS", help="let the workers of a Dask cluster do it, see below")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, or auto")
    add_table_options(p)
    p.set_defaults(run=_benchmark)


def _benchmark(args: argparse.Namespace) -> int:
    from seglab.benchmark import WorkerError, run
    from seglab.benchmark.table import rows_to_csv
    from seglab.cli import _device
    from seglab.datasets import DatasetError

    check_outputs(args.output, args.pictures, {"--out": args.out})
    for name in ("limit", "choose_limit", "every", "values"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} is a whole number from 1; got {getattr(args, name)}")
    options = {
        name: getattr(args, name)
        for name in ("split", "choose_on", "choose_limit", "seed", "limit", "every", "jobs", "scheduler")
    }
    options |= {name: getattr(args, name) for name in ("sweep", "out", "connected", "keep_labels", "measures")}
    options |= {"fixed": _fixed(args.param), "n_values": args.values, "progress": not args.quiet}
    try:
        found = run(args.methods, args.dataset, device=_device(args.device), **options)
    except (DatasetError, OSError) as error:
        print(f"seglab: {error}", file=sys.stderr)
        return 1
    except WorkerError as error:
        print(f"seglab: {error}; what is done lies in {args.out}, and it goes on there", file=sys.stderr)
        return 1
    except ValueError as error:
        raise UsageError(str(error)) from error
    failures = list(found.failures)
    if any(each.scores for each in found.runs):
        keep = not found.interrupted
        more = {args.pictures: rows_to_csv(found.per_picture())} if args.pictures and keep else {}
        failures += write_table(found.table(args.published), args.format, args.output if keep else [], more)
    status = report(failures)
    if found.interrupted:
        print(f"seglab: stopped; what is done lies in {args.out}, and the same command goes on there", file=sys.stderr)
    return 130 if found.interrupted else status


def _fixed(pairs: list[str]) -> dict[str, str]:
    fixed = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"-p {pair}: write NAME=VALUE")
        fixed[name.strip()] = value
    return fixed
