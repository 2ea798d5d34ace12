"""Pictures: bundled photographs, generated scenes whose truth is known, and the real data sets.

Everything but the real sets works without a network.
"""

from seglab.datasets._catalog import DatasetInfo, available, fetch, list_datasets, verify
from seglab.datasets._source import DatasetError, DatasetNotFoundError
from seglab.datasets.bsds500 import BSDS500, BSDSImage
from seglab.datasets.bundled import PHOTOS, Photo, photo, photos
from seglab.datasets.outlines import PhotoTruth, photo_truth, photos_with_truth

__all__ = [
    "BSDS500",
    "PHOTOS",
    "BSDSImage",
    "DatasetError",
    "DatasetInfo",
    "DatasetNotFoundError",
    "Photo",
    "PhotoTruth",
    "available",
    "fetch",
    "list_datasets",
    "photo",
    "photo_truth",
    "photos",
    "photos_with_truth",
    "verify",
]
