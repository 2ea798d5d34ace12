"""Recipes: what they generate, what they save, and the oracle that sets the bar."""

from __future__ import annotations

import itertools
import json

import pytest
import torch

from seglab.networks import FCN, TextureNet, Training, load_weights, weights_info
from seglab.networks.recipes import _fcn, _oracle, fcn_horses, fcn_textures, get_recipe, list_recipes
from seglab.segmenter import generator


def test_recipes_are_found_by_name():
    assert {"fcn_camvid", "fcn_horses", "fcn_textures"} <= set(list_recipes())
    assert all(not name.startswith("_") for name in list_recipes())
    assert get_recipe("fcn_horses") is fcn_horses
    with pytest.raises(ValueError, match="Did you mean 'fcn_horses'"):
        get_recipe("fcn_horse")


def test_textures_are_generated_and_the_test_is_apart():
    (x, y), *_ = fcn_textures.windows(2, 5)
    assert x.shape == (3, 91, 91)
    assert y.ndim == 0
    image, labels = fcn_textures.mosaics(1)[0]
    assert image.shape == (3, *labels.shape)
    assert not torch.equal(fcn_textures.mosaics(1, fcn_textures._TEST)[0][0], image)


@pytest.mark.slow
def test_finer_and_finer(tmp_path):
    """A tiny run of the three stages: files, records, scores; what is frozen is neither changed nor saved."""
    pairs = fcn_textures.mosaics(3)
    model = FCN(TextureNet().dense()[:-1], 4, stride=32).freeze(2)
    options = {"out": tmp_path, "device": "cpu", "augment": None, "class_names": ("a", "b", "c", "d"), "save": (32, 8)}
    about = {"command": "seglab train x", "data": "none", "seed": 0}
    epochs = {32: 1, 16: 1, 8: 1}
    results = _fcn.train_finer_and_finer("x", model, epochs, Training(), pairs, pairs, pairs, about=about, **options)
    assert {f"FCN-{s}s mean IoU" for s in (32, 16, 8)} <= set(results)
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".safetensors") == [
        "x_32s.safetensors",
        "x_8s.safetensors",
    ]
    info = weights_info(tmp_path / "x_8s.safetensors")
    assert info["scores"]["mean IoU"] == pytest.approx(results["FCN-8s mean IoU"], abs=1e-4)
    assert set(info) >= {"command", "data", "seed", "device", "training", "epochs", "seconds"}
    again = FCN(TextureNet().dense()[:-1], 4, stride=8)
    untouched = again.stages[0][0].weight.clone()
    load_weights(again, tmp_path / "x_8s.safetensors", strict=False)
    assert torch.equal(again.stages[0][0].weight, untouched)
    assert torch.equal(untouched, model.stages[0][0].weight)
    assert again.heads[2].weight.any()
    measured = _fcn.measure(again, pairs, ("a", "b", "c", "d"))
    assert measured["mean IoU"] == pytest.approx(info["scores"]["mean IoU"], abs=0.02)


def test_measure_by_hand():
    class Left(torch.nn.Module):
        """Says 1 on the left half."""

        def __init__(self):
            super().__init__()
            self.p = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            left = (torch.arange(x.shape[3]) < x.shape[3] // 2).float().expand(1, 1, *x.shape[2:])
            return torch.cat([1 - left, left], 1)

    labels = torch.zeros(4, 8, dtype=torch.int64)
    labels[:, :2] = 1
    labels[0, 7] = -1
    scores = _fcn.measure(Left(), [(torch.zeros(3, 4, 8), labels)], ("ground", "object"))
    assert scores["IoU object"] == pytest.approx(8 / 16)
    assert scores["IoU ground"] == pytest.approx(15 / 23)
    assert scores["pixel accuracy"] == pytest.approx(23 / 31)


def test_an_oracle_finds_the_best_union():
    """Against all unions of five segments."""
    g = generator(0)
    for _ in range(30):
        segments = torch.randint(0, 5, (6, 7), generator=g)
        labels = (torch.rand(6, 7, generator=g) < 0.4).long()
        unions = [c for k in range(1, 6) for c in itertools.combinations(range(5), k)]
        best = 0.0
        for union in unions:
            inside = torch.isin(segments, torch.tensor(union))
            best = max(best, ((inside & (labels == 1)).sum() / (inside | (labels == 1)).sum()).item())
        found = _oracle.chosen_by_an_oracle(segments, labels)
        assert found.sum() == 42
        assert (found[1, 1] / (found[0, 1] + found[1].sum())).item() == pytest.approx(best)


def test_an_oracle_names_segments():
    """Worked by hand: segment 0 is mostly of class 2, segment 1 a draw of 0 and 1, 2 has no label at all."""
    segments = torch.tensor([[0, 0, 0, 0], [1, 1, 2, 2]])
    labels = torch.tensor([[2, 2, 0, -1], [1, 0, -1, -1]])
    assert _oracle.named_by_an_oracle(segments, labels, 3).tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 2]]


def test_an_oracle_who_names_finds_the_best_accuracy():
    """Against all ways to name four segments by three classes."""
    g = generator(1)
    for _ in range(10):
        segments = torch.randint(0, 4, (6, 7), generator=g)
        labels = torch.randint(-1, 3, (6, 7), generator=g)
        ways = torch.tensor(list(itertools.product(range(3), repeat=4)))
        best = max(int((way[segments] == labels).sum()) for way in ways)
        found = _oracle.named_by_an_oracle(segments, labels, 3)
        assert found.sum() == (labels >= 0).sum()
        assert found.diagonal().sum() == best
        assert torch.equal(found.sum(1), torch.bincount(labels[labels >= 0], minlength=3))


def test_one_to_one_by_hand_and_against_all_ways():
    """By hand: segments 0 and 1 are both mostly of class 0; the smaller loss is where 1 becomes class 2."""
    segments, labels = torch.tensor([[0, 0, 0, 1], [1, 1, 2, 2]]), torch.tensor([[0, 0, 0, 0], [0, 2, 1, -1]])
    assert _oracle.named_one_to_one(segments, labels, 3).tolist() == [[3, 0, 2], [0, 1, 0], [0, 0, 1]]
    assert _oracle.named_one_to_one(segments.clamp(max=0), labels, 3).tolist() == [[5, 0, 0], [1, 0, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="there are 3 for 2 classes"):
        _oracle.named_one_to_one(segments, labels.clamp(max=1), 2)
    g = generator(2)
    for _ in range(10):
        segments, labels = (torch.randint(low, 4, (6, 7), generator=g) for low in (0, -1))
        best = max(int((torch.tensor(way)[segments] == labels).sum()) for way in itertools.permutations(range(4)))
        found = _oracle.named_one_to_one(segments, labels, 4)
        assert found.diagonal().sum() == best
        assert torch.equal(found.sum(1), torch.bincount(labels[labels >= 0], minlength=4))


def test_an_oracles_score_of_perfect_segments():
    labels = torch.zeros(6, 8, dtype=torch.int64)
    labels[2:4, 3:6] = 1
    assert _oracle.oracle_iou(lambda image: labels, [(torch.zeros(3, 6, 8), labels)]) == 1
    blank = _oracle.oracle_iou(lambda image: torch.zeros_like(labels), [(torch.zeros(3, 6, 8), labels)])
    assert blank == pytest.approx(6 / 48 / 2)


@pytest.mark.parametrize("name", _oracle.METHODS)
def test_the_methods_give_a_handful_of_segments(name):
    image, _ = fcn_textures.mosaics(1)[0]
    labels = _oracle.METHODS[name](image)
    assert labels.shape == image.shape[1:]
    assert 2 <= len(labels.unique()) <= 8


def test_records_are_read_as_written():
    for stride in (32, 16, 8):
        info = weights_info(f"fcn_textures_{stride}s")
        assert json.dumps(info)
        model = load_weights(FCN(TextureNet().dense()[:-1], 4, stride=stride), f"fcn_textures_{stride}s")
        pairs = fcn_textures.mosaics(20, fcn_textures._TEST)
        assert _fcn.measure(model, pairs, "abcd")["mean IoU"] == pytest.approx(info["scores"]["mean IoU"], abs=0.08)


def test_the_bar_for_textures_is_as_its_records_say():
    """Outlines are easy to find by color, so an oracle that reads all names off the truth is above the network."""
    infos = [weights_info(f"fcn_textures_{stride}s") for stride in (32, 16, 8)]
    free, one_to_one = "unsupervised, with an oracle", "unsupervised, named one to one"
    assert all(info[key] == infos[2][key] for info in infos for key in (free, one_to_one))
    pairs = fcn_textures.mosaics(100, fcn_textures._TEST)
    for key, n, oracle in ((free, 8, _oracle.named_by_an_oracle), (one_to_one, 4, _oracle.named_one_to_one)):
        methods = _oracle.methods_with(n)
        assert list(infos[2][key]) == list(methods)
        name = f"SLIC, merged to {n} segments"
        found = _oracle.oracle_iou(methods[name], pairs, lambda s, y, oracle=oracle: oracle(s, y, 4))
        assert infos[2][key][name] == pytest.approx(found, abs=1e-4)
    assert infos[2]["scores"]["mean IoU"] > max(infos[2][one_to_one].values()) + 0.15
    assert infos[2]["scores"]["mean IoU"] < max(infos[2][free].values())


def test_the_classifier_is_as_good_as_its_record_says():
    model = load_weights(TextureNet(), "texture_classifier")
    test = fcn_textures.windows(100, fcn_textures._TEST)
    with torch.inference_mode():
        right = torch.cat([model(x[None]).argmax(1) == y for x, y in test]).double().mean()
    assert right == pytest.approx(weights_info("texture_classifier")["scores"]["accuracy"], abs=0.06)


@pytest.mark.data
@pytest.mark.slow
def test_the_horses_are_as_good_as_their_record_says(seglab_data, monkeypatch):
    from seglab.datasets import WeizmannHorses
    from seglab.networks.squeezenet import load_squeezenet

    info = weights_info("fcn_horses_8s")
    model = FCN(load_squeezenet(seglab_data).features, 2, stride=8)
    load_weights(model, "fcn_horses_8s", strict=False)
    pairs = [(h.image, h.labels) for h in WeizmannHorses("test", seglab_data)[::5]]
    scores = _fcn.measure(model, pairs, ("ground", "horse"))
    assert scores["mean IoU"] == pytest.approx(info["scores"]["mean IoU"], abs=0.04)
    assert info["scores"]["mean IoU"] > max(info["unsupervised, with an oracle"].values()) + 0.05


@pytest.mark.data
@pytest.mark.slow
def test_the_streets_are_as_good_as_their_record_says(seglab_data):
    from seglab.datasets import CamVid
    from seglab.networks.squeezenet import load_squeezenet

    info = weights_info("fcn_camvid_4s")
    model = FCN(load_squeezenet(seglab_data).features, len(CamVid.class_names), stride=4)
    load_weights(model, "fcn_camvid_4s", strict=False)
    scenes = CamVid("test", seglab_data)[::8]
    pairs = [(scene.image, scene.labels) for scene in scenes]
    scores = _fcn.measure(model, pairs, CamVid.class_names)
    assert scores["mean IoU"] == pytest.approx(info["scores"]["mean IoU"], abs=0.03)
    assert scores["pixel accuracy"] == pytest.approx(info["scores"]["pixel accuracy"], abs=0.03)
    assert info["scores"]["mean IoU"] > max(info["unsupervised at half size, with an oracle"].values()) + 0.1


def test_a_table_is_kept_as_it_grows(tmp_path, monkeypatch):
    labels = torch.zeros(6, 8, dtype=torch.int64)
    labels[2:4, 3:6] = 1
    calls = []
    monkeypatch.setattr(_oracle, "METHODS", {name: lambda image: calls.append(1) or labels for name in ("a", "b")})
    file = tmp_path / "deep" / "table.json"
    pairs = [(torch.zeros(3, 6, 8), labels)]
    assert _oracle.table(pairs, file) == _oracle.table(pairs, file) == {"a": 1.0, "b": 1.0}
    assert len(calls) == 2


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "stride"), [("fcn_camvid", 4), ("fcn_horses", 8)])
def test_a_short_run_on_real_pictures(name, stride, seglab_data, tmp_path, monkeypatch):
    """Two pictures of each part, one epoch: the recipe runs through, and its weights load on SqueezeNet."""
    from seglab.networks.squeezenet import load_squeezenet

    monkeypatch.setenv("SEGLAB_DATA", str(seglab_data))
    module = get_recipe(name)
    data = "CamVid" if name == "fcn_camvid" else "WeizmannHorses"
    whole = getattr(module, data)

    class Few(whole):
        def __len__(self):
            return 2

    monkeypatch.setattr(module, data, Few)
    nothing = {"nothing": lambda image: torch.zeros(image.shape[1:], dtype=torch.int64)}
    monkeypatch.setattr(_oracle, "METHODS", nothing)
    monkeypatch.setattr(module, "METHODS_FOR_SCENES", nothing, raising=False)
    scores = module.train(tmp_path, epochs=1, device="cpu", seed=0)
    assert 0 <= scores[f"FCN-{stride}s mean IoU"] <= 1
    model = FCN(load_squeezenet().features, 11 if name == "fcn_camvid" else 2, stride=stride)
    load_weights(model, tmp_path / f"{name}_{stride}s", strict=False)
    assert (tmp_path / f"{name}_{stride}s.safetensors").stat().st_size < 5_000_000
