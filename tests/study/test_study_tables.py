"""Rows of a study's tables from measures whose numbers are known."""

from uqcv.study.summary import Spread
from uqcv.study.tables import gaps


def measures(covered, *generations):
    """Measures of a campaign: labels, MAE (eV/Å) and error of the map (kJ/mol), if it has one, by generation."""
    names = ("labels", "test_force_mae", "map_error")
    return {"covered": covered, "generations": [dict(zip(names, row, strict=False)) for row in generations]}


EXPERT = {
    0: measures([10, 20, 40, 60, 80], (0, 0.100, 3.0), (2, 0.060, 2.0), (4, 0.050, 1.0)),
    1: measures([10, 40, 60, 80, 90], (0, 0.100, 3.0), (2, 0.040, 1.0), (4, 0.030, 1.0)),
}
OTHER = {
    0: measures([10, 20, 30], (0, 0.100, 3.0), (2, 0.080, 2.5)),
    1: measures([10, 20, 50, 70], (0, 0.100, 3.0), (2, 0.070, 1.5), (3, 0.065, 1.0)),
}


def test_gaps_are_to_the_mean_of_the_expert_at_equal_labels_and_in_the_end():
    header, rows = gaps({"other": OTHER, "expert": EXPERT}, "expert", 100)
    assert header[0] == "sampler minus expert" and [len(row) for row in rows] == [len(header)]
    assert rows[0][:5] == ["other", "2", "-10.0 (-20.0 to +0.0)", "+25.0 (+20.0 to +30.0)", "+0.5 (+0.0 to +1.0)"]
    assert rows[0][5:] == ["-35.0 (-55.0 to -15.0)", "+32.5 (+25.0 to +40.0)", "+0.8 (+0.0 to +1.5)"]


def test_gaps_that_are_the_same_for_all_seeds_have_no_range():
    assert Spread.of([0.96]).beyond(Spread.of([1.0])) == "+0.0"
    ((name, labels, covered, mae, *_),) = gaps({"expert": {0: EXPERT[0]}, "one": {0: OTHER[0]}}, "expert", 100)[1]
    assert (name, labels, covered, mae) == ("one", "2", "-10.0", "+20.0")


def test_gaps_in_what_was_not_measured_are_dashes():
    """Without a map, and without a test set of one of the seeds."""
    bare = {0: measures([], (0, 0.1), (2, 0.1)), 1: measures([], (0,), (2,))}
    assert gaps({"bare": bare, "expert": EXPERT}, "expert", 0)[1] == [["bare", "2", *["-"] * 6]]
    assert gaps({"other": OTHER, "expert": bare}, "expert", 0)[1] == [["other", "2", *["-"] * 6]]
