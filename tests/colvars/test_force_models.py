"""Models whose uncertainties are made of forces, against the networks that they hold."""

import numpy as np
import pytest

from uqcv.colvars.features import evaluation_graphs
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.potentials.potential import predict_with_forces


def test_the_energy_is_the_mean_of_the_networks(fitted, frames, molecule):
    bundle = fitted("ensemble", frames[:12], frames[24:30])
    ensemble = bundle.model.ensemble
    (graph,) = evaluation_graphs(ensemble.first, [molecule])
    species, vectors = ensemble.first.species(graph.numbers), graph.vectors()
    energies, forces = ensemble.energies_and_forces(species, vectors, graph.links)
    prediction, first = predict_with_forces(ensemble.first, graph)
    assert energies[0].sum().item() == pytest.approx(prediction.energies.item(), abs=1e-5)
    np.testing.assert_allclose(forces[0].detach(), first, atol=1e-5)
    assert (forces[1] - forces[0]).abs().max() > 1e-3, "members that are the same are no ensemble"
    evaluation = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions)
    assert evaluation.energy == pytest.approx(energies.sum(dim=1).mean().item(), abs=1e-4)
