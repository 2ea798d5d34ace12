"""Image segmentation, from a threshold to Deep Superpixel Cut.

    import seglab

    result = seglab.KMeans(n_clusters=5).segment("photo.jpg")

The names below are the ones that most work begins with; each is loaded when it is first used, so that
``import seglab`` costs nothing. Everything else is in its module: `seglab.labels`, `seglab.metrics`,
`seglab.datasets`, `seglab.plot`, `seglab.widgets`.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglab.hierarchy import Hierarchy
    from seglab.image import as_image
    from seglab.labels import as_labels
    from seglab.methods import GaussianMixture, KMeans, SmoothedMixture, Thresholding
    from seglab.segmenter import Segmentation, Segmenter, State, Trace, get_method

__version__ = "0.1.0.dev0"

# Threads that wait by spinning fight with whatever else runs (a browser, another kernel): a picture's short loops then
# take ten times as long on two busy cores. It is read when torch is first imported; a value that is set is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = [
    "GaussianMixture",
    "Hierarchy",
    "KMeans",
    "Segmentation",
    "Segmenter",
    "SmoothedMixture",
    "State",
    "Thresholding",
    "Trace",
    "as_image",
    "as_labels",
    "get_method",
]

_HOME = {
    "seglab.hierarchy": ("Hierarchy",),
    "seglab.image": ("as_image",),
    "seglab.labels": ("as_labels",),
    "seglab.methods": ("GaussianMixture", "KMeans", "SmoothedMixture", "Thresholding"),
    "seglab.segmenter": ("Segmentation", "Segmenter", "State", "Trace", "get_method"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
