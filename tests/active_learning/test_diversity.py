"""Farthest points, duplicates and spread."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uqcv.active_learning import diversity
from uqcv.active_learning.diversity import drop_duplicates, farthest_points, spread

quick = settings(max_examples=60, deadline=None)


def grid(rows: int, least: int = 0) -> st.SearchStrategy[np.ndarray]:
    """Points on a small grid, so that ties and copies are common."""
    shape = st.integers(least, rows).map(lambda n: (n, 2))
    return arrays(np.float64, shape, elements=st.integers(0, 4).map(float))


def brute_force(candidates: np.ndarray, known: np.ndarray, n_select: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(min(n_select, len(candidates))):
        others = [*known, *candidates[chosen]]
        gaps = [min((np.linalg.norm(c - o) for o in others), default=np.inf) for c in candidates]
        chosen.append(max((i for i in range(len(candidates)) if i not in chosen), key=lambda i: (gaps[i], -i)))
    return chosen


@quick
@given(candidates=grid(12), known=grid(5), n_select=st.integers(0, 14))
def test_farthest_points_is_greedy_max_min(candidates, known, n_select):
    assert farthest_points(candidates, known, n_select).tolist() == brute_force(candidates, known, n_select)


def test_farthest_points_of_a_line():
    line = np.arange(11.0)[:, None]
    assert farthest_points(line, np.zeros((0, 1)), 3).tolist() == [0, 10, 5]
    assert farthest_points(line, [[0.0]], 2).tolist() == [10, 5]
    assert farthest_points(line, [], 2, first=4).tolist() == [4, 10]
    assert sorted(farthest_points(np.zeros((4, 1)), [], 9)) == [0, 1, 2, 3]


def test_blocks_give_the_same(monkeypatch):
    random = np.random.default_rng(0)
    candidates, known = random.normal(size=(50, 4)), random.normal(size=(20, 4))
    whole = farthest_points(candidates, known, 10), drop_duplicates(candidates, known, 1.0)
    monkeypatch.setattr(diversity, "_DISTANCES_AT_ONCE", 70)
    np.testing.assert_array_equal(farthest_points(candidates, known, 10), whole[0])
    np.testing.assert_array_equal(drop_duplicates(candidates, known, 1.0), whole[1])


@quick
@given(features=grid(12), known=grid(5), tolerance=st.sampled_from([0.0, 1.0, 1.5, 2.0]))
def test_kept_frames_are_apart_and_dropped_ones_are_near(features, known, tolerance):
    keep = drop_duplicates(features, known, tolerance)
    kept = np.vstack([known, features[keep]])
    gaps = np.linalg.norm(features[:, None] - kept[None], axis=-1)
    assert all((row <= tolerance).any() for row in gaps[~keep])
    assert all((row <= tolerance).sum() == 1 for row in gaps[keep])  # itself


def test_spread():
    assert spread([[0.0, 0.0], [2.0, 0.0]]) == 1.0
    assert spread([[5.0, 5.0]]) == 0.0
