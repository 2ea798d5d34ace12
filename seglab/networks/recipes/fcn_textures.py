"""A small classifier of textures, and FCN-32s, 16s and 8s on it that label mosaics (all generated)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.datasets import TEXTURES, mosaic
from seglab.networks.fcn import FCN
from seglab.networks.recipes import command_line
from seglab.networks.recipes._fcn import train_finer_and_finer
from seglab.networks.recipes._oracle import by_two_oracles
from seglab.networks.squeezenet import normalize
from seglab.networks.texturenet import TextureNet
from seglab.networks.training import Precision, Training
from seglab.networks.weights import save_weights

__all__ = ["mosaics", "train", "windows"]

_EPOCHS = {32: 6, 16: 6, 8: 14}
_TEST = 1_000_000  # seeds from here on are of pictures that training does not see


def windows(n: int, first: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Make n windows of one texture each, 91×91, as the classifier takes them, with their class."""
    scenes = (mosaic(height=91, width=91, n_regions=1, seed=first + i) for i in range(n))
    return [(normalize(scene.image[None])[0], scene.semantic[0, 0]) for scene in scenes]


def mosaics(n: int, first: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Make n mosaics of 96×128 pixels and the texture of each pixel."""
    scenes = (mosaic(height=96, width=128, n_regions=3 + i % 4, seed=first + i) for i in range(n))
    return [(scene.image, scene.semantic) for scene in scenes]


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save and score; see `seglab.networks.recipes`."""
    about = {
        "command": command_line("fcn_textures", epochs=epochs, device=device, seed=seed, precision=precision),
        "data": "generated (seglab.datasets.mosaic)",
    }
    classifier_training = Training(
        epochs=epochs or 10, batch_size=16, lr=3e-3, schedule="poly", seed=seed, precision=precision
    )
    classifier, accuracy = _classifier(out, classifier_training, device, about)
    test = mosaics(100, _TEST)
    features: Any = classifier.dense()[:-1]
    results = train_finer_and_finer(
        "fcn_textures",
        FCN(features, len(TEXTURES), stride=32, dropout=0.2),
        {stride: epochs or n for stride, n in _EPOCHS.items()},
        Training(batch_size=8, lr=2e-3, schedule="poly", seed=seed, precision=precision),
        mosaics(240),
        mosaics(30, _TEST - 30),
        test,
        out=out,
        device=device,
        augment=None,
        class_names=TEXTURES,
        about={**about, "seed": seed, **by_two_oracles(test, out / "fcn_textures", len(TEXTURES))},
    )
    return {"classifier accuracy": accuracy, **results}


def _classifier(out: Path, training: Training, device: str, about: dict[str, str]) -> tuple[TextureNet, float]:
    data, test = windows(1000), windows(400, _TEST)

    def loss(model: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    state = training.fit(
        TextureNet(seed=training.seed),
        loss,
        data,
        device=device,
        checkpoint=out / "texture_classifier.pt",
        on_interrupt="raise",
    )
    model: Any = state.model
    with torch.inference_mode():
        found = torch.cat([model(x[None].to(device)).argmax(1).cpu() for x, _ in test])
    accuracy = float((found == torch.stack([y for _, y in test])).double().mean())
    record: dict[str, Any] = {**about, "training": training.code(), "epochs": training.epochs, "seed": training.seed}
    record["device"] = device
    scores = {"accuracy": round(accuracy, 4)}
    save_weights(model, out / "texture_classifier", **record, seconds=round(state.seconds), scores=scores)
    return model, accuracy
