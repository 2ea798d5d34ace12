from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab.networks.detection import box_iou, boxes_of, paste_masks
from seglab.networks.mask_rcnn import Detections, MaskRCNN, MaskRCNNSettings


def squares(n: int = 2, seed: int = 0, side: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures with a bright and a dark square each on gray, which do not touch: image, instances, classes."""
    rng = np.random.default_rng(seed)
    images, instances = torch.full((n, 1, side, side), 0.5), torch.zeros(n, side, side, dtype=torch.int64)
    for i in range(n):
        for k, (left, gray) in enumerate(((2, 1.0), (34, 0.0)), 1):
            size = int(rng.integers(14, 26))
            row, col = int(rng.integers(2, side - size - 2)), left + int(rng.integers(0, 28 - size))
            images[i, 0, row : row + size, col : col + size] = gray
            instances[i, row : row + size, col : col + size] = k
    return images, instances, torch.tensor([[1, 2]]).repeat(n, 1)


@cache
def trained() -> MaskRCNN:
    """A small network that has seen squares for a few seconds."""
    model = MaskRCNN(2, in_channels=1, width=8, settings=MaskRCNNSettings(scales=(12, 24), ratios=(1,)))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    draw = torch.Generator().manual_seed(0)
    for step in range(80):
        loss = sum(model.losses(*squares(4, seed=step), generator=draw).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


# ---- shapes and wiring --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("size", [(64, 64), (50, 97), (16, 33)])
def test_every_anchor_has_its_numbers_and_every_cell_its_place(stride: int, size: tuple[int, int]) -> None:
    model = MaskRCNN(3, width=8, stride=stride)
    features = model.features(torch.rand(2, 3, *size))
    cells = [-(-side // 16) * 16 // stride for side in size]
    assert features.shape == (2, 16, *cells)
    logits, deltas = model.rpn(features)
    anchors = model.anchors(features)
    assert logits.shape == (2, len(anchors))
    assert deltas.shape == (2, len(anchors), 4)
    assert len(anchors) == 9 * cells[0] * cells[1]


def test_scores_lie_at_their_anchors() -> None:
    """A convolution that looks for one bright cell scores highest the anchors of that cell, in the anchors' order."""
    model = MaskRCNN(1, width=8)
    nn.init.zeros_(model.rpn.hidden.weight)
    model.rpn.hidden.weight.data[0, 0, 1, 1] = 1
    nn.init.zeros_(model.rpn.hidden.bias)
    model.rpn.score.weight.data[:, 0] = torch.arange(1.0, 10)[:, None, None]
    features = torch.zeros(1, 16, 5, 7)
    features[0, 0, 2, 3] = 10
    anchor = model.anchors(features)[model.rpn(features)[0][0].argmax()]
    assert ((anchor[:2] + anchor[2:]) / 2).tolist() == pytest.approx([10, 14])  # the middle of cell (2, 3)
    height, width = (anchor[2:] - anchor[:2]).tolist()
    assert (height * width, height / width) == pytest.approx((64**2, 2))  # the last scale and ratio


def test_what_is_mirrored_has_mirrored_features() -> None:
    """Cells lie symmetrically in the picture: a kernel's mirror image of the mirrored picture is the mirrored map."""
    model, mirrored = MaskRCNN(1, width=8), MaskRCNN(1, width=8)
    for layer in mirrored.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.flip(-1)
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(mirrored.features(image.flip(-1)).flip(-1), model.features(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(51, 64), (64, 50), (49, 49)])
def test_what_is_added_at_the_border_repeats_it(size: tuple[int, int]) -> None:
    """A dark picture that is no multiple of 16 is made one by more of the dark: a gray band would look like objects."""
    model = MaskRCNN(3, width=8)
    whole = torch.full((1, 3, 64, 64), 0.05)
    assert torch.equal(model.features(whole[..., : size[0], : size[1]]), model.features(whole))


def test_the_heads_see_one_pooled_map() -> None:
    """The box head's 7×7 is the mean of 2×2 of the 14×14 that the mask head sees."""
    model = MaskRCNN(2, width=8)
    pooled = torch.rand(3, 16, 14, 14)
    blocky = F.avg_pool2d(pooled, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    for a, b in zip(model.box_head(pooled), model.box_head(blocky), strict=True):
        torch.testing.assert_close(a, b)
    assert model.mask_head(pooled).shape == (3, 2, 28, 28)


def test_first_weights_follow_the_seed_and_nobody_elses_numbers_are_touched() -> None:
    before = torch.get_rng_state()
    a, b, c = MaskRCNN(2, width=8), MaskRCNN(2, width=8), MaskRCNN(2, width=8, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    same = [torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(a.mask_head.layers[0].weight, c.mask_head.layers[0].weight)


# ---- losses -------------------------------------------------------------------------------------------------------


def test_losses_of_a_network_that_knows_nothing() -> None:
    """Scores near zero: log 2 for each anchor and each point of a mask, log (K + 1) for the classes."""
    model = MaskRCNN(2, in_channels=1, width=8)
    for layer in (model.rpn.score, model.box_head.score, model.mask_head.layers[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    losses = model.losses(*squares())
    assert losses["rpn score"].item() == pytest.approx(np.log(2), abs=1e-5)
    assert losses["mask"].item() == pytest.approx(np.log(2), abs=1e-5)
    assert losses["class"].item() == pytest.approx(np.log(3), abs=1e-5)


def test_the_mask_loss_by_a_loop_over_the_objects() -> None:
    """With the truth's own boxes alone, the loss is what it says: the class's mask against the object in its box."""
    model = MaskRCNN(2, in_channels=1, width=8, settings=MaskRCNNSettings(roi_overlap=0.999))
    images, instances, classes = squares(2, seed=3)
    losses = model.losses(images, instances, classes)
    features, values = model.features(images), []
    for n in range(2):
        for box, number, kind in zip(boxes_of(instances[n]), (1, 2), classes[n], strict=True):
            logits = model.mask_head(model.pool(features[n : n + 1], box[None], torch.tensor([0])))[0, kind - 1]
            target = torch.ones(28, 28)  # a square fills its box
            assert (instances[n] == number).sum() == (box[2] - box[0]) * (box[3] - box[1])
            values.append(F.binary_cross_entropy_with_logits(logits, target))
    assert losses["mask"].item() == pytest.approx(torch.stack(values).mean().item(), rel=1e-4)
    assert losses["roi box"].item() == pytest.approx(0, abs=0.02)  # nothing to move, and deltas start near zero


def test_every_part_learns() -> None:
    model = MaskRCNN(2, in_channels=1, width=8)
    sum(model.losses(*squares()).values()).backward()  # type: ignore[union-attr]
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


def test_a_mask_of_another_class_is_not_judged() -> None:
    model = MaskRCNN(2, in_channels=1, width=8)
    images, instances, classes = squares()
    classes[:] = 1
    model.losses(images, instances, classes)["mask"].backward()
    grad = model.mask_head.layers[-1].weight.grad
    assert grad[0].abs().sum() > 0
    assert grad[1].abs().sum() == 0


def test_examples_follow_the_generator() -> None:
    model, batch = MaskRCNN(2, in_channels=1, width=8), squares()
    values = [model.losses(*batch, generator=torch.Generator().manual_seed(s))["rpn score"].item() for s in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_pictures_without_objects_teach_background() -> None:
    model = MaskRCNN(2, in_channels=1, width=8)
    images, instances, classes = squares()
    for empty in ((instances * 0, classes), (instances, classes * 0)):
        losses = model.losses(images, *empty)
        assert losses["mask"] == losses["rpn box"] == losses["roi box"] == 0
        assert losses["rpn score"] > 0
        assert all(torch.isfinite(value) for value in losses.values())


# ---- what it finds ------------------------------------------------------------------------------------------------


def test_it_learns_squares() -> None:
    """Boxes, classes and masks of pictures it has not seen, after a few seconds."""
    images, instances, _ = squares(6, seed=1000)
    right = 0
    for image, labels in zip(images, instances, strict=True):
        found = trained().detect(image)
        sure = found[found.scores > 0.5]
        iou = box_iou(boxes_of(labels), sure.boxes)
        for number in (1, 2):
            best = iou[number - 1].argmax() if len(sure) else 0
            mask = sure.pasted()[best] if len(sure) else labels < 0
            truth = labels == number
            overlap = (mask & truth).sum() / (mask | truth).sum()
            right += bool(len(sure) and sure.classes[best] == number and overlap > 0.7)
    assert right >= 10  # of 12


def test_detections_obey_the_settings_and_are_in_order() -> None:
    model = trained()
    image = squares(1, seed=7)[0][0]
    found = model.detect(image)
    assert (found.scores[:-1] >= found.scores[1:]).all()
    assert found.scores.min() >= 0.05
    assert (found.boxes >= 0).all()
    assert (found.boxes <= 64).all()
    for kind in (1, 2):
        own = found.boxes[found.classes == kind]
        assert (box_iou(own, own).triu(1) <= 0.5).all()
    before = model.settings
    try:
        model.settings = dataclasses.replace(before, max_detections=1)
        assert len(model.detect(image)) == 1
        model.settings = dataclasses.replace(before, min_score=1.0)
        nothing = model.detect(image)
        assert (len(nothing), nothing.instances().max(), nothing.pasted().shape) == (0, 0, (0, 64, 64))
    finally:
        model.settings = before


def test_detect_is_its_stages() -> None:
    model, image = trained(), squares(1, seed=8)[0][0]
    with torch.no_grad():
        features = model.features(image[None])
        logits, deltas = model.rpn(features)
        proposals = model.propose(logits[0], deltas[0], model.anchors(features), 64, 64)
        boxes = proposals.boxes[proposals.kept]
        zeros = torch.zeros(len(boxes), dtype=torch.int64)
        probabilities, better = model.classify(model.pool(features, boxes, zeros), boxes)
        chosen = model.choose(probabilities, better, 64, 64)
    found = model.detect(image)
    for name in ("boxes", "scores", "classes"):
        assert torch.equal(getattr(found, name), getattr(chosen, name))
    assert torch.equal(found.masks, model.segment(features, chosen).masks)
    assert len(proposals.kept) <= 200
    assert (box_iou(boxes, boxes).triu(1) <= 0.7).all()


def test_the_surer_object_has_the_pixel() -> None:
    boxes = torch.tensor([[2.0, 2, 8, 8], [4, 4, 10, 12], [0, 0, 3, 3]])
    found = Detections(
        boxes=boxes, scores=torch.tensor([0.9, 0.8, 0.1]), classes=torch.ones(3), masks=torch.ones(3, 28, 28),
        height=12, width=14,
    )  # fmt: skip
    expected = torch.zeros(12, 14, dtype=torch.int64)
    for number in (3, 2, 1):
        top, left, bottom, right = boxes[number - 1].int().tolist()
        expected[top:bottom, left:right] = number
    assert torch.equal(found.instances(), expected)
    larger = found.resized(24, 28)
    assert torch.equal(larger.instances(), expected.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert torch.equal(found[1:].instances() > 0, found.pasted()[1:].any(0))
    assert torch.equal(found.pasted(), paste_masks(found.masks, boxes, 12, 14) >= 0.5)


def test_many_objects_are_pasted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(30, 2, generator=g) * 40
    found = Detections(
        boxes=torch.cat([corner, corner + 12], 1), scores=torch.linspace(1, 0, 30), classes=torch.ones(30),
        masks=torch.rand(30, 14, 14, generator=g), height=60, width=60,
    )  # fmt: skip
    whole = found.instances()
    monkeypatch.setattr("seglab.networks.mask_rcnn._PICTURES", 60 * 60 * 7)
    assert torch.equal(found.instances(), whole)
    assert len(whole.unique()) > 20


@pytest.mark.gpu
def test_the_same_on_the_gpu() -> None:
    image = squares(1, seed=9)[0][0]
    model = trained()
    here = model.detect(image)
    there = model.cuda().detect(image.cuda())
    model.cpu()
    sure = here.scores > 0.3
    torch.testing.assert_close(there.boxes.cpu()[sure], here.boxes[sure], atol=0.05, rtol=0)
    assert (there.instances().cpu() != here.instances()).float().mean() < 0.01


# ---- wrong inputs -------------------------------------------------------------------------------------------------


def test_wrong_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="width is a multiple of 8, stride is 4 or 8; got 0, 3, 32 and 4"):
        MaskRCNN(0)
    with pytest.raises(ValueError, match="got 1, 3, 32 and 16"):
        MaskRCNN(1, stride=16)
    model = MaskRCNN(1, width=8)
    with pytest.raises(ValueError, match=r"expected pictures \(N, 3, H, W\), got \(1, 1, 64, 64\)"):
        model.losses(*squares(1))
    with pytest.raises(ValueError, match=r"expected a picture \(3, H, W\), got \(1, 3, 64, 64\)"):
        model.detect(torch.rand(1, 3, 64, 64))
    with pytest.raises(ValueError, match="classes are of 1 objects, and there is an object number 2"):
        model.losses(torch.rand(1, 3, 64, 64), squares(1)[1], torch.tensor([[1]]))
