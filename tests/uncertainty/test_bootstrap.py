"""Intervals that cover, whole groups together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.uncertainty.bootstrap import bootstrap, interval, resamples


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20), st.integers(0, 5))
def test_groups_stay_together(groups, seed):
    members = {g: [k for k, own in enumerate(groups) if own == g] for g in groups}
    for chosen in resamples(groups, 5, seed):
        counts = np.bincount(chosen, minlength=len(groups))
        assert all(len({counts[k] for k in own}) == 1 for own in members.values())


def test_the_same_seed_draws_the_same():
    one, other, third = (list(map(tuple, resamples(range(10), 4, seed))) for seed in (3, 3, 4))
    assert one == other != third


def test_the_interval_of_a_mean_covers_it():
    random, hits = np.random.default_rng(0), 0
    for seed in range(200):
        values = random.normal(size=60)
        low, high = interval(bootstrap(lambda k, v=values: v[k].mean(), range(60), seed, 200))
        hits += low <= 0 <= high
    assert hits / 200 == pytest.approx(0.95, abs=0.05)


def test_groups_that_are_copies_widen_the_interval():
    values = np.random.default_rng(1).normal(size=20)
    copies = np.repeat(values, 10)
    apart, together = (
        np.ptp(interval(bootstrap(lambda k: copies[k].mean(), groups, 0)))
        for groups in (range(200), np.repeat(np.arange(20), 10).tolist())
    )
    assert together == pytest.approx(apart * np.sqrt(10), rel=0.2)


def test_what_cannot_be_computed_is_left_out():
    assert interval(np.array([1.0, np.nan, 1.0])) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan]))).all()
