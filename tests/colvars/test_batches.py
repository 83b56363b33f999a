"""A batch says what the CV of a simulation says of each structure, with the same derivatives."""

import numpy as np
import pytest
import torch

from uqcv.colvars.batches import BatchedUncertainty, evaluate_batches
from uqcv.colvars.fitting import evaluate_frames
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError, UnknownElementError
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import GLOBAL_POOLINGS


def both(bundle, structures, component):
    """Energies, uncertainties and gradients of U by a batch, and one by one."""
    positions = torch.tensor(np.stack([s.positions for s in structures]), requires_grad=True)
    energies, uncertainties = BatchedUncertainty(bundle, structures, component)(positions)
    (gradient,) = torch.autograd.grad(uncertainties.sum(), positions)
    cv = UncertaintyCV(bundle, structures[0].numbers.tolist(), structures[0].pbc.tolist())
    single = [cv.evaluate(s.positions, s.cell) for s in structures]
    yield energies.detach().numpy(), np.array([e.energy for e in single])
    yield uncertainties.detach().numpy(), np.array([e.value(component) for e in single])
    yield gradient.numpy(), np.stack([e.gradient(component) for e in single])


@pytest.mark.parametrize("component", GLOBAL_POOLINGS)
def test_molecules(bundle, frames, component):
    for found, expected in both(bundle, frames[:5], component):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("component", GLOBAL_POOLINGS)
def test_crystals_in_cells_of_their_own(crystal_bundle, crystals, component):
    assert not np.allclose(crystals[0].cell, crystals[1].cell)
    for found, expected in both(crystal_bundle, crystals[:4], component):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_many_structures_go_in_batches(bundle, frames):
    counts = []
    many = [*frames, *frames]  # several batches, the last one not full
    energies, uncertainties = evaluate_batches(bundle, many, "smooth_max", lambda done, note: counts.append(done))
    expected = evaluate_frames(bundle, frames, forces=False)
    np.testing.assert_allclose(energies, np.tile(expected.energies, 2), rtol=1e-9)
    np.testing.assert_allclose(uncertainties, np.tile(expected.pooled["smooth_max"], 2), rtol=1e-9)
    assert counts == [16, 32, 48, 64, 72]
    assert [len(values) for values in evaluate_batches(bundle, [])] == [0, 0]


def test_what_cannot_be_asked(bundle, frames):
    with pytest.raises(InputError, match="local_mean_max was given for a batch; one of mean, max, smooth_max"):
        BatchedUncertainty(bundle, frames[:1], "local_mean_max")
    with pytest.raises(UnknownElementError):
        BatchedUncertainty(bundle, [Structure(np.array([79, 79]), np.array([[0.0, 0, 0], [0, 0, 2.5]]))])
