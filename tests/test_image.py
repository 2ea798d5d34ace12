"""The front door and the color spaces, held against Pillow and scikit-image."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage import color

from seglab.image import (
    as_image,
    from_color_space,
    rgb_to_gray,
    to_color_space,
    to_uint8,
)

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GRAY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)


def channels_first(array: np.ndarray) -> torch.Tensor:
    """(H, W) or (H, W, C) as a float32 tensor (C, H, W)."""
    return torch.from_numpy(np.atleast_3d(array).astype(np.float32)).movedim(-1, 0)


def same(image: torch.Tensor, array: np.ndarray, tol: float = 1e-6) -> None:
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    torch.testing.assert_close(image, channels_first(array).contiguous(), atol=tol, rtol=0)


# ---- arrays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(GRAY, GRAY / 255, id="(H, W) uint8"),
        pytest.param(GRAY[..., None], GRAY / 255, id="(H, W, 1)"),
        pytest.param(RGB, RGB / 255, id="(H, W, 3)"),
        pytest.param(GRAY > 100, GRAY > 100, id="bool"),
        pytest.param(GRAY.astype(np.uint16) * 257, GRAY / 255, id="uint16"),
        pytest.param(GRAY.astype(np.uint16), GRAY / 65535, id="dark uint16"),
        pytest.param(np.minimum(GRAY, 1), np.minimum(GRAY, 1) / 255, id="dark uint8"),
        pytest.param((GRAY // 2).astype(np.int8), GRAY // 2 / 255, id="int8"),
        pytest.param(GRAY.astype(np.int16), GRAY / 255, id="int16 of 8 bits"),
        pytest.param(GRAY.astype(np.int32) * 257, GRAY / 255, id="int32 of 16 bits"),
        pytest.param(GRAY.astype(np.uint32), GRAY / 255, id="uint32"),
        pytest.param(GRAY.astype(np.int64), GRAY / 255, id="int64"),
        pytest.param(GRAY.astype(np.uint64) * 257, GRAY / 255, id="uint64 of 16 bits"),
        pytest.param((GRAY / 255).astype(np.float32), GRAY / 255, id="float32"),
        pytest.param(RGB / 255, RGB / 255, id="float64"),
        pytest.param((GRAY / 255).astype(np.longdouble), GRAY / 255, id="longdouble"),
        pytest.param((GRAY.astype(np.uint16) * 257).astype(">u2"), GRAY / 255, id="big-endian"),
        pytest.param((GRAY / 255).astype(">f4"), GRAY / 255, id="big-endian float"),
        pytest.param(RGB[::-1, ::-2], RGB[::-1, ::-2] / 255, id="reversed"),
        pytest.param(RGB[..., ::-1], RGB[..., ::-1] / 255, id="BGR view"),
        pytest.param(np.asfortranarray(RGB), RGB / 255, id="Fortran order"),
        pytest.param(np.broadcast_to(GRAY[..., None], (5, 7, 3)), np.stack([GRAY] * 3, -1) / 255, id="read-only"),
    ],
)
def test_reads_what_numpy_calls_an_image(array, expected):
    before = array.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(as_image(array), expected)
    np.testing.assert_array_equal(array, before)


def test_float16_keeps_its_own_precision():
    array = (GRAY / 255).astype(np.float16)
    same(as_image(array), array.astype(np.float32))
    assert as_image(np.full((2, 2), np.float16(1.001))).max() == 1  # one step above 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_blends_alpha_over_white_as_scikit_image_does(dtype):
    floats = RNG.random((5, 7, 4))
    floats[0, :3, 3] = 0, 1, 0.5
    array = floats if dtype is np.float64 else (floats * np.iinfo(dtype).max).astype(dtype)
    same(as_image(array), color.rgba2rgb(array))


def test_gray_with_alpha_is_two_channels_last():
    array = np.stack([GRAY, GRAY[::-1]], axis=-1)
    gray, alpha = GRAY / 255, GRAY[::-1] / 255
    same(as_image(array), gray * alpha + 1 - alpha)


def test_takes_nested_lists_and_anything_with_array():
    same(as_image([[0, 255], [51, 102]]), np.array([[0, 255], [51, 102]]) / 255)

    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return RGB

    same(as_image(Wrapped()), RGB / 255)


def test_clips_round_off_and_nothing_more():
    image = as_image(np.array([[-5e-5, 1 + 5e-5], [0.25, 0.5]]))
    assert image.tolist() == [[[0, 1], [0.25, 0.5]]]
    with pytest.raises(ValueError, match="out of range"):
        as_image(np.array([[0.0, 1.001]]))


# ---- tensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_reads_tensors_with_channels_first_and_last(channels):
    values = torch.rand(channels, 5, 7, generator=torch.Generator().manual_seed(0))
    first, last = as_image(values), as_image(values.movedim(0, -1))
    assert torch.equal(first, last)
    assert first.shape == ((1 if channels == 1 else 3), 5, 7)


def test_channels_first_wins_when_both_read():
    values = torch.rand(3, 5, 3)
    assert torch.equal(as_image(values), values)


@pytest.mark.parametrize(
    ("dtype", "top"),
    [
        (torch.uint8, 255),
        (torch.uint16, 65535),
        (torch.int16, 255),
        (torch.int32, 255),
        (torch.int64, 255),
        (torch.uint32, 255),
        (torch.uint64, 255),
    ],
    ids=str,
)
def test_reads_tensors_of_whole_numbers(dtype, top):
    values = torch.arange(20).reshape(1, 4, 5) * 10
    torch.testing.assert_close(as_image(values.to(dtype)), values.float() / top)


def test_a_gray_tensor_and_a_bool_tensor():
    values = torch.eye(4)
    assert as_image(values).shape == (1, 4, 4)
    assert torch.equal(as_image(values.bool()), values[None])


def test_bfloat16_and_float64_come_in_and_go_out():
    values = torch.rand(3, 4, 5, dtype=torch.float64)
    assert torch.equal(as_image(values, dtype=torch.float64), values)
    assert as_image(values.to(torch.bfloat16)).dtype == torch.float32
    assert as_image(RGB, dtype=torch.float16).dtype == torch.float16
    exact = as_image(RGB, dtype=torch.float64)
    np.testing.assert_array_equal(exact.numpy(), np.moveaxis(RGB / 255, -1, 0))


def test_levels_are_divided_before_they_are_rounded_to_half_precision():
    levels = np.array([[0, 1000, 40000, 65535]], np.uint16)
    expected = torch.from_numpy(levels / 65535).to(torch.float16)
    assert torch.equal(as_image(levels, dtype=torch.float16)[0], expected)


def test_carries_no_gradient():
    values = torch.rand(3, 4, 5, requires_grad=True)
    assert not as_image(values).requires_grad


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6).map(lambda s: (*s[:2], 3)))
)
def test_eight_bit_pictures_come_back_unchanged(array):
    np.testing.assert_array_equal(to_uint8(as_image(array)), array)


def test_to_uint8_makes_gray_rgb_rounds_and_clips():
    picture = torch.tensor([[[-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 2.0]]])
    array = to_uint8(picture)
    assert array.shape == (1, 6, 3)
    assert array.dtype == np.uint8
    assert array[0].tolist() == [[v] * 3 for v in (0, 0, 0, 1, 255, 255)]
    with pytest.raises(ValueError, match="takes a picture"):
        to_uint8(torch.zeros(4, 4))


# ---- files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(RGB).save(path)
    return path


def test_reads_files_however_they_are_named(png):
    for source in (str(png), png, png.read_bytes(), io.BytesIO(png.read_bytes()), memoryview(png.read_bytes())):
        same(as_image(source), RGB / 255)
    with png.open("rb") as file:
        same(as_image(file), RGB / 255)


def test_the_home_folder_can_be_a_tilde(png, monkeypatch):
    monkeypatch.setenv("HOME", str(png.parent))
    same(as_image("~/picture.png"), RGB / 255)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_honors_exif_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    data = saved(Image.fromarray(RGB), "PNG", exif=exif)
    same(as_image(data), np.rot90(RGB, -1) / 255)


def test_reads_sixteen_bit_files_by_their_depth():
    dark = GRAY.astype(np.uint16)  # values that eight bits could hold
    data = saved(Image.fromarray(dark), "PNG")
    same(as_image(data), dark / 65535)
    same(as_image(saved(Image.fromarray(dark), "TIFF")), dark / 65535)


def test_reads_the_first_frame_of_an_animation():
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (0, 255)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert as_image(data).max() == 0


def palette_image() -> Image.Image:
    image = Image.fromarray(GRAY % 4).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(Image.fromarray(GRAY > 99), GRAY > 99, id="1"),
        pytest.param(Image.fromarray(GRAY), GRAY / 255, id="L"),
        pytest.param(Image.fromarray(RGB), RGB / 255, id="RGB"),
        pytest.param(Image.fromarray(GRAY.astype(np.uint16)), GRAY / 65535, id="I;16"),
        pytest.param(Image.fromarray(GRAY.astype(np.int32)), GRAY / 255, id="I"),
        pytest.param(Image.fromarray((GRAY / 255).astype(np.float32)), GRAY / 255, id="F"),
        pytest.param(palette_image(), np.array(palette_image().convert("RGB")) / 255, id="P"),
    ],
)
def test_reads_pil_modes(image, expected):
    if image.mode == "P":
        expected = np.array(image.convert("RGB")) / 255
    same(as_image(image), expected)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "RGBX", "LAB"])
def test_reads_other_pil_modes_through_rgb(mode):
    image = Image.fromarray(RGB)
    image = Image.frombytes("LAB", image.size, image.tobytes()) if mode == "LAB" else image.convert(mode)
    same(as_image(image), np.array(image.convert("RGB")) / 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_blends_the_alpha_of_pil_images(mode):
    rgba = Image.fromarray(np.dstack([RGB, GRAY]))
    if mode == "PA":
        image = Image.fromarray(RGB).convert("P").convert("PA")
        image.putalpha(Image.fromarray(GRAY))
    else:
        image = rgba.convert("LA").convert(mode) if mode in ("LA", "La") else rgba.convert(mode)
    full = np.array(image.convert("LA" if mode == "La" else "RGBA").convert("RGBA"))
    expected = color.rgba2rgb(full)
    same(as_image(image), expected[..., :1] if mode in ("LA", "La") else expected)


def test_a_transparent_palette_color_is_white():
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([10, 20, 30, 40, 50, 60])
    same(as_image(saved(image, "PNG", transparency=0)), np.array([[[1, 1, 1], [40 / 255, 50 / 255, 60 / 255]]]))
    same(as_image(saved(Image.fromarray(GRAY), "PNG", transparency=int(GRAY[0, 0])))[:, :1, :1], np.ones((1, 1)))


# ---- what is no image -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "kind", "message"),
    [
        pytest.param(np.zeros((0, 5, 3)), ValueError, "empty", id="empty"),
        pytest.param(np.zeros((5, 0)), ValueError, "empty", id="empty gray"),
        pytest.param([], ValueError, "empty", id="empty list"),
        pytest.param(np.zeros(7), ValueError, r"2 or 3 dimensions; got 1", id="1-D"),
        pytest.param(3.0, ValueError, r"2 or 3 dimensions; got 0", id="a number"),
        pytest.param(np.zeros((2, 4, 5, 3)), ValueError, r"batch.*images\[0\]", id="4-D"),
        pytest.param([RGB, RGB], ValueError, "batch", id="a list of images"),
        pytest.param(np.zeros((2, 2, 4, 5, 3)), ValueError, "got 5", id="5-D"),
        pytest.param(np.zeros((4, 6, 5)), ValueError, r"^5 channels.*\(4, 6, 5\).*If.*first.*moveaxis", id="4 first"),
        pytest.param(np.zeros((6, 7, 5)), ValueError, r"^5 channels.*\(6, 7, 5\)(?!.*moveaxis)", id="5 channels"),
        pytest.param(np.zeros((3, 6, 7)), ValueError, r"^7 channels.*If.*first.*moveaxis.*\(H, W, 3\)", id="3 first"),
        pytest.param(np.zeros((2, 6, 7)), ValueError, r"^7 channels(?!.*moveaxis).*\(H, W, 3\)", id="2 first"),
        pytest.param(np.full((4, 5, 3), np.nan), ValueError, "NaN", id="NaN"),
        pytest.param(np.array([[0.5, np.inf]]), ValueError, "inf", id="inf"),
        pytest.param(np.array([[0.5, -np.inf]]), ValueError, "inf", id="-inf"),
        pytest.param(RGB.astype(np.float32), ValueError, r"\[0, 1\].*Divide it by 255", id="floats to 255"),
        pytest.param(np.array([[-1.0, 1.0]]), ValueError, r"\[-1, 1\].*Scale it", id="floats from -1"),
        pytest.param(np.array([[-1, 4]]), ValueError, r"\[-1, 4\].*8-bit", id="negative integers"),
        pytest.param(np.array([[0, 65536]]), ValueError, r"\[0, 65536\]", id="large integers"),
        pytest.param(np.array([[0, 2**63]], np.uint64), ValueError, "9223372036854775808", id="largest integers"),
        pytest.param(np.array([[-1]], np.int8), ValueError, "8-bit", id="negative int8"),
        pytest.param(np.zeros((4, 5), complex), TypeError, "complex", id="complex"),
        pytest.param(np.zeros((4, 5), object), TypeError, "object", id="objects"),
        pytest.param(["a.png", "b.png"], TypeError, "list", id="a list of names"),
        pytest.param([[1, 2], [3]], TypeError, "list", id="a ragged list"),
        pytest.param(None, TypeError, "None is no image", id="None"),
        pytest.param({"image": RGB}, TypeError, "dict", id="a dict"),
        pytest.param(torch.zeros(3, 0, 4), ValueError, "empty", id="empty tensor"),
        pytest.param(torch.zeros(7), ValueError, "got 1", id="1-D tensor"),
        pytest.param(torch.zeros(2, 3, 4, 5), ValueError, "batch", id="4-D tensor"),
        pytest.param(torch.zeros(9, 8, 5), ValueError, r"^9 channels first or 5 last.*C = 1, 3 or 4", id="9 or 5"),
        pytest.param(torch.zeros(2, 6, 7), ValueError, r"^2 channels first or 7 last.*C = 1, 3 or 4", id="2 or 7"),
        pytest.param(torch.full((3, 4, 5), torch.nan), ValueError, "NaN", id="NaN tensor"),
        pytest.param(torch.full((3, 4, 5), 7.0), ValueError, r"\[7, 7\]", id="tensor out of range"),
        pytest.param(torch.full((3, 4, 5), -7), ValueError, r"\[-7, -7\]", id="integer tensor out of range"),
        pytest.param(torch.zeros(3, 4, 5, dtype=torch.complex64), TypeError, "complex", id="complex tensor"),
        pytest.param(torch.zeros(3, 4).to_sparse(), TypeError, "sparse", id="sparse tensor"),
        pytest.param(Image.fromarray(np.full((2, 2), 7.0, np.float32)), ValueError, r"\[0, 1\]", id="PIL F"),
        pytest.param(Image.new("RGB", (0, 5)), ValueError, "empty", id="empty PIL"),
    ],
)
def test_refuses_what_is_no_image_in_one_clear_error(image, kind, message):
    with pytest.raises(kind, match=f"(?s){message}") as caught:
        as_image(image)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


PHOTO = np.asarray(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"not a picture at all", "no image that Pillow can read", id="text"),
        pytest.param(b"", "no image that Pillow can read", id="empty file"),
        pytest.param(truncated(saved(Image.fromarray(PHOTO), "PNG")), "truncated or broken", id="half a PNG"),
        pytest.param(truncated(saved(Image.fromarray(PHOTO), "JPEG")), "truncated or broken", id="half a JPEG"),
        pytest.param(
            truncated(saved(Image.fromarray(PHOTO), "TIFF")), "truncated or broken|no image", id="half a TIFF"
        ),
        pytest.param(
            saved(Image.fromarray(PHOTO), "PNG")[:30], "truncated or broken|no image", id="a PNG's first bytes"
        ),
    ],
)
def test_refuses_broken_files(tmp_path, data, message):
    path = tmp_path / "broken.png"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        as_image(path)
    assert "broken.png" in str(caught.value)
    with pytest.raises(ValueError, match=message):
        as_image(data)
    with pytest.raises(ValueError, match=message):
        as_image(io.BytesIO(data))


def test_refuses_a_picture_too_large_to_open():
    data = bytearray(saved(Image.fromarray(PHOTO), "PNG"))
    data[16:24] = struct.pack(">II", 100_000, 100_000)  # the header's width and height
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ValueError, match="too large"):
        as_image(data)


def test_refuses_a_missing_file_a_folder_an_address_and_a_null_character(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cat\.jpg.*spelling"):
        as_image("cat.jpg")
    with pytest.raises(FileNotFoundError, match="Download"):
        as_image("https://example.org/cat.jpg")
    with pytest.raises(ValueError, match="folder"):
        as_image(tmp_path)
    with pytest.raises(FileNotFoundError, match="No file"):
        as_image("a\0b")


def test_refuses_a_result_of_whole_numbers():
    with pytest.raises(TypeError, match="floating-point"):
        as_image(RGB, dtype=torch.uint8)


# ---- color spaces -----------------------------------------------------------------------------------------------

LEVELS = np.linspace(0, 1, 6)
CUBE = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS, indexing="ij"), -1).reshape(
    1, -1, 3
)  # black, white, grays, primaries
DARK = np.array([[[1e-6, 0, 0], [0.04045, 0.03, 0.001], [0.002, 0.002, 0.002], [0.0, 0.0, 1 / 255]]])
COLORS = np.concatenate([CUBE, DARK, RNG.random((1, 3000, 3))], axis=1)

TO = {"hsv": color.rgb2hsv, "lab": color.rgb2lab, "luv": color.rgb2luv}
FROM = {"hsv": color.hsv2rgb, "lab": color.lab2rgb, "luv": color.luv2rgb}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("space", TO)
def test_color_spaces_agree_with_scikit_image(space, dtype):
    rgb = torch.from_numpy(COLORS).movedim(-1, 0).to(dtype)
    values = to_color_space(rgb, space)
    expected = TO[space](rgb.movedim(0, -1).double().numpy())
    tol = 2e-5 if dtype == torch.float32 else 1e-10
    np.testing.assert_allclose(values.movedim(0, -1).numpy(), expected, atol=tol, rtol=0)
    assert values.dtype == dtype
    back = from_color_space(torch.from_numpy(expected).movedim(-1, 0).to(dtype), space)
    np.testing.assert_allclose(back.movedim(0, -1).numpy(), FROM[space](expected), atol=1e-4 * tol / 2e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gray_has_scikit_images_weights(dtype):
    rgb = torch.from_numpy(COLORS).movedim(-1, 0).to(dtype)
    np.testing.assert_allclose(rgb_to_gray(rgb)[0].numpy(), color.rgb2gray(COLORS), atol=1e-6, rtol=0)


@pytest.mark.filterwarnings("ignore:.*negative Z values")
@pytest.mark.parametrize("space", ["lab", "luv"])
def test_colors_beyond_the_screen_are_clipped_as_scikit_image_does(space):
    values = np.stack([RNG.uniform(1, 100, 500), *RNG.uniform(-120, 120, (2, 500))], -1)[None]
    got = from_color_space(torch.from_numpy(values).movedim(-1, 0), space)
    assert got.min() >= 0
    assert got.max() <= 1
    np.testing.assert_allclose(got.movedim(0, -1).numpy(), FROM[space](values), atol=1e-4, rtol=0)


@given(
    hnp.arrays(np.float32, (3, 2, 3), elements=st.floats(0, 1, width=32)),
    st.sampled_from(["rgb", "hsv", "lab", "luv"]),
)
def test_color_spaces_come_back(array, space):
    rgb = torch.from_numpy(array)
    values = to_color_space(rgb, space)
    assert torch.isfinite(values).all()
    torch.testing.assert_close(from_color_space(values, space), rgb, atol=1e-4, rtol=0)


@given(st.floats(0, 1, width=32))
def test_grays_have_no_color(level):
    gray = torch.full((1, 1, 1), level)
    assert to_color_space(gray, "hsv")[:2].abs().max() == 0
    assert to_color_space(gray, "lab")[1:].abs().max() < 1e-2  # scikit-image's white is rounded to five digits
    assert torch.equal(from_color_space(gray, "gray"), gray.expand(3, 1, 1))
    assert torch.equal(to_color_space(gray, "gray"), gray)
    assert torch.equal(to_color_space(gray, "rgb"), gray.expand(3, 1, 1))


def test_color_spaces_take_leading_dimensions_and_lists_of_colors():
    batch = torch.rand(2, 4, 3, 5, 6)
    lab = to_color_space(batch, "lab")
    assert torch.equal(lab[1, 2], to_color_space(batch[1, 2], "lab"))
    table = torch.rand(10, 3)
    assert to_color_space(table.T[:, :, None], "luv").shape == (3, 10, 1)


@pytest.mark.parametrize("space", ["gray", "rgb", "hsv", "lab", "luv"])
def test_color_spaces_do_not_write_to_their_input(space):
    rgb = torch.rand(3, 4, 5)
    kept = rgb.clone()
    values = to_color_space(rgb, space)
    kept_values = values.clone()
    from_color_space(values, space)
    assert torch.equal(rgb, kept)
    assert torch.equal(values, kept_values)


@pytest.mark.parametrize("space", ["gray", "hsv", "lab", "luv"])
def test_gradients_flow_through_color_spaces(space):
    rgb = torch.rand(3, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    assert torch.autograd.gradcheck(lambda x: to_color_space(x, space), rgb.requires_grad_())


def test_color_spaces_refuse_other_shapes_and_names():
    with pytest.raises(ValueError, match=r"'gray', 'rgb', 'hsv', 'lab', 'luv'; got 'cmyk'"):
        to_color_space(torch.zeros(3, 2, 2), "cmyk")
    with pytest.raises(ValueError, match="'xyz'"):
        from_color_space(torch.zeros(3, 2, 2), "xyz")
    for bad in (torch.zeros(4, 2, 2), torch.zeros(2, 3)):
        with pytest.raises(ValueError, match="got shape"):
            to_color_space(bad, "lab")
    with pytest.raises(ValueError, match="got shape"):
        from_color_space(torch.zeros(1, 2, 2), "lab")


@pytest.mark.gpu
@pytest.mark.parametrize("space", ["gray", "hsv", "lab", "luv"])
def test_color_spaces_on_a_gpu_are_those_of_the_cpu(space):
    rgb = torch.from_numpy(COLORS).movedim(-1, 0).float()
    on_gpu = to_color_space(as_image(rgb, device="cuda"), space)
    assert on_gpu.device.type == "cuda"
    torch.testing.assert_close(on_gpu.cpu(), to_color_space(rgb, space), atol=1e-4, rtol=0)
