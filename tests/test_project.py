"""What the project promises about itself: one list of dependencies, layers that point one way, files that agree."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seglab
from seglab.segmenter import methods

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TAUGHT_IN = {  # methods that share a chapter
    "smoothing": "gmm",
    "region_growing": "regions",
    "split_merge": "regions",
    "felzenszwalb": "graphs",
    "normalized_cuts": "graphs",
}
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # where conda-forge has another name
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Imports go to the same line or to a line above, never down.
LAYERS = (
    ("params", "panels", "image", "labels", "features", "kernels"),
    ("segmenter", "hierarchy", "region_graph"),
    ("methods", "networks", "metrics", "datasets"),
    ("drawing", "plot", "animation"),
    ("widgets", "exercises", "benchmark", "cli", "_batch", "_cli_evaluate", "_cli_benchmark", "_cli_train", "__main__"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
EXCEPTIONS = {("seglab.segmenter", "seglab.methods")}  # finding all methods means importing the package that has them
DRAWING = {"matplotlib", "ipywidgets", "anywidget", "IPython"}


# -------------------------------------------------------------------------------------------------------- dependencies


def requirements(texts: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in map(Requirement, texts)}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split("\n")
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    found = {canonicalize_name(r.name): str(r.specifier) for r in parsed}
    assert len(found) == len(parsed), "a package is pinned twice"
    return found


def test_conda_has_the_same_list():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (by_pip,) = [entry for entry in listed if isinstance(entry, dict)]
    assert by_pip == {"pip": ["-e ."]}
    conda = requirements([entry for entry in listed if isinstance(entry, str)])
    assert str(conda.pop("python").specifier) == PROJECT["requires-python"]
    conda.pop("pip")
    ours = requirements(PROJECT["dependencies"])
    assert {name: r.specifier for name, r in conda.items()} == {
        CONDA.get(name, name): r.specifier for name, r in ours.items()
    }


def test_all_that_is_asked_for_is_pinned_to_a_version_that_is_allowed():
    pinned = pins()
    every = requirements(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"])
    assert set(every) <= set(pinned)
    for name, requirement in every.items():
        version = pinned[name].removeprefix("==")
        assert requirement.specifier.contains(version), f"{name}: {version} is not {requirement.specifier}"
    for name, specifier in pinned.items():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", specifier), f"{name}{specifier}: one version, of no platform"


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module that a file imports, in full, and whether only for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    package = list(path.relative_to(ROOT).with_suffix("").parts)[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield module, id(node) in guarded
            if module == "seglab":
                yield from ((f"seglab.{alias.name}", id(node) in guarded) for alias in node.names)


PACKAGE = sorted((ROOT / "seglab").rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_third_party_import_is_a_dependency():
    distribution = {"skimage": "scikit-image", "sklearn": "scikit-learn", "PIL": "pillow"}
    brought = {"ipython", "traitlets", "cycler"}  # part of what ipywidgets and matplotlib are
    optional = PROJECT["optional-dependencies"]["cluster"]  # imported where it is used, with a message where it lacks
    allowed = set(requirements(PROJECT["dependencies"] + optional)) | brought
    for path in PACKAGE:
        for module, typing_only in imports(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top == "seglab" or typing_only:
                continue
            assert canonicalize_name(distribution.get(top, top)) in allowed, f"{path.name} imports {top}"


# -------------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("path", PACKAGE, ids=module_name)
def test_imports_point_one_way(path):
    own = module_name(path)
    if own == "seglab":
        return  # the front door leads everywhere
    layer = own.split(".")[1]
    assert layer in RANK, f"say in {Path(__file__).name} where seglab.{layer} stands"
    for module, typing_only in imports(path):
        parts = module.split(".")
        if parts[0] != "seglab" or len(parts) == 1 or typing_only or (own, module) in EXCEPTIONS:
            continue
        if parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[layer], f"{own} imports {module}"


@pytest.mark.parametrize("path", PACKAGE, ids=module_name)
def test_only_the_upper_layers_draw(path):
    own = module_name(path)
    layer = own.split(".")[1] if "." in own else ""
    found = {module.split(".")[0] for module, typing_only in imports(path) if not typing_only}
    if layer != "widgets":
        assert not found & {"ipywidgets", "anywidget"}, f"{own} imports widgets"
    if RANK.get(layer, 0) <= RANK["methods"]:
        assert not found & DRAWING, f"{own} draws"


def test_an_arrow_that_points_back_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "seglab" / "methods" / "bad.py"
    path.parent.mkdir(parents=True)
    path.write_text("from ..plot import show\nfrom seglab import cli\nimport ipywidgets as w\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert {m for m, _ in imports(path)} == {"seglab.plot", "seglab", "seglab.cli", "ipywidgets"}
    with pytest.raises(AssertionError, match="imports seglab"):
        test_imports_point_one_way(path)
    with pytest.raises(AssertionError, match="imports widgets"):
        test_only_the_upper_layers_draw(path)


def test_importing_the_package_is_light():
    code = "import json, sys, seglab; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(json.loads(result.stdout))
    assert "seglab" in loaded
    heavy = {"matplotlib", "ipywidgets", "anywidget", "IPython", "sklearn", "pooch", "jupyterlab"}
    assert not loaded & heavy


def test_the_methods_are_imported_without_what_downloads_draws_or_compiles():
    heavy = ("requests", "pooch", "skimage", "matplotlib", "numba")
    code = f"import sys, seglab.methods; print(*(name for name in {heavy} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.split() == []


# ------------------------------------------------------------------------------------------------------- names, places


def public_modules() -> list[str]:
    names = [info.name for info in pkgutil.walk_packages(seglab.__path__, "seglab.")]
    return ["seglab", *(name for name in names if not any(part.startswith("_") for part in name.split(".")))]


@pytest.mark.parametrize("name", public_modules())
def test_public_names_are_listed_and_exist(name):
    module = importlib.import_module(name)
    assert hasattr(module, "__all__"), f"{name} lists no public names"
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert getattr(module, public, None) is not None, f"{name}.{public}"
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"


@pytest.mark.parametrize("name", methods())
def test_a_topic_has_one_stem_everywhere(name):
    cls = methods()[name]
    stem = cls.__module__.split(".")[-1]
    assert cls.__module__ == f"seglab.methods.{stem}"
    assert (ROOT / "tests" / "methods" / f"test_{stem}.py").exists()
    topic = TAUGHT_IN.get(stem, stem)
    chapters = [path.stem for path in (ROOT / "notebooks" / "source").glob(f"[0-9][0-9]_{topic}.py")]
    assert len(chapters) == 1, f"the chapter of {name} is to be called NN_{topic}"


def test_version_stands_in_one_place():
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", seglab.__version__)
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert released[0] == "Unreleased" or ".dev" not in seglab.__version__


def tracked() -> list[Path]:
    """The files of the repository."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_no_paths_of_somebodys_machine():
    here = Path(__file__).resolve()
    private = re.compile(
        r"(?<![\w.])/(?:home|Users)/[a-z]\w*/|(?<![\w.])/(?:root|work)/\w|(?<![\w.])/tmp/\w|[A-Z]:\\+Users\\"
    )
    for path in tracked():
        if path == here or path.suffix in (".png", ".jpg", ".npz", ".gif", ".safetensors"):
            continue
        found = private.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_data_files_of_the_package_are_installed_with_it():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    data = [path for path in tracked() if path.is_relative_to(ROOT / "seglab") and path.suffix != ".py"]
    assert data
    for path in data:
        assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns), path.name
        assert (path.parent / "__init__.py").exists(), f"{path.parent.name} is no package"


def test_nothing_large_is_tracked():
    for path in tracked():
        assert path.stat().st_size < 5_000_000, f"{path.relative_to(ROOT)} is too large for the repository"


# ---------------------------------------------------------------------------------------------------- README and hooks


def fenced(text: str, language: str = "") -> list[str]:
    """The code blocks of a language in a Markdown text."""
    blocks, inside = [], None
    for line in text.split("\n"):
        if line.startswith("```"):
            inside = line.removeprefix("```") if inside is None else None
            if inside is not None:
                blocks.append((inside, []))
        elif inside is not None:
            blocks[-1][1].append(line)
    return ["\n".join(lines) for name, lines in blocks if name == language]


def run_commands() -> set[str]:
    tree = ast.parse((ROOT / "run").read_text(encoding="utf-8"))
    (table,) = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "COMMANDS"]
    assert isinstance(table, ast.Dict)
    return {ast.literal_eval(key) for key in table.keys if key is not None}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run", ".pre-commit-config.yaml"])
def test_commands_that_are_shown_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    shown = re.findall(r"(?:\./run|python3? run)(?: --here| --no-install)* ([a-z]+)", text)
    assert shown
    assert set(shown) <= run_commands()


def test_the_readmes_command_lines_work(capsys, tmp_path, monkeypatch):
    from seglab.cli import main

    monkeypatch.chdir(tmp_path)
    lines = [line for block in fenced(README) for line in block.split("\n") if line.startswith("seglab ")]
    assert lines
    for line in lines:
        name = line.split()[1]
        assert main([name, "--help"]) == 0
        said = capsys.readouterr().out
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line.split("#")[0]):
            assert option in said, f"seglab {name} has no {option}"


def test_the_readmes_library_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = fenced(README, "python")
    assert len([line for line in block.split("\n") if line.strip()]) <= 8
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert any(path.suffix == ".png" for path in tmp_path.iterdir())


def test_the_readmes_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#\s]+)\)", README)
    local = [link for link in links if "://" not in link]
    assert local
    for link in local:
        assert (ROOT / link).exists(), link


def test_the_readme_lists_the_chapters_that_exist():
    linked = set(re.findall(r"\]\(notebooks/(\d\d_\w+)\.ipynb\)", README))
    assert linked == {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}


def paths_named(text: str) -> set[str]:
    """Paths of the repository that stand in backticks, outside fenced code; NAME, stem and NN become wildcards."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()}
    found = set()
    for token in " ".join(re.findall(r"`([^`\n]+)`", prose)).split():
        path = token.removeprefix("./").split("::")[0]
        folder, slash, _ = path.partition("/")
        is_ours = (slash and folder in tops) or path.endswith((".py", ".ipynb", ".md", ".toml", ".yml", ".cff"))
        if is_ours and re.fullmatch(r"[\w./-]+", path):
            found.add(re.sub("NAME|stem", "*", path.replace("NN_", "[0-9][0-9]_")))
    return found


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "notebooks" / "source").glob("*.py"))],
    ids=lambda path: path.stem,
)
def test_paths_that_are_named_exist(document):
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".py":
        text = "\n".join(line.removeprefix("# ") for line in text.split("\n") if line.startswith("#"))
    missing = [path for path in sorted(paths_named(text)) if not any(ROOT.glob(path))]
    assert not missing, f"{document.name} names what is not there: {missing}"


def test_paths_are_told_from_other_words():
    text = """See `seglab/gone.py`, `tests/test_run.py::test_x`, `./run test tests/methods -k kmeans`. In `wheels`,
    `a/b`, `tcp://seglab/x`, `seglab.plot` or seglab/bare.py there are none. A form: `notebooks/NN_stem.ipynb`.
    """
    named = {"seglab/gone.py", "tests/test_run.py", "tests/methods", "notebooks/[0-9][0-9]_*.ipynb"}
    assert paths_named(text + "\n```\n`seglab/fenced.py`\n```\n") == named


def test_hooks_need_no_network():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    assert all(hook["language"] == "system" for hook in repositories[0]["hooks"])
