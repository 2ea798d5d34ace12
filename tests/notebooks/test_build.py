"""The tool that makes notebooks from sources, tried on the example that CONTRIBUTING.md shows."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from .test_chapters import rules_broken, verdicts

STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{text.count(old)} times: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def fast(build, monkeypatch):
    """Notebooks that need no kernel: running a cell notes its number, and counts."""
    ran = []

    def run(notebook, folder=None, seconds=0):
        ran.append(notebook)
        for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
            cell.execution_count = count
            cell.outputs = [new_output("stream", name="stdout", text=f"run {len(ran)}\n")]
        return 0.0

    monkeypatch.setattr(build, "run", run)
    return ran


def test_blank_has_stubs_and_solved_has_answers(build, example):
    blank, solved = build.pair(example)
    assert [cell.id for cell in blank.cells] == [cell.id for cell in solved.cells]
    different = [(a, b) for a, b in zip(blank.cells, solved.cells, strict=True) if a.source != b.source]
    assert len(different) == 1
    a, b = different[0]
    assert a.source.endswith(STUB)
    assert a.source.startswith("def label_bright(gray, threshold):")
    assert "BEGIN SOLUTION" not in a.source
    assert "return" not in a.source
    assert "    ### BEGIN SOLUTION\n    return (gray > threshold).astype(int)\n    ### END SOLUTION" in b.source


def test_wrong_answers_are_in_neither_notebook(build, example):
    for notebook in build.pair(example):
        assert not [cell for cell in notebook.cells if "wrong" in cell.metadata.get("tags", ())]
        assert "np.ones_like" not in "".join(cell.source for cell in notebook.cells)
    assert len(build.exercises(build.read(example))[0].wrong) == 2


def test_metadata_is_what_nbgrader_expects(build, example):
    for notebook in build.pair(example):
        nbformat.validate(notebook)
        about = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
        assert about == [
            {
                "schema_version": 3,
                "grade": False,
                "grade_id": "98_threshold-1",
                "locked": False,
                "solution": True,
                "task": False,
            },
            {
                "schema_version": 3,
                "grade": True,
                "grade_id": "98_threshold-1-check",
                "locked": True,
                "solution": False,
                "task": False,
                "points": 1,
            },
        ]


def test_ids_of_other_cells_survive_an_edit(build, example):
    before = [cell.id for cell in build.make(example, solved=True).cells]
    edit(example, "# Which of these gray values belong together?", "# Which of these values belong together?")
    after = [cell.id for cell in build.make(example, solved=True).cells]
    assert len(before) == len(after) == len(set(after))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_equal_cells_have_different_ids(build, example):
    with example.open("a", encoding="utf-8") as file:
        file.write("\n# %%\nprint(1)\n\n# %%\nprint(1)\n")
    ids = [cell.id for cell in build.make(example, solved=True).cells]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    ### END SOLUTION\n", "", "without ### END SOLUTION"),
        ("    ### BEGIN SOLUTION\n", "", "without its partner"),
        ('# %% tags=["check"] points=1', "# %%", "with one check after it"),
        ('# %% tags=["exercise"]', "# %%", "not tagged exercise"),
        ("# ## Set-up\n", '# ## Set-up\n\n# %% tags=["wrong"]\nx = 1\n', "before any exercise"),
        ('# %% tags=["exercise"]', '# %% tags=["exercise", "wrong"]', "one of exercise, check and wrong"),
        ("print(gray > 0.5)", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "not tagged exercise"),
        ('def label_bright(gray, threshold):\n    """', 'if True:\n    """', "top level"),
    ],
    ids=["no end", "no begin", "no check", "no exercise", "early", "two tags", "solution elsewhere", "top level"],
)
def test_breaking_a_convention_is_an_error_that_says_so(build, example, old, new, message):
    edit(example, old, new)
    with pytest.raises(build.ChapterError, match=message):
        build.pair(example)


def test_written_pair_is_in_step(build, example, fast):
    assert [problem.split()[-1] for problem in build.out_of_step(example)] == ["missing", "missing"]
    build.build(example)
    assert len(fast) == 2
    assert build.out_of_step(example) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Which of these", "Which of those", "not those of the source"),
        ("print(gray > 0.5)", "print(gray > 0.6)", "not those of the source"),
        ("points=1", "points=2", "not those of the source"),
    ],
)
def test_an_edit_of_the_source_is_noticed(build, example, fast, old, new, problem):
    build.build(example)
    edit(example, old, new)
    problems = build.out_of_step(example)
    assert len(problems) == 2
    assert all(problem in text for text in problems)


def test_an_edit_of_a_wrong_answer_leaves_the_notebooks_alone(build, example, fast):
    build.build(example)
    edit(example, "np.ones_like(gray, dtype=int)", "np.zeros_like(gray, dtype=int)")
    assert build.out_of_step(example) == []


@pytest.mark.parametrize("damage", ["source", "hash", "count", "widgets"])
def test_an_edit_of_a_notebook_is_noticed(build, example, fast, damage):
    build.build(example)
    path = build.targets(example)[0]
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    if damage == "source":
        code[0]["source"] = "import os"
    elif damage == "hash":
        notebook["metadata"]["seglab"]["sha256"] = "0"
    elif damage == "count":
        code[0]["execution_count"] = None
    else:
        notebook["metadata"]["widgets"] = {"state": {}}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert len(build.out_of_step(example)) == 1


def test_outputs_are_kept_where_only_prose_has_changed(build, example, fast):
    build.build(example)
    edit(example, "Which of these", "Which of those")
    assert build.build(example, reuse=True) == []
    assert len(fast) == 2
    assert build.out_of_step(example) == []
    blank = nbformat.read(build.targets(example)[0], as_version=4)
    assert {cell.outputs[0].text for cell in blank.cells if cell.cell_type == "code"} == {"run 2\n"}
    edit(example, "print(gray > 0.5)", "print(gray > 0.6)")
    build.build(example, reuse=True)
    assert len(fast) == 4


def test_a_failed_build_leaves_the_old_notebooks(build, example, fast, monkeypatch):
    build.build(example)
    before = [path.read_bytes() for path in build.targets(example)]
    edit(example, "print(gray > 0.5)", "print(gray > 0.6)")

    def fail(notebook, folder=None, seconds=0):
        raise build.ChapterError("no")

    monkeypatch.setattr(build, "run", fail)
    with pytest.raises(build.ChapterError):
        build.build(example)
    assert [path.read_bytes() for path in build.targets(example)] == before


def test_check_changes_nothing_and_fails_where_out_of_step(build, example, fast, monkeypatch, capsys):
    monkeypatch.setattr(build.sources, "__defaults__", ((), example.parent))
    assert build.main(["--check"]) == 1
    assert "missing" in capsys.readouterr().out
    assert not build.targets(example)[0].exists()
    assert build.main([]) == 0
    assert build.main(["--check", "98"]) == 0
    assert build.main([]) == 0
    assert len(fast) == 2
    assert build.main(["98_threshold", "--no-execute"]) == 0
    assert build.main(["--check"]) == 1
    assert "not been executed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        build.main(["97"])
    assert "98_threshold" in capsys.readouterr().err


def tidied(build, *outputs):
    notebook = new_notebook(cells=[new_code_cell("x", outputs=list(outputs), metadata={"execution": {"a": "1"}})])
    notebook.metadata["widgets"] = {"state": {"big": 1}}
    build.tidy(notebook)
    assert "widgets" not in notebook.metadata
    assert "execution" not in notebook.cells[0].metadata
    return notebook.cells[0].outputs


def test_tidying_keeps_a_widgets_picture_and_drops_the_widget(build):
    view = {build.WIDGET: {"model_id": "1"}, "text/plain": "Player()"}
    outputs = tidied(
        build,
        new_output("display_data", data=dict(view)),
        new_output("display_data", data={**view, "image/png": "aGk="}),
        new_output("display_data", data={**view, "text/html": "<img>"}),
    )
    assert [sorted(output.data) for output in outputs] == [["image/png", "text/plain"], ["text/html", "text/plain"]]


def png(*pages: np.ndarray) -> str:
    """Pictures as a PNG, animated if there are several, in base64."""
    first, *others = map(Image.fromarray, pages)
    buffer = io.BytesIO()
    first.save(buffer, "PNG", **({"save_all": True, "append_images": others} if others else {}))
    return base64.b64encode(buffer.getvalue()).decode()


def test_tidying_makes_figures_of_photographs_smaller_and_leaves_others(build):
    noise = np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)
    pale = np.dstack([noise, np.full((120, 150), 100, np.uint8)])
    kept = [png(noise[:20, :20]), png(noise, noise[::-1]), png(pale)]  # small; a player's frames; see-through
    outputs = tidied(build, *(new_output("display_data", data={"image/png": data}) for data in [png(noise), *kept]))
    made, *others = (output.data["image/png"] for output in outputs)
    assert others == kept
    assert len(made) < len(png(noise)) / 2
    with Image.open(io.BytesIO(base64.b64decode(made))) as picture:
        shown = np.asarray(picture.convert("RGB")).astype(int)
    assert shown.shape == noise.shape
    assert np.abs(shown - noise).mean() < 20  # the worst there is: every pixel another color


def test_tidying_drops_bars_and_addresses_and_joins_prints(build):
    outputs = tidied(
        build,
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stderr", text="\r 50%|#####     | 1/2"),
        new_output("stream", name="stdout", text="b\n"),
        new_output("execute_result", data={"text/plain": "<f at 0x7f00deadbeef>"}),
    )
    assert [output.output_type for output in outputs] == ["stream", "execute_result"]
    assert outputs[0].text == "a\nb\n"
    assert outputs[1].data["text/plain"] == "<f at 0x…>"


@pytest.mark.parametrize(
    "output",
    [
        new_output("stream", name="stderr", text="UserWarning: no\n"),
        new_output("error", ename="ValueError", evalue="no", traceback=[]),
    ],
    ids=["warning", "error"],
)
def test_tidying_refuses_warnings_and_errors(build, output):
    with pytest.raises(build.ChapterError, match="no"):
        tidied(build, output)


def test_a_cell_that_fails_names_the_error(build, example, tmp_path):
    edit(example, "print(gray > 0.5)", 'print(gray > 0.5)\nraise ValueError("deliberate")')
    with pytest.raises(build.ChapterError, match="deliberate"):
        build.build(example)
    assert not build.targets(example)[1].exists()


def test_the_example_runs_and_tells_answers_apart(build, example, classroom):
    build.build(example)
    assert build.out_of_step(example) == []
    solved = nbformat.read(build.targets(example)[1], as_version=4)
    assert solved.cells[-1].outputs[0].text.startswith("✓")
    blank = nbformat.read(build.targets(example)[0], as_version=4)
    assert blank.cells[-1].outputs[0].text.startswith("✗")
    with classroom(example) as room:
        said = verdicts(build.exercises(build.read(example))[0], room)
        assert {kind: {text[0] for text in texts} for kind, texts in said.items()} == {
            "blank": {"✗"},
            "wrong": {"✗"},
            "solved": {"✓"},
        }
        offline = room.run(
            "import socket, urllib.request\n"
            "for go in (lambda: urllib.request.urlopen('http://example.org', timeout=5),\n"
            "           lambda: socket.create_connection(('192.0.2.1', 80), timeout=5)):\n"
            "    try:\n        go()\n    except OSError as error:\n        print('refused', error)\n"
        )
        assert [line.split()[0] for line in offline.splitlines()] == ["refused", "refused"]
        assert "must run without one" in offline


def test_the_example_breaks_only_the_rules_that_its_size_excuses(build, example):
    broken = rules_broken(build, example)
    assert len(broken) == 2
    assert "sections are missing" in broken[0]
    assert "1 exercises" in broken[1]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("# # 98 · A threshold", "# # A threshold", "the first line"),
        ("# ## The problem", "# ## Summary", "sections are missing"),
        ("# ## Set-up", "# ## The problem", "missing: ['Set-up'"),
        ("print(gray > 0.5)", "\n".join(f"print({i})" for i in range(25)), "26 lines in one cell"),
        ("print(gray > 0.5)", "\n".join(f"print({i})" for i in range(15)), "1 of 4 code cells have more than 15"),
        ('check("98.1 ', 'check("98.2 ', "does not begin with: 98.1"),
    ],
)
def test_the_rules_of_thumb_are_held(build, example, old, new, rule):
    edit(example, old, new)
    assert any(rule in text for text in rules_broken(build, example))


def test_sections_out_of_order_and_exercises_without_wrong_answers_are_noticed(build, example):
    text = example.read_text(encoding="utf-8")
    text = text.replace("# ## Set-up", "# ## Later").replace("# ## The problem", "# ## Set-up")
    text = text.replace("# ## Later", "# ## The problem").replace('tags=["wrong"]', 'tags=["other"]')
    example.write_text(text, encoding="utf-8")
    broken = "\n".join(rules_broken(build, example))
    assert "not in the order" in broken
    assert "no wrong answer to exercise 1" in broken
