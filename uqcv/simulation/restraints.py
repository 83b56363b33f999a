"""Flat-bottom restraints of bonds and angles: a molecule is pulled back before it breaks.

A potential that has seen little lets bonds and angles collapse where it has no data, and a bias towards the unknown
goes just there. Where molecules move at usual temperatures nothing acts; beyond, distances are pulled back.
"""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app

from uqcv.simulation.molecular_graph import ANGLE, BOND
from uqcv.simulation.topology import topology_bonds
from uqcv.simulation.validity import MoleculeGuard
from uqcv.units import ANGSTROM_TO_NM, EV_TO_KJMOL

FORCE_CONSTANT = 50.0  # eV/Å^2, about that of a bond
ENERGY = "{k!r} / 2 * (max(0, lower - r)^2 + max(0, r - upper)^2)"  # no global parameter: others may have its name


def restrained_distances(guard: MoleculeGuard, share: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return pairs of atoms and the distances between which they move freely.

    Parameters
    ----------
    guard
        Of the molecule: bonds, and pairs of atoms bonded to the same one, are restrained.
    share
        How far a distance may go from its reference towards the limit at which the molecule counts as broken, 0 to 1.

    Returns
    -------
    Pairs of shape (p, 2) and their smallest and largest distances, Å, shape (p, 2). Angles have no limit above, so
    there the one below is mirrored.
    """
    chosen = np.isin(guard.kinds, (BOND, ANGLE))
    reference, lower, upper = guard.reference[chosen], guard.lower[chosen], guard.upper[chosen]
    upper = np.where(np.isfinite(upper), upper, 2 * reference - lower)
    ends = np.stack([reference + share * (limit - reference) for limit in (lower, upper)], axis=1)
    return guard.pairs[chosen], ends


def add_restraints(system: openmm.System, topology: app.Topology, guard: MoleculeGuard, share: float | None) -> None:
    """Add the restraints to a `System`; see `restrained_distances` for where they begin.

    Parameters
    ----------
    system
        Gets one force, harmonic beyond the limits.
    topology
        Of the atoms. Without bonds in it there is no force: those that are guessed from distances, as in a metal, may
        be meant to change.
    guard, share
        As for `restrained_distances`; None: there is no force either.
    """
    if share is None or not topology_bonds(topology):
        return
    force = openmm.CustomBondForce(ENERGY.format(k=FORCE_CONSTANT * EV_TO_KJMOL / ANGSTROM_TO_NM**2))
    for name in ("lower", "upper"):
        force.addPerBondParameter(name)
    for (first, second), ends in zip(*restrained_distances(guard, share), strict=True):
        force.addBond(int(first), int(second), (ends * ANGSTROM_TO_NM).tolist())
    force.setUsesPeriodicBoundaryConditions(bool(guard.pbc.any()))
    system.addForce(force)
