"""Generated tissue: truth and picture belong together, and each parameter does what it says and nothing else."""

from __future__ import annotations

import doctest

import pytest
import torch
from scipy.ndimage import label

from seglab.datasets import tissue, tissues

PLAIN = {"noise": 0.0, "illumination": 0.0, "organelles": 0.0}


@pytest.mark.parametrize("size", [(8, 8), (64, 96), (200, 120)])
@pytest.mark.parametrize("seed", range(4))
def test_every_tissue_is_sound(size, seed):
    scene = tissue(height=size[0], width=size[1], spacing=24, seed=seed)
    assert scene.image.shape == (1, *size)
    assert scene.image.dtype == torch.float32
    assert 0 <= scene.image.min() <= scene.image.max() <= 1
    assert scene.class_names == ("membrane", "cell")
    assert torch.equal(scene.semantic, scene.instance_classes[scene.instances])
    assert torch.unique(scene.instances).tolist() == list(range(scene.n_instances + 1))
    assert scene.instances.flatten().bincount()[1:].min() >= 12


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_what_membranes_leave(seed):
    scene = tissue(seed=seed)
    apart, n = label(scene.semantic.numpy())
    assert n == scene.n_instances
    assert torch.equal(torch.from_numpy(apart).long(), scene.instances), "numbered in the order of their first pixels"
    assert 30 < n < 120


def test_is_the_same_for_a_seed_and_leaves_chance_alone():
    before = torch.random.get_rng_state()
    one, again, other = (tissue(height=64, width=64, seed=k) for k in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.instances, again.instances)
    assert not torch.equal(one.instances, other.instances)


def test_parts_are_drawn_apart():
    quiet, loud = tissue(seed=3, **PLAIN), tissue(seed=3, noise=0.3, illumination=0.8, organelles=0.0)
    assert torch.equal(quiet.instances, loud.instances)
    assert not torch.equal(quiet.image, loud.image)
    full = tissue(seed=3, noise=0.0, illumination=0.0, organelles=1.0)
    assert torch.equal(quiet.instances, full.instances)


def test_membranes_are_dark_unless_they_fade():
    strong, faint = tissue(seed=5, fading=0.0, **PLAIN), tissue(seed=5, fading=1.0, **PLAIN)
    assert torch.equal(strong.instances, faint.instances)
    wall = strong.semantic == 0
    assert strong.image[0][wall].mean() < strong.image[0][~wall].mean() - 0.25
    assert strong.image[0][wall].mean() < faint.image[0][wall].mean() - 0.1
    torch.testing.assert_close(strong.image[0][~wall].mean(), faint.image[0][~wall].mean(), atol=0.02, rtol=0)


def test_membranes_have_their_width():
    shares = [float((tissue(seed=2, membrane=w).semantic == 0).float().mean()) for w in (2.0, 4.0, 8.0)]
    assert shares[0] < 0.75 * shares[1] < 0.6 * shares[2]
    wider = [tissue(seed=2, spacing=s, membrane=2.0).n_instances for s in (20, 40)]
    assert wider[0] > 2.5 * wider[1]


def test_nothing_but_membrane():
    for seed in range(20):
        scene = tissue(height=8, width=8, spacing=60.0, membrane=20.0, seed=seed)
        if scene.n_instances == 0:
            break
    assert scene.n_instances == 0
    assert scene.semantic.eq(0).all()


def test_organelles_darken_cells_without_a_border():
    without, with_them = tissue(seed=4, **PLAIN), tissue(seed=4, noise=0.0, illumination=0.0, organelles=1.0)
    inside = without.semantic == 1
    darker = (without.image - with_them.image)[0][inside] > 0.2
    assert 0.02 < darker.float().mean() < 0.3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"height": 4}, "at least 8×8 pixels; got 4×256"),
        ({"spacing": 5}, "spacing is at least 8"),
        ({"membrane": 20.0}, r"membrane in \[1, spacing / 3\]; got 32.0 and 20.0"),
        ({"fading": 1.5}, r"fading is in \[0, 1\]; got 1.5"),
        ({"organelles": -0.1}, r"organelles is in \[0, 1\]"),
        ({"illumination": 2}, r"illumination is in \[0, 1\]"),
        ({"noise": -1}, "noise is at least 0"),
    ],
)
def test_wrong_inputs(wrong, message):
    with pytest.raises(ValueError, match=message):
        tissue(**wrong)


@pytest.mark.gpu
def test_gpu_gets_the_same():
    here, there = tissue(height=40, width=40), tissue(height=40, width=40, device="cuda")
    assert there.image.is_cuda
    assert torch.equal(there.image.cpu(), here.image)
    assert torch.equal(there.instances.cpu(), here.instances)


def test_examples():
    result = doctest.testmod(tissues)
    assert result.attempted
    assert not result.failed
