"""The model of one network: what it makes of the uncertainties of atoms."""

import numpy as np
import torch

from uqcv.colvars.features import evaluation_graphs


def test_the_mean_over_neighbours_by_hand(fitted, frames, molecule):
    bundle = fitted("gmm", frames[:12], frames[24:30])
    model, positions = bundle.model, molecule.positions
    (graph,) = evaluation_graphs(model.potential, [molecule])
    arguments = model.potential.species(graph.numbers), graph.vectors(), graph.links, model.members(graph.numbers)
    with torch.no_grad():
        found = model.atomic(*arguments)[1].numpy()
        model.uncertainty.neighbourhood = None
        own = model.atomic(*arguments)[1].numpy()
    model.uncertainty.neighbourhood = 2.5
    distances = np.linalg.norm(positions[:, None] - positions, axis=2)
    weights = np.where(distances < 2.5, 0.5 * (1 + np.cos(np.pi * distances / 2.5)), 0.0)
    assert (weights > 0).sum() > 4 * 22, "neighbours must be near enough to count"
    np.testing.assert_allclose(found, weights @ own / weights.sum(axis=1), rtol=1e-4)
