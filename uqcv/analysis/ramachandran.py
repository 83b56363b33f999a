"""Two torsions: their angles, their histogram, and how much of the thermally relevant map is visited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uqcv.errors import InputError
from uqcv.files import MEND, read_with
from uqcv.structures import Structure

Floats = NDArray[np.float64]

FREE_ENERGY_COLUMN = "free_energy_kJ_per_mol"
RELEVANT_CEILING = 30.0  # kJ/mol: 12 kT at 300 K, what a long simulation at room temperature may see


@dataclass(frozen=True)
class CoverageResult:
    """How many of the thermally relevant bins are visited.

    >>> CoverageResult(n_visited=30, n_relevant=120).share
    0.25
    """

    n_visited: int
    n_relevant: int

    @property
    def share(self) -> float:
        """Visited bins over relevant bins; NaN if no bin is relevant."""
        return self.n_visited / self.n_relevant if self.n_relevant else float("nan")


def torsion_angles(positions: ArrayLike, torsion: Sequence[int]) -> Floats:
    """Return a torsion in degrees, from -180 to 180, by the IUPAC sign.

    Parameters
    ----------
    positions
        In any unit of length, shape (..., n, 3).
    torsion
        Indices of the four atoms.

    Returns
    -------
    Shape (...).
    """
    corners = np.asarray(positions, dtype=float)[..., list(torsion), :]
    b1, b2, b3 = np.moveaxis(np.diff(corners, axis=-2), -2, 0)
    normal = np.cross(b2, b3)
    sine = np.linalg.norm(b2, axis=-1) * (b1 * normal).sum(axis=-1)
    return np.degrees(np.arctan2(sine, (np.cross(b1, b2) * normal).sum(axis=-1)))


def ramachandran_angles(structures: Sequence[Structure], torsions: Mapping[str, Sequence[int]]) -> Floats:
    """Return both torsions of structures of the same atoms in degrees, shape (k, 2).

    Raises
    ------
    InputError
        If there are not two torsions, or one names an atom that does not exist.
    """
    if len(torsions) != 2:
        raise InputError(f"{len(torsions)} torsions were given; two, such as phi and psi, are expected")
    if not structures:
        return np.zeros((0, 2))
    n_atoms = min(len(s) for s in structures)
    if max(max(t) for t in torsions.values()) >= n_atoms:
        raise InputError(f"torsions {dict(torsions)} for {n_atoms} atoms; indices from 0 to {n_atoms - 1} are expected")
    positions = [s.positions for s in structures]
    return np.column_stack([[torsion_angles(p, t) for p in positions] for t in torsions.values()])


def histogram(angles: ArrayLike, grid: int) -> NDArray[np.int64]:
    """Return how many of `angles` (degrees, shape (k, 2)) fall in each bin, shape (grid, grid), phi first."""
    angles = np.asarray(angles, dtype=float).reshape(-1, 2)
    edges = np.linspace(-180.0, 180.0, grid + 1)
    return np.histogram2d(angles[:, 0], angles[:, 1], bins=[edges, edges])[0].astype(np.int64)


def coverage(angles: ArrayLike, free_energy: ArrayLike, ceiling: float = RELEVANT_CEILING) -> CoverageResult:
    """Return how many bins under `ceiling` have been visited.

    Parameters
    ----------
    angles
        Both torsions of the physical frames in degrees, shape (k, 2).
    free_energy
        By the reference method in kJ/mol, shape (grid, grid), phi along the first axis; see `read_free_energy`.
    ceiling
        In kJ/mol.
    """
    relevant = np.asarray(free_energy) < ceiling
    visited = histogram(angles, len(relevant)) > 0
    return CoverageResult(int((visited & relevant).sum()), int(relevant.sum()))


def read_free_energy(path: Path) -> Floats:
    """Read a free energy in kJ/mol from a table of bin centers, shape (grid, grid); infinite where never visited.

    Raises
    ------
    InputError
        If the file is missing, lacks its column of free energies, or is not a full grid from -180 to 180 degrees.
    """
    return read_with(path, _parse_free_energy, "a free-energy table (CSV)")


def _parse_free_energy(path: Path) -> Floats:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if not lines or lines[0].split(",")[2:] != [FREE_ENERGY_COLUMN]:
        raise InputError(f"{path}: two torsions in degrees and {FREE_ENERGY_COLUMN} are expected as columns; {MEND}")
    if cut := [line for line in lines if line.count(",") != 2]:
        raise InputError(f"{path}: the line {cut[0]!r} has not three fields; is the file whole? {MEND}")
    first, second, values = np.array([line.split(",") for line in lines[1:]], dtype=float).reshape(-1, 3).T
    grid = round(len(values) ** 0.5)
    centers = -180.0 + 360.0 / max(grid, 1) * (np.arange(grid) + 0.5)
    expected = np.meshgrid(centers, centers, indexing="ij")
    if grid**2 != len(values) or not np.allclose([first, second], np.reshape(expected, (2, -1)), atol=1e-3):
        raise InputError(f"{path}: {len(values)} bins; a full grid with the centers of the bins in order is expected")
    return values.reshape(grid, grid)
