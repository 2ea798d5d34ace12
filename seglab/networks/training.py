"""Training: one small loop that takes a network through its data, an epoch a step.

The loop is the same for every network of the course: shuffle, take a batch, compute the loss, follow its gradient;
after each epoch look at held-out data. It yields a state after each epoch, as a method yields its steps, so the same
player shows how curves and predictions evolve:

    for state in Training(epochs=5).steps(model, loss, train, held_out): ...   # each epoch
    state = Training(epochs=5).fit(model, loss, train, held_out)               # the end
    trace = Training(epochs=5).trace(model, loss, train, image=picture)        # kept, for a player

Every epoch draws from generators of its own, made from the seed and the epoch's number. So a training that was killed
and goes on from its checkpoint ends as one that was not, and nobody else's random numbers are touched.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate
from tqdm.auto import tqdm

from seglab.image import as_image
from seglab.networks._running import Given, Loss, Run
from seglab.panels import Curve, Panel
from seglab.params import param, parameters
from seglab.segmenter import Segmenter, State, Status, Trace

__all__ = ["Precision", "Training", "TrainingState", "predict_labels"]
Precision = Literal["float32", "bfloat16"]
_NOT_SCORES = ("epoch", "loss", "held_out_loss", "lr")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState(State):
    """A network after ``n_iter`` epochs; 0 is before the first.

    Attributes
    ----------
    network
        The network's structure, as it was given; not to be used itself.
    weights
        The network's weights and buffers at this moment: copies, that later epochs do not change.
    history
        A record for each epoch: ``epoch``, ``loss`` (mean over the training samples), ``held_out_loss`` and ``lr``
        (where they exist), the terms of a loss that has several, as ``loss/NAME``, and what ``scores`` gave.
    seconds
        The time of the epochs so far, held-out data and scores included.
    seen
        What ``watch`` gave: labels (H, W) of one picture, or None.
    earlier_best
        The state of least held-out loss where that is an earlier one, else None; see `best`.
    """

    network: nn.Module = field(repr=False)
    weights: Mapping[str, Tensor] = field(repr=False)
    history: tuple[dict[str, float], ...] = ()
    seconds: float = 0.0
    seen: Tensor | None = field(default=None, repr=False)
    earlier_best: TrainingState | None = field(default=None, repr=False)

    @cached_property
    def model(self) -> nn.Module:
        """A copy of the network with this state's weights, ready to predict; changing it changes nothing else."""
        model = copy.deepcopy(self.network)
        model.load_state_dict({name: value.clone() for name, value in self.weights.items()}, assign=True)
        return model.eval()

    @property
    def epoch(self) -> int:
        """How many epochs the network has been trained."""
        return self.n_iter

    @property
    def loss(self) -> float | None:
        """The mean loss of the last epoch, or None before the first."""
        return self.history[-1]["loss"] if self.history else None

    @property
    def held_out_loss(self) -> float | None:
        """The loss on the held-out data, or None where there are none."""
        return self.history[-1].get("held_out_loss") if self.history else None

    @property
    def best(self) -> TrainingState:
        """The state of least held-out loss so far; this one where no data are held out."""
        return self if self.earlier_best is None else self.earlier_best

    @property
    def labels(self) -> Tensor:
        """The labels (H, W) of the watched picture."""
        if self.seen is None:
            raise ValueError("no picture is watched: give steps watch=…, or use Training.trace with a picture")
        return self.seen

    @property
    def objective(self) -> float | None:
        """The mean loss of the last epoch."""
        return self.loss

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The curves so far: the losses, the terms of a loss that has several, and the scores where there are any."""
        history: Sequence[dict[str, float]] = self.history or [{"epoch": 0, "loss": math.nan}]
        epochs = [record["epoch"] for record in history]
        names = list(dict.fromkeys(name for record in history for name in record))
        column = {name: [record.get(name, math.nan) for record in history] for name in names}
        shown = {
            "loss": {name.replace("_", " "): column[name] for name in ("loss", "held_out_loss") if name in column},
            "terms of the loss": {n.removeprefix("loss/"): column[n] for n in names if n.startswith("loss/")},
            "scores": {name: column[name] for name in names if name not in _NOT_SCORES and "/" not in name},
        }
        return [Curve(title=title, x=epochs, curves=of, x_label="epoch") for title, of in shown.items() if of]

    def describe(self) -> str:
        """One line: ``"epoch 3 · loss 0.412 · held out 0.433"``."""
        parts = [("loss", self.loss), ("held out", self.held_out_loss)]
        return " · ".join([f"epoch {self.epoch}", *(f"{name} {x:.3g}" for name, x in parts if x is not None)])

    def to(self, device: torch.device | str, memo: dict[int, Any] | None = None) -> TrainingState:
        """The same state with its tensors on another device."""
        return dataclasses.replace(
            self,
            weights={name: value.to(device) for name, value in self.weights.items()},
            seen=None if self.seen is None else self.seen.to(device),
            earlier_best=None if self.earlier_best is None else self.earlier_best.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained.

    Examples
    --------
    >>> points = [(torch.tensor([x]), torch.tensor([3 * x])) for x in (-1.0, 0.5, 1.0)]
    >>> def loss(model, batch):
    ...     return (model(batch[0]) - batch[1]).square().mean()
    >>> training = Training(epochs=100, lr=0.1, optimizer="sgd", momentum=0.5)
    >>> state = training.fit(nn.Linear(1, 1), loss, points, progress=False)
    >>> state.epoch, round(state.model.weight.item(), 3)
    (100, 3.0)
    """

    name: ClassVar[str] = "training"
    title: ClassVar[str] = "training"
    objective_name: ClassVar[str] = "loss"
    objective_sense: ClassVar[str] = "min"
    objective_in_panels: ClassVar[bool] = True

    epochs: int = param(20, low=1, high=100, valid="[1, inf)", help="how often each sample is seen")
    batch_size: int = param(8, low=1, high=64, scale="log", valid="[1, inf)", help="samples for one step")
    lr: float = param(1e-3, low=1e-5, high=1.0, scale="log", valid="(0, inf)", help="learning rate, at the start")
    optimizer: Literal["adam", "adamw", "sgd"] = param("adam", help="torch's optimizer")
    momentum: float = param(0.9, low=0.0, high=0.99, valid="[0, 1)", when={"optimizer": "sgd"}, help="of sgd")
    weight_decay: float = param(0.0, low=0.0, high=0.1, valid="[0, inf)", help="how strongly weights are drawn to 0")
    schedule: Literal["constant", "cosine", "poly"] = param("constant", help="how the learning rate goes to 0, if so")
    patience: int | None = param(None, low=1, high=20, valid="[1, inf)", help="stop after as many epochs without gain")
    precision: Precision = param("float32", help="of convolutions and matrix products")
    seed: int = 0

    def __post_init__(self) -> None:
        for p in parameters(self):
            object.__setattr__(self, p.name, p.check(getattr(self, p.name), type(self).__name__))

    def steps(
        self,
        model: nn.Module,
        loss: Loss,
        train: Any,
        held_out: Any = None,
        *,
        augment: Callable[[Any, torch.Generator], Any] | None = None,
        collate: Callable[[list], Any] | None = None,
        scores: Callable[[Any], Mapping[str, float]] | None = None,
        watch: Callable[[Any], Tensor] | None = None,
        groups: Callable[[Any], list[dict[str, Any]]] | None = None,
        device: torch.device | str = "cpu",
        checkpoint: str | os.PathLike | None = None,
    ) -> Iterator[TrainingState]:
        """Yield the state before the first epoch, or that of the checkpoint, and one after each epoch.

        Parameters
        ----------
        model
            The network. A copy of it is trained; it stays as it is. Parameters that require no gradient stay too.
        loss
            ``loss(model, batch)``: a scalar tensor, or a dict of named scalars whose sum is minimized. The model is
            in training mode on `train`, in evaluation mode and without gradients on `held_out`.
        train, held_out
            Map-style data sets (``len`` and ``[i]``) of samples: any tuple or dict of tensors.
        augment
            ``augment(sample, generator)``: a training sample changed at random, with a generator on the CPU; see
            `seglab.networks.augment`.
        collate
            Make a batch of a list of samples; torch's `default_collate` if not given.
        scores
            ``scores(model)``: named numbers after each epoch, for the history.
        watch
            ``watch(model)``: labels (H, W) after each epoch, for a player; `trace` gives it.
        groups
            ``groups(model)``: parameter groups as torch's optimizers take them, for layers that learn at other rates.
        device
            Where to train.
        checkpoint
            A file that is written, as a whole or not at all, after each epoch. Where it is there already, the
            training goes on from it.

        Raises
        ------
        ValueError
            There are no samples; `patience` is set and nothing held out; nothing in the model requires a gradient; the
            checkpoint is of another training.

        Notes
        -----
        The state is `converged` after `patience` epochs without a smaller held-out loss, `degenerate` as soon as a
        loss is not finite, `max_iter` after the last epoch. On a CPU the same seed gives the same weights to the bit,
        stopped and resumed or not; on a GPU as far as torch's operations are deterministic there.
        """
        given = Given(loss, train, held_out, augment, collate or default_collate, scores, watch, groups)
        yield from self._run(model, given, torch.device(device), checkpoint, None)

    def fit(
        self,
        model: nn.Module,
        loss: Loss,
        train: Any,
        held_out: Any = None,
        *,
        progress: bool = True,
        on_interrupt: Literal["return", "raise"] = "return",
        **options: Any,
    ) -> TrainingState:
        """Train to the end; arguments as in `steps`.

        Parameters
        ----------
        model, loss, train, held_out
            As in `steps`.
        progress
            Show a bar.
        on_interrupt
            What happens at an interruption (Ctrl-C, the stop button) after the first epoch: ``"return"`` the best
            state so far, that of least held-out loss, or the latest complete one where nothing is held out; or
            ``"raise"`` the KeyboardInterrupt, for a program that must not take it for the end.
        **options
            As in `steps`.

        Returns
        -------
        TrainingState
            The last state, or with `patience` the best.
        """
        device, checkpoint = torch.device(options.pop("device", "cpu")), options.pop("checkpoint", None)
        collate = options.pop("collate", None) or default_collate
        given = Given(loss, train, held_out, collate=collate, **options)
        state: TrainingState | None = None
        try:
            with tqdm(total=0, desc="training", unit="batch", leave=False, disable=not progress) as bar:
                for state in self._run(model, given, device, checkpoint, bar):
                    bar.set_postfix_str(state.describe())
        except KeyboardInterrupt:
            if on_interrupt == "raise" or state is None or not state.history:
                raise
            return state.best
        assert state is not None
        return state if self.patience is None else state.best

    def trace(
        self,
        model: nn.Module,
        loss: Loss,
        train: Any,
        held_out: Any = None,
        *,
        image: Any,
        predict: Callable[[Any, Tensor], Tensor] | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Trace:
        """Train, and keep every epoch's prediction of one picture, for `seglab.widgets.step_through`.

        Parameters
        ----------
        model, loss, train, held_out
            As in `steps`.
        image
            Anything that `seglab.image.as_image` takes.
        predict
            ``predict(model, image)``: labels (H, W) of a picture (C, H, W); `predict_labels` if not given.
        progress
            Show a bar.
        **options
            As in `steps`.
        """
        picture = as_image(image)
        seen = picture.to(options.get("device", "cpu"))
        options["watch"] = lambda network: (predict or predict_labels)(network, seen)
        kept: list[TrainingState] = []
        steps = self.steps(model, loss, train, held_out, **options)
        bar = tqdm(steps, desc="training", unit="epoch", total=self.epochs + 1, leave=False, disable=not progress)
        start = time.perf_counter()
        try:
            kept.extend(state.to("cpu") for state in bar)
        except KeyboardInterrupt:
            if not kept:
                raise
        method: Any = self  # a trace asks its method for its name, its parameters and its objective
        seconds = time.perf_counter() - start
        return Trace(states=tuple(kept), image=picture.cpu(), method=method, every=1, seconds=seconds)

    def code(self) -> str:
        """The call that makes this training: only what differs from the defaults."""
        shown: Any = self
        return Segmenter.code(shown)

    def _run(
        self, model: nn.Module, given: Given, device: torch.device, checkpoint: str | os.PathLike | None, bar: Any
    ) -> Iterator[TrainingState]:
        """The loop over epochs."""
        run = Run(self, model, given, device)
        path = None if checkpoint is None else Path(checkpoint)
        state = TrainingState(network=model, weights=run.weights(), seen=run.seen())
        if path is not None and path.exists():
            state = self._restored(run, state, run.load(path))
        if bar is not None:
            bar.reset(self.epochs * run.n_batches)
            bar.update(state.epoch * run.n_batches)
        yield state
        while state.status is Status.RUNNING:
            began = time.perf_counter()
            record, seen = run.epoch(state.epoch, bar)
            state = self._next(state, record, run.weights(), seen, state.seconds + time.perf_counter() - began)
            if path is not None:
                run.save(path, state)
            yield state

    def _next(
        self, state: TrainingState, record: dict[str, float], weights: Mapping[str, Tensor], seen: Any, seconds: float
    ) -> TrainingState:
        """The state after an epoch; remembers the best, and says whether to go on."""
        n = state.epoch + 1
        finite = math.isfinite(record["loss"]) and math.isfinite(record.get("held_out_loss", 0.0))
        held_out, least = record.get("held_out_loss"), state.best.held_out_loss
        better = finite and (held_out is None or least is None or held_out < least)
        best = None if better else state.best
        return dataclasses.replace(
            state,
            n_iter=n,
            code=self._code(n, best) if finite else Status.DEGENERATE,
            weights=weights,
            history=(*state.history, record),
            seconds=seconds,
            seen=seen,
            earlier_best=best,
        )

    def _code(self, epochs: int, best: TrainingState | None) -> Any:
        """Whether to go on after so many epochs, the best of which was an earlier one, or the last."""
        waited = 0 if best is None else epochs - best.epoch
        return Status.after(epochs, self.epochs, self.patience is not None and waited >= self.patience)

    def _restored(self, run: Run, state: TrainingState, content: dict[str, Any]) -> TrainingState:
        """The state that a checkpoint holds."""
        history, best = tuple(content["history"]), content["best"]
        if best is not None:
            best = dataclasses.replace(state, **best, history=history[: best["n_iter"]], seen=None)
        degenerate = content["code"] == Status.DEGENERATE
        return dataclasses.replace(
            state,
            n_iter=len(history),
            code=Status.DEGENERATE if degenerate else self._code(len(history), best),
            weights=run.weights(),
            history=history,
            seconds=content["seconds"],
            seen=run.seen(),
            earlier_best=best,
        )


@torch.no_grad()
def predict_labels(model: Any, image: Tensor) -> Tensor:
    """The likeliest class (H, W) of each pixel of a picture (C, H, W), by a network that gives scores (1, K, H, W)."""
    return model(image[None])[0].argmax(0)
