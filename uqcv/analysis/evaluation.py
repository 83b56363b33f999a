"""The uncertainty of a trajectory, per frame and per atom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uqcv.analysis.tables import csv_text
from uqcv.analysis.trajectories import read_trajectory, structures_of
from uqcv.files import write_text

if TYPE_CHECKING:
    import mdtraj
    import torch

    from uqcv.colvars.bundle import Bundle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Report = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class EvaluationTable:
    """What a bundle says about each frame of a trajectory, and about each atom in it.

    Attributes
    ----------
    numbers
        Atomic numbers, shape (n,).
    energies
        eV, shape (k,).
    pooled
        For each pooling the uncertainty (no unit), shape (k,).
    expected_errors
        Calibrated uncertainty of each frame: its expected mean force error in eV/Å, shape (k,).
    worst_atoms
        Index from 0 of the counted atom with the largest uncertainty, shape (k,).
    atomic
        Uncertainty of each atom (no unit), shape (k, n).
    atomic_errors
        Calibrated uncertainty of each atom in eV/Å, shape (k, n).
    """

    numbers: Ints
    energies: Floats
    pooled: Mapping[str, Floats]
    expected_errors: Floats
    worst_atoms: Ints
    atomic: Floats
    atomic_errors: Floats

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Column name -> value of each frame."""
        return {
            "frame": np.arange(len(self.energies)),
            "energy_eV": self.energies,
            **self.pooled,
            "expected_force_error_eV_per_A": self.expected_errors,
            "worst_atom": self.worst_atoms,
        }

    @property
    def atom_columns(self) -> dict[str, NDArray[Any]]:
        """Column name -> value of each atom of each frame, frame by frame."""
        frame, atom = (index.ravel() for index in np.indices(self.atomic.shape))
        return {
            "frame": frame,
            "atom": atom,
            "atomic_number": self.numbers[atom],
            "uncertainty": self.atomic.ravel(),
            "expected_force_error_eV_per_A": self.atomic_errors.ravel(),
        }

    def write_csv(self, path: Path) -> None:
        """Write one line for each frame, atomically and without loss of digits."""
        write_text(path, csv_text(self.columns))

    def write_atom_csv(self, path: Path) -> None:
        """Write one line for each atom of each frame, atomically and without loss of digits."""
        write_text(path, csv_text(self.atom_columns))


def evaluate_trajectory(
    bundle: Bundle,
    trajectory: mdtraj.Trajectory | Path,
    topology_path: Path | None = None,
    dtype: torch.dtype | None = None,
    report: Report | None = None,
) -> EvaluationTable:
    """Evaluate a bundle on every frame of a trajectory, by the code that a simulation uses.

    Parameters
    ----------
    bundle
        Potential, uncertainty and calibration.
    trajectory
        A trajectory of mdtraj, or a file for `load_trajectory`.
    topology_path
        The PDB file of the atoms, if `trajectory` is a file.
    dtype
        torch precision, by default float64.
    report
        Called with the number of frames done and a note.
    """
    import torch

    from uqcv.colvars.fitting import evaluate_frames

    path = Path(trajectory) if isinstance(trajectory, str | Path) else None
    structures = structures_of(trajectory) if path is None else read_trajectory(path, topology_path)
    found = evaluate_frames(bundle, structures, dtype or torch.float64, report=report)
    atomic = np.stack(found.atomic)
    return EvaluationTable(
        numbers=structures[0].numbers,
        energies=found.energies,
        pooled=found.pooled,
        expected_errors=bundle.settings.frame_calibration(found.pooled["mean"]),
        # The maximum is one of the atoms' own values, so this finds it among those that count.
        worst_atoms=np.abs(atomic - found.pooled["max"][:, None]).argmin(axis=1),
        atomic=atomic,
        atomic_errors=bundle.settings.atom_calibration(atomic, structures[0].numbers),
    )
