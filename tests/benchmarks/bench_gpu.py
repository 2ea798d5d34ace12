"""Networks on a GPU, beside the same code on this computer's CPU. Where there is no GPU there is no such row.

What goes to the GPU and what comes back is timed with the rest, as whoever calls it waits for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from seglab.kernels.backprop_segmentation import (
    Aims,
    Precision,
    Problem,
    count_each,
    descend,
    draw_network,
    each,
    learn,
)
from seglab.kernels.devices import exact_convolutions
from seglab.methods import SLIC, DeepSuperpixelCut
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
    """A row whose two sides are one function on two devices; or, where they are not compared, a task and its core."""

    sizes = (PHOTO,)
    device: ClassVar[str] = "cuda"
    compared: ClassVar[bool] = True
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


def on_a_gpu(
    title: str, *, reference: str = "the same on the CPU", least: float | None = None
) -> Callable[[type[GpuRow]], type[GpuRow]]:
    """Enter a row, if there is a GPU."""

    def enter(cls: type[GpuRow]) -> type[GpuRow]:
        ON_A_GPU.append(cls)
        return benchmark(title, reference=reference, least=least)(cls) if torch.cuda.is_available() else cls

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


class _StepRow(GpuRow):
    """Label, vote, gradients, update; and nothing but the convolutions of it, there and back, on the same device.

    On an H200 ten steps took 147 ms and their convolutions 120 in float32, by algorithms that give the same twice (63
    by others); in TF32 37 and 10: there the GPU waits for what it is to do next, and normalizations take the rest.
    """

    compared = False
    precision: ClassVar[Precision]
    count = 10  # steps, as a GPU is given work ahead

    def prepare(self, image: Tensor) -> Any:
        n = min(10_000, image[0].numel())
        problem = Problem(
            image[None].to(self.device), SLIC(n_segments=n).segment(image).labels[None].to(self.device), n
        )
        network = each(draw_network(3, 2, 100, 100), lambda p: p.to(self.device))
        order = torch.channels_last if self.precision == "tf32" else torch.contiguous_format
        noise = torch.randn(len(network), 1, 100, *image.shape[1:], generator=torch.Generator().manual_seed(0))
        maps = [x.to(self.device, memory_format=order) for x in (image[None], *noise)]
        return problem, network, maps

    def ours(self, data: Any) -> Tensor:
        problem, network, _ = data
        velocity = each(network, torch.zeros_like)
        for _ in range(self.count):
            found = learn(problem, network, Aims(), self.precision)
            network, velocity = descend(network, velocity, found.gradients, 0.1, 0.9)
            count_each(found.labels, 100)
        return found.losses.cpu()

    def theirs(self, data: Any) -> Tensor:
        _, network, maps = data
        with exact_convolutions(maps[0].device, unless=self.precision == "tf32"):
            for _ in range(self.count):
                for m, (layer, x, g) in enumerate(zip(network, maps, maps[1:], strict=False)):
                    leaves = [layer.weight[0].detach().requires_grad_(), x.detach().requires_grad_(m > 0)]
                    y = F.conv2d(leaves[1], leaves[0], padding=layer.weight.shape[-1] // 2)
                    torch.autograd.grad(y, [leaf for leaf in leaves if leaf.requires_grad], g)
        return y.detach().mean().cpu()

    def agree(self, ours: Tensor, theirs: Tensor) -> str:
        assert bool(ours.isfinite())
        assert bool(theirs.isfinite())
        return "not the same task: a part of it"


@on_a_gpu("GPU: ten steps by backpropagation, M = 2", reference="their convolutions alone", least=0.5)
class GpuStep(_StepRow):
    precision = "float32"


@on_a_gpu("GPU: ten steps by backpropagation, M = 2, TF32", reference="their convolutions alone")
class GpuRoundedStep(_StepRow):
    precision = "tf32"


@on_a_gpu("GPU: a superpixel cut, 64 steps, every fourth pixel")
class GpuCut(GpuRow):
    method: ClassVar[Any] = DeepSuperpixelCut(superpixels="mean_shift", stride=4, max_iter=64, min_clusters=3)

    def run(self, data: Tensor, device: str) -> Tensor:
        return self.method.segment(data, device=device).state.association.amax(1).mean().cpu()[None]
