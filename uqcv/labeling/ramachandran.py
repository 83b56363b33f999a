"""A test set that covers the Ramachandran map evenly, wherever a simulation would go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from uqcv import units
from uqcv.errors import InputError
from uqcv.labeling.openmm_forcefield import OpenMMForceField, langevin, reference_context
from uqcv.labeling.stereochemistry import Stereochemistry
from uqcv.simulation.torsions import Torsion, bond_pairs, torsion_angle, turn
from uqcv.structures import Structure

STIFFNESS = 20.0  # eV/rad^2: at 300 K the torsions stay within 2 degrees (one deviation) of the grid point
TOLERANCE = 0.01  # eV/Å, where a minimisation ends
TIME_STEP = 0.5  # fs
FRICTION = 0.02  # 1/fs, so that a shake of 200 fs forgets the minimum it started from


def uniform_ramachandran(
    force_field: OpenMMForceField,
    torsions: Mapping[str, Torsion],
    grid: int = 24,
    temperature: float = 300.0,
    shake: float = 200.0,
    max_energy: float = 3.0,
    seed: int = 0,
) -> list[Structure]:
    """Return one labelled, thermally shaken structure for each bin of (phi, psi) that is physical.

    At each grid point the reference structure is turned about the two bonds, minimised with the torsions held
    by harmonic restraints, and shaken by held Langevin dynamics. The label is without the restraints. A point
    is left out if its energy is too high, minimised or shaken, or the molecule became another one.

    Parameters
    ----------
    force_field
        The reference method; its PDB file is the reference structure.
    torsions
        The two torsions, phi first, as `backbone_torsions` gives them.
    grid
        Number of bins along each torsion; the points are the centers of the bins.
    temperature
        In K.
    shake
        Length of the held dynamics in fs; 0 gives the minimised structures.
    max_energy
        Largest energy above the minimum of the map, in eV.
    seed
        The same seed gives the same structures.

    Returns
    -------
    list of Structure
        With the torsions as they are (degrees) in `info`, under their names.

    Raises
    ------
    InputError
        If there are not two torsions or the grid is empty.
    """
    if len(torsions) != 2 or grid < 1:
        raise InputError(f"{len(torsions)} torsions on a grid of {grid}; two on a grid of 1 or more are expected")
    held = _HeldDynamics(force_field, torsions, temperature, seed)
    stereochemistry = Stereochemistry(force_field.topology, force_field.structure.positions)
    centers = -180.0 + 360.0 / grid * (np.arange(grid) + 0.5)
    relaxed = [held.relax((phi, psi)) for phi in centers for psi in centers]
    minimum = held.minimum(min(relaxed, key=_energy))
    kept = []
    for start in relaxed:
        end = held.shake(start, shake)
        if all(_is_physical(s, minimum + max_energy, stereochemistry) for s in (start, end)):
            kept.append(end.with_info(**held.angles(end.positions)))
    return kept


def _is_physical(structure: Structure, ceiling: float, stereochemistry: Stereochemistry) -> bool:
    return _energy(structure) <= ceiling and stereochemistry.is_kept(structure.positions)


def _energy(structure: Structure) -> float:
    assert structure.energy is not None  # every structure here is labelled
    return structure.energy


class _HeldDynamics:
    """The molecule with its torsions held, in one context: to make one takes longer than a grid point."""

    def __init__(
        self, force_field: OpenMMForceField, torsions: Mapping[str, Torsion], temperature: float, seed: int
    ) -> None:
        self._force_field = force_field
        self._torsions = torsions
        self._temperature = temperature
        self._seeds = np.random.default_rng(seed)
        self._bonds = bond_pairs(force_field.topology)
        system = force_field.create_system()
        for name, torsion in torsions.items():
            system.addForce(_restraint(name, torsion))
        self._context = reference_context(system, langevin(temperature, FRICTION, TIME_STEP, seed))

    def relax(self, targets: tuple[float, float]) -> Structure:
        """Return the labelled structure with its torsions (degrees) at `targets`, all else minimised."""
        positions = self._force_field.structure.positions
        for torsion, target in zip(self._torsions.values(), targets, strict=True):
            positions = turn(positions, self._bonds, torsion, target)
        return self._minimise(positions, targets).with_info(targets=targets)

    def minimum(self, near: Structure) -> float:
        """Return the energy in eV of the free minimum near a structure."""
        self._context.setParameter("stiffness", 0.0)
        energy = _energy(self._minimise(near.positions, near.info["targets"]))
        self._context.setParameter("stiffness", STIFFNESS * units.EV_TO_KJMOL)
        return energy

    def shake(self, start: Structure, length: float) -> Structure:
        """Return the labelled end of `length` fs of held dynamics from a relaxed structure."""
        self._place(start.positions, start.info["targets"])
        self._context.setVelocitiesToTemperature(self._temperature, int(self._seeds.integers(1, 2**31 - 1)))
        self._context.getIntegrator().step(round(length / TIME_STEP))
        return self._label()

    def angles(self, positions: NDArray[np.float64]) -> dict[str, float]:
        """Return the torsions in degrees, by name."""
        return {name: torsion_angle(positions, torsion) for name, torsion in self._torsions.items()}

    def _minimise(self, positions: NDArray[np.float64], targets: tuple[float, float]) -> Structure:
        self._place(positions, targets)
        openmm.LocalEnergyMinimizer.minimize(self._context, TOLERANCE * units.EV_PER_ANGSTROM_TO_KJMOL_PER_NM)
        return self._label()

    def _place(self, positions: NDArray[np.float64], targets: tuple[float, float]) -> None:
        self._context.setPositions(positions * units.ANGSTROM_TO_NM)
        for name, target in zip(self._torsions, targets, strict=True):
            self._context.setParameter(f"{name}_target", np.radians(target))

    def _label(self) -> Structure:
        positions = self._context.getState(positions=True).getPositions(asNumpy=True)
        structure = self._force_field.structure.with_positions(positions.value_in_unit(unit.angstrom))
        return self._force_field.label(structure)


def _restraint(name: str, torsion: Torsion) -> openmm.CustomTorsionForce:
    """Return a harmonic restraint of a torsion to the context's parameter `<name>_target` (radians)."""
    force = openmm.CustomTorsionForce(f"0.5 * stiffness * min(d, {2 * np.pi} - d)^2; d = abs(theta - {name}_target)")
    force.addGlobalParameter("stiffness", STIFFNESS * units.EV_TO_KJMOL)
    force.addGlobalParameter(f"{name}_target", 0.0)
    force.addTorsion(*torsion, [])
    return force
