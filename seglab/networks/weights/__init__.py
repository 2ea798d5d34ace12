"""Trained weights: saved with all that made them, and loaded by name.

Beside each ``NAME.safetensors`` lies ``NAME.json``, which says by which command, from which data, seed and device the
weights come, and how they score on data that training did not see.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn

__all__ = ["list_weights", "load_weights", "save_weights", "weights_info"]

M = TypeVar("M", bound=nn.Module)
_HERE = Path(__file__).parent


def list_weights() -> tuple[str, ...]:
    """Name the weights that come with the package."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.safetensors")))


def weights_info(name: str | os.PathLike) -> dict[str, Any]:
    """Say how weights came about: command, data, seed, device, date, versions, scores.

    Raises
    ------
    ValueError
        There are no such weights.
    """
    return json.loads(_find(name).with_suffix(".json").read_text("utf-8"))


def load_weights(model: M, name: str | os.PathLike, *, strict: bool = True) -> M:
    """Load trained weights into a model of their shape.

    Parameters
    ----------
    model
        Gets the weights, in its own precision and on its own device.
    name
        Of weights that come with the package (see `list_weights`), or the path of a ``.safetensors`` file.
    strict
        Whether every weight of the model must be in the file. With False what is not there stays as it is: for
        networks on a backbone whose weights come from elsewhere.

    Returns
    -------
    nn.Module
        The same model, ready to predict.

    Raises
    ------
    ValueError
        There are no such weights, or they are of another network.
    """
    path = _find(name)
    found = load_file(path)
    own = model.state_dict()
    unknown = sorted(set(found) - set(own))
    missing = sorted(set(own) - set(found)) if strict else []
    other = sorted(key for key in set(own) & set(found) if own[key].shape != found[key].shape)
    for keys, what in ((unknown, "are unknown to the model"), (missing, "are missing"), (other, "are of other shape")):
        if keys:
            raise ValueError(f"{path.name} is of another network: {len(keys)} weights {what}, {keys[0]} the first")
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value)
    return model.eval()


def save_weights(
    model: nn.Module,
    path: str | os.PathLike,
    *,
    only: Callable[[str], bool] | None = None,
    dtype: torch.dtype = torch.float16,
    **about: Any,
) -> Path:
    """Save a model's weights, and beside them in a ``.json`` file what made them.

    Parameters
    ----------
    model
        The network.
    path
        Where; the suffix ``.safetensors`` is added where it is missing.
    only
        ``only(name)``: whether a weight is saved; all are if not given.
    dtype
        Of the saved numbers; float16 halves the file and changes a weight by at most 1 part in 2000.
    **about
        What is told of them: ``command``, ``data``, ``seed``, ``device``, ``seconds``, ``scores``, …. The date, the
        versions and the number of weights are added.

    Returns
    -------
    Path
        The ``.safetensors`` file.

    Raises
    ------
    ValueError
        A weight is not finite in that precision, or nothing is left to save.
    """
    import seglab

    path = Path(path)
    path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
    state = {key: value.detach().cpu() for key, value in model.state_dict().items() if only is None or only(key)}
    state = {key: (x.to(dtype) if x.is_floating_point() else x).contiguous() for key, x in state.items()}
    if not state:
        raise ValueError("no weight is left to save")
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{key} is not finite in {dtype}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    save_file(state, part)
    info = {
        **about,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"seglab": seglab.__version__, "torch": torch.__version__},
        "n_weights": sum(value.numel() for value in state.values()),
        "bytes": part.stat().st_size,
    }
    path.with_suffix(".json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", "utf-8")
    part.replace(path)
    return path


def _find(name: str | os.PathLike) -> Path:
    path = Path(name)
    if path.suffix != ".safetensors":
        path = (
            _HERE / f"{path.name}.safetensors" if path.parent == Path() else path.with_name(f"{path.name}.safetensors")
        )
    if not path.is_file():
        raise ValueError(f"there are no weights {str(name)!r}; the package has: {', '.join(list_weights()) or 'none'}")
    return path
