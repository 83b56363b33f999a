import mdtraj
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openmm import app

from uqcv.errors import InputError
from uqcv.simulation.torsions import backbone_torsions, bond_pairs, heavy_torsions, rotatable_bonds, torsion_angle, turn

ANGLES = st.floats(-179.0, 179.0)


def test_atoms_are_those_that_mdtraj_names(force_field, topology_path):
    frame = mdtraj.load(str(topology_path))
    torsions = backbone_torsions(force_field.topology)
    assert torsions == {"phi": (4, 6, 8, 14), "psi": (6, 8, 14, 16)}
    for name, compute in (("phi", mdtraj.compute_phi), ("psi", mdtraj.compute_psi)):
        atoms, angles = compute(frame)
        assert torsions[name] == tuple(atoms[0])
        angle = torsion_angle(force_field.structure.positions, torsions[name])
        assert angle == pytest.approx(np.degrees(angles[0, 0]), abs=0.01)


def test_both_readers_find_the_same_molecule(force_field, topology_path):
    frame = mdtraj.load(str(topology_path))
    assert (frame.n_atoms, frame.topology.n_bonds) == (22, 21)
    assert (force_field.topology.getNumAtoms(), force_field.topology.getNumBonds()) == (22, 21)


@pytest.mark.parametrize("name", ["phi", "psi"])
@given(angle=ANGLES)
def test_turning_reaches_the_angle_and_keeps_the_bonds(force_field, name, angle):
    torsions, bonds = backbone_torsions(force_field.topology), bond_pairs(force_field.topology)
    before = force_field.structure.positions
    after = turn(before, bonds, torsions[name], angle)
    assert torsion_angle(after, torsions[name]) == pytest.approx(angle, abs=1e-6)
    first, second = np.array(bonds).T
    lengths = [np.linalg.norm(p[first] - p[second], axis=1) for p in (before, after)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)


def test_a_ring_cannot_be_turned():
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    with pytest.raises(InputError, match="ring"):
        turn(np.random.default_rng(0).normal(size=(4, 3)), ring, (0, 1, 2, 3), 10.0)


def test_a_topology_without_backbone_is_refused(force_field):
    with pytest.raises(InputError, match="the topology has: none"):
        backbone_torsions(app.Topology())
    with pytest.raises(InputError, match=r"1 \(ALA\)"):
        backbone_torsions(force_field.topology, residue=2)


def test_bonds_that_turn(force_field):
    """Phi, psi and the three methyl groups; no amide, no bond to a single atom, and the smaller side turns."""
    names = [atom.name + str(atom.residue.index) for atom in force_field.topology.atoms()]
    found = {frozenset((names[b.fixed], names[b.moving])): b for b in rotatable_bonds(force_field.topology)}
    expected = [("N1", "CA1"), ("CA1", "C1"), ("CA1", "CB1"), ("CH30", "C0"), ("N2", "C2")]
    assert set(found) == {frozenset(pair) for pair in expected}
    for bond in found.values():
        assert bond.moved[bond.moving] and not bond.moved[bond.fixed]
        assert bond.moved.sum() <= 11


def test_rings_do_not_turn():
    """Cyclobutane with a chain: the bonds of the ring stay, the one to the chain turns."""
    topology = app.Topology()
    residue = topology.addResidue("CYC", topology.addChain())
    carbon = app.Element.getBySymbol("C")
    atoms = [topology.addAtom(f"C{k}", carbon, residue) for k in range(7)]
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (4, 5), (5, 6)):
        topology.addBond(atoms[a], atoms[b])
    assert {frozenset((b.fixed, b.moving)) for b in rotatable_bonds(topology)} == {frozenset((0, 4)), frozenset((4, 5))}


def test_torsions_of_heavy_atoms(force_field):
    """Phi, psi and both amides, all along the main chain; methyl groups have none."""
    torsions = heavy_torsions(force_field.topology)
    phi_and_psi = backbone_torsions(force_field.topology).values()
    assert len(torsions) == 4 and [t.atoms for t in torsions if not t.is_amide] == list(phi_and_psi)
    assert [t.is_amide for t in torsions] == [True, False, False, True]
    amides = [abs(torsion_angle(force_field.structure.positions, t.atoms)) for t in torsions if t.is_amide]
    assert all(a > 170 or a < 10 for a in amides)
