"""One look at a picture in few passes over memory: `seglab.kernels.backprop_segmentation.learn` on a CPU.

It is the same arithmetic in another order, so that results differ by rounding only:

- a convolution 3×3 between two layers is Winograd's F(4×4, 3×3), a quarter of the products (Lavin and Gray, 2016, Fast
  algorithms for convolutional neural networks, CVPR, 10.1109/CVPR.2016.435);
- a normalization is a scale and an offset that are applied where the next layer reads; the sums that it needs, forward
  and back, are taken where values are written;
- classifier, normalization, softmax and their gradients go by blocks of pixels that stay in the cache.

Maps are (H, W, C) here, and one picture is done after the other; each thread takes a part of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["look"]

_PIXELS = 1024  # in a block
_TILES = 32  # in a block, whose products then stay in the cache

_G = torch.tensor(  # of Winograd's F(4×4, 3×3)
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
).div(24)

_SPARE = WeakTensorKeyDictionary()  # of one owner: maps to write to, because fresh memory takes time

Refine = Callable[[Tensor], tuple[Tensor, Tensor]]


class _Norm(NamedTuple):
    """What a normalization makes of rectified values r: scale · r + offset; all (C,) float32."""

    mean: Tensor
    inverse: Tensor  # 1 / √(variance + ε)
    scale: Tensor
    offset: Tensor

    @classmethod
    def of(cls, sums: Tensor, count: int, gain: Tensor | None, shift: Tensor | None, eps: float) -> _Norm:
        """From the sums of values and of squares (2, C), float64; ``gain`` and ``shift`` are (1, C)."""
        mean, square = sums / count
        inverse = ((square - mean * mean).clamp(min=0) + eps).rsqrt()
        scale = inverse if gain is None else inverse * gain[0]
        offset = -mean * scale if shift is None else shift[0] - mean * scale
        return cls(*(x.float() for x in (mean, inverse, scale, offset)))

    def back(self, sums: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of gain and shift, and slope and constant of that of r: scale · dx + slope · r + constant.

        ``sums`` are those of dx and of dx · r.
        """
        shift = sums[0]
        gain = self.inverse * (sums[1] - self.mean * sums[0])
        slope = -self.scale * self.inverse * gain / count
        constant = -self.scale * shift / count - slope * self.mean
        return gain.float(), shift.float(), slope.float(), constant.float()


class _Workers:
    """Threads that share the blocks of a picture, each a run of them, and add up what they return."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.pool = ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,)) if n > 1 else None

    def __enter__(self) -> _Workers:
        torch.set_num_threads(1)
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()
        torch.set_num_threads(self.n)

    def total(self, length: int, block: int, work: Callable[[range], Any]) -> Any:
        """The sum of ``work`` over runs of blocks; it is given where its blocks start, and the step between them."""
        blocks = -(-length // block)
        parts = min(self.n, blocks)
        ends = [round(blocks * i / parts) * block for i in range(parts + 1)]
        runs = [range(a, min(b, length), block) for a, b in zip(ends, ends[1:], strict=False)]
        found = [work(runs[0])] if self.pool is None else list(self.pool.map(work, runs))
        return sum(found[1:], start=found[0])


def look(image: Tensor, layers: Any, refine: Refine, eps: float, owner: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The loss, the labels (H, W) and the gradients of all tensors, for one picture (C, H, W) and one network (B = 1).

    ``refine`` takes labels (H, W) and gives the targets (H, W) and what the cross-entropy of each pixel counts (H, W).
    Memory for maps is kept for the next look, until another owner comes or this one goes.
    """
    spare = _SPARE.pop(owner, [])
    with _Workers(torch.get_num_threads()) as workers:
        found = _Look(image, layers, eps, workers, spare).run(refine)
    _SPARE.clear()
    _SPARE[owner] = spare
    return found


class _Look:
    """One picture and one network. All maps are rows of pixels (N, C); sums over pixels are float64."""

    def __init__(self, image: Tensor, layers: Any, eps: float, workers: _Workers, spare: list[Tensor]) -> None:
        self.height, self.width = image.shape[1:]
        self.n = self.height * self.width
        self.layers, self.eps, self.workers = layers, eps, workers
        self.patches, self.spare = _patches(image), spare

    def run(self, refine: Refine) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Forward through the layers, then back."""
        maps: list[Tensor] = []
        norms: list[_Norm] = []
        for layer in self.layers[:-1]:
            r, sums = self.convolve(maps[-1], norms[-1], layer) if maps else self.first(layer)
            maps.append(r)
            norms.append(_Norm.of(sums, self.n, layer.gain, layer.shift, self.eps))
        y, norm = self.classify(maps[-1], norms[-1].scale)
        labels, g = self.label(y, norm)
        targets, weights = refine(labels.reshape(self.height, self.width))
        loss, g_sums = self.compare(y, g, labels, targets.flatten(), weights.flatten())
        dx, cross = self.unclassify(y, g, g_sums / self.n, norm, maps[-1])
        self.spare.append(g)
        classifier = self.layers[-1].weight[0, :, :, 0, 0]
        product = (classifier * cross).sum(0, dtype=torch.float64)  # of dx and r; the sum of dx is 0
        sums = torch.stack([torch.zeros_like(product), product])
        weight = (cross * norms[-1].scale)[:, :, None, None]
        found = [self.of_layer(self.layers[-1], weight, torch.zeros(len(weight)), g_sums[1], g_sums[0])]
        for m in range(len(maps) - 1, -1, -1):
            gain, shift, slope, constant = norms[m].back(sums, self.n)
            bias = self.rectify_back(dx, maps[m], norms[m].scale, slope, constant)
            self.spare.append(maps.pop())
            if m == 0:
                weight = self.first_back(dx)
            else:
                weight = self.weight_gradient(maps[-1], norms[m - 1], dx)
                dz, (dx, sums) = dx, self.convolve_back(dx, self.layers[m].weight[0], maps[-1])
                self.spare.append(dz)
            found.append(self.of_layer(self.layers[m], weight, bias, gain, shift))
        self.spare.append(dx)
        return loss, labels.reshape(self.height, self.width), [p for layer in reversed(found) for p in layer]

    def of_layer(self, layer: Any, weight: Tensor, bias: Tensor, gain: Tensor, shift: Tensor) -> list[Tensor]:
        """The gradients of a layer's tensors, in order, in their shape."""
        found = [weight.reshape(layer.weight.shape), bias.reshape(layer.bias.shape)]
        if layer.gain is not None:
            found += [gain.reshape(layer.gain.shape), shift.reshape(layer.shift.shape)]
        return [p.float() for p in found]

    def empty(self, n: int) -> Tensor:
        """A map (N, n) to write to."""
        at = next((i for i, x in enumerate(self.spare) if x.shape == (self.n, n)), None)
        return _empty(self.n, n) if at is None else self.spare.pop(at)

    # ---- the first convolution, a product with patches

    def first(self, layer: Any) -> tuple[Tensor, Tensor]:
        weight = layer.weight[0].permute(2, 3, 1, 0).flatten(0, 2).contiguous()  # (9 C, p)
        return self.product(self.patches, weight, layer.bias[0], relu=True)

    def product(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> tuple[Tensor, Tensor]:
        """The map x · weight + bias, rectified where wanted, and the sums of it and of its squares."""
        from seglab.kernels._backprop_loops import add_up

        out, b = self.empty(weight.shape[1]), bias.numpy()

        def work(run: range) -> Tensor:
            sums = torch.zeros(2, weight.shape[1], dtype=torch.float64)
            for rows in _slices(run, self.n):
                add_up(torch.mm(x[rows], weight, out=out[rows]).numpy(), b, relu, sums.numpy())
            return sums

        return out, self.workers.total(self.n, _PIXELS, work)

    def first_back(self, dz: Tensor) -> Tensor:
        def work(run: range) -> Tensor:
            total = torch.zeros(dz.shape[1], self.patches.shape[1])
            for rows in _slices(run, self.n):
                total.addmm_(dz[rows].T, self.patches[rows])
            return total

        return self.workers.total(self.n, _PIXELS, work).reshape(dz.shape[1], 3, 3, -1).movedim(3, 1)

    # ---- the other convolutions, by Winograd's tiles

    def convolve(self, x: Tensor, norm: _Norm, layer: Any) -> tuple[Tensor, Tensor]:
        """The rectified convolution of a normalized map, and the sums of it and of its squares."""
        return self.by_tiles(x, norm.scale, norm.offset, layer.weight[0], layer.bias[0], None)

    def convolve_back(self, dz: Tensor, weight: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient at the convolution's input, and the sums of it and of its product with r."""
        n_out, n_in = weight.shape[:2]
        back = weight.transpose(0, 1).flip(-2, -1)
        return self.by_tiles(dz, torch.ones(n_out), torch.zeros(n_out), back, torch.zeros(n_in), r)

    def by_tiles(
        self, x: Tensor, scale: Tensor, offset: Tensor, weight: Tensor, bias: Tensor, other: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        from seglab.kernels._backprop_loops import gather, scatter

        n_out, n_in = weight.shape[:2]
        products = torch.einsum("ik,ockl,jl->ijco", _G, weight.double(), _G).float().reshape(36, n_in, n_out)
        out = self.empty(n_out)
        source, sink = self.as_map(x), self.as_map(out)
        factor = sink if other is None else self.as_map(other)
        a, o, b = scale.numpy(), offset.numpy(), bias.numpy()

        def work(run: range) -> Tensor:
            v, m = (_empty(36, run.step, n) for n in (n_in, n_out))
            sums = torch.zeros(2, n_out, dtype=torch.float64)
            for first in run:
                last = min(first + run.step, self.tiles)
                n = last - first
                gather(source, a, o, first, last, v.numpy())
                torch.bmm(v[:, :n], products, out=m[:, :n])
                scatter(m.numpy(), b, other is None, first, last, sink, factor, sums.numpy())
            return sums

        return out, self.workers.total(self.tiles, _TILES, work)

    def weight_gradient(self, x: Tensor, norm: _Norm, dz: Tensor) -> Tensor:
        from seglab.kernels._backprop_loops import gather, spread

        source, gradient = self.as_map(x), self.as_map(dz)
        a, o = norm.scale.numpy(), norm.offset.numpy()
        n_in, n_out = x.shape[1], dz.shape[1]

        def work(run: range) -> Tensor:
            v, m = (_empty(36, run.step, n) for n in (n_in, n_out))
            total = torch.zeros(36, n_in, n_out)
            for first in run:
                last = min(first + run.step, self.tiles)
                n = last - first
                gather(source, a, o, first, last, v.numpy())
                spread(gradient, first, last, m.numpy())
                total.baddbmm_(v[:, :n].transpose(1, 2), m[:, :n])
            return total

        total = self.workers.total(self.tiles, _TILES, work)
        return torch.einsum("ik,ijco,jl->ockl", _G, total.reshape(6, 6, n_in, n_out).double(), _G)

    @property
    def tiles(self) -> int:
        return ((self.height + 3) // 4) * ((self.width + 3) // 4)

    def as_map(self, x: Tensor) -> Any:
        """(H, W, C), as compiled loops take it."""
        return x.reshape(self.height, self.width, -1).numpy()

    # ---- a normalization and a ReLU, back

    def rectify_back(self, dx: Tensor, r: Tensor, scale: Tensor, slope: Tensor, constant: Tensor) -> Tensor:
        """Turn dx, in place, into the gradient before the ReLU; its sum over pixels is that of the bias."""
        from seglab.kernels._backprop_loops import through_norm

        k, s, c = slope.numpy(), scale.numpy(), constant.numpy()

        def work(run: range) -> Tensor:
            sums = torch.zeros(dx.shape[1], dtype=torch.float64)
            rows = slice(run.start, run.stop)
            through_norm(dx[rows].numpy(), r[rows].numpy(), k, c, s, True, sums.numpy())
            return sums

        return self.workers.total(self.n, _PIXELS, work)

    # ---- classifier, normalization and cross-entropy

    def classify(self, r: Tensor, scale: Tensor) -> tuple[Tensor, _Norm]:
        """The responses but for a constant, which the normalization takes away, and that normalization."""
        weight = (self.layers[-1].weight[0, :, :, 0, 0] * scale).T.contiguous()  # (p, q)
        y, sums = self.product(r, weight, torch.zeros(weight.shape[1]), relu=False)
        return y, _Norm.of(sums, self.n, None, None, self.eps)

    def label(self, y: Tensor, norm: _Norm) -> tuple[Tensor, Tensor]:
        """Normalize y, in place; say which response is largest (N,), and how probable each label is (N, q)."""
        labels, p = torch.empty(self.n, dtype=torch.int64), self.empty(y.shape[1])
        offset = -norm.mean * norm.inverse

        def work(run: range) -> int:
            for rows in _slices(run, self.n):
                t = self.scaled(torch.addcmul(offset, y[rows], norm.inverse, out=y[rows]))
                torch.argmax(t, 1, out=labels[rows])
                torch.softmax(t, 1, out=p[rows])
            return 0

        self.workers.total(self.n, _PIXELS, work)
        return labels, p

    def scaled(self, t: Tensor) -> Tensor:
        """Normalized responses with their gain and shift."""
        layer = self.layers[-1]
        return t if layer.gain is None else torch.addcmul(layer.shift[0], t, layer.gain[0])

    def compare(self, y: Tensor, p: Tensor, labels: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the sums of its gradient g at the responses and of g · y (2, q); p becomes g."""
        from seglab.kernels._backprop_loops import weigh

        weights = weights.float()

        def work(run: range) -> Tensor:
            rows = slice(run.start, run.stop)
            pair = torch.stack([labels[rows], targets[rows]], 1)
            t, top = self.scaled_at(y[rows], pair), p[rows].gather(1, pair[:, :1])[:, 0]
            loss = (weights[rows] * (t[:, 0] - t[:, 1] - top.log())).sum(dtype=torch.float64)
            sums = torch.zeros(2, y.shape[1], dtype=torch.float64)
            weigh(p[rows].numpy(), y[rows].numpy(), targets[rows].numpy(), weights[rows].numpy(), sums.numpy())
            return torch.cat([sums.flatten(), loss[None]])

        total = self.workers.total(self.n, _PIXELS, work)
        return total[-1].float(), total[:-1].reshape(2, -1)

    def scaled_at(self, t: Tensor, at: Tensor) -> Tensor:
        """Of normalized responses (n, q) those of some labels (n, k), with their gain and shift."""
        layer, t = self.layers[-1], t.gather(1, at)
        return t if layer.gain is None else layer.shift[0][at] + t * layer.gain[0][at]

    def unclassify(self, y: Tensor, g: Tensor, means: Tensor, norm: _Norm, r: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient dx at the normalized features (N, p), and the product dyᵀ r (q, p)."""
        from seglab.kernels._backprop_loops import through_norm

        layer = self.layers[-1]
        weight = layer.weight[0, :, :, 0, 0].contiguous()
        scale = norm.inverse if layer.gain is None else norm.inverse * layer.gain[0]
        slope, constant = (-scale * m.float() for m in (means[1], means[0]))
        s, k, c = scale.numpy(), slope.numpy(), constant.numpy()
        dx = y if y.shape[1] == weight.shape[1] else self.empty(weight.shape[1])

        def work(run: range) -> Tensor:
            cross, sums = torch.zeros_like(weight), torch.zeros_like(means[0])
            for rows in _slices(run, self.n):
                through_norm(g[rows].numpy(), y[rows].numpy(), k, c, s, False, sums.numpy())
                torch.mm(g[rows], weight, out=dx[rows])
                cross.addmm_(g[rows].T, r[rows])
            return cross

        cross = self.workers.total(self.n, _PIXELS, work)
        if dx is not y:
            self.spare.append(y)
        return dx, cross


def _empty(*shape: int) -> Tensor:
    """Fresh memory; NumPy asks for it in huge pages, where torch would take several times as long to get it."""
    return torch.from_numpy(np.empty(shape, np.float32))


def _patches(image: Tensor) -> Tensor:
    """The neighborhoods 3×3 of all pixels of (C, H, W), zero outside, as rows: (N, 9 C), colors last."""
    n, height, width = image.shape
    padded = F.pad(image.movedim(0, 2), (0, 0, 1, 1, 1, 1)).contiguous()
    row = n * (width + 2)
    return padded.as_strided((height, width, 3, 3 * n), (row, n, row, 1)).reshape(height * width, 9 * n)


def _slices(run: range, n: int) -> list[slice]:
    """Where the blocks of a run lie."""
    return [slice(i, min(i + run.step, run.stop, n)) for i in run]
