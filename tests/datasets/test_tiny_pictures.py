"""The tiny pictures: each shows what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from skimage.color import rgb2gray

from seglab.datasets import TINY, tiny


@pytest.mark.parametrize("name", TINY)
def test_is_tiny_and_its_truth_fits(name):
    scene = tiny(name)
    channels, height, width = scene.image.shape
    assert channels in (1, 3)
    assert max(height, width) <= 8
    assert scene.image.dtype == torch.float32
    assert scene.image.min() >= 0
    assert scene.image.max() <= 1
    assert scene.instances.shape == scene.semantic.shape == (height, width)
    assert scene.instances.dtype == scene.semantic.dtype == torch.int64
    assert torch.unique(scene.instances).tolist() == list(range(scene.n_instances + 1))
    assert torch.unique(scene.semantic).tolist() == list(range(len(scene.class_names)))
    assert torch.equal(scene.semantic, scene.instance_classes[scene.instances])
    assert TINY[name].about


def separates(scene) -> bool:
    """Whether one threshold tells the picture's two classes."""
    gray, one = scene.image[0], scene.semantic == 1
    return bool(gray[one].min() > gray[~one].max() or gray[one].max() < gray[~one].min())


@pytest.mark.parametrize(("name", "answer"), [("step", True), ("island", True), ("outliers", False), ("shade", False)])
def test_one_threshold_does_or_does_not(name, answer):
    assert separates(tiny(name)) is answer


def test_in_shade_the_ink_is_darker_than_paper_in_the_same_light():
    scene = tiny("shade")
    paper, ink = scene.image[0, 0], scene.image[0, 3]
    assert (paper - ink)[[0, 1, 6, 7]].min() > 0.15
    assert torch.equal(paper[2:6], ink[2:6])


def test_corner_is_one_object_or_two():
    inside = tiny("corner").semantic.numpy() == 1
    assert label(inside)[1] == 2
    assert label(inside, structure=np.ones((3, 3)))[1] == 1


def test_outliers_are_two_single_pixels():
    scene = tiny("outliers")
    wrong = (scene.image[0] > 0.5) != (scene.semantic == 1)
    assert wrong.sum() == 2
    assert label(wrong.numpy(), structure=np.ones((3, 3)))[1] == 2
    assert sorted(scene.semantic[wrong].tolist()) == [0, 1]


def test_weave_has_one_mean_and_two_variances():
    scene = tiny("weave")
    checks, even = (scene.image[0][scene.semantic == k] for k in (0, 1))
    assert checks.mean().item() == pytest.approx(even.mean().item(), abs=1e-6)
    assert checks.std() > 0.25
    assert even.std() < 1e-6


def test_poppy_is_seen_in_color_alone():
    scene = tiny("poppy")
    gray = rgb2gray(scene.image.movedim(0, -1).double().numpy())
    assert np.ptp(gray) < 1e-6
    assert (scene.image[0] > 0.5).equal(scene.semantic == 1)


def test_three_and_flag_have_three_values_each_with_one_label():
    for name in ("three", "flag"):
        scene = tiny(name)
        pairs = torch.cat([scene.image.flatten(1), scene.semantic.flatten()[None]])
        assert torch.unique(pairs, dim=1).shape[1] == 3
        assert torch.unique(pairs[:-1], dim=1).shape[1] == 3


def test_twins_are_two_of_one_class():
    scene = tiny("twins")
    assert scene.instance_classes.tolist() == [0, 1, 1, 2]
    assert label(scene.semantic.numpy() > 0)[1] == 3


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'island'"):
        tiny("iland")
