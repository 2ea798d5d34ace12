"""U-Net on the membranes of the ISBI 2012 challenge: 20 slices to learn from, 4 to choose by, 6 held out.

The padded form with normalization, narrow and three levels deep, learns on patches that are bent, turned and relit anew
each time. When to stop and the thresholds are chosen on the four; scores are of the held-out ones. Beside them stand
methods that learn nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglab.datasets import Membrane
from seglab.networks.recipes import command_line
from seglab.networks.recipes.unet_cells import (
    Pairs,
    augment,
    evaluate,
    membrane_probability,
    sample,
    unsupervised,
    weighted_cross_entropy,
)
from seglab.networks.training import Precision, Training
from seglab.networks.unet import UNet
from seglab.networks.weights import save_weights

__all__ = ["network", "quarters", "train"]

EPOCHS = 40
THRESHOLDS = (0.01, 0.02, 0.03, *(k / 20 for k in range(1, 20)))
PATIENCE = 10  # epochs without a smaller loss on the slices to choose by
PATCH = 192


def network(seed: int = 0) -> UNet:
    """The network whose weights are trained here: 0.5 million, 1 MB as float16."""
    return UNet(width=16, depth=3, padded=True, batch_norm=True, dropout=0.0, seed=seed)


def quarters(pairs: Pairs) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Samples of the four quarters of each slice (1, 512, 512): whole slices would take much memory at once."""
    windows = [(slice(None), slice(row, row + 256), slice(col, col + 256)) for row in (0, 256) for col in (0, 256)]
    return [sample(image[place], cells[place[1:]], weigh=False) for image, cells in pairs for place in windows]


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save weights and scores in a folder, and return the scores on the six held-out slices."""
    training = Training(
        epochs=epochs or EPOCHS,
        batch_size=4,
        lr=2e-3,
        schedule="cosine",
        patience=PATIENCE,
        seed=seed,
        precision=precision,
    )
    slices = {split: [(one.image, one.cells) for one in Membrane(split)] for split in ("train", "val", "test")}
    channels_last: Any = {"memory_format": torch.channels_last}  # faster on a CPU
    state = training.fit(
        network(seed).to(**channels_last),
        weighted_cross_entropy,
        [sample(image, cells, weigh=False) for image, cells in slices["train"]] * 3,  # three patches of each an epoch
        quarters(slices["val"]),
        augment=partial(augment, patch=PATCH, margin=64),
        device=device,
        checkpoint=out / "unet_membrane.pt",
        on_interrupt="raise",
    )
    model = state.model.to(device).half().float()  # as it is saved: without thinning, a pixel can join two cells
    scores = _every_score(model, slices)
    save_weights(
        model,
        out / "unet_membrane",
        command=command_line("unet_membrane", epochs=training.epochs, device=device, seed=seed, precision=precision),
        data="ISBI 2012 membranes, slices 0 to 19; chosen by 20 to 23; scores on 24 to 29",
        training=training.code(),
        seed=seed,
        device=device,
        seconds=round(state.seconds),
        best_epoch=state.epoch,
        loss=[round(record["loss"], 4) for record in state.history],
        held_out_loss=[round(record["held_out_loss"], 4) for record in state.history],
        **scores,
    )
    return scores["scores"]


def _every_score(model: Any, slices: Mapping[str, Pairs]) -> dict[str, Any]:
    """Scores on the test, thresholds chosen on the split `val`; a slice is predicted once, and once by eight views."""
    one, eight = (cache(partial(membrane_probability, model, turned=turned)) for turned in (False, True))
    chosen = slices["val"], slices["test"], THRESHOLDS
    return {
        "scores": evaluate(one, *chosen),
        "scores_threshold_of_training": evaluate(one, slices["train"][::5], *chosen[1:]),
        "scores_for_pixels": evaluate(one, *chosen, for_pixels=True),
        "scores_unthinned": evaluate(one, *chosen, thin=False),
        "scores_by_eight_views": evaluate(eight, *chosen),
        "scores_by_eight_views_unthinned": evaluate(eight, *chosen, thin=False),
        "unsupervised": unsupervised(*chosen[:2]),
    }
