"""Thresholding: a pixel is foreground where it is brighter than a number, or than its surroundings.

Otsu's rule takes the threshold that maximizes the variance between the classes, ω₀ω₁(μ₁ − μ₀)², and so minimizes the
variance within them; multi-Otsu does the same for more classes. A local rule compares each pixel with the mean around
it; hysteresis keeps what exceeds a low threshold and is connected to something that exceeds a high one.

Otsu, 1979, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9(1), 10.1109/TSMC.1979.4310076.
Liao, Chen & Chung, 2001, A fast algorithm for multilevel thresholding, J. Information Science and Engineering 17(5).

*Differs from the papers*: multi-Otsu is solved by dynamic programming over cumulative sums, B² work for each further
class, instead of a search over all sets of thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from seglab.image import to_color_space
from seglab.kernels.thresholding import (
    Statistic,
    class_ends,
    class_scores,
    classes_above,
    gray_histogram,
    hysteresis,
    local_threshold,
    multi_otsu,
    one_class_more,
    otsu_curve,
)
from seglab.panels import Curve, Histogram, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status

__all__ = [
    "MultiOtsuState",
    "OtsuState",
    "Thresholding",
    "ThresholdingState",
    "gray_histogram",
    "hysteresis",
    "local_threshold",
    "multi_otsu",
    "otsu_curve",
]

Rule = Literal["otsu", "multi-otsu", "fixed", "local", "hysteresis"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ThresholdingState(State):
    """The gray picture and what has been decided about it.

    Attributes
    ----------
    gray
        (H, W) in [0, 1].
    thresholds
        (T,) ascending; a pixel's class is the number of thresholds below it. None yet: all pixels are in class 0.
    dark
        Whether classes are numbered from the brightest to the darkest.
    surface
        (H, W) the threshold of each pixel, for the local rule.
    foreground
        (H, W) bool, the pixels of label 1, for rules that look at more than a pixel's own gray value.
    """

    gray: Tensor
    thresholds: Tensor
    dark: bool = False
    surface: Tensor | None = None
    foreground: Tensor | None = None

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the class of each pixel."""
        if self.foreground is not None:
            return self.foreground.long()
        labels = classes_above(self.gray, self.thresholds)
        return len(self.thresholds) - labels if self.dark else labels

    @property
    def histogram(self) -> tuple[Tensor, Tensor]:
        """The counts and the centers of the bins, see `gray_histogram`."""
        return gray_histogram(self.gray)

    def describe(self) -> str:
        """The thresholds so far."""
        return f"step {self.n_iter} · thresholds: " + (
            ", ".join(f"{t:.3f}" for t in self.thresholds.tolist()) or "none"
        )

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The histogram with the thresholds; for the local rule, the threshold of each pixel."""
        if self.surface is not None:
            return (Picture(title="threshold of each pixel", values=self.surface, low=0, high=1),)
        return (self._bars({f"threshold {i}": t for i, t in enumerate(self.thresholds.tolist(), 1)}),)

    def _bars(self, marks: dict[str, float]) -> Histogram:
        counts, centers = self.histogram
        half = (centers[-1] - centers[0]) / max(2 * (len(centers) - 1), 1) or 1 / 512
        edges = torch.cat([centers[:1] - half, (centers[1:] + centers[:-1]) / 2, centers[-1:] + half])
        return Histogram(title="gray values", edges=edges, counts=counts, marks=marks, x_label="gray value")


@dataclass(frozen=True, kw_only=True, eq=False)
class OtsuState(ThresholdingState):
    """One candidate after another, and the best so far.

    Attributes
    ----------
    counts, centers
        (B,) the histogram.
    variance
        (B − 1,) the between-class variance of each candidate ``centers[:-1]``, in squared gray values.
    """

    counts: Tensor
    centers: Tensor
    variance: Tensor

    @property
    def histogram(self) -> tuple[Tensor, Tensor]:
        """The counts and the centers of the bins."""
        return self.counts, self.centers

    @property
    def objective(self) -> Tensor:
        """The largest between-class variance so far; 0 before the first candidate."""
        return self.variance[: self.n_iter].amax() if self.n_iter else self.variance.new_zeros(())

    def after(self, n: int) -> OtsuState:
        """The state after the first ``n`` candidates; of equally good ones, the first counts."""
        best = self.variance[:n].argmax(0, keepdim=True)
        code = Status.CONVERGED if n == len(self.variance) else Status.RUNNING
        return replace(self, n_iter=n, code=code, thresholds=self.centers.index_select(0, best).to(self.gray.dtype))

    def describe(self) -> str:
        """The candidate, the best so far, and its between-class variance."""
        if self.n_iter == 0:
            return "no candidate yet"
        candidate, best = float(self.centers[self.n_iter - 1]), float(self.thresholds[0])
        return f"candidate {candidate:.3f} · best {best:.3f} · between-class variance {float(self.objective):.4g}"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The histogram and the between-class variance so far, with the present candidate and the best."""
        n = self.n_iter
        if n == 0:
            return (self._bars({}),)
        marks = {"candidate": float(self.centers[n - 1]), "best": float(self.thresholds[0])}
        curve = Curve(
            title="between-class variance",
            x=self.centers[:n],
            curves={"variance": self.variance[:n]},
            x_label="threshold",
            marks=marks,
        )
        return self._bars(marks), curve


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiOtsuState(ThresholdingState):
    """The best thresholds for one class more at each step: a level of the dynamic program.

    Attributes
    ----------
    centers
        (B,) the gray values that occur, as bins of the histogram; there cannot be more classes.
    scores
        (B + 1, B + 1) what a class of the bins i … j − 1 adds to the between-class variance.
    values
        (B + 1,) the largest variance of the bins from i on, in as many classes as there are now.
    choices
        One (B + 1,) for each step: where the first of these classes ends.
    """

    centers: Tensor
    scores: Tensor
    values: Tensor
    choices: tuple[Tensor, ...] = ()

    @property
    def objective(self) -> Tensor:
        """The between-class variance of the present classes, in squared gray values."""
        return self.values[0]

    def one_more(self, n_classes: int) -> MultiOtsuState:
        """The state with one class more, the last for ``n_classes`` or when all gray values are told apart."""
        n = self.n_iter + 1
        values, choice = one_class_more(self.scores, self.values)
        choices = (*self.choices, choice)
        code = Status.CONVERGED if n + 1 == n_classes else Status.RUNNING
        if n + 1 == len(self.centers) < n_classes:
            code = Status.DEGENERATE
        thresholds = self.centers[class_ends(choices)].to(self.gray.dtype)
        return replace(self, n_iter=n, code=code, values=values, choices=choices, thresholds=thresholds)


@dataclass(frozen=True, kw_only=True)
class Thresholding(Segmenter[ThresholdingState], name="thresholding"):
    """Split the gray values by one or more thresholds; foreground is what lies above (`>`).

    Color pictures are thresholded on their gray values (luminance).

    Parameters
    ----------
    rule
        ``"otsu"``, ``"multi-otsu"``: thresholds that maximize the between-class variance of the histogram;
        ``"fixed"``: the one given; ``"local"``: one for each pixel, from its surroundings; ``"hysteresis"``: what
        exceeds ``low`` and is connected to something that exceeds ``high``.
    polarity
        Whether label 1 is the bright part or the dark part. ``"dark"`` numbers several classes from the brightest on.
    threshold
        For the fixed rule, in [0, 1].
    n_classes
        For multi-Otsu.
    statistic
        For the local rule: the mean in a square window, weighted by a Gaussian or not, or Sauvola's threshold, which
        is lower where contrast is low; see `local_threshold`.
    radius, offset
        For the local rule: the window has a side of 2·radius + 1 pixels; the offset is subtracted from the mean.
    low, high
        For hysteresis, in [0, 1]. A ``low`` above ``high`` counts as ``high``. With dark polarity the roles change:
        what is below ``high`` and connected to something below ``low``.

    Notes
    -----
    A step of ``"otsu"`` is one candidate threshold; of ``"multi-otsu"``, one class more; other rules take one step.
    The objective never falls. A picture of one gray value, or of fewer than ``n_classes``, ends as
    `Status.DEGENERATE` with as many classes as it has gray values.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> result = Thresholding(rule="multi-otsu", n_classes=3).segment(shapes(height=32, width=32).image)
    >>> result.n_segments, result.state.n_iter
    (3, 2)
    """

    title = "thresholding"
    objective_name = "between-class variance"
    objective_sense = "max"

    rule: Rule = param("otsu", help="how the threshold is found")
    polarity: Literal["bright", "dark"] = param("bright", help="which part is the foreground, label 1")
    threshold: float = param(0.5, low=0, high=1, when={"rule": "fixed"}, help="brighter pixels are foreground")
    n_classes: int = param(3, low=2, high=6, valid="[2, inf)", when={"rule": "multi-otsu"}, help="number of classes")
    statistic: Statistic = param("gaussian", when={"rule": "local"}, help="what the surroundings are reduced to")
    radius: int = param(
        17,
        low=1,
        high=50,
        valid="[1, inf)",
        unit="px",
        when={"rule": "local"},
        help="the window's reach around a pixel",
    )
    offset: float = param(0.0, low=-0.2, high=0.2, when={"rule": "local"}, help="subtracted from the local threshold")
    low: float = param(0.4, low=0, high=1, when={"rule": "hysteresis"}, help="kept if connected to a pixel above high")
    high: float = param(0.6, low=0, high=1, when={"rule": "hysteresis"}, help="kept in any case")

    def init(self, image: Tensor) -> ThresholdingState:
        """The gray picture, all in one class; for hysteresis, what is kept in any case."""
        gray = to_color_space(image, "gray")[0]
        dark, none = self.polarity == "dark", gray.new_empty(0)
        if self.rule == "hysteresis":
            low, high = gray.new_tensor(min(self.low, self.high)), gray.new_tensor(self.high)
            sure = gray < low if dark else gray > high
            return ThresholdingState(gray=gray, thresholds=torch.stack([low, high]), dark=dark, foreground=sure)
        if self.rule not in ("otsu", "multi-otsu"):
            return ThresholdingState(gray=gray, thresholds=none, dark=dark)
        counts, centers = gray_histogram(gray)
        code = Status.RUNNING if len(counts) > 1 else Status.DEGENERATE
        common: dict[str, Any] = {"gray": gray, "thresholds": none, "dark": dark, "code": code}
        if self.rule == "otsu":
            variance = otsu_curve(counts, centers)
            return OtsuState(**common, counts=counts, centers=centers, variance=variance)
        used = counts > 0
        scores = class_scores(counts[used], centers[used])
        return MultiOtsuState(**common, centers=centers[used], scores=scores, values=scores[:, -1])

    def step(self, image: Tensor, state: ThresholdingState) -> ThresholdingState:
        """One candidate more, one class more, or all that there is to do."""
        if isinstance(state, OtsuState):
            return state.after(state.n_iter + 1)
        if isinstance(state, MultiOtsuState):
            return state.one_more(self.n_classes)
        done: dict[str, Any] = {"n_iter": 1, "code": Status.CONVERGED}
        gray, dark = state.gray, state.dark
        if self.rule == "fixed":
            return replace(state, **done, thresholds=gray.new_tensor([self.threshold]))
        if self.rule == "local":
            surface = local_threshold(gray, self.radius, self.statistic, self.offset)
            return replace(state, **done, surface=surface, foreground=gray <= surface if dark else gray > surface)
        low, high = state.thresholds
        grown = hysteresis(-gray, -high, -low) if dark else hysteresis(gray, low, high)
        return replace(state, **done, foreground=grown)

    def solve(self, image: Tensor, state: ThresholdingState) -> ThresholdingState | None:
        """For Otsu's rule, look at all candidates at once."""
        if isinstance(state, OtsuState) and len(state.variance) > 0:
            return state.after(len(state.variance))
        return None
