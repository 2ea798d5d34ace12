from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seglab.animation import Frames, save_apng, save_gif
from seglab.networks.detection import box_iou
from seglab.networks.mask_rcnn import MaskRCNN, MaskRCNNSettings
from seglab.networks.stages import DetectionStages, box_lines
from seglab.panels import Lines
from seglab.segmenter import Status, get_method


def stages() -> DetectionStages:
    settings = MaskRCNNSettings(min_score=0.2, proposals=(20, 20))
    return DetectionStages(network=MaskRCNN(3, width=8, settings=settings).eval())


def test_the_last_stage_is_what_the_network_detects() -> None:
    image = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    method = stages()
    states = list(method.steps(image))
    assert [state.n_iter for state in states] == list(range(8))
    assert [state.status for state in states] == [Status.RUNNING] * 7 + [Status.CONVERGED]
    last, found = states[-1].detections, method.network.detect(image)
    assert last is not None
    assert len(found) > 0
    for name in ("boxes", "scores", "classes", "masks"):
        assert torch.equal(getattr(last, name), getattr(found, name))
    assert torch.equal(states[-1].labels, found.instances() - 1)
    assert torch.equal(method.segment(image).labels, states[-1].labels)


def test_each_stage_adds_to_what_was_known_and_changes_nothing() -> None:
    states = list(stages().steps(torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))))
    for before, after in zip(states[:-1], states[1:], strict=True):
        for name in ("features", "logits", "deltas", "proposals", "probabilities", "better"):
            known = getattr(before, name)
            assert known is None or getattr(after, name) is known
    assert (states[0].labels == -1).all()
    assert len(states[0].boxes) == len(states[2].boxes) == 0
    assert len(states[3].boxes) > len(states[4].boxes) == len(states[5].boxes) == 20
    assert "20 boxes" in states[4].describe()


def test_a_player_draws_every_stage() -> None:
    trace = stages().trace(torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0)))
    frames = Frames(trace, 200)
    counts = [len(frames.panels(i)) for i in range(len(trace))]
    assert counts == [0, 1, 1, 1, 1, 1, 1, 1]  # boxes are lines over the picture, no panel beside it
    assert [frames.lines(i) is not None for i in (2, 3, 7)] == [False, True, True]
    lines = trace[3].panels(trace.image)[1]
    assert isinstance(lines, Lines)
    assert len(lines.lines) == 60


def test_where_a_state_has_no_panels_the_animation_is_white(tmp_path: Path) -> None:
    trace = stages().trace(torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0)))
    for data in (save_apng(trace), save_gif(trace, tmp_path / "steps.gif").read_bytes()):
        first = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert first[:, first.shape[1] // 2 + 1 :].min() > 240


def test_what_is_suppressed_overlaps_a_surer_box_that_is_kept() -> None:
    image = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    states = list(stages().steps(image))
    state, proposals = states[4], states[4].proposals
    assert proposals is not None
    order = [box.tolist() for box in proposals.boxes]
    gone = [order.index(box.tolist()) for box in state.suppressed]
    assert gone == sorted(set(range(max(proposals.kept.tolist()))) - set(proposals.kept.tolist()))
    assert len(gone) == 20
    for i in gone:
        surer = proposals.boxes[[k for k in proposals.kept.tolist() if k < i]]
        assert box_iou(proposals.boxes[i : i + 1], surer).max() > MaskRCNNSettings().proposal_nms
    assert [len(s.suppressed) for s in states[:4]] == [0] * 4
    values = state.panels(image)[0].values  # type: ignore[attr-defined]
    for row, col in ((10, 20), (40, 5), (0, 63)):
        over = [t <= row + 0.5 < b and left <= col + 0.5 < r for t, left, b, r in state.suppressed.tolist()]
        assert values[row, col] == sum(over)


def test_boxes_are_drawn_around_pixels() -> None:
    assert box_lines(torch.tensor([[0.0, 0, 1, 2]]))[0].tolist() == [
        [-0.5, -0.5], [-0.5, 1.5], [0.5, 1.5], [0.5, -0.5], [-0.5, -0.5],
    ]  # fmt: skip


def test_it_is_no_method_of_the_list() -> None:
    with pytest.raises(ValueError, match="No method is called"):
        get_method("mask_rcnn")
