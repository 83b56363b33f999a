"""Checks of biased dynamics of a bundle in OpenMM: bookkeeping of hills, going on, and fusing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from uqcv.colvars.uncertainty_cv import shared_cv
from uqcv.doctor.check import Patient, require
from uqcv.doctor.subject import Subject, subject_of
from uqcv.simulation.checkpoint import Checkpoint
from uqcv.simulation.dynamics import forces_of, langevin_context, potential_energy, velocities_of
from uqcv.simulation.force_functions import positions_and_box
from uqcv.simulation.forces import add_plumed, add_potential, bare_system
from uqcv.simulation.topology import structure_topology
from uqcv.units import FS_TO_PS, NM_TO_ANGSTROM

Array = NDArray[np.float64]
TEMPERATURE, FRICTION, TIME_STEP, SEED = 300.0, 0.01, 0.5, 1  # K, 1/fs, fs
N_STEPS, PACE, CUT = 25, 5, 12
HILLS = f"metad: METAD ARG=u.py-mean SIGMA=0.1 HEIGHT=2 PACE={PACE} FILE=HILLS FMT=%25.17g\n"
WALL = "RESTRAINT ARG=u.py-mean AT=-1 KAPPA=100\n"
VALUE_TOLERANCE = 1e-9  # of U, absolute; PLUMED writes 17 digits
FUSED_TOLERANCE = 1e-9  # of the largest force, in double precision


class Run:
    """Dynamics of a subject under a PLUMED input, which writes into the working directory."""

    def __init__(self, subject: Subject, text: str, fused: Literal["auto", True, False] = "auto") -> None:
        self.subject = subject
        topology = structure_topology(subject.structure)
        system = bare_system(topology)
        self.network = add_potential(system, topology, subject.bundle, torch.float64)
        self.bias = add_plumed(
            system, topology, subject.head + text, TEMPERATURE, TIME_STEP, subject.cv_folder, Path("plumed.log"),
            network=self.network, fused=fused,
        )  # fmt: skip
        self.context = langevin_context(system, subject.structure, TEMPERATURE, FRICTION, TIME_STEP, SEED)

    def positions(self) -> Array:
        """Return the present positions, nm."""
        return positions_and_box(self.context.getState(positions=True), periodic=False)[0]

    def checkpoint(self, folder: Path) -> Checkpoint:
        """Return the checkpoint of this run in a folder."""
        return Checkpoint(folder / "run.checkpoint", self.context, self.network, self.bias)

    def advance(self, until: int) -> list[Array]:
        """Take steps up to the step `until`; return the positions (nm) after each of them."""
        positions = []
        while self.context.getStepCount() < until:
            self.context.getIntegrator().step(1)
            positions.append(self.positions())
        return positions

    def end(self) -> dict[str, Array]:
        """Evaluate the last step, close, and return what the run has come to: positions, velocities and hills."""
        potential_energy(self.context)
        self.bias.close()
        return {"positions": self.positions(), "velocities": velocities_of(self.context), "hills": read_hills()}


def read_hills() -> Array:
    """Return time (ps) and place of each hill, shape (hills, 2)."""
    rows = [line.split()[:2] for line in Path("HILLS").read_text().splitlines() if not line.startswith("#")]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def fused(patient: Patient) -> str:
    """Compare all forces under a bias that shares the network's backward pass with those under one that does not."""
    runs = [Run(subject_of(patient), WALL, fused) for fused in (True, False)]
    forces = [forces_of(run.context) for run in runs]
    biases = [run.bias.bias for run in runs]
    for run in runs:
        run.bias.close()
    difference, scale = float(np.abs(forces[0] - forces[1]).max()), float(np.abs(forces[1]).max())
    detail = (
        f"biases {biases[0]:.10g} and {biases[1]:.10g} kJ/mol, forces differ by {difference:.1e} of {scale:.1e} "
        f"kJ/mol/nm (at most {FUSED_TOLERANCE:g} of it)"
    )
    same = np.isclose(biases[0], biases[1], rtol=FUSED_TOLERANCE, atol=0)
    return require(bool(same and difference <= FUSED_TOLERANCE * scale), detail)


def asked_twice(patient: Patient) -> str:
    """Ask for energies more than once at a step with a hill, elsewhere too, as a barostat does."""
    run = Run(subject_of(patient), HILLS)
    run.advance(2 * PACE)
    here, energies = run.positions(), [potential_energy(run.context)]
    run.context.setPositions(here * 1.001)
    elsewhere = potential_energy(run.context)
    run.context.setPositions(here)
    energies.append(potential_energy(run.context))
    run.advance(2 * PACE + 1)
    run.bias.close()
    hills, difference = len(read_hills()), abs(energies[1] - energies[0])
    detail = (
        f"energies at one step differ by {difference:g} kJ/mol (0 is expected; {abs(elsewhere - energies[0]):.2g} "
        f"elsewhere), {hills} hills after {2 * PACE} steps (2 are expected)"
    )
    return require(difference == 0 and hills == 2, detail)


def hills(patient: Patient) -> str:
    """Compare each hill with U at the positions of its step, evaluated without PLUMED."""
    run = Run(subject_of(patient), HILLS)
    run.checkpoint(Path.cwd()).start()
    positions = run.advance(N_STEPS)
    whole = run.end()
    np.savez(patient.scratch / "whole.npz", allow_pickle=False, **whole)
    _leave_half(patient)
    steps = list(range(PACE, N_STEPS + 1, PACE))
    expected = [(step * TIME_STEP * FS_TO_PS, _uncertainty(run, positions[step - 1])) for step in steps]
    found = whole["hills"]
    if len(found) != len(steps):
        return require(False, f"{len(found)} hills, {len(steps)} are expected: one each {PACE} of {N_STEPS} steps")
    late, off = np.abs(found - expected).max(axis=0)
    detail = f"{len(found)} hills in {N_STEPS} steps, off by {late:.1e} ps and {off:.1e} in U"
    return require(bool(max(late, off) <= VALUE_TOLERANCE), f"{detail} (at most {VALUE_TOLERANCE:g})")


def _uncertainty(run: Run, positions: Array) -> float:
    structure = run.subject.structure
    numbers, pbc = structure.numbers.tolist(), structure.pbc.tolist()
    cv = shared_cv(run.subject.bundle, numbers, pbc, torch.float64, "cpu")
    return cv.evaluate(positions * NM_TO_ANGSTROM, structure.cell).value("mean")


def _leave_half(patient: Patient) -> None:
    """Leave a run that was interrupted after some steps, for another process to go on with."""
    folder = patient.scratch / "half"
    folder.mkdir()
    run = Run(subject_of(patient), HILLS)
    checkpoint = run.checkpoint(folder)
    checkpoint.start()
    run.advance(CUT)
    checkpoint.save()
    run.advance(CUT + PACE)  # lost
    run.bias.bridge.discard()


def resume(patient: Patient) -> str:
    """Go on, in a process of its own, with a run that was interrupted, and compare its end bit for bit."""
    run = Run(subject_of(patient), HILLS)
    require(run.checkpoint(patient.scratch / "half").start() is not None, "the checkpoint was not found")
    begin = run.context.getStepCount()
    require(begin == CUT, f"it begins at step {begin}, {CUT} is expected")
    run.advance(N_STEPS)
    found = run.end()
    with np.load(patient.scratch / "whole.npz") as whole:
        different = [name for name, values in found.items() if not np.array_equal(values, whole[name])]
    same = "positions, velocities and hills are the same, bit for bit"
    detail = f"{', '.join(different)} differ" if different else same
    return require(not different, f"from step {CUT} to {N_STEPS} in a new process: {detail}")
