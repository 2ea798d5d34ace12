"""Normalized cuts: a graph of pixels or superpixels, cut where little weight is lost beside what each side keeps.

Nodes i and j are joined by an affinity w_ij: high where they look alike, are near, and no contour lies between. With
cut(A, B) the weight between two sets of nodes and assoc(A, V) all the weight that A has, a partition costs

    Ncut(A_1, …, A_K) = Σ_k cut(A_k, V − A_k) / assoc(A_k, V),

so that small sets do not come cheap, as they do with the plain cut. The least is NP-hard to find. Let nodes have real
values instead of labels, and it becomes the generalized eigenproblem (D − W) y = λ D y. Two ways back to labels:

- recursive: threshold the second eigenvector where Ncut is least, and do the same with each side;
- k-way: take K eigenvectors at once, and rotate them until each node's K numbers are nearly a one-hot label.

J. Shi & J. Malik, 2000, Normalized cuts and image segmentation, IEEE Trans. Pattern Analysis and Machine Intelligence
22(8), 888–905, 10.1109/34.868688.
S. X. Yu & J. Shi, 2003, Multiclass spectral clustering, ICCV, 10.1109/ICCV.2003.1238361.
J. Malik, S. Belongie, T. Leung & J. Shi, 2001, Contour and texture analysis for image segmentation, International
Journal of Computer Vision 43(1), 7–27, 10.1023/A:1011174803800 (the intervening contour).

*Differs from the papers*: all thresholds of an eigenvector are tried, not some twenty, which costs no more; the segment
whose cut costs least is cut next, so that a number of segments can be asked for; an eigenvector's stability is not
tested before it is cut. A node's affinity to itself is left out: counted, it makes a lone pixel of another color cheap
to cut off. On large pictures the nodes are superpixels. Before eigenvectors are rotated each is made of length 1, as in
scikit-learn (in the paper yᵀDy = 1, where nodes of little weight count for much): mostly, the cuts then cost less.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab.hierarchy import Hierarchy
from seglab.image import ColorSpace, as_image
from seglab.kernels.normalized_cuts import (
    Cut,
    _bipartition,
    _eigenvectors,
    _ncut,
    as_affinity,
    bipartition,
    discrete,
    edge_strength,
    eigenvectors,
    ncut_value,
    pixel_affinity,
    region_affinity,
    rotation_from,
    starting_rotation,
    unit_rows,
)
from seglab.labels import relabel
from seglab.panels import Curve, Panel, Picture
from seglab.params import param
from seglab.segmenter import Segmentation, Segmenter, State, Status

__all__ = [
    "Cut",
    "NormalizedCuts",
    "NormalizedCutsState",
    "as_affinity",
    "bipartition",
    "discrete",
    "edge_strength",
    "eigenvectors",
    "ncut_value",
    "normalized_cut",
    "pixel_affinity",
    "region_affinity",
    "rotation_from",
    "starting_rotation",
    "unit_rows",
]

Array = NDArray[Any]

_PIXELS = 10_000  # nodes="auto" takes pixels up to here: a second or two
_SHOWN = 3  # eigenvectors in the player
_POINTS = 500  # of a curve


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalizedCutsState(State):
    """The segment of each node, and what is known of the next cuts or of the eigenvectors.

    Attributes
    ----------
    nodes
        (H, W) int64: the node of each pixel; the same in all states, as is ``affinity``.
    affinity
        (M, M) scipy.sparse, on the CPU: the weights W.
    assignment
        (M,) int64: the segment of each node.
    cuts
        Recursive: the best cut of each segment, None where it is a single node.
    splits
        Recursive: the cuts made so far, each with the segment that it was made in.
    values, vectors
        k-way: the K smallest eigenvalues, and the eigenvectors (M, K).
    rotation
        k-way: (K, K), which takes the eigenvectors' unit rows nearest to the labels.
    distance
        k-way: ‖X − rows R‖², how far the labels X are from the rotated rows; never rises.
    """

    nodes: Tensor
    affinity: sp.csr_array
    assignment: Array
    cuts: tuple[Cut | None, ...] = ()
    splits: tuple[tuple[int, Cut], ...] = ()
    values: Array | None = None
    vectors: Array | None = None
    rotation: Array | None = None
    distance: float | None = None

    @cached_property
    def labels(self) -> Tensor:
        """(H, W) int64: the segment of each pixel's node, from 0 without gaps."""
        _, compact = np.unique(self.assignment, return_inverse=True)
        return torch.from_numpy(compact).to(self.nodes.device)[self.nodes]

    @cached_property
    def objective(self) -> float:
        """The normalized cut of all segments, from 0 to their number; a further cut can only raise it."""
        return _ncut(self.affinity, self.assignment)

    @property
    def n_segments(self) -> int:
        """The number of segments."""
        return len(np.unique(self.assignment))

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """Recursive: the tree of the cuts made; ``cut_to(n)`` is the segmentation when there were n segments."""
        n, node_of, merges = len(self.splits) + 1, list(range(len(self.splits) + 1)), []
        for i in range(len(self.splits) - 1, -1, -1):  # the last cut is undone first
            old = self.splits[i][0]
            merges.append((node_of[old], node_of[i + 1]))
            node_of[old] = n + len(merges) - 1
        pairs = torch.tensor(merges, dtype=torch.int64).reshape(-1, 2).to(self.nodes.device)
        heights = 1 / torch.arange(len(merges), 0, -1, dtype=torch.float64, device=self.nodes.device)
        return Hierarchy(leaves=self.labels, merges=pairs, heights=heights)

    def picture(self, values: Array, members: Array | None = None) -> Tensor:
        """A value of each node, or of some, painted on the picture: (H, W); NaN on the others."""
        full = np.full(len(self.assignment), np.nan)
        full[slice(None) if members is None else members] = values
        return torch.from_numpy(full).to(self.nodes.device, torch.float32)[self.nodes]

    def describe(self) -> str:
        """The step, the number of segments, their normalized cut, and the cost of the cut just made."""
        text = f"step {self.n_iter} · {self.n_segments} segments · Ncut {self.objective:.4f}"
        if self.splits:
            label, cut = self.splits[-1]
            return f"{text} · segment {label} cut at {cut.value:.4f}"
        return text if self.distance is None else f"{text} · distance to the rotated vectors {self.distance:.2f}"

    def panels(self, image: Tensor) -> Sequence[Panel]:
        """The eigenvector just cut (at first, the one to be cut), with Ncut over its thresholds.

        k-way: some eigenvectors after the first, which is constant, and some columns of their rotated unit rows, which
        come near to 0 and 1.
        """
        if self.vectors is not None and self.values is not None and self.rotation is not None:
            k = len(self.values)
            rotated = unit_rows(self.vectors) @ self.rotation
            before = [(f"eigenvector {i + 1}: λ = {self.values[i]:.2g}", i) for i in range(1, min(k, _SHOWN + 1))]
            return (
                *(Picture(title=title, values=self.picture(self.vectors[:, i])) for title, i in before),
                *(
                    Picture(title=f"rotated {i + 1}", values=self.picture(rotated[:, i]), low=0, high=1)
                    for i in range(min(k, _SHOWN))
                ),
            )
        cut = self.splits[-1][1] if self.splits else next((c for c in self.cuts if c is not None), None)
        if cut is None:
            return ()
        some = np.unique(np.linspace(0, len(cut.levels) - 1, _POINTS).round().astype(int))
        return (
            Picture(title="second eigenvector", values=self.picture(cut.vector, cut.members)),
            Curve(
                title="where to cut it",
                x=cut.levels[some],
                curves={"Ncut": cut.curve[some]},
                x_label="threshold",
                y_label="Ncut",
                marks={"cut": cut.threshold},
            ),
        )


@dataclass(frozen=True, kw_only=True)
class NormalizedCuts(Segmenter[NormalizedCutsState], name="normalized_cuts"):
    """Cut the graph of pixels or superpixels where the normalized cut is least.

    Minimizes Ncut = Σ_k cut(A_k, V − A_k) / assoc(A_k, V), approximately.

    Parameters
    ----------
    n_segments
        The number of segments K. None, in recursive mode: as many as ``threshold`` allows.
    mode
        ``"recursive"`` cuts the segment with the cheapest cut in two, again and again: a step is one cut.
        ``"kway"`` takes K eigenvectors together: a step is one rotation.
    threshold
        Recursive: make no cut in two that costs more, from 0 to 2. None: only ``n_segments`` counts.
    nodes
        ``"pixels"``, ``"superpixels"``, or ``"auto"``: pixels up to 10,000 of them.
    n_superpixels
        About so many, by SLIC.
    affinity
        Of what weights are made: ``"color"``, ``"contour"`` (the strongest edge between two nodes), or ``"both"``.
    sigma_color, sigma_edge
        Differences and edges of this size, in parts of black to white, lower a weight to 1/e. Lower is stricter.
    sigma_position
        So does this distance: in pixels, or in spacings of superpixels.
    radius
        Nodes are joined up to this distance, in the same units. Time and memory grow with its square.
    color_space
        Of the colors.
    max_iter
        k-way: so many rotations at most.
    seed
        Of the eigen-solver's first vector, and of the rotation's first row.

    Notes
    -----
    Every threshold of an eigenvector is tried; of equally good ones the lowest is taken, and of equally good segments
    to cut, the first. In recursive mode there are always ``n_segments`` segments if there are so many nodes and no
    ``threshold``; rotated labels may leave some of the K out. A segment need not be connected. A picture of one color
    is one segment, and the status is `Status.DEGENERATE`; so it is where there are fewer nodes than segments wanted.
    More superpixels follow contours better, and take longer.

    Affinities are computed where the picture is, in its precision; eigenvectors on the CPU in float64, by ARPACK
    through SciPy. Time is that of the eigenvectors: on N pixels about N^1.5, and 2 (K − 1) of them in recursive mode.

    Examples
    --------
    >>> from seglab.datasets import shapes
    >>> result = NormalizedCuts(n_segments=3).segment(shapes(height=48, width=64).image)
    >>> result.n_segments, str(result.status), len(result.state.splits)
    (3, 'converged', 2)
    """

    title = "Normalized cuts"
    objective_name = "normalized cut"

    n_segments: int | None = param(12, low=2, high=60, valid="[2, inf)", help="number of segments K")
    mode: Literal["recursive", "kway"] = param("recursive", help="one cut in two after another, or K ways at once")
    threshold: float | None = param(
        None, low=0.01, high=2, scale="log", valid="[0, inf)", help="no cut costs more", when={"mode": "recursive"}
    )
    nodes: Literal["auto", "pixels", "superpixels"] = param("auto", help="what the graph joins")
    n_superpixels: int = param(
        400,
        low=50,
        high=2000,
        scale="log",
        valid="[2, inf)",
        help="superpixels",
        when={"nodes": ("auto", "superpixels")},
    )
    affinity: Literal["both", "color", "contour"] = param("both", help="what joins two nodes")
    sigma_color: float = param(
        0.06,
        low=0.02,
        high=0.5,
        scale="log",
        valid="(0, inf)",
        help="difference in color that lowers a weight to 1/e; 1: black to white",
        when={"affinity": ("both", "color")},
    )
    sigma_edge: float = param(
        0.15,
        low=0.02,
        high=0.5,
        scale="log",
        valid="(0, inf)",
        help="strength of an edge that lowers a weight to 1/e; 1: black to white",
        when={"affinity": ("both", "contour")},
    )
    sigma_position: float = param(
        3.0, low=1, high=20, scale="log", valid="(0, inf)", unit="nodes", help="distance that lowers a weight to 1/e"
    )
    radius: float = param(4.0, low=1, high=10, valid="[1, inf)", unit="nodes", help="distance up to which nodes join")
    color_space: ColorSpace = param("lab", help="color space in which differences are measured")
    max_iter: int = param(50, low=1, high=100, valid="[1, inf)", help="rotations at most", when={"mode": "kway"})
    seed: int = param(0, low=0, high=20, valid="[0, inf)", help="seed of the eigen-solver and of the rotation")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_goal(self.n_segments, self.threshold, self.mode)

    def init(self, image: Tensor) -> NormalizedCutsState:
        """The graph; the whole picture as one segment with its best cut, or the eigenvectors and a first rotation."""
        nodes, affinity = self._graph(image)
        if bool((image == image[:, :1, :1]).all()):
            whole = np.zeros(affinity.shape[0], np.int64)
            return NormalizedCutsState(code=Status.DEGENERATE, nodes=nodes, affinity=affinity, assignment=whole)
        return self._start(nodes, affinity)

    def step(self, image: Tensor, state: NormalizedCutsState) -> NormalizedCutsState:
        """Make the cheapest cut; or rotate the eigenvectors to the labels, and label again."""
        return self._rotated(state) if state.rotation is not None else self._split(state)

    def _graph(self, image: Tensor) -> tuple[Tensor, sp.csr_array]:
        """The node of each pixel, and the affinity."""
        height, width = image.shape[1:]
        options: dict[str, Any] = {
            "radius": self.radius,
            "sigma_color": None if self.affinity == "contour" else self.sigma_color,
            "sigma_position": self.sigma_position,
            "sigma_edge": None if self.affinity == "color" else self.sigma_edge,
            "color_space": self.color_space,
        }
        if self.nodes == "pixels" or (self.nodes == "auto" and height * width <= _PIXELS):
            nodes = torch.arange(height * width, device=image.device).reshape(height, width)
            return nodes, pixel_affinity(image, **options)
        nodes = _superpixels(image, self.n_superpixels)
        return nodes, region_affinity(nodes, image, **options)

    def _start(self, nodes: Tensor, affinity: sp.csr_array) -> NormalizedCutsState:
        size = affinity.shape[0]
        members = np.arange(size)
        whole = NormalizedCutsState(nodes=nodes, affinity=affinity, assignment=np.zeros(size, np.int64))
        if self.mode == "recursive":
            cut = _bipartition(affinity, members, self.seed) if size > 1 else None
            return dataclasses.replace(whole, cuts=(cut,), code=self._code(1, (cut,)))
        k = self.n_segments or 0
        if size <= k:  # each node is a segment
            return dataclasses.replace(
                whole, assignment=members, code=Status.CONVERGED if size == k else Status.DEGENERATE
            )
        values, vectors = _eigenvectors(affinity, k, self.seed)
        rows = unit_rows(vectors)
        rotation = starting_rotation(rows, self.seed)
        return dataclasses.replace(
            whole, values=values, vectors=vectors, rotation=rotation, assignment=discrete(rows, rotation)
        )

    @classmethod
    def segment_each(
        cls, methods: Sequence[Any], image: Any, *, device: torch.device | str | None = None
    ) -> Iterator[Segmentation]:
        """As `Segmenter.segment_each`; recursive cuts into different numbers of segments are cut once."""
        picture = as_image(image, device=device)
        found: dict[Segmenter, Segmentation] = {}
        for method in methods:
            if method not in found:
                others = [other for other in methods if _shares(method, other)]
                found.update(_on_the_way(others, picture) if others else {method: method.segment(picture)})
            yield found[method]

    def _split(self, state: NormalizedCutsState) -> NormalizedCutsState:
        label = _cheapest(state.cuts)
        cut = state.cuts[label]
        assert cut is not None
        new = len(state.cuts)
        assignment = state.assignment.copy()
        assignment[cut.members[cut.side]] = new
        cuts = list(state.cuts)
        cuts[label], others = None, None
        if new + 1 != self.n_segments:  # otherwise these were the last, and no further cut is looked for
            cuts[label] = self._best(state.affinity, cut.members[~cut.side])
            others = self._best(state.affinity, cut.members[cut.side])
        return dataclasses.replace(
            state,
            n_iter=state.n_iter + 1,
            code=self._code(new + 1, (*cuts, others)),
            assignment=assignment,
            cuts=(*cuts, others),
            splits=(*state.splits, (label, cut)),
        )

    def _best(self, affinity: sp.csr_array, members: Array) -> Cut | None:
        if len(members) < 2:
            return None
        return _bipartition(affinity[members][:, members], members, self.seed)

    def _code(self, n_segments: int, cuts: Sequence[Cut | None]) -> Status:
        if n_segments == self.n_segments:
            return Status.CONVERGED
        costs = [cut.value for cut in cuts if cut is not None]
        if not costs:
            return Status.CONVERGED if self.n_segments is None else Status.DEGENERATE
        return Status.CONVERGED if self.threshold is not None and min(costs) > self.threshold else Status.RUNNING

    def _rotated(self, state: NormalizedCutsState) -> NormalizedCutsState:
        assert state.vectors is not None
        rows = unit_rows(state.vectors)
        rotation, distance = rotation_from(rows, state.assignment)
        assignment = discrete(rows, rotation)
        n_iter = state.n_iter + 1
        return dataclasses.replace(
            state,
            n_iter=n_iter,
            code=Status.after(n_iter, self.max_iter, bool((assignment == state.assignment).all())),
            assignment=assignment,
            rotation=rotation,
            distance=distance,
        )


def _shares(method: Any, other: Any) -> bool:
    """Whether the cuts of one are the first of the other's."""
    same = dataclasses.replace(method, n_segments=2) == dataclasses.replace(other, n_segments=2)
    return same and method.mode == "recursive" and method.n_segments is not None and other.n_segments is not None


def _on_the_way(methods: Sequence[Any], image: Tensor) -> dict[Segmenter, Segmentation]:
    """The segmentations of settings that differ in ``n_segments`` only, from one run to the largest."""
    last = max(methods, key=lambda method: method.n_segments)
    found: dict[Segmenter, Segmentation] = {}
    start = time.perf_counter()
    for state in last.steps(image):
        over = state.status is not Status.RUNNING
        for method in methods:
            if method not in found and (over or state.n_segments == method.n_segments):
                reached = state.n_segments == method.n_segments
                ended = dataclasses.replace(state, code=Status.CONVERGED) if reached else state
                seconds = time.perf_counter() - start
                found[method] = Segmentation(
                    labels=ended.labels, image=image, method=method, state=ended, seconds=seconds
                )
    return found


def normalized_cut(
    affinity: Any,
    n_segments: int | None = None,
    *,
    mode: Literal["recursive", "kway"] = "recursive",
    threshold: float | None = None,
    max_iter: int = 50,
    seed: int = 0,
) -> Tensor:
    """Cut any weighted graph: the segment of each node, (M,) int64 from 0.

    Parameters
    ----------
    affinity
        (M, M), see `as_affinity`: of superpixels by another library, of points, of anything.
    n_segments, mode, threshold, max_iter, seed
        As in `NormalizedCuts`.

    Examples
    --------
    >>> normalized_cut([[0, 9, 0, 0], [9, 0, 1, 0], [0, 1, 0, 9], [0, 0, 9, 0]], 2).tolist()
    [0, 0, 1, 1]
    """
    matrix = as_affinity(affinity)
    method = NormalizedCuts(n_segments=n_segments, mode=mode, threshold=threshold, max_iter=max_iter, seed=seed)
    state = method._start(torch.arange(matrix.shape[0])[None], matrix)
    while state.status is Status.RUNNING:
        state = method.step(torch.empty(0), state)
    return relabel(state.labels)[0]


def _check_goal(n_segments: int | None, threshold: float | None, mode: str) -> None:
    if n_segments is None and mode == "kway":
        raise ValueError('NormalizedCuts: mode="kway" needs n_segments, the number of ways')
    if n_segments is None and threshold is None:
        raise ValueError("NormalizedCuts: give n_segments, or a threshold (0.05, say) up to which cuts are made")


def _cheapest(cuts: Sequence[Cut | None]) -> int:
    """The first segment whose cut costs least."""
    return int(np.argmin([np.inf if cut is None else cut.value for cut in cuts]))


def _superpixels(image: Tensor, n: int) -> Tensor:
    """(H, W) int64: about ``n`` connected superpixels, 0 … M − 1."""
    from skimage.segmentation import slic

    found = slic(image.movedim(0, -1).cpu().double().numpy(), n, start_label=0, channel_axis=-1)
    return relabel(torch.from_numpy(found.astype(np.int64)).to(image.device))
