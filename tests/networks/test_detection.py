from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seglab.networks.detection import (
    box_iou,
    boxes_of,
    clip_boxes,
    decode,
    encode,
    make_anchors,
    match_boxes,
    nms,
    nms_by_matrix,
    paste_masks,
    roi_align,
    roi_pool,
    sample,
)


def draw(n: int, seed: int = 0, side: float = 60.0, integers: bool = False) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    boxes = torch.rand(n, 4, generator=g) * side
    boxes[:, 2:] = boxes[:, :2] + torch.rand(n, 2, generator=g) * side / 2 + 0.5
    return boxes.round() if integers else boxes


# ---- boxes --------------------------------------------------------------------------------------------------------


def test_anchors_by_hand() -> None:
    anchors = make_anchors(2, 3, stride=8, scales=(4, 8), ratios=(0.25, 1))
    assert anchors.shape == (24, 4)
    # cell (1, 2) has its center at (12, 20); of scale 4 and ratio 1/4 it is 2 high and 8 wide
    assert anchors[20:].tolist() == [[11, 16, 13, 24], [10, 18, 14, 22], [10, 12, 14, 28], [8, 16, 16, 24]]
    height, width = (anchors[:, 2:] - anchors[:, :2]).T
    torch.testing.assert_close(height * width, torch.tensor([16.0, 16, 64, 64]).repeat(6))
    torch.testing.assert_close(height / width, torch.tensor([0.25, 1]).repeat(12))


def test_anchors_are_symmetric_in_a_picture_that_the_cells_fill() -> None:
    anchors = make_anchors(4, 5, stride=4)
    turned = torch.tensor([16.0, 20, 16, 20]) - anchors[:, [2, 3, 0, 1]]
    first, second = (sorted(map(tuple, (of * 64).round().tolist())) for of in (anchors, turned))
    assert first == second


def test_iou_is_that_of_pixels() -> None:
    a, b = draw(12, 0, 20, integers=True), draw(15, 1, 20, integers=True)
    row, col = np.mgrid[:40, :40] + 0.5
    a_in, b_in = (
        [(row > t) & (row < b) & (col > s) & (col < e) for t, s, b, e in of.tolist()] for of in (a, b)
    )  # fmt: skip
    expected = [[(x & y).sum() / max((x | y).sum(), 1) for y in b_in] for x in a_in]
    np.testing.assert_allclose(box_iou(a, b), expected, rtol=1e-6)


def test_iou_of_empty_and_reversed_boxes_is_zero() -> None:
    odd = torch.tensor([[1.0, 1, 1, 5], [5, 5, 2, 2], [3, 3, 3, 3]])
    assert box_iou(odd, torch.cat([odd, torch.tensor([[0.0, 0, 9, 9]])])).abs().max() == 0


def test_boxes_of_objects() -> None:
    labels = torch.randint(-1, 9, (12, 13), generator=torch.Generator().manual_seed(0))
    labels[labels == 4] = 0
    boxes = boxes_of(labels, 10)
    for number in range(1, 11):
        rows, cols = np.nonzero(labels.numpy() == number)
        expected = [rows.min(), cols.min(), rows.max() + 1, cols.max() + 1] if len(rows) else [0, 0, 0, 0]
        assert boxes[number - 1].tolist() == expected
    assert boxes_of(torch.zeros(3, 3, dtype=torch.int64)).shape == (0, 4)


def test_coding_by_hand_and_back() -> None:
    anchor, box = torch.tensor([[10.0, 10, 30, 50]]), torch.tensor([[15.0, 10, 25, 90]])
    # centers (20, 30) and (20, 50): 0 heights and half a width; half as high, twice as wide
    torch.testing.assert_close(encode(box, anchor), torch.tensor([[0, 0.5, -math.log(2), math.log(2)]]))
    anchors, boxes = draw(50, 0), draw(50, 1)
    for scale in ((1, 1, 1, 1), (0.1, 0.1, 0.2, 0.2)):
        torch.testing.assert_close(decode(encode(boxes, anchors, scale), anchors, scale), boxes, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(encode(boxes, anchors, (0.5, 1, 2, 4))[0], encode(boxes, anchors)[0] / torch.tensor(
        [0.5, 1, 2, 4]))  # fmt: skip


def test_coding_does_not_see_size_or_place() -> None:
    anchors, boxes = draw(20, 2), draw(20, 3)
    torch.testing.assert_close(encode(boxes, anchors), encode(7 * boxes + 3, 7 * anchors + 3), atol=1e-4, rtol=1e-4)


def test_decoded_sides_are_bounded() -> None:
    box = decode(torch.tensor([[0.0, 0, 99, 0]]), torch.tensor([[0.0, 0, 16, 16]]))
    assert box[0, 2] - box[0, 0] == pytest.approx(1000)


def test_clipping() -> None:
    assert clip_boxes(torch.tensor([[-1.0, 2, 7, 99]]), 6, 8).tolist() == [[0, 2, 6, 8]]


# ---- suppression --------------------------------------------------------------------------------------------------


def greedy(boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None = None) -> list[int]:
    left, kept = sorted(range(len(boxes)), key=lambda i: -float(scores[i])), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if (groups is not None and groups[i] != groups[best])
                or not box_iou(boxes[best : best + 1], boxes[i : i + 1]) > threshold]  # fmt: skip
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_suppression_is_greedy(seed: int, threshold: float) -> None:
    boxes = draw(80, seed, 40, integers=seed == 1)  # whole numbers: overlaps at the threshold to the bit
    g = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 20, (80,), generator=g).float()  # many ties
    groups = torch.randint(0, 3, (80,), generator=g)
    for own in (None, groups):
        expected = greedy(boxes, scores, threshold, own)
        assert nms(boxes, scores, threshold, own).tolist() == expected
        assert nms_by_matrix(boxes, scores, threshold, own).tolist() == expected
    assert threshold > 0.5 or len(expected) < 80


def test_both_forms_agree_on_many_boxes() -> None:
    boxes, scores = draw(2000, 5, 150), torch.rand(2000, generator=torch.Generator().manual_seed(6))
    assert torch.equal(nms(boxes, scores, 0.4), nms_by_matrix(boxes, scores, 0.4))


def test_a_chain_in_which_each_suppresses_the_next() -> None:
    start = torch.arange(40.0)
    boxes = torch.stack([torch.zeros(40), start, torch.ones(40), start + 2.5], 1)  # overlap 3/7 with the next
    scores = torch.linspace(1, 0.1, 40)
    for form in (nms, nms_by_matrix):
        assert form(boxes, scores, 0.4).tolist() == list(range(0, 40, 2))
        assert form(boxes, scores, 0.5).tolist() == list(range(40))


def test_suppression_of_nothing_and_wrong_inputs() -> None:
    for form in (nms, nms_by_matrix):
        assert form(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
        with pytest.raises(ValueError, match=r"expected boxes \(N, 4\) and scores \(N,\), got \(2, 4\) and \(3,\)"):
            form(torch.zeros(2, 4), torch.zeros(3), 0.5)
        with pytest.raises(ValueError, match="threshold is an intersection over union"):
            form(torch.zeros(2, 4), torch.zeros(2), 1.5)


# ---- matching and sampling ------------------------------------------------------------------------------------------


def test_matching_by_hand() -> None:
    truth = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    boxes = torch.tensor([[0.0, 0, 10, 8], [0, 0, 10, 5], [0, 0, 10, 2], [20, 20, 30, 24], [50, 50, 60, 60]])
    kind, which = match_boxes(boxes, truth, high=0.7, low=0.3)
    assert kind.tolist() == [1, -1, 0, -1, 0]  # overlaps .8, .5, .2, .4, 0
    assert which.tolist()[:4] == [0, 0, 0, 1]
    kind, which = match_boxes(boxes, truth, high=0.7, low=0.3, best=True)
    assert kind.tolist() == [1, -1, 0, 1, 0]  # the second object has nothing better
    assert which[3] == 1


def test_a_best_box_keeps_the_object_that_it_overlaps_enough() -> None:
    truth = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 4]])
    box = torch.tensor([[0.0, 0, 10, 9]])  # .9 with the first, .44 with the second, whose best it is
    assert match_boxes(box, truth, high=0.7, low=0.3, best=True)[1].tolist() == [0]


def test_matching_without_objects() -> None:
    kind, which = match_boxes(draw(4), torch.zeros(0, 4), high=0.7, low=0.3, best=True)
    assert kind.tolist() == which.tolist() == [0, 0, 0, 0]
    far = match_boxes(draw(4), torch.tensor([[900.0, 900, 910, 910]]), high=0.7, low=0.3, best=True)[0]
    assert far.tolist() == [0, 0, 0, 0]  # that overlaps nothing is nobody's best
    with pytest.raises(ValueError, match="low ≤ high"):
        match_boxes(draw(4), draw(2), high=0.3, low=0.7)


@pytest.mark.parametrize(
    ("n_objects", "n_rest", "expected"), [(50, 50, (8, 8)), (3, 50, (3, 13)), (50, 2, (8, 2)), (0, 9, (0, 9))]
)
def test_samples_are_as_many_as_wanted_and_of_the_right_kind(n_objects: int, n_rest: int, expected: tuple) -> None:
    kind = torch.cat([torch.ones(n_objects), torch.zeros(n_rest), -torch.ones(7)]).long()
    kind = kind[torch.randperm(len(kind), generator=torch.Generator().manual_seed(1))]
    objects, rest = sample(kind, 16, 0.5, torch.Generator().manual_seed(0))
    assert (len(objects), len(rest)) == expected
    assert (kind[objects] == 1).all()
    assert (kind[rest] == 0).all()
    assert len(objects.unique()) == len(objects)


def test_every_example_is_as_likely() -> None:
    kind, g = torch.tensor([1, 1, 1, 0, 0, 0, 0, -1]), torch.Generator().manual_seed(0)
    counts = torch.zeros(8)
    for _ in range(600):
        counts[torch.cat(sample(kind, 2, 0.5, g))] += 1
    np.testing.assert_allclose(counts / 600, [1 / 3] * 3 + [1 / 4] * 4 + [0], atol=0.06)


# ---- RoIAlign -------------------------------------------------------------------------------------------------------


def naive_align(features: Tensor, boxes: Tensor, image: Tensor, size: int, stride: float, sampling: int) -> np.ndarray:
    """The definition: bins, points, four neighbors, by loops."""
    maps = features.double().numpy()
    _, n_channels, height, width = maps.shape
    out = np.zeros((len(boxes), n_channels, size, size))
    for r, (top, left, bottom, right) in enumerate(boxes.double().tolist()):
        for i in range(size):
            for j in range(size):
                for a in range(sampling):
                    for b in range(sampling):
                        y = (top + (bottom - top) * (i + (a + 0.5) / sampling) / size) / stride - 0.5
                        x = (left + (right - left) * (j + (b + 0.5) / sampling) / size) / stride - 0.5
                        if not (-1 <= y <= height and -1 <= x <= width):
                            continue
                        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                        y0, x0 = int(y), int(x)
                        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
                        dy, dx = y - y0, x - x0
                        m = maps[image[r]]
                        value = (1 - dy) * ((1 - dx) * m[:, y0, x0] + dx * m[:, y0, x1])
                        value = value + dy * ((1 - dx) * m[:, y1, x0] + dx * m[:, y1, x1])
                        out[r, :, i, j] += value / sampling**2
    return out


@pytest.mark.parametrize(("size", "stride", "sampling"), [(1, 1, 1), (3, 4, 2), (7, 8, 2), (2, 4, 3)])
def test_roi_align_is_its_definition(size: int, stride: int, sampling: int) -> None:
    g = torch.Generator().manual_seed(0)
    features = torch.randn(3, 5, 9, 12, generator=g, dtype=torch.float64)
    boxes = draw(14, 1, 9.0 * stride).double() - stride  # some reach over the border
    image = torch.tensor([2, 0, 2, 0, 0, 0, 2, 2, 0, 0, 2, 0, 0, 2])  # nothing in the second
    got = roi_align(features, boxes, image, size, stride=stride, sampling=sampling)
    np.testing.assert_allclose(got, naive_align(features, boxes, image, size, stride, sampling), atol=1e-12)


def test_roi_align_of_one_box_in_each_map_takes_another_way_to_the_same() -> None:
    features, boxes = torch.randn(6, 2, 9, 9, generator=torch.Generator().manual_seed(3)), draw(6, 4, 9)
    image = torch.arange(6)
    both = torch.cat([boxes, boxes.flip(0)]), torch.cat([image, image.flip(0)])
    torch.testing.assert_close(roi_align(features, boxes, image, 4), roi_align(features, *both, 4)[:6])
    np.testing.assert_allclose(
        roi_align(features, boxes, image, 4), naive_align(features, boxes, image, 4, 1, 2), atol=1e-5
    )


def test_roi_align_of_a_ramp_is_exact() -> None:
    """Bilinear interpolation and means keep a plane: each bin holds the plane's value at its middle."""
    row, col = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    ramp = (3 * (row + 0.5) - 2 * (col + 0.5) + 1)[None, None].double()  # a plane in places, where cells have centers
    boxes = torch.tensor([[2.3, 4.1, 11.9, 25.6], [1.0, 1.0, 2.0, 1.5]], dtype=torch.float64)
    got = roi_align(ramp, boxes, torch.tensor([0, 0]), 5)
    for box, values in zip(boxes, got, strict=True):
        bin = (torch.arange(5).double() + 0.5) / 5
        y, x = box[0] + (box[2] - box[0]) * bin, box[1] + (box[3] - box[1]) * bin
        torch.testing.assert_close(values[0], 3 * y[:, None] - 2 * x + 1, atol=1e-10, rtol=0)


def test_roi_align_moves_with_the_box_and_roi_pool_does_not() -> None:
    ramp = torch.arange(12.0).expand(1, 1, 12, 12)
    moved = [torch.tensor([[16.0, 16 + shift, 32, 32 + shift]]) for shift in (0.0, 1.0, 1.9)]
    image = torch.tensor([0])
    aligned = [roi_align(ramp, box, image, 2, stride=4)[0, 0, 0, 0] for box in moved]
    pooled = [roi_pool(ramp, box, image, 2, stride=4)[0, 0, 0, 0] for box in moved]
    assert [float(x - aligned[0]) for x in aligned] == pytest.approx([0, 0.25, 0.475])  # cells, of four pixels
    assert pooled[0] == pooled[1] == pooled[2]


def test_gradients_of_roi_align_are_right_to_features_and_boxes() -> None:
    g = torch.Generator().manual_seed(0)
    features = torch.randn(2, 2, 5, 6, generator=g, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.7, 0.4, 3.1, 4.3], [1.2, 1.3, 4.6, 5.2], [0.3, 2.2, 2.4, 3.1]], dtype=torch.float64)
    boxes.requires_grad_()
    image = torch.tensor([1, 0, 1])
    assert torch.autograd.gradcheck(lambda f, b: roi_align(f, b, image, 2), (features, boxes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loops_of_roi_align_are_its_matrix_products(dtype: torch.dtype) -> None:
    """Which are taken where a gradient to the boxes is wanted."""
    g = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 9, 12, generator=g, dtype=dtype, requires_grad=True)
    boxes, image = draw(9, 1, 9.0).to(dtype) - 1, torch.arange(9) % 2
    both = []
    for own in (boxes, boxes.clone().requires_grad_()):
        out = roi_align(features, own, image, 3, sampling=3)
        weights = torch.linspace(-1, 1, out.numel(), dtype=dtype).reshape(out.shape)
        both.append((out, *torch.autograd.grad((out * weights).sum(), features)))
    torch.testing.assert_close(*both)
    fixed = features.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes.double(), image, 2), (fixed,))


def test_roi_align_without_boxes() -> None:
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    out = roi_align(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 7)
    assert out.shape == (0, 3, 7, 7)
    out.sum().backward()
    assert features.grad is not None


def naive_pool(features: Tensor, boxes: Tensor, image: Tensor, size: int, stride: float) -> np.ndarray:
    maps = features.numpy()
    out = np.zeros((len(boxes), maps.shape[1], size, size), np.float32)
    for r, box in enumerate(boxes.tolist()):
        (top, left), (bottom, right) = ([int(np.round(x / stride)) for x in part] for part in (box[:2], box[2:]))
        height, width = max(bottom - top, 1), max(right - left, 1)
        for i in range(size):
            for j in range(size):
                y0, y1 = top + math.floor(i * height / size), top + math.ceil((i + 1) * height / size)
                x0, x1 = left + math.floor(j * width / size), left + math.ceil((j + 1) * width / size)
                cells = maps[image[r], :, max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
                if cells.size:
                    out[r, :, i, j] = cells.max((1, 2))
    return out


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (2, 4), (7, 8)])
def test_roi_pool_is_its_definition(size: int, stride: int) -> None:
    features = torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(0)) - 3  # mostly negative
    boxes = draw(12, 1, 9.0 * stride) - stride
    image = torch.arange(12) % 2
    np.testing.assert_array_equal(
        roi_pool(features, boxes, image, size, stride=stride), naive_pool(features, boxes, image, size, stride)
    )


def test_wrong_rois_are_named() -> None:
    features, boxes = torch.zeros(2, 1, 4, 4), draw(3)
    for function in (roi_align, roi_pool):
        with pytest.raises(ValueError, match=r"expected features \(N, C, H, W\), boxes \(R, 4\)"):
            function(features, boxes, torch.tensor([0, 1]), 2)
    with pytest.raises(ValueError, match=r"image names a map of each box, from 0 to 1; got \[0, 1, 2\]"):
        roi_align(features, boxes, torch.tensor([0, 1, 2]), 2)


# ---- masks ----------------------------------------------------------------------------------------------------------


def test_pasting_undoes_reading() -> None:
    """A smooth mask that is read with RoIAlign and pasted is the mask again, inside the box."""
    row, col = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    disk = torch.sigmoid((12 - torch.hypot(row + 0.5 - 20, col + 0.5 - 24)) / 2)
    box = torch.tensor([[5.3, 8.6, 34.1, 40.2]])
    mask = roi_align(disk[None, None], box, torch.tensor([0]), 28)[0]
    back = paste_masks(mask, box, 40, 50)[0]
    inside = (row + 0.5 > 7) & (row + 0.5 < 33) & (col + 0.5 > 10) & (col + 0.5 < 39)
    assert (back - disk)[inside].abs().max() < 0.02
    outside = (row + 0.5 < 5.3) | (row + 0.5 >= 34.1) | (col + 0.5 < 8.6) | (col + 0.5 >= 40.2)
    assert back[outside].abs().max() == 0


def test_pasting_a_checkerboard_on_its_own_cells() -> None:
    mask = torch.tensor([[[0.0, 1], [1, 0]]])
    got = paste_masks(mask, torch.tensor([[1.0, 2, 3, 4]]), 4, 5)[0]
    assert got.tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert paste_masks(mask[:0], torch.zeros(0, 4), 4, 5).shape == (0, 4, 5)


# ---- other devices, other libraries ---------------------------------------------------------------------------------


@pytest.mark.gpu
def test_the_same_on_the_gpu() -> None:
    boxes, scores = draw(500, 0), torch.rand(500, generator=torch.Generator().manual_seed(1))
    assert torch.equal(nms(boxes.cuda(), scores.cuda(), 0.4).cpu(), nms(boxes, scores, 0.4))
    features = torch.randn(2, 4, 30, 30, generator=torch.Generator().manual_seed(2))
    image = torch.arange(500) % 2
    for function in (roi_align, roi_pool):
        here = function(features, boxes, image, 7, stride=2)
        there = function(features.cuda(), boxes.cuda(), image.cuda(), 7, stride=2).cpu()
        torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-5)


def test_suppression_and_roi_align_are_those_of_torchvision() -> None:
    try:
        from torchvision import ops
    except Exception as error:  # not there, or built for another torch, which it says by a RuntimeError
        pytest.skip(f"torchvision cannot be imported: {error}")
    boxes, scores = draw(300, 0), torch.rand(300, generator=torch.Generator().manual_seed(1))
    theirs = boxes[:, [1, 0, 3, 2]]  # x first
    assert torch.equal(nms(boxes, scores, 0.4), ops.nms(theirs, scores, 0.4))
    features, image = torch.randn(2, 4, 30, 30, generator=torch.Generator().manual_seed(2)), torch.arange(300) % 2
    rois = torch.cat([image[:, None].float(), theirs], 1)
    expected = ops.roi_align(features, rois, 7, spatial_scale=0.5, sampling_ratio=2, aligned=True)
    torch.testing.assert_close(roi_align(features, boxes, image, 7, stride=2), expected, atol=1e-5, rtol=1e-5)
