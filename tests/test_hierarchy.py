"""Trees of merges: cuts held against SciPy's, contour maps against the labelling that defines them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.cluster import hierarchy as scipy_hierarchy

from seglab import hierarchy as module
from seglab.hierarchy import Hierarchy
from seglab.labels import adjacency, connected_components, count_labels, relabel


def tensor(values, dtype=torch.int64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def from_scipy(n: int, seed: int = 0, method: str = "average") -> tuple[Hierarchy, np.ndarray]:
    """A tree over one row of leaves, and the linkage matrix that it is."""
    matrix = scipy_hierarchy.linkage(np.random.default_rng(seed).random((n, 2)).round(1), method)
    merges, heights = torch.from_numpy(matrix[:, :2]).long(), torch.from_numpy(matrix[:, 2])
    return Hierarchy(leaves=torch.arange(n)[None], merges=merges, heights=heights), matrix


def test_cuts_by_hand():
    #   leaves 0 1 2 3: 2+3 at 0.1 -> 4, 0+1 at 0.3 -> 5, 4+5 at 0.3 -> 6
    tree = Hierarchy(
        leaves=tensor([[0, 1, -1], [2, 3, 3]]),
        merges=tensor([[2, 3], [0, 1], [4, 5]]),
        heights=tensor([0.1, 0.3, 0.3], torch.float64),
    )
    assert tree.n_leaves == 4
    assert tree.levels.tolist() == [0.1, 0.3]
    assert tree.cut(0).tolist() == [[0, 1, -1], [2, 3, 3]]
    assert tree.cut(0.1).tolist() == [[0, 1, -1], [2, 2, 2]]
    assert tree.cut(0.29).tolist() == [[0, 1, -1], [2, 2, 2]]
    assert tree.cut(0.3).tolist() == [[0, 0, -1], [0, 0, 0]]
    assert tree.cut_to(2).tolist() == [[0, 0, -1], [1, 1, 1]]  # equal heights in their order
    assert tree.cut_to(9).tolist() == tree.cut(-1).tolist() == tree.leaves.tolist()
    assert tree.cut_to(1).tolist() == tree.cut(torch.inf).tolist()
    assert repr(tree) == "<Hierarchy 2×3: 4 leaves, 3 merges at 2 heights>"
    with pytest.raises(ValueError, match="at least 1"):
        tree.cut_to(0)


@pytest.mark.parametrize("method", ["single", "complete", "average", "ward"])
@pytest.mark.parametrize("n", [2, 3, 30, 200])
def test_cuts_are_those_of_scipy(n, method):
    tree, matrix = from_scipy(n, method=method)
    for height in [-1, 0, *np.unique(matrix[:, 2]), *np.linspace(0, matrix[-1, 2], 9), 99]:
        flat = scipy_hierarchy.fcluster(matrix, height, "distance") if height >= 0 else np.arange(n)
        assert torch.equal(tree.cut(height)[0], relabel(torch.from_numpy(flat[None].astype(np.int64)))[0])
    for k in range(1, n + 1):
        assert count_labels(tree.cut_to(k)) == k


@pytest.mark.parametrize("n", [2, 3, 30, 120])
def test_merge_heights_are_scipys_cophenetic_distances(n):
    for seed, method in ((0, "single"), (1, "average")):
        tree, matrix = from_scipy(n, seed, method)
        pairs = torch.combinations(torch.arange(n))
        expected = torch.from_numpy(scipy_hierarchy.cophenet(matrix))
        torch.testing.assert_close(tree.merge_heights(pairs), expected, rtol=0, atol=0)
    itself = torch.arange(n)[:, None].expand(-1, 2)
    assert tree.merge_heights(itself).tolist() == [0] * n


def test_a_chain_of_thousands_of_merges():
    n = 5000  # the deepest tree: each leaf joins all those before it
    merges = torch.stack([torch.cat([tensor([0]), n + torch.arange(n - 2)]), torch.arange(1, n)], dim=1)
    tree = Hierarchy(leaves=torch.arange(n).reshape(50, 100), merges=merges, heights=torch.arange(n - 1).double())
    assert tree.cut(998).flatten().tolist() == [0] * 1000 + list(range(1, n - 999))
    pairs = torch.randint(0, n, (500, 2), generator=torch.Generator().manual_seed(0))
    expected = torch.where(pairs[:, 0] == pairs[:, 1], 0, pairs.max(1).values - 1)
    assert torch.equal(tree.merge_heights(pairs), expected.double())


def test_a_forest_ends_in_several_segments():
    tree = Hierarchy(leaves=tensor([[0, 1, 2, 3]]), merges=tensor([[0, 1]]), heights=tensor([0.5], torch.float32))
    assert tree.cut(9).tolist() == [[0, 0, 1, 2]]
    assert tree.cut_to(1).tolist() == [[0, 0, 1, 2]]
    assert tree.merge_heights(tensor([[0, 1], [1, 2], [2, 3]])).tolist() == [0.5, torch.inf, torch.inf]
    assert tree.contours()[1].tolist() == [0, 0, 0.5, 0, torch.inf, 0, torch.inf, 0, 0]


def test_one_leaf_and_none():
    no_merges, no_heights = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    one = Hierarchy(leaves=tensor([[0, 0]]), merges=no_merges, heights=no_heights)
    assert one.cut(1).tolist() == one.cut_to(3).tolist() == [[0, 0]]
    assert one.contours().abs().max() == 0
    none = Hierarchy(leaves=tensor([[-1, -1]]), merges=no_merges, heights=no_heights)
    assert none.cut(1).tolist() == none.cut_to(3).tolist() == [[-1, -1]]
    assert none.n_leaves == 0


@pytest.mark.parametrize(
    ("leaves", "merges", "heights", "message"),
    [
        pytest.param([[0, 2]], [[0, 1]], [1.0], "without gaps", id="gap"),
        pytest.param([[0, 1, 2]], [[0, 1], [3, 2]], [1.0, 0.5], "must not fall", id="falling"),
        pytest.param([[0, 1, 2]], [[0, 1], [3, 2]], [1.0, np.nan], "must not fall", id="NaN"),
        pytest.param([[0, 1, 2]], [[0, 1], [4, 2]], [1.0, 2.0], "made before", id="from the future"),
        pytest.param([[0, 1, 2]], [[0, -1]], [1.0], "made before", id="negative"),
        pytest.param([[0, 1, 2]], [[0, 1], [1, 2]], [1.0, 2.0], "once only", id="twice"),
        pytest.param([[0, 1, 2]], [[0, 0]], [1.0], "once only", id="with itself"),
        pytest.param([[0, 1, 2]], [[0, 1, 2]], [1.0], r"\(E, 2\)", id="three"),
        pytest.param([[0, 1, 2]], [[0, 1]], [1.0, 2.0], r"\(E, 2\)", id="lengths"),
    ],
)
def test_refuses_what_is_no_tree(leaves, merges, heights, message):
    with pytest.raises(ValueError, match=message):
        Hierarchy(leaves=tensor(leaves), merges=tensor(merges), heights=tensor(heights, torch.float64))


# ---- from edges -------------------------------------------------------------------------------------------------

edge_lists = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 5)), max_size=25)


@given(edge_lists)
def test_from_edges_is_single_linkage(edges):
    leaves = torch.arange(8).reshape(2, 4)
    tree = Hierarchy.from_edges(leaves, [(a, b) for a, b, _ in edges], [h for _, _, h in edges])
    for height in range(-1, 6):
        group = list(range(8))
        for a, b, h in edges:  # joined wherever an edge at or below the height leads
            if h <= height:
                group = [group[a] if g == group[b] else g for g in group]
        assert torch.equal(tree.cut(height), relabel(tensor(group).reshape(2, 4)))


def test_from_edges_is_scipys_single_linkage():
    points = np.random.default_rng(0).random((40, 2))
    matrix = scipy_hierarchy.linkage(points, "single")
    i, j = np.triu_indices(40, 1)
    edges, lengths = np.stack([i, j], 1), np.linalg.norm(points[i] - points[j], axis=1)
    order = np.random.default_rng(1).permutation(len(edges))
    tree = Hierarchy.from_edges(np.arange(40)[None], edges[order], lengths[order])
    np.testing.assert_allclose(tree.heights.numpy(), matrix[:, 2])
    assert torch.equal(
        tree.cut(0.1)[0], relabel(torch.from_numpy(scipy_hierarchy.fcluster(matrix, 0.1, "distance")[None]).long())[0]
    )


def test_from_edges_takes_a_record_of_merges_and_keeps_the_precision():
    heights = torch.tensor([0.07, 0.1], dtype=torch.float32)
    tree = Hierarchy.from_edges([[0, 1, 2]], [[1, 2], [0, 2]], heights)
    assert tree.merges.tolist() == [[1, 2], [0, 3]] or tree.merges.tolist() == [[1, 2], [3, 0]]
    assert tree.heights.dtype == torch.float32
    assert tree.cut(0.07).tolist() == [[0, 1, 1]]  # 0.07 is larger in float32 than in float64
    assert tree.cut(0.0699).tolist() == [[0, 1, 2]]


def test_the_compiled_loop_does_what_python_does():
    rng = np.random.default_rng(0)
    edges, node = rng.integers(0, 50, (200, 2)), np.where(np.arange(50) < 30, np.arange(50), -1)
    fast = module._compiled()(edges, node.copy())
    slow = module._link_loop(edges, node.copy())
    assert len(slow[0]) == 29
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- contour maps -----------------------------------------------------------------------------------------------


def directly(ucm: np.ndarray, height: float) -> torch.Tensor:
    """The regions at a height as the Berkeley benchmark reads them."""
    regions, _ = ndimage.label(ucm <= height, np.ones((3, 3)))
    return relabel(torch.from_numpy(regions[1::2, 1::2].astype(np.int64)))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([2, 4, 100]))
def test_cuts_of_any_contour_map_are_its_labelling(h, w, seed, n_levels):
    # Not only ultrametric ones: whatever values lie between the pixels and on the border.
    rng = np.random.default_rng(seed)
    ucm = rng.integers(0, n_levels, (2 * h + 1, 2 * w + 1)) / n_levels
    ucm[1::2, 1::2] = 0
    tree = Hierarchy.from_contours(ucm)
    for height in [0.0, *np.unique(ucm), *(np.unique(ucm) - 1e-9)[1:], 1.0]:
        assert torch.equal(tree.cut(height), directly(ucm, height))
    # its own contours are an ultrametric map with the same cuts
    own = tree.contours()
    assert own.shape == ucm.shape
    again = Hierarchy.from_contours(own)
    for height in np.unique(ucm):
        assert torch.equal(again.cut(height), tree.cut(height))
    assert torch.equal(again.contours(), own)


def test_contours_by_hand():
    tree = Hierarchy(
        leaves=tensor([[0, 1], [0, 2]]), merges=tensor([[1, 2], [0, 3]]), heights=tensor([0.25, 0.5], torch.float64)
    )
    assert tree.contours().tolist() == [
        [0, 0, 0.5, 0, 0],
        [0, 0, 0.5, 0, 0],
        [0, 0, 0.5, 0.25, 0.25],
        [0, 0, 0.5, 0, 0],
        [0, 0, 0.5, 0, 0],
    ]


def test_contours_lie_between_the_segments_of_each_cut():
    labels = connected_components(torch.randint(0, 3, (9, 11), generator=torch.Generator().manual_seed(0)))
    graph = adjacency(labels)
    tree = Hierarchy.from_edges(labels, graph.edges, torch.arange(len(graph.edges)) % 17)
    ucm = tree.contours()
    for height in range(17):
        cut = tree.cut(height)
        assert torch.equal(ucm[1::2, 2:-1:2] > height, cut[:, 1:] != cut[:, :-1])
        assert torch.equal(ucm[2:-1:2, 1::2] > height, cut[1:] != cut[:-1])
        assert torch.equal(cut, connected_components(cut))


def test_contours_around_unassigned_pixels_are_infinite():
    tree = Hierarchy.from_edges(tensor([[0, -1, -1, 1]]), [[0, 1]], [0.5])
    assert tree.contours()[1].tolist() == [0, 0, torch.inf, 0, 0, 0, torch.inf, 0, 0]


@pytest.mark.parametrize(
    ("ucm", "message"),
    [
        pytest.param(np.zeros((4, 5)), "double size", id="even"),
        pytest.param(np.zeros((1, 5)), "double size", id="one row"),
        pytest.param(np.zeros((5, 5, 1)), "double size", id="3-D"),
        pytest.param(np.full((5, 5), 0.5), "are 0; these are not", id="pixels"),
        pytest.param(np.full((5, 5), -0.5), "negative", id="negative"),
        pytest.param(np.full((5, 5), np.nan), "NaN", id="NaN"),
    ],
)
def test_from_contours_refuses_other_maps(ucm, message):
    with pytest.raises(ValueError, match=message):
        Hierarchy.from_contours(ucm)


@pytest.mark.data
@pytest.mark.parametrize("name", ["2018", "3063", "5096", "6046", "8068"])
def test_the_authors_contour_maps(name, seglab_data):
    from scipy.io import loadmat

    ucm = loadmat(seglab_data / f"BSDS500/bench/data/ucm2/{name}.mat")["ucm2"]
    tree = Hierarchy.from_contours(ucm)
    values = np.unique(ucm)
    for height in [*np.arange(1, 100, 7) / 100, *values[:: len(values) // 12], values[-1]]:
        assert torch.equal(tree.cut(height), directly(ucm, height))
    assert count_labels(tree.cut(1)) == 1
    np.testing.assert_array_equal(tree.contours().numpy(), ucm)  # to the bit


@pytest.mark.gpu
def test_gives_the_same_on_a_gpu():
    leaves = torch.arange(200).reshape(10, 20)
    graph = adjacency(leaves)
    heights = torch.arange(len(graph.edges)) % 31
    here = Hierarchy.from_edges(leaves, graph.edges, heights)
    there = Hierarchy.from_edges(leaves.cuda(), graph.edges.cuda(), heights.cuda())
    assert torch.equal(there.contours().cpu(), here.contours())
    for height in (0, 10, 20, 30):
        assert torch.equal(there.cut(height).cpu(), here.cut(height))
    ucm = here.contours()
    assert torch.equal(Hierarchy.from_contours(ucm.cuda()).cut(9).cpu(), here.cut(9))
