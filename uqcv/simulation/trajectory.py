"""Frames that were not made by dynamics, in the form of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openmm import app, unit

from uqcv.files import atomic_path
from uqcv.simulation.topology import Topology
from uqcv.structures import Structure
from uqcv.units import ANGSTROM_TO_NM


def write_dcd(path: Path, topology: Topology, frames: Sequence[Structure]) -> None:
    """Write frames of the same atoms as DCD, one picosecond apart; an empty file if there are none."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        if not frames:
            return
        writer = app.DCDFile(file, topology, 1.0 * unit.picosecond)
        for frame in frames:
            cell = frame.cell * ANGSTROM_TO_NM * unit.nanometer if frame.is_periodic else None
            writer.writeModel(frame.positions * ANGSTROM_TO_NM * unit.nanometer, periodicBoxVectors=cell)
