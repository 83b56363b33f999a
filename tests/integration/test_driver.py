"""PLUMED's own program on a trajectory: the same U as ours, and derivatives that are those of U."""

import csv

import mdtraj
import numpy as np
import pytest

from uqcv.active_learning.stages import evaluate_file
from uqcv.colvars.export import export, module_name
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.simulation.plumed_kernel import pycv_plugin

ATOMS = (0, 8, 15)
STEP = 2.0**-9  # nm; the frames that differ by it are exact in a DCD


@pytest.fixture(scope="module")
def moved(frames) -> list:
    """Eight frames, and for some coordinates of the last of them four frames each, displaced by -2 to 2 steps."""
    base = frames[7]
    displaced = []
    for atom in ATOMS:
        for axis in range(3):
            for count in (-2, -1, 1, 2):
                positions = np.round(base.positions * 0.1 * 2**14) / 2**14
                positions[atom, axis] += count * STEP
                displaced.append(base.with_positions(positions * 10))
    return [*frames[:8], *displaced]


@pytest.fixture(scope="module")
def driven(bundle, moved, write_dcd, run_uqcv, tmp_path_factory):
    """The folder after one run of the driver, and the positions in the trajectory (Å)."""
    folder = tmp_path_factory.mktemp("driver")
    bundle.save(folder / "bundle")
    export(bundle, folder / "cv", dtype="float64")
    positions = write_dcd(folder / "trajectory.dcd", moved)
    (folder / "plumed.dat").write_text(
        f"LOAD FILE={pycv_plugin()}\nu: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\n"
        "PRINT ARG=u.py-mean,u.py-error FILE=COLVAR STRIDE=1 FMT=%25.17g\n"
        "DUMPDERIVATIVES ARG=u.py-mean FILE=derivatives STRIDE=1 FMT=%25.17g\n"
        "metad: METAD ARG=u.py-mean SIGMA=0.1 HEIGHT=1 PACE=1000 FILE=HILLS\n"
    )
    run_uqcv("plumed", "--cv", "cv", "driver", "--plumed", "plumed.dat", "--mf_dcd", "trajectory.dcd", cwd=folder)
    return folder, positions


@pytest.fixture(scope="module")
def colvar(driven) -> np.ndarray:
    return np.loadtxt(driven[0] / "COLVAR")


def test_the_driver_and_evaluate_agree(driven, colvar, bundle, topology_path):
    """With what `uqcv evaluate` calls."""
    folder, positions = driven
    table = evaluate_file(folder / "bundle", folder / "trajectory.dcd", topology_path, folder / "u", "float64")[0]
    with open(table, newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(colvar) == len(positions) == 8 + 4 * 3 * len(ATOMS)
    deviation = bundle.settings.distributions["mean"].training_deviation
    mean = np.array([float(row["mean"]) for row in rows])
    assert np.ptp(mean) > deviation, "the frames differ by more than what is compared"
    np.testing.assert_allclose(colvar[:, 1], mean, rtol=0, atol=1e-6 * deviation)
    error = [float(row["expected_force_error_eV_per_A"]) for row in rows]
    np.testing.assert_allclose(colvar[:, 2], error, rtol=1e-6)


def test_both_are_what_the_bundle_says(driven, colvar, bundle, frames):
    cv = UncertaintyCV(bundle, frames[0].numbers)
    values = [cv.evaluate(x).value("mean") for x in driven[1]]
    np.testing.assert_allclose(colvar[:, 1], values, rtol=1e-10)


def test_the_derivatives_are_those_of_the_values(driven, colvar):
    """DUMPDERIVATIVES against differences of fourth order between frames of the same trajectory."""
    table = np.loadtxt(driven[0] / "derivatives")
    n = 3 * 22 + 9
    derivatives = table.reshape(len(colvar), n, -1)[7, : 3 * 22, -1].reshape(22, 3)
    values = colvar[8:, 1].reshape(len(ATOMS), 3, 4)
    slopes = (values[..., 0] - 8 * values[..., 1] + 8 * values[..., 2] - values[..., 3]) / (12 * STEP)
    scale = np.abs(derivatives).max()
    assert scale > 0.1
    np.testing.assert_allclose(derivatives[list(ATOMS)], slopes, atol=2e-3 * scale)


def test_frames_as_a_simulation_writes_them(bundle, frames, topology_path, run_uqcv, tmp_path):
    """Positions that single precision rounds differently in Å and in nm, unlike those above."""
    topology = mdtraj.load_topology(str(topology_path))
    xyz = np.array([s.positions * 0.1 for s in frames[:12]], dtype=np.float32)
    mdtraj.Trajectory(xyz, topology).save_dcd(str(tmp_path / "trajectory.dcd"))
    bundle.save(tmp_path / "bundle")
    export(bundle, tmp_path / "cv", dtype="float64")
    (tmp_path / "plumed.dat").write_text(
        f"LOAD FILE={pycv_plugin()}\nu: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\n"
        "PRINT ARG=u.py-mean FILE=COLVAR STRIDE=1 FMT=%25.17g\n"
    )
    run_uqcv("plumed", "--cv", "cv", "driver", "--plumed", "plumed.dat", "--mf_dcd", "trajectory.dcd", cwd=tmp_path)
    path = evaluate_file(tmp_path / "bundle", tmp_path / "trajectory.dcd", topology_path, tmp_path / "u", "float64")[0]
    with open(path, newline="") as handle:
        mean = [float(row["mean"]) for row in csv.DictReader(handle)]
    deviation = bundle.settings.distributions["mean"].training_deviation
    np.testing.assert_allclose(np.loadtxt(tmp_path / "COLVAR")[:, 1], mean, rtol=0, atol=1e-8 * deviation)


def test_what_stops_our_cv_reaches_the_user_of_plumeds_program(bundle, frames, topology_path, start_uqcv, tmp_path):
    topology = mdtraj.load_topology(str(topology_path))
    xyz = np.array([s.positions * 0.1 for s in frames[:3]], dtype=np.float32)
    mdtraj.Trajectory(xyz, topology).save_dcd(str(tmp_path / "trajectory.dcd"))
    export(bundle, tmp_path / "cv", dtype="float64")
    (tmp_path / "plumed.dat").write_text(
        f"LOAD FILE={pycv_plugin()}\nu: PYCVINTERFACE ATOMS=1-21 IMPORT={module_name(bundle)}\n"
        "PRINT ARG=u.py-mean FILE=COLVAR STRIDE=1\n"
    )
    arguments = ("plumed", "--cv", "cv", "driver", "--plumed", "plumed.dat", "--mf_dcd", "trajectory.dcd")
    process = start_uqcv(*arguments, cwd=tmp_path)
    _, said = process.communicate(timeout=100)
    assert process.returncode != 0
    assert "uqcv: step 0: positions: shape (21, 3) was given; (22, 3) is expected" in said
