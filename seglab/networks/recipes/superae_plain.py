"""SuperAE without the term that evens superpixels out: the plain autoencoder that ablations compare it with."""

from __future__ import annotations

from pathlib import Path

from seglab.networks.recipes import superae

__all__ = ["train"]


def train(out: Path, *, epochs: int | None, device: str, seed: int) -> dict[str, float]:
    """Train as `seglab.networks.recipes.superae` does, with λ = 0."""
    return superae.train(out, epochs=epochs, device=device, seed=seed, variance_weight=0.0, name="superae_plain")
