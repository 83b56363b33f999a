"""What is fused, what is not, and that fused and unfused are the same dynamics through the real engines."""

from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from uqcv.colvars.export import export, module_name
from uqcv.colvars.uncertainty_cv import shared_cv
from uqcv.errors import PlumedInputError
from uqcv.simulation.forces import add_plumed, add_potential, bare_system
from uqcv.simulation.fusing import FusedInput, NotFused, fuse
from uqcv.simulation.plumed_input import import_modules

COMPONENTS = ("mean", "smooth_max")
ACTIONS = {
    "metad": "METAD ARG=u.py-mean SIGMA=0.1 HEIGHT=3 PACE=5 BIASFACTOR=8 TEMP=300 FILE=HILLS FMT=%25.17g",
    "opes": "OPES_METAD ARG=u.py-smooth-max PACE=5 BARRIER=20 TEMP=300 SIGMA=0.1 FILE=KERNELS FMT=%25.17g",
    "wall": "UPPER_WALLS ARG=u.py-mean AT=0.2 KAPPA=300",
    "two_components": "RESTRAINT ARG=u.py-mean,u.py-smooth-max AT=0.1,0.2 KAPPA=100,200",
    "calibrated": "RESTRAINT ARG=u.py-error AT=0 KAPPA=50",
    "custom": "c: CUSTOM ARG=u.py-mean,t FUNC=x*x+cos(y) PERIODIC=NO\nRESTRAINT ARG=c AT=0 KAPPA=30",
    "lagrangian": (
        "ext: EXTENDED_LAGRANGIAN ARG=u.py-mean KAPPA=1000 TAU=0.05 FRICTION=10 TEMP=300\n"
        "METAD ARG=ext.u.py-mean_fict SIGMA=0.1 HEIGHT=3 PACE=5 FILE=HILLS"
    ),
}


@pytest.fixture
def here(tmp_path, monkeypatch, bundle) -> Path:
    monkeypatch.chdir(tmp_path)
    export(bundle, tmp_path / "cv", components=COMPONENTS)
    return tmp_path


def text_of(bundle, action: str) -> str:
    return f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\nt: TORSION ATOMS=5,7,9,15\n{action}\n"


@pytest.fixture
def fused_or_not(here, bundle, molecule):
    """Call `fuse` on a text whose module is imported, for the network of the bundle."""
    cv = shared_cv(bundle, molecule.numbers.tolist(), [False] * 3, torch.float64, "cpu")

    def of(text: str) -> FusedInput | NotFused:
        import_modules(text, here / "cv")
        return fuse(text, cv)

    return of


def simulate(bundle, topology_path, start, text: str, fused: bool, n_steps: int) -> np.ndarray:
    """Positions (nm) after each of `n_steps`."""
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, torch.float64)
    bias = add_plumed(system, pdb.topology, text, 300.0, 0.5, "cv", network=network, fused=fused)
    assert (network.fused is bias) == fused
    assert system.getNumForces() == (1 if fused else 2)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(7)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(start.positions * 0.1)
    context.setVelocitiesToTemperature(300.0, 7)
    positions = []
    for _ in range(n_steps):
        integrator.step(1)
        positions.append(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    bias.close()
    return np.array(positions)


@pytest.mark.parametrize("name", ["metad", *(pytest.param(n, marks=pytest.mark.slow) for n in ("opes", "wall"))])
def test_fused_and_unfused_trajectories_and_hills(name, here, bundle, topology_path, frames):
    text, results, hills = text_of(bundle, ACTIONS[name]), [], []
    for fused in (False, True):
        results.append(simulate(bundle, topology_path, frames[0], text, fused, 200))
        for path in [p for n in ("HILLS", "KERNELS") if (p := Path(n)).is_file()]:
            hills.append(np.loadtxt(path))
            path.unlink()
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)
    free = simulate(bundle, topology_path, frames[0], "t: TORSION ATOMS=5,7,9,15\n", False, 200)
    assert np.abs(results[0] - free).max() > 1e-4, "the bias must have done something"
    if hills:
        assert len(hills[0]) >= 30
        np.testing.assert_allclose(hills[1], hills[0], rtol=1e-8)


@pytest.mark.parametrize("name", [n for n in ACTIONS if n != "opes"])
def test_fused_forces_are_those_of_the_energy(name, here, bundle, topology_path, frames, assert_gradient):
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, torch.float64)
    add_plumed(system, pdb.topology, text_of(bundle, ACTIONS[name]), 300.0, 0.5, "cv", network=network, fused=True)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.0005), openmm.Platform.getPlatformByName("Reference")
    )  # fmt: skip
    start = frames[1].positions * 0.1

    def energy(positions) -> float:
        context.setPositions(positions)
        return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)

    context.setPositions(start)
    forces = context.getState(forces=True).getForces(asNumpy=True)
    assert_gradient(energy, start, -forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer), 1e-5)


def test_names_and_the_rest_of_the_input(fused_or_not, bundle):
    text = f"""LOAD FILE=Other.so  # u.py-mean in a comment
PYCVINTERFACE ...
  LABEL=u ATOMS=1-11,12-22
  IMPORT={module_name(bundle)}
... PYCVINTERFACE
uu: DISTANCE ATOMS=1,2
PRINT ARG=u.py-mean,uu,u.py-smooth-max FILE=COLVAR
"""
    fused = fused_or_not(text)
    assert isinstance(fused, FusedInput)
    assert fused.components == {"u_mean": "mean", "u_smooth_max": "smooth-max"}
    lines = [line for line in fused.text.splitlines() if line.strip()]
    assert [line.split("#")[0].strip() for line in lines] == [
        "LOAD FILE=Other.so", "u_mean: EXTRACV NAME=u_mean", "u_smooth_max: EXTRACV NAME=u_smooth_max",
        "uu: DISTANCE ATOMS=1,2", "PRINT ARG=u_mean,uu,u_smooth_max FILE=COLVAR",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("ATOMS=1-22", "ATOMS=2-22,1"), "not all atoms"),
        (("ATOMS=1-22", "ATOMS=@mdatoms"), "not all atoms"),
        (("IMPORT", "NUMERICAL=1 IMPORT"), "has NUMERICAL"),
        (("ARG=u.py-mean", "ARG=u.*"), "none of u are used"),
        (("ARG=u.py-mean", "ARG=u.py-mean,u"), "otherwise than by the names"),
        (("ARG=u.py-mean", "ARG=u.py-max"), "components max of u"),
        (("t:", "v: PYCVINTERFACE ATOMS=1-22 IMPORT={module}\nt:"), "several"),
        (("u: ", ""), "no label"),
    ],
)
def test_what_is_not_fused_says_why(change, reason, fused_or_not, bundle):
    text = text_of(bundle, ACTIONS["wall"])
    changed = text.replace(change[0], change[1].format(module=module_name(bundle)), 1)
    assert changed != text
    found = fused_or_not(changed)
    assert isinstance(found, NotFused) and reason in found.reason


def test_another_precision_falls_back_or_is_refused(here, bundle, topology_path, capfd):
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, torch.float32)
    text = text_of(bundle, ACTIONS["wall"])
    with pytest.raises(PlumedInputError, match="cannot be fused: the PyCV is of another bundle, precision"):
        add_plumed(system, pdb.topology, text, 300.0, 0.5, "cv", network=network, fused=True)
    bias = add_plumed(system, pdb.topology, text, 300.0, 0.5, "cv", network=network)
    assert bias.fused is None and network.fused is None and system.getNumForces() == 2
    assert "not fused with the network" in capfd.readouterr().err
    bias.close()


def test_an_input_without_uncertainty_is_not_fused_without_a_word(here, bundle, topology_path, capfd):
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, torch.float64)
    text = "t: TORSION ATOMS=5,7,9,15\nRESTRAINT ARG=t AT=1 KAPPA=10\n"
    bias = add_plumed(system, pdb.topology, text, 300.0, 0.5, network=network)
    assert bias.fused is None and "fused" not in capfd.readouterr().err
    bias.close()
    with pytest.raises(PlumedInputError, match="it is not on an uncertainty"):
        add_plumed(system, pdb.topology, text, 300.0, 0.5, network=network, fused=True)


def test_an_input_with_units_falls_back_to_the_same_dynamics(here, bundle, topology_path, frames, fused_or_not):
    """PLUMED converts what PyCV gives it, but not the value and the force of an EXTRACV."""
    kj = text_of(bundle, "RESTRAINT ARG=u.py-mean AT=0 KAPPA=418.4")
    kcal = "UNITS ENERGY=kcal/mol TIME=fs\n" + text_of(bundle, "RESTRAINT ARG=u.py-mean AT=0 KAPPA=100")
    found = fused_or_not(kcal)
    assert isinstance(found, NotFused) and "UNITS" in found.reason
    fused = simulate(bundle, topology_path, frames[0], kj, True, 20)
    np.testing.assert_allclose(simulate(bundle, topology_path, frames[0], kcal, False, 20), fused, atol=1e-8)


def test_units_of_length_are_refused(here, bundle, topology_path):
    """PyCV gets positions in the unit of the input and cannot know it."""
    pdb = app.PDBFile(str(topology_path))
    text = "UNITS LENGTH=A\n" + text_of(bundle, ACTIONS["wall"])
    with pytest.raises(PlumedInputError, match=r"UNITS LENGTH=A .* nm is expected"):
        add_plumed(bare_system(pdb.topology), pdb.topology, text, 300.0, 0.5, "cv")


def test_a_label_that_is_taken_is_not_fused(fused_or_not, bundle):
    found = fused_or_not(text_of(bundle, "u_mean: DISTANCE ATOMS=1,2\nRESTRAINT ARG=u.py-mean AT=0 KAPPA=1"))
    assert isinstance(found, NotFused) and "u_mean" in found.reason


def test_a_second_bias_stays_a_force_of_its_own(here, bundle, topology_path, frames, capfd):
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, torch.float64)
    text = text_of(bundle, ACTIONS["wall"])
    first, second = (add_plumed(system, pdb.topology, text, 300.0, 0.5, "cv", network=network) for _ in range(2))
    assert network.fused is first and second.fused is None and system.getNumForces() == 2
    assert "another bias is fused" in capfd.readouterr().err
    context = openmm.Context(system, openmm.VerletIntegrator(1e-4), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(frames[0].positions * 0.1)
    context.getState(energy=True)
    assert first.bias == pytest.approx(second.bias) and first.bias > 0
