"""Make the picture at the head of README.md: ``python notebooks/images/make.py``.

Everything in it is computed: a photograph that scikit-image brings along, and our methods on it.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

from seglab.datasets import photo
from seglab.methods import KMeans, SmoothedMixture, Thresholding
from seglab.plot import show

HERE = Path(__file__).resolve().parent


def readme_picture(path: Path = HERE / "readme.png") -> None:
    """A photograph, and what the first chapters' methods make of it."""
    image = photo("coffee")
    methods = (
        Thresholding(rule="otsu"),
        KMeans(n_clusters=5),
        SmoothedMixture(n_components=5, beta=3.0),
    )
    results = [method.segment(image) for method in methods]
    titles = ["photograph", "threshold", "k-means", "smoothed mixture"]
    axes = show(image, *results, titles=titles, captions=[""] * len(titles), size=2.6, alpha=0.65)
    axes.figure.savefig(path, dpi=76, bbox_inches="tight", pad_inches=0.02, pil_kwargs={"optimize": True})
    plt.close(axes.figure)


if __name__ == "__main__":
    readme_picture()
