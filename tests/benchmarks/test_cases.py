"""What is timed: crystals of the size asked for, and potentials that are made once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.benchmarks import cases
from uqcv.benchmarks.cases import LATTICE, copper, crystal, molecule, pdb_text, read_start
from uqcv.colvars.bundle import Bundle
from uqcv.errors import InputError
from uqcv.potentials.neighbors import find_pairs
from uqcv.potentials.painn import PaiNNSettings
from uqcv.structures import read_structures, write_structures


@given(n_atoms=st.integers(100, 3000))
@settings(deadline=None, max_examples=25)
def test_crystals_have_the_atoms_asked_for_at_the_distances_of_copper(n_atoms):
    structure = crystal(n_atoms)
    assert len(structure) == n_atoms
    pairs = find_pairs(structure.positions, structure.cell, structure.pbc, 2.6)
    assert len(find_pairs(structure.positions, structure.cell, structure.pbc, 2.5).i) == 0
    assert len(pairs.i) / n_atoms <= 12
    assert np.diag(structure.cell).min() > 10


@pytest.mark.parametrize("n_atoms", [100, 1000, 5000])
def test_crystals_of_the_default_sizes_are_nearly_perfect(n_atoms):
    structure = crystal(n_atoms)
    assert len(find_pairs(structure.positions, structure.cell, structure.pbc, 2.6).i) / n_atoms > 11
    assert n_atoms / (4 * np.prod(np.diag(structure.cell) / LATTICE)) > 0.9


def test_a_pdb_of_a_crystal_reads_back(tmp_path):
    structure = crystal(100)
    (tmp_path / "copper.pdb").write_text(pdb_text(structure))
    again = read_start(tmp_path / "copper.pdb")
    np.testing.assert_array_equal(again.numbers, structure.numbers)
    np.testing.assert_allclose(again.positions, structure.positions, atol=1e-3)
    np.testing.assert_allclose(again.cell, structure.cell, atol=1e-3)


def test_a_potential_is_trained_once(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "EPOCHS", 1)
    monkeypatch.setattr(cases, "PaiNNSettings", lambda: PaiNNSettings(n_features=8, n_layers=2, cutoff=3.0))
    first, second = copper(tmp_path, 100, seed=0), copper(tmp_path, 120, seed=0)
    assert first.bundle == second.bundle and Bundle.load(first.bundle).settings.elements == (29,)
    assert [len(c.start) for c in (first, second)] == [100, 120]
    assert len(read_structures(first.training, labelled=True)) == 16


def test_a_missing_molecule(tmp_path):
    with pytest.raises(InputError, match=r"none.pdb: no such PDB; give a molecule that amber14 knows with --molecule"):
        molecule(tmp_path, tmp_path / "none.pdb", 0)


def test_models_of_different_molecules_do_not_meet(tmp_path, monkeypatch, topology_path, frames):
    made = []

    def model(folder, labels, seed):
        write_structures(tmp_path / "training.extxyz", frames[:1])
        made.append(folder.name)
        return folder, tmp_path / "training.extxyz"

    monkeypatch.setattr(cases, "_model", model)
    (tmp_path / "mine.pdb").write_text(topology_path.read_text())
    (tmp_path / "other.pdb").write_text("REMARK of mine\n" + topology_path.read_text())
    monkeypatch.chdir(tmp_path)
    named = [molecule(tmp_path, path, 0).name for path in (Path("mine.pdb"), Path("other.pdb"), topology_path)]
    assert named == ["mine", "other", "alanine_dipeptide"]
    molecule(tmp_path, topology_path, 1)
    assert len(set(made)) == 4
