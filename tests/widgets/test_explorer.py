from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from seglab import datasets
from seglab.methods import KMeans, RegionGrowing
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


# Points


@pytest.fixture
def stripes() -> np.ndarray:
    """A picture (6, 9): three stripes of three columns, black, gray and white."""
    return np.tile(np.repeat([0.0, 0.5, 1.0], 3), (6, 1))


@pytest.fixture
def seeded(stripes, clock) -> Explorer:
    return explore(RegionGrowing(n_seeds=3), {"stripes": stripes, "other": stripes[:4, :8]}, photos=False)


def say(explorer: Explorer, kind: str, **content) -> None:
    """What the browser sends."""
    explorer._heard(explorer, {"kind": kind, **content}, [])


def click(explorer: Explorer, x: float, y: float) -> None:
    say(explorer, "click", x=x, y=y, serial=explorer.serial)


def test_clicks_are_seeds(seeded, clock):
    assert (seeded.points_name, seeded.points) == ("seeds", [])
    assert seeded.result.method.seeds is None
    assert "seeds=[" not in seeded.code
    click(seeded, 0.5, 0.99)
    click(seeded, 0.12, 0.0)
    assert seeded.points == [(5, 4), (0, 1)]
    assert seeded.serial == 1  # nothing yet: a third may come
    assert clock.pass_by() == 1
    assert seeded.result.method.seeds == ((5, 4), (0, 1))
    assert seeded.result.numpy()[0].tolist() == [1, 1, 1, 0, 0, 0, -1, -1, -1]
    assert seeded.status.startswith("2 segments")
    click(seeded, 0.5, 0.99)  # is there already
    assert seeded.points == [(5, 4), (0, 1)]


@pytest.mark.parametrize(
    ("x", "y", "point"),
    [(0, 0, (0, 0)), (1, 1, (5, 8)), (-0.01, 1.02, (5, 0)), (0.111, 0.166, (0, 0)), (0.112, 0.167, (1, 1))],
)
def test_a_click_is_a_pixel_of_the_picture(seeded, x, y, point):
    click(seeded, x, y)
    assert seeded.points == [point]


def test_pixels_are_those_of_the_picture_as_it_is_computed(clock):
    explorer = explore(RegionGrowing, {"large": np.zeros((300, 600))}, photos=False, max_side=60)
    click(explorer, 0.5, 0.5)
    clock.pass_by()
    assert explorer.points == [(15, 30)]
    assert explorer.error == ""
    assert explorer.code.endswith("RegionGrowing(seeds=[(15, 30)]).segment(image)")


def test_undo_and_clear(seeded, clock):
    for x in (0.1, 0.5, 0.9):
        click(seeded, x, 0.5)
    say(seeded, "undo")
    assert seeded.points == [(3, 0), (3, 4)]
    clock.pass_by()
    assert seeded.result.n_segments == 2
    say(seeded, "place", text="")
    clock.pass_by()
    assert seeded.points == []
    assert seeded.result.method.seeds is None  # found automatically again
    assert "seeds=[" not in seeded.code
    say(seeded, "undo")
    assert (seeded.points, seeded.error) == ([], "")


@pytest.mark.parametrize("text", ["3, 0; 3, 4", " 3,0 ;3 ,4; "])
def test_points_by_keyboard(seeded, clock, text):
    say(seeded, "place", text=text)
    clock.pass_by()
    assert seeded.points == [(3, 0), (3, 4)]
    assert seeded.result.n_segments == 2


@pytest.mark.parametrize("text", ["3", "3, 4, 5", "a, b", "3, 4;; 5, 6", "-1, 2", "1.5, 2", "6, 0", "0, 9", "1,1; 1,1"])
def test_points_that_are_none_are_told_and_change_nothing(seeded, clock, text):
    click(seeded, 0, 0)
    clock.pass_by()
    say(seeded, "place", text=text)
    wanted = "seeds: write different pixels as row, column; row, column, with rows 0 to 5 and columns 0 to 8"
    assert seeded.error == f"{wanted}; got {text!r}"
    assert seeded.points == [(0, 0)]
    assert clock.pass_by() == 0
    say(seeded, "place", text="0, 0")  # as before: no change, and no error any more
    clock.pass_by()
    assert (seeded.points, seeded.error) == ([(0, 0)], "")


def test_another_picture_has_no_points_yet(seeded, clock):
    click(seeded, 0.99, 0.99)
    clock.pass_by()
    seen = seeded.serial
    seeded.picture = "other"
    assert seeded.points == []
    click(seeded, 0.5, 0.5)  # on the old picture, which is still seen
    assert clock.pass_by() == 1
    assert (seeded.height, seeded.width, seeded.result.method.seeds) == (4, 8, None)
    say(seeded, "click", x=0.5, y=0.5, serial=seen)  # on the old picture, heard late
    assert seeded.points == []
    click(seeded, 0.99, 0.99)
    assert seeded.points == [(3, 7)]
    seeded.add_picture("other", png(np.zeros((3, 3), np.uint8)))  # the same name, other pixels
    clock.pass_by()
    assert (seeded.points, seeded.height, seeded.error) == ([], 3, "")


def test_seeds_that_are_given_are_the_first_points(stripes, clock):
    explorer = explore(RegionGrowing(seeds=[(0, 0), (0, 5)]), {"stripes": stripes}, photos=False)
    assert explorer.points == [(0, 0), (0, 5)]
    assert explorer.code.endswith("RegionGrowing(seeds=[(0, 0), (0, 5)]).segment(image)")
    explorer.points = []
    assert explorer.result.method.seeds is None
    assert "as you gave it" not in explorer.code
    marked = np.where(stripes == 0.5, 0, -1)
    explorer = explore(RegionGrowing(seeds=marked), {"stripes": stripes}, photos=False)
    assert explorer.points == []
    assert explorer.code.endswith("# and seeds as you gave it")
    click(explorer, 0, 0)
    assert explorer.result.method.seeds == ((0, 0),)
    assert explorer.code.endswith("RegionGrowing(seeds=[(0, 0)]).segment(image)")


def test_the_code_with_seeds_makes_the_same_result(clock):
    explorer = explore(RegionGrowing(threshold=0.2), "coins", max_side=100)
    click(explorer, 0.3, 0.4)
    click(explorer, 0.7, 0.1)
    explorer.set(fill=True)
    names: dict = {}
    exec(explorer.code, names)
    np.testing.assert_array_equal(np.asarray(names["result"]), np.asarray(explorer.result))
    assert list(names["result"].method.seeds) == explorer.points


def test_any_method_that_takes_points_is_given_clicks(rising, ramp, clock):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Picked(rising):
        spots: tuple = dataclasses.field(default=None, metadata={"points": True})

    explorer = explore(Picked, {"ramp": ramp}, photos=False)
    click(explorer, 0.5, 0.5)
    clock.pass_by()
    assert explorer.points_name == "spots"
    assert explorer.result.method.spots == ((2, 5),)
    assert "Picked(spots=[(2, 5)])" in explorer.code
    plain = explore(rising, {"ramp": ramp}, photos=False)
    click(plain, 0.5, 0.5)
    assert (plain.points_name, plain.points, clock.pass_by()) == ("", [], 0)


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
