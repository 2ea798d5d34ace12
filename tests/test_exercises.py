"""An answer is told right, wrong or missing, and stops a notebook only when it is graded."""

from __future__ import annotations

import pytest

from seglab.exercises import check


@pytest.fixture(autouse=True)
def outside_nbgrader(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def test_a_right_answer(capsys):
    with check("1 sum"):
        assert 1 + 1 == 2
    assert capsys.readouterr().out == "✓ 1 sum\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AssertionError("the mean of 1 and 3 is 2"), "the mean of 1 and 3 is 2"),
        (AssertionError(), "the answer differs from what is expected"),
        (NotImplementedError(), "write your answer in the cell above, then run both cells"),
        (NameError("name 'update' is not defined"), "name 'update' is not defined; run the cell above first"),
        (TypeError("a list\nis no tensor"), "TypeError: a list is no tensor"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_what_is_not_right_yet_is_said_in_one_line(error, said, capsys):
    with check("1 sum"):
        raise error
    assert capsys.readouterr().out == f"✗ 1 sum — not yet: {said}\n"


def test_a_grader_gets_the_error(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(AssertionError, match="six"), check("1 product"):
        raise AssertionError("six")
    assert capsys.readouterr().out.startswith("✗ 1 product")


def test_an_interruption_is_not_an_answer():
    with pytest.raises(KeyboardInterrupt), check("1 sum"):
        raise KeyboardInterrupt
