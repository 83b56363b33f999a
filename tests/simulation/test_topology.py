import pytest

from uqcv.errors import InputError
from uqcv.simulation.topology import read_topology, topology_bonds, topology_numbers


def test_elements_and_bonds(root):
    topology = read_topology(root / "systems" / "alanine_dipeptide" / "topology.pdb")
    numbers = topology_numbers(topology)
    assert (len(numbers), len(topology_bonds(topology))) == (22, 21)
    assert sorted(set(numbers)) == [1, 6, 7, 8]


def test_two_atoms_of_one_name_are_refused(root, tmp_path):
    text = (root / "systems" / "alanine_dipeptide" / "topology.pdb").read_text()
    broken = tmp_path / "broken.pdb"
    broken.write_text(text.replace(" HB2 ALA", " HB1 ALA"))
    with pytest.raises(InputError, match=r"22 atoms were given but 21 are told apart; give the atoms of a residue"):
        read_topology(broken)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_topology(tmp_path / "none.pdb")
