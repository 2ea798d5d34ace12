"""SegNet against the paper's table of layers, and what its switches do."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seglab.networks.segnet import SegNet, median_frequency_weights

VGG16 = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"]


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def n_weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.fixture(scope="module")
def full() -> SegNet:
    return SegNet()


def test_the_encoder_is_vgg16(full):
    convs = [layer for layer in full.encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [n for n in VGG16 if n != "pool"]
    assert sum(n_weights(conv) for conv in convs) == 14_714_688, "VGG16 without what is fully connected: 14.7 million"


def test_the_decoder_mirrors_it(full):
    down = [layer for layer in full.encoder.modules() if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in full.decoder.modules() if isinstance(layer, nn.Conv2d)]
    assert len(down) == len(up) == 13
    mirrored = [(conv.out_channels, conv.in_channels) for conv in reversed(down)]
    assert [(conv.in_channels, conv.out_channels) for conv in up] == [*mirrored[:-1], (64, 11)]
    assert {conv.kernel_size for conv in down + up} == {(3, 3)}
    assert n_weights(full) == 29_449_355
    norms = [layer for layer in full.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 25, "one after each convolution but the last"


def test_sizes_of_all_maps_of_a_street_scene():
    """360×480, CamVid's half size; at a narrow width, as sizes do not depend on it."""
    net, sizes = SegNet(width=1), []
    for block in [*net.encoder, *net.decoder]:
        block.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    assert net(picture(1, 3, 360, 480)).shape == (1, 11, 360, 480)
    down = [(1, 360, 480), (2, 180, 240), (4, 90, 120), (8, 45, 60), (8, 22, 30)]
    assert sizes == [*down, (8, 22, 30), (4, 45, 60), (2, 90, 120), (1, 180, 240), (11, 360, 480)]


def test_one_level_by_hand():
    net = SegNet(1, 2, width=3, convs=(2,)).eval()
    x = picture(2, 1, 6, 8)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var.fill_(1 - layer.eps)  # so that normalizing changes nothing
    (first, _, _, second, _, _), (third, _, _, score) = net.encoder[0], net.decoder[0]
    pooled, places = F.max_pool2d(F.relu(second(F.relu(first(x)))), 2, return_indices=True)
    expected = score(F.relu(third(F.max_unpool2d(pooled, places, 2))))
    torch.testing.assert_close(net(x), expected)


def test_where_the_maximum_was_the_value_returns():
    """A bright pixel moves within its window: the pooled map is the same, the output moves along."""
    net = SegNet(1, 1, width=1, convs=(1,)).eval()
    for block in (net.encoder[0], net.decoder[0]):
        for layer in block:
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.weight)
                layer.weight.data[..., 1, 1] = 1
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_var.fill_(1 - layer.eps)
    for row, col in [(2, 2), (2, 3), (3, 2), (3, 3)]:
        x = torch.zeros(1, 1, 6, 6)
        x[0, 0, row, col] = 1
        assert torch.equal(net(x).detach(), x)


def test_the_seed_makes_the_weights():
    first, second, other = (SegNet(width=2, convs=(1, 1), seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.encoder[0][0].weight, other.encoder[0][0].weight)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        assert torch.equal(SegNet(width=2, convs=(1, 1)).encoder[0][0].weight, first.encoder[0][0].weight)


def test_it_learns():
    net, x = SegNet(1, 2, width=4, convs=(1, 1)), picture(4, 1, 16, 16)
    truth = (x[:, 0] > 0.5).long()
    adam = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        adam.zero_grad()
        loss = F.cross_entropy(net(x), truth)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(weight.grad is not None for weight in net.parameters())


def test_median_frequency_by_hand():
    labels = torch.tensor([[[0, 0, 0, -1]], [[0, 1, 1, 2]]])
    # class 0: 4 of the 7 pixels that count; 1: 2 of the 4 of the second picture; 2: 1 of these; the median is 1/2
    weights = median_frequency_weights(labels, 4)
    torch.testing.assert_close(weights, torch.tensor([7 / 8, 1.0, 2.0, 0.0]))
    assert weights.dtype == torch.float32
    even = median_frequency_weights(iter(labels.clamp(max=1).to(torch.int32)), 2)
    torch.testing.assert_close(even, (4 / 7 + 3 / 4) / 2 / torch.tensor([4 / 7, 3 / 4]))


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match=r"each of convs must be at least 1, got 3, 11, 64 and \(2, 0\)"):
        SegNet(convs=(2, 0))
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        SegNet(0)
    net = SegNet(width=1, convs=(1, 1, 1))
    for wrong in ((3, 8, 8), (1, 1, 8, 8), (1, 3, 7, 8)):
        with pytest.raises(ValueError, match=r"expected pictures \(N, 3, H, W\) with sides of at least 8, got"):
            net(torch.zeros(*wrong))
    with pytest.raises(ValueError, match="no pixel counts"):
        median_frequency_weights([torch.tensor([[-1]])], 2)
    with pytest.raises(ValueError, match="no pixel counts"):
        median_frequency_weights([], 2)
    for bad, ignore in ((2, -1), (-1, None), (-2, -1)):
        with pytest.raises(ValueError, match="must be classes from 0 to 1"):
            median_frequency_weights([torch.tensor([[0, bad]])], 2, ignore=ignore)


@pytest.mark.gpu
def test_devices_agree():
    net, x = SegNet(width=4, convs=(1, 2)).eval(), picture(2, 3, 33, 48)
    here = net(x)
    there = net.cuda()(x.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-3)
    labels = torch.tensor([[[0, 0, 1, -1]]])
    assert torch.equal(median_frequency_weights(labels.cuda(), 2), median_frequency_weights(labels, 2))
