"""What methods that know nothing of classes reach when an oracle names their segments: the bar for a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seglab.methods import SLIC, Felzenszwalb, GaussianMixture, KMeans, MeanShift, NormalizedCuts, Thresholding
from seglab.metrics.semantic import mean_iou
from seglab.region_graph import merge_hierarchical
from seglab.segmenter import Segmenter

__all__ = ["METHODS", "METHODS_FOR_SCENES", "chosen_by_an_oracle", "named_by_an_oracle", "oracle_iou", "table"]

Oracle = Callable[[Tensor, Tensor], Tensor]


def _merged(method: Segmenter, n: int) -> Callable[[Tensor], Tensor]:
    """Merge what a method finds to n segments, where the picture's mean colors are hurt least."""
    return lambda image: merge_hierarchical(method.segment(image).labels, image, "ward").cut_to(n)


def _methods(n: int) -> dict[str, Callable[[Tensor], Tensor]]:
    return {
        "thresholding (Otsu), 2 segments": lambda image: Thresholding().segment(image).labels,
        f"k-means, {n} segments": lambda image: KMeans(n_clusters=n).segment(image).labels,
        f"Gaussian mixture, {n} segments": lambda image: GaussianMixture(n_components=n).segment(image).labels,
        f"mean shift, merged to {n} segments": _merged(MeanShift(min_size=20), n),
        f"SLIC, merged to {n} segments": _merged(SLIC(n_segments=250), n),
        f"Felzenszwalb–Huttenlocher, merged to {n} segments": _merged(Felzenszwalb(scale=300, min_size=50), n),
        f"normalized cuts, {n} segments": lambda image: NormalizedCuts(n_segments=n).segment(image).labels,
    }


METHODS = _methods(8)
"""Methods of chapters 02 to 08 that give a handful of segments. With hundreds, an oracle would paint the truth."""

METHODS_FOR_SCENES = _methods(16)
"""The same with twice as many segments, for pictures in which there are up to eleven classes."""


def chosen_by_an_oracle(segments: Tensor, labels: Tensor) -> Tensor:
    """The confusion matrix (2, 2) of the union of segments that has the best IoU with the object.

    That union is of the segments with the largest shares of object, for some number of them: to add a segment helps
    exactly if its share of object is more than the IoU so far.
    """
    n = int(segments.max()) + 1
    sizes = torch.bincount(segments.flatten(), minlength=n)
    inside = torch.bincount(segments[labels == 1], minlength=n)
    order = (inside / sizes.clamp(min=1)).argsort(descending=True, stable=True)
    taken, hit = sizes[order].cumsum(0), inside[order].cumsum(0)
    n_object = int(inside.sum())
    best = int((hit / (taken + n_object - hit)).argmax())
    true_object, claimed = int(hit[best]), int(taken[best])
    wrong = claimed - true_object
    return torch.tensor([[labels.numel() - n_object - wrong, wrong], [n_object - true_object, true_object]])


def named_by_an_oracle(segments: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """The confusion matrix (K, K) where each segment gets the class that most of its pixels have; −1 is unlabeled."""
    known = labels >= 0
    counts = torch.bincount(
        segments[known] * n_classes + labels[known], minlength=(int(segments.max()) + 1) * n_classes
    )
    counts = counts.view(-1, n_classes)  # (segments, true classes)
    return torch.zeros(n_classes, n_classes, dtype=torch.int64).index_add_(0, counts.argmax(1), counts).T


def oracle_iou(
    method: Callable[[Tensor], Tensor], pairs: Iterable[tuple[Tensor, Tensor]], oracle: Oracle = chosen_by_an_oracle
) -> float:
    """Give the mean IoU of all classes over all pixels of some pictures, each picture's segments well chosen.

    Parameters
    ----------
    method
        Gives the label map of a picture.
    pairs
        Pictures (3, H, W) and labels (H, W).
    oracle
        `chosen_by_an_oracle`, or `named_by_an_oracle` with its number of classes.
    """
    return mean_iou(torch.stack([oracle(method(image), labels) for image, labels in pairs]).sum(0))


def table(
    pairs: Sequence[tuple[Tensor, Tensor]],
    file: Path,
    methods: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    oracle: Oracle = chosen_by_an_oracle,
) -> dict[str, float]:
    """Give the mean IoU of each method, by default of METHODS; what stands in the file is not computed again."""
    methods = METHODS if methods is None else methods
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name, method in methods.items():
        if name not in found:
            found[name] = round(oracle_iou(method, pairs, oracle), 4)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found, ensure_ascii=False, indent=2), "utf-8")
    return {name: found[name] for name in methods}
