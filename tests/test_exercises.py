"""Check cells: what they print, what they swallow and what they do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seglab.exercises import check


@pytest.fixture(autouse=True)
def _not_grading(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def test_says_that_an_answer_is_right(capsys):
    with check("03.1 assign"):
        assert 1 + 1 == 2
    assert capsys.readouterr().out == "✓ 03.1 assign\n"


def _blank(x):
    raise NotImplementedError


def _forgot_to_return(x):
    x + 1


def _undefined(x):
    return answer + x  # noqa: F821


def _wrong_kind(x):
    return "a" + x


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(_blank, "write your answer above", id="blank"),
        pytest.param(_undefined, "'answer' is not defined; write your answer above and run its cell", id="undefined"),
        pytest.param(_forgot_to_return, "your answer gives None", id="no return"),
        pytest.param(lambda x: ... + x, "write your answer in place of the ...", id="ellipsis"),
        pytest.param(_wrong_kind, "TypeError: can only concatenate", id="TypeError"),
        pytest.param(lambda x: 1 / 0, "ZeroDivisionError: division by zero", id="any other"),
        pytest.param(lambda x: [][0], "IndexError", id="IndexError"),
    ],
)
def test_says_what_is_missing_and_goes_on(capsys, answer, reason):
    with check("03.1 assign"):
        assert answer(1) + 0 == 2
    out = capsys.readouterr().out
    assert out.startswith(f"✗ 03.1 assign — not yet: {reason}")
    assert out.count("\n") == 1


def test_gives_the_message_of_the_assert(capsys):
    with check("t"):
        assert 1 == 2, "each point takes the nearest center\nand more"
    assert capsys.readouterr().out == "✗ t — not yet: each point takes the nearest center\n"


def test_gives_the_statement_of_an_assert_without_a_message(capsys):
    # outside pytest's rewriting of asserts
    source = "with check('t'):\n    assert len('abc') == 2\n"
    import linecache

    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
    exec(compile(source, "<cell>", "exec"), {"check": check})
    assert capsys.readouterr().out == "✗ t — not yet: this does not hold: len('abc') == 2\n"


def test_shortens_the_long_messages_of_numpy_and_torch(capsys):
    with check("t"):
        np.testing.assert_allclose(np.zeros(1000), np.ones(1000))
    with check("t"):
        torch.testing.assert_close(torch.zeros(3), torch.ones(3))
    with check("t"):
        raise ValueError("x" * 1000)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(len(line) < 220 for line in lines)
    assert "Not equal to tolerance" in lines[0]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_lets_an_interruption_pass(capsys, kind):
    with pytest.raises(kind), check("t"):
        raise kind
    assert capsys.readouterr().out == ""


def test_raises_when_nbgrader_grades(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(AssertionError, match="no"), check("t"):
        raise AssertionError("no")
    with check("t"):
        pass
    assert capsys.readouterr().out == "✗ t — not yet: no\n✓ t\n"
