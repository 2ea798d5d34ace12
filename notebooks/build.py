"""Make each chapter's two notebooks from its reviewed source.

    python notebooks/build.py                       all chapters whose source has changed (run only if code has)
    python notebooks/build.py 03_kmeans             this one, always, from a clean start
    python notebooks/build.py --no-execute 03       quickly, without outputs, while writing
    python notebooks/build.py --check               change nothing; fail where a pair is out of step

From ``notebooks/source/03_kmeans.py`` come ``notebooks/03_kmeans.ipynb``, where exercises are blank, and
``notebooks/solutions/03_kmeans.ipynb``, where they are solved; both executed. CONTRIBUTING.md says how a source is
written. Widgets' states are not kept (they are large, and dead without a kernel), their static fallbacks are.
"""

from __future__ import annotations

import argparse
import ast
import base64
import copy
import hashlib
import io
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "source"
SOLUTIONS = HERE / "solutions"

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's own marks and stub
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TAGS = {"exercise", "check", "wrong"}
WIDGET = "application/vnd.jupyter.widget-view+json"
PALETTE = 30_000  # bytes; larger figures get a palette
SECONDS = 120  # what a chapter may take from restart to its last cell, on two cores

_PROGRESS = re.compile(r"\r|\d+%\|")  # a bar in text
_NOISE = re.compile(r"Matplotlib is building the font cache")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


class ChapterError(Exception):
    """A source breaks the conventions, or its notebook does not run as it should."""


@dataclass
class Exercise:
    """One exercise: the cell to be filled in, answers known to be wrong, and the cell that checks."""

    number: int
    solution: NotebookNode
    check: NotebookNode
    wrong: list[NotebookNode] = field(default_factory=list)

    @property
    def blank(self) -> str:
        """The cell as the student finds it."""
        return clear(self.solution.source)


# ---------------------------------------------------------------------------------------------------- reading a source


def sources(names: Sequence[str] = (), folder: Path = SOURCE) -> list[Path]:
    """The chapters' sources, all or those whose stems start with one of the names."""
    every = sorted(path for path in folder.glob("[0-9][0-9]_*.py"))
    if not names:
        return every
    chosen = []
    for name in names:
        stem = Path(name).stem
        found = [path for path in every if path.stem == stem] or [p for p in every if p.stem.startswith(stem)]
        if not found:
            raise ChapterError(f"no chapter is called {name!r}; there are: {', '.join(p.stem for p in every)}")
        chosen += found
    return chosen


def read(path: Path) -> NotebookNode:
    """A source as a notebook, with the cells in their order and their tags in the metadata."""
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in ("tags", "points")}
    return notebook


def digest(cells: Sequence[NotebookNode]) -> str:
    """The hash of what runs: outputs are of this code, whatever the prose around it."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    return hashlib.sha256("\f".join(code).encode()).hexdigest()


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", ()))


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a source: ``exercise``, then any ``wrong`` and one ``check``, in either order.

    Raises
    ------
    ChapterError
        A mark is missing, is at the top level (where a blank would stop the whole notebook) or stands elsewhere.
    """
    found: list[tuple[NotebookNode, list[NotebookNode], list[NotebookNode]]] = []
    for cell in notebook.cells:
        mine = tags(cell) & TAGS
        if len(mine) > 1:
            raise ChapterError(f"a cell is one of exercise, check and wrong; this is {sorted(mine)}:\n{cell.source}")
        if "exercise" in mine:
            found.append((cell, [], []))
        elif mine and not found:
            raise ChapterError(f"a {mine.pop()} cell comes before any exercise:\n{cell.source}")
        elif mine:
            found[-1][1 if "wrong" in mine else 2].append(cell)
        if "exercise" not in mine and (BEGIN in cell.source or END in cell.source):
            raise ChapterError(f"a solution stands in a cell that is not tagged exercise:\n{cell.source}")
    return [_exercise(number, *parts) for number, parts in enumerate(found, 1)]


def _exercise(number: int, cell: NotebookNode, wrong: list[NotebookNode], checks: list[NotebookNode]) -> Exercise:
    if cell.cell_type != "code" or len(checks) != 1:
        raise ChapterError(f"an exercise is a code cell, with one check after it (not {len(checks)}):\n{cell.source}")
    if clear(cell.source) == cell.source:
        raise ChapterError(f"an exercise has no {BEGIN} … {END}:\n{cell.source}")
    for node in ast.parse(clear(cell.source)).body:
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if not in_function and any(isinstance(part, ast.Raise) for part in ast.walk(node)):
            raise ChapterError(
                f"a solution stands at the top level, where its blank would stop the notebook; put it into a "
                f"function that the check calls:\n{cell.source}"
            )
    return Exercise(number, cell, checks[0], wrong)


def clear(source: str) -> str:
    """Put nbgrader's stub where solutions stand.

    Raises
    ------
    ChapterError
        A mark has no partner.
    """
    lines: list[str] = []
    inside = False
    for line in source.split("\n"):
        if line.strip() in (BEGIN, END):
            if (line.strip() == BEGIN) == inside:
                raise ChapterError(f"{line.strip()} without its partner:\n{source}")
            inside = not inside
            if inside:
                indent = line[: line.index(BEGIN)]
                lines += [indent + stub for stub in STUB]
        elif not inside:
            lines.append(line)
    if inside:
        raise ChapterError(f"{BEGIN} without {END}:\n{source}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ making the notebooks


def pair(path: Path) -> tuple[NotebookNode, NotebookNode]:
    """The blank and the solved notebook of a source, not executed."""
    return make(path, solved=False), make(path, solved=True)


def make(path: Path, *, solved: bool) -> NotebookNode:
    """One notebook of a source, not executed."""
    notebook = read(path)
    by_cell = {id(e.solution): (e, "solution") for e in exercises(notebook)}
    by_cell |= {id(e.check): (e, "check") for e in exercises(notebook)}
    seen: dict[str, int] = {}
    cells = []
    for cell in notebook.cells:
        if "wrong" in tags(cell):
            continue
        fresh = copy.deepcopy(cell)
        fresh.id = _cell_id(cell, seen)
        points = fresh.metadata.pop("points", 1)
        if id(cell) in by_cell:
            exercise, role = by_cell[id(cell)]
            fresh.metadata["nbgrader"] = _nbgrader(path.stem, exercise.number, role, points)
            fresh.source = cell.source if solved else clear(cell.source)
        cells.append(fresh)
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "seglab": {"source": f"source/{path.name}", "sha256": digest(cells)},
        }
    )
    made.nbformat_minor = 5
    return made


def _cell_id(cell: NotebookNode, seen: dict[str, int]) -> str:
    """An id that depends on the cell's own text, so that other cells' ids survive an edit."""
    text = f"{cell.cell_type}\n{cell.source}"
    seen[text] = seen.get(text, 0) + 1
    return hashlib.sha256(f"{seen[text]}\n{text}".encode()).hexdigest()[:12]


def _nbgrader(stem: str, number: int, role: str, points: int) -> dict[str, Any]:
    solution = role == "solution"
    about = {
        "schema_version": 3,
        "grade": not solution,
        "grade_id": f"{stem}-{number}" + ("" if solution else "-check"),
        "locked": not solution,
        "solution": solution,
        "task": False,
    }
    return about if solution else {**about, "points": points}


# -------------------------------------------------------------------------------------------------- running and tidying


def environment() -> dict[str, str]:
    """What a chapter's kernel sees: no data folder, no network, so that outputs are those of a fresh clone."""
    closed = "http://127.0.0.1:9"  # the discard port: whoever asks the network is refused at once
    left_out = ("SEGLAB_DATA", "NBGRADER_EXECUTION", "MPLBACKEND")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    proxies = {name: closed for word in ("http", "https", "all") for name in (f"{word}_proxy", f"{word}_proxy".upper())}
    local = "localhost,127.0.0.1,::1"
    return {**kept, **proxies, "no_proxy": local, "NO_PROXY": local, "PYTHONHASHSEED": "0"}


def client(notebook: NotebookNode, folder: Path = HERE, seconds: float = SECONDS) -> NotebookClient:
    """A client that runs a notebook's cells in a folder."""
    return NotebookClient(
        notebook,
        timeout=seconds,
        startup_timeout=60,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )


def run(notebook: NotebookNode, folder: Path = HERE, seconds: float = SECONDS) -> float:
    """Execute a notebook in place and tidy its outputs; return the seconds that it took.

    Raises
    ------
    ChapterError
        A cell fails, takes too long or writes to the error stream.
    """
    start = time.perf_counter()
    try:
        client(notebook, folder, seconds).execute(env=environment())
    except CellExecutionError as error:
        raise ChapterError(_COLOR.sub("", str(error))) from None
    except TimeoutError as error:
        raise ChapterError(f"a cell takes more than {seconds:.0f} s: {error}") from None
    seconds_taken = time.perf_counter() - start
    tidy(notebook)
    return seconds_taken


def tidy(notebook: NotebookNode) -> None:
    """Keep of the outputs what a page can show: no widgets' state, no bars, no times, no addresses."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(_tidy_outputs(cell))


def _tidy_outputs(cell: NotebookNode) -> Iterator[NotebookNode]:
    last: NotebookNode | None = None
    for output in cell.outputs:
        if output.output_type == "error":
            raise ChapterError(f"a cell ends in an error:\n{cell.source}\n{output.ename}: {output.evalue}")
        if output.output_type == "stream":
            if output.name == "stderr":
                _check_stderr(output.text, cell.source)
                continue
            if last is not None and last.output_type == "stream":
                last.text += output.text
                continue
        elif not _tidy_bundle(output):
            continue
        last = output
        yield output


def _check_stderr(text: str, source: str) -> None:
    for line in text.split("\n"):
        if line.strip() and not _PROGRESS.search(line) and not _NOISE.search(line):
            raise ChapterError(f"a cell writes to the error stream (a warning?):\n{source}\n{text}")


def _tidy_bundle(output: NotebookNode) -> bool:
    """Strip one display of what is dead on a page; False where nothing else is left."""
    data = output.data
    if data.pop(WIDGET, None) is not None and set(data) <= {"text/plain"}:
        return False
    output.get("metadata", {}).pop(WIDGET, None)
    for kind in ("text/plain", "text/html"):
        if isinstance(data.get(kind), str):
            data[kind] = _ADDRESS.sub(" at 0x…", data[kind])
    if isinstance(data.get("image/png"), str):
        data["image/png"] = _smaller(data["image/png"])
    return True


def _smaller(figure: str) -> str:
    """A figure (base64) in a palette of 256 colors where that saves something: photographs take a third."""
    png = base64.b64decode(figure)
    if len(png) < PALETTE:
        return figure
    with Image.open(io.BytesIO(png)) as picture:
        see_through = picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema()[0] < 255
        if picture.mode == "P" or see_through or getattr(picture, "is_animated", False):
            return figure
        buffer = io.BytesIO()
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode() if buffer.tell() < len(png) else figure


# ----------------------------------------------------------------------------------------------------------- in step?


def targets(path: Path) -> tuple[Path, Path]:
    """Where the blank and the solved notebook of a source lie."""
    root = path.parent.parent
    return root / f"{path.stem}.ipynb", root / "solutions" / f"{path.stem}.ipynb"


def out_of_step(path: Path) -> list[str]:
    """What is wrong with the notebooks of a source: one line for each; empty where they are in step and executed."""
    problems = []
    for made, target in zip(pair(path), targets(path), strict=True):
        name = f"{target.parent.name}/{target.name}"
        if not target.exists():
            problems.append(f"{name} is missing")
            continue
        found = nbformat.read(target, as_version=4)
        if [_identity(cell) for cell in found.cells] != [_identity(cell) for cell in made.cells]:
            problems.append(f"{name}: its cells are not those of the source")
        elif found.metadata.get("seglab") != made.metadata["seglab"]:
            problems.append(f"{name}: its outputs are of another version of the source")
        elif any(not cell.execution_count for cell in found.cells if cell.cell_type == "code" and cell.source.strip()):
            problems.append(f"{name}: it has not been executed")
        if found.metadata.get("widgets"):
            problems.append(f"{name}: holds the state of widgets")
    return problems


def _identity(cell: NotebookNode) -> tuple[Any, ...]:
    return cell.id, cell.cell_type, cell.source, cell.metadata.get("nbgrader"), cell.metadata.get("tags")


def _reuse_outputs(made: NotebookNode, target: Path) -> bool:
    """Take the outputs over from the notebook that lies there, if it has run the same code."""
    if not target.exists():
        return False
    old = nbformat.read(target, as_version=4)
    before, after = ([cell for cell in nb.cells if cell.cell_type == "code"] for nb in (old, made))
    if digest(before) != made.metadata["seglab"]["sha256"] or any(c.source and not c.execution_count for c in before):
        return False
    for old_cell, new_cell in zip(before, after, strict=True):
        new_cell.outputs, new_cell.execution_count = old_cell.outputs, old_cell.execution_count
    return True


def build(path: Path, *, execute: bool = True, reuse: bool = False) -> list[float]:
    """Write both notebooks of a source; return the seconds that each took to run.

    With ``reuse``, a notebook whose code is as it was (only prose has changed) keeps its outputs.
    """
    seconds = []
    for made, target in zip(reversed(pair(path)), reversed(targets(path)), strict=True):  # solved first: fails earlier
        if execute and not (reuse and _reuse_outputs(made, target)):
            seconds.append(run(made, folder=path.parent.parent))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        nbformat.write(made, partial)
        partial.replace(target)
    return seconds[::-1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 1 where a chapter fails or is out of step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="chapters, such as 03_kmeans or 03; all that have changed by default")
    parser.add_argument("--check", action="store_true", help="change nothing; say which notebooks are out of step")
    parser.add_argument("--no-execute", action="store_true", help="write the notebooks without outputs")
    options = parser.parse_args(argv)
    status = 0
    try:
        chosen = sources(options.names)
    except ChapterError as error:
        parser.error(str(error))
    for path in chosen:
        try:
            problems = out_of_step(path)
            if options.check:
                print("\n".join(problems) or f"{path.stem}: in step")
                status |= bool(problems)
            elif problems or options.names:
                seconds = build(path, execute=not options.no_execute, reuse=not options.names)
                print(f"{path.stem}: written, " + (" + ".join(f"{s:.0f} s" for s in seconds) or "not run"), flush=True)
            else:
                print(f"{path.stem}: in step")
        except ChapterError as error:
            print(f"{path.stem}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
