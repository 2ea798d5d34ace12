"""A trace as frames: layers for a player, and animated files (APNG, GIF) for where there is no kernel.

The picture is drawn once; a frame adds thin layers to it (the labels' colors, their boundaries, the lines of the
state), composed with Pillow in a few milliseconds, and its panels, drawn by matplotlib. Everything is made when first
asked for, and kept.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from matplotlib import get_data_path
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from seglab import drawing, plot
from seglab import labels as label_tools
from seglab.image import to_uint8
from seglab.panels import Lines, Panel, Pictures, Scatter
from seglab.segmenter import State, Trace

__all__ = ["Frames", "edge_layer", "fill_layer", "line_layer", "picture_png", "save_apng", "save_gif"]

SHARP = 480  # layers of smaller pictures are drawn enlarged, so that lines stay thin
PANEL_INCHES = (3.6, 2.5)
PANEL_DPI = 132
PANEL_AXES = (0.17, 0.19, 0.79, 0.68)  # left, bottom, width, height, as parts of the panel
WHOLE_AXES = (0.02, 0.03, 0.96, 0.86)  # where nothing is written beside or below
_KEEP_RARE = Image.Quantize.FASTOCTREE  # by color, not by pixels: thin lines keep their labels' colors
_LINE = (0xF0, 0xE4, 0x42)


# Layers


def picture_png(image: Tensor, max_side: int = 800) -> bytes:
    """The picture (C, H, W) as a PNG, reduced like the layers where it is larger than ``max_side``."""
    pixels = Image.fromarray(to_uint8(image))
    every = _stride(image.shape[-2:], max_side)
    if every > 1:
        height, width = (len(range(0, n, every)) for n in image.shape[-2:])
        pixels = pixels.resize((width, height), Image.Resampling.BOX)
    return _png(pixels)


def fill_layer(labels: Tensor, image: Tensor | None = None, max_side: int = 800) -> bytes:
    """The labels' colors as a PNG with a palette, transparent where unassigned.

    With ``image`` each segment has its mean color instead of its label's.
    """
    every = _stride(labels.shape, max_side)
    if image is None:
        n = max(int(labels.max()) + 1, 1)
        table = (label_tools.colors(n) * 255).round().to(torch.uint8).cpu().numpy()
        index = labels.cpu().numpy()
    else:
        index, table = _mean_colors(labels.cpu(), image.cpu())
    index = index[::every, ::every]
    if len(table) > 255:
        table, index = _merged(table, index)
    if len(table) <= 255:
        through = len(table)  # the entry after the colors; Pillow packs pixels into as few bits as the palette needs
        layer = Image.fromarray(np.where(index >= 0, index, through).astype(np.uint8), "P")
        layer.putpalette(table.tobytes() + bytes(3))
        return _png(layer, transparency=through)
    rgba = np.dstack([table[np.maximum(index, 0)], np.where(index >= 0, 255, 0).astype(np.uint8)])
    return _png(Image.fromarray(rgba, "RGBA"))


def _mean_colors(labels: Tensor, image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Labels without gaps (H, W), and the mean color (K, 3) uint8 of each."""
    known, index = torch.unique(labels, return_inverse=True)
    pixels = image.expand(3, -1, -1).reshape(3, -1).double()
    flat = index.reshape(-1)
    counts = torch.bincount(flat, minlength=len(known)).clamp(min=1)
    means = torch.stack([torch.bincount(flat, weights=c, minlength=len(known)) / counts for c in pixels], 1)
    table = (means * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    index = index - int((known < 0).sum())  # −1 is unassigned: the first, where there is one
    return index.numpy(), table[int((known < 0).sum()) :] if (known >= 0).any() else table[:1]


def _merged(table: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same colors with equal ones told once: a palette that repeats itself still fits into 255."""
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    if len(unique) > 255:
        return table, index
    return np.ascontiguousarray(unique), np.where(index >= 0, inverse.ravel()[np.maximum(index, 0)], -1)


def edge_layer(labels: Tensor, max_side: int = 800) -> bytes:
    """Boundaries between labels as a PNG: white on one side and black on the other, to be seen on any picture."""
    every = _stride(labels.shape, max_side)
    index = labels.cpu().numpy()[::every, ::every]
    zoom = _zoom(index.shape)
    if zoom > 1:
        index = index.repeat(zoom, 0).repeat(zoom, 1)
    below, right = index[1:] != index[:-1], index[:, 1:] != index[:, :-1]
    layer = np.full(index.shape, 2, np.uint8)
    layer[1:][below] = 1
    layer[:, 1:][right] = 1
    layer[:-1][below] = 0
    layer[:, :-1][right] = 0
    picture = Image.fromarray(layer, "P")
    picture.putpalette(bytes([255, 255, 255, 0, 0, 0, 0, 0, 0]))
    return _png(picture, transparency=2)


def line_layer(panels: Sequence[Panel], shape: Sequence[int], max_side: int = 800) -> bytes | None:
    """The `Lines` among ``panels`` as a PNG to lay over a picture of ``shape``, or None where there are none."""
    found = [p for p in panels if isinstance(p, Lines)]
    if not found:
        return None
    height, width = (len(range(0, n, _stride(shape, max_side))) for n in shape)
    zoom = _zoom((height, width))
    layer = Image.new("P", (width * zoom, height * zoom), 2)
    layer.putpalette(bytes([*_LINE, 0, 0, 0, 0, 0, 0]))
    pen = ImageDraw.Draw(layer)
    scale = np.array([height / shape[0], width / shape[1]]) * zoom

    def place(points: Any) -> list[tuple[float, float]]:
        rows_cols = (drawing.array(points).reshape(-1, 2) + 0.5) * scale
        return [(float(col), float(row)) for row, col in rows_cols]

    for thickness, color in ((4, 1), (2, 0)):
        for panel in found:
            for line in panel.lines:
                pen.line(place(line), fill=color, width=thickness, joint="curve")
            for col, row in place(panel.points) if panel.points is not None else ():
                r = thickness + 1
                pen.ellipse((col - r, row - r, col + r, row + r), fill=color)
    return _png(layer, transparency=2)


def _stride(shape: Sequence[int], max_side: int) -> int:
    return max(1, math.ceil(max(shape) / max_side))


def _zoom(shape: Sequence[int]) -> int:
    return max(1, round(SHARP / max(shape)))


def _png(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1, **options)
    return buffer.getvalue()


# Frames


class Sheets(Protocol):
    """What an animated file is made of: so many pictures, each composed at a width."""

    def __len__(self) -> int: ...

    def compose(self, i: int, width: int) -> Image.Image:
        """The i-th picture (RGB)."""


class Frames:
    """The frames of a trace, each part made when first asked for.

    Parameters
    ----------
    trace
        From `Segmenter.trace`.
    max_side
        The longer side at which pictures are shown, in pixels.
    """

    def __init__(self, trace: Trace, max_side: int = 800) -> None:
        self.trace, self.max_side = trace, max_side
        self._kept: dict[tuple[str, int], Any] = {}
        self._slots: dict[int, Slot] = {}

    def __len__(self) -> int:
        return len(self.trace)

    def _once(self, name: str, i: int, make: Callable[[], Any]) -> Any:
        if (name, i) not in self._kept:
            self._kept[name, i] = make()
        return self._kept[name, i]

    @cached_property
    def picture(self) -> bytes:
        """The picture under all layers."""
        return picture_png(self.trace.image, self.max_side)

    def state(self, i: int) -> State:
        """The i-th state that was kept."""
        return self.trace[i]

    def text(self, i: int) -> str:
        """What the state says of itself."""
        return self.state(i).describe()

    def fill(self, i: int) -> bytes:
        """The labels' colors."""
        return self._once("fill", i, lambda: fill_layer(self.state(i).labels, None, self.max_side))

    def mean(self, i: int) -> bytes:
        """Each segment in its mean color."""
        return self._once("mean", i, lambda: fill_layer(self.state(i).labels, self.trace.image, self.max_side))

    def edges(self, i: int) -> bytes:
        """The segments' boundaries."""
        return self._once("edges", i, lambda: edge_layer(self.state(i).labels, self.max_side))

    def lines(self, i: int) -> bytes | None:
        """The state's lines over the picture, if any."""
        shape = self.trace.image.shape[-2:]
        return self._once("lines", i, lambda: line_layer(self._said(i), shape, self.max_side))

    def panels(self, i: int) -> list[bytes]:
        """The state's other panels."""
        return self._once("panels", i, lambda: self._draw_panels(i))

    def titles(self, i: int) -> list[str]:
        """The titles of `panels`."""
        return [p.title for p in self._said(i) if not isinstance(p, Lines)]

    def _said(self, i: int) -> Sequence[Panel]:
        return self._once("said", i, lambda: tuple(self.state(i).panels(self.trace.image)))

    def _draw_panels(self, i: int) -> list[bytes]:
        shown = [p for p in self._said(i) if not isinstance(p, Lines)]
        return [self._slots.setdefault(k, Slot()).draw(p, self._limits(k, p)) for k, p in enumerate(shown)]

    def _limits(self, k: int, panel: Panel) -> tuple | None:
        """Limits of the k-th panel that hold for the first, the middle, the last and this state."""
        fixed = self._once("fixed", k, lambda: self._samples(k))
        return drawing.limits([p for p in (*fixed, panel) if type(p) is type(panel)])

    def _samples(self, k: int) -> list[Panel]:
        found = []
        for i in plot.chosen(len(self), 3):
            shown = [p for p in self._said(i) if not isinstance(p, Lines)]
            found += shown[k : k + 1]
        return found

    def compose(self, i: int, width: int, *, alpha: float = 0.5, n_panels: int = 2) -> Image.Image:
        """One picture (RGB) of a frame: labels and boundaries over the picture, panels beside it, its text below."""
        base = self._once("base", width, lambda: self._resized(width)).copy()
        height, crisp = base.height, Image.Resampling.NEAREST
        fill = Image.open(io.BytesIO(self.fill(i))).convert("RGBA").resize((width, height), crisp)
        fill.putalpha(fill.getchannel("A").point(lambda a: round(a * alpha)))
        base.paste(fill, mask=fill.getchannel("A"))
        line = self.lines(i)
        if line is not None:
            layer = Image.open(io.BytesIO(line)).convert("RGBA").resize((width, height), crisp)
            base.paste(layer, mask=layer.getchannel("A"))
        beside = [Image.open(io.BytesIO(png)).convert("RGB") for png in self.panels(i)[:n_panels]]
        scale = width / max((p.width for p in beside), default=1)
        beside = [p.resize((width, round(p.height * scale)), Image.Resampling.BOX) for p in beside]
        tall = max(height, sum(p.height for p in beside))
        sheet = Image.new("RGB", (width * (2 if beside else 1), tall), "white")
        sheet.paste(base, (0, (tall - height) // 2))
        top = 0
        for p in beside:
            sheet.paste(p, (width, top))
            top += p.height
        return captioned(sheet, f"{i + 1}/{len(self)}  {self.text(i)}", plot.method_title(self.trace.method))

    def _resized(self, width: int) -> Image.Image:
        base = Image.open(io.BytesIO(self.picture)).convert("RGB")
        small = max(base.size) <= drawing.SMALL
        size = (width, max(1, round(base.height * width / base.width)))
        return base.resize(size, Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)


class Slot:
    """A place for one panel: a matplotlib figure that is drawn on again and again."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=PANEL_INCHES, dpi=PANEL_DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)

    def draw(self, panel: Panel, bounds: tuple | None = None) -> bytes:
        """The panel as a PNG."""
        small = {"axes.labelsize": 9, "axes.titlesize": 11, "xtick.labelsize": 8, "ytick.labelsize": 8}
        with drawing.style(**small, **{"legend.fontsize": 8, "figure.constrained_layout.use": False}):
            self.figure.clear()
            ax: Any
            space = isinstance(panel, Scatter) and np.shape(panel.points)[1] == 3
            if space:
                ax = self.figure.add_axes((0.04, 0.09, 0.84, 0.8), projection="3d")
                ax.tick_params(pad=-2)
                ax.xaxis.labelpad = ax.yaxis.labelpad = ax.zaxis.labelpad = -5
            else:
                ax = self.figure.add_axes(WHOLE_AXES if isinstance(panel, Pictures) else PANEL_AXES)
            drawing.draw_on(ax, panel, bounds=bounds)
            self.canvas.draw()
        return _png(Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3]))


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def captioned(sheet: Image.Image, *lines: str, size: int = 13) -> Image.Image:
    """The picture with lines of text below, each broken to its width."""
    font = _font(size)
    broken = [part for line in lines for part in _break(line, font, sheet.width - 12)]
    step = round(size * 1.45)
    made = Image.new("RGB", (sheet.width, sheet.height + step * len(broken) + 8), "white")
    made.paste(sheet)
    pen = ImageDraw.Draw(made)
    for k, text in enumerate(broken):
        pen.text((6, sheet.height + 4 + k * step), text, font=font, fill="#222222")
    return made


def few_colors(sheet: Image.Image, n: int = 128) -> bytes:
    """A PNG with a palette: a third of the bytes, and no difference that one would see in a thumbnail."""
    buffer = io.BytesIO()
    sheet.quantize(n, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _break(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


# Files


def _same_size(frames: list[Image.Image]) -> list[Image.Image]:
    """Captions may differ in their number of lines, and states in whether they have panels: pad below and beside."""
    size = max(f.width for f in frames), max(f.height for f in frames)
    padded = []
    for f in frames:
        sheet = Image.new("RGB", size, "white")
        sheet.paste(f)
        padded.append(sheet)
    return padded


def _quantized(frames: list[Image.Image], colors: int) -> list[Image.Image]:
    """The frames in one palette of their own, which both formats compress well."""
    few = [frames[i] for i in plot.chosen(len(frames), 4)]
    sheet = Image.new("RGB", (few[0].width, few[0].height * len(few)))
    for k, f in enumerate(few):
        sheet.paste(f, (0, k * f.height))
    palette = sheet.quantize(colors, _KEEP_RARE, dither=Image.Dither.NONE)
    return [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]


def _frames(source: Trace | Sheets) -> Sheets:
    return Frames(source) if isinstance(source, Trace) else source


def save_apng(
    source: Trace | Sheets, path: str | Path | None = None, *, seconds: float = 0.8, max_bytes: int = 400_000
) -> bytes:
    """The steps as an animated PNG that loops, small enough for a notebook; written where ``path`` is given.

    At most 8 steps, pictures up to 360 pixels wide; fewer pixels, colors, steps where ``max_bytes`` would not do.
    """
    frames = _frames(source)
    for width, n, colors in ((360, 8, 96), (300, 8, 64), (240, 8, 48), (200, 6, 32), (160, 4, 16)):
        chosen = plot.chosen(len(frames), n)
        probe = frames.compose(chosen[len(chosen) // 2], width).quantize(colors, _KEEP_RARE, dither=Image.Dither.NONE)
        if len(_png(probe)) * len(chosen) <= 0.9 * max_bytes:  # frames share much, which makes up for the rest
            break
    pages = _same_size([frames.compose(i, width) for i in chosen])
    data = _animated(_quantized(pages, colors), "PNG", seconds, disposal=0, blend=0)
    if path is not None:
        Path(path).write_bytes(data)
    return data


def save_gif(
    source: Trace | Sheets, path: str | Path, *, seconds: float = 0.4, width: int = 480, max_frames: int = 60
) -> Path:
    """Write the steps as an animated GIF that loops.

    Parameters
    ----------
    source
        A trace, or its frames.
    path
        The file.
    seconds
        Each step's time; the last is held longer.
    width
        Of the picture in pixels.
    max_frames
        At most this many steps, evenly chosen.

    Returns
    -------
    pathlib.Path
        The file that was written.
    """
    frames = _frames(source)
    pages = _same_size([frames.compose(i, width) for i in plot.chosen(len(frames), max_frames)])
    path = Path(path)
    path.write_bytes(_animated(_quantized(pages, 255), "GIF", seconds, disposal=1))
    return path


def _animated(pages: list[Image.Image], kind: str, seconds: float, **options: Any) -> bytes:
    each = round(1000 * seconds)
    duration = [each] * (len(pages) - 1) + [max(3 * each, 1500)]
    buffer = io.BytesIO()
    if len(pages) == 1:
        pages[0].save(buffer, kind)
        return buffer.getvalue()
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:], duration=duration, loop=0, **options)
    return buffer.getvalue()
