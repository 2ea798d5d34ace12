"""Normalized cuts: by hand, by plain loops, by trying every cut, beside SciPy, scikit-learn and scikit-image."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
import skimage.graph
import skimage.segmentation
import sklearn.cluster
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seglab import datasets
from seglab.image import to_color_space
from seglab.kernels import normalized_cuts as kernels
from seglab.labels import relabel
from seglab.methods import NormalizedCuts, NormalizedCutsState
from seglab.methods.normalized_cuts import (
    as_affinity,
    bipartition,
    discrete,
    edge_strength,
    eigenvectors,
    ncut_value,
    normalized_cut,
    pixel_affinity,
    region_affinity,
    rotation_from,
    starting_rotation,
    unit_rows,
)
from seglab.metrics import rand_index, region_benchmark, region_scores_of_hierarchy
from seglab.panels import Curve, Picture
from seglab.segmenter import Status

PATH = np.array([[0, 9, 0, 0], [9, 0, 1, 0], [0, 1, 0, 9], [0, 0, 9, 0.0]])


def random_graph(n: int, seed: int = 0, density: float = 0.5) -> np.ndarray:
    """A connected weighted graph: a random cycle and random further edges."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) * (rng.random((n, n)) < density), 1)
    walk = rng.permutation(n)
    upper[np.minimum(walk, np.roll(walk, 1)), np.maximum(walk, np.roll(walk, 1))] += 0.1
    np.fill_diagonal(upper, 0)
    return upper + upper.T


def clusters(sizes: tuple[int, ...], seed: int = 0, between: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Dense blocks, weakly joined: the affinity and the blocks, nodes in a random order."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    weights = rng.uniform(0.5, 1, (len(truth), len(truth))) * np.where(truth[:, None] == truth, 1, between)
    weights = np.triu(weights, 1)
    return weights + weights.T, truth


def same_partition(one: Any, other: Any) -> bool:
    one, other = (relabel(torch.as_tensor(np.asarray(x).reshape(1, -1).astype(np.int64))) for x in (one, other))
    return torch.equal(one, other)


def plain_ncut(affinity: np.ndarray, labels: np.ndarray) -> float:
    """The definition, one segment after another."""
    total = 0.0
    for k in set(labels.tolist()):
        inside = labels == k
        assoc = affinity[inside].sum()
        total += affinity[inside][:, ~inside].sum() / assoc if assoc > 0 else 0.0
    return total


def two_colors(height: int, width: int, split: int, noise: float = 0.0) -> Tensor:
    image = torch.full((3, height, width), 0.3)
    image[:, :, split:] = 0.6
    return (image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def small_photo(size: tuple[int, int] = (20, 30)) -> Tensor:
    return torch.nn.functional.interpolate(datasets.photo("chelsea")[None], size=size, mode="area")[0]


# ---- by hand ----------------------------------------------------------------------------------------------------


def test_four_nodes_by_hand() -> None:
    """Weights 9, 1, 9 along a path: cut in the middle, 1 / 19 + 1 / 19, not at an end, 9 / 9 + 9 / 29."""
    assert ncut_value(PATH, [0, 0, 1, 1]) == pytest.approx(2 / 19)
    assert ncut_value(PATH, [0, 1, 1, 1]) == pytest.approx(1 + 9 / 29)
    assert ncut_value(PATH, [0, 1, 2, 3]) == pytest.approx(4)
    assert ncut_value(PATH, [5, 5, 5, 5]) == 0
    cut = bipartition(PATH)
    assert cut.value == pytest.approx(2 / 19)
    assert cut.side.tolist() == [True, True, False, False]
    assert cut.curve == pytest.approx([1 + 9 / 29, 2 / 19, 1 + 9 / 29])
    assert cut.threshold == pytest.approx(0, abs=1e-12)
    assert (np.diff(cut.levels) > 0).all()


def test_weights_of_three_pixels_by_hand() -> None:
    image = torch.tensor([[[0.0, 0.3, 0.6]]], dtype=torch.float64)
    options: Any = {"color_space": "gray", "sigma_edge": None}
    w = pixel_affinity(image, radius=2, sigma_color=0.3, sigma_position=2.0, **options).toarray()
    near, far = np.exp(-1 - 1 / 4), np.exp(-4 - 4 / 4)
    np.testing.assert_allclose(w, [[0, near, far], [near, 0, near], [far, near, 0]], rtol=1e-6)
    w = pixel_affinity(image, radius=1, sigma_color=0.3, sigma_position=None, **options).toarray()
    np.testing.assert_allclose(w, np.exp(-1) * np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]), rtol=1e-6)


def test_a_picture_of_two_colors_is_cut_between_them() -> None:
    image = two_colors(9, 16, 5)
    for options in ({}, {"mode": "kway"}, {"nodes": "superpixels", "n_superpixels": 20}):
        result = NormalizedCuts(n_segments=2, **options).segment(image)  # type: ignore[arg-type]
        expected = torch.arange(16).ge(5).long().expand(9, 16)
        assert same_partition(result.labels, expected), options
        assert result.status is Status.CONVERGED


# ---- beside plain loops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_ncut_value_is_its_definition(seed: int) -> None:
    affinity = random_graph(15, seed)
    labels = np.random.default_rng(seed).integers(0, 4, 15)
    assert ncut_value(affinity, labels) == pytest.approx(plain_ncut(affinity, labels), rel=1e-12)
    with_loops = affinity + np.diag(np.arange(15.0))
    assert ncut_value(torch.from_numpy(with_loops), torch.from_numpy(labels)) == pytest.approx(
        plain_ncut(with_loops, labels), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_the_cut_at_every_threshold(seed: int) -> None:
    affinity = random_graph(30, seed) + np.diag(np.full(30, 0.2))
    cut = bipartition(affinity)
    plain = [plain_ncut(affinity, (cut.vector > level).astype(int)) for level in cut.levels]
    np.testing.assert_allclose(cut.curve, plain, rtol=1e-10)
    assert len(plain) == 29
    assert cut.value == pytest.approx(min(cut.curve), rel=1e-12)
    assert ncut_value(affinity, cut.side) == pytest.approx(cut.value, rel=1e-10)
    assert same_partition(cut.side, cut.vector > cut.threshold)


def test_faint_nodes_beside_heavy_ones_keep_their_digits() -> None:
    """Two nodes joined by 1e-20, and by 1e-21 each to a block of weight 10⁶: Ncut 2e-21 / 2.2e-20, nearly."""
    affinity = np.full((12, 12), 1e6)
    affinity[10:] = affinity[:, 10:] = 0
    affinity[10, 11] = affinity[11, 10] = 1e-20
    affinity[10, 0] = affinity[0, 10] = affinity[11, 1] = affinity[1, 11] = 1e-21
    np.fill_diagonal(affinity, 0)
    curve = kernels._sweep(sp.csr_array(affinity), affinity.sum(1), np.array([10, 11, *range(10)]))
    assert curve[0] == pytest.approx(1)
    assert curve[1] == pytest.approx(2 / 22)
    back = kernels._sweep(sp.csr_array(affinity), affinity.sum(1), np.array([*range(10), 11, 10]))
    np.testing.assert_allclose(back[::-1][:2], curve[:2])


@pytest.mark.parametrize("space", ["gray", "rgb", "lab"])
@pytest.mark.parametrize("radius", [1, 2.5, 5])
def test_pixel_affinity_is_a_loop_over_pairs(space: Any, radius: float) -> None:
    image = torch.rand(3, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    color = to_color_space(image, space) / (100 if space == "lab" else 1)
    edge = edge_strength(image, color_space=space)
    expected = np.zeros((42, 42))
    places = list(itertools.product(range(6), range(7)))
    for (i, (r, c)), (j, (s, d)) in itertools.combinations(enumerate(places), 2):
        if (s - r) ** 2 + (d - c) ** 2 > radius**2:
            continue
        n = max(abs(s - r), abs(d - c))
        line = [(int(np.floor((s - r) * t / n + 0.5)), int(np.floor((d - c) * t / n + 0.5))) for t in range(n + 1)]
        highest = max(float(edge[r + x, c + y]) for x, y in line)
        exponent = float((color[:, r, c] - color[:, s, d]).square().sum()) / 0.3**2
        exponent += ((s - r) ** 2 + (d - c) ** 2) / 3.0**2 + highest**2 / 0.5**2
        expected[i, j] = expected[j, i] = np.exp(-min(exponent, 20.0))
    got = pixel_affinity(
        image, radius=radius, sigma_color=0.3, sigma_position=3.0, sigma_edge=0.5, color_space=space
    ).toarray()
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert (expected > 1e-6).sum() > 42


def test_region_affinity_is_a_loop_over_pairs() -> None:
    image = datasets.photo("coffee")[:, ::8, ::8].double()
    labels = torch.arange(image.shape[1])[:, None] // 10 * 5 + torch.arange(image.shape[2])[None] // 15
    labels = relabel(labels)
    n = int(labels.max()) + 1
    lab = to_color_space(image, "lab") / 100
    color = [lab[:, labels == k].mean(1) for k in range(n)]
    center = [torch.nonzero(labels == k).double().mean(0) for k in range(n)]
    spacing = np.sqrt(labels.numel() / n)
    right, down = labels[:, :-1] != labels[:, 1:], labels[:-1] != labels[1:]
    touching = set(zip(labels[:, :-1][right].tolist(), labels[:, 1:][right].tolist(), strict=True))
    touching |= set(zip(labels[:-1][down].tolist(), labels[1:][down].tolist(), strict=True))
    edge = edge_strength(image)
    expected = np.zeros((n, n))
    for i, j in itertools.combinations(range(n), 2):
        away = float((center[i] - center[j]).norm()) / spacing
        if away > 1.5 and (i, j) not in touching:
            continue
        points = [center[i] + t * (center[j] - center[i]) for t in np.linspace(0, 1, 400)]
        highest = max(float(edge[int(r.round()), int(c.round())]) for r, c in points)
        exponent = float((color[i] - color[j]).square().sum()) / 0.2**2 + (away / 2) ** 2
        expected[i, j] = expected[j, i] = np.exp(-min(exponent + highest**2 / 0.8**2, 20))
    got = region_affinity(labels, image, radius=1.5, sigma_color=0.2, sigma_position=2.0, sigma_edge=0.8).toarray()
    assert ((got > 0) == (expected > 0)).all()
    np.testing.assert_allclose(got, expected, rtol=0.2)  # a line is sampled at other points
    without = region_affinity(labels, image, radius=1.5, sigma_color=0.2, sigma_position=2.0, sigma_edge=None).toarray()
    assert (without >= got).all()
    assert (without > 2 * got).any()


@pytest.mark.parametrize("size", [20, 61])
def test_a_contour_between_like_regions_parts_them_at_any_scale(size: int) -> None:
    """A dark line between two bright columns of regions; with large regions the picture is shrunk first."""
    image = torch.full((3, 6 * size, 6 * size), 0.7)
    image[:, :, 3 * size - size // 10 : 3 * size + size // 10] = 0.1
    cells = torch.arange(6 * size) // size
    labels = cells[:, None] * 6 + cells[None]
    w = region_affinity(labels, image, sigma_color=None, sigma_position=None, radius=2).toarray()
    column = np.arange(36) % 6
    apart = (column[:, None] <= 2) & (column[None] >= 3) & (w > 0)
    beside = (column[:, None] <= 2) & (column[None] <= 1) & (w > 0)
    assert apart.sum() > 20
    assert w[apart].max() < 1e-3
    assert w[beside].min() > 0.8


def test_an_edge_between_two_like_pixels_parts_them() -> None:
    image = torch.full((1, 9, 21), 0.5)
    image[:, :, 10] = 0.9
    options: Any = {"radius": 4, "sigma_color": None, "sigma_position": None, "color_space": "gray"}
    w = pixel_affinity(image, sigma_edge=0.1, **options).toarray()
    across, along = w[4 * 21 + 8, 4 * 21 + 12], w[4 * 21 + 3, 4 * 21 + 7]
    assert across < 1e-2
    assert along > 0.98


def test_edge_strength_is_the_height_of_a_step_and_does_not_turn() -> None:
    image = torch.rand(3, 11, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    edge = edge_strength(image, 1.3)
    torch.testing.assert_close(edge_strength(image.rot90(1, (1, 2)), 1.3), edge.rot90(1, (0, 1)))
    torch.testing.assert_close(edge_strength(image.flip(2), 1.3), edge.flip(1))
    step = torch.zeros(3, 20, 40, dtype=torch.float64)
    step[:, :, 20:] = 0.4
    peak = edge_strength(step, 3.0, "gray")
    assert float(peak.amax()) == pytest.approx(0.4, rel=0.03)
    assert int(peak[10].argmax()) in (19, 20)
    assert float(edge_strength(torch.full((3, 5, 5), 0.7)).amax()) < 1e-6


# ---- the eigenproblem -------------------------------------------------------------------------------------------


def solvers() -> list[Any]:
    """Graphs that take each of the ways: dense, factorized, by products, factorized when products have not arrived."""
    ring = sp.diags_array([np.full(599, 1.0), np.full(599, 1.0)], offsets=[1, -1], shape=(600, 600)).toarray()
    ring += 0.5 * np.random.default_rng(0).random((600, 600)) * (ring > 0)
    dense = random_graph(300, density=0.9)
    return [
        pytest.param(random_graph(40), id="dense"),
        pytest.param((ring + ring.T) / 2, id="factorized"),
        pytest.param(dense, id="products"),
        pytest.param(pixel_affinity(small_photo(), radius=4).toarray(), id="both"),
    ]


@pytest.mark.parametrize("affinity", solvers())
@pytest.mark.parametrize("n", [1, 2, 6])
def test_eigenvectors_are_those_of_a_dense_solver(affinity: np.ndarray, n: int) -> None:
    degree = np.diag(affinity.sum(1))
    values, vectors = eigenvectors(affinity, n)
    expected = scipy.linalg.eigh(degree - affinity, degree, subset_by_index=[0, n - 1])
    np.testing.assert_allclose(values, expected[0], atol=1e-9)
    np.testing.assert_allclose(vectors.T @ degree @ vectors, np.eye(n), atol=1e-6)
    agreement = np.abs(np.diag(vectors.T @ degree @ expected[1]))
    np.testing.assert_allclose(agreement, 1, atol=1e-5)
    assert (vectors[np.abs(vectors).argmax(0), np.arange(n)] > 0).all()
    assert np.ptp(vectors[:, 0]) == 0


def test_the_ways_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name in ("_densest", "splu", "_lanczos"):
        plain = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *a, name=name, plain=plain, **k: taken.append(name) or plain(*a, **k))
    ways = []
    for case in solvers():
        taken.clear()
        eigenvectors(case.values[0], 3)
        ways.append(list(taken))
    assert ways == [["_densest"], ["splu", "_lanczos"], ["_lanczos"], ["_lanczos", "splu", "_lanczos"]]


@pytest.mark.parametrize("n", [3, 13, 50])
def test_where_all_eigenvalues_are_equal(n: int) -> None:
    """A complete graph: λ = n / (n − 1), n − 1 times; LAPACK's search for a few of them finds too few for n = 13."""
    values, vectors = eigenvectors(np.ones((n, n)) - np.eye(n), n)
    np.testing.assert_allclose(values, [0, *[n / (n - 1)] * (n - 1)], atol=1e-9)
    np.testing.assert_allclose((n - 1) * vectors.T @ vectors, np.eye(n), atol=1e-9)
    assert 0 < bipartition(np.ones((n, n)) - np.eye(n)).side.sum() < n


@pytest.mark.parametrize("n", [1, 4])
def test_where_each_edge_joins_two_sides(n: int) -> None:
    """A complete graph between n and n nodes has λ = 2, as far up as eigenvalues go: all of them are found."""
    affinity = np.kron([[0, 1], [1, 0]], np.ones((n, n)))
    values, vectors = eigenvectors(affinity, 2 * n)
    np.testing.assert_allclose(values, [0, *[1] * (2 * n - 2), 2], atol=1e-9)
    np.testing.assert_allclose(n * vectors.T @ vectors, np.eye(2 * n), atol=1e-9)


def test_the_heaviest_component_counts_as_the_first_not_the_largest() -> None:
    affinity = np.zeros((6, 6))
    affinity[:4, :4] = PATH / 100
    affinity[4, 5] = affinity[5, 4] = 7.0
    assert (eigenvectors(affinity, 2)[1][:, 0] > 0).tolist() == [False] * 4 + [True] * 2
    assert bipartition(affinity).side.tolist() == [True] * 4 + [False] * 2


@pytest.mark.parametrize("blocks", [(5, 3), (6, 3, 2), (150, 120, 30)])
def test_components_have_eigenvalue_zero_each_and_are_cut_for_nothing(blocks: tuple[int, ...]) -> None:
    affinity, truth = clusters(blocks, between=0.0)
    c = len(blocks)
    values, vectors = eigenvectors(affinity, c + 1)
    assert values[:c].tolist() == [0] * c
    assert values[c] > 0.1
    for k in range(c):
        assert np.unique(vectors[:, k]).size == 2
        assert ((vectors[:, k] > 0) == (truth == k)).all()  # the heaviest first
    for mode in ("recursive", "kway"):
        labels = normalized_cut(affinity, c, mode=mode)  # type: ignore[arg-type]
        assert same_partition(labels, truth)
        assert ncut_value(affinity, labels) == 0
    cut = bipartition(affinity)
    assert cut.value == 0
    assert same_partition(cut.side, truth == 0)


def test_more_components_than_ways_are_grouped() -> None:
    affinity, truth = clusters((6, 5, 4, 3), between=0.0)
    for mode in ("recursive", "kway"):
        labels = normalized_cut(affinity, 2, mode=mode)  # type: ignore[arg-type]
        assert same_partition(labels, truth == 0)
        assert ncut_value(affinity, labels) == 0


def test_nodes_without_weight_are_cut_for_nothing() -> None:
    affinity = np.zeros((6, 6))
    affinity[:4, :4] = PATH
    assert ncut_value(affinity, [0, 0, 0, 0, 1, 2]) == 0
    assert bipartition(affinity).side.tolist() == [False] * 4 + [True] * 2
    assert same_partition(normalized_cut(affinity, 4), [0, 0, 1, 1, 2, 3])
    assert normalized_cut(np.zeros((5, 5)), 5).tolist() == [0, 1, 2, 3, 4]
    assert normalized_cut(np.zeros((5, 5)), 3, mode="kway").unique().tolist() == [0, 1, 2]
    assert normalized_cut([[0.0]], 2).tolist() == [0]


# ---- the best of all cuts ---------------------------------------------------------------------------------------


def best_two_way(affinity: np.ndarray) -> float:
    """The least normalized cut in two, by trying all."""
    n = len(affinity)
    return min(
        plain_ncut(affinity, np.array([0, *((code >> i) & 1 for i in range(n - 1))])) for code in range(1, 2 ** (n - 1))
    )


@pytest.mark.parametrize("seed", range(6))
def test_between_the_optimum_and_cheegers_bound(seed: int) -> None:
    """λ₂ ≤ min Ncut ≤ ours, and ours ≤ 2 √(2 λ₂): the best threshold's conductance is at most √(2 λ₂)."""
    affinity = random_graph(11, seed, 0.35)
    values, _ = eigenvectors(affinity, 2)
    optimum, ours = best_two_way(affinity), bipartition(affinity).value
    assert values[1] <= optimum * (1 + 1e-9)
    assert optimum <= ours * (1 + 1e-9)
    assert ours <= 2 * np.sqrt(2 * values[1])
    assert ours <= 1.15 * optimum


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["recursive", "kway"])
def test_well_separated_blocks_are_cut_best(seed: int, mode: Any) -> None:
    affinity, truth = clusters((5, 6), seed, between=0.1)
    labels = normalized_cut(affinity, 2, mode=mode)
    assert same_partition(labels, truth)
    assert ncut_value(affinity, labels) == pytest.approx(best_two_way(affinity))


@given(st.integers(4, 14), st.integers(2, 5), st.integers(0, 1000))
def test_no_partition_costs_less_than_the_sum_of_eigenvalues(n: int, k: int, seed: int) -> None:
    """Ky Fan: Ncut of any K segments ≥ the sum of the K smallest eigenvalues."""
    affinity = random_graph(n, seed, 0.4)
    k = min(k, n)
    values, _ = eigenvectors(affinity, k)
    for mode in ("recursive", "kway"):
        labels = normalized_cut(affinity, k, mode=mode).numpy()  # type: ignore[arg-type]
        m = len(set(labels.tolist()))
        assert ncut_value(affinity, labels) >= values[:m].sum() - 1e-9
    assert len(set(normalized_cut(affinity, k).tolist())) == k


# ---- beside scikit-learn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(20, 30), (15, 25, 35), (10, 12, 14, 16, 18)])
@pytest.mark.parametrize("mode", ["recursive", "kway"])
def test_separated_graphs_are_scikit_learns(sizes: tuple[int, ...], mode: Any) -> None:
    affinity, truth = clusters(sizes, seed=len(sizes), between=0.05)
    theirs = sklearn.cluster.spectral_clustering(
        affinity, n_clusters=len(sizes), assign_labels="discretize", random_state=0
    )
    ours = normalized_cut(affinity, len(sizes), mode=mode)
    assert same_partition(ours, theirs)
    assert same_partition(ours, truth)


def test_points_are_scikit_learns() -> None:
    x, _ = sklearn.datasets.make_moons(160, noise=0.04, random_state=0)
    affinity = np.exp(-((x[:, None] - x) ** 2).sum(2) / 0.15**2)
    np.fill_diagonal(affinity, 0)
    theirs = sklearn.cluster.spectral_clustering(affinity, n_clusters=2, assign_labels="discretize", random_state=0)
    assert same_partition(normalized_cut(affinity, 2), theirs)
    assert same_partition(normalized_cut(affinity, 2, mode="kway"), theirs)


# ---- beside scikit-image ----------------------------------------------------------------------------------------


def similarity_graph(image: Tensor, nodes: Tensor) -> tuple[Any, sp.csr_array]:
    """scikit-image's graph of regions, and its affinity with the weight 1 of each node to itself that it adds."""
    rag = skimage.graph.rag_mean_color((255 * image.movedim(0, -1).numpy()).round(), nodes.numpy(), mode="similarity")
    affinity = nx.to_scipy_sparse_array(rag, nodelist=range(len(rag)), weight="weight", format="csr")
    return rag, (affinity + sp.eye_array(len(rag))).tocsr()


def of_nodes(labels: np.ndarray, nodes: Tensor) -> np.ndarray:
    found = np.zeros(int(nodes.max()) + 1, np.int64)
    found[nodes.numpy().ravel()] = labels.ravel()
    return found


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_no_higher_than_scikit_images_on_its_own_graph(name: str) -> None:
    image = datasets.photo(name)[:, ::3, ::3]
    nodes = torch.from_numpy(
        skimage.segmentation.slic(image.movedim(0, -1).numpy(), 150, start_label=0).astype(np.int64)
    )
    rag, affinity = similarity_graph(image, nodes)
    theirs = of_nodes(skimage.graph.cut_normalized(nodes.numpy(), rag, rng=0), nodes)
    k = len(set(theirs.tolist()))
    ours = normalized_cut(affinity, max(k, 2))
    if k > 1:
        assert ncut_value(affinity, ours) <= ncut_value(affinity, theirs) * (1 + 1e-9) + 1e-12
    assert len(ours.unique()) == max(k, 2)


@pytest.mark.parametrize("step", [0.01, 0.03, 0.05])
def test_two_segments_where_scikit_image_gives_all_zeros(step: float) -> None:
    image = torch.full((3, 40, 60), 0.4)
    image[:, :, 25:] += step
    nodes = torch.arange(40)[:, None] // 5 * 12 + torch.arange(60)[None] // 5
    rag, affinity = similarity_graph(image, nodes)
    theirs = skimage.graph.cut_normalized(nodes.numpy(), rag, rng=0)
    assert not theirs.any()
    left = torch.arange(60).lt(25).expand(40, 60)
    for options in ({}, {"mode": "kway"}, {"nodes": "superpixels", "n_superpixels": 60}):
        result = NormalizedCuts(n_segments=2, sigma_color=0.02, sigma_edge=0.02, **options).segment(image)  # type: ignore[arg-type]
        assert result.n_segments == 2, options
        if step > 0.02:
            assert rand_index(left.long(), result.labels) > 0.97, options
    assert len(normalized_cut(affinity, 2).unique()) == 2


# ---- the recursive way ------------------------------------------------------------------------------------------


def last(method: NormalizedCuts, image: Tensor) -> NormalizedCutsState:
    return method.segment(image).state  # type: ignore[return-value]


def test_the_cheapest_cut_is_made_first_and_each_is_one_segment_more() -> None:
    image = datasets.photo("chelsea")[:, ::8, ::8]
    states = list(NormalizedCuts(n_segments=9).steps(image))
    assert [state.n_segments for state in states] == list(range(1, 10))
    for before, after in itertools.pairwise(states):
        label, cut = after.splits[-1]
        assert cut.value == min(c.value for c in before.cuts if c is not None)
        changed = before.assignment != after.assignment
        assert set(before.assignment[changed]) == {label}
        assert set(after.assignment[changed]) == {before.n_segments}
        assert after.objective >= before.objective
        inside = before.assignment == label
        sub = as_affinity(before.affinity[inside][:, inside])
        assert ncut_value(sub, after.assignment[inside]) == pytest.approx(cut.value, rel=1e-9)
    assert states[-1].objective == pytest.approx(ncut_value(states[-1].affinity, states[-1].assignment))


def test_fewer_segments_are_the_earlier_steps_and_the_hierarchys_cuts() -> None:
    image = datasets.photo("chelsea")[:, ::8, ::8]
    states = list(NormalizedCuts(n_segments=9).steps(image))
    tree = states[-1].hierarchy
    for n in (1, 2, 4, 9):
        assert same_partition(
            last(NormalizedCuts(n_segments=n), image).labels if n > 1 else states[0].labels, states[n - 1].labels
        )
        assert same_partition(tree.cut_to(n), states[n - 1].labels)


def test_a_threshold_ends_the_recursion() -> None:
    image = two_colors(12, 30, 11, noise=0.01)
    states = list(NormalizedCuts(n_segments=None, threshold=0.05).steps(image))
    assert states[-1].n_segments == 2
    assert states[-1].status is Status.CONVERGED
    assert all(cut is None or cut.value > 0.05 for cut in states[-1].cuts)
    assert all(cut.value <= 0.05 for _, cut in states[-1].splits)
    costly = last(NormalizedCuts(n_segments=None, threshold=1.2), image)
    assert costly.n_segments > 2
    assert last(NormalizedCuts(n_segments=3, threshold=1.2), image).n_segments == 3
    none = NormalizedCuts(n_segments=20, threshold=0).segment(image)
    assert none.n_segments == 1
    assert none.status is Status.CONVERGED


def test_too_few_nodes_and_one_color_are_degenerate() -> None:
    few = NormalizedCuts(n_segments=6).segment(torch.linspace(0, 1, 4).reshape(1, 2, 2))
    assert few.n_segments == 4
    assert few.status is Status.DEGENERATE
    for mode in ("recursive", "kway"):
        one = NormalizedCuts(n_segments=2, mode=mode).segment(torch.full((3, 7, 8), 0.3))  # type: ignore[arg-type]
        assert one.n_segments == 1
        assert one.status is Status.DEGENERATE
    assert NormalizedCuts(n_segments=2).segment(torch.rand(3, 1, 1)).n_segments == 1
    assert NormalizedCuts(n_segments=None, threshold=2).segment(torch.rand(3, 2, 2)).n_segments == 4


# ---- the k-way ---------------------------------------------------------------------------------------------------


def test_a_rotated_one_hot_is_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 50)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    rows = np.eye(4)[truth] @ turn
    assert same_partition(discrete(rows, starting_rotation(rows)), truth)
    rotation, distance = rotation_from(rows, truth)
    np.testing.assert_allclose(rotation, turn.T, atol=1e-12)
    assert distance == pytest.approx(0, abs=1e-9)


def test_vectors_of_different_lengths_are_rotated_alike() -> None:
    vectors = np.random.default_rng(0).standard_normal((30, 3))
    np.testing.assert_allclose(unit_rows(vectors * [1.0, 50.0, 0.01]), unit_rows(vectors))
    assert np.linalg.norm(unit_rows(vectors), axis=1) == pytest.approx(1)


def test_the_rotation_is_the_nearest_of_all() -> None:
    rng = np.random.default_rng(1)
    rows, labels = unit_rows(rng.standard_normal((30, 3))), rng.integers(0, 3, 30)
    rotation, distance = rotation_from(rows, labels)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert distance == pytest.approx(((np.eye(3)[labels] - rows @ rotation) ** 2).sum())
    for _ in range(200):
        other = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        assert ((np.eye(3)[labels] - rows @ other) ** 2).sum() >= distance


@pytest.mark.parametrize("n_segments", [2, 5, 12])
def test_the_distance_never_rises(n_segments: int) -> None:
    image = datasets.photo("coffee")[:, ::10, ::10]
    states = list(NormalizedCuts(n_segments=n_segments, mode="kway").steps(image))
    distances = [state.distance for state in states[1:]]
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(distances))  # type: ignore[operator]
    assert states[-1].status is Status.CONVERGED
    assert 2 <= states[-1].n_segments <= n_segments
    least = states[-1].values[: states[-1].n_segments].sum()  # type: ignore[index]
    assert states[-1].objective >= least - 1e-9, "no K segments cost less than the K smallest eigenvalues"


# ---- pictures ---------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(2, 7),
    st.sampled_from(["recursive", "kway"]),
    st.sampled_from(["pixels", "superpixels"]),
    st.sampled_from(["both", "color", "contour"]),
    st.integers(0, 10_000),
)
def test_every_pixel_has_one_of_the_labels(
    height: int, width: int, levels: int, n_segments: int, mode: Any, nodes: Any, affinity: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, levels, (3, height, width)) / max(levels - 1, 1)).float()
    method = NormalizedCuts(n_segments=n_segments, mode=mode, nodes=nodes, n_superpixels=20, affinity=affinity)
    result = method.segment(image)
    found = result.labels.unique().tolist()
    assert found == list(range(len(found)))
    assert result.labels.shape == (height, width)
    assert len(found) <= n_segments
    n_nodes = len(result.state.nodes.unique())  # type: ignore[attr-defined]
    if len(image.flatten(1).unique(dim=1)[0]) == 1:
        assert found == [0]
    elif n_nodes > 1:
        assert len(found) >= 2
        if mode == "recursive":
            assert len(found) == min(n_segments, n_nodes)
    assert 0 <= float(result.state.objective) <= len(found) + 1e-9  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["recursive", "kway"])
def test_a_scene_with_noise_is_found_on_pixels_and_on_superpixels(mode: Any) -> None:
    scene = datasets.shapes(height=60, width=80)
    n = int(scene.instances.max()) + 1
    for nodes in ("pixels", "superpixels"):
        result = NormalizedCuts(n_segments=n, mode=mode, nodes=nodes).segment(scene.image)  # type: ignore[arg-type]
        assert rand_index(scene.instances, result.labels) > 0.8, nodes


def test_flips_and_quarter_turns_make_no_difference() -> None:
    image = two_colors(20, 31, 12, noise=0.02)
    expected = NormalizedCuts(n_segments=2).segment(image).labels
    assert same_partition(NormalizedCuts(n_segments=2).segment(image.flip(1)).labels.flip(0), expected)
    turned = NormalizedCuts(n_segments=2).segment(image.rot90(1, (1, 2))).labels
    assert same_partition(turned.rot90(-1, (0, 1)), expected)


def test_large_pictures_are_cut_on_superpixels() -> None:
    image = datasets.photo("coffee")
    state = last(NormalizedCuts(n_segments=4, n_superpixels=100), image)
    assert 60 <= len(state.assignment) <= 150
    assert all((state.labels[state.nodes == k] == state.labels[state.nodes == k][0]).all() for k in range(0, 60, 7))
    assert len(last(NormalizedCuts(n_segments=2), image[:, ::5, ::5]).assignment) == image[0, ::5, ::5].numel()


# ---- what is shown, what is refused -----------------------------------------------------------------------------


def test_the_player_sees_the_eigenvector_and_where_it_was_cut() -> None:
    image = two_colors(12, 20, 9, noise=0.02)
    states = list(NormalizedCuts(n_segments=3).steps(image))
    vector, curve = states[1].panels(image)
    assert isinstance(vector, Picture)
    assert isinstance(curve, Curve)
    assert same_partition(vector.values > curve.marks["cut"], states[1].labels)
    inside = states[1].labels == states[1].labels[states[2].labels == 2][0]
    assert torch.equal(~states[2].panels(image)[0].values.isnan(), inside)
    assert torch.equal(states[0].panels(image)[0].values, vector.values)
    assert "2 segments" in states[1].describe()
    assert "Ncut" in states[1].describe()
    kway = last(NormalizedCuts(n_segments=3, mode="kway"), image)
    titles = [panel.title.split(":")[0] for panel in kway.panels(image)]
    assert titles == ["eigenvector 2", "eigenvector 3", "rotated 1", "rotated 2", "rotated 3"]
    rotated = torch.stack([panel.values for panel in kway.panels(image)[2:]])
    assert same_partition(rotated.argmax(0), kway.labels)
    assert last(NormalizedCuts(), torch.full((3, 4, 4), 0.5)).panels(image) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_segments": None, "mode": "kway"}, "needs n_segments"),
        ({"n_segments": None}, "threshold"),
        ({"n_segments": 1}, "n_segments"),
        ({"radius": 0.5}, "radius"),
        ({"mode": "twice"}, "mode"),
    ],
)
def test_wrong_parameters_get_one_clear_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NormalizedCuts(**options)


@pytest.mark.parametrize(
    ("affinity", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.zeros((0, 0)), "square"),
        (np.ones(4), "square"),
        ([[0, 1], [2, 0]], "symmetric"),
        ([[0, -1], [-1, 0]], "negative"),
        ([[0, np.nan], [np.nan, 0]], "finite"),
    ],
)
def test_what_is_no_affinity_is_refused(affinity: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        normalized_cut(affinity, 2)


def test_other_wrong_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="4 nodes"):
        ncut_value(PATH, [0, 1])
    with pytest.raises(ValueError, match="n=5"):
        eigenvectors(PATH, 5)
    with pytest.raises(ValueError, match="one node"):
        bipartition([[1.0]])


# ---- real photographs -------------------------------------------------------------------------------------------


@pytest.mark.data
def test_photographs_are_covered_as_published(seglab_data: Path) -> None:
    """Ten pictures for tuning: far above a quad-tree's published covering of .32, and about the published .45."""
    pictures = datasets.BSDS500("val", root=seglab_data)[:100:10]
    numbers = (3, 5, 8, 12, 20, 40)
    scores = []
    for picture in pictures:
        tree = last(NormalizedCuts(n_segments=max(numbers)), picture.image).hierarchy
        scores.append(region_scores_of_hierarchy(picture.segmentations, tree, [1 / n for n in numbers]))
    table = region_benchmark(scores)
    assert table.covering.ods > 0.42
    assert table.covering.ois > 0.49
    assert table.rand.ods > 0.75
    assert table.information.ods < 2.4


@pytest.mark.parametrize("seed", range(5))
def test_long_eigenvectors_do_not_outvote_the_others(seed: int) -> None:
    affinity = pixel_affinity(datasets.photo("rocket", max_side=48))
    labels = normalized_cut(affinity, 12, mode="kway", seed=seed)
    _, vectors = eigenvectors(affinity, 12)
    theirs = sklearn.cluster._spectral.discretize(vectors, random_state=seed)
    assert ncut_value(affinity, labels) <= 1.1 * ncut_value(affinity, theirs)
    lengths = np.linalg.norm(vectors, axis=0)
    assert lengths.max() > 3 * lengths.min(), "otherwise this tests nothing"
