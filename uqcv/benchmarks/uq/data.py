"""Data sets to compare uncertainties on: extxyz files and the .npz files of rMD17."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqcv.benchmarks.uq.leakage import (
    identity,
    require_apart,
    require_different_files,
    require_different_rows,
    warn_of_copies,
)
from uqcv.benchmarks.uq.places import IN_DOMAIN, require_names
from uqcv.benchmarks.uq.rmd17 import read_rmd17
from uqcv.benchmarks.uq.split import FEWEST
from uqcv.errors import InputError
from uqcv.files import read_with
from uqcv.structures import Structure, read_structures

DOMAIN = "the domain"


@dataclass(frozen=True)
class Source:
    """Where data come from.

    Attributes
    ----------
    files
        Labelled extxyz, or .npz in the format of rMD17; together they are the domain.
    other_files
        Further test sets, each named by its file.
    domain_key, domain
        If given, only frames whose info has the value `domain` under the key are the domain; those of each other
        value are a further test set of that name.
    group_key
        If given, frames with the same value under this key are not independent and stay together in a split.
    train_index, test_index
        Split files of rMD17: rows of the first are drawn from, rows of the second are the test set in the domain.
    """

    files: tuple[Path, ...]
    other_files: tuple[Path, ...] = ()
    domain_key: str | None = None
    domain: str | None = None
    group_key: str | None = None
    train_index: Path | None = None
    test_index: Path | None = None

    def missing_key(self, frame: Structure) -> str | None:
        """Return the key that a frame of the files must have in its info and has not."""
        if self.domain_key is not None and self.domain_key not in frame.info:
            return self.domain_key
        is_here = self.domain_key is None or str(frame.info[self.domain_key]) == self.domain
        return self.group_key if is_here and self.group_key not in (None, *frame.info) else None


@dataclass(frozen=True)
class DataSet:
    """Labelled structures.

    Attributes
    ----------
    pool
        What is split into training, validation, calibration and, without `test`, test.
    test
        Test set in the domain; empty if it is to be taken from the pool.
    others
        Further test sets, by name.
    sources
        Where the test sets come from, as it was typed, by their names.
    """

    pool: list[Structure]
    test: list[Structure]
    others: dict[str, list[Structure]]
    sources: dict[str, str]


def read_data(source: Source) -> DataSet:
    """Read a data set.

    Raises
    ------
    InputError
        If a file cannot be read or lacks labels, a key is missing, indices are outside of the data, test sets are too
        small or cannot be told apart, or a frame is in more than one set.
    """
    read = {path: _read(path) for path in (*source.files, *source.other_files)}
    require_different_files([(path, sha256(path)) for path in (*source.files, *source.other_files)])
    by_domain = _domains(source, read)
    frames = by_domain.pop(source.domain or "")
    named = [(f"{source.domain_key}={value}", value, own) for value, own in by_domain.items()]
    named += [(str(path), path.stem, read[path]) for path in source.other_files]
    require_names([(where, name) for where, name, _ in named])
    pool, test = _by_rows(source, frames)
    others = {name: own for _, name, own in named}
    sources = {IN_DOMAIN: ", ".join(map(str, source.files))} | {name: where for where, name, _ in named}
    data = DataSet(pool, test, others, sources)
    _require_enough(source, data)
    frame_names = {id(s): f"frame {k} of {path}" for path, own in read.items() for k, s in enumerate(own)}
    require_apart({DOMAIN: pool, **({f"{source.test_index}": test} if test else {}), **others}, frame_names)
    if source.group_key is None:
        warn_of_copies(pool)
    return data


def digests(source: Source) -> dict[str, Any]:
    """Return what tells whether the data are the same: SHA-256 of each file, test sets by name."""
    index = {name: getattr(source, name) for name in ("train_index", "test_index")}
    return {
        "files": [sha256(path) for path in source.files],
        "others": {path.stem: sha256(path) for path in source.other_files},
        **{name: None if path is None else sha256(path) for name, path in index.items()},
    }


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def groups_of(frames: Sequence[Structure], key: str | None) -> list[str]:
    """Return the group of each frame; without a key those of the same atoms in the same places are one."""
    return [identity(s) if key is None or key not in s.info else f"{key} {s.info[key]}" for s in frames]


def _read(path: Path) -> list[Structure]:
    if path.suffix.lower() == ".npz":
        return read_rmd17(path)
    return read_structures(path, labelled=True)


def _domains(source: Source, read: dict[Path, list[Structure]]) -> dict[str, list[Structure]]:
    """Return the frames of the files that are the domain by their domain; by "" if no key tells."""
    frames = list(_with_keys(source, read))
    if source.domain_key is None:
        return {"": frames}
    found: dict[str, list[Structure]] = {}
    for frame in frames:
        found.setdefault(str(frame.info[source.domain_key]), []).append(frame)
    if source.domain not in found:
        raise InputError(
            f"--train-on {source.domain} was given; {source.domain_key} of the frames is one of {', '.join(found)}"
        )
    return found


def _with_keys(source: Source, read: dict[Path, list[Structure]]) -> Iterator[Structure]:
    for path in source.files:
        for k, frame in enumerate(read[path]):
            if missing := source.missing_key(frame):
                raise InputError(
                    f"{path}, frame {k}: has no {missing}; give a key that the comment line of every frame has"
                )
            yield frame


def _by_rows(source: Source, frames: list[Structure]) -> tuple[list[Structure], list[Structure]]:
    """Return what is split, and the test set if it is another."""
    if source.train_index is None:
        return frames, []
    rows = _rows(source.train_index, len(frames))
    require_different_rows(source.train_index, rows)
    tested = [] if source.test_index is None else _rows(source.test_index, len(frames))
    if source.test_index is not None:
        require_different_rows(source.test_index, tested, rows, source.train_index)
    return [frames[k] for k in rows], [frames[k] for k in tested]


def _rows(path: Path, n: int) -> list[int]:
    indices = read_with(path, lambda p: np.loadtxt(p, dtype=int, ndmin=1), "a list of indices (.csv)").ravel().tolist()
    outside = [k for k in indices if not 0 <= k < n]
    if outside or not indices:
        given = f"the index {outside[0]}" if outside else "no index"
        raise InputError(f"{path}: {given} was given; indices from 0 to {n - 1} are expected, one in a line")
    return indices


def _require_enough(source: Source, data: DataSet) -> None:
    given = {str(source.test_index): data.test} if source.test_index else {}
    for name, frames in (given | {data.sources[name]: own for name, own in data.others.items()}).items():
        if len(frames) < FEWEST["test"]:
            number = "1 frame was" if len(frames) == 1 else f"{len(frames)} frames were"
            raise InputError(f"{name}: {number} given; a test set of at least {FEWEST['test']} is expected")
