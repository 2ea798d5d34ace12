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
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seglab.hierarchy import Hierarchy
from seglab.image import as_image
from seglab.labels import adjacency, as_labels, merge_roots, neighbor_views, relabel, segment_sizes

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
    regions, pixels, along = _checked(labels, image, strength)
    sizes, sums = _sums(regions, pixels)
    touching = adjacency(regions, connectivity)
    strengths = _strength_sums(regions, pixels, along, touching.edges, connectivity)
    height, width = regions.shape
    rows = torch.arange(height, device=regions.device)[:, None].expand(height, width)
    cols = torch.arange(width, device=regions.device).expand(height, width)
    _, places = _sums(regions, torch.stack([rows, cols]).double(), unit=1)
    colors = sums / sizes[:, None]
    i, j = touching.edges.unbind(1)
    return RegionGraph(
        labels=regions,
        sizes=sizes,
        colors=colors,
        centroids=places / sizes[:, None],
        edges=touching.edges,
        lengths=touching.lengths,
        differences=(colors[i] - colors[j]).square().sum(1).sqrt(),
        strengths=strengths / touching.lengths,
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
    regions, pixels, along = _checked(labels, image, strength)
    sizes, sums = _sums(regions, pixels)
    touching = adjacency(regions, connectivity)
    strengths = _strength_sums(regions, pixels, along, touching.edges, connectivity)
    from seglab.kernels import _merging_loops as loops  # here, because compiling takes a moment

    kind = {"color": loops.COLOR, "ward": loops.WARD, "mumford_shah": loops.MUMFORD_SHAH, "boundary": loops.BOUNDARY}
    numbers = (touching.lengths.double(), strengths, sizes.double(), sums)
    arrays = (np.array(t.cpu().numpy(), order="C") for t in (touching.edges, *numbers))
    merges, costs = loops.merge_lightest_first(kind[criterion], *arrays)
    return Hierarchy.from_edges(regions, np.sort(merges, axis=1), np.maximum.accumulate(costs))


# ---- sums over regions and along boundaries ---------------------------------------------------------------------


def _checked(labels: Any, image: Any, strength: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Labels without gaps, pixels (C, H, W) and strength (H, W) or None, both float64, on one device."""
    regions = as_labels(labels)
    n = int(regions.max()) + 1
    if n > regions.numel() or bool((segment_sizes(regions) == 0).any()):
        raise ValueError("regions must be numbered 0 … M − 1 without gaps; see seglab.labels.relabel")
    is_tensor = isinstance(image, Tensor) and image.ndim == 3 and image.is_floating_point()
    pixels = (image.detach() if is_tensor else as_image(image)).to(regions.device, torch.float64)
    along = None if strength is None else torch.as_tensor(strength).detach().to(regions.device, torch.float64)
    for name, values in (("image", pixels), ("strength", along)):
        if values is None:
            continue
        if values.shape[-2:] != regions.shape or (name == "strength" and values.ndim != 2):
            raise ValueError(f"labels {tuple(regions.shape)} and {name} {tuple(values.shape)} are of different sizes")
        most = float(values.abs().max()) * regions.numel()
        if not most < 2**63 / _WHOLE:  # NaN neither
            raise ValueError(f"{name} must hold finite numbers, with a sum below 2**39; got NaN, infinity or more")
    return regions, pixels, along


def _sums(regions: Tensor, values: Tensor, unit: float = _WHOLE) -> tuple[Tensor, Tensor]:
    """Pixels (M,) int64 and sums of values (M, C) float64 of each region, exact to 1 / ``unit`` a pixel."""
    index, sizes = regions.flatten(), segment_sizes(regions)
    inside = index >= 0
    sums = [_exact(plane[inside], index[inside], len(sizes), unit) for plane in values.flatten(1)]
    return sizes, torch.stack(sums, dim=1)


def _exact(values: Tensor, index: Tensor, n: int, unit: float = _WHOLE) -> Tensor:
    whole = (values * unit).round().to(torch.int64)
    return whole.new_zeros(n).index_add(0, index, whole).to(torch.float64) / unit


def _strength_sums(
    regions: Tensor, pixels: Tensor, along: Tensor | None, edges: Tensor, connectivity: Literal[4, 8]
) -> Tensor:
    """The sum of strength along the boundary of each of the edges: (E,) float64."""
    n = int(regions.max()) + 1
    planes = pixels if along is None else along[None]
    views = zip(*(neighbor_views(plane, connectivity) for plane in planes), strict=True)
    keys, values = [], []
    for (a, b), pairs in zip(neighbor_views(regions, connectivity), views, strict=True):
        differ = (a != b) & (a >= 0) & (b >= 0)
        x, y = a[differ], b[differ]
        keys.append(torch.minimum(x, y) * n + torch.maximum(x, y))
        ends = [(p[differ], q[differ]) for p, q in pairs]
        if along is None:
            values.append(torch.stack([(p - q).square() for p, q in ends]).sum(0).sqrt())
        else:
            values.append((ends[0][0] + ends[0][1]) / 2)
    place = torch.searchsorted(edges[:, 0] * n + edges[:, 1], torch.cat(keys))
    return _exact(torch.cat(values), place, len(edges))
