"""Tests whose resources are absent are skipped visibly; where the resource is required, they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parent / "conftest.py"
TESTS = """
import pytest

@pytest.mark.data
def test_data(seglab_data):
    assert seglab_data.is_dir()

@pytest.mark.browser
def test_browser(chromium_path):
    assert chromium_path

@pytest.mark.gpu
def test_gpu():
    pass

def test_plain():
    import os, torch
    assert torch.get_num_threads() == 1
    assert os.environ["MPLBACKEND"] == "Agg"

def test_figures_are_closed_after_a_test():
    import matplotlib.pyplot as plt
    plt.figure()

def test_none_is_left():
    import matplotlib.pyplot as plt
    assert not plt.get_fignums()
"""
SETTINGS = "[pytest]\nmarkers =\n    data\n    browser\n    gpu\n    notebook\n"


@pytest.fixture
def outcome(tmp_path):
    """Run the tests above with some variables set; return what became of each, and all that was said."""
    shutil.copy(CONFTEST, tmp_path / "conftest.py")
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(SETTINGS)

    def run(**variables: str) -> tuple[dict[str, str], str]:
        left_out = ("SEGLAB_DATA", "SEGLAB_REQUIRE", "SEGLAB_CHROMIUM", "OMP_NUM_THREADS", "PYTEST_ADDOPTS")
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        nowhere = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path), "HOME": str(tmp_path)}
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", "test_it.py"],
            cwd=tmp_path,
            env={**kept, **nowhere, "CUDA_VISIBLE_DEVICES": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        lines = [line.split() for line in result.stdout.split("\n") if line.startswith("test_it.py::")]
        return {words[0].removeprefix("test_it.py::test_"): words[1] for words in lines}, result.stdout

    return run


OTHERS = {"plain": "PASSED", "figures_are_closed_after_a_test": "PASSED", "none_is_left": "PASSED"}


def test_what_is_absent_is_skipped_and_named(outcome):
    became, said = outcome()
    assert became == {**OTHERS, "data": "SKIPPED", "browser": "SKIPPED", "gpu": "SKIPPED"}
    for reason in ("SEGLAB_DATA names no folder", "no Chromium found", "no CUDA device"):
        assert reason in said


def test_what_is_required_fails_instead(outcome):
    became, _ = outcome(SEGLAB_REQUIRE="browser,data,gpu")
    failures = {name for name, word in became.items() if word in ("FAILED", "ERROR")}
    assert failures == {"data", "browser", "gpu"}


def test_what_is_there_is_used(outcome, tmp_path):
    became, _ = outcome(SEGLAB_DATA=str(tmp_path), SEGLAB_CHROMIUM=sys.executable, SEGLAB_REQUIRE="browser,data")
    assert became == {**OTHERS, "data": "PASSED", "browser": "PASSED", "gpu": "SKIPPED"}
