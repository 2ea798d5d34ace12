"""Layers that enlarge, against torch's own and against numbers worked by hand."""

from __future__ import annotations

import doctest

import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seglab.networks import layers

FORMS = (layers.transposed_by_scatter, layers.transposed_by_gradient, layers.transposed_by_convolution)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_is_torchs(form, stride, padding, dilation, groups):
    x, weight = draw(2, 4, 6, 7), draw(4, 3, 3, 2)
    for extra in range(max(stride, dilation)):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        options["output_padding"] = extra
        try:
            expected = F.conv_transpose2d(x, weight, **options)
        except RuntimeError:
            with pytest.raises(ValueError, match="use less padding"):
                form(x, weight, **options)
        else:
            torch.testing.assert_close(form(x, weight, **options), expected, rtol=0, atol=1e-10)


@hypothesis.given(
    form=st.sampled_from(FORMS), size=st.tuples(*[st.integers(1, 5)] * 2), kernel=st.tuples(*[st.integers(1, 4)] * 2),
    stride=st.integers(1, 5), padding=st.integers(0, 4), dilation=st.integers(1, 3), extra=st.integers(0, 4),
)  # fmt: skip
@hypothesis.example(form=FORMS[2], size=(1, 1), kernel=(1, 1), stride=5, padding=2, dilation=1, extra=4)
@hypothesis.settings(max_examples=300)
def test_transposed_is_torchs_at_any_size(form, size, kernel, stride, padding, dilation, extra):
    x, weight = draw(1, 2, *size), draw(2, 3, *kernel)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "output_padding": extra}
    try:
        expected = F.conv_transpose2d(x, weight, **options)
    except RuntimeError:
        hypothesis.reject()
    torch.testing.assert_close(form(x, weight, **options), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_transposed_is_the_adjoint(form):
    x, weight = draw(1, 3, 9, 9), draw(4, 3, 3, 3)
    y = F.conv2d(x, weight, stride=2)
    other = draw(*y.shape) + 1
    torch.testing.assert_close((y * other).sum(), (x * form(other, weight, stride=2)).sum())


@pytest.mark.parametrize("size", range(5, 12))
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_sizes_there_and_back(size, kernel, stride, padding, dilation):
    x, weight = draw(1, 1, size, size), draw(1, 1, kernel, kernel)
    if dilation * (kernel - 1) + 1 > size + 2 * padding:
        with pytest.raises(ValueError, match=f"a side of {size} pixels is too small for a kernel of"):
            layers.conv_size(size, kernel, stride, padding, dilation)
        return
    small = layers.conv_size(size, kernel, stride, padding, dilation)
    assert small == F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation).shape[-1]
    rest = (size + 2 * padding - dilation * (kernel - 1) - 1) % stride
    assert layers.transposed_size(small, kernel, stride, padding, rest, dilation) == size


def test_sizes_out_of_range():
    for wrong in ({"stride": 0}, {"dilation": 0}, {"padding": -1}):
        for size in (layers.conv_size, layers.transposed_size):
            with pytest.raises(ValueError, match="stride and dilation must be at least 1, padding 0; got"):
                size(8, 3, **wrong)


@pytest.mark.parametrize("form", FORMS)
def test_wrong_inputs(form):
    with pytest.raises(ValueError, match="expected x"):
        form(draw(1, 3, 4, 4), draw(4, 1, 2, 2))
    with pytest.raises(ValueError, match="groups must divide"):
        form(draw(1, 3, 4, 4), draw(3, 1, 2, 2), groups=2)
    with pytest.raises(ValueError, match="output_padding"):
        form(draw(1, 3, 4, 4), draw(3, 1, 2, 2), output_padding=1)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 8])
def test_bilinear_inside(factor):
    x, weight = draw(1, 2, 6, 7).float(), layers.bilinear_kernel(2, factor)
    padding = (weight.shape[-1] - factor) // 2
    ours = F.conv_transpose2d(x, weight, stride=factor, padding=padding)
    theirs = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    assert ours.shape == theirs.shape
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(ours[inside], theirs[inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4)])
def test_interpolations_are_torchs(factor, size):
    x = draw(2, 3, *size)
    assert torch.equal(layers.nearest_unpool(x, factor), F.interpolate(x, scale_factor=factor, mode="nearest"))
    for align in (False, True):
        theirs = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=align)
        torch.testing.assert_close(layers.bilinear_unpool(x, factor, align_corners=align), theirs, rtol=0, atol=1e-12)
        single = layers.bilinear_unpool(x.float(), factor, align_corners=align)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single, theirs.float(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("form", [layers.nearest_unpool, layers.bilinear_unpool, layers.bed_of_nails])
def test_a_factor_is_a_factor(form):
    with pytest.raises(ValueError, match="factor must be at least 1, got 0"):
        form(draw(1, 1, 2, 2), 0)


def test_unpooling():
    x = draw(1, 2, 6, 8).abs()
    pooled, switches = F.max_pool2d(x, 2, return_indices=True)
    ours = layers.max_unpool(pooled, switches, (6, 8))
    assert torch.equal(ours, F.max_unpool2d(pooled, switches, 2))
    assert torch.equal(F.max_pool2d(ours, 2), pooled)
    nails = layers.bed_of_nails(pooled)
    assert torch.equal(nails[..., ::2, ::2], pooled)
    assert int((nails != 0).sum()) == pooled.numel()
    with pytest.raises(ValueError, match="lead out"):
        layers.max_unpool(pooled, switches, (4, 4))
    with pytest.raises(ValueError, match="one shape"):
        layers.max_unpool(pooled, switches[:, :1], (6, 8))


def test_of_equal_values_the_first_is_the_maximum():
    flat = torch.ones(1, 1, 4, 4)
    pooled, switches = F.max_pool2d(flat, 2, return_indices=True)
    assert switches.flatten().tolist() == [0, 2, 8, 10]
    assert torch.equal(layers.max_unpool(pooled, switches, (4, 4)), layers.bed_of_nails(pooled))


def test_crop_and_concatenate():
    skip, x = draw(1, 1, 6, 7), draw(1, 2, 2, 4)
    joined = layers.crop_and_concatenate(skip, x)
    assert torch.equal(joined, torch.cat([skip[..., 2:4, 1:5], x], 1))
    with pytest.raises(ValueError, match="at least as large"):
        layers.crop_and_concatenate(x, skip)


@pytest.mark.parametrize("size", [17, 20, 23])
def test_receptive_field_is_what_the_gradient_reaches(size):
    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=2, dilation=2), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Conv2d(1, 1, 3, bias=False)
    ).double()
    for layer in (net[0], net[2]):
        nn.init.ones_(layer.weight)
    x = draw(1, 1, size, size).requires_grad_()
    y, seen = net(x), layers.receptive_field(net, size)
    assert y.shape[-1] == seen.size
    middle = seen.size // 2
    (slope,) = torch.autograd.grad(y[0, 0, middle, middle], x)
    columns = slope[0, 0].abs().sum(0).nonzero().flatten()
    center = seen.start + middle * seen.jump
    assert columns.min() == max(0, center - (seen.field - 1) / 2)
    assert columns.max() == min(size - 1, center + (seen.field - 1) / 2)


def test_receptive_field_looks_into_sequences():
    conv, pool = nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)
    flat = [conv, nn.ReLU(), pool, conv, nn.LeakyReLU(), conv]
    nested = nn.Sequential(
        nn.Sequential(conv, nn.ReLU(), nn.Sequential(pool)), nn.Sequential(conv, nn.LeakyReLU()), conv
    )
    assert layers.receptive_field(nested, 40) == layers.receptive_field(flat, 40)
    assert layers.receptive_field(conv, 40) == layers.receptive_field([conv], 40)


def test_receptive_field_refuses():
    conv = nn.Conv2d(1, 1, 5)
    with pytest.raises(ValueError, match="too small for layer 0, Conv2d"):
        layers.receptive_field([conv], 4)
    with pytest.raises(ValueError, match=r"layer 1\.0, ConvTranspose2d.*do not all see alike"):
        layers.receptive_field(nn.Sequential(conv, nn.Sequential(nn.ConvTranspose2d(1, 1, 2))), 9)
    with pytest.raises(ValueError, match=r"cannot follow layer 0, Linear.*; give convolutions"):
        layers.receptive_field(nn.Linear(2, 2), 4)
    with pytest.raises(ValueError, match="numbers for their padding"):
        layers.receptive_field([nn.Conv2d(1, 1, 3, padding="same")], 4)
    with pytest.raises(ValueError, match="sides differ"):
        layers.receptive_field([nn.Conv2d(1, 1, (1, 3))], 4)


@pytest.mark.gpu
def test_devices_agree():
    x, weight = draw(2, 4, 6, 7).float(), draw(4, 2, 3, 3).float()
    for form in FORMS:
        there = form(x.cuda(), weight.cuda(), stride=2, padding=1, output_padding=1, groups=2)
        assert there.device.type == "cuda"
        here = form(x, weight, stride=2, padding=1, output_padding=1, groups=2)
        torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-4)
    for form in (layers.nearest_unpool, layers.bilinear_unpool, layers.bed_of_nails):
        torch.testing.assert_close(form(x.cuda()).cpu(), form(x), rtol=0, atol=1e-6)
    pooled, switches = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(
        layers.max_unpool(pooled.cuda(), switches.cuda(), (6, 7)).cpu(), layers.max_unpool(pooled, switches, (6, 7))
    )


def test_examples():
    result = doctest.testmod(layers)
    assert result.attempted
    assert not result.failed
