"""The hourglass: one network but for its unpooling; what each unpooling leaves to be seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seglab.networks.hourglass import UNPOOLINGS, Hourglass, Unpool
from seglab.networks.layers import receptive_field

KINDS = [(kind, 4) for kind in UNPOOLINGS] + [("transposed", kernel) for kernel in (2, 3, 5)]


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
@pytest.mark.parametrize("skips", [False, True])
def test_shapes_and_gradients(kind, kernel, skips):
    net = Hourglass(2, 5, width=3, depth=3, unpool=kind, kernel=kernel, skips=skips)
    sizes = []
    for block in [*net.down, net.bottom, *net.unpools, *net.up]:
        block.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    out = net(picture(2, 2, 16, 24))
    assert out.shape == (2, 5, 16, 24)
    down = [(3, 16, 24), (6, 8, 12), (12, 4, 6), (12, 2, 3)]
    assert sizes == [*down, (12, 4, 6), (6, 4, 6), (6, 8, 12), (3, 8, 12), (3, 16, 24), (3, 16, 24)]
    out.square().mean().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in net.parameters())


def test_a_skip_comes_first_and_whole():
    net, maps, joined = Hourglass(width=3, depth=2, skips=True), [], []
    for block in net.down:
        block.register_forward_hook(lambda _, __, out: maps.append(out))
    for block in net.up:
        block.register_forward_pre_hook(lambda _, given: joined.append(given[0]))
    net(picture(1, 3, 8, 8))
    for skip, both in zip(reversed(maps), joined, strict=True):
        assert torch.equal(both[:, : skip.shape[1]], skip)
        assert both.shape[1] == 2 * skip.shape[1]


@pytest.mark.parametrize("skips", [False, True])
def test_all_but_a_transposed_convolution_have_the_same_weights(skips):
    first, *others = (
        Hourglass(width=4, unpool=kind, skips=skips).state_dict() for kind in UNPOOLINGS if kind != "transposed"
    )
    for other in others:
        assert first.keys() == other.keys()
        assert all(torch.equal(first[key], other[key]) for key in first)
    more = Hourglass(width=4, unpool="transposed", skips=skips).state_dict()
    assert {key for key in more if key not in first} == {f"unpools.{i}.conv.weight" for i in range(3)}


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_unpool_is_the_adjoint_of_a_strided_convolution(kernel):
    unpool = Unpool("transposed", 3, kernel=kernel).double()
    x, y = picture(1, 3, 5, 6).double(), picture(1, 3, 10, 12).double() - 0.5
    (back,) = torch.autograd.grad(unpool(x.requires_grad_()), x, y)
    weight = unpool.conv.weight
    expected = F.conv2d(y, weight, stride=2, padding=(kernel - 1) // 2)
    torch.testing.assert_close(back, expected[..., :5, :6])


@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_unpool_doubles(kind, kernel):
    pooled, switches = F.max_pool2d(picture(2, 3, 6, 10), 2, return_indices=True)
    up = Unpool(kind, 3, kernel=kernel)(pooled, switches)
    assert up.shape == (2, 3, 6, 10)
    if kind in ("nearest", "nails", "switches"):
        assert torch.equal(F.max_pool2d(up, 2), pooled), "pooling undoes it"


def phases(net: nn.Module) -> torch.Tensor:
    """How far scores of a constant picture differ between the places of a 2×2 block, in the middle."""
    out = net(torch.ones(1, 3, 64, 64)).detach()[..., 24:40, 24:40]
    return (out - out[..., :1, :1]).abs().max() / out.abs().max()


@pytest.mark.parametrize("seed", range(3))
def test_checkerboards(seed):
    """A constant picture: only kernels that the stride does not cover evenly show the grid."""
    boards = {}
    for kind, kernel in KINDS:
        boards[kind, kernel] = phases(Hourglass(width=4, depth=2, unpool=kind, kernel=kernel, seed=seed).eval())
    for kind in ("nearest", "bilinear"):
        assert boards[kind, 4] < 1e-5
    for kind, kernel in (("nails", 4), ("switches", 4), ("transposed", 3), ("transposed", 4)):
        assert boards[kind, kernel] > 1e-3, "with random weights, any of these shows the grid"


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_even_kernels_cover_evenly(kernel):
    """With a kernel of ones each output is how often it is written to."""
    unpool = Unpool("transposed", kernel=kernel)
    nn.init.ones_(unpool.conv.weight)
    covered = unpool(torch.ones(1, 1, 8, 8))[..., 4:-4, 4:-4]
    assert (len(covered.unique()) == 1) == (kernel % 2 == 0)


def test_without_skips_a_pixel_moved_within_its_window_changes_nothing_where_nearest_unpools():
    """What pooling forgets: the same picture for the decoder. Switches or skips tell them apart."""
    kinds = {(kind, skips): None for kind in ("nearest", "switches") for skips in (False, True)}
    for kind, skips in kinds:
        net = Hourglass(1, 1, width=1, depth=1, unpool=kind, skips=skips).eval()
        for block in (net.down[0], net.bottom, *net.up):
            nn.init.zeros_(block[0].weight)
            block[0].weight.data[..., 1, 1] = 1
        nn.init.ones_(net.head.weight)
        x = torch.zeros(2, 1, 6, 6)
        x[0, 0, 2, 2] = x[1, 0, 3, 3] = 1
        first, second = net(x).detach()
        kinds[kind, skips] = torch.equal(first, second)
    assert kinds == {("nearest", False): True, ("nearest", True): False, **dict.fromkeys([*kinds][2:], False)}


def test_its_field_reaches_what_the_gradient_reaches():
    net = Hourglass(1, 1, width=2, depth=2, unpool="nearest").eval()
    layers = [net.down[0], nn.MaxPool2d(2), net.down[1], nn.MaxPool2d(2), net.bottom]
    seen = receptive_field(nn.Sequential(*layers), 64)
    assert (seen.field, seen.jump) == (18, 4)


def test_the_seed_makes_the_weights():
    first, second, other = (Hourglass(width=2, depth=1, unpool="transposed", seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        again = Hourglass(width=2, depth=1, unpool="transposed")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="unpool is one of nearest, .*, transposed; got 'magic'"):
        Hourglass(unpool="magic")
    with pytest.raises(ValueError, match="at least 1, got 3, 2, 16 and 0"):
        Hourglass(depth=0)
    with pytest.raises(ValueError, match="kernel must be at least 2, .* got 1"):
        Hourglass(unpool="transposed", kernel=1)
    with pytest.raises(ValueError, match="needs those of the pooling"):
        Unpool("switches")(torch.zeros(1, 1, 2, 2))
    for wrong in ((3, 8, 8), (1, 1, 8, 8), (1, 3, 12, 8), (1, 3, 8, 12)):
        with pytest.raises(ValueError, match=r"sides that are multiples of 8, got .*; crop or pad"):
            Hourglass(width=1)(torch.zeros(*wrong))


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "kernel"), KINDS)
def test_devices_agree(kind, kernel):
    net, x = Hourglass(width=4, unpool=kind, kernel=kernel, skips=True).eval(), picture(2, 3, 32, 48)
    here = net(x)
    torch.testing.assert_close(net.cuda()(x.cuda()).cpu(), here, rtol=0, atol=1e-3)
