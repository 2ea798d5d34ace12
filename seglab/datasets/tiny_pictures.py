"""Pictures of at most 8×8 pixels whose right answer the eye knows; the chapters' first problems."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from seglab.datasets.scenes import Scene

__all__ = ["TINY", "Tiny", "tiny"]


@dataclass(frozen=True)
class Tiny:
    """A tiny picture, written out.

    Attributes
    ----------
    name
        What `tiny` takes.
    about
        What is to be seen, and what it is good for.
    pixels
        Rows of letters, each a pixel.
    values
        The gray level of each letter, or its (red, green, blue).
    truth
        Rows of digits: the instance of each pixel, 0 the background.
    classes
        The name of each instance's class, instance 0 first.
    """

    name: str
    about: str
    pixels: str
    values: Mapping[str, float | tuple[float, float, float]]
    truth: str
    classes: tuple[str, ...]


_TABLE = (
    Tiny(
        "step", "dark left, bright right, a little uneven: the first threshold",
        "abcd badc abdc bacd",
        {"a": 0.1, "b": 0.2, "c": 0.7, "d": 0.8},
        "0011 0011 0011 0011", ("dark", "bright"),
    ),
    Tiny(
        "island", "a bright square in a dark sea: one object",
        "...... .####. .####. .####. .####. ......",
        {".": 0.2, "#": 0.8},
        "000000 011110 011110 011110 011110 000000", ("sea", "island"),
    ),
    Tiny(
        "corner", "two squares that touch at a corner: one object with 8 neighbors, two with 4",
        "##.... ##.... ..##.. ..##.. ...... ......",
        {".": 0.1, "#": 0.9},
        "110000 110000 002200 002200 000000 000000", ("ground", "square", "square"),
    ),
    Tiny(
        "three", "three gray levels: two thresholds, three clusters",
        "aaabbb aaabbb aaabbb cccccc cccccc cccccc",
        {"a": 0.1, "b": 0.5, "c": 0.9},
        "000111 000111 000111 222222 222222 222222", ("dark", "middle", "bright"),
    ),
    Tiny(
        "outliers", "a bright square on a dark ground, with a wrong pixel in each: smoothing puts them right",
        "........ .#...... ........ ..#####. ..#####. ..##.##. ..#####. ........",
        {".": 0.25, "#": 0.75},
        "00000000 00000000 00000000 00111110 00111110 00111110 00111110 00000000", ("ground", "square"),
    ),
    Tiny(
        "shade", "bars darker than the paper around them, in light that fades to the right: no one threshold does",
        "abcdefgh ABcdefGH ABcdefGH ABcdefGH ABcdefGH ABcdefGH ABcdefGH abcdefgh",
        {**{letter: 0.9 - 0.1 * i for i, letter in enumerate("abcdefgh")},
         **{letter: 0.65 - 0.1 * i for i, letter in enumerate("ABCDEF")}, "G": 0.1, "H": 0.0},
        "00000000 11000022 11000022 11000022 11000022 11000022 11000022 00000000", ("paper", "ink", "ink"),
    ),
    Tiny(
        "weave", "a checkerboard beside an even gray of the same mean: only a window sees two textures",
        "xoxo.... oxox.... xoxo.... oxox.... xoxo.... oxox.... xoxo.... oxox....",
        {"x": 0.2, "o": 0.8, ".": 0.5},
        " ".join(["00001111"] * 8), ("checks", "even"),
    ),
    Tiny(
        "flag", "three stripes, blue, white and red: clusters in color",
        "bbwwrr bbwwrr bbwwrr bbwwrr",
        {"b": (0.0, 0.2, 0.6), "w": (0.95, 0.95, 0.95), "r": (0.85, 0.1, 0.15)},
        "001122 001122 001122 001122", ("blue", "white", "red"),
    ),
    Tiny(
        "poppy", "a red square on green of the very same luminance: gray sees nothing, color everything",
        "gggggg gggggg ggrrgg ggrrgg gggggg gggggg",
        {"g": (0.2, 0.35792564, 0.1), "r": (0.9, 0.15, 0.1)},
        "000000 000000 001100 001100 000000 000000", ("meadow", "poppy"),
    ),
    Tiny(
        "twins", "two red squares and a blue one: two classes, three instances",
        "........ .rr..rr. .rr..rr. ........ ........ ..bbb... ..bbb... ........",
        {".": (0.9, 0.88, 0.8), "r": (0.8, 0.2, 0.15), "b": (0.15, 0.3, 0.7)},
        "00000000 01100220 01100220 00000000 00000000 00333000 00333000 00000000", ("table", "red", "red", "blue"),
    ),
)  # fmt: skip

TINY: Mapping[str, Tiny] = MappingProxyType({entry.name: entry for entry in _TABLE})
"""The tiny pictures, by name."""


def tiny(name: str = "island", *, device: torch.device | str | None = None) -> Scene:
    """Make a picture of at most 8×8 pixels, with its truth.

    Parameters
    ----------
    name
        One of `TINY`, which says what each is good for.
    device
        Where the tensors are to lie.

    Returns
    -------
    Scene
        Image (1, H, W) or (3, H, W), semantic, instances and names.

    Raises
    ------
    ValueError
        There is no such picture.

    Examples
    --------
    >>> list(TINY)
    ['step', 'island', 'corner', 'three', 'outliers', 'shade', 'weave', 'flag', 'poppy', 'twins']
    >>> scene = tiny("twins")
    >>> scene.image.shape, scene.class_names, scene.n_instances
    (torch.Size([3, 8, 8]), ('table', 'red', 'blue'), 3)
    """
    if name not in TINY:
        near = difflib.get_close_matches(str(name), TINY, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"No tiny picture is called {name!r}{hint} There are: {', '.join(TINY)}.")
    entry = TINY[name]
    instances = torch.tensor([[int(digit) for digit in row] for row in entry.truth.split()])
    class_names = tuple(dict.fromkeys(entry.classes))
    table = torch.tensor([class_names.index(word) for word in entry.classes])
    return Scene(
        image=_image(entry).to(device),
        semantic=table[instances].to(device),
        instances=instances.to(device),
        class_names=class_names,
        instance_classes=table.to(device),
    )


def _image(entry: Tiny) -> Tensor:
    values = torch.tensor([[entry.values[letter] for letter in row] for row in entry.pixels.split()])
    return values[None] if values.ndim == 2 else values.movedim(-1, 0).contiguous()
