"""U-Net on the membranes of the ISBI 2012 challenge: 24 slices to learn from, 6 held out.

The padded form with normalization, narrow and three levels deep, learns on patches that are bent, turned and relit anew
each time. Thresholds are chosen on slices of the training; scores are of the held-out ones. Beside them stand
methods that learn nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from seglab.datasets import Membrane
from seglab.networks.recipes import command_line
from seglab.networks.recipes.unet_cells import (
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

__all__ = ["network", "train"]

EPOCHS = 40
PATCH = 192


def network(seed: int = 0) -> UNet:
    """The network whose weights are trained here: 0.5 million, 1 MB as float16."""
    return UNet(width=16, depth=3, padded=True, batch_norm=True, dropout=0.0, seed=seed)


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save weights and scores in a folder, and return the scores on the six held-out slices."""
    training = Training(
        epochs=epochs or EPOCHS, batch_size=4, lr=2e-3, schedule="cosine", seed=seed, precision=precision
    )
    learned, held_out = ([(one.image, one.cells) for one in Membrane(split)] for split in ("train", "test"))
    state = training.fit(
        network(seed),
        weighted_cross_entropy,
        [sample(image, cells, weigh=False) for image, cells in learned] * 3,  # three patches of each in an epoch
        augment=partial(augment, patch=PATCH, margin=64),
        device=device,
        checkpoint=out / "unet_membrane.pt",
    )
    predict, some = partial(membrane_probability, state.model.to(device)), learned[::4]
    by_views = partial(predict, turned=True)
    scores = evaluate(predict, some, held_out)
    save_weights(
        state.model,
        out / "unet_membrane",
        command=command_line("unet_membrane", epochs=training.epochs, device=device, seed=seed, precision=precision),
        data="ISBI 2012 membranes, slices 0 to 23; held out: 24 to 29",
        training=training.code(),
        seed=seed,
        device=device,
        seconds=round(state.seconds),
        loss=[round(record["loss"], 4) for record in state.history],
        scores=scores,
        scores_unthinned=evaluate(predict, some, held_out, thin=False),
        scores_by_eight_views=evaluate(by_views, some, held_out),
        scores_by_eight_views_unthinned=evaluate(by_views, some, held_out, thin=False),
        unsupervised=unsupervised(some, held_out),
    )
    return scores
