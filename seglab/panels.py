"""What a state has to show beside the picture, said without drawing it.

A method's state lists its panels (`State.panels`); `seglab.plot` draws each kind, so that a player, a static figure
and an animation look alike and no method needs to know of matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Bars", "Curve", "Histogram", "Lines", "Panel", "Picture", "Pictures", "Scatter"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One small figure; arrays are anything that `numpy.asarray` takes."""

    title: str


@dataclass(frozen=True, kw_only=True)
class Curve(Panel):
    """Values over a parameter, such as the between-class variance over the threshold.

    ``curves`` maps each name to its y values; ``marks`` are vertical lines, named in the legend.
    """

    x: Any
    curves: dict[str, Any]
    x_label: str = ""
    y_label: str = ""
    marks: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Histogram(Panel):
    """Counts in bins, with densities over them (Gaussians) and vertical marks (thresholds, centers).

    ``edges`` has one entry more than ``counts``. A density in ``curves`` is sampled at the middle of each bin, in the
    units of ``counts``; one that is named after a label (``"0"``, ``"1"``, …) takes that label's color.
    """

    edges: Any
    counts: Any
    curves: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    x_label: str = ""
    y_label: str = "pixels"


@dataclass(frozen=True, kw_only=True)
class Scatter(Panel):
    """Points in a plane (N, 2) or in space (N, 3) with their colors (N, 3), and larger marked points.

    ``labels`` colors the points by segment where ``colors`` is not given. ``centers`` (K, D) are drawn on top in
    their labels' colors, with an ellipse each where ``covariances`` (K, D, D) are given. ``paths`` are lines, each
    (T, D), such as the way of one center.
    """

    points: Any
    colors: Any = None
    labels: Any = None
    centers: Any = None
    covariances: Any = None
    paths: Any = ()
    axis_labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Picture(Panel):
    """A picture (H, W) or (H, W, 3): an eigenvector, a density, how unsure each pixel is.

    ``low`` and ``high`` fix the gray scale, so that frames can be compared.
    """

    values: Any
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Pictures(Panel):
    """Pictures of one size (K, H, W) in rows, on one gray scale, each with its name: one for each component.

    A name that is a label (``"0"``, ``"1"``, …) stands on that label's color. Without ``low`` and ``high`` the scale
    goes from the least to the greatest value of all.
    """

    values: Any
    names: Sequence[str]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Lines over the picture, each (T, 2) in (row, column): contours, boxes of a quadtree, paths, edges of a graph."""

    lines: Any
    points: Any = None  # (N, 2) in (row, column)


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """One bar for each label, in the labels' colors: mixture weights, sizes of segments."""

    values: Any
    y_label: str = ""
