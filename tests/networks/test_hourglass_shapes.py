"""The recipe that compares inverses of pooling: it runs, resumes, and its committed scores are its networks'."""

from __future__ import annotations

import json

import pytest
import torch

from seglab.networks import load_weights, weights_info
from seglab.networks.recipes import _oracle
from seglab.networks.recipes import hourglass_shapes as recipe


def test_scenes_have_all_classes():
    samples = recipe.scenes(range(12))
    again, *_ = recipe.scenes(range(3, 4))
    assert torch.equal(again[0], samples[3][0])
    assert torch.equal(again[1], samples[3][1])
    shares = torch.stack([labels for _, labels in samples]).flatten().bincount(minlength=3) / (12 * 40 * 40)
    assert shares.min() > 0.02
    assert set(recipe._TRAIN).isdisjoint(recipe._HELD_OUT)


def test_it_runs_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "_TRAIN", range(6))
    monkeypatch.setattr(recipe, "_HELD_OUT", range(6, 9))
    monkeypatch.setattr(recipe, "SEEDS", 2)
    monkeypatch.setattr(recipe, "KINDS", {kind: recipe.KINDS[kind] for kind in ("nearest", "switches, skips")})
    scores = recipe.train(tmp_path, epochs=1, device="cpu", seed=3)
    info = json.loads((tmp_path / "hourglass_shapes.json").read_text("utf-8"))
    assert list(scores) == ["mean IoU, nearest", "mean IoU, switches, skips"]
    assert len(info["unsupervised, with an oracle"]) == len(info["unsupervised, named one to one"]) == 7
    assert info["command"] == "seglab train hourglass_shapes --epochs 1 --seed 3 --device cpu"
    first = info["scores"]["nearest"]["mean IoU"]
    assert first["mean"] == pytest.approx(sum(first["seeds"]) / 2, abs=1e-4)
    assert recipe.train(tmp_path, epochs=1, device="cpu", seed=3) == scores, "from the checkpoints"
    nets = load_weights(recipe.networks(), tmp_path / "hourglass_shapes")
    ours = recipe.scores_of(nets["nearest"], recipe.scenes(range(6, 9)))
    assert ours["mean IoU"] == pytest.approx(first["seeds"][0], abs=0.02)


def test_the_committed_scores_are_the_networks():
    info, nets = weights_info("hourglass_shapes"), load_weights(recipe.networks(), "hourglass_shapes")
    held_out = recipe.scenes(recipe._HELD_OUT)
    assert set(info["scores"]) == set(recipe.KINDS)
    for kind in recipe.KINDS:
        scores = recipe.scores_of(nets[kind], held_out)
        for name, value in scores.items():
            assert value == pytest.approx(info["scores"][kind][name]["seeds"][0], abs=0.01), "float16 changes little"
    for kind in ("nearest", "bilinear"):
        assert recipe.flat_grid(nets[kind]) < 1e-4
    assert recipe.flat_grid(nets["transposed 3×3"]) > 1e-2


def test_skips_make_a_difference_that_seeds_do_not():
    band = {kind: scores["in the band"]["seeds"] for kind, scores in weights_info("hourglass_shapes")["scores"].items()}
    with_skips = [value for kind, values in band.items() if "skips" in kind for value in values]
    without = [value for kind, values in band.items() if "skips" not in kind for value in values]
    assert min(with_skips) > max(without) + 0.05


def test_the_bar_is_as_the_record_says():
    """An oracle that reads all names off the truth is above the networks; one with a name for one segment is not."""
    info = weights_info("hourglass_shapes")
    free, one_to_one = info["unsupervised, with an oracle"], info["unsupervised, named one to one"]
    held_out = recipe.scenes(recipe._HELD_OUT)
    for table, n, oracle in ((free, 8, _oracle.named_by_an_oracle), (one_to_one, 3, _oracle.named_one_to_one)):
        methods = _oracle.methods_with(n)
        assert list(table) == list(methods)
        name = f"SLIC, merged to {n} segments"
        found = _oracle.oracle_iou(methods[name], held_out, lambda s, y, oracle=oracle: oracle(s, y, 3))
        assert table[name] == pytest.approx(found, abs=1e-4)
    best = max(scores["mean IoU"]["mean"] for scores in info["scores"].values())
    assert max(free.values()) > best > max(one_to_one.values()) + 0.1
