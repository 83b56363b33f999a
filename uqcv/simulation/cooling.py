"""Frames that are cooled before they are labelled: what a bias or heat has strained relaxes, conformers stay.

A walker finds conformers by being hot. Labelled as they are, such frames teach a potential that what is new is
strained, and few structures like them matter at the temperature one cares about. So a frame is brought to rest by
dynamics with strong friction while its torsions are held: its energy then is that of the conformer, which may be too
high to matter. Warmed again, it is a thermal structure of the same conformer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
import torch
from openmm import unit

from uqcv.simulation.contexts import own_errors
from uqcv.simulation.dynamics import langevin_context
from uqcv.simulation.forces import add_potential, bare_system
from uqcv.simulation.load_network import LoadNetwork, preparation
from uqcv.simulation.restraints import add_restraints
from uqcv.simulation.topology import read_topology
from uqcv.simulation.torsions import Torsion, heavy_torsions, torsion_angle
from uqcv.simulation.validity import MoleculeGuard
from uqcv.structures import Structure, write_structures
from uqcv.units import ANGSTROM_TO_NM, NM_TO_ANGSTROM

FRICTION = 0.05  # 1/fs: heat is gone after some 20 fs
AT_REST = "energy_at_rest"  # eV, in the info of a frame
TORSION_CONSTANT = 4000.0  # kJ/mol: a held torsion trembles by 2 degrees at 500 K


@dataclass(frozen=True)
class CoolingPlan:
    """All that decides how frames are cooled.

    Attributes
    ----------
    out
        File for the cooled frames, in the order of those given.
    bundle, topology
        Folder of the model, and PDB file with atoms and bonds.
    frames
        To be cooled in this order, one at least, until enough of them are low enough.
    wanted, ceiling
        How many are enough, and the energy at rest (eV) up to which they are low enough.
    temperature, time, time_step
        K; fs that a frame takes to come to rest, and as long again to be warm; fs.
    seed
        Of velocities and thermostat.
    guard, restraint
        Knows the whole molecule, and how far its bonds and angles may go, see `add_restraints`; None: anywhere.
    hydrogen_mass
        amu, or None for that of the element.
    dtype, device, compiled
        Of the network.
    """

    out: Path
    bundle: Path
    topology: Path
    frames: tuple[Structure, ...]
    wanted: int
    ceiling: float
    temperature: float
    time: float
    time_step: float
    seed: int
    guard: MoleculeGuard
    restraint: float | None = None
    hydrogen_mass: float | None = None
    dtype: str = "float32"
    device: str = "cpu"
    compiled: bool = False

    @property
    def preparation(self) -> LoadNetwork | None:
        """As that of walkers with dynamics that found the frames, so that one process serves all."""
        return preparation(self.bundle, self.dtype, self.device, self.compiled, self.frames[0])

    @property
    def n_steps(self) -> int:
        """Time steps that a frame takes to come to rest."""
        return max(1, round(self.time / self.time_step))


def cool(plan: CoolingPlan, report: Callable[[int], None]) -> None:
    """Cool the frames of a plan, one after the other; a frame that blows up stays as it was.

    As many are written as were looked at; the info of each says its energy at rest, eV. Like walkers, this needs a
    process of its own (see `run_walker`). `report` is called with the number of those that were low enough.
    """
    torch.set_num_threads(1)  # as walkers do, whose compiled network serves here too
    topology = read_topology(plan.topology)
    system = bare_system(topology, plan.hydrogen_mass)
    torsions = [torsion.atoms for torsion in heavy_torsions(topology) if not torsion.is_amide]
    holder = _hold_torsions(system, torsions, plan.frames[0].is_periodic)
    add_restraints(system, topology, plan.guard, plan.restraint)
    network = add_potential(
        system, topology, plan.bundle, getattr(torch, plan.dtype), plan.device, compiled=plan.compiled
    )
    network.cv.need_uncertainty()  # nobody asks for it, but this is what walkers have compiled
    cooled: list[Structure] = []
    found = 0
    with own_errors(network, None):
        context = langevin_context(system, plan.frames[0], plan.temperature, FRICTION, plan.time_step, plan.seed)
        for k, frame in enumerate(plan.frames):
            _hold_at(holder, context, torsions, frame)
            at_rest = _after(context, frame, 0.0, plan.n_steps, plan.seed)
            energy = network.cv.evaluate(at_rest.positions, frame.cell if frame.is_periodic else None).energy
            warm = _after(context, at_rest, plan.temperature, plan.n_steps, plan.seed + k)
            cooled.append(warm.with_info(**{AT_REST: energy}))
            found += energy <= plan.ceiling
            report(found)
            if found == plan.wanted:
                break
    write_structures(plan.out, cooled)


def _after(context: openmm.Context, frame: Structure, temperature: float, n_steps: int, seed: int) -> Structure:
    """Return where dynamics leads a frame to, or the frame itself if that is nowhere."""
    if frame.is_periodic:
        context.setPeriodicBoxVectors(*(frame.cell * ANGSTROM_TO_NM))
    context.setPositions(frame.positions * ANGSTROM_TO_NM)
    context.setVelocitiesToTemperature(temperature, seed % (2**31 - 2) + 1)
    context.getIntegrator().setTemperature(temperature)
    try:
        context.getIntegrator().step(n_steps)
    except openmm.OpenMMException as error:
        if "NaN" not in str(error):
            raise
        return frame
    positions = context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    return frame.with_positions(positions * NM_TO_ANGSTROM) if np.isfinite(positions).all() else frame


def _hold_torsions(system: openmm.System, torsions: Sequence[Torsion], periodic: bool) -> openmm.CustomTorsionForce:
    force = openmm.CustomTorsionForce(f"{TORSION_CONSTANT} * (1 - cos(theta - held))")
    force.addPerTorsionParameter("held")
    for torsion in torsions:
        force.addTorsion(*torsion, [0.0])
    force.setUsesPeriodicBoundaryConditions(periodic)
    system.addForce(force)
    return force


def _hold_at(
    force: openmm.CustomTorsionForce, context: openmm.Context, torsions: Sequence[Torsion], frame: Structure
) -> None:
    for k, torsion in enumerate(torsions):
        force.setTorsionParameters(k, *torsion, [np.radians(torsion_angle(frame.positions, torsion))])
    force.updateParametersInContext(context)
