"""Segmentation by backpropagation: a small network learns to answer as it has just answered, only more evenly.

A network that nobody has trained gives each pixel the label of its largest response. Those labels are made even (the
pixels of a superpixel take a vote), and the network takes one step towards answering so. Then again. Pixels that look
alike are pulled to one label, a normalization of the responses keeps many labels in play, and what is left after some
hundreds of steps are the parts of the picture. It minimizes, with targets c' that move as it learns,

    L = −(1/N) Σ_n log softmax(y'_n)[c'_n],

where y' are the responses, normalized over the pixels of the one picture.

A. Kanezaki, 2018, Unsupervised image segmentation by backpropagation, ICASSP, 10.1109/ICASSP.2018.8462533.
W. Kim, A. Kanezaki and M. Tanaka, 2020, Unsupervised learning of image segmentation based on differentiable feature
clustering, IEEE Trans. Image Processing 29, 10.1109/TIP.2020.3011269.

*Differs from the papers*: superpixels are those of `seglab.methods.SLIC`, and colors are RGB throughout (the published
code hands BGR to the network and to SLIC). Of equally frequent labels in a superpixel, the smallest wins. The labels of
a state are those of its network, after the update; the paper's are those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seglab.image import as_image
from seglab.kernels.backprop_segmentation import (
    Aims,
    Network,
    Precision,
    Problem,
    Start,
    batch_norm,
    count_each,
    descend,
    draw_network,
    each,
    learn,
    respond,
    stack_networks,
    targets,
    vote,
)
from seglab.kernels.devices import exact_convolutions
from seglab.labels import as_labels, mean_color
from seglab.methods.slic import SLIC
from seglab.networks.clustering import cluster_network
from seglab.panels import Curve, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmentation, Segmenter, State, Status

__all__ = ["BackpropSegmentation", "BackpropSegmentationState", "batch_norm", "draw_network", "learn", "vote"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BackpropSegmentationState(State):
    """A network after ``n_iter`` steps, and what it was told.

    Attributes
    ----------
    network, velocity
        The layers' weights, and how fast they are moving; see `seglab.kernels.backprop_segmentation.Layer`.
    problem
        The picture with its superpixels and scribbles; the same in all states.
    losses
        The loss at each step so far, before its update: 0-d tensors.
    counts
        How many labels there were then, before the vote: 0-d tensors.
    """

    network: Network
    velocity: Network
    problem: Problem
    normalize: bool = True
    losses: tuple[Tensor, ...] = ()
    counts: tuple[Tensor, ...] = ()

    @property
    def responses(self) -> Tensor:
        """(q, H, W): the normalized responses y' of the network as it is now; computed whenever somebody asks."""
        with torch.no_grad(), exact_convolutions(self.problem.images.device):
            return respond(self.problem.images, self.network, normalize=self.normalize)[0]

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the largest response at each pixel."""
        return self.responses.argmax(0)

    @cached_property
    def targets(self) -> Tensor:
        """(H, W) int64: what the next step pulls towards, the labels after the vote; −1 where there is a scribble."""
        return targets(self.labels[None], self.problem, self.network[-1].bias.shape[1])[0]

    @property
    def objective(self) -> Tensor | None:
        """The loss of the last step, before its update."""
        return self.losses[-1] if self.losses else None

    @property
    def module(self) -> nn.Sequential:
        """The network as a torch module of its own, with copies of the weights."""
        return cluster_network(self.network, normalize=self.normalize)

    def describe(self) -> str:
        """The step, the number of labels and the loss, as they were before its update."""
        if not self.losses:
            return "the network as it was drawn"
        return f"iteration {self.n_iter} · {int(self.counts[-1])} labels · loss {float(self.losses[-1]):.3f}"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The picture in its labels' mean colors, and the loss and the number of labels over the steps."""
        steps = range(1, len(self.losses) + 1)
        shown = mean_color(self.labels, image).expand(3, -1, -1).movedim(0, -1)
        series = (("loss", "loss", self.losses), ("labels", "number", self.counts))
        curves = (
            Curve(title=title, x=steps, curves={title: torch.stack(values)}, x_label="iteration", y_label=y_label)
            for title, y_label, values in series
            if values
        )
        return (Picture(title="mean colors", values=shown), *curves)


@dataclass(frozen=True, kw_only=True)
class BackpropSegmentation(Segmenter[BackpropSegmentationState], name="backprop_segmentation"):
    """Train a small network on one picture, with its own labels, made even, as the truth.

    Parameters
    ----------
    n_components
        M: convolutions 3×3 with ReLU and batch normalization. More: each pixel sees (2M + 1)² pixels.
    n_filters
        p: features of a pixel. Time ∝ M p².
    max_labels
        q: labels at most.
    continuity
        What makes neighbors agree. ``"superpixels"``: the pixels of a superpixel take a vote (2018).
        ``"differences"``: the loss has a term for how much responses change from pixel to pixel (2020). ``"none"``.
    n_segments, compactness
        The superpixels' number K and SLIC's compactness.
    continuity_weight
        The weight of the responses' mean absolute difference, where continuity is ``"differences"``.
    normalize
        Normalize the responses. Without it, labels are lost until one or two are left.
    affine
        Let batch normalizations learn a gain and a shift, as the published code does.
    start
        How weights are drawn: ``"xavier"`` (the paper) or ``"torch"`` (the published code).
    lr, momentum
        Of stochastic gradient descent.
    max_iter
        T: steps at most; a step is one update of the network.
    min_labels
        Stop when a step has met no more labels than this.
    scribble_weight
        The weight of the cross-entropy with the scribbles.
    precision
        ``"tf32"``: let convolutions on a GPU round what they multiply to ten bits, in an order of its own that need not
        be the same twice: a step takes a quarter of the time. Elsewhere this is ``"float32"``. ``"bfloat16"``: let them
        compute in half the bits, faster where a CPU has them. Labels change with either.
    seed
        Of the weights.
    scribbles
        (H, W): labels below q that somebody has drawn, −1 elsewhere. Data, not a hyper-parameter.

    Notes
    -----
    `paper`, `published_code` and `differentiable` have the settings of the two papers and of the first's program.
    Labels need not be connected: `seglab.labels.connected_components` makes segments of them, as in the paper.

    A step takes about 6 · 9 M p² operations a pixel, and about 4 (5 M p + 3 q) bytes. The loss may rise: with each
    step the targets change. Steps amplify rounding: the first are the same on a CPU and a GPU, and after dozens labels
    differ about as those of two seeds do.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> method = BackpropSegmentation(n_filters=16, max_labels=16, n_segments=200, max_iter=20)
    >>> result = method.segment(shapes(height=48, width=64).image)
    >>> result.state.n_iter, len(result.state.losses), 1 < result.n_segments <= 16
    (20, 20, True)
    """

    title = "segmentation by backpropagation"
    objective_name = "loss"
    objective_in_panels = True
    alone = 0

    n_components: int = param(2, low=1, high=5, valid="[0, inf)", help="convolutions 3×3, M")
    n_filters: int = param(100, low=10, high=200, scale="log", valid="[1, inf)", help="features of a pixel, p")
    max_labels: int = param(100, low=10, high=200, scale="log", valid="[1, inf)", help="labels at most, q")
    continuity: Literal["superpixels", "differences", "none"] = param(
        "superpixels", help="what makes neighbors agree: a vote in superpixels, a term of the loss, or nothing"
    )
    n_segments: int = param(
        10_000,
        low=100,
        high=20_000,
        scale="log",
        valid="[1, inf)",
        when={"continuity": ("superpixels",)},
        help="superpixels in which pixels vote, K",
    )
    compactness: float = param(
        10.0,
        low=1,
        high=100,
        scale="log",
        valid="(0, inf)",
        when={"continuity": ("superpixels",)},
        help="of the superpixels",
    )
    continuity_weight: float = param(
        1.0,
        low=0,
        high=5,
        valid="[0, inf)",
        when={"continuity": ("differences",)},
        help="weight of the change of responses from pixel to pixel",
    )
    normalize: bool = param(True, help="give each label's response mean 0 and variance 1")
    affine: bool = param(False, help="learn a gain and a shift after each normalization")
    start: Start = param("xavier", help="how the weights are drawn")
    lr: float = param(0.1, low=0.001, high=1, scale="log", valid="(0, inf)", help="learning rate")
    momentum: float = param(0.9, low=0, high=0.99, valid="[0, 1)", help="momentum of the descent")
    max_iter: int = param(500, low=1, high=1000, scale="log", valid="[1, inf)", help="steps at most, T")
    min_labels: int = param(1, low=1, high=20, valid="[0, inf)", help="stop when there are no more labels than this")
    scribble_weight: float = param(0.5, low=0, high=2, valid="[0, inf)", help="weight of scribbles, where given")
    precision: Precision = param("float32", help="in which convolutions compute")
    seed: int = param(0, low=0, high=9, valid="[0, inf)", help="of the first weights")
    scribbles: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scribbles is None:
            return
        scribbles = as_labels(self.scribbles)
        if int(scribbles.max()) >= self.max_labels:
            raise ValueError(
                f"BackpropSegmentation: scribbles are labels below max_labels={self.max_labels}, −1 elsewhere; "
                f"got {int(scribbles.max())}"
            )
        object.__setattr__(self, "scribbles", scribbles)

    @classmethod
    def paper(cls, **changes: Any) -> BackpropSegmentation:
        """The settings of the paper of 2018, which are the defaults."""
        return cls(**changes)

    @classmethod
    def published_code(cls, **changes: Any) -> BackpropSegmentation:
        """The settings of its program: torch's start, learned gains, squares; 1000 steps or three labels."""
        given: dict[str, Any] = {"max_iter": 1000, "start": "torch", "affine": True, "min_labels": 3}
        return cls(**given | {"compactness": 100.0} | changes)

    @classmethod
    def differentiable(cls, **changes: Any) -> BackpropSegmentation:
        """The settings of the paper of 2020: no superpixels, but responses that change little from pixel to pixel."""
        given: dict[str, Any] = {"max_iter": 1000, "start": "torch", "affine": True, "min_labels": 3}
        return cls(**given | {"continuity": "differences"} | changes)

    def init(self, image: Tensor) -> BackpropSegmentationState:
        """Make superpixels, and draw a network."""
        network = draw_network(
            len(image),
            self.n_components,
            self.n_filters,
            self.max_labels,
            start=self.start,
            affine=self.affine,
            seed=self.seed,
        )
        network = each(network, lambda p: p.to(image.device))
        return BackpropSegmentationState(
            network=network,
            velocity=each(network, torch.zeros_like),
            problem=self.problem(image),
            normalize=self.normalize,
        )

    def step(self, image: Tensor, state: BackpropSegmentationState) -> BackpropSegmentationState:
        """Label, vote, and take one step towards what has come of it."""
        (after,) = self._step([state])
        return after

    def problem(self, image: Tensor) -> Problem:
        """A picture (C, H, W) with its superpixels and scribbles."""
        segments, scribbles, n = None, None, min(self.n_segments, image[0].numel())
        if self.continuity == "superpixels":
            segments = SLIC(n_segments=n, compactness=self.compactness).segment(image).labels[None]
        if self.scribbles is not None:
            if self.scribbles.shape != image.shape[1:]:
                raise ValueError(
                    f"BackpropSegmentation: scribbles are {tuple(self.scribbles.shape)} and the picture "
                    f"{tuple(image.shape[1:])}; they need the same height and width"
                )
            scribbles = self.scribbles.to(image.device)[None]
        return Problem(image[None].float(), segments, 0 if segments is None else n, scribbles)

    def segment_many(self, images: Iterable[Any], *, device: torch.device | str | None = None) -> list[Tensor]:
        """Segment pictures of one size side by side, each with a network of its own.

        It pays for pictures too small to keep a GPU busy: on an H200 a step of eight of 81×121 took 2.7 times as long
        as that of one (in TF32, 1.5), of 321×481 5.6 times (7.8).

        Parameters
        ----------
        images
            Anything that `seglab.image.as_image` takes; all of one shape.
        device
            Where to compute.

        Returns
        -------
        list of Tensor
            The label map (H, W) of each, as `segment` gives it up to rounding. A picture that has come down to
            ``min_labels`` stops; the others go on.

        Raises
        ------
        ValueError
            No picture, or pictures of different shapes.
        """
        pictures = [as_image(image, device=device) for image in images]
        if len({picture.shape for picture in pictures}) != 1:
            shapes = sorted({tuple(picture.shape) for picture in pictures})
            raise ValueError(f"segment_many takes pictures of one shape, one at least; got {shapes}")
        states = [self.init(picture) for picture in pictures]
        while any(state.status is Status.RUNNING for state in states):
            running = [i for i, state in enumerate(states) if state.status is Status.RUNNING]
            for i, after in zip(running, self._step([states[i] for i in running]), strict=True):
                states[i] = after
        return [state.labels for state in states]

    @classmethod
    def segment_each(
        cls, methods: Sequence[Any], image: Any, *, device: torch.device | str | None = None
    ) -> Iterator[Segmentation]:
        """As `Segmenter.segment_each`; settings that differ in ``max_iter`` only go on from each other, if it rises."""
        picture = as_image(image, device=device)
        found: list[Segmentation] = []
        for method in methods:
            before = [result for result in found if _leads_to(result.method, method)]
            last = max(before, key=lambda result: result.state.n_iter, default=None)
            init: Any = last and last.state
            result = method.segment(picture, init=init)
            found.append(result if last is None else replace(result, seconds=last.seconds + result.seconds))
            yield found[-1]

    def transfer(self, state: BackpropSegmentationState, image: Any) -> BackpropSegmentationState:
        """The state of another picture under a network that has learned elsewhere.

        Its ``labels`` are what the network says without learning more; as ``init`` of `segment` it learns on.

        Examples
        --------
        >>> from seglab.datasets import shapes
        >>> method = BackpropSegmentation.differentiable(n_filters=8, max_labels=8, max_iter=5)
        >>> reference = method.segment(shapes(height=32, width=32, seed=0).image).state
        >>> method.transfer(reference, shapes(height=24, width=40, seed=1).image).labels.shape
        torch.Size([24, 40])
        """
        picture = as_image(image)
        if len(picture) != state.problem.images.shape[1]:
            raise ValueError(
                f"the network has learned on {state.problem.images.shape[1]} channels; the picture has {len(picture)}"
            )
        return replace(state, problem=self.problem(picture), n_iter=0, code=Status.RUNNING, losses=(), counts=())

    def _step(self, states: Sequence[BackpropSegmentationState]) -> list[BackpropSegmentationState]:
        """The next state of each, all computed together."""
        network, velocity = (stack_networks([getattr(s, name) for s in states]) for name in ("network", "velocity"))
        problem = _together([state.problem for state in states])
        weight = self.continuity_weight if self.continuity == "differences" else 0.0
        aims = Aims(continuity=weight, scribble=self.scribble_weight, normalize=self.normalize)
        found = learn(problem, network, aims, self.precision)
        network, velocity = descend(network, velocity, found.gradients, self.lr, self.momentum)
        counts = count_each(found.labels, self.max_labels)
        over = counts <= self.min_labels
        after = []
        for i, state in enumerate(states):
            own = partial(torch.narrow, dim=0, start=i, length=1)
            after.append(
                replace(
                    state,
                    n_iter=state.n_iter + 1,
                    code=Status.after(state.n_iter + 1, self.max_iter, over[i]),
                    network=each(network, own),
                    velocity=each(velocity, own),
                    losses=(*state.losses, found.losses[i]),
                    counts=(*state.counts, counts[i]),
                )
            )
        return after


def _leads_to(earlier: Any, later: Any) -> bool:
    """Whether one setting's steps are the first of the other's."""
    alike = replace(earlier, max_iter=later.max_iter) == later and earlier.scribbles is later.scribbles
    return alike and earlier.max_iter <= later.max_iter


def _together(problems: Sequence[Problem]) -> Problem:
    if len(problems) == 1:
        return problems[0]
    images, segments, _, scribbles = zip(*problems, strict=True)
    return Problem(
        torch.cat(images),
        None if segments[0] is None else torch.cat(segments),
        max(problem.n_segments for problem in problems),
        None if scribbles[0] is None else torch.cat(scribbles),
    )
