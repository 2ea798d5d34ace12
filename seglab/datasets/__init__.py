"""Pictures: bundled photographs, generated scenes whose truth is known, and the real data sets.

Everything but the real sets works without a network.
"""

from seglab.datasets._catalog import DatasetInfo, available, fetch, list_datasets, verify
from seglab.datasets._source import DatasetError, DatasetNotFoundError
from seglab.datasets.bsds500 import BSDS500, BSDSImage
from seglab.datasets.bundled import PHOTOS, Photo, photo, photos
from seglab.datasets.camvid import CamVid, StreetImage
from seglab.datasets.horses import HorseImage, WeizmannHorses
from seglab.datasets.membrane import Membrane, MembraneSlice
from seglab.datasets.mosaics import mosaic
from seglab.datasets.nuclei import Nuclei, NucleiImage, bright_nuclei
from seglab.datasets.outlines import PhotoTruth, photo_truth, photos_with_truth
from seglab.datasets.scenes import SHAPES, TEXTURES, Scene, shapes, two_tone
from seglab.datasets.tiny_pictures import TINY, Tiny, tiny
from seglab.datasets.tissues import tissue

__all__ = [
    "BSDS500",
    "PHOTOS",
    "SHAPES",
    "TEXTURES",
    "TINY",
    "BSDSImage",
    "CamVid",
    "DatasetError",
    "DatasetInfo",
    "DatasetNotFoundError",
    "HorseImage",
    "Membrane",
    "MembraneSlice",
    "Nuclei",
    "NucleiImage",
    "Photo",
    "PhotoTruth",
    "Scene",
    "StreetImage",
    "Tiny",
    "WeizmannHorses",
    "available",
    "bright_nuclei",
    "fetch",
    "list_datasets",
    "mosaic",
    "photo",
    "photo_truth",
    "photos",
    "photos_with_truth",
    "shapes",
    "tiny",
    "tissue",
    "two_tone",
    "verify",
]
