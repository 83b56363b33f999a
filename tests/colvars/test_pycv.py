"""The CV as PLUMED sees it, through PLUMED's kernel: values, forces and virials in nm and kJ/mol."""

import sys

import numpy as np
import pytest

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export, module_name
from uqcv.colvars.pycv import PyCV, component_name, last_error
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.uncertainty.pooling import POOLINGS

COMPONENTS = ("mean", "max", "smooth-max", "local-mean-max", "error")
PRINT = f"PRINT ARG={','.join(f'u.py-{c}' for c in COMPONENTS)} FILE=COLVAR FMT=%25.17g"


def cv_line(module: str, n_atoms: int) -> str:
    return f"u: PYCVINTERFACE ATOMS=1-{n_atoms} IMPORT={module}\n"


@pytest.fixture
def plumed(make_bridge, exported):
    """PLUMED on alanine dipeptide, with lines after the one that defines `u`."""
    folder, module = exported
    return lambda lines: make_bridge(cv_line(module, 22) + lines, 22, folder)


@pytest.fixture
def crystal_plumed(make_bridge, crystal_exported):
    folder, module = crystal_exported
    return lambda lines: make_bridge(cv_line(module, 4) + lines, 4, folder)


def bias(bridge: PlumedBridge, structure, step: int = 0) -> float:
    """Bias at a structure in Å; kJ/mol."""
    return bridge.evaluate(step, structure.positions * 0.1, structure.cell * 0.1)[0]


def values(cv: UncertaintyCV, structure) -> list[float]:
    evaluation = cv.evaluate(structure.positions, structure.cell)
    pooled = [evaluation.value(kind) for kind in POOLINGS]
    return [*pooled, float(cv.bundle.settings.frame_calibration(pooled[0]))]


def test_names():
    assert (*map(component_name, POOLINGS), "error") == COMPONENTS


def test_values(plumed, bundle, frames, read_table):
    bridge = plumed(PRINT)
    for step, frame in enumerate(frames[:4]):
        bias(bridge, frame, step)
    bridge.close()
    cv = UncertaintyCV(bundle, frames[0].numbers)
    table = read_table("COLVAR")
    assert table.shape == (4, 6)
    # nm and back to Å costs the last bit of a position
    np.testing.assert_allclose(table[:, 1:], [values(cv, s) for s in frames[:4]], rtol=1e-12)


def test_values_of_a_crystal(crystal_plumed, crystal_bundle, crystals, read_table):
    bridge = crystal_plumed(PRINT)
    for step, frame in enumerate(crystals[:3]):
        bias(bridge, frame, step)
    bridge.close()
    cv = UncertaintyCV(crystal_bundle, crystals[0].numbers, crystals[0].pbc)
    np.testing.assert_allclose(read_table("COLVAR")[:, 1:], [values(cv, s) for s in crystals[:3]], rtol=1e-12)


@pytest.mark.parametrize("name", COMPONENTS)
def test_forces_of_a_restraint(plumed, molecule, assert_gradient, name):
    bridge = plumed(f"RESTRAINT ARG=u.py-{name} AT=0.1 KAPPA=300 SLOPE=20")
    positions = molecule.positions * 0.1
    forces = bridge.evaluate(0, positions)[1].copy()
    assert np.abs(forces).max() > 1.0
    assert_gradient(lambda x: bridge.evaluate(0, x)[0], positions, -forces, step=1e-5)


def test_forces_of_metadynamics(plumed, frames, molecule, assert_gradient):
    bridge = plumed("METAD ARG=u.py-mean SIGMA=0.1 HEIGHT=5 PACE=1 FILE=HILLS")
    for step, frame in enumerate(frames[:4]):
        bias(bridge, frame, step)
    positions = molecule.positions * 0.1
    value, forces = bridge.evaluate(4, positions)
    forces = forces.copy()
    assert value > 1.0, "hills must be near enough to be felt"
    assert_gradient(lambda x: bridge.evaluate(4, x)[0], positions, -forces, step=1e-5)


@pytest.mark.parametrize("name", COMPONENTS)
def test_forces_and_virial_in_a_crystal(crystal_plumed, crystal_bundle, crystals, strained, assert_gradient, name):
    cv = UncertaintyCV(crystal_bundle, crystals[0].numbers, crystals[0].pbc)
    crystal = max(crystals, key=lambda s: values(cv, s)[0])  # the calibrated error is flat at its minimum
    bridge = crystal_plumed(f"RESTRAINT ARG=u.py-{name} AT=0 KAPPA=300")
    bias(bridge, crystal)
    virial = bridge.virial.copy()
    np.testing.assert_allclose(virial, virial.T, atol=1e-10)
    # what PLUMED gives an engine is + d bias / d strain, as the built-in CV below shows
    assert_gradient(lambda e: bias(bridge, strained(crystal, e)), np.zeros((3, 3)), virial)
    _, forces = bridge.evaluate(0, crystal.positions * 0.1, crystal.cell * 0.1)
    forces = forces.copy()
    box = crystal.cell * 0.1
    assert_gradient(lambda x: bridge.evaluate(0, x, box)[0], crystal.positions * 0.1, -forces, step=1e-5)


@pytest.mark.parametrize("line", ["v: VOLUME", "v: DISTANCE ATOMS=1,2"])
def test_the_sign_of_the_virial_is_that_of_plumeds_own_cvs(make_bridge, crystal, strained, assert_gradient, line):
    bridge = make_bridge(f"{line}\nRESTRAINT ARG=v AT=0 KAPPA=300", 4)
    bias(bridge, crystal)
    virial = bridge.virial.copy()
    assert_gradient(lambda e: bias(bridge, strained(crystal, e)), np.zeros((3, 3)), virial)


def test_no_net_force_and_no_net_torque(plumed, molecule):
    bridge = plumed("RESTRAINT ARG=u.py-mean AT=0 KAPPA=300")
    positions = molecule.positions * 0.1
    forces = bridge.evaluate(0, positions)[1]
    size = np.abs(forces).max()
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-10 * size)
    np.testing.assert_allclose(np.cross(positions, forces).sum(axis=0), 0.0, atol=1e-10 * size)


def test_the_gradient_of_the_error_is_zero_below_its_minimum(bundle, tmp_path, frames, make_bridge, capsys):
    s = bundle.settings
    higher = s.frame_calibration.model_copy(update={"minimum": 100.0})
    mean = s.distributions["mean"].model_copy(update={"calibration": higher})
    update = {"distributions": s.distributions | {"mean": mean}}
    lower = Bundle(s.model_copy(update=update), bundle.model)
    export(lower, tmp_path / "e")
    text = cv_line(module_name(lower), 22) + "RESTRAINT ARG=u.py-error AT=0 KAPPA=300"
    bridge = make_bridge(text, 22, tmp_path / "e")
    for step in range(2):
        value, forces = bridge.evaluate(step, frames[step].positions * 0.1)
        assert value > 0 and np.abs(forces).max() == 0
    said = capsys.readouterr().err
    assert said.count("its gradient is exactly zero at the first structure") == 1 and "py-error" in said


def test_one_forward_pass_serves_all_components(plumed, exported, molecule):
    bridge = plumed(f"{PRINT}\nRESTRAINT ARG=u.py-mean,u.py-max AT=0,0 KAPPA=1,1")
    cv = sys.modules[exported[1]]._cv.cv
    before = cv.n_evaluations
    bias(bridge, molecule.with_positions(molecule.positions * 1.001))
    assert cv.n_evaluations == before + 1


def test_a_component_alone_keeps_its_prefix(make_bridge, bundle, tmp_path, molecule):
    export(bundle, tmp_path / "mean", components=("mean",))
    text = cv_line(module_name(bundle), 22) + "RESTRAINT ARG=u.py-mean AT=0 KAPPA=2"
    value = bias(make_bridge(text, 22, tmp_path / "mean"), molecule)
    assert value == pytest.approx(
        UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions).value("mean") ** 2
    )


def test_two_exports_of_one_bundle_in_one_process(make_bridge, bundle, tmp_path, molecule):
    """They have the same name, and Python caches modules by name."""
    for component in ("max", "smooth_max"):
        folder = tmp_path / component
        export(bundle, folder, components=(component,))
        text = cv_line(module_name(bundle), 22) + f"RESTRAINT ARG=u.py-{component_name(component)} AT=0 KAPPA=2"
        value = bias(make_bridge(text, 22, folder), molecule)
        expected = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions).value(component)
        assert value == pytest.approx(expected**2)


def test_another_bundle_in_place_of_the_exported_is_refused(bundle, tmp_path, make_bridge):
    s = bundle.settings
    other = Bundle(s.model_copy(update={"lowest_energy": 0.0}), bundle.model)
    export(bundle, tmp_path / "e")
    other.save(tmp_path / "e" / "bundle")
    words = f"bundle {other.short_hash} was found, {bundle.short_hash} was exported; export it again"
    with pytest.raises(InputError, match=words):
        PyCV(tmp_path / "e" / "bundle", bundle.hash, (8,), (False,) * 3, ("mean",))
    with pytest.raises(InputError, match=words):
        make_bridge(cv_line(module_name(bundle), 22), 22, tmp_path / "e")


def test_the_cause_of_a_failure_is_kept(plumed, molecule):
    bridge = plumed("RESTRAINT ARG=u.py-mean AT=0 KAPPA=2")
    positions = molecule.positions * 0.1
    positions[5] = np.nan
    with pytest.raises(InputError, match=r"step 3: positions: NaN or infinity was given"):
        bridge.evaluate(3, positions)
    assert not last_error
    bridge.discard()
    assert np.isfinite(bias(bridge, molecule, step=4)), "the kernel lives on"


def test_fewer_atoms_than_exported(make_bridge, exported, molecule):
    folder, module = exported
    bridge = make_bridge(f"{cv_line(module, 21)}RESTRAINT ARG=u.py-mean AT=0 KAPPA=2", 22, folder)
    with pytest.raises(InputError, match=r"shape \(21, 3\) was given; \(22, 3\) is expected"):
        bias(bridge, molecule)
