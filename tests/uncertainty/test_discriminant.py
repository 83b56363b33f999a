"""Directions along which structures differ more than they vibrate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.errors import InputError
from uqcv.uncertainty.discriminant import discriminant_directions

seeds = st.integers(0, 2**31 - 1)


def example(seed: int, n_features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Features and the covariance of their vibration, neither round."""
    random = np.random.default_rng(seed)
    mixing, noise = random.normal(size=(2, n_features, n_features))
    return random.normal(size=(60, n_features)) @ mixing, noise @ noise.T + 0.1 * np.eye(n_features)


def ratio(direction: np.ndarray, features: np.ndarray, vibration: np.ndarray) -> float:
    return (features @ direction).var() / (direction @ vibration @ direction)


@given(seed=seeds)
@settings(deadline=None)
def test_no_direction_has_a_larger_ratio_than_the_first(seed):
    features, vibration = example(seed)
    directions = discriminant_directions(features, vibration, 5)
    ratios = [ratio(d, features, vibration) for d in directions.T]
    assert ratios == sorted(ratios, reverse=True)
    others = np.random.default_rng(seed).normal(size=(200, 5))
    assert max(ratio(d, features, vibration) for d in others) <= ratios[0] * (1 + 1e-6)


@given(seed=seeds)
@settings(deadline=None)
def test_vibration_has_unit_variance_along_each_and_they_are_uncorrelated(seed):
    features, vibration = example(seed)
    directions = discriminant_directions(features, vibration, 3)
    assert directions.shape == (5, 3)
    np.testing.assert_allclose(directions.T @ vibration @ directions, np.eye(3), atol=1e-4)
    covariance = np.cov((features @ directions).T, bias=True)
    np.testing.assert_allclose(covariance, np.diag(covariance.diagonal()), atol=1e-6 * covariance.max())


def test_other_units_of_the_features_change_nothing():
    features, vibration = example(3)
    scale = np.diag([1.0, 3.0, 0.5, 2.0, 1.0])
    seen = features @ discriminant_directions(features, vibration, 2)
    scaled = features @ scale
    again = scaled @ discriminant_directions(scaled, scale @ vibration @ scale, 2)
    np.testing.assert_allclose(np.abs(again), np.abs(seen), atol=1e-3 * np.abs(seen).max())


def test_a_slow_motion_is_found_under_a_large_vibration():
    random = np.random.default_rng(0)
    slow, fast = random.normal(size=400), 20.0 * random.normal(size=400)
    features = np.stack([fast, slow + 0.1 * fast], axis=1)
    (direction,) = discriminant_directions(features, np.array([[400.0, 40.0], [40.0, 4.01]]), 1).T
    assert abs(np.corrcoef(features @ direction, slow)[0, 1]) > 0.99


def test_dead_features_are_harmless():
    features, vibration = example(1)
    features = np.concatenate([features, np.full((60, 1), 0.3)], axis=1)
    padded = np.zeros((6, 6))
    padded[:5, :5] = vibration
    directions = discriminant_directions(features, padded, 20)
    assert directions.shape == (6, 6)
    assert np.isfinite(directions).all()
    assert np.abs(directions[5, :3]).max() < 1e-6


def test_what_cannot_be():
    features, vibration = example(0)
    with pytest.raises(InputError, match=r"shape \(4, 4\) was given; \(5, 5\) is expected"):
        discriminant_directions(features, vibration[:4, :4], 2)
    with pytest.raises(InputError, match="do not change when atoms vibrate"):
        discriminant_directions(features, np.zeros((5, 5)), 2)
