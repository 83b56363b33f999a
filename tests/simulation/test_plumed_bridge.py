"""PLUMED's bookkeeping: hills and lines once per step, whatever was asked in between; and its errors."""

from pathlib import Path

import numpy as np
import openmm
import plumed
import pytest
from openmm import app, unit
from two_atoms import wandering

from uqcv.colvars.export import export, module_name
from uqcv.errors import BrokenStructureError, InputError, PlumedInputError, UqcvError
from uqcv.simulation.forces import add_plumed, add_potential, bare_system
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.simulation.plumed_input import fill_template
from uqcv.simulation.torsions import torsion_angle

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted({p.stem for p in (ROOT / "plumed_inputs").glob("*.dat")} - {"torsions"})  # that knows no model

TEXT = """d: DISTANCE ATOMS=1,2
metad: METAD ARG=d SIGMA=0.05 HEIGHT=2 PACE=5 BIASFACTOR=10 TEMP=300 FILE=HILLS FMT=%25.17g
PRINT ARG=d,metad.bias FILE=COLVAR STRIDE=2 FMT=%25.17g
"""
N_STEPS = 23


TRAJECTORY = wandering(N_STEPS)


@pytest.fixture
def expected(tmp_path, monkeypatch) -> dict[str, str]:
    """What PLUMED itself writes for this trajectory, driven by `calc` as any MD program does."""
    folder = tmp_path / "plain"
    folder.mkdir()
    monkeypatch.chdir(folder)
    kernel = plumed.Plumed()
    for name, value in (("setNatoms", 2), ("setTimestep", 0.0005), ("setKbT", 2.4943), ("setLogFile", "/dev/null")):
        kernel.cmd(name, value)
    kernel.cmd("init")
    kernel.cmd("readInputLines", TEXT)
    forces, masses = np.zeros((2, 3)), np.full(2, 12.0)
    for step, positions in enumerate(TRAJECTORY):
        step = np.array([step], dtype=np.int64)
        kernel.cmd("setStepLong", step)
        kernel.cmd("setPositions", positions)
        kernel.cmd("setMasses", masses)
        kernel.cmd("setBox", np.zeros((3, 3)))
        kernel.cmd("setForces", forces)
        kernel.cmd("setVirial", np.zeros((3, 3)))
        kernel.cmd("calc")
    kernel.finalize()
    written = {name: (folder / name).read_text() for name in ("HILLS", "COLVAR")}
    monkeypatch.chdir(tmp_path)
    return written


@pytest.fixture
def bridge(make_bridge) -> PlumedBridge:
    return make_bridge(TEXT, 2)


def assert_written(expected: dict[str, str]) -> None:
    for name, text in expected.items():
        assert Path(name).read_text() == text


def test_asked_once_per_step(bridge, expected):
    for step, positions in enumerate(TRAJECTORY):
        bridge.evaluate(step, positions)
    bridge.close()
    assert len(np.loadtxt("HILLS")) == 4  # steps 5, 10, 15 and 20
    assert len(np.loadtxt("COLVAR")) == 12
    assert_written(expected)


def test_asked_again_and_again(bridge, expected):
    for step, positions in enumerate(TRAJECTORY):
        first, forces = bridge.evaluate(step, positions)
        forces = forces.copy()
        for _ in range(3):
            again, forces_again = bridge.evaluate(step, positions)
            assert again == first
            np.testing.assert_array_equal(forces_again, forces)
    bridge.close()
    assert_written(expected)


def test_a_trial_elsewhere_leaves_nothing(bridge, expected):
    for step, positions in enumerate(TRAJECTORY):
        before = bridge.evaluate(step, positions)[0]
        trial = bridge.evaluate(step, positions + np.array([[0, 0, 0], [0.2, 0, 0]]))[0]
        assert trial != before or before == 0
        assert bridge.evaluate(step, positions)[0] == before
    bridge.close()
    assert_written(expected)


def test_a_move_that_is_accepted_counts(bridge, expected):
    """A barostat's accepted move is evaluated last at its step."""
    for step, positions in enumerate(TRAJECTORY):
        bridge.evaluate(step, positions * 1.3)
        bridge.evaluate(step, positions)
    bridge.close()
    assert_written(expected)


def test_hills_act_from_the_step_after(bridge):
    biases = [bridge.evaluate(step, TRAJECTORY[0])[0] for step in range(12)]
    assert biases[:6] == [0.0] * 6
    assert biases[6] == pytest.approx(2.0)
    assert biases[11] > biases[10] == biases[6]


def test_a_discarded_step_leaves_nothing(bridge):
    for step in range(6):
        bridge.evaluate(step, TRAJECTORY[step])
    bridge.discard()
    bridge.close()
    assert [row[0] for row in np.loadtxt("COLVAR")] == [0.0, 0.001, 0.002]
    assert all(line.startswith("#") for line in Path("HILLS").read_text().splitlines())


def test_closing_twice(bridge, expected):
    for step, positions in enumerate(TRAJECTORY):
        bridge.evaluate(step, positions)
    bridge.close()
    bridge.close()
    assert_written(expected)


def test_committing_twice(bridge, expected):
    for step, positions in enumerate(TRAJECTORY):
        bridge.evaluate(step, positions)
        bridge.commit()
        bridge.commit()
    bridge.close()
    assert_written(expected)


def test_steps_beyond_32_bits(bridge):
    start = 5 * 10**9
    for step in range(start, start + 7):
        bridge.evaluate(step, TRAJECTORY[0])
    bridge.close()
    assert np.loadtxt("COLVAR")[0, 0] == pytest.approx(start * 0.0005, rel=1e-15)
    assert np.loadtxt("HILLS", ndmin=2)[0, 0] == pytest.approx((start + 5) * 0.0005, rel=1e-15)


def test_the_bias_of_a_restraint(make_bridge):
    bridge = make_bridge("d: DISTANCE ATOMS=1,2\nRESTRAINT ARG=d AT=0.1 KAPPA=1000", 2)
    bias, forces = bridge.evaluate(0, np.array([[0.0, 0, 0], [0.3, 0, 0]]))
    assert bias == pytest.approx(0.5 * 1000 * 0.2**2)
    np.testing.assert_allclose(forces, [[200.0, 0, 0], [-200.0, 0, 0]])


def test_periodic_images(make_bridge):
    bridge = make_bridge("d: DISTANCE ATOMS=1,2\nRESTRAINT ARG=d AT=0.1 KAPPA=1000", 2)
    positions = np.array([[0.0, 0, 0], [0.7, 0, 0]])
    assert bridge.evaluate(0, positions, np.eye(3))[0] == pytest.approx(0.5 * 1000 * 0.2**2)
    assert bridge.evaluate(0, positions)[0] == pytest.approx(0.5 * 1000 * 0.6**2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RESTRAINT ARG=nothing AT=0 KAPPA=1", "nothing"),
        ("d: DISTANCE ATOMS=1,2\nMETAD ARG=d SIGMA=0.1 PACE=5 HIGHT=3", "METAD"),
        ("NO_SUCH_ACTION ARG=d", "NO_SUCH_ACTION"),
        ("d: DISTANCE ATOMS=1,99", "99|out of range|atom"),
    ],
)
def test_an_input_that_plumed_refuses(make_bridge, text, words):
    with pytest.raises(PlumedInputError, match=f"PLUMED refuses the input: .*({words})") as caught:
        make_bridge(text, 2)
    assert "\n" not in str(caught.value)


def test_what_stops_plumed_later(make_bridge):
    text = "d: DISTANCE ATOMS=1,2\nMETAD ARG=d SIGMA=0.05 HEIGHT=1 PACE=1 GRID_MIN=0 GRID_MAX=2*0.25 GRID_BIN=50"
    bridge = make_bridge(text, 2)
    with pytest.raises(UqcvError, match=r"step \d+: PLUMED stopped: \S+") as caught:
        for step in range(4):
            bridge.evaluate(step, np.array([[0.0, 0, 0], [0.45 + 0.2 * step, 0, 0]]))
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there_does_not_end_the_process(make_bridge, tmp_path):
    with pytest.raises(PlumedInputError, match="No module named 'uqcv_0123456789ab'"):
        make_bridge("u: PYCVINTERFACE ATOMS=1 IMPORT=uqcv_0123456789ab", 2, tmp_path)


def test_a_module_without_init_does_not_end_the_process(make_bridge, tmp_path):
    (tmp_path / "empty_cv_module.py").write_text("")
    text = "u: PYCVINTERFACE ...\n  ATOMS=1\n  IMPORT=empty_cv_module\n...\n"
    with pytest.raises(PlumedInputError, match="no plumedInit and no plumedCalculate"):
        make_bridge(text, 2, tmp_path)


def test_errors_of_the_cv_keep_their_words_and_type(make_bridge, exported, molecule):
    folder, module = exported
    bridge = make_bridge(f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module}\nRESTRAINT ARG=u.py-mean AT=0", 22, folder)
    with pytest.raises(InputError, match=r"^step 7: positions: NaN or infinity was given; the simulation has blown up"):
        bridge.evaluate(7, np.full((22, 3), np.nan))


def test_the_log_is_plumeds(bridge, tmp_path):
    bridge.evaluate(0, TRAJECTORY[0])
    bridge.close()
    assert "PLUMED: Action DISTANCE" in (tmp_path / "plumed.log").read_text()


@pytest.fixture(scope="module")
def exported_mean(bundle, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mean")
    export(bundle, folder, dtype="float32", components=("mean",))
    return folder


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_runs_in_openmm(template, bundle, exported_mean, topology_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = {
        "atoms": "1-22", "module": module_name(bundle), "cv": "u.py-mean", "component": "mean", "sigma": 0.1,
        "height": 0.5, "pace": 10, "bias_factor": 10.0, "temperature": 300.0, "wall": 0.7, "kappa": 500.0,
        "stride": 10, "barrier": 20.0, "spring": 1000.0, "relaxation": 0.05, "walkers": 2,
        "walker": 1, "shared_folder": ".", "centre": 0.5, "width": 0.4, "depth": 5.0,
    }  # fmt: skip
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle)
    bias = add_plumed(system, pdb.topology, fill_template(template, fields), 300.0, 0.5, exported_mean)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(pdb.positions)
    before = network.cv.n_evaluations
    integrator.step(30)
    # one forward pass serves the force and the bias; the first step may be a position that is known already
    assert 29 <= network.cv.n_evaluations - before <= 30
    bias.close()
    written = {
        "metad": {"HILLS": 2}, "metad_shared": {"HILLS.1": 2, "HILLS.0": None}, "extended_lagrangian": {"HILLS": 2},
        "opes": {"KERNELS": 2, "STATE": None}, "opes_explore": {"KERNELS": 2, "STATE": None},
    }.get(template, {})  # fmt: skip
    there = {p.name for p in tmp_path.iterdir() if not p.name.startswith("bck.")}
    assert {name for name in there if not name.endswith(".identity.json")} == {"COLVAR", *written}
    assert {"COLVAR.identity.json", *(f"{name}.identity.json" for name, rows in written.items() if rows)} <= there
    colvar = np.loadtxt("COLVAR")
    np.testing.assert_allclose(colvar[:, 0], [0.0, 0.005, 0.01])
    fields_line = Path("COLVAR").read_text().splitlines()[0]
    assert fields_line.startswith("#! FIELDS time u.py-mean")
    for name, rows in written.items():
        if rows is not None:
            assert len(np.loadtxt(name, ndmin=2)) == rows
    if template != "monitor":
        column = fields_line.split().index("wall.bias") - 2
        wall = 500.0 * np.maximum(colvar[:, 1] - 0.7, 0.0) ** 2
        np.testing.assert_allclose(colvar[:, column], wall, atol=1e-9)
    end = context.getState(getPositions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    assert np.isfinite(end).all()


def test_a_frame_that_is_not_finite_leaves_no_hill(make_bridge, tmp_path):
    """Not even where there is no bias yet, which is zero whatever the positions are."""
    bridge = make_bridge("d: DISTANCE ATOMS=1,2\nMETAD ARG=d SIGMA=0.1 HEIGHT=1 PACE=5 FILE=HILLS\n", 2)
    bridge.evaluate(1, np.array([[0.0, 0, 0], [0.3, 0, 0]]))
    bridge.evaluate(5, np.full((2, 3), np.nan))
    with pytest.raises(BrokenStructureError, match="step 5: positions, box, values or bias are not finite"):
        bridge.commit()
    bridge.close()
    assert "nan" not in (tmp_path / "HILLS").read_text()


def test_metadynamics_of_torsions_knows_no_model(make_bridge, molecule, tmp_path):
    fields = {"first_torsion": "5,7,9,15", "second_torsion": "7,9,15,17", "torsion_sigma": 0.35, "stride": 1}
    fields |= {"height": 0.5, "pace": 1, "bias_factor": 10.0, "temperature": 300.0}
    bridge = make_bridge(fill_template("torsions", fields))
    for step in range(3):
        bridge.evaluate(step, molecule.positions * 0.1)
    bridge.close()
    angles = [np.radians(torsion_angle(molecule.positions, t)) for t in ((4, 6, 8, 14), (6, 8, 14, 16))]
    hills = np.loadtxt(tmp_path / "HILLS", ndmin=2)
    np.testing.assert_allclose(hills[:, 1:3], [angles] * len(hills), atol=1e-6)
    assert len(hills) == 2 and not (tmp_path / "HILLS.identity.json").exists()
