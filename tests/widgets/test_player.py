from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from seglab.methods import BackpropSegmentation, Thresholding
from seglab.widgets import Player, step_through


@pytest.fixture
def player(rising, ramp) -> Player:
    return step_through(rising(n_steps=4), ramp)


@pytest.fixture
def sent(player, monkeypatch) -> list:
    """The messages to the browser."""
    messages: list = []
    monkeypatch.setattr(player, "send", lambda content, buffers=None: messages.append((content, buffers)))
    return messages


def test_what_the_browser_is_told(player):
    assert player.n_frames == 5
    assert player.texts[2] == "step 2 · threshold 0.2"
    assert player.steps == [0, 1, 2, 3, 4]
    assert player.objective == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6])
    assert player.objective_name == "share above – falls"
    assert player.title == "rising threshold, n_steps = 4"
    assert (player.width, player.height) == (10, 4)
    assert not player.playing  # it waits: predict first
    json.dumps([player.objective, player.texts, player.steps])


def test_an_objective_that_the_method_draws_over_the_steps_is_drawn_once(ramp):
    small = BackpropSegmentation(n_filters=4, max_labels=4, n_segments=8, max_iter=3, min_labels=0)
    assert step_through(small, ramp).objective == []
    assert len(step_through(Thresholding(), ramp).objective) > 3  # its panel is over thresholds


def test_the_index_stays_within(player):
    player.index = 99
    assert player.index == 4
    assert player.state.threshold == pytest.approx(0.4)
    player.index = -3
    assert player.index == 0


def test_a_frame_is_sent_picture_first_and_then_panels(player, sent):
    player.receive({"kind": "frame", "index": 2, "layers": ["fill", "edges", "lines"], "panels": True}, [])
    kinds = [content["kind"] for content, _ in sent]
    assert kinds == ["layers", "panels", "done"]
    (layers, buffers), (panels, drawn), (done, _) = sent
    assert layers["names"] == ["fill", "edges", "lines"]
    fill = np.asarray(Image.open(io.BytesIO(buffers[0])).convert("RGB"))
    assert (fill[:, :2] == fill[0, 0]).all()  # two columns are below 0.2
    assert (fill[:, 2:] == fill[0, 9]).all()
    assert (fill[0, 0] != fill[0, 9]).any()
    assert panels["names"] == ["gray values", "a curve", "sizes"]  # the line is laid over the picture
    assert all(png.startswith(b"\x89PNG") for png in drawn)
    assert not done["failed"]


def test_only_what_is_asked_for_is_made(player, sent):
    player.receive({"kind": "frame", "index": 1, "layers": ["fill"], "panels": False}, [])
    assert [content["kind"] for content, _ in sent] == ["layers", "done"]
    assert player.frames._kept.keys() == {("fill", 1)}


def test_an_error_in_a_frame_is_seen(player, sent, monkeypatch):
    monkeypatch.setattr(player.frames, "panels", lambda i: 1 / 0)
    player._heard(player, {"kind": "frame", "index": 0, "layers": [], "panels": True}, [])
    assert player.error == "ZeroDivisionError: division by zero"
    assert isinstance(player.exception, ZeroDivisionError)
    assert sent[-1][0] == {"kind": "done", "index": 0, "failed": True}  # the browser does not wait for ever


def test_a_trace_is_played_as_it_is(rising, ramp):
    trace = rising(n_steps=3).trace(ramp)
    player = step_through(trace, index=3, show="edges")
    assert player.trace is trace
    assert (player.index, player.show) == (3, "edges")
    assert step_through(rising, ramp).n_frames == 6  # a class, with its defaults
    with pytest.raises(TypeError, match="needs a picture"):
        step_through(rising())


def test_large_pictures_are_reduced_and_that_is_told(rising):
    player = step_through(rising(n_steps=1), np.zeros((100, 400)), max_side=200)
    assert player.trace.image.shape == (1, 50, 200)
    assert "400×100 pixels is computed and shown at 200×50" in player.note
    assert step_through(rising(n_steps=1), np.zeros((100, 400))).note == ""


def test_without_a_kernel_an_animated_picture_is_left(player):
    data, metadata = player._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "<Player of Rising(n_steps=4): 5 states, at 1>"
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.n_frames == 5
    assert metadata["image/png"]["alt"] == data["text/plain"]


def test_the_page_holds_every_frame_and_asks_the_network_for_nothing(player, tmp_path):
    player.note = "a text that would </script> end the data"
    page = player.save_html(tmp_path / "p.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["frames"]) == 5
    assert data["state"]["texts"] == player.texts
    assert len({frame["layers"]["fill"] for frame in data["frames"]}) == 5
    assert not re.search(r"(src|href)=[\"']?http|@import|fetch\(", page)
    few = player.save_html(tmp_path / "few.html", max_frames=2).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', few, re.DOTALL)[1])
    assert data["state"]["steps"] == [0, 4]
    assert data["state"]["n_frames"] == 2


def test_gif(player, tmp_path):
    assert player.save_gif(tmp_path / "p.gif", width=80).stat().st_size > 100
