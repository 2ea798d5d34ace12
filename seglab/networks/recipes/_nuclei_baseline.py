"""Nuclei without learning, as chapters 02 to 08 can: what is bright, what of it hangs together, cut where it is narrow.

The bar for the network. Each method of `FOREGROUNDS` has its parameters chosen on pictures of the training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import watershed
from torch import Tensor

from seglab.datasets.nuclei import NucleiImage, bright_nuclei
from seglab.methods import Felzenszwalb, GaussianMixture, MeanShift, Thresholding
from seglab.metrics.instance import InstanceBenchmark, bowl_score, instance_benchmark, instance_scores
from seglab.segmenter import Segmenter

__all__ = ["FOREGROUNDS", "RANKINGS", "evaluate_without_learning", "named", "separate"]


def _not_the_darkest(method: Segmenter) -> Callable[[Tensor], Tensor]:
    """For methods that find a few classes of brightness: the darkest of them is the ground."""
    return lambda gray: _by_mean(method, gray, lambda means: means > means.min())


def _brighter_than_otsu(method: Segmenter) -> Callable[[Tensor], Tensor]:
    """For methods that find more segments: those whose mean is above Otsu's threshold of the picture."""

    def find(gray: Tensor) -> Tensor:
        threshold = threshold_otsu(gray.numpy())
        return _by_mean(method, gray, lambda means: means > threshold)

    return find


def _by_mean(method: Segmenter, gray: Tensor, chosen: Callable[[Tensor], Tensor]) -> Tensor:
    labels = method.segment(gray).labels
    sums = torch.bincount(labels.flatten(), gray.flatten().double())
    return chosen(sums / torch.bincount(labels.flatten()).clamp(min=1))[labels]


FOREGROUNDS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Otsu": _not_the_darkest(Thresholding()),
    "Otsu, three classes": _not_the_darkest(Thresholding(rule="multi-otsu", n_classes=3)),
    "local threshold": _not_the_darkest(Thresholding(rule="local", radius=25, offset=-0.05)),
    "Gaussian mixture": _brighter_than_otsu(GaussianMixture(n_components=4, color_space="gray")),
    "mean shift": _brighter_than_otsu(MeanShift(min_size=15)),
    "Felzenszwalb–Huttenlocher": _brighter_than_otsu(Felzenszwalb(scale=50, min_size=15)),
}
"""Each gives of a picture (1, H, W), its nuclei bright, which pixels (H, W) are nuclei.

k-means is not among them: of gray values it finds what Otsu's rule does.
"""

RANKINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "area": lambda sizes, brightness: sizes,
    "brightness": lambda sizes, brightness: brightness,
}
"""What is surer: there is no confidence, so the larger, or the brighter."""


def separate(inside: Tensor, *, min_size: int = 20, apart: float = 0.0) -> Tensor:
    """Number what hangs together.

    Parameters
    ----------
    inside
        (H, W) bool, which pixels are nuclei.
    min_size
        Smaller ones are noise, in pixels.
    apart
        Two tops of the distance to the ground are two nuclei if the saddle between them is so much lower, in pixels; a
        watershed cuts there. 0: nothing is cut.

    Returns
    -------
    Tensor
        (H, W) int64, 0 the ground.
    """
    found = label(inside.numpy(), connectivity=1)
    if apart > 0:
        distance = gaussian(distance_transform_edt(inside.numpy()), 1.0)
        found = watershed(-distance, label(h_maxima(distance, apart)), mask=inside.numpy())
    sizes = np.bincount(found.ravel())
    sizes[0] = 0
    kept = sizes >= min_size
    return torch.from_numpy(np.where(kept, np.cumsum(kept), 0)[found].astype(np.int64))


def evaluate_without_learning(
    train: Sequence[NucleiImage], held_out: Sequence[NucleiImage]
) -> dict[str, dict[str, Any]]:
    """Score each method on the held-out pictures, the best on those of the training first.

    Its smoothing (in pixels) and the parameters of `separate` are those that are best on the pictures of the training
    by the Bowl's score, its ranking the one with the best AP there; ``"Bowl, training"`` is the score there.
    """
    rows = {name: _choose_and_score(name, train, held_out) for name in FOREGROUNDS}
    return dict(sorted(rows.items(), key=lambda row: -row[1]["Bowl, training"]))


def _choose_and_score(name: str, train: Sequence[NucleiImage], held_out: Sequence[NucleiImage]) -> dict[str, Any]:
    tried: dict[tuple[float, int, float], float] = {}
    for sigma in (1.0, 2.0):
        masks = [FOREGROUNDS[name](_smooth(p.image, sigma)) for p in train]
        for size, apart in product((15, 40), (0.0, 0.5, 1.0)):
            found = [separate(mask, min_size=size, apart=apart) for mask in masks]
            scores = [bowl_score(p.instances, one) for p, one in zip(train, found, strict=True)]
            tried[sigma, size, apart] = float(np.mean(scores))
    sigma, size, apart = best = max(tried, key=lambda options: tried[options])

    def find(picture: NucleiImage) -> Tensor:
        return separate(FOREGROUNDS[name](_smooth(picture.image, sigma)), min_size=size, apart=apart)

    learned = [find(p) for p in train]
    ranking = max(RANKINGS, key=lambda ranking: _benchmark(train, learned, ranking).mean_ap)
    result = _benchmark(held_out, [find(p) for p in held_out], ranking)
    options = {"sigma": sigma, "min_size": size, "apart": apart, "ranked by": ranking}
    return {**named(result, result), "Bowl, training": tried[best], **options}


def _benchmark(pictures: Sequence[NucleiImage], found: Sequence[Tensor], ranking: str) -> InstanceBenchmark:
    scores = []
    for picture, labels in zip(pictures, found, strict=True):
        sizes = torch.bincount(labels.flatten())[1:]
        light = torch.bincount(labels.flatten(), bright_nuclei(picture.image).flatten().double())[1:]
        scores.append(instance_scores(picture.instances, labels, scores=RANKINGS[ranking](sizes, light / sizes)))
    return instance_benchmark(scores)


def _smooth(image: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(gaussian(bright_nuclei(image)[0].numpy(), sigma))[None]


def named(ranked: InstanceBenchmark, chosen: InstanceBenchmark) -> dict[str, float]:
    """The scores that are told of nuclei: AP of all that is found, the others of what is chosen."""
    return {
        "AP": ranked.mean_ap,
        "AP50": ranked.at(0.5),
        "AP75": ranked.at(0.75),
        "Bowl": float(chosen.bowl.mean()),
        "PQ": chosen.panoptic.mean[0],
    }
