"""Settings to run a method at: grids over its hyper-parameters, from their own description."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seglab.params import Param, parameters
from seglab.segmenter import Segmenter, get_method

__all__ = ["settings"]

Sweep = str | Sequence[str] | Mapping[str, Sequence[Any] | int | None] | None


def settings(
    methods: Iterable[str | Segmenter],
    sweep: Sweep = None,
    *,
    fixed: Mapping[str, Any] | None = None,
    n_values: int = 7,
    seed: int | None = None,
) -> list[list[Segmenter]]:
    """The settings at which to run each method: all combinations of the values swept over.

    Parameters
    ----------
    methods
        Names, or methods with hyper-parameters of their own.
    sweep
        ``"scale"`` (its declared range), ``"scale=100,300"`` or several of these; or a mapping from a name to its
        values, to how many of its range, or to None. Each applies to the methods that have that parameter.
    fixed
        Values of other parameters; text is read as on the command line.
    n_values
        How many values of a declared range.
    seed
        For the methods that draw at random.

    Raises
    ------
    ValueError
        No such method, no method with such a parameter, a value out of range, a parameter both swept and fixed.

    Examples
    --------
    >>> [[method.code() for method in each] for each in settings(["kmeans"], "n_clusters=2,4")]
    [['KMeans(n_clusters=2)', 'KMeans(n_clusters=4)']]
    """
    bases = [get_method(m)() if isinstance(m, str) else m for m in methods]
    if not bases:
        raise ValueError("no methods: name at least one, such as 'kmeans'")
    wanted, constant = _parsed(sweep), dict(fixed or {})
    for name in [*wanted, *constant]:
        _check_known(name, bases)
        if name in wanted and name in constant:
            raise ValueError(f"{name} is both swept and fixed: give one of the two")
    return [_grid(base, wanted, constant, n_values, seed) for base in bases]


def _parsed(sweep: Sweep) -> dict[str, Any]:
    if isinstance(sweep, Mapping):
        return dict(sweep)
    texts = [sweep] if isinstance(sweep, str) else list(sweep or ())
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if name in found:
            raise ValueError(f"{name} is swept twice; give all of its values at once: {name}=…,…")
        found[name] = [v for v in values.split(",") if v.strip()] if equals else None
        if found[name] == []:
            raise ValueError(f"sweep {text!r} has no values: write {name}=1,2,3, or {name} for its own range")
    return found


def _check_known(name: str, bases: Sequence[Segmenter]) -> None:
    known = sorted({p.name for base in bases for p in parameters(base)})
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        who = ", ".join(base.name for base in bases)
        raise ValueError(f"{who}: no parameter {name!r}.{hint} There is: {', '.join(known) or 'none'}")


def _grid(base: Segmenter, sweep: dict[str, Any], fixed: dict[str, Any], n: int, seed: int | None) -> list[Segmenter]:
    known = {p.name: p for p in parameters(base)}
    changes = {name: _value(known[name], value, base) for name, value in fixed.items() if name in known}
    if seed is not None and any(field.name == "seed" for field in dataclasses.fields(base)):
        changes["seed"] = seed
    axes = {name: _values(known[name], values, base, n) for name, values in sweep.items() if name in known}
    grid = itertools.product(*axes.values())
    return [dataclasses.replace(base, **changes, **dict(zip(axes, point, strict=True))) for point in grid]


def _values(p: Param, values: Any, base: Segmenter, n: int) -> list[Any]:
    if values is None or isinstance(values, int):
        found = p.sweep(n if values is None else values)
        if len(found) < 2 and values != 1:
            raise ValueError(f"{base.name}: {p.name} declares no range to sweep over: write {p.name}=VALUE,VALUE")
        return found
    return list(dict.fromkeys(_value(p, value, base) for value in values))


def _value(p: Param, value: Any, base: Segmenter) -> Any:
    try:
        return p.parse(value, base.name) if isinstance(value, str) else p.check(value, base.name)
    except TypeError as error:
        raise ValueError(str(error)) from error
