"""What methods that know nothing of classes reach when an oracle names their segments: the bar for a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seglab.methods import SLIC, Felzenszwalb, GaussianMixture, KMeans, MeanShift, NormalizedCuts, Thresholding
from seglab.metrics.semantic import mean_iou
from seglab.region_graph import merge_hierarchical
from seglab.segmenter import Segmenter

__all__ = [
    "METHODS",
    "METHODS_FOR_SCENES",
    "by_two_oracles",
    "chosen_by_an_oracle",
    "methods_with",
    "named_by_an_oracle",
    "named_one_to_one",
    "oracle_iou",
    "table",
]

Oracle = Callable[[Tensor, Tensor], Tensor]


def _merged(method: Segmenter, n: int) -> Callable[[Tensor], Tensor]:
    """Merge what a method finds to n segments, where the picture's mean colors are hurt least."""
    return lambda image: merge_hierarchical(method.segment(image).labels, image, "ward").cut_to(n)


def methods_with(n: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """Methods of chapters 02 to 08, each by a name that tells how many segments it gives: n, or 2."""
    return {
        "thresholding (Otsu), 2 segments": lambda image: Thresholding().segment(image).labels,
        f"k-means, {n} segments": lambda image: KMeans(n_clusters=n).segment(image).labels,
        f"Gaussian mixture, {n} segments": lambda image: GaussianMixture(n_components=n).segment(image).labels,
        f"mean shift, merged to {n} segments": _merged(MeanShift(min_size=20), n),
        f"SLIC, merged to {n} segments": _merged(SLIC(n_segments=250), n),
        f"Felzenszwalb–Huttenlocher, merged to {n} segments": _merged(Felzenszwalb(scale=300, min_size=50), n),
        f"normalized cuts, {n} segments": lambda image: NormalizedCuts(n_segments=n).segment(image).labels,
    }


METHODS = methods_with(8)
"""Methods of chapters 02 to 08 that give a handful of segments. With hundreds, an oracle would paint the truth."""

METHODS_FOR_SCENES = methods_with(16)
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
    counts = _counts(segments, labels, n_classes)
    return torch.zeros(n_classes, n_classes, dtype=torch.int64).index_add_(0, counts.argmax(1), counts).T


def named_one_to_one(segments: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """The confusion matrix (K, K) where no two segments get the same class, and as many pixels as possible are right.

    So is a clustering into K scored "up to a permutation". To see that two segments are of one class is left to the
    method; `named_by_an_oracle` joins them for it.

    Raises
    ------
    ValueError
        There are more segments than classes.
    """
    counts = _counts(segments, labels, n_classes)
    if len(counts) > n_classes:
        raise ValueError(f"each segment gets a class of its own, but there are {len(counts)} for {n_classes} classes")
    own, name = (torch.from_numpy(of) for of in linear_sum_assignment(counts.numpy(), maximize=True))
    return torch.zeros(n_classes, n_classes, dtype=torch.int64).index_add_(0, name, counts[own]).T


def _counts(segments: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """How many pixels of each segment are of each class (S, K); −1 is unlabeled."""
    known = labels >= 0
    n = (int(segments.max()) + 1) * n_classes
    return torch.bincount(segments[known] * n_classes + labels[known], minlength=n).view(-1, n_classes)


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
        `chosen_by_an_oracle`, or `named_by_an_oracle` or `named_one_to_one` with the number of classes.
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


def by_two_oracles(pairs: Sequence[tuple[Tensor, Tensor]], stem: Path, n_classes: int) -> dict[str, Any]:
    """What a record of a network for generated pictures says of methods that learn nothing; tables grow beside stem.

    The first oracle reads the class of each of METHODS' segments off the truth: what is left to find are the outlines.
    The second names as many segments as there are classes, each another.
    """
    free, one_to_one = (partial(oracle, n_classes=n_classes) for oracle in (named_by_an_oracle, named_one_to_one))
    of_free, of_one_to_one = (stem.with_name(f"{stem.name}_unsupervised{end}.json") for end in ("", "_one_to_one"))
    return {
        "unsupervised, with an oracle": table(pairs, of_free, METHODS, free),
        "unsupervised, named one to one": table(pairs, of_one_to_one, methods_with(n_classes), one_to_one),
    }
