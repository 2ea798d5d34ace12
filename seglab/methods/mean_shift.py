"""Mean shift: every pixel climbs to a mode of the density of places and colors, and those that meet are a segment.

A pixel is a point in the joint domain: its place, in spatial bandwidths, and its color, in range bandwidths. A point
moves to the weighted mean of the pixels that it sees there, and again, until it moves no more: uphill all the way,
because that mean lies in the direction in which pixels become denser. The pixels themselves stay where they are. Then
neighbors whose points have come to like colors are joined, and what is too small is absorbed.

Fukunaga & Hostetler, 1975, The estimation of the gradient of a density function, with applications in pattern
recognition, IEEE Trans. Information Theory 21(1), 10.1109/TIT.1975.1055330.
Comaniciu & Meer, 2002, Mean shift: a robust approach toward feature space analysis, IEEE Trans. Pattern Analysis and
Machine Intelligence 24(5), 10.1109/34.1000236.

*Differs from the paper*: points are not fused by their distances in the joint domain but, as in the authors' program
EDISON, by their colors and along the picture's grid (`seglab.kernels.mean_shift.fuse`). EDISON doubles differences of
bright colors' lightness; this does not, nor does it guess the modes of pixels near a way that was climbed. A pixel on
the rim of the flat kernel counts. Colors are rounded to a 500th or less of the bandwidth, positions of the flat kernel
too: then all sums are exact, and the end is the same on every device.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from seglab.image import ColorSpace, as_image, from_color_space, to_color_space
from seglab.kernels.mean_shift import (
    Joint,
    Modes,
    climb,
    estimate_bandwidth,
    fuse,
    log_density,
    mean_shift,
    moves,
)
from seglab.panels import Lines, Panel, Picture, Scatter
from seglab.params import param
from seglab.segmenter import Segmentation, Segmenter, State, Status

__all__ = [
    "Joint",
    "MeanShift",
    "MeanShiftState",
    "Modes",
    "Way",
    "climb",
    "estimate_bandwidth",
    "fuse",
    "log_density",
    "mean_shift",
    "moves",
]

_SHOWN = 2000  # points in a scatter plot
_WATCHED = 24  # pixels whose ways are shown, where none are named
_LIGHTNESS = {"gray": 1.0, "rgb": 1.0, "hsv": 1.0, "lab": 100.0, "luv": 100.0}  # from black to white


class Way(NamedTuple):
    """The way of one pixel.

    Attributes
    ----------
    places
        (T, 2): row and column, in pixels; the pixel's own first.
    colors
        (T, D), in the color space of the method.
    """

    places: Tensor
    colors: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanShiftState(State):
    """Where every pixel's point has come to.

    Attributes
    ----------
    modes
        (H·W, 2 + D) float32: row, column and color of each pixel's point; of those that have stopped, their mode.
    moving
        (H·W,) bool: still climbing.
    joint
        The pixels and the kernel; the same in all states.
    watched
        (P,) int64: the pixels whose way is kept; the same in all states.
    path
        Where the watched points were at the earlier steps, each (P, 2 + D); empty where `Segmenter.segment` made it.
    """

    modes: Tensor
    moving: Tensor
    joint: Joint
    watched: Tensor
    path: tuple[Tensor, ...] = ()
    color_space: ColorSpace = "luv"
    min_size: int = 20
    tol: float = 0.0

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the segments that these points make, whether or not they have arrived."""
        step = _LIGHTNESS[self.color_space] / 100  # 1 in CIELUV, as in EDISON
        return fuse(self.filtered, step, self.joint.range_bandwidth, self.min_size)

    @property
    def filtered(self) -> Tensor:
        """(D, H, W): each pixel in the color to which it has climbed, in the method's color space."""
        return self.modes[:, 2:].T.reshape(-1, *self.joint.shape)

    @property
    def picture(self) -> Tensor:
        """(3, H, W) RGB in [0, 1]: the filtered picture."""
        return from_color_space(self.filtered, self.color_space)

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """The ways of the watched pixels so far; those that were not kept are climbed once more."""
        kept = len(self.path) == self.n_iter
        steps = torch.stack([*self.path, self.modes[self.watched]] if kept else self._again())  # (T, P, 2 + D)
        return tuple(Way(way[:, :2], way[:, 2:]) for way in steps.unbind(dim=1))

    def _again(self) -> list[Tensor]:
        way = [self.joint.start()[self.watched]]
        moving = torch.ones_like(self.watched, dtype=torch.bool)
        while len(way) <= self.n_iter and bool(moving.any()):
            points, moving, _ = climb(self.joint, way[-1], moving, self.tol)
            way.append(points)
        return way

    @cached_property
    def objective(self) -> Tensor | None:
        """The mean log density at the points (up to a constant); None for the flat kernel, which climbs no density."""
        return log_density(self.joint, self.modes).double().mean() if self.joint.kernel == "gaussian" else None

    def describe(self) -> str:
        """The step, and how many points are on their way."""
        return f"iteration {self.n_iter} · {int(self.moving.sum())} of {len(self.moving)} points climb"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The filtered picture, and the ways of some pixels in it and in color space."""
        ways = self.ways
        return (
            Picture(title="the color that each pixel has climbed to", values=self.picture.movedim(0, -1)),
            _color_scatter(self, image, ways),
            Lines(title="ways", lines=tuple(way.places for way in ways), points=self.modes[self.watched, :2]),
        )


@dataclass(frozen=True, kw_only=True)
class MeanShift(Segmenter[MeanShiftState], name="mean_shift"):
    """Let every pixel climb to its mode in the joint domain of place and color.

    A point y = (place, color) moves to Σ w x / Σ w over all pixels x, where w is the kernel of their distances in
    bandwidths, until it moves by less than ``tol``.

    Parameters
    ----------
    spatial_bandwidth
        h_s, in pixels. Larger: longer ways, fewer modes, time ∝ h_s².
    range_bandwidth
        h_r, in units of the color space. Larger: fewer, larger segments.
    kernel
        ``"flat"``: w = 1 where the place is within h_s and the color within h_r. ``"gaussian"``: w = e^(−s/2), where s
        is the sum of both squared distances in bandwidths, and 0 from s = 9 on; sees 9 times as many pixels and
        takes several times as many steps: tens of times slower.
    min_size
        Segments of fewer pixels are absorbed by the neighbor with the nearest mode.
    color_space
        The space of the colors.
    max_iter
        The number of steps at most; a step is one move of all points.
    tol
        A point stops after a move of at most this length, in bandwidths.
    watch
        Pixels (row, column) whose way is kept in the states; some all over the picture by default. Data, not a
        hyper-parameter.

    Notes
    -----
    With the Gaussian kernel no step lowers the density at any point (Comaniciu & Meer, theorem 1), and the objective
    is the mean of its logarithm. The product of two flat kernels is no density's slope: there is no objective, and a
    few points in a hundred thousand come to go round in a small circle, until ``max_iter`` stops them.

    `Segmenter.segment` on a CPU takes each point through several moves at a time, and remembers moves, because many
    points come through the same places; the end is that of ``steps``. It needs about 100 bytes a pixel.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> image = shapes(height=48, width=64).image
    >>> result = MeanShift(spatial_bandwidth=5, range_bandwidth=15).segment(image)
    >>> result.status.name
    'CONVERGED'
    >>> way = result.method.path(image, 10, 20)
    >>> way.places[0].tolist(), torch.equal(way.colors[-1], result.state.filtered[:, 10, 20])
    ([10.0, 20.0], True)
    """

    title = "mean shift"
    objective_name = "mean log density"
    objective_sense = "max"
    alone = 1 << 10

    spatial_bandwidth: float = param(
        7.0, low=2, high=32, scale="log", valid="(0, inf)", unit="px", help="radius of the kernel in the picture"
    )
    range_bandwidth: float = param(
        6.5, low=1, high=40, scale="log", valid="(0, inf)", help="radius of the kernel in color"
    )
    kernel: Literal["flat", "gaussian"] = param("flat", help="how what is near counts")
    min_size: int = param(20, low=1, high=500, scale="log", valid="[0, inf)", unit="px", help="smallest segment")
    color_space: ColorSpace = param("luv", help="color space in which distances are measured")
    max_iter: int = param(100, low=1, high=300, valid="[1, inf)", help="steps at most")
    tol: float = param(
        0.01, low=0, high=0.1, valid="[0, inf)", help="a point stops after a shorter move, in bandwidths"
    )
    watch: Sequence[tuple[int, int]] | None = field(default=None, repr=False, compare=False)

    def init(self, image: Tensor) -> MeanShiftState:
        """Every point at its pixel."""
        joint = self.joint(image)
        points = joint.start()
        return MeanShiftState(
            modes=points,
            moving=torch.ones(len(points), dtype=torch.bool, device=points.device),
            joint=joint,
            watched=self._watched(*joint.shape).to(points.device),
            color_space=self.color_space,
            min_size=self.min_size,
            tol=self.tol,
        )

    def step(self, image: Tensor, state: MeanShiftState) -> MeanShiftState:
        """Move every point that has not stopped to the mean of the pixels that it sees."""
        modes, moving, _ = climb(state.joint, state.modes, state.moving, self.tol)
        path = (*state.path, state.modes[state.watched])
        n_iter = state.n_iter + 1
        code = Status.after(n_iter, self.max_iter, ~moving.any())
        return replace(state, n_iter=n_iter, code=code, modes=modes, moving=moving, path=path)

    def solve(self, image: Tensor, state: MeanShiftState) -> MeanShiftState | None:
        """On a CPU, take each point through several moves before the next; `MeanShiftState.path` is left out."""
        if state.modes.device.type != "cpu":
            return None
        state, n_moves = replace(state, path=()), 4
        try:
            while state.status is Status.RUNNING:
                n_moves = min(2 * n_moves, self.max_iter - state.n_iter)
                modes, moving, taken = climb(state.joint, state.modes, state.moving, self.tol, n_moves)
                n_iter = state.n_iter + taken
                code = Status.after(n_iter, self.max_iter, not bool(moving.any()))
                state = replace(state, n_iter=n_iter, code=code, modes=modes, moving=moving)
        except KeyboardInterrupt:
            pass
        return state

    @classmethod
    def segment_each(
        cls, methods: Sequence[Any], image: Any, *, device: torch.device | str | None = None
    ) -> Iterator[Segmentation]:
        """As `Segmenter.segment_each`; settings that differ in ``min_size`` only climb once."""
        climbed: dict[Segmenter, Segmentation] = {}
        state: Any
        for method in methods:
            alike = replace(method, min_size=0)
            if alike not in climbed:
                climbed[alike] = method.segment(image, device=device)
            first = climbed[alike]
            start = time.perf_counter()
            state = first.state
            state = replace(state, min_size=method.min_size)
            labels = state.labels
            seconds = first.seconds + (time.perf_counter() - start if first.method is not method else 0)
            yield replace(first, labels=labels, method=method, state=state, seconds=seconds)

    def joint(self, image: Any) -> Joint:
        """The pixels of a picture as points in the joint domain."""
        colors = to_color_space(as_image(image), self.color_space)
        return Joint.of(colors, self.spatial_bandwidth, self.range_bandwidth, self.kernel)

    def filter(self, image: Any) -> Tensor:
        """The filtered picture (3, H, W), RGB in [0, 1]: each pixel in the color of its mode, without segments.

        Smooths what is even and keeps edges (Comaniciu & Meer, section 4.1).
        """
        picture = as_image(image)
        return self._finish(picture, self.init(picture), progress=False)[0].picture

    def path(self, image: Any, row: int, column: int) -> Way:
        """The whole way of one pixel, from its place and color to its mode.

        Parameters
        ----------
        image
            Anything that `seglab.image.as_image` takes.
        row, column
            The pixel.

        Raises
        ------
        ValueError
            There is no such pixel.
        """
        joint = self.joint(image)
        (index,) = _pixels([(row, column)], *joint.shape).tolist()
        point, moving = joint.start()[index : index + 1], torch.ones(1, dtype=torch.bool, device=joint.colors.device)
        way = [point]
        while bool(moving.any()) and len(way) <= self.max_iter:
            point, moving, _ = climb(joint, point, moving, self.tol)
            way.append(point)
        steps = torch.cat(way)
        return Way(steps[:, :2], steps[:, 2:])

    def _watched(self, height: int, width: int) -> Tensor:
        if self.watch is not None:
            return _pixels(self.watch, height, width)
        down = max(1, min(height, round((_WATCHED * height / width) ** 0.5)))
        across = max(1, min(width, _WATCHED // down))
        rows, cols = (((torch.arange(n) + 0.5) * size / n).long() for n, size in ((down, height), (across, width)))
        return (rows[:, None] * width + cols).flatten()


def _pixels(places: Sequence[tuple[int, int]], height: int, width: int) -> Tensor:
    """The numbers of pixels (row, column)."""
    for row, col in places:
        if not (0 <= row < height and 0 <= col < width):
            raise ValueError(
                f"MeanShift: the picture has rows 0 to {height - 1} and columns 0 to {width - 1}; "
                f"there is no pixel ({row}, {col})"
            )
    return torch.tensor([int(row) * width + int(col) for row, col in places], dtype=torch.int64)


def _color_scatter(state: MeanShiftState, image: Tensor, ways: tuple[Way, ...]) -> Scatter:
    n = len(state.modes)
    some = torch.linspace(0, n - 1, min(n, _SHOWN), device=state.modes.device).long()
    colors = image.expand(3, -1, -1).flatten(1).T[some.to(image.device)]
    flat = state.color_space == "gray"
    shown = slice(0, 3) if flat else slice(2, 5)  # of a gray pixel: row, column, gray
    paths = tuple(torch.cat(way, dim=1)[:, shown] for way in ways)
    return Scatter(
        title="colors and ways" if not flat else "places, grays and ways",
        points=state.joint.start()[some][:, shown],
        colors=colors,
        paths=paths if len(ways) and len(paths[0]) > 1 else (),
        axis_labels=_AXES[state.color_space],
    )


_AXES = {
    "gray": ("row", "column", "gray"),
    "rgb": ("red", "green", "blue"),
    "hsv": ("hue", "saturation", "value"),
    "lab": ("L", "a", "b"),
    "luv": ("L", "u", "v"),
}
