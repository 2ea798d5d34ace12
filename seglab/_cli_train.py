"""``seglab train``: train a network by its recipe. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seglab._batch import UsageError

__all__ = ["add_train"]

EPILOG = """\
what is written, to the folder --out:
  NAME.safetensors   the weights; load_weights(model, "training/NAME.safetensors") in Python
  NAME.json          command, data, seed, device, versions, and the scores on data that training did not see
  NAME.pt            the checkpoint, after each epoch: a training that was stopped, or killed, goes on from it when the
                     same command is given again, and ends as it would have; remove it to start anew

examples:
  seglab train                                the recipes
  seglab train fcn_textures --epochs 2        a quick look
  seglab train fcn_horses --device auto       as the weights in the package were made

exit status: 0 done, 1 the data are not there or training failed, 2 the command is wrong, 130 stopped
"""


def add_train(commands: Any, formatter: Any) -> None:
    """Add the command to the parser."""
    about = "train a network by its recipe, or list the recipes"
    p = commands.add_parser("train", help=about, description=about, epilog=EPILOG, formatter_class=formatter)
    p.add_argument("name", nargs="?", metavar="NAME", help="the recipe; without it, all are listed")
    p.add_argument("--epochs", type=int, metavar="N", help="how long (default: as the weights in the package)")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="the seed (default: 0)")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, or auto")
    p.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16: mixed precision, for a GPU, or a CPU that has it in hardware (default: float32)",
    )
    p.add_argument("--out", type=Path, default=Path("training"), metavar="FOLDER", help="default: training")
    p.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    from seglab.cli import _device, _table
    from seglab.datasets import DatasetError
    from seglab.networks.recipes import get_recipe, list_recipes

    if args.name is None:
        rows = [(name, (get_recipe(name).__doc__ or "").strip().splitlines()[0]) for name in list_recipes()]
        print(_table(rows, ("recipe", "what it trains")))
        return 0
    if args.epochs is not None and args.epochs < 1:
        raise UsageError(f"--epochs is a whole number from 1; got {args.epochs}")
    try:
        recipe = get_recipe(args.name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        how = {"epochs": args.epochs, "device": _device(args.device), "seed": args.seed, "precision": args.precision}
        scores = recipe.train(args.out, **how)
    except (DatasetError, OSError, ValueError) as error:
        print(f"seglab: {error}", file=sys.stderr)
        return 1
    print(_table([(name, f"{value:.4g}") for name, value in scores.items()], ("score", "value")))
    print(f"\nThe weights lie in {args.out}.")
    return 0
