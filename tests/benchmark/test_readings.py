from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from seglab.benchmark import Run, readings
from seglab.benchmark.readings import (
    READINGS,
    average_precisions,
    measured_readings,
    readings_table,
    write_readings,
)
from seglab.benchmark.scores import score
from seglab.methods import KMeans

HALVES, QUARTERS = [[0] * 4 + [1] * 4], [[0, 0, 1, 1, 2, 2, 3, 3]]


def run_of(*maps: list[list[list[int]]]) -> Run:
    """Two pictures that two people have seen as halves and as quarters, and a method's label maps of each."""
    scores = {str(k): [score([HALVES, QUARTERS], torch.tensor(m)) for m in each] for k, each in enumerate(maps)}
    return Run("kmeans", tuple(KMeans(n_clusters=2 + k) for k in range(len(maps[0]))), scores, len(maps))


def test_six_readings_by_hand() -> None:
    # a picture with the left half and the right quarters, and one with the halves
    found = average_precisions(run_of([[[0, 0, 0, 0, 1, 1, 2, 2]]], [HALVES]))
    wanted = {
        # of size 4 three, all right, and they find 3 of 12; of size 2 two, right, and they find two more
        "any person": 3 / 12 + 2 / 12,
        # of size 4 six trials, three of them right; all: ten, of which 5 are right
        "each person": 3 / 12 * 3 / 6 + 2 / 12 * 5 / 10,
        "found once": 3 / 12 + 2 / 12,
        "found once, of one person's": 3 / 6 + 2 / 6,
        # against the halves both times (AP 1/2 and not 1/3; 1 and not 0): of size 4 three are right and find 3 of 4
        "best person": 3 / 4,
        "mean of pictures": (1 / 2 + 1 / 3) / 2,  # 3 of 6 are found, and 2 of 6
    }
    assert set(wanted) == set(READINGS)
    for name, value in wanted.items():
        assert found[name].shape == (1, 2)
        assert found[name][0] == pytest.approx([value, value]), name


def test_the_best_setting_of_each_reading_is_taken() -> None:
    whole = [[0] * 8]
    rows = readings_table("mine", [run_of([whole, QUARTERS], [whole, HALVES]), run_of([whole], [whole])])
    assert [row.name for row in rows] == [f"mine: {name}" for name in READINGS]
    assert {row.cells["ap50"].at for row in rows} == {"KMeans(n_clusters=3)"}
    assert rows[0].cells["ap50"].ods == pytest.approx(6 / 12, abs=1e-6)  # 4 of 6, and 2 of 6
    assert rows[0].n_pictures == 2


def test_written_and_read(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = {"bands": [("kmeans", {"seed": 1}, "n_clusters=2,4"), ("felzenszwalb", {"sigma": 0.5}, "scale=900")]}
    monkeypatch.setattr(readings, "SWEEPS", sweeps)
    monkeypatch.setattr(readings, "_FILE", tmp_path / "readings.json")
    write_readings(tmp_path / "readings.json", mine, tmp_path / "out")
    rows = measured_readings().rows
    assert [row.name for row in rows] == [f"bands: {name}" for name in READINGS]
    assert all(row.n_pictures == 4 for row in rows)
    assert all("n_clusters=4" in row.cells["ap70"].at for row in rows)  # the bands themselves


# ---- what is stored ----------------------------------------------------------------------------------------------


def test_the_stored_table_orders_the_methods_as_the_paper_does() -> None:
    rows = {row.name: row for row in measured_readings().rows}
    methods = ("k-means", "Felzenszwalb–Huttenlocher")
    assert list(rows) == [f"{method}: {reading}" for method in methods for reading in READINGS]
    assert all(row.n_pictures == 200 for row in rows.values())
    for measure in ("ap50", "ap70"):
        for reading in READINGS:
            k_means, graph = (rows[f"{method}: {reading}"].cells[measure].ods for method in methods)
            assert k_means is not None
            assert graph is not None
            assert 0 < k_means < graph


def test_the_graph_based_method_is_as_scikit_images() -> None:
    """What scikit-image's gave by these readings at the paper's five scales, sigma 0.5 and min_size 20."""
    theirs = {
        "any person": (0.1380, 0.0476),
        "each person": (0.0956, 0.0309),
        "found once": (0.0485, 0.0172),
        "found once, of one person's": (0.256, 0.091),
        "best person": (0.172, 0.063),
        "mean of pictures": (0.182, 0.085),
    }
    rows = {row.name: row for row in measured_readings().rows}
    for reading, values in theirs.items():
        cells = rows[f"Felzenszwalb–Huttenlocher: {reading}"].cells
        assert np.array([cells["ap50"].ods, cells["ap70"].ods]) == pytest.approx(values, rel=0.03)
