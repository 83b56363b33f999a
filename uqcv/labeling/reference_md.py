"""Frames to start from: molecular dynamics with the reference method itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import ase
import numpy as np
from ase import units as ase_units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from uqcv.errors import InputError, LabelingError
from uqcv.labeling.reference import ReferenceMethod
from uqcv.structures import Structure

MAX_RESTARTS = 100  # in a row, from the same frame


class ReferenceCalculator(Calculator):
    """Any reference method as an ASE calculator."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (ASE's own declaration)

    def __init__(self, method: ReferenceMethod) -> None:
        super().__init__()
        self._method = method

    def check_state(self, atoms: ase.Atoms, tol: float = 0.0) -> list[str]:
        """Return what changed; exact and cheap, since ASE's own comparison costs more than a force field."""
        last = self.atoms
        same = last is not None and all(
            np.array_equal(getattr(atoms, name), getattr(last, name))
            for name in ("positions", "numbers", "cell", "pbc")
        )
        return [] if same else list(all_changes)

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: tuple[str, ...] = ("energy",),
        system_changes: tuple[str, ...] = tuple(all_changes),
    ) -> None:
        """Fill `results` with the energy (eV) and forces (eV/Å)."""
        super().calculate(atoms, properties, system_changes)
        now = self.atoms
        structure = Structure(now.numbers, now.positions, np.asarray(now.cell), now.pbc)
        labelled = self._method.label(structure)
        self.results = {"energy": labelled.energy, "forces": labelled.forces}


def sample_reference(
    method: ReferenceMethod,
    start: Structure,
    n_frames: int,
    temperature: float,
    spacing: float,
    time_step: float = 0.5,
    friction: float = 0.01,
    seed: int = 0,
    equilibration: float = 0.0,
    accept: Callable[[Structure], bool] | None = None,
) -> list[Structure]:
    """Return labelled frames of Langevin dynamics from a Maxwell-Boltzmann start.

    With `accept`, a run that leaves is taken back: it starts again from the last accepted frame with new
    velocities. So the frames stay on one side of, say, phi = 0.

    Parameters
    ----------
    method
        The reference method.
    start
        Where to start.
    n_frames
        Number of frames wanted.
    temperature
        In K.
    spacing
        Time between frames in fs.
    time_step
        In fs.
    friction
        In 1/fs.
    seed
        The same seed gives the same frames.
    equilibration
        Time before the first frames in fs, rounded up to a multiple of `spacing`.
    accept
        Which frames may be kept; asked every `spacing`.

    Raises
    ------
    InputError
        If `start` is not accepted, or a length of time is not positive.
    LabelingError
        If the method fails, or the run leaves again and again.
    """
    if min(n_frames, temperature, time_step) <= 0 or spacing < time_step:
        raise InputError(
            f"{n_frames} frames at {temperature} K, spacing {spacing} fs, time step {time_step} fs: "
            "positive values and a spacing of at least the time step are expected"
        )
    if accept and not accept(start):
        raise InputError("the starting structure is not accepted by the filter; start from one that is")
    run = _Run(method, start, temperature, time_step, friction, seed)
    unused = math.ceil(equilibration / spacing)
    frames = [run.advance(round(spacing / time_step), accept) for _ in range(unused + n_frames)]
    return frames[unused:]


class _Run:
    """Langevin dynamics that remembers where it was last accepted."""

    def __init__(
        self,
        method: ReferenceMethod,
        start: Structure,
        temperature: float,
        time_step: float,
        friction: float,
        seed: int,
    ) -> None:
        self._start = start
        self._temperature = temperature
        self._rng = np.random.default_rng(seed)
        self._atoms = start.with_positions(start.positions).to_ase()
        self._atoms.calc = ReferenceCalculator(method)
        self._draw_velocities()
        self._dynamics = Langevin(
            self._atoms,
            time_step * ase_units.fs,  # ASE counts time in Å sqrt(amu/eV)
            temperature_K=temperature,
            friction=friction / ase_units.fs,
            fixcm=False,  # ASE's own fixcm does not sample the canonical ensemble
            rng=self._rng,
        )

    def advance(self, steps: int, accept: Callable[[Structure], bool] | None) -> Structure:
        """Return the labelled frame after `steps` time steps, from an accepted frame to an accepted one."""
        before = self._atoms.get_positions()
        for _ in range(MAX_RESTARTS):
            self._dynamics.run(steps)
            frame = self._frame()
            if accept is None or accept(frame):
                return frame
            self._atoms.set_positions(before)
            self._draw_velocities()
        raise LabelingError(
            f"the run left the accepted region {MAX_RESTARTS} times in a row; "
            "give a shorter spacing, a lower temperature or another start"
        )

    def _frame(self) -> Structure:
        forces, energy = self._atoms.get_forces(), self._atoms.get_potential_energy()
        return self._start.with_positions(self._atoms.get_positions()).with_labels(energy, forces)

    def _draw_velocities(self) -> None:
        MaxwellBoltzmannDistribution(self._atoms, temperature_K=self._temperature, rng=self._rng)
