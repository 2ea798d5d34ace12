"""Hourglasses with each inverse of pooling, with and without skips, on shapes and thin sticks; three seeds each.

All learn the same scenes: ground, solid shapes (squares, triangles, rings) and sticks two pixels thin, all textured.
What is saved is one file with a network of each kind, and beside it the scores, mean and spread over seeds:
intersection over union of all held-out pixels, of those in a band around boundaries, and of the sticks.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab.datasets import shapes
from seglab.metrics import boundary_band, class_iou, confusion, mean_iou
from seglab.networks.hourglass import Hourglass
from seglab.networks.recipes import command_line
from seglab.networks.recipes._oracle import by_two_oracles
from seglab.networks.segnet import median_frequency_weights
from seglab.networks.training import Precision, Training
from seglab.networks.weights import save_weights

__all__ = ["CLASSES", "KINDS", "flat_grid", "loss_of", "networks", "scenes", "scores_of", "train"]

CLASSES = ("ground", "shape", "stick")
KINDS: Mapping[str, Mapping[str, Any]] = {
    "nearest": {"unpool": "nearest"},
    "bilinear": {"unpool": "bilinear"},
    "nails": {"unpool": "nails"},
    "switches": {"unpool": "switches"},
    "transposed 3×3": {"unpool": "transposed", "kernel": 3},
    "transposed 4×4": {"unpool": "transposed", "kernel": 4},
    "nearest, skips": {"unpool": "nearest", "skips": True},
    "switches, skips": {"unpool": "switches", "skips": True},
}
"""The networks that are compared: what each `Hourglass` is given."""

BAND = 1  # pixels on each side of a boundary
SEEDS = 3
_TRAIN, _HELD_OUT = range(256), range(100_000, 100_096)  # seeds of scenes
EPOCHS = 12

Sample = tuple[Tensor, Tensor]


def scenes(seeds: Sequence[int], *, size: int = 40) -> list[Sample]:
    """Draw a scene for each seed: an image (3, size, size), and the class of each pixel (size, size).

    Examples
    --------
    >>> image, labels = scenes(range(1))[0]
    >>> image.shape, labels.unique().tolist()
    (torch.Size([3, 40, 40]), [0, 1, 2])
    """
    kinds = ("square", "triangle", "ring", "stick", "stick", "stick")  # sticks are small: let there be more of them
    table = torch.tensor([0, 1, 1, 1, 2, 2, 2])
    drawn = (
        shapes(height=size, width=size, n_shapes=4, size=(0.18, 0.3), noise=0.05, overlap=0.3, classes=kinds, seed=s)
        for s in seeds
    )
    return [(scene.image, table[scene.semantic]) for scene in drawn]


def networks(*, width: int = 8, seed: int = 0) -> nn.ModuleDict:
    """Make an untrained network of each kind; ``load_weights(networks(), "hourglass_shapes")`` has the trained ones."""
    return nn.ModuleDict({kind: Hourglass(3, len(CLASSES), width=width, seed=seed, **KINDS[kind]) for kind in KINDS})


def loss_of(samples: Sequence[Sample]) -> Any:
    """Cross-entropy, classes weighted by the root of `median_frequency_weights`: sticks are few pixels.

    The whole weights would find more sticks, and paint them wider than they are.
    """
    weights = median_frequency_weights((labels for _, labels in samples), len(CLASSES)).sqrt()

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1], weight=weights.to(batch[0].device))

    return loss


@torch.inference_mode()
def scores_of(model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
    """Score a network, in evaluation mode, on scenes: one confusion matrix of all pixels, one of those in the band."""
    device = next(model.parameters()).device
    images, labels = (torch.stack(part).to(device) for part in zip(*samples, strict=True))
    found = torch.cat([model(batch).argmax(1) for batch in images.split(32)])
    near = labels.where(boundary_band(labels, BAND), -1)
    all_pixels, band = (confusion(truth, found, n_classes=len(CLASSES)) for truth in (labels, near))
    stick = float(class_iou(all_pixels)[CLASSES.index("stick")])
    return {"mean IoU": mean_iou(all_pixels), "in the band": mean_iou(band), "stick": stick}


@torch.inference_mode()
def flat_grid(model: nn.Module) -> float:
    """How much of a grid the scores of an even gray picture show: their deviation in its middle, in units of a score.

    0 where all places are treated alike.
    """
    device = next(model.parameters()).device
    out = model(torch.full((1, 3, 128, 128), 0.5, device=device))[..., 48:80, 48:80]
    return float((out - out.mean((2, 3), keepdim=True)).square().mean().sqrt())


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train each kind from `SEEDS` seeds, save the first seed's networks, and return the mean IoU of each kind."""
    samples, held_out = scenes(_TRAIN), scenes(_HELD_OUT)
    kept, found = networks(seed=seed), {}
    seconds = 0.0
    for kind in KINDS:
        each = []
        for own in range(seed, seed + SEEDS):
            state = train_one(out, kind, _training(epochs, own, precision), samples, device=device)
            model = state.model.to(device)
            each.append({**scores_of(model, held_out), "grid": flat_grid(model)})
            seconds += state.seconds
            if own == seed:
                kept[kind].load_state_dict(state.weights)
        found[kind] = {name: _summary([scores[name] for scores in each]) for name in each[0]}
    save_weights(
        kept,
        out / "hourglass_shapes",
        command=command_line(
            "hourglass_shapes", epochs=epochs or EPOCHS, device=device, seed=seed, precision=precision
        ),
        training=_training(epochs, seed, precision).code(),
        data=f"generated scenes, 40×40: {len(_TRAIN)} to train, {len(_HELD_OUT)} held out",
        seed=seed,
        device=device,
        seconds=round(seconds, 1),
        scores=found,
        **by_two_oracles(held_out, out / "hourglass_shapes", len(CLASSES)),
    )
    return {f"mean IoU, {kind}": scores["mean IoU"]["mean"] for kind, scores in found.items()}


def train_one(out: Path, kind: str, training: Training, samples: Sequence[Sample], *, device: str = "cpu") -> Any:
    """Train one network, or go on from its checkpoint in ``out``; the last state."""
    model = Hourglass(3, len(CLASSES), width=8, seed=training.seed, **KINDS[kind])
    stem = kind.replace(" ", "_").replace(",", "").replace("×", "x")
    checkpoint = out / "hourglass_shapes" / f"{stem}_{training.seed}.pt"
    return training.fit(
        model, loss_of(samples), samples, device=device, checkpoint=checkpoint, progress=False, on_interrupt="raise"
    )


def _training(epochs: int | None, seed: int, precision: Precision) -> Training:
    return Training(epochs=epochs or EPOCHS, batch_size=16, lr=1e-2, schedule="cosine", seed=seed, precision=precision)


def _summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean and spread (standard deviation over seeds) of a score, and its values."""
    return {
        "mean": round(statistics.mean(values), 4),
        "spread": round(statistics.stdev(values), 4),
        "seeds": [round(value, 4) for value in values],
    }
