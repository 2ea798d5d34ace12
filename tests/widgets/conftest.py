"""A method small enough to be worked out by eye: a threshold that rises by 0.1 a step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from torch import Tensor

from seglab.panels import Bars, Curve, Histogram, Lines
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


@pytest.fixture(scope="session")
def rising() -> type[Rising]:
    """The toy method."""
    return Rising


@pytest.fixture
def ramp() -> np.ndarray:
    """A picture (4, 10) whose gray values are 0.05, 0.15, ... 0.95 from left to right."""
    return np.tile(np.linspace(0.05, 0.95, 10), (4, 1))


class Clock:
    """Stands in for an event loop: what is asked for waits until the test says that time has passed."""

    def __init__(self) -> None:
        self.waiting: list[Handle] = []

    def call_later(self, delay: float, function):
        self.waiting.append(Handle(delay, function))
        return self.waiting[-1]

    def pass_by(self) -> int:
        """Do what is due; how many calls that were."""
        due = [handle for handle in self.waiting if not handle.cancelled]
        self.waiting = []
        for handle in due:
            handle.function()
        return len(due)


class Handle:
    def __init__(self, delay: float, function) -> None:
        self.delay, self.function, self.cancelled = delay, function, False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """A clock that widgets without one of their own use, whatever loop runs around the tests."""
    made = Clock()
    monkeypatch.setattr("seglab.widgets._debounce._loop_later", lambda: made.call_later)
    return made
