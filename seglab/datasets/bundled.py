"""Pictures that ship inside scikit-image and scikit-learn, so that every chapter runs without a network.

Only files that lie in the two packages' wheels are listed; nothing here ever asks scikit-image to download.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from seglab.image import as_image

__all__ = ["PHOTOS", "Photo", "photo", "photos", "shrink"]

_FOLDERS = {"scikit-image": ("skimage", "data"), "scikit-learn": ("sklearn", "datasets/images")}


@dataclass(frozen=True)
class Photo:
    """What is known of a bundled picture.

    Attributes
    ----------
    name
        What `photo` takes.
    height, width
        Its size in pixels.
    color
        Whether it has three channels, or one.
    about
        What it shows.
    good_for
        What it teaches about segmentation.
    credit, terms
        Who made it, and what may be done with it.
    package
        The library that ships it.
    file
        Its file there.
    """

    name: str
    height: int
    width: int
    color: bool
    about: str
    good_for: str
    credit: str
    terms: str
    package: str
    file: str

    @property
    def path(self) -> Path:
        """Where the file lies on this computer."""
        module, folder = _FOLDERS[self.package]
        spec = importlib.util.find_spec(module)  # finds the package without the second that importing it takes
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(f"{self.package}, which ships the picture {self.name!r}, is not installed")
        return Path(spec.submodule_search_locations[0], folder, self.file)


_SKI = "scikit-image"
_SKL = "scikit-learn"
_CC0 = "CC0 1.0 (public domain dedication)"
_FREE = "no known copyright restrictions"
_WITH_SKI = "no terms of its own; distributed with scikit-image (BSD-3-Clause)"
_TABLE = (
    # color, the favorites first
    Photo("coffee", 400, 600, True, "a cup of coffee on a wooden table",
          "few flat areas against wood grain; ellipses; the course's default", "Rachel Michetti, Pikolo Espresso Bar",
          _CC0, _SKI, "coffee.png"),
    Photo("chelsea", 300, 451, True, "Chelsea the cat",
          "fine fur at several scales; one object and its background", "Stéfan van der Walt", _CC0, _SKI,
          "chelsea.png"),
    Photo("astronaut", 512, 512, True, "the astronaut Eileen Collins in front of a shuttle model and a flag",
          "a person to extract from a crowded background", "NASA", "public domain", _SKI, "astronaut.png"),
    Photo("rocket", 427, 640, True, "a Falcon 9 rocket on its launch pad at dusk",
          "a smooth sky that falls into bands; a small bright object", "SpaceX", "public domain", _SKI, "rocket.jpg"),
    Photo("china", 427, 640, True, "a temple of the Summer Palace against the sky",
          "compressing the colors with k-means; rich architecture", "danielbuechele, Flickr", "CC BY 2.0", _SKL,
          "china.jpg"),
    # scikit-learn's README names danielbuechele here too, but links to vultilion's picture.
    Photo("flower", 427, 640, True, "an orange dahlia against green leaves",
          "an object of one color; the easiest object extraction", "vultilion, Flickr", "CC BY 2.0", _SKL,
          "flower.jpg"),
    Photo("ihc", 512, 512, True, "stained tissue: colonic glands, DAB and hematoxylin",
          "classes that differ in color alone; medical use", "Center for Microscopy and Molecular Imaging (CMMI)",
          _FREE, _SKI, "ihc.png"),
    Photo("retina", 1411, 1411, True, "the back of a human eye",
          "thin vessels; uneven light; a large picture", "Mikael Häggström, WikiJournal of Medicine 1(2), 2014", _CC0,
          _SKI, "retina.jpg"),
    Photo("hubble", 872, 1000, True, "Hubble eXtreme Deep Field",
          "many small objects of all sizes; counting", "NASA, ESA", "public domain", _SKI, "hubble_deep_field.jpg"),
    # gray
    Photo("camera", 512, 512, False, "a photographer with his camera on a lawn",
          "two clear modes in the histogram; Otsu", "Lav Varshney", _CC0, _SKI, "camera.png"),
    Photo("coins", 303, 384, False, "Greek coins from Pompeii",
          "touching gray levels and uneven light: one threshold is not enough; instances", "Brooklyn Museum", _FREE,
          _SKI, "coins.png"),
    Photo("page", 191, 384, False, "a page of printed text, curved and badly lit",
          "uneven light: a global threshold fails, a local one works", "scikit-image", _WITH_SKI, _SKI, "page.png"),
    Photo("text", 172, 448, False, "formulas in handwriting on squared paper",
          "thin strokes; uneven light", "Wikipedia", "public domain", _SKI, "text.png"),
    Photo("moon", 512, 512, False, "the surface of the moon",
          "low contrast; a histogram with one mode, where thresholds fail", "scikit-image", _WITH_SKI, _SKI,
          "moon.png"),
    Photo("cell", 660, 550, False, "a cell floating in saline, quantitative phase image",
          "one object; banding in the background", "Müller et al., Optics Express 26(8), 2018", _CC0, _SKI,
          "cell.png"),
    Photo("clock", 300, 400, False, "a wall clock, blurred by moving the camera",
          "blurred borders: where is the boundary?", "Stéfan van der Walt", "public domain", _SKI,
          "clock_motion.png"),
    Photo("microaneurysms", 102, 102, False, "a detail of a retina with lesions, green channel",
          "small dark spots; a small picture for slow methods", "Andreas Maier, HRF database", _CC0, _SKI,
          "microaneurysms.png"),
    Photo("horse", 328, 400, False, "the silhouette of a horse",
          "a perfect two-class picture; curves and shapes", "Andreas Preuss (marauder)", _CC0, _SKI, "horse.png"),
    Photo("brick", 512, 512, False, "a brick wall",
          "a regular texture", "CC0Textures", _CC0, _SKI, "brick.png"),
    Photo("grass", 512, 512, False, "grass from above",
          "an irregular, fine texture", "linolafett, DeviantArt", _CC0, _SKI, "grass.png"),
    Photo("gravel", 512, 512, False, "gravel",
          "a coarse texture; many touching objects", "CC0Textures", _CC0, _SKI, "gravel.png"),
)  # fmt: skip

PHOTOS: Mapping[str, Photo] = MappingProxyType({entry.name: entry for entry in _TABLE})
"""What is known of each bundled picture, by name."""

_ALIASES = {"cat": "chelsea"}


def photos(*, color: bool | None = None) -> tuple[str, ...]:
    """Name the bundled pictures; the most useful first.

    Parameters
    ----------
    color
        Only those in color (True) or in gray (False); all where None.

    Examples
    --------
    >>> photos()[:3]
    ('coffee', 'chelsea', 'astronaut')
    >>> photos(color=False)[0]
    'camera'
    """
    return tuple(name for name, entry in PHOTOS.items() if color is None or entry.color is color)


def photo(name: str, *, max_side: int | None = None, device: torch.device | str | None = None) -> Tensor:
    """Load a bundled picture; needs no network.

    Parameters
    ----------
    name
        One of `photos`.
    max_side
        Shrink, with antialiasing, so that the longer side has at most so many pixels. A smaller picture is not
        enlarged.
    device
        Where the tensor is to lie; the CPU by default.

    Returns
    -------
    Tensor
        (3, H, W), or (1, H, W) for a gray picture, float32 in [0, 1].

    Raises
    ------
    ValueError
        The name is not in the list (the message names the nearest), or ``max_side`` is less than 1.

    Examples
    --------
    >>> photo("coffee").shape
    torch.Size([3, 400, 600])
    >>> photo("camera", max_side=128).shape
    torch.Size([1, 128, 128])
    """
    entry = _entry(name)
    with Image.open(entry.path) as file:
        array = np.array(file.convert("RGB" if entry.color else "L"))
    image = as_image(array, device=device)
    return image if max_side is None else shrink(image, max_side)


def shrink(image: Tensor, max_side: int) -> Tensor:
    """Shrink a picture (C, H, W) so that its longer side has at most ``max_side`` pixels, with antialiasing."""
    if max_side < 1:
        raise ValueError(f"max_side is the longer side in pixels, at least 1; got {max_side}")
    height, width = image.shape[-2:]
    longer = max(height, width)
    if longer <= max_side:
        return image
    size = [max(1, round(side * max_side / longer)) for side in (height, width)]
    small = functional.interpolate(image[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    return small.clamp_(0, 1)  # bicubic overshoots at edges


def _entry(name: str) -> Photo:
    key = _ALIASES.get(name, name)
    if key not in PHOTOS:
        near = difflib.get_close_matches(str(name), PHOTOS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"No bundled picture is called {name!r}{hint} There are: {', '.join(PHOTOS)}.")
    return PHOTOS[key]
