"""Metrics against values that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.uncertainty.metrics import (
    coverage,
    gaussian_nll,
    miscalibration_area,
    retention_curve,
    retention_score,
    roc_auc,
    sharpness,
    spearman,
)

ERRORS = np.linspace(0.1, 1.0, 50)


def test_a_perfect_order():
    for uncertainties in (ERRORS, ERRORS**3, np.exp(10 * ERRORS)):
        assert spearman(uncertainties, ERRORS) == pytest.approx(1.0)
        assert roc_auc(uncertainties, ERRORS) == 1.0
    assert spearman(-ERRORS, ERRORS) == pytest.approx(-1.0)
    assert roc_auc(-ERRORS, ERRORS) == 0.0


def test_noise_is_chance():
    random = np.random.default_rng(0)
    u, e = random.normal(size=(2, 4000))
    assert abs(spearman(u, e)) < 0.06
    assert roc_auc(u, e) == pytest.approx(0.5, abs=0.05)


def test_spearman_by_hand():
    # ranks differ by 0, 1, 1, 0: 1 - 6 * 2 / (4 * 15)
    assert spearman([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]) == pytest.approx(0.8)


def test_roc_auc_by_hand():
    # the worst fifth is the last error; three of four others are less uncertain than it
    assert roc_auc([1.0, 2.0, 9.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4, 5.0]) == pytest.approx(0.75)


def test_errors_without_a_worst_part():
    assert np.isnan(roc_auc([1.0, 2.0, 3.0], [0.5, 0.5, 0.5]))


def test_coverage_by_hand():
    assert coverage([1.0, 1.0, 1.0, 1.0], [0.5, 1.0, 1.1, 2.0]) == 0.5


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.floats(0, 5))
def test_more_uncertainty_covers_no_less(errors, more):
    calibrated = np.full(len(errors), 3.0)
    assert 0.0 <= coverage(calibrated, errors) <= coverage(calibrated + more, errors) <= 1.0


def test_deviations_that_are_right_are_calibrated():
    random = np.random.default_rng(0)
    deviations = random.uniform(0.01, 0.2, 20_000)
    residuals = deviations * random.normal(size=len(deviations))
    assert miscalibration_area(residuals, deviations) < 0.01
    # Deviations that are far too small or too large: no interval holds anything, or all.
    assert miscalibration_area(residuals, 1e-6 * deviations) == pytest.approx(0.5, abs=0.01)
    assert miscalibration_area(residuals, 1e6 * deviations) == pytest.approx(0.5, abs=0.01)


def test_the_miscalibration_area_by_hand():
    # All residuals lie at one deviation: none is within intervals below 68.3 %, all are above.
    share = 0.682689
    expected = share**2 / 2 + (1 - share) ** 2 / 2
    assert miscalibration_area(np.ones(50), np.ones(50)) == pytest.approx(expected, abs=0.005)


def test_the_likelihood_by_hand():
    expected = np.mean([0.5 * np.log(2 * np.pi * s**2) + 0.5 * (r / s) ** 2 for r, s in ((0.1, 0.2), (-0.3, 0.1))])
    assert gaussian_nll([0.1, -0.3], [0.2, 0.1]) == pytest.approx(expected)


def test_sharpness_by_hand():
    assert sharpness([0.3, 0.4]) == pytest.approx(np.sqrt(0.125))


def test_the_retention_curve_by_hand():
    curve = retention_curve([3.0, 1.0, 2.0, 4.0], [0.3, 0.1, 0.5, 0.7])
    np.testing.assert_allclose(curve.shares, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.errors, [0.1, 0.3, 0.3, 0.4])


def test_the_retention_score_of_perfect_orders_and_of_noise():
    assert retention_score(ERRORS**2, ERRORS) == pytest.approx(1.0)
    assert retention_score(-ERRORS, ERRORS) < 0
    random = np.random.default_rng(0)
    assert abs(retention_score(random.normal(size=4000), random.exponential(size=4000))) < 0.1
    assert np.isnan(retention_score(ERRORS, np.ones(50)))


@given(st.lists(st.floats(0.01, 10), min_size=3, max_size=30, unique=True), st.integers(0, 9))
def test_metrics_of_order_see_nothing_but_order(errors, seed):
    uncertainties = np.random.default_rng(seed).permutation(len(errors)) + 1.0
    for metric in (spearman, roc_auc, retention_score):
        assert metric(np.log(uncertainties), errors) == pytest.approx(metric(uncertainties, errors), nan_ok=True)
