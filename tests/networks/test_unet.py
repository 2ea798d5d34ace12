"""U-Net: the paper's sizes, level by level; tiles that equal the whole; border weights against the plain formula."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from torch import nn

from seglab.features import mirror_pad
from seglab.networks import unet
from seglab.networks.unet import UNet, border_weights, predict_tiled


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# The paper's Figure 1: channels and side after each convolution, pooling (P) and up-convolution (U).
FIGURE = """
64 570, 64 568, P 284, 128 282, 128 280, P 140, 256 138, 256 136, P 68, 512 66, 512 64, P 32, 1024 30, 1024 28,
U 512 56, 512 54, 512 52, U 256 104, 256 102, 256 100, U 128 200, 128 198, 128 196, U 64 392, 64 390, 64 388, 2 388
"""


def test_the_papers_figure():
    net = UNet().to("meta")
    seen = []

    def watch(module, inputs, output):
        mark = "U " if isinstance(module, nn.ConvTranspose2d) else ""
        if inputs[0].shape[2] in (568 // 2, 280 // 2, 136 // 2, 64 // 2) and not mark:
            pooled = f"P {inputs[0].shape[2]}"
            if pooled not in seen:
                seen.append(pooled)
        assert output.shape[2] == output.shape[3]
        seen.append(f"{mark}{output.shape[1]} {output.shape[2]}")

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(watch)
    assert net(torch.empty(1, 1, 572, 572, device="meta")).shape == (1, 2, 388, 388)
    assert seen == FIGURE.replace("\n", " ").strip().split(", ")
    joined = [block[0].in_channels for block in net.merge]
    assert joined == [1024, 512, 256, 128]
    assert sum(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in net.modules()) == 23  # as the paper counts
    assert sum(p.numel() for p in net.parameters()) == 31_030_658


def plain(net: UNet, x: torch.Tensor) -> torch.Tensor:
    """The same network, written down level by level for a depth of two."""
    relu, conv = torch.relu, torch.nn.functional.conv2d

    def twice(x, block):
        for layer in (block[0], block[2]):
            x = relu(conv(x, layer.weight, layer.bias))
        return x

    a = twice(x, net.down[0])
    b = twice(torch.max_pool2d(a, 2), net.down[1])
    c = twice(torch.max_pool2d(b, 2), net.bottom)
    up = net.up[0](c)
    cut = (b.shape[2] - up.shape[2]) // 2
    d = twice(torch.cat([b[:, :, cut:-cut, cut:-cut], up], 1), net.merge[0])
    up = net.up[1](d)
    cut = (a.shape[2] - up.shape[2]) // 2
    return net.head(twice(torch.cat([a[:, :, cut:-cut, cut:-cut], up], 1), net.merge[1]))


def test_the_same_written_down():
    net = UNet(3, 5, width=3, depth=2).eval()
    x = draw(2, 3, 60, 60)
    torch.testing.assert_close(net(x), plain(net, x))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("padded", [False, True])
def test_sizes_that_fit_are_those_that_halve(depth, padded):
    net = UNet(width=1, depth=depth, padded=padded)

    def halves(side):
        for _ in range(depth):
            side -= 0 if padded else 4
            if side % 2 or side <= 0:
                return 0
            side //= 2
        side -= 0 if padded else 4
        for _ in range(depth):
            side = 2 * side - (0 if padded else 4)
            if side <= 0:
                return 0
        return side

    fit = [side for side in range(1, 300) if halves(side)]
    for side in range(1, 300):
        if side in fit:
            assert net.output_size(side, fit[0]) == (halves(side), halves(fit[0]))
        else:
            low, high = max([s for s in fit if s < side], default=fit[0]), min(s for s in [*fit, 999] if s > side)
            if high < 999:
                near = f"{low}×{fit[0]}" + (f", {high}×{fit[0]}" if high != low else "")
                with pytest.raises(ValueError, match=f"the nearest that do are {near}$"):
                    net.output_size(side, fit[0])


def test_wrong_inputs():
    with pytest.raises(
        ValueError, match="570×572 does not fit a U-Net of depth 4 without padding; .* 556×572, 572×572"
    ):
        UNet(width=1)(torch.zeros(1, 1, 570, 572))
    with pytest.raises(ValueError, match=r"expected pictures \(N, 3, H, W\), got \(3, 572, 572\)"):
        UNet(3, width=1)(torch.zeros(3, 572, 572))
    with pytest.raises(ValueError, match="depth must be at least 1"):
        UNet(depth=0)
    with pytest.raises(ValueError, match="a tile must be at least 44 pixels"):
        predict_tiled(UNet(width=1, depth=2), torch.zeros(1, 1, 50, 50), tile=43)
    with pytest.raises(ValueError, match="expected pictures"):
        predict_tiled(UNet(3, width=1, depth=2), torch.zeros(1, 1, 50, 50))


def test_first_weights():
    state = torch.random.get_rng_state()
    net, again, other = UNet(width=16, seed=3), UNet(width=16, seed=3), UNet(width=16, seed=4)
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator is left alone"
    for (name, a), b, c in zip(net.named_parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        if name.endswith("bias"):
            assert not a.any()
        else:
            assert not torch.equal(a, c)
            seen = a.shape[0] if name.startswith("up") else a.shape[1] * a.shape[2] * a.shape[3]
            assert float(a.detach().std()) == pytest.approx((2 / seen) ** 0.5, rel=0.25)


@pytest.mark.parametrize(("padded", "batch_norm"), [(False, False), (True, True)])
def test_it_learns(padded, batch_norm):
    net = UNet(width=4, depth=1, padded=padded, batch_norm=batch_norm, dropout=0)
    x = draw(1, 1, 34, 34)
    y = (x[:, 0] > 0).long()[:, net.border // 2 : 34 - net.border // 2, net.border // 2 : 34 - net.border // 2]
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        losses.append(nn.functional.cross_entropy(net(x), y))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (13, 30), (64, 33)])
def test_tiles_are_the_whole(depth, padded, size):
    net = UNet(2, 3, width=2, depth=depth, padded=padded, batch_norm=padded)
    image = draw(2, 2, *size)
    margin = net.context
    side = next(s for s in range(max(size) + 2 * margin, 999) if net._nearest(s)[0] == s)
    around = mirror_pad(image, margin, side)[..., :side, :side]
    with torch.no_grad():
        whole = net.eval()(around)
    cut = margin if padded else 0
    whole = whole[..., cut : cut + size[0], cut : cut + size[1]]
    net.train()
    least = net._nearest(2 * margin + net.unit)[1]
    for tile in (least if max(size) < 40 else least + 2 * net.unit + 1, least + 19, 400):
        ours = predict_tiled(net, image, tile=tile)
        assert ours.shape == (2, 3, *size)
        torch.testing.assert_close(ours, whole, rtol=0, atol=1e-4)
    assert net.training


def test_tiles_off_the_grid_are_not_the_whole():
    net = UNet(width=2, depth=2).eval()
    image = draw(1, 1, 80, 80)
    with torch.no_grad():
        whole, by_two, by_unit = net(image), net(image[..., 2:78, :76]), net(image[..., 4:, :76])
    torch.testing.assert_close(by_unit, whole[..., 4:, :36])
    assert not torch.allclose(by_two, whole[..., 2:38, :36], atol=1e-3)


@pytest.mark.parametrize("depth", [2, 3])
def test_context_is_what_the_padded_network_sees(depth):
    net = UNet(width=2, depth=depth, padded=True, dropout=0).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()  # no value is cut, and the largest of four is where the picture is largest
    unit, context = net.unit, net.context
    x = torch.linspace(2, 1, 28 * unit, dtype=torch.float64)[:, None].repeat(1, unit)
    tops = []
    for picture in (x, x.flip(0)):
        picture = picture[None, None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(picture)[0, 0, 12 * unit : 16 * unit].sum(), picture)
        rows = slope[0, 0].sum(1).nonzero().flatten()
        tops += [int(rows.min()), 28 * unit - 1 - int(rows.max())]
    assert min(tops) == 12 * unit - context + 2


def test_eight_views_are_averaged():
    """By NumPy, view by view; and a picture that is turned or mirrored has the same scores, turned or mirrored."""
    net, image = UNet(1, 3, width=2, depth=2), draw(1, 1, 40, 52)
    total = np.zeros((1, 3, 40, 52))
    for k in range(4):
        for flip in (lambda x: x, lambda x: x[..., ::-1, :]):
            view = torch.from_numpy(flip(np.rot90(image.numpy(), k, (2, 3))).copy())
            total += np.rot90(flip(predict_tiled(net, view, tile=72).numpy()), -k, (2, 3))
    ours = predict_tiled(net, image, tile=72, turned=True)
    np.testing.assert_allclose(ours.numpy(), total / 8, atol=1e-4)
    assert not torch.allclose(ours, predict_tiled(net, image, tile=72), atol=1e-2)
    for change in (lambda x: torch.rot90(x, 1, (2, 3)), lambda x: x.flip(2), lambda x: x.transpose(2, 3)):
        torch.testing.assert_close(predict_tiled(net, change(image), tile=72, turned=True), change(ours))


@pytest.mark.gpu
@pytest.mark.parametrize("padded", [False, True])
def test_gpu_predicts_the_same(padded):
    net = UNet(width=4, depth=2, padded=padded)
    image = draw(1, 1, 70, 90)
    ours = predict_tiled(net, image, tile=92)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # else products have 10 bits
        theirs = predict_tiled(net.cuda(), image.cuda(), tile=92)
    assert theirs.is_cuda
    torch.testing.assert_close(theirs.cpu(), ours, rtol=0, atol=1e-4)
    assert border_weights(torch.ones(3, 3, dtype=torch.int64, device="cuda")).is_cuda


# ------------------------------------------------------------------------------------------------------ border weights


def naive(cells: np.ndarray, w0: float, sigma: float, w_c: tuple[float, float]) -> np.ndarray:
    out = np.empty(cells.shape)
    names = [name for name in np.unique(cells) if name]
    for place in np.ndindex(cells.shape):
        ways = sorted(min(np.hypot(*(np.array(place) - at)) for at in np.argwhere(cells == name)) for name in names)
        out[place] = w_c[int(cells[place] != 0)] + w0 * np.exp(-((ways[0] + ways[1]) ** 2) / (2 * sigma**2))
    return out


@pytest.mark.parametrize("n_cells", [2, 3, 4, 5, 9])
def test_border_weights_are_the_formula(n_cells):
    rng = np.random.default_rng(n_cells)
    cells = np.zeros((12, 14), np.int64)
    for name in range(n_cells):
        row, col = rng.integers(0, 11), rng.integers(0, 13)
        cells[row : row + 2, col : col + 2] = 7 * name - 20 or 1  # any number but 0, negative ones too
    assert len(np.unique(cells)) > 2
    ours = border_weights(torch.from_numpy(cells), w0=4.0, sigma=2.5, class_weights=(0.5, 2.0))
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), naive(cells, 4.0, 2.5, (0.5, 2.0)), rtol=1e-6)


def test_border_weights_by_hand():
    cells = np.array([[1, 1, 0, 2, 0, 0, 0, 0]])
    w = border_weights(cells, w0=10, sigma=5, class_weights=(1, 1)).double().numpy()[0]
    sums = np.array([3, 2, 2, 2, 4, 6, 8, 10])  # d1 + d2
    np.testing.assert_allclose(w, 1 + 10 * np.exp(-(sums**2) / 50), rtol=1e-6)


def test_classes_weigh_alike():
    cells = np.array([[0, 0, 0, 3]])
    assert border_weights(cells)[0].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])  # one cell: no second
    assert border_weights(np.zeros((2, 2), int)).tolist() == [[1, 1], [1, 1]]
    assert border_weights(np.ones((2, 2), bool)).tolist() == [[1, 1], [1, 1]]


def test_border_weights_refuse():
    for cells in (np.zeros((2, 2)), np.zeros((1, 2, 2), int), np.zeros((0, 2), int)):
        with pytest.raises(ValueError, match="cells must be whole numbers"):
            border_weights(cells)
    with pytest.raises(ValueError, match="sigma"):
        border_weights(np.zeros((2, 2), int), sigma=0)


def test_examples():
    result = doctest.testmod(unet)
    assert result.attempted
    assert not result.failed
