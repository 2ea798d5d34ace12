"""FCN-4s on SqueezeNet, fine-tuned on street scenes (CamVid, eleven classes)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from seglab.datasets import CamVid
from seglab.networks.augment import chain, random_brightness, random_crop, random_flip, random_scale
from seglab.networks.fcn import FCN
from seglab.networks.recipes._fcn import train_finer_and_finer
from seglab.networks.recipes._oracle import METHODS_FOR_SCENES, named_by_an_oracle
from seglab.networks.recipes._oracle import table as unsupervised
from seglab.networks.squeezenet import load_squeezenet
from seglab.networks.training import Training
from seglab.segmenter import generator

__all__ = ["train"]

_EPOCHS = {8: 9, 4: 6}
_CUT = 240, 320


def train(out: Path, *, epochs: int | None, device: str, seed: int) -> dict[str, float]:
    """Train, save and score at full size; see `seglab.networks.recipes`. A quarter of an hour on one core."""
    pairs = {split: [(s.image, s.labels) for s in CamVid(split)] for split in ("train", "val", "test")}  # type: ignore[arg-type]
    cut = partial(random_crop, size=_CUT)
    n_classes = len(CamVid.class_names)
    return train_finer_and_finer(
        "fcn_camvid",
        FCN(load_squeezenet().features, n_classes, stride=32).freeze(2),
        {stride: epochs or n for stride, n in _EPOCHS.items()},
        Training(batch_size=8, lr=3e-4, schedule="poly", seed=seed),
        pairs["train"],
        [cut(pair, generator(i)) for i, pair in enumerate(pairs["val"][::5])],
        pairs["test"],
        out=out,
        device=device,
        augment=chain(partial(random_scale, low=0.7, high=1.3), cut, random_flip, random_brightness),
        class_names=CamVid.class_names,
        save=(4,),
        about={
            "command": f"seglab train fcn_camvid --seed {seed}",
            "data": "CamVid: 367 scenes to train, 233 others (split test) for the scores, 360×480 pixels",
            "backbone": "SqueezeNet v1.0; the weights of stages 0 and 1 are its own and are not in the file",
            "seed": seed,
            "unsupervised at half size, with an oracle": unsupervised(
                [_half(pair) for pair in pairs["test"]],
                out / "fcn_camvid_unsupervised.json",
                METHODS_FOR_SCENES,
                partial(named_by_an_oracle, n_classes=n_classes),
            ),
        },
    )


def _half(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """At half size these methods do no worse, and are five times as fast."""
    image, labels = pair
    small = F.interpolate(image[None], [n // 2 for n in labels.shape], mode="bilinear", antialias=True)
    return small[0].clamp(0, 1), labels[::2, ::2]
