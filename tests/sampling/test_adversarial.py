"""The attack: where it must climb to is known."""

import numpy as np
import pytest
import torch

from uqcv.colvars.batches import BatchedUncertainty
from uqcv.sampling.adversarial import attack, log_likelihood_times_uncertainty
from uqcv.sampling.coordinates import AtomDisplacements


def wells(positions):
    """One atom in a harmonic well with an uncertainty of exp(x): the maximum of p U is at x = kT / k."""
    x = positions[:, 0]
    return 0.5 * 3.0 * (x**2).sum(dim=1), torch.exp(x[:, 0])


def test_it_climbs_to_the_maximum_of_likelihood_times_uncertainty():
    start = torch.zeros(4, 1, 3, dtype=torch.float64)
    first = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 1, 3)
    found = attack(wells, AtomDisplacements(start), first, 0.6, 2000, 0.01)
    expected = torch.tensor([0.2, 0.0, 0.0], dtype=torch.float64).expand(4, 1, 3)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_structures_do_not_know_of_one_another():
    start = torch.zeros(3, 1, 3, dtype=torch.float64)
    first = torch.linspace(-1, 1, 9, dtype=torch.float64).reshape(3, 1, 3)
    together = attack(wells, AtomDisplacements(start), first, 0.6, 20, 0.01)
    alone = attack(wells, AtomDisplacements(start[:1]), first[:1], 0.6, 20, 0.01)
    torch.testing.assert_close(together[:1], alone)


def test_what_is_climbed_is_the_logarithm_of_the_product():
    energies, uncertainties = torch.tensor([0.3, 0.5]).double(), torch.tensor([0.7, 2.0]).double()
    product = torch.exp(-energies / 0.1) * uncertainties
    found = log_likelihood_times_uncertainty(energies, uncertainties, 0.1)
    torch.testing.assert_close(found, product.log())


@pytest.mark.parametrize("component", ["mean", "smooth_max"])
def test_it_climbs_on_a_real_model(bundle, frames, component):
    batch = frames[:6]
    positions = torch.tensor(np.stack([s.positions for s in batch]))
    evaluate = BatchedUncertainty(bundle, batch, component)
    coordinates = AtomDisplacements(positions)
    first = 0.01 * torch.tensor(np.random.default_rng(0).normal(size=coordinates.shape))
    found = attack(evaluate, coordinates, first, 0.1, 30, 0.005)

    def height(displacements):
        return log_likelihood_times_uncertainty(*evaluate(coordinates(displacements)), 0.1)

    assert (height(found) > height(first)).all()
