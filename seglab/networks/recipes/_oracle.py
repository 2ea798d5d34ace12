"""What methods that know nothing of classes reach when an oracle names their segments: the bar for a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seglab.methods import SLIC, Felzenszwalb, GaussianMixture, KMeans, MeanShift, NormalizedCuts, Thresholding
from seglab.metrics.semantic import mean_iou
from seglab.region_graph import merge_hierarchical
from seglab.segmenter import Segmenter

__all__ = ["METHODS", "chosen_by_an_oracle", "oracle_iou", "table"]

_SEGMENTS = 8


def _merged(method: Segmenter) -> Callable[[Tensor], Tensor]:
    """Merge what a method finds to a handful of segments, where the picture's mean colors are hurt least."""
    return lambda image: merge_hierarchical(method.segment(image).labels, image, "ward").cut_to(_SEGMENTS)


METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "thresholding (Otsu), 2 segments": lambda image: Thresholding().segment(image).labels,
    "k-means, 8 segments": lambda image: KMeans(n_clusters=_SEGMENTS).segment(image).labels,
    "Gaussian mixture, 8 segments": lambda image: GaussianMixture(n_components=_SEGMENTS).segment(image).labels,
    "mean shift, merged to 8 segments": _merged(MeanShift(min_size=20)),
    "SLIC, merged to 8 segments": _merged(SLIC(n_segments=250)),
    "Felzenszwalb–Huttenlocher, merged to 8 segments": _merged(Felzenszwalb(scale=300, min_size=50)),
    "normalized cuts, 8 segments": lambda image: NormalizedCuts(n_segments=_SEGMENTS).segment(image).labels,
}
"""Methods of chapters 02 to 08 that give a handful of segments. With hundreds, an oracle would paint the truth."""


def oracle_iou(method: Callable[[Tensor], Tensor], pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Give the mean IoU of object and ground over all pixels of some pictures, each picture's segments well chosen.

    Parameters
    ----------
    method
        Gives the label map of a picture.
    pairs
        Pictures (3, H, W) and labels (H, W), 1 on the object.
    """
    total = torch.zeros(2, 2, dtype=torch.int64)
    for image, labels in pairs:
        total += chosen_by_an_oracle(method(image), labels)
    return mean_iou(total)


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


def table(pairs: Sequence[tuple[Tensor, Tensor]], file: Path) -> dict[str, float]:
    """Give the mean IoU of each method, rounded; what stands in the file already is not computed again."""
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name, method in METHODS.items():
        if name not in found:
            found[name] = round(oracle_iou(method, pairs), 4)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found, ensure_ascii=False, indent=2), "utf-8")
    return {name: found[name] for name in METHODS}
