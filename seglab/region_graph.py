"""The graph of a label map's regions: who touches whom, how unlike they are, and joining them, lightest edge first.

A region is a node, two that touch have an edge: as long as their boundary, as heavy as their colors differ or as the
boundary is strong. Joining every edge up to a threshold is one way to coarsen a label map; joining the lightest, again
and again, each time with the weights of the regions that there are then, gives a whole `Hierarchy`.

    graph = region_graph(superpixels, image)
    flat = graph.join(graph.differences < 0.08)
    tree = merge_hierarchical(superpixels, image, "ward")
    tree.cut_to(12)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from seglab.hierarchy import Hierarchy
from seglab.image import as_image
from seglab.labels import as_labels, merge_roots, neighbor_views, relabel, segment_sizes

__all__ = ["Criterion", "RegionGraph", "merge_hierarchical", "region_graph"]

Criterion = Literal["color", "ward", "mumford_shah", "boundary"]

_WHOLE = 2.0**24  # sums are kept in whole numbers of its inverse: the same on every device, in any order


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionGraph:
    """The M regions of a label map, and the E pairs of them that touch.

    Attributes
    ----------
    labels
        (H, W) int64: the regions, 0 … M − 1; −1 where unassigned.
    sizes
        (M,) int64: pixels.
    colors
        (M, C) float64: mean colors.
    centroids
        (M, 2) float64: mean (row, column); it may lie outside of a region that is bent.
    edges
        (E, 2) int64: pairs i < j of regions, in lexicographic order.
    lengths
        (E,) int64: of the boundary, in pairs of neighboring pixels on both sides.
    differences
        (E,) float64: the Euclidean distance of the two mean colors.
    strengths
        (E,) float64: the mean along the boundary, over its pairs of pixels, of the distance of the two pixels' colors;
        or of the strength that was given.
    """

    labels: Tensor
    sizes: Tensor
    colors: Tensor
    centroids: Tensor
    edges: Tensor
    lengths: Tensor
    differences: Tensor
    strengths: Tensor

    @property
    def n_regions(self) -> int:
        """M."""
        return len(self.sizes)

    def join(self, where: Any) -> Tensor:
        """The label map (H, W) with every edge joined where ``where`` (E,) is true, all at once.

        Weights stay those of the first regions: a chain of small differences may join ends that differ greatly.

        Raises
        ------
        ValueError
            ``where`` is not one truth value for each edge.

        Examples
        --------
        >>> graph = region_graph(torch.tensor([[0, 1, 2]]), torch.tensor([[[0.0, 0.1, 0.9]]]))
        >>> graph.join(graph.differences < 0.2).tolist()
        [[0, 0, 1]]
        """
        chosen = torch.as_tensor(where, device=self.edges.device)
        if chosen.dtype != torch.bool or chosen.shape != self.lengths.shape:
            raise ValueError(
                f"join takes one truth value for each of the {len(self.edges)} edges, such as graph.differences < 0.1; "
                f"got {chosen.dtype} {tuple(chosen.shape)}"
            )
        if self.n_regions == 0:
            return self.labels.clone()
        root = merge_roots(self.n_regions, *self.edges[chosen].unbind(1))
        return relabel(torch.where(self.labels >= 0, root[self.labels.clamp(min=0)], -1))

    def __repr__(self) -> str:
        h, w = self.labels.shape
        return f"<RegionGraph {h}×{w}: {self.n_regions} regions, {len(self.edges)} edges>"


def region_graph(labels: Any, image: Any, *, strength: Any = None, connectivity: Literal[4, 8] = 4) -> RegionGraph:
    """Make the region adjacency graph of a label map over its picture.

    Parameters
    ----------
    labels
        A label map (H, W), 0 … M − 1 without gaps (`seglab.labels.relabel` closes them); −1 is unassigned, and touches
        nothing. A region may be in several parts.
    image
        Anything that `seglab.image.as_image` takes, or a floating tensor (C, H, W) of any range: Lab colors, features.
    strength
        (H, W): how strong a boundary is at each pixel, such as a gradient's magnitude; of two pixels, the mean.
        None: the distance of the two pixels' colors.
    connectivity
        4 or 8 neighbors of a pixel.

    Returns
    -------
    RegionGraph
        On the labels' device.

    Raises
    ------
    ValueError
        Labels with gaps, a picture or a strength of another size, values that are not finite.

    Examples
    --------
    >>> graph = region_graph(torch.tensor([[0, 0, 1], [0, 0, 1]]), torch.tensor([[[0.0, 0.2, 0.6], [0.0, 0.2, 0.4]]]))
    >>> graph.edges.tolist(), graph.lengths.tolist()
    ([[0, 1]], [2])
    >>> graph.differences.numpy().round(4).tolist(), graph.strengths.numpy().round(4).tolist()
    ([0.4], [0.3])
    """
    regions, sizes, sums, edges, lengths, strengths = _measure(labels, image, strength, connectivity)
    pixels = torch.arange(regions.numel(), device=regions.device)
    places = [
        _exact_sums(x, regions.flatten(), len(sizes), unit=1)
        for x in (pixels // regions.shape[1], pixels % regions.shape[1])
    ]
    colors = sums / sizes[:, None]
    return RegionGraph(
        labels=regions,
        sizes=sizes,
        colors=colors,
        centroids=torch.stack(places, dim=1) / sizes[:, None],
        edges=edges,
        lengths=lengths,
        differences=(colors[edges[:, 0]] - colors[edges[:, 1]]).square().sum(1).sqrt(),
        strengths=strengths / lengths,
    )


def merge_hierarchical(
    labels: Any,
    image: Any,
    criterion: Criterion = "ward",
    *,
    strength: Any = None,
    connectivity: Literal[4, 8] = 4,
) -> Hierarchy:
    """Join, again and again, the two neighbors that it costs least to join, until each connected part is one region.

    Parameters
    ----------
    labels, image, strength, connectivity
        As of `region_graph`.
    criterion
        What it costs to join A and B, of the regions that there are at the time:

        - ``"color"``: ‖μA − μB‖, the distance of their mean colors;
        - ``"ward"``: |A||B| / (|A| + |B|) · ‖μA − μB‖², by how much the squared error of painting each region in its
          mean color grows;
        - ``"mumford_shah"``: the same over the length of their boundary: the λ from which on joining them lowers the
          piecewise constant Mumford–Shah energy, squared error + λ · length of all boundaries;
        - ``"boundary"``: the mean strength along their boundary, each pair of pixels counted once.

    Returns
    -------
    Hierarchy
        Its leaves are ``labels``, its heights the costs: ``cut(t)`` or ``cut_to(n)``. What never touches stays apart.

    Raises
    ------
    ValueError
        As `region_graph`, or an unknown criterion.

    Notes
    -----
    ``"boundary"`` never falls: the mean over two boundaries is no less than the weaker of both. The others may: the
    new region's mean can lie nearer to a neighbor's than both had been. A merge that costs less than one before it
    comes at the height of that one, so that a cut at t is what there was before the first merge that cost more than t.

    Equal costs are joined in the order of the graph's edges; where two edges become one, it keeps the place of that of
    the region with more neighbors. Sums of colors are exact, to 2⁻²⁴ a pixel, and the merging runs on the CPU: the tree
    does not depend on the device. Time: about E log E, and for each merge as much as the new region has neighbors.

    References
    ----------
    J. H. Ward (1963). Hierarchical grouping to optimize an objective function. Journal of the American Statistical
    Association 58(301), 236–244. doi:10.1080/01621459.1963.10500845

    G. Koepfler, C. Lopez and J.-M. Morel (1994). A multiscale algorithm for image segmentation by variational method.
    SIAM Journal on Numerical Analysis 31(1), 282–299. doi:10.1137/0731015

    P. Arbeláez, M. Maire, C. Fowlkes and J. Malik (2011). Contour detection and hierarchical image segmentation. IEEE
    TPAMI 33(5), 898–916. doi:10.1109/TPAMI.2010.161

    Examples
    --------
    >>> tree = merge_hierarchical(torch.tensor([[0, 1, 2]]), torch.tensor([[[0.0, 0.1, 0.9]]]), "color")
    >>> tree.merges.tolist(), tree.heights.numpy().round(3).tolist()
    ([[0, 1], [3, 2]], [0.1, 0.85])
    """
    if criterion not in get_args(Criterion):
        raise ValueError(f"criterion is one of {', '.join(map(repr, get_args(Criterion)))}; got {criterion!r}")
    regions, sizes, sums, edges, lengths, strengths = _measure(labels, image, strength, connectivity)
    from seglab.kernels import _merging_loops as loops  # here, because compiling takes a moment

    kind = {"color": loops.COLOR, "ward": loops.WARD, "mumford_shah": loops.MUMFORD_SHAH, "boundary": loops.BOUNDARY}
    tensors = (edges, lengths.double(), strengths, sizes.double(), sums)
    arrays = (np.array(tensor.cpu().numpy(), order="C") for tensor in tensors)  # copies, to be written to
    merges, costs = loops.merge_lightest_first(kind[criterion], *arrays)
    return Hierarchy.from_edges(regions, np.sort(merges, axis=1), np.maximum.accumulate(costs))


# ---- sums over regions and along boundaries ---------------------------------------------------------------------


class _Measured(NamedTuple):
    regions: Tensor  # (H, W)
    sizes: Tensor  # (M,) int64
    sums: Tensor  # (M, C) float64, of colors
    edges: Tensor  # (E, 2)
    lengths: Tensor  # (E,) int64
    strengths: Tensor  # (E,) float64, summed along the boundary


def _measure(labels: Any, image: Any, strength: Any, connectivity: int) -> _Measured:
    regions = as_labels(labels)
    sizes = segment_sizes(regions) if int(regions.max()) < regions.numel() else regions.new_zeros(1)
    if bool((sizes == 0).any()):
        raise ValueError("regions must be numbered 0 … M − 1 without gaps; see seglab.labels.relabel")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8; got {connectivity!r}")
    is_tensor = isinstance(image, Tensor) and image.ndim == 3 and image.is_floating_point()
    pixels = _checked("image", image.detach() if is_tensor else as_image(image), regions).flatten(1)
    i, j = _contacts(regions, connectivity)
    if strength is None:
        along = torch.stack([(plane[i] - plane[j]).square() for plane in pixels]).sum(0).sqrt()
    else:
        given = _checked("strength", torch.as_tensor(strength).detach()[None], regions).flatten()
        along = (given[i] + given[j]) / 2
    edges, place, lengths = _numbered(regions.flatten()[i], regions.flatten()[j], len(sizes))
    return _Measured(
        regions=regions,
        sizes=sizes,
        sums=torch.stack([_exact_sums(plane, regions.flatten(), len(sizes)) for plane in pixels], dim=1),  # (M, C)
        edges=edges,
        lengths=lengths,
        strengths=_exact_sums(along, place, len(edges)),
    )


def _checked(name: str, values: Tensor, regions: Tensor) -> Tensor:
    """The values as (C, H, W) float64 on the regions' device."""
    if values.ndim != 3 or values.shape[1:] != regions.shape:
        raise ValueError(f"labels {tuple(regions.shape)} and {name} {tuple(values.shape)} are of different sizes")
    values = values.to(regions.device, torch.float64)
    if not float(values.abs().max()) * regions.numel() < 2**63 / _WHOLE:  # NaN is not, either
        raise ValueError(f"{name} must hold finite numbers, with a sum below 2**39; got NaN, infinity or more")
    return values


def _contacts(regions: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    """All pairs of neighboring pixels that lie in two regions, as numbers of pixels: twice (P,)."""
    height, width = regions.shape
    pixels = torch.arange(height * width, device=regions.device).reshape(height, width)
    found = []
    for (a, b), (p, q) in zip(neighbor_views(regions, connectivity), neighbor_views(pixels, connectivity), strict=True):
        first = p[(a != b) & (a >= 0) & (b >= 0)]
        found.append((first, first + int(q[0, 0] - p[0, 0]) if p.numel() else first))
    one, other = zip(*found, strict=True)
    return torch.cat(one), torch.cat(other)


def _numbered(a: Tensor, b: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """The different pairs of regions (E, 2), which of them each contact is at, and how many are at each."""
    keys, place, lengths = torch.unique(
        torch.minimum(a, b) * n + torch.maximum(a, b), return_inverse=True, return_counts=True
    )
    return torch.stack([keys // max(n, 1), keys % max(n, 1)], dim=1), place, lengths


def _exact_sums(values: Tensor, index: Tensor, n: int, unit: float = _WHOLE) -> Tensor:
    """Sum values (P,) by index, −1 left out: (n,) float64, of values rounded to 1 / ``unit`` and exact."""
    whole = (values * unit).round().to(torch.int64)
    return whole.new_zeros(n + 1).index_add(0, index + 1, whole)[1:].to(torch.float64) / unit
