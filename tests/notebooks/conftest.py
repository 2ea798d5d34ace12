"""The build tool as a module, the chapters' sources, and a kernel in which to try answers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load_build() -> ModuleType:
    if "seglab_notebooks_build" not in sys.modules:
        spec = importlib.util.spec_from_file_location("seglab_notebooks_build", ROOT / "notebooks" / "build.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return sys.modules["seglab_notebooks_build"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test that asks for a ``chapter`` every source there is."""
    if "chapter" in metafunc.fixturenames:
        chapters = _load_build().sources()
        metafunc.parametrize("chapter", chapters, ids=[path.stem for path in chapters])


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """``notebooks/build.py``."""
    return _load_build()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The source that CONTRIBUTING.md shows, in a course of its own."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 1
    path = tmp_path / "notebooks" / "source" / "98_threshold.py"
    path.parent.mkdir(parents=True)
    path.write_text(blocks[0], encoding="utf-8")
    return path


@pytest.fixture
def classroom(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Open a chapter as a student finds it: ``with classroom(source) as room`` runs it from its first to its last cell.

    The kernel runs in a copy of the notebooks' folder, offline. ``room.notebook`` holds the outputs, ``room.seconds``
    the time from the start of the kernel, and ``room.run(source)`` runs one more cell and returns what it printed.
    """
    guard = str(Path(__file__).parent / "offline")
    paths = [guard, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    @contextmanager
    def enter(source: Path) -> Iterator[SimpleNamespace]:
        import time

        folder = tmp_path / "room"
        folder.mkdir()
        images = source.parent.parent / "images"
        if images.is_dir():
            shutil.copytree(images, folder / "images")
        notebook = build.make(source, solved=False)
        runner = build.client(notebook, folder)
        start = time.perf_counter()
        with runner.setup_kernel(env=build.environment()):
            for index, cell in enumerate(notebook.cells):
                runner.execute_cell(cell, index)
            seconds = time.perf_counter() - start
            last = max(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")

            def run(text: str) -> str:
                cell = notebook.cells[last]
                cell.source = text
                runner.execute_cell(cell, last)
                assert not [output for output in cell.outputs if output.output_type == "error"]
                return "".join(output.text for output in cell.outputs if output.output_type == "stream")

            yield SimpleNamespace(notebook=notebook, seconds=seconds, run=run, folder=folder)

    return enter
