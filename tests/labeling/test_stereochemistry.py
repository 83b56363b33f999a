import numpy as np
import pytest

from uqcv.labeling.stereochemistry import Stereochemistry, amide_torsions, chiral_centers
from uqcv.simulation.torsions import bond_pairs, torsion_angle, turn


@pytest.fixture(scope="module")
def stereochemistry(alanine):
    return Stereochemistry(alanine.topology, alanine.structure.positions)


def test_the_only_center_is_the_alpha_carbon_and_both_amides_are_trans(alanine):
    names = [atom.name for atom in alanine.topology.atoms()]
    assert [names[c[0]] for c in chiral_centers(alanine.topology)] == ["CA"]
    amides = amide_torsions(alanine.topology)
    assert len(amides) == 2
    assert all(abs(torsion_angle(alanine.structure.positions, t)) > 150 for t in amides)


def test_the_bundled_molecule_is_l(alanine):
    atom = {a.name: a.index for a in alanine.topology.atoms() if a.residue.name == "ALA"}
    p = alanine.structure.positions
    # the CORN rule: seen from HA, the groups CO, R and N follow clockwise
    co, r, n = (p[atom[name]] - p[atom["CA"]] for name in ("C", "CB", "N"))
    towards_viewer = p[atom["HA"]] - p[atom["CA"]]
    assert np.cross(co, r) @ towards_viewer < 0 and np.cross(r, n) @ towards_viewer < 0


def test_a_shaken_frame_is_the_same_molecule(stereochemistry, alanine):
    noise = np.random.default_rng(0).normal(scale=0.03, size=(22, 3))
    assert stereochemistry.is_kept(alanine.structure.positions + noise)


def test_the_mirror_image_is_another(stereochemistry, alanine):
    assert not stereochemistry.is_kept(alanine.structure.positions * [1, 1, -1])


def test_a_broken_bond_is_another(stereochemistry, alanine):
    torn = alanine.structure.positions.copy()
    torn[-1, 2] -= 1.0
    assert not stereochemistry.is_kept(torn)


def test_a_cis_amide_is_another(stereochemistry, alanine):
    bonds = bond_pairs(alanine.topology)
    for amide in amide_torsions(alanine.topology):
        assert not stereochemistry.is_kept(turn(alanine.structure.positions, bonds, amide, 0.0))
