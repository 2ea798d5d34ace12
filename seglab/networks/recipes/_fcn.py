"""What the recipes of fully convolutional networks share: FCN-32s, then 16s from it, then 8s from that; scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglab.metrics.semantic import class_iou, confusion, mean_iou, pixel_accuracy
from seglab.networks.fcn import FCN, pixel_loss
from seglab.networks.training import Training
from seglab.networks.weights import save_weights

__all__ = ["measure", "train_finer_and_finer"]

Pairs = Sequence[tuple[Tensor, Tensor]]


@torch.inference_mode()
def measure(model: FCN, pairs: Pairs, class_names: Sequence[str]) -> dict[str, float]:
    """Score predictions of whole pictures of any size; a data set's score is that of all its pixels together.

    Parameters
    ----------
    model
        In evaluation mode.
    pairs
        Pictures (3, H, W) and labels (H, W).
    class_names
        For the single classes' IoU.
    """
    n = len(class_names)
    total = torch.zeros(n, n, dtype=torch.int64)
    device = next(model.parameters()).device
    for image, labels in pairs:
        scores = model(image[None].to(device))
        total += confusion(labels, scores[0].argmax(0).cpu(), n_classes=n)
    each = {f"IoU {name}": float(value) for name, value in zip(class_names, class_iou(total), strict=True)}
    return {"mean IoU": mean_iou(total), "pixel accuracy": pixel_accuracy(total), **each}


def train_finer_and_finer(
    name: str,
    model: FCN,
    epochs: Mapping[int, int],
    training: Training,
    train: Pairs,
    held_out: Pairs,
    test: Pairs,
    *,
    out: Path,
    device: str,
    augment: Callable[[Any, torch.Generator], Any] | None,
    class_names: Sequence[str],
    about: Mapping[str, Any],
    save: Sequence[int] = (32, 16, 8),
) -> dict[str, float]:
    """Train an FCN of one stride after another, each from the weights of the one before; save it with its scores.

    Parameters
    ----------
    name
        Of the weights, ``NAME_8s``.
    model
        FCN-32s, untrained. What is frozen in it stays so, and is not saved.
    epochs
        Of each stride, in the order of training.
    training
        All but the epochs.
    train, held_out, test
        Pictures and labels; batches are made of the first two, so these must have one size (after `augment`).
    augment, out, device
        As for `Training.steps` and recipes.
    class_names
        As for `measure`.
    about
        What the weights' record says of data and command.
    save
        The strides whose weights are saved.
    """
    results: dict[str, float] = {}
    for stride, n in epochs.items():
        while model.stride > stride:
            model = model.finer()
        channels_last: Any = {"memory_format": torch.channels_last}  # up to 1.8 times as fast on a CPU
        model = model.to(**channels_last)
        file = out / f"{name}_{stride}s.pt"
        options: dict[str, Any] = {"augment": augment, "device": device, "checkpoint": file, "on_interrupt": "raise"}
        state = replace(training, epochs=n).fit(model, pixel_loss, train, held_out, **options)
        frozen = {key for key, p in model.named_parameters() if not p.requires_grad}
        trained: Any = state.model
        model = trained
        for key, p in model.named_parameters():
            p.requires_grad_(key not in frozen)
        scores = measure(model, test, class_names)
        results |= {f"FCN-{stride}s {what}": value for what, value in scores.items()}
        if stride in save:
            record = {**about, "training": training.code(), "epochs": n, "device": device}
            record |= {"seconds": round(state.seconds), "scores": {key: round(x, 4) for key, x in scores.items()}}
            save_weights(model, out / f"{name}_{stride}s", only=_outside(frozen), **record)
    return results


def _outside(names: set[str]) -> Callable[[str], bool]:
    return lambda name: name not in names
