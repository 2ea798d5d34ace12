from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from seglab import animation, datasets, plot
from seglab.labels import colors
from seglab.methods import GaussianMixture, KMeans
from seglab.panels import Lines


def opened(png: bytes, mode: str = "RGBA") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert(mode))


@pytest.fixture(scope="module")
def trace():
    return KMeans(n_clusters=3).trace(datasets.shapes(height=30, width=45, seed=0).image)


def test_fill_has_the_labels_colors_and_lets_the_unassigned_through():
    labels = torch.tensor([[0, 1, 2], [-1, 2, 9]])
    layer = opened(animation.fill_layer(labels))
    table = (colors(10) * 255).round().numpy()
    assert layer[1, 0, 3] == 0
    seen = labels.numpy() >= 0
    assert (layer[seen, 3] == 255).all()
    np.testing.assert_array_equal(layer[seen, :3], table[labels.numpy()[seen]])


@pytest.mark.parametrize("n", [255, 256, 1000])
def test_fill_with_many_labels(n):
    labels = torch.arange(n).reshape(1, n)
    labels = torch.cat([labels, torch.full((1, n), -1)])
    layer = opened(animation.fill_layer(labels, max_side=5000))
    np.testing.assert_array_equal(layer[0, :, :3], (colors(n) * 255).round().numpy())
    assert (layer[0, :, 3] == 255).all()
    assert (layer[1, :, 3] == 0).all()


def test_mean_colors_against_a_loop():
    image = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    labels = (torch.arange(35).reshape(5, 7) % 4) * 3 - 1  # -1, 2, 5, 8
    layer = opened(animation.fill_layer(labels, image))
    for k in (2, 5, 8):
        mean = image[:, labels == k].mean(1) * 255
        assert np.abs(layer[(labels == k).numpy(), :3] - mean.numpy()).max() <= 0.51
    assert (layer[(labels < 0).numpy(), 3] == 0).all()
    nothing = animation.fill_layer(torch.full((2, 2), -1), torch.rand(1, 2, 2))
    assert (opened(nothing)[..., 3] == 0).all()


def test_edges_stand_where_labels_differ_and_nowhere_else():
    labels = torch.zeros(500, 600, dtype=torch.long)
    labels[:, 300:] = 1
    layer = opened(animation.edge_layer(labels))
    rows, cols = np.nonzero(layer[..., 3])
    assert set(cols) == {299, 300}
    assert len(rows) == 1000
    assert {tuple(layer[7, c, :3]) for c in (299, 300)} == {(0, 0, 0), (255, 255, 255)}
    assert not opened(animation.edge_layer(torch.zeros(4, 4, dtype=torch.long)))[..., 3].any()
    small = opened(animation.edge_layer(labels[:8, 296:304]))
    assert small.shape[0] >= animation.SHARP - 8  # enlarged, so that a boundary does not cover the pixels
    assert small[..., 3].mean() / 255 < 0.02


def test_lines_are_placed_in_rows_and_columns():
    panel = Lines(title="", lines=[[[10, 0], [10, 599]]])
    layer = opened(animation.line_layer([panel], (500, 600)))
    rows, _ = np.nonzero(layer[..., 3])
    assert 8 <= rows.min() <= 10 <= rows.max() <= 13
    assert animation.line_layer([], (500, 600)) is None


def test_large_pictures_and_their_layers_are_reduced_alike():
    image, labels = torch.rand(1, 90, 201), torch.zeros(90, 201, dtype=torch.long)
    base = opened(animation.picture_png(image, 50))
    assert base.shape[:2] == opened(animation.fill_layer(labels, max_side=50)).shape[:2] == (18, 41)


def test_frames_are_made_once(trace):
    frames = animation.Frames(trace)
    assert frames.panels(1) is frames.panels(1)
    assert frames.fill(1) is frames.fill(1)
    assert len(frames.titles(1)) == len(frames.panels(1))
    assert frames.fill(0) != frames.fill(len(frames) - 1)


def test_apng_plays_all_steps_and_stays_small(trace, tmp_path):
    data = animation.save_apng(trace, tmp_path / "steps.png")
    picture = Image.open(io.BytesIO((tmp_path / "steps.png").read_bytes()))
    assert picture.n_frames == len(plot.chosen(len(trace), 8)) > 1
    assert picture.info["loop"] == 0
    assert len(data) <= 400_000
    pages = []
    for k in range(picture.n_frames):
        picture.seek(k)
        pages.append(np.asarray(picture.convert("RGB")))
    assert (pages[0] != pages[-1]).any()
    assert len(animation.save_apng(trace, max_bytes=30_000)) < len(data)


def test_apng_keeps_the_labels_colors_on_thin_lines():
    image = datasets.photo("coffee", max_side=96)
    data = animation.save_apng(GaussianMixture(n_components=4, start="random", max_iter=4).trace(image))
    picture = Image.open(io.BytesIO(data))
    picture.seek(picture.n_frames - 1)
    panels = np.asarray(picture.convert("RGB"))[:, picture.width // 2 :].reshape(-1, 1, 3).astype(float)
    off = np.abs(panels - 255 * colors(4).numpy()).max(2).min(0)
    assert (off < 16).all(), f"labels' colors are off by {off}"  # the median cut drops those of few pixels


def test_gif_has_every_step(trace, tmp_path):
    path = animation.save_gif(trace, tmp_path / "steps.gif", width=120)
    picture = Image.open(io.BytesIO(path.read_bytes()))
    assert picture.n_frames == len(trace)
    assert picture.info["loop"] == 0
    assert plot.save_gif(trace, tmp_path / "again.gif", width=120).read_bytes() == path.read_bytes()
    few = animation.save_gif(trace, tmp_path / "few.gif", width=120, max_frames=2)
    assert Image.open(io.BytesIO(few.read_bytes())).n_frames == 2


def test_one_state_is_a_still(tmp_path):
    trace = KMeans(n_clusters=1).trace(np.zeros((4, 4)))
    only = type(trace)(states=trace.states[:1], image=trace.image, method=trace.method, every=1, seconds=0.0)
    assert getattr(Image.open(io.BytesIO(animation.save_apng(only))), "n_frames", 1) == 1
    assert animation.save_gif(only, tmp_path / "one.gif").exists()
