"""k-means: K centers, each pixel with the nearest one, each center in the middle of its pixels.

Minimizes the inertia, the sum over all pixels of the squared distance to the nearest center, by Lloyd's iteration:
update, assign, and again, until no pixel changes sides. Neither half can raise the inertia, so it comes to an end.

Lloyd, 1982, Least squares quantization in PCM, IEEE Trans. Information Theory 28(2), 10.1109/TIT.1982.1056489.
Arthur & Vassilvitskii, 2007, k-means++: the advantages of careful seeding, SODA.

*Differs from the papers*: works on the distinct colors, weighted by their counts, with the same result; k-means++
draws a few candidates for each center and keeps the best, as section 6 of its paper suggests and scikit-learn does; a
center that loses all its pixels moves to the pixel that is farthest from its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from seglab.features import Distinct, center_colors, center_columns, distinct_features
from seglab.image import ColorSpace
from seglab.kernels.kmeans import Columns, Lloyd, assign, update
from seglab.panels import Histogram, Panel, Scatter
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status, generator

__all__ = ["Columns", "KMeans", "KMeansState", "assign", "inertia", "kmeans_plus_plus", "random_points", "update"]

_SHOWN = 2000  # points in a scatter plot


@dataclass(frozen=True, kw_only=True, eq=False)
class KMeansState(State):
    """Centers, and the nearest of them for each point.

    Attributes
    ----------
    centers
        (K, D), in the units of the features.
    nearest
        (U,) int64: the index of the center that is nearest to each distinct point.
    points
        The distinct points (U, D), their counts, and the point of each pixel; the same in all states.
    columns
        The points as `assign` and `update` take them; the same in all states.
    path
        The centers of the earlier steps, each (K, D).
    """

    centers: Tensor
    nearest: Tensor
    points: Distinct
    columns: Columns
    shape: tuple[int, int]
    color_space: ColorSpace = "lab"
    window: int = 1
    path: tuple[Tensor, ...] = ()

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the nearest center of each pixel."""
        return self.nearest.index_select(0, self.points.inverse).reshape(self.shape)

    @cached_property
    def objective(self) -> Tensor:
        """The inertia, in squared units of the features."""
        return inertia(self.points.values, self.points.counts, self.centers, self.nearest)

    @property
    def colors(self) -> Tensor:
        """(K, 3) RGB in [0, 1]: the colors of the centers."""
        return center_colors(self.centers, self.color_space, self.window)

    def describe(self) -> str:
        """The step and the inertia."""
        return f"iteration {self.n_iter} · inertia {float(self.objective):.5g}"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """Some of the pixels in color space, with the centers and the ways that they have come."""
        flat = self.color_space == "gray" and (self.window > 1 or self.centers.shape[1] == 1)
        return (_gray_histogram(self) if flat else _color_scatter(self),)


@dataclass(frozen=True, kw_only=True)
class KMeans(Segmenter[KMeansState], name="kmeans"):
    """Cluster pixels around K centers by Lloyd's iteration.

    Minimizes the inertia Σᵢ ‖xᵢ − c(i)‖², where c(i) is the center nearest to pixel i's features xᵢ.

    Parameters
    ----------
    n_clusters
        The number of clusters K.
    color_space, spatial_weight, window
        What a pixel is; see `seglab.features.pixel_features`.
    start
        ``"k-means++"`` draws centers far from one another; ``"random"`` draws K different points, frequent ones more
        often.
    max_iter
        The number of steps at most; a step is one update of the centers and one assignment.
    tol
        Stop when no center has moved by more than this, in the units of the features. At 0 (the default), go on
        until no pixel changes its cluster.
    seed
        Of the draws.
    centers
        Starting centers (K, D) instead of drawn ones. Data, not a hyper-parameter: no control is made for it.

    Notes
    -----
    Labels always belong to the returned centers: a step ends with an assignment. A pixel equally near to two centers
    goes to the one that comes first. The result depends on the start; for the best of several:

        min((KMeans(seed=seed).segment(image) for seed in range(10)), key=lambda r: float(r.state.objective))

    With fewer different points than clusters, each point is a cluster of its own, whatever the start, and the inertia
    is 0: the status is `Status.DEGENERATE`, at once, and centers that are left over repeat the last point.

    A step takes two matrix products of U·K·D, where U is the number of different points: for colors alone, a tenth to
    a half of a photograph's pixels. `Segmenter.segment` on a CPU leaves out most of them.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> result = KMeans(n_clusters=3).segment(shapes(height=48, width=64).image)
    >>> result.n_segments, str(result.status), tuple(result.state.colors.shape)
    (3, 'converged', (3, 3))
    """

    title = "k-means"
    objective_name = "inertia"
    objective_sense = "min"

    n_clusters: int = param(5, low=2, high=20, valid="[1, inf)", help="number of clusters K")
    color_space: ColorSpace = param("lab", help="color space in which distances are measured")
    spatial_weight: float = param(
        0.0, low=0, high=2, valid="[0, inf)", help="weight of the place; 1: the longer side is as far as black to white"
    )
    window: int = param(
        1, low=1, high=7, valid="[1, inf)", unit="px", help="side of the window of colors around a pixel"
    )
    start: Literal["k-means++", "random"] = param("k-means++", help="how starting centers are drawn")
    max_iter: int = param(300, low=1, high=300, valid="[1, inf)", help="steps at most")
    tol: float = param(
        0.0, low=0, high=1, valid="[0, inf)", help="stop when no center moves further; 0: when none moves"
    )
    seed: int = param(0, low=0, high=20, valid="[0, inf)", help="seed of the draws of the start")
    centers: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.centers is None:
            return
        centers = torch.as_tensor(self.centers)
        if centers.ndim != 2 or len(centers) != self.n_clusters:
            raise ValueError(
                f"KMeans: centers must be (n_clusters, D) with n_clusters={self.n_clusters}; got {tuple(centers.shape)}"
            )
        object.__setattr__(self, "centers", centers)

    def init(self, image: Tensor) -> KMeansState:
        """The starting centers, and the first assignment."""
        points = distinct_features(image, self.color_space, self.spatial_weight, self.window)
        columns = Columns.of(points.values, points.counts)
        few = len(points) < self.n_clusters
        centers = _padded(points.values, self.n_clusters) if few else self._starting_centers(points)
        return KMeansState(
            code=Status.DEGENERATE if few else Status.RUNNING,
            centers=centers,
            nearest=assign(columns, centers),
            points=points,
            columns=columns,
            shape=(image.shape[1], image.shape[2]),
            color_space=self.color_space,
            window=self.window,
        )

    def step(self, image: Tensor, state: KMeansState) -> KMeansState:
        """Move each center to the mean of its points, then give each point its nearest center."""
        centers = update(state.columns, state.nearest, state.centers)
        nearest = assign(state.columns, centers)
        return self._next(state, centers, nearest, (nearest == state.nearest).all())

    def solve(self, image: Tensor, state: KMeansState) -> KMeansState | None:
        """On a CPU, take the same steps by `seglab.kernels.kmeans.Lloyd`, which looks only where labels may change."""
        if state.centers.device.type != "cpu" or state.status is not Status.RUNNING:
            return None
        lloyd = Lloyd(state.columns, state.nearest, state.centers)
        try:
            while state.status is Status.RUNNING:
                if lloyd.smallest == 0:  # hardly ever
                    state = self.step(image, replace(state, nearest=lloyd.nearest))
                    lloyd = Lloyd(state.columns, state.nearest, state.centers)
                else:
                    stayed = lloyd.step()
                    state = self._next(state, lloyd.centers, state.nearest, stayed)  # these labels come at the end
        except KeyboardInterrupt:
            return replace(state, nearest=assign(state.columns, state.centers))
        return replace(state, nearest=lloyd.nearest)

    def _next(self, state: KMeansState, centers: Tensor, nearest: Tensor, settled: bool | Tensor) -> KMeansState:
        if self.tol > 0:
            settled = settled | ((centers - state.centers).norm(dim=1).amax() <= self.tol)
        n_iter, path = state.n_iter + 1, (*state.path, state.centers)
        code = Status.after(n_iter, self.max_iter, settled)
        return replace(state, n_iter=n_iter, code=code, centers=centers, nearest=nearest, path=path)

    def _starting_centers(self, points: Distinct) -> Tensor:
        values, counts = points.values, points.counts
        if self.centers is not None:
            if self.centers.shape[1] != values.shape[1]:
                raise ValueError(
                    f"KMeans: centers have {self.centers.shape[1]} features, pixels have {values.shape[1]}; "
                    "check color_space, spatial_weight and window"
                )
            return self.centers.to(values)
        draw = random_points if self.start == "random" else kmeans_plus_plus
        return draw(values, counts, self.n_clusters, generator(self.seed))


def kmeans_plus_plus(
    values: Tensor, counts: Tensor, n_clusters: int, rng: torch.Generator, n_candidates: int | None = None
) -> Tensor:
    """Draw starting centers among the points, each the likelier the farther it lies from those before it.

    Parameters
    ----------
    values, counts
        (U, D) different points, and how often each occurs (U,).
    n_clusters
        K.
    rng
        A generator on the CPU.
    n_candidates
        For each center after the first, so many points are drawn ∝ D², the squared distance to the nearest center
        so far, and the one that lowers the inertia most is kept. 1 is the plain method; 2 + ⌊log K⌋ by default.

    Returns
    -------
    Tensor
        (K, D): K of the points, all different if there are K different ones.
    """
    tries = 2 + int(math.log(n_clusters)) if n_candidates is None else n_candidates
    draws = torch.rand(n_clusters, tries, generator=rng, dtype=torch.float64).to(values.device)
    centered, weights = values - values.mean(dim=0), counts.to(values.dtype)
    index = _draw(weights, draws[0, :1])
    chosen, closest = [index], _squared_distances(centered, index)[0]  # (U,), D²
    for k in range(1, n_clusters):
        candidates = _draw(weights * closest, draws[k])
        remaining = torch.minimum(_squared_distances(centered, candidates), closest)  # (tries, U)
        best = (remaining @ weights).argmin(dim=0, keepdim=True)
        chosen.append(candidates[best])
        closest = remaining[best][0]
    return values[torch.cat(chosen)]


def random_points(values: Tensor, counts: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Draw n of the points, (n, D), all different, frequent ones more often.

    Without putting back, ∝ counts: the first n arrivals of an exponential race.
    """
    arrivals = torch.empty(len(values), dtype=torch.float64).exponential_(generator=rng).to(values.device) / counts
    return values[arrivals.topk(n, largest=False).indices]


def inertia(values: Tensor, counts: Tensor, centers: Tensor, nearest: Tensor) -> Tensor:
    """The sum over all pixels of the squared distance to their center, a 0-d float64 tensor."""
    distance = (values - centers[nearest]).square().sum(dim=1)
    return distance.double() @ counts.double()


def _squared_distances(values: Tensor, index: Tensor) -> Tensor:
    """(T, U) from the points that ``index`` (T,) names to all; exactly 0 to themselves, so that none is drawn twice."""
    lengths, centers = values.square().sum(dim=1), values[index]
    constant = lengths + lengths[index][:, None]
    return torch.addmm(constant, centers, values.T, alpha=-2).clamp_(min=0).scatter_(1, index[:, None], 0.0)


def _draw(weights: Tensor, draws: Tensor) -> Tensor:
    """Indices drawn ∝ ``weights`` (U,), from uniform ``draws`` (T,) in [0, 1)."""
    total = weights.cumsum(dim=0, dtype=torch.float64)
    return torch.searchsorted(total, draws * total[-1], right=True).clamp(max=len(weights) - 1)


def _padded(values: Tensor, n: int) -> Tensor:
    return torch.cat([values, values[-1:].expand(n - len(values), -1)])


def _gray_histogram(state: KMeansState) -> Histogram:
    middle = center_columns("gray", state.window).start
    values, counts = state.points.values[:, middle].float().cpu(), state.points.counts.float().cpu()
    bars, edges = torch.histogram(values, 64, range=(0, 1), weight=counts)
    marks = {f"center {k}": value for k, value in enumerate(state.centers[:, middle].tolist())}
    return Histogram(title="gray values and centers", edges=edges, counts=bars, marks=marks, x_label="gray value")


def _color_scatter(state: KMeansState) -> Scatter:
    points, n = state.points, len(state.points.inverse)
    some = points.inverse[torch.linspace(0, n - 1, min(n, _SHOWN), device=points.inverse.device).long()]
    first = center_columns(state.color_space, state.window).start
    shown = slice(first, first + 3)  # of a gray pixel with its place: gray, row, column
    ways = torch.stack([*state.path, state.centers])[:, :, shown]  # (T, K, 3)
    return Scatter(
        title="pixels and centers",
        points=points.values[some, shown],
        labels=state.nearest[some],
        centers=state.centers[:, shown],
        paths=tuple(ways.unbind(dim=1)) if state.path else (),
        axis_labels=_AXES[state.color_space],
    )


_AXES = {
    "gray": ("gray", "row", "column"),
    "rgb": ("red", "green", "blue"),
    "hsv": ("hue", "saturation", "value"),
    "lab": ("L", "a", "b"),
    "luv": ("L", "u", "v"),
}
