"""Data sets to compare uncertainties on: extxyz files and the .npz files of rMD17."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.errors import InputError
from uqcv.files import about, read_with
from uqcv.structures import Structure, read_structures, require_distances
from uqcv.units import KCALMOL_TO_EV

NPZ_ARRAYS = ("nuclear_charges", "coords", "energies", "forces")
IN_DOMAIN = "in domain"


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
    """

    pool: list[Structure]
    test: list[Structure]
    others: dict[str, list[Structure]]


def read_data(source: Source) -> DataSet:
    """Read a data set.

    Raises
    ------
    InputError
        If a file cannot be read or lacks labels, a key is missing, or indices are outside of the data.
    """
    frames = [s for path in source.files for s in _read(path)]
    others = {path.stem: _read(path) for path in source.other_files}
    if source.domain_key is not None:
        by_domain = _by_value(frames, source.domain_key)
        if source.domain not in by_domain:
            raise InputError(
                f"--train-on {source.domain} was given; {source.domain_key} of the frames is one of "
                f"{', '.join(by_domain)}"
            )
        frames = by_domain.pop(source.domain)
        others = by_domain | others
    if source.group_key is not None:
        _by_value(frames, source.group_key)  # refuses frames without it
    if source.train_index is None:
        return DataSet(frames, [], others)
    test = _rows(frames, source.test_index) if source.test_index else []
    return DataSet(_rows(frames, source.train_index), test, others)


def groups_of(frames: Sequence[Structure], key: str | None) -> list[str]:
    """Return the group of each frame; without a key each is one of its own."""
    return [str(k) if key is None or key not in s.info else f"{key} {s.info[key]}" for k, s in enumerate(frames)]


def _read(path: Path) -> list[Structure]:
    if path.suffix == ".npz":
        return read_rmd17(path)
    return read_structures(path, labelled=True)


def read_rmd17(path: Path) -> list[Structure]:
    """Read a file of rMD17: arrays nuclear_charges (n,), coords (s, n, 3) in Å, energies (s,) and forces in kcal/mol.

    Christensen & von Lilienfeld, doi 10.1088/2632-2153/abba6f. Nothing in the file is unpickled.

    Raises
    ------
    InputError
        If it cannot be read, or arrays are missing or do not fit one another.
    """
    arrays = read_with(path, _load_arrays, "a data set of rMD17 (.npz)")
    numbers, coords, energies, forces = (arrays[name] for name in NPZ_ARRAYS)
    n_frames, n_atoms = len(energies), len(numbers)
    shape = (n_frames, n_atoms, 3)
    if coords.shape != shape or forces.shape != shape or not n_frames:
        raise InputError(
            f"{path}: coords {coords.shape} and forces {forces.shape} were given; with {n_frames} energies of "
            f"{n_atoms} atoms {shape} is expected"
        )
    frames = []
    for k in range(n_frames):
        with about(f"{path}, frame {k}"):
            frame = Structure(numbers, coords[k], energy=energies[k] * KCALMOL_TO_EV, forces=forces[k] * KCALMOL_TO_EV)
            require_distances(frame)
        frames.append(frame)
    return frames


def _load_arrays(path: Path) -> dict[str, NDArray]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .npz; a data set of rMD17 is expected, write or download it again")
    with np.load(path, allow_pickle=False) as content:
        missing = [name for name in NPZ_ARRAYS if name not in content]
        if missing:
            raise InputError(
                f"{path}: has no array {', '.join(missing)}; {', '.join(NPZ_ARRAYS)} are expected, as in rMD17"
            )
        return {name: np.asarray(content[name]) for name in NPZ_ARRAYS}


def _rows(frames: Sequence[Structure], path: Path) -> list[Structure]:
    indices = read_with(path, lambda p: np.loadtxt(p, dtype=int, ndmin=1), "a list of indices (.csv)")
    if not len(indices) or indices.min() < 0 or indices.max() >= len(frames):
        raise InputError(f"{path}: indices from 0 to {len(frames) - 1} are expected, one in a line")
    return [frames[k] for k in indices]


def _by_value(frames: Sequence[Structure], key: str) -> dict[str, list[Structure]]:
    found: dict[str, list[Structure]] = {}
    for k, frame in enumerate(frames):
        if key not in frame.info:
            raise InputError(f"frame {k} has no {key}; give a key that the comment line of every frame has")
        found.setdefault(str(frame.info[key]), []).append(frame)
    return found
