"""Check cells for the exercises: they say what is right and what is not yet, and let the notebook run on.

with check("03.1 the assignment step"):
    assert assign(points, centers).tolist() == [0, 0, 1], "each point takes the nearest center"
"""

from __future__ import annotations

import os
import re
import traceback
from types import TracebackType

__all__ = ["check"]

_LONGEST = 160


class check:  # noqa: N801  (read as a word in the notebooks: `with check("03.1 …"):`)
    """Run the asserts of an exercise: print ``✓ title``, or ``✗ title — not yet: reason``, without stopping.

    Parameters
    ----------
    title
        The exercise's number and name, such as ``"03.1 the assignment step"``.

    Notes
    -----
    Errors pass through when the environment variable ``NBGRADER_EXECUTION`` is set, as nbgrader does when it grades.
    Interruption (the stop button) always passes through.

    Examples
    --------
    >>> with check("0.1 a sum"):
    ...     assert 1 + 1 == 2
    ✓ 0.1 a sum
    >>> with check("0.2 a blank"):
    ...     raise NotImplementedError
    ✗ 0.2 a blank — not yet: write your answer above
    """

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> check:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            print(f"✓ {self.title}")
            return False
        if not isinstance(error, Exception):
            return False
        print(f"✗ {self.title} — not yet: {_reason(error)}")
        return not os.environ.get("NBGRADER_EXECUTION")


def _reason(error: Exception) -> str:
    """Why an answer does not pass, in one short line."""
    text = _first_line(error)
    if isinstance(error, NotImplementedError):
        return "write your answer above"
    if isinstance(error, AssertionError):
        return text or _failed_line(error)
    if isinstance(error, NameError):
        name = re.search(r"'(\w+)'", text)
        missing = repr(name[1]) if name else "a name"
        return f"{missing} is not defined; write your answer above and run its cell"
    if "NoneType" in text:
        return f"your answer gives None: does every way through it end in a return? ({text})"
    if "ellipsis" in text.lower():
        return "write your answer in place of the ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _failed_line(error: Exception) -> str:
    """The statement that did not hold, where its source is at hand."""
    frames = traceback.extract_tb(error.__traceback__)
    line = (frames[-1].line or "") if frames else ""
    return f"this does not hold: {line.removeprefix('assert').strip()}" if line else "an assertion does not hold"
