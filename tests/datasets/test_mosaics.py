"""Mosaics: each pixel belongs to its nearest point; texture and not color is the class."""

from __future__ import annotations

import pytest
import torch

from seglab.datasets import TEXTURES, mosaic


def test_truth_is_consistent():
    scene = mosaic(height=50, width=70, n_regions=9, seed=4)
    assert scene.image.shape == (3, 50, 70)
    assert scene.image.min() >= 0
    assert scene.image.max() <= 1
    assert scene.instances.unique().tolist() == list(range(1, scene.n_instances + 1))
    assert torch.equal(scene.semantic, scene.instance_classes[scene.instances])
    assert scene.class_names == TEXTURES


def test_regions_are_convex():
    """Nearest-point regions are: between two of their pixels in a row lie no others."""
    instances = mosaic(n_regions=7, seed=2).instances
    for k in range(1, 8):
        for line in [*(instances == k), *(instances == k).T]:
            assert (line.int().diff() == 1).sum() <= 1


def test_the_same_for_a_seed_and_other_light_leaves_it_where_it_is():
    a, b, c = mosaic(seed=3), mosaic(seed=3), mosaic(seed=4)
    assert torch.equal(a.image, b.image)
    assert not torch.equal(a.image, c.image)
    assert torch.equal(mosaic(seed=3, noise=0.2, illumination=0.9).semantic, a.semantic)


def test_all_textures_come_in_all_colors():
    """A color tells nothing: no class's mean color is far from another's over many pictures."""
    scenes = [mosaic(height=24, width=24, n_regions=1, seed=seed) for seed in range(400)]
    classes = torch.stack([scene.semantic[0, 0] for scene in scenes])
    counts = classes.bincount(minlength=4)
    assert counts.min() > 70
    means = torch.stack([scene.image.mean((1, 2)) for scene in scenes])
    by_class = torch.stack([means[classes == k].mean(0) for k in range(4)])
    assert (by_class - means.mean(0)).abs().max() < 0.08


def test_flat_is_flat_and_the_others_are_not():
    for seed in range(40):
        scene = mosaic(height=32, width=32, n_regions=1, noise=0, illumination=0, seed=seed)
        assert (scene.image.std((1, 2)).max() < 1e-6) == (scene.semantic[0, 0] == 0)


def test_wrong_inputs():
    with pytest.raises(ValueError, match="n_regions must be"):
        mosaic(n_regions=0)
    with pytest.raises(ValueError, match="noise is at least 0"):
        mosaic(noise=-1)
    assert mosaic(height=1, width=1, n_regions=5).n_instances == 1
