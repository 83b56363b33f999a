"""From measures to rows: budgets, labels to cover, spreads."""

import doctest
import math

from hypothesis import given
from hypothesis import strategies as st

from uqcv.study import summary
from uqcv.study.summary import Spread, at_budget, coverage_after, labels_to_cover, reach, times_as_many

MEASURES = {"generations": [{"labels": 0}, {"labels": 10}, {"labels": 20}], "covered": [2, 2, 5, 7, 7, 9]}


def test_what_could_be_afforded():
    assert at_budget(MEASURES, "labels", 19) == {"labels": 10}
    assert at_budget(MEASURES, "labels", 20) == {"labels": 20}
    assert at_budget(MEASURES, "labels", -1) is None


def test_labels_to_cover():
    assert labels_to_cover(MEASURES, 0.2, 10) == 0
    assert labels_to_cover(MEASURES, 0.5, 10) == 2
    assert labels_to_cover(MEASURES, 0.9, 10) == 5
    assert math.isinf(labels_to_cover(MEASURES, 0.95, 10))
    assert coverage_after(MEASURES, 3, 10) == 0.7 and coverage_after(MEASURES, 99, 10) == 0.9


def test_labels_beyond_the_budget_are_said_to_be():
    slow = {"covered": [2, 2, 3]}
    assert reach({0: MEASURES}, 0.5, 10) == "2"
    assert reach({0: slow}, 0.5, 10) == "> 2"
    assert reach({0: MEASURES, 1: {"covered": [1, 1, 1, 1, 5]}}, 0.5, 10) == "3 (2 to 4)"
    assert reach({0: MEASURES, 1: slow, 2: MEASURES}, 0.5, 10) == "2 (2 to > 2)"


def test_how_many_times_as_many_labels():
    base = {0: {"covered": [1, 5]}, 1: {"covered": [1, 1, 1, 5]}}  # 1 and 3: a median of 2
    assert times_as_many(base, base, 0.5, 10) == "1.0"
    assert times_as_many({0: {"covered": [1] * 7 + [5]}}, base, 0.5, 10) == "3.5"
    assert times_as_many({0: {"covered": [1] * 9}, 1: {"covered": [1] * 11}}, base, 0.5, 10) == "> 4.0"
    assert times_as_many(base, {0: {"covered": [1] * 9}}, 0.5, 10) == "-", "the first one did not get there"
    assert times_as_many(base, base, 0.1, 10) == "-", "nobody needs a label"


def test_campaigns_that_ended_before_say_after_how_many_labels():
    """Not after how many labels others did reach the share."""
    quick, ended = {"covered": [2, 8]}, {"covered": [2, 3, 3, 4, 4, 5]}
    assert reach({0: quick, 1: ended}, 0.8, 10) == "> 5 (1 to > 5)"
    assert reach({0: ended, 1: MEASURES | {"covered": [1] * 9}}, 0.8, 10) == "> 5"
    assert labels_to_cover({"covered": [54, 55]}, 0.55, 100) == 1  # although 0.55 * 100 > 55


@given(st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_spread(values):
    spread = Spread.of(values)
    assert spread.least - 1e-9 <= spread.mean <= spread.most + 1e-9


def test_examples():
    assert doctest.testmod(summary).failed == 0
