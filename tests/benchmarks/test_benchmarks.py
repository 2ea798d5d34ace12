"""Every row of the benchmark works, on a tiny picture; nothing is timed here."""

from __future__ import annotations

import json

import pytest
import torch

from . import harness, report
from .bench_gpu import ON_A_GPU, GpuRow
from .harness import TINY, Row, picture, rows

ROWS = rows()


@pytest.mark.parametrize("title", ROWS)
def test_row_runs_and_agrees(title: str) -> None:
    row = ROWS[title]
    data = row.prepare(picture(TINY))
    said = row.agree(row.ours(data), row.theirs(data))
    assert isinstance(said, str)
    assert said
    assert "\n" not in said
    assert row.sizes


@pytest.mark.parametrize("kind", ON_A_GPU)
def test_rows_for_a_gpu_run_without_one(kind: type[GpuRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "device", "cpu")
    row = kind()
    data = row.prepare(picture(TINY))
    said = row.agree(row.ours(data), row.theirs(data))
    assert ("within 0 " in said) == kind.compared
    wrong = 2 * row.theirs(data) + 1 if kind.compared else row.theirs(data) / 0
    with pytest.raises(AssertionError):
        row.agree(row.ours(data), wrong)


def test_picture_is_an_eight_bit_photograph() -> None:
    image = picture(harness.PHOTO)
    assert image.shape == (3, 321, 481)
    levels = image * 255
    assert torch.equal(levels.round().to(torch.uint8).float() / 255, image)
    assert len(torch.unique(levels.reshape(3, -1).long(), dim=1).T) > 20_000


class _Sum(Row):
    title, reference, least = "sum", "numpy", 1e9
    sizes = (TINY, (48, 72))

    def ours(self, data: torch.Tensor) -> float:
        return float(data.double().sum())

    def theirs(self, data: torch.Tensor) -> float:
        return float(data.numpy().astype("float64").sum())

    def agree(self, ours: float, theirs: float) -> str:
        assert abs(ours - theirs) < 1e-6 * ours
        return "equal | sums"


def test_measures_and_tables(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    def here(title: str, size: tuple[int, int], what: str, seconds: float = 0.0, *args: str, **kwargs: str) -> dict:
        return json.loads(json.dumps(harness.child(title, size, what, seconds)))  # without the fresh process

    monkeypatch.setattr(harness, "rows", lambda: {"sum": _Sum()})
    monkeypatch.setattr(report, "rows", lambda: {"sum": _Sum()})
    monkeypatch.setattr(report, "measure", here)
    out = tmp_path / "times.json"
    assert report.main(["--json", str(out)]) == 0
    text = capsys.readouterr().out
    assert "equal \\| sums" in text
    assert "| sum | ×4 |" in text
    assert "torch " in text
    saved = json.loads(out.read_text())["results"]
    assert [r["size"] for r in saved] == [[24, 36], [48, 72]]
    assert all(r["ratio"] > 0 for r in saved)
    assert report.main(["--quick", "--check"]) == 1, "a ratio of 1e9 cannot be reached"
    assert report.main(["nothing of that name"]) == 2


def test_a_failing_row_is_named_and_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "rows", lambda: {"sum": _Sum()})
    monkeypatch.setattr(report, "measure", lambda *args, **kwargs: {"error": "ValueError: too small"})
    assert report.main([]) == 1
    assert capsys.readouterr().out.count("failed: ValueError: too small") == 2


def test_a_fresh_process_measures() -> None:
    title = next(iter(ROWS))
    found = harness.measure(title, TINY, "time", 0.0)
    assert found["ours"][0] > 0
    assert found["theirs"][0] > 0
    assert found["agree"]
    assert harness.measure(title, TINY, "ours")["bytes"] is not None
    assert "error" in harness.measure("no such row", TINY, "ours")
