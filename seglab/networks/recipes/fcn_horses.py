"""FCN-32s, 16s and 8s on SqueezeNet, fine-tuned to find horses (200 photographs to train, 100 held out)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from seglab.datasets import WeizmannHorses
from seglab.networks.augment import chain, random_brightness, random_crop, random_flip, random_scale
from seglab.networks.fcn import FCN
from seglab.networks.recipes import command_line
from seglab.networks.recipes._fcn import train_finer_and_finer
from seglab.networks.recipes._oracle import table as unsupervised
from seglab.networks.squeezenet import load_squeezenet
from seglab.networks.training import Precision, Training
from seglab.segmenter import generator

__all__ = ["train"]

_EPOCHS = {32: 6, 16: 4, 8: 6}


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save and score; see `seglab.networks.recipes`. What is before the first skip stays SqueezeNet's."""
    pairs = {split: [(h.image, h.labels) for h in WeizmannHorses(split)] for split in ("train", "val", "test")}
    cut = partial(random_crop, size=(160, 160))
    return train_finer_and_finer(
        "fcn_horses",
        FCN(load_squeezenet().features, 2, stride=32).freeze(2),
        {stride: epochs or n for stride, n in _EPOCHS.items()},
        Training(batch_size=8, lr=1e-4, schedule="poly", seed=seed, precision=precision),
        pairs["train"],
        [cut(pair, generator(i)) for i, pair in enumerate(pairs["val"])],
        pairs["test"],
        out=out,
        device=device,
        augment=chain(partial(random_scale, low=0.6, high=1.2), cut, random_flip, random_brightness),
        class_names=("ground", "horse"),
        about={
            "command": command_line("fcn_horses", epochs=epochs, device=device, seed=seed, precision=precision),
            "data": "Weizmann horses: 200 photographs to train, 100 others (split test) for the scores",
            "backbone": "SqueezeNet v1.0; the weights of stages 0 and 1 are its own and are not in the file",
            "seed": seed,
            "unsupervised, with an oracle": unsupervised(pairs["test"], out / "fcn_horses_unsupervised.json"),
        },
    )
