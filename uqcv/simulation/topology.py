"""What a PDB file says beside positions: elements and bonds."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from openmm import app

from uqcv.errors import InputError
from uqcv.files import read_with

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
