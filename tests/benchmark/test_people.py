from __future__ import annotations

import numpy as np
import pytest

from seglab.benchmark import people as module
from seglab.benchmark.people import leave_one_out, people_on_bsds500, pooled_f
from seglab.datasets import BSDS500
from seglab.metrics import probabilistic_rand_index, segmentation_covering, variation_of_information

HALVES, THIRDS = [[0] * 4 + [1] * 4] * 3, [[0] * 4 + [1] * 2 + [2] * 2] * 3


def test_two_people_by_hand():
    scores = leave_one_out([HALVES, THIRDS], id="7")
    # the halves by the thirds: (1 + ½) / 2; the thirds by the halves: (2 · 1 + ½ + ½) / 4
    assert scores.covering == pytest.approx((0.75 + 0.75) / 2)
    assert scores.information == pytest.approx(0.5)  # the right half is open by one bit
    assert (scores.id, scores.n_segments) == ("7", (2, 3))
    assert scores.boundary == (6, 9, 6, 9)  # three pixels of one, six of the other, three in common


def test_each_against_all_the_others():
    generator = np.random.default_rng(0)
    people = [generator.integers(0, 3, (6, 7)) for _ in range(4)]
    measures = (segmentation_covering, probabilistic_rand_index, variation_of_information)
    plain = [[f(people[:k] + people[k + 1 :], people[k]) for f in measures] for k in range(4)]
    scores = leave_one_out(people)
    assert (scores.covering, scores.rand, scores.information) == pytest.approx(tuple(np.mean(plain, 0)))


def test_the_same_people_agree():
    scores = leave_one_out([HALVES] * 3)
    assert (scores.covering, scores.rand, scores.information, scores.f) == (1, 1, 0, 1)
    with pytest.raises(ValueError, match="at least two"):
        leave_one_out([HALVES])


def test_the_stored_scores_are_the_published_ones():
    people = people_on_bsds500()
    means = [np.mean([getattr(s, name) for s in people]) for name in ("covering", "rand", "information")]
    assert [f"{value:.2f}" for value in means] == ["0.72", "0.88", "1.17"]  # Arbeláez et al., TPAMI 2011
    assert f"{pooled_f(people):.2f}" == "0.80"
    assert len({s.id for s in people}) == 200


@pytest.mark.data
def test_the_stored_scores_are_those_of_the_data(seglab_data, monkeypatch, tmp_path):
    stored = {s.id: s for s in people_on_bsds500()}
    test = BSDS500("test", seglab_data)
    assert sorted(stored) == sorted(test.ids)
    monkeypatch.setattr(module, "BSDS500", lambda split: test[60:63])
    module.write_people(tmp_path / "people.json")
    monkeypatch.setattr(module, "_FILE", tmp_path / "people.json")
    for anew in people_on_bsds500():
        old = stored[anew.id]
        assert (anew.n_segments, anew.boundary) == (old.n_segments, old.boundary)
        assert (anew.covering, anew.rand, anew.information) == pytest.approx(
            (old.covering, old.rand, old.information), abs=1e-6
        )
