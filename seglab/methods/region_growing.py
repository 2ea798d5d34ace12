"""Region growing: from a seed outwards, a pixel joins if it is like the region that it touches.

A region begins with its seed. Those free pixels that touch it are its frontier; a frontier pixel joins if its color x
differs from the mean m of the region by no more than a threshold, ‖x − m‖ ≤ τ. Then the frontier has moved on, and it
all begins again, until nobody joins. Two ways to take turns: in waves, all at once; or best first, the most similar
pixel of all frontiers always next (Adams and Bischof), which can go on until the whole picture is divided.

R. Adams and L. Bischof (1994). Seeded region growing. IEEE Transactions on Pattern Analysis and Machine Intelligence
16(6), 641–647. doi:10.1109/34.295913

*Differs from the paper*: with best first, pixels that touch two regions belong to one of them (the paper keeps them as
boundaries); what differs too much stays free unless ``fill`` is set. Seeds may be found automatically.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from seglab.kernels._whole import WholeColors, WholeSpace, whole_colors
from seglab.kernels.region_growing import (
    Grown,
    best_first,
    differences,
    gradient,
    means_of,
    minima,
    open_pairs,
    wave,
    waves,
)
from seglab.labels import as_labels
from seglab.panels import Histogram, Lines, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status

__all__ = [
    "Grown",
    "RegionGrowing",
    "RegionGrowingState",
    "automatic_seeds",
    "best_first",
    "gradient",
    "minima",
    "open_pairs",
    "wave",
    "waves",
]

_AT_ONCE = 1 << 21  # pixels that join between two looks at whether somebody wants to stop
Points = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionGrowingState(State):
    """Regions, and the pixels that may join them next.

    Attributes
    ----------
    grown
        The region of each pixel, the sums and sizes of regions, and the frontier; see `seglab.kernels.region_growing`.
    seed_means
        (K, D) the mean colors of the seeds, in the units of ``colors``.
    colors
        The picture in whole numbers; the same in all states.
    seeds
        (n, 2) rows and columns of the seeds' pixels; the same in all states.
    joined
        For each step, the pixels (n,) that have joined, numbered row by row.
    best_first
        Whether the next step takes the most similar pixels, one by one, rather than a wave.
    """

    grown: Grown
    seed_means: Tensor
    colors: WholeColors
    seeds: Tensor
    joined: tuple[Tensor, ...] = ()
    best_first: bool = False
    criterion: Literal["mean", "seed"] = "mean"
    threshold: float = 0.0

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the region of each pixel, numbered as the seeds are; −1 where none has come."""
        return self.grown.regions.to(torch.int64)

    @property
    def means(self) -> Tensor | None:
        """(K, D) what pixels are compared with where that stays the same; None where the mean runs."""
        return self.seed_means if self.criterion == "seed" else None

    @cached_property
    def arrival(self) -> Tensor:
        """(H, W) int64: the step in which a pixel has joined; 0 for seeds, −1 where no region has come."""
        regions = self.grown.regions
        steps = torch.where(regions < 0, -1, 0).to(torch.int64).flatten()
        if self.joined:
            sizes = torch.tensor([len(pixels) for pixels in self.joined], device=steps.device)
            number = torch.arange(1, len(sizes) + 1, device=steps.device).repeat_interleave(sizes)
            steps[torch.cat(self.joined).to(torch.int64)] = number
        return steps.reshape(regions.shape)

    @property
    def n_taken(self) -> int:
        """How many pixels have a region."""
        return int(self.grown.sizes.sum())

    def describe(self) -> str:
        """The step, and how much of the picture is taken."""
        share = self.n_taken / self.grown.regions.numel()
        what = "batch" if self.best_first else "wave"
        n = len(self.grown.sizes)
        return f"{what} {self.n_iter} · {n} region{'s' if n != 1 else ''} · {share:.1%} of the pixels"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """Seeds and the latest wave over the picture; when each pixel joined; how different the next ones are."""
        front = self.joined[-1] if self.joined else torch.empty(0, dtype=torch.int64)
        width = self.grown.regions.shape[1]
        over = Lines(title="seeds and frontier", lines=_dashes(front.cpu(), width), points=self.seeds.cpu())
        when = Picture(title="the step in which each pixel joined", values=self.arrival.cpu(), low=-1)
        return (over, when, *_difference_histogram(self))


@dataclass(frozen=True, kw_only=True)
class RegionGrowing(Segmenter[RegionGrowingState], name="region_growing"):
    """Let regions grow from seeds, by pixels that are like them.

    Parameters
    ----------
    threshold
        τ, the largest distance of colors with which a pixel joins, where black to white is 1 (in CIELAB and CIELUV,
        hundredths of their units; in RGB, the root mean square over channels). Higher: regions reach farther, and leak.
    n_seeds
        How many seeds are found where none are given; fewer where the picture has fewer (`automatic_seeds`).
    criterion
        What a pixel is compared with: ``"mean"`` of the region as it is now, which drifts as it grows, or of the
        ``"seed"`` alone.
    order
        ``"waves"``: all of the frontier at once. ``"best_first"``: the most similar pixel next, one by one.
    fill
        Afterwards, give the pixels that no region has reached to the neighboring one, most similar first, whatever
        the difference: every pixel has a label then.
    connectivity
        4 (neighbors share a side) or 8 (or a corner).
    color_space
        In which colors are compared.
    n_batches
        Best first, a step is this part of the picture. It makes no difference to the result.
    seeds
        Where regions begin: a list of (row, column), each a region of its own, or a label map (H, W) with −1 where
        there is no seed. Data, not a hyper-parameter: no slider is made for it, but the explorer takes clicks on the
        picture as seeds.

    Notes
    -----
    In a wave all pixels are compared with the means before it. Where several regions would take one, it goes to that
    with the smallest difference; of equal ones, to the lower label. With given points and ``criterion="seed"``, a
    region by itself is scikit-image's ``flood`` with a ``tolerance``, and regions do not depend on the order of waves.

    Best first, a pixel is offered to each region when it first touches it, with its difference at that time, rounded
    down to 4080 steps from black to white; of equal differences, that which was offered first is taken. The means
    change with every pixel, the differences of those that wait do not, as in the paper. One that differs by more than
    the threshold is not offered, unless ``fill`` is set: then the threshold makes no difference.

    Colors are rounded to 4080 steps from black to white: the levels of an 8-bit picture are exact, and so are sums and
    the result, on every device. The work is that of the frontiers: each pixel is looked at once or twice for each
    region that it touches, however many waves there are. A step of ``steps`` copies the map of regions, besides.

    Examples
    --------
    >>> from seglab.datasets import tiny
    >>> result = RegionGrowing(seeds=[(0, 0), (2, 2)], threshold=0.2).segment(tiny("island").image)
    >>> result.n_segments, str(result.status), result.state.n_iter
    (2, 'converged', 11)
    """

    title = "region growing"

    threshold: float = param(
        0.1, low=0.01, high=0.5, scale="log", valid="[0, inf)", help="largest difference; black to white is 1"
    )
    n_seeds: int = param(20, low=1, high=100, valid="[1, inf)", help="seeds that are found, where none are given")
    criterion: Literal["mean", "seed"] = param("mean", help="compare with the region's running mean, or with its seed")
    order: Literal["waves", "best_first"] = param("waves", help="all of the frontier at once, or the most similar next")
    fill: bool = param(False, help="give the pixels that are left to the most similar neighbor")
    connectivity: Literal[4, 8] = param(4, help="neighbors of a pixel")
    color_space: WholeSpace = param("lab", help="color space in which differences are measured")
    n_batches: int = param(
        20, low=5, high=50, valid="[1, inf)", help="steps to show, best first; the result is the same"
    )
    seeds: Points | Tensor | None = field(default=None, repr=False, compare=False, metadata={"points": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seeds is not None:
            object.__setattr__(self, "seeds", _checked_seeds(self.seeds))

    def init(self, image: Tensor) -> RegionGrowingState:
        """The seeds, and their first frontier."""
        colors = whole_colors(image, self.color_space)
        regions, seeds = self._planted(colors)
        k, taken = int(regions.max()) + 1, regions.flatten() >= 0
        region, own = regions.flatten()[taken].to(torch.int64), colors.values.flatten(0, 1)[taken].to(torch.int64)
        sums = own.new_zeros(k, own.shape[1]).index_add(0, region, own)
        sizes = torch.bincount(region, minlength=k)
        return RegionGrowingState(
            grown=Grown(regions, sums, sizes, open_pairs(regions, self.connectivity)),
            seed_means=means_of(sums, sizes),
            colors=colors,
            seeds=seeds,
            best_first=self.order == "best_first",
            criterion=self.criterion,
            threshold=self.threshold,
        )

    def step(self, image: Tensor, state: RegionGrowingState) -> RegionGrowingState:
        """One wave, or one batch of the most similar pixels."""
        return self._batches(state, 1) if state.best_first else self._waves(state, 1)

    def solve(self, image: Tensor, state: RegionGrowingState) -> RegionGrowingState | None:
        """The same, many waves and batches at once."""
        at_once = max(1, _AT_ONCE // self._batch(state))
        try:
            while state.status is Status.RUNNING:
                state = self._batches(state, at_once) if state.best_first else self._waves(state, _AT_ONCE)
        except KeyboardInterrupt:
            pass
        return state

    def _waves(self, state: RegionGrowingState, enough: int) -> RegionGrowingState:
        """Waves until so many pixels have joined."""
        limit, means = state.colors.square(self.threshold), state.means
        if state.grown.regions.device.type == "cpu":
            grown, joined, over = waves(state.colors.values, state.grown, limit, means, self.connectivity, enough)
        else:
            grown, pixels = wave(state.colors.values, state.grown, limit, means, self.connectivity)
            joined, over = [pixels], len(pixels) == 0
        code, filling = Status.CONVERGED if over else Status.RUNNING, False
        if over and self.fill:
            grown = grown._replace(queue=open_pairs(grown.regions, self.connectivity))
            filling = len(grown.queue) > 0
            code = Status.RUNNING if filling else code
        n_iter = state.n_iter + len(joined)
        return replace(
            state, n_iter=n_iter, code=code, grown=grown, joined=(*state.joined, *joined), best_first=filling
        )

    def _batches(self, state: RegionGrowingState, n: int) -> RegionGrowingState:
        """Up to so many batches of the most similar pixels, on the CPU."""
        device, size = state.grown.regions.device, self._batch(state)
        limit = math.inf if self.fill else state.colors.square(self.threshold)
        means = None if state.means is None else state.means.cpu()
        grown = Grown(*(tensor.cpu() for tensor in state.grown))
        grown, pixels = best_first(state.colors.values.cpu(), grown, limit, means, self.connectivity, n * size)
        joined = pixels.to(device).split(size)
        over = len(pixels) < n * size or len(grown.queue) == 0
        return replace(
            state,
            n_iter=state.n_iter + len(joined),
            code=Status.CONVERGED if over else Status.RUNNING,
            grown=Grown(*(tensor.to(device) for tensor in grown)),
            joined=(*state.joined, *joined),
        )

    def _batch(self, state: RegionGrowingState) -> int:
        return -(-state.grown.regions.numel() // self.n_batches)

    def _planted(self, colors: WholeColors) -> tuple[Tensor, Tensor]:
        """The map (H, W) int32 of seeds, and their rows and columns (n, 2)."""
        height, width = colors.values.shape[:2]
        device = colors.values.device
        if isinstance(self.seeds, Tensor):
            if self.seeds.shape != (height, width):
                raise ValueError(
                    f"RegionGrowing: seeds as an array are a label map of the picture's size, {(height, width)}; got "
                    f"{tuple(self.seeds.shape)}. Give points as a list: seeds=[(row, column), ...]"
                )
            regions = self.seeds.to(device, torch.int32)
            return regions, (regions >= 0).nonzero()
        points: Any = automatic_seeds(colors.values, self.n_seeds) if self.seeds is None else self.seeds
        seeds = torch.as_tensor(points, dtype=torch.int64, device=device).reshape(-1, 2)
        outside = [point for point in self.seeds or () if not (point[0] < height and point[1] < width)]
        if outside:
            raise ValueError(
                f"RegionGrowing: the seed {outside[0]} lies outside the picture of {height} rows and {width} columns"
            )
        regions = torch.full((height, width), -1, dtype=torch.int32, device=device)
        regions[seeds[:, 0], seeds[:, 1]] = torch.arange(len(seeds), dtype=torch.int32, device=device)
        return regions, seeds


def automatic_seeds(colors: Tensor, n_seeds: int) -> Tensor:
    """The n deepest minima of the gradient: where it is flat all around and one has to climb far to get out.

    Parameters
    ----------
    colors
        (H, W, D) in whole numbers, as `seglab.kernels.region_growing.gradient` takes them.
    n_seeds
        How many at most.

    Returns
    -------
    Tensor
        (n, 2) int64 rows and columns, deepest first.

    Notes
    -----
    A minimum's depth is how far the gradient must rise on the way to a lower one: the contrast of what surrounds it,
    not its size. So a large even area has one seed, however often the noise dips in it.
    """
    width = colors.shape[1]
    pixels = minima(gradient(colors), n_seeds)
    return torch.stack([pixels // width, pixels % width], dim=1)


def _checked_seeds(seeds: Any) -> Points | Tensor:
    """Points as a tuple of (row, column), or a label map."""
    if not isinstance(seeds, (list, tuple)):
        labels = as_labels(seeds)
        present = torch.unique(labels[labels >= 0])
        if len(present) == 0 or int(present[-1]) != len(present) - 1:
            raise ValueError(
                "RegionGrowing: seeds as a label map hold the labels 0, 1, …, without gaps, and −1 where there is no "
                f"seed; got {present.tolist()[:8] or 'only −1'}. See seglab.labels.relabel"
            )
        return labels
    points = tuple(_point(seed) for seed in seeds)
    twice = {point for point in points if points.count(point) > 1} if len(set(points)) < len(points) else None
    if not points or twice:
        what = f"{min(twice)} twice" if twice else "none"
        raise ValueError(f"RegionGrowing: seeds are one or more different points (row, column); got {what}")
    return points


def _point(seed: Any) -> tuple[int, int]:
    try:
        row, col = map(operator.index, seed.tolist() if isinstance(seed, Tensor) else seed)
        if row < 0 or col < 0:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"RegionGrowing: a seed is (row, column), two whole numbers from 0; got {seed!r}. A label map of seeds is "
            "an array or a tensor, not a list"
        ) from None
    return row, col


# ---- what is shown ----------------------------------------------------------------------------------------------


def _dashes(pixels: Tensor, width: int) -> Iterable[Tensor]:
    """Pixels as lines: each run of neighbors in a row is one, from border to border."""
    if len(pixels) == 0:
        return ()
    pixels = pixels.to(torch.int64).sort().values
    row, col = pixels // width, pixels % width
    begins = torch.ones_like(pixels, dtype=torch.bool)
    begins[1:] = (pixels.diff() > 1) | (col[1:] == 0)
    first = begins.nonzero()[:, 0]
    last = torch.cat([first[1:] - 1, torch.tensor([len(pixels) - 1])])
    lines = torch.stack([row[first], col[first] - 0.5, row[last], col[last] + 0.5], dim=1).reshape(-1, 2, 2)
    return tuple(lines.unbind())


def _difference_histogram(state: RegionGrowingState) -> tuple[Histogram, ...]:
    """How much the pixels of the frontier differ; nothing where there is none."""
    grown, colors = state.grown, state.colors
    if len(grown.queue) == 0:
        return ()
    if grown.queue.shape[1] == 3:
        apart = grown.queue[:, 2].double().square()
    else:
        means = means_of(grown.sums, grown.sizes) if state.means is None else state.means
        pixel, region = grown.queue.to(torch.int64).unbind(1)
        apart = differences(colors.values, pixel, region, means)
    apart = (apart.double() / colors.white).sqrt().float().cpu()
    high = max(0.2, 2 * state.threshold)
    counts = torch.histc(apart.clamp(max=high), 40, 0, high)
    return (
        Histogram(
            title="frontier: difference from region",
            edges=torch.linspace(0, high, 41),
            counts=counts,
            marks={"threshold": state.threshold},
            x_label="difference (black to white is 1)",
        ),
    )
