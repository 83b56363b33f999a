"""Conformal calibration covers what it promises, and does not depend on the luck of the draw."""

import numpy as np
import pytest
from drawn_errors import draw, of_every_kind
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from uqcv.errors import InputError
from uqcv.uncertainty.calibration import (
    FEWEST_ATOMS,
    CalibrationSettings,
    conformal_rank,
    fit_by_element,
    fit_calibration,
    likeliest_line,
)
from uqcv.uncertainty.metrics import coverage


def naive(u: np.ndarray, e: np.ndarray, share: float = 0.9) -> float:
    """q of the method's published code: no floor, so the frame nearest to U_min decides."""
    ratios = np.sort(e[u > u.min()] / (u - u.min())[u > u.min()])
    return float(ratios[conformal_rank(len(ratios), share) - 1])


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_coverage_on_exchangeable_data(share):
    # Many draws of a calibration set, one test frame each: the covered ones are binomial.
    random, n_draws, n = np.random.default_rng(0), 3000, 60
    covered = 0
    for _ in range(n_draws):
        u, e = draw(random, n + 1)
        calibrated = fit_calibration(u[:n], e[:n], CalibrationSettings(coverage=share))
        covered += bool(e[n] <= calibrated(u[n]))
    expected = conformal_rank(n, share) / (n + 1)
    deviation = np.sqrt(expected * (1 - expected) / n_draws)
    assert abs(covered / n_draws - expected) < 3.5 * deviation
    assert share <= expected < share + 1 / n


def test_the_coverage_is_for_any_relation_of_error_and_uncertainty():
    random, n_draws, n = np.random.default_rng(1), 1500, 60
    covered = 0
    for _ in range(n_draws):
        u, e = random.normal(size=n + 1), random.pareto(2.0, size=n + 1)
        covered += bool(e[n] <= fit_calibration(u[:n], e[:n])(u[n]))
    assert abs(covered / n_draws - 55 / 61) < 3.5 * np.sqrt(0.9 * 0.1 / n_draws)


def test_the_floor_makes_q_stable():
    # Many frames near the minimum, as after training on all that was found; where few are (a normal distribution),
    # the naive q is only 1.5 to 2 times as unstable.
    ours, theirs = [], []
    for seed in range(6):
        random = np.random.default_rng(seed)
        u, e = draw(random, 50, freedom=2)
        chosen = [random.integers(0, 50, 50) for _ in range(200)]
        ours.append(np.std([np.log(fit_calibration(u[c], e[c]).q) for c in chosen]))
        theirs.append(np.std([np.log(naive(u[c], e[c])) for c in chosen]))
    assert np.mean(ours) < 0.25
    assert np.mean(theirs) > 2.5 * np.mean(ours)


def test_one_frame_near_the_minimum_does_not_decide():
    u, e = draw(np.random.default_rng(2), 100)
    near = u.copy()
    order = np.argsort(u)
    near[order[1:12]] = u.min() + 1e-6 * np.arange(1, 12)
    ratio = fit_calibration(near, e).q / fit_calibration(u, e).q
    assert 0.5 < ratio < 2.0
    assert naive(near, e) > 1000 * naive(u, e)


def test_q_is_the_quantile_by_hand():
    u, e = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.1, 0.4, 0.3, 0.2])
    calibrated = fit_calibration(u, e, CalibrationSettings(coverage=0.6))
    floor = np.sqrt(1.25)
    ratios = sorted([0.1 / floor, 0.4 / (1 + floor), 0.3 / (2 + floor), 0.2 / (3 + floor)])
    assert calibrated.minimum == 1.0 and calibrated.floor == pytest.approx(floor)
    assert calibrated.q == pytest.approx(ratios[2])  # the third of four: ceil(5 * 0.6) = 3
    np.testing.assert_allclose(calibrated([0.0, 1.0, 2.0]), calibrated.q * np.array([floor, floor, 1 + floor]))


def test_its_own_frames_are_covered():
    u, e = draw(np.random.default_rng(3), 200)
    for share in (0.5, 0.8, 0.95):
        calibrated = fit_calibration(u, e, CalibrationSettings(coverage=share))
        assert coverage(calibrated(u), e) == pytest.approx(conformal_rank(200, share) / 200)


@given(st.integers(1, 500), st.floats(0.01, 0.99))
def test_rank(n, share):
    rank = conformal_rank(n, share)
    assert 1 <= rank <= n
    assert rank == n or rank / (n + 1) >= share - 1e-12


def test_equal_uncertainties_are_no_division_by_zero():
    calibrated = fit_calibration([2.0] * 20, np.linspace(0, 1, 20))
    assert np.isfinite(calibrated([2.0, 5.0])).all()
    assert calibrated(2.0) == pytest.approx(np.linspace(0, 1, 20)[18])


@pytest.mark.parametrize(
    ("u", "e", "words"),
    [
        ([], [], r"\(0,\) uncertainties and \(0,\) errors"),
        ([1.0, 2.0], [1.0], r"\(2,\) uncertainties and \(1,\) errors"),
        ([[1.0]], [[1.0]], r"expected \(n,\) twice"),
        ([1.0, np.nan], [1.0, 1.0], "NaN or infinity"),
        ([1.0, 2.0], [1.0, np.inf], "NaN or infinity"),
    ],
)
def test_errors(u, e, words):
    with pytest.raises(InputError, match=words):
        fit_calibration(u, e)


def test_settings_are_strict():
    for bad in ({"coverage": 1.0}, {"coverage": 0.0}, {"level": 0.9}):
        with pytest.raises(ValidationError):
            CalibrationSettings(**bad)


@of_every_kind
def test_every_kind_covers_its_own_frames(settings):
    u, e = draw(np.random.default_rng(3), 200)
    assert coverage(fit_calibration(u, e, settings)(u), e) == pytest.approx(conformal_rank(200, 0.9) / 200)


@of_every_kind
def test_every_kind_covers_new_frames(settings):
    random, covered = np.random.default_rng(4), []
    for _ in range(150):
        u, e = draw(random, 400)
        covered.append(coverage(fit_calibration(u[:300], e[:300], settings)(u[300:]), e[300:]))
    # Shapes that are fitted to the errors give away a little: the isotonic one most, whose knots are many.
    assert np.mean(covered) == pytest.approx(0.9, abs=0.025 if settings.kind == "isotonic" else 0.006)


def test_the_likeliest_line_is_the_one_that_errors_were_drawn_from():
    random = np.random.default_rng(0)
    u = random.uniform(0, 10, 100_000)
    slope, intercept = likeliest_line(u, np.abs(random.normal(size=len(u))) * (0.02 * u + 0.05))
    assert slope == pytest.approx(0.02, rel=0.02) and intercept == pytest.approx(0.05, rel=0.02)


def test_an_element_of_few_atoms_is_calibrated_with_all():
    numbers = np.repeat([1, 6, 8], [60, FEWEST_ATOMS, FEWEST_ATOMS - 1])
    u, e = draw(np.random.default_rng(0), len(numbers))
    calibrated = fit_by_element(u, e, numbers)
    assert set(calibrated.elements) == {1, 6} and calibrated.others == fit_calibration(u, e)
    assert calibrated.elements[6] == fit_calibration(u[numbers == 6], e[numbers == 6])
