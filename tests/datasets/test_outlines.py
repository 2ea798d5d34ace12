"""The hand-drawn truths: they lie on the pictures for which they were drawn."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import label

from seglab.datasets import photo
from seglab.datasets.outlines import photo_truth, photos_with_truth


@pytest.mark.parametrize("name", photos_with_truth())
def test_has_the_size_of_its_photograph_and_every_named_object(name):
    truth = photo_truth(name)
    assert truth.labels.shape == photo(name).shape[-2:]
    assert truth.labels.dtype == torch.int64
    assert torch.unique(truth.labels).tolist() == list(range(len(truth.names)))


def test_coins_are_twenty_four_separate_ellipses_brighter_than_the_ground_around_them():
    truth, image = photo_truth("coins").labels, photo("coins")[0]
    assert label(truth.numpy() > 0)[1] == 24
    for coin in range(1, 25):
        rows, cols = torch.nonzero(truth == coin, as_tuple=True)
        box = (slice(max(rows.min() - 4, 0), rows.max() + 4), slice(max(cols.min() - 4, 0), cols.max() + 4))
        inside, outside = image[box][truth[box] == coin], image[box][truth[box] == 0]
        assert inside.mean() > outside.mean() + 0.1


@pytest.mark.parametrize(("name", "least"), [("coffee", 0.25), ("flower", 0.5)])
def test_objects_explain_the_color_better_than_shifted_outlines(name, least):
    """The mean color of each outlined object explains the picture much better than a shifted outline does."""
    truth, image = photo_truth(name).labels, photo(name)
    assert _explained(truth, image) > least
    assert _explained(truth, image) > _explained(truth.roll((25, 25), (0, 1)), image) + 0.05


def test_shrinks_with_its_photograph():
    small, whole = photo_truth("coffee", max_side=240), photo_truth("coffee")
    assert small.labels.shape == photo("coffee", max_side=240).shape[-2:]
    shares = [torch.bincount(t.labels.flatten()) / t.labels.numel() for t in (small, whole)]
    assert torch.allclose(*shares, atol=0.003)
    assert torch.equal(photo_truth("coffee", max_side=600).labels, whole.labels)


def test_refuses_a_picture_without_outlines():
    with pytest.raises(ValueError, match="coffee, coins, flower"):
        photo_truth("camera")


def _explained(labels, image):
    values = image.flatten(1).double()
    one_hot = torch.nn.functional.one_hot(labels.flatten()).double()
    means = values @ one_hot / one_hot.sum(0)
    centered = values - values.mean(1, keepdim=True)
    return 1 - ((values - means[:, labels.flatten()]).square().sum() / centered.square().sum()).item()
