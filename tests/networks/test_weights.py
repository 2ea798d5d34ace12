"""Weights: what is saved comes back, with what made it; what does not fit is refused. Recipes are found and run."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from seglab.cli import main
from seglab.networks import Training, list_weights, load_weights, recipes, save_weights, weights, weights_info


def network(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))


def test_what_is_saved_comes_back(tmp_path):
    model = network().train()
    path = save_weights(model, tmp_path / "net", command="seglab train net", seed=3, scores={"iou": 0.5})
    assert path.name == "net.safetensors"
    again = load_weights(network(), path)
    assert not again.training
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert a.dtype == b.dtype, name
        torch.testing.assert_close(a, b, rtol=1 / 2048, atol=1e-7)
    info = weights_info(path)
    assert info["command"] == "seglab train net"
    assert info["scores"] == {"iou": 0.5}
    assert set(info) >= {"date", "versions", "n_weights", "bytes"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


def test_exact_in_float32(tmp_path):
    model = network()
    again = load_weights(network(), save_weights(model, tmp_path / "net", dtype=torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_part_of_a_network(tmp_path):
    path = save_weights(network(), tmp_path / "head", only=lambda name: name.startswith("2."))
    model = network()
    with pytest.raises(ValueError, match=r"are missing, 0\.bias the first"):
        load_weights(model, path)
    kept = model[0].weight.clone()
    load_weights(model, path, strict=False)
    assert torch.equal(model[0].weight, kept)


def test_what_does_not_fit(tmp_path):
    path = save_weights(network(), tmp_path / "net")
    with pytest.raises(ValueError, match="of other shape"):
        load_weights(network(5), path)
    with pytest.raises(ValueError, match="unknown to the model"):
        load_weights(nn.Conv2d(3, 4, 3), path, strict=False)
    with pytest.raises(ValueError, match="no weights 'nothing'"):
        load_weights(network(), "nothing")
    with pytest.raises(ValueError, match="no weight is left"):
        save_weights(network(), tmp_path / "none", only=lambda name: False)
    model = network()
    with torch.no_grad():
        model[0].bias.fill_(1e6)
    with pytest.raises(ValueError, match="not finite"):
        save_weights(model, tmp_path / "large")
    assert not (tmp_path / "large.safetensors").exists()


@pytest.mark.parametrize("name", list_weights())
def test_each_file_says_where_it_comes_from(name):
    info = weights_info(name)
    assert set(info) >= {"command", "data", "seed", "device", "date", "versions", "scores"}
    program, train, recipe, *options = info["command"].split()
    assert (program, train) == ("seglab", "train")
    assert recipe in recipes.list_recipes()
    given = dict(zip(options[::2], options[1::2], strict=True))
    epochs = int(given["--epochs"]) if "--epochs" in given else None
    how = {"epochs": epochs, "device": info["device"], "seed": info["seed"]}
    assert info["command"] == recipes.command_line(recipe, **how, precision=given.get("--precision", "float32"))
    training = eval(info["training"], {"Training": Training})
    assert epochs in (None, training.epochs)  # a recipe of several stages has a length for each
    assert (weights._HERE / f"{name}.safetensors").stat().st_size <= 5_000_000


@pytest.mark.parametrize("name", recipes.list_recipes())
def test_each_recipe_can_be_run(name):
    module = recipes.get_recipe(name)
    assert callable(module.train)
    assert module.__doc__


def test_the_command(tmp_path, monkeypatch, capsys):
    asked = {}

    def train(out, **options):
        asked.update(options, out=out)
        return {"mean IoU": 0.51234}

    monkeypatch.setattr(recipes, "list_recipes", lambda: ("known",))
    monkeypatch.setattr(recipes, "get_recipe", lambda name: SimpleNamespace(train=train, __doc__="One line.\nMore."))
    assert main(["train"]) == 0
    assert "known   One line." in capsys.readouterr().out
    options = ["--epochs", "2", "--seed", "4", "--precision", "bfloat16", "--out", str(tmp_path)]
    assert main(["train", "known", *options]) == 0
    assert asked == {"epochs": 2, "seed": 4, "device": "cpu", "precision": "bfloat16", "out": tmp_path}
    assert "mean IoU  0.5123" in capsys.readouterr().out
    assert main(["train", "known", "--epochs", "0"]) == 2
    asked.clear()
    assert main(["train", "known"]) == 0
    assert (asked["epochs"], asked["precision"]) == (None, "float32")


def test_a_recipe_that_is_not_there(capsys):
    assert main(["train", "nothing"]) == 2
    assert "No recipe is called 'nothing'" in capsys.readouterr().err


def test_the_record_is_json(tmp_path):
    path = save_weights(network(), tmp_path / "net", data="generated – ümlauts")
    assert "ümlauts" in path.with_suffix(".json").read_text("utf-8")
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["data"] == "generated – ümlauts"
