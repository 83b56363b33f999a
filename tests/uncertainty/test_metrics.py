"""Metrics against values that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.uncertainty.metrics import coverage, roc_auc, spearman

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
