"""The one loop: steps, resuming, interruption, windows on a device, traces, results and the registry."""

from __future__ import annotations

import collections
import copy
import dataclasses
import pickle
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pytest
import torch
from skimage import color, measure, metrics, segmentation
from torch import Tensor

from seglab import segmenter
from seglab.params import param
from seglab.segmenter import Segmentation, Segmenter, State, Status, Trace, generator, get_method, methods

Pair = collections.namedtuple("Pair", "left right")

COUNTS: collections.Counter[str] = collections.Counter()


@dataclass(frozen=True)
class Inner:
    values: Tensor
    note: str = "kept"


@dataclass(frozen=True, kw_only=True, eq=False)
class ToyState(State):
    """A threshold that rises towards the mean of the picture."""

    gray: Tensor
    level: Tensor
    inner: Any = None

    @cached_property
    def labels(self) -> Tensor:
        COUNTS["labels"] += 1
        return (self.gray > self.level).long()

    @property
    def objective(self) -> Tensor:
        return (self.gray.mean() - self.level).abs()


@dataclass(frozen=True, kw_only=True)
class Toy(Segmenter[ToyState]):
    """Halve the distance to the mean, until it is small."""

    title = "Toy"
    objective_name = "distance"
    objective_sense = "min"

    tol: float = param(1e-2, low=1e-3, high=1, valid="(0, inf)", help="where to stop")
    rule: Literal["half", "third"] = param("half", help="how far to go")
    max_iter: int = param(50, low=1, high=100, valid="[0, inf)", help="steps at most")
    asynchronous: bool = param(False, help="whether the status stays a tensor, as on a device")
    stop_at: int | None = param(None, help="the step in which somebody presses stop")

    def init(self, image: Tensor) -> ToyState:
        COUNTS["init"] += 1
        gray = image.mean(0)
        return ToyState(gray=gray, level=torch.zeros(()), code=Status.after(0, self.max_iter))

    def step(self, image: Tensor, state: ToyState) -> ToyState:
        COUNTS["step"] += 1
        n_iter = state.n_iter + 1
        if n_iter == self.stop_at:
            raise KeyboardInterrupt
        level = state.level + (state.gray.mean() - state.level) / (2 if self.rule == "half" else 3)
        arrived = (state.gray.mean() - level).abs() < self.tol
        code = Status.after(n_iter, self.max_iter, arrived if self.asynchronous else bool(arrived))
        return dataclasses.replace(state, level=level, n_iter=n_iter, code=code)


@dataclass(frozen=True, kw_only=True)
class Direct(Toy):
    """The same with a direct way to the end."""

    def solve(self, image: Tensor, state: ToyState) -> ToyState | None:
        COUNTS["solve"] += 1
        if self.rule == "third":
            return None
        *_, last = self._run(image, state)
        return dataclasses.replace(last, inner="solved")


IMAGE = torch.linspace(0, 1, 3 * 6 * 7, dtype=torch.float32).reshape(3, 6, 7)


@pytest.fixture(autouse=True)
def _count_from_zero():
    COUNTS.clear()


def levels(states) -> list[float]:
    return [float(state.level) for state in states]


# ---- status -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_iter", "converged", "expected"),
    [
        (3, False, "running"),
        (5, False, "max_iter"),
        (6, False, "max_iter"),
        (3, True, "converged"),
        (5, True, "converged"),
    ],
)
def test_status_after_a_step(n_iter, converged, expected):
    assert str(Status.after(n_iter, 5, converged)) == expected
    on_device = Status.after(n_iter, 5, torch.tensor(converged))
    assert isinstance(on_device, Tensor)
    assert str(Status(int(on_device))) == expected


# ---- steps and segment ------------------------------------------------------------------------------------------


def test_steps_yields_the_first_state_and_every_later_one():
    states = list(Toy().steps(IMAGE))
    assert [s.n_iter for s in states] == list(range(len(states)))
    assert [s.status for s in states] == [Status.RUNNING] * (len(states) - 1) + [Status.CONVERGED]
    mean = float(IMAGE.mean())
    assert levels(states) == pytest.approx([mean * (1 - 0.5**k) for k in range(len(states))])
    assert COUNTS["labels"] == 0  # computed only when somebody looks


def test_segment_is_the_last_of_steps():
    last = list(Toy().steps(IMAGE))[-1]
    COUNTS.clear()
    result = Toy().segment(IMAGE)
    assert torch.equal(result.labels, last.labels)
    assert result.state.n_iter == last.n_iter == COUNTS["step"]
    assert result.status is Status.CONVERGED
    assert not result.interrupted
    assert COUNTS["init"] == 1
    assert result.seconds > 0


def test_no_steps_where_none_are_allowed():
    result = Toy(max_iter=0).segment(IMAGE)
    assert (result.state.n_iter, result.status, COUNTS["step"]) == (0, Status.MAX_ITER, 0)


def test_stops_at_max_iter_and_says_so():
    result = Toy(max_iter=3).segment(IMAGE)
    assert (result.state.n_iter, str(result.status)) == (3, "max_iter")


def test_a_state_that_is_over_is_not_stepped():
    last = Toy().segment(IMAGE).state
    COUNTS.clear()
    again = Toy().segment(IMAGE, init=last)
    assert again.state is last
    assert COUNTS["step"] == COUNTS["init"] == 0


def test_resuming_goes_on_where_it_stopped():
    whole = list(Toy().steps(IMAGE))
    for state in whole:
        rest = list(Toy().steps(IMAGE, init=state))
        assert levels(rest) == levels(whole[state.n_iter :])
        assert rest[-1].status is Status.CONVERGED
        assert Toy().segment(IMAGE, init=state).state.n_iter == whole[-1].n_iter


def test_resuming_with_more_iterations_goes_on_and_with_the_same_does_not():
    stopped = Toy(max_iter=3).segment(IMAGE).state
    assert Toy(max_iter=3).segment(IMAGE, init=stopped).state.n_iter == 3
    assert Toy(max_iter=2).segment(IMAGE, init=stopped).state.n_iter == 3
    more = Toy(max_iter=4).segment(IMAGE, init=stopped)
    assert (more.state.n_iter, more.status) == (4, Status.MAX_ITER)
    assert Toy().segment(IMAGE, init=stopped).status is Status.CONVERGED
    assert stopped.status is Status.MAX_ITER  # as it was


def test_takes_anything_image_like_and_refuses_the_rest():
    assert Toy().segment(np.zeros((4, 5), np.uint8) + np.arange(5, dtype=np.uint8) * 50).shape == (4, 5)
    with pytest.raises(ValueError, match="NaN"):
        Toy().segment(np.full((4, 5), np.nan))
    with pytest.raises(ValueError, match="NaN"):
        next(Toy().steps(np.full((4, 5), np.nan)))


def test_a_direct_way_is_taken_by_segment_alone():
    result = Direct().segment(IMAGE)
    assert (result.state.inner, COUNTS["solve"]) == ("solved", 1)
    assert torch.equal(result.labels, Toy().segment(IMAGE).labels)
    assert not result.interrupted
    COUNTS.clear()
    assert [s.inner for s in Direct().steps(IMAGE)] == [None] * (result.state.n_iter + 1)
    Direct().trace(IMAGE)
    assert Direct().segment(IMAGE, progress=True).state.inner is None  # a bar needs steps
    assert COUNTS["solve"] == 0


def test_where_solve_gives_none_the_loop_runs():
    result = Direct(rule="third").segment(IMAGE)
    assert (result.state.inner, COUNTS["solve"]) == (None, 1)
    assert result.state.n_iter == Toy(rule="third").segment(IMAGE).state.n_iter


def test_a_direct_way_starts_from_the_given_state():
    middle = list(Toy().steps(IMAGE))[2]
    assert Direct().segment(IMAGE, init=middle).state.n_iter == Toy().segment(IMAGE).state.n_iter


# ---- interruption -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_at", [1, 2, 4])
@pytest.mark.parametrize("progress", [False, True])
def test_interruption_gives_the_latest_complete_state(stop_at, progress):
    result = Toy(stop_at=stop_at).segment(IMAGE, progress=progress)
    assert result.interrupted
    assert result.state.n_iter == stop_at - 1
    assert result.status is Status.RUNNING
    assert torch.equal(result.labels, list(Toy().steps(IMAGE))[stop_at - 1].labels)
    assert "interrupted after" in repr(result)


def test_an_interrupted_result_can_be_resumed():
    state = Toy(stop_at=3).segment(IMAGE).state
    assert torch.equal(Toy().segment(IMAGE, init=state).labels, Toy().segment(IMAGE).labels)


def test_interruption_of_the_start_passes_through():
    class Stuck(Toy):
        def init(self, image):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stuck().segment(IMAGE)
    with pytest.raises(KeyboardInterrupt):
        Stuck().trace(IMAGE)


def test_other_errors_pass_through():
    class Broken(Toy):
        def step(self, image, state):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        Broken().segment(IMAGE)


def test_an_interrupted_trace_keeps_what_it_has():
    trace = Toy(stop_at=4).trace(IMAGE)
    assert [s.n_iter for s in trace] == [0, 1, 2, 3]
    trace = Toy(stop_at=4).trace(IMAGE, every=2)
    assert [s.n_iter for s in trace] == [0, 2, 3]


# ---- windows: several steps between two looks at a device ---------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 8, 100])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 7, 8, 9, 50])
def test_windows_end_in_the_same_state(asynchronous, stride, max_iter):
    method = Toy(asynchronous=asynchronous, max_iter=max_iter)
    first = method.init(IMAGE)
    one_by_one = list(method._run(IMAGE, first))
    windowed = list(method._run(IMAGE, first, stride=stride))
    assert windowed[-1].n_iter == one_by_one[-1].n_iter
    assert windowed[-1].status is one_by_one[-1].status
    assert torch.equal(windowed[-1].level, one_by_one[-1].level)
    assert [s.n_iter for s in windowed[:-1]] == list(range(stride, one_by_one[-1].n_iter, stride))


def test_a_window_does_not_wait_for_a_status_on_the_way(monkeypatch):
    events = []
    look = State.status.func

    def status(self):
        events.append(f"look {self.n_iter}")
        return look(self)

    monkeypatch.setattr(State, "status", property(status))
    step = Toy.step
    monkeypatch.setattr(Toy, "step", lambda *a: (events.append("step"), step(*a))[1])
    method = Toy(asynchronous=True, tol=1e-9, max_iter=11)
    list(method._run(IMAGE, method.init(IMAGE), stride=8))
    assert events[:10] == ["look 0"] + ["step"] * 8 + ["look 0"]
    assert COUNTS["step"] == 11  # not a step beyond max_iter, though no status was read in the window


def test_a_window_ends_early_where_the_end_is_known():
    list(Toy(max_iter=3)._run(IMAGE, Toy().init(IMAGE), stride=8))
    assert COUNTS["step"] == 3


def test_interrupting_a_window_gives_its_complete_states():
    method = Toy(asynchronous=True, stop_at=5)
    states = method._run(IMAGE, method.init(IMAGE), stride=8)
    assert next(states).n_iter == 4
    with pytest.raises(KeyboardInterrupt):
        next(states)
    # and one that had ended before the interruption gives its end
    method = Toy(asynchronous=True, stop_at=7, tol=0.1)
    assert next(method._run(IMAGE, method.init(IMAGE), stride=8)).status is Status.CONVERGED


# ---- trace ------------------------------------------------------------------------------------------------------


def test_trace_keeps_every_state():
    states = list(Toy().steps(IMAGE))
    trace = Toy().trace(IMAGE)
    assert isinstance(trace, Trace)
    assert levels(trace) == levels(states)
    assert trace.objectives == pytest.approx([float(s.objective) for s in states])
    assert trace[-1].status is Status.CONVERGED
    assert [s.n_iter for s in trace[1:3]] == [1, 2]
    assert repr(trace) == f"<Trace of Toy(): {len(states)} states, converged after {len(states) - 1} steps>"


@pytest.mark.parametrize(
    ("n_steps", "every", "max_states", "kept", "last_every"),
    [
        (6, 1, 200, [0, 1, 2, 3, 4, 5, 6], 1),
        (6, 2, 200, [0, 2, 4, 6], 2),
        (6, 4, 200, [0, 4, 6], 4),
        (6, 100, 200, [0, 6], 100),
        (6, 1, 7, [0, 2, 4, 6], 2),
        (6, 1, 8, [0, 1, 2, 3, 4, 5, 6], 1),
        (9, 1, 4, [0, 4, 8, 9], 4),
        (9, 1, 2, [0, 9], 16),
        (9, 1, 3, [0, 8, 9], 8),
        (0, 1, 2, [0], 1),
    ],
)
def test_trace_thins_itself(n_steps, every, max_states, kept, last_every):
    trace = Toy(tol=1e-12, max_iter=n_steps).trace(IMAGE, every=every, max_states=max_states)
    assert [s.n_iter for s in trace] == kept
    assert len(trace) <= max_states
    assert trace.every == last_every


@pytest.mark.parametrize("options", [{"every": 0}, {"max_states": 1}, {"every": -1}])
def test_trace_refuses_to_keep_nothing(options):
    with pytest.raises(ValueError, match="every n-th state"):
        Toy().trace(IMAGE, **options)


def test_trace_resumes():
    middle = list(Toy().steps(IMAGE))[3]
    assert [s.n_iter for s in Toy().trace(IMAGE, init=middle)][:2] == [3, 4]


def test_trace_copies_what_states_share_once():
    states = Toy().trace(IMAGE).states
    assert len({s.gray.data_ptr() for s in states}) == 1


def test_trace_has_no_objective_where_the_method_has_none():
    class NoObjective(ToyState):
        objective = None

    state = NoObjective(gray=IMAGE[0], level=torch.zeros(()))
    assert Trace(states=(state,), image=IMAGE, method=Toy(), every=1, seconds=0.0).objectives == [None]


# ---- moving states ----------------------------------------------------------------------------------------------


def test_a_state_moves_with_all_it_holds():
    a = torch.ones(3, requires_grad=True)
    inner = (Inner(values=a), Pair(a, 3), [a], None, "text")
    state = ToyState(gray=IMAGE[0], level=torch.zeros(()), n_iter=4, inner=inner)
    moved = state.to("meta")
    first, pair, _, nothing, text = moved.inner
    assert {t.device.type for t in (moved.gray, moved.level, first.values, pair.left)} == {"meta"}
    assert first.values is pair.left  # shared before, shared after
    assert not first.values.requires_grad
    assert (moved.n_iter, pair.right, first.note, nothing, text) == (4, 3, "kept", None, "text")
    assert type(pair) is Pair
    assert state.inner is inner  # as it was


def test_a_state_with_a_module_says_itself_how_it_moves():
    state = ToyState(gray=IMAGE[0], level=torch.zeros(()), inner=torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"override State\.to"):
        state.to("cpu")


def test_states_are_frozen_and_equal_to_themselves_alone():
    a, b = Toy().init(IMAGE), Toy(rule="third").init(IMAGE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.n_iter = 3
    assert a == a
    assert a != b
    assert len({a, b}) == 2


def test_a_status_on_a_device_is_read_once():
    state = dataclasses.replace(Toy().init(IMAGE), code=torch.tensor(1))
    assert state.status is Status.CONVERGED
    assert state.status is state.status
    assert dataclasses.replace(state, code=Status.RUNNING).status is Status.RUNNING  # nothing is carried over


def test_a_state_describes_itself_and_has_no_panels_unless_told():
    state = Toy().init(IMAGE)
    assert state.describe() == "iteration 0"
    assert tuple(state.panels(IMAGE)) == ()


# ---- the result -------------------------------------------------------------------------------------------------


def test_a_result_is_a_label_map_to_numpy():
    result = Toy().segment(IMAGE)
    labels = result.numpy()
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.asarray(result), labels)
    assert np.asarray(result, dtype=np.uint8).dtype == np.uint8
    own = np.array(result)
    own[:] = 9
    np.testing.assert_array_equal(np.asarray(result), labels)
    with pytest.raises(ValueError, match="copied"):
        np.asarray(result, dtype=np.uint8, copy=False)
    assert result.shape == (6, 7)


@pytest.mark.parametrize(
    "call",
    [
        segmentation.find_boundaries,
        lambda x: segmentation.find_boundaries(x, mode="inner"),
        lambda x: segmentation.mark_boundaries(IMAGE.movedim(0, -1).numpy(), x),
        lambda x: segmentation.relabel_sequential(x)[0],
        lambda x: segmentation.join_segmentations(x, x),
        segmentation.expand_labels,
        segmentation.clear_border,
        lambda x: color.label2rgb(x, IMAGE.movedim(0, -1).numpy()),
        lambda x: color.label2rgb(x, IMAGE.movedim(0, -1).numpy(), kind="avg"),
        measure.label,
        lambda x: measure.regionprops_table(x)["bbox-2"],
        lambda x: metrics.variation_of_information(x, 1 - x),
        lambda x: metrics.adapted_rand_error(x, x),
        np.unique,
        lambda x: np.where(x == 1, x, -x),
        lambda x: 2 * x - 1,
        lambda x: x[2:4, 0],
        lambda x: x.reshape(-1).max(),
    ],
)
def test_a_result_goes_where_an_array_goes(call):
    result = Toy().segment(IMAGE)
    expected = call(result.numpy())
    np.testing.assert_array_equal(call(result), expected)
    assert type(call(result)) is type(expected)


def test_a_result_is_an_object_all_the_same():
    result = Toy().segment(IMAGE)
    assert {result: 1}[result] == 1
    assert len(result) == 6
    for copied in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert torch.equal(copied.labels, result.labels)
    with pytest.raises(AttributeError, match="labelz"):
        _ = result.labelz
    with pytest.raises(AttributeError, match="_repr_html_"):
        _ = result._repr_html_
    with pytest.raises(TypeError):
        result += 1


def test_plots_as_an_image():
    import matplotlib.pyplot as plt

    result = Toy().segment(IMAGE)
    np.testing.assert_array_equal(plt.imshow(result).get_array(), result.numpy())


def test_a_result_counts_its_segments_without_the_unassigned():
    result = Toy().segment(IMAGE)
    assert result.n_segments == 2
    labels = torch.where(result.labels > 0, -1, 5)
    assert dataclasses.replace(result, labels=labels).n_segments == 1


def test_a_result_shows_itself():
    result = Toy(tol=0.1).segment(IMAGE)
    data, metadata = result._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == metadata["image/png"]["alt"] == repr(result)
    pattern = r"<Segmentation 6×7 by Toy\(tol=0\.1\): 2 segments, converged after \d+ steps, [\d.e+-]+ ms>"
    assert re.fullmatch(pattern, repr(result))
    assert result.overlay(alpha=0.0).shape == (3, 6, 7)


def test_a_progress_bar_is_written_only_when_asked(capsys):
    Toy().segment(IMAGE)
    assert capsys.readouterr().err == ""
    result = Toy().segment(IMAGE, progress=True)
    assert "Toy" in capsys.readouterr().err
    assert result.status is Status.CONVERGED


# ---- methods by name --------------------------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    methods()  # the package's own, first
    kept = dict(segmenter._REGISTRY)
    monkeypatch.setattr(segmenter, "_REGISTRY", kept)
    return kept


def test_a_named_subclass_is_found_by_its_name(registry):
    class Named(Toy, name="toy-for-tests"):
        pass

    assert get_method("toy-for-tests") is Named
    assert methods()["toy-for-tests"] is Named
    assert Named.name == "toy-for-tests"
    assert list(methods()) == sorted(methods())

    class Unnamed(Named):
        pass

    assert Unnamed.name == ""
    assert methods()["toy-for-tests"] is Named


def test_a_name_is_taken_once_but_a_cell_can_be_run_again(registry):
    def define(module: str):
        return type(Toy)("Twice", (Toy,), {"__module__": module, "__qualname__": "Twice"}, name="twice")

    first = define("notebook")
    again = define("notebook")
    assert get_method("twice") is again
    assert again is not first
    with pytest.raises(ValueError, match=r"'twice' is taken by notebook\.Twice"):
        define("elsewhere")
    assert get_method("twice") is again


def test_an_unknown_name_gets_the_nearest_and_the_list(registry):
    class Named(Toy, name="octopus-for-tests"):
        pass

    with pytest.raises(ValueError, match=r"'octopus-for'\. Did you mean 'octopus-for-tests'\?.*The methods are: "):
        get_method("octopus-for")
    with pytest.raises(ValueError, match=r"No method is called 'zzzzqqqq'\. The methods are"):
        get_method("zzzzqqqq")


def test_the_packages_methods_are_named_and_titled():
    for name, cls in methods().items():
        assert cls.name == name
        assert cls.title


# ---- hyper-parameters -------------------------------------------------------------------------------------------


def test_code_says_what_differs_from_the_defaults():
    assert Toy().code() == "Toy()"
    assert Toy(tol=1e-2, rule="half").code() == "Toy()"
    assert Toy(rule="third", tol=0.5, max_iter=7).code() == "Toy(tol=0.5, rule='third', max_iter=7)"
    method = Toy(tol=np.float32(0.25), max_iter=np.int64(9))
    assert method.code() == "Toy(tol=0.25, max_iter=9)"
    assert eval(method.code(), {"Toy": Toy}) == method


def test_methods_are_values():
    assert Toy(tol=0.5) == Toy(tol=0.5)
    assert hash(Toy(tol=0.5)) == hash(Toy(tol=0.5))
    assert Toy(tol=0.5) != Toy(tol=0.25)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Toy().tol = 1.0
    with pytest.raises(TypeError, match="positional"):
        Toy(0.5)


def test_methods_check_their_parameters():
    with pytest.raises(ValueError, match=r"Toy: tol must be a number in \(0, inf\); got 0.0"):
        Toy(tol=0)
    with pytest.raises(TypeError, match="Toy: max_iter must be a whole number"):
        Toy(max_iter=2.5)
    with pytest.raises(ValueError, match="Toy: rule must be one of 'half', 'third'"):
        Toy(rule="quarter")
    with pytest.raises(TypeError, match="tolerance"):
        Toy(tolerance=1)


def test_generators_start_alike_and_leave_the_global_one_alone():
    before = torch.random.get_rng_state()
    a, b, c = (torch.rand(5, generator=generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.gpu
@pytest.mark.parametrize("asynchronous", [False, True])
def test_runs_on_a_gpu_in_windows(asynchronous):
    method = Toy(asynchronous=asynchronous)
    there, here = method.segment(IMAGE, device="cuda"), method.segment(IMAGE)
    assert there.labels.device.type == "cuda"
    assert there.state.n_iter == here.state.n_iter
    assert isinstance(there, Segmentation)
    assert torch.equal(there.labels.cpu(), here.labels)
    assert {s.gray.device.type for s in method.trace(IMAGE, device="cuda")} == {"cpu"}


def test_small_pictures_are_computed_on_one_thread_and_the_others_come_back():
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Watched(Threads):
        pass

    @dataclass(frozen=True, kw_only=True)
    class Large(Threads):
        alone = 3

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for method in (Watched(seen=seen), Large(seen=seen)):
            method.segment(torch.zeros(1, 2, 2))
            list(method.steps(torch.zeros(1, 2, 2)))
            with pytest.raises(RuntimeError, match="on purpose"):
                method.segment(torch.ones(1, 2, 2))
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1] * 6 + [2] * 6  # init and step: of segment, of steps, and of the one that fails


@dataclass(frozen=True, kw_only=True, eq=False)
class ThreadsState(State):
    gray: torch.Tensor

    @property
    def labels(self) -> torch.Tensor:
        return self.gray.long()


@dataclass(frozen=True, kw_only=True)
class Threads(Segmenter[ThreadsState]):
    seen: list[int]

    def init(self, image: torch.Tensor) -> ThreadsState:
        self.seen.append(torch.get_num_threads())
        return ThreadsState(gray=image[0])

    def step(self, image: torch.Tensor, state: ThreadsState) -> ThreadsState:
        self.seen.append(torch.get_num_threads())
        if image.any():
            raise RuntimeError("on purpose")
        return dataclasses.replace(state, n_iter=1, code=Status.CONVERGED)
