"""An export is a folder that any PLUMED with PyCV can use; here the `plumed` program, in another process."""

import subprocess

import mdtraj
import numpy as np
import pytest

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export, module_name
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError, UnknownElementError
from uqcv.simulation.plumed_input import imported_modules
from uqcv.simulation.plumed_kernel import plumed_program, program_environment, pycv_plugin


def run_driver(folder, tmp_path, text: str) -> None:
    (tmp_path / "plumed.dat").write_text(text)
    command = [str(plumed_program()), "driver", "--mf_dcd", "frames.dcd", "--plumed", "plumed.dat"]
    environment = program_environment(folder)
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def test_the_plumed_program(exported, bundle, frames, topology_path, tmp_path, assert_gradient, read_table):
    folder, module = exported
    topology = mdtraj.load(str(topology_path)).topology
    mdtraj.Trajectory(np.array([s.positions for s in frames[:3]]) * 0.1, topology).save_dcd(
        str(tmp_path / "frames.dcd")
    )
    text = (
        f"LOAD FILE={pycv_plugin()}\nu: PYCVINTERFACE ATOMS=1-22 IMPORT={module}\n"
        "PRINT ARG=u.py-mean,u.py-smooth-max,u.py-error FILE=COLVAR FMT=%25.17g\n"
        "DUMPDERIVATIVES ARG=u.py-mean,u.py-smooth-max FILE=DERIVATIVES FMT=%25.17g\n"
    )
    run_driver(folder, tmp_path, text)
    with mdtraj.formats.DCDTrajectoryFile(str(tmp_path / "frames.dcd")) as file:
        positions = file.read()[0].astype(np.float64)  # Å, from the float32 of the file
    assert len(positions) == 3
    cv, table = UncertaintyCV(bundle, frames[0].numbers), read_table(tmp_path / "COLVAR")
    deviation = bundle.settings.distributions["mean"].training_deviation
    for row, x in zip(table, positions, strict=True):
        evaluation = cv.evaluate(x)
        mean = evaluation.value("mean")
        assert row[1] == pytest.approx(mean, abs=1e-6 * deviation)
        assert row[2] == pytest.approx(evaluation.value("smooth_max"), abs=1e-6 * deviation)
        assert row[3] == pytest.approx(float(bundle.settings.frame_calibration(mean)), rel=1e-6)
    derivatives = read_table(tmp_path / "DERIVATIVES").reshape(3, 66 + 9, -1)  # atoms, then the box
    for column, kind in ((2, "mean"), (3, "smooth_max")):
        per_nm = derivatives[0, :66, column].reshape(22, 3)
        assert_gradient(lambda x, kind=kind: cv.evaluate(10.0 * x).value(kind), positions[0] * 0.1, per_nm, step=1e-5)


def test_the_module_has_the_hash_in_its_name(bundle, crystal_bundle, tmp_path):
    path = export(bundle, tmp_path)
    assert path == tmp_path / f"uqcv_{bundle.hash[:12]}.py"
    assert path.is_file() and module_name(bundle) == path.stem
    assert module_name(crystal_bundle) != module_name(bundle)
    assert bundle.hash in path.read_text()


def test_the_folder_is_complete(bundle, tmp_path):
    export(bundle, tmp_path, components=("mean", "smooth_max"), plugin="/opt/PythonCVInterface.so")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "plumed.dat", f"{module_name(bundle)}.py"]
    assert Bundle.load(tmp_path / "bundle").hash == bundle.hash
    example = (tmp_path / "plumed.dat").read_text()
    assert "LOAD FILE=/opt/PythonCVInterface.so" in example and "u.py-mean,u.py-smooth-max" in example
    assert "ATOMS=1-22" in example
    assert imported_modules(example) == [(module_name(bundle), "plumedInit", "plumedCalculate")]


def test_the_example_runs_as_it_is(bundle, tmp_path, make_bridge, molecule, read_table):
    export(bundle, tmp_path / "e", plugin=str(pycv_plugin()))
    bridge = make_bridge((tmp_path / "e" / "plumed.dat").read_text(), 22, tmp_path / "e")
    bridge.evaluate(0, molecule.positions * 0.1)
    bridge.close()
    expected = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions).value("mean")
    assert read_table("COLVAR")[0, 1] == pytest.approx(expected, rel=1e-12)


def test_what_can_not_be_exported(bundle, tmp_path):
    with pytest.raises(InputError, match=r"\['median'\] were given; choose from mean, max, smooth_max"):
        export(bundle, tmp_path, components=("median",))
    with pytest.raises(InputError, match=r"components \[\] were given"):
        export(bundle, tmp_path, components=())
    with pytest.raises(UnknownElementError, match=r"\[79\] were given"):
        export(bundle, tmp_path, numbers=[1, 79])
    assert list(tmp_path.iterdir()) == []
