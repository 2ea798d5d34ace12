"""The command line, through ``main`` and twice through a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import seglab
from seglab import cli, datasets, segmenter
from seglab._batch import enlarged
from seglab.cli import main
from seglab.labels import as_labels, colors
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status


@dataclass(frozen=True, kw_only=True, eq=False)
class BandsState(State):
    gray: Tensor
    n_bands: int = 1
    unassigned: bool = False

    @property
    def labels(self) -> Tensor:
        bands = (self.gray * self.n_bands).long().clamp(max=self.n_bands - 1)
        return torch.where(self.gray < 0.02, -1, bands) if self.unassigned else bands


@dataclass(frozen=True, kw_only=True)
class Bands(Segmenter[BandsState]):
    """Cut the gray levels into bands of equal width, one more at each step."""

    name = "bands"
    title = "Bands"
    n_bands: int = param(4, low=2, high=8, valid="[1, inf)", unit="bands", help="how many bands")
    rule: str = param("all", help="which pixels")
    floor: float = param(0.5, low=0, high=1, help="the darkest level", when={"rule": "some"})
    unassigned: bool = param(False, help="leave black pixels out")
    seed: int = 0

    def init(self, image: Tensor) -> BandsState:
        return BandsState(gray=image.mean(0), unassigned=self.unassigned)

    def step(self, image: Tensor, state: BandsState) -> BandsState:
        n = state.n_iter + 1
        bands = min(n + 1, self.n_bands) if self.n_bands < 20 else self.n_bands
        code = Status.after(n, 100, bands == self.n_bands)
        return dataclasses.replace(state, n_bands=bands, n_iter=n, code=code)


@pytest.fixture(autouse=True)
def bands(monkeypatch):
    """A toy method, known for the length of a test."""
    Bands.name = "bands"
    segmenter.methods()  # the real ones first
    monkeypatch.setitem(segmenter._REGISTRY, "bands", Bands)
    return Bands


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder with two pictures, one of them in a subfolder; the working folder is beside it."""
    monkeypatch.chdir(tmp_path)
    save("photos/a.png")
    save("photos/sub/b.jpg")
    return Path("photos")


def ramp(height: int = 12, width: int = 40) -> np.ndarray:
    levels = np.linspace(0, 255, width).round().astype(np.uint8)
    return np.broadcast_to(levels[None, :, None], (height, width, 3)).copy()


def save(name: str, array: np.ndarray | None = None) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ramp() if array is None else array).save(path)
    return path


def read(name: str) -> np.ndarray:
    """The numbers of a picture file as they are stored."""
    with Image.open(name) as picture:
        return np.array(picture)


def run(*words: str) -> int:
    return main(["segment", "--method", "bands", *map(str, words)])


def files(folder: str = ".") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def expected(n_bands: int = 4, picture: np.ndarray | None = None) -> np.ndarray:
    gray = (ramp() if picture is None else picture).astype(np.float32).mean(-1) / 255
    return np.minimum((gray * n_bands).astype(np.int64), n_bands - 1)


class TestOutputs:
    def test_label_png_is_indexed_in_the_labels_colors_and_reads_back_as_labels(self, photos):
        assert run("photos/a.png", "-p", "n_bands=5", "-o", "out.png") == 0
        with Image.open("out.png") as picture:
            assert picture.mode == "P"
            shown = np.asarray(picture.convert("RGB"))
        labels = as_labels("out.png")
        np.testing.assert_array_equal(labels.numpy(), expected(5))
        np.testing.assert_allclose(shown[0, -1] / 255, colors(5)[4].numpy(), atol=1 / 255)

    def test_more_than_256_labels_take_16_bits(self, photos):
        wide = np.arange(600).clip(max=255).astype(np.uint8)
        save("many.png", np.broadcast_to(wide[None, :, None], (3, 600, 3)).copy())
        assert run("many.png", "-p", "n_bands=1000", "-o", "out.png") == 0
        stored = read("out.png")
        assert stored.dtype == np.uint16
        assert stored.max() == 999
        result = Bands(n_bands=1000).segment("many.png")
        np.testing.assert_array_equal(as_labels("out.png").numpy(), result.numpy())

    @pytest.mark.parametrize(("n_bands", "void", "dtype"), [(4, 255, np.uint8), (256, 65535, np.uint16)])
    def test_pixels_without_a_label_take_the_highest_value(self, photos, n_bands, void, dtype):
        words = ["photos/a.png", "-p", f"n_bands={n_bands}", "-p", "unassigned=yes"]
        assert run(*words, "-o", "out.png", "-o", "out.npy") == 0
        stored, labels = read("out.png"), np.load("out.npy")
        assert stored.dtype == dtype
        assert (labels == -1).any()
        np.testing.assert_array_equal(stored == void, labels == -1)
        np.testing.assert_array_equal(stored[labels >= 0], labels[labels >= 0])

    def test_too_many_labels_for_a_picture_are_refused_with_the_way_out(self, photos, capsys):
        assert run("photos/a.png", "-p", "n_bands=70000", "-o", "out.png") == 1
        assert "write npy instead" in capsys.readouterr().err
        assert not Path("out.png").exists()
        assert run("photos/a.png", "-p", "n_bands=70000", "-o", "out.npy") == 0
        assert np.load("out.npy").max() == 69999

    def test_npy_is_the_result_itself(self, photos):
        assert run("photos/sub/b.jpg", "-o", "out.npy") == 0
        labels = np.load("out.npy")
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, Bands().segment("photos/sub/b.jpg").numpy())

    def test_suffix_decides_and_several_outputs_come_from_one_run(self, photos, capsys):
        outputs = ["l.png", "l.npy", "look.jpg", "steps.gif"]
        assert run("photos/a.png", *[word for name in outputs for word in ("-o", name)]) == 0
        assert files() == sorted([*outputs, *files_in_photos()])
        assert read("look.jpg").shape == (12, 40, 3)
        assert "4 segments" in capsys.readouterr().out

    def test_as_says_what_a_png_holds(self, photos):
        assert run("photos/a.png", "-o", "o.png", "--as", "overlay", "-o", "b.png", "--as", "boundaries") == 0
        overlay, edges = read("o.png"), read("b.png")
        assert overlay.shape == (12, 40, 3)
        assert edges.shape == (12, 40)
        assert set(np.unique(edges)) == {0, 255}
        assert (edges.max(0) > 0).sum() >= 3  # three changes of label along a row
        assert edges[:, :5].max() == 0

    def test_gif_plays_every_step(self, photos):
        assert run("photos/a.png", "-p", "n_bands=6", "-o", "steps.gif") == 0
        with Image.open("steps.gif") as film:
            assert film.n_frames == len(list(Bands(n_bands=6).steps("photos/a.png"))) == 6
            first = np.asarray(film.convert("RGB")).astype(int)
            film.seek(film.n_frames - 1)
            last = np.asarray(film.convert("RGB")).astype(int)
        assert np.abs(first[10] - last[10]).sum(-1).max() > 50  # across the picture: one color, then six

    def test_max_side_segments_small_and_writes_at_full_size(self, photos):
        save("wide.png", ramp(20, 400))
        assert run("wide.png", "--max-side", "8", "-p", "n_bands=5", "-o", "out.npy") == 0
        labels = np.load("out.npy")
        assert labels.shape == (20, 400)
        assert labels.max() == 4
        assert set(np.flatnonzero(np.diff(labels[0])) % 50) == {49}  # each of the 8 pixels fills 50 columns

    def test_a_pixel_takes_the_label_under_its_middle(self):
        assert enlarged(torch.tensor([[0, 1, 2]]), (2, 5)).tolist() == [[0, 0, 1, 2, 2]] * 2

    def test_the_same_whatever_the_order_of_outputs(self, photos):
        assert run("photos/a.png", "-o", "with.gif", "-o", "with.npy") == 0
        assert run("photos/a.png", "-o", "without.npy") == 0
        np.testing.assert_array_equal(np.load("with.npy"), np.load("without.npy"))


class TestInputs:
    def test_a_folder_gives_a_folder(self, photos):
        assert run("photos", "-o", "out") == 0
        assert files("out") == ["a.png"]

    def test_subfolders_are_taken_when_asked_and_mirrored(self, photos):
        assert run("photos", "-r", "-o", "out/") == 0
        assert files("out") == ["a.png", os.path.join("sub", "b.png")]

    def test_quoted_patterns_are_expanded_and_mirrored(self, photos):
        Path("photos/notes.txt").write_text("no picture")
        assert run("photos/**/*", "-o", "out/") == 0
        assert files("out") == ["a.png", os.path.join("sub", "b.png")]

    def test_several_kinds_are_told_apart_by_name(self, photos):
        assert run("photos", "-o", "out", "--as", "labels", "--as", "npy") == 0
        assert files("out") == ["a_labels.png", "a_npy.npy"]

    def test_a_picture_named_twice_is_done_once(self, photos, capsys):
        assert run("photos/a.png", "photos", "-o", "out") == 0
        assert capsys.readouterr().out.count("->") == 1

    def test_outputs_inside_the_input_folder_are_not_taken_for_pictures(self, photos):
        for _ in range(2):
            assert run("photos", "-r", "-o", "photos/out") == 0
        assert files("photos/out") == ["a.png", os.path.join("sub", "b.png")]

    def test_one_bad_file_does_not_stop_the_rest_and_is_named_at_the_end(self, photos, capsys):
        whole = Path("photos/a.png").read_bytes()
        Path("photos/0_cut.png").write_bytes(whole[: len(whole) // 2])
        Path("photos/1_text.png").write_text("no picture")
        assert run("photos", "missing.png", "-o", "out") == 1
        out, err = capsys.readouterr()
        assert files("out") == ["a.png"]
        assert "1 done, 3 failed" in out
        named = re.findall(r"failed: (\S+):", err)
        assert sorted(named) == sorted(["missing.png", str(photos / "0_cut.png"), str(photos / "1_text.png")])

    def test_an_empty_folder_and_a_pattern_without_a_match_are_named(self, photos, capsys):
        Path("empty").mkdir()
        assert run("empty", "photos/*.bmp", "-o", "out") == 1
        err = capsys.readouterr().err
        assert "empty: no pictures in this folder" in err
        assert "photos/*.bmp: no such file" in err

    def test_existing_outputs_are_overwritten_unless_skipped(self, photos, capsys):
        Path("out").mkdir()
        Path("out/a.png").write_text("old")
        assert run("photos", "-r", "-o", "out", "--skip-existing") == 0
        assert Path("out/a.png").read_text() == "old"
        assert "1 done, 1 there already" in capsys.readouterr().out
        assert run("photos", "-o", "out") == 0
        assert read("out/a.png").shape == (12, 40)

    def test_a_bar_on_a_terminal_counts_the_pictures_failed_ones_too(self, photos, capsys, monkeypatch):
        Path("photos/sub/text.png").write_text("no picture")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert run("photos", "-r", "-o", "out") == 1
        out, err = capsys.readouterr()
        assert re.search(r"Bands: +0%.* 0/3 ", err)
        assert re.search(r"Bands: 100%.* 3/3 .*picture", err)
        assert [line.split(" -> ")[0] for line in out.splitlines()[:2]] == [
            str(photos / name) for name in ("a.png", "sub/b.jpg")
        ]

    @pytest.mark.parametrize(
        ("terminal", "words"),
        [
            pytest.param(False, ["photos", "-r"], id="no terminal"),
            pytest.param(True, ["photos"], id="one picture"),
            pytest.param(True, ["photos", "-r", "--quiet"], id="quiet"),
        ],
    )
    def test_no_bar_where_nobody_sees_or_needs_one(self, photos, capsys, monkeypatch, terminal, words):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        assert run(*words, "-o", "out") == 0
        assert capsys.readouterr().err == ""


class TestSafety:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["photos/a.png", "-o", "photos/a.png"], "would be overwritten"),
            (["photos", "-o", "photos"], "would be overwritten"),
            (["photos/a.png", "photos/a.jpg", "-o", "out"], "would be written twice"),
            (["photos/a.png", "-o", "x.npy", "-o", "./x.npy"], "would be written twice"),
            (["photos/a.png", "photos/sub/b.jpg", "-o", "x.png"], "give a folder"),
            (["photos/a.png", "-o", "out", "-o", "x.png"], "give one -o"),
            (["photos/a.png", "-o", "x.png", "--as", "labels", "--as", "npy"], "one --as for each -o"),
            (["photos/a.png", "-o", "x.docx"], "the suffix is none of"),
            (["photos/a.png", "-o", "x.jpg", "--as", "labels"], "labels is written as .png"),
            (["photos/a.png", "-o", "x.png", "--device", "nowhere"], "--device nowhere"),
            (["photos/a.png", "-o", "x.png", "--max-side", "0"], "a whole number from 1"),
            (["photos/a.png"], "-o/--output"),
            ([], "PICTURE"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_before_any_work(self, photos, capsys, words, message):
        save("photos/a.jpg")
        before = {name: Path(name).read_bytes() for name in files()}
        assert run(*words) == 2
        assert message in capsys.readouterr().err
        assert {name: Path(name).read_bytes() for name in files()} == before

    def test_a_link_to_a_picture_is_not_written_through(self, photos, capsys):
        try:
            os.symlink(os.path.abspath("photos/a.png"), "link.png")
        except OSError:
            pytest.skip("this system makes no links")
        assert run("photos/a.png", "-o", "link.png") == 2
        assert "would be overwritten" in capsys.readouterr().err

    def test_a_file_is_written_whole_or_not_at_all(self, photos, monkeypatch, capsys):
        Path("out.png").write_text("old")

        def full(source: str, target: str) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(os, "replace", full)
        assert run("photos/a.png", "-o", "out.png") == 1
        assert "no space left" in capsys.readouterr().err
        assert Path("out.png").read_text() == "old"
        assert files() == ["out.png", *files_in_photos()]

    @pytest.mark.parametrize("suffix", ["npy", "gif"])
    def test_ctrl_c_keeps_what_is_finished(self, photos, monkeypatch, capsys, suffix):
        save("photos/z.png")
        seen = []

        def step(self: Bands, image: Tensor, state: BandsState) -> BandsState:
            seen.append(state.n_iter)
            if len(seen) == 5:  # in the second picture, after its second step
                raise KeyboardInterrupt
            return original(self, image, state)

        original = Bands.step
        monkeypatch.setattr(Bands, "step", step)
        assert run("photos", "-o", "out", "--as", suffix) == 130
        assert files("out") == [f"a.{suffix}"]
        assert "1 of 2 pictures are done" in capsys.readouterr().err


def files_in_photos() -> list[str]:
    return [os.path.join("photos", name) for name in files("photos")]


class TestMethod:
    def test_parameters_are_read_in_their_own_type(self):
        method = cli._method("bands", ["n_bands=7", "floor = 0.25", "unassigned=true", "seed=3"], None)
        assert method == Bands(n_bands=7, floor=0.25, unassigned=True, seed=3)

    def test_seed(self, capsys, monkeypatch):
        assert cli._method("bands", [], 5).seed == 5
        assert capsys.readouterr().err == ""

    def test_seed_is_noted_where_nothing_is_drawn(self, capsys, monkeypatch):
        @dataclass(frozen=True, kw_only=True)
        class Still(Segmenter[BandsState]):
            """Draw nothing."""

            init = Bands.init
            step = Bands.step

        Still.name = "still"
        monkeypatch.setitem(segmenter._REGISTRY, "still", Still)
        assert cli._method("still", [], 5) == Still()
        assert "--seed has no effect" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "messages"),
        [
            (["-m", "band"], ["No method is called 'band'", "Did you mean 'bands'?"]),
            (["-p", "n_band=3"], ["has no parameter 'n_band'", "Did you mean 'n_bands'?", "2 to 8", "how many bands"]),
            (["-p", "n_bands=0"], ["n_bands must be a whole number in [1, inf); got 0", "2 to 8"]),
            (["-p", "n_bands=many"], ["n_bands must be a whole number", "'many'", "floor"]),
            (["-p", "n_bands"], ["write NAME=VALUE"]),
            (["-p", "seed=x"], ["seed must be a whole number; got 'x'"]),
        ],
    )
    def test_wrong_words_are_answered_with_the_right_ones(self, photos, capsys, words, messages):
        assert run("photos/a.png", "-o", "x.png", *words) == 2
        err = capsys.readouterr().err
        assert [message for message in messages if message not in err] == []
        assert not Path("x.png").exists()

    def test_a_parameter_without_effect_is_noted(self, capsys):
        cli._method("bands", ["floor=0.1"], None)
        assert "floor has an effect only where rule is some" in capsys.readouterr().err
        cli._method("bands", ["floor=0.1", "rule=some"], None)
        assert capsys.readouterr().err == ""

    def test_auto_device_exists(self):
        torch.empty(1, device=cli._device("auto"))


class TestMethods:
    def test_table(self, capsys):
        assert main(["methods"]) == 0
        out = capsys.readouterr().out
        assert re.search(r"^  bands +Cut the gray levels into bands", out, re.MULTILINE)
        assert all(name in out for name in segmenter.methods())

    def test_page(self, capsys):
        assert main(["methods", "bands"]) == 0
        out = capsys.readouterr().out
        assert re.search(r"n_bands +4 +a whole number in \[1, inf\) +2 to 8 +bands +how many bands", out)
        assert "(with rule = some)" in out
        assert 'Bands(n_bands=5).segment("photo.jpg")' in out
        assert "--method bands -p n_bands=5" in out

    def test_json(self, capsys):
        assert main(["methods", "bands", "--json"]) == 0
        one = json.loads(capsys.readouterr().out)
        assert one["parameters"][0] | {"default": 4, "low": 2, "high": 8, "valid": "[1, inf)"} == one["parameters"][0]
        assert main(["methods", "--json"]) == 0
        assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(segmenter.methods())

    def test_unknown(self, capsys):
        assert main(["methods", "bend"]) == 2
        assert "Did you mean 'bands'?" in capsys.readouterr().err

    def test_every_method_has_a_page_whose_python_and_words_agree(self, capsys):
        for name, cls in segmenter.methods().items():
            assert main(["methods", name]) == 0
            out = capsys.readouterr().out
            words = re.findall(r" -p (\S+)", out.splitlines()[-1])
            call = re.search(rf"{cls.__name__}\((.*)\)\.segment", out)
            assert call is not None
            assert cli._method(name, words, None) == eval(f"cls({call[1]})", {"cls": cls})


class TestData:
    def test_list_says_what_is_missing_and_how_to_get_it(self, capsys, tmp_path):
        assert main(["data", "list", "--root", str(tmp_path)]) == 0
        out = capsys.readouterr().out
        n_files = datasets.list_datasets(tmp_path)[0].n_files
        assert re.search(rf"bsds500 +60 MB +0 of {n_files} +- +500 photographs", out)
        assert "seglab data fetch NAME" in out

    def test_list_is_the_default_and_has_a_form_for_programs(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
        assert main(["data"]) == 0
        plain = capsys.readouterr().out
        assert main(["data", "list"]) == 0
        assert capsys.readouterr().out == plain
        assert main(["data", "list", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["name"] == "bsds500"

    @pytest.mark.parametrize("action", ["fetch", "verify"])
    def test_an_unknown_name_is_answered_with_the_known_ones(self, action, capsys):
        assert main(["data", action, "bsds300"]) == 2
        assert "did you mean 'bsds500'?" in capsys.readouterr().err

    def test_verify_without_the_data_set(self, capsys, tmp_path):
        assert main(["data", "verify", "bsds500", "--root", str(tmp_path)]) == 1
        assert "bsds500" in capsys.readouterr().err

    def test_verify_names_each_broken_file(self, capsys, monkeypatch):
        monkeypatch.setattr(datasets, "verify", lambda name, root: ["a.jpg: missing", "b.mat: another checksum"])
        assert main(["data", "verify", "bsds500"]) == 1
        out, err = capsys.readouterr()
        assert err.splitlines() == ["a.jpg: missing", "b.mat: another checksum"]
        assert "2 files are missing or broken" in out
        monkeypatch.setattr(datasets, "verify", lambda name, root: [])
        assert main(["data", "verify", "bsds500"]) == 0

    def test_fetch_prints_the_folder_or_why_there_is_none(self, capsys, monkeypatch, tmp_path):
        asked = []

        def fetch(name: str, root: Path | None) -> Path:
            asked.append((name, root))
            if root is None:
                raise datasets.DatasetError("the network is away")
            return root / name

        monkeypatch.setattr(datasets, "fetch", fetch)
        assert main(["data", "fetch", "bsds500", "--root", str(tmp_path)]) == 0
        assert str(tmp_path / "bsds500") in capsys.readouterr().out
        assert main(["data", "fetch", "bsds500"]) == 1
        assert "the network is away" in capsys.readouterr().err
        assert asked == [("bsds500", tmp_path), ("bsds500", None)]

    def test_ctrl_c(self, capsys, monkeypatch):
        def fetch(name: str, root: Path | None) -> Path:
            raise KeyboardInterrupt

        monkeypatch.setattr(datasets, "fetch", fetch)
        assert main(["data", "fetch", "bsds500"]) == 130
        assert "stopped" in capsys.readouterr().err


def seglab_process(*words: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "seglab", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


class TestProcess:
    def test_help_has_examples_and_loads_nothing_heavy(self):
        script = (
            "import sys; from seglab.cli import main; code = main(['--help']); "
            "heavy = {'torch', 'numpy', 'matplotlib', 'ipywidgets', 'PIL'} & set(sys.modules); "
            "print('heavy:', sorted(heavy)); sys.exit(code)"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "heavy: []" in ran.stdout
        assert "examples:" in ran.stdout

    def test_version(self):
        assert seglab_process("--version").stdout.strip() == f"seglab {seglab.__version__}"

    def test_a_real_method_from_a_shell(self, photos):
        words = ["segment", "photos/*.png", "--method", "kmeans", "-p", "n_clusters=3", "--seed", "1", "-o", "out.png"]
        ran = seglab_process(*words, cwd=photos.parent)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        labels = as_labels("out.png")
        truth = segmenter.get_method("kmeans")(n_clusters=3, seed=1).segment("photos/a.png").labels
        assert torch.equal(labels, truth)
        loaded = "import sys; from seglab.cli import main; main(sys.argv[1:]); print('ipywidgets' in sys.modules)"
        again = subprocess.run([sys.executable, "-c", loaded, *words], capture_output=True, text=True, check=True)
        assert again.stdout.strip().endswith("False")
