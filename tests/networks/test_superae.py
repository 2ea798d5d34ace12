"""SuperAE: its loss against a loop and a closed form, and that trained it evens out superpixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from seglab.datasets import photo
from seglab.labels import segment_means
from seglab.methods import SLIC
from seglab.networks import SuperAE, deep_features, load_weights, smoothed, superae_loss, weights_info
from seglab.networks.recipes import superae as recipe
from seglab.networks.superae import scatter_means, training_loss


def random_batch(seed: int = 0, n: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, n, 3, 6, 7, generator=g, dtype=torch.float64)
    return x, y, torch.randint(0, 5, (n, 6, 7), generator=g)


def inside(labels: torch.Tensor, picture: torch.Tensor) -> float:
    """The mean squared distance of pixels to their superpixel's mean."""
    return float((picture - segment_means(labels, picture).T[:, labels]).square().mean())


def test_means_by_scatter_are_those_of_a_plain_loop():
    g = torch.Generator().manual_seed(0)
    index, values = torch.randint(0, 7, (50,), generator=g), torch.rand(50, 4, generator=g)
    index[index == 3] = 4
    means = scatter_means(index, values, 8)
    for j in range(8):
        mine = values[index == j]
        expected = mine.mean(0) if len(mine) else torch.zeros(4)
        torch.testing.assert_close(means[j], expected)


def test_loss_is_that_of_a_plain_loop():
    x, y, superpixels = random_batch()
    squares, variance = 0.0, 0.0
    for picture, made, labels in zip(x.numpy(), y.numpy(), superpixels.numpy(), strict=True):
        for row, col in np.ndindex(labels.shape):
            squares += ((made[:, row, col] - picture[:, row, col]) ** 2).sum()
            mean = picture[:, labels == labels[row, col]].mean(1)
            variance += ((made[:, row, col] - mean) ** 2).sum()
    terms = superae_loss(y, x, superpixels, 2.5)
    assert float(terms["reconstruction"]) == pytest.approx(squares / x.numel())
    assert float(terms["variance"]) == pytest.approx(2.5 * variance / x.numel())


@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_a_free_reconstruction_goes_part_of_the_way_to_the_mean(weight):
    x, _, superpixels = random_batch(n=1)
    free = x.clone().requires_grad_()
    mean = segment_means(superpixels[0], x[0]).T[:, superpixels[0]]
    best = ((x[0] + weight * mean) / (1 + weight))[None]
    with torch.no_grad():
        free.copy_(best)
    (gradient,) = torch.autograd.grad(sum(superae_loss(free, x, superpixels, weight).values()), free)
    assert float(gradient.abs().max()) < 1e-12
    assert inside(superpixels[0], best[0]) == pytest.approx(inside(superpixels[0], x[0]) / (1 + weight) ** 2)


def test_gradients_reach_the_reconstruction_and_not_the_means():
    x, y, superpixels = random_batch()
    y.requires_grad_()
    assert torch.autograd.gradcheck(lambda made: sum(superae_loss(made, x, superpixels, 0.7).values()), y)


def test_pictures_of_a_batch_do_not_share_superpixels():
    x, y, superpixels = random_batch()
    both = superae_loss(y, x, superpixels)["variance"]
    alone = [superae_loss(y[i : i + 1], x[i : i + 1], superpixels[i : i + 1])["variance"] for i in range(2)]
    torch.testing.assert_close(both, sum(alone) / 2)


def test_names_of_superpixels_do_not_matter():
    x, y, superpixels = random_batch()
    other = superae_loss(y, x, torch.tensor([9, 2, 0, 30, 4])[superpixels])
    torch.testing.assert_close(superae_loss(y, x, superpixels), other)


@pytest.mark.parametrize(
    ("y", "superpixels", "message"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 5, dtype=torch.int64), "shape|are"),
        (torch.zeros(1, 3, 4, 5), torch.zeros(4, 5, dtype=torch.int64), "superpixels"),
        (torch.zeros(1, 3, 4, 5), torch.full((1, 4, 5), -1), "every pixel"),
    ],
)
def test_refuses_what_does_not_fit(y, superpixels, message):
    with pytest.raises(ValueError, match=message):
        superae_loss(y, torch.zeros(1, 3, 4, 5), superpixels)


def test_keeps_the_size_of_any_picture():
    model = SuperAE(n_features=5, width=4)
    for shape in [(3, 1, 1), (3, 7, 2), (1, 6, 5)]:
        picture = torch.rand(shape)
        assert smoothed(model, picture).shape == (3, *shape[1:])
        assert deep_features(model, picture).shape == (5, *shape[1:])
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        smoothed(model, torch.rand(4, 5, 6))
    with pytest.raises(ValueError, match="at least 1"):
        SuperAE(n_features=0)


def test_a_feature_sees_seven_pixels_and_a_reconstruction_thirteen():
    model = SuperAE(4, 4).eval()
    for weights in model.parameters():
        weights.data.abs_()  # or by chance a ReLU cuts off all that comes from a pixel
    before_the_sigmoid = torch.nn.Sequential(model.encoder, model.decoder)
    for function, reach in ((model.encoder, 3), (before_the_sigmoid, 6)):
        x = torch.rand(1, 3, 21, 21, requires_grad=True)
        (gradient,) = torch.autograd.grad(function(x)[0, :, 10, 10].sum(), x)
        rows = gradient[0].abs().sum((0, 2)).nonzero().flatten()
        assert (int(rows.min()), int(rows.max())) == (10 - reach, 10 + reach)


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_the_packages_weights_even_superpixels_out_and_keep_the_picture(name):
    image = photo(name, max_side=240)
    superpixels = SLIC(n_segments=100).segment(image).labels
    made, plain = (smoothed(load_weights(SuperAE(), weights), image) for weights in ("superae", "superae_plain"))
    assert inside(superpixels, made) < 0.95 * inside(superpixels, image)
    assert inside(superpixels, made) < 0.95 * inside(superpixels, plain)
    assert float((made - image).square().mean()) < 0.01
    info = weights_info("superae")
    assert info["command"].startswith("seglab train superae")
    assert info["scores"]["held_out_loss"] > 0


def test_the_recipe_trains_on_bundled_pictures_where_there_is_no_data_set(tmp_path: Path, monkeypatch):
    def absent(split: str):
        raise recipe.DatasetNotFoundError("not here")

    monkeypatch.setattr(recipe, "BSDS500", absent)
    monkeypatch.setattr(recipe, "photos", lambda color: ("coffee", "chelsea", "rocket"))
    monkeypatch.setattr(recipe, "photo", lambda name, max_side: photo(name, max_side=48))
    monkeypatch.setattr(recipe, "SIDE", 16)
    scores = recipe.train(tmp_path, epochs=3, device="cpu", seed=0)
    about = json.loads((tmp_path / "superae.json").read_text("utf-8"))
    assert about["data"].startswith("bundled photographs")
    assert about["scores"] == scores
    saved = load_weights(SuperAE(), tmp_path / "superae.safetensors")
    assert not torch.equal(saved.decoder[-1].weight, SuperAE().decoder[-1].weight)


def test_a_few_steps_lower_the_loss():
    image = photo("coffee", max_side=64)
    batch = {"image": image[None], "superpixels": SLIC(n_segments=20).segment(image).labels[None]}
    torch.manual_seed(0)
    model, loss = SuperAE(8, 8), training_loss(1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    values = []
    for _ in range(20):
        total = sum(loss(model, batch).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(float(total.detach()))
    assert values[-1] < 0.5 * values[0]


@pytest.mark.gpu
def test_gives_the_same_on_a_gpu():
    x, y, superpixels = random_batch()
    torch.testing.assert_close(
        superae_loss(y.cuda(), x.cuda(), superpixels.cuda())["variance"].cpu(),
        superae_loss(y, x, superpixels)["variance"],
    )
