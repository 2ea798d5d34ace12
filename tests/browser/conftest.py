"""A real JupyterLab, Notebook 7 and Voila (one server) in a real Chromium, on notebooks that are made here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

expect.set_options(timeout=20_000)

SETTINGS = {  # quiet, the same each time, every cell in the page
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
FOREIGN = (  # what the front ends say of themselves: Notebook 7 of its own plugins, Voila of scripts on the network
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered",
    "net::ERR_",
    "voila.js",
)
RUN = """seconds => Promise.race([window.jupyterapp.commands.execute('notebook:run-all-cells'),
    new Promise((_, no) => setTimeout(() => no(new Error('the cells took too long')), seconds * 1000))])"""
STDERR = "[data-mime-type='application/vnd.jupyter.stderr']"  # tracebacks and stderr, of callbacks too
SCENE = "from seglab import datasets\nscene = datasets.shapes(height=90, width=120, seed=0)"
NOTEBOOKS = {
    "player": [
        SCENE,
        "from seglab.methods import KMeans\nfrom seglab.widgets import step_through\n"
        "step_through(KMeans(n_clusters=4, max_iter=8), scene.image, interval=100)",
    ],
    "explorer": [
        SCENE,
        "from seglab.methods import KMeans\nfrom seglab.widgets import explore\nexplorer = explore(KMeans, 'coins')\n"
        "explorer",
    ],
    "seeds": [
        SCENE,
        "from seglab.methods import RegionGrowing\nfrom seglab.widgets import explore\n"
        "explorer = explore(RegionGrowing(threshold=0.15), 'coins')\nexplorer",
    ],
    "comparison": [
        SCENE,
        "from seglab.methods import KMeans, Thresholding\nfrom seglab.widgets import compare\n"
        "compare([KMeans(n_clusters=3), KMeans(n_clusters=5), Thresholding()],\n"
        "        {'scene': scene.image, 'other': datasets.shapes(height=90, width=120, seed=1).image},\n"
        "        {'scene': scene.instances})",
    ],
    "cuts": [
        SCENE,
        "from seglab.methods import SLIC\nfrom seglab.region_graph import merge_hierarchical\n"
        "from seglab.widgets import explore_cuts\nsuperpixels = SLIC(n_segments=80).segment(scene.image).labels\n"
        "tree = merge_hierarchical(superpixels, scene.image, 'boundary')\n"
        "explore_cuts(tree, scene.image, scene.instances, thresholds=9, title='a map')",
    ],
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory):
    """The address of a server whose folder holds the notebooks."""
    tmp = tmp_path_factory.mktemp("jupyter")
    if "PYTEST_XDIST_WORKER" in os.environ:
        (tmp.parent.parent / "browser").mkdir()  # which fails if another worker has a server too
    (tmp / "work").mkdir()
    for name, cells in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, tmp / "work" / f"{name}.ipynb")
    for name, value in SETTINGS.items():
        file = tmp / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    folders |= {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run"}
    folders |= {"IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib", "HOME": "."}
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    env = {**kept, **{name: str(tmp / folder) for name, folder in folders.items()}, "OMP_NUM_THREADS": "1"}
    log = tmp / "server.log"
    with open(log, "w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
             "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
             f"--ServerApp.root_dir={tmp / 'work'}",
             "--LabApp.extension_manager=readonly", "--LabApp.news_url=None", "--LabApp.expose_app_in_browser=True",
             "--JupyterNotebookApp.expose_app_in_browser=True"],
            env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the server ends its kernels itself
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("JupyterLab did not start:\n" + log.read_text()[-3000:])
        try:
            urllib.request.urlopen(url + "/api/status", timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)  # between two looks at a server that starts, not in a test


@pytest.fixture(scope="session")
def context(browser):
    """One context for all: JupyterLab's scripts are loaded once."""
    made = browser.new_context(
        viewport={"width": 1300, "height": 1400}, permissions=["clipboard-read", "clipboard-write"]
    )
    yield made
    made.close()


@pytest.fixture(scope="session")
def tab(context):
    """The one page that all tests use, and a list of what its scripts complain of."""
    made, problems = context.new_page(), []
    made.set_default_timeout(30_000)
    made.on("pageerror", lambda error: problems.append(f"pageerror: {error}"))
    made.on("console", lambda m: problems.append(f"console: {m.text}") if m.type == "error" else None)
    yield made, problems
    made.close()


@pytest.fixture
def page(tab, request: pytest.FixtureRequest):
    """A page on which no script may fail; after a test that failed, an empty one."""
    made, problems = tab
    problems.clear()
    failed = request.session.testsfailed
    yield made
    late = made.locator(STDERR).all_inner_texts()
    ours = [problem for problem in problems if not any(known in problem for known in FOREIGN)]
    if late or ours or request.session.testsfailed > failed:
        made.goto("about:blank")
    assert not late, late
    assert not ours, ours


@pytest.fixture
def open_notebook(server, page):
    """``open_notebook("player")`` opens a notebook, runs it, and returns where its outputs are.

    One that is open in JupyterLab already runs again, in its kernel: new outputs, without the wait for both to start.
    """

    def go(name: str, where: str = "lab/tree"):
        again = where == "lab/tree" and page.url == f"{server}/{where}/{name}.ipynb"
        if not again:
            _end_kernels(server)
            page.goto(f"{server}/{where}/{name}.ipynb" + ("?reset" if where == "lab/tree" else ""))
        if where == "voila/render":
            page.wait_for_selector(".seglab", timeout=120_000)
            return page.locator("body")
        notebook = page.locator(".jp-NotebookPanel:visible")
        notebook.wait_for(timeout=90_000)
        page.wait_for_function(IDLE, timeout=90_000)
        page.evaluate(RUN, 120)
        page.wait_for_function(IDLE, timeout=120_000)
        assert not notebook.locator(STDERR).all_inner_texts()
        return notebook

    return go


@pytest.fixture
def type_on(page):
    """``type_on(control)`` types the keys by which a notebook inserts, cuts and pastes cells: none may reach it."""

    def go(control) -> None:
        cells = page.locator(".jp-Cell").count()
        control.focus()
        for key in "baxvm":
            page.keyboard.press(key)
        expect(control).to_be_focused()
        expect(page.locator(".jp-Cell")).to_have_count(cells)

    return go


def _end_kernels(server: str) -> None:
    """End what earlier notebooks left running, for the memory."""
    with urllib.request.urlopen(f"{server}/api/sessions", timeout=20) as answer:
        sessions = json.load(answer)
    for session in sessions:
        request = urllib.request.Request(f"{server}/api/sessions/{session['id']}", method="DELETE")
        urllib.request.urlopen(request, timeout=20).close()
