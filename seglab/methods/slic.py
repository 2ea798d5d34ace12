"""SLIC: superpixels by k-means on color and place, where a center looks only at what is near.

A pixel goes to the center with the least D² = d_lab² + (m/S)² d_xy², where S = √(N/K) is the distance of neighboring
centers, and m, the compactness, says how large a difference in color weighs as much as a way of S pixels. A center
competes for the 2S × 2S pixels around it, so that the time does not depend on K. At the end small pieces are absorbed.

Achanta, Shaji, Smith, Lucchi, Fua & Süsstrunk, 2012, SLIC superpixels compared to state-of-the-art superpixel methods,
IEEE Trans. Pattern Analysis and Machine Intelligence 34(11), 10.1109/TPAMI.2012.120.

*Differs from the paper*: rows of the grid may differ by one in their number of centers, so that there are K and not the
next product of two numbers. A pixel's own center competes for it also where its window has moved away: then no pixel
is ever without a label, and D² never rises, as in k-means. Seeds stay in their cells when they are moved to a lower
gradient. Small pieces go to the neighbor with the most similar color (the paper: with the nearest center; the authors'
program: met last), the smallest first, and also pieces that are large enough where there are more than K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seglab.image import ColorSpace
from seglab.kernels.felzenszwalb import smooth
from seglab.kernels.slic import (
    Centers,
    Pixels,
    Seeds,
    assign,
    colors,
    enforce_connectivity,
    grid,
    iterate,
    largest_differences,
    perturb,
    rounded,
    update,
)
from seglab.labels import count_labels, mean_color
from seglab.panels import Curve, Lines, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmenter, State, Status

__all__ = [
    "SLIC",
    "Centers",
    "Pixels",
    "SLICState",
    "Seeds",
    "assign",
    "enforce_connectivity",
    "grid",
    "iterate",
    "perturb",
    "update",
]

_LIGHTNESS = {"gray": 1.0, "rgb": 1.0, "hsv": 1.0, "lab": 100.0, "luv": 100.0}  # from black to white


@dataclass(frozen=True, kw_only=True, eq=False)
class SLICState(State):
    """Centers, and the pixels that were nearest to them before they moved to these pixels' mean.

    Attributes
    ----------
    centers
        (K, D + 2) float32: mean color (L, a and b), mean row and mean column.
    nearest
        (H, W) int32: the center of each pixel, as assigned, −1 outside of the mask. At the start, the grid's cells.
    residual
        How far the centers have moved in this step, in pixels: the mean of their ways, a 0-d tensor; infinite at the
        start.
    pixels
        What is clustered, S (``pixels.step``) and the weight of places; the same in all states.
    sums
        (K, D + 3) float64: of each center's pixels, as `Centers` has them.
    color_scale
        (K,) m_k², what a squared difference in color is divided by where the compactness is adaptive; else None.
    path
        The centers of the earlier steps, each (K, D + 2).
    """

    centers: Tensor
    nearest: Tensor
    residual: Tensor
    pixels: Pixels
    n_segments: int
    min_size: int  # of superpixels, in pixels; 0: they need not be connected
    sums: Tensor | None = None
    color_scale: Tensor | None = None
    floor: float = 1.0  # of color_scale
    path: tuple[Tensor, ...] = ()

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: superpixels. Of a state that is to be continued, the pixels of each center as they are."""
        if self.min_size == 0 or self.status is Status.RUNNING:
            return self.nearest.to(torch.int64)
        return enforce_connectivity(self.nearest, self.pixels.features, self.n_segments, self.min_size)

    @cached_property
    def distances(self) -> Tensor:
        """(H, W): D² of each pixel to its center; 0 outside of the mask."""
        own = self.centers[self.nearest.clamp(min=0)].movedim(-1, 0)  # (D + 2, H, W)
        rows, cols = (torch.arange(n, device=own.device, dtype=own.dtype) for n in self.nearest.shape)
        color = (self.pixels.features - own[:-2]).square().sum(dim=0)
        place = (rows[:, None] - own[-2]).square() + (cols - own[-1]).square()
        if self.color_scale is not None:
            color = color / self.color_scale[self.nearest.clamp(min=0)]
        return torch.where(self.nearest >= 0, color + self.pixels.place_weight * place, 0)

    @cached_property
    def objective(self) -> Tensor:
        """The sum of D² over all pixels, in squared units of color; where adaptive, in units of m_k²."""
        return self.distances.sum(dtype=torch.float32 if self.centers.device.type == "mps" else torch.float64)

    def describe(self) -> str:
        """The step, how far the centers have moved, and the number of superpixels."""
        moved = f"residual {float(self.residual):.3g} px" if self.n_iter else "seeds on their grid"
        return f"iteration {self.n_iter} · {moved} · {count_labels(self.labels)} superpixels"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The centers with the ways that they have come, the picture in mean colors, and the residual."""
        ways = torch.stack([*self.path, self.centers])[:, :, -2:]  # (T, K, 2)
        residuals = (ways[1:] - ways[:-1]).norm(dim=2).mean(dim=1)
        return (
            Lines(title="centers and their ways", lines=tuple(ways.unbind(dim=1)), points=self.centers[:, -2:]),
            Picture(title="mean colors", values=mean_color(self.labels, image).expand(3, -1, -1).movedim(0, -1)),
            Curve(
                title="residual",
                x=range(1, self.n_iter + 1),
                curves={"mean move": residuals},
                x_label="iteration",
                y_label="pixels",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class SLIC(Segmenter[SLICState], name="slic"):
    """Cut a picture into K superpixels: small, compact, connected, and even in color.

    Minimizes Σ D² over all pixels, D² = ‖color − color_k‖² + (m/S)² ‖place − place_k‖² to the pixel's center k, among
    the centers that are at most S = √(N/K) away in each direction.

    Parameters
    ----------
    n_segments
        K. There are never more superpixels (but see ``mask``), and with the default ``min_size`` at least 0.9 K − 1:
        those that lose three quarters of their size are absorbed.
    compactness
        m: the difference in color that weighs as much as a way of S pixels, where black and white are 100 apart.
        Larger: squares; smaller: superpixels that follow the picture.
    adaptive
        SLICO: ``compactness`` holds for the first step, and from then on each superpixel has an m_k of its own, the
        largest difference in color that was found in it so far (at least 1).
    max_iter
        The number of steps at most; a step is one assignment and one move of the centers.
    tol
        Stop when the centers have moved by no more than this, in pixels and on average. At 0, go on until none moves.
    sigma
        Smooth the colors first by a Gaussian of this standard deviation, in pixels.
    connected
        Make superpixels connected at the end. Without it the pixels of one center may lie apart.
    min_size
        The size of the smallest superpixel, as a share of N/K. At 0 there are as many as asked for where the pieces
        are enough, some perhaps of a few pixels.
    color_space
        The space of the colors.
    mask
        (H, W): where to make superpixels; others get −1. Data, not a hyper-parameter. A part of it that is smaller than
        ``min_size``, or one part more than K, is a superpixel all the same.

    Notes
    -----
    No step raises the objective (with ``adaptive``, no step after the first). Of equally near centers, the first wins.
    The labels of the last state are connected and numbered as the centers are, without gaps; of earlier ones, they are
    as assigned.

    A step takes time ∝ N, whatever K, and the whole about 40 bytes a pixel and, for colors, 12 more.

    References
    ----------
    SLICO and maskSLIC: https://www.epfl.ch/labs/ivrl/research/slic-superpixels; B. Irving, 2016, maskSLIC: regional
    superpixel generation with application to local pathology characterisation in medical images, arXiv:1606.09518.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> result = SLIC(n_segments=30).segment(shapes(height=48, width=64).image)
    >>> result.n_segments, tuple(result.state.centers.shape)
    (30, (30, 5))
    """

    title = "SLIC"
    objective_name = "sum of D²"
    objective_sense = "min"

    n_segments: int = param(
        200, low=20, high=2000, scale="log", valid="[1, inf)", help="number of superpixels K, at most"
    )
    compactness: float = param(
        10.0,
        low=1,
        high=100,
        scale="log",
        valid="(0, inf)",
        help="color difference m that weighs as much as a way of S",
    )
    adaptive: bool = param(False, help="a compactness for each superpixel (SLICO)")
    max_iter: int = param(10, low=1, high=50, valid="[1, inf)", help="steps at most")
    tol: float = param(
        0.0, low=0, high=1, valid="[0, inf)", unit="px", help="stop when centers move less; 0: when none moves"
    )
    sigma: float = param(0.0, low=0, high=5, valid="[0, inf)", unit="px", help="smoothing before")
    connected: bool = param(True, help="join small pieces to a neighbor at the end")
    min_size: float = param(
        0.25, low=0, high=1, valid="[0, 1]", when={"connected": True}, help="smallest superpixel, as a share of N/K"
    )
    color_space: ColorSpace = param("lab", help="color space in which distances are measured")
    mask: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask is None:
            return
        mask = torch.as_tensor(self.mask).detach()
        mask = mask[0] if mask.ndim == 3 and len(mask) == 1 else mask
        if mask.ndim != 2 or not bool(mask.any()):
            raise ValueError(
                f"SLIC: a mask is (H, W), True in one pixel at least; got shape {tuple(mask.shape)}, "
                f"{int(mask.count_nonzero())} pixels"
            )
        object.__setattr__(self, "mask", mask != 0)

    def init(self, image: Tensor) -> SLICState:
        """The grid: its cells, and a seed in each, moved to the smoothest of the pixels around."""
        features = colors(image, self.color_space)
        if self.sigma > 0:
            features = rounded(smooth(features, self.sigma))
        return self._start(features, _LIGHTNESS[self.color_space] / 100)

    def step(self, image: Tensor, state: SLICState) -> SLICState:
        """Give each pixel the nearest center, then move each center to the mean of its pixels."""
        weight = None if state.color_scale is None else state.color_scale.reciprocal()
        centers, nearest, sums = iterate(state.pixels, state.centers, state.nearest, state.sums, weight)
        residual = (centers - state.centers)[:, -2:].norm(dim=1).mean()
        settled = (centers == state.centers).all()
        if self.tol > 0:
            settled = settled | (residual <= self.tol)
        if state.color_scale is not None:
            found = largest_differences(state.pixels, state.centers, nearest).clamp(min=state.floor)
            state = replace(state, color_scale=torch.maximum(found, state.color_scale) if state.n_iter else found)
        n_iter, path = state.n_iter + 1, (*state.path, state.centers)
        code = Status.after(n_iter, self.max_iter, settled)
        return replace(
            state, n_iter=n_iter, code=code, centers=centers, nearest=nearest, sums=sums, residual=residual, path=path
        )

    def segment_features(self, features: Any) -> SLICState:
        """Make superpixels of any feature map, such as a layer of a network.

        Parameters
        ----------
        features
            (D, H, W) numbers, as they are: ``color_space`` has no part in this.

        Returns
        -------
        SLICState
            The last state: ``labels`` (H, W), ``centers`` (K, D + 2). Here ``compactness`` is the difference, in the
            features' own units, that weighs as much as a way of S pixels.

        Raises
        ------
        ValueError
            A wrong shape, or NaN.

        Examples
        --------
        >>> features = torch.rand(16, 40, 60, generator=torch.Generator().manual_seed(0))
        >>> state = SLIC(n_segments=24, compactness=2.0).segment_features(features)
        >>> state.labels.shape, tuple(state.centers.shape)
        (torch.Size([40, 60]), (24, 18))
        """
        given = torch.as_tensor(features).detach()
        if given.ndim != 3 or given.numel() == 0 or given.is_complex():
            raise ValueError(f"SLIC: features are (D, H, W) numbers, one pixel at least; got {tuple(given.shape)}")
        given = given.to(torch.float32)
        if not bool(given.isfinite().all()):
            raise ValueError("SLIC: features must be finite numbers; these hold NaN or infinity")
        with self._threads(given):
            state = self._start(rounded(smooth(given, self.sigma)), 1.0)
        return self._finish(given, state, progress=False)[0]

    def _start(self, features: Tensor, unit: float) -> SLICState:
        height, width = features.shape[1:]
        mask = self._mask_for(features)
        n_pixels = height * width if mask is None else int(mask.sum())
        seeds = grid(height, width, self.n_segments, mask).to(features.device)
        m = self.compactness * unit
        weight = seeds.step**-2 if self.adaptive else (m / seeds.step) ** 2
        pixels = Pixels.of(features, seeds.step, weight, mask)
        places = perturb(pixels.features, seeds)
        centers = torch.cat([pixels.features[:, places[:, 0], places[:, 1]].T, places.to(pixels.features.dtype)], dim=1)
        n = len(centers)
        return SLICState(
            centers=centers,
            nearest=seeds.cells,
            residual=centers.new_full((), torch.inf),
            pixels=pixels,
            n_segments=n,
            min_size=max(1, math.ceil(self.min_size * n_pixels / n)) if self.connected else 0,
            color_scale=centers.new_full((n,), m**2) if self.adaptive else None,
            floor=unit**2,
        )

    def _mask_for(self, features: Tensor) -> Tensor | None:
        if self.mask is None:
            return None
        if self.mask.shape != features.shape[1:]:
            raise ValueError(
                f"SLIC: the mask is {tuple(self.mask.shape)} and the picture {tuple(features.shape[1:])}; "
                "they need the same height and width"
            )
        return self.mask.to(features.device)
