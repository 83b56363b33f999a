"""Langevin dynamics of a `System` from a structure."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from uqcv.structures import Structure
from uqcv.units import ANGSTROM_TO_NM, FS_TO_PS, PS_TO_FS

System: TypeAlias = openmm.System
State: TypeAlias = openmm.State


def langevin_context(
    system: openmm.System, start: Structure, temperature: float, friction: float, time_step: float, seed: int
) -> openmm.Context:
    """Return a context with Maxwell-Boltzmann velocities on the Reference platform.

    With a Python force that platform is faster than CPU. Its random state is shared within a process: contexts that
    are stepped in turn do not repeat themselves.

    Parameters
    ----------
    system
        With all its forces.
    start
        Positions and cell.
    temperature
        K.
    friction
        1/fs.
    time_step
        fs.
    seed
        Of velocities and thermostat.
    """
    integrator = openmm.LangevinMiddleIntegrator(temperature, friction * PS_TO_FS, time_step * FS_TO_PS)
    seed = seed % (2**31 - 2) + 1  # to OpenMM zero means: another seed each time
    integrator.setRandomNumberSeed(seed)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    if start.is_periodic:
        context.setPeriodicBoxVectors(*(start.cell * ANGSTROM_TO_NM))
    context.setPositions(start.positions * ANGSTROM_TO_NM * unit.nanometer)
    context.setVelocitiesToTemperature(temperature, seed)
    return context


def potential_energy(context: openmm.Context) -> float:
    """Return the potential energy at the present positions, kJ/mol."""
    energy = context.getState(energy=True).getPotentialEnergy()
    return float(energy.value_in_unit(unit.kilojoule_per_mole))


def forces_of(context: openmm.Context) -> NDArray[np.float64]:
    """Return the forces at the present positions, kJ/mol/nm, shape (n, 3)."""
    forces = context.getState(forces=True).getForces(asNumpy=True)
    return np.array(forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer))


def velocities_of(context: openmm.Context) -> NDArray[np.float64]:
    """Return the velocities, nm/ps, shape (n, 3)."""
    velocities = context.getState(velocities=True).getVelocities(asNumpy=True)
    return np.array(velocities.value_in_unit(unit.nanometer / unit.picosecond))


def platform_names() -> list[str]:
    """Return the names of OpenMM's platforms here."""
    return [openmm.Platform.getPlatform(k).getName() for k in range(openmm.Platform.getNumPlatforms())]
