"""Networks on a GPU, beside the same code on this computer's CPU. Where there is no GPU there is no such row.

What goes to the GPU and what comes back is timed with the rest, as whoever calls it waits for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from seglab.networks.detection import nms, roi_align
from seglab.networks.mask_rcnn import MaskRCNN
from seglab.networks.recipes import mask_rcnn_shapes
from seglab.networks.unet import UNet
from seglab.networks.weights import load_weights

from . import PHOTO, Row, benchmark
from .bench_detection import boxes_in

__all__ = ["ON_A_GPU"]

ON_A_GPU: list[type[GpuRow]] = []


class GpuRow(Row):
    """A row whose two sides are one function on two devices."""

    sizes = (PHOTO,)
    device: ClassVar[str] = "cuda"
    tolerance: ClassVar[float] = 1e-2  # of the largest value: convolutions there have 10 bits (TF32)

    def run(self, data: Any, device: str) -> Tensor:
        """The task on a device; the result on the CPU."""
        raise NotImplementedError

    def ours(self, data: Any) -> Tensor:
        return self.run(data, self.device)

    def theirs(self, data: Any) -> Tensor:
        return self.run(data, "cpu")

    def agree(self, ours: Tensor, theirs: Tensor) -> str:
        assert ours.shape == theirs.shape
        error = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))
        assert error <= self.tolerance
        return f"within {error:.1g} of the largest"


def on_a_gpu(title: str) -> Callable[[type[GpuRow]], type[GpuRow]]:
    """Enter a row, if there is a GPU."""

    def enter(cls: type[GpuRow]) -> type[GpuRow]:
        ON_A_GPU.append(cls)
        return benchmark(title, reference="the same on the CPU")(cls) if torch.cuda.is_available() else cls

    return enter


@on_a_gpu("GPU: suppression of 1000 boxes")
class GpuSuppression(GpuRow):
    tolerance = 0.0

    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor]:
        n = min(1000, image.shape[1] * image.shape[2] // 10)
        return boxes_in(*image.shape[1:], n), torch.rand(n, generator=torch.Generator().manual_seed(1))

    def run(self, data: tuple[Tensor, Tensor], device: str) -> Tensor:
        return nms(*(each.to(device) for each in data), 0.5).cpu().double()


@on_a_gpu("GPU: RoIAlign of 256 boxes, 64 channels, 7×7, forward and backward")
class GpuAlign(GpuRow):
    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor]:
        n = min(256, image.shape[1] * image.shape[2] // 100)
        height, width = image.shape[1] // 8, image.shape[2] // 8
        features = torch.randn(1, 64, height, width, generator=torch.Generator().manual_seed(0))
        return features, boxes_in(*image.shape[1:], n)

    def run(self, data: tuple[Tensor, Tensor], device: str) -> Tensor:
        features, boxes = (each.to(device) for each in data)
        features.requires_grad_()
        out = roi_align(features, boxes, torch.zeros(len(boxes), dtype=torch.int64, device=device), 7, stride=8)
        (gradient,) = torch.autograd.grad(out.square().sum(), features)
        return gradient.cpu()


class _UNetRow(GpuRow):
    def prepare(self, image: Tensor) -> tuple[UNet, Tensor]:
        height, width = (16 * max(size // 16, 2) for size in image.shape[1:])
        return UNet(width=32, depth=3, padded=True, seed=0).eval(), image.mean(0)[None, None, :height, :width]


@on_a_gpu("GPU: U-Net, 2 million weights, a picture")
class GpuPrediction(_UNetRow):
    @torch.inference_mode()
    def run(self, data: tuple[UNet, Tensor], device: str) -> Tensor:
        model, picture = (each.to(device) for each in data)
        return model(picture).cpu()


@on_a_gpu("GPU: U-Net, 2 million weights, the gradient of a picture")
class GpuTraining(_UNetRow):
    def run(self, data: tuple[UNet, Tensor], device: str) -> Tensor:
        model, picture = (each.to(device) for each in data)
        loss = model(picture).log_softmax(1)[:, 0].mean()
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))]).cpu()


@on_a_gpu("GPU: Mask R-CNN, four scenes of 64×64")
class GpuMaskRCNN(GpuRow):
    def prepare(self, image: Tensor) -> tuple[MaskRCNN, list[Tensor]]:
        model = load_weights(mask_rcnn_shapes.make_model(), mask_rcnn_shapes.NAME)
        return model, [mask_rcnn_shapes.make_scene(seed).image for seed in range(4)]

    def run(self, data: tuple[MaskRCNN, list[Tensor]], device: str) -> Tensor:
        model, pictures = data[0].to(device), data[1]
        return torch.stack([model.detect(picture.to(device)).scores.max().cpu() for picture in pictures])
