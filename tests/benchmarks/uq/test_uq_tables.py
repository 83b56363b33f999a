"""What people read of a comparison."""

import pytest

from uqcv.benchmarks.uq.results import without_nan
from uqcv.benchmarks.uq.tables import number, report


def test_one_seed_has_no_spread(compared):
    text = report(compared[1])
    assert "±" not in text and text.startswith("Data: ") and "here.extxyz" in text.splitlines()[0]
    assert "One seed (0)" in text and "worst 20 %" in text


@pytest.mark.parametrize(("counts", "text"), [([3, 3], "3 frames"), ([2, 4], "2 to 4 frames"), (1, "1 frame")])
def test_numbers_of_frames(counts, text):
    assert number(counts, "frame") == text


def test_what_is_not_finite_is_nothing_in_json():
    assert without_nan({"a": [1, float("nan")], "b": (float("inf"), "x")}) == {"a": [1, None], "b": [None, "x"]}


def test_results_say_their_units(compared):
    assert compared[1]["units"]["force_mae"] == "eV/Å"
