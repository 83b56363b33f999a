import csv

import mdtraj
import numpy as np
import pytest

from uqcv.analysis.evaluation import evaluate_trajectory
from uqcv.analysis.tables import read_table
from uqcv.analysis.trajectories import structures_of
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import UnknownElementError
from uqcv.uncertainty.pooling import POOLINGS


@pytest.fixture(scope="module")
def table(bundle, molecule_trajectory):
    return evaluate_trajectory(bundle, molecule_trajectory)


def test_values_are_those_of_the_collective_variable(table, bundle, molecule_trajectory):
    structures = structures_of(molecule_trajectory)
    cv = UncertaintyCV(bundle, structures[0].numbers.tolist())
    for k, structure in enumerate(structures):
        evaluation = cv.evaluate(structure.positions)
        assert table.energies[k] == evaluation.energy
        assert table.atomic[k] == pytest.approx(evaluation.atomic, rel=1e-12)
        assert [table.pooled[kind][k] for kind in POOLINGS] == [evaluation.value(kind) for kind in POOLINGS]


def test_expected_errors_are_calibrated(table, bundle):
    assert table.expected_errors.tolist() == bundle.settings.frame_calibration(table.pooled["mean"]).tolist()
    assert table.atomic_errors[3].tolist() == bundle.settings.atom_calibration(table.atomic[3], table.numbers).tolist()


def test_the_worst_atom_is_the_one_that_the_maximum_comes_from(table):
    heavy = np.flatnonzero(table.numbers > 1)
    assert table.worst_atoms.tolist() == heavy[table.atomic[:, heavy].argmax(axis=1)].tolist()


def test_a_file_gives_the_same_as_its_trajectory(table, bundle, molecule_trajectory, topology_path, tmp_path):
    molecule_trajectory.save_dcd(str(tmp_path / "walk.dcd"))
    done = []
    read = evaluate_trajectory(bundle, tmp_path / "walk.dcd", topology_path, report=lambda k, note: done.append(k))
    assert read.energies == pytest.approx(table.energies, abs=1e-4)  # DCD rounds to single precision in Å
    assert done == list(range(1, 13))


def test_tables_come_back_from_csv_to_the_last_digit(table, tmp_path):
    table.write_csv(tmp_path / "frames.csv")
    table.write_atom_csv(tmp_path / "atoms.csv")
    frames, atoms = read_table(tmp_path / "frames.csv"), read_table(tmp_path / "atoms.csv")
    names = ["frame", "energy_eV", *POOLINGS, "expected_force_error_eV_per_A", "worst_atom"]
    assert list(frames) == names
    assert frames["energy_eV"].tolist() == table.energies.tolist()
    assert frames["local_mean_max"].tolist() == table.pooled["local_mean_max"].tolist()
    assert atoms["uncertainty"].reshape(12, 22).tolist() == table.atomic.tolist()
    with open(tmp_path / "atoms.csv", newline="") as handle:
        row = list(csv.DictReader(handle))[22 + 4]
    assert (row["frame"], row["atom"], row["atomic_number"]) == ("1", "4", "6")


def test_an_unknown_element_is_refused(bundle, molecule_trajectory):
    topology = molecule_trajectory.topology.copy()
    topology.atom(5).element = mdtraj.element.sulfur
    with pytest.raises(UnknownElementError):
        evaluate_trajectory(bundle, mdtraj.Trajectory(molecule_trajectory.xyz, topology))
