"""Panels say what to show; they draw nothing and share nothing."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from seglab import panels
from seglab.panels import Bars, Curve, Histogram, Lines, Panel, Picture, Pictures, Scatter

EXAMPLES = [
    Curve(title="variance", x=torch.arange(3), curves={"between": [0.0, 1.0, 0.0]}, marks={"Otsu": 1.0}),
    Histogram(title="gray levels", edges=np.arange(4), counts=torch.ones(3), curves={"0": np.ones(3)}),
    Scatter(title="colors", points=torch.zeros(5, 3), labels=torch.zeros(5), centers=torch.zeros(2, 3)),
    Picture(title="density", values=torch.zeros(4, 5), low=0, high=1),
    Pictures(title="responsibilities", values=torch.zeros(2, 4, 5), names=["0", "1"]),
    Lines(title="contour", lines=[np.zeros((3, 2))]),
    Bars(title="weights", values=[0.5, 0.5]),
]


def test_every_kind_is_public_and_has_an_example_here():
    kinds = {cls for cls in vars(panels).values() if isinstance(cls, type) and issubclass(cls, Panel)}
    assert {cls.__name__ for cls in kinds} == set(panels.__all__)
    assert {type(example) for example in EXAMPLES} == kinds - {Panel}


@pytest.mark.parametrize("panel", EXAMPLES, ids=lambda p: type(p).__name__)
def test_panels_are_frozen_and_need_their_title(panel):
    assert panel.title
    with pytest.raises(dataclasses.FrozenInstanceError):
        panel.title = "other"
    fields = {f.name: getattr(panel, f.name) for f in dataclasses.fields(panel) if f.name != "title"}
    with pytest.raises(TypeError, match="title"):
        type(panel)(**fields)
    with pytest.raises(TypeError, match="positional"):
        type(panel)("title", **fields)


def test_panels_do_not_share_their_marks():
    one, other = (Curve(title="t", x=[0], curves={}) for _ in range(2))
    assert one.marks == {}
    assert one.marks is not other.marks
    assert Histogram(title="t", edges=[0, 1], counts=[1]).curves == {}


def test_panels_do_not_wait_for_matplotlib():
    code = "import sys, seglab.panels, seglab.segmenter; assert 'matplotlib' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
