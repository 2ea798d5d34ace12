"""The script ``run``: nothing real is installed here, a stand-in for pip says what pip would say."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
import urllib.request
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "run"

FAKE_PIP = """
import json, os, pathlib, sys
log = pathlib.Path(os.environ["FAKE_PIP_LOG"])
calls = json.loads(log.read_text()) if log.exists() else []
log.write_text(json.dumps([*calls, sys.argv[1:]]))
sys.stderr.write(os.environ.get("FAKE_PIP_SAYS", ""))
print("Collecting everything")
sys.exit(int(os.environ.get("FAKE_PIP_STATUS", "0")))
"""


def load(root: Path = ROOT) -> types.ModuleType:
    """The script as a module."""
    module = types.ModuleType("seglab_run")
    module.__file__ = str(root / "run")
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(root / "run"), "exec"), module.__dict__)
    return module


@pytest.fixture
def run() -> types.ModuleType:
    return load()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the project's bare bones with a stand-in for pip; calling it runs the script as a user does."""
    folder = tmp_path / "a project"  # a space, as in many home folders
    folder.mkdir()
    for name in ("run", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    fakes = tmp_path / "fakes"
    (fakes / "pip").mkdir(parents=True)
    (fakes / "pip" / "__init__.py").write_text("")
    (fakes / "pip" / "__main__.py").write_text(FAKE_PIP)
    log = tmp_path / "pip.json"
    for name in ("SEGLAB_VENV", "VIRTUAL_ENV", "CONDA_PREFIX", "SEGLAB_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(fakes))
    monkeypatch.setenv("FAKE_PIP_LOG", str(log))

    def call(*arguments, **variables):
        return subprocess.run(
            [sys.executable, str(folder / "run"), *arguments],
            env={**os.environ, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def make_environment(path=None):
        venv.create(path or folder / ".venv", with_pip=False, symlinks=os.name != "nt")

    return types.SimpleNamespace(
        call=call,
        folder=folder,
        venv=folder / ".venv",
        make_environment=make_environment,
        pip=lambda: json.loads(log.read_text()) if log.exists() else [],
    )


def test_old_pythons_can_read_it_to_tell_their_users():
    text = SCRIPT.read_text(encoding="ascii")
    tree = ast.parse(text, feature_version=(3, 4))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr)]
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no executable bit")
def test_is_executable():
    assert os.access(SCRIPT, os.X_OK)
    assert SCRIPT.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_python_too_old_is_said(run, monkeypatch, capsys):
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 7))
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    assert run.main(["lab"]) == 1
    assert "needs Python 3.11 or later" in capsys.readouterr().err


def test_python_too_old_but_a_newer_one_is_there(run, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 7))
    monkeypatch.setattr(run.shutil, "which", lambda name: sys.executable if name == "python3.12" else None)
    asked = []
    monkeypatch.setattr(run.subprocess, "Popen", lambda command: asked.append(command))
    monkeypatch.setattr(run, "wait", lambda process: 7)
    assert run.main(["test", "-x"]) == 7
    assert asked == [[sys.executable, str(SCRIPT), "test", "-x"]]


def test_minimum_is_that_of_the_project(run):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">={}.{}"'.format(*run.MINIMUM) in text


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",), ("--here", "--help")])
def test_help_lists_every_command_and_installs_nothing(run, project, arguments):
    result = project.call(*arguments)
    assert result.returncode == 0
    for name in run.COMMANDS:
        assert f"./run {name} " in result.stdout
    assert not project.venv.exists()


def test_unknown_command_is_refused(project):
    result = project.call("labb")
    assert result.returncode == 2
    assert "labb" in result.stderr
    assert "doctor" in result.stderr
    assert "Traceback" not in result.stderr


def test_setup_installs_once_with_pins_and_again_only_when_they_change(project):
    project.make_environment()
    result = project.call("setup")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""  # what pip prints does not mix with a command's own output
    (call,) = project.pip()
    assert call[0] == "install"
    assert call[call.index("-c") + 1] == str(project.folder / "constraints.txt")
    assert call[call.index("-e") + 1] == f"{project.folder}[test]"
    assert project.call("setup").returncode == 0
    assert len(project.pip()) == 1
    with (project.folder / "constraints.txt").open("a") as file:
        file.write("# another pin\n")
    assert project.call("setup").returncode == 0
    assert len(project.pip()) == 2


def test_what_a_command_needs_is_added_and_kept(project):
    project.make_environment()
    assert project.call("python", "-c", "pass").returncode == 0
    assert project.pip()[-1][-1] == str(project.folder)
    assert project.call("setup").returncode == 0
    assert project.pip()[-1][-1].endswith("[test]")
    assert project.call("python", "-c", "pass").returncode == 0
    assert len(project.pip()) == 2
    with (project.folder / "constraints.txt").open("a") as file:
        file.write("# another pin\n")
    assert project.call("python", "-c", "pass").returncode == 0
    assert project.pip()[-1][-1].endswith("[test]")


def test_a_failed_installation_is_tried_again(project):
    project.make_environment()
    assert project.call("setup", FAKE_PIP_STATUS="1").returncode == 1
    assert project.call("setup").returncode == 0
    assert len(project.pip()) == 2


@pytest.mark.parametrize(
    ("says", "hint"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying ... NewConnectionError: [Errno -3] Temporary failure in name resolution", "PIP_FIND_LINKS"),
        ("socket.gaierror: [Errno 11001] getaddrinfo failed", "PIP_FIND_LINKS"),
        ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed'))", "HTTPS_PROXY"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
        ("ERROR: No matching distribution found for torch==2.13.0", "does not exist for this Python"),
        ("error: externally-managed-environment", "belongs to the system"),
        ("ERROR: something that nobody has seen", "the reason stands above"),
    ],
)
def test_pips_complaints_are_explained(project, says, hint):
    project.make_environment()
    result = project.call("setup", FAKE_PIP_STATUS="1", FAKE_PIP_SAYS=says + "\n")
    assert result.returncode == 1
    assert says in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr


def test_makes_an_environment_from_nothing_and_names_the_active_one(project):
    result = project.call("setup", VIRTUAL_ENV="/some/where")
    assert result.returncode == 0, result.stderr
    assert "/some/where" in result.stderr
    assert "--here" in result.stderr
    assert (project.venv / "pyvenv.cfg").exists()
    assert sorted(path.name for path in project.venv.glob(".seglab*")) == [".seglab.json"]


def test_an_environment_whose_making_was_cut_short_is_made_anew(project):
    project.venv.mkdir()
    (project.venv / ".seglab-making").write_text("")
    (project.venv / "rubbish").write_text("")
    assert project.call("setup").returncode == 0
    assert not (project.venv / "rubbish").exists()
    assert (project.venv / "pyvenv.cfg").exists()


def test_an_environment_that_was_begun_works_only_once_pip_is_there(run, project, monkeypatch):
    monkeypatch.delenv("PYTHONPATH")  # the stand-in for pip
    monkeypatch.setenv("SEGLAB_VENV", str(project.venv))
    project.make_environment()  # without pip
    assert run.Environment().works()  # somebody else's: pip is added to it
    (project.venv / ".seglab-making").write_text("")
    assert not run.Environment().works()


def test_an_environment_whose_python_is_gone_is_made_anew(run, project):
    project.make_environment()
    assert project.call("setup").returncode == 0
    for path in list((project.venv / ("Scripts" if os.name == "nt" else "bin")).glob("python*")):
        path.unlink()
    assert project.call("setup").returncode == 0
    assert len(project.pip()) == 2


def test_a_folder_of_the_users_is_never_removed(project, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    for command in (("setup",), ("clean", "--all")):
        result = project.call(*command, SEGLAB_VENV=str(precious))
        assert result.returncode == 1
        assert "no virtual environment" in result.stderr
    assert (precious / "thesis.txt").read_text() == "years"


def test_venv_missing_is_said(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SEGLAB_VENV", str(tmp_path / "env"))
    find = run.importlib.util.find_spec
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))
    assert run.main(["setup"]) == 1
    assert "python{}.{}-venv".format(*sys.version_info[:2]) in capsys.readouterr().err


def test_a_full_disk_is_said_before_anything_is_made(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SEGLAB_VENV", str(tmp_path / "env"))
    monkeypatch.setattr(run.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5 * 10**8))
    monkeypatch.setattr(run, "call_and_listen", lambda command, **options: (1, ""))
    assert run.main(["setup"]) == 1
    said = capsys.readouterr().err
    assert "0.5 GB free" in said
    assert "SEGLAB_VENV" in said
    assert not (tmp_path / "env").exists()


def test_a_disk_that_fills_up_on_the_way_is_said(run, monkeypatch, tmp_path, capsys):
    def full(self, extras):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("SEGLAB_VENV", str(tmp_path / "env"))
    monkeypatch.setattr(run.Environment, "make", lambda self: None)
    monkeypatch.setattr(run.Environment, "fill", full)
    assert run.main(["setup"]) == 1
    assert "disk is full" in capsys.readouterr().err


def test_interruption_is_quiet(run, monkeypatch, tmp_path, capsys):
    def interrupt(self, extras):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Environment, "ready", interrupt)
    assert run.main(["test"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_here_uses_the_active_environment_without_pins(run, monkeypatch, tmp_path):
    monkeypatch.setattr(run.sys, "prefix", str(tmp_path))
    heard = []
    monkeypatch.setattr(run, "call_and_listen", lambda command, **options: heard.append(command) or (0, ""))
    environment = run.Environment(here=True)
    environment.ready([])
    environment.ready([])
    assert heard == [[sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-e", str(ROOT)]]
    assert (tmp_path / ".seglab.json").exists()


def test_no_install_installs_nothing(project):
    result = project.call("--no-install", "setup")
    assert result.returncode == 1
    assert "--no-install" in result.stderr
    project.make_environment()
    assert project.call("--no-install", "python", "-c", "pass").returncode == 0
    assert project.pip() == []


@pytest.mark.parametrize("status", [0, 3])
def test_the_exit_status_is_that_of_the_command(project, status):
    project.make_environment()
    result = project.call("python", "-c", f"print('hello'); raise SystemExit({status})")
    assert result.returncode == status
    assert result.stdout == "hello\n"


def test_commands_run_in_the_environment(project):
    project.make_environment()
    code = "import sys, os, shutil; print(sys.prefix); print(os.environ['VIRTUAL_ENV']); print(shutil.which('python'))"
    prefix, active, python = project.call("python", "-c", code).stdout.split("\n")[:3]
    assert Path(prefix) == Path(active) == project.venv
    assert Path(python).parent.parent == project.venv


def test_modules_are_compiled_when_they_are_imported_and_that_is_kept(project):
    project.make_environment()
    (project.folder / "mine.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(project.folder)!r}); import mine"
    assert project.call("python", "-c", code, PYTHONDONTWRITEBYTECODE="1").returncode == 0
    assert all("--no-compile" in call for call in project.pip())
    assert project.pip()
    assert [path.name.split(".")[0] for path in project.folder.glob("__pycache__/*.pyc")] == ["mine"]


@pytest.fixture
def asked(run, monkeypatch):
    """What commands would run, instead of running it."""
    commands = []

    def python(self, arguments, cwd=None, extra=None):
        commands.append(types.SimpleNamespace(arguments=list(arguments), cwd=cwd, extra=extra or {}))
        return 0

    monkeypatch.setattr(run.Environment, "ready", lambda self, extras: commands.append(extras))
    monkeypatch.setattr(run.Environment, "python", python)
    return commands


def test_lab_opens_chapter_00(run, asked):
    assert run.main(["lab", "--no-browser"]) == 0
    assert asked[0] == []
    arguments = asked[1].arguments
    assert arguments[:2] == ["-m", "jupyterlab"]
    assert "--no-browser" in arguments
    opened = "--LabApp.default_url=/lab/tree/00_start_here.ipynb"
    assert (opened in arguments) == (ROOT / "notebooks" / "00_start_here.ipynb").exists()
    assert f"--ServerApp.root_dir={ROOT / 'notebooks'}" in arguments


@pytest.fixture
def lab(tmp_path):
    """JupyterLab, started by the script in the environment that runs the tests; nothing of it stays."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    keyboard, terminal = os.openpty()  # only on a terminal does it ask whether Ctrl-C was meant
    log = tmp_path / "log.txt"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "--here", "--no-install", "lab", "--IdentityProvider.token=", *options],
            env={**os.environ, **folders, "LANGUAGE": "C"},
            stdin=terminal,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield types.SimpleNamespace(
        url=f"http://127.0.0.1:{port}", process=process, says=lambda: log.read_text("utf-8", "replace")
    )
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(keyboard)
    os.close(terminal)


def until(look, seconds=120):
    """Look again and again until there is something to see, and return it; None when the time is up."""
    end = time.monotonic() + seconds
    while (seen := look()) is None and time.monotonic() < end:
        time.sleep(0.1)
    return seen


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are another matter on Windows")
def test_lab_serves_chapter_00_until_ctrl_c_is_pressed_twice(lab):
    def opened():
        assert lab.process.poll() is None, lab.says()
        with contextlib.suppress(OSError), urllib.request.urlopen(lab.url, timeout=20) as page:
            return page.url

    assert until(opened) == f"{lab.url}/lab/tree/00_start_here.ipynb", lab.says()
    with urllib.request.urlopen(f"{lab.url}/api/contents/00_start_here.ipynb", timeout=60) as answer:
        assert json.load(answer)["content"]["cells"][0]["source"].startswith("# 00")
    pressed = 0

    def ended():
        nonlocal pressed
        if lab.says().count("] interrupted") == pressed:  # it asks, and the next one is the answer
            os.killpg(lab.process.pid, signal.SIGINT)
            pressed += 1
        return lab.process.poll()

    assert until(ended) == 0, lab.says()
    assert pressed == 2
    with pytest.raises(ProcessLookupError):  # nobody is left behind
        os.killpg(lab.process.pid, 0)


def test_lab_opens_the_chapter_that_is_named(run, asked, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("00_start_here", "03_kmeans", "13_up_again"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("{}")
    monkeypatch.setattr(run, "ROOT", str(tmp_path))
    for name in ("3", "03", "03_kmeans", "kmeans", "notebooks/03_kmeans.ipynb"):
        assert run.main(["lab", name]) == 0
        assert asked[-1].arguments[-1] == "--LabApp.default_url=/lab/tree/03_kmeans.ipynb"
    assert run.main(["lab"]) == 0
    assert asked[-1].arguments[-1] == "--LabApp.default_url=/lab/tree/00_start_here.ipynb"
    assert run.main(["lab", "nothing"]) == 2


@pytest.mark.parametrize(
    ("arguments", "parallel"),
    [
        ([], True),
        (["-k", "kmeans", "-x"], True),
        (["-n", "3"], False),
        (["-n0"], False),
        (["--pdb"], False),
        (["--capture=no"], False),
        ([str(ROOT / "tests" / "test_run.py") + "::test_x"], False),
    ],
)
def test_test_runs_on_several_cores_where_that_helps(run, asked, arguments, parallel):
    assert run.main(["test", *arguments]) == 0
    assert asked[0] == ["test"]
    command = asked[1].arguments
    assert command[:2] == ["-m", "pytest"]
    assert ("loadgroup" in command) == parallel
    assert command[len(command) - len(arguments) :] == arguments
    assert asked[1].extra["OMP_NUM_THREADS"]


def test_lint_runs_all_checkers_and_fails_if_one_does(run, asked, monkeypatch):
    assert run.main(["lint"]) == 0
    assert [command.arguments[1] for command in asked[1:]] == ["ruff", "ruff", "mypy"]
    statuses = iter([0, 1, 0])
    monkeypatch.setattr(run.Environment, "python", lambda self, arguments: next(statuses))
    assert run.main(["lint"]) == 1
    assert next(statuses, None) is None


def test_other_commands_run_files_that_exist(run, asked):
    for command in ("notebooks", "bench"):
        assert run.main([command, "--help"]) == 0
        assert (ROOT / asked[-1].arguments[0]).is_file()
    assert run.main(["seglab", "methods"]) == 0
    assert asked[-1].arguments == ["-m", "seglab", "methods"]


def test_clean_removes_what_can_be_made_again_and_nothing_else(project):
    project.make_environment()
    for name in ("seglab/__pycache__", ".pytest_cache", "build", "notebooks/.ipynb_checkpoints", "notebooks/build"):
        (project.folder / name).mkdir(parents=True)
    inside = project.venv / "lib" / "__pycache__"
    inside.mkdir(parents=True)
    assert project.call("clean").returncode == 0
    left = {path.name for path in project.folder.iterdir()}
    assert left == {"run", "pyproject.toml", "constraints.txt", "seglab", "notebooks", ".venv"}
    assert [path.name for path in (project.folder / "notebooks").iterdir()] == ["build"]
    assert inside.exists()
    assert project.call("clean", "--all").returncode == 0
    assert not project.venv.exists()
    assert project.call("clean", "everything").returncode == 2


def test_doctor_says_what_is_there(project):
    result = project.call("doctor")
    assert result.returncode == 1
    assert "missing" in result.stdout
    assert "./run setup" in result.stderr
    project.make_environment()
    result = project.call("doctor")
    assert "not installed by ./run" in result.stdout
    assert "MISSING" in result.stdout  # torch is not in that environment
    assert result.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="signals are another matter on Windows")
def test_a_command_that_is_ended_by_a_signal_is_seen_and_signals_are_passed_on(run, project):
    project.make_environment()
    result = project.call("python", "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert result.returncode == 128 + signal.SIGKILL
    code = "import signal, sys; print('up', flush=True); signal.pause()"
    process = subprocess.Popen(
        [sys.executable, str(project.folder / "run"), "python", "-c", code], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=30)  # ends only if the child, which holds the pipe, has ended too
    assert rest == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_threads_do_not_spin_while_they_wait_unless_asked_to(run, monkeypatch):
    started = []
    monkeypatch.setattr(run, "wait", lambda process: 0)
    monkeypatch.setattr(run.subprocess, "Popen", lambda command, cwd, env: started.append(env))
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    run.Environment(here=True, install=False).python(["-c", ""])
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    run.Environment(here=True, install=False).python(["-c", ""])
    assert [env["OMP_WAIT_POLICY"] for env in started] == ["PASSIVE", "ACTIVE"]
