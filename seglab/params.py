"""Hyper-parameters that describe themselves.

A method declares each field once, with its default, its useful range and one line of help:

    n_clusters: int = param(5, low=2, high=20, valid="[1, inf)", help="number of clusters K")

Sliders, command-line options, benchmark sweeps and error messages are all derived from that description. A field
that is not declared by `param` is data (given starting centers): no control is made for it. Where the data are pixels,
``field(default=None, metadata={"points": True})``, the explorer takes clicks on the picture.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Interval", "Param", "param", "parameters", "points_name"]

_KEY = "seglab"


@dataclass(frozen=True)
class Interval:
    """A set of numbers in the usual notation: ``"[1, inf)"``, ``"(0, 1]"``.

    Examples
    --------
    >>> 0.0 in Interval.parse("(0, 1]"), 1.0 in Interval.parse("(0, 1]")
    (False, True)
    """

    low: float
    high: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read an interval from its notation."""
        match = re.fullmatch(r"[\[(]\s*([^\s,]+)\s*,\s*([^\s,]+)\s*[\])]", text.strip())
        try:
            low, high = (float(end) for end in match.groups()) if match else (math.nan, math.nan)
        except ValueError:
            low = high = math.nan
        if not low <= high:
            raise ValueError(f"not an interval: {text!r}; write it like '[1, inf)' or '(0, 1]'")
        return cls(low, high, text.strip())

    def __contains__(self, value: float) -> bool:
        above = value > self.low or (value == self.low and self.text[0] == "[")
        below = value < self.high or (value == self.high and self.text[-1] == "]")
        return above and below


@dataclass(frozen=True, kw_only=True)
class Param:
    """What is known of one hyper-parameter.

    ``low`` and ``high`` bound the *useful* range, which sliders and sweeps cover; ``valid`` bounds what is
    accepted at all. ``when`` maps the name of another parameter to the values for which this one matters.
    """

    name: str
    kind: type  # bool, int, float or str
    default: Any
    optional: bool = False  # None is accepted
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    scale: Literal["linear", "log"] = "linear"
    valid: Interval | None = None
    unit: str = ""
    help: str = ""
    when: dict[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)

    def applies(self, values: dict[str, Any]) -> bool:
        """Whether this parameter has an effect, given the values of the others."""
        return all(values[name] in wanted for name, wanted in self.when.items())

    def expected(self) -> str:
        """Say in words what values are accepted."""
        if self.choices:
            text = "one of " + ", ".join(repr(choice) for choice in self.choices)
        else:
            text = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}[self.kind]
            if self.valid is not None:
                text += f" in {self.valid.text}"
        return text + (" or None" if self.optional else "")

    def check(self, value: Any, owner: str = "") -> Any:
        """Return ``value`` in this parameter's own type, or raise one error that says what is expected.

        Raises
        ------
        TypeError
            The value is of another kind, such as ``2.5`` for a whole number.
        ValueError
            The value is of the right kind and out of range.
        """
        where = f"{owner}: {self.name}" if owner else self.name
        if value is None and self.optional:
            return None
        if self.choices:
            for choice in self.choices:
                if _is_same(value, choice):
                    return choice
            raise ValueError(f"{where} must be {self.expected()}; got {value!r}")
        if not self._is_kind(value):
            raise TypeError(f"{where} must be {self.expected()}; got {value!r} ({type(value).__name__})")
        value = self.kind(value)
        if self.valid is not None and value not in self.valid:
            raise ValueError(f"{where} must be {self.expected()}; got {value!r}")
        return value

    def _is_kind(self, value: Any) -> bool:
        if self.kind is bool or isinstance(value, (bool, np.bool_)):
            return self.kind is bool and isinstance(value, (bool, np.bool_))
        if self.kind is str:
            return isinstance(value, str)
        try:
            number = float(value)
        except (TypeError, ValueError):
            return False
        if isinstance(value, str) or math.isnan(number):
            return False
        return self.kind is float or (math.isfinite(number) and number == int(number))

    def parse(self, text: str, owner: str = "") -> Any:
        """Read a value from the command line.

        Examples
        --------
        >>> Param(name="n_clusters", kind=int, default=5).parse("8")
        8
        """
        word = text.strip()
        if self.optional and word.lower() == "none":
            return None
        for choice in self.choices:
            if word == str(choice):
                return choice
        value: Any = word
        if self.kind is bool and word.lower() in _BOOLS:
            value = _BOOLS[word.lower()]
        elif self.kind in (int, float) and not self.choices:
            try:
                value = float(word) if self.kind is float or not re.fullmatch(r"[+-]?\d+", word) else int(word)
            except ValueError:
                pass
        return self.check(value, owner)

    def sweep(self, n: int = 7) -> list[Any]:
        """Up to ``n`` values that cover the useful range, evenly on the parameter's own scale.

        Examples
        --------
        >>> Param(name="beta", kind=float, default=1.0, low=0.01, high=100, scale="log").sweep(5)
        [0.01, 0.1, 1.0, 10.0, 100.0]
        """
        if self.choices:
            return list(self.choices)
        if self.kind is bool:
            return [False, True]
        if self.low is None or self.high is None:
            return [self.default]
        if self.scale == "log":
            ratio = math.log(self.high / self.low)
            values = [self.low * math.exp(ratio * i / max(n - 1, 1)) for i in range(n)]
        else:
            values = [self.low + (self.high - self.low) * i / max(n - 1, 1) for i in range(n)]
        if self.step is not None and self.scale == "linear":  # where a slider would stop
            values = [min(self.low + self.step * round((value - self.low) / self.step), self.high) for value in values]
        if self.kind is int:
            return sorted({round(value) for value in values})
        return [float(f"{value:.6g}") for value in values]


def _is_same(value: Any, choice: Any) -> bool:
    """Whether a value is this choice: 3.0 is 3, but True is not 1, and an array is nothing."""
    if isinstance(value, str) or isinstance(choice, str):
        return isinstance(value, str) and value == choice
    if isinstance(value, (bool, np.bool_)) or isinstance(choice, bool):
        return isinstance(value, (bool, np.bool_)) and bool(value) is choice
    return isinstance(value, numbers.Real) and value == choice


_BOOLS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def param(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    scale: Literal["linear", "log"] = "linear",
    valid: str | None = None,
    unit: str = "",
    help: str = "",
    when: dict[str, Any] | None = None,
) -> Any:
    """Declare a field of a method with its description.

    Parameters
    ----------
    default
        The value where none is given.
    low, high
        The useful range: what a slider or a sweep covers.
    step
        The slider's step; chosen from the range where none is given.
    scale
        ``"log"`` for parameters that act by ratio.
    valid
        What is accepted at all, in interval notation such as ``"[1, inf)"``.
    unit, help
        Shown beside controls and in the command line's help.
    when
        The parameters on which this one depends, each with the value or the values for which it matters:
        ``when={"rule": ("local", "fixed")}``.

    Raises
    ------
    ValueError
        A range that nothing could be drawn from: one end only, upside down, or logarithmic from 0.
    """
    if (low is None) != (high is None):
        raise ValueError(f"a useful range has both ends, low and high; got {low=}, {high=}")
    if low is not None and high is not None and (low > high or (scale == "log" and low <= 0)):
        raise ValueError(f"a useful range rises from low to high, and from above 0 where log; got {low=}, {high=}")
    about = {
        "low": low,
        "high": high,
        "step": step,
        "scale": scale,
        "valid": None if valid is None else Interval.parse(valid),
        "unit": unit,
        "help": help,
        "when": {k: v if isinstance(v, tuple) else (v,) for k, v in (when or {}).items()},
    }
    return dataclasses.field(default=default, metadata={_KEY: about})


def parameters(method: Any) -> tuple[Param, ...]:
    """The hyper-parameters of a method, in the order of declaration; takes the class or an instance.

    Examples
    --------
    >>> from seglab.methods import KMeans
    >>> parameters(KMeans)[0].name
    'n_clusters'
    """
    cls = method if isinstance(method, type) else type(method)
    return _describe(cls)


def points_name(method: Any) -> str:
    """The field of a method that takes pixels (row, column) of the picture, or nothing; takes the class or an instance.

    Examples
    --------
    >>> from seglab.methods import KMeans, RegionGrowing
    >>> points_name(RegionGrowing), points_name(KMeans)
    ('seeds', '')
    """
    return next((field.name for field in dataclasses.fields(method) if field.metadata.get("points")), "")


_CACHE: dict[type, tuple[Param, ...]] = {}


def _describe(cls: type) -> tuple[Param, ...]:
    if cls not in _CACHE:
        hints = typing.get_type_hints(cls)
        _CACHE[cls] = tuple(
            _from_field(field, hints[field.name], cls) for field in dataclasses.fields(cls) if _KEY in field.metadata
        )
    return _CACHE[cls]


def _from_field(field: dataclasses.Field, hint: Any, cls: type) -> Param:
    args: Sequence[Any] = (hint,)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        args = typing.get_args(hint)
    inner = [arg for arg in args if arg is not type(None)]
    choices: tuple[Any, ...] = ()
    if len(inner) == 1 and typing.get_origin(inner[0]) is Literal:
        choices = typing.get_args(inner[0])
        inner = [type(choices[0])]
    if len(inner) != 1 or inner[0] not in (bool, int, float, str):
        raise TypeError(f"{cls.__name__}.{field.name}: a parameter is a bool, int, float, str or Literal; got {hint}")
    return Param(
        name=field.name,
        kind=inner[0],
        default=field.default,
        optional=len(inner) < len(args),
        choices=choices,
        **field.metadata[_KEY],
    )
