"""SuperAE without the term that evens superpixels out: the plain autoencoder that ablations compare it with."""

from __future__ import annotations

from pathlib import Path

from seglab.networks.recipes import superae
from seglab.networks.training import Precision

__all__ = ["train"]


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train as `seglab.networks.recipes.superae` does, with λ = 0."""
    return superae.train(
        out, epochs=epochs, device=device, seed=seed, precision=precision, variance_weight=0.0, name="superae_plain"
    )
