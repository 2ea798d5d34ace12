from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from seglab.metrics import contingency
from seglab.metrics.contingency import ContingencyTable, contingency_table
from seglab.metrics.region import variation_of_information


def as_dict(table: ContingencyTable) -> dict[tuple[int, int], int]:
    return {(t, p): n for t, p, n in zip(table.true.tolist(), table.pred.tolist(), table.counts.tolist(), strict=True)}


def naive(true: np.ndarray, pred: np.ndarray) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for t, p in zip(true.ravel().tolist(), pred.ravel().tolist(), strict=True):
        found[t, p] = found.get((t, p), 0) + 1
    return found


MAPS = st.tuples(st.integers(1, 5), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=st.integers(0, 4))] * 3)
)


@given(MAPS)
def test_naive_count(three: tuple[np.ndarray, ...]) -> None:
    true, _, pred = three
    table = contingency_table(true, pred)
    assert as_dict(table) == naive(true, pred)
    assert table.counts.dtype == table.true.dtype == table.pred.dtype == torch.int64
    assert table.sizes_true.tolist() == np.bincount(true.ravel()).tolist()
    assert table.sizes_pred.tolist() == [np.bincount(pred.ravel()).tolist()]
    assert table.n_pixels.tolist() == [true.size]
    assert table.dense().sum() == true.size


@given(MAPS)
def test_counting_in_place_and_by_sorting_agree(three: tuple[np.ndarray, ...]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contingency, "_DENSE", 16)
        in_place = contingency_table(list(three[:2]), three[2])
        patch.setattr(contingency, "_DENSE", -(10**6))
        by_sorting = contingency_table(list(three[:2]), three[2])
    assert as_dict(in_place) == as_dict(by_sorting)


@given(MAPS)
def test_several_truths_are_numbered_on(three: tuple[np.ndarray, ...]) -> None:
    first, second, pred = three
    table = contingency_table([first, second], pred)
    after = int(first.max()) + 1
    both = {**naive(first, pred), **{(t + after, p): n for (t, p), n in naive(second, pred).items()}}
    assert as_dict(table) == both
    assert table.n_truths == 2
    assert table.truth_of.tolist() == [0] * after + [1] * (int(second.max()) + 1)
    assert table.n_pixels.tolist() == [pred.size] * 2


@given(MAPS, st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_merging_segments_merges_the_table(three: tuple[np.ndarray, ...], into: list[int]) -> None:
    *truths, pred = three
    merged = contingency_table(truths, pred).merged(torch.tensor(into))
    direct = contingency_table(truths, np.array(into)[pred])
    assert as_dict(merged) == as_dict(direct)
    assert merged.n_pixels.tolist() == direct.n_pixels.tolist()
    assert variation_of_information(merged) == pytest.approx(variation_of_information(direct), abs=1e-12)


@pytest.mark.parametrize("large", [70_000, 10**12, 2**62])
def test_large_labels_are_numbered_anew(large: int) -> None:
    table = contingency_table([[large, large, 5, -1]], [[0, large + 7, 0, 3]])
    assert as_dict(table) == {(1, 0): 1, (1, 2): 1, (0, 0): 1}
    assert table.n_pred == 3  # the label 3 is there, though its pixel does not count


def test_thousands_of_segments_against_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    sums, sizes = contingency.sums_at, []
    monkeypatch.setattr(contingency, "sums_at", lambda index, weights, n: (sizes.append(n), sums(index, weights, n))[1])
    true = torch.arange(240 * 240).reshape(240, 240) // 4
    pred = torch.arange(240 * 240).reshape(240, 240).T // 4
    table = contingency_table(true, pred)
    assert len(table.counts) == 240 * 240
    assert max(sizes) <= 20 * 240 * 240, "the matrix of 14400² cells, 1.7 GB, must not be made"
    assert set(table.counts.tolist()) == {1}
    assert sum(table.n_true) == table.n_pred == 14400


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float64, bool])
def test_types(dtype: type) -> None:
    true, pred = np.array([[0, 1, 1]], dtype), np.array([[1, 1, 0]], dtype)
    assert as_dict(contingency_table(true, pred)) == {(0, 1): 1, (1, 1): 1, (1, 0): 1}


def test_views_and_read_only_arrays() -> None:
    true = np.arange(24).reshape(4, 6) // 5
    pred = np.asfortranarray(true.T[::-1].T)
    true.flags.writeable = False
    assert as_dict(contingency_table(true, pred)) == naive(true, pred)
    tensor = torch.from_numpy(true.copy())
    assert as_dict(contingency_table(tensor.T, tensor.flip(1).T)) == naive(true.T, true[:, ::-1].T)


def test_pictures_of_labels(tmp_path) -> None:
    Image.fromarray(np.array([[0, 1, 1]], np.uint8)).save(tmp_path / "a.png")
    expected = {(0, 0): 1, (1, 0): 1, (1, 1): 1}
    assert as_dict(contingency_table(tmp_path / "a.png", [[0, 0, 1]])) == expected
    assert contingency_table([tmp_path / "a.png"] * 2, [[0, 0, 1]]).n_truths == 2


def test_what_is_wrong_is_said() -> None:
    ok = np.zeros((2, 3), int)
    with pytest.raises(ValueError, match=r"differ in shape: \(3, 2\) and \(2, 3\)"):
        contingency_table(ok.T, ok)
    with pytest.raises(ValueError, match="empty list"):
        contingency_table([], ok)
    with pytest.raises(ValueError, match=r"labels_true holds labels from 0.*got -2"):
        contingency_table(ok - 2, ok)
    with pytest.raises(ValueError, match=r"labels_pred holds labels from 0.*got -3"):
        contingency_table(ok, ok - 3)
    with pytest.raises(ValueError, match="no pixel counts"):
        contingency_table([ok, ok - 1], ok)
    with pytest.raises(ValueError, match="empty"):
        contingency_table(ok, torch.zeros(0, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"whole|fraction"):
        contingency_table(ok + 0.5, ok)


@pytest.mark.gpu
def test_device_is_kept_and_agrees() -> None:
    generator = torch.Generator().manual_seed(0)
    true, pred = (torch.randint(-1, 40, (50, 60), generator=generator) for _ in range(2))
    here, there = contingency_table([true, pred], pred), contingency_table([true.cuda(), pred.cuda()], pred.cuda())
    assert there.counts.device.type == "cuda"
    assert as_dict(here) == as_dict(there)
    into = torch.arange(40) // 3
    assert as_dict(here.merged(into)) == as_dict(there.merged(into.cuda()))
    assert variation_of_information(there) == pytest.approx(variation_of_information(here), abs=1e-12)
