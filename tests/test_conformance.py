"""One battery for every method: what the protocol promises, held against each of them."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from seglab.params import parameters
from seglab.segmenter import Segmentation, Segmenter, Status, methods

METHODS = methods()
every_method = pytest.mark.parametrize("name", METHODS)


def small(cls: type[Segmenter]) -> Segmenter:
    """The method with its defaults, few iterations."""
    fields = {field.name for field in dataclasses.fields(cls)}
    return cls(**({"max_iter": 5} if "max_iter" in fields else {}))


def picture(height: int = 24, width: int = 31, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """Three flat areas with noise."""
    g = torch.Generator().manual_seed(seed)
    image = torch.full((channels, height, width), 0.2)
    image[:, :, width // 3 :] = 0.5
    image[0, height // 2 :] += 0.3
    return (image + 0.04 * torch.randn(image.shape, generator=g)).clamp(0, 1)


def check_result(result: Segmentation, height: int, width: int) -> None:
    assert isinstance(result, Segmentation)
    assert result.labels.shape == (height, width)
    assert result.labels.dtype == torch.int64
    assert result.labels.min() >= -1
    assert result.status is not Status.RUNNING
    assert result.seconds > 0
    assert np.asarray(result).shape == (height, width)
    if result.state.objective is not None:
        assert np.isfinite(float(result.state.objective))


@every_method
def test_segments_a_picture_into_several_segments(name):
    result = small(METHODS[name]).segment(picture())
    check_result(result, 24, 31)
    assert result.n_segments >= 2


@every_method
def test_is_deterministic_and_leaves_the_global_generator_alone(name):
    image = picture()
    before = torch.random.get_rng_state()
    first, second = (small(METHODS[name]).segment(image).labels for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())


@every_method
def test_the_last_of_steps_is_the_segmentation(name):
    method, image = small(METHODS[name]), picture()
    last = list(method.steps(image))[-1]
    state = method.segment(image).state
    assert torch.equal(last.labels, state.labels)
    assert last.status == state.status
    assert last.n_iter == state.n_iter


@every_method
def test_changes_neither_picture_nor_earlier_states(name):
    method, image = small(METHODS[name]), picture()
    kept, states = image.clone(), []
    snapshots = []
    for state in method.steps(image):
        states.append(state)
        snapshots.append(state.labels.clone())
    assert torch.equal(image, kept)
    for state, snapshot in zip(states, snapshots, strict=True):
        fresh = dataclasses.replace(state)  # without what was cached
        assert torch.equal(fresh.labels, snapshot)


@every_method
def test_resuming_from_any_state_gives_the_same_end(name):
    method, image = small(METHODS[name]), picture()
    states = list(method.steps(image))
    for state in states[:: max(1, len(states) // 4)]:
        resumed = method.segment(image, init=state)
        assert torch.equal(resumed.labels, states[-1].labels)
        assert resumed.state.n_iter == states[-1].n_iter


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("kmeans", [{"n_clusters": n} for n in (3, 2)]),
        ("mean_shift", [{"min_size": n} for n in (50, 1, 300, 1)] + [{"min_size": 50, "range_bandwidth": 20}]),
        ("normalized_cuts", [{"n_segments": n} for n in (5, 2, 9, 5)] + [{"n_segments": 4, "radius": 2}]),
        ("normalized_cuts", [{"n_segments": n, "threshold": 0.05} for n in (30, 3)]),
        ("normalized_cuts", [{"n_segments": n, "mode": "kway"} for n in (4, 2)]),
        ("normalized_cuts", [{"n_segments": n, "nodes": "superpixels", "n_superpixels": 6} for n in (20, 3, 7)]),
        ("backprop_segmentation", [{"max_iter": n, "n_components": m} for m in (2, 1) for n in (1, 3, 3, 2, 4)]),
        ("backprop_segmentation", [{"max_iter": n, "min_labels": 4} for n in (1, 8, 9)]),
    ],
)
def test_several_settings_at_once_are_each_as_alone(name, settings):
    each = [dataclasses.replace(small(METHODS[name]), **setting) for setting in settings]
    found = list(METHODS[name].segment_each(each, picture()))
    for method, result in zip(each, found, strict=True):
        alone = method.segment(picture())
        assert result.method == method
        assert torch.equal(result.labels, alone.labels)
        assert torch.equal(result.state.labels, alone.labels)
        assert result.status == alone.status
        assert result.seconds > 0


@every_method
def test_numbers_its_steps(name):
    counts = [state.n_iter for state in small(METHODS[name]).steps(picture())]
    assert counts == sorted(set(counts))
    assert counts[0] == 0


@every_method
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (2, 2)], ids=str)
def test_takes_the_smallest_pictures(name, shape):
    image = torch.linspace(0, 1, 3 * shape[0] * shape[1]).reshape(3, *shape)
    check_result(small(METHODS[name]).segment(image), *shape)


@every_method
def test_takes_a_constant_picture(name):
    check_result(small(METHODS[name]).segment(torch.full((3, 12, 9), 0.25)), 12, 9)


@every_method
@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.zeros((8, 9), np.uint8) + np.arange(9, dtype=np.uint8) * 20, id="gray uint8"),
        pytest.param(np.random.default_rng(0).random((8, 9, 1)), id="(H, W, 1) float64"),
        pytest.param(np.random.default_rng(0).integers(0, 256, (8, 9, 4), dtype=np.uint8), id="alpha"),
        pytest.param(np.random.default_rng(0).random((8, 9, 3)).astype(np.float16), id="float16"),
    ],
)
def test_takes_what_numpy_calls_an_image(name, array):
    check_result(small(METHODS[name]).segment(array), 8, 9)


@every_method
@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(np.full((4, 5, 3), np.nan), "NaN", id="NaN"),
        pytest.param(np.zeros((0, 5, 3)), "empty", id="empty"),
        pytest.param(np.zeros(7), "dimension", id="1-D"),
    ],
)
def test_refuses_what_is_no_image_in_one_clear_error(name, image, message):
    with pytest.raises(ValueError, match=message):
        small(METHODS[name]).segment(image)


@every_method
def test_traces_first_and_last(name):
    method, image = small(METHODS[name]), picture()
    trace = method.trace(image, max_states=4)
    states = list(method.steps(image))
    assert trace[0].n_iter == 0
    assert trace[-1].n_iter == states[-1].n_iter
    assert torch.equal(trace[-1].labels, states[-1].labels)
    assert len(trace) <= 5


@every_method
def test_describes_its_parameters(name):

    cls = METHODS[name]
    assert cls.title
    for p in parameters(cls):
        assert p.help, f"{name}.{p.name} has no help"
        p.check(p.default)
        for value in p.sweep(3):
            if value is not None:
                p.check(value)


@every_method
def test_shows_panels_and_a_picture(name):
    from seglab.panels import Panel

    image = picture()
    for state in small(METHODS[name]).trace(image):
        assert all(isinstance(panel, Panel) for panel in state.panels(image))
        assert state.describe()
    data, _ = small(METHODS[name]).segment(image)._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")


@every_method
def test_objective_goes_one_way_unless_the_method_says_otherwise(name):
    method = METHODS[name]
    if not method.objective_sense:
        pytest.skip("no monotone objective")
    values = [float(state.objective) for state in small(method).steps(picture()) if state.objective is not None]
    sign = 1 if method.objective_sense == "min" else -1
    assert all(sign * b <= sign * a + 1e-5 * abs(a) for a, b in zip(values, values[1:], strict=False))


def check_steps(method: Segmenter, image: torch.Tensor, device: str) -> None:
    """Each step there is the one here from the same state: for steps that amplify rounding, on one device too."""
    there = method.trace(image, every=1, device=device)
    assert torch.equal(there[0].labels, method.init(image).labels)
    assert there[-1].n_iter == len(there) - 1 == 5
    for before, after in itertools.pairwise(there):
        here = dataclasses.replace(method, max_iter=after.n_iter).segment(image, init=before)
        assert here.state.n_iter == after.n_iter
        assert (here.labels == after.labels).double().mean() > 0.999


def test_steps_are_checked_one_by_one():
    check_steps(small(METHODS["backprop_segmentation"]), picture(60, 80), "cpu")


@every_method
@pytest.mark.gpu
def test_gives_the_same_on_a_gpu(name):
    method, image = small(METHODS[name]), picture(60, 80)
    if name == "backprop_segmentation":
        check_steps(method, image, "cuda")
        return
    on_cpu, on_gpu = method.segment(image), method.segment(image, device="cuda")
    assert on_gpu.labels.device.type == "cuda"
    assert on_gpu.state.n_iter == on_cpu.state.n_iter
    assert (on_gpu.labels.cpu() == on_cpu.labels).double().mean() > 0.999
