"""One walker: molecular dynamics with a potential, perhaps a bias, until it ends or breaks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from openmm import app, unit

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export
from uqcv.errors import BrokenStructureError, InputError, UqcvError
from uqcv.files import digest, write_json, write_text
from uqcv.folders import sync_files
from uqcv.simulation.checkpoint import Checkpoint
from uqcv.simulation.contexts import own_errors
from uqcv.simulation.dynamics import langevin_context
from uqcv.simulation.force_functions import NetworkForce, PlumedForce
from uqcv.simulation.forces import Fused, add_plumed, add_potential, bare_system
from uqcv.simulation.frame_files import FRAMES_FILE, TRAJECTORY_FILE, FrameFiles
from uqcv.simulation.identity import require_same
from uqcv.simulation.load_network import LoadNetwork, preparation
from uqcv.simulation.plumed_input import without_remarks
from uqcv.simulation.restraints import add_restraints
from uqcv.simulation.topology import read_topology, topology_bonds
from uqcv.simulation.validity import MoleculeGuard, ValiditySettings
from uqcv.simulation.walker_end import WalkerEnd, write_end
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import BOLTZMANN, KJMOL_TO_EV, NM_TO_ANGSTROM

Array = NDArray[np.float64]
PLAN_FILE, CHECKPOINT_FILE = "plan.json", "checkpoint.zip"
AMU_NM2_PS2_TO_EV = KJMOL_TO_EV  # 1 amu nm^2/ps^2 is 1 kJ/mol


@dataclass(frozen=True)
class WalkerPlan:
    """All that decides a walker's run.

    Attributes
    ----------
    folder
        Where it writes; a walker that was interrupted there goes on.
    bundle, topology
        Folder of the model, and PDB file with the atoms and bonds.
    model
        Short hash of the bundle.
    start
        Where it starts.
    reference
        The whole molecule that it must stay.
    plumed
        PLUMED input, or None for plain dynamics.
    component
        Pooling that is watched, and offered to PLUMED.
    temperature, friction, time_step
        K, 1/fs, fs.
    n_steps, stride
        Length, and steps between frames.
    ceiling
        Uncertainty at which it ends; no unit.
    energy_ceiling
        Energy (eV) at which it ends.
    temperature_ceiling
        Instantaneous temperature (K) at which it ends.
    seed
        Of velocities and thermostat.
    hydrogen_mass
        amu, or None for that of the element.
    validity
        Limits of bonds and contacts.
    restraint
        Share of the way to these limits beyond which the topology's bonds and their angles are pulled back, or None.
    dtype, device, compiled
        Of the network.
    fused
        Whether the bias shares the network's backward pass.
    checkpoint_interval
        Seconds of wall time between checkpoints; it changes nothing but what an interruption costs.
    shared_folder
        Where walkers that share one bias keep its hills; None if this one has its own.
    n_networks
        That one evaluation asks.
    """

    folder: Path
    bundle: Path
    model: str
    topology: Path
    start: Structure
    reference: Structure
    plumed: str | None
    component: Pooling
    temperature: float
    friction: float
    time_step: float
    n_steps: int
    stride: int
    ceiling: float
    energy_ceiling: float
    temperature_ceiling: float
    seed: int
    hydrogen_mass: float | None = None
    validity: ValiditySettings = field(default_factory=ValiditySettings)
    restraint: float | None = None
    dtype: str = "float32"
    device: str = "cpu"
    compiled: bool = False
    fused: Fused = "auto"
    checkpoint_interval: float = 10.0
    shared_folder: Path | None = None
    n_networks: int = 1

    def summary(self) -> dict[str, Any]:
        """Return the numbers of the plan, for a reader."""
        names = (
            "component temperature friction time_step n_steps stride ceiling energy_ceiling temperature_ceiling seed "
            "hydrogen_mass restraint dtype device compiled fused"
        )
        return {name: getattr(self, name) for name in names.split()}

    def identity(self) -> dict[str, Any]:
        """Return what a walker, its hills and its checkpoint are of."""
        start = np.concatenate([self.start.positions, self.start.cell])
        return {
            "model": self.model,
            "PLUMED input": without_remarks(self.plumed or "").splitlines(),
            "start": digest(start.tobytes()),
            **self.summary(),
        }

    @property
    def preparation(self) -> LoadNetwork | None:
        """What others that walk with this network need too."""
        return preparation(self.bundle, self.dtype, self.device, self.compiled, self.start)

    def run(self, report: Callable[[int], None] | None = None) -> WalkerEnd:
        """Run the walker in the current process; see `run_walker`."""
        return run_walker(self, report)


def run_walker(plan: WalkerPlan, report: Callable[[int], None] | None = None) -> WalkerEnd:
    """Run a walker in the current process, whose working directory becomes the walker's folder.

    PLUMED writes into the working directory, and OpenMM's Reference platform shares its random state within a
    process: give every walker a process of its own.

    Parameters
    ----------
    plan
        What to run.
    report
        Called with the steps done, after each frame.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(plan.folder)
    os.environ["PLUMED_MAXBACKUP"] = "0"  # what PLUMED writes again when a walker goes on replaces what was there
    walker = _Walker(plan)
    try:
        end = walker.run(report)
    finally:
        walker.close()
    write_end(Path(), end)
    walker.checkpoint.remove()
    return end


class _Walker:
    def __init__(self, plan: WalkerPlan) -> None:
        self.plan = plan
        topology = read_topology(plan.topology)
        bonds = topology_bonds(topology)
        self._guard = MoleculeGuard.from_structure(plan.reference, bonds or None, plan.validity)
        system = bare_system(topology, plan.hydrogen_mass)
        add_restraints(system, topology, self._guard, plan.restraint)
        bundle = Bundle.load(plan.bundle)
        require_same({"model": bundle.short_hash}, {"model": plan.model}, str(plan.bundle))
        dtype = getattr(torch, plan.dtype)
        self._network: NetworkForce = add_potential(system, topology, bundle, dtype, plan.device, plan.compiled)
        self._network.cv.need_uncertainty()  # frames are recorded with it: one network serves them and the steps
        self._bias = self._add_bias(system, topology, bundle)
        self._masses = np.array([system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(len(plan.start))])
        self._context = self._start(system)
        identity = plan.identity()
        write_json(Path(PLAN_FILE), identity)
        self.checkpoint = Checkpoint(
            CHECKPOINT_FILE, self._context, self._network, self._bias, (FRAMES_FILE, TRAJECTORY_FILE), identity
        )
        before = self.checkpoint.start()
        self._steps: int = before["steps"] if before else -1
        self._seconds: float = before["seconds"] if before else 0.0
        self._frames = FrameFiles(topology, plan.time_step, plan.stride, append=before is not None)

    def _start(self, system: openmm.System) -> openmm.Context:
        plan = self.plan
        try:
            with own_errors(self._network, self._bias):
                return langevin_context(system, plan.start, plan.temperature, plan.friction, plan.time_step, plan.seed)
        except BaseException:
            if self._bias is not None:
                self._bias.close()
            raise

    def _add_bias(self, system: openmm.System, topology: app.Topology, bundle: Bundle) -> PlumedForce | None:
        plan = self.plan
        if plan.plumed is None:
            return None
        write_text(Path("plumed.dat"), plan.plumed)
        export(
            bundle,
            Path("cv"),
            plan.start.numbers.tolist(),
            plan.start.pbc.tolist(),
            [plan.component],
            plan.dtype,
            plan.device,
            plan.compiled,
        )
        bias = add_plumed(
            system, topology, plan.plumed, plan.temperature, plan.time_step, Path("cv"), Path("plumed.log"),
            network=self._network, fused=plan.fused,
        )  # fmt: skip
        bias.bridge.judge = self._judge
        return bias

    def _judge(self, positions: Array, box: Array) -> str | None:
        """Say what is wrong with a structure (nm) that a hill would be deposited at."""
        cell = box * NM_TO_ANGSTROM if self.plan.start.is_periodic else None
        return self._guard.problem(positions * NM_TO_ANGSTROM, cell)

    def run(self, report: Callable[[int], None] | None) -> WalkerEnd:
        begin, saved, plan = time.perf_counter(), time.perf_counter(), self.plan
        spent, problem = self._seconds, None
        if self._steps < 0:
            self._steps, problem = 0, self._look(0)
        while problem is None and self._steps < plan.n_steps:
            problem = self._advance()
            self._steps += plan.stride
            problem = problem or self._look(self._steps)
            self._seconds = spent + time.perf_counter() - begin
            if problem is None and time.perf_counter() - saved >= plan.checkpoint_interval:
                self._save()
                saved = time.perf_counter()
            if report is not None:
                report(self._steps)
        if problem is not None and self._bias is not None:
            self._bias.bridge.discard()  # a frame that is not valid never deposits a hill
        evaluations = self._steps * plan.n_networks
        return WalkerEnd(problem or "finished", problem is None, self._steps, self._seconds, evaluations)

    def _save(self) -> None:
        self._frames.flush()
        self.checkpoint.save(steps=self._steps, seconds=self._seconds)

    def _advance(self) -> str | None:
        """Take the steps to the next frame; say what broke, if what broke is the simulation."""
        try:
            with own_errors(self._network, self._bias):
                self._context.getIntegrator().step(self.plan.stride)
        except BrokenStructureError as error:
            return str(error)
        except (InputError, openmm.OpenMMException) as error:
            if isinstance(error, openmm.OpenMMException) and "NaN" not in str(error):
                raise UqcvError(str(error)) from error
            return f"blown up: {error}"
        return None

    def _look(self, steps: int) -> str | None:
        """Record the frame, unless something is wrong with it: then say what."""
        plan = self.plan
        state = self._context.getState(positions=True, velocities=True)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer) * NM_TO_ANGSTROM
        if not np.isfinite(positions).all():
            return "blown up: positions are not finite"
        box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer) * NM_TO_ANGSTROM
        cell = box if plan.start.is_periodic else None
        evaluation = self._network.cv.evaluate(positions, cell)
        uncertainty, energy = evaluation.value(plan.component), evaluation.energy
        temperature = self._temperature(state)
        problem = self._guard.problem(positions, cell) or self._runaway(uncertainty, energy, temperature)
        if problem is None:
            row = (uncertainty, energy, temperature, self._bias_energy())
            self._frames.write(steps, positions, cell, row)
        return problem

    def _bias_energy(self) -> float:
        """Return the bias (eV) at the positions of the frame."""
        if self._bias is None:
            return 0.0
        self._context.getState(energy=True)
        return self._bias.bias * KJMOL_TO_EV

    def _runaway(self, uncertainty: float, energy: float, temperature: float) -> str | None:
        plan = self.plan
        for name, value, limit, unit_name in (
            ("uncertainty", uncertainty, plan.ceiling, ""),
            ("energy", energy, plan.energy_ceiling, " eV"),
            ("temperature", temperature, plan.temperature_ceiling, " K"),
        ):
            if not value <= limit:
                return f"{name} passed its ceiling: {value:.4g}{unit_name} above {limit:.4g}{unit_name}"
        return None

    def _temperature(self, state: openmm.State) -> float:
        velocities = state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)
        kinetic = 0.5 * float((self._masses[:, None] * velocities**2).sum()) * AMU_NM2_PS2_TO_EV
        return 2 * kinetic / (3 * len(self._masses) * BOLTZMANN)

    def close(self) -> None:
        if self._bias is not None:
            self._bias.close()
        self._frames.close()
        for folder in filter(None, (Path(), self.plan.shared_folder)):
            sync_files(folder)  # before end.json says that they are whole, those of PLUMED too
