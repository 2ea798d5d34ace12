"""FCN: maps that lie where the geometry says, skips, upsampling; windows and one pass; class activation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seglab.networks import FCN, TextureNet, Training, receptive_field
from seglab.networks.fcn import (
    _LEAST,
    bilinear_kernel_between,
    class_activation,
    pixel_loss,
    sliding_scores,
    to_pixels,
)
from seglab.networks.squeezenet import SqueezeNet, linear_to_conv, normalize, to_fully_convolutional
from seglab.segmenter import generator

STRIDES = (32, 16, 8, 4)


def network(stride=8, n_classes=3, dropout=0.0):
    """An FCN on the small classifier, its heads no longer zero."""
    model = FCN(TextureNet().dense()[:-1], n_classes, stride=stride, dropout=dropout)
    g = generator(1)
    with torch.no_grad():
        for head in model.heads:
            head.weight.copy_(torch.randn(head.weight.shape, generator=g) / 20)
    return model.eval()


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=generator(seed))


# ------------------------------------------------------------------------------------------------------------ geometry


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", [(1, 1), (3, 90), (31, 32), (33, 34), (64, 65), (97, 128)])
def test_the_output_has_the_pictures_size(stride, size):
    assert network(stride)(picture(*size)).shape == (1, 3, *size)


def test_every_size_up_to_one_period():
    model = network(8)
    for side in range(1, 70):
        assert model(picture(side, 71 - side)).shape[2:] == (side, 71 - side)


@pytest.mark.parametrize(
    "features", [SqueezeNet().features, TextureNet().dense()[:-1]], ids=["squeezenet", "texturenet"]
)
def test_maps_lie_where_the_receptive_fields_have_their_middle(features):
    """A map of stride s begins at pixel s + 1 of the bordered picture: what the upsampling relies on."""
    model = FCN(features, 2)
    so_far = []
    for stage, stride in zip(model.stages, (2, 4, 8, 16, 32), strict=True):
        for layer in stage:
            so_far += [layer.squeeze, layer.expand3] if hasattr(layer, "expand3") else [layer]
        if stride > 2:
            geometry = receptive_field([layer for layer in so_far if not isinstance(layer, nn.ReLU)], 256)
            assert (geometry.jump, geometry.start) == (stride, stride + 1)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_bright_spot_comes_back_where_it_is(stride):
    """With identical pools alone instead of stages, what is found of a spot has its center on the spot."""
    model = network(stride, 2)
    channels = 1
    pool = [nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False)]
    first = nn.Conv2d(3, 1, 7, stride=2, bias=False)
    nn.init.constant_(first.weight, 1 / 147)
    model.stages = nn.ModuleList([nn.Sequential(first), *(nn.Sequential(*pool) for _ in range(4))])
    model.heads = nn.ModuleList(nn.Conv2d(channels, 2, 1) for _ in model.heads)
    for head in model.heads:
        nn.init.constant_(head.weight, 1.0)
    for row, col in ((64, 96), (70, 85), (81, 108)):
        x = torch.zeros(1, 3, 160, 192)
        x[..., row, col] = 1
        with torch.no_grad():
            change = (model(x) - model(torch.zeros_like(x)))[0, 0].double().abs()
        middle = [(change.sum(1 - d) * torch.arange(n)).sum() / change.sum() for d, n in enumerate(change.shape)]
        assert middle[0] == pytest.approx(row, abs=stride / 2)
        assert middle[1] == pytest.approx(col, abs=stride / 2)


def test_shifting_by_the_stride_shifts_the_scores():
    model, x = network(32), picture(320, 352)
    with torch.no_grad():
        whole, moved = model(x), model(x[..., 32:, 32:])
    inside = slice(100, -100)
    torch.testing.assert_close(
        moved[..., inside, inside], whole[..., 32:, 32:][..., inside, inside], rtol=1e-3, atol=1e-4
    )


def test_the_least_size_is_the_least():
    whole = nn.Sequential(*network().stages)
    with torch.no_grad():
        assert whole(torch.zeros(1, 3, _LEAST, _LEAST)).shape[2:] == (1, 1)
        with pytest.raises(RuntimeError, match="too small"):
            whole(torch.zeros(1, 3, _LEAST - 2, _LEAST - 2))


# ---------------------------------------------------------------------------------------------------------- upsampling


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_the_bilinear_start_is_interpolation(factor):
    x = torch.rand(2, 3, 5, 7, generator=generator(0))
    weight = bilinear_kernel_between(3, factor)
    large = F.conv_transpose2d(x, weight, stride=factor, padding=factor - 1)
    size = [(n - 1) * factor + 1 for n in x.shape[2:]]
    torch.testing.assert_close(large, F.interpolate(x, size, mode="bilinear", align_corners=True))
    assert torch.equal(large[..., ::factor, ::factor], x)


def test_a_kernel_by_hand():
    assert bilinear_kernel_between(1, 3)[0, 0, 2].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    both = bilinear_kernel_between(2, 2)
    assert both[0, 1].abs().sum() == both[1, 0].abs().sum() == 0
    with pytest.raises(ValueError, match="at least 1"):
        bilinear_kernel_between(0, 2)


def test_to_pixels_puts_places_where_they_lie():
    scores = torch.arange(6.0).reshape(1, 1, 2, 3)
    large = to_pixels(scores, 4, -2, 3, 7)
    assert large.shape == (1, 1, 3, 7)
    assert large[0, 0, 2, 2] == 4  # place (1, 1) lies at pixel (2, 2)
    assert large[0, 0, 2, 6] == 5
    assert large[0, 0, 0, 0] == pytest.approx((0 + 1 + 3 + 4) / 4)
    for start, height in ((1, 3), (-2, 4)):
        with pytest.raises(ValueError, match="does not reach"):
            to_pixels(scores, 4, start, height, 7)


def test_an_untrained_skip_adds_nothing():
    coarse, x = network(32), picture(75, 101)
    with torch.no_grad():
        expected = coarse(x)
        for stride in (16, 8, 4):
            coarse = coarse.finer()
            assert coarse.stride == stride
            torch.testing.assert_close(coarse(x), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="stride is"):
        coarse.finer()


def test_finer_keeps_what_is_frozen_and_copies():
    coarse = network(32).freeze(2)
    finer = coarse.finer()
    assert [all(p.requires_grad for p in stage.parameters()) for stage in finer.stages] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert all(p.requires_grad for p in finer.heads.parameters())
    assert not finer.training
    with torch.no_grad():
        finer.heads[0].bias.fill_(7)
    assert not (coarse.heads[0].bias == 7).any()


def test_the_given_features_stay():
    features = SqueezeNet().features
    before = {name: value.clone() for name, value in features.state_dict().items()}
    model = FCN(features, 2)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(0)
    assert all(torch.equal(before[name], value) for name, value in features.state_dict().items())
    assert features[0].padding == (0, 0)


def test_wrong_inputs():
    features = TextureNet().dense()[:-1]
    with pytest.raises(ValueError, match="n_classes"):
        FCN(features, 1)
    with pytest.raises(ValueError, match="stride is 32, 16, 8 or 4; got 2"):
        FCN(features, 2, stride=2)
    with pytest.raises(ValueError, match="7×7 convolution"):
        FCN(nn.Sequential(nn.Conv2d(3, 4, 3)), 2)
    with pytest.raises(ValueError, match="expected pictures"):
        network()(torch.zeros(3, 20, 20))


# ---------------------------------------------------------------------------------------------------------------- loss


def test_the_loss_by_hand():
    scores = torch.tensor([[[[0.0, 2.0, 5.0]], [[0.0, 0.0, -5.0]]]])
    labels = torch.tensor([[[0, 1, -1]]])
    by_hand = -(torch.tensor(0.5).log() + (1 / (1 + torch.tensor(2.0).exp())).log()) / 2
    assert pixel_loss(lambda x: scores, (torch.zeros(1, 3, 1, 3), labels)) == pytest.approx(by_hand.item(), rel=1e-5)


def test_a_few_steps_find_the_bright_half():
    x = picture(48, 64) * 0.2
    labels = torch.zeros(48, 64, dtype=torch.int64)
    x[..., 32:] += 0.7
    labels[:, 32:] = 1
    model = FCN(TextureNet().dense()[:-1], 2, stride=8, dropout=0.0)
    state = Training(epochs=25, batch_size=1, lr=2e-3).fit(model, pixel_loss, [(x[0], labels)], progress=False)
    wrong = state.model(x)[0].argmax(0) != labels
    assert wrong.double().mean() < 0.03
    assert not wrong[:, :26].any()
    assert not wrong[:, 38:].any()


# ----------------------------------------------------------------------------------- the classifier, windows, one pass


def test_a_linear_layer_is_a_convolution():
    net = TextureNet()
    x = torch.randn(5, 3, 91, 91, generator=generator(0)) * 60
    with torch.no_grad():
        torch.testing.assert_close(net.dense()(x)[..., 0, 0], net(x), rtol=1e-4, atol=1e-4)
        maps = net.features(x)
        conv6 = linear_to_conv(net.fc6, 64, 3, 3)
        torch.testing.assert_close(conv6(maps)[..., 0, 0], net.fc6(maps.flatten(1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(91, 91), (123, 155), (130, 171)])
def test_windows_have_the_scores_of_one_pass(size):
    net, x = TextureNet(), torch.randn(1, 3, *size, generator=generator(0)) * 60
    with torch.no_grad():
        dense = net.dense()(x)
    windows = sliding_scores(net, x, net.window, net.stride, batch=4)
    assert windows.shape == dense.shape
    torch.testing.assert_close(windows, dense, rtol=1e-4, atol=1e-4)


def test_windows_by_a_loop():
    x = torch.rand(1, 3, 10, 13, generator=generator(0))
    found = sliding_scores(lambda part: part.flatten(2).sum(2), x, 4, 3)
    for row in range(3):
        for col in range(4):
            part = x[0, :, 3 * row : 3 * row + 4, 3 * col : 3 * col + 4]
            torch.testing.assert_close(found[0, :, row, col], part.sum((1, 2)))
    assert found.shape == (1, 3, 3, 4)
    with pytest.raises(ValueError, match="one picture"):
        sliding_scores(lambda part: part, x, 11, 1)


def test_the_classifier_takes_windows_of_one_size():
    with pytest.raises(ValueError, match="91×91"):
        TextureNet()(torch.zeros(1, 3, 92, 92))


def random_squeezenet():
    model = SqueezeNet()
    g = generator(3)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * (2 / max(p[0].numel(), 1)) ** 0.5)
    return model.eval()


@pytest.mark.parametrize("size", [(90, 120), (131, 97), (40, 40)])
def test_class_activation_is_the_score_map(size):
    model, image = random_squeezenet(), picture(*size)[0]
    activation = class_activation(model, image, 7)
    assert activation.shape == size
    with torch.no_grad():
        scores = to_fully_convolutional(model)(normalize(image[None]))[0, 7]
    at = torch.arange(scores.shape[0]) * 16 + 1, torch.arange(scores.shape[1]) * 16 + 1
    at = [a[a < n] for a, n in zip(at, size, strict=True)]
    torch.testing.assert_close(activation[at[0]][:, at[1]], scores[: len(at[0]), : len(at[1])], rtol=1e-3, atol=1e-3)
    assert torch.equal(class_activation(to_fully_convolutional(model), image, 7), activation)
    assert class_activation(model, image, 7, short_side=64).shape == size


@pytest.mark.data
def test_the_tiger_is_where_the_activation_is(seglab_data):
    from seglab.datasets import BSDS500
    from seglab.networks.squeezenet import load_squeezenet

    tiger = BSDS500("test", seglab_data)["108004"]
    activation = class_activation(load_squeezenet(seglab_data), tiger.image, 292)
    row, col = divmod(int(activation.argmax()), activation.shape[1])
    assert 60 < row < 260
    assert 100 < col < 400
    assert activation[:40].mean() < activation[100:220, 150:350].mean() / 2


@pytest.mark.gpu
def test_on_a_gpu():
    model, x = network(8), picture(75, 101)
    with torch.no_grad():
        torch.testing.assert_close(model.to("cuda")(x.cuda()).cpu(), network(8)(x), rtol=1e-2, atol=1e-2)
        assert next(model.finer().parameters()).is_cuda
