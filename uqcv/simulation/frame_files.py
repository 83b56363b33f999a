"""What a walker leaves of each frame: a structure in a trajectory, and a row of numbers in a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit

from uqcv.units import ANGSTROM_TO_NM, FS_TO_PS

COLUMNS = ("step", "time_fs", "uncertainty", "energy_eV", "temperature_K", "bias_eV")
TRAJECTORY_FILE, FRAMES_FILE = "trajectory.dcd", "frames.csv"


class FrameFiles:
    """The trajectory (DCD) and the table (CSV) in the working directory.

    Parameters
    ----------
    topology
        Of the atoms.
    time_step, stride
        fs, and steps between frames.
    append
        Whether both are there and are gone on with.
    """

    def __init__(self, topology: app.Topology, time_step: float, stride: int, append: bool) -> None:
        self._time_step = time_step
        self._is_empty = not append
        self._files = ExitStack()
        self._rows = self._files.enter_context(open(FRAMES_FILE, "a" if append else "w", newline=""))
        self._table = csv.writer(self._rows)
        if not append:
            self._table.writerow(COLUMNS)
        frames = self._files.enter_context(open(TRAJECTORY_FILE, "r+b" if append else "wb"))
        interval = time_step * FS_TO_PS * unit.picosecond
        self._trajectory = app.DCDFile(frames, topology, interval, interval=stride, append=append)

    def write(
        self, step: int, positions: NDArray[np.float64], cell: NDArray[np.float64] | None, row: Sequence[float]
    ) -> None:
        """Add a frame.

        Parameters
        ----------
        step
            Its number.
        positions, cell
            Å, shapes (n, 3) and (3, 3); no cell without periodicity.
        row
            Uncertainty, energy (eV), temperature (K) and bias (eV).
        """
        self._is_empty = False
        box = None if cell is None else cell * ANGSTROM_TO_NM * unit.nanometer
        self._trajectory.writeModel(positions * ANGSTROM_TO_NM * unit.nanometer, periodicBoxVectors=box)
        self._table.writerow([step, step * self._time_step, *(f"{x:.9g}" for x in row)])

    def flush(self) -> None:
        """Hand all rows to the system; OpenMM does so with its trajectory after each frame."""
        self._rows.flush()

    def close(self) -> None:
        """Close both, and leave no trajectory without a frame: nobody reads a DCD that is a header."""
        self._files.close()
        if self._is_empty:
            Path(TRAJECTORY_FILE).unlink()
