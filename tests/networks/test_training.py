"""The training loop: against a plain loop, for a seed, stopped and resumed, and what it says of a wrong input."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seglab.networks import Training, TrainingState
from seglab.segmenter import Status, generator
from seglab.widgets import step_through

BLANK = torch.zeros(3, 8, 12)


def network(dropout=0.0):
    torch_state = torch.get_rng_state()
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(4, 2, 1))
    torch.set_rng_state(torch_state)
    return model


def samples(n=7):
    """Pictures whose truth is where red is more than green."""
    x = torch.rand(n, 3, 8, 12, generator=generator(1))
    return [(each, (each[0] > each[1]).long()) for each in x]


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.weights.values(), b.weights.values(), strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_plain_loop(optimizer):
    """Whole-set batches leave the order without effect: the same as ten lines of torch."""
    data = samples()
    state = Training(epochs=5, batch_size=7, lr=0.05, optimizer=optimizer).fit(network(), loss, data, progress=False)
    model = network()
    kind = {"sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), "adam": lambda p: torch.optim.Adam(p, 0.05)}
    rule = kind[optimizer](model.parameters())
    x, y = torch.stack([x for x, _ in data]), torch.stack([y for _, y in data])
    losses = []
    for _ in range(5):
        rule.zero_grad()
        value = F.cross_entropy(model(x), y)
        value.backward()
        rule.step()
        losses.append(value.item())
    assert [record["loss"] for record in state.history] == pytest.approx(losses, rel=1e-5)
    for a, b in zip(state.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_batches_take_each_sample_once_in_a_new_order():
    seen = []

    def note(model, batch):
        seen.append(batch[1].tolist())
        return model(batch[0]).square().mean()

    data = [(torch.ones(1), i) for i in range(10)]
    history = Training(epochs=2, batch_size=4).fit(nn.Linear(1, 1), note, data, progress=False).history
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    first, second = ([i for batch in part for i in batch] for part in (seen[:3], seen[3:]))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))
    assert [record["epoch"] for record in history] == [1, 2]


def test_the_mean_loss_is_over_samples_not_batches():
    data = [(torch.zeros(1), torch.tensor(float(i))) for i in range(5)]

    def mean_of_targets(model, batch):
        return model(batch[0]).sum() * 0 + batch[1].mean()

    options = Training(epochs=1, batch_size=2)
    state = options.fit(nn.Linear(1, 1), mean_of_targets, data, data[:3], progress=False)
    assert state.loss == pytest.approx(2.0)
    assert state.held_out_loss == pytest.approx(1.0)


def test_a_loss_of_several_terms():
    def terms(model, batch):
        return {"cross": loss(model, batch), "size": model[0].weight.square().sum()}

    state = Training(epochs=2).fit(network(), terms, samples(), samples(2), progress=False)
    for record in state.history:
        assert record["loss"] == pytest.approx(record["loss/cross"] + record["loss/size"])
        assert record["held_out_loss"] == pytest.approx(record["held_out_loss/cross"] + record["held_out_loss/size"])
    losses, terms = state.panels(samples()[0][0])
    assert (losses.title, set(losses.curves)) == ("loss", {"loss", "held out loss"})
    assert (terms.title, set(terms.curves)) == ("terms of the loss", {"cross", "size"})
    assert terms.curves["size"] == [record["loss/size"] for record in state.history]
    with pytest.raises(ValueError, match="scalar tensor or a dict"):
        Training().fit(network(), lambda model, batch: model(batch[0]), samples(), progress=False)


def test_the_same_for_a_seed_and_nobodys_chance_is_touched():
    def run(seed):
        return Training(epochs=3, batch_size=2, seed=seed).fit(network(0.5), loss, samples(), progress=False)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    a = run(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    b = run(0)
    assert equal(a, b)
    assert a.history == b.history
    assert not equal(a, run(1))


def test_dropout_differs_between_epochs():
    masks = []

    def note(model, batch):
        masks.append(F.dropout(torch.ones(64), 0.5, model.training))
        return loss(model, batch)

    Training(epochs=2).fit(network(), note, samples(3), progress=False)
    assert not torch.equal(*masks)


def test_the_given_model_and_earlier_states_stay():
    model = network()
    start = [p.clone() for p in model.parameters()]
    states = list(Training(epochs=3, lr=0.1).steps(model, loss, samples()))
    assert [state.epoch for state in states] == [0, 1, 2, 3]
    assert states[0].loss is None
    for given, first, kept in zip(model.parameters(), states[0].model.parameters(), start, strict=True):
        assert torch.equal(given, kept)
        assert torch.equal(first, kept)
    assert not equal(states[1], states[2])
    later = states[1].model
    with torch.no_grad():
        later[0].weight.zero_()
    assert states[1].weights["0.weight"].any()
    assert states[3].status is Status.MAX_ITER
    assert not states[3].model.training


def test_augment_changes_training_samples_only_and_draws_from_its_generator():
    def run():
        drawn, seen = [], []

        def augment(sample, g):
            drawn.append(torch.rand((), generator=g).item())
            return sample[0] + 100, sample[1]

        def note(model, batch):
            seen.append((model.training, batch[0].mean().item() > 50))
            return loss(model, batch)

        Training(epochs=2, batch_size=4).fit(network(), note, samples(), samples(2), augment=augment, progress=False)
        return drawn, seen

    drawn, seen = run()
    assert all(moved == training for training, moved in seen)
    assert {training for training, _ in seen} == {True, False}
    assert len(set(drawn)) == 14
    assert drawn == run()[0]


def test_early_stopping_goes_back_to_the_best():
    sequence = iter([5.0, 3.0, 4.0, 3.0, 3.5, 9.0])

    def given(model, batch):
        return model(batch[0]).square().mean() if model.training else torch.tensor(next(sequence))

    data, model = [(torch.ones(1),)], nn.Linear(1, 1)
    states = list(Training(epochs=9, patience=3, lr=0.1).steps(model, given, data, data))
    assert [state.epoch for state in states] == [0, 1, 2, 3, 4, 5]
    assert states[-1].status is Status.CONVERGED
    assert [state.best.epoch for state in states] == [0, 1, 2, 2, 2, 2]
    sequence = iter([5.0, 3.0, 4.0, 3.0, 3.5])
    end = Training(epochs=9, patience=3, lr=0.1).fit(model, given, data, data, progress=False)
    assert end.epoch == 2
    assert end.held_out_loss == 3.0
    assert equal(end, states[2])


@pytest.mark.parametrize("where", ["train", "held_out"])
def test_a_loss_that_is_not_finite_ends_it(where):
    def broken(model, batch):
        value = loss(model, batch)
        return value * torch.nan if model.training == (where == "train") else value

    *_, first, last = Training(epochs=4).steps(network(), broken, samples(), samples(2))
    assert last.epoch == 1
    assert last.status is Status.DEGENERATE
    assert last.best.epoch == first.epoch == 0


# --------------------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("options", [{}, {"schedule": "cosine"}, {"schedule": "poly", "optimizer": "sgd", "lr": 0.1}])
def test_resumed_is_uninterrupted(tmp_path, options):
    training = Training(epochs=5, batch_size=2, **options)
    whole = training.fit(network(0.3), loss, samples(), samples(2), progress=False)
    path = tmp_path / "deep" / "model.pt"
    part = itertools.islice(training.steps(network(0.3), loss, samples(), samples(2), checkpoint=path), 3)
    assert [state.epoch for state in part] == [0, 1, 2]
    states = list(training.steps(network(0.3), loss, samples(), samples(2), checkpoint=path))
    assert [state.epoch for state in states] == [2, 3, 4, 5]
    assert equal(states[-1], whole)
    assert states[-1].history == whole.history
    assert states[-1].best.epoch == whole.best.epoch
    assert equal(states[-1].best, whole.best)
    assert not list(path.parent.glob("*.part"))


KILLED = """
    import sys, torch, os, signal
    from seglab.networks import Training
    sys.path.insert(0, sys.argv[2])
    from test_training import loss, network, samples
    torch.set_num_threads(1)
    for state in Training(epochs=6, batch_size=2).steps(network(0.3), loss, samples(), checkpoint=sys.argv[1]):
        if state.epoch == 3 and len(sys.argv) > 3:
            os.kill(os.getpid(), signal.SIGKILL)
    torch.save(dict(state.weights), sys.argv[1] + ".end")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_and_resumed(tmp_path):
    path, here = str(tmp_path / "model.pt"), os.path.dirname(__file__)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), path, here]
    killed = subprocess.run([*command, "kill"], timeout=240, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    subprocess.run(command, timeout=240, check=True)
    whole = Training(epochs=6, batch_size=2).fit(network(0.3), loss, samples(), progress=False)
    end = torch.load(path + ".end", weights_only=True)
    assert all(torch.equal(end[name], value) for name, value in whole.weights.items())


def test_half_a_checkpoint_is_never_seen(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    steps = Training(epochs=3).steps(network(), loss, samples(), checkpoint=path)
    assert [next(steps).epoch, next(steps).epoch] == [0, 1]
    whole = path.read_bytes()

    def half(content, file):
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="full"):
        next(steps)
    assert path.read_bytes() == whole


def test_going_on_for_longer_and_another_trainings_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    Training(epochs=2).fit(network(), loss, samples(), checkpoint=path, progress=False)
    longer = Training(epochs=4).fit(network(), loss, samples(), checkpoint=path, progress=False)
    assert equal(longer, Training(epochs=4).fit(network(), loss, samples(), progress=False))
    with pytest.raises(ValueError, match="of another training"):
        Training(epochs=4, lr=0.5).fit(network(), loss, samples(), checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="of another network"):
        Training(epochs=4).fit(nn.Conv2d(3, 2, 1), loss, samples(), checkpoint=path, progress=False)


def test_ctrl_c_returns_the_best_so_far():
    held_out = iter([2.0, 1.0, 3.0])
    calls = []

    def interrupted(model, batch):
        calls.append(model.training)
        if calls.count(True) == 4:
            raise KeyboardInterrupt
        return model(batch[0]).square().mean() if model.training else torch.tensor(next(held_out))

    data = [(torch.ones(1),)]
    state = Training(epochs=9).fit(nn.Linear(1, 1), interrupted, data, data, progress=False)
    assert state.epoch == 2

    def at_once(model, batch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training().fit(nn.Linear(1, 1), at_once, data, progress=False)
    held_out, calls[:] = iter([2.0, 1.0, 3.0]), []
    with pytest.raises(KeyboardInterrupt):
        Training(epochs=9).fit(nn.Linear(1, 1), interrupted, data, data, progress=False, on_interrupt="raise")


# ------------------------------------------------------------------------------------------------------------- options


def test_bfloat16_is_a_choice():
    kinds = []

    def note(model, batch):
        scores = model(batch[0])
        kinds.append(scores.dtype)
        return F.cross_entropy(scores.float(), batch[1])

    low = Training(epochs=1, precision="bfloat16").fit(network(), note, samples(), progress=False)
    assert set(kinds) == {torch.bfloat16}
    assert all(value.dtype == torch.float32 for value in low.weights.values())
    full = Training(epochs=1).fit(network(), note, samples(), progress=False)
    assert kinds[-1] == torch.float32
    assert low.loss == pytest.approx(full.loss, rel=0.02)


def test_schedules_end_at_zero():
    rates = {}
    for schedule in ("constant", "cosine", "poly"):
        state = Training(epochs=4, batch_size=2, schedule=schedule).fit(network(), loss, samples(), progress=False)
        rates[schedule] = [record["lr"] for record in state.history]
    assert rates["constant"] == [1e-3] * 4
    for schedule in ("cosine", "poly"):
        assert rates[schedule][0] == 1e-3
        assert rates[schedule] == sorted(rates[schedule], reverse=True)
        assert 0 < rates[schedule][-1] < 5e-4


def test_groups_and_frozen_layers():
    model = network()
    model[0].weight.requires_grad_(False)

    def groups(net):
        assert net is not model
        return [{"params": net[3].parameters(), "lr": 0.5}]

    state = Training(epochs=1).fit(model, loss, samples(), groups=groups, progress=False)
    assert state.history[0]["lr"] == 0.5
    assert torch.equal(state.weights["0.weight"], model[0].weight)
    assert torch.equal(state.weights["0.bias"], model[0].bias)
    assert not torch.equal(state.weights["3.bias"], model[3].bias)
    with pytest.raises(ValueError, match="nothing is to be trained"):
        Training().fit(network().requires_grad_(False), loss, samples(), progress=False)


def test_wrong_inputs():
    with pytest.raises(ValueError, match="lr must be a number in"):
        Training(lr=0)
    with pytest.raises(ValueError, match="optimizer must be one of"):
        Training(optimizer="rmsprop")
    with pytest.raises(ValueError, match="no samples"):
        Training().fit(network(), loss, [])
    with pytest.raises(ValueError, match="no samples"):
        Training().fit(network(), loss, samples(), [])
    with pytest.raises(ValueError, match="give held_out"):
        Training(patience=2).fit(network(), loss, samples())


def test_scores_see_the_model_in_evaluation_mode():
    def accuracy(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        x, y = samples()[0]
        return {"accuracy": (model(x[None]).argmax(1)[0] == y).double().mean()}

    state = Training(epochs=30, lr=0.05).fit(network(), loss, samples(), scores=accuracy, progress=False)
    assert state.history[-1]["accuracy"] > 0.9
    assert state.history[-1]["accuracy"] > state.history[0]["accuracy"]


# ---------------------------------------------------------------------------------------------------------- the player


def test_a_player_steps_through_it():
    image, truth = samples()[0]
    training = Training(epochs=4, lr=0.05)
    trace = training.trace(network(), loss, samples(), samples(2), image=image, scores=lambda model: {"score": 1.0})
    assert [state.n_iter for state in trace.states] == [0, 1, 2, 3, 4]
    assert all(state.labels.shape == truth.shape for state in trace.states)
    assert torch.equal(trace[4].labels, trace[4].model(image[None])[0].argmax(0))
    assert trace.objectives[0] is None
    assert trace.objectives[4] < trace.objectives[1]
    panels = trace[3].panels(image)
    assert [panel.title for panel in panels] == ["loss", "scores"]
    assert set(panels[0].curves) == {"loss", "held out loss"}
    assert panels[0].x == [1, 2, 3]
    player = step_through(trace)
    assert player.title.startswith("training, epochs = 4")
    assert player.texts[0] == trace[0].describe() == "epoch 0"
    for i in (0, 4):
        player.receive({"kind": "frame", "index": i, "layers": ["fill"], "panels": True}, [])
    assert player.state is trace[0]
    assert player.still()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="no picture is watched"):
        _ = training.fit(network(), loss, samples(), progress=False).labels


@pytest.mark.gpu
def test_on_a_gpu():
    training = Training(epochs=2)
    state = training.fit(network(), loss, samples(), samples(2), device="cuda", progress=False)
    assert all(value.is_cuda for value in state.weights.values())
    on_cpu = training.fit(network(), loss, samples(), samples(2), progress=False)
    assert state.loss == pytest.approx(on_cpu.loss, rel=1e-3)
    moved = state.to("cpu")
    assert isinstance(moved, TrainingState)
    assert moved.model(BLANK[None]).shape == (1, 2, 8, 12)


def test_a_file_that_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"model\.pt is no checkpoint"):
        Training().fit(network(), loss, samples(), checkpoint=path, progress=False)
