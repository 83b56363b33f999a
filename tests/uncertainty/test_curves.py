"""Curves of calibration: positive, never falling, with slopes and inverses that are theirs."""

import numpy as np
import pytest
from drawn_errors import KINDS, draw, of_every_kind
from hypothesis import given
from hypothesis import strategies as st

from uqcv.uncertainty.calibration import CalibrationSettings, fit_calibration
from uqcv.uncertainty.curves import ElementCalibration, LinearCalibration


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_it_rises_with_the_uncertainty(a, b):
    calibrated = fit_calibration(*draw(np.random.default_rng(0), 50))
    low, high = calibrated([min(a, b), max(a, b)])
    assert 0 < low <= high


def test_the_slope_is_the_derivative():
    calibrated = fit_calibration(*draw(np.random.default_rng(0), 50))
    for u in (calibrated.minimum - 1.0, calibrated.minimum + 0.01, 3.0, 50.0):
        difference = (calibrated(u + 1e-4) - calibrated(u - 1e-4)) / 2e-4
        assert calibrated.slope(u) == pytest.approx(float(difference), rel=1e-8, abs=1e-12)
    assert calibrated.slope(3.0) > 0 == calibrated.slope(calibrated.minimum - 1.0)


@pytest.mark.parametrize("u", [-3.0, 0.4, 1.2, 3.0, 5.5, 60.0])
@of_every_kind
def test_every_slope_is_the_derivative(settings, u):
    calibrated = fit_calibration(*draw(np.random.default_rng(0), 80), settings)
    difference = (calibrated(u + 1e-6) - calibrated(u - 1e-6)) / 2e-6
    assert calibrated.slope(u) == pytest.approx(float(difference), rel=1e-6, abs=1e-9)


@given(st.floats(0.001, 3.0), st.sampled_from(KINDS))
def test_the_inverse_is_the_largest_that_is_allowed(error, kind):
    calibrated = fit_calibration(*draw(np.random.default_rng(0), 80), kind)
    largest = calibrated.inverse(error)
    assert calibrated(largest) <= error * (1 + 1e-9) or error < float(calibrated(-100.0))
    assert calibrated(largest + 1e-3) > error * (1 - 1e-9)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=20), st.sampled_from(KINDS))
def test_none_ever_falls(values, kind):
    calibrated = fit_calibration(*draw(np.random.default_rng(1), 60), kind)(np.sort(values))
    assert (calibrated > 0).all() and (np.diff(calibrated) >= 0).all()


def test_beyond_what_was_seen_the_isotonic_curve_rises():
    u, e = draw(np.random.default_rng(0), 80)
    calibrated = fit_calibration(u, e, CalibrationSettings(kind="isotonic"))
    assert calibrated(2 * u.max()) > 1.2 * calibrated(u.max())


@of_every_kind
def test_a_calibration_survives_json(settings):
    calibrated = fit_calibration(*draw(np.random.default_rng(0), 80), settings)
    assert type(calibrated).model_validate_json(calibrated.model_dump_json()) == calibrated


def test_atoms_are_calibrated_as_their_element_is():
    curves = {z: LinearCalibration(q=q, minimum=0.0, floor=1.0, coverage=0.9, n=40) for z, q in ((0, 1.0), (6, 2.0))}
    calibrated = ElementCalibration(elements={6: curves[6]}, others=curves[0])
    u = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    np.testing.assert_array_equal(calibrated(u, [1, 6, 8]), [[1.0, 4.0, 3.0], [4.0, 10.0, 6.0]])
