"""Recipes: each trains a network from nothing to weights with scores; ``seglab train NAME`` runs one.

A recipe is a module of this package with a function

    def train(out: Path, *, epochs=None, device="cpu", seed=0, precision="float32") -> dict[str, float]

that trains (``epochs=None``: as long as the committed weights were), writes ``out/NAME.safetensors`` and its ``.json``
with `seglab.networks.weights.save_weights`, keeps a checkpoint in ``out``, and returns the scores on held-out data.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType

__all__ = ["command_line", "get_recipe", "list_recipes"]


def command_line(name: str, *, epochs: int | None, device: str, seed: int, precision: str = "float32") -> str:
    """Write the command that trains a recipe in the same way again, for its weights' file.

    Examples
    --------
    >>> command_line("unet_cells", epochs=20, device="cpu", seed=0)
    'seglab train unet_cells --epochs 20 --seed 0 --device cpu'
    """
    length = f" --epochs {epochs}" if epochs else ""
    mixed = f" --precision {precision}" if precision != "float32" else ""
    return f"seglab train {name}{length} --seed {seed} --device {device}{mixed}"


def list_recipes() -> tuple[str, ...]:
    """Name all recipes."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")))


def get_recipe(name: str) -> ModuleType:
    """Import the recipe of a name.

    Raises
    ------
    ValueError
        There is no such recipe.
    """
    known = list_recipes()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No recipe is called {name!r}.{hint} The recipes are: {', '.join(known) or 'none'}.")
    return importlib.import_module(f"{__name__}.{name}")
