"""Published rows; the rest of `seglab.benchmark.results` is held by the tests of the runner and of evaluations."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import torch

from seglab.benchmark.results import measured, published_rows
from seglab.benchmark.table import Row, Table
from seglab.datasets import BSDS500
from seglab.datasets.bundled import shrink
from seglab.methods import KMeans
from seglab.metrics import segmentation_covering

RECOMPUTED, QUOTED = "Arbelaez et al., TPAMI 33(5), 2011; recomputed", "slides of Lin et al."

# Covering, Rand index and information: ODS, OIS (and best) of each, as they were printed.
REGIONS = {
    "human": (".72 .72", ".88 .88", "1.17 1.17", RECOMPUTED),
    "gPb-owt-ucm": (".59 .65 .74", ".83 .86", "1.69 1.48", RECOMPUTED),
    "quad-tree": (".32 .37 .46", ".73 .74", "2.46 2.32", RECOMPUTED),
    "mean shift": (".54 .58", ".79 .81", "1.85 1.64", QUOTED),
    "Felzenszwalb-Huttenlocher": (".52 .57", ".80 .82", "2.21 1.87", QUOTED),
    "normalized cuts (multiscale)": (".45 .53", ".78 .80", "2.23 1.89", QUOTED),
    "SLIC": (".37 .38", ".74 .75", "2.56 2.50", QUOTED),
    "CAE-TVL": (".51 .56", ".79 .82", "2.11 2.02", QUOTED),
    "backpropagation (Kanezaki)": (".47 .50", ".75 .77", "2.18 2.15", QUOTED),
    "Mumford-Shah CNN": (".49", ".71", "2.20", QUOTED),
    "W-Net": (".57 .62", ".81 .84", "1.76 1.60", QUOTED),
    "Deep Superpixel Cut": (".56 .60", ".80 .83", "1.82 1.62", QUOTED),
}
BOUNDARIES = {  # ODS, OIS, AP
    "gPb-owt-ucm: boundaries": (".726 .760 .727", "results published with BSDS500"),
    "Felzenszwalb-Huttenlocher (seism)": (".636 .674 .581", "seism"),
    "mean shift (seism)": (".601 .644 .493", "seism"),
    "normalized cuts (seism)": (".641 .674 .447", "seism"),
    "gPb-UCM (seism)": (".726 .760 .727", "seism"),
    "MCG (seism)": (".747 .779 .759", "seism"),
    "HED (seism)": (".780 .796 .834", "seism"),
}
SEGMENTS = {  # average precision at overlaps of .5 and .7, of Kanezaki (2018)
    "k-means: segments": (".049", ".0129"),
    "Felzenszwalb-Huttenlocher: segments": (".1161", ".0449"),
    "backpropagation (Kanezaki): segments": (".1394", ".0578"),
}
FROM_MEMORY = {  # covering; Rand index; information; boundaries
    "human: boundaries": ("", "", "", ".80 .80"),
    "mean shift: best, boundaries": (". . .66", "", "", ".64 .68 .56"),
    "Felzenszwalb-Huttenlocher: best, boundaries": (". . .69", "", "", ".61 .64 .56"),
    "Canny-owt-ucm": (".49 .55 .66", ".79 .83", "2.19 1.89", ".60 .64 .58"),
    "normalized cuts (multiscale): best, boundaries": (". . .67", "", "", ".64 .68 .45"),
}
# On all 200 test pictures, from the data set's own contour maps, halvings and people.
MEASURED = {
    "gPb-owt-ucm": ((0.588372, 0.646755, 0.744147), (0.827263, 0.855517), (1.689551, 1.475043)),
    "quad-tree": ((0.3207, 0.3734, 0.4555), (0.7269, 0.7444), (2.4552, 2.3242)),
    "human": ((0.722, 0.722), (0.877, 0.877), (1.169, 1.169)),
}


def shown(row: Row, measure: str) -> str:
    """What the table prints of a measure, as the tables of papers do, without the 0 before the point."""
    heads = {"covering": "SC", "rand": "PRI", "information": "VI", "boundary": "F", "ap50": "AP@.5", "ap70": "AP@.7"}
    head = heads[measure]
    columns = {column[0]: column[1].removeprefix("0") for column in Table([row]).columns()}
    names = ("ODS", "OIS", "AP" if measure == "boundary" else "best")
    return " ".join(columns.get(f"{head} {name}", ".") for name in names).rstrip(" .")


@pytest.fixture(scope="module")
def published() -> dict[str, Row]:
    return {row.name: row for row in published_rows()}


def test_every_row_is_held_here(published: dict[str, Row]) -> None:
    assert set(published) == {*REGIONS, *BOUNDARIES, *SEGMENTS, *FROM_MEMORY}


@pytest.mark.parametrize("name", REGIONS)
def test_regions_and_their_source(published: dict[str, Row], name: str) -> None:
    *values, source = REGIONS[name]
    row = published[name]
    assert [shown(row, measure) for measure in ("covering", "rand", "information")] == values
    assert row.verified
    assert source in row.source


@pytest.mark.parametrize("name", BOUNDARIES)
def test_boundaries_and_their_source(published: dict[str, Row], name: str) -> None:
    values, source = BOUNDARIES[name]
    assert shown(published[name], "boundary") == values
    assert published[name].verified
    assert source in published[name].source


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_and_their_source(published: dict[str, Row], name: str) -> None:
    assert tuple(shown(published[name], measure) for measure in ("ap50", "ap70")) == SEGMENTS[name]
    assert published[name].verified
    assert "Kanezaki, ICASSP 2018" in published[name].source


@pytest.mark.parametrize("name", FROM_MEMORY)
def test_rows_from_memory_say_so(published: dict[str, Row], name: str) -> None:
    row = published[name]
    found = tuple(shown(row, measure) for measure in ("covering", "rand", "information", "boundary"))
    assert found == FROM_MEMORY[name]
    assert not row.verified
    assert f"{name} (?)" in str(Table([row]))
    assert "from memory" in str(Table([row]))


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_rounds_to_what_was_printed(published: dict[str, Row], name: str) -> None:
    for measure, values in zip(("covering", "rand", "information"), MEASURED[name], strict=True):
        rounded = " ".join(f"{value:.2f}".removeprefix("0") for value in values)
        assert rounded == shown(published[name], measure)


# ---- what the package's own methods reach ------------------------------------------------------------------------


def test_measured_rows_are_complete_and_say_how_they_were_made() -> None:
    table = measured()
    every = {"covering", "rand", "information", "boundary", "segment_f", "segment_f_pooled", "ap50", "ap70"}
    assert len({row.name for row in table.rows}) == len(table.rows) > 1
    for row in table.rows:
        assert set(row.cells) == every
        assert row.source.startswith("seglab benchmark ")
        assert "--choose-on val" in row.source
        for name, cell in row.cells.items():
            assert cell.ods is not None
            assert cell.chosen is not None
            least = name == "information"
            # no setting chosen elsewhere beats the best one, and none for all beats each picture's own
            assert (cell.chosen >= cell.ods - 1e-6) if least else (cell.chosen <= cell.ods + 1e-6)
            if cell.at == cell.chosen_at:
                assert cell.ods == cell.chosen
            if cell.ois is not None and name != "boundary":
                assert (cell.ois <= cell.ods) if least else (cell.ois >= cell.ods)
    assert Table.from_json(table.to_json()) == table


def test_backpropagations_rows_say_of_how_many_pictures_they_are() -> None:
    text = resources.files("seglab.benchmark").joinpath("backprop_segmentation.json").read_text("utf-8")
    table = Table.from_json(text)
    assert "all 200, or every 10th (20 of 200)" in table.notes[0]
    assert {row.n_pictures for row in table.rows} == {10, 20, 200}
    for row in table.rows:
        assert row.source.startswith("seglab benchmark ")
        assert ("--every 10 " in row.source) == (row.n_pictures in (10, 20))
        assert ("--split val " in row.source) == (row.n_pictures == 10) == row.name.endswith(", val")
        assert {"covering", "rand", "information", "ap50", "ap70", "segment_f"} <= set(row.cells)
        assert all(cell.ods is not None for cell in row.cells.values())
    names = [(row.name, row.n_pictures) for row in table.rows]
    assert len(set(names)) == len(names)
    assert {(f"backpropagation, M = {m}", 20) for m in range(1, 6)} <= set(names)
    assert {(f"backpropagation, M = {m}", 200) for m in range(1, 4)} <= set(names)


@pytest.mark.data
def test_the_kept_maps_of_stripes_are_of_these_pictures(seglab_data) -> None:
    with resources.files("seglab.benchmark").joinpath("stripes.npz").open("rb") as file:
        kept = {name: maps.astype(np.int64) for name, maps in np.load(file).items()}
    for name, split, which in (("zebras", "val", "253027"), ("tiger", "train", "108073")):
        picture = shrink(BSDS500(split)[which].image, 144)
        assert kept[name].shape == (3, *picture.shape[1:])
        found = KMeans(n_clusters=4).segment(picture).labels
        assert segmentation_covering(torch.from_numpy(kept[name][0]), found) > 0.99
