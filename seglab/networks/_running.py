"""A training while it runs: the model, its optimizer, the samples, the draws, and the checkpoint."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from seglab.segmenter import generator

if TYPE_CHECKING:
    from seglab.networks.training import Training, TrainingState

__all__ = ["Given", "Loss", "Run"]

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Given:
    """What a training is given, as in `seglab.networks.Training.steps`."""

    loss: Loss
    train: Any
    held_out: Any = None
    augment: Any = None
    collate: Any = default_collate
    scores: Any = None
    watch: Any = None
    groups: Any = None


class Run:
    """A copy of a model on its way.

    Parameters
    ----------
    training
        How it is trained.
    model
        Where it starts; it stays as it is.
    given
        What it is trained with.
    device
        Where.
    """

    def __init__(self, training: Training, model: nn.Module, given: Given, device: torch.device) -> None:
        if not len(given.train) or (given.held_out is not None and not len(given.held_out)):
            raise ValueError("there are no samples: train and held_out must have at least one each")
        if training.patience is not None and given.held_out is None:
            raise ValueError("patience watches the held-out loss: give held_out, or leave patience=None")
        self.training, self.given, self.device = training, given, device
        self.model = copy.deepcopy(model).to(device)
        self.n_batches = math.ceil(len(given.train) / training.batch_size)
        self.optimizer = self._optimizer()
        self.schedule = self._schedule()

    def epoch(self, n: int, bar: Any) -> tuple[dict[str, float], Tensor | None]:
        """Go through the training samples once, after n such epochs; give its record, and what is watched."""
        record: dict[str, float] = {"epoch": n + 1}
        lr = self.optimizer.param_groups[0]["lr"]
        with _own_chance(self.training.seed, n, self.device):
            record |= self._train(n, bar)
            self.model.eval()
            with torch.no_grad():
                if self.given.held_out is not None:
                    record |= self._held_out()
                record["lr"] = lr
                if self.given.scores is not None:
                    record |= {name: float(value) for name, value in self.given.scores(self.model).items()}
            return record, self.seen()

    def _train(self, n: int, bar: Any) -> dict[str, float]:
        """Take each training sample once, in an order of its own."""
        train, augment, size = self.given.train, self.given.augment, self.training.batch_size
        draw = generator(_mix(self.training.seed, n))
        order = torch.randperm(len(train), generator=draw).tolist()
        self.model.train()
        sums = _Sums()
        for i in range(0, len(order), size):
            samples = [train[j] for j in order[i : i + size]]
            samples = [augment(sample, draw) for sample in samples] if augment else samples
            self.optimizer.zero_grad(set_to_none=True)
            sums.add(self._loss(samples), len(samples)).backward()
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            if bar is not None:
                bar.update(1)
        return sums.means("loss")

    def _held_out(self) -> dict[str, float]:
        held_out, size = self.given.held_out, self.training.batch_size
        sums = _Sums()
        for i in range(0, len(held_out), size):
            samples = [held_out[j] for j in range(i, min(i + size, len(held_out)))]
            sums.add(self._loss(samples), len(samples))
        return sums.means("held_out_loss")

    def _loss(self, samples: list) -> Any:
        batch = _moved(self.given.collate(samples), self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
            return self.given.loss(self.model, batch)

    def seen(self) -> Tensor | None:
        """What `watch` gives of the model as it is."""
        if self.given.watch is None:
            return None
        with torch.no_grad():
            return self.given.watch(self.model.eval()).detach()

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights and buffers."""
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def save(self, path: Path, state: TrainingState) -> None:
        """Write all that going on takes: the old file is there, or the new one, never half of it."""
        best = state.earlier_best
        content = {
            "training": _identity(self.training),
            "weights": state.weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule is not None else None,
            "history": list(state.history),
            "code": int(state.code),
            "seconds": state.seconds,
            "best": None if best is None else {"weights": best.weights, "n_iter": best.n_iter, "seconds": best.seconds},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def load(self, path: Path) -> dict[str, Any]:
        """Take model, optimizer and schedule from a file; give all that it holds."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            identity = content["training"]
        except Exception as error:  # torch and pickle raise many kinds on a file that is none of theirs
            raise ValueError(f"{path} is no checkpoint ({error}); remove it, or name another file") from error
        if identity != _identity(self.training):
            raise ValueError(f"{path} is of another training, {identity}; remove it, or name another file")
        try:
            self.model.load_state_dict(content["weights"])
            self.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} is of another network: {error}") from error
        if self.schedule is not None:
            self.schedule.load_state_dict(content["schedule"])
        return content

    def _optimizer(self) -> Any:
        training, groups = self.training, self.given.groups
        found: Any = groups(self.model) if groups else [p for p in self.model.parameters() if p.requires_grad]
        if not found:
            raise ValueError("nothing is to be trained: no parameter of the model requires a gradient")
        options: dict[str, Any] = {"lr": training.lr, "weight_decay": training.weight_decay}
        options |= {"momentum": training.momentum} if training.optimizer == "sgd" else {}
        kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        return kinds[training.optimizer](found, **options)

    def _schedule(self) -> Any:
        steps = self.training.epochs * self.n_batches
        if self.training.schedule == "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        if self.training.schedule == "poly":
            return torch.optim.lr_scheduler.PolynomialLR(self.optimizer, steps, power=0.9)
        return None


class _Sums:
    """Sums of losses over samples, on their device: nothing waits for it before the epoch's end."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        self.n = 0

    def add(self, loss: Any, n: int) -> Tensor:
        """Add a batch of n samples; return the scalar to minimize."""
        terms: dict[str, Tensor] = dict(loss) if isinstance(loss, Mapping) else {}
        total = sum(terms.values()) if terms else loss
        if not isinstance(total, Tensor) or total.ndim:
            raise ValueError(f"loss(model, batch) must be a scalar tensor or a dict of them, got {type(loss).__name__}")
        for name, value in {"": total, **terms}.items():
            value = value.detach().double() * n
            self.totals[name] = self.totals[name] + value if name in self.totals else value
        self.n += n
        return total

    def means(self, name: str) -> dict[str, float]:
        return {f"{name}/{term}" if term else name: float(x) / self.n for term, x in self.totals.items()}


def _identity(training: Training) -> str:
    """What must be the same for a training to go on: all but how long, where the learning rate does not know that."""
    kept = dataclasses.replace(training, patience=None)
    return repr(dataclasses.replace(kept, epochs=1) if training.schedule == "constant" else kept)


def _moved(batch: Any, device: torch.device) -> Any:
    """The tensors of a batch on a device; what else there is stays."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {name: _moved(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        items = [_moved(value, device) for value in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    return batch


def _mix(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % 2**62


@contextmanager
def _own_chance(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators, which dropout and losses draw from, for an epoch; then put them back."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        own = _mix(seed, epoch) + 2**62  # not the numbers that shuffle the samples
        torch.default_generator.manual_seed(own)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(own)
        yield
