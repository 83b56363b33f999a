"""Atoms, cell and labels, and their way in and out of extxyz files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_masses
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from uqcv.errors import InputError, UnknownElementError
from uqcv.files import about, atomic_path, read_with

# Declared in an extxyz comment line (`energy_unit=...`), these spellings are what uqcv computes in.
ACCEPTED_UNITS = {
    "length_unit": {"ang", "angstrom", "å", "a"},
    "energy_unit": {"ev"},
    "force_unit": {"ev/ang", "ev/angstrom", "ev/å", "ev/a"},
}

# No two nuclei of a real structure are nearer than this (H2 is 0.74 Å); positions in nm always are.
SMALLEST_DISTANCE = 0.4  # Å


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms in a cell, with the labels of a reference method if there are any.

    Parameters
    ----------
    numbers
        Atomic numbers, shape (n,).
    positions
        Cartesian positions in Å, shape (n, 3).
    cell
        Cell vectors as rows in Å, shape (3, 3); zeros without periodicity.
    pbc
        Periodicity along each cell vector, shape (3,).
    energy
        Total energy in eV, or None.
    forces
        Forces in eV/Å, shape (n, 3), or None.
    info
        What is worth keeping beside the atoms, such as where a frame comes from.

    Raises
    ------
    InputError
        For wrong shapes, NaN or infinity, or a periodic direction without a cell vector.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    energy: float | None = None
    forces: NDArray[np.float64] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.numbers)
        self._set("numbers", _checked("numbers", self.numbers, (n,), np.int64))
        self._set("positions", _checked("positions", self.positions, (n, 3)))
        self._set("cell", _checked("cell", self.cell, (3, 3)))
        self._set("pbc", _checked("pbc", self.pbc, (3,), np.bool_))
        if self.forces is not None:
            self._set("forces", _checked("forces", self.forces, (n, 3)))
        if self.energy is not None:
            self._set("energy", float(_checked("energy", self.energy, ())))
        if n == 0:
            raise InputError("a structure without atoms was given; at least one atom is expected")
        if (wrong := self.numbers[(self.numbers < 1) | (self.numbers >= len(atomic_masses))]).size:
            raise InputError(f"atomic number {wrong[0]} was given; 1 to {len(atomic_masses) - 1} is expected")
        if any(self.pbc & (np.abs(self.cell).sum(axis=1) == 0)):
            raise InputError("a direction is periodic but its cell vector is zero; give the cell or set pbc to F")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def is_labelled(self) -> bool:
        """Whether energy and forces are both known."""
        return self.energy is not None and self.forces is not None

    @property
    def is_periodic(self) -> bool:
        """Whether any direction is periodic."""
        return bool(self.pbc.any())

    @property
    def masses(self) -> NDArray[np.float64]:
        """Masses of the elements in amu, shape (n,)."""
        return np.asarray(atomic_masses[self.numbers])

    def with_positions(self, positions: ArrayLike) -> Structure:
        """Return the same atoms elsewhere, without labels."""
        return replace(self, positions=np.asarray(positions), energy=None, forces=None)

    def with_labels(self, energy: float, forces: ArrayLike) -> Structure:
        """Return the same atoms with energy (eV) and forces (eV/Å)."""
        return replace(self, energy=energy, forces=np.asarray(forces))

    def with_info(self, **info: Any) -> Structure:
        """Return the same atoms with more said about them."""
        return replace(self, info={**self.info, **info})

    def to_ase(self) -> ase.Atoms:
        """Return an `ase.Atoms`, labels in a single-point calculator."""
        atoms = ase.Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        atoms.info.update(self.info)
        if self.energy is not None or self.forces is not None:
            atoms.calc = SinglePointCalculator(atoms, energy=self.energy, forces=self.forces)
        return atoms

    @classmethod
    def from_ase(cls, atoms: ase.Atoms) -> Structure:
        """Build from an `ase.Atoms`, with the labels that its calculator holds."""
        results = atoms.calc.results if atoms.calc is not None else {}
        return cls(
            numbers=atoms.numbers,
            positions=atoms.positions,
            cell=np.asarray(atoms.cell),
            pbc=atoms.pbc,
            energy=results.get("energy"),
            forces=results.get("forces"),
            info=dict(atoms.info),
        )


def _checked(name: str, value: ArrayLike, shape: tuple[int, ...], dtype: Any = np.float64) -> NDArray[Any]:
    try:
        array = np.array(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: {error}; numbers are expected") from error
    if dtype is np.int64 and not np.array_equal(array, np.asarray(value)):
        raise InputError(f"{name}: whole numbers are expected")
    if array.shape != shape:
        raise InputError(f"{name}: shape {array.shape} was given; {shape} is expected")
    if dtype is np.float64 and not np.isfinite(array).all():
        raise InputError(f"{name}: NaN or infinity was given; finite numbers are expected")
    return array


def read_structures(path: Path, labelled: bool = False) -> list[Structure]:
    """Read all frames of an extxyz file (or any other file that ASE reads).

    Parameters
    ----------
    path
        The file; Å, eV and eV/Å are expected.
    labelled
        Whether every frame must have energy and forces.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, lacks labels that are asked for, declares other units, or holds
        positions that can only be in nm.
    """
    frames = read_with(path, _read_ase, "structures (extxyz)")
    if not frames:
        raise InputError(f"{path}: no frames; at least one structure is expected")
    structures = [_frame(path, k, atoms) for k, atoms in enumerate(frames)]
    if labelled:
        require_labels(structures, str(path))
    return structures


def _read_ase(path: Path) -> list[ase.Atoms]:
    if path.suffix.lower() in (".xyz", ".extxyz"):
        _require_whole_frames(path)
    if not path.stat().st_size:
        return []
    try:
        frames = ase.io.read(path, index=":", do_not_split_by_at_sign=True)
    except KeyError as error:
        raise InputError(f"{path}: {error} is no element; symbols of elements are expected, mend the file") from error
    return frames if isinstance(frames, list) else [frames]


def _require_whole_frames(path: Path) -> None:
    """Refuse a file that ends within a frame; ASE would look for a missing atom of 10^12 for ever."""
    with open(path, encoding="utf-8") as lines:
        for k, line in enumerate(iter(lines.readline, "")):
            if not line.strip().isdecimal():
                if k and line.strip() and not line.startswith("VEC"):
                    raise InputError(
                        f"{path}, frame {k}: {line.strip()[:30]!r} was given where its number of atoms is expected; "
                        "write the file again"
                    )
                return  # the end, or something else than extxyz: ASE says what
            wanted = int(line)
            found = sum(1 for _ in islice(lines, wanted + 1)) - 1
            if found < wanted:
                raise InputError(
                    f"{path}, frame {k}: {wanted} atoms are announced, {max(0, found)} are there; write the file again"
                )


def require_elements(structures: Sequence[Structure], known: Sequence[int], source: object) -> None:
    """Refuse elements that a model was not trained on.

    Raises
    ------
    UnknownElementError
        Naming the source.
    """
    unknown = sorted(set(elements(structures)) - set(known))
    if unknown:
        raise UnknownElementError(
            f"{source}: elements with atomic numbers {unknown} were given; the model knows {sorted(known)}: "
            "train it on labelled structures that hold them"
        )


def _frame(path: Path, k: int, atoms: ase.Atoms) -> Structure:
    with about(f"{path}, frame {k}"):
        structure = Structure.from_ase(atoms)
        _require_units(structure)
    return structure


def _require_units(structure: Structure) -> None:
    for key, accepted in ACCEPTED_UNITS.items():
        declared = structure.info.get(key)
        if declared is not None and str(declared).lower() not in accepted:
            raise InputError(f"{key}={declared} was given; Å, eV and eV/Å are expected, convert the file first")
    require_distances(structure)


def require_distances(structure: Structure) -> None:
    """Refuse atoms that are nearer to one another than nuclei can be.

    Raises
    ------
    InputError
        Asking whether the positions are in nm.
    """
    if len(structure) > 1:
        nearest = KDTree(structure.positions).query(structure.positions, k=2)[0][:, 1].min()
        if nearest < SMALLEST_DISTANCE:
            raise InputError(
                f"two atoms are {nearest:.3f} Å apart; at least {SMALLEST_DISTANCE} Å is expected "
                "(are the positions in nm?)"
            )


def require_labels(structures: Sequence[Structure], source: str) -> None:
    """Refuse structures without energy or forces.

    Raises
    ------
    InputError
        Naming the source and the first frame that lacks a label.
    """
    if not structures:
        raise InputError(f"{source}: no structures; at least one labelled structure is expected")
    for k, structure in enumerate(structures):
        missing = [name for name in ("energy", "forces") if getattr(structure, name) is None]
        if missing:
            raise InputError(f"{source}, frame {k}: no {' and no '.join(missing)}; label it first (uqcv label)")


def write_structures(path: Path, structures: Sequence[Structure]) -> None:
    """Write frames as extxyz, atomically."""
    with atomic_path(path) as temporary:
        ase.io.write(temporary, [s.to_ase() for s in structures], format="extxyz")


def elements(structures: Sequence[Structure]) -> list[int]:
    """Return the sorted atomic numbers that occur."""
    return sorted({int(z) for s in structures for z in s.numbers})
