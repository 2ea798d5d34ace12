"""The autoencoder that smooths pictures within superpixels, on BSDS500's train split: about ten minutes on one core."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglab.datasets import BSDS500, DatasetNotFoundError, photo, photos
from seglab.methods import SLIC
from seglab.networks.recipes import command_line
from seglab.networks.superae import SuperAE, training_loss
from seglab.networks.training import Precision, Training
from seglab.networks.weights import save_weights
from seglab.segmenter import generator

__all__ = ["samples", "train"]

SIDE = 64  # pixels of a crop
EPOCHS = 8
AREA = 400  # pixels of a superpixel


def train(
    out: Path,
    *,
    epochs: int | None = None,
    device: str = "cpu",
    seed: int = 0,
    precision: Precision = "float32",
    variance_weight: float = 1.0,
    name: str = "superae",
) -> dict[str, float]:
    """Train on the train split, hold out every tenth picture of the validation split; see `seglab.networks.recipes`.

    Without the data set, the bundled photographs serve. ``variance_weight`` is λ.
    """
    out, began = Path(out), time.perf_counter()
    try:
        data = "BSDS500 train; held out: every tenth picture of val"
        pictures = [item.image for item in BSDS500("train")]
        held_out = [item.image for item in BSDS500("val")[::10]]
    except DatasetNotFoundError:
        names = photos(color=True)
        data = f"bundled photographs; held out: {names[0]}"
        pictures, held_out = ([photo(n, max_side=481) for n in part] for part in (names[1:], names[:1]))
    training = Training(
        epochs=epochs or EPOCHS, batch_size=8, lr=2e-3, schedule="cosine", seed=seed, precision=precision
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SuperAE()
    out.mkdir(parents=True, exist_ok=True)
    state = training.fit(
        model,
        training_loss(variance_weight),
        samples(pictures),
        [_crop(sample, generator(seed + i)) for i, sample in enumerate(samples(held_out))],
        augment=_augment,
        device=device,
        checkpoint=out / f"{name}.pt",
        on_interrupt="raise",
    )
    scores = {key: value for key, value in state.history[-1].items() if key.startswith("held_out_loss")}
    save_weights(
        state.model,
        out / name,
        command=command_line(name, epochs=training.epochs, device=str(device), seed=seed, precision=precision),
        data=data,
        seed=seed,
        device=str(device),
        variance_weight=variance_weight,
        training=training.code(),
        seconds=round(time.perf_counter() - began),
        scores=scores,
    )
    return scores


def samples(pictures: list[Tensor]) -> list[dict[str, Tensor]]:
    """Pictures (3, H, W) with their superpixels (H, W), of about 20×20 pixels."""
    return [
        {"image": x, "superpixels": SLIC(n_segments=max(1, x[0].numel() // AREA)).segment(x).labels} for x in pictures
    ]


def _augment(sample: dict[str, Tensor], draw: torch.Generator) -> dict[str, Tensor]:
    crop = _crop(sample, draw)
    if int(torch.randint(2, (), generator=draw)):
        crop = {key: value.flip(-1) for key, value in crop.items()}
    return crop


def _crop(sample: dict[str, Tensor], draw: torch.Generator) -> dict[str, Tensor]:
    height, width = sample["superpixels"].shape
    places: list[Any] = []
    for size in (height, width):
        start = int(torch.randint(max(size - SIDE, 0) + 1, (), generator=draw))
        places.append(slice(start, start + SIDE))
    return {key: value[..., places[0], places[1]] for key, value in sample.items()}
