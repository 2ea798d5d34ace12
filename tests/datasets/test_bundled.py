"""The bundled photographs: there, as described, without a network."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import torch
from PIL import Image

from seglab.datasets import PHOTOS, photo, photos


@pytest.mark.parametrize("name", photos())
def test_is_as_its_record_says_and_needs_no_network(name, monkeypatch):
    def no_network(*args, **kwargs):
        raise AssertionError("a bundled picture asked for the network")

    monkeypatch.setattr(socket, "socket", no_network)
    record, image = PHOTOS[name], photo(name)
    assert image.shape == (3 if record.color else 1, record.height, record.width)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert 0.5 < image.max() <= 1
    assert record.name == name
    assert all((record.about, record.good_for, record.credit, record.terms))


@pytest.mark.parametrize("name", photos())
def test_lies_in_the_installed_package_itself(name):
    """Not in a cache into which scikit-image once downloaded it."""
    import skimage
    import sklearn

    package = {"scikit-image": skimage, "scikit-learn": sklearn}[PHOTOS[name].package]
    assert str(PHOTOS[name].path).startswith(package.__path__[0])


def test_colored_ones_are_in_color_and_gray_ones_gray():
    assert set(photos(color=True)) | set(photos(color=False)) == set(photos())
    for name in photos(color=True):
        red, green, blue = photo(name, max_side=64)
        assert (red - blue).abs().mean() + (red - green).abs().mean() > 0.01, name


def test_values_are_the_files():
    image = photo("chelsea")
    with Image.open(PHOTOS["chelsea"].path) as file:
        truth = np.asarray(file)
    np.testing.assert_array_equal(np.rint(image.numpy() * 255).astype(np.uint8), truth.transpose(2, 0, 1))


def test_agrees_with_the_loaders_of_its_libraries():
    from skimage import data
    from sklearn.datasets import load_sample_image

    for ours, theirs in {
        "coffee": data.coffee(),
        "coins": data.coins(),
        "china": load_sample_image("china.jpg"),
    }.items():
        array = theirs if theirs.ndim == 3 else theirs[..., None]
        np.testing.assert_allclose(photo(ours).movedim(0, -1).numpy(), array / 255, atol=1e-6)


@pytest.mark.parametrize(("max_side", "size"), [(128, (85, 128)), (600, (400, 600)), (9999, (400, 600)), (1, (1, 1))])
def test_shrinks_but_never_grows(max_side, size):
    small = photo("coffee", max_side=max_side)
    assert small.shape[1:] == size
    assert small.min() >= 0
    assert small.max() <= 1


def test_shrinks_with_antialiasing():
    """Each small pixel is near the mean of the pixels that it stands for; picking one of them is far from it."""
    image, small = photo("grass"), photo("grass", max_side=64)
    means = image.unfold(1, 8, 8).unfold(2, 8, 8).mean((-2, -1))
    picked = image[:, 4::8, 4::8]
    assert (small - means).square().mean() < 0.1 * (picked - means).square().mean()


def test_photos_does_not_hand_out_its_table():
    with pytest.raises(TypeError):
        PHOTOS["mine"] = PHOTOS["coffee"]
    photo("coffee").zero_()
    assert photo("coffee").max() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cofee"}, "did you mean 'coffee'"),
        ({"name": "zzz"}, "There are: coffee, chelsea"),
        ({"name": "coffee", "max_side": 0}, "at least 1; got 0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        photo(**arguments)


def test_the_cat_answers_to_both_names():
    assert torch.equal(photo("cat"), photo("chelsea"))
