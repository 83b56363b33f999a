"""Averages along trajectories, against sums written out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.active_learning.averaging import averaged_along


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=3), half_width=st.integers(0, 4), seed=st.integers(0, 99)
)
@settings(deadline=None)
def test_means_over_usable_neighbours_of_the_same_trajectory(lengths, half_width, seed):
    random = np.random.default_rng(seed)
    names = np.repeat([f"walker-{k}" for k in range(len(lengths))], lengths)
    points, usable = random.normal(size=(len(names), 3)), random.random(len(names)) < 0.8
    points[~usable] = np.nan
    found = averaged_along(points, names.tolist(), half_width, usable)
    for k in range(len(names)):
        near = [
            j
            for j in range(max(0, k - half_width), min(len(names), k + half_width + 1))
            if names[j] == names[k] and usable[j]
        ]
        expected = points[near].mean(axis=0) if usable[k] else points[k]
        np.testing.assert_allclose(found[k], expected, atol=1e-12)


def test_vibrations_vanish_and_slow_motion_stays():
    time = np.arange(400)
    slow, fast = np.sin(time / 60), np.sin(2.3 * time)
    averaged = averaged_along(np.stack([slow, fast], axis=1), ["walker"] * 400, 5, np.ones(400, dtype=bool))
    assert np.abs(averaged[10:-10, 0] - slow[10:-10]).max() < 0.01
    assert np.abs(averaged[10:-10, 1]).max() < 0.15


def test_no_frames():
    assert averaged_along(np.zeros((0, 3)), [], 2, np.zeros(0, dtype=bool)).shape == (0, 3)
