"""The front door: anything image-like becomes one float tensor (C, H, W) in [0, 1], or one clear error.

Color spaces follow scikit-image (sRGB, D65 white, 2° observer) and run on any device:

    image = as_image("cat.jpg", device="cuda")     # (3, H, W) float32
    lab = to_color_space(image, "lab")             # L in [0, 100], a and b about -100 to 100
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

__all__ = [
    "ColorSpace",
    "as_image",
    "from_color_space",
    "hsv_to_rgb",
    "lab_to_rgb",
    "luv_to_rgb",
    "rgb_to_gray",
    "rgb_to_hsv",
    "rgb_to_lab",
    "rgb_to_luv",
    "to_color_space",
    "to_uint8",
]

ColorSpace = Literal["gray", "rgb", "hsv", "lab", "luv"]

_EXPECTED = (
    "An image is a file, a PIL image, a NumPy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
    "or a tensor (H, W), (C, H, W) or (H, W, C) with C = 1, 3 or 4."
)
_ROUND_OFF = 1e-4  # a float may miss [0, 1] by this much, or by its type's own precision


def as_image(image: Any, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn anything image-like into a tensor (C, H, W) in [0, 1], C = 1 (gray) or 3 (RGB).

    Parameters
    ----------
    image
        - a file: a path, a `pathlib.Path`, an open binary file, or the bytes of one. Turned upright as its EXIF
          orientation says; of an animation, the first frame.
        - a PIL image of any mode.
        - a NumPy array, or what turns into one (nested lists, anything with ``__array__``): (H, W), (H, W, 1),
          (H, W, 2) gray with alpha, (H, W, 3), (H, W, 4).
        - a tensor (H, W), (C, H, W) or (H, W, C) with C = 1, 3 or 4; a shape that reads both ways is (C, H, W).
    device
        Where the result lies; where the tensor is, or on the CPU, by default.
    dtype
        The result's floating-point type.

    Returns
    -------
    Tensor
        (C, H, W) without gradient. It may share memory with the input: nothing here writes to it.

    Raises
    ------
    FileNotFoundError
        No such file.
    TypeError
        Not an image at all (None, text, complex numbers), or a ``dtype`` that is not floating-point.
    ValueError
        An image that cannot be read (a broken file, a folder, a wrong shape, NaN, values out of range); the message
        says what was given, what is expected and how to mend it.

    Notes
    -----
    Values: bool is 0 or 1; uint8 is divided by 255 and uint16 by 65535, whatever they hold. Other integer types do
    not say their depth: values within 0..255 are read as 8-bit, otherwise within 0..65535 as 16-bit. Floats are in
    [0, 1] already; round-off beyond it is clipped. Alpha is blended over white, as in `skimage.color.rgba2rgb`.

    Examples
    --------
    >>> as_image([[0, 128], [255, 64]]).shape
    torch.Size([1, 2, 2])
    >>> as_image(np.zeros((4, 5, 3), np.uint8)).shape
    torch.Size([3, 4, 5])
    """
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating-point type such as torch.float32; got {dtype!r}")
    if isinstance(image, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(image, "read"):
        image = _open(image)
    if isinstance(image, Image.Image):
        image = _from_pil(image)
    if isinstance(image, Tensor):
        picture, top = _channels_first(image.detach()), None
    else:
        array, top = _as_array(image)
        picture = torch.from_numpy(array).movedim(-1, 0)
    return _over_white(_to_unit_range(picture.to(device), dtype, top))


def to_uint8(image: Tensor) -> np.ndarray:
    """Turn a picture (C, H, W) in [0, 1], C = 1 or 3, into a NumPy array (H, W, 3) uint8 to show or to save.

    Values beyond [0, 1] are clipped; each is rounded to the nearest of the 256 levels.

    Examples
    --------
    >>> to_uint8(torch.ones(1, 2, 2))[0, 0].tolist()
    [255, 255, 255]
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"to_uint8 takes a picture (1, H, W) or (3, H, W); got {tuple(image.shape)}")
    levels = image.detach().to(torch.float32).mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    return levels.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()


# ---- files and PIL ----------------------------------------------------------------------------------------------


def _open(source: Any) -> Image.Image:
    """Read a file to its end, upright."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, source = "the file in these bytes", io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        name, source = repr(os.fspath(source)), _existing(source)
    else:
        name = f"this file ({getattr(source, 'name', type(source).__name__)})"
    try:
        with Image.open(source) as image:  # closes the file where it is Pillow's, also when it is broken
            return ImageOps.exif_transpose(image)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{name} is no image that Pillow can read. Save the picture as PNG or JPEG.") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} is too large a picture: {error}. Make it smaller first.") from error
    except (OSError, SyntaxError, EOFError, ValueError, struct.error) as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(f"{name} is truncated or broken ({error}). Copy or download the file again.") from error


def _existing(source: str | os.PathLike) -> Path:
    path = Path(os.fsdecode(source)).expanduser()
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder; an image is one file. Name a file in it.")
    if not path.exists():
        if str(source).startswith(("http://", "https://")):
            raise FileNotFoundError(f"{source!r} is an address, not a file. Download the picture and give its path.")
        raise FileNotFoundError(f"No file {str(path)!r} (looked from {os.getcwd()!r}). Check the path's spelling.")
    return path


def _from_pil(image: Image.Image) -> np.ndarray:
    """The pixels of a PIL image of any mode as (H, W) or (H, W, C)."""
    mode = image.mode
    if mode in ("P", "PA"):
        mode = "RGBA" if mode == "PA" or "transparency" in image.info else "RGB"
    elif mode.startswith("I;16") or (mode == "I" and image.format == "PNG"):  # "I": 16-bit gray to older Pillow
        return np.array(image).astype(np.uint16)
    elif mode in ("La", "RGBa"):
        mode = mode.upper()
    elif mode in ("L", "RGB") and "transparency" in image.info:  # one color of the file stands for "nothing here"
        mode = "LA" if mode == "L" else "RGBA"
    elif mode not in ("1", "L", "LA", "I", "F", "RGBA"):
        mode = "RGB"  # RGB itself, RGBX, CMYK, YCbCr, HSV, LAB
    return np.array(image if image.mode == mode else image.convert(mode))


# ---- arrays and tensors -----------------------------------------------------------------------------------------


def _as_array(image: Any) -> tuple[np.ndarray, int | None]:
    """A NumPy image (H, W, C) that torch can share, and the value of white where its type alone does not say."""
    if image is None:
        raise TypeError(f"None is no image. {_EXPECTED}")
    try:
        array = np.asarray(image)
    except Exception as error:
        raise TypeError(f"a {type(image).__name__} is no image ({error}). {_EXPECTED}") from error
    if array.dtype.kind not in "buif":
        raise TypeError(f"a {type(image).__name__} of {array.dtype} holds no numbers in a grid. {_EXPECTED}")
    if array.ndim == 2:
        array = array[..., None]
    _check_numpy_shape(np.shape(image) if array.ndim == 3 and np.ndim(image) == 2 else array.shape)
    top = None
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array, top = array.astype(np.int32), 65535
    elif array.dtype.kind in "ui" and array.dtype.itemsize > 1:
        top = _depth(int(array.min()), int(array.max()), array.dtype)
        array = array.astype(np.int64 if array.dtype.itemsize > 4 else np.int32, copy=False)
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch shares neither read-only nor reversed memory
    return array, top


def _check_numpy_shape(shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise ValueError(f"the image is empty: its shape is {shape}. {_EXPECTED}")
    if len(shape) == 4:
        raise ValueError(f"4 dimensions {shape} are a batch; give one image at a time: images[0]. {_EXPECTED}")
    if len(shape) not in (2, 3):
        raise ValueError(f"an image has 2 or 3 dimensions; got {len(shape)}: shape {shape}. {_EXPECTED}")
    if len(shape) == 3 and shape[2] > 4:
        found = f"{shape[2]} channels in shape {shape}, where the last axis has them"
        if shape[0] in (1, 3, 4):
            remedy = "If they come first instead, give np.moveaxis(image, 0, -1) or torch.from_numpy(image)."
        else:
            remedy = "Choose three, image[..., :3]."
        raise ValueError(f"{found}. {remedy} {_EXPECTED}")


def _channels_first(image: Tensor) -> Tensor:
    """A tensor (H, W), (C, H, W) or (H, W, C) as (C, H, W)."""
    shape = tuple(image.shape)
    if 0 in shape:
        raise ValueError(f"the image is empty: its shape is {shape}. {_EXPECTED}")
    if image.is_complex() or image.is_quantized or image.layout != torch.strided:
        raise TypeError(f"a tensor of {image.dtype} ({image.layout}) holds no plain numbers in a grid. {_EXPECTED}")
    if image.ndim == 2:
        return image[None]
    if image.ndim == 4:
        raise ValueError(f"4 dimensions {shape} are a batch; give one image at a time: images[0]. {_EXPECTED}")
    if image.ndim != 3:
        raise ValueError(f"an image has 2 or 3 dimensions; got {image.ndim}: shape {shape}. {_EXPECTED}")
    if shape[0] in (1, 3, 4):
        return image
    if shape[2] in (1, 3, 4):
        return image.movedim(2, 0)
    raise ValueError(
        f"{shape[0]} channels first or {shape[2]} last in a tensor of shape {shape}. "
        f"Choose three, image[:3] or image[..., :3]. {_EXPECTED}"
    )


def _depth(low: int, high: int, dtype: Any) -> int:
    """The value of white for integers whose type does not say it."""
    if low < 0 or high > 65535:
        raise ValueError(
            f"values of {dtype} lie in [{low}, {high}], out of range: integers are 8-bit (0..255) or 16-bit "
            "(0..65535). Scale the image to [0, 1] and give floats."
        )
    return 255 if high <= 255 else 65535


def _to_unit_range(picture: Tensor, dtype: torch.dtype, top: int | None) -> Tensor:
    """Values in [0, 1] of type ``dtype``, in contiguous planes."""
    if picture.is_floating_point():
        return _checked_floats(picture, dtype)
    if picture.dtype == torch.bool:
        return picture.to(dtype, memory_format=torch.contiguous_format)
    if picture.dtype == torch.uint8:
        top = 255
    elif top is None:
        top = 65535 if picture.dtype == torch.uint16 else None
        name, picture = picture.dtype, picture.to(torch.int64)
        if top is None:
            low, high = torch.aminmax(picture)
            top = _depth(int(low), int(high), name)
    exact = torch.promote_types(dtype, torch.float32)  # half precision would round the levels before the division
    return picture.contiguous().to(exact).div_(top).to(dtype)


def _checked_floats(picture: Tensor, dtype: torch.dtype) -> Tensor:
    low, high = (float(value) for value in torch.aminmax(picture))  # one pass; NaN wins over every number
    if low != low or high != high:
        raise ValueError(
            "the image holds NaN (not a number). Replace those pixels first, e.g. by np.nan_to_num(image) "
            "or torch.nan_to_num(image)."
        )
    slack = max(_ROUND_OFF, torch.finfo(picture.dtype).eps)
    if low < -slack or high > 1 + slack:
        remedy = "Divide it by 255." if low >= 0 and high <= 255 else "Scale it: (x - x.min()) / (x.max() - x.min())."
        raise ValueError(
            f"a float image has values in [0, 1]; these lie in [{low:.6g}, {high:.6g}], out of range. {remedy}"
        )
    picture = picture.to(dtype)
    if low < 0 or high > 1:
        picture = picture.clamp(0, 1)
    return picture.contiguous()


def _over_white(picture: Tensor) -> Tensor:
    """Blend a last alpha plane, where there is one, over white."""
    if picture.shape[0] in (1, 3):
        return picture
    alpha = picture[-1:]
    return (alpha * picture[:-1] + (1 - alpha)).clamp_(0, 1)


# ---- color spaces -----------------------------------------------------------------------------------------------

_GRAY = (0.2125, 0.7154, 0.0721)
_XYZ_FROM_RGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # D65, 2° observer
_U_WHITE = 4 * _WHITE[0] / (_WHITE[0] + 15 * _WHITE[1] + 3 * _WHITE[2])
_V_WHITE = 9 * _WHITE[1] / (_WHITE[0] + 15 * _WHITE[1] + 3 * _WHITE[2])


def to_color_space(image: Tensor, space: ColorSpace) -> Tensor:
    """Turn a picture (..., C, H, W), C = 1 or 3, into a color space (..., D, H, W); D is 1 for gray, else 3.

    Parameters
    ----------
    image
        RGB or gray in [0, 1].
    space
        ``"gray"``, ``"rgb"``, ``"hsv"`` (each in [0, 1]), ``"lab"`` or ``"luv"`` (L in [0, 100]).

    Examples
    --------
    >>> to_color_space(torch.ones(3, 1, 1), "lab").flatten().round(decimals=2)[0].item()
    100.0
    """
    channels = _channels(image, (1, 3))
    if space == "gray":
        return image if channels == 1 else rgb_to_gray(image)
    rgb = image.expand(*image.shape[:-3], 3, -1, -1) if channels == 1 else image
    return rgb if space == "rgb" else _space(space, _TO)(rgb)


def from_color_space(values: Tensor, space: ColorSpace) -> Tensor:
    """Turn values (..., D, H, W) of a color space back into RGB (..., 3, H, W) in [0, 1].

    Colors that a screen cannot show are clipped. A list of colors (K, 3) goes in as ``values.T[:, :, None]``.
    """
    if space == "gray":
        _channels(values, (1,))
        return values.expand(*values.shape[:-3], 3, -1, -1).clamp(0, 1)
    return values.clamp(0, 1) if space == "rgb" else _space(space, _FROM)(values)


def _space(space: str, table: dict[str, Any]) -> Any:
    if space not in table:
        raise ValueError(f"a color space is one of {', '.join(map(repr, get_args(ColorSpace)))}; got {space!r}")
    return table[space]


def _channels(image: Tensor, allowed: tuple[int, ...] = (3,)) -> int:
    if image.ndim < 3 or image.shape[-3] not in allowed:
        wanted = " or ".join(f"(..., {c}, H, W)" for c in allowed)
        raise ValueError(f"colors are expected as {wanted}; got shape {tuple(image.shape)}")
    return image.shape[-3]


def _planes(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three planes in the precision to compute in: double where the device has it."""
    _channels(image)
    x = image.to(torch.float32 if image.device.type == "mps" else torch.float64)
    return x[..., 0, :, :], x[..., 1, :, :], x[..., 2, :, :]


def _stack(image: Tensor, *planes: Tensor) -> Tensor:
    return torch.stack(planes, dim=-3).to(image.dtype)


def rgb_to_gray(image: Tensor) -> Tensor:
    """Luminance (..., 1, H, W) of RGB (..., 3, H, W): 0.2125 R + 0.7154 G + 0.0721 B, as `skimage.color.rgb2gray`.

    Computed as G + 0.2125 (R − G) + 0.0721 (B − G), so that a gray picture in three channels keeps its values exactly.
    """
    _channels(image)
    r, g, b = image.unbind(-3)
    gray = (r - g).mul_(_GRAY[0]).add_(g).add_(b - g, alpha=_GRAY[2])
    return gray.unsqueeze(-3)


def rgb_to_hsv(image: Tensor) -> Tensor:
    """Hue, saturation and value, each in [0, 1], of RGB; hue is 0 where there is none (`skimage.color.rgb2hsv`)."""
    r, g, b = _planes(image)
    value = torch.maximum(torch.maximum(r, g), b)
    delta = value - torch.minimum(torch.minimum(r, g), b)
    gray = delta == 0
    safe = torch.where(gray, 1, delta)
    hue = torch.where(r == value, (g - b) / safe, torch.where(g == value, 2 + (b - r) / safe, 4 + (r - g) / safe))
    saturation = torch.where(gray, 0, delta / torch.where(value == 0, 1, value))
    return _stack(image, torch.where(gray, 0, (hue / 6) % 1), saturation, value)


def hsv_to_rgb(image: Tensor) -> Tensor:
    """RGB of hue, saturation and value, each in [0, 1] (`skimage.color.hsv2rgb`)."""
    hue, saturation, value = _planes(image)

    def channel(n: int) -> Tensor:  # rises and falls over the sixths of the circle
        k = (n + 6 * hue) % 6
        return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)

    return _stack(image, channel(5), channel(3), channel(1))


def _rgb_to_xyz(image: Tensor) -> list[Tensor]:
    r, g, b = (
        torch.where(c > 0.04045, _power((c + 0.055) / 1.055, 2.4), c / 12.92) for c in _planes(image)
    )  # sRGB's curve
    return [m[0] * r + m[1] * g + m[2] * b for m in _XYZ_FROM_RGB]


def _xyz_to_rgb(image: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    linear = [m[0] * x + m[1] * y + m[2] * z for m in np.linalg.inv(np.array(_XYZ_FROM_RGB)).tolist()]
    curve = [torch.where(c > 0.0031308, 1.055 * _power(c, 1 / 2.4) - 0.055, 12.92 * c) for c in linear]
    return _stack(image, *curve).clamp(0, 1)


def _power(x: Tensor, exponent: float) -> Tensor:
    """``x ** exponent`` for positive numbers, in half the time; others become tiny."""
    return torch.exp(exponent * torch.log(x.clamp(min=1e-12)))


def rgb_to_lab(image: Tensor) -> Tensor:
    """CIELAB of RGB: L in [0, 100], a and b about −100 to 100 (`skimage.color.rgb2lab`)."""
    ratios = [value / white for value, white in zip(_rgb_to_xyz(image), _WHITE, strict=True)]
    x, y, z = (torch.where(t > 0.008856, _power(t, 1 / 3), 7.787 * t + 16 / 116) for t in ratios)
    return _stack(image, 116 * y - 16, 500 * (x - y), 200 * (y - z))


def lab_to_rgb(image: Tensor) -> Tensor:
    """RGB in [0, 1] of CIELAB (`skimage.color.lab2rgb`); colors that a screen cannot show are clipped."""
    lightness, a, b = _planes(image)
    y = (lightness + 16) / 116
    roots = (a / 500 + y, y, (y - b / 200).clamp(min=0))
    ratios = [torch.where(t > 0.2068966, t**3, (t - 16 / 116) / 7.787) for t in roots]
    return _xyz_to_rgb(image, *(ratio * white for ratio, white in zip(ratios, _WHITE, strict=True)))


def rgb_to_luv(image: Tensor) -> Tensor:
    """CIELUV of RGB: L in [0, 100], u and v about −135 to 220 (`skimage.color.rgb2luv`)."""
    x, y, z = _rgb_to_xyz(image)
    lightness = torch.where(y > 0.008856, 116 * _power(y, 1 / 3) - 16, 903.3 * y)
    total = (x + 15 * y + 3 * z).clamp(min=1e-12)  # zero for black alone, where L is zero too
    u, v = 4 * x / total, 9 * y / total
    return _stack(image, lightness, 13 * lightness * (u - _U_WHITE), 13 * lightness * (v - _V_WHITE))


def luv_to_rgb(image: Tensor) -> Tensor:
    """RGB in [0, 1] of CIELUV (`skimage.color.luv2rgb`); colors that a screen cannot show are clipped."""
    lightness, u, v = _planes(image)
    y = torch.where(lightness > 7.999625, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    dark = lightness.abs() < 1e-9
    safe = torch.where(dark, 1, 13 * lightness)
    a = torch.where(dark, 0, u / safe) + _U_WHITE
    b = torch.where(dark, 0, v / safe) + _V_WHITE
    c = 3 * y * (5 * b - 3)
    b = torch.where(b.abs() < 1e-9, 1e-9, b)
    z = ((a - 4) * c - 15 * a * b * y) / (12 * b)
    return _xyz_to_rgb(image, -(c / b + 3 * z), y, z)


_TO = {"hsv": rgb_to_hsv, "lab": rgb_to_lab, "luv": rgb_to_luv}
_FROM = {"hsv": hsv_to_rgb, "lab": lab_to_rgb, "luv": luv_to_rgb}
