"""FCN-4s on SqueezeNet, fine-tuned on street scenes (CamVid, eleven classes).

Pictures at full size, and many epochs at stride 4: both help on the split `val`. There was no clear gain from weighting
the classes, nor from training the first two stages too, which stay frozen; the weights' record has the numbers.
"""

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

_EPOCHS = {8: 10, 4: 24}


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save and score at full size; see `seglab.networks.recipes`. About half an hour on one core."""
    pairs = {split: [(s.image, s.labels) for s in CamVid(split)] for split in ("train", "val", "test")}
    n_classes = len(CamVid.class_names)
    return train_finer_and_finer(
        "fcn_camvid",
        FCN(load_squeezenet().features, n_classes, stride=32).freeze(2),
        {stride: epochs or n for stride, n in _EPOCHS.items()},
        Training(batch_size=8, lr=3e-4, schedule="poly", seed=seed, precision=precision),
        pairs["train"],
        pairs["val"][::10],
        pairs["test"],
        out=out,
        device=device,
        augment=chain(
            partial(random_scale, low=0.9, high=1.3),
            partial(random_crop, size=(224, 288)),
            random_flip,
            random_brightness,
        ),
        class_names=CamVid.class_names,
        save=(4,),
        about={
            "command": command_line("fcn_camvid", epochs=epochs, device=device, seed=seed, precision=precision),
            "data": "CamVid: 367 scenes of 360×480 pixels to train, 233 others (split test) for the scores",
            "backbone": "SqueezeNet v1.0; the weights of stages 0 and 1 are its own and are not in the file",
            "seed": seed,
            "unsupervised at half size, with an oracle": unsupervised(
                [half_size(image, labels) for image, labels in pairs["test"]],
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
