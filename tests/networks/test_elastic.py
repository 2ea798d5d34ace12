"""Elastic deformation: bicubic on what is known, labels as SciPy reads them, all parts of a sample by one field."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from seglab.networks import elastic as module
from seglab.networks.elastic import bend, center_window, displacements, elastic, flip_or_turn, window


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_fields_go_through_their_coarse_vectors():
    field = displacements(41, 61, sigma=4.0, grid=5, generator=generator(3))
    coarse = 4.0 * torch.randn(1, 2, 5, 5, generator=generator(3))[0]
    torch.testing.assert_close(field[:, ::10, ::15], coarse, atol=1e-4, rtol=0)
    many = torch.stack([displacements(9, 9, sigma=10.0, generator=generator(k))[:, ::4, ::4] for k in range(200)])
    assert float(many.std()) == pytest.approx(10, rel=0.05)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    elastic((torch.rand(1, 8, 8, generator=generator()),), generator())
    assert torch.equal(before, torch.random.get_rng_state())


def test_no_displacement_changes_nothing():
    image, labels = torch.rand(2, 13, 17, generator=generator()), torch.arange(13 * 17).reshape(13, 17)
    field = torch.zeros(2, 13, 17)
    torch.testing.assert_close(bend(image, field), image, atol=1e-5, rtol=0)
    assert torch.equal(bend(labels, field), labels)


def test_labels_are_what_scipy_reads():
    labels = torch.randint(0, 9, (20, 30), generator=generator(1))
    field = displacements(20, 30, sigma=25.0, generator=generator(2))  # far over the borders
    rows, cols = torch.arange(20)[:, None] + field[0], torch.arange(30) + field[1]
    there = np.stack([rows.numpy(), cols.numpy()])
    assert (there < -5).any()
    theirs = map_coordinates(labels.numpy(), np.rint(there), order=0, mode="mirror")
    assert np.array_equal(bend(labels, field).numpy(), theirs)


def test_pictures_are_interpolated_between_pixels():
    rows, cols = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    ramp = (0.01 * rows + 0.005 * cols)[None]
    field = displacements(40, 50, sigma=2.0, generator=generator(4))
    there_rows, there_cols = rows + field[0], cols + field[1]
    inside = (there_rows > 2) & (there_rows < 37) & (there_cols > 2) & (there_cols < 47)
    assert inside.float().mean() > 0.7
    # Keys' kernel with a = −0.75 keeps a ramp to a few thousandths of its slope
    expected = 0.01 * there_rows + 0.005 * there_cols
    torch.testing.assert_close(bend(ramp, field)[0][inside], expected[inside], atol=2e-3, rtol=0)


def test_values_stay_in_range():
    image = (torch.rand(1, 32, 32, generator=generator()) > 0.5).float()
    bent = bend(image, displacements(32, 32, generator=generator(1)))
    assert bent.min() == 0
    assert bent.max() == 1


def test_all_of_a_sample_is_bent_alike():
    labels = (torch.arange(64)[:, None] // 8 + torch.arange(64) // 8) % 2
    image, bent, mask, weights = elastic((labels[None].float(), labels, labels == 1, labels.double()), generator(7))
    assert bent.dtype == torch.int64
    assert mask.dtype == torch.bool
    assert weights.dtype == torch.float64
    assert torch.equal(mask, bent == 1)
    assert ((image[0] > 0.5) == mask).float().mean() > 0.97
    assert not torch.equal(bent, labels)
    again = elastic((labels[None].float(), labels), generator(7))
    assert torch.equal(again[0], image)
    assert not torch.equal(elastic((labels[None].float(),), generator(8))[0], image)


def test_eight_turns():
    square = torch.arange(9).reshape(3, 3)
    seen = {tuple(flip_or_turn((square,), generator(k))[0].flatten().tolist()) for k in range(80)}
    expected = {tuple(np.rot90(x, k).flatten()) for x in (square.numpy(), square.numpy().T) for k in range(4)}
    assert seen == expected
    image, labels = flip_or_turn((square[None].float(), square), generator(2))
    assert torch.equal(image[0].long(), labels)


def test_windows():
    grid = torch.arange(30 * 40).reshape(30, 40)
    starts = set()
    for k in range(60):
        image, labels = window((grid[None].float(), grid), 28, generator(k))
        assert torch.equal(image[0].long(), labels)
        row, col = divmod(int(labels[0, 0]), 40)
        starts.add((row, col))
        assert torch.equal(labels, grid[row : row + 28, col : col + 28])
    assert {row for row, _ in starts} == {0, 1, 2}
    assert {col for _, col in starts} == set(range(13))
    assert center_window(grid, 10, 20)[0, 0] == 10 * 40 + 10
    assert center_window(grid, 30, 40).shape == (30, 40)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_thin_pictures(size):
    image, labels = elastic((torch.rand(1, *size, generator=generator()), torch.ones(size).long()), generator())
    assert image.shape == (1, *size)
    assert torch.isfinite(image).all()
    assert labels.eq(1).all()


def test_wrong_inputs():
    with pytest.raises(ValueError, match="grid of 2 or more"):
        displacements(4, 4, grid=1)
    with pytest.raises(ValueError, match="sigma of 0 or more"):
        displacements(4, 4, sigma=-1)
    with pytest.raises(ValueError, match=r"need a field \(2, 4, 5\)"):
        bend(torch.zeros(4, 5), torch.zeros(2, 5, 4))
    with pytest.raises(ValueError, match="of one size"):
        elastic((torch.zeros(4, 5), torch.zeros(5, 4)), generator())
    with pytest.raises(ValueError, match="only squares"):
        flip_or_turn((torch.zeros(4, 5),), generator())
    with pytest.raises(ValueError, match="does not fit into 4×5"):
        window((torch.zeros(4, 5),), 5, generator())
    with pytest.raises(ValueError, match="does not fit into 4×5"):
        center_window(torch.zeros(4, 5), 5, 5)


@pytest.mark.gpu
def test_gpu_bends_the_same():
    image, labels = torch.rand(1, 20, 20, generator=generator()), torch.arange(400).reshape(20, 20)
    ours = elastic((image, labels), generator(1))
    theirs = elastic((image.cuda(), labels.cuda()), generator(1))
    assert all(x.is_cuda for x in theirs)
    torch.testing.assert_close(theirs[0].cpu(), ours[0], atol=1e-4, rtol=0)
    assert (theirs[1].cpu() == ours[1]).float().mean() > 0.99


def test_examples():
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
