"""Hyper-parameters that describe themselves: intervals, checks, reading from text, sweeps."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, Optional

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seglab.params import Interval, Param, param, parameters


@dataclass(frozen=True, kw_only=True)
class Toy:
    """One field of each kind."""

    n: int = param(5, low=2, high=20, valid="[1, inf)", help="a count")
    beta: float = param(1.0, low=0.01, high=100, scale="log", valid="(0, inf)", unit="px")
    smooth: bool = param(True, help="whether to smooth")
    rule: Literal["local", "fixed", "otsu"] = param("otsu")
    size: Literal[3, 5] = param(3, when={"rule": "local"})
    level: float | None = param(None, low=0, high=1, valid="[0, 1]", when={"rule": ("local", "fixed"), "smooth": True})
    text: str = param("a")
    init: object = None  # data, not a parameter


P = {p.name: p for p in parameters(Toy)}


# ---- intervals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("[1, inf)", [1, 2, 1e9], [0.999, -1, math.inf]),
        ("(0, 1]", [0.001, 1], [0, 1.001]),
        ("[0, 1]", [0, 1], [-1e-9, 1 + 1e-9]),
        ("(0,1)", [0.5], [0, 1]),
        (" ( -inf , 0 ) ", [-5], [0, -math.inf]),
        ("[2, 2]", [2], [1, 3]),
    ],
)
def test_intervals_hold_their_closed_ends_only(text, inside, outside):
    interval = Interval.parse(text)
    assert all(v in interval for v in inside)
    assert not any(v in interval for v in outside)
    assert math.nan not in interval


@pytest.mark.parametrize("text", ["", "1, 2", "[1 2]", "[1, 2", "[a, 2]", "[1, 2, 3]", "[2, 1]", "[nan, 1]", "{1, 2}"])
def test_intervals_refuse_other_text(text):
    with pytest.raises(ValueError, match=r"not an interval"):
        Interval.parse(text)


# ---- description ------------------------------------------------------------------------------------------------


def test_describes_the_declared_fields_in_order():
    assert list(P) == ["n", "beta", "smooth", "rule", "size", "level", "text"]
    assert [p.kind for p in P.values()] == [int, float, bool, str, int, float, str]
    assert [p.default for p in P.values()] == [5, 1.0, True, "otsu", 3, None, "a"]
    assert P["rule"].choices == ("local", "fixed", "otsu")
    assert P["level"].optional
    assert not P["n"].optional
    assert (P["beta"].unit, P["beta"].scale, P["n"].help) == ("px", "log", "a count")
    assert parameters(Toy()) == parameters(Toy)


def test_optional_can_be_spelled_both_ways():
    @dataclass
    class Both:
        a: Optional[int] = param(None)  # noqa: UP045
        b: int | None = param(3)
        c: Literal["x", "y"] | None = param(None)

    # the annotations are text, read where the class was made
    Both.__annotations__ = {"a": Optional[int], "b": int | None, "c": Literal["x", "y"] | None}  # noqa: UP045
    a, b, c = parameters(Both)
    assert a.optional
    assert b.optional
    assert c.optional
    assert (a.kind, b.kind, c.kind) == (int, int, str)
    assert c.choices == ("x", "y")
    assert c.check(None) is None


def test_a_subclass_has_its_own_parameters():
    @dataclass(frozen=True, kw_only=True)
    class More(Toy):
        n: int = param(7, low=3, high=9)
        extra: bool = param(False)

    assert [p.name for p in parameters(More)] == [*P, "extra"]
    assert parameters(More)[0].default == 7
    assert parameters(Toy)[0].default == 5


@pytest.mark.parametrize("hint", [list[int], int | str, tuple, torch.Tensor])
def test_refuses_parameters_of_other_types(hint):
    cls = dataclasses.make_dataclass("Odd", [("bad", hint, param(None))])
    with pytest.raises(TypeError, match=r"Odd\.bad: a parameter is"):
        parameters(cls)


@pytest.mark.parametrize(
    ("rule", "smooth", "applies"),
    [("local", True, True), ("fixed", True, True), ("otsu", True, False), ("local", False, False)],
)
def test_when_says_for_which_values_of_others_it_matters(rule, smooth, applies):
    values = {"rule": rule, "smooth": smooth}
    assert P["level"].applies(values) is applies
    assert P["size"].applies(values) is (rule == "local")
    assert P["n"].applies({})


# ---- checks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("n", 5, 5),
        ("n", 5.0, 5),
        ("n", np.int64(8), 8),
        ("n", np.float32(8), 8),
        ("n", torch.tensor(8), 8),
        ("beta", 2, 2.0),
        ("beta", np.float32(0.5), 0.5),
        ("smooth", False, False),
        ("smooth", np.bool_(True), True),
        ("rule", "fixed", "fixed"),
        ("size", 5, 5),
        ("level", None, None),
        ("level", 1, 1.0),
        ("text", "b", "b"),
    ],
)
def test_check_gives_the_value_in_the_parameters_own_type(name, value, expected):
    got = P[name].check(value)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        ("n", 0, ValueError, r"Toy: n must be a whole number in \[1, inf\); got 0"),
        ("n", 2.5, TypeError, r"n must be a whole number .*; got 2.5 \(float\)"),
        ("n", "5", TypeError, r"got '5' \(str\)"),
        ("n", True, TypeError, r"got True \(bool\)"),
        ("n", np.bool_(True), TypeError, "got"),
        ("n", None, TypeError, "got None"),
        ("n", math.inf, TypeError, "got inf"),
        ("n", math.nan, TypeError, "got nan"),
        ("n", [1], TypeError, r"got \[1\]"),
        ("n", np.array([3, 4]), TypeError, "got array"),
        ("beta", 0, ValueError, r"in \(0, inf\); got 0.0"),
        ("beta", math.nan, TypeError, "got nan"),
        ("beta", 1j, TypeError, "got 1j"),
        ("smooth", 1, TypeError, "True or False; got 1"),
        ("smooth", "yes", TypeError, "got 'yes'"),
        ("rule", "other", ValueError, "one of 'local', 'fixed', 'otsu'; got 'other'"),
        ("rule", ["local"], ValueError, r"got \['local'\]"),
        ("rule", np.array(["local", "fixed"]), ValueError, "got array"),
        ("size", 4, ValueError, "one of 3, 5; got 4"),
        ("size", True, ValueError, "got True"),
        ("level", 1.5, ValueError, r"a number in \[0, 1\] or None; got 1.5"),
        ("text", 3, TypeError, "text; got 3"),
    ],
)
def test_check_says_what_is_expected(name, value, kind, message):
    with pytest.raises(kind, match=message) as caught:
        P[name].check(value, "Toy")
    assert type(caught.value) is kind


def test_choices_of_one_and_true_are_not_mixed_up():
    numbers = Param(name="k", kind=int, default=1, choices=(1, 2))
    assert numbers.check(1) == 1
    assert type(numbers.check(1.0)) is int
    with pytest.raises(ValueError, match="got True"):
        numbers.check(True)


# ---- reading from text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("n", "8", 8),
        ("n", " +8 ", 8),
        ("n", "1e2", 100),
        ("beta", "8", 8.0),
        ("beta", "1e-3", 0.001),
        ("smooth", "no", False),
        ("smooth", "ON", True),
        ("smooth", "0", False),
        ("rule", "local", "local"),
        ("size", "5", 5),
        ("level", "None", None),
        ("level", "none", None),
        ("level", "0.5", 0.5),
        ("text", "None", "None"),
        ("text", "12", "12"),
    ],
)
def test_parse_reads_what_the_command_line_gives(name, text, expected):
    got = P[name].parse(text)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("n", "2.5", TypeError),
        ("n", "many", TypeError),
        ("n", "0", ValueError),
        ("n", "", TypeError),
        ("n", "None", TypeError),
        ("beta", "nan", TypeError),
        ("smooth", "maybe", TypeError),
        ("rule", "Local", ValueError),
        ("size", "4", ValueError),
        ("level", "2", ValueError),
    ],
)
def test_parse_refuses_in_the_words_of_check(name, text, kind):
    with pytest.raises(kind, match=f"Toy: {name} must be"):
        P[name].parse(text, "Toy")


@given(st.integers(1, 10**18))
def test_parse_reads_large_whole_numbers_exactly(n):
    assert P["n"].parse(str(n)) == n


# ---- sweeps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n", "expected"),
    [
        ("n", 3, [2, 11, 20]),
        ("n", 100, list(range(2, 21))),
        ("n", 1, [2]),
        ("beta", 5, [0.01, 0.1, 1.0, 10.0, 100.0]),
        ("smooth", 7, [False, True]),
        ("rule", 2, ["local", "fixed", "otsu"]),
        ("level", 3, [0.0, 0.5, 1.0]),
        ("text", 3, ["a"]),
    ],
)
def test_sweep_covers_the_useful_range(name, n, expected):
    got = P[name].sweep(n)
    assert got == pytest.approx(expected)
    assert [type(v) for v in got] == [type(v) for v in expected]


def test_a_sweep_stops_where_the_slider_does():
    odd = Param(name="window", kind=int, default=1, low=1, high=7, step=2)
    assert odd.sweep(3) == [1, 5, 7]
    assert odd.sweep(20) == [1, 3, 5, 7]
    tenths = Param(name="x", kind=float, default=0.0, low=0.0, high=1.0, step=0.1)
    assert tenths.sweep(4) == [0.0, 0.3, 0.7, 1.0]


@given(st.integers(-50, 50), st.integers(0, 100), st.integers(2, 20))
def test_sweeps_rise_and_have_both_ends(low, extent, n):
    whole = Param(name="k", kind=int, default=low, low=low, high=low + extent).sweep(n)
    assert whole == sorted(set(whole))
    assert (whole[0], whole[-1]) == (low, low + extent)
    assert len(whole) <= n


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 5, "high": 2}, "low"),
        ({"low": 0, "high": 2, "scale": "log"}, "log"),
        ({"low": -1, "high": 2, "scale": "log"}, "log"),
        ({"low": 1}, "both"),
        ({"valid": "[2, 1]"}, "interval"),
    ],
)
def test_a_description_that_no_sweep_could_cover_is_refused_where_it_is_written(options, message):
    with pytest.raises(ValueError, match=message):
        param(1.0, **options)
