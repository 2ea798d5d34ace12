"""Segmentations that somebody else made, in the formats of Berkeley's benchmark and as label maps."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglab.benchmark.kinds import KINDS, possible_kinds, read_contours, read_label_maps
from seglab.benchmark.pictures import Picture, shape_of
from seglab.benchmark.scores import MEASURES, PictureScores, Segments, Truths, pooled, score
from seglab.metrics.berkeley import region_scores_of_tables, spread_thresholds, tables_of_hierarchy
from seglab.metrics.boundary import boundary_scores_of_contours
from seglab.metrics.segments import segment_scores

__all__ = ["Entry", "find_results", "read_label_maps"]

SUFFIXES = (".mat", ".npy", ".npz", ".png", ".tif", ".tiff", ".bmp")
# What a line of a refusal starts with, and how many there are.
PROBLEMS = ("missing", "extra", "wrong size", "empty", "unreadable", "unclear", "mixed")
SHOWN = 10


@dataclass(frozen=True)
class Entry:
    """A picture's results: one file, or one for each setting.

    A contour map (``"ucm"`` of double size with its regions, ``"boundaries"`` without) is cut at many thresholds.
    """

    picture: Picture
    paths: tuple[Path, ...]
    kind: str = "labels"

    def scores(
        self, thresholds: int | Sequence[float] | NDArray = 99, measures: Sequence[str] = MEASURES
    ) -> PictureScores:
        """Compare with the picture's truths."""
        truths = Truths.of(copy.copy(self.picture), measures)  # what a picture keeps when it is read goes with the copy
        if self.kind == "labels":
            maps = [labels for path in self.paths for labels in read_label_maps(path)]
            return pooled([score(truths, labels, measures=measures) for labels in maps])
        heights = spread_thresholds(thresholds) if isinstance(thresholds, int) else np.asarray(thresholds, float)
        contours = read_contours(self.paths[0])
        drawn = boundary_scores_of_contours(truths.boundaries, contours, heights) if "boundary" in measures else None
        if self.kind == "boundaries" or not {"region", "segments"} & set(measures):
            return PictureScores(boundary=drawn)
        tables = tables_of_hierarchy(truths.labels, contours, heights)
        regions = region_scores_of_tables(heights, tables) if "region" in measures else None
        if "segments" not in measures:
            return PictureScores(region=regions, boundary=drawn)
        found = {id(table): Segments.of(segment_scores(table)).scores() for table in tables}
        return PictureScores(region=regions, boundary=drawn, segments=tuple(found[id(table)] for table in tables))


def find_results(folder: Path, pictures: Sequence[Picture], kind: str = "auto") -> tuple[list[Entry], tuple[str, ...]]:
    """Pair a folder's files with pictures, and name the settings; refuse what does not fit before any work.

    Parameters
    ----------
    folder
        Files named after the pictures' ids, or a subfolder of these for each setting.
    pictures
        Those to be scored.
    kind
        What the files hold: ``"labels"``, ``"ucm"``, ``"boundaries"``; or ``"auto"``, to tell it from their content.

    Raises
    ------
    ValueError
        Missing, extra, unreadable or wrong-sized files, files of different kinds or of one that cannot be told, or
        other numbers of settings. All of it is told at once: ten are named, some of each, and how many more there are.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"kind is one of auto, {', '.join(KINDS)}; got {kind!r}")
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: give the folder with one file for each picture")
    subfolders = sorted((p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_natural)
    groups = [(g.name, _files(g)) for g in (subfolders or [folder])]
    if subfolders and _files(folder):
        raise ValueError(f"{folder} has both files and subfolders: a subfolder is a setting, with all of its files")
    wanted = {picture.id for picture in pictures}
    problems = [line for name, files in groups for line in _mismatches(name, files, wanted)]
    paths = {p.id: tuple(path for _, files in groups for path in files.get(p.id, ())) for p in pictures}
    common, counts, wrong = _checked([(shape_of(p), path) for p in pictures for path in paths[p.id]], kind)
    if problems or wrong:
        raise ValueError(_listed(folder, problems + wrong))
    found = next(name for name in KINDS if name in common)
    entries = [Entry(picture, paths[picture.id], found) for picture in pictures]
    return entries, _settings(folder, [name for name, _ in groups] if subfolders else [], entries, counts)


def _checked(files: Sequence[tuple[tuple[int, int], Path]], kind: str) -> tuple[set[str], dict[Path, int], list[str]]:
    """The kinds that all files are of, how many label maps each holds, and what is wrong with those that do not fit."""
    problems: list[str] = []
    counts: dict[Path, int] = {}
    each: dict[Path, set[str]] = {}
    for shape, path in files:
        try:
            kinds = possible_kinds(path) if kind == "auto" else {kind}
            each[path], counts[path] = _fits(path, shape, kinds)
        except Exception as error:  # broken files raise whatever they like
            problems.append(str(error) if str(path) in str(error) else f"unreadable: {path}: {error}")
    common = set.intersection(*each.values()) if each else set()
    unknown = [path for path, kinds in each.items() if not kinds]
    say = "say what it is with --kind labels or --kind boundaries"
    problems += [f"unclear: {path} may be soft boundaries or labels: {say}" for path in unknown]
    if each and not common and not unknown:
        sets = list(each.values())
        most = max(sets, key=sets.count)
        few = [(path, kinds) for path, kinds in each.items() if not kinds & most]
        problems += [f"mixed: {path} holds {_named(kinds)} where others hold {_named(most)}" for path, kinds in few]
    return common, counts, problems


def _named(kinds: set[str]) -> str:
    return " or ".join(name for name in KINDS if name in kinds)


def _settings(folder: Path, names: list[str], entries: list[Entry], counts: dict[Path, int]) -> tuple[str, ...]:
    """The settings' names; none for contour maps."""
    if entries[0].kind != "labels":
        if names:
            raise ValueError(f"{folder}: contour maps lie in one folder: their settings are thresholds")
        return ()
    each = {sum(counts[path] for path in entry.paths) for entry in entries}
    if len(each) > 1:
        few = min(entries, key=lambda entry: sum(counts[path] for path in entry.paths))
        raise ValueError(f"{folder}: from {min(each)} ({few.picture.id}) to {max(each)} settings: all need the same")
    (n,) = each
    return tuple(names) if len(names) == n else tuple(str(i) for i in range(1, n + 1))


def _natural(path: Path) -> list[tuple[float, str]]:
    return [(float(word), "") if word[:1].isdigit() else (0.0, word) for word in re.split(r"(\d+\.?\d*)", path.name)]


def _files(folder: Path) -> dict[str, list[Path]]:
    """By the picture's id, the files that can be read."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    return found


def _mismatches(name: str, files: dict[str, list[Path]], wanted: set[str]) -> Iterator[str]:
    for id in sorted(wanted - set(files)):
        yield f"missing: {id} (in {name})"
    for id in sorted(set(files) - wanted):
        yield f"extra: {files[id][0].name} (in {name}) belongs to no picture"
    for id in sorted(id for id, paths in files.items() if len(paths) > 1):
        yield f"extra: {' and '.join(path.name for path in files[id])} (in {name}): which of them?"


def _fits(path: Path, wanted: tuple[int, int], kinds: set[str]) -> tuple[set[str], int]:
    """Those of the kinds that the file's size allows, and how many label maps it holds; it can be read as such."""
    double = (2 * wanted[0] + 1, 2 * wanted[1] + 1)
    sizes = {"labels": wanted, "boundaries": wanted, "ucm": double}
    n = 1
    if kinds & {"ucm", "boundaries"}:
        found = [read_contours(path).shape]
    elif kinds:
        maps = read_label_maps(path)
        found, n = [tuple(labels.shape) for labels in maps], len(maps)
    else:
        return kinds, n
    fitting = {kind for kind in kinds if all(size == sizes[kind] for size in found)}
    if not fitting:
        (height, width) = sizes[min(kinds)]
        wrong = next(size for size in found if size != (height, width))
        raise ValueError(f"wrong size: {path} is {'×'.join(map(str, wrong))} where {height}×{width} is wanted")
    return fitting, n


def _listed(folder: Path, problems: Sequence[str]) -> str:
    """Some problems of each sort, so that many of one do not hide the others."""
    seen: Counter[str] = Counter()
    ranks = []
    for i, line in enumerate(problems):
        sort = next((name for name in PROBLEMS if line.startswith(f"{name}: ")), "other")
        ranks.append((seen[sort], i))
        seen[sort] += 1
    named = [problems[i] for i in sorted(i for _, i in sorted(ranks)[:SHOWN])]
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n  ".join([f"{folder} does not fit the data set:", *named, *more])
