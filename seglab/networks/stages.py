"""Mask R-CNN one stage at a time, as a method whose steps a player shows.

    step_through(DetectionStages(network=model), picture)

What a stage computes it adds to the state, so that each state holds all that was known by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from seglab.networks.detection import clip_boxes
from seglab.networks.mask_rcnn import Detections, MaskRCNN, Proposals
from seglab.panels import Lines, Panel, Picture
from seglab.segmenter import Segmenter, State, Status

__all__ = ["DetectionStages", "DetectionState", "box_lines"]

_SHOWN = 60  # boxes drawn at most, the surest


def box_lines(boxes: Tensor) -> list[Tensor]:
    """The outlines (5, 2) of boxes, as (row, column), for a `Lines` panel.

    Examples
    --------
    >>> box_lines(torch.tensor([[1.0, 2, 3, 4]]))[0].tolist()
    [[0.5, 1.5], [0.5, 3.5], [2.5, 3.5], [2.5, 1.5], [0.5, 1.5]]
    """
    corners = boxes.detach().cpu()[:, [0, 1, 0, 3, 2, 3, 2, 1, 0, 1]].reshape(-1, 5, 2) - 0.5  # pixel 0 is drawn at 0
    return list(corners)


def _cover(boxes: Tensor, height: int, width: int) -> Tensor:
    """How many boxes (B, 4) lie over each pixel's center, (height, width)."""
    places = (torch.arange(n, device=boxes.device)[:, None] + 0.5 for n in (height, width))
    rows, cols = ((boxes[:, i] <= at) & (at < boxes[:, i + 2]) for i, at in enumerate(places))
    return rows.to(boxes.dtype) @ cols.to(boxes.dtype).T


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionState(State):
    """What is known of a picture after ``n_iter`` stages; what is not known yet is None.

    Attributes
    ----------
    height, width
        The picture's.
    features
        (1, C, h, w): stage 1.
    logits, deltas
        (M,) and (M, 4), what the proposal network says of each anchor: stage 2.
    proposals
        The surest anchors, moved, and which of them are kept: stages 3 and 4 show the same, before and after.
    probabilities, better
        (R, K + 1) and (R, K, 4), what the box head says of each proposal: stage 5.
    detections
        What is chosen: stage 6, with empty masks; with its masks in stage 7.
    """

    height: int
    width: int
    features: Tensor | None = None
    logits: Tensor | None = None
    deltas: Tensor | None = None
    proposals: Proposals | None = None
    probabilities: Tensor | None = None
    better: Tensor | None = None
    detections: Detections | None = None

    @property
    def labels(self) -> Tensor:
        """Nothing before the last stage but one, then boxes, then objects: (H, W), −1 the background."""
        if self.detections is None:
            return torch.full((self.height, self.width), -1)
        return self.detections.instances() - 1

    @property
    def boxes(self) -> Tensor:
        """The boxes (B, 4) that this stage is about, the surest first; none before stage 3."""
        if self.detections is not None:
            return self.detections.boxes
        if self.proposals is None:
            return torch.zeros(0, 4)
        if self.better is not None and self.probabilities is not None:
            sure, kind = self.probabilities[:, 1:].max(1)
            order = sure.argsort(descending=True)
            return clip_boxes(self.better[order, kind[order]], self.height, self.width)
        return self.proposals.boxes if self.n_iter < 4 else self.proposals.boxes[self.proposals.kept]

    @property
    def suppressed(self) -> Tensor:
        """The moved anchors (S, 4) that overlap a surer one too much, the surest first; none before stage 4.

        As far as the last box that is kept: beyond it nobody looked, if there were enough.
        """
        if self.proposals is None or self.n_iter < 4 or not len(self.proposals.kept):
            return torch.zeros(0, 4)
        seen = self.proposals.boxes[: int(self.proposals.kept.max())]
        gone = torch.ones(len(seen) + 1, dtype=torch.bool, device=seen.device)
        gone[self.proposals.kept] = False
        return seen[gone[:-1]]

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The stage's map, and its boxes over the picture; in stage 4 the map says where boxes are suppressed."""
        if self.features is None:
            return ()
        if self.logits is None:
            energy = self.features[0].square().mean(0).sqrt()
            return (Picture(title="features: strength in each cell", values=energy),)
        cells = self.logits.view(*self.features.shape[2:], -1).amax(-1).sigmoid()
        first = Picture(title="each cell's surest anchor", values=cells, low=0, high=1)
        if self.proposals is None:
            return (first,)
        n = min(len(self.boxes), _SHOWN)
        boxes = Lines(title=f"{n} of {len(self.boxes)} boxes", lines=box_lines(self.boxes[:n]))
        if self.n_iter == 4:
            gone = self.suppressed
            over = _cover(gone, self.height, self.width)
            first = Picture(title=f"{len(gone)} suppressed boxes, over each pixel", values=over)
        return first, boxes

    def describe(self) -> str:
        """The stage's name, and how many boxes there are."""
        counted = f" · {len(self.boxes)} boxes" if self.proposals is not None else ""
        return f"{self.n_iter} · {_NAMES[self.n_iter]}{counted}"


_NAMES = (
    "the picture", "features", "scores of the anchors", "anchors moved to objects", "what is not suppressed",
    "a better box and a class for each", "sure ones, suppressed by class", "a mask in each",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DetectionStages(Segmenter[DetectionState]):
    """The stages of a trained `MaskRCNN` on a picture; the last has its detections.

    Examples
    --------
    >>> states = DetectionStages(network=MaskRCNN(2, width=8).eval()).steps(torch.rand(3, 64, 64))
    >>> [state.describe().split(" · ")[1] for state in states][:3]
    ['the picture', 'features', 'scores of the anchors']
    """

    title: ClassVar[str] = "Mask R-CNN"
    alone: ClassVar[int] = 0

    network: MaskRCNN

    def init(self, image: Tensor) -> DetectionState:
        """Only the picture."""
        return DetectionState(height=image.shape[1], width=image.shape[2])

    @torch.no_grad()
    def step(self, image: Tensor, state: DetectionState) -> DetectionState:
        """Run the next stage."""
        n, model, size = state.n_iter + 1, self.network, (state.height, state.width)
        new = replace(state, n_iter=n, code=Status.after(n, 99, n == len(_NAMES) - 1))
        if n == 1:
            return replace(new, features=model.features(image[None]))
        assert state.features is not None
        if n == 2:
            logits, deltas = model.rpn(state.features)
            return replace(new, logits=logits[0], deltas=deltas[0])
        if n == 3:
            assert state.logits is not None
            assert state.deltas is not None
            found = model.propose(state.logits, state.deltas, model.anchors(state.features), *size)
            return replace(new, proposals=found)
        assert state.proposals is not None
        boxes = state.proposals.boxes[state.proposals.kept]
        first = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        if n == 5:
            probabilities, better = model.classify(model.pool(state.features, boxes, first), boxes)
            return replace(new, probabilities=probabilities, better=better)
        if n == 6:
            assert state.probabilities is not None
            assert state.better is not None
            return replace(new, detections=model.choose(state.probabilities, state.better, *size))
        if n == 7:
            assert state.detections is not None
            return replace(new, detections=model.segment(state.features, state.detections))
        return new
