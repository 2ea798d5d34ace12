"""Region graphs and hierarchical merging: by hand, by plain loops, beside scikit-image, scikit-learn and SciPy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import skimage.graph
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.image import grid_to_graph
from torch import Tensor

from seglab import datasets
from seglab.hierarchy import Hierarchy
from seglab.image import rgb_to_lab
from seglab.kernels import _merging_loops as loops
from seglab.labels import adjacency, connected_components, count_labels, neighbor_views, relabel
from seglab.metrics import variation_of_information
from seglab.region_graph import Criterion, merge_hierarchical, region_graph

CRITERIA = get_args(Criterion)


def random_case(height: int = 10, width: int = 12, n: int = 9, seed: int = 0, channels: int = 3) -> tuple[Tensor, ...]:
    """Labels of ``n`` Voronoi cells, a picture without ties, and a strength."""
    g = torch.Generator().manual_seed(seed)
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).float()
    sites = torch.rand(n, 2, generator=g) * torch.tensor([height, width])
    labels = relabel(torch.cdist(places, sites).argmin(1).reshape(height, width))
    image = torch.rand(channels, height, width, generator=g) * 0.4
    image += torch.rand(channels, n, generator=g)[:, labels] * 0.6
    return labels, image, torch.rand(height, width, generator=g)


def pixels_apart(height: int, width: int) -> Tensor:
    return torch.arange(height * width).reshape(height, width)


def contacts(labels: np.ndarray, connectivity: int) -> dict[tuple[int, int], list[tuple[tuple, tuple]]]:
    """For each pair of regions i < j, the pairs of pixels on both sides of their boundary."""
    found: dict[tuple[int, int], list[tuple[tuple, tuple]]] = {}
    for p in np.ndindex(*labels.shape):
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1))[: connectivity // 2]:
            q = p[0] + down, p[1] + right
            if q[0] < labels.shape[0] and 0 <= q[1] < labels.shape[1]:
                a, b = int(labels[p]), int(labels[q])
                if a != b and min(a, b) >= 0:
                    found.setdefault((min(a, b), max(a, b)), []).append((p, q))
    return dict(sorted(found.items()))


def cost(criterion: str, pair: tuple[int, int], pairs: list, labels: np.ndarray, x: np.ndarray, s: Any) -> float:
    """The definition, from the pixels themselves; x is (H, W, C)."""
    a, b = (x[labels == region] for region in pair)
    if criterion == "color":
        return float(np.linalg.norm(a.mean(0) - b.mean(0)))
    if criterion == "boundary":
        return float(np.mean([np.linalg.norm(x[p] - x[q]) if s is None else (s[p] + s[q]) / 2 for p, q in pairs]))
    both = np.concatenate([a, b])
    ward = sum(sign * ((y - y.mean(0)) ** 2).sum() for y, sign in ((both, 1), (a, -1), (b, -1)))
    return float(ward / len(pairs) if criterion == "mumford_shah" else ward)


def naive_merging(criterion: str, labels: Tensor, image: Tensor, strength: Any, connectivity: int) -> list:
    """All label maps from the first to the last, and what each merge costs, everything computed anew each time."""
    now, x = labels.numpy().copy(), image.movedim(0, -1).double().numpy()
    maps, costs = [now.copy()], []
    while pairs := contacts(now, connectivity):
        weights = {pair: cost(criterion, pair, where, now, x, strength) for pair, where in pairs.items()}
        i, j = min(weights, key=weights.__getitem__)
        costs.append(weights[i, j])
        now[now == j] = i
        maps.append(now.copy())
    return [maps, costs]


# ---- by hand ----------------------------------------------------------------------------------------------------

LABELS = torch.tensor([[0, 0, 1], [2, 2, 1]])
GRAY = torch.tensor([[[0.0, 0.2, 0.8], [0.2, 0.6, 1.0]]])  # means 0.1, 0.9, 0.4


def test_a_graph_by_hand() -> None:
    graph = region_graph(LABELS, GRAY)
    assert graph.n_regions == 3
    assert graph.edges.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert graph.lengths.tolist() == [1, 2, 1]
    assert graph.sizes.tolist() == [2, 2, 2]
    assert graph.centroids.tolist() == [[0, 0.5], [0.5, 2], [1, 0.5]]
    assert graph.colors.flatten().tolist() == pytest.approx([0.1, 0.9, 0.4], abs=1e-6)
    assert graph.differences.tolist() == pytest.approx([0.8, 0.3, 0.5], abs=1e-6)
    assert graph.strengths.tolist() == pytest.approx([0.6, 0.3, 0.4], abs=1e-6)  # |.2 − .8|; |0 − .2|, |.2 − .6|; …
    given_map = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    assert region_graph(LABELS, GRAY, strength=given_map).strengths.tolist() == [1.5, 2.0, 4.5]
    assert region_graph(LABELS, GRAY, connectivity=8).lengths.tolist() == [2, 4, 2]


@pytest.mark.parametrize(
    ("criterion", "heights"),
    [
        ("color", [0.3, 0.65]),  # 0 with 2, mean .25; then .9 − .25
        ("ward", [0.09, 0.563333]),  # 2·2/4 · .3²; 4·2/6 · .65²
        ("mumford_shah", [0.045, 0.281667]),  # over 2 pairs of pixels; over 2
        ("boundary", [0.3, 0.5]),  # then the mean of .6 and .4, one pair each
    ],
)
def test_merges_by_hand(criterion: Criterion, heights: list[float]) -> None:
    tree = merge_hierarchical(LABELS, GRAY, criterion)
    assert tree.merges.tolist() == [[0, 2], [3, 1]]
    assert tree.heights.tolist() == pytest.approx(heights, abs=1e-5)
    assert tree.cut_to(2).tolist() == [[0, 0, 1], [0, 0, 1]]


def test_a_merge_that_costs_less_than_one_before_comes_at_its_height() -> None:
    """Colors (0, 0), (1, 0), (.5, .9): the first two are 1 apart, the third 1.03 from both, and .9 from their mean."""
    labels = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 2]])
    image = torch.zeros(2, 2, 4)
    image[0, labels == 1], image[0, labels == 2], image[1, labels == 2] = 1.0, 0.5, 0.9
    tree = merge_hierarchical(labels, image, "color")
    assert tree.merges.tolist() == [[0, 1], [3, 2]]
    assert tree.heights.tolist() == pytest.approx([1.0, 1.0])
    assert count_labels(tree.cut(0.95)) == 3
    assert count_labels(tree.cut(1.0)) == 1


# ---- plain loops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("with_strength", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_attributes_are_their_definitions(connectivity: Any, with_strength: bool, seed: int) -> None:
    labels, image, strength = random_case(seed=seed)
    labels[3:6, 4:7] = -1
    labels = relabel(labels)
    along = strength if with_strength else None
    graph = region_graph(labels, image, strength=along, connectivity=connectivity)
    expected = contacts(labels.numpy(), connectivity)
    x = image.movedim(0, -1).double().numpy()
    assert graph.edges.tolist() == [list(pair) for pair in expected]
    assert graph.lengths.tolist() == [len(pairs) for pairs in expected.values()]
    for name, values in (("color", graph.differences), ("boundary", graph.strengths)):
        of_pixels = None if along is None else along.double().numpy()
        by_hand = [cost(name, pair, pairs, labels.numpy(), x, of_pixels) for pair, pairs in expected.items()]
        assert values.tolist() == pytest.approx(by_hand, abs=1e-6)
    for region, center in enumerate(graph.centroids.tolist()):
        assert center == pytest.approx(np.argwhere(labels.numpy() == region).mean(0).tolist())
    touching = adjacency(labels, connectivity)
    assert torch.equal(graph.edges, touching.edges)
    assert torch.equal(graph.lengths, touching.lengths)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_merging_is_a_plain_loop(criterion: Criterion, connectivity: Any, seed: int) -> None:
    labels, image, strength = random_case(n=14, seed=seed)
    along = strength if seed % 2 else None
    maps, costs = naive_merging(
        criterion, labels, image, None if along is None else along.double().numpy(), connectivity
    )
    tree = merge_hierarchical(labels, image, criterion, strength=along, connectivity=connectivity)
    assert len(tree.merges) == len(costs)
    assert tree.heights.tolist() == pytest.approx(np.maximum.accumulate(costs).tolist(), rel=1e-4, abs=1e-6)
    for k, expected in enumerate(maps):
        assert torch.equal(tree.cut_to(tree.n_leaves - k), relabel(torch.from_numpy(expected)))


@settings(max_examples=25)
@given(st.integers(2, 9), st.integers(2, 9), st.sampled_from(CRITERIA), st.integers(0, 999))
def test_pixels_of_a_few_levels_end_in_one_region_and_every_cut_costs_more(h: int, w: int, criterion: Any, seed: int):
    """With ties. At a cut at t, there is no pair left that costs t or less to join."""
    image = torch.randint(0, 4, (1, h, w), generator=torch.Generator().manual_seed(seed)) / 4.0
    tree = merge_hierarchical(pixels_apart(h, w), image, criterion)
    assert len(tree.merges) == h * w - 1
    x = image.movedim(0, -1).double().numpy()
    for height in tree.levels.tolist()[:4]:
        cut = tree.cut(height).numpy()
        for pair, pairs in contacts(cut, 4).items():
            assert cost(criterion, pair, pairs, cut, x, None) > height - 1e-9


# ---- scikit-image -----------------------------------------------------------------------------------------------


def as_array(image: Tensor) -> np.ndarray:
    return image.movedim(0, -1).double().numpy()


@pytest.mark.parametrize("connectivity", [4, 8])
def test_differences_and_threshold_are_scikit_images(connectivity: Any) -> None:
    labels, image, _ = random_case(30, 40, 60)
    theirs = skimage.graph.rag_mean_color(as_array(image), labels.numpy(), connectivity=connectivity // 4)
    graph = region_graph(labels, image, connectivity=connectivity)
    assert {tuple(edge) for edge in graph.edges.tolist()} == {(min(e), max(e)) for e in theirs.edges}
    expected = [theirs.edges[i, j]["weight"] for i, j in graph.edges.tolist()]
    np.testing.assert_allclose(graph.differences.numpy(), expected, atol=1e-6)
    counts = []
    for threshold in (0.05, 0.15, 0.3):
        flat = skimage.graph.cut_threshold(labels.numpy(), theirs, threshold, in_place=False)
        ours = graph.join(graph.differences < threshold)
        assert torch.equal(ours, relabel(torch.from_numpy(flat.astype(np.int64))))
        single = Hierarchy.from_edges(labels, graph.edges, graph.differences)
        assert torch.equal(ours, single.cut(threshold))
        counts.append(count_labels(ours))
    assert counts[0] > counts[1] > counts[2]


def test_strength_along_straight_boundaries_is_scikit_images() -> None:
    """It counts the pixels at a boundary, each once, ours the pairs of pixels: the same where no boundary turns."""
    labels = torch.arange(4).repeat_interleave(5).expand(12, 20)
    strength = torch.rand(12, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = skimage.graph.rag_boundary(labels.numpy(), strength.numpy(), connectivity=1)
    graph = region_graph(labels, torch.zeros(1, 12, 20), strength=strength)
    expected = [theirs.edges[i, j]["weight"] for i, j in graph.edges.tolist()]
    np.testing.assert_allclose(graph.strengths.numpy(), expected, atol=1e-6)


def join_colors(graph: Any, src: int, dst: int) -> None:
    graph.nodes[dst]["total color"] += graph.nodes[src]["total color"]
    graph.nodes[dst]["pixel count"] += graph.nodes[src]["pixel count"]
    graph.nodes[dst]["mean color"] = graph.nodes[dst]["total color"] / graph.nodes[dst]["pixel count"]


def color_weight(graph: Any, src: int, dst: int, n: int) -> dict[str, float]:
    return {"weight": float(np.linalg.norm(graph.nodes[dst]["mean color"] - graph.nodes[n]["mean color"]))}


def boundary_weight(graph: Any, src: int, dst: int, n: int) -> dict[str, float]:
    none = {"weight": 0.0, "count": 0}
    both = [graph[end].get(n, none) for end in (src, dst)]
    count = sum(data["count"] for data in both)
    return {"count": count, "weight": sum(data["count"] * data["weight"] for data in both) / count}


@pytest.mark.parametrize("criterion", ["color", "boundary"])
@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.35])
def test_merging_is_scikit_images(criterion: Criterion, threshold: float) -> None:
    """It merges while the lightest edge is below the threshold; boundaries begin with the same means and lengths."""
    labels, image, _ = random_case(30, 40, 60)
    graph = region_graph(labels, image)
    theirs = skimage.graph.rag_mean_color(as_array(image), labels.numpy(), connectivity=1)
    if criterion == "boundary":
        for (i, j), weight, n in zip(
            graph.edges.tolist(), graph.strengths.tolist(), graph.lengths.tolist(), strict=True
        ):
            theirs.edges[i, j].update(weight=weight, count=n)
    flat = skimage.graph.merge_hierarchical(
        labels.numpy(),
        theirs,
        thresh=threshold,
        rag_copy=True,
        in_place_merge=True,
        merge_func=join_colors if criterion == "color" else lambda *ends: None,
        weight_func=color_weight if criterion == "color" else boundary_weight,
    )
    ours = merge_hierarchical(labels, image, criterion).cut(threshold)
    assert torch.equal(ours, relabel(torch.from_numpy(flat.astype(np.int64))))
    assert 1 < count_labels(ours) < 60 or threshold == 0.1


# ---- Ward -------------------------------------------------------------------------------------------------------


def test_ward_of_pixels_is_scikit_learns() -> None:
    """Its distance is √(2 · cost)."""
    _, image, _ = random_case(9, 11, 8)
    x = image.flatten(1).T.double().numpy()
    theirs = AgglomerativeClustering(
        n_clusters=1, linkage="ward", connectivity=grid_to_graph(9, 11), compute_distances=True
    ).fit(x)
    tree = merge_hierarchical(pixels_apart(9, 11), image, "ward")
    expected = np.maximum.accumulate(theirs.distances_**2 / 2)
    np.testing.assert_allclose(tree.heights.numpy(), expected, rtol=1e-4, atol=1e-7)
    for n in (2, 5, 20, 60):
        labels = AgglomerativeClustering(n_clusters=n, linkage="ward", connectivity=grid_to_graph(9, 11)).fit(x).labels_
        assert torch.equal(tree.cut_to(n), relabel(torch.from_numpy(labels.astype(np.int64)).reshape(9, 11)))


def test_ward_of_four_that_all_touch_is_scipys() -> None:
    image = torch.tensor([[[0.0, 0.1], [0.5, 0.8]]], dtype=torch.float64)
    tree = merge_hierarchical(pixels_apart(2, 2), image, "ward", connectivity=8)
    theirs = linkage(image.reshape(4, 1).numpy(), method="ward")
    np.testing.assert_allclose(tree.heights.numpy(), theirs[:, 2] ** 2 / 2, atol=1e-6)
    flat = torch.from_numpy(fcluster(theirs, 2, "maxclust").astype(np.int64)).reshape(2, 2)
    assert torch.equal(tree.cut_to(2), relabel(flat))


def squared_error(labels: Tensor, image: Tensor) -> float:
    x, flat = image.flatten(1).T.double(), labels.flatten()
    return sum(float((x[flat == i] - x[flat == i].mean(0)).square().sum()) for i in flat.unique())


def raw_costs(kind: int, labels: Tensor, image: Tensor) -> np.ndarray:
    graph = region_graph(labels, image)
    sums = graph.colors * graph.sizes[:, None]
    tensors = (graph.edges, graph.lengths.double(), graph.strengths * graph.lengths, graph.sizes.double(), sums)
    return loops.merge_lightest_first(kind, *(t.numpy().copy() for t in tensors))[1]


def test_ward_costs_add_up_to_the_squared_error() -> None:
    labels, image, _ = random_case(20, 20, 15)
    tree = merge_hierarchical(labels, image, "ward")
    costs = raw_costs(loops.WARD, labels, image)
    for k in (0, 1, 7, 14):
        grown = squared_error(tree.cut_to(15 - k), image) - squared_error(labels, image)
        assert grown == pytest.approx(costs[:k].sum(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_at_lambda_has_less_mumford_shah_energy(seed: int) -> None:
    labels, image, _ = random_case(20, 24, 30, seed=seed)
    tree = merge_hierarchical(labels, image, "mumford_shah")

    def energy(cut: Tensor, lam: float) -> float:
        return squared_error(cut, image) + lam * float(adjacency(cut).lengths.sum())

    for lam in tree.levels[:: len(tree.levels) // 5].tolist():
        cut = tree.cut(lam)
        assert energy(cut, lam) <= energy(labels, lam) + 1e-6
        for pair in adjacency(cut).edges.tolist():
            joined = torch.where(cut == pair[1], pair[0], cut)
            assert energy(joined, lam) > energy(cut, lam) - 1e-6, "no two regions left would lower it"


# ---- properties -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_boundaries_cost_more_and_more_by_themselves(seed: int) -> None:
    labels, image, _ = random_case(20, 24, 40, seed=seed)
    assert (np.diff(raw_costs(loops.BOUNDARY, labels, image)) >= -1e-12).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_cuts_nest_are_connected_and_heights_are_an_ultrametric(criterion: Criterion) -> None:
    labels, image, _ = random_case(20, 24, 30)
    labels = connected_components(labels)
    tree = merge_hierarchical(labels, image, criterion)
    cuts, m = [tree.cut_to(n) for n in (30, 12, 5, 2, 1)], tree.n_leaves
    for fine, coarse in pairwise(cuts):
        pairs = torch.unique(torch.stack([fine.flatten(), coarse.flatten()], dim=1), dim=0)
        assert len(pairs) == count_labels(fine)
        assert torch.equal(coarse, connected_components(coarse))
    d = tree.merge_heights(torch.cartesian_prod(torch.arange(m), torch.arange(m))).reshape(m, m)
    assert bool((d[:, None, :] <= torch.maximum(d[:, :, None], d[None]) + 1e-12).all())
    assert bool((tree.heights.diff() >= 0).all())


@pytest.mark.parametrize("criterion", CRITERIA)
def test_neither_numbers_nor_flips_matter(criterion: Criterion) -> None:
    labels, image, _ = random_case(20, 24, 30)
    expected = merge_hierarchical(labels, image, criterion).cut_to(6)
    shuffled = torch.randperm(30, generator=torch.Generator().manual_seed(1))[labels]
    assert torch.equal(relabel(merge_hierarchical(shuffled, image, criterion).cut_to(6)), expected)
    flipped = merge_hierarchical(labels.flip(1), image.flip(2), criterion).cut_to(6)
    assert torch.equal(relabel(flipped.flip(1)), expected)


def test_a_photograph_of_pixels_and_inputs_untouched() -> None:
    image = datasets.photo("coffee", max_side=60)
    labels, before = pixels_apart(*image.shape[1:]), image.clone()
    kept = labels.clone()
    trees = [merge_hierarchical(labels, image, criterion) for criterion in CRITERIA]
    assert torch.equal(image, before)
    assert torch.equal(labels, kept)
    assert all(len(tree.merges) == labels.numel() - 1 for tree in trees)
    assert variation_of_information(trees[0].cut_to(8), trees[1].cut_to(8)) > 0.1


# ---- what goes in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_unassigned_pixels_keep_regions_apart(criterion: Criterion) -> None:
    labels = torch.tensor([[0, 1, -1, 2, 3]])
    tree = merge_hierarchical(labels, torch.tensor([[[0.0, 0.1, 0.1, 0.1, 0.2]]]), criterion)
    assert tree.cut(float("inf")).tolist() == [[0, 0, -1, 1, 1]]


def test_one_region_and_none() -> None:
    for labels in (torch.zeros(3, 4, dtype=torch.int64), torch.full((3, 4), -1)):
        graph = region_graph(labels, torch.rand(1, 3, 4))
        assert len(graph.edges) == 0
        assert torch.equal(graph.join(torch.zeros(0, dtype=torch.bool)), labels)
        assert torch.equal(merge_hierarchical(labels, torch.rand(1, 3, 4)).cut(1.0), labels)
    assert repr(graph) == "<RegionGraph 3×4: 0 regions, 0 edges>"


def test_takes_pictures_of_any_kind_results_and_features() -> None:
    labels, image, _ = random_case()
    array = (image.movedim(0, -1).clamp(0, 1).numpy() * 255).round().astype(np.uint8)
    expected = region_graph(labels, torch.from_numpy(array).movedim(-1, 0) / 255.0)
    assert torch.equal(region_graph(labels.numpy(), array).differences, expected.differences)
    lab = region_graph(labels, rgb_to_lab(image))
    assert lab.differences.max() > 10
    assert region_graph(labels, torch.rand(7, 10, 12)).colors.shape == (9, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.tensor([[0, 2]])}, "without gaps"),
        ({"labels": torch.tensor([[0, 10**12]])}, "without gaps"),
        ({"image": torch.zeros(1, 2, 2)}, "different sizes"),
        ({"image": torch.tensor([[[0.0, torch.nan]]])}, "finite"),
        ({"image": torch.tensor([[[0.0, 1e12]]])}, "finite"),
        ({"strength": torch.zeros(2, 2)}, "different sizes"),
        ({"strength": torch.zeros(1, 1, 2)}, "different sizes"),
        ({"strength": torch.tensor([[0.0, torch.inf]])}, "finite"),
        ({"connectivity": 6}, "connectivity is 4 or 8"),
        ({"criterion": "size"}, "criterion is one of 'color', 'ward'"),
    ],
)
def test_refuses_what_is_wrong(change: dict[str, Any], message: str) -> None:
    good = {"labels": torch.tensor([[0, 1]]), "image": torch.zeros(1, 1, 2)}
    with pytest.raises(ValueError, match=message):
        merge_hierarchical(**{**good, **change})
    if "criterion" not in change:
        with pytest.raises(ValueError, match=message):
            region_graph(**{**good, **change})


@pytest.mark.parametrize("where", [[True], torch.tensor([0.1, 0.2, 0.3]), torch.zeros(2, 3, dtype=torch.bool)])
def test_join_refuses_what_is_not_one_truth_value_for_each_edge(where: Any) -> None:
    with pytest.raises(ValueError, match="one truth value for each of the 3 edges"):
        region_graph(LABELS, GRAY).join(where)


@pytest.mark.gpu
@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_gpu_makes_the_same_tree(criterion: Criterion) -> None:
    labels, image, strength = random_case(40, 50, 60)
    along = strength if criterion == "boundary" else None
    here = merge_hierarchical(labels, image, criterion, strength=along)
    there = merge_hierarchical(labels.cuda(), image.cuda(), criterion, strength=None if along is None else along.cuda())
    assert there.leaves.device.type == "cuda"
    assert torch.equal(here.merges, there.merges.cpu())
    graph = region_graph(labels, image)
    assert torch.equal(graph.lengths, region_graph(labels.cuda(), image.cuda()).lengths.cpu())


def test_contacts_are_found_in_views_of_any_layout() -> None:
    labels, image, _ = random_case(12, 12)
    graph = region_graph(labels.T, image.mT)
    assert sum(int((a != b).sum()) for a, b in neighbor_views(labels, 4)) == int(graph.lengths.sum())
