"""U-Net's recipes: samples, the loss, prediction in turns; and that the weights in the package score as told."""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seglab.datasets import Membrane, tissue
from seglab.features import mirror_pad
from seglab.metrics import membrane_sweep
from seglab.networks import UNet, recipes
from seglab.networks.recipes import get_recipe, unet_cells, unet_membrane
from seglab.networks.unet import border_weights
from seglab.networks.weights import load_weights, weights_info


def test_samples():
    scene = tissue(height=64, width=64, seed=1)
    image, classes, weights = unet_cells.sample(scene.image, scene.instances, weigh=True)
    assert torch.equal(image, scene.image)
    assert torch.equal(classes, 1 - scene.semantic)
    assert torch.equal(weights, border_weights(scene.instances))
    assert unet_cells.sample(scene.image, scene.instances, weigh=False)[2].eq(1).all()


def test_patches_are_changed_alike():
    scene = tissue(height=96, width=96, seed=1, noise=0.0, organelles=0.0, fading=0.0, illumination=0.0)
    sample = unet_cells.sample(scene.image, scene.instances, weigh=True)
    seen = set()
    for seed in range(6):
        image, classes, weights = unet_cells.augment(sample, torch.Generator().manual_seed(seed), patch=48, margin=16)
        assert image.shape == (1, 48, 48)
        assert classes.shape == weights.shape == (48, 48)
        assert image[0][classes == 1].mean() < image[0][classes == 0].mean() - 0.1, "membranes are dark still"
        assert weights[classes == 1].mean() > weights[classes == 0].mean()
        seen.add(round(float(image.mean()), 4))
    assert len(seen) == 6


@pytest.mark.parametrize("padded", [False, True])
def test_loss_is_the_formula(padded):
    net = UNet(width=2, depth=1, padded=padded, dropout=0.0)
    generator = torch.Generator().manual_seed(0)
    image, weights = torch.rand(2, 1, 20, 20, generator=generator), torch.rand(2, 20, 20, generator=generator)
    classes = (weights > 0.5).long()
    cut = net.border // 2
    total, n = 0.0, 0
    logs = net(image).log_softmax(1)
    for k in range(2):
        for row in range(cut, 20 - cut):
            for col in range(cut, 20 - cut):
                total -= weights[k, row, col] * logs[k, classes[k, row, col], row - cut, col - cut]
                n += 1
    torch.testing.assert_close(unet_cells.weighted_cross_entropy(net, (image, classes, weights)), total / n)


def test_probabilities_are_the_networks():
    net = UNet(width=2, depth=1, padded=True, dropout=0.0).eval()
    image = torch.rand(1, 15, 22, generator=torch.Generator().manual_seed(0))
    probability = unet_cells.membrane_probability(net, image)
    assert probability.shape == (15, 22)
    around = mirror_pad(image[None], 16, 17)[..., :-1]
    with torch.no_grad():
        expected = net(around).softmax(1)[0, 1, 16:31, 16:38]
    torch.testing.assert_close(probability, expected, atol=1e-5, rtol=0)


def test_scores_of_one_who_knows():
    pairs = unet_cells.pictures([3, 4])
    truth = {id(image): (cells == 0).float() for image, cells in pairs}
    scores = unet_cells.evaluate(lambda image: truth[id(image)], pairs[:1], pairs[1:])
    assert scores["rand"] == scores["information"] == scores["best_rand"] == scores["rand_where_chosen"] == 1
    assert scores["pixel_error"] == scores["least_pixel_error"] == 0


def test_the_threshold_is_chosen_on_the_other_pictures():
    cells = torch.ones(40, 40, dtype=torch.int64)
    cells[:, 20:], cells[:, 19] = 2, 0
    wall, rung = (cells == 0).float(), torch.zeros(40, 40)
    rung[::4] = 0.5  # above the lower threshold, below the higher
    learned, other = (wall[None] * 0.35, cells), (torch.maximum(wall * 0.85, rung)[None], cells)
    scores = unet_cells.evaluate(lambda image: image[0], [learned], [other], (0.3, 0.8, 0.9))
    assert scores["threshold"] == 0.3
    assert scores["rand"] < 0.9
    assert scores["best_rand"] == scores["rand_where_chosen"] == 1


def test_recipes_run(tmp_path, monkeypatch):
    few = partial(unet_cells.pictures, range(2))
    monkeypatch.setattr(unet_cells, "pictures", lambda seeds: few())
    monkeypatch.setattr(unet_cells, "THRESHOLDS", (0.3, 0.6))
    monkeypatch.setattr(unet_cells, "unsupervised", lambda learned, held_out: {})
    scores = get_recipe("unet_cells").train(tmp_path, epochs=1, device="cpu", seed=0)
    info = weights_info(tmp_path / "unet_cells")
    assert info["scores"] == scores
    assert set(info["without_border_weights"]) == set(scores)
    load_weights(unet_cells.network(), tmp_path / "unet_cells")


def test_a_stopped_recipe_saves_no_weights(tmp_path, monkeypatch):
    """What it has learned is in the checkpoint, and the same command goes on from there."""
    few, whole_loss = unet_cells.pictures(range(2)), unet_cells.weighted_cross_entropy
    calls = []

    def stopped(model, batch):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole_loss(model, batch)

    monkeypatch.setattr(unet_cells, "pictures", lambda seeds: few)
    monkeypatch.setattr(unet_cells, "weighted_cross_entropy", stopped)
    with pytest.raises(KeyboardInterrupt):
        unet_cells.train(tmp_path, epochs=3)
    assert [path.name for path in tmp_path.iterdir()] == ["unet_cells.pt"]


@pytest.mark.parametrize("name", [path.stem for path in Path(recipes.__file__).parent.glob("*.py")])
def test_no_recipe_takes_an_interruption_for_the_end(name):
    tree = ast.parse((Path(recipes.__file__).parent / f"{name}.py").read_text("utf-8"))
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".fit")]
    for call in calls:
        assert "on_interrupt='raise'" in ast.unparse(call) or "**options" in ast.unparse(call)


def test_the_membranes_record_is_the_recipes(tmp_path, monkeypatch):
    """Two slices of each part, an epoch: the record has the keys of the committed one."""
    one = tissue(height=512, width=512, seed=0)
    monkeypatch.setattr(
        unet_membrane, "Membrane", lambda split: [SimpleNamespace(image=one.image, cells=one.instances)]
    )
    monkeypatch.setattr(unet_membrane, "evaluate", lambda *given, **options: {"rand": 0.5})
    monkeypatch.setattr(unet_membrane, "unsupervised", lambda others, held_out: {})
    unet_membrane.train(tmp_path, epochs=1)
    info = weights_info(tmp_path / "unet_membrane")
    assert set(weights_info("unet_membrane")) - set(info) == {"validation of what could be missing"}  # made once
    assert set(info) < set(weights_info("unet_membrane"))
    assert len(info["held_out_loss"]) == 1
    load_weights(unet_membrane.network(), tmp_path / "unet_membrane")


def test_each_slice_is_predicted_once(monkeypatch):
    """Once as it is, and those to choose by and to score once more by eight views; scores are those of `evaluate`."""
    slices = {
        split: [(one.image, one.instances)]
        for split, one in zip(
            ("train", "val", "test"), (tissue(height=64, width=64, seed=k) for k in range(3)), strict=True
        )
    }
    views = []

    def darkness(model, image, turned):
        views.append(turned)
        return 1 - image[0]

    monkeypatch.setattr(unet_membrane, "membrane_probability", darkness)
    monkeypatch.setattr(unet_membrane, "unsupervised", lambda others, held_out: {})
    found = unet_membrane._every_score(None, slices)
    assert sorted(views) == [False] * 3 + [True] * 2
    chosen = slices["val"], slices["test"], unet_membrane.THRESHOLDS
    assert found["scores_unthinned"] == unet_cells.evaluate(lambda image: 1 - image[0], *chosen, thin=False)


def test_quarters_are_the_slice():
    one = tissue(height=512, width=512, seed=1)
    upper_left, upper_right, lower_left, lower_right = unet_membrane.quarters([(one.image, one.instances)])
    for k in (0, 1):
        rows = [torch.cat(pair, -1) for pair in ((upper_left[k], upper_right[k]), (lower_left[k], lower_right[k]))]
        assert torch.equal(torch.cat(rows, -2), (one.image, (one.instances == 0).long())[k])


def test_methods_that_learn_nothing():
    pairs = unet_cells.pictures([5, 6])
    found = unet_cells.unsupervised(pairs[:1], pairs[1:])
    assert len(found) == 3
    assert all(0 < scores["rand"] < 1 for scores in found.values())


# --- the weights in the package ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unet_cells", "unet_membrane"])
def test_weights_are_better_than_what_learns_nothing(name):
    info = weights_info(name)
    assert info["bytes"] < 5e6
    assert info["scores"]["rand"] > max(scores["rand"] for scores in info["unsupervised"].values()) + 0.05


def test_cells_score_as_told():
    info, net = weights_info("unet_cells"), load_weights(unet_cells.network(), "unet_cells")
    threshold = info["scores"]["threshold"]
    held_out = unet_cells.pictures(range(1000, 1012))
    scores = unet_cells.evaluate(partial(unet_cells.membrane_probability, net), held_out, held_out, (threshold,))
    assert scores["rand"] == pytest.approx(info["scores"]["rand"], abs=0.005)
    assert scores["pixel_error"] == pytest.approx(info["scores"]["pixel_error"], abs=0.001)


@pytest.mark.data
@pytest.mark.slow
def test_membranes_score_as_told(seglab_data):
    info, net = weights_info("unet_membrane"), load_weights(unet_membrane.network(), "unet_membrane")
    held_out = [(one.image, one.cells) for one in Membrane("test", seglab_data)]
    for views in ("", "_by_eight_views"):
        maps = [unet_cells.membrane_probability(net, image, turned=bool(views)) for image, _ in held_out]
        for thinned in ("", "_unthinned"):
            told = info[f"scores{views}{thinned}"]
            again = membrane_sweep([cells for _, cells in held_out], maps, (told["threshold"],), thin=not thinned)[0]
            for name in ("rand", "rand_split", "rand_merge", "information"):
                assert getattr(again, name) == pytest.approx(told[name], abs=0.002)
            assert again.pixel_error == pytest.approx(told["pixel_error"], abs=0.001)
