"""Affinities of pixels and of regions, and the eigenvectors, cuts and rotations of any weighted graph.

A graph is its affinity W, a symmetric sparse matrix of weights ≥ 0: how much two nodes belong together. Affinities
are computed in torch where the picture is; W and all that follows live on the CPU in float64, where the library's
sparse eigen-solver is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu
from scipy.spatial import cKDTree
from torch import Tensor

from seglab.features import mirror_pad
from seglab.image import ColorSpace, to_color_space
from seglab.labels import adjacency, segment_means

__all__ = [
    "Cut",
    "as_affinity",
    "bipartition",
    "discrete",
    "edge_strength",
    "eigenvectors",
    "ncut_value",
    "pixel_affinity",
    "region_affinity",
    "rotation_from",
    "starting_rotation",
    "unit_rows",
]

Array = NDArray[Any]

_BLACK_TO_WHITE = {"gray": 1.0, "rgb": 1.0, "hsv": 1.0, "lab": 100.0, "luv": 100.0}
_LEAST = -20.0  # exponents of weights; below it a lone pixel of another color would be cut off for nothing
_SPACING = 16  # pixels from region to region are enough to look for edges between them
_DENSE = 200  # nodes up to which a dense eigen-solver is quicker
_FACTORIZED = 2000  # nodes up to which a graph of few neighbors is factorized at once
_SPARSE = 24  # weights a node that are few
_PATIENCE = 8  # restarts of Lanczos's method before larger or denser graphs are factorized too
_SHIFT = 1e-6  # added to L, which is singular
_TOL = 1e-8  # residual of an eigenvector, where eigenvalues of the normalized affinity are at most 1


# ---- affinities -------------------------------------------------------------------------------------------------


def edge_strength(image: Tensor, sigma: float = 1.0, color_space: ColorSpace = "lab") -> Tensor:
    """How sharply the color changes at each pixel: (H, W), the length of the gradient of the smoothed picture.

    Parameters
    ----------
    image
        (C, H, W) in [0, 1].
    sigma
        Of the Gaussian, in pixels.
    color_space
        Where colors are compared. Each has black and white a distance of 1 apart.

    Notes
    -----
    Scaled by √(2π) σ: a straight step between two flat areas has the strength of their difference in color.

    Examples
    --------
    >>> step = torch.zeros(1, 9, 20)
    >>> step[:, :, 10:] = 0.5
    >>> round(float(edge_strength(step, 2.0, "gray").amax()), 2)
    0.49
    """
    reach = max(1, math.ceil(4 * sigma))
    color = _colors(image, color_space)
    x = torch.arange(-reach, reach + 1, dtype=color.dtype, device=color.device)
    bell = torch.exp(-0.5 * (x / sigma) ** 2)
    bell, slope = bell / bell.sum(), -x / sigma**2 * bell / bell.sum()
    padded = mirror_pad(color, reach, reach)[:, None]  # (D, 1, H + 2·reach, W + 2·reach)
    convolve = torch.nn.functional.conv2d
    down = convolve(convolve(padded, bell[None, None, None, :]), slope[None, None, :, None])
    right = convolve(convolve(padded, slope[None, None, None, :]), bell[None, None, :, None])
    return math.sqrt(2 * math.pi) * sigma * (down.square() + right.square()).sum((0, 1)).sqrt()


def pixel_affinity(
    image: Tensor,
    *,
    radius: float = 4.0,
    sigma_color: float | None = 0.06,
    sigma_position: float | None = 3.0,
    sigma_edge: float | None = 0.15,
    color_space: ColorSpace = "lab",
) -> sp.csr_array:
    """The affinity (N, N) of all pairs of pixels at most ``radius`` apart, N = H·W, row by row.

    w_ij = exp(−‖F_i − F_j‖² / σ_color² − ‖X_i − X_j‖² / σ_position² − e_ij² / σ_edge²), with colors F, places X, and
    the intervening contour e_ij: the largest `edge_strength` on the straight line from i to j.

    Parameters
    ----------
    image
        (C, H, W) in [0, 1].
    radius
        In pixels. Memory: about 16·π·radius² bytes a pixel.
    sigma_color, sigma_edge
        In parts of the difference between black and white; None leaves the term out.
    sigma_position
        In pixels; None leaves the term out.
    color_space
        Of the colors.

    Returns
    -------
    scipy.sparse.csr_array
        Symmetric, float64, without a diagonal. No weight within the radius is less than e⁻²⁰.

    Examples
    --------
    >>> image = torch.tensor([[[0.0, 0.0, 1.0]]])
    >>> W = pixel_affinity(image, radius=1, sigma_color=1.0, sigma_position=None, sigma_edge=None, color_space="gray")
    >>> W.toarray().round(3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.368], [0.0, 0.368, 0.0]]
    """
    color = _colors(image, color_space)
    edge = None if sigma_edge is None else edge_strength(image, color_space=color_space)
    height, width = image.shape[1:]
    index = torch.arange(height * width, dtype=torch.int32, device=image.device).reshape(height, width)
    rows, cols, exponents = [], [], []
    for dr, dc in _half_disc(radius, height, width):
        one, other = _shifted(dr, dc, 0, 0, height, width), _shifted(dr, dc, dr, dc, height, width)
        exponent = torch.zeros_like(color[0][one])
        if sigma_color is not None:
            exponent -= (color[:, *one] - color[:, *other]).square().sum(0) / sigma_color**2
        if sigma_position is not None:
            exponent -= (dr * dr + dc * dc) / sigma_position**2
        if edge is not None:
            highest = edge[one]
            for r, c in _line(dr, dc)[1:]:
                highest = torch.maximum(highest, edge[_shifted(dr, dc, r, c, height, width)])
            exponent -= highest.square() / sigma_edge**2  # type: ignore[operator]
        rows.append(index[one].flatten())
        cols.append(index[other].flatten())
        exponents.append(exponent.flatten())
    if not rows:
        return sp.csr_array((height * width, height * width))
    return _symmetric(torch.cat(rows), torch.cat(cols), torch.cat(exponents), height * width)


def region_affinity(
    labels: Tensor,
    image: Tensor,
    *,
    radius: float = 4.0,
    sigma_color: float | None = 0.06,
    sigma_position: float | None = 3.0,
    sigma_edge: float | None = 0.15,
    color_space: ColorSpace = "lab",
) -> sp.csr_array:
    """The affinity (M, M) of the regions of a label map 0 … M − 1: those that touch, or whose centers are near.

    As `pixel_affinity`, with the mean colors of the regions and the places of their centers; the unit of length is
    √(H·W / M), about the distance between the centers of neighbors.

    Parameters
    ----------
    labels
        (H, W) int64, all labels present.
    image
        (C, H, W) in [0, 1].
    radius, sigma_position
        In units of length as above.
    sigma_color, sigma_edge, color_space
        As in `pixel_affinity`. Intervening contours are looked for on the line between the centers, and edges of a
        tenth of the unit of length.

    Examples
    --------
    >>> labels = torch.tensor([[0, 0, 1, 1, 2, 2]])
    >>> image = torch.tensor([[[0.1, 0.1, 0.2, 0.2, 0.9, 0.9]]])
    >>> options = {"radius": 1, "sigma_color": 0.1, "sigma_position": None, "sigma_edge": None}
    >>> region_affinity(labels, image, **options, color_space="gray").toarray().round(3).tolist()
    [[0.0, 0.368, 0.0], [0.368, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    n = int(labels.max()) + 1
    color = segment_means(labels, _colors(image, color_space))  # (M, D)
    height, width = labels.shape
    places = torch.stack(
        [
            torch.arange(height, device=labels.device, dtype=color.dtype)[:, None].expand(height, width),
            torch.arange(width, device=labels.device, dtype=color.dtype)[None, :].expand(height, width),
        ]
    )
    centers = segment_means(labels, places)  # (M, 2)
    spacing = math.sqrt(labels.numel() / n)
    near = cKDTree(centers.cpu().numpy()).query_pairs(radius * spacing, output_type="ndarray")
    pairs = torch.cat([adjacency(labels).edges, torch.from_numpy(near.reshape(-1, 2)).to(labels.device)])
    keys = torch.unique(pairs[:, 0] * n + pairs[:, 1])
    i, j = keys // n, keys % n
    distance = (centers[i] - centers[j]).norm(dim=1)
    exponent = torch.zeros_like(distance)
    if sigma_color is not None:
        exponent -= (color[i] - color[j]).square().sum(1) / sigma_color**2
    if sigma_position is not None:
        exponent -= (distance / (spacing * sigma_position)).square()
    if sigma_edge is not None and len(i):
        edge, shrunk = _edges_at_scale(image, spacing, color_space)
        start, end = ((centers[k] + 0.5) / shrunk - 0.5 for k in (i, j))
        exponent -= _highest_between(edge, start, end).square() / sigma_edge**2
    return _symmetric(i, j, exponent, n)


def _colors(image: Tensor, color_space: ColorSpace) -> Tensor:
    """(D, H, W), black and white 1 apart."""
    return to_color_space(image, color_space) / _BLACK_TO_WHITE[color_space]


def _half_disc(radius: float, height: int, width: int) -> list[tuple[int, int]]:
    """The offsets to later pixels at most ``radius`` away, as far as the picture goes."""
    reach = int(radius)
    return [
        (dr, dc)
        for dr in range(min(reach, height - 1) + 1)
        for dc in range(-min(reach, width - 1), min(reach, width - 1) + 1)
        if (dr, dc) > (0, 0) and dr * dr + dc * dc <= radius * radius
    ]


def _line(dr: int, dc: int) -> list[tuple[int, int]]:
    """The pixels from (0, 0) to (dr, dc), both included, a step of the longer side at a time."""
    n = max(abs(dr), abs(dc))
    return [(math.floor(dr * t / n + 0.5), math.floor(dc * t / n + 0.5)) for t in range(n + 1)]


def _shifted(dr: int, dc: int, r: int, c: int, height: int, width: int) -> tuple[slice, slice]:
    """Where the pixels at (r, c) from each first pixel of the pairs with offset (dr, dc) are; dr ≥ 0."""
    left = max(0, -dc)
    return slice(r, height - dr + r), slice(left + c, width - abs(dc) + left + c)


def _edges_at_scale(image: Tensor, spacing: float, color_space: ColorSpace) -> tuple[Tensor, int]:
    """Edges about a tenth of ``spacing`` wide, of a picture that is shrunk by a whole number where nodes are large."""
    shrunk = max(1, int(spacing / _SPACING))
    small = torch.nn.functional.avg_pool2d(image[None], shrunk, ceil_mode=True)[0] if shrunk > 1 else image
    return edge_strength(small, max(1.0, spacing / shrunk / 10), color_space), shrunk


def _highest_between(edge: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The largest edge strength on the lines from ``start`` to ``end``, each (P, 2) in (row, column): (P,)."""
    n = math.ceil(float((end - start).abs().amax())) + 1
    highest = edge.new_zeros(len(start))
    for t in torch.linspace(0, 1, n, dtype=start.dtype).tolist():
        row, col = torch.lerp(start, end, t).round().long().clamp(min=0).unbind(1)
        highest = torch.maximum(highest, edge[row, col])
    return highest


def _symmetric(rows: Tensor, cols: Tensor, exponents: Tensor, n: int) -> sp.csr_array:
    """The matrix of exp(exponents) at (rows, cols) and at (cols, rows)."""
    values = exponents.clamp(min=_LEAST).exp().double().cpu().numpy()
    half = sp.coo_array((values, (rows.cpu().numpy(), cols.cpu().numpy())), shape=(n, n)).tocsr()
    return (half + half.T).tocsr()


# ---- graphs -----------------------------------------------------------------------------------------------------


def as_affinity(affinity: Any) -> sp.csr_array:
    """Any weighted graph as a sparse matrix in float64, checked.

    Parameters
    ----------
    affinity
        (M, M): a SciPy sparse matrix, an array or a tensor. Of a networkx graph, ``networkx.to_scipy_sparse_array``.

    Raises
    ------
    ValueError
        Not square, empty, not symmetric, or with a weight that is negative, infinite or NaN.
    """
    if isinstance(affinity, Tensor):
        affinity = affinity.detach().cpu().to_dense().numpy()
    matrix = sp.csr_array(affinity, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(f"an affinity is a square matrix, one row a node; got shape {matrix.shape}")
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("weights of an affinity are finite and not negative; these are not")
    gap = abs(matrix - matrix.T)
    if gap.nnz and gap.max() > 1e-8 * matrix.max():
        raise ValueError("an affinity is symmetric: W[i, j] = W[j, i]; this one is not. Try (W + W.T) / 2")
    return matrix


def ncut_value(affinity: Any, labels: Any) -> float:
    """The normalized cut of a partition: Σ_k cut(A_k, the rest) / assoc(A_k, all).

    Parameters
    ----------
    affinity
        (M, M), see `as_affinity`.
    labels
        (M,) whole numbers: the segment of each node.

    Returns
    -------
    float
        From 0 (no weight between segments) to the number of segments. A segment without any weight counts 0.

    Examples
    --------
    >>> ncut_value([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [0, 0, 1])  # 1 / 3 + 1 / 1
    1.3333333333333333
    """
    matrix = as_affinity(affinity)
    flat = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels).ravel()
    if flat.shape != (matrix.shape[0],):
        raise ValueError(f"{matrix.shape[0]} nodes need as many labels; got {flat.size}")
    return _ncut(matrix, flat)


def _ncut(matrix: sp.csr_array, labels: Array) -> float:
    _, group = np.unique(labels, return_inverse=True)
    entries = matrix.tocoo()
    row, col = entries.coords
    apart = group[row] != group[col]
    n = int(group.max()) + 1
    total = np.bincount(group[row], entries.data, n)
    cut = np.bincount(group[row[apart]], entries.data[apart], n)
    return float((cut / np.where(total > 0, total, 1)).sum())


def eigenvectors(affinity: Any, n: int, seed: int = 0) -> tuple[Array, Array]:
    """The ``n`` smallest eigenvalues and eigenvectors of (D − W) y = λ D y.

    Parameters
    ----------
    affinity
        (M, M), see `as_affinity`.
    n
        At most M.
    seed
        Of the solver's first vector.

    Returns
    -------
    values, vectors
        (n,) rising, and (M, n) with yᵀ D y = 1, each with its largest entry positive. The first is constant where the
        graph is connected. Where it is not, there is an eigenvalue 0 for each component, and a vector that is constant
        on it and 0 elsewhere, the heaviest first; if there are more than n, the last vector has the remaining ones
        together.

    Notes
    -----
    With x = D^½ y these are the largest eigenvalues 1 − λ of D^−½ W D^−½, where Lanczos's method (ARPACK) arrives
    soonest. The vectors of eigenvalue 0 are known from the components, and are taken out of the matrix beforehand: a
    Lanczos method would find only some of several equal eigenvalues. Where eigenvalues crowd at 0 it works on
    (L + ε)⁻¹ instead, L = 1 − D^−½ W D^−½, by a sparse factorization: about 6 KB a pixel for a `pixel_affinity` of
    radius 4. A graph of up to 200 nodes is solved densely.
    """
    matrix = as_affinity(affinity)
    if not 1 <= n <= matrix.shape[0]:
        raise ValueError(f"a graph of {matrix.shape[0]} nodes has as many eigenvectors; got n={n}")
    return _eigenvectors(matrix, n, seed)


def _eigenvectors(matrix: sp.csr_array, n: int, seed: int) -> tuple[Array, Array]:
    degree = np.asarray(matrix.sum(axis=1))
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    rank = _components(matrix, degree)
    group = np.minimum(rank, n - 1)
    n_known = int(group.max()) + 1
    known = (group[:, None] == np.arange(n_known)) / scale[:, None] * (degree > 0)[:, None]  # (M, c), D^½ 1
    known /= np.maximum(np.linalg.norm(known, axis=0), 1e-300)
    values, x = np.zeros(n_known), known
    if n > n_known:
        more, vectors = _largest(_scaled(matrix, scale), known, n - n_known, seed)
        values, x = np.concatenate([values, np.clip(1 - more, 0, None)]), np.concatenate([known, vectors], axis=1)
    y = scale[:, None] * x
    for k in range(n_known):  # exactly constant, and on nodes without weight too
        inside = group == k
        weight = degree[inside].sum()
        y[inside, k] = 1 / math.sqrt(weight) if weight > 0 else 1.0
    tip = np.abs(y).argmax(axis=0)
    return values, y * np.where(y[tip, np.arange(n)] < 0, -1.0, 1.0)


def _scaled(matrix: sp.csr_array, scale: Array) -> sp.csr_array:
    """Row i and column i times ``scale[i]``, on the stored weights: a product of matrices costs a small graph more."""
    data = matrix.data * np.repeat(scale, np.diff(matrix.indptr)) * scale[matrix.indices]
    return sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _components(matrix: sp.csr_array, degree: Array) -> Array:
    """The connected component of each node, numbered by falling weight (then size, then first node)."""
    n, part = connected_components(matrix, directed=False)
    weight, size = np.bincount(part, degree, n), np.bincount(part, minlength=n)
    rank = np.empty(n, np.int64)
    rank[np.lexsort((np.arange(n), -size, -weight))] = np.arange(n)
    return rank[part]


def _largest(normalized: sp.csr_array, known: Array, n: int, seed: int) -> tuple[Array, Array]:
    """The ``n`` largest eigenvalues, falling, and the vectors of a matrix without those of eigenvalue 1, ``known``."""
    size = normalized.shape[0]
    if size <= _DENSE or n > size // 3:
        # taken down from 1 to −2 the known vectors come last: no other is below −1, which two nodes alone have
        return _densest(normalized.toarray() - 3 * known @ known.T, n)
    start = _without(known, np.random.default_rng(seed).standard_normal(size))
    if size > _FACTORIZED or normalized.nnz > _SPARSE * size:
        try:
            return _lanczos(lambda x: normalized @ x - 3 * (known @ (known.T @ x)), start, n, _PATIENCE)
        except ArpackNoConvergence:
            pass  # eigenvalues are crowded where a graph falls apart easily, and then it is easily factorized
    factors = splu(
        (sp.eye_array(size) * (1 + _SHIFT) - normalized).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )
    found, vectors = _lanczos(lambda x: _without(known, factors.solve(_without(known, x))), start, n)
    return 1 + _SHIFT - 1 / found, vectors


def _densest(matrix: Array, n: int) -> tuple[Array, Array]:
    """The ``n`` largest eigenvalues, falling, and vectors of a symmetric array."""
    size = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=[size - n, size - 1])
    if vectors.shape[1] < n:  # LAPACK's search for some finds too few where many are equal
        values, vectors = eigh(matrix)
    return values[::-1][:n], vectors[:, ::-1][:, :n]


def _lanczos(
    product: Callable[[Array], Array], start: Array, n: int, max_iter: int | None = None
) -> tuple[Array, Array]:
    """The ``n`` largest eigenvalues, falling, and vectors of a symmetric matrix, given by its products."""
    size = len(start)
    operator = LinearOperator((size, size), matvec=lambda x: product(x.ravel()), dtype=np.float64)
    values, vectors = eigsh(operator, n, which="LA", v0=start, tol=_TOL, maxiter=max_iter)
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def _without(known: Array, x: Array) -> Array:
    """What of x is orthogonal to the known vectors."""
    return x - known @ (known.T @ x)


# ---- the two-way cut --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Cut:
    """The best cut of a graph in two along its second eigenvector.

    Attributes
    ----------
    value
        The normalized cut, in [0, 2].
    side
        (m,) bool: the nodes on the lighter side.
    threshold
        The value of the eigenvector between the two sides.
    vector
        (m,) the second eigenvector.
    members
        (m,) int64: which nodes of the whole graph these are.
    levels, curve
        (m − 1,) each: the places between the sorted entries of the vector, and the normalized cut there.
    """

    value: float
    side: Array
    threshold: float
    vector: Array
    members: Array
    levels: Array
    curve: Array


def bipartition(affinity: Any, seed: int = 0) -> Cut:
    """Cut a graph of at least two nodes in two where the normalized cut along its second eigenvector is least.

    Parameters
    ----------
    affinity
        (M, M), see `as_affinity`.
    seed
        Of the eigen-solver.

    Notes
    -----
    All M − 1 thresholds are tried: in the order of the vector, an edge is cut by the thresholds between its two ends,
    so one cumulative sum over the edges has all the cuts, exactly. The first of equally good ones is taken. Entries
    equal up to 10⁻⁹ of the vector's range are not separated. A graph in several components is cut between the
    heaviest and the others.

    Examples
    --------
    >>> cut = bipartition([[0, 9, 0, 0], [9, 0, 1, 0], [0, 1, 0, 9], [0, 0, 9, 0]])
    >>> cut.side.tolist(), round(cut.value, 3)  # 1 / 19 + 1 / 19
    ([True, True, False, False], 0.105)
    """
    matrix = as_affinity(affinity)
    if matrix.shape[0] < 2:
        raise ValueError("a graph of one node cannot be cut")
    return _bipartition(matrix, np.arange(matrix.shape[0]), seed)


def _bipartition(matrix: sp.csr_array, members: Array, seed: int) -> Cut:
    degree = np.asarray(matrix.sum(axis=1))
    _, y = _eigenvectors(matrix, 2, seed)
    vector = y[:, 1]
    order = np.argsort(vector, kind="stable")
    ordered = vector[order]
    curve = _sweep(matrix, degree, order)
    allowed = np.diff(ordered) > 1e-9 * (ordered[-1] - ordered[0])
    curve[~allowed] = np.inf
    best = int(curve.argmin())
    side = np.zeros(len(order), bool)
    side[order[: best + 1]] = True
    weights = degree[side].sum(), degree[~side].sum()
    if weights[0] > weights[1] or (weights[0] == weights[1] and not side[0]):
        side = ~side
    levels = (ordered[:-1] + ordered[1:]) / 2
    value = _ncut(matrix, side)  # exact, where the curve has been summed up
    return Cut(value, side, float(levels[best]), vector, members, levels[allowed], curve[allowed])


def _sweep(matrix: sp.csr_array, degree: Array, order: Array) -> Array:
    """The normalized cut between the first t nodes in an order and the others, for t = 1 … m − 1."""
    m = len(order)
    rank = np.empty(m, np.int64)
    rank[order] = np.arange(m)
    low, high = np.repeat(rank, np.diff(matrix.indptr)), rank[matrix.indices]
    once = low < high  # each edge, and no loop
    low, high, weight = low[once], high[once], matrix.data[once]
    change = np.bincount(low, weight, m) - np.bincount(high, weight, m)
    forth, back = change[:-1].cumsum(), -change[:0:-1].cumsum()[::-1]
    before, after = degree[order[:-1]].cumsum(), degree[order[:0:-1]].cumsum()[::-1]
    # summed up from the lighter side: a few faint nodes beside heavy ones keep their digits
    cut = np.clip(np.where(before <= after, forth, back), 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(cut > 0, cut / before + cut / after, 0.0)


# ---- the k-way cut ----------------------------------------------------------------------------------------------


def unit_rows(vectors: Array) -> Array:
    """Vectors (M, K), each of the same length and then each node's row of length 1 (a row of zeros stays)."""
    for axis in (0, 1):
        length = np.linalg.norm(vectors, axis=axis, keepdims=True)
        vectors = vectors / np.where(length > 0, length, 1)
    return vectors


def starting_rotation(rows: Array, seed: int = 0) -> Array:
    """K of the rows (M, K), drawn first and then as orthogonal to the earlier ones as can be: columns of (K, K)."""
    first = int(np.random.default_rng(seed).integers(len(rows)))
    chosen = [rows[first]]
    overlap = np.zeros(len(rows))
    for _ in range(rows.shape[1] - 1):
        overlap += np.abs(rows @ chosen[-1])
        chosen.append(rows[int(overlap.argmin())])
    return np.stack(chosen, axis=1)


def discrete(rows: Array, rotation: Array) -> Array:
    """The segment of each node: the largest entry of its rotated row; the first of equals."""
    return (rows @ rotation).argmax(axis=1)


def rotation_from(rows: Array, labels: Array) -> tuple[Array, float]:
    """The rotation R (K, K) that brings the rows (M, K) nearest to the one-hot labels X, and ‖X − rows R‖².

    From the singular values XᵀZ = U Ω Vᵀ: R = V Uᵀ (Yu and Shi 2003, equation 17).
    """
    k = rows.shape[1]
    sums = np.stack([np.bincount(labels, column, k) for column in rows.T], axis=1)  # Xᵀ Z (K, K)
    u, omega, vt = np.linalg.svd(sums)
    distance = len(rows) + float((rows**2).sum()) - 2 * float(omega.sum())
    return vt.T @ u.T, max(distance, 0.0)
