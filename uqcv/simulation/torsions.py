"""Torsion angles: where they are in a topology, what they measure, how to turn them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openmm import app
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from uqcv.errors import InputError

Torsion = tuple[int, int, int, int]


def backbone_torsions(topology: app.Topology, residue: int | None = None) -> dict[str, Torsion]:
    """Return the atoms of phi (C-N-CA-C) and psi (N-CA-C-N), by the atom names of the PDB.

    Parameters
    ----------
    topology
        An `openmm.app.Topology`.
    residue
        Index of the residue, from 0; by default the only one that has both torsions.

    Raises
    ------
    InputError
        If no residue, or without `residue` more than one, has both torsions.
    """
    residues = list(topology.residues())
    names = [{atom.name: atom.index for atom in r.atoms()} for r in residues]
    found = {k: t for k in range(1, len(names) - 1) if (t := _phi_psi(*names[k - 1 : k + 2]))}
    chosen = list(found) if residue is None else [residue]
    if len(chosen) != 1 or chosen[0] not in found:
        having = ", ".join(f"{k} ({residues[k].name})" for k in found) or "none"
        raise InputError(f"one residue with phi and psi is expected; the topology has: {having}")
    return found[chosen[0]]


def _phi_psi(before: dict[str, int], own: dict[str, int], after: dict[str, int]) -> dict[str, Torsion] | None:
    try:
        n, ca, c = own["N"], own["CA"], own["C"]
        return {"phi": (before["C"], n, ca, c), "psi": (n, ca, c, after["N"])}
    except KeyError:
        return None


def torsion_angle(positions: NDArray[np.float64], torsion: Torsion) -> float:
    """Return the torsion in degrees, from -180 to 180, by the IUPAC sign.

    Parameters
    ----------
    positions
        In any unit of length, shape (n, 3).
    torsion
        Indices of the four atoms.
    """
    b1, b2, b3 = np.diff(positions[list(torsion)], axis=0)
    normal = np.cross(b2, b3)
    sine = np.linalg.norm(b2) * (b1 @ normal)
    return float(np.degrees(np.arctan2(sine, np.cross(b1, b2) @ normal)))


def turn(
    positions: NDArray[np.float64], bonds: Iterable[tuple[int, int]], torsion: Torsion, angle: float
) -> NDArray[np.float64]:
    """Return positions whose torsion is `angle` (degrees): one side of the middle bond turned rigidly.

    Parameters
    ----------
    positions
        Shape (n, 3).
    bonds
        All bonds, as pairs of indices.
    torsion
        Indices of the four atoms; the side of the third and fourth turns.
    angle
        The wanted torsion in degrees.

    Raises
    ------
    InputError
        If the middle bond is in a ring.
    """
    moved = _side_of_bond(len(positions), bonds, torsion[1], torsion[2])
    origin, axis = positions[torsion[2]], positions[torsion[2]] - positions[torsion[1]]
    turned = np.radians(angle - torsion_angle(positions, torsion))
    rotation = Rotation.from_rotvec(turned * axis / np.linalg.norm(axis))
    result = positions.copy()
    result[moved] = origin + rotation.apply(positions[moved] - origin)
    return result


@dataclass(frozen=True, eq=False)
class RotatableBond:
    """A bond about which one side of a molecule can be turned.

    Attributes
    ----------
    fixed, moving
        Its atoms; what hangs on the second one turns.
    moved
        Which atoms turn, shape (n,).
    """

    fixed: int
    moving: int
    moved: NDArray[np.bool_]


def rotatable_bonds(topology: app.Topology) -> list[RotatableBond]:
    """Return the bonds that turn at usual temperatures: in no ring, between atoms with other neighbours, no amides.

    An amide is a C-N bond whose carbon has a terminal oxygen. The smaller side is the one that turns.
    """
    elements = [atom.element.symbol for atom in topology.atoms()]
    bonds = bond_pairs(topology)
    neighbours = _neighbours(len(elements), bonds)
    found = []
    for a, b in bonds:
        if min(len(neighbours[a]), len(neighbours[b])) < 2 or _is_amide(a, b, elements, neighbours):
            continue
        try:
            moved = _side_of_bond(len(elements), bonds, a, b)
        except InputError:
            continue  # in a ring
        found.append(RotatableBond(b, a, ~moved) if 2 * moved.sum() > len(moved) else RotatableBond(a, b, moved))
    return found


@dataclass(frozen=True)
class HeavyTorsion:
    """A torsion of four heavy atoms.

    Attributes
    ----------
    atoms
        Their indices.
    is_amide
        Whether the middle bond is one of an amide, which twists but hardly turns.
    """

    atoms: Torsion
    is_amide: bool


def heavy_torsions(topology: app.Topology) -> list[HeavyTorsion]:
    """Return a torsion for each bond between heavy atoms that both have another heavy neighbour, in rings too.

    Of several neighbours the one counts behind which most heavy atoms lie, as phi and psi follow the main chain: what a
    turn moves. The angles to the others differ from it by a constant and by vibrations.
    """
    elements = [atom.element.symbol for atom in topology.atoms()]
    bonds = bond_pairs(topology)
    neighbours = _neighbours(len(elements), bonds)
    heavy = [{k for k in near if elements[k] != "H"} for near in neighbours]
    middles = [
        (a, b)
        for a, b in sorted((min(bond), max(bond)) for bond in bonds)
        if b in heavy[a] and a in heavy[b] and len(heavy[a]) > 1 and len(heavy[b]) > 1
    ]
    atoms = [(_main_neighbour(a, b, heavy), a, b, _main_neighbour(b, a, heavy)) for a, b in middles]
    return [HeavyTorsion(four, _is_amide(four[1], four[2], elements, neighbours)) for four in atoms]


def _main_neighbour(atom: int, other: int, heavy: list[set[int]]) -> int:
    """Return the neighbour of `atom`, but for `other`, behind which most heavy atoms lie; of equals the first."""
    behind = {k: len(_reached(k, atom, heavy)) for k in sorted(heavy[atom] - {other})}
    return max(behind, key=lambda k: behind[k])


def _reached(start: int, blocked: int, neighbours: list[set[int]]) -> set[int]:
    """Return the atoms that are connected with `start` other than through `blocked`."""
    found, fresh = {start}, {start}
    while fresh:
        fresh = set().union(*(neighbours[k] for k in fresh)) - found - {blocked}
        found |= fresh
    return found


def _neighbours(n_atoms: int, bonds: Iterable[tuple[int, int]]) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(n_atoms)]
    for a, b in bonds:
        found[a].add(b)
        found[b].add(a)
    return found


def _is_amide(a: int, b: int, elements: list[str], neighbours: list[set[int]]) -> bool:
    if {elements[a], elements[b]} != {"C", "N"}:
        return False
    carbon = a if elements[a] == "C" else b
    return any(elements[k] == "O" and len(neighbours[k]) == 1 for k in neighbours[carbon])


def _side_of_bond(n_atoms: int, bonds: Iterable[tuple[int, int]], fixed: int, moving: int) -> NDArray[np.bool_]:
    """Return which atoms hang on `moving` when its bond to `fixed` is cut, shape (n,)."""
    kept = np.array([bond for bond in bonds if set(bond) != {fixed, moving}]).reshape(-1, 2)
    graph = coo_array((np.ones(len(kept)), kept.T), shape=(n_atoms, n_atoms))
    fragment = connected_components(graph, directed=False)[1]
    if fragment[fixed] == fragment[moving]:
        raise InputError(f"the bond of atoms {fixed} and {moving} is in a ring; it cannot be turned")
    return fragment == fragment[moving]


def bond_pairs(topology: app.Topology) -> list[tuple[int, int]]:
    """Return the bonds of `topology` as pairs of atom indices."""
    return [(first.index, second.index) for first, second in topology.bonds()]
