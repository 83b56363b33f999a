import numpy as np
import openmm
import pytest

from uqcv.errors import InputError
from uqcv.simulation.forces import bare_system
from uqcv.simulation.topology import (
    read_topology,
    reduced_cell,
    structure_topology,
    topology_bonds,
    topology_numbers,
)
from uqcv.structures import Structure


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


def test_a_structure_as_topology(molecule, crystal):
    topology = structure_topology(molecule)
    assert topology_numbers(topology) == molecule.numbers.tolist() and not topology_bonds(topology)
    assert topology.getPeriodicBoxVectors() is None
    box = structure_topology(crystal).getPeriodicBoxVectors()._value
    np.testing.assert_allclose(np.array(box), 0.1 * crystal.cell)


def distances(structure: Structure) -> np.ndarray:
    """Sorted distances of all atoms and their images in 5 x 5 x 5 cells."""
    images = np.stack(np.meshgrid(*3 * [np.arange(-2, 3)], indexing="ij"), axis=-1).reshape(-1, 3) @ structure.cell
    all_atoms = (structure.positions[:, None] + images).reshape(-1, 3)
    return np.sort(np.linalg.norm(all_atoms[:, None] - structure.positions, axis=2).ravel())


@pytest.mark.parametrize("change", [np.eye(3), [[1, 0, 0], [1, 1, 0], [0, 0, -1]], [[0, 1, 0], [0, 0, 1], [1, 1, 0]]])
def test_any_cell_in_the_form_of_openmm(crystal, rotation, change):
    turned = Structure(crystal.numbers, crystal.positions @ rotation, change @ crystal.cell @ rotation, crystal.pbc)
    reduced = reduced_cell(turned)
    assert np.linalg.det(reduced.cell) == pytest.approx(abs(np.linalg.det(crystal.cell)))
    near = distances(crystal) < 4.5
    np.testing.assert_allclose(distances(reduced)[: near.sum()], distances(crystal)[near], atol=1e-9)
    system = bare_system(structure_topology(reduced))  # openmm refuses what is not reduced
    openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
