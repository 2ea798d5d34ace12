from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seglab.benchmark.scores import MEASURES, Boundary, SettingScore, Truths, checked_measures, pooled, score
from seglab.labels import connected_components
from seglab.metrics import boundary_scores, region_scores, segment_benchmark, segment_scores


def maps(seed: int, *highest: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, (9, 11)) for n in highest]


def test_by_hand() -> None:
    found = score([[[0, 0, 1, 1]]], torch.tensor([[0, 0, 0, 1]]), seconds=2.5)
    region = found.region
    assert region is not None
    assert region.overlaps == pytest.approx((2 / 3, 1 / 2))
    assert region.sizes == (2, 2)
    assert (region.covered_pred, region.total_pred) == pytest.approx((3 * 2 / 3 + 1 * 1 / 2, 4))
    assert region.rand == pytest.approx(3 / 6)
    assert (found.n_segments, found.seconds) == (2, 2.5)


def test_pooled_settings_are_berkeleys_scores() -> None:
    truths, predictions = maps(0, 3, 5), maps(1, 2, 4, 9)
    found = pooled([score(truths, torch.from_numpy(labels)) for labels in predictions])
    wanted = region_scores(truths, predictions)
    assert found.region is not None
    for field in dataclasses.fields(wanted):
        np.testing.assert_allclose(getattr(found.region, field.name), getattr(wanted, field.name), rtol=1e-12)


def test_places_that_do_not_touch() -> None:
    truth, labels = [[[0, 1, 2]]], torch.tensor([[0, 1, 0]])
    assert score(truth, labels).n_segments == 2
    apart = score(truth, labels, connected=True)
    assert apart.n_segments == 3
    assert apart.region is not None
    assert apart.region.overlaps == (1, 1, 1)


def test_what_is_left_out_counts() -> None:
    """Labels on two of four pixels are right, but half the picture has none."""
    found = score([[[0, 0, 1, 2]]], torch.tensor([[0, 0, -1, -1]]))
    assert found.region is not None
    assert found.region.sizes == (2, 1, 1)
    assert found.region.overlaps == (1, 0.5, 0.5)
    assert found.n_segments == 2


def test_a_way_through_a_file() -> None:
    found = score(maps(2, 4), torch.from_numpy(maps(3, 5)[0]))
    assert SettingScore.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_boundaries_and_segments_are_the_measures_own() -> None:
    truths, predictions = maps(4, 3, 5), maps(5, 2, 4, 9)
    found = pooled([score(truths, torch.from_numpy(labels), connected=True) for labels in predictions])
    pieces = [connected_components(torch.from_numpy(labels)) for labels in predictions]
    wanted = boundary_scores(truths, pieces)
    assert found.boundary is not None
    for field in dataclasses.fields(wanted):
        np.testing.assert_array_equal(getattr(found.boundary, field.name), getattr(wanted, field.name))
    assert found.segments is not None
    for ours, labels in zip(found.segments, pieces, strict=True):
        result, direct = segment_benchmark([ours]), segment_benchmark([segment_scores(truths, labels)])
        np.testing.assert_array_equal(result.curves, direct.curves)


def test_segments_are_places_that_touch() -> None:
    """As regions, both ends of the picture are one segment; as detections they are two, and right."""
    found = score([[[0, 0, 1, 2, 2]]], torch.tensor([[0, 0, 1, 0, 0]]))
    assert found.n_segments == 2
    assert found.segments is not None
    assert (found.segments.sizes, found.segments.counts, found.segments.overlaps) == ((2, 1), (2, 1), (1, 1, 1))


def test_measures_are_left_out_and_joined() -> None:
    truths, labels = maps(6, 4), torch.from_numpy(maps(7, 5)[0])
    every = score(truths, labels)
    parts = [score(truths, labels, measures=[name]) for name in MEASURES]
    assert [part.measures for part in parts] == [{name} for name in MEASURES]
    assert parts[0].joined(parts[1].joined(parts[2])) == every
    assert every.only(["boundary"]) == parts[1]
    assert pooled([every, parts[0]]).boundary is None
    assert checked_measures(" segments, region") == ("region", "segments")
    for wrong in ("", "regions", []):
        with pytest.raises(ValueError, match="measures are some of region, boundary, segments"):
            checked_measures(wrong)


def test_boundaries_that_a_picture_has_are_taken() -> None:
    """The file's own boundaries count, whatever its label maps would give."""
    drawn = np.zeros((5, 9), bool)
    drawn[:, 2] = True
    truths = Truths.of(SimpleNamespace(segmentations=[np.zeros((5, 9), int)], boundaries=[drawn]))
    labels = torch.arange(9).ge(3).long()[None].repeat(5, 1)
    assert score(truths, labels).boundary == Boundary(matched_true=5, total_true=5, matched_pred=5, total_pred=5)
