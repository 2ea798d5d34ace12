"""Layers that make a feature map larger: transposed convolution, three ways, bilinear kernels and unpooling.

A convolution is linear, y = C x. The transposed convolution is Cᵀ: it has the sizes of the convolution's backward pass,
(size - 1) · stride - 2 · padding + dilation · (kernel - 1) + output_padding + 1, and in general is no inverse.
All three forms take torch's weight layout (C_in, C_out / groups, k, k), square strides, and any number of groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

__all__ = [
    "ReceptiveField",
    "bed_of_nails",
    "bilinear_kernel",
    "bilinear_unpool",
    "conv_size",
    "crop_and_concatenate",
    "max_unpool",
    "nearest_unpool",
    "receptive_field",
    "transposed_by_convolution",
    "transposed_by_gradient",
    "transposed_by_scatter",
    "transposed_size",
]


def conv_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Give the side of a convolution's or a pooling's output: (size + 2p - k') // s + 1, k' = dilation · (k - 1) + 1.

    Where the division leaves a rest, several sides have one output; `transposed_size` leads back to the least of them,
    and ``output_padding`` to another.

    Raises
    ------
    ValueError
        A stride, dilation or padding is out of range, or the kernel is larger than the padded side.

    Examples
    --------
    >>> conv_size(32, kernel=4, stride=2, padding=1), conv_size(33, kernel=4, stride=2, padding=1)
    (16, 16)
    """
    if stride < 1 or dilation < 1 or padding < 0:
        raise ValueError(f"stride and dilation must be at least 1, padding 0; got {stride}, {dilation}, {padding}")
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        raise ValueError(f"a side of {size} pixels is too small for a kernel of {dilation * (kernel - 1) + 1}")
    return room // stride + 1


def transposed_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Give the side of a transposed convolution's output.

    Raises
    ------
    ValueError
        The output padding is not less than the stride or the dilation, or nothing would be left.

    Examples
    --------
    >>> transposed_size(16, kernel=4, stride=2, padding=1)
    32
    """
    if stride < 1 or dilation < 1 or padding < 0:
        raise ValueError(f"stride and dilation must be at least 1, padding 0; got {stride}, {dilation}, {padding}")
    if not 0 <= output_padding < max(stride, dilation):
        raise ValueError(f"output_padding must be less than stride or dilation, got {output_padding}")
    result = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
    if result < 1:
        raise ValueError(f"the output would have {result} pixels a side; use less padding than {padding}")
    return result


def transposed_by_scatter(
    x: Tensor,
    weight: Tensor,
    *,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Let each pixel of the input (N, C, H, W) add its multiple of the kernel to the output, `stride` apart.

    Examples
    --------
    >>> transposed_by_scatter(torch.tensor([[[[1.0, 2.0]]]]), torch.ones(1, 1, 1, 3), stride=2).tolist()
    [[[[1.0, 1.0, 3.0, 2.0, 2.0]]]]
    """
    height, width = _output_size(x, weight, stride, padding, output_padding, dilation, groups)
    n, _, rows, cols = x.shape
    kernel = weight.reshape(groups, -1, *weight.shape[1:])  # (groups, C_in / groups, C_out / groups, k, k)
    stamps = torch.einsum("ngihw,gioyx->ngoyxhw", x.reshape(n, groups, -1, rows, cols), kernel)
    row = _places(weight.shape[2], rows, stride, dilation, x.device)
    col = _places(weight.shape[3], cols, stride, dilation, x.device)
    full = (max(int(row.max()) + 1, height + padding), max(int(col.max()) + 1, width + padding))
    index = row[:, None, :, None] * full[1] + col[None, :, None, :]  # (k, k, H, W)
    out = x.new_zeros(n, groups * weight.shape[1], full[0] * full[1])
    out.index_add_(2, index.flatten(), stamps.reshape(n, out.shape[1], -1))
    return out.reshape(n, -1, *full)[..., padding : padding + height, padding : padding + width]


def transposed_by_gradient(
    x: Tensor,
    weight: Tensor,
    *,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Run the backward pass of the convolution with the same weight: x is taken as the gradient of its output.

    Examples
    --------
    >>> transposed_by_gradient(torch.tensor([[[[1.0, 2.0]]]]), torch.ones(1, 1, 1, 3), stride=2).tolist()
    [[[[1.0, 1.0, 3.0, 2.0, 2.0]]]]
    """
    size = _output_size(x, weight, stride, padding, output_padding, dilation, groups)
    more = output_padding // stride  # the convolution would have as many outputs more, whose gradient is zero
    x = F.pad(x, (0, more, 0, more))
    shape = (x.shape[0], weight.shape[1] * groups, *size)
    return conv2d_input(shape, weight, x, stride, padding, dilation, groups)


def transposed_by_convolution(
    x: Tensor,
    weight: Tensor,
    *,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve, at stride 1, the input with zeros between its pixels and around it.

    There are stride - 1 between, dilation · (k - 1) - padding around, and output_padding more at the far sides.
    The kernel is flipped in space, and its input and output channels change places. Negative padding crops.

    Examples
    --------
    >>> transposed_by_convolution(torch.tensor([[[[1.0, 2.0]]]]), torch.ones(1, 1, 1, 3), stride=2).tolist()
    [[[[1.0, 1.0, 3.0, 2.0, 2.0]]]]
    """
    _output_size(x, weight, stride, padding, output_padding, dilation, groups)
    n, channels, rows, cols = x.shape
    height, width = ((size - 1) * stride + 1 + output_padding for size in (rows, cols))
    stuffed = x.new_zeros(n, channels, height, width)
    stuffed[..., : height - output_padding : stride, : width - output_padding : stride] = x
    top, left = (dilation * (k - 1) - padding for k in weight.shape[2:])
    stuffed = F.pad(stuffed, (left, left, top, top))
    kernel = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1).flip(-2, -1)
    return F.conv2d(stuffed, kernel, dilation=dilation, groups=groups)


def bilinear_kernel(channels: int, factor: int) -> Tensor:
    """Make the weight (channels, channels, k, k) of a transposed convolution that enlarges bilinearly.

    k = 2f - f mod 2, center c = f - 1 (odd) or f - 1/2 (even), weight (1 - |i - c| / f)(1 - |j - c| / f), with stride f
    and padding (k - f) / 2. Inside, it equals interpolation with half-pixel centers; at the border zeros mix in.

    Examples
    --------
    >>> bilinear_kernel(1, 2)[0, 0, 0].tolist()
    [0.0625, 0.1875, 0.1875, 0.0625]
    """
    if channels < 1 or factor < 1:
        raise ValueError(f"channels and factor must be at least 1, got {channels} and {factor}")
    size = 2 * factor - factor % 2
    line = 1 - (torch.arange(size) - (size - 1) / 2).abs() / factor
    return torch.eye(channels)[:, :, None, None] * (line[:, None] * line)


def nearest_unpool(x: Tensor, factor: int = 2) -> Tensor:
    """Repeat each value of x (..., H, W) over a block of factor × factor.

    Examples
    --------
    >>> nearest_unpool(torch.tensor([[1.0, 2.0]])).tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    _check_factor(factor)
    return x.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def bilinear_unpool(x: Tensor, factor: int = 2, *, align_corners: bool = False) -> Tensor:
    """Enlarge x (..., H, W), floating, so that between the values it is linear along rows and along columns.

    Parameters
    ----------
    align_corners
        False: pixels are squares, output i lies at (i + ½) / factor - ½, and beyond the outermost centers the border
        repeats. True: the centers of the corners fall together, output i lies at i · (n - 1) / (factor · n - 1).

    Examples
    --------
    >>> x = torch.tensor([[0.0, 12.0]])
    >>> bilinear_unpool(x)[0].tolist(), bilinear_unpool(x, align_corners=True)[0].tolist()
    ([0.0, 3.0, 9.0, 12.0], [0.0, 4.0, 8.0, 12.0])
    """
    _check_factor(factor)
    for dim in (-2, -1):
        n = x.shape[dim]
        i = torch.arange(factor * n, device=x.device, dtype=torch.float64)
        place = i * (n - 1) / max(factor * n - 1, 1) if align_corners else (i + 0.5) / factor - 0.5
        place = place.clamp(0, n - 1)
        low = place.long()
        weight = (place - low).to(x.dtype)
        weight = weight[:, None] if dim == -2 else weight
        x = torch.lerp(x.index_select(dim, low), x.index_select(dim, (low + 1).clamp(max=n - 1)), weight)
    return x


def bed_of_nails(x: Tensor, factor: int = 2) -> Tensor:
    """Put each value at the top left of a block of factor × factor, zeros elsewhere.

    Examples
    --------
    >>> bed_of_nails(torch.tensor([[[[5.0]]]])).tolist()
    [[[[5.0, 0.0], [0.0, 0.0]]]]
    """
    _check_factor(factor)
    out = x.new_zeros(*x.shape[:-2], x.shape[-2] * factor, x.shape[-1] * factor)
    out[..., ::factor, ::factor] = x
    return out


def max_unpool(x: Tensor, switches: Tensor, size: tuple[int, int]) -> Tensor:
    """Put each value (N, C, h, w) where its maximum was: `switches` are those of ``max_pool2d``, zeros elsewhere.

    The windows must not overlap: where two switches are equal, one value of the two is lost.

    Examples
    --------
    >>> pooled, switches = F.max_pool2d(torch.tensor([[[[1.0, 2.0], [4.0, 3.0]]]]), 2, return_indices=True)
    >>> max_unpool(pooled, switches, (2, 2)).tolist()
    [[[[0.0, 0.0], [4.0, 0.0]]]]
    """
    if x.shape != switches.shape:
        raise ValueError(f"x and switches must have one shape, got {tuple(x.shape)} and {tuple(switches.shape)}")
    if switches.numel() and not 0 <= int(switches.min()) <= int(switches.max()) < size[0] * size[1]:
        raise ValueError(f"the switches lead out of a map of {size[0]}×{size[1]}; give the size before pooling")
    out = x.new_zeros(*x.shape[:-2], size[0] * size[1])
    return out.scatter(-1, switches.flatten(-2), x.flatten(-2)).reshape(*x.shape[:-2], *size)


def crop_and_concatenate(skip: Tensor, x: Tensor) -> Tensor:
    """Cut the middle of `skip` (N, C, H, W) to the size of x, and put its channels before those of x.

    Where the difference is odd, one row or column more is cut at the far side.

    Examples
    --------
    >>> crop_and_concatenate(torch.zeros(1, 64, 280, 280), torch.zeros(1, 64, 200, 200)).shape
    torch.Size([1, 128, 200, 200])
    """
    top, left = ((a - b) // 2 for a, b in zip(skip.shape[-2:], x.shape[-2:], strict=True))
    if top < 0 or left < 0 or skip.shape[-2] < x.shape[-2] or skip.shape[-1] < x.shape[-1]:
        raise ValueError(f"skip must be at least as large as x, got {tuple(skip.shape)} and {tuple(x.shape)}")
    return torch.cat([skip[..., top : top + x.shape[-2], left : left + x.shape[-1]], x], dim=1)


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """What an output sees of the input, in input pixels along one side.

    Attributes
    ----------
    size
        How many outputs there are.
    jump
        How far apart two neighboring outputs look.
    field
        How many pixels an output sees.
    start
        Where the first output's field has its middle; pixel 0 has its own at 0.
    """

    size: int
    jump: int
    field: int
    start: float


def receptive_field(layers: nn.Module | Iterable[nn.Module], size: int) -> ReceptiveField:
    """Follow a side of `size` pixels through convolutions and poolings with square kernels.

    With k' = dilation · (k - 1) + 1: size = (size + 2p - k') / s + 1, field += (k' - 1) · jump,
    start += ((k' - 1) / 2 - p) · jump, jump *= s.

    Parameters
    ----------
    layers
        What is run one after the other, sequences in sequences too. ReLU, dropout and batch normalization (as at
        prediction) change nothing. After a transposed convolution the outputs do not all see alike: it is refused.

    Raises
    ------
    ValueError
        The picture is too small, or a layer is not understood; the message names the layer, as 0.2 in 0.

    Examples
    --------
    >>> receptive_field([nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, padding=1)], 8)
    ReceptiveField(size=4, jump=2, field=8, start=0.5)
    """
    jump, field, start = 1, 1, 0.0
    for name, layer in _leaves(layers):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.BatchNorm2d | nn.Dropout | nn.Dropout2d | nn.Identity):
            continue
        kernel, stride, padding, dilation = _geometry(name, layer)
        reach = dilation * (kernel - 1)
        room = size + 2 * padding - reach - 1
        if room < 0:
            raise ValueError(f"a side of {size} is too small for layer {name}, {layer}")
        up = getattr(layer, "ceil_mode", False)
        outputs = (room + (stride - 1 if up else 0)) // stride + 1
        if up and (outputs - 1) * stride >= size + padding:
            outputs -= 1  # as torch: no window starts beyond the picture
        size, field, start, jump = outputs, field + reach * jump, start + (reach / 2 - padding) * jump, jump * stride
    return ReceptiveField(size=size, jump=jump, field=field, start=start)


def _leaves(layers: nn.Module | Iterable[nn.Module], path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Give the layers of sequences in sequences, in order, each with its place, as 0.2."""
    if isinstance(layers, nn.Module) and not isinstance(layers, nn.Sequential):
        layers = [layers]
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.Sequential):
            yield from _leaves(layer, f"{path}{i}.")
        else:
            yield f"{path}{i}", layer


def _geometry(name: str, layer: nn.Module) -> tuple[int, int, int, int]:
    """Kernel, stride, padding and dilation of a layer along one side."""
    if isinstance(layer, nn.ConvTranspose2d | nn.Upsample):
        raise ValueError(f"cannot follow layer {name}, {layer}: what enlarges has outputs that do not all see alike")
    if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) or isinstance(layer.padding, str):
        raise ValueError(
            f"cannot follow layer {name}, {layer}; give convolutions and poolings with numbers for their padding, in "
            "a row or in Sequential, and what acts on single pixels"
        )
    values = (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    if any(isinstance(value, tuple) and len(set(value)) > 1 for value in values):
        raise ValueError(f"cannot follow layer {name}, {layer}: its two sides differ")
    kernel, stride, padding, dilation = (value[0] if isinstance(value, tuple) else value for value in values)
    return kernel, stride, padding, dilation


def _check_factor(factor: int) -> None:
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")


def _places(kernel: int, size: int, stride: int, dilation: int, device: torch.device) -> Tensor:
    """Where each element of the kernel falls, for each pixel of the input: (kernel, size)."""
    return torch.arange(kernel, device=device)[:, None] * dilation + torch.arange(size, device=device) * stride


def _output_size(
    x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int, dilation: int, groups: int
) -> tuple[int, int]:
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"expected x (N, C, H, W) and weight (C, C_out / groups, k, k), got {tuple(x.shape)}, {tuple(weight.shape)}"
        )
    if groups < 1 or x.shape[1] % groups:
        raise ValueError(f"groups must divide the {x.shape[1]} channels of x, got {groups}")
    rest = (stride, padding, output_padding, dilation)
    return transposed_size(x.shape[2], weight.shape[2], *rest), transposed_size(x.shape[3], weight.shape[3], *rest)
