"""A run that was interrupted and goes on is the run that was not, bit for bit; what does not fit is refused."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export, module_name
from uqcv.errors import IdentityError, InputError
from uqcv.simulation.checkpoint import Checkpoint
from uqcv.simulation.forces import add_plumed, add_potential, bare_system

PACE, N_STEPS = 5, 42
METAD = "metad: METAD ARG={arg} SIGMA=0.1 HEIGHT=5 PACE=5 BIASFACTOR=8 TEMP=300 FMT=%25.17g\n"
OPES = "opes: OPES_METAD ARG=u.py-mean PACE=5 BARRIER=20 TEMP=300 SIGMA=0.1 FMT=%25.17g\n"
EXTENDED = "e: EXTENDED_LAGRANGIAN ARG=u.py-mean KAPPA=500 TAU=0.05 FRICTION=10 TEMP=300\n"
PRINT = "PRINT ARG=phi,u.py-mean STRIDE=3 FILE=COLVAR FMT=%25.17g\n"
BIASES = {
    "metadynamics": METAD.format(arg="u.py-mean,phi").replace("SIGMA=0.1", "SIGMA=0.1,0.3"),
    "opes": OPES,
    "extended": EXTENDED + METAD.format(arg="e.u.py-mean_fict").replace("e.u.py-mean_fict", "e.u_mean_fict"),
}
OUTPUTS = ("trajectory.dcd", "log.csv")


def text_of(bundle, name: str) -> str:
    head = f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\nphi: TORSION ATOMS=5,7,9,15\n"
    return head + BIASES[name] + PRINT


def frames_of(dcd: bytes) -> bytes:
    """The number of frames, and the frames: OpenMM's header holds the time of day, and a last step of its own."""
    return dcd[8:12] + dcd[276:]


def assert_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys()
    different = [name for name in found if found[name] != expected[name]]
    assert not different


class Run:
    """The script of a user, who calls it again after an interruption."""

    def __init__(
        self, bundle, topology_path, start, text: str, fused=True, identity=None, platform="Reference", time_step=0.5
    ):
        pdb = app.PDBFile(str(topology_path))
        system = bare_system(pdb.topology)
        self.network = add_potential(system, pdb.topology, bundle)
        self.bias = add_plumed(
            system, pdb.topology, text, 300, 0.5, module_folder="../cv", network=self.network, fused=fused
        )
        integrator = openmm.LangevinMiddleIntegrator(300, 1 / unit.picosecond, time_step * unit.femtosecond)
        integrator.setRandomNumberSeed(1)
        self.simulation = app.Simulation(pdb.topology, system, integrator, openmm.Platform.getPlatformByName(platform))
        context = self.simulation.context
        context.setPositions(start.positions * 0.1)
        context.setVelocitiesToTemperature(300, 1)
        self.checkpoint = Checkpoint("run.checkpoint", context, self.network, self.bias, OUTPUTS, identity)
        self.resumed = self.checkpoint.start() is not None
        reporters = self.simulation.reporters
        reporters.append(app.DCDReporter("trajectory.dcd", 4, append=self.resumed))
        reporters.append(
            app.StateDataReporter("log.csv", 2, step=True, potentialEnergy=True, separator=",", append=self.resumed)
        )

    def to(self, step: int) -> None:
        self.simulation.step(step - self.simulation.currentStep)

    def end(self) -> dict[str, bytes]:
        self.bias.close()
        names = [*OUTPUTS, "COLVAR", *(n for n in ("HILLS", "KERNELS") if Path(n).is_file())]
        written = {name: Path(name).read_bytes() for name in names}
        written["trajectory.dcd"] = frames_of(written["trajectory.dcd"])
        state = self.simulation.context.getState(positions=True, velocities=True)
        places = state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True)
        return written | {str(k): np.array(x._value).tobytes() for k, x in enumerate(places)}


@pytest.fixture
def make_run(tmp_path, monkeypatch, bundle, topology_path, frames):
    export(bundle, tmp_path / "cv", dtype="float32")

    def make(folder: str, text: str, model=bundle, **options) -> Run:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        return Run(model, topology_path, frames[3], text, **options)

    return make


@pytest.mark.parametrize("name", BIASES)
@pytest.mark.parametrize("cut", [PACE * 3, PACE * 3 + 1, PACE * 4 + 3, N_STEPS])
def test_goes_on_bit_for_bit(name, cut, make_run, bundle):
    text = text_of(bundle, name)
    whole = make_run("whole", text)
    whole.to(N_STEPS)
    expected = whole.end()
    killed = make_run("killed", text)
    killed.checkpoint.run(killed.simulation, cut, interval=7)
    killed.to(cut + 9)  # lost, with all that was written
    again = make_run("killed", text)
    assert again.resumed and again.simulation.currentStep == cut
    again.to(N_STEPS)
    assert_same(again.end(), expected)


def test_a_bias_that_is_not_fused_goes_on_too(make_run, bundle):
    text = text_of(bundle, "metadynamics")
    whole = make_run("whole", text, fused=False)
    whole.to(N_STEPS)
    expected = whole.end()
    killed = make_run("killed", text, fused=False)
    killed.checkpoint.run(killed.simulation, 14, interval=7)
    killed.to(20)
    again = make_run("killed", text, fused=False)
    assert again.simulation.currentStep == 14
    again.to(N_STEPS)
    assert_same(again.end(), expected)


def test_queries_before_a_checkpoint_change_nothing(make_run, bundle):
    text = text_of(bundle, "metadynamics")
    whole = make_run("whole", text)
    whole.to(N_STEPS)
    expected = whole.end()
    killed = make_run("killed", text)
    killed.to(20)
    killed.simulation.context.getState(energy=True, forces=True)
    killed.checkpoint.save()
    again = make_run("killed", text)
    again.to(N_STEPS)
    assert_same(again.end(), expected)


def broken_off(make_run, text: str, **options) -> None:
    run = make_run("run", text, **options)
    run.checkpoint.run(run.simulation, 6, interval=6)


def test_another_identity_is_refused_and_both_are_named(make_run, bundle):
    text = text_of(bundle, "metadynamics")
    broken_off(make_run, text, identity={"start": "aaaa"})
    with pytest.raises(IdentityError, match="start aaaa, this run has start bbbb"):
        make_run("run", text, identity={"start": "bbbb"})


def test_another_input_is_refused_but_not_its_remarks(make_run, bundle):
    text = text_of(bundle, "metadynamics")
    broken_off(make_run, text)
    assert make_run("run", f"# a remark\n\n{text}").resumed
    with pytest.raises(IdentityError, match=r"PLUMED input with `.* HEIGHT=5 .*`, this run has .* HEIGHT=6 "):
        make_run("run", text.replace("HEIGHT=5", "HEIGHT=6"))


def test_another_time_step_is_refused(make_run, bundle):
    text = text_of(bundle, "metadynamics")
    broken_off(make_run, text)
    with pytest.raises(IdentityError, match=r"integrator LangevinMiddleIntegrator of 0.5 fs, this run has .* of 1 fs"):
        make_run("run", text, time_step=1.0)


def test_another_platform_goes_on_from_positions_and_velocities(make_run, bundle, capfd):
    text = text_of(bundle, "metadynamics")
    run = make_run("run", text)
    run.checkpoint.run(run.simulation, 13, interval=13)
    places = run.simulation.context.getState(positions=True, velocities=True, energy=True)
    again = make_run("run", text, platform="CPU")
    assert "going on from positions and velocities" in capfd.readouterr().err
    found = again.simulation.context.getState(positions=True, velocities=True, energy=True)
    assert again.simulation.currentStep == 13 and found.getTime() == places.getTime()
    for name in ("getPositions", "getVelocities"):
        here, there = (np.array(getattr(state, name)(asNumpy=True)._value) for state in (found, places))
        np.testing.assert_allclose(here, there, atol=1e-6)
    assert found.getPotentialEnergy()._value == pytest.approx(places.getPotentialEnergy()._value, abs=0.01)
    again.to(N_STEPS)
    again.bias.close()
    assert len(np.loadtxt("HILLS", ndmin=2)) == N_STEPS // PACE
    assert np.diff(np.loadtxt("COLVAR")[:, 0]) == pytest.approx(3 * 0.0005)


def test_another_model_is_refused(make_run, bundle, tmp_path):
    broken_off(make_run, text_of(bundle, "metadynamics"))
    other = Bundle(bundle.settings.model_copy(update={"standard_mean": 0.1}), bundle.model)
    export(other, tmp_path / "cv", dtype="float32")
    with pytest.raises(IdentityError, match=f"model {bundle.short_hash}, this run has model {other.short_hash}"):
        make_run("run", text_of(other, "metadynamics"), model=other)


@pytest.mark.parametrize("name", [*OUTPUTS, "run.checkpoint.diary", "run.checkpoint"])
def test_a_file_that_was_cut_is_named(name, make_run, bundle):
    text = text_of(bundle, "metadynamics")
    broken_off(make_run, text)
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=name):
        make_run("run", text)


def test_an_error_of_the_network_is_raised_as_itself(make_run, bundle):
    run = make_run("run", text_of(bundle, "metadynamics"))
    run.simulation.context.setVelocities(np.full((22, 3), 1e30))
    with pytest.raises(InputError, match=r"positions: NaN or infinity was given"):
        run.checkpoint.run(run.simulation, 50, interval=10)
