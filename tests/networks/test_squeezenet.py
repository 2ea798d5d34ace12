"""SqueezeNet: the published weights name real photographs; dense layers and windows say the same."""

from __future__ import annotations

import doctest

import pytest
import torch
from torch import nn

from seglab.datasets import DatasetError, DatasetNotFoundError
from seglab.networks import squeezenet


@pytest.fixture(scope="module")
def model(seglab_data):
    return squeezenet.load_squeezenet(seglab_data)


@pytest.mark.data
@pytest.mark.parametrize(
    ("picture", "name", "probability"),
    [("test/108004", "tiger", 0.993), ("val/69015", "koala", 0.994), ("train/100080", "brown bear", 0.995)],
)
def test_photographs(model, seglab_data, picture, name, probability):
    path = seglab_data / "BSDS500/data/images" / f"{picture}.jpg"
    (best, p), *_ = squeezenet.classify(model, path, names=squeezenet.class_names(seglab_data))
    assert best.split(",")[0] == name
    assert p == pytest.approx(probability, abs=0.01)


@pytest.mark.data
def test_dense_is_the_classifier(model, seglab_data):
    dense = squeezenet.to_fully_convolutional(model)
    path = seglab_data / "BSDS500/data/images/test/108004.jpg"
    x = squeezenet.preprocess(path)
    with torch.inference_mode():
        torch.testing.assert_close(dense(x).mean((2, 3)), model(x))
        whole = dense(squeezenet.preprocess(path, short_side=None, crop=None))[0]
    assert whole.shape[1] != whole.shape[2]
    assert whole.mean((1, 2)).argmax() == 292  # the tiger's number in ImageNet


@pytest.mark.data
def test_a_broken_file(seglab_data, tmp_path):
    data = (seglab_data / "squeezenet/compressed_SqueezeNet.net").read_bytes()
    with pytest.raises(ValueError, match="1 bytes are left"):
        squeezenet.read_compressed(data + b"x", squeezenet.SqueezeNet())
    with pytest.raises(ValueError, match="ends too early"):
        squeezenet.read_compressed(data[:-1], squeezenet.SqueezeNet())
    (tmp_path / "compressed_SqueezeNet.net").write_bytes(data[:-1])
    with pytest.raises(DatasetError, match="checksum"):
        squeezenet.load_squeezenet(tmp_path)


@pytest.mark.data
def test_a_download_that_is_not_needed(model, seglab_data, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "seglab.datasets._download.install", lambda source, root: asked.append(root) or source.require(root)
    )
    again = squeezenet.load_squeezenet(seglab_data, download=True)
    assert asked == [seglab_data]
    assert torch.equal(again.classifier.weight, model.classifier.weight)


def test_not_there(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="SqueezeNet"):
        squeezenet.load_squeezenet(tmp_path)


def test_names(tmp_path):
    (tmp_path / "compressed_SqueezeNet.net").touch()
    assert squeezenet.class_names(tmp_path)[999] == "class 999"
    lines = [f"{i}\tn{i}\tthing {i}, it" for i in range(1000)]
    (tmp_path / "imagenet_class_names.txt").write_text("\n".join(lines), "utf-8")
    assert squeezenet.class_names(tmp_path)[292] == "thing 292, it"
    (tmp_path / "imagenet_class_names.txt").write_text("\n".join(lines[1:]), "utf-8")
    with pytest.raises(ValueError, match="1000 lines"):
        squeezenet.class_names(tmp_path)


def test_number_of_parameters():
    assert sum(p.numel() for p in squeezenet.SqueezeNet().parameters()) == 1_248_424


def test_a_tiny_file_by_hand():
    layer = nn.Conv2d(1, 1, (1, 5))
    values = torch.arange(256.0).numpy().astype("<f4").tobytes()
    bias = torch.tensor([0.5]).numpy().astype("<f4").tobytes()
    data = (3).to_bytes(4, "little") + values + bias + bytes([7, 0, 9]) + bytes([0x21, 0x00])  # gaps 1, 2, 0: 1, 4, 5
    with pytest.raises(ValueError, match="place 5 is outside"):
        squeezenet.read_compressed(data, layer)
    data = data[:-2] + bytes([0x11, 0x00])  # gaps 1, 1, 0: places 1, 3, 4
    squeezenet.read_compressed(data, layer)
    assert layer.weight.flatten().tolist() == [0, 7, 0, 0, 9]
    assert layer.bias.tolist() == [0.5]


@pytest.mark.parametrize("bias", [True, False])
def test_one_pass_is_the_sliding_window(bias):
    torch.manual_seed(0)
    linear = nn.Linear(3 * 4 * 2, 5, bias=bias).double()
    conv = squeezenet.linear_to_conv(linear, 3, 4, 2)
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    grid = conv(x)
    assert grid.shape == (2, 5, 3, 4)
    for i in range(3):
        for j in range(4):
            torch.testing.assert_close(grid[..., i, j], linear(x[..., i : i + 4, j : j + 2].flatten(1)))
    with pytest.raises(ValueError, match="the layer takes 24"):
        squeezenet.linear_to_conv(linear, 3, 2, 2)


def test_preprocess():
    image = torch.tensor([1.0, 0.0, 0.5])[:, None, None].expand(3, 240, 250)
    x = squeezenet.preprocess(image)
    torch.testing.assert_close(x[0, :, 0, 0], torch.tensor([127.5 - 104, 0.0 - 117, 255.0 - 123]))
    with pytest.raises(ValueError, match="cannot cut"):
        squeezenet.preprocess(image, short_side=100)
    with pytest.raises(ValueError, match="k must be"):
        squeezenet.classify(squeezenet.SqueezeNet(), image, k=0)


def test_examples():
    result = doctest.testmod(squeezenet)
    assert result.attempted
    assert not result.failed
