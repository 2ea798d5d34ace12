"""Mask R-CNN: find boxes that may hold an object, look into each, and say what it is, where, and which pixels it has.

1. A **backbone** turns the picture into one map of features, a cell every few pixels, that has seen far around.
2. The **region proposal network** scores boxes of fixed sizes at every cell (anchors) and moves them onto objects;
   what overlaps a surer one is suppressed.
3. From each proposal **RoIAlign** reads a small grid of features. Three heads see it: a class, a better box, and a mask
   for every class, of which the one of the predicted class is used.

The loss is the sum of five: score and box of the anchors, class and box of the proposals, and the mask's.

References
----------
S. Ren, K. He, R. Girshick, J. Sun (2015). Faster R-CNN: towards real-time object detection with region proposal
networks. NeurIPS. arXiv:1506.01497.
K. He, G. Gkioxari, P. Dollár, R. Girshick (2017). Mask R-CNN. ICCV. doi:10.1109/ICCV.2017.322, arXiv:1703.06870.

*Differs from the paper*: a small backbone, trained from nothing, with one map (top-down as in a feature pyramid, but
only its finest level is used) and group normalization; the box head sees the mean of 2×2 of the very grid that the mask
head sees, where the paper reads two grids; two convolutions in the mask head instead of four.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab.networks.detection import (
    boxes_of,
    clip_boxes,
    decode,
    encode,
    make_anchors,
    match_boxes,
    nms,
    paste_masks,
    roi_align,
    sample,
)

__all__ = ["Detections", "MaskRCNN", "MaskRCNNSettings", "Proposals"]

_ROI_SCALE = (0.1, 0.1, 0.2, 0.2)  # as the authors' code has it: what proposals are off by, roughly
_PICTURES = 2**22  # pixels of pasted masks that are made at a time


@dataclass(frozen=True, kw_only=True)
class MaskRCNNSettings:
    """What is chosen rather than learned.

    Attributes
    ----------
    scales, ratios
        Of the anchors: roots of their areas in pixels, heights over widths.
    rpn_overlaps
        An anchor with at least the first overlap (and each object's best) is an example of an object, one with less
        than the second of the background.
    rpn_sample, roi_sample
        Examples in a picture, of anchors and of proposals; at most half are objects.
    roi_overlap
        A proposal with at least this overlap is an example of its object, all others of the background.
    before_nms, proposals
        The surest anchors of a picture that are looked at, and how many of them are left at most after suppression:
        in training, and in detection.
    proposal_nms, detection_nms
        The largest overlap of two proposals, and of two detections of one class.
    min_score, max_detections
        What is detected in a picture: at least so sure, at most so many.
    """

    scales: tuple[float, ...] = (16, 32, 64)
    ratios: tuple[float, ...] = (0.5, 1, 2)
    rpn_overlaps: tuple[float, float] = (0.7, 0.3)
    rpn_sample: int = 64
    roi_sample: int = 32
    roi_overlap: float = 0.5
    before_nms: tuple[int, int] = (400, 1000)
    proposals: tuple[int, int] = (100, 200)
    proposal_nms: float = 0.7
    detection_nms: float = 0.5
    min_score: float = 0.05
    max_detections: int = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposals:
    """What the region proposal network finds in one picture.

    Attributes
    ----------
    boxes, scores
        (M, 4) and (M,) the surest anchors, moved and cut at the border, the surest first; scores in [0, 1].
    anchors
        (M, 4) where each came from.
    kept
        (R,) the numbers of those that are not suppressed, at most as many as wanted.
    """

    boxes: Tensor
    scores: Tensor
    anchors: Tensor
    kept: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """The objects found in one picture, the surest first.

    Attributes
    ----------
    boxes, scores, classes
        (D, 4), (D,) in [0, 1], and (D,) from 1.
    masks
        (D, m, m) in [0, 1], each over its box: how sure it is of each point.
    height, width
        The picture's size.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    masks: Tensor
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, which: slice | Tensor) -> Detections:
        parts = {name: getattr(self, name)[which] for name in ("boxes", "scores", "classes", "masks")}
        return dataclasses.replace(self, **parts)

    def resized(self, height: int, width: int) -> Detections:
        """The same objects in a picture of another size."""
        factor = self.boxes.new_tensor([height / self.height, width / self.width]).repeat(2)
        return dataclasses.replace(self, boxes=self.boxes * factor, height=height, width=width)

    def pasted(self, threshold: float = 0.5) -> Tensor:
        """(D, H, W) bool, each object's pixels; they may overlap."""
        return paste_masks(self.masks, self.boxes, self.height, self.width) >= threshold

    def instances(self, threshold: float = 0.5) -> Tensor:
        """(H, W) int64, 0 the background and d + 1 the object d; of two at one pixel the surer has it."""
        labels = torch.zeros(self.height, self.width, dtype=torch.int64, device=self.boxes.device)
        each = max(1, _PICTURES // (self.height * self.width))
        for start in range(0, len(self), each):
            masks = self[start : start + each].pasted(threshold)
            first = masks.to(torch.uint8).argmax(0) + start + 1
            labels = torch.where((labels == 0) & masks.any(0), first, labels)
        return labels


class MaskRCNN(nn.Module):
    """The network; `losses` to train it, `detect` to use it, and a method for each stage in between.

    Parameters
    ----------
    n_classes
        K, the kinds of objects; 0 is the background, objects are 1 to K.
    in_channels
        Channels of the picture.
    width
        Channels of the first level; the next have 2, 3 and 4 times as many.
    stride
        4 or 8, pixels from cell to cell of the map of features. Objects below about 3 cells are hard to find.
    settings
        What is chosen rather than learned.
    seed
        Of the first weights.

    Examples
    --------
    >>> model = MaskRCNN(3, width=8).eval()
    >>> found = model.detect(torch.rand(3, 64, 96))
    >>> found.boxes.shape[1], found.instances().shape
    (4, torch.Size([64, 96]))
    """

    def __init__(
        self,
        n_classes: int,
        in_channels: int = 3,
        *,
        width: int = 32,
        stride: int = 4,
        settings: MaskRCNNSettings | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if n_classes < 1 or in_channels < 1 or width % 8 or width < 8 or stride not in (4, 8):
            raise ValueError(
                "n_classes and in_channels are at least 1, width is a multiple of 8, stride is 4 or 8; got "
                f"{n_classes}, {in_channels}, {width} and {stride}"
            )
        self.settings = settings or MaskRCNNSettings()
        self.n_classes, self.in_channels, self.stride = n_classes, in_channels, stride
        channels = 2 * width
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # layers draw from the global one, which is put back after
            self.backbone = _Backbone(in_channels, width, channels, stride)
            self.rpn = _ProposalHead(channels, len(self.settings.scales) * len(self.settings.ratios))
            self.box_head = _BoxHead(channels, n_classes)
            self.mask_head = _MaskHead(channels, n_classes)

    # --- the stages ---------------------------------------------------------------------------------------------------

    def features(self, images: Tensor) -> Tensor:
        """Turn pictures (N, C, H, W) in [0, 1] into maps (N, 2 · width, h, w), a cell every `stride` pixels."""
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(f"expected pictures (N, {self.in_channels}, H, W), got {tuple(images.shape)}")
        bottom, right = (-side % 16 for side in images.shape[2:])
        return self.backbone(F.pad((images - 0.5) * 4, (0, right, 0, bottom), mode="replicate"))

    def anchors(self, features: Tensor) -> Tensor:
        """Give the anchors (cells · A, 4) of a map."""
        height, width = features.shape[2:]
        return make_anchors(height, width, self.stride, self.settings.scales, self.settings.ratios, features.device)

    def propose(self, logits: Tensor, deltas: Tensor, anchors: Tensor, height: int, width: int) -> Proposals:
        """Move the surest anchors of one picture, from what `rpn` says of them (M,) and (M, 4), and suppress."""
        logits, deltas = logits.detach(), deltas.detach()
        now = 0 if self.training else 1
        surest = logits.topk(min(self.settings.before_nms[now], len(logits))).indices
        boxes = clip_boxes(decode(deltas[surest], anchors[surest]), height, width)
        large = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
        boxes, surest = boxes[large], surest[large]
        kept = nms(boxes, logits[surest], self.settings.proposal_nms)[: self.settings.proposals[now]]
        return Proposals(boxes=boxes, scores=logits[surest].sigmoid(), anchors=anchors[surest], kept=kept)

    def pool(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """Read (R, channels, 14, 14) from the boxes (R, 4) of the pictures `image` (R,): what all heads see."""
        return roi_align(features, boxes, image, 14, stride=self.stride)

    def classify(self, pooled: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Give probabilities (R, K + 1) and, for each class, a better box (R, K, 4)."""
        logits, deltas = self.box_head(pooled)
        return logits.softmax(1), decode(deltas, boxes[:, None], _ROI_SCALE)

    def choose(self, probabilities: Tensor, boxes: Tensor, height: int, width: int) -> Detections:
        """Choose what is detected: sure enough and not suppressed by a surer one of its class. Masks are still full."""
        proposal, kind = (probabilities[:, 1:] >= self.settings.min_score).nonzero(as_tuple=True)
        scores, own = probabilities[proposal, kind + 1], clip_boxes(boxes[proposal, kind], height, width)
        kept = nms(own, scores, self.settings.detection_nms, kind)[: self.settings.max_detections]
        return Detections(
            boxes=own[kept],
            scores=scores[kept],
            classes=kind[kept] + 1,
            masks=own.new_ones(len(kept), 28, 28),
            height=height,
            width=width,
        )

    def segment(self, features: Tensor, found: Detections) -> Detections:
        """Read once more from the better boxes, and give each object the mask of its class."""
        pooled = self.pool(features, found.boxes, torch.zeros_like(found.classes))
        masks = self.mask_head(pooled)[torch.arange(len(found)), found.classes - 1]
        return dataclasses.replace(found, masks=masks.sigmoid())

    # --- all of them --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def detect(self, image: Tensor) -> Detections:
        """Find the objects in a picture (C, H, W).

        Raises
        ------
        ValueError
            The picture has not the network's number of channels.
        """
        if image.ndim != 3:
            raise ValueError(f"expected a picture ({self.in_channels}, H, W), got {tuple(image.shape)}")
        height, width = image.shape[1:]
        features = self.features(image[None])
        logits, deltas = self.rpn(features)
        proposals = self.propose(logits[0], deltas[0], self.anchors(features), height, width)
        boxes = proposals.boxes[proposals.kept]
        image_of = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        found = self.choose(*self.classify(self.pool(features, boxes, image_of), boxes), height, width)
        return self.segment(features, found)

    def losses(
        self, images: Tensor, instances: Tensor, classes: Tensor, *, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Measure a batch: the five losses, whose sum is to be minimized.

        Parameters
        ----------
        images
            (N, C, H, W).
        instances
            (N, H, W) int64, 0 the background, objects from 1.
        classes
            (N, T) int64: the class of the objects 1, 2, …; 0 for those that are not to be learned.
        generator
            On the CPU: draws the examples. By default torch's own, as dropout takes it.

        Raises
        ------
        ValueError
            An object has no class, or the pictures have not the network's number of channels.

        Examples
        --------
        >>> model = MaskRCNN(2, width=8)
        >>> square = torch.zeros(1, 64, 64, dtype=torch.int64)
        >>> square[:, 8:40, 8:40] = 1
        >>> sorted(model.losses(square[:, None].expand(-1, 3, -1, -1).float(), square, torch.tensor([[2]])))
        ['class', 'mask', 'roi box', 'rpn box', 'rpn score']
        """
        features = self.features(images)
        logits, deltas = self.rpn(features)
        anchors = self.anchors(features)
        truths = [_truth(*one) for one in zip(instances, classes, strict=True)]
        result = self._anchor_losses(logits, deltas, anchors, [boxes for boxes, _, _ in truths], generator)
        rois = []
        for n, (boxes, kinds, numbers) in enumerate(truths):
            found = self.propose(logits[n], deltas[n], anchors, *images.shape[2:])
            tried = torch.cat([found.boxes[found.kept], boxes])  # the truth's own: there is something to learn at once
            limit = self.settings.roi_overlap
            kind, which = match_boxes(tried, boxes, high=limit, low=limit)
            objects, rest = sample(kind, self.settings.roi_sample, 0.5, generator)
            chosen, own = torch.cat([objects, rest]), which[objects]
            target = torch.cat([kinds[own], torch.zeros_like(rest)])
            image = torch.full_like(chosen, n)
            rois.append((tried[chosen], image, target, boxes[own], numbers[own]))
        return result | self._roi_losses(features, instances, *(torch.cat(part) for part in zip(*rois, strict=True)))

    def _anchor_losses(
        self, logits: Tensor, deltas: Tensor, anchors: Tensor, truths: list[Tensor], generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        high, low = self.settings.rpn_overlaps
        score, box, n_examples = logits.new_zeros(()), logits.new_zeros(()), 0
        for n, boxes in enumerate(truths):
            kind, which = match_boxes(anchors, boxes, high=high, low=low, best=True)
            objects, rest = sample(kind, self.settings.rpn_sample, 0.5, generator)
            both = torch.cat([objects, rest])
            score = score + F.binary_cross_entropy_with_logits(logits[n, both], kind[both].float(), reduction="sum")
            if len(objects):
                target = encode(boxes[which[objects]], anchors[objects])
                box = box + F.smooth_l1_loss(deltas[n, objects], target, beta=1 / 9, reduction="sum")
            n_examples += len(both)
        return {"rpn score": score / max(n_examples, 1), "rpn box": box / max(n_examples, 1)}

    def _roi_losses(
        self, features: Tensor, instances: Tensor, rois: Tensor, image: Tensor, kind: Tensor, boxes: Tensor,
        numbers: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The losses of RoIs (R, 4): ``kind`` (R,) their classes, ``boxes`` and ``numbers`` those of the objects."""
        pooled = self.pool(features, rois, image)
        logits, deltas = self.box_head(pooled)
        result = {"class": F.cross_entropy(logits, kind)}
        objects = kind.nonzero()[:, 0]
        own, image, kind = rois[objects], image[objects], kind[objects] - 1
        line = torch.arange(len(objects), device=kind.device)
        target = encode(boxes, own, _ROI_SCALE)
        box = F.smooth_l1_loss(deltas[objects, kind], target, beta=1.0, reduction="sum")
        result["roi box"] = box / max(len(rois), 1)
        masks = (instances[image] == numbers[:, None, None]).float()[:, None]  # (P, 1, H, W), each its own object's
        inside = roi_align(masks, own, line, 28)[:, 0] >= 0.5
        logits = self.mask_head(pooled[objects])[line, kind]  # the mask of the true class; the others are free
        mask = F.binary_cross_entropy_with_logits(logits, inside.float(), reduction="sum")
        return result | {"mask": mask / max(logits.numel(), 1)}


# --- what it is made of -----------------------------------------------------------------------------------------------


class _Backbone(nn.Module):
    """Down to a sixteenth, and up again to `stride`; at each size what comes from below joins what was there."""

    def __init__(self, in_channels: int, width: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(in_channels, width), nn.MaxPool2d(2), _block(width, width))
        sizes = [width, 2 * width, 3 * width, 4 * width]
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), _block(before, after), _block(after, after))
            for before, after in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.across = nn.ModuleList(nn.Conv2d(size, channels, 1) for size in sizes[1:])
        self.levels = 3 if stride == 4 else 2
        self.out = _block(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        maps = []
        for down, across in zip(self.down, self.across, strict=True):
            x = down(x)
            maps.append(across(x))
        x = maps[-1]
        for beside in maps[-2 : -self.levels - 1 : -1]:
            x = beside + F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.out(x)


class _ProposalHead(nn.Module):
    """One 3×3 convolution, then for each anchor of a cell a score and four numbers."""

    def __init__(self, channels: int, n_anchors: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.score = _small(nn.Conv2d(channels, n_anchors, 1), 0.01)
        self.delta = _small(nn.Conv2d(channels, 4 * n_anchors, 1), 0.01)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, cells · A) and (N, cells · A, 4), in the order of the anchors."""
        x = self.hidden(features).relu()
        return self.score(x).permute(0, 2, 3, 1).flatten(1), self.delta(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4)


class _BoxHead(nn.Module):
    """Two layers over 7×7 cells, then K + 1 scores and for each class four numbers."""

    def __init__(self, channels: int, n_classes: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(49 * channels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.score = _small(nn.Linear(hidden, n_classes + 1), 0.01)
        self.delta = _small(nn.Linear(hidden, 4 * n_classes), 0.001)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layers(F.avg_pool2d(pooled, 2).flatten(1))
        return self.score(x), self.delta(x).unflatten(1, (-1, 4))


class _MaskHead(nn.Module):
    """Two convolutions, twice as large by a transposed one, and a mask of each class: (R, K, 28, 28)."""

    def __init__(self, channels: int, n_classes: int, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(hidden, hidden, 2, stride=2), nn.ReLU(),
            nn.Conv2d(hidden, n_classes, 1),
        )  # fmt: skip

    def forward(self, pooled: Tensor) -> Tensor:
        return self.layers(pooled)


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU(inplace=True)
    )


def _small(layer: nn.Conv2d | nn.Linear, std: float) -> nn.Module:
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _truth(instances: Tensor, classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (T, 4), classes (T,) and numbers (T,) of the objects that are seen and have a class."""
    if int(instances.max()) > len(classes):
        raise ValueError(f"classes are of {len(classes)} objects, and there is an object number {int(instances.max())}")
    boxes = boxes_of(instances, len(classes))
    numbers = ((boxes[:, 2] > boxes[:, 0]) & (classes > 0)).nonzero()[:, 0]
    return boxes[numbers], classes[numbers], numbers + 1
