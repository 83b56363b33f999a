"""The rival must be right to be fair: its forces, bias included, are the derivative of its energy."""

import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from uqcv.benchmarks import ensemble
from uqcv.benchmarks.ensemble import Ensemble, EnsembleForce, Loop, members_of
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.potentials.passes import AutogradPasses
from uqcv.simulation.force_functions import add_function
from uqcv.simulation.forces import bare_system

RESTRAINT = "u: EXTRACV NAME=u\nRESTRAINT ARG=u AT=0 KAPPA=30000\n"


@pytest.fixture
def cv(bundle, molecule) -> UncertaintyCV:
    return UncertaintyCV(bundle, molecule.numbers.tolist())


def test_members_are_evaluated_as_each_alone(cv, molecule):
    numbers = torch.as_tensor(molecule.numbers)
    members = members_of(cv.bundle.potential, numbers, torch.float64)
    graph = cv.graph_at(molecule.positions, np.zeros((3, 3)))
    energies = torch.stack([member.potential(graph).energies[0] for member in members])
    for form in (AutogradPasses(Ensemble(members)), Loop([AutogradPasses(member) for member in members])):
        (mean, deviation), _ = form.forward(graph.positions, graph.offsets, graph.links)
        mean, deviation = mean.detach(), deviation.detach()
        torch.testing.assert_close(mean, energies.mean())
        torch.testing.assert_close(deviation, energies.std())
        assert deviation > 0


@pytest.mark.parametrize("batched", [True, False])
def test_forces_are_the_derivative_through_openmm_and_plumed(
    cv, molecule, topology_path, assert_gradient, monkeypatch, tmp_path, batched
):
    monkeypatch.setattr(ensemble, "compiled_passes", lambda network, complete: AutogradPasses(network))
    pdb = app.PDBFile(str(topology_path))
    system = bare_system(pdb.topology)
    force = EnsembleForce(cv, RESTRAINT, molecule.masses, 5e-4, 300.0, tmp_path / "plumed.log", batched)
    add_function(system, force, periodic=False)
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatformByName("Reference"))

    def energy(positions: np.ndarray) -> float:
        context.setPositions(positions)
        return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)

    positions = molecule.positions * 0.1
    energy(positions)
    forces = context.getState(forces=True).getForces(asNumpy=True)
    gradient = -forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    assert abs(force.bridge.extra_forces[0]) > 1
    assert_gradient(energy, positions, gradient, step=1e-5)
    force.bridge.close()
