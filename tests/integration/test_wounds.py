"""What users of PLUMED in OpenMM have reported: it happens to a naive coupling, and not to ours.

Numbers are those of issues of openmm/openmm-plumed and plumed/plumed2.
"""

from pathlib import Path

import numpy as np
import openmm
import pytest
from naive_bridge import add_naive_plumed
from openmm import app

from uqcv.errors import InputError
from uqcv.labeling.openmm_forcefield import langevin
from uqcv.simulation.checkpoint import Checkpoint
from uqcv.simulation.forces import add_plumed

PACE = 10
TEXT = f"""phi: TORSION ATOMS=5,7,9,15
metad: METAD ARG=phi SIGMA=0.3 HEIGHT=5 PACE={PACE} BIASFACTOR=8 TEMP=300 FMT=%25.17g
PRINT ARG=phi,metad.bias STRIDE=5 FILE=COLVAR FMT=%25.17g
FLUSH STRIDE=1
"""
BIAS = 31  # force group
naive_and_ours = pytest.mark.parametrize("is_naive", [True, False], ids=["naive", "ours"])


class Coupled:
    """Alanine dipeptide with its force field, under metadynamics; by the naive coupling or by ours."""

    def __init__(self, force_field, is_naive: bool, text: str = TEXT, is_late: bool = False) -> None:
        self.system, self._force_field = force_field.create_system(), force_field
        if is_late:
            self.simulation = self._simulate()
        if is_naive:
            self._kernel = add_naive_plumed(self.system, text)
            self.close = self._kernel.finalize
        else:
            self.bias = add_plumed(self.system, force_field.topology, text, 300, 0.5)
            self.close = self.bias.close
        self.system.getForce(self.system.getNumForces() - 1).setForceGroup(BIAS)
        if not is_late:
            self.simulation = self._simulate()
        self.context = self.simulation.context

    def _simulate(self) -> app.Simulation:
        platform = openmm.Platform.getPlatformByName("Reference")
        integrator = langevin(300, 0.01, 0.5, seed=1)
        simulation = app.Simulation(self._force_field.topology, self.system, integrator, platform)
        simulation.context.setPositions(self._force_field.structure.positions * 0.1)
        simulation.context.setVelocitiesToTemperature(300, 1)
        return simulation

    def energy(self) -> float:
        """Return the bias, kJ/mol."""
        return self.context.getState(energy=True, groups={BIAS}).getPotentialEnergy()._value

    def positions(self) -> np.ndarray:
        return np.array(self.context.getState(positions=True).getPositions(asNumpy=True)._value)


@pytest.fixture
def couple(force_field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **options: Coupled(force_field, *arguments, **options)


def column(name: str, k: int) -> np.ndarray:
    return np.loadtxt(name, ndmin=2)[:, k]


@naive_and_ours
def test_openmm_plumed_91_energies_asked_twice(couple, is_naive):
    run = couple(is_naive)
    run.simulation.step(PACE)
    first, second = run.energy(), run.energy()
    run.simulation.step(PACE)
    run.close()
    hills = len(column("HILLS", 0))
    if is_naive:
        assert first != second and hills > 1
    else:
        assert first == second and hills == 1


@naive_and_ours
def test_openmm_plumed_64_hills_where_an_energy_was_asked_for(couple, is_naive):
    run = couple(is_naive)
    run.simulation.step(PACE)
    here, there = run.positions(), run.positions()
    there[:9] = -there[:9] + 2 * there[8]  # another phi
    run.context.setPositions(there)
    run.energy()
    run.context.setPositions(here)
    run.simulation.step(1)
    run.close()
    deposited, passed = column("HILLS", 1), column("COLVAR", 1)[-1]
    if is_naive:
        assert not np.isclose(deposited, passed).all()
    else:
        np.testing.assert_array_equal(deposited, [passed])


def naive_restart(couple) -> tuple[float, float]:
    """Return the bias at a checkpoint, and after a restart from it as the manuals say."""
    run = couple(True)
    run.simulation.step(3 * PACE - 5)
    saved, before = run.context.createCheckpoint(), run.energy()
    run.simulation.step(2 * PACE)  # killed
    again = couple(True, text=f"RESTART\n{TEXT}")
    again.context.loadCheckpoint(saved)
    after = again.energy()
    again.simulation.step(PACE)
    again.close()
    return before, after


def our_restart(couple) -> tuple[float, float]:
    run = couple(False)
    checkpoint = Checkpoint("run.checkpoint", run.context, None, run.bias)
    checkpoint.start()
    checkpoint.run(run.simulation, 3 * PACE - 5, interval=3 * PACE - 5)
    before = run.energy()
    run.simulation.step(2 * PACE)  # killed
    again = couple(False)
    Checkpoint("run.checkpoint", again.context, None, again.bias).start()
    after = again.energy()
    again.simulation.step(PACE)
    again.close()
    return before, after


@naive_and_ours
def test_openmm_plumed_86_another_bias_after_a_restart(couple, is_naive):
    before, after = naive_restart(couple) if is_naive else our_restart(couple)
    assert (before != after) if is_naive else (before == after > 0)


@naive_and_ours
def test_plumed2_37_lines_twice_after_a_restart(couple, is_naive):
    (naive_restart if is_naive else our_restart)(couple)
    for name in ("COLVAR", "HILLS"):
        steps = np.diff(column(name, 0))
        assert (steps <= 0).any() if is_naive else (np.isclose(steps, steps[0])).all(), name


@naive_and_ours
def test_openmm_plumed_48_a_bias_that_was_added_too_late(couple, is_naive):
    if not is_naive:
        with pytest.raises(InputError, match="add it first, then make the Context"):
            couple(False, is_late=True)
        return
    run = couple(True, is_late=True)
    run.simulation.step(2 * PACE)
    run.close()
    assert run.energy() == 0 and Path("HILLS").read_text().count("\n") < 5, "no more than a header"


def test_minimisations_deposit_nothing(couple):
    run = couple(False)
    run.simulation.step(PACE + 1)
    held = run.energy()
    state = run.context.getState(positions=True, velocities=True)
    openmm.LocalEnergyMinimizer.minimize(run.context, maxIterations=20)
    run.context.setState(state)
    assert run.energy() == held > 0
    run.simulation.step(PACE)
    run.close()
    assert len(column("HILLS", 0)) == 2
    np.testing.assert_allclose(np.diff(column("COLVAR", 0)), 5 * 0.0005, rtol=1e-9)
