"""Whether a frame is still the same molecule: bonds, chirality, cis and trans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from openmm import app

from uqcv.simulation.torsions import Torsion, bond_pairs, torsion_angle

BOND_STRETCH = 0.3  # of the reference length; thermal motion at 300 K reaches about 0.1


class Stereochemistry:
    """What a frame must share with a reference frame.

    Parameters
    ----------
    topology
        An `openmm.app.Topology` with bonds.
    positions
        The reference frame in Å, shape (n, 3).
    """

    def __init__(self, topology: app.Topology, positions: NDArray[np.float64]) -> None:
        self._bonds = np.array(bond_pairs(topology)).reshape(-1, 2)
        self._centers = np.array(chiral_centers(topology), dtype=int).reshape(-1, 4)
        self._amides = amide_torsions(topology)
        self._lengths = self._bond_lengths(positions)
        self._handedness = self._signs(positions)
        self._trans = self._are_trans(positions)

    def is_kept(self, positions: NDArray[np.float64]) -> bool:
        """Return whether no bond broke, no center inverted and no amide changed between cis and trans.

        Parameters
        ----------
        positions
            In Å, shape (n, 3).
        """
        stretch = np.abs(self._bond_lengths(positions) / self._lengths - 1.0)
        return (
            bool((stretch < BOND_STRETCH).all())
            and bool((self._signs(positions) == self._handedness).all())
            and self._are_trans(positions) == self._trans
        )

    def _bond_lengths(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        first, second = positions[self._bonds.T]
        return np.linalg.norm(first - second, axis=1)

    def _signs(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        center, a, b, c = positions[self._centers.T]
        return np.sign(np.einsum("ij,ij->i", np.cross(a - center, b - center), c - center))

    def _are_trans(self, positions: NDArray[np.float64]) -> list[bool]:
        return [abs(torsion_angle(positions, torsion)) > 90.0 for torsion in self._amides]


def chiral_centers(topology: app.Topology) -> list[tuple[int, int, int, int]]:
    """Return each atom with four neighbours, at most one of them hydrogen, and its first three neighbours."""
    atoms = list(topology.atoms())
    return [
        (center, around[0], around[1], around[2])
        for center, around in neighbors(topology).items()
        if len(around) == 4 and sum(atoms[k].element.atomic_number == 1 for k in around) <= 1
    ]


def amide_torsions(topology: app.Topology) -> list[Torsion]:
    """Return the torsion C-C-N-C about each bond of an atom C and an atom N of two residues."""
    around, atoms = neighbors(topology), list(topology.atoms())
    torsions = []
    for bond in topology.bonds():
        c, n = sorted(bond, key=lambda atom: atom.name)
        if (c.name, n.name) == ("C", "N") and c.residue is not n.residue:
            before = [k for k in around[c.index] if atoms[k].element.symbol == "C"]
            after = [k for k in around[n.index] if atoms[k].element.symbol == "C" and k != c.index]
            torsions.append((before[0], c.index, n.index, after[0]))
    return torsions


def neighbors(topology: app.Topology) -> dict[int, list[int]]:
    """Return the sorted indices of the atoms bonded to each atom."""
    around: dict[int, list[int]] = {atom.index: [] for atom in topology.atoms()}
    for first, second in bond_pairs(topology):
        around[first].append(second)
        around[second].append(first)
    return {atom: sorted(bonded) for atom, bonded in around.items()}
