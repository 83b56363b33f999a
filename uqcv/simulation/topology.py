"""What OpenMM wants to know beside positions: elements, bonds and the box."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from openmm import Vec3, app, unit

from uqcv.errors import InputError
from uqcv.files import read_with
from uqcv.structures import Structure
from uqcv.units import ANGSTROM_TO_NM

Topology: TypeAlias = app.Topology


def read_topology(path: Path) -> Topology:
    """Return the OpenMM topology of a PDB file.

    Raises
    ------
    InputError
        If the file is missing or is not PDB, or two atoms of a residue have the same name: OpenMM takes them for one.
    """
    topology = read_with(path, lambda p: app.PDBFile(str(p)).topology, "PDB")
    model = Path(path).read_text(encoding="utf-8").split("\nENDMDL")[0]
    records = sum(line.startswith(("ATOM  ", "HETATM")) for line in model.splitlines())
    if records != topology.getNumAtoms():
        raise InputError(
            f"{path}: {records} atoms were given but {topology.getNumAtoms()} are told apart; "
            "give the atoms of a residue different names"
        )
    return topology


def topology_numbers(topology: Topology) -> list[int]:
    """Return the atomic numbers of a topology, in its order."""
    return [atom.element.atomic_number for atom in topology.atoms()]


def topology_bonds(topology: Topology) -> list[tuple[int, int]]:
    """Return the bonds of a topology as pairs of indices from 0."""
    return [(bond[0].index, bond[1].index) for bond in topology.bonds()]


def structure_topology(structure: Structure) -> Topology:
    """Return the topology of a structure: its elements, its box if it is periodic, and no bonds."""
    topology = app.Topology()
    residue = topology.addResidue("ALL", topology.addChain())
    for z in structure.numbers:
        element = app.Element.getByAtomicNumber(int(z))
        topology.addAtom(element.symbol, element, residue)
    if structure.is_periodic:
        topology.setPeriodicBoxVectors([Vec3(*row) for row in structure.cell * ANGSTROM_TO_NM] * unit.nanometer)
    return topology


def reduced_cell(structure: Structure) -> Structure:
    """Return a periodic structure, without labels, in the cell that OpenMM wants: rotated, with other images.

    There the vectors a along x, b in the xy plane and c have positive diagonals, and off them at most half of these.
    """
    cell = structure.cell.copy()
    cell[2] *= np.sign(np.linalg.det(cell))  # -c is a vector of the same lattice, and makes it right-handed
    rotated, lower = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(lower))
    cell, positions = (lower.T * signs), structure.positions @ (rotated * signs)
    for row, vector in ((2, 1), (2, 0), (1, 0)):
        cell[row] -= cell[vector] * np.round(cell[row, vector] / cell[vector, vector])
    return Structure(structure.numbers, positions, cell, structure.pbc)
