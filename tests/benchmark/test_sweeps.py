from __future__ import annotations

import pytest

from seglab.benchmark.sweeps import settings
from seglab.methods import SLIC, KMeans
from seglab.params import parameters


def values(grid: list, *names: str) -> list[tuple]:
    return [tuple(getattr(method, name) for name in names) for method in grid]


def test_a_declared_range() -> None:
    (declared,) = [p for p in parameters(KMeans) if p.name == "n_clusters"]
    (grid,) = settings(["kmeans"], "n_clusters", n_values=5)
    assert values(grid, "n_clusters") == [(value,) for value in declared.sweep(5)]
    assert (grid[0].n_clusters, grid[-1].n_clusters) == (declared.low, declared.high)
    assert settings(["kmeans"], {"n_clusters": 5}) == [grid]
    assert settings(["kmeans"], {"n_clusters": None}, n_values=5) == [grid]


def test_a_grid_for_those_that_have_the_parameter() -> None:
    kmeans, slic = settings(["kmeans", SLIC()], ["n_clusters=2,3", "max_iter=4,5", "n_segments=50,50,70"])
    assert values(kmeans, "n_clusters", "max_iter") == [(2, 4), (2, 5), (3, 4), (3, 5)]
    assert values(slic, "max_iter", "n_segments") == [(4, 50), (4, 70), (5, 50), (5, 70)]


def test_fixed_values_and_the_seed() -> None:
    ((method,),) = settings([KMeans(n_clusters=9)], fixed={"color_space": "rgb", "max_iter": 3}, seed=5)
    assert (method.n_clusters, method.color_space, method.max_iter, method.seed) == (9, "rgb", 3, 5)


@pytest.mark.parametrize(
    ("sweep", "fixed", "message"),
    [
        ("n_cluster", {}, "Did you mean 'n_clusters'"),
        ("n_clusters=", {}, "no values"),
        (["n_clusters=2", "n_clusters=3"], {}, "twice"),
        ("n_clusters=2", {"n_clusters": 3}, "both swept and fixed"),
        ("n_clusters=0", {}, "n_clusters"),
        ("n_clusters=two", {}, "n_clusters"),
        (None, {"nothing": 1}, "no parameter 'nothing'"),
    ],
)
def test_what_cannot_be_swept_is_told(sweep: object, fixed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(["kmeans"], sweep, fixed=fixed)


def test_no_methods() -> None:
    with pytest.raises(ValueError, match="name at least one"):
        settings([])
    with pytest.raises(ValueError, match="kmeens"):
        settings(["kmeens"])
