"""The study of Deep Superpixel Cut: its rows, its file that grows, and what the committed file says."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources

import pytest
import torch

from seglab.benchmark import deep_superpixels as study
from seglab.datasets import shapes
from seglab.labels import connected_components, majority_vote
from seglab.methods import DeepSuperpixelCut


class FewPictures:
    """A split of two generated scenes."""

    def __init__(self, split: str = "val", ids: tuple[str, ...] = ("1", "2")) -> None:
        self.split, self.ids = split, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, key: slice) -> FewPictures:
        return FewPictures(self.split, self.ids[key])

    def __iter__(self):
        for id in self.ids:
            scene = shapes(height=40, width=48, seed=int(id))
            yield type("Picture", (), {"image": scene.image, "segmentations": [scene.semantic]})()


def test_label_maps_are_those_when_so_few_clusters_are_left(monkeypatch):
    image = shapes(height=40, width=48).image
    monkeypatch.setattr(study, "CLUSTERS", (40, 18, 2))
    method = DeepSuperpixelCut(max_iter=20, n_superpixels=40, min_clusters=2, connected=True, min_size=40)
    maps = study.deep_cut(method)(image)
    states = list(method.steps(image))
    reached = [next((s for s in states if s.n_clusters <= k), states[-1]) for k in (40, 18, 2)]
    assert reached[0].n_iter == 0 < reached[1].n_iter < reached[2].n_iter == 20
    for i, state in enumerate(reached):
        for half, size in enumerate((20, 80)):
            expected = dataclasses.replace(state, method=dataclasses.replace(method, min_size=size)).labels
            assert torch.equal(maps[2 * i + half], expected)
    assert len(study.deep_cut(dataclasses.replace(method, min_size=0))(image)) == 3


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("by", ["k-means", "NCut"])
def test_superpixels_are_clustered_to_each_number(by, deep, monkeypatch):
    image = shapes(height=60, width=72).image
    monkeypatch.setattr(study, "NUMBERS", (2, 3))
    monkeypatch.setattr(study, "CHOSEN", dataclasses.replace(study.CHOSEN, min_size=100))
    maps = study.clustered(by, deep)(image)
    superpixels = connected_components(study.CHOSEN.init(image).superpixels)
    sizes = [labels.flatten().bincount().min() for labels in maps]
    assert all(size >= least for size, least in zip(sizes, (50, 200, 50, 200), strict=True))
    monkeypatch.setattr(study, "CHOSEN", dataclasses.replace(study.CHOSEN, min_size=0))
    for labels in study.clustered(by, deep)(image):
        assert torch.equal(labels, connected_components(labels))  # as they are, but for clusters that lie apart
        assert torch.equal(majority_vote(labels, superpixels), labels)


def test_scores_are_those_of_the_best_setting():
    def row(image):
        truth = next(s.semantic for s in (shapes(height=40, width=48, seed=i) for i in (1, 2)) if s.image.equal(image))
        return [torch.zeros_like(truth), truth]

    found = study.measure(row, FewPictures())
    assert found["SC"] == [1.0, 1.0]
    assert found["VI"] == [0.0, 0.0]
    assert found["SC at each setting"][0] < 1
    assert found["segments at each setting"][0] == 1


def test_a_study_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(study, "BSDS500", FewPictures)
    monkeypatch.setattr(study, "measure", lambda row, pictures, device: done.append(row) or {"SC": [0.5, 0.5]})
    out = tmp_path / "study.json"
    study.main(["choices", "--every", "2", "--out", str(out), "--only", "L1"])
    assert len(done) == 1
    first = json.loads(out.read_text("utf-8"))["val, every 2th picture"]["command"]
    assert first.endswith("choices --every 2 --only L1")
    study.main(["choices", "--every", "2", "--out", str(out)])
    assert len(done) == len(study.CHOICES)
    study.main(["tables", "--every", "1", "--out", str(out)])
    written = json.loads(out.read_text("utf-8"))
    assert list(written) == ["val, every 2th picture", "test, all pictures"]
    assert set(written["test, all pictures"]["rows"]) == set(study.TABLES)
    assert "as it is" in capsys.readouterr().out
    assert written["val, every 2th picture"]["command"].endswith("choices --every 2")


def test_every_published_row_has_one_of_ours():
    assert set(study.SAME.values()) <= set(study.TABLES)
    assert set(study.PUBLISHED) == {*study.TABLES, *study.SAME} - {f"start at random, seed {i}" for i in range(3)}
    assert not set(study.SAME) & set(study.TABLES)


def test_the_committed_study_is_of_these_rows():
    committed = json.loads(resources.files("seglab.benchmark").joinpath("deep_superpixels.json").read_text("utf-8"))
    sizes = {"val, every 4th picture": 25, "val, all pictures": 100, "test, every 10th picture": 20}
    sizes["test, all pictures"] = 200
    for name, part in committed.items():
        known = study.CHOICES if name.startswith("val") else study.TABLES
        assert set(part["rows"]) <= set(known)
        assert len(part["pictures"]) == sizes.pop(name)
        for row in part["rows"].values():
            assert all(0 <= x <= 1 for x in row["SC"] + row["PRI"])
            assert row["SC"][1] >= row["SC"][0]
            assert row["VI"][1] <= row["VI"][0]
    assert not sizes


def test_the_committed_study_says_what_the_chapter_says():
    committed = json.loads(resources.files("seglab.benchmark").joinpath("deep_superpixels.json").read_text("utf-8"))
    choices = {name: row["SC"][0] for name, row in committed["val, every 4th picture"]["rows"].items()}
    assert set(choices) == set(study.CHOICES)
    assert min(choices, key=choices.__getitem__) == "no L1"
    tables = committed["test, every 10th picture"]
    assert set(tables["rows"]) == set(study.TABLES)
    assert tables["base"] == committed["test, all pictures"]["base"] == study.CHOSEN.code()
    rows = {name: row["SC"][0] for name, row in tables["rows"].items()}
    assert rows["table 3: SLIC, DSC"] > rows["table 3: SLIC, IMG"] + 0.05
    assert rows["table 5: DSC"] > rows["table 4: k-means, RGB"]
