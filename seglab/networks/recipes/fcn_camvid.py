"""FCN-8s on SqueezeNet, fine-tuned on street scenes (CamVid, eleven classes, at half size)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from seglab.datasets import CamVid
from seglab.networks.augment import chain, random_brightness, random_crop, random_flip, random_scale
from seglab.networks.fcn import FCN
from seglab.networks.recipes._fcn import train_finer_and_finer
from seglab.networks.squeezenet import load_squeezenet
from seglab.networks.training import Training

__all__ = ["train"]

_EPOCHS = {32: 4, 16: 4, 8: 14}


def train(out: Path, *, epochs: int | None, device: str, seed: int) -> dict[str, float]:
    """Train, save and score at full size; see `seglab.networks.recipes`."""
    train, val = (_half(split) for split in ("train", "val"))
    test = [(small, scene.labels) for (small, _), scene in zip(_half("test"), CamVid("test"), strict=True)]
    cut = partial(random_crop, size=(176, 224))
    return train_finer_and_finer(
        "fcn_camvid",
        FCN(load_squeezenet().features, len(CamVid.class_names), stride=32).freeze(2),
        {stride: epochs or n for stride, n in _EPOCHS.items()},
        Training(batch_size=8, lr=2e-4, schedule="poly", seed=seed),
        train,
        val[::4],
        test,
        out=out,
        device=device,
        augment=chain(partial(random_scale, low=1.0, high=1.3), cut, random_flip, random_brightness),
        class_names=CamVid.class_names,
        enlarge=2,
        save=(8,),
        about={
            "command": f"seglab train fcn_camvid --seed {seed}",
            "data": "CamVid, 367 scenes at half size to train; scores on the 233 test scenes at full size",
            "backbone": "SqueezeNet v1.0; the weights of stages 0 and 1 are its own and are not in the file",
            "seed": seed,
        },
    )


def _half(split: str) -> list[tuple[Tensor, Tensor]]:
    pairs = []
    for scene in CamVid(split):  # type: ignore[arg-type]
        size = [side // 2 for side in scene.labels.shape]
        small = F.interpolate(scene.image[None], size, mode="bilinear", align_corners=False, antialias=True)
        pairs.append((small[0].clamp(0, 1), scene.labels[::2, ::2]))
    return pairs
