from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from seglab.hierarchy import Hierarchy
from seglab.metrics import (
    boundary_scores,
    probabilistic_rand_index,
    segmentation_covering,
    variation_of_information,
)
from seglab.widgets import CutExplorer, explore_cuts
from seglab.widgets.cuts import ALONE, MATCHED, MISSED, _pairs_layer, spread_cuts


@pytest.fixture
def tree() -> Hierarchy:
    """Four columns of ten, joined 2 + 3 at 0.2, 1 + 23 at 0.5, 0 + 123 at 0.8; 12 rows."""
    leaves = torch.arange(40).expand(12, -1) // 10
    return Hierarchy(
        leaves=leaves, merges=torch.tensor([[2, 3], [4, 1], [5, 0]]), heights=torch.tensor([0.2, 0.5, 0.8])
    )


@pytest.fixture
def truths(tree) -> list[torch.Tensor]:
    """Two people: halves; and a part of its own at the left."""
    return [tree.leaves // 2, (tree.leaves > 0).long()]


@pytest.fixture
def widget(tree, truths) -> CutExplorer:
    return explore_cuts(tree, tree.leaves / 3.0, truths, thresholds=[0.1, 0.3, 0.6, 0.9], title="columns")


@pytest.fixture
def sent(widget, monkeypatch) -> list:
    """The messages to the browser."""
    messages: list = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: messages.append((content, buffers)))
    return messages


def test_the_scores_are_those_of_the_cuts(widget, tree, truths):
    assert widget.n_segments == [4, 3, 2, 1]
    for i, t in enumerate(widget.thresholds):
        cut = tree.cut(t)
        assert widget.scores["SC"][i] == pytest.approx(segmentation_covering(truths, cut))
        assert widget.scores["PRI"][i] == pytest.approx(probabilistic_rand_index(truths, cut))
        assert widget.scores["VI"][i] == pytest.approx(variation_of_information(truths, cut))
        assert widget.scores["F"][i] == pytest.approx(boundary_scores(truths, [cut]).f[0])
    assert {name: widget.best[name] for name in ("SC", "PRI", "F")} == {"SC": 2, "PRI": 1, "F": 1}  # by hand
    assert widget.scores["VI"].argmin() == widget.best["VI"]  # the lowest
    assert widget.scores["VI"].tolist() == pytest.approx([1.0945, 0.5944, 0.5944, 0.9056], abs=1e-3)
    assert [measure["name"] for measure in widget.measures] == ["SC", "PRI", "VI", "F"]
    json.dumps([widget.measures, widget.texts])


def test_what_the_browser_is_told(widget):
    assert (widget.width, widget.height) == (40, 12)
    assert widget.index == 2
    assert widget.texts[3] == "threshold 0.9 · 1 segment · precision 0.00, recall 0.00 of the boundaries"
    assert widget.texts[1] == "threshold 0.3 · 3 segments · precision 1.00, recall 1.00 of the boundaries"
    assert repr(widget).startswith("<CutExplorer of columns: threshold 0.6, 2 segments, SC ")


def test_the_index_stays_within(widget, tree):
    widget.index = 99
    assert widget.index == 3
    widget.index = -1
    assert widget.index == 0
    assert torch.equal(widget.labels, tree.leaves)


def test_the_layers_of_a_frame_are_sent(widget, sent):
    widget.receive({"kind": "frame", "index": 1, "layers": ["fill", "pairs"]}, [])
    (layers, buffers), (done, _) = sent
    assert layers == {"kind": "layers", "index": 1, "names": ["fill", "pairs"]}
    fill = np.asarray(Image.open(io.BytesIO(buffers[0])).convert("RGB"))
    assert [len(np.unique(fill[:, a:b].reshape(-1, 3), axis=0)) for a, b in ((0, 10), (10, 20), (20, 40))] == [1, 1, 1]
    assert done == {"kind": "done", "index": 1, "failed": False}
    widget.receive({"kind": "other"}, [])
    assert len(sent) == 2


def test_pairs_show_what_matches_what_does_not_and_what_is_missed(widget, tree):
    def columns(i: int) -> dict[int, tuple[int, ...]]:
        layer = np.asarray(Image.open(io.BytesIO(widget.layer("pairs", i))).convert("RGBA"))
        return {col: tuple(layer[5, col, :3]) for col in range(40) if layer[5, col, 3]}

    assert columns(0) == {9: MATCHED, 19: MATCHED, 29: ALONE}
    assert columns(1) == {9: MATCHED, 19: MATCHED}
    assert columns(2) == {9: MATCHED, 19: MISSED}
    assert columns(3) == {9: MISSED, 19: MISSED}


def test_pixels_of_a_pair_may_be_apart_and_people_who_are_matched_are_not_drawn():
    person, edge = np.zeros((2, 300, 400), bool)  # the tolerance is 3.75 pixels
    person[:, 100] = edge[:, 103] = True
    layer = np.asarray(Image.open(io.BytesIO(_pairs_layer([person], edge))).convert("RGBA"))
    assert np.flatnonzero(layer[150, :, 3]).tolist() == [103]
    assert tuple(layer[150, 103, :3]) == MATCHED


def test_an_error_in_a_frame_is_seen(widget, sent, monkeypatch):
    monkeypatch.setattr(widget, "layer", lambda name, i: 1 / 0)
    widget._heard(widget, {"kind": "frame", "index": 0, "layers": ["fill"]}, [])
    assert widget.error == "ZeroDivisionError: division by zero"
    assert sent[-1][0] == {"kind": "done", "index": 0, "failed": True}  # the browser does not wait for ever


def test_thresholds_are_spread_so_that_numbers_fall_evenly(tree):
    chain = torch.tensor([[0, 1], *([9 + i, 2 + i] for i in range(7))])
    row = Hierarchy(leaves=torch.arange(9)[None], merges=chain, heights=torch.arange(1.0, 9))
    assert spread_cuts(row, 4).tolist() == [0, 5, 7, 8]  # 9 segments, 4.3, 2.1 and 1
    assert spread_cuts(tree, 100).tolist() == pytest.approx([0.0, 0.2, 0.5, 0.8])
    with pytest.raises(ValueError, match="at least 2"):
        spread_cuts(tree, 1)


def test_a_contour_map_does_too(tree, truths):
    made = explore_cuts(tree.contours(), tree.leaves / 3.0, truths[0], thresholds=[0.1, 0.6])
    assert made.n_segments == [4, 2]
    assert made.index == 1


def test_wrong_inputs(tree, truths):
    image = tree.leaves / 3.0
    with pytest.raises(ValueError, match=r"picture is \(3, 4\) and the hierarchy \(12, 40\)"):
        explore_cuts(tree, torch.zeros(3, 4), truths)
    with pytest.raises(ValueError, match="differ in shape"):
        explore_cuts(tree, image, torch.zeros(3, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="must rise"):
        explore_cuts(tree, image, truths, thresholds=[0.5, 0.5])
    with pytest.raises(ValueError, match="at least one"):
        explore_cuts(tree, image, truths, thresholds=[])


@pytest.mark.parametrize("reveal", [True, False])
def test_without_a_kernel_an_animated_picture_is_left(widget, reveal):
    widget.reveal = reveal
    data, metadata = widget._repr_mimebundle_()
    assert data["text/plain"] == repr(widget) == metadata["image/png"]["alt"]
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.n_frames == 4
    assert (picture.height > 300) == reveal  # with the curves below, or without
    assert not widget.error


def test_the_page_holds_every_frame_and_asks_the_network_for_nothing(widget, tmp_path):
    page = widget.save_html(tmp_path / "cuts.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["frames"]) == 4
    assert len({frame["layers"]["pairs"] for frame in data["frames"]}) == 4
    assert data["state"]["n_segments"] == widget.n_segments
    assert not re.search(r"(src|href)=[\"']?http|@import|fetch\(", page)
