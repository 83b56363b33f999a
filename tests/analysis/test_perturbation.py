"""Free energies by perturbation, where they are known exactly."""

import numpy as np
import pytest

from uqcv.analysis.perturbation import local_minima, perturbed_map
from uqcv.units import BOLTZMANN, BOLTZMANN_KJMOL, KCALMOL_TO_EV

KT = BOLTZMANN * 300.0


def ones(n):
    return np.zeros(n)


def test_a_shift_of_one_bin_shifts_its_free_energy():
    """Against each other by the shift; all together as likely as before."""
    reference = np.array([[0.0, 3.0], [5.0, np.inf]])
    bins, shift = np.repeat([0, 1, 2], 4), 0.05
    found = perturbed_map(reference, bins, ones(12), np.where(bins == 1, shift, 0.0), 300.0)
    in_kjmol = shift / KCALMOL_TO_EV * 4.184
    assert found.values[0, 1] - found.values[0, 0] == pytest.approx(3.0 + in_kjmol)
    assert found.values[1, 0] - found.values[0, 0] == pytest.approx(5.0)
    kT = BOLTZMANN_KJMOL * 300.0
    before, after = (np.exp(-v.ravel()[:3] / kT).sum() for v in (reference, found.values))
    assert after == pytest.approx(before)
    assert np.isnan(found.values[1, 1]) and found.effective[1, 1] == 0
    np.testing.assert_allclose(found.effective.ravel()[:3], 1.0)


def test_a_harmonic_well_that_gets_stiffer():
    """F changes by kT/2 log(k'/k) against a bin that stays; samples are drawn under another weight on purpose."""
    random, k, stiffer, drawn = np.random.default_rng(0), 2.0, 3.0, 1.5
    x = random.normal(scale=np.sqrt(KT / drawn), size=200_000)
    log_weights = -0.5 * (k - drawn) * x**2 / KT
    bins = np.concatenate([np.zeros(len(x), dtype=int), [1]])
    differences = np.concatenate([0.5 * (stiffer - k) * x**2, [0.0]])
    reference = np.array([[0.0, 1.0], [np.inf, np.inf]])
    found = perturbed_map(reference, bins, np.append(log_weights, 0.0), differences, 300.0)
    expected = 1.0 - BOLTZMANN_KJMOL * 300.0 * 0.5 * np.log(stiffer / k)
    assert found.values[0, 1] - found.values[0, 0] == pytest.approx(expected, abs=0.01)
    assert 0.5 < found.effective[0, 0] < 1


def test_few_frames_that_carry_the_sum_are_seen():
    found = perturbed_map(np.zeros((1, 1)), np.zeros(100, dtype=int), ones(100), np.append(-20 * KT, ones(99)), 300.0)
    assert found.effective[0, 0] == pytest.approx(0.01, rel=1e-3)
    assert found.error(np.zeros((1, 1)), 10.0) == pytest.approx(0.0, abs=1e-12)


def test_minima_are_found_across_the_edge():
    values = np.full((6, 6), 9.0)
    values[0, 0], values[5, 5], values[3, 2] = 1.0, 2.0, 0.5
    assert local_minima(values, 5.0) == [(3, 2), (0, 0)]
    assert local_minima(values, 0.7) == [(3, 2)]
