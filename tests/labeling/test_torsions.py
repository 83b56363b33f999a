import mdtraj
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openmm import app

from uqcv.errors import InputError
from uqcv.labeling.torsions import backbone_torsions, bond_pairs, torsion_angle, turn

ANGLES = st.floats(-179.0, 179.0)


def test_atoms_are_those_that_mdtraj_names(alanine, topology_path):
    frame = mdtraj.load(str(topology_path))
    torsions = backbone_torsions(alanine.topology)
    assert torsions == {"phi": (4, 6, 8, 14), "psi": (6, 8, 14, 16)}
    for name, compute in (("phi", mdtraj.compute_phi), ("psi", mdtraj.compute_psi)):
        atoms, angles = compute(frame)
        assert torsions[name] == tuple(atoms[0])
        angle = torsion_angle(alanine.structure.positions, torsions[name])
        assert angle == pytest.approx(np.degrees(angles[0, 0]), abs=0.01)


def test_both_readers_find_the_same_molecule(alanine, topology_path):
    frame = mdtraj.load(str(topology_path))
    assert (frame.n_atoms, frame.topology.n_bonds) == (22, 21)
    assert (alanine.topology.getNumAtoms(), alanine.topology.getNumBonds()) == (22, 21)


@pytest.mark.parametrize("name", ["phi", "psi"])
@given(angle=ANGLES)
def test_turning_reaches_the_angle_and_keeps_the_bonds(alanine, name, angle):
    torsions, bonds = backbone_torsions(alanine.topology), bond_pairs(alanine.topology)
    before = alanine.structure.positions
    after = turn(before, bonds, torsions[name], angle)
    assert torsion_angle(after, torsions[name]) == pytest.approx(angle, abs=1e-6)
    first, second = np.array(bonds).T
    lengths = [np.linalg.norm(p[first] - p[second], axis=1) for p in (before, after)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)


def test_a_ring_cannot_be_turned():
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    with pytest.raises(InputError, match="ring"):
        turn(np.random.default_rng(0).normal(size=(4, 3)), ring, (0, 1, 2, 3), 10.0)


def test_a_topology_without_backbone_is_refused(alanine):
    with pytest.raises(InputError, match="the topology has: none"):
        backbone_torsions(app.Topology())
    with pytest.raises(InputError, match=r"1 \(ALA\)"):
        backbone_torsions(alanine.topology, residue=2)
