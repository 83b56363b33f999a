"""What is reported of scores."""

import pytest

from uqcv.benchmarks.uq.results import coverage_of, sizes_of
from uqcv.benchmarks.uq.split import Split
from uqcv.benchmarks.uq.statistics import covered


def test_coverage_counts_atoms_as_atoms_and_test_frames_once(made_up):
    calibration, test, larger = made_up(0), made_up(1, 60), made_up(2, 90)
    found = coverage_of([(calibration, test), (calibration, larger), (calibration, test)])
    shares = [covered(calibration, own) for own in (test, larger, test)]
    for kind, sizes in (("frame", [60, 90, 60]), ("atom", [len(own.atomic) for own in (test, larger, test)])):
        expected = sum(s[f"{kind}_linear"] * n for s, n in zip(shares, sizes, strict=True)) / sum(sizes)
        assert found[f"{kind}_linear"]["share"] == pytest.approx(expected, rel=1e-12)
        assert found[f"{kind}_linear"]["n"] == 90, "frames 0 to 59 are tested by all seeds"


def test_sizes_are_those_that_groups_allow(made_up, tmp_path):
    parts = {"training": [0, 1], "validation": [2], "calibration": [3, 4]}
    splits = [Split(tmp_path, 3, seed, parts | {"validation": [2] * (seed + 1)}) for seed in range(2)]
    found = sizes_of(splits, [(made_up(0), made_up(1, 60))] * 2)
    assert found == {
        "training": [2, 2], "validation": [1, 2], "calibration": [2, 2], "frames": [60, 60], "independent": 60,
    }  # fmt: skip
