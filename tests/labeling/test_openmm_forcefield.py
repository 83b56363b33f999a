import numpy as np
import openmm
import pytest
from openmm import app, unit

from uqcv.errors import InputError, LabelingError
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.structures import Structure


def shaken(structure: Structure) -> Structure:
    noise = np.random.default_rng(0).normal(scale=0.05, size=structure.positions.shape)
    return structure.with_positions(structure.positions + noise)


def test_forces_are_the_gradient(alanine, assert_forces_are_the_gradient):
    assert_forces_are_the_gradient(alanine, shaken(alanine.structure))


def test_the_energy_is_that_of_openmm_in_its_own_units(alanine, topology_path):
    pdb = app.PDBFile(str(topology_path))
    system = app.ForceField("amber14-all.xml").createSystem(pdb.topology, nonbondedMethod=app.NoCutoff)
    simulation = app.Simulation(
        pdb.topology, system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    simulation.context.setPositions(pdb.positions)
    expected = simulation.context.getState(energy=True).getPotentialEnergy()
    expected = expected.value_in_unit(unit.kilojoule_per_mole)
    assert alanine.label(alanine.structure).energy == pytest.approx(expected / 96.48533212, rel=1e-9)


def test_the_bundled_molecule_is_at_its_minimum(alanine):
    # 0.1 eV/Å is what the three decimals of a PDB leave
    assert len(alanine.structure) == 22
    assert np.abs(alanine.label(alanine.structure).forces).max() < 0.1


def test_labels_do_not_depend_on_what_was_labelled_before(alanine):
    first = alanine.label(alanine.structure)
    alanine.label(shaken(alanine.structure))
    again = alanine.label(alanine.structure)
    assert first.energy == again.energy and np.array_equal(first.forces, again.forces)


def test_other_atoms_are_refused(alanine):
    s = alanine.structure
    with pytest.raises(LabelingError, match="21 atoms were given; the topology has 22"):
        alanine.label(Structure(s.numbers[:-1], s.positions[:-1]))
    with pytest.raises(LabelingError, match="atom 0 has atomic number 1 but the topology has 6"):
        alanine.label(Structure(s.numbers[::-1], s.positions[::-1]))


def test_a_periodic_structure_is_refused(alanine):
    s = alanine.structure
    with pytest.raises(LabelingError, match="periodic"):
        alanine.label(Structure(s.numbers, s.positions, np.eye(3) * 20, np.ones(3, bool)))


def test_coinciding_atoms_are_a_failure_not_a_label(alanine):
    with pytest.raises(LabelingError, match="not finite"):
        alanine.label(alanine.structure.with_positions(np.zeros((22, 3))))


def test_a_broken_pdb_is_named(tmp_path):
    path = tmp_path / "broken.pdb"
    for text in ("", "this is not a PDB file\n", "MODEL 1\nENDMDL\n"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"broken\.pdb: no atoms"):
            OpenMMForceField(path)
    path.write_text("ATOM      1  CH3 ACE A   1       x.xxx   y.yyy\n")
    with pytest.raises(InputError, match=r"broken\.pdb: cannot be read as PDB"):
        OpenMMForceField(path)


def test_an_unknown_force_field_is_named(topology_path):
    with pytest.raises(InputError, match=r"nothing\.xml"):
        OpenMMForceField(topology_path, ["nothing.xml"])


def test_a_residue_without_template_is_named(tmp_path, topology_path):
    # a methyl hydrogen is missing, so ACE is no longer the ACE of the force field
    lines = topology_path.read_text().splitlines(keepends=True)
    path = tmp_path / "incomplete.pdb"
    path.write_text("".join(line for line in lines if line.split()[1:3] != ["2", "H1"]))
    with pytest.raises(InputError, match=r"incomplete\.pdb: No template found for residue 0 \(ACE\)"):
        OpenMMForceField(path)
