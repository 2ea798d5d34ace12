"""Mask R-CNN on cell nuclei: 36 pictures of the 2018 Data Science Bowl's stage-1 test to learn from, 20 held out.

Pictures differ in size and in kind. `prepare` makes them alike: nuclei bright on dark, the longer side 512 pixels, so
that most nuclei are 15 to 60 pixels long. What is found is put back at the picture's own size, and scored there. How
long to train was chosen by the average precision on 9 others, which the weights' record tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.datasets.nuclei import Nuclei, NucleiImage, bright_nuclei
from seglab.metrics.instance import InstanceScores, instance_benchmark, instance_scores
from seglab.networks.mask_rcnn import Detections, MaskRCNN, MaskRCNNSettings
from seglab.networks.recipes import command_line
from seglab.networks.recipes._nuclei_baseline import evaluate_without_learning, named
from seglab.networks.recipes.mask_rcnn_shapes import loss
from seglab.networks.training import Precision, Training
from seglab.networks.weights import save_weights

__all__ = [
    "CROP",
    "EPOCHS",
    "NAME",
    "SIDE",
    "by_side",
    "crop",
    "evaluate",
    "find_nuclei",
    "make_model",
    "prepare",
    "recall_by_size",
    "to_sample",
    "train",
]

NAME = "mask_rcnn_nuclei"
EPOCHS = 48
SIDE = 512  # pixels of the longer side
CROP = 96
_MOST = 400  # nuclei in a picture
_CROPS = 4  # of a picture in an epoch
Sample = tuple[Tensor, Tensor, Tensor]


def make_model(seed: int = 0) -> MaskRCNN:
    """The network: one class, one channel, room for hundreds of nuclei."""
    settings = MaskRCNNSettings(
        scales=(12, 24, 48),
        roi_sample=24,
        before_nms=(200, 3000),
        proposals=(60, 800),
        max_detections=500,
        detection_nms=0.3,
    )
    return MaskRCNN(1, in_channels=1, width=16, settings=settings, seed=seed)


def prepare(image: Tensor, side: int = SIDE) -> Tensor:
    """Make of a picture (C, H, W) in [0, 1] what the network is trained on: (1, h, w), the longer of them ``side``."""
    factor = side / max(image.shape[1:])
    size = [round(n * factor) for n in image.shape[1:]]
    shrinks = size[0] < image.shape[1]
    return F.interpolate(bright_nuclei(image)[None], size, mode="bilinear", antialias=shrinks)[0]


def find_nuclei(model: MaskRCNN, image: Tensor, side: int = SIDE) -> Detections:
    """Find the nuclei in a picture (C, H, W) in [0, 1], at its own size; the network sees it ``side`` pixels long."""
    device = next(model.parameters()).device
    return model.detect(prepare(image, side).to(device)).resized(*image.shape[1:])


def to_sample(picture: NucleiImage) -> Sample:
    """Make of a picture what `crop` cuts samples from: prepared, its instances beside it, and the class of each."""
    image = prepare(picture.image)
    labels = F.interpolate(picture.instances[None, None].float(), image.shape[1:], mode="nearest-exact")
    return image, labels[0, 0].long(), torch.ones(_MOST, dtype=torch.int64)


def crop(sample: Sample, generator: torch.Generator) -> Sample:
    """Cut 96×96 pixels at random, of a picture up to a third larger or smaller, turned and more or less bright.

    Three of four times there is a nucleus in it: much of many pictures is empty. Pieces of nuclei at the border that
    have fewer than 16 pixels are not to be learned.
    """
    image, instances, classes = sample
    scale, top, left, gamma, turn, flip, aimed, which = torch.rand(8, generator=generator).tolist()
    side = round(CROP / 0.75 ** (2 * scale - 1))  # 72 to 128
    padding = (0, max(side - image.shape[2], 0), 0, max(side - image.shape[1], 0))
    image, instances = F.pad(image, padding), F.pad(instances, padding)
    room = [n - side for n in image.shape[1:]]
    row, col = (round(share * n) for share, n in zip((top, left), room, strict=True))
    inside = instances.nonzero()
    if aimed < 0.75 and len(inside):
        aim = inside[int(which * len(inside))].tolist()
        row, col = (
            min(max(place - int(share * side), 0), n) for place, share, n in zip(aim, (top, left), room, strict=True)
        )
    window = slice(row, row + side), slice(col, col + side)
    image = F.interpolate(image[:, *window][None], (CROP, CROP), mode="bilinear", antialias=side > CROP)[0]
    instances = F.interpolate(instances[window][None, None].float(), (CROP, CROP), mode="nearest-exact")[0, 0].long()
    image = image.clamp(0, 1) ** (0.5 + gamma)
    image, instances = (torch.rot90(of, int(4 * turn), (-2, -1)) for of in (image, instances))
    image, instances = (of.flip(-1) if flip < 0.5 else of for of in (image, instances))
    sizes = torch.bincount(instances.flatten(), minlength=len(classes) + 1)[1:]
    return image, instances, torch.where(sizes >= 16, classes, 0)


def evaluate(model: Any, pictures: Iterable[NucleiImage], sure: float = 0.5, side: int = SIDE) -> dict[str, float]:
    """Score what the network finds, at each picture's own size.

    AP ranks all that is found; the other measures know no confidence, so only what is at least `sure` counts for them.
    """
    every: list[InstanceScores] = []
    chosen: list[InstanceScores] = []
    for picture in pictures:
        found = find_nuclei(model, picture.image, side)
        for scores, part in ((every, found), (chosen, found[found.scores >= sure])):
            scores.append(instance_scores(picture.instances, part.instances().cpu(), scores=part.scores))
    return named(instance_benchmark(every), instance_benchmark(chosen))


def recall_by_size(
    model: Any, pictures: Iterable[NucleiImage], edges: Sequence[float] = (12, 20, 30), sure: float = 0.5
) -> dict[str, float]:
    """Give the share of nuclei that are found (overlap at least ½), by their size as the network sees them.

    Parameters
    ----------
    edges
        Between the sizes, in pixels: a nucleus's size is the root of its area, the picture's longer side being `SIDE`.
    sure
        Only what is at least so sure counts as found.
    """
    sizes, hits = [], []
    for picture in pictures:
        found = find_nuclei(model, picture.image)
        found = found[found.scores >= sure]
        pairs = instance_scores(picture.instances, found.instances().cpu(), scores=found.scores).matches((0.5,))[0]
        area = torch.bincount(picture.instances.clamp(min=0).flatten())[1:]
        area = area[area > 0]
        sizes.append(area.double().sqrt().numpy() * SIDE / max(picture.instances.shape))
        hits.append(np.isin(np.arange(len(area)), pairs))
    size, hit = np.concatenate(sizes), np.concatenate(hits)
    bounds = [0.0, *edges, np.inf]
    result = {}
    for low, high in pairwise(bounds):
        own = (size >= low) & (size < high)
        name = f"{low:g} to {high:g} px" if high < np.inf else f"{low:g} px and more"
        result[f"{name} ({own.sum()} nuclei)"] = round(float(hit[own].mean()), 4) if own.any() else float("nan")
    return result


def by_side(
    model: Any, pictures: Sequence[NucleiImage], sides: Sequence[int] = (384, 512, 768, 1024)
) -> dict[str, float]:
    """AP where pictures are shown smaller or larger than those that the network was trained on."""
    return {f"{side} px": round(evaluate(model, pictures, side=side)["AP"], 4) for side in sides}


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train on 36 pictures, about a quarter of an hour on one core; score on the 20 of the test."""
    pictures, others, held_out = (list(Nuclei(split)) for split in ("train", "val", "test"))
    samples = [to_sample(picture) for picture in pictures] * _CROPS
    training = Training(
        epochs=epochs or EPOCHS, batch_size=8, lr=2e-3, schedule="cosine", seed=seed, precision=precision
    )
    checkpoint = Path(out) / f"{NAME}.pt"
    state = training.fit(
        make_model(seed),
        loss,
        samples,
        augment=crop,
        scores=lambda model: evaluate(model, others),
        device=device,
        checkpoint=checkpoint,
        on_interrupt="raise",
    )
    scores = evaluate(state.model.to(device), held_out)
    save_weights(
        state.model,
        Path(out) / NAME,
        command=command_line(NAME, epochs=training.epochs, device=device, seed=seed, precision=precision),
        training=training.code(),
        data="Nuclei('train'), 36 pictures; chosen by Nuclei('val'), 9; scores on Nuclei('test'), 20",
        seed=seed,
        device=str(device),
        seconds=round(state.seconds),
        scores=scores,
        validation=evaluate(state.model, others),
        validation_ap_by_epochs={record["epoch"]: round(record["AP"], 4) for record in state.history if "AP" in record},
        recall_by_size=recall_by_size(state.model, held_out),
        validation_by_side=by_side(state.model, others),
        without_learning=evaluate_without_learning([*pictures, *others], held_out),
    )
    return scores
