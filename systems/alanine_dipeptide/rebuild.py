"""Build topology.pdb: ACE-ALA-NME, L, minimised in C7eq with Amber ff14SB in vacuum.

Heavy atoms are placed from bond lengths, angles and torsions, hydrogens by OpenMM. Run it in any folder:
``python systems/alanine_dipeptide/rebuild.py`` writes topology.pdb beside this file.
"""

from __future__ import annotations

import random
from io import StringIO
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from uqcv.simulation.torsions import backbone_torsions, torsion_angle

PHI, PSI, OMEGA = -80.0, 75.0, 180.0  # degrees, C7eq; the minimum of ff14SB is at -75, 54

# atom: (residue, name, element), then the three atoms it is placed from, and its bond (Å), angle and torsion
# (degrees) to them. The lengths and angles need only be near: the minimisation has the last word.
HEAVY_ATOMS = [
    ("ACE", "CH3", "C", (), ()),
    ("ACE", "C", "C", (), ()),
    ("ACE", "O", "O", (), ()),
    ("ALA", "N", "N", (2, 0, 1), (1.34, 116.0, 180.0)),
    ("ALA", "CA", "C", (0, 1, 3), (1.45, 122.0, OMEGA)),
    ("ALA", "CB", "C", (1, 3, 4), (1.53, 110.0, PHI - 120.0)),  # + 120 would be the D form
    ("ALA", "C", "C", (1, 3, 4), (1.52, 111.0, PHI)),
    ("ALA", "O", "O", (3, 4, 6), (1.23, 120.0, PSI + 180.0)),
    ("NME", "N", "N", (3, 4, 6), (1.34, 116.0, PSI)),
    ("NME", "C", "C", (4, 6, 8), (1.45, 122.0, OMEGA)),
]
FIRST_THREE = np.array([[0.0, 0.0, 0.0], [1.52, 0.0, 0.0], [2.14, 1.06, 0.0]])  # Å


def place(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    length: float,
    angle: float,
    torsion: float,
) -> NDArray[np.float64]:
    """Return d such that |cd|, the angle b-c-d and the torsion a-b-c-d are as given (Å, degrees)."""
    theta, tau = np.radians([angle, torsion])
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    inward = np.cross(normal, along)
    return c + length * (-np.cos(theta) * along + np.sin(theta) * (np.cos(tau) * inward + np.sin(tau) * normal))


def heavy_positions() -> NDArray[np.float64]:
    """Return the heavy atoms of HEAVY_ATOMS in Å, shape (10, 3)."""
    positions = list(FIRST_THREE)
    for *_, origin, internal in HEAVY_ATOMS[3:]:
        positions.append(place(*(positions[k] for k in origin), *internal))
    return np.array(positions)


def heavy_topology() -> app.Topology:
    """Return the topology of HEAVY_ATOMS, bonds included."""
    topology = app.Topology()
    chain = topology.addChain("A")
    residues = {name: topology.addResidue(name, chain) for name in ("ACE", "ALA", "NME")}
    for residue, name, element, *_ in HEAVY_ATOMS:
        topology.addAtom(name, app.Element.getBySymbol(element), residues[residue])
    topology.createStandardBonds()
    return topology


def minimised(topology: app.Topology, positions: unit.Quantity) -> tuple[app.Topology, NDArray[np.float64]]:
    """Return the topology with hydrogens and its minimised positions in Å."""
    random.seed(0)  # Modeller starts its hydrogens from random directions
    reference = openmm.Platform.getPlatformByName("Reference")
    force_field = app.ForceField("amber14-all.xml")
    modeller = app.Modeller(topology, positions)
    modeller.addHydrogens(force_field, platform=reference)
    system = force_field.createSystem(modeller.topology, nonbondedMethod=app.NoCutoff)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(modeller.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 0.01)
    final = context.getState(positions=True).getPositions(asNumpy=True)
    return modeller.topology, final.value_in_unit(unit.angstrom)


def check(topology: app.Topology, positions: NDArray[np.float64]) -> None:
    """Refuse another molecule, the D form, or another minimum than C7eq."""
    ala = {atom.name: atom.index for atom in topology.atoms() if atom.residue.name == "ALA"}
    n, c, cb = (positions[ala[name]] - positions[ala["CA"]] for name in ("N", "C", "CB"))
    torsions = backbone_torsions(topology)
    phi, psi = (torsion_angle(positions, torsions[name]) for name in ("phi", "psi"))
    print(f"{topology.getNumAtoms()} atoms, {topology.getNumBonds()} bonds, phi {phi:.1f}, psi {psi:.1f}")
    if topology.getNumAtoms() != 22 or topology.getNumBonds() != 21:
        raise SystemExit("22 atoms and 21 bonds are expected")
    if n @ np.cross(c, cb) <= 0:
        raise SystemExit("the D form was built; L is expected")
    if abs(phi - PHI) > 30 or abs(psi - PSI) > 30:
        raise SystemExit(f"phi near {PHI:.0f} and psi near {PSI:.0f} degrees are expected")


def main() -> None:
    """Write topology.pdb beside this file."""
    topology, positions = minimised(heavy_topology(), heavy_positions() * unit.angstrom)
    check(topology, positions)
    text = StringIO()
    app.PDBFile.writeFile(topology, positions * unit.angstrom, text)
    dateless = text.getvalue().partition("\n")[2]  # the first line is a remark with today's date
    Path(__file__).with_name("topology.pdb").write_text(dateless, encoding="utf-8")


if __name__ == "__main__":
    main()
