"""Label maps (H, W): relabel, connect, absorb, find boundaries and neighbors, average and vote by segment, show.

A label map is int64, counts from 0, and holds −1 where a pixel is unassigned. Everything here works on the map's own
device, without a loop over pixels or segments; the result for a map does not depend on the device.
"""

from __future__ import annotations

import functools
import io
import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seglab.image import from_color_space, to_uint8

__all__ = [
    "PALETTE",
    "Adjacency",
    "absorb_small",
    "adjacency",
    "as_labels",
    "boundaries",
    "colors",
    "connected_components",
    "count_labels",
    "majority_vote",
    "mean_color",
    "overlay",
    "relabel",
    "segment_means",
    "segment_sizes",
    "to_png",
]

Connectivity = Literal[4, 8]

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The first eight label colors: Okabe and Ito's, which people with any color vision tell apart."""

_EXPECTED = (
    "A label map is a whole-number array or tensor (H, W) that counts from 0, with −1 where a pixel is unassigned; "
    "or a file or PIL image of one (palette, gray or 16-bit)."
)


# ---- the front door ---------------------------------------------------------------------------------------------


def as_labels(labels: Any, device: torch.device | str | None = None) -> Tensor:
    """Turn anything that is a label map into an int64 tensor (H, W).

    Parameters
    ----------
    labels
        A tensor or array (H, W), (1, H, W) or (H, W, 1) of whole numbers (bool and whole floats too), a
        `Segmentation`, nested lists, a PIL image (palette indices, gray, 16-bit), or the path of such a PNG or of a
        ``.npy`` file. Labels are kept as they are: call `relabel` to close gaps.
    device
        Where the result lies; where the tensor is, or on the CPU, by default.

    Raises
    ------
    FileNotFoundError
        No such file.
    TypeError
        Not numbers in a grid (None, text, objects).
    ValueError
        A wrong shape, a label below −1, a fraction or NaN.

    Examples
    --------
    >>> as_labels([[0, 0], [1, -1]]).tolist()
    [[0, 0], [1, -1]]
    """
    if isinstance(labels, (str, os.PathLike)):
        labels = _read_labels(os.fspath(labels))
    if isinstance(labels, Image.Image):
        if labels.mode not in ("1", "L", "P", "I") and not labels.mode.startswith("I;16"):
            raise ValueError(f"a PIL image of mode {labels.mode!r} holds colors, not labels. {_EXPECTED}")
        labels = np.array(labels)
    if isinstance(getattr(labels, "labels", None), Tensor):  # a Segmentation or a state: stays on its device
        labels = labels.labels
    tensor = labels.detach() if isinstance(labels, Tensor) else _from_array(labels)
    if tensor.is_complex() or tensor.layout != torch.strided:
        raise TypeError(f"a tensor of {tensor.dtype} ({tensor.layout}) is no label map. {_EXPECTED}")
    if tensor.ndim == 3 and 1 in (tensor.shape[0], tensor.shape[2]):
        tensor = tensor.squeeze(0) if tensor.shape[0] == 1 else tensor.squeeze(2)
    if tensor.ndim != 2:
        raise ValueError(f"a label map has 2 dimensions (H, W); got shape {tuple(tensor.shape)}. {_EXPECTED}")
    if tensor.numel() == 0:
        raise ValueError(f"the label map is empty: its shape is {tuple(tensor.shape)}. {_EXPECTED}")
    return _checked_labels(tensor.to(device))


def _read_labels(path: str) -> Any:
    if not os.path.exists(path):
        raise FileNotFoundError(f"No file {path!r}. Check the path's spelling.")
    try:
        if path.lower().endswith(".npy"):
            return np.load(path, allow_pickle=False)
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        raise ValueError(f"{path!r} cannot be read as a label map ({error}). {_EXPECTED}") from error


def _from_array(labels: Any) -> Tensor:
    try:
        array = np.asarray(labels)
    except Exception as error:
        raise TypeError(f"a {type(labels).__name__} is no label map ({error}). {_EXPECTED}") from error
    if labels is None or array.dtype.kind not in "buif":
        raise TypeError(f"a {type(labels).__name__} of {array.dtype} is no label map. {_EXPECTED}")
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"labels are at most 2**63 − 1; got {array.max()}. {_EXPECTED}")
    kind = np.float64 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(array.astype(kind))  # a copy: the caller's array is never shared


def _checked_labels(labels: Tensor) -> Tensor:
    if labels.is_floating_point():
        whole = labels.to(torch.int64)
        if not bool((whole == labels).all()):
            raise ValueError(f"labels are whole numbers; these hold fractions or NaN. {_EXPECTED}")
        labels = whole
    labels = labels.to(torch.int64)
    lowest = int(labels.min())
    if lowest < -1:
        raise ValueError(f"labels count from 0, and −1 is unassigned; the lowest here is {lowest}. {_EXPECTED}")
    return labels


def _check_connectivity(connectivity: int) -> None:
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8; got {connectivity!r}")


def _check_same_shape(labels: Tensor, other: Tensor, name: str) -> None:
    if other.shape[-2:] != labels.shape:
        raise ValueError(f"labels {tuple(labels.shape)} and {name} {tuple(other.shape)} are of different sizes")


# ---- numbering --------------------------------------------------------------------------------------------------


def count_labels(labels: Tensor) -> int:
    """How many different labels there are, −1 left out.

    Examples
    --------
    >>> count_labels(torch.tensor([[0, 7], [7, -1]]))
    2
    """
    table, compact = _compact(labels)
    return int((segment_sizes(compact) > 0).sum()) if table is None else len(table)


def _compact(labels: Tensor) -> tuple[Tensor | None, Tensor]:
    """Labels small enough to index a table with: the map itself, or its ranks with the labels they stand for."""
    if int(labels.max()) < 4 * labels.numel() + 1024:
        return None, labels
    table, ranks = torch.unique(labels, return_inverse=True)
    unassigned = int(table[0] == -1)
    return table[unassigned:], ranks - unassigned


def relabel(labels: Tensor) -> Tensor:
    """Number the labels 0, 1, 2, … in the order in which they first appear, row by row; −1 stays.

    Examples
    --------
    >>> relabel(torch.tensor([[5, 5], [-1, 2]])).tolist()
    [[0, 0], [-1, 1]]
    """
    _, labels = _compact(labels)
    flat = labels.flatten() + 1  # so that unassigned pixels have a place in the table
    starts = torch.cat([flat.new_zeros(1), torch.nonzero(flat[1:] != flat[:-1])[:, 0] + 1])  # of runs of one label
    first = flat.new_full((int(flat.max()) + 1,), flat.numel()).scatter_reduce(0, flat[starts], starts, "amin")
    first[0] = flat.numel()
    rank = torch.argsort(torch.argsort(first))  # stable enough: places are distinct, absent labels come last
    rank[0] = -1
    return rank[flat].reshape(labels.shape)


def connected_components(labels: Tensor, connectivity: Connectivity = 4) -> Tensor:
    """Give each connected region of one label a number of its own, in the order of its first pixel; −1 stays.

    Parameters
    ----------
    labels
        (H, W) int64.
    connectivity
        4 (neighbors share a side) or 8 (or a corner).

    Notes
    -----
    On the CPU this is `skimage.measure.label`; elsewhere `components_by_propagation`, which gives the same.

    Examples
    --------
    >>> connected_components(torch.tensor([[1, 0, 1]])).tolist()
    [[0, 1, 2]]
    """
    _check_connectivity(connectivity)
    if labels.device.type != "cpu":
        return components_by_propagation(labels, connectivity)
    from skimage.measure import label

    numbered = label(labels.numpy(), background=-1, connectivity=1 if connectivity == 4 else 2)
    return torch.from_numpy(numbered.astype(np.int64)) - 1


def components_by_propagation(labels: Tensor, connectivity: Connectivity = 4) -> Tensor:
    """`connected_components` on any device: each run of pixels in a row learns the first run of its region.

    Of two runs of one label that touch, the later root hooks to the earlier one, and pointers jump to their roots,
    until nothing changes: about log(N) rounds of a few passes over the runs each.
    """
    _check_connectivity(connectivity)
    starts = torch.ones_like(labels, dtype=torch.bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    run = torch.cumsum(starts.flatten(), 0).reshape(labels.shape) - 1  # each row in runs of one label
    n = int(run[-1, -1]) + 1
    keys = []  # pairs of runs that touch, from the vertical and the diagonal neighbors
    for (above, below), (i, j) in zip(
        neighbor_views(labels, connectivity)[1:], neighbor_views(run, connectivity)[1:], strict=True
    ):
        same = above == below
        keys.append(torch.unique_consecutive(i[same] * n + j[same]))
    pairs = torch.cat(keys)
    root = merge_roots(n, pairs // n, pairs % n)
    assigned = labels.flatten()[starts.flatten()] >= 0
    first = (root == torch.arange(n, device=labels.device)) & assigned
    number = torch.where(assigned, (torch.cumsum(first, 0) - 1)[root], -1)
    return number[run]


def merge_roots(n: int, a: Tensor, b: Tensor) -> Tensor:
    """For each of ``n`` nodes, the smallest node that the edges a–b connect it with: (n,) int64."""
    root = torch.arange(n, device=a.device)
    while True:
        x, y = root[a], root[b]
        apart = x != y
        if not bool(apart.any()):
            return root
        a, b, x, y = a[apart], b[apart], x[apart], y[apart]
        root = jump(root.scatter_reduce(0, torch.maximum(x, y), torch.minimum(x, y), "amin"))


def jump(parent: Tensor) -> Tensor:
    """The root of each node of a forest, given each node's parent (a root is its own), by pointer jumping."""
    while True:
        further = parent[parent]
        if torch.equal(further, parent):
            return parent
        parent = further


def neighbor_views(grid: Tensor, connectivity: int) -> list[tuple[Tensor, Tensor]]:
    """The grid's neighboring entries as pairs of views, each pair of neighbors once."""
    pairs = [(grid[:, :-1], grid[:, 1:]), (grid[:-1], grid[1:])]
    if connectivity == 8:
        pairs += [(grid[:-1, :-1], grid[1:, 1:]), (grid[:-1, 1:], grid[1:, :-1])]
    return pairs


# ---- neighbors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Adjacency:
    """Which segments touch.

    Attributes
    ----------
    edges
        (E, 2) int64: pairs i < j of labels, in lexicographic order.
    lengths
        (E,) int64: how many pairs of neighboring pixels lie on both sides.
    """

    edges: Tensor
    lengths: Tensor


def adjacency(labels: Tensor, connectivity: Connectivity = 4) -> Adjacency:
    """The region adjacency graph of a label map; unassigned pixels touch nothing.

    Examples
    --------
    >>> graph = adjacency(torch.tensor([[0, 1], [0, 2]]))
    >>> graph.edges.tolist(), graph.lengths.tolist()
    ([[0, 1], [0, 2], [1, 2]], [1, 1, 1])
    """
    _check_connectivity(connectivity)
    table, labels = _compact(labels)
    n = int(labels.max()) + 1
    keys = []
    for a, b in neighbor_views(labels, connectivity):
        differ = (a != b) & (a >= 0) & (b >= 0)
        x, y = a[differ], b[differ]
        keys.append(torch.minimum(x, y) * n + torch.maximum(x, y))
    keys, lengths = torch.unique(torch.cat(keys), return_counts=True)
    edges = torch.stack([keys // max(n, 1), keys % max(n, 1)], dim=1)
    return Adjacency(edges=edges if table is None else table[edges], lengths=lengths)


def boundaries(
    labels: Tensor,
    mode: Literal["thick", "inner", "outer", "bsds"] = "thick",
    connectivity: Connectivity = 4,
) -> Tensor:
    """Mark the pixels at the boundaries between segments: (H, W) bool.

    Parameters
    ----------
    labels
        (H, W) int64; −1 is the background.
    mode
        - ``"thick"``: any pixel with a neighbor of another label, so two pixels wide;
        - ``"inner"``: of these, the assigned ones (the background is not marked);
        - ``"outer"``: of these, the background's pixels, and those where two segments touch;
        - ``"bsds"``: the Berkeley benchmark's one-pixel map: a pixel whose right, lower or lower-right neighbor
          differs, or whose right and lower neighbors differ from one another; the last row looks only to the right,
          the last column only down.
    connectivity
        Which neighbors count; ``"bsds"`` has its own.

    Notes
    -----
    The first three are `skimage.segmentation.find_boundaries` with ``background=-1``; the last is ``seg2bdry`` of
    the Berkeley benchmark in image size (Arbeláez, Maire, Fowlkes and Malik, TPAMI 2011).

    Examples
    --------
    >>> boundaries(torch.tensor([[0, 0, 1, 1]])).tolist()
    [[False, True, True, False]]
    >>> boundaries(torch.tensor([[0, 0, 1, 1]]), mode="bsds").tolist()
    [[False, True, False, False]]
    """
    _check_connectivity(connectivity)
    if mode == "bsds":
        return _berkeley_boundaries(labels)
    if mode not in ("thick", "inner", "outer"):
        raise ValueError(f"mode is one of 'thick', 'inner', 'outer', 'bsds'; got {mode!r}")
    mark = _touches(labels, connectivity, labels >= -1)
    if mode == "inner":
        return mark & (labels >= 0)
    if mode == "outer":
        return mark & ((labels < 0) | _touches(labels, 8, labels >= 0))
    return mark


def _touches(labels: Tensor, connectivity: int, among: Tensor) -> Tensor:
    """Where a pixel has a neighbor of another label; only pixels of the mask ``among`` see and are seen."""
    mark = torch.zeros_like(among)
    views = zip(
        neighbor_views(labels, connectivity),
        neighbor_views(among, connectivity),
        neighbor_views(mark, connectivity),
        strict=True,
    )  # of the same places
    for (a, b), (seen_a, seen_b), (mark_a, mark_b) in views:
        differ = (a != b) & seen_a & seen_b
        mark_a |= differ
        mark_b |= differ
    return mark


def _berkeley_boundaries(labels: Tensor) -> Tensor:
    mark = torch.zeros_like(labels, dtype=torch.bool)
    right, down = labels[:, :-1] != labels[:, 1:], labels[:-1] != labels[1:]
    mark[:, :-1] |= right
    mark[:-1] |= down
    mark[:-1, :-1] |= (labels[:-1, :-1] != labels[1:, 1:]) | (labels[1:, :-1] != labels[:-1, 1:])
    return mark


# ---- values by segment ------------------------------------------------------------------------------------------


def segment_sizes(labels: Tensor) -> Tensor:
    """The number of pixels of each label: (K,) int64, K = the largest label + 1.

    Examples
    --------
    >>> segment_sizes(torch.tensor([[0, 2], [2, -1]])).tolist()
    [1, 0, 2]
    """
    return torch.bincount(labels.flatten() + 1)[1:]


def segment_means(labels: Tensor, values: Tensor) -> Tensor:
    """The mean of values (C, H, W) over each label: (K, C); NaN for a label that has no pixel.

    Examples
    --------
    >>> segment_means(torch.tensor([[0, 0, 1]]), torch.tensor([[[1.0, 3.0, 5.0]]])).tolist()
    [[2.0], [5.0]]
    """
    _check_same_shape(labels, values, "values")
    index, n = labels.flatten() + 1, int(labels.max()) + 2
    double = torch.float32 if labels.device.type == "mps" else torch.float64
    sums = torch.stack([torch.bincount(index, plane.to(double), n) for plane in values.detach().flatten(1)])
    means = sums / torch.bincount(index, minlength=n)  # 0 / 0 is NaN
    return means[:, 1:].T.to(values.dtype if values.is_floating_point() else torch.float32)


def mean_color(labels: Tensor, image: Tensor) -> Tensor:
    """Paint each segment in its mean color (C, H, W); unassigned pixels keep their own."""
    painted = segment_means(labels, image).T[:, labels.clamp(min=0)]
    return torch.where(labels >= 0, painted, image)


def majority_vote(labels: Tensor, segments: Tensor) -> Tensor:
    """Give each segment the label that most of its pixels have: (H, W) int64.

    Parameters
    ----------
    labels
        (H, W): what is voted on. −1 has no vote; a segment without votes becomes −1.
    segments
        (H, W): superpixels, say. Pixels in none (−1) keep their label.

    Notes
    -----
    A tie goes to the smallest label.

    Examples
    --------
    >>> majority_vote(torch.tensor([[0, 1, 1, 2]]), torch.tensor([[0, 0, 0, 1]])).tolist()
    [[1, 1, 1, 2]]
    """
    _check_same_shape(labels, segments, "segments")
    table, ranks = _compact(labels)
    _, places = _compact(segments)
    n_labels, n_segments = int(ranks.max()) + 1, int(places.max()) + 1
    if n_labels < 1 or n_segments < 1:
        return labels.clone()
    voting = (ranks >= 0) & (places >= 0)
    key = places[voting] * n_labels + ranks[voting]
    if n_labels * n_segments <= 2 * labels.numel() + 4096:
        votes = torch.bincount(key, minlength=n_labels * n_segments).reshape(n_segments, n_labels)
        winner = most_votes(votes)
    else:  # a table of all pairs would not fit: only those that occur
        runs, lengths = torch.unique_consecutive(key, return_counts=True)
        pairs, place = torch.unique(runs, return_inverse=True)
        counts = torch.zeros_like(pairs).index_add(0, place, lengths)
        score = counts * n_labels + (n_labels - 1 - pairs % n_labels)
        best = score.new_zeros(n_segments).scatter_reduce(0, pairs // n_labels, score, "amax")
        winner = torch.where(best >= n_labels, n_labels - 1 - best % n_labels, -1)
    if table is not None:
        winner = torch.where(winner >= 0, table[winner.clamp(min=0)], -1)
    return torch.where(places >= 0, winner[places.clamp(min=0)], labels)


def most_votes(votes: Tensor) -> Tensor:
    """The column with most votes in each row of (S, L) whole numbers, (S,) int64: the first of equals, −1 without any.

    Their type must hold L times the most votes: int32 is several times faster where it does.

    Examples
    --------
    >>> most_votes(torch.tensor([[0, 2, 2], [0, 0, 0]])).tolist()
    [1, -1]
    """
    n = votes.shape[1]
    # one number that orders by votes, then by the smaller label; torch's argmax promises any of equals
    best = (votes * n + torch.arange(n - 1, -1, -1, device=votes.device, dtype=votes.dtype)).amax(1).long()
    return torch.where(best >= n, n - 1 - best % n, -1)


# ---- absorbing small segments -----------------------------------------------------------------------------------


def absorb_small(labels: Tensor, image: Tensor, min_size: int, connectivity: Connectivity = 4) -> Tensor:
    """Absorb each connected segment of fewer than ``min_size`` pixels into its most similar neighbor.

    Parameters
    ----------
    labels
        (H, W) int64; taken apart into connected components first.
    image
        (C, H, W): segments are similar when their mean values are near (Euclidean distance).
    min_size
        In pixels; 0 and 1 leave all components.
    connectivity
        4 or 8.

    Returns
    -------
    Tensor
        Connected segments of at least ``min_size`` pixels, numbered by their first pixel. A smaller one is left only
        where it has no neighbor: the last in the picture, or an island among unassigned pixels.

    Notes
    -----
    In rounds: of the small segments, those absorbed are smaller than every small neighbor (equal sizes are ordered by
    a fixed shuffle of the labels, so that a few rounds do), each into the neighbor with the nearest mean, the
    smallest label among equals. Then sizes, means and neighbors are those of the merged segments. Sums are kept in
    whole numbers of 2⁻²⁴, so that the result is the same on every device.

    Examples
    --------
    >>> labels = torch.tensor([[0, 0, 1, 2, 2]])
    >>> absorb_small(labels, torch.tensor([[[0.0, 0.0, 0.7, 1.0, 1.0]]]), 2).tolist()
    [[0, 0, 1, 1, 1]]
    """
    _check_same_shape(labels, image, "image")
    components = connected_components(labels, connectivity)
    n = int(components.max()) + 1
    if min_size <= 1 or n <= 1:
        return components
    sizes = segment_sizes(components)
    if int(sizes.min()) >= min_size:
        return components
    sums = _exact_sums(components, image, n)
    edges = adjacency(components, connectivity).edges
    node = torch.arange(n, device=labels.device)  # where each first component has gone
    while True:
        edges = edges[(edges[:, 0] != edges[:, 1]) & (sizes[edges] < min_size).any(1)]  # large ones only grow
        if not len(edges):
            break
        target = _absorb_round(edges, sizes, sums, min_size)
        alive = target == torch.arange(len(target), device=labels.device)
        target = (torch.cumsum(alive, 0) - 1)[target]
        node, edges = target[node], target[edges]
        sizes = sizes.new_zeros(int(alive.sum())).index_add(0, target, sizes)
        sums = sums.new_zeros(len(sizes), sums.shape[1]).index_add(0, target, sums)
    return relabel(torch.where(components >= 0, node[components.clamp(min=0)], -1))


def _exact_sums(components: Tensor, image: Tensor, n: int) -> Tensor:
    """The sum of each channel over each component, (n, C), in whole numbers of 2⁻²⁴."""
    index, inside = components.flatten().clamp(min=0), components.flatten() >= 0
    sums = []
    for plane in image.detach().flatten(1):
        whole = torch.where(inside, (plane.to(torch.float64) * 2**24).round().to(torch.int64), 0)
        sums.append(whole.new_zeros(n).index_add(0, index, whole))
    return torch.stack(sums, dim=1)


def _absorb_round(edges: Tensor, sizes: Tensor, sums: Tensor, min_size: int) -> Tensor:
    """Where each segment goes in one round, (n,); every edge has a small end."""
    n = len(sizes)
    nodes = torch.arange(n, device=edges.device)
    # by size, equal sizes in a fixed shuffle: Knuth's multiplicative hash, distinct for up to 2³² segments
    order = sizes * 2**32 + (nodes * 2654435761) % 2**32
    ends = torch.cat([edges, edges.flip(1)])
    small, other = ends[sizes[ends[:, 0]] < min_size].unbind(1)
    rival = order.new_full((n,), torch.iinfo(torch.int64).max).scatter_reduce(
        0, small, order[other], "amin"
    )  # its first neighbor in the order
    goes = order[small] < rival[small]
    small, other = small[goes], other[goes]
    means = sums.to(torch.float64) / sizes.clamp(min=1)[:, None]
    distance = (means[small] - means[other]).square().sum(1)
    nearest = distance.new_full((n,), torch.inf).scatter_reduce(0, small, distance, "amin")
    ties = distance == nearest[small]
    best = small.new_full((n,), n).scatter_reduce(0, small[ties], other[ties], "amin")
    return torch.where(best < n, best, nodes)


# ---- colors -----------------------------------------------------------------------------------------------------


def colors(n: int) -> Tensor:
    """The colors of labels 0 … n − 1: (n, 3) float32 RGB in [0, 1]; a label's color does not depend on ``n``.

    The first eight are `PALETTE`. The others walk around the hues by the golden ratio while the lightness moves as
    well, so that labels near in number differ for any color vision, and no two are the same.

    Examples
    --------
    >>> colors(2)
    tensor([[0.0000, 0.4471, 0.6980],
            [0.9020, 0.6235, 0.0000]])
    """
    return _color_table(max(64, 1 << (n - 1).bit_length()) if n > 0 else 64)[:n].clone()


@functools.lru_cache(maxsize=4)
def _color_table(n: int) -> Tensor:
    first = torch.tensor([[int(word[i : i + 2], 16) / 255 for i in (1, 3, 5)] for word in PALETTE])
    i = torch.arange(n - len(PALETTE), dtype=torch.float64)
    # the two-dimensional golden ratio's sequence: evenly spread over hue and lightness at every length
    hue, lightness = (0.7548776662466927 * i) % 1, 38 + 50 * ((0.5698402909980532 * i + 0.5) % 1)
    angle = 2 * torch.pi * hue
    lab = torch.stack([lightness, 45 * torch.cos(angle), 45 * torch.sin(angle)])
    rest = from_color_space(lab[:, :, None], "lab")[:, :, 0].T
    return torch.cat([first, rest.to(torch.float32)])


def overlay(
    labels: Tensor,
    image: Tensor | None = None,
    alpha: float = 0.5,
    boundary: bool | tuple[float, float, float] = True,
) -> Tensor:
    """Blend the label colors over a picture and draw the boundaries between segments: (3, H, W) in [0, 1].

    Parameters
    ----------
    labels
        (H, W) int64. Where −1, the picture shows through (mid-gray where there is none).
    image
        (C, H, W) in [0, 1], C = 1 or 3; without it, the colors alone.
    alpha
        The share of the label color.
    boundary
        True draws white lines one pixel wide where they do not hide the picture: none where they crowd (more than
        two fifths of the 5×5 pixels around), none in pictures with a side under 64 pixels. A color draws them all.
    """
    table = colors(int(labels.max()) + 1 if labels.numel() else 0)
    table = torch.cat([torch.full((1, 3), 0.5), table]).to(labels.device)  # place 0 is for unassigned pixels
    index = labels.flatten() + 1
    painted = table.T.contiguous()[:, index].reshape(3, *labels.shape)
    if image is not None:
        _check_same_shape(labels, image, "image")
        picture = image.detach().to(device=labels.device, dtype=torch.float32).expand(3, -1, -1)
        painted = torch.lerp(picture, painted, (labels >= 0) * float(alpha))
    if boundary is False or (boundary is True and min(labels.shape) < 64):
        return painted
    mark = _berkeley_boundaries(labels)
    if boundary is True:
        around = torch.nn.functional.avg_pool2d(mark[None].float(), 5, 1, 2, count_include_pad=False)[0]
        mark, boundary = mark & (around <= 0.4), (1.0, 1.0, 1.0)
    line = torch.tensor(boundary, device=labels.device)[:, None, None]
    return torch.where(mark, line, painted)


def to_png(image: Tensor) -> bytes:
    """A picture (C, H, W) in [0, 1] as the bytes of a PNG file, compressed quickly."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
