"""FCN-4s on SqueezeNet, fine-tuned on street scenes (CamVid, eleven classes, at half size)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from seglab.datasets import CamVid
from seglab.networks.augment import chain, random_brightness, random_crop, random_flip, random_scale
from seglab.networks.fcn import FCN
from seglab.networks.recipes import command_line
from seglab.networks.recipes._fcn import train_finer_and_finer
from seglab.networks.recipes._oracle import METHODS_FOR_SCENES, named_by_an_oracle
from seglab.networks.recipes._oracle import table as unsupervised
from seglab.networks.squeezenet import load_squeezenet
from seglab.networks.training import Precision, Training

__all__ = ["half_size", "train"]

_EPOCHS = {8: 8, 4: 4}


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save and score at full size; see `seglab.networks.recipes`. A few minutes on one core."""
    pairs = {split: [(s.image, s.labels) for s in CamVid(split)] for split in ("train", "val", "test")}
    half = {split: [half_size(image, labels) for image, labels in pairs[split]] for split in pairs}
    n_classes = len(CamVid.class_names)
    return train_finer_and_finer(
        "fcn_camvid",
        FCN(load_squeezenet().features, n_classes, stride=32).freeze(2),
        {stride: epochs or n for stride, n in _EPOCHS.items()},
        Training(batch_size=8, lr=3e-4, schedule="poly", seed=seed, precision=precision),
        half["train"],
        half["val"][::5],
        [(small, labels) for (small, _), (_, labels) in zip(half["test"], pairs["test"], strict=True)],
        out=out,
        device=device,
        augment=chain(
            partial(random_scale, low=1.0, high=1.3),
            partial(random_crop, size=(176, 224)),
            random_flip,
            random_brightness,
        ),
        class_names=CamVid.class_names,
        enlarge=2,
        save=(4,),
        about={
            "command": command_line("fcn_camvid", epochs=epochs, device=device, seed=seed, precision=precision),
            "data": "CamVid: 367 scenes at half size to train; scores on 233 others (split test) at full size, 360×480",
            "backbone": "SqueezeNet v1.0; the weights of stages 0 and 1 are its own and are not in the file",
            "seed": seed,
            "unsupervised at half size, with an oracle": unsupervised(
                half["test"],
                out / "fcn_camvid_unsupervised.json",
                METHODS_FOR_SCENES,
                partial(named_by_an_oracle, n_classes=n_classes),
            ),
        },
    )


def half_size(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The picture reduced by averaging, and every second label of every second row."""
    small = F.interpolate(image[None], [n // 2 for n in labels.shape], mode="bilinear", antialias=True)
    return small[0].clamp(0, 1), labels[::2, ::2]
