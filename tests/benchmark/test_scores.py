from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from seglab.benchmark.scores import SettingScore, pooled, score
from seglab.metrics.berkeley import region_scores


def maps(seed: int, *highest: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, (9, 11)) for n in highest]


def test_by_hand() -> None:
    found = score([[[0, 0, 1, 1]]], torch.tensor([[0, 0, 0, 1]]), seconds=2.5)
    assert found.overlaps == pytest.approx((2 / 3, 1 / 2))
    assert found.sizes == (2, 2)
    assert (found.covered_pred, found.total_pred) == pytest.approx((3 * 2 / 3 + 1 * 1 / 2, 4))
    assert found.rand == pytest.approx(3 / 6)
    assert (found.n_segments, found.seconds) == (2, 2.5)


def test_pooled_settings_are_berkeleys_scores() -> None:
    truths, predictions = maps(0, 3, 5), maps(1, 2, 4, 9)
    found = pooled([score(truths, torch.from_numpy(labels)) for labels in predictions])
    wanted = region_scores(truths, predictions)
    for field in dataclasses.fields(wanted):
        np.testing.assert_allclose(getattr(found, field.name), getattr(wanted, field.name), rtol=1e-12)


def test_places_that_do_not_touch() -> None:
    truth, labels = [[[0, 1, 2]]], torch.tensor([[0, 1, 0]])
    assert score(truth, labels).n_segments == 2
    apart = score(truth, labels, connected=True)
    assert apart.n_segments == 3
    assert apart.overlaps == (1, 1, 1)


def test_what_is_left_out_counts() -> None:
    """Labels on two of four pixels are right, but half the picture has none."""
    found = score([[[0, 0, 1, 2]]], torch.tensor([[0, 0, -1, -1]]))
    assert found.sizes == (2, 1, 1)
    assert found.overlaps == (1, 0.5, 0.5)
    assert found.n_segments == 2


def test_a_way_through_a_file() -> None:
    found = score(maps(2, 4), torch.from_numpy(maps(3, 5)[0]))
    assert SettingScore.from_json(json.loads(json.dumps(found.to_json()))) == found
