from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from seglab import datasets
from seglab.methods import KMeans
from seglab.metrics.region import segmentation_covering
from seglab.widgets import compare


@pytest.fixture
def halves() -> np.ndarray:
    """A truth for the ramp: left and right."""
    truth = np.zeros((4, 10), np.int64)
    truth[:, 5:] = 1
    return truth


def test_cells_fill_one_after_another(rising, ramp):
    grid = compare([rising(n_steps=2), rising(n_steps=5)], {"a": ramp, "b": 1 - ramp})
    assert [grid.cell_0["state"], grid.cell_3["state"], grid.finished] == ["waiting", "waiting", False]
    seen = []
    for k in range(grid.n_cells):
        grid.observe(lambda change, k=k: seen.append((k, change["new"]["state"])), f"cell_{k}")
    grid.receive({"kind": "ready"}, [])
    assert seen == [(k, state) for k in range(4) for state in ("computing", "done")]
    assert grid.finished
    assert grid.results[1][0].method.n_steps == 2
    np.testing.assert_array_equal(grid.results[1][0].image[0], torch.from_numpy(1 - ramp).float())
    assert grid.cell_1["fill"].startswith(b"\x89PNG")
    grid.run()
    assert len(seen) == 8  # nothing is computed twice


def test_a_method_that_fails_takes_no_other_with_it(rising, ramp):
    grid = compare([rising(broken=True), rising()], ramp)
    ((failed, fine),) = grid.results
    assert failed is None
    assert fine.n_segments == 2
    assert (grid.cell_0["state"], grid.cell_0["caption"]) == ("failed", "RuntimeError: broken on purpose")
    assert grid.still().startswith(b"\x89PNG")


def test_scores_only_where_there_is_a_truth(rising, ramp, halves):
    grid = compare([rising(n_steps=5), rising(n_steps=2)], {"a": ramp, "b": ramp}, {"a": halves})
    (right, wrong), second = grid.scores
    assert right == pytest.approx({"SC": 1.0, "PRI": 1.0, "VI": 0.0}, abs=1e-6)
    assert wrong["SC"] == pytest.approx(segmentation_covering(halves, grid.results[0][1].labels))
    assert wrong["SC"] < 1
    assert second == ({}, {})
    assert "SC 1.00 · PRI 1.00 · VI 0.00" in grid.cell_0["caption"]
    assert "SC" not in grid.cell_2["caption"]


def test_forms_of_truths(rising, ramp, halves):
    one = compare(rising(), ramp, halves).scores
    assert compare([rising], [ramp], [halves]).scores == one
    assert compare([rising()], {"x": ramp}, {"x": [halves, halves]}).scores == one  # two people who agree
    assert compare([rising()], [ramp, ramp], [None, torch.from_numpy(halves)]).scores == (({},), one[0])
    with pytest.raises(ValueError, match="they need one size"):
        compare([rising()], ramp, halves[:2])
    with pytest.raises(ValueError, match="2 pictures and 1 truths"):
        compare([rising()], [ramp, ramp], [halves])
    with pytest.raises(ValueError, match="a truth for 'y'"):
        compare([rising()], {"x": ramp}, {"y": halves})


def test_large_pictures_and_truths_are_reduced_alike():
    scene = datasets.shapes(height=60, width=120, seed=0)
    grid = compare([KMeans(n_clusters=2)], {"scene": scene.image}, {"scene": scene.instances}, max_side=60)
    assert grid.results[0][0].shape == (30, 60)
    assert "scene: The picture of 120×60 pixels is computed and shown at 60×30" in grid.note
    assert 0 < grid.scores[0][0]["SC"] <= 1


def test_names_and_classes_stand_for_their_defaults(ramp):
    grid = compare(["kmeans", KMeans], ramp)
    assert grid.columns == ["k-means, n_clusters = 5"] * 2
    with pytest.raises(ValueError, match="at least one method"):
        compare([], ramp)


def test_the_grid_is_shown_before_it_is_full_and_left_as_a_picture(rising, ramp, monkeypatch):
    shown = []

    class Handle:
        def update(self, data, **options):
            shown.append(("update", data))

    grid = compare([rising(), rising(n_steps=2)], ramp)

    def display(data, **options):
        shown.append(("display", dict(data), grid.finished))
        return Handle()

    monkeypatch.setattr("seglab.widgets.comparison.display", display)
    grid._ipython_display_()
    (first, data, finished), (second, last) = shown
    assert (first, finished, second) == ("display", False, "update")
    assert "image/png" not in data
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = Image.open(io.BytesIO(base64.b64decode(last["image/png"])))
    assert picture.width > 2 * 220
