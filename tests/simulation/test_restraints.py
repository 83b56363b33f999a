"""Restraints through OpenMM: nothing acts on thermal molecules, what breaks is pulled back."""

import numpy as np
import openmm
import pytest
from openmm import unit

from uqcv.simulation.forces import bare_system
from uqcv.simulation.molecular_graph import ANGLE, BOND
from uqcv.simulation.restraints import FORCE_CONSTANT, add_restraints, restrained_distances
from uqcv.simulation.topology import structure_topology
from uqcv.simulation.validity import MoleculeGuard
from uqcv.units import KJMOL_PER_NM_TO_EV_PER_ANGSTROM, KJMOL_TO_EV, NM_TO_ANGSTROM

SHARE = 0.5


@pytest.fixture(scope="module")
def guard(force_field) -> MoleculeGuard:
    return MoleculeGuard.from_structure(force_field.structure)


@pytest.fixture(scope="module")
def context(guard, force_field) -> openmm.Context:
    system = bare_system(force_field.topology)
    add_restraints(system, force_field.topology, guard, SHARE)
    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(system, openmm.VerletIntegrator(0.001), platform)


def evaluate(context: openmm.Context, positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å) at positions in Å."""
    context.setPositions(positions / NM_TO_ANGSTROM)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) * KJMOL_TO_EV
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return energy, forces * KJMOL_PER_NM_TO_EV_PER_ANGSTROM


def test_limits_lie_on_the_way_to_those_of_validity(guard, force_field):
    pairs, ends = restrained_distances(guard, SHARE)
    kinds = guard.kinds[np.isin(guard.kinds, (BOND, ANGLE))]
    assert len(pairs) == len(kinds) == 21 + 36  # bonds, and pairs of neighbours of one atom
    first, second = force_field.structure.positions[pairs].transpose(1, 0, 2)
    ratios = ends / np.linalg.norm(first - second, axis=1)[:, None]
    assert np.allclose(ratios[kinds == BOND], [0.85, 1.175])
    assert np.allclose(ratios[kinds == ANGLE], [0.8, 1.2])


def test_nothing_acts_on_a_molecule_at_500_kelvin(context, frames):
    for frame in frames:
        energy, forces = evaluate(context, frame.positions)
        assert energy == 0.0 and not forces.any()


@pytest.fixture(scope="module")
def strained(frames) -> np.ndarray:
    """Positions beyond limits of both kinds, above and below."""
    return frames[0].positions + np.random.default_rng(4).normal(scale=0.3, size=(22, 3))


def test_energy_is_harmonic_beyond_the_limits(context, guard, strained):
    pairs, (lower, upper) = (part.T for part in restrained_distances(guard, SHARE))
    distances = np.linalg.norm(strained[pairs[0]] - strained[pairs[1]], axis=1)
    below, above = np.fmax(0.0, lower - distances), np.fmax(0.0, distances - upper)
    assert (below > 0).any() and (above > 0).any()
    assert evaluate(context, strained)[0] == pytest.approx(0.5 * FORCE_CONSTANT * (below**2 + above**2).sum())


def test_forces_are_derivatives(context, strained):
    forces = evaluate(context, strained)[1]
    step, slopes = 1e-5, np.zeros_like(strained)
    for index in np.ndindex(*strained.shape):
        moved = [strained.copy() for _ in range(2)]
        moved[0][index] += step
        moved[1][index] -= step
        slopes[index] = (evaluate(context, moved[0])[0] - evaluate(context, moved[1])[0]) / (2 * step)
    assert np.allclose(forces, -slopes, atol=1e-5 * np.abs(forces).max())
    assert np.allclose(forces.sum(axis=0), 0.0, atol=1e-9)


def test_bonds_that_nobody_named_are_not_restrained(crystal, guard, force_field):
    """Neighbours in a metal look like bonds, and may part; nor is there a force unless it is asked for."""
    guessed = MoleculeGuard.from_structure(crystal)
    assert len(restrained_distances(guessed, SHARE)[0]) > 0
    for topology, of_what, share in (
        (structure_topology(crystal), guessed, SHARE),
        (force_field.topology, guard, None),
    ):
        system = openmm.System()
        add_restraints(system, topology, of_what, share)
        assert system.getNumForces() == 0
