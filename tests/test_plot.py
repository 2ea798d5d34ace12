from __future__ import annotations

import dataclasses

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from nbclient import NotebookClient

from seglab import datasets, drawing, plot
from seglab.labels import colors
from seglab.methods import KMeans
from seglab.panels import Bars, Curve, Histogram, Lines, Panel, Picture, Pictures, Scatter
from seglab.region_graph import region_graph


@pytest.fixture(scope="module")
def scene():
    return datasets.shapes(height=24, width=36, seed=0)


@pytest.fixture(scope="module")
def result(scene):
    return KMeans(n_clusters=3).segment(scene.image)


def pixels(ax) -> np.ndarray:
    """What is drawn in the first image of an axes, (H, W, 3) uint8."""
    return np.asarray(ax.images[0].get_array())


def test_style_ends_with_its_block():
    before = dict(mpl.rcParams)
    with plot.style():
        assert mpl.rcParams["axes.titlesize"] == 13
    plot.show(np.zeros((3, 3)))
    bars = Bars(title="", values=[1.0])
    assert plot.draw(bars).title.get_fontsize() == 13  # the look, though the block is over
    with plot.style(**{"axes.titlesize": 7}):
        assert plot.draw(bars).title.get_fontsize() == 7  # a caller's own changes are kept
    assert dict(mpl.rcParams) == before


def test_show_tells_kinds_of_arrays_apart(scene, result):
    labels = scene.instances
    mask = labels.numpy() == 1
    table = (colors(int(labels.max()) + 1) * 255).round().numpy().astype(np.uint8)
    axes = plot.show(scene.image, labels, mask, np.asarray(labels), result, np.full((4, 4), 0.5), np.uint8([[0, 255]]))
    assert len(axes) == 7
    assert pixels(axes[0]).shape == (24, 36, 3)
    np.testing.assert_array_equal(pixels(axes[1]), table[labels.numpy()])
    np.testing.assert_array_equal(pixels(axes[3]), pixels(axes[1]))
    assert (pixels(axes[2])[~mask] == 255).all()  # off is white
    assert (pixels(axes[2])[mask] == table[0]).all()
    assert (pixels(axes[5]) == 128).all()
    assert pixels(axes[6])[0, :, 0].tolist() == [0, 255]
    assert all(not ax.axison or not ax.get_xticks().size for ax in axes)


def test_a_result_is_laid_over_its_picture_and_names_itself(scene, result):
    (over,) = plot.show(result, alpha=0.25)
    (bare,) = plot.show(result, overlay=False)
    picture = (scene.image * 255).movedim(0, -1).numpy()
    color = (colors(3)[result.labels] * 255).numpy()
    np.testing.assert_allclose(pixels(over), 0.75 * picture + 0.25 * color, atol=1)
    np.testing.assert_allclose(pixels(bare), color, atol=1)
    assert over.get_title() == "k-means, n_clusters = 3"
    assert over.get_xlabel().startswith("3 segments · ")


def test_overlay_takes_the_picture_before_or_the_one_given(scene):
    labels = scene.instances
    before = plot.show(scene.image, labels, overlay=True)[1]
    given = plot.show(labels, image=scene.image, overlay=True)[0]
    np.testing.assert_array_equal(pixels(before), pixels(given))
    assert (pixels(before) != pixels(plot.show(labels)[0])).any()
    unassigned = torch.full_like(labels, -1)
    (through,) = plot.show(unassigned, image=scene.image, overlay=True)
    np.testing.assert_allclose(pixels(through), (scene.image * 255).movedim(0, -1).numpy(), atol=1)
    with pytest.raises(ValueError, match="they need one size"):
        plot.show(labels[:5], image=scene.image, overlay=True)


def test_values_are_written_on_tiny_pictures_only():
    values = np.array([[0.25, 1.0], [0.0, 0.5]])
    axes = plot.show(values, np.array([[0, 1], [2, -1]]), np.zeros((9, 2)), np.zeros((2, 2, 3)))
    written = [[t.get_text() for t in ax.texts] for ax in axes]
    assert written == [["0.25", "1", "0", "0.5"], ["0", "1", "2", "-1"], [], []]
    assert len(plot.show(np.zeros((2, 2, 3)), annotate=True)[0].texts) == 4
    assert not plot.show(values, annotate=False)[0].texts
    assert axes[0].texts[0].get_color() != axes[0].texts[1].get_color()  # white on dark, black on bright
    with pytest.raises(ValueError, match="legible up to 8×8"):
        plot.show(np.zeros((9, 2)), annotate=True)


def test_show_wraps_rows_and_checks_counts():
    axes = plot.show(*[np.zeros((4, 4))] * 7, cols=3, suptitle="all")
    rows = {round(ax.get_subplotspec().rowspan.start) for ax in axes}
    assert rows == {0, 1, 2}
    assert len(axes.figure.axes) == 7
    with pytest.raises(ValueError, match="2 pictures and 1 titles"):
        plot.show(np.zeros((2, 2)), np.zeros((2, 2)), titles=["one"])
    with pytest.raises(ValueError, match="at least one"):
        plot.show()


def test_a_figure_is_shown_once(scene):
    """It stays with pyplot, which shows it; what is returned leaves nothing under a cell."""
    axes = plot.show(scene.image)
    assert axes.figure.number in plt.get_fignums()
    assert axes._ipython_display_() is None
    assert axes[:1].figure is axes.figure


def test_a_notebook_draws_a_figure_only_when_it_shows_it(tmp_path):
    cells = [
        "%matplotlib inline\nimport torch\nfrom matplotlib.backends.backend_agg import FigureCanvasAgg as Canvas",
        "from seglab import plot",
        "import sys\nby, draw = set(), Canvas.draw\n"
        "Canvas.draw = lambda self: (by.add(sys._getframe(1).f_code.co_name), draw(self))[1]",
        "figure = plot.show(torch.zeros(3, 8, 8))[0].figure",
        "print(len(by), 'draw_idle' in by)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}).execute()
    assert "image/png" in notebook.cells[3].outputs[0].data
    assert notebook.cells[4].outputs[0].text == "1 False\n"


PANELS = [
    Histogram(title="h", edges=np.arange(5), counts=[1, 2, 3, 1], curves={"0": [1, 1, 1, 1]}, marks={"t": 2.0}),
    Curve(title="c", x=[0, 1], curves={"a": [0, 1], "b": torch.tensor([1, 0])}, marks={"m": 0.5}, x_label="x"),
    Scatter(title="s", points=np.eye(2), centers=[[0.5, 0.5]], covariances=[np.diag([0.04, 0.01])], labels=[0, -1]),
    Scatter(title="s3", points=np.eye(3), colors=np.eye(3), centers=[[0, 0, 0]], covariances=[np.eye(3)]),
    Picture(title="p", values=np.eye(4), low=0, high=2),
    Lines(title="l", lines=[[[0, 1], [2, 3]]], points=[[1, 1]]),
    Bars(title="b", values=torch.tensor([0.25, 0.75]), y_label="weight"),
    Pictures(title="ps", values=torch.arange(30.0).reshape(5, 2, 3), names=["1", "0", "12", "all", "4"]),
]


@pytest.mark.parametrize("panel", PANELS, ids=lambda p: p.title)
def test_every_kind_of_panel_is_drawn(panel):
    ax = plot.draw(panel)
    assert ax.get_title() == panel.title
    ax.figure.canvas.draw()


def test_every_kind_of_panel_is_known():
    assert {type(panel) for panel in PANELS} == set(Panel.__subclasses__())

    class Other(Panel):
        pass

    with pytest.raises(TypeError, match="Other"):
        plot.draw(Other(title="?"))


def test_panels_use_the_labels_colors_and_the_units_of_the_picture():
    h, _, s, s3, p, lines, b, _ = (plot.draw(panel) for panel in PANELS)
    first = to_rgba(colors(1)[0].tolist())
    assert to_rgba(h.lines[0].get_color()) == first  # named after label 0
    assert h.lines[0].get_xdata().tolist() == [0.5, 1.5, 2.5, 3.5]  # middles of the bins
    assert b.patches[0].get_facecolor() == pytest.approx(first)
    assert [patch.get_height() for patch in b.patches] == [0.25, 0.75]
    (ellipse,) = s.patches
    assert (ellipse.width, ellipse.height) == pytest.approx((0.8, 0.4))  # two standard deviations each way
    assert ellipse.angle % 180 == pytest.approx(0)
    assert s3.name == "3d"
    assert p.images[0].get_clim() == (0, 2)
    assert lines.lines[0].get_xdata().tolist() == [1, 3]  # columns go right
    assert lines.yaxis_inverted()


def test_pictures_stand_in_rows_on_one_scale_with_their_names():
    ax, values = plot.draw(PANELS[-1]), PANELS[-1].values.numpy()
    assert len(ax.images) == 5
    for i, (image, name) in enumerate(zip(ax.images, PANELS[-1].names, strict=True)):
        assert image.get_clim() == (0, 29)  # the least and the greatest of all
        np.testing.assert_array_equal(image.get_array(), values[i])
        left, right, bottom, top = image.get_extent()
        assert (left, top) == pytest.approx((i % 3 * 3.15, i // 3 * 2.1))  # three in a row fill a wide panel best
        assert (right - left, bottom - top) == pytest.approx((3, 2))
        text = ax.texts[i]
        assert (text.get_text(), *text.xy) == (name, left, top)
        back = colors(int(name) + 1)[int(name)].tolist() if name != "all" else (1, 1, 1)
        assert text.get_bbox_patch().get_facecolor() == pytest.approx(to_rgba(back))
    assert ax.get_xlim()[1] > ax.images[2].get_extent()[1]
    assert ax.get_ylim()[0] > ax.images[4].get_extent()[2] > ax.get_ylim()[1] == 0
    fixed = plot.draw(dataclasses.replace(PANELS[-1], low=-1, high=40))
    assert {image.get_clim() for image in fixed.images} == {(-1, 40)}
    with pytest.raises(ValueError, match="zip"):
        plot.draw(dataclasses.replace(PANELS[-1], names=["0"]))


def test_limits_hold_for_all_frames():
    short, tall = Bars(title="", values=[1.0, 2.0]), Bars(title="", values=[1.0, 5.0])
    bounds = plot.limits([short, tall])
    assert plot.draw(short, bounds=bounds).get_ylim() == plot.draw(tall, bounds=bounds).get_ylim() == (0, 5.25)
    assert plot.limits([PANELS[4]]) is None
    nan = Curve(title="", x=[0, 1], curves={"a": [np.nan, np.inf]})
    assert plot.limits([nan]) is None


def test_paths_in_space_are_drawn_over_the_points():
    cube = np.stack(np.meshgrid(*[np.linspace(0, 1, 12)] * 3), -1).reshape(-1, 3)
    path = np.array([[0.3, 0.3, 0.3], [0.7, 0.7, 0.7]])

    def seen(points):
        figure = plot.draw(Scatter(title="", points=points, colors=np.ones_like(points), paths=[path])).figure
        figure.canvas.draw()
        color = np.round(255 * colors(1)[0].numpy())
        return int((np.abs(np.asarray(figure.canvas.buffer_rgba())[..., :3] - color) < 8).all(-1).sum())

    assert seen(cube) == seen(cube[[0, -1]]) > 20


def test_a_flat_axis_does_not_magnify_round_off():
    points = np.zeros((5, 3))
    points[:, 0], points[:, 1] = np.arange(5) * 25, np.arange(5) * 1e-6
    ax = plot.draw(Scatter(title="", points=points))
    low, high = ax.get_ylim()
    assert high - low > 5


def test_one_bar_does_not_flatten_a_histogram():
    counts = np.full(32, 10.0)
    even = plot.draw(Histogram(title="", edges=np.arange(33), counts=counts))
    assert (even.get_ylabel(), even.get_ylim()[1] > 10) == ("pixels", True)
    counts[0] = 1000
    panel = Histogram(title="", edges=np.arange(33), counts=counts)
    for bounds in (None, plot.limits([panel])):
        ax = plot.draw(panel, bounds=bounds)
        assert 10 < ax.get_ylim()[1] < 20
        assert ax.get_ylabel() == "pixels (tallest cut)"  # said, not done silently


def test_filmstrip_shows_first_and_last_with_their_panels(scene):
    trace = KMeans(n_clusters=3).trace(scene.image)
    assert len(trace) >= 3
    axes = plot.filmstrip(trace, n=3)
    n_panels = len(trace[0].panels(scene.image))
    assert len(axes) == 3 * (1 + n_panels)
    titles = [axes[k * (1 + n_panels)].get_title().replace("\n", " ") for k in range(3)]
    assert titles[0] == trace[0].describe()
    assert titles[-1] == trace[-1].describe()
    assert "n_clusters = 3" in axes.figure.get_suptitle()
    assert len(plot.filmstrip(trace, n=2, panels=False)) == 2


def test_sweep_titles_results_and_wrong_names(scene):
    axes = plot.sweep(KMeans(seed=7), scene.image, "n_clusters", [2, 4], color_space="rgb")
    assert [r.n_segments for r in axes.results] == [2, 4]
    assert all(r.method.seed == 7 and r.method.color_space == "rgb" for r in axes.results)
    assert [ax.get_title() for ax in axes] == ["k-means\nn_clusters = 2", "k-means\nn_clusters = 4"]
    assert len(plot.sweep(KMeans, scene.image, "n_clusters").results) >= 4
    with pytest.raises(ValueError, match="no parameter 'clusters'; it has n_clusters"):
        plot.sweep(KMeans, scene.image, "clusters", [2])


def test_objective_draws_what_the_trace_has(scene):
    trace = KMeans(n_clusters=3).trace(scene.image)
    (line,) = plot.objective(trace).lines
    np.testing.assert_allclose(line.get_ydata(), trace.objectives)
    states = tuple(dataclasses.replace(s) for s in trace.states[:1])
    none = dataclasses.replace(trace, states=states)
    vars(none)["objectives"] = [None]
    with pytest.raises(ValueError, match="no objective"):
        plot.objective(none)


def test_titles_name_the_key_parameter_and_what_was_changed():
    assert plot.method_title(KMeans()) == "k-means, n_clusters = 5"
    assert plot.method_title(KMeans(n_clusters=2, color_space="hsv")) == "k-means, n_clusters = 2, color_space = hsv"


def test_importing_the_look_does_not_import_widgets():
    import subprocess
    import sys

    code = "import sys, seglab.plot, seglab.animation; print('ipywidgets' in sys.modules, 'anywidget' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert drawing.draw is plot.draw


def test_a_region_graph_is_drawn_with_a_dot_for_each_region_and_a_line_for_each_edge(scene):
    graph = region_graph(scene.instances, scene.image)
    ax = plot.show_graph(scene.instances, scene.image)
    lines, dots = ax.collections
    assert len(lines.get_segments()) == len(graph.edges) > 0
    np.testing.assert_allclose(np.sort(lines.get_array()), np.sort(graph.differences.numpy()))
    np.testing.assert_allclose(dots.get_offsets(), graph.centroids.flip(1).numpy())
    assert len(ax.figure.axes) == 2  # the scale
    assert ax.figure.axes[1].get_ylabel() == "difference of mean colors"


def test_a_region_graph_takes_weights_and_an_axes(scene):
    graph = region_graph(scene.instances, scene.image)
    ax = plt.figure().add_subplot()
    assert plot.show_graph(graph, scene.image, weights=graph.strengths, title="strengths", ax=ax) is ax
    assert ax.get_title() == "strengths"
    np.testing.assert_allclose(np.sort(ax.collections[0].get_array()), np.sort(graph.strengths.numpy()))
    with pytest.raises(ValueError, match="edges and weights"):
        plot.show_graph(graph, scene.image, weights=[1.0])
    alone = plot.show_graph(torch.zeros(24, 36, dtype=torch.int64), scene.image)
    assert len(alone.collections) == 1


def test_counts_have_whole_ticks():
    ax = plot.curves([1, 2, 3], {"clusters": [2, 3, 4]})
    ax.figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in ax.get_yticks())
    assert not all(float(tick).is_integer() for tick in plot.curves([1, 2], {"loss": [0.2, 0.9]}).get_yticks())
