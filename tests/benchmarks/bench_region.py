"""Region measures of a pair of label maps, beside scikit-image's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skimage import filters, metrics, segmentation, transform
from torch import Tensor

from seglab.metrics import adapted_rand_error, contingency_table, variation_of_information

from . import PHOTO, Row, benchmark, picture


def maps(image: Tensor, *markers: int) -> list[Tensor]:
    """Label maps with the outlines of a photograph: watersheds of its gradient from the given numbers of seeds.

    They are made at the size of a Berkeley picture and enlarged, as outlines drawn by hand get no rougher with size.
    """
    gradient = filters.sobel(picture(min(PHOTO, image.shape[-2:])).mean(0).numpy())
    found = [segmentation.watershed(gradient, markers=n, connectivity=2) for n in markers]
    return [
        torch.from_numpy(transform.resize(labels, image.shape[-2:], order=0, preserve_range=True).astype(np.int64)) - 1
        for labels in found
    ]


class _Pairs(Row):
    """Both measures of one prediction against each of several truths; the reference takes pair by pair."""

    truths: tuple[int, ...]
    prediction: int

    def prepare(self, image: Tensor) -> Any:
        few = min(image.shape[-2:]) < 100
        *truths, pred = maps(image, *(max(2, n // 20) if few else n for n in (*self.truths, self.prediction)))
        return truths, pred, [truth.numpy() for truth in truths], pred.numpy()

    def ours(self, data: Any) -> tuple[float, float]:
        table = contingency_table(data[0], data[1])
        return variation_of_information(table), adapted_rand_error(table)

    def theirs(self, data: Any) -> tuple[float, float]:
        information = [sum(metrics.variation_of_information(truth, data[3])) for truth in data[2]]
        errors = [metrics.adapted_rand_error(truth, data[3], ignore_labels=())[0] for truth in data[2]]
        return float(np.mean(information)), float(np.mean(errors))

    def agree(self, ours: tuple[float, float], theirs: tuple[float, float]) -> str:
        apart = np.abs(np.subtract(ours, theirs)).max()
        assert apart < 1e-9, f"{ours} and {theirs}"
        return f"VI {ours[0]:.6f} bits, error {ours[1]:.6f}; differ by {apart:.0e}"


_REFERENCE = "scikit-image variation_of_information + adapted_rand_error"


@benchmark("VI and adapted Rand error, 40 segments, 5 truths", reference=_REFERENCE, least=10)
class FiveTruths(_Pairs):
    """As a picture of the Berkeley set, which five people have segmented."""

    truths, prediction = (8, 12, 20, 30, 60), 40


@benchmark("VI and adapted Rand error, 40 segments, 1 truth", reference=_REFERENCE, least=10)
class OneTruth(_Pairs):
    truths, prediction = (25,), 40


@benchmark("VI and adapted Rand error, 1000 superpixels, 5 truths", reference=_REFERENCE)
class Superpixels(_Pairs):
    truths, prediction = (8, 12, 20, 30, 60), 1000
