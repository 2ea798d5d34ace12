from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from seglab import datasets
from seglab.methods import KMeans
from seglab.widgets import Explorer, explore
from seglab.widgets._debounce import Debouncer


@pytest.fixture
def explorer(rising, ramp, clock) -> Explorer:
    return explore(rising, {"ramp": ramp}, photos=False)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_controls_follow_the_description(explorer):
    controls = {c["name"]: c for c in explorer.controls}
    assert list(controls) == ["n_steps", "rate", "rule", "floor", "broken"]
    assert [c["kind"] for c in explorer.controls] == ["int", "float", "choice", "float", "bool"]
    assert (controls["n_steps"]["low"], controls["n_steps"]["high"], controls["n_steps"]["step"]) == (1, 9, 1)
    assert (controls["rate"]["scale"], controls["rate"]["unit"], controls["rate"]["help"]) == (
        "log",
        "per step",
        "how fast",
    )
    assert controls["rule"]["choices"] == ["up", "down"]
    assert controls["floor"]["optional"]
    assert explorer.values == {"n_steps": 5, "rate": 0.1, "rule": "up", "floor": None, "broken": False}


def test_the_first_result_is_there_at_once(explorer):
    assert explorer.serial == 1
    assert explorer.result.n_segments == 2
    assert explorer.status.startswith("2 segments · ")
    assert "ms" in explorer.status
    assert [p["title"] for p in explorer.panels] == ["gray values", "a curve", "sizes"]
    assert explorer.lines


def test_of_many_changes_only_the_last_is_computed(explorer, clock):
    before = explorer.fill
    for n in (6, 7, 8):
        explorer.values = {**explorer.values, "n_steps": n}
    assert explorer.serial == 1  # nothing yet: somebody is still dragging
    assert clock.waiting[-1].delay == 0.15
    assert clock.pass_by() == 1
    assert explorer.serial == 2
    assert explorer.result.method.n_steps == 8
    assert explorer.fill != before
    assert clock.pass_by() == 0


def test_the_result_never_lags_behind_the_values(explorer, clock):
    explorer.values = {**explorer.values, "n_steps": 2}
    assert explorer.result.method.n_steps == 2
    assert clock.pass_by() == 0


def test_parameters_that_do_not_matter_are_off(explorer):
    assert explorer.enabled["floor"] is False
    explorer.set(rule="down", floor=0.8)
    assert explorer.enabled["floor"] is True
    assert explorer.result.state.threshold == pytest.approx(0.8)


def test_an_error_is_one_line_and_the_last_picture_stays(explorer, clock):
    kept = explorer.result
    explorer.values = {**explorer.values, "n_steps": 0}
    clock.pass_by()
    assert explorer.error == "Rising: n_steps must be a whole number in [1, 100]; got 0"
    explorer.values = {**explorer.values, "n_steps": 3, "broken": True}
    clock.pass_by()
    assert explorer.error == "RuntimeError: broken on purpose"
    assert explorer.result is kept
    assert explorer.serial == 1
    assert not explorer.busy
    explorer.set(broken=False)
    assert explorer.error == ""
    assert explorer.result.method.n_steps == 3


def test_busy_is_said_while_it_computes(explorer):
    said = []
    explorer.observe(lambda change: said.append(change["new"]), "busy")
    explorer.set(n_steps=4)
    assert said == [True, False]


def test_reset(explorer, clock):
    start = dict(explorer.values)
    explorer.set(n_steps=9, rule="down")
    explorer._heard(explorer, {"kind": "reset"}, [])
    clock.pass_by()
    assert explorer.values == start
    assert explorer.result.method.n_steps == 5
    with pytest.raises(ValueError, match="no parameter 'steps'"):
        explorer.set(steps=3)


def test_upload(explorer, clock):
    picture = np.zeros((6, 8), np.uint8)
    picture[:, 4:] = 255
    explorer._heard(explorer, {"kind": "upload", "name": "mine.png"}, [memoryview(png(picture))])
    clock.pass_by()
    assert explorer.picture == "mine.png"
    assert explorer.pictures == ["ramp", "mine.png"]
    assert (explorer.width, explorer.height) == (8, 6)
    assert "image = 'mine.png'" in explorer.code
    assert explorer.result.numpy()[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    # the same name with other pixels
    explorer._heard(explorer, {"kind": "upload", "name": "mine.png"}, [memoryview(png(picture[:3]))])
    clock.pass_by()
    assert explorer.height == 3
    assert explorer.pictures == ["ramp", "mine.png"]


@pytest.mark.parametrize("content", [b"", b"this is no picture", png(np.zeros((50, 50), np.uint8))[:60]])
def test_a_wrong_upload_is_told(explorer, clock, content):
    explorer._heard(explorer, {"kind": "upload", "name": "wrong.png"}, [memoryview(content)])
    assert explorer.error.startswith("wrong.png is no picture that can be read: ")
    assert "\n" not in explorer.error
    assert explorer.picture == "ramp"
    assert explorer.pictures == ["ramp"]
    assert explorer.serial == 1


def test_the_code_makes_the_same_result():
    explorer = explore(KMeans(n_clusters=3), "cell", max_side=100)
    assert "shrink(image, 100)" in explorer.code
    assert "is computed and shown at" in explorer.note
    names: dict = {}
    exec(explorer.code, names)
    np.testing.assert_array_equal(np.asarray(names["result"]), np.asarray(explorer.result))
    assert names["result"].method == explorer.result.method


def test_pictures_given_come_before_the_bundled_ones(rising, ramp, clock):
    explorer = explore(rising, [ramp, ramp])
    assert explorer.pictures[:2] == ["picture 1", "picture 2"]
    assert set(datasets.photos()) <= set(explorer.pictures)
    assert "# image is the picture that you gave as 'picture 1'" in explorer.code
    assert explore("kmeans", "cell").picture == "cell"


def test_without_a_kernel_a_picture_is_left(explorer):
    data, _ = explorer._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width == 480
    assert data["text/plain"].startswith("<Explorer of rising threshold: 2 segments")


def test_debouncer():
    calls, waiting = [], []

    class Timer:
        def cancel(self):
            waiting.remove(self)

    def later(delay, function):
        waiting.append(Timer())
        return waiting[-1]

    soon = Debouncer(lambda: calls.append(1), 0.5, later)
    soon()
    soon()
    assert (len(waiting), calls, soon.waiting) == (1, [], True)
    soon.flush()
    soon.flush()
    assert (waiting, calls, soon.waiting) == ([], [1], False)
    soon()
    soon.cancel()
    assert (waiting, calls) == ([], [1])


def test_without_a_loop_the_call_is_made_at_once(monkeypatch):
    monkeypatch.setattr("seglab.widgets._debounce._loop_later", lambda: None)
    calls: list[int] = []
    Debouncer(lambda: calls.append(1))()
    assert calls == [1]
