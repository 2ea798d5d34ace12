"""U-Net on generated tissue, as in the paper: unpadded, border weights, elastic deformation.

A narrow network, two levels deep, learns which pixels of 32 generated pictures are membrane; it is trained a second
time without border weights, to see what they are good for. Thresholds are chosen on pictures of the training, scores
are of 12 others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from seglab.datasets import tissue
from seglab.methods import Felzenszwalb
from seglab.metrics.membrane import MembraneScores, mean_scores, membrane_scores, membrane_sweep
from seglab.networks.elastic import center_window, elastic, flip_or_turn, window
from seglab.networks.recipes import command_line
from seglab.networks.training import Precision, Training
from seglab.networks.unet import UNet, border_weights, predict_tiled
from seglab.networks.weights import save_weights
from seglab.segmenter import Segmenter

__all__ = [
    "Pairs",
    "augment",
    "evaluate",
    "membrane_probability",
    "network",
    "pictures",
    "sample",
    "train",
    "unsupervised",
    "weighted_cross_entropy",
]

EPOCHS = 20
PATCH = 132  # scores of 92×92
THRESHOLDS = tuple(k / 20 for k in range(1, 20))
Pairs = Sequence[tuple[Tensor, Tensor]]


def network(seed: int = 0) -> UNet:
    """The network whose weights are trained here."""
    return UNet(width=16, depth=2, dropout=0.0, seed=seed)


def pictures(seeds: Iterable[int]) -> list[tuple[Tensor, Tensor]]:
    """Generated pictures (1, 200, 200) with their cells (200, 200)."""
    scenes = [tissue(height=200, width=200, seed=seed) for seed in seeds]
    return [(scene.image, scene.instances) for scene in scenes]


def train(
    out: Path, *, epochs: int | None = None, device: str = "cpu", seed: int = 0, precision: Precision = "float32"
) -> dict[str, float]:
    """Train, save weights and scores in a folder, and return the scores on the held-out pictures."""
    training = Training(
        epochs=epochs or EPOCHS, batch_size=8, lr=2e-3, schedule="cosine", seed=seed, precision=precision
    )
    learned, held_out = pictures(range(32)), pictures(range(1000, 1012))
    scores, states = {}, {}
    for name, weigh in (("unet_cells", True), ("unet_cells_even", False)):
        state = states[name] = training.fit(
            network(seed),
            weighted_cross_entropy,
            [sample(image, cells, weigh=weigh) for image, cells in learned] * 3,
            augment=partial(augment, patch=PATCH, margin=33),
            device=device,
            checkpoint=out / f"{name}.pt",
            on_interrupt="raise",
        )
        predict = partial(membrane_probability, state.model.to(device))
        scores[name] = evaluate(predict, learned[:8], held_out)
        scores[f"{name} at 0.5"] = evaluate(predict, learned[:8], held_out, (0.5,))
    save_weights(
        states["unet_cells"].model,
        out / "unet_cells",
        command=command_line("unet_cells", epochs=training.epochs, device=device, seed=seed, precision=precision),
        data="seglab.datasets.tissue(height=200, width=200), seeds 0 to 31; held out: 1000 to 1011",
        training=training.code(),
        seed=seed,
        device=device,
        seconds=round(states["unet_cells"].seconds),
        scores=scores["unet_cells"],
        scores_at_one_half=scores["unet_cells at 0.5"],
        without_border_weights=scores["unet_cells_even"],
        without_border_weights_at_one_half=scores["unet_cells_even at 0.5"],
        unsupervised=unsupervised(learned[:8], held_out),
    )
    return scores["unet_cells"]


# --- what a sample is, and the loss -----------------------------------------------------------------------------------


def sample(image: Tensor, cells: Tensor, *, weigh: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Picture (1, H, W), classes (H, W) with 1 on a membrane, weights (H, W): border weights, or 1 everywhere."""
    return image, (cells == 0).long(), border_weights(cells) if weigh else torch.ones(cells.shape)


def augment(
    sample: tuple[Tensor, ...], generator: torch.Generator, *, patch: int, margin: int = 32
) -> tuple[Tensor, ...]:
    """A patch of the picture, bent with a margin around it, turned and relit."""
    bent = elastic(window(sample, patch + margin, generator), generator)
    image, *others = (center_window(values, patch, patch) for values in flip_or_turn(bent, generator))
    contrast, light = torch.rand(2, generator=generator).sub(0.5).tolist()
    return ((1 + 0.5 * contrast) * (image - 0.5) + 0.5 + 0.2 * light, *others)


def weighted_cross_entropy(model: Any, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The mean over pixels of w · −log p(true class); a network without padding answers for the middle only."""
    image, classes, weights = batch
    scores = model(image)
    size = scores.shape[-2:]
    loss = F.cross_entropy(scores, center_window(classes, *size), reduction="none")
    return (center_window(weights, *size) * loss).mean()


# --- prediction and scores --------------------------------------------------------------------------------------------


def membrane_probability(model: Any, image: Tensor, *, turned: bool = False) -> Tensor:
    """How likely each pixel (H, W) of a picture (1, H, W) is membrane, on the CPU; by its eight views if `turned`."""
    device = next(model.parameters()).device
    return predict_tiled(model, image[None].to(device), tile=640, turned=turned).softmax(1)[0, 1].cpu()


def evaluate(
    predict: Callable[[Tensor], Tensor],
    others: Pairs,
    held_out: Pairs,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    thin: bool = True,
    for_pixels: bool = False,
) -> dict[str, float]:
    """Scores on held-out pictures, at the threshold that is best on the others, and at their own best.

    Best is the largest Rand score, or the least pixel error if `for_pixels`.
    """
    sweep = _sweep(predict, others, thresholds, thin)
    chosen = min(sweep, key=lambda scores: scores.pixel_error) if for_pixels else _best(sweep)
    sweep = _sweep(predict, held_out, thresholds, thin)
    at = next(scores for scores in sweep if scores.threshold == chosen.threshold)
    best = {
        "best_rand": max(scores.rand for scores in sweep),
        "best_information": max(scores.information for scores in sweep),
        "least_pixel_error": min(scores.pixel_error for scores in sweep),
        "rand_where_chosen": chosen.rand,
    }
    return {name: round(float(value), 4) for name, value in {**asdict(at), **best}.items()}


def unsupervised(others: Pairs, held_out: Pairs) -> dict[str, dict[str, float]]:
    """The scores of methods that learn nothing on the held-out pictures; what there is to choose is, on the others."""
    out: dict[str, dict[str, float]] = {}
    for around, name in ((0, "threshold of the smoothed picture"), (16, "threshold, less the mean around")):
        tried = {sigma: partial(_darkness, sigma=sigma, around=around) for sigma in (1.0, 1.5, 2.0, 3.0, 4.0)}
        levels = [k / 100 for k in range(30, 71, 2)]
        best = max(tried, key=lambda sigma: _best(_sweep(tried[sigma], others, levels)).rand)
        out[name] = {"sigma": best, **evaluate(tried[best], others, held_out, levels)}
    graphs = [Felzenszwalb(scale=k, sigma=sigma, min_size=200) for k in (30, 100, 300) for sigma in (1.0, 2.0, 3.0)]
    graph = max(graphs, key=lambda method: _of_segments(method, others).rand)
    scores = asdict(_of_segments(graph, held_out))
    name = f"Felzenszwalb, scale {graph.scale:g}, sigma {graph.sigma:g}"
    out[name] = {key: round(value, 4) for key, value in scores.items() if value is not None}
    return out


def _darkness(image: Tensor, *, sigma: float, around: float) -> Tensor:
    gray = image[0].numpy()
    base = gaussian_filter(gray, around) if around else 0.5
    return torch.from_numpy(0.5 + base - gaussian_filter(gray, sigma))


def _of_segments(method: Segmenter, pairs: Pairs) -> MembraneScores:
    return mean_scores([membrane_scores(cells, method.segment(image).labels + 1) for image, cells in pairs])


def _sweep(
    predict: Callable[[Tensor], Tensor], pairs: Pairs, thresholds: Sequence[float], thin: bool = True
) -> list[MembraneScores]:
    return membrane_sweep([cells for _, cells in pairs], [predict(image) for image, _ in pairs], thresholds, thin=thin)


def _best(sweep: list[MembraneScores]) -> MembraneScores:
    return max(sweep, key=lambda scores: scores.rand)
