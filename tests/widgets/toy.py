"""A method small enough to be worked out by eye: a threshold that rises by 0.1 a step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from seglab.panels import Bars, Curve, Histogram, Lines, Picture, Scatter
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status


@dataclass(frozen=True, kw_only=True, eq=False)
class RisingState(State):
    gray: Tensor  # (H, W)
    threshold: float

    @property
    def labels(self) -> Tensor:
        return (self.gray > self.threshold).long()

    @property
    def objective(self) -> float:
        return float(self.labels.float().mean())

    def describe(self) -> str:
        return f"step {self.n_iter} · threshold {self.threshold:.1f}"

    def panels(self, image: Tensor):
        counts, edges = np.histogram(self.gray.numpy(), bins=16, range=(0, 1))
        x = np.linspace(0, 1, 11)
        row = self.threshold * (image.shape[1] - 1)
        return (
            Histogram(title="gray values", edges=edges, counts=counts, marks={"threshold": self.threshold}),
            Curve(title="a curve", x=x, curves={"up": x * self.threshold, "down": 1 - x}, x_label="x"),
            Lines(title="a line", lines=[np.array([[row, 0], [row, image.shape[2] - 1]])]),
            Bars(title="sizes", values=[float((self.labels == k).float().mean()) for k in (0, 1)], y_label="share"),
        )


@dataclass(frozen=True, kw_only=True)
class Rising(Segmenter[RisingState]):
    """No name, so that it stays out of the registry."""

    title = "rising threshold"
    objective_name = "share above"
    objective_sense = "min"

    n_steps: int = param(5, low=1, high=9, valid="[1, 100]", help="number of steps")
    rate: float = param(0.1, low=0.01, high=1.0, scale="log", valid="(0, inf)", unit="per step", help="how fast")
    rule: Literal["up", "down"] = param("up", help="which way")
    floor: float | None = param(None, low=0.0, high=1.0, help="lowest threshold", when={"rule": "down"})
    broken: bool = param(False, help="fail on purpose")

    def init(self, image: Tensor) -> RisingState:
        if self.broken:
            raise RuntimeError("broken on purpose\nsecond line")
        start = 0.0 if self.rule == "up" else 1.0
        return RisingState(gray=image.mean(0), threshold=start)

    def step(self, image: Tensor, state: RisingState) -> RisingState:
        n = state.n_iter + 1
        threshold = n * self.rate if self.rule == "up" else max(1 - n * self.rate, self.floor or 0.0)
        return dataclasses.replace(state, n_iter=n, threshold=threshold, code=Status.after(n, self.n_steps))


ALL_PANELS = (
    Histogram(title="h", edges=np.arange(5), counts=[1, 2, 3, 1], curves={"0": [1, 1, 1, 1]}, marks={"t": 2.0}),
    Curve(title="c", x=[0, 1], curves={"a": [0, 1], "b": [1, 0]}, marks={"m": 0.5}, x_label="x", y_label="y"),
    Scatter(
        title="s2",
        points=torch.rand(50, 2, generator=torch.Generator().manual_seed(0)),
        centers=[[0.5, 0.5], [0.2, 0.8]],
        covariances=np.array([np.eye(2), np.eye(2)]) * 0.01,
        labels=np.arange(50) % 3 - 1,
        paths=[[[0, 0], [1, 1]]],
        axis_labels=("a", "b"),
    ),
    Scatter(
        title="s3",
        points=np.linspace(0, 1, 30).reshape(10, 3),
        colors=np.linspace(0, 1, 30).reshape(10, 3),
        centers=[[0.5, 0.5, 0.5]],
        covariances=[np.eye(3) * 0.01],
        axis_labels=("L", "a", "b"),
    ),
    Picture(title="p", values=np.eye(5), low=0, high=1),
    Lines(title="l", lines=[[[0, 0], [3, 4]]], points=[[1, 1]]),
    Bars(title="b", values=[0.2, 0.8], y_label="weight"),
)
