"""Moves of mean shift in the joint domain of place and color, the fusion of what has arrived, and the plain form.

The kernels of `seglab.methods.mean_shift`, which explains them and cites the papers.

With the flat kernel everything is counted in whole numbers: colors and positions are multiples of a small power of
two (a 500th to a 1000th of their bandwidth), so that sums and comparisons are exact, in whatever order they are made.
A compiled loop on a CPU and torch on another device give the same positions, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seglab.labels import absorb_small, adjacency, merge_roots, neighbor_views, relabel, segment_sizes

__all__ = ["Joint", "Kernel", "Modes", "climb", "estimate_bandwidth", "fuse", "log_density", "mean_shift", "moves"]

Kernel = Literal["flat", "gaussian"]

TRUNCATE = 3.0  # the Gaussian ends here, in bandwidths
_PAD = 16  # columns after the last, and rows, that the compiled loops read, and no point sees
_PARTS = 1000.0  # a bandwidth has at most so many units: squares of distances within it are below 2²⁴, so exact
_NOWHERE = 1e7  # a color that no point sees, in units
_BAND = 16  # rows of pixels that one thread climbs at a time
_BLOCK = 1 << 24  # entries of a window's row for all points, elsewhere than on a CPU


# ---- the joint domain -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """A picture as points in the joint domain, one for each pixel, and the kernel that looks at them.

    Attributes
    ----------
    colors
        (D, H, W) float32, D = 1 or 3: whole numbers, in units of ``color_unit``.
    color_unit, place_unit
        Powers of two: what positions of the flat kernel are multiples of, in units of color and in pixels.
    spatial_bandwidth, range_bandwidth
        h_s in pixels and h_r in units of color.
    kernel
        ``"flat"``: 1 where both distances are within their bandwidths. ``"gaussian"``: e^(−s/2), where s is the sum
        of both squared distances in bandwidths, up to s = 9.
    """

    colors: Tensor
    color_unit: float
    place_unit: float
    spatial_bandwidth: float
    range_bandwidth: float
    kernel: Kernel

    @classmethod
    def of(cls, colors: Tensor, spatial_bandwidth: float, range_bandwidth: float, kernel: Kernel = "flat") -> Joint:
        """Round colors (D, H, W) to whole numbers of a unit that is small beside the bandwidth."""
        largest = max(float(colors.abs().amax()), 1e-6)
        color_unit = max(_power_of_two(range_bandwidth / _PARTS), _power_of_two(largest / 2**22))
        place_unit = max(_power_of_two(spatial_bandwidth / _PARTS), _power_of_two(max(colors.shape[1:]) / 2**22))
        return cls(
            colors=(colors / color_unit).round().to(torch.float32),
            color_unit=color_unit,
            place_unit=place_unit,
            spatial_bandwidth=spatial_bandwidth,
            range_bandwidth=range_bandwidth,
            kernel=kernel,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.colors.shape[1], self.colors.shape[2]

    def start(self) -> Tensor:
        """Where every point sets out, (H·W, 2 + D): row, column and color."""
        rows, cols = (torch.arange(n, dtype=torch.float32, device=self.colors.device) for n in self.shape)
        return torch.cat([torch.cartesian_prod(rows, cols), self.colors.flatten(1).T * self.color_unit], dim=1)

    @cached_property
    def planes(self) -> tuple[np.ndarray, ...]:
        """What the compiled loops read: three planes of colors.

        Rows are followed by room for a block that begins at their last pixel, and so is the last row; there is a
        color that no point sees.
        """
        depth, height, width = self.colors.shape
        planes = np.full((3, height + _PAD, width + _PAD), _NOWHERE, np.float32)
        planes[depth:] = 0
        planes[:depth, :height, :width] = self.colors.numpy()
        return tuple(planes.reshape(3, -1))

    @property
    def reach(self) -> float:
        """How far the kernel sees, in pixels."""
        return self.spatial_bandwidth * (1.0 if self.kernel == "flat" else TRUNCATE)


def _power_of_two(value: float) -> float:
    """The smallest power of two that is no smaller."""
    return 2.0 ** math.ceil(math.log2(value))


def climb(joint: Joint, points: Tensor, moving: Tensor, tol: float, n_moves: int = 1) -> tuple[Tensor, Tensor, int]:
    """Move every point that is moving to the mean of what it sees, and again, up to so many times.

    Parameters
    ----------
    joint
        The picture's points, which stay where they are.
    points
        (H·W, 2 + D): where the moving ones are.
    moving
        (H·W,) bool.
    tol
        A point stops after a move of at most this length, in bandwidths.
    n_moves
        How often each may move.

    Returns
    -------
    points, moving
        Afterwards.
    taken
        The largest number of moves that one of them has made.
    """
    if points.device.type == "cpu":
        return _climb_compiled(joint, points, moving, tol, n_moves)
    taken = 0
    for _ in range(n_moves):
        if not bool(moving.any()):
            break
        points, moving = _climb_once(joint, points, moving, tol)
        taken += 1
    return points, moving, taken


def moves(joint: Joint, points: Tensor) -> Tensor:
    """The mean of what each point sees, (P, 2 + D), for points (P, 2 + D) anywhere; the mean-shift vector is this less
    the point. One that sees nothing stays.
    """
    if points.device.type == "cpu":
        everything = torch.ones(len(points), dtype=torch.bool)
        return _climb_compiled(joint, points, everything, 0.0, 1)[0]
    return _means(joint, points)


def log_density(joint: Joint, points: Tensor) -> Tensor:
    """Log of the density that the Gaussian kernel climbs, at points (P, 2 + D): (P,), up to a constant.

    The density is Σ (e^(−s/2) − e^(−9/2)) over all pixels with s < 9: a Gaussian lowered so that it ends without a
    step. Its slope is that of the truncated Gaussian, so no move of mean shift can lower it.
    """
    if joint.kernel != "gaussian":
        raise ValueError("the product of two flat kernels is no density's slope; take kernel='gaussian'")
    if points.device.type != "cpu":
        return _sums(joint, points)[1].log()
    loops = _loops()

    out = np.empty(len(points), np.float64)
    loops.gaussian_density(*_planes_and_shape(joint), *_gaussian_settings(joint), _wide(points), out)
    return torch.from_numpy(out).log().to(points.dtype)


# ---- one move by torch, on any device ---------------------------------------------------------------------------


def _climb_once(joint: Joint, points: Tensor, moving: Tensor, tol: float) -> tuple[Tensor, Tensor]:
    """One move of the moving points."""
    index = moving.nonzero()[:, 0]
    before = points[index]
    after = _means(joint, before)
    return (
        points.index_copy(0, index, after),
        moving.index_copy(0, index, _lengths(joint, after - before) > tol * tol),
    )


def _lengths(joint: Joint, shift: Tensor) -> Tensor:
    """The squared lengths of moves (P, 2 + D) in bandwidths, (P,)."""
    shift = shift.to(_double(shift))
    place, color = shift[:, 0] ** 2 + shift[:, 1] ** 2, shift[:, 2] ** 2
    for column in shift.T[3:]:
        color = color + column**2
    return place / joint.spatial_bandwidth**2 + color / joint.range_bandwidth**2


def _means(joint: Joint, points: Tensor) -> Tensor:
    total, _ = _sums(joint, points)
    weight = total[:, :1].clamp(min=1e-30)
    if joint.kernel == "gaussian":
        return (total[:, 1:] / weight + points.to(total)).to(points.dtype)
    place = (total[:, 1:3] / weight / joint.place_unit).round() * joint.place_unit
    color = (total[:, 3:] / weight).round() * joint.color_unit + points[:, 2:].to(total)
    return torch.where(total[:, :1] > 0, torch.cat([place, color], dim=1).to(points.dtype), points)


def _sums(joint: Joint, points: Tensor) -> tuple[Tensor, Tensor]:
    """Over what each point sees: Σw, Σw·(place), Σw·(color − own), (P, 3 + D); and the density (P,).

    Places are in pixels, counted from the picture's corner (flat) or from the point (Gaussian); colors in units
    (flat) or as they are (Gaussian).
    """
    width = 2 * math.floor(joint.reach + 0.5) + 1
    size = max(1, _BLOCK // width)
    parts = [_block_sums(joint, part) for part in points.split(size)]
    return torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])


def _block_sums(joint: Joint, points: Tensor) -> tuple[Tensor, Tensor]:
    (height, width), reach, flat = joint.shape, math.floor(joint.reach + 0.5), joint.kernel == "flat"
    row, col, color = points[:, :1], points[:, 1:2], points[:, 2:]  # (P, 1), (P, 1), (P, D)
    own_colors = (color / joint.color_unit).split(1, dim=1)
    offsets = torch.arange(-reach, reach + 1, device=points.device, dtype=points.dtype)
    cols = col.round() + offsets  # (P, 2·reach + 1)
    across, places = (cols - col) ** 2, cols.clamp(0, width - 1).long()
    total = torch.zeros(len(points), 3 + color.shape[1], dtype=_double(points), device=points.device)
    density = total.new_zeros(len(points))
    for offset in range(-reach, reach + 1):
        line = row.round() + offset  # (P, 1)
        left = _squared(joint.reach) - (line - row) ** 2
        seen = (line >= 0) & (line < height) & (cols >= 0) & (cols < width) & (across <= left)
        index = line.clamp(0, height - 1).long() * width + places
        apart = [plane.take(index) - own for plane, own in zip(joint.colors, own_colors, strict=True)]
        range_ = sum(a * a for a in apart)
        if flat:
            weight = (seen & (range_ <= _squared(joint.range_bandwidth / joint.color_unit))).to(points.dtype)
            parts = [weight, weight * line, weight * cols, *(weight * a for a in apart)]
        else:
            s = ((line - row) ** 2 + across) / joint.spatial_bandwidth**2
            s = s + range_ * (joint.color_unit / joint.range_bandwidth) ** 2
            weight = torch.where(seen & (s < TRUNCATE**2), torch.exp(-s / 2), 0)
            end = math.exp(-(TRUNCATE**2) / 2)
            density += torch.where(weight > 0, weight - end, 0).sum(dim=1, dtype=density.dtype)
            parts = [weight, weight * (line - row), weight * (cols - col)]
            parts += [weight * a * joint.color_unit for a in apart]
        total += torch.stack([part.sum(dim=1, dtype=total.dtype) for part in parts], dim=1)
    return total, density


def _double(points: Tensor) -> torch.dtype:
    return torch.float32 if points.device.type == "mps" else torch.float64


def _squared(value: float) -> float:
    """The square in float32, as the compiled loops have it."""
    return float(np.float32(value) * np.float32(value))


# ---- compiled loops on a CPU ------------------------------------------------------------------------------------


def _climb_compiled(
    joint: Joint, points: Tensor, moving: Tensor, tol: float, n_moves: int
) -> tuple[Tensor, Tensor, int]:
    """`climb` on a CPU: bands of pixels, as many at a time as torch has threads."""
    loops = _loops()

    after, still = _wide(points), moving.numpy().copy()
    settings = _flat_settings(joint) if joint.kernel == "flat" else _gaussian_settings(joint)
    loop = loops.climb_flat if joint.kernel == "flat" else loops.climb_gaussian
    band = _BAND * joint.shape[1]
    starts = range(0, len(after), band)

    def climb_band(first: int) -> int:
        part = slice(first, first + band)
        return loop(*_planes_and_shape(joint), *settings, after[part], still[part], tol * tol, n_moves)

    taken = _in_threads(climb_band, starts)
    return torch.from_numpy(after)[:, : points.shape[1]].to(points.dtype).contiguous(), torch.from_numpy(still), taken


def _loops() -> Any:
    from seglab.kernels import _mean_shift_loops  # here, because only those who climb on a CPU wait for it

    return _mean_shift_loops


def _in_threads(work: Callable[[int], int], items: range) -> int:
    """The largest result of all items; when interrupted, what has not begun is left."""
    threads = min(torch.get_num_threads(), len(items))
    if threads <= 1:
        return max((work(item) for item in items), default=0)
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return max(future.result() for future in futures)
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _wide(points: Tensor) -> np.ndarray:
    """A copy (P, 5): gray points get two more columns of zeros."""
    wide = np.zeros((len(points), 5), np.float32)
    wide[:, : points.shape[1]] = points.numpy()
    return wide


def _planes_and_shape(joint: Joint) -> tuple[Any, ...]:
    return (*joint.planes, *joint.shape)


def _flat_settings(joint: Joint) -> tuple[float, ...]:
    return joint.spatial_bandwidth, joint.range_bandwidth, joint.place_unit, joint.color_unit


def _gaussian_settings(joint: Joint) -> tuple[float, ...]:
    return joint.spatial_bandwidth, joint.range_bandwidth, joint.color_unit


# ---- fusing what has arrived ------------------------------------------------------------------------------------


def fuse(colors: Tensor, step: float, range_bandwidth: float, min_size: int) -> Tensor:
    """Make segments of the colors to which pixels have climbed: (H, W) int64, numbered by their first pixel.

    Parameters
    ----------
    colors
        (D, H, W): the color of each pixel's mode.
    step
        8-neighbors are of one region where no channel differs by this much.
    range_bandwidth
        Adjacent regions are joined where their mean modes are less than half of this apart; then means are taken
        again, until none are.
    min_size
        Regions of fewer pixels are absorbed by the neighbor with the nearest mode; see `seglab.labels.absorb_small`.

    Examples
    --------
    >>> modes = torch.tensor([[[0.0, 0.5, 4.0, 9.0]]])
    >>> fuse(modes, 1.0, 6.5, 1).tolist(), fuse(modes, 1.0, 8.0, 1).tolist()
    ([[0, 0, 1, 2]], [[0, 0, 0, 1]])
    """
    if colors.device.type == "cpu":
        channels_last = np.ascontiguousarray(colors.movedim(0, -1).float().numpy())
        limit = (range_bandwidth / 2) ** 2
        return torch.from_numpy(_loops().fuse(channels_last, np.float32(step), limit, min_size))
    return _fuse_anywhere(colors, step, range_bandwidth, min_size)


def _fuse_anywhere(colors: Tensor, step: float, range_bandwidth: float, min_size: int) -> Tensor:
    labels = relabel(_regions(colors, step).reshape(colors.shape[1:]))
    sizes = segment_sizes(labels)
    sums = _exact_sums(colors, labels, len(sizes))
    edges = adjacency(labels, 8).edges
    segment = torch.arange(len(sizes), device=labels.device)
    while len(edges):
        means = sums.to(_double(colors)) / 2**24 / sizes[:, None]
        near = (means[edges[:, 0]] - means[edges[:, 1]]).square().sum(1) < (range_bandwidth / 2) ** 2
        if not bool(near.any()):
            break
        root = merge_roots(len(sizes), *edges[near].unbind(1))
        alive = root == torch.arange(len(sizes), device=labels.device)
        root = (torch.cumsum(alive, 0) - 1)[root]
        segment, edges = root[segment], root[edges]
        edges = edges[edges[:, 0] != edges[:, 1]]
        sizes = sizes.new_zeros(int(alive.sum())).index_add(0, root, sizes)
        sums = sums.new_zeros(len(sizes), sums.shape[1]).index_add(0, root, sums)
    return absorb_small(segment[labels], colors, min_size, 8)


def _regions(colors: Tensor, step: float) -> Tensor:
    """The first pixel of each pixel's region, (H·W,)."""
    pixels = torch.arange(colors[0].numel(), device=colors.device).reshape(colors.shape[1:])
    limit, pairs = float(np.float32(step)), []
    for k, (a, b) in enumerate(neighbor_views(pixels, 8)):
        differences = [torch.sub(*neighbor_views(plane, 8)[k]).abs() for plane in colors]
        near = torch.stack(differences).amax(0) < limit
        pairs.append(torch.stack([a[near], b[near]]))
    return merge_roots(pixels.numel(), *torch.cat(pairs, dim=1))


def _exact_sums(colors: Tensor, labels: Tensor, n: int) -> Tensor:
    """The sum of each channel over each label, (n, D), in whole numbers of 2⁻²⁴: the same in any order."""
    whole = (colors.flatten(1).T.to(_double(colors)) * 2**24).round().to(torch.int64)
    return whole.new_zeros(n, whole.shape[1]).index_add(0, labels.flatten(), whole)


# ---- the plain form: points in any space ------------------------------------------------------------------------


class Modes(NamedTuple):
    """What `mean_shift` finds.

    Attributes
    ----------
    modes
        (K, D), the mode with most points around it first.
    labels
        (N,) int64: the nearest mode of each point.
    ends
        (S, D): where each seed has come to.
    n_iter
        The largest number of moves that a seed has made.
    """

    modes: Tensor
    labels: Tensor
    ends: Tensor
    n_iter: int


def mean_shift(
    points: Any,
    bandwidth: float,
    kernel: Kernel = "flat",
    seeds: Any = None,
    *,
    weights: Any = None,
    max_iter: int = 300,
    tol: float = 1e-3,
) -> Modes:
    """Climb from every seed to a mode of the points' density, fuse modes, and give each point the nearest one.

    Parameters
    ----------
    points
        (N, D): an array or a tensor.
    bandwidth
        The radius of the flat kernel, the standard deviation of the Gaussian.
    kernel
        ``"flat"``: the mean of the points within the bandwidth. ``"gaussian"``: of those within three bandwidths,
        weighted by e^(−d²/2h²).
    seeds
        (S, D): where to set out; the points, by default.
    weights
        (N,): how often each point occurs; once, by default.
    max_iter, tol
        A seed stops after a move of at most ``tol`` bandwidths, or after so many moves.

    Raises
    ------
    ValueError
        No points, a shape that does not fit, NaN, or a bandwidth that is not above 0.

    Notes
    -----
    With the flat kernel this is `sklearn.cluster.MeanShift` without binned seeds: of the ends, the one with most
    points within the bandwidth is a mode (the largest coordinates first, among equals), and all others within the
    bandwidth are dropped; then the next. Takes N·S·D operations a move.

    Examples
    --------
    >>> found = mean_shift([[1.0], [2.0], [3.0], [11.0], [12.0]], bandwidth=2)
    >>> found.modes.tolist(), found.labels.tolist()
    ([[2.0], [11.5]], [0, 0, 0, 1, 1])
    """
    x = _as_points(points, "points")
    y = x if seeds is None else _as_points(seeds, "seeds").to(x)
    n = torch.ones_like(x[:, 0]) if weights is None else torch.as_tensor(weights).to(x)
    _check_plain(x, y, n, bandwidth, kernel, max_iter, tol)
    y, moving = y.clone(), torch.arange(len(y), device=x.device)
    n_iter = 0
    while len(moving) and n_iter < max_iter:
        after = _plain_means(x, n, y[moving], bandwidth, kernel)
        length = (after - y[moving]).norm(dim=1)
        y[moving] = after
        moving, n_iter = moving[length > tol * bandwidth], n_iter + 1
    modes = _distinct_modes(x, n, y, bandwidth)
    labels = torch.cat([torch.cdist(part, modes).argmin(dim=1) for part in x.split(_rows(modes))])
    return Modes(modes, labels, y, n_iter)


def estimate_bandwidth(points: Any, quantile: float = 0.3, n_samples: int | None = None, seed: int = 0) -> float:
    """A bandwidth for `mean_shift`: the mean distance of a point to its k-th nearest, k = quantile·N.

    Parameters
    ----------
    points
        (N, D).
    quantile
        In (0, 1]: the share of the points that a point's neighborhood holds; itself counts as the first.
    n_samples
        Look at so many points only, drawn without putting back; at all of them by default.
    seed
        Of the draw.

    Notes
    -----
    This is `sklearn.cluster.estimate_bandwidth`. With n points, n² distances.

    Examples
    --------
    >>> estimate_bandwidth([[0.0], [1.0], [2.0], [4.0]], quantile=0.5)
    1.25
    """
    x = _as_points(points, "points")
    if not 0 < quantile <= 1:
        raise ValueError(f"estimate_bandwidth: quantile is a share in (0, 1]; got {quantile!r}")
    if n_samples is not None and n_samples < 1:
        raise ValueError(f"estimate_bandwidth: n_samples is at least 1, or None for all points; got {n_samples!r}")
    if n_samples is not None and n_samples < len(x):
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:n_samples].to(x.device)]
    k = max(1, int(len(x) * quantile))
    parts = [_distances(part, x).kthvalue(k, dim=1).values for part in x.split(_rows(x))]
    return float(torch.cat(parts).mean())


def _as_points(points: Any, name: str) -> Tensor:
    x = torch.as_tensor(points)
    x = x if x.dtype == torch.float64 or x.device.type == "mps" else x.to(torch.float64)
    if x.ndim != 2 or x.numel() == 0:
        raise ValueError(f"{name} are (N, D), one row each, and at least one; got shape {tuple(x.shape)}")
    if not bool(x.isfinite().all()):
        raise ValueError(f"{name} must be finite numbers; these hold NaN or infinity")
    return x


def _check_plain(
    x: Tensor, y: Tensor, weights: Tensor, bandwidth: float, kernel: str, max_iter: int, tol: float
) -> None:
    if y.shape[1] != x.shape[1]:
        raise ValueError(f"mean_shift: seeds have {y.shape[1]} coordinates, points {x.shape[1]}; they need the same")
    if weights.shape != x.shape[:1] or not bool((weights > 0).all()):
        raise ValueError(f"mean_shift: weights are {len(x)} numbers above 0, one for each point")
    if not bandwidth > 0 or math.isinf(bandwidth):
        raise ValueError(f"mean_shift: the bandwidth is a length above 0; got {bandwidth!r}; see estimate_bandwidth")
    if kernel not in ("flat", "gaussian"):
        raise ValueError(f"mean_shift: the kernel is 'flat' or 'gaussian'; got {kernel!r}")
    if max_iter < 1 or not tol >= 0:
        raise ValueError(f"mean_shift: max_iter is at least 1 and tol at least 0; got {max_iter=}, {tol=}")


def _rows(points: Tensor) -> int:
    """How many points to compare with all of these at once."""
    return max(1, (1 << 22) // (len(points) * points.shape[1]))


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """(A, B), from differences, so that no digits are lost far from the origin."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _plain_means(x: Tensor, weights: Tensor, y: Tensor, bandwidth: float, kernel: Kernel) -> Tensor:
    """The mean of what each of y (S, D) sees; one that sees nothing (a seed far away) stays."""
    means = []
    for part in y.split(_rows(x)):
        distance = _distances(part, x)
        if kernel == "flat":
            w = (distance <= bandwidth).to(x.dtype) * weights
        else:
            w = torch.exp(-((distance / bandwidth) ** 2) / 2) * (distance < TRUNCATE * bandwidth) * weights
        total = w.sum(dim=1, keepdim=True)
        means.append(torch.where(total > 0, w @ x / total.clamp(min=torch.finfo(x.dtype).tiny), part))
    return torch.cat(means)


def _distinct_modes(x: Tensor, weights: Tensor, ends: Tensor, bandwidth: float) -> Tensor:
    """The ends, the one with most points within the bandwidth first, less those within it of an earlier one."""
    inside = torch.cat([(_distances(part, x) <= bandwidth).to(x.dtype) @ weights for part in ends.split(_rows(x))])
    left, count = torch.unique(ends[inside > 0], dim=0, return_inverse=True)
    count = torch.zeros(len(left), dtype=x.dtype, device=x.device).scatter_(0, count, inside[inside > 0])
    order = torch.argsort(count.flip(0), stable=True, descending=True)  # of equals, the largest coordinates first
    left, modes = left.flip(0)[order], []
    if not len(left):
        raise ValueError("mean_shift: no seed has a point within the bandwidth; choose other seeds or a larger one")
    while len(left):
        modes.append(left[0])
        left = left[_distances(left[:1], left)[0] > bandwidth]
    return torch.stack(modes)
