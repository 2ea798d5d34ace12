"""Mask R-CNN on generated pictures: overlapping disks, rectangles and triangles, textured, each known to the pixel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglab.datasets.scenes import Scene, shapes
from seglab.labels import connected_components
from seglab.metrics.instance import InstanceBenchmark, InstanceScores, instance_benchmark, instance_scores
from seglab.networks.mask_rcnn import MaskRCNN, MaskRCNNSettings
from seglab.networks.recipes import command_line
from seglab.networks.recipes._oracle import methods_with
from seglab.networks.training import Precision, Training
from seglab.networks.weights import save_weights
from seglab.segmenter import generator

__all__ = [
    "CLASSES",
    "EPOCHS",
    "NAME",
    "evaluate",
    "evaluate_without_learning",
    "loss",
    "make_model",
    "make_scene",
    "objects_by_an_oracle",
    "to_sample",
    "train",
    "turn",
]

CLASSES = ("disk", "rectangle", "triangle")
NAME = "mask_rcnn_shapes"
EPOCHS = 40
N_TRAIN, N_HELD_OUT = 320, 100
_TRIED = (4, 6, 8)  # segments that methods without learning may give
Sample = tuple[Tensor, Tensor, Tensor]


def make_model(seed: int = 0) -> MaskRCNN:
    """The network: small enough to be trained in front of a class."""
    settings = MaskRCNNSettings(scales=(12, 24, 40), roi_sample=16, before_nms=(150, 300), proposals=(40, 60))
    return MaskRCNN(len(CLASSES), width=16, settings=settings, seed=seed)


def make_scene(seed: int, *, side: int = 64, most: int = 4) -> Scene:
    """Draw a picture of 2 to 4 shapes, which hide at most a third of one another."""
    n = int(torch.randint(2, most + 1, (), generator=generator(seed)))
    size = (0.14, 0.26)
    return shapes(height=side, width=side, n_shapes=n, overlap=0.33, size=size, classes=CLASSES, seed=seed)


def to_sample(scene: Scene, most: int = 16) -> Sample:
    """Make of a scene what `MaskRCNN.losses` takes: picture, instances, and the class of each of `most` numbers."""
    classes = torch.zeros(most, dtype=torch.int64)
    classes[: scene.n_instances] = scene.instance_classes[1:]
    return scene.image, scene.instances, classes


def turn(sample: Sample, generator: torch.Generator) -> Sample:
    """Turn and mirror a sample at random: a disk is a disk from every side."""
    image, instances, classes = sample
    way = int(torch.randint(8, (), generator=generator))
    image, instances = (torch.rot90(of, way // 2, (-2, -1)) for of in (image, instances))
    return (image.flip(-1), instances.flip(-1), classes) if way % 2 else (image, instances, classes)


def loss(model: Any, batch: Iterable[Tensor]) -> dict[str, Tensor]:
    """The five losses of a batch of samples."""
    return model.losses(*batch)


def evaluate(model: Any, samples: Iterable[Sample]) -> InstanceBenchmark:
    """Score what the network finds in samples, masks that overlap as they are."""
    return instance_benchmark(_scores(model, samples))


def _scores(model: Any, samples: Iterable[Sample]) -> Iterator[InstanceScores]:
    device = next(model.parameters()).device
    for image, instances, classes in samples:
        found = model.detect(image.to(device))
        truth = instances == torch.arange(1, int(instances.max()) + 1)[:, None, None]
        yield instance_scores(
            truth,
            found.pasted().cpu(),
            scores=found.scores,
            classes_true=classes,
            classes_pred=found.classes,
        )


def objects_by_an_oracle(segments: Tensor, instances: Tensor, classes: Tensor) -> InstanceScores:
    """Score segments (H, W) as if each were an object, its class that of the true object that it overlaps most.

    All of this is in their favor: the oracle knows the classes, it drops what overlaps the ground more than any object,
    and as there is no confidence it is the larger segment that goes first: pieces are small.
    """
    n = int(instances.max()) + 1
    counts = torch.bincount((segments * n + instances).flatten(), minlength=(int(segments.max()) + 1) * n).view(-1, n)
    own = counts.argmax(1)
    kept = own > 0
    found = torch.where(kept, kept.cumsum(0), 0)[segments]
    sizes = counts.sum(1)[kept]
    return instance_scores(instances, found, scores=sizes, classes_true=classes, classes_pred=classes[own[kept] - 1])


def evaluate_without_learning(learned: Sequence[Sample], held_out: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Score the connected segments of methods of chapters 02 to 08, named by an oracle, on the held-out samples.

    How many segments each method gives is chosen by AP on samples of the training.
    """

    def score(method: Any, samples: Sequence[Sample]) -> InstanceBenchmark:
        return instance_benchmark(
            objects_by_an_oracle(connected_components(method(image)), *truth) for image, *truth in samples
        )

    out = {}
    for options in zip(*(methods_with(n).items() for n in _TRIED), strict=True):
        name, method = max(options, key=lambda option: score(option[1], learned).mean_ap)
        out[name] = {key: round(value, 4) for key, value in _named(score(method, held_out)).items()}
    return out


def _named(result: InstanceBenchmark) -> dict[str, float]:
    return {"AP": result.mean_ap, "AP50": result.at(0.5), "AP75": result.at(0.75)}


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train on 320 pictures, about half an hour on one core; score on 100 others."""
    data = [to_sample(make_scene(number)) for number in range(N_TRAIN)]
    held_out = [to_sample(make_scene(100_000 + number)) for number in range(N_HELD_OUT)]
    training = Training(
        epochs=epochs or EPOCHS, batch_size=8, lr=2e-3, schedule="cosine", seed=seed, precision=precision
    )
    checkpoint = Path(out) / f"{NAME}.pt"
    state = training.fit(
        make_model(seed), loss, data, augment=turn, device=device, checkpoint=checkpoint, on_interrupt="raise"
    )
    scores = _named(evaluate(state.model.to(device), held_out))
    bar: dict[str, Any] = {"unsupervised, with an oracle": evaluate_without_learning(data[:20], held_out)}
    save_weights(
        state.model,
        Path(out) / NAME,
        command=command_line(NAME, epochs=training.epochs, device=device, seed=seed, precision=precision),
        training=training.code(),
        data=f"{N_TRAIN} generated scenes of 64×64, seeds from 0; scores on {N_HELD_OUT} others, seeds from 100000",
        seed=seed,
        device=str(device),
        seconds=round(state.seconds),
        scores=scores,
        **bar,
    )
    return scores
