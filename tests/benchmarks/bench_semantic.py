"""Confusion matrices of pictures with eleven classes, beside scikit-learn's."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor

from seglab.metrics import confusion

from . import Row, benchmark

_CLASSES = 11


@benchmark("confusion matrix, 11 classes, a tenth not counted", reference="scikit-learn confusion_matrix", least=10)
class Confusion(Row):
    """Blocks of classes, of which a tenth of the pixels is predicted at random."""

    def prepare(self, image: Tensor) -> Any:
        g = torch.Generator().manual_seed(0)
        size = image.shape[-2:]
        blocks = torch.randint(-1, _CLASSES, [side // 10 + 1 for side in size], generator=g)
        true = blocks.repeat_interleave(10, 0).repeat_interleave(10, 1)[: size[0], : size[1]].contiguous()
        chance = torch.randint(0, _CLASSES, size, generator=g)
        pred = torch.where(torch.rand(size, generator=g) < 0.1, chance, true.clamp(min=0))
        return true, pred, true.flatten().numpy(), pred.flatten().numpy()

    def ours(self, data: Any) -> Tensor:
        return confusion(data[0], data[1], n_classes=_CLASSES)

    def theirs(self, data: Any) -> Any:
        return confusion_matrix(data[2], data[3], labels=range(_CLASSES))

    def agree(self, ours: Tensor, theirs: Any) -> str:
        assert (ours.numpy() == theirs).all()
        return "the same matrix"
