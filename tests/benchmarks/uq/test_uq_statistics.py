"""Statistics of made-up methods of which the truth is known."""

import numpy as np
import pytest

from uqcv.benchmarks.uq.statistics import (
    COMPARED,
    covered,
    deviations,
    differences,
    judge,
    pooled_coverage,
    resampled,
    summarise,
)


def test_errors_of_frames_are_means_over_their_atoms(made_up):
    scores = made_up(0, 4)
    ends = np.cumsum(scores.counts)[:-1]
    by_hand = [np.linalg.norm(part, axis=1).mean() for part in np.split(scores.residuals, ends)]
    np.testing.assert_allclose(scores.frame_errors, by_hand)


def test_atoms_of_frames(made_up):
    scores = made_up(0, 5)
    parts = np.split(np.arange(len(scores.atomic)), np.cumsum(scores.counts)[:-1])
    np.testing.assert_array_equal(scores.atoms_of(np.array([3, 0, 3])), np.concatenate([parts[3], parts[0], parts[3]]))


def test_the_deviations_are_those_that_errors_were_drawn_with(made_up):
    calibration, test = made_up(0, 2000), made_up(1, 100)
    minimum = calibration.atomic.min()
    np.testing.assert_allclose(deviations(calibration, test), 0.1 + 0.05 * np.maximum(test.atomic, minimum), rtol=0.05)


def test_a_method_that_knows_is_calibrated_and_in_order(made_up):
    found = judge(made_up(0, 800), made_up(1, 400))
    assert found["miscalibration"] < 0.02
    assert found["atom_spearman"] > 0.3 and found["frame_auc80"] > 0.8
    assert found["nll"] < judge(made_up(0, 800, noise=5.0), made_up(1, 400, noise=5.0))["nll"]


def test_coverage_of_all_kinds(made_up):
    for name, share in covered(made_up(0, 800), made_up(1, 400)).items():
        assert share == pytest.approx(0.9, abs=0.05), name


def test_the_difference_of_a_method_from_itself_is_nothing(made_up):
    pairs = [(made_up(0), made_up(seed)) for seed in (1, 2)]
    rows = [judge(*pair) for pair in pairs]
    draws = [resampled(*pair, seed) for seed, pair in enumerate(pairs)]
    for row in differences({"one": draws, "same": draws}, {"one": rows, "same": rows}, "same"):
        assert row["mean"] == row["low"] == row["high"] == 0


def test_a_worse_method_is_found_to_be_worse(made_up):
    tests = {"good": [made_up(1), made_up(2)], "bad": [made_up(1, noise=3.0), made_up(2, noise=3.0)]}
    rows = {name: [judge(made_up(0), test) for test in own] for name, own in tests.items()}
    draws = {name: [resampled(made_up(0), test, seed) for seed, test in enumerate(own)] for name, own in tests.items()}
    found = differences(draws, rows, "good")
    assert [row["metric"] for row in found] == list(COMPARED)
    assert all(row["high"] < 0 for row in found)
    summary = summarise(rows["bad"], draws["bad"])["atom_spearman"]
    assert summary["low"] < summary["mean"] < summary["high"]


def test_the_interval_of_a_coverage_is_exact():
    # Clopper & Pearson of 9 out of 10: 55.5 % to 99.7 %
    found = pooled_coverage([1.0, 0.8], [5, 5], 10)
    assert found["share"] == 0.9 and found["n"] == 10
    assert (found["low"], found["high"]) == pytest.approx((0.5550, 0.9975), abs=1e-4)
    assert pooled_coverage([1.0], [5], 5)["high"] == 1 and pooled_coverage([0.0], [5], 5)["low"] == 0


def test_seeds_that_share_their_test_frames_do_not_narrow_an_interval():
    once, thrice = pooled_coverage([0.9], [60], 60), pooled_coverage([0.9] * 3, [60] * 3, 60)
    assert thrice == pytest.approx(once)


def test_the_share_of_atoms_is_over_atoms():
    # 3 of 3 atoms in one seed, 0 of 1 in the other; of frames it would be one half
    assert pooled_coverage([1.0, 0.0], [3, 1], 2)["share"] == 0.75
