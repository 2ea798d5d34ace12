"""The label toolbox, held against loops, scikit-image and SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage import color, measure, segmentation

from seglab import labels as toolbox
from seglab.labels import (
    PALETTE,
    absorb_small,
    adjacency,
    as_labels,
    boundaries,
    colors,
    connected_components,
    count_labels,
    majority_vote,
    mean_color,
    overlay,
    relabel,
    segment_means,
    segment_sizes,
    to_png,
)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
maps = hnp.arrays(np.int64, SHAPES, elements=st.integers(-1, 4)).map(torch.from_numpy)
connectivities = st.sampled_from([4, 8])


def blobs(height: int = 40, width: int = 50, levels: int = 4, seed: int = 0) -> torch.Tensor:
    """A map with regions of all sizes, and a few unassigned pixels."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), 1.5)
    labels = np.digitize(noise, np.quantile(noise, np.linspace(0, 1, levels + 1)[1:-1]))
    labels[3:6, 4:9] = -1
    return torch.from_numpy(labels)


def neighbors(labels: np.ndarray, connectivity: int):
    """Every pair of neighboring pixels once, by the dullest loop."""
    h, w = labels.shape
    steps = [(0, 1), (1, 0)] + ([(1, 1), (1, -1)] if connectivity == 8 else [])
    for r, c in itertools.product(range(h), range(w)):
        for dr, dc in steps:
            if r + dr < h and 0 <= c + dc < w:
                yield (r, c), (r + dr, c + dc)


# ---- the front door ---------------------------------------------------------------------------------------------

MAP = np.array([[0, 0, 1], [2, -1, 1]])


@pytest.mark.parametrize(
    "given_map",
    [
        pytest.param(MAP.tolist(), id="lists"),
        pytest.param(MAP, id="int64"),
        pytest.param(MAP.astype(np.int8), id="int8"),
        pytest.param(MAP.astype(">i4"), id="big-endian"),
        pytest.param(MAP.astype(np.float64), id="whole floats"),
        pytest.param(MAP[::-1][::-1], id="view"),
        pytest.param(MAP[None], id="(1, H, W)"),
        pytest.param(MAP[..., None], id="(H, W, 1)"),
        pytest.param(torch.from_numpy(MAP).to(torch.int32), id="tensor"),
        pytest.param(torch.from_numpy(MAP).float(), id="float tensor"),
    ],
)
def test_as_labels_reads_whole_numbers(given_map):
    labels = as_labels(given_map)
    assert labels.dtype == torch.int64
    assert labels.tolist() == MAP.tolist()


def test_as_labels_reads_unsigned_and_bool():
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, bool):
        array = np.array([[0, 1], [1, 0]], dtype)
        assert as_labels(array).tolist() == [[0, 1], [1, 0]]
        assert as_labels(torch.from_numpy(array)).tolist() == [[0, 1], [1, 0]]


def test_as_labels_does_not_share_the_callers_array():
    array = MAP.copy()
    labels = as_labels(array)
    array[:] = 7
    assert labels.tolist() == MAP.tolist()


def test_as_labels_reads_images_and_files(tmp_path):
    indices = np.array([[0, 3], [3, 1]], np.uint8)
    palette = Image.fromarray(indices)
    palette = Image.frombytes("P", palette.size, palette.tobytes())
    palette.putpalette(bytes(range(12)))
    sixteen = Image.fromarray(indices.astype(np.uint16) * 300)
    for image in (palette, Image.fromarray(indices)):
        image.save(tmp_path / "map.png")
        assert as_labels(image).tolist() == indices.tolist()
        assert as_labels(tmp_path / "map.png").tolist() == indices.tolist()
    sixteen.save(tmp_path / "map.png")
    assert as_labels(str(tmp_path / "map.png")).tolist() == (indices * 300.0).tolist()
    np.save(tmp_path / "map.npy", MAP)
    assert as_labels(tmp_path / "map.npy").tolist() == MAP.tolist()


def test_as_labels_takes_a_segmentation():
    class Result:  # anything with __array__, and anything that holds a tensor of labels
        labels = torch.tensor([[4, 5]], dtype=torch.int32)

    class Array:
        def __array__(self, dtype=None, copy=None):
            return MAP

    assert as_labels(Result()).tolist() == [[4, 5]]
    assert as_labels(Array()).tolist() == MAP.tolist()


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        pytest.param(None, TypeError, "NoneType", id="None"),
        pytest.param(["a", "b"], TypeError, "list", id="text"),
        pytest.param([[1, 2], [3]], TypeError, "list", id="ragged"),
        pytest.param(np.zeros((2, 2), complex), TypeError, "complex", id="complex"),
        pytest.param(torch.zeros(2, 2, dtype=torch.complex64), TypeError, "complex", id="complex tensor"),
        pytest.param(np.zeros((2, 2), object), TypeError, "object", id="objects"),
        pytest.param(np.zeros(3, int), ValueError, r"2 dimensions.*\(3,\)", id="1-D"),
        pytest.param(np.zeros((4, 5, 3), int), ValueError, r"\(4, 5, 3\)", id="a color image"),
        pytest.param(np.zeros((0, 3), int), ValueError, "empty", id="empty"),
        pytest.param(np.array([[0, -2]]), ValueError, "lowest here is -2", id="below -1"),
        pytest.param(np.array([[0.5, 1]]), ValueError, "fractions", id="fractions"),
        pytest.param(np.array([[np.nan, 1]]), ValueError, "NaN", id="NaN"),
        pytest.param(torch.tensor([[torch.inf]]), ValueError, "fractions", id="inf"),
        pytest.param(np.array([[2**63]], np.uint64), ValueError, "2\\*\\*63", id="too large"),
        pytest.param(Image.new("RGB", (3, 3)), ValueError, "'RGB' holds colors", id="RGB"),
    ],
)
def test_as_labels_refuses_what_is_no_label_map(bad, kind, message):
    with pytest.raises(kind, match=message):
        as_labels(bad)


def test_as_labels_refuses_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file"):
        as_labels(tmp_path / "none.png")
    for name in ("bad.png", "bad.npy"):
        (tmp_path / name).write_bytes(b"no picture")
        with pytest.raises(ValueError, match="cannot be read"):
            as_labels(tmp_path / name)


# ---- numbering --------------------------------------------------------------------------------------------------


@given(maps, st.sampled_from([1, 3, 10**6, 10**15]))
def test_relabel_numbers_by_first_appearance(labels, factor):
    labels = torch.where(labels >= 0, (labels * 7 % 5) * factor, -1)
    seen: dict[int, int] = {-1: -1}
    expected = [[seen.setdefault(int(v), len(seen) - 1) for v in row] for row in labels]
    assert relabel(labels).tolist() == expected
    assert count_labels(labels) == len(seen) - 1
    assert torch.equal(relabel(relabel(labels)), relabel(labels))


def test_relabel_leaves_its_input_alone():
    labels = torch.tensor([[5, -1], [2, 5]])
    relabel(labels)
    assert labels.tolist() == [[5, -1], [2, 5]]


@given(maps, connectivities)
def test_connected_components_are_those_of_scikit_image(labels, connectivity):
    expected = measure.label(labels.numpy(), background=-1, connectivity=1 if connectivity == 4 else 2) - 1
    got = connected_components(labels, connectivity)
    assert got.dtype == torch.int64
    assert torch.equal(got, relabel(torch.from_numpy(expected.astype(np.int64))))
    assert torch.equal(toolbox.components_by_propagation(labels, connectivity), got)


def spiral(n: int) -> torch.Tensor:
    """One path wound up: the longest way from its first pixel to its last."""
    grid = np.zeros((n, n), np.int64)
    r, c, dr, dc = 0, -1, 0, 1
    for length in [n, *[k for k in range(n - 1, 0, -2) for _ in (0, 1)]]:
        for _ in range(length):
            r, c = r + dr, c + dc
            grid[r, c] = 1
        dr, dc = dc, -dr
    return torch.from_numpy(grid)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("labels", [spiral(31), 1 - spiral(32), blobs(), blobs(levels=2, seed=3)], ids=str)
def test_propagation_follows_long_and_branching_regions(labels, connectivity):
    got = toolbox.components_by_propagation(labels, connectivity)
    assert torch.equal(got, connected_components(labels, connectivity))
    assert count_labels(got) >= 2


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60))
def test_merge_roots_are_the_smallest_nodes_of_components(n, edges):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components as graph_components

    pairs = torch.tensor([(a % n, b % n) for a, b in edges], dtype=torch.int64).reshape(-1, 2)
    root = toolbox.merge_roots(n, pairs[:, 0], pairs[:, 1])
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0].numpy(), pairs[:, 1].numpy())), shape=(n, n))
    _, component = graph_components(graph, directed=False)
    assert root.tolist() == [int(np.flatnonzero(component == component[i])[0]) for i in range(n)]


@pytest.mark.parametrize("function", [connected_components, adjacency, boundaries, toolbox.components_by_propagation])
def test_connectivity_is_4_or_8(function):
    with pytest.raises(ValueError, match="connectivity is 4 or 8; got 6"):
        function(blobs(), connectivity=6)


# ---- neighbors --------------------------------------------------------------------------------------------------


@given(maps, connectivities, st.sampled_from([1, 10**9]))
def test_adjacency_is_that_of_a_loop(labels, connectivity, factor):
    array = np.where(labels >= 0, labels * factor, -1)
    lengths: dict[tuple[int, int], int] = {}
    for p, q in neighbors(array, connectivity):
        i, j = sorted((int(array[p]), int(array[q])))
        if i != j and i >= 0:
            lengths[i, j] = lengths.get((i, j), 0) + 1
    graph = adjacency(torch.from_numpy(array), connectivity)
    assert graph.edges.shape == (len(lengths), 2)
    assert [tuple(edge) for edge in graph.edges.tolist()] == sorted(lengths)
    assert graph.lengths.tolist() == [lengths[edge] for edge in sorted(lengths)]


@given(maps, connectivities, st.sampled_from(["thick", "inner", "outer"]))
def test_boundaries_are_those_of_scikit_image(labels, connectivity, mode):
    narrow = labels.to(torch.int32).numpy()  # scikit-image takes the largest int64 through a float and overflows
    expected = segmentation.find_boundaries(
        narrow, connectivity=1 if connectivity == 4 else 2, mode=mode, background=-1
    )
    assert torch.equal(boundaries(labels, mode, connectivity), torch.from_numpy(expected))


@given(maps)
def test_berkeley_boundaries_are_those_of_a_loop(labels):
    h, w = labels.shape
    mark = [[False] * w for _ in range(h)]
    for r, c in itertools.product(range(h), range(w)):
        if r + 1 < h and c + 1 < w:
            block = labels[r : r + 2, c : c + 2]
            pairs = [block[0], block[1], block[:, 0], block[:, 1]]  # rows and columns of the block
            # right of it and below it, and the pairs of the next row and column
            mark[r][c] = any(bool(a != b) for a, b in pairs)
        elif c + 1 < w:
            mark[r][c] = bool(labels[r, c] != labels[r, c + 1])
        elif r + 1 < h:
            mark[r][c] = bool(labels[r, c] != labels[r + 1, c])
    assert boundaries(labels, "bsds").tolist() == mark


def test_outer_boundaries_see_other_segments_across_corners():
    labels = torch.tensor([[0, -1], [-1, 1]])
    assert boundaries(labels, "outer").all()  # as scikit-image has it
    assert boundaries(torch.tensor([[0, -1], [-1, 0]]), "outer").tolist() == [[False, True], [True, False]]


def test_a_quadtree_has_the_berkeley_number_of_boundary_pixels():
    rows, cols = torch.arange(321)[:, None], torch.arange(481)[None]
    quarters = (rows >= 160).long() * 2 + (cols >= 240)
    assert boundaries(quarters, "bsds").sum() == 801  # the authors' counts for 4 and 16 regions, before thinning
    sixteenths = (rows * 4 // 321) * 4 + cols * 4 // 481
    assert boundaries(sixteenths, "bsds").sum() == 2397


def test_boundaries_refuses_other_modes():
    with pytest.raises(ValueError, match="'bsds'; got 'subpixel'"):
        boundaries(blobs(), mode="subpixel")


# ---- values by segment ------------------------------------------------------------------------------------------


@given(maps)
def test_sizes_and_means_are_those_of_a_loop(labels):
    values = torch.from_numpy(np.random.default_rng(0).random((2, *labels.shape)))
    sizes, means = segment_sizes(labels), segment_means(labels, values)
    assert len(sizes) == len(means) == int(labels.max()) + 1
    for k in range(len(sizes)):
        assert sizes[k] == (labels == k).sum()
        expected = values[:, labels == k].mean(1)  # NaN where there is none
        torch.testing.assert_close(means[k], expected, equal_nan=True)


def test_mean_color_paints_and_leaves_unassigned_pixels():
    labels = torch.tensor([[0, 0, -1, 2]])
    image = torch.tensor([[[0.0, 0.5, 0.7, 1.0]]])
    assert mean_color(labels, image).tolist() == [[[0.25, 0.25, pytest.approx(0.7), 1.0]]]
    assert mean_color(labels, image).dtype == torch.float32


def vote_by_loop(labels: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    result = labels.clone()
    for s in segments[segments >= 0].unique():
        votes = labels[(segments == s) & (labels >= 0)]
        result[segments == s] = min(votes.tolist(), key=lambda v: (-(votes == v).sum(), v)) if len(votes) else -1
    return result


@given(st.data(), st.sampled_from([1, 10**8]), st.sampled_from([1, 10**9]))
def test_majority_vote_is_that_of_a_loop(data, label_factor, segment_factor):
    labels = data.draw(maps)
    segments = data.draw(hnp.arrays(np.int64, tuple(labels.shape), elements=st.integers(-1, 3)).map(torch.from_numpy))
    labels = torch.where(labels >= 0, labels * label_factor, -1)
    segments = torch.where(segments >= 0, segments * segment_factor, -1)
    assert torch.equal(majority_vote(labels, segments), vote_by_loop(labels, segments))


def test_majority_vote_of_many_labels_and_segments():
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(-1, 400, (60, 70), generator=g)
    segments = torch.arange(60 * 70).reshape(60, 70) // 5  # a table of all pairs would be larger than the maps
    assert torch.equal(majority_vote(labels, segments), vote_by_loop(labels, segments))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: segment_means(m, torch.zeros(3, 2, 2)),
        lambda m: mean_color(m, torch.zeros(3, 2, 2)),
        lambda m: majority_vote(m, torch.zeros(2, 2, dtype=torch.int64)),
        lambda m: absorb_small(m, torch.zeros(3, 2, 2), 4),
        lambda m: overlay(m, torch.zeros(3, 2, 2)),
    ],
    ids=["segment_means", "mean_color", "majority_vote", "absorb_small", "overlay"],
)
def test_sizes_must_agree(call):
    with pytest.raises(ValueError, match="different sizes"):
        call(blobs())


# ---- absorbing --------------------------------------------------------------------------------------------------


@given(maps, st.integers(0, 12), connectivities)
def test_absorbing_leaves_connected_segments_of_the_size(labels, min_size, connectivity):
    image = torch.from_numpy(np.random.default_rng(1).random((3, *labels.shape)).astype(np.float32))
    before = labels.clone()
    absorbed = absorb_small(labels, image, min_size, connectivity)
    components = connected_components(labels, connectivity)
    assert torch.equal(labels, before)
    assert torch.equal(absorbed < 0, labels < 0)
    assert torch.equal(absorbed, connected_components(absorbed, connectivity))  # each connected, numbered in order
    # a segment is a union of components: each component lies in one
    for k in range(count_labels(components)):
        assert len(absorbed[components == k].unique()) == 1
    islands = connected_components(torch.where(labels >= 0, 0, -1), connectivity)
    for k, size in enumerate(segment_sizes(absorbed).tolist()):
        island = islands[absorbed == k][0]
        assert size >= min_size or size == (islands == island).sum()  # or the last of its island
    # large components are joined by small ones only: none is needed where all are large
    if bool((segment_sizes(components) >= min_size).all()):
        assert torch.equal(absorbed, components)


def test_absorbs_into_the_most_similar_neighbor():
    labels = torch.tensor([[0, 0, 0, 1, 2, 2, 2]])
    for level, expected in ((0.4, [0, 0, 0, 0, 1, 1, 1]), (0.6, [0, 0, 0, 1, 1, 1, 1])):
        image = torch.tensor([[[0.0, 0, 0, level, 1, 1, 1]]])
        assert absorb_small(labels, image, 2).tolist() == [expected]


def test_absorbs_a_tie_into_the_smallest_label():
    labels = torch.tensor([[3, 3, 1, 0, 0]])
    image = torch.tensor([[[0.0, 0, 0.5, 1, 1]]])
    assert absorb_small(labels, image, 2).tolist() == [[0, 0, 0, 1, 1]]


def test_absorbs_the_smallest_first_with_means_that_follow():
    # The single pixel goes first, to the pair; the three then lie nearer to the right, and go there.
    labels = torch.tensor([[0, 0, 0, 0, 1, 1, 2, 3, 3, 3, 3]])
    image = torch.tensor([[[0.0, 0, 0, 0, 0.45, 0.45, 0.7, 1, 1, 1, 1]]])
    assert absorb_small(labels, image, 2).tolist() == [[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]]
    assert absorb_small(labels, image, 4).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]]


def test_absorbing_ends_with_one_segment_or_an_island():
    noise = torch.arange(12 * 13).reshape(12, 13)
    assert absorb_small(noise, torch.rand(3, 12, 13), 10**6).max() == 0
    labels = torch.tensor([[0, -1, 1, 1, 1]])
    assert absorb_small(labels, torch.zeros(1, 1, 5), 3).tolist() == [[0, -1, 1, 1, 1]]
    assert absorb_small(torch.full((2, 2), -1), torch.zeros(1, 2, 2), 3).tolist() == [[-1, -1], [-1, -1]]


# ---- colors -----------------------------------------------------------------------------------------------------

# What people without one kind of cone see: Machado, Oliveira and Fernandes 2009, severity 1, in linear RGB.
VISIONS = {
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def seen(table: torch.Tensor, vision: str) -> np.ndarray:
    """Colors (n, 3) in CIELAB as they look."""
    rgb = table.double().numpy()
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    linear = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    return color.rgb2lab(np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear))


@pytest.mark.parametrize(
    ("vision", "near", "any_two"), [("all cones", 30, 20), ("no red cones", 12, 8), ("no green cones", 12, 8)]
)
def test_colors_are_told_apart(vision, near, any_two):
    lab = seen(colors(64), vision)
    assert np.linalg.norm(np.diff(lab, axis=0), axis=1).min() > near  # labels next in number
    first = lab[:8]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(first, 2)) > any_two


def test_a_labels_color_does_not_depend_on_their_number():
    many = colors(3000)
    assert many.shape == (3000, 3)
    assert len(many.unique(dim=0)) == 3000
    assert many.min() >= 0
    assert many.max() <= 1
    for n in (0, 1, 8, 9, 64, 65, 200):
        assert torch.equal(colors(n), many[:n])
    assert [f"#{r:02X}{g:02X}{b:02X}" for r, g, b in (colors(8) * 255).round().int().tolist()] == list(PALETTE)


def test_writing_to_colors_does_not_change_them():
    kept = colors(5)
    colors(5).zero_()
    assert torch.equal(colors(5), kept)
    assert kept.abs().sum() > 0


def test_overlay_blends_and_shows_the_picture_where_unassigned():
    labels = torch.tensor([[0, 1, -1]])
    image = torch.tensor([[[0.2, 0.4, 0.6]]])
    got = overlay(labels, image, alpha=0.25)
    expected = 0.25 * colors(2).T + 0.75 * image[0, :, :2]
    torch.testing.assert_close(got[:, 0, :2], expected)
    torch.testing.assert_close(got[:, 0, 2], torch.full((3,), 0.6))
    assert torch.equal(overlay(labels)[:, 0], torch.cat([colors(2), torch.full((1, 3), 0.5)]).T)
    assert torch.equal(overlay(labels, image, alpha=0)[0], image[0])


def test_overlay_draws_boundaries_on_larger_pictures_or_when_told_a_color():
    labels = torch.zeros(64, 70, dtype=torch.int64)
    labels[:, 30:] = 1
    image = torch.rand(3, 64, 70)
    line = boundaries(labels, "bsds")
    drawn, plain = overlay(labels, image), overlay(labels, image, boundary=False)
    assert (drawn[:, line] == 1).all()
    assert torch.equal(drawn[:, ~line], plain[:, ~line])
    assert not torch.equal(drawn, plain)
    small = labels[:8, 26:34]
    assert torch.equal(overlay(small), overlay(small, boundary=False))
    red = overlay(small, boundary=(1.0, 0.0, 0.0))
    assert red[:, 0, 3].tolist() == [1, 0, 0]


def test_overlay_leaves_out_boundaries_where_they_crowd():
    labels = torch.zeros(64, 70, dtype=torch.int64)
    labels[:, 40:] = 1
    labels[:, :30] = torch.arange(64 * 30).reshape(64, 30) % 2  # each pixel differs from the next
    image = torch.rand(3, 64, 70)
    drawn = (overlay(labels, image) == 1).all(0)
    assert drawn[:, 39].all()
    assert not drawn[:, :28].any()
    every = overlay(labels, image, boundary=(1.0, 1.0, 1.0))
    assert (every[:, boundaries(labels, "bsds")] == 1).all()


def test_overlay_takes_a_map_without_labels():
    assert overlay(torch.full((2, 2), -1)).unique().tolist() == [0.5]


def test_to_png_is_the_picture():
    import io

    picture = torch.rand(3, 5, 6)
    read = np.array(Image.open(io.BytesIO(to_png(picture))))
    np.testing.assert_array_equal(read, (picture * 255).round().byte().movedim(0, -1).numpy())


# ---- devices ----------------------------------------------------------------------------------------------------


def levels(like: torch.Tensor) -> torch.Tensor:
    """Values (3, H, W) that are whole numbers, so that their sums are the same in whatever order a device adds."""
    return torch.arange(3 * like.numel(), device=like.device).reshape(3, *like.shape).remainder(251).float()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "call",
    [
        relabel,
        connected_components,
        lambda m: connected_components(m, 8),
        boundaries,
        lambda m: boundaries(m, "bsds"),
        lambda m: adjacency(m).edges,
        lambda m: adjacency(m, 8).lengths,
        segment_sizes,
        lambda m: segment_means(m, levels(m)),
        lambda m: mean_color(m, levels(m)),
        lambda m: majority_vote(m, torch.arange(m.numel(), device=m.device).reshape(m.shape) // 7),
        lambda m: absorb_small(m, torch.linspace(0, 1, 3 * m.numel(), device=m.device).reshape(3, *m.shape), 9),
        overlay,
    ],
)
def test_gives_the_same_on_a_gpu(call):
    on_gpu = call(blobs().cuda())
    assert on_gpu.device.type == "cuda"
    assert torch.equal(on_gpu.cpu(), call(blobs()))
