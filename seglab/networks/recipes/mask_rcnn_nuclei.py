"""Mask R-CNN on cell nuclei: 45 pictures of the 2018 Data Science Bowl's stage-1 test to learn from, 20 held out.

Pictures differ in size and in kind. `prepare` makes them alike: nuclei bright on dark, the longer side 512 pixels, so that
most nuclei are 15 to 60 pixels long. What is found is put back at the picture's own size, and scored there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed
from torch import Tensor
from torch.nn import functional as F

from seglab.datasets.nuclei import Nuclei, NucleiImage, bright_nuclei
from seglab.metrics.instance import InstanceBenchmark, instance_benchmark, instance_scores
from seglab.networks.mask_rcnn import Detections, MaskRCNN, MaskRCNNSettings
from seglab.networks.recipes.mask_rcnn_shapes import loss

NAME = "mask_rcnn_nuclei"
EPOCHS = 40
SIDE = 512  # pixels of the longer side
CROP = 128
_MOST = 400  # nuclei in a picture
_CROPS = 4  # of a picture in an epoch
Sample = tuple[Tensor, Tensor, Tensor]


def make_model(seed: int = 0) -> MaskRCNN:
    """The network: one class, one channel, room for hundreds of nuclei."""
    settings = MaskRCNNSettings(before_nms=400, proposals=100, max_detections=500, detection_nms=0.3)
    return MaskRCNN(1, in_channels=1, settings=settings, seed=seed)


def prepare(image: Tensor) -> Tensor:
    """Make of a picture (C, H, W) in [0, 1] what the network is trained on: (1, h, w), the longer side 512."""
    size = _size(*image.shape[1:])
    shrinks = size[0] < image.shape[1]
    return F.interpolate(bright_nuclei(image)[None], size, mode="bilinear", antialias=shrinks)[0]


def find_nuclei(model: MaskRCNN, image: Tensor) -> Detections:
    """Find the nuclei in a picture (C, H, W) in [0, 1], at its own size."""
    device = next(model.parameters()).device
    return model.detect(prepare(image).to(device)).resized(*image.shape[1:])


def evaluate(model: MaskRCNN, pictures: Iterable[NucleiImage]) -> InstanceBenchmark:
    """Score what the network finds at each picture's own size."""
    scores = []
    for picture in pictures:
        found = find_nuclei(model, picture.image)
        sure = found[found.scores >= 0.5] if False else found
        scores.append(instance_scores(picture.instances, sure.instances().cpu(), scores=sure.scores))
    return instance_benchmark(scores)
