"""Generated scenes: truth and picture belong together, and each parameter does what it says and nothing else."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from seglab.datasets import SHAPES, TEXTURES, shapes, two_tone

PLAIN = {"noise": 0.0, "illumination": 0.0, "texture": "flat", "antialias": False}


def assert_sound(scene, height, width, n):
    assert scene.image.shape == (3, height, width)
    assert scene.image.dtype == torch.float32
    assert scene.image.min() >= 0
    assert scene.image.max() <= 1
    assert scene.instances.shape == scene.semantic.shape == (height, width)
    assert scene.instances.dtype == scene.semantic.dtype == torch.int64
    assert scene.n_instances == n
    assert torch.equal(scene.semantic, scene.instance_classes[scene.instances])
    assert scene.class_names[0] == "background"
    assert scene.instance_classes[0] == 0
    assert scene.instance_classes[1:].min() >= 1
    assert scene.instance_classes.max() < len(scene.class_names)


@settings(max_examples=25)
@given(
    height=st.integers(40, 90),
    width=st.integers(40, 90),
    n=st.integers(1, 6),
    overlap=st.sampled_from([0.0, 0.3, 0.8]),
    texture=st.sampled_from(["mixed", *TEXTURES]),
    seed=st.integers(0, 2**31),
)
def test_every_scene_is_sound(height, width, n, overlap, texture, seed):
    scene = shapes(height=height, width=width, n_shapes=n, overlap=overlap, texture=texture, seed=seed)
    assert_sound(scene, height, width, n)
    assert torch.unique(scene.instances).tolist() == list(range(n + 1)), "each shape is to be seen"


def test_is_the_same_for_a_seed_and_another_for_another_and_leaves_chance_alone():
    before = torch.random.get_rng_state()
    one, again, other = (shapes(height=60, width=80, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.instances, again.instances)
    assert not torch.equal(one.instances, other.instances)


@pytest.mark.parametrize("seed", range(5))
def test_plain_scenes_have_one_color_for_each_instance(seed):
    scene = shapes(n_shapes=10, seed=seed, **PLAIN)
    colors = torch.unique(scene.image.flatten(1), dim=1)
    assert colors.shape[1] == 11
    for k in range(11):
        pixels = scene.image[:, scene.instances == k]
        assert (pixels == pixels[:, :1]).all()


def test_antialiasing_changes_pixels_on_borders_only():
    sharp, smooth = (shapes(seed=4, **{**PLAIN, "antialias": on}) for on in (False, True))
    assert torch.equal(sharp.instances, smooth.instances)
    changed = ((sharp.image - smooth.image).abs().amax(0) > 1e-6).numpy()
    ids = sharp.instances[None].double()
    pool = torch.nn.functional.max_pool2d
    inner = (pool(ids, 5, 1, 2) == -pool(-ids, 5, 1, 2))[0].numpy()  # two pixels from any border: tips are thin
    assert changed.any()
    assert not (changed & inner).any()


@pytest.mark.parametrize("seed", range(4))
def test_shapes_that_may_not_overlap_stay_apart(seed):
    scene = shapes(n_shapes=12, overlap=0, seed=seed)
    assert label(scene.instances.numpy() > 0, structure=torch.ones(3, 3).numpy())[1] == 12


def test_no_shape_hides_more_of_another_than_allowed_and_some_do_hide():
    for overlap, seed in itertools.product((0.2, 0.5), range(2)):
        size = {"height": 120, "width": 160, "overlap": overlap, "seed": seed}
        scene = shapes(n_shapes=12, **size)
        # The first k shapes fall the same with or without those after them.
        alone = [shapes(n_shapes=k, **size).instances.eq(k).sum().item() for k in range(1, 13)]
        seen = torch.bincount(scene.instances.flatten(), minlength=13)[1:].tolist()
        hidden = [1 - s / a for s, a in zip(seen, alone, strict=True)]
        assert max(hidden) <= overlap + 1e-6
        assert max(hidden) > 0.02
        assert hidden[-1] == 0, "nothing lies on the last"


@pytest.mark.parametrize(
    ("kind", "area"),
    [
        ("disk", math.pi),
        ("ring", math.pi * 0.75),
        ("square", 2.0),
        ("rectangle", 4 * 0.8 * 0.55),
        ("triangle", 3 * math.sqrt(3) / 4),
        ("star", 5 * 0.48 * math.sin(math.pi / 5)),
    ],
)
def test_each_shape_has_its_area_and_holes(kind, area):
    """Areas of radius one, from the formulas of plane geometry."""
    scene = shapes(height=400, width=400, n_shapes=1, size=(0.4, 0.4), classes=[kind], seed=7, **PLAIN)
    assert scene.semantic.count_nonzero().item() == pytest.approx(area * 160**2, rel=0.005)
    assert label(scene.semantic.numpy() == 0)[1] == (2 if kind == "ring" else 1)
    assert scene.class_names == ("background", kind)


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_stay_inside_the_picture(kind):
    """Each has the area that it has far from any border, at the largest size, wherever it falls."""
    areas = [
        shapes(height=60, width=100, n_shapes=1, size=(0.5, 0.5), classes=[kind], seed=s)
        .semantic.count_nonzero()
        .item()
        for s in range(12)
    ]
    in_the_middle = shapes(
        height=600, width=600, n_shapes=1, size=(0.05, 0.05), classes=[kind]
    ).semantic.count_nonzero()
    assert min(areas) > 0.97 * in_the_middle


def test_noise_has_its_standard_deviation_and_moves_nothing():
    clean, noisy = (shapes(height=200, width=200, seed=3, noise=n, texture="flat") for n in (0.0, 0.05))
    assert torch.equal(clean.instances, noisy.instances)
    middle = (clean.image > 0.3) & (clean.image < 0.7)  # where clipping at 0 and 1 is rare
    difference = (noisy.image - clean.image)[middle]
    assert difference.mean().abs() < 0.001
    assert difference.std().item() == pytest.approx(0.05, rel=0.02)


def test_light_falls_by_the_share_that_was_asked_for():
    even, uneven = (shapes(seed=5, noise=0, illumination=i, texture="flat") for i in (0.0, 0.6))
    gain = (uneven.image / even.image).mean(0)
    assert gain.max().item() == pytest.approx(1.0, abs=1e-5)
    assert gain.min().item() == pytest.approx(0.4, abs=1e-5)
    corners = gain[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert {corners.max().item(), corners.min().item()} == {gain.max().item(), gain.min().item()}
    assert torch.allclose(gain.diff(n=2, dim=0), torch.zeros(()), atol=1e-5), "evenly"


@pytest.mark.parametrize("texture", ["stripes", "checks", "speckle"])
def test_textures_vary_within_shapes_and_leave_truth_alone(texture):
    flat, woven = (shapes(seed=6, **{**PLAIN, "texture": t}) for t in ("flat", texture))
    assert torch.equal(flat.instances, woven.instances)
    for k in range(1, 9):
        inside = flat.instances == k
        assert flat.image[:, inside].std(1).max() < 1e-5
        assert woven.image[:, inside].std(1).max() > 0.03
        # The texture lightens and darkens: on the whole the color stays, but for clipping at 1.
        assert (woven.image[:, inside].mean(1) - flat.image[:, inside].mean(1)).abs().max() < 0.08


def test_without_shapes_there_is_ground_only():
    scene = shapes(height=20, width=30, n_shapes=0)
    assert scene.n_instances == 0
    assert scene.instances.count_nonzero() == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"height": 0}, "at least one pixel"),
        ({"n_shapes": -1}, "at least 0; got -1"),
        ({"noise": -0.1}, "standard deviation"),
        ({"noise": math.nan}, "standard deviation"),
        ({"illumination": 1.5}, r"illumination is in \[0, 1\]"),
        ({"texture": "tartan"}, "texture is one of mixed, flat"),
        ({"overlap": 1.0}, r"overlap is in \[0, 1\)"),
        ({"size": (0.3, 0.2)}, "range of radii"),
        ({"classes": ["disk", "heart"]}, "classes are of disk"),
        ({"classes": []}, "classes are of disk"),
        ({"height": 16, "width": 16, "n_shapes": 40, "overlap": 0}, "there is no room for shape"),
    ],
)
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        shapes(**wrong)


def test_two_tone_is_the_mixture_that_it_says():
    scene = two_tone(height=200, width=150, levels=(0.3, 0.7), share=0.4, noise=0.05, seed=1)
    assert scene.image.shape == (1, 200, 150)
    blob = scene.semantic == 1
    assert blob.sum() == 0.4 * 200 * 150
    for inside, level in ((~blob, 0.3), (blob, 0.7)):
        assert scene.image[0][inside].mean().item() == pytest.approx(level, abs=0.002)
        assert scene.image[0][inside].std().item() == pytest.approx(0.05, rel=0.02)
    assert label(blob.numpy())[1] == label(~blob.numpy())[1] == 1


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_two_tone_refuses_a_share_out_of_range(share):
    with pytest.raises(ValueError, match="share is in"):
        two_tone(share=share)


@pytest.mark.gpu
def test_a_scene_is_the_same_on_a_gpu():
    here, there = shapes(seed=2), shapes(seed=2, device="cuda")
    assert there.image.device.type == there.instances.device.type == there.instance_classes.device.type == "cuda"
    assert torch.equal(there.image.cpu(), here.image)
    assert torch.equal(there.semantic.cpu(), here.semantic)
