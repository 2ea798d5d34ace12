"""Augmentation: picture and labels change together, by the generator alone, and nothing else does."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from seglab.networks.augment import chain, random_brightness, random_crop, random_flip, random_scale
from seglab.segmenter import generator

ALL = {
    "flip": random_flip,
    "scale": random_scale,
    "crop": partial(random_crop, size=(8, 10)),
    "brightness": random_brightness,
}


def sample(height=12, width=15):
    """Every pixel's red is its label, so that one can be told from the other."""
    labels = torch.arange(height * width).reshape(height, width)
    return torch.stack([labels / labels.max()] * 3), labels


@pytest.mark.parametrize("name", ALL)
def test_the_same_for_a_generator_and_the_input_stays(name):
    image, labels = sample()
    kept = image.clone(), labels.clone()
    state = torch.get_rng_state()
    results = [ALL[name]((image, labels), generator(3)) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert torch.equal(image, kept[0])
    assert torch.equal(labels, kept[1])
    out_image, out_labels = results[0]
    assert out_image.shape[1:] == out_labels.shape
    assert out_labels.dtype == torch.int64
    assert out_image.min() >= 0
    assert out_image.max() <= 1
    several = [ALL[name]((image, labels), generator(seed))[0] for seed in range(6)]
    assert any(a.shape != several[0].shape or not torch.equal(a, several[0]) for a in several[1:])


@pytest.mark.parametrize("name", ["flip", "crop"])
def test_picture_and_labels_move_together(name):
    for seed in range(8):
        image, labels = ALL[name](sample(), generator(seed))
        torch.testing.assert_close(image[0], labels / 179)


def test_flips_are_left_right_half_of_the_time():
    g = generator(0)
    results = [random_flip(sample(), g)[1] for _ in range(200)]
    flipped = sum(torch.equal(labels, sample()[1].flip(1)) for labels in results)
    assert 75 < flipped < 125
    assert all(torch.equal(labels, sample()[1]) or torch.equal(labels, sample()[1].flip(1)) for labels in results)


def test_crops_reach_every_place_and_fill_what_is_missing():
    tops = {random_crop(sample(), generator(seed), size=(8, 10))[1][0, 0].item() for seed in range(300)}
    assert tops == {15 * row + col for row in range(5) for col in range(6)}
    image, labels = random_crop(sample(4, 5), generator(0), size=(6, 5))
    assert torch.equal(labels[:4], sample(4, 5)[1])
    assert (labels[4:] == -1).all()
    assert (image[:, 4:] == 0.5).all()


def test_scales_have_the_size_and_the_labels_of_nearest_pixels():
    image, labels = random_scale(sample(), generator(0), low=2, high=2)
    assert labels.shape == (24, 30)
    assert torch.equal(labels, sample()[1].repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert image.shape == (3, 24, 30)
    sizes = [random_scale(sample(100, 100), generator(seed), low=0.5, high=1.5)[1].shape[0] for seed in range(80)]
    assert min(sizes) < 60
    assert max(sizes) > 140
    assert all(50 <= size <= 150 for size in sizes)
    with pytest.raises(ValueError, match="low ≤ high"):
        random_scale(sample(), generator(0), low=2, high=1)


def test_unlabeled_pixels_stay_unlabeled():
    image, labels = sample()
    labels = labels.clone()
    labels[:4] = -1
    assert (random_scale((image, labels), generator(0))[1] == -1).any()


def test_brightness_leaves_labels_and_order():
    image, labels = random_brightness(sample(), generator(1), amount=0.3)
    assert torch.equal(labels, sample()[1])
    assert (image[0].flatten().diff() >= 0).all()
    assert torch.equal(random_brightness(sample(), generator(1), amount=0)[0], sample()[0])
    with pytest.raises(ValueError, match="amount"):
        random_brightness(sample(), generator(0), amount=1)


def test_a_chain_is_one_after_another():
    g = generator(4)
    expected = random_flip(ALL["crop"](sample(), g), g)
    found = chain(ALL["crop"], random_flip)(sample(), generator(4))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
