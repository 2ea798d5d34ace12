"""Every chapter: its notebooks are in step, keep to the rules, and run; its checks tell right answers from wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

SECTIONS = (
    "Set-up",
    "The problem",
    "Use it",
    "The idea",
    "Build it",
    "Step through it",
    "The parameters",
    "A real photograph",
    "Where it breaks",
    "Summary",
    "Exercises",
    "References",
)
INTRODUCTIONS = ("00", "01")  # no method of their own, so some sections have nothing to say
MEGABYTE = 2**20
SECONDS = float(os.environ.get("SEGLAB_CHAPTER_SECONDS", "120"))  # more on a machine that is busy with other things


def headings(notebook: nbformat.NotebookNode) -> list[str]:
    """The second-level headings, outside fenced code."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^```.*?^```", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            found += re.findall(r"^## +(.+?)\s*$", text, flags=re.MULTILINE)
    return found


def lines(cell: nbformat.NotebookNode) -> int:
    """Lines of code that are not blank."""
    return sum(bool(line.strip()) for line in cell.source.split("\n"))


def rules_broken(build: ModuleType, source: Path) -> list[str]:
    """What in a source is against the rules of thumb, one line for each."""
    notebook = build.read(source)
    number = source.stem[:2]
    broken = []
    first = notebook.cells[0].source.split("\n")[0]
    if not re.match(rf"# {number} · \S", first):
        broken.append(f"the first line is {first!r}, not '# {number} · Title'")
    found = headings(notebook)
    places = {section: [i for i, h in enumerate(found) if h.startswith(section)] for section in SECTIONS}
    missing = [section for section in SECTIONS if not places[section]]
    if number not in INTRODUCTIONS and missing:
        broken.append(f"sections are missing: {missing}")
    order = [places[section][0] for section in SECTIONS if places[section]]
    if order != sorted(order):
        broken.append(f"sections are not in the order of DESIGN.md: {found}")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and "wrong" not in build.tags(cell)]
    broken += [f"{lines(cell)} lines in one cell:\n{cell.source}" for cell in code if lines(cell) > 25]
    long = [cell for cell in code if lines(cell) > 15]
    if len(long) > 0.1 * len(code):
        broken.append(f"{len(long)} of {len(code)} code cells have more than 15 lines")
    exercises = build.exercises(notebook)
    if number != "00" and len(exercises) < 4:
        broken.append(f"{len(exercises)} exercises; four to six are wanted")
    for exercise in exercises:
        if not exercise.wrong:
            broken.append(f"no wrong answer to exercise {exercise.number}")
        if f'check("{number}.{exercise.number} ' not in exercise.check.source:
            broken.append(f"the check of exercise {exercise.number} does not begin with: {number}.{exercise.number}")
    return broken


def verdicts(exercise, room) -> dict[str, list[str]]:
    """What the check says to the blank, to the solution and to each wrong answer."""

    def answer(text: str) -> str:
        room.run(text)
        return room.run(exercise.check.source)

    return {
        "blank": [answer(exercise.blank)],
        "wrong": [answer(cell.source) for cell in exercise.wrong],
        "solved": [answer(exercise.solution.source)],
    }


def test_there_are_chapters(build):
    assert [path.stem for path in build.sources()], "no sources in notebooks/source"


def test_no_notebook_without_a_source(build):
    stems = {path.stem for path in build.sources()}
    for folder in (build.HERE, build.SOLUTIONS):
        assert {path.stem for path in folder.glob("*.ipynb")} <= stems


def test_pair_is_in_step_with_its_source(build, chapter):
    assert not build.out_of_step(chapter), f"run: python notebooks/build.py {chapter.stem}"


def test_keeps_to_the_rules_of_thumb(build, chapter):
    assert not (broken := rules_broken(build, chapter)), "\n".join(broken)


def test_notebooks_are_small_and_clean(build, chapter):
    for path in build.targets(chapter):
        assert path.stat().st_size < 3 * MEGABYTE, f"{path.name}: {path.stat().st_size / MEGABYTE:.1f} MB"
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type == "error"]
        assert not [output for output in outputs if build.WIDGET in output.get("data", {})]


@pytest.mark.notebook
@pytest.mark.timeout(600)
def test_runs_from_a_clean_start_and_tells_answers_apart(build, chapter, classroom):
    with classroom(chapter) as room:
        assert room.seconds < SECONDS, f"{room.seconds:.0f} s from restart to the last cell"
        build.tidy(room.notebook)  # no error, and nothing on the error stream
        for exercise in build.exercises(build.read(chapter)):
            said = verdicts(exercise, room)
            name = f"exercise {exercise.number}"
            assert all(text.startswith("✗") for text in said["blank"]), f"{name}: the blank gets {said['blank']}"
            assert all(text.startswith("✓") for text in said["solved"]), f"{name}: the solution gets {said['solved']}"
            for cell, text in zip(exercise.wrong, said["wrong"], strict=True):
                assert text.startswith("✗"), f"{name}: a wrong answer gets {text!r}:\n{cell.source}"
