"""Frames to start from: molecular dynamics with the reference method itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ase
import numpy as np
from ase import units as ase_units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from uqcv.errors import InputError, LabelingError
from uqcv.labeling.journal import Entry, Journal
from uqcv.labeling.reference import NOT_FINITE, ReferenceMethod
from uqcv.structures import Structure
from uqcv.units import BOLTZMANN

JOURNAL_KEYS = ("velocities",)
MAX_RESTARTS = 100  # in a row, from the same frame
# Above the start; harmonic atoms have 1.5 kT each on average. What is above the other holds no bonds any more.
MOST_THERMAL_ENERGIES, MOST_ENERGY = 30.0, 5.0  # kT and eV for each atom


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
    report: Callable[[float], None] | None = None,
    journal: Journal | None = None,
    task: str = "",
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
    report
        Called with how many of `n_frames` are as good as done, equilibration included.
    journal
        Where each frame is put down with the state of the run (keys: `JOURNAL_KEYS`). What stands there already is
        not done again: a run that was interrupted gives the frames of one that was not.
    task
        What the journal must be of: a name for all that decides the frames but their number.

    Raises
    ------
    InputError
        If `start` is not accepted, a length of time is not positive, or the journal is of another task.
    LabelingError
        If the method fails, the dynamics is unstable, or the run leaves again and again.
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
    frames = _done(journal, task, run, start)[: unused + n_frames]
    for k in range(len(frames), unused + n_frames):
        frames.append(run.advance(round(spacing / time_step), accept))
        if journal is not None:
            journal.append(task, run.state)
        if report is not None:
            report((k + 1) * n_frames / (unused + n_frames))
    return frames[unused:]


def _done(journal: Journal | None, task: str, run: _Run, start: Structure) -> list[Structure]:
    """Return the frames of a journal, and set the run to where it ends."""
    if journal is None or not journal.entries:
        return []
    if any(entry["task"] != task for entry in journal.entries):
        raise InputError(
            f"{journal.path}: holds frames of other settings or another method; delete it, or give another file"
        )
    run.restore(journal.entries[-1])
    return [start.with_positions(e["positions"]).with_labels(e["energy"], e["forces"]) for e in journal.entries]


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
        self._temperature, self._time_step = temperature, time_step
        self._rng = np.random.default_rng(seed)
        self._atoms = start.with_positions(start.positions).to_ase()
        self._atoms.calc = ReferenceCalculator(method)
        self._ceiling = self._atoms.get_potential_energy() + self._most_energy()
        self._draw_velocities()
        self._dynamics = Langevin(
            self._atoms,
            time_step * ase_units.fs,  # ASE counts time in Å sqrt(amu/eV)
            temperature_K=temperature,
            friction=friction / ase_units.fs,
            fixcm=False,  # ASE's own fixcm does not sample the canonical ensemble
            rng=self._rng,
        )

    @property
    def state(self) -> dict[str, Any]:
        """The labelled positions (Å, eV, eV/Å), the velocities (ASE's unit) and the state of the random numbers."""
        return {
            "positions": self._atoms.get_positions().tolist(),
            "velocities": self._atoms.get_velocities().tolist(),
            "energy": float(self._atoms.get_potential_energy()),
            "forces": self._atoms.get_forces().tolist(),
            "generator": self._rng.bit_generator.state,
        }

    def restore(self, state: Entry) -> None:
        """Go back to a `state`."""
        self._atoms.set_positions(state["positions"])
        self._atoms.set_velocities(state["velocities"])
        self._rng.bit_generator.state = state["generator"]

    def advance(self, steps: int, accept: Callable[[Structure], bool] | None) -> Structure:
        """Return the labelled frame after `steps` time steps, from an accepted frame to an accepted one."""
        before = self._atoms.get_positions()
        for _ in range(MAX_RESTARTS):
            frame = self._run(steps)
            if accept is None or accept(frame):
                return frame
            self._atoms.set_positions(before)
            self._draw_velocities()
        raise LabelingError(
            f"the run left the accepted region {MAX_RESTARTS} times in a row; "
            "give a shorter spacing, a lower temperature or another start"
        )

    def _run(self, steps: int) -> Structure:
        try:
            self._dynamics.run(steps)
            forces, energy = self._atoms.get_forces(), float(self._atoms.get_potential_energy())
        except (InputError, LabelingError) as error:
            if NOT_FINITE not in str(error) and np.isfinite(self._atoms.get_positions()).all():
                raise
            raise self._unstable("positions or an energy that are not finite") from error
        if energy > self._ceiling:
            height = energy - self._ceiling + self._most_energy()
            raise self._unstable(f"a potential energy {height:.3g} eV above the start")
        return self._start.with_positions(self._atoms.get_positions()).with_labels(energy, forces)

    def _most_energy(self) -> float:
        each = min(MOST_THERMAL_ENERGIES * BOLTZMANN * self._temperature, MOST_ENERGY)
        return len(self._start) * each

    def _unstable(self, found: str) -> LabelingError:
        return LabelingError(
            f"the dynamics is unstable: {found}, where {self._most_energy():.3g} eV at most are expected; shorten "
            f"initial.time_step ({self._time_step:g} fs) or lower initial.temperature ({self._temperature:g} K)"
        )

    def _draw_velocities(self) -> None:
        MaxwellBoltzmannDistribution(self._atoms, temperature_K=self._temperature, rng=self._rng)
