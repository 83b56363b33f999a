"""A free energy in bins of two torsions: made from samples, compared, kept as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv import units
from uqcv.errors import InputError
from uqcv.files import read_with, write_text

COLUMNS = "phi_degrees,psi_degrees,free_energy_kJ_per_mol"


@dataclass(frozen=True, eq=False)
class FreeEnergySurface:
    """Free energy in bins of two torsions.

    Parameters
    ----------
    values
        In kJ/mol with minimum 0, shape (n, n): phi along the first axis, psi along the second. Infinite where
        no sample fell.
    recipe
        How it was computed, line by line.
    """

    values: NDArray[np.float64]
    recipe: Mapping[str, str] = field(default_factory=dict)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins in degrees along either axis, shape (n + 1,)."""
        return bin_edges(len(self.values))

    @property
    def centers(self) -> NDArray[np.float64]:
        """Centers of the bins in degrees along either axis, shape (n,)."""
        return (self.edges[:-1] + self.edges[1:]) / 2.0

    def below(self, ceiling: float) -> NDArray[np.bool_]:
        """Return which bins are under `ceiling` (kJ/mol), shape (n, n)."""
        return self.values < ceiling

    def difference(self, other: FreeEnergySurface, ceiling: float = 30.0) -> float:
        """Return the mean absolute difference in kJ/mol over the bins of this surface under `ceiling`.

        It is infinite if the other surface never visited one of them.

        Raises
        ------
        InputError
            If the grids differ.
        """
        if self.values.shape != other.values.shape:
            raise InputError(f"grids of {len(self.values)} and {len(other.values)} bins; the same grid is expected")
        compared = self.below(ceiling)
        return float(np.abs(other.values[compared] - self.values[compared]).mean())

    def save(self, path: Path) -> None:
        """Write CSV: the recipe in comment lines, then one line for each bin with its center."""
        lines = [f"# {key}: {value}" for key, value in self.recipe.items()]
        lines.append(COLUMNS)
        for phi, row in zip(self.centers, self.values, strict=True):
            lines += [f"{phi:g},{psi:g},{value:.4f}" for psi, value in zip(self.centers, row, strict=True)]
        write_text(path, "\n".join(lines) + "\n")

    @classmethod
    def load(cls, path: Path) -> FreeEnergySurface:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is missing or is not such a table.
        """
        return read_with(path, _read_csv, "a free-energy table (CSV)")


def _read_csv(path: Path) -> FreeEnergySurface:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line[2:].partition(": ") for line in lines if line.startswith("# ")]
    table = [line for line in lines if line and not line.startswith("#")]
    if not table or table[0] != COLUMNS:
        raise InputError(f"{path}: the column names {COLUMNS} are expected")
    values = np.array([row.split(",") for row in table[1:]], dtype=float)[:, 2]
    n = round(len(values) ** 0.5)
    return FreeEnergySurface(values.reshape(n, n), {key: value for key, _, value in comments})


def bin_edges(grid: int) -> NDArray[np.float64]:
    """Return the edges in degrees of `grid` bins from -180 to 180, shape (grid + 1,)."""
    return np.linspace(-180.0, 180.0, grid + 1)


def reweighted(
    angles: NDArray[np.float64], bias: NDArray[np.float64], grid: int, temperature: float
) -> NDArray[np.float64]:
    """Return the free energy in kJ/mol from samples under a static bias, shape (grid, grid), minimum 0.

    Parameters
    ----------
    angles
        Both torsions of each sample in degrees, shape (samples, 2).
    bias
        The bias at each sample in kJ/mol, shape (samples,).
    grid
        Number of bins along each torsion.
    temperature
        In K.
    """
    kT = units.BOLTZMANN_KJMOL * temperature
    weights = np.exp((bias - bias.max()) / kT)  # only ratios count, so the largest weight may be 1
    edges = bin_edges(grid)
    counts = np.histogram2d(angles[:, 0], angles[:, 1], bins=[edges, edges], weights=weights)[0]
    with np.errstate(divide="ignore"):
        return -kT * np.log(counts / counts.max())
