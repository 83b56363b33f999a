"""The .npz files of rMD17."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.errors import InputError
from uqcv.files import about, read_with
from uqcv.structures import Structure, require_distances
from uqcv.units import KCALMOL_TO_EV

ARRAYS = ("nuclear_charges", "coords", "energies", "forces")


def read_rmd17(path: Path) -> list[Structure]:
    """Read a file of rMD17: arrays nuclear_charges (n,), coords (s, n, 3) in Å, energies (s,) and forces in kcal/mol.

    Christensen & von Lilienfeld, doi 10.1088/2632-2153/abba6f. Nothing in the file is unpickled.

    Raises
    ------
    InputError
        If it cannot be read, or arrays are missing, are not of real numbers or do not fit one another.
    """
    arrays = read_with(path, _load_arrays, "a data set of rMD17 (.npz)")
    _require_fitting(path, arrays)
    numbers, coords, energies, forces = (arrays[name] for name in ARRAYS)
    frames = []
    for k in range(len(coords)):
        with about(f"{path}, frame {k}"):
            frame = Structure(numbers, coords[k], energy=energies[k] * KCALMOL_TO_EV, forces=forces[k] * KCALMOL_TO_EV)
            require_distances(frame)
        frames.append(frame)
    return frames


def _load_arrays(path: Path) -> dict[str, NDArray]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .npz; a data set of rMD17 is expected, write or download it again")
    with np.load(path, allow_pickle=False) as content:
        missing = [name for name in ARRAYS if name not in content]
        if missing:
            raise InputError(
                f"{path}: has no array {', '.join(missing)}; {', '.join(ARRAYS)} are expected, as in rMD17"
            )
        return {name: np.asarray(content[name]) for name in ARRAYS}


def _require_fitting(path: Path, arrays: dict[str, NDArray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise InputError(
                f"{path}: {name} are of type {array.dtype.name}; real numbers are expected, write the file again"
            )
    coords = arrays["coords"]
    if coords.ndim != 3 or coords.shape[2] != 3 or not len(coords):
        raise InputError(f"{path}: coords of shape {coords.shape} were given; (frames, atoms, 3) is expected")
    n_frames, n_atoms = coords.shape[:2]
    expected = {"nuclear_charges": (n_atoms,), "energies": (n_frames,), "forces": coords.shape}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise InputError(
                f"{path}: {name} of shape {arrays[name].shape} were given; {shape} is expected with "
                f"coords of shape {coords.shape}"
            )
