"""Boxes: anchors, their coding, overlap, suppression, sampling, and what is read from a feature map inside a box.

A box is (top, left, bottom, right) in pixels, edges and not centers: pixel (r, c) covers [r, r + 1) × [c, c + 1), the
whole picture is (0, 0, H, W), and a box with bottom = top is empty. Cell i of a map of stride s has its center at
(i + ½) · s. No function has a loop over boxes.

References
----------
R. Girshick (2015). Fast R-CNN. ICCV. doi:10.1109/ICCV.2015.169: `roi_pool`, `encode`.
S. Ren, K. He, R. Girshick, J. Sun (2015). Faster R-CNN: towards real-time object detection with region proposal
networks. NeurIPS. arXiv:1506.01497: `make_anchors`, `match_boxes`.
K. He, G. Gkioxari, P. Dollár, R. Girshick (2017). Mask R-CNN. ICCV. doi:10.1109/ICCV.2017.322: `roi_align`.

*Differs from the papers*: `roi_pool` rounds edges, not the first and last pixel, so a box is not one cell larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = [
    "box_iou",
    "boxes_of",
    "clip_boxes",
    "decode",
    "encode",
    "make_anchors",
    "match_boxes",
    "nms",
    "nms_by_matrix",
    "paste_masks",
    "roi_align",
    "roi_pool",
    "sample",
]

_LARGEST = math.log(1000 / 16)  # how much larger than its anchor a box may become, as the authors' code has it


# --- boxes ------------------------------------------------------------------------------------------------------------


def make_anchors(
    height: int,
    width: int,
    stride: int,
    scales: Sequence[float] = (16, 32, 64),
    ratios: Sequence[float] = (0.5, 1, 2),
    device: torch.device | str | None = None,
) -> Tensor:
    """Make the boxes that a map of cells guesses from: at each cell's center one of each scale and ratio.

    Parameters
    ----------
    height, width
        Cells of the map.
    stride
        Pixels from cell to cell.
    scales
        Square roots of the areas, in pixels.
    ratios
        Height over width.

    Returns
    -------
    Tensor
        (height · width · A, 4), A = len(scales) · len(ratios), cell by cell, then by scale, then by ratio.

    Examples
    --------
    >>> make_anchors(1, 2, stride=4, scales=(8,), ratios=(1,)).tolist()
    [[-2.0, -2.0, 6.0, 6.0], [-2.0, 2.0, 6.0, 10.0]]
    """
    if min(*scales, *ratios, stride) <= 0:
        raise ValueError(f"stride, scales and ratios are positive; got {stride}, {tuple(scales)}, {tuple(ratios)}")
    root = torch.tensor(ratios, dtype=torch.float32).sqrt()
    side = torch.tensor(scales, dtype=torch.float32)[:, None]
    half = torch.stack([side * root, side / root], -1).reshape(-1, 2) / 2  # (A, 2)
    row, col = ((torch.arange(n, dtype=torch.float32) + 0.5) * stride for n in (height, width))
    center = torch.stack(torch.meshgrid(row, col, indexing="ij"), -1).reshape(-1, 1, 2)
    return torch.cat([center - half, center + half], -1).reshape(-1, 4).to(device)


def boxes_of(instances: Tensor, n: int | None = None) -> Tensor:
    """Find the boxes (n, 4) of the objects 1 to n of a map (H, W); zeros for a number that no pixel has.

    Examples
    --------
    >>> boxes_of(torch.tensor([[0, 1, 1], [0, 2, 0]])).tolist()
    [[0.0, 1.0, 1.0, 3.0], [1.0, 1.0, 2.0, 2.0]]
    """
    n = int(instances.max()) if n is None else n
    row, col = instances.clamp(min=0).nonzero(as_tuple=True)
    number = instances[row, col] - 1
    place = torch.stack([row, col], 1)
    box = torch.zeros(n, 4, dtype=torch.int64, device=instances.device)
    index = number[:, None].expand(-1, 2)
    box[:, :2].scatter_reduce_(0, index, place, "amin", include_self=False)
    box[:, 2:].scatter_reduce_(0, index, place + 1, "amax", include_self=False)
    return box.float()


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Measure the intersection over union of each of the boxes (A, 4) with each of (B, 4); 0 for empty ones.

    Examples
    --------
    >>> box_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 1, 2, 3], [5, 5, 6, 6]])).tolist()
    [[0.3333333432674408, 0.0]]
    """
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    either = _area(a)[:, None] + _area(b) - both
    return torch.where(either > 0, both / either.clamp(min=1e-12), 0.0)


def encode(boxes: Tensor, anchors: Tensor, scale: Sequence[float] = (1, 1, 1, 1)) -> Tensor:
    """Say boxes (..., 4) by how they differ from their anchors: (Δrow / h, Δcol / w, log height, log width ratio).

    Centers move in units of the anchor's sides, sides change by factors: small and large objects are alike.

    Parameters
    ----------
    scale
        Each number is divided by it: about its standard deviation, so that the network has numbers around 1 to learn.

    Examples
    --------
    >>> encode(torch.tensor([2.0, 0, 12, 20]), torch.tensor([0.0, 0, 10, 10])).tolist()
    [0.20000000298023224, 0.5, 0.0, 0.6931471824645996]
    """
    center, size = _center_size(boxes)
    own, side = _center_size(anchors)
    return torch.cat([(center - own) / side, (size / side).log()], -1) / boxes.new_tensor(scale)


def decode(deltas: Tensor, anchors: Tensor, scale: Sequence[float] = (1, 1, 1, 1)) -> Tensor:
    """Give the boxes that `encode` has made the numbers of. No side grows to more than 62.5 times the anchor's.

    Examples
    --------
    >>> anchor = torch.tensor([0.0, 0, 10, 10])
    >>> decode(torch.tensor([0.2, 0.5, 0.0, 0.0]), anchor).tolist()
    [2.0, 5.0, 12.0, 15.0]
    """
    deltas = deltas * deltas.new_tensor(scale)
    own, side = _center_size(anchors)
    center = own + deltas[..., :2] * side
    half = side * deltas[..., 2:].clamp(max=_LARGEST).exp() / 2
    return torch.cat([center - half, center + half], -1)


def clip_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Cut boxes (..., 4) at the picture's border."""
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([height, width, height, width]))


# --- suppression ------------------------------------------------------------------------------------------------------


def nms(boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Keep the surest box, drop those that overlap it by more than the threshold, and so on with what is left.

    Parameters
    ----------
    boxes, scores
        (N, 4) and (N,); of equally sure ones the first comes first.
    threshold
        The largest intersection over union of two boxes that are kept.
    groups
        (N,), for example classes: only boxes of one group suppress one another. By default all are one group.

    Returns
    -------
    Tensor
        (K,) int64, the numbers of the boxes that are kept, the surest first.

    Notes
    -----
    One box after the other in a compiled loop on the CPU; by `nms_by_matrix` on other devices. Both are the greedy
    rule exactly, and compare the same float32 numbers, so they keep the same boxes.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 1, 4, 5], [8, 8, 9, 9]])
    >>> nms(boxes, torch.tensor([0.6, 0.9, 0.1]), 0.5).tolist()
    [1, 2]
    """
    _check_nms(boxes, scores, threshold)
    if boxes.device.type != "cpu":
        return nms_by_matrix(boxes, scores, threshold, groups)
    from seglab.kernels._detection_loops import suppress

    order = scores.detach().argsort(descending=True, stable=True)
    numbers = torch.zeros_like(order) if groups is None else groups[order]
    kept = suppress(boxes.detach().float()[order].numpy(), numbers.numpy(), np.float32(threshold))
    return order[torch.from_numpy(kept)]


def nms_by_matrix(boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Find what `nms` keeps by rounds over the matrix of overlaps, without an order of computation.

    In a round a box is kept if no surer one that is kept so far overlaps it. After k rounds the k surest boxes are
    right for good (the first depends on none, each on those before it), so the rounds end, and at the greedy answer;
    as a rule after as many as the longest chain in which each suppresses the next. Memory is O(N²).

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 1, 4, 5], [8, 8, 9, 9]])
    >>> nms_by_matrix(boxes, torch.tensor([0.6, 0.9, 0.1]), 0.5).tolist()
    [1, 2]
    """
    _check_nms(boxes, scores, threshold)
    order = scores.detach().argsort(descending=True, stable=True)
    own = boxes.detach().float()[order]
    near = box_iou(own, own) > threshold
    if groups is not None:
        near &= groups[order][:, None] == groups[order]
    near = near.triu(1)  # (surer, less sure)
    keep = torch.ones(len(own), dtype=torch.bool, device=own.device)
    while True:
        now = ~(near & keep[:, None]).any(0)
        if torch.equal(now, keep):
            return order[keep]
        keep = now


# --- what to learn from -----------------------------------------------------------------------------------------------


def match_boxes(boxes: Tensor, truth: Tensor, *, high: float, low: float, best: bool = False) -> tuple[Tensor, Tensor]:
    """Say of boxes (N, 4) which are examples of an object (IoU ≥ high), which of none (< low), and of which.

    Parameters
    ----------
    truth
        (T, 4) the objects' boxes.
    best
        The boxes that overlap an object most are its examples too, however little that is: no object goes without.

    Returns
    -------
    tuple of Tensor
        (N,) int64: 1 an example, 0 the background, −1 neither; and the object that overlaps most.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 2, 4, 6], [9, 9, 10, 10]])
    >>> match_boxes(boxes, torch.tensor([[0.0, 0, 4, 4]]), high=0.7, low=0.3)
    (tensor([ 1, -1,  0]), tensor([0, 0, 0]))
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"0 ≤ low ≤ high ≤ 1; got {low} and {high}")
    if not len(truth):
        nothing = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        return nothing, nothing
    iou = box_iou(boxes, truth)
    most, which = iou.max(1)
    kind = torch.where(most >= high, 1, torch.where(most < low, 0, -1))
    if best:
        top = iou.amax(0)
        chosen = (iou == top) & (top > 0)  # (N, T)
        kind = torch.where(chosen.any(1), 1, kind)
        which = torch.where(chosen.any(1) & (most < high), chosen.int().argmax(1), which)
    return kind, which


def sample(kind: Tensor, n: int, positive: float, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw at most n examples: a share `positive` of objects, or as many as there are, and background for the rest.

    There are thousands of boxes on the background for each on an object; who learns from all learns "background".

    Parameters
    ----------
    kind
        (N,) 1 object, 0 background, −1 neither, as `match_boxes` says.
    generator
        On the CPU.

    Returns
    -------
    tuple of Tensor
        The numbers of the objects' boxes, and of the background's, each in order.

    Examples
    --------
    >>> objects, background = sample(torch.tensor([1, 0, 0, 0, 0, -1, 1]), 4, positive=0.5)
    >>> objects.tolist(), len(background)
    ([0, 6], 2)
    """
    noise = torch.rand(len(kind), generator=generator).to(kind.device)

    def draw(value: int, most: int) -> Tensor:
        places = (kind == value).nonzero()[:, 0]
        return places[noise[places].argsort()[:most]].sort().values

    objects = draw(1, int(n * positive))
    return objects, draw(0, n - len(objects))


# --- what is inside a box ---------------------------------------------------------------------------------------------


def roi_align(
    features: Tensor, boxes: Tensor, image: Tensor, size: int, *, stride: float = 1.0, sampling: int = 2
) -> Tensor:
    """Read a grid of size × size values from inside each box, between the cells, rounding nothing.

    Each bin of the grid has sampling × sampling points; at each the map is interpolated bilinearly, and the bin is
    their mean. Up to half a cell beyond the border the border's value holds, as far as a whole cell beyond 0.

    Parameters
    ----------
    features
        (N, C, H, W).
    boxes
        (R, 4) in pixels of the picture.
    image
        (R,) int64, to which of the N maps each box belongs.
    stride
        Pixels from cell to cell of the map.

    Returns
    -------
    Tensor
        (R, C, size, size); gradients flow to the features and to the boxes.

    Notes
    -----
    Interpolation between cells weighs rows and columns apart, and so does a mean over a grid. So a RoI is W_row · F ·
    W_colᵀ with two thin matrices, (size, H) and (size, W), of the weights max(0, 1 - |p - i|), nearly all of them 0.
    On the CPU compiled loops skip the zeros, forward and backward; on other devices, and where a gradient to the boxes
    is wanted, they are two matrix products for all boxes of a picture, O(R · size · H · W · C) at worst.

    Examples
    --------
    >>> ramp = torch.arange(6.0).expand(1, 1, 6, 6)  # each cell holds its column
    >>> roi_align(ramp, torch.tensor([[1.0, 1.0, 4.0, 4.0]]), torch.tensor([0]), 2)[0, 0].tolist()
    [[1.25, 2.75], [1.25, 2.75]]
    """
    _check_rois(features, boxes, image, size)
    height, width = features.shape[2:]
    rows = _weights(boxes[:, 0], boxes[:, 2], size, sampling, height, stride).to(features.dtype)
    cols = _weights(boxes[:, 1], boxes[:, 3], size, sampling, width, stride).to(features.dtype)
    if features.device.type == "cpu" and features.dtype in (torch.float32, torch.float64) and not rows.requires_grad:
        return _ReadInside.apply(features, image, rows, cols)
    return _read_by_products(features, image, rows, cols)


def roi_pool(features: Tensor, boxes: Tensor, image: Tensor, size: int, *, stride: float = 1.0) -> Tensor:
    """Take the largest value of each of size × size bins of whole cells: what RoIAlign replaced.

    It rounds twice: the box to whole cells (at least one), and each bin outward to whole cells, so that bins overlap.
    A bin that is left without cells is 0. Parameters as for `roi_align`.

    Examples
    --------
    >>> ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    >>> roi_pool(ramp, torch.tensor([[1.0, 1.4, 4.0, 4.4]]), torch.tensor([0]), 2)[0, 0].tolist()
    [[2.0, 3.0], [2.0, 3.0]]
    """
    _check_rois(features, boxes, image, size)
    rows = _bins(boxes[:, 0], boxes[:, 2], size, features.shape[2], stride)
    cols = _bins(boxes[:, 1], boxes[:, 3], size, features.shape[3], stride)
    own = features[image]
    least = torch.finfo(own.dtype).min
    out = []
    for i in range(size):  # bins, not boxes: memory is that of one row of bins
        line = own.masked_fill(~rows[:, None, i, :, None], least).amax(2)  # (R, C, W)
        out.append(line[:, :, None].masked_fill(~cols[:, None], least).amax(3))
    pooled = torch.stack(out, 2)
    return torch.where(pooled == least, 0.0, pooled)


class _ReadInside(torch.autograd.Function):
    """The compiled loops of `roi_align`: features (N, C, H, W), rows (R, size, H) and cols (R, size, W) of weights."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, image: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        from seglab.kernels._detection_loops import read_inside

        ctx.save_for_backward(image, rows, cols)
        ctx.shape = features.shape
        maps = _channels_last(features)
        out = np.empty((len(rows), rows.shape[1], cols.shape[1], features.shape[1]), maps.dtype)
        read_inside(maps, image.numpy(), rows.numpy(), cols.numpy(), out)
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        from seglab.kernels._detection_loops import spread_inside

        image, rows, cols = ctx.saved_tensors
        n, n_channels, height, width = ctx.shape
        maps = np.zeros((n, height, width, n_channels), rows.numpy().dtype)
        spread_inside(_channels_last(grad), image.numpy(), rows.numpy(), cols.numpy(), maps)
        return torch.from_numpy(maps).permute(0, 3, 1, 2), None, None, None


def paste_masks(masks: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Put masks (R, m, m) back where they were read: (R, height, width), 0 outside their boxes.

    Each pixel takes, at its center, the mask interpolated bilinearly.

    Examples
    --------
    >>> paste_masks(torch.ones(1, 2, 2), torch.tensor([[0.0, 1, 2, 3]]), 2, 4)[0].tolist()
    [[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]]
    """
    weights = []
    for start, end, n in ((boxes[:, 0], boxes[:, 2], height), (boxes[:, 1], boxes[:, 3], width)):
        center = torch.arange(n, device=boxes.device) + 0.5
        inside = (center >= start[:, None]) & (center < end[:, None])
        place = (center - start[:, None]) / (end - start).clamp(min=1e-6)[:, None] * masks.shape[-1] - 0.5
        weights.append(_hats(place, masks.shape[-1]) * inside[..., None])
    return weights[0] @ masks @ weights[1].transpose(1, 2)


# --- small things -----------------------------------------------------------------------------------------------------


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def _center_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def _hats(place: Tensor, n: int) -> Tensor:
    """Weights (..., n) of n cells for interpolation at places (...), in cells; the border's value holds beyond it."""
    return (1 - (place.clamp(0, n - 1)[..., None] - torch.arange(n, device=place.device)).abs()).clamp(min=0)


def _weights(start: Tensor, end: Tensor, size: int, sampling: int, n: int, stride: float) -> Tensor:
    """(R, size, n): how much each of n cells along a side counts in each of a box's bins."""
    step = torch.arange(size * sampling, device=start.device, dtype=start.dtype) + 0.5
    place = (start[:, None] + (end - start)[:, None] * step / (size * sampling)) / stride - 0.5
    inside = (place >= -1) & (place <= n)
    return (_hats(place, n) * inside[..., None]).unflatten(1, (size, sampling)).mean(2)


def _read_by_products(features: Tensor, image: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    if len(rows) == len(features) and bool((image == torch.arange(len(rows), device=image.device)).all()):
        return rows[:, None] @ features @ cols[:, None].transpose(2, 3)
    size, n_channels = rows.shape[1], features.shape[1]
    order, parts = [], []
    for number, one in enumerate(features):
        own = (image == number).nonzero()[:, 0]
        middle = rows[own].flatten(0, 1) @ one.transpose(0, 1).flatten(1)  # (R · size, C · W)
        middle = middle.view(len(own), size * n_channels, -1) @ cols[own].transpose(1, 2)  # (R, size · C, size)
        parts.append(middle.view(len(own), size, n_channels, size))
        order.append(own)
    return torch.cat(parts)[torch.cat(order).argsort()].transpose(1, 2)


def _channels_last(x: Tensor) -> np.ndarray:
    """(N, C, H, W) as an array (N, H, W, C), each cell's channels together."""
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def _bins(start: Tensor, end: Tensor, size: int, n: int, stride: float) -> Tensor:
    """(R, size, n): which of n cells along a side are in each of a box's bins."""
    first = (start / stride).round()
    length = ((end / stride).round() - first).clamp(min=1).long()
    step = torch.arange(size, device=start.device)
    low = first[:, None] + length[:, None] * step // size  # in integers: a GPU rounds quotients its own way
    high = first[:, None] - (-length[:, None] * (step + 1) // size)
    cell = torch.arange(n, device=start.device)
    return (cell >= low[..., None]) & (cell < high[..., None])


def _check_nms(boxes: Tensor, scores: Tensor, threshold: float) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ValueError(f"expected boxes (N, 4) and scores (N,), got {tuple(boxes.shape)} and {tuple(scores.shape)}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is an intersection over union in [0, 1]; got {threshold}")


def _check_rois(features: Tensor, boxes: Tensor, image: Tensor, size: int) -> None:
    if features.ndim != 4 or boxes.ndim != 2 or boxes.shape[1] != 4 or image.shape != boxes.shape[:1] or size < 1:
        raise ValueError(
            f"expected features (N, C, H, W), boxes (R, 4), image (R,) and a size of at least 1; got "
            f"{tuple(features.shape)}, {tuple(boxes.shape)}, {tuple(image.shape)} and {size}"
        )
    if len(image) and not 0 <= int(image.min()) <= int(image.max()) < len(features):
        raise ValueError(f"image names a map of each box, from 0 to {len(features) - 1}; got {image.unique().tolist()}")
