"""The real data sets: what there is, where each is found, fetching and verifying by name."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from seglab.datasets._download import install
from seglab.datasets._source import Source

__all__ = ["SOURCES", "DatasetInfo", "available", "fetch", "list_datasets", "verify"]

_HERE = Path(__file__).parent

SOURCES: dict[str, Source] = {
    "bsds500": Source(
        name="bsds500",
        title="Berkeley Segmentation Data Set 500",
        about="500 photographs with 4 to 9 human segmentations each (200 train, 100 val, 200 test)",
        folder="BSDS500/data",
        url="https://github.com/BIDS/BSDS500/archive/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722.zip",
        inside="BSDS500/data",
        checksums=_HERE / "bsds500.sha256",
        n_bytes=59_658_243,
        terms="non-commercial research and education",
        citation=(
            "P. Arbeláez, M. Maire, C. Fowlkes, J. Malik. Contour Detection and Hierarchical Image Segmentation. "
            "IEEE TPAMI 33(5):898-916, 2011. doi:10.1109/TPAMI.2010.161"
        ),
    ),
    "membrane": Source(
        name="membrane",
        title="ISBI 2012 membranes",
        about="30 slices of nerve cells in an electron microscope, 512×512, with the membranes between them",
        folder="membrane",
        url="https://github.com/zhixuhao/unet/archive/b45af4d458437d8281cc218a07fd4380818ece4a.zip",
        inside="data/membrane",
        checksums=_HERE / "membrane.sha256",
        n_bytes=6_493_197,
        terms="cite the challenge",
        citation=(
            "I. Arganda-Carreras et al. Crowdsourcing the creation of image segmentation algorithms for connectomics. "
            "Frontiers in Neuroanatomy 9:142, 2015. doi:10.3389/fnana.2015.00142"
        ),
    ),
    "nuclei": Source(
        name="nuclei",
        title="Data Science Bowl 2018 nuclei",
        about="65 microscope pictures with 4,152 nuclei, a mask each (split here: 36 train, 9 val, 20 test)",
        folder="nuclei",
        url="https://github.com/yuanqing811/DSB2018_stage1_test/archive/ee7c37eb666b7d697269149b6902f2ff3062dcd0.zip",
        inside="stage1_test",
        checksums=_HERE / "nuclei.sha256",
        n_bytes=11_038_244,
        terms="see BBBC038v1 of the Broad Bioimage Benchmark Collection",
        citation=(
            "J. C. Caicedo et al. Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl. Nature "
            "Methods 16, 1247-1253, 2019. doi:10.1038/s41592-019-0612-7"
        ),
    ),
    "horses": Source(
        name="horses",
        title="Weizmann horses",
        about="327 photographs of a horse each, with its figure as a mask",
        folder="weizmann_horses",
        url="https://github.com/shenshutao/image_segmentation/archive/2653401d6ea617026895aac17059eb57e017abcb.zip",
        inside="weizmann_horse_db",
        checksums=_HERE / "horses.sha256",
        n_bytes=14_641_737,
        terms="research",
        citation="E. Borenstein, S. Ullman. Class-specific, top-down segmentation. ECCV 2002.",
    ),
    "squeezenet": Source(
        name="squeezenet",
        title="SqueezeNet v1.0, compressed",
        about="the weights of a classifier of 1000 kinds of object, as its authors compressed them",
        folder="squeezenet",
        url="https://github.com/songhan/SqueezeNet-Deep-Compression/archive/fb13faa2cf121ced9999f8a9d538ec6c56084733.zip",
        inside="",
        checksums=_HERE / "squeezenet.sha256",
        n_bytes=675_763,
        terms="BSD 2-clause",
        citation=(
            "F. N. Iandola, S. Han, M. W. Moskewicz, K. Ashraf, W. J. Dally, K. Keutzer. SqueezeNet: AlexNet-level "
            "accuracy with 50x fewer parameters and <0.5MB model size. 2016. arXiv:1602.07360"
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """How a data set stands on this computer.

    Attributes
    ----------
    name
        What `fetch` and `verify` take.
    title, about
        Its full name, and what it holds.
    found
        Its folder, or None.
    n_files, bytes
        How many files it has, and their size together, when complete.
    n_present
        How many of them are there.
    n_verified
        How many have the right checksum; None where that was not asked for.
    terms, citation
        What may be done with it, and what to cite.
    """

    name: str
    title: str
    about: str
    found: Path | None
    n_files: int
    bytes: int
    n_present: int
    n_verified: int | None
    terms: str
    citation: str

    @property
    def complete(self) -> bool:
        """Whether every file is there (and right, where that was checked)."""
        return self.n_files == (self.n_present if self.n_verified is None else self.n_verified)


def list_datasets(
    root: str | os.PathLike | None = None, *, check: bool = False, progress: bool = False
) -> list[DatasetInfo]:
    """Say of each real data set what it is and where it is found.

    Parameters
    ----------
    root
        Where to look; by default the folder that SEGLAB_DATA names, then the user's cache.
    check
        Compare every file with its checksum, and count those that are right.
    progress
        Show a bar while checking.

    Examples
    --------
    >>> [info.name for info in list_datasets()]
    ['bsds500', 'membrane', 'nuclei', 'horses', 'squeezenet']
    >>> list_datasets()[0].name
    'bsds500'
    """
    return [_info(source, root, check, progress) for source in SOURCES.values()]


def _info(source: Source, root: str | os.PathLike | None, check: bool, progress: bool) -> DatasetInfo:
    found = source.find(root)
    n_files = len(source.files)
    verified = None
    if check:
        verified = 0 if found is None else n_files - len(source.problems(found, progress))
    return DatasetInfo(
        name=source.name,
        title=source.title,
        about=source.about,
        found=found,
        n_files=n_files,
        bytes=source.n_bytes,
        n_present=0 if found is None else n_files - len(source.missing(found)),
        n_verified=verified,
        terms=source.terms,
        citation=source.citation,
    )


def available(root: str | os.PathLike | None = None) -> tuple[str, ...]:
    """Name the real data sets that are complete on this computer, checksums not looked at."""
    return tuple(info.name for info in list_datasets(root) if info.complete)


def fetch(name: str, root: str | os.PathLike | None = None, progress: bool = True) -> Path:
    """Find a data set, or download it once; repair it where files are missing or broken.

    Safe to stop at any time and to call from several processes: a download goes on where it was cut, and the data
    set appears as a whole, with every checksum right, or not at all.

    Parameters
    ----------
    name
        One of the names in `list_datasets`.
    root
        The folder of data sets; by default the one that SEGLAB_DATA names, else the user's cache.
    progress
        Show bars.

    Returns
    -------
    Path
        The data set's folder.

    Raises
    ------
    ValueError
        There is no such data set.
    DatasetError
        The network is away, the disk is full or not to be written to, the archive has moved or is not the published
        one. The message says what to do.
    """
    return install(_source(name), root, progress=progress)


def verify(name: str, root: str | os.PathLike | None = None, progress: bool = True) -> list[str]:
    """Compare every file of a data set with its published checksum.

    Returns
    -------
    list of str
        One line for each missing or broken file; empty where all is well.

    Raises
    ------
    ValueError
        There is no such data set.
    DatasetNotFoundError
        It is not on this computer.
    """
    source = _source(name)
    return [f"{path}: {what}" for path, what in source.problems(source.require(root), progress).items()]


def _source(name: str) -> Source:
    if name.lower() not in SOURCES:
        near = difflib.get_close_matches(name.lower(), SOURCES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"No data set is called {name!r}{hint} There are: {', '.join(SOURCES)}.")
    return SOURCES[name.lower()]
