"""What all tests share: one thread, no window, no chance, and resources that are skipped visibly where absent."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

# Before NumPy and torch are imported: with several workers, more threads than cores only get into each other's way.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["MPLBACKEND"] = "Agg"

import hypothesis
import pytest
import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

hypothesis.settings.register_profile(
    "seglab",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("seglab")

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = set(filter(None, os.environ.get("SEGLAB_REQUIRE", "").replace(" ", "").split(",")))


def data_folder() -> Path | None:
    """The folder of the real data sets, or None."""
    named = os.environ.get("SEGLAB_DATA")
    return Path(named).resolve() if named and Path(named).is_dir() else None


def chromium() -> str | None:
    """The path of a Chromium: the one that SEGLAB_CHROMIUM names, the system's, or Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = os.environ.get("SEGLAB_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    caches = os.environ.get("PLAYWRIGHT_BROWSERS_PATH"), Path.home() / ".cache/ms-playwright"
    for cache in filter(None, caches):
        for path in sorted(Path(cache).glob("chromium-*/chrome-linux*/chrome")):
            return str(path)
    return None


def _missing(marker: str) -> str | None:
    """Why tests with a marker cannot run here, or None."""
    if marker == "data" and data_folder() is None:
        return "no real data: SEGLAB_DATA names no folder"
    if marker == "browser" and chromium() is None:
        return "no Chromium found: install it, or name it in SEGLAB_CHROMIUM"
    if marker == "gpu" and not torch.cuda.is_available():
        return "no CUDA device"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in ("data", "browser", "gpu"):
        if item.get_closest_marker(marker) and (reason := _missing(marker)):
            (pytest.fail if marker in REQUIRED else pytest.skip)(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest."""
    items.sort(key=lambda item: 0 if item.get_closest_marker("browser") or item.get_closest_marker("notebook") else 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Let one worker drive the browser. Groups by mark, which xdist writes into a test's name, are lost on pytest 9."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneBrowser(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if nodeid.startswith("tests/browser/") else nodeid

    return OneBrowser(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def seglab_data() -> Path:
    """The folder of the real data sets; a test that asks for it is marked ``data``."""
    folder = data_folder()
    if folder is None:
        reason = _missing("data") or ""
        (pytest.fail if "data" in REQUIRED else pytest.skip)(reason)
        raise AssertionError
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of a Chromium; a test that asks for it is marked ``browser``."""
    found = chromium()
    if found is None:
        (pytest.fail if "browser" in REQUIRED else pytest.skip)(_missing("browser") or "")
        raise AssertionError
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """Playwright's launch options: the system's Chromium, which as root needs its sandbox off."""
    found = chromium()
    root_user = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = ["--no-sandbox"] if root_user else []
    return {**browser_type_launch_args, **({"executable_path": found} if found else {}), "args": arguments}


@pytest.fixture(autouse=True)
def _close_figures():
    """Leave no figure open for the next test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
