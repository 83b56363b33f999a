"""Rows of a study's tables from measures whose numbers are known."""

from uqcv.study.settings import StudySettings
from uqcv.study.tables import budgets, each_campaign, first_visits, gaps, labels_needed


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


def test_gaps_are_to_the_expert_of_the_same_seed_at_equal_labels_and_in_the_end():
    header, rows = gaps({"other": OTHER, "expert": EXPERT}, "expert", 100)
    assert header[0] == "sampler minus expert" and [len(row) for row in rows] == [len(header)]
    assert rows[0][:6] == ["other", "2", "2", "-10.0", "+25.0 (+20.0 to +30.0)", "+0.5"]
    assert rows[0][6:] == ["-35.0 (-50.0 to -20.0)", "+32.5 (+30.0 to +35.0)", "+0.8 (+0.0 to +1.5)"]


def test_gaps_are_of_the_seeds_that_both_have():
    ((name, seeds, labels, covered, mae, *_),) = gaps({"expert": {1: EXPERT[1], 2: {}}, "one": OTHER}, "expert", 100)[1]
    assert (name, seeds, labels, covered, mae) == ("one", "1", "3", "-10.0", "+25.0")
    assert gaps({"expert": {7: EXPERT[1]}, "one": OTHER}, "expert", 100)[1] == [["one", "0", *["-"] * 7]]


def test_gaps_in_what_was_not_measured_are_dashes():
    """Without a map, and without a test set of one of the seeds."""
    bare = {0: measures([], (0, 0.1), (2, 0.1)), 1: measures([], (0,), (2,))}
    assert gaps({"bare": bare, "expert": EXPERT}, "expert", 0)[1] == [["bare", "2", "2", *["-"] * 6]]
    assert gaps({"other": OTHER, "expert": bare}, "expert", 0)[1] == [["other", "2", "2", *["-"] * 6]]


STUDY = StudySettings(name="s", campaign="c.yaml", samplers={"best": {}, "other": {}}, measures={"target": 0.8})


def test_first_visits_of_samplers_that_do_not_move_are_dashes():
    moved = {"crossings": [2.0, None], "walked": [1.0, 5.0, 9.0], "generations": [{"steps": 10.0}]}
    faster = moved | {"walked": [1.0, 2.0, 3.0, 4.0]}
    still = {"crossings": [None, None], "walked": [], "generations": [{"steps": 0.0}]}
    samplers = {"walks": {0: moved, 1: faster}, "proposes": {0: still}}
    header, rows = first_visits(STUDY, samplers, ["a", "b"], 5)
    assert header == ["sampler", "a, ps", "b, ps", *(f"{share} % of the bins, ps" for share in (50, 75, 80, 85, 100))]
    shares = ["6.00 (3.00-9.00), 2 of 2", "4, 1 of 2", "4, 1 of 2", "none of 2", "none of 2"]
    assert rows == [["walks", "2, 2 of 2", "none of 2", *shares], ["proposes", *["-"] * 7]]


def test_visits_of_bins_that_an_older_file_does_not_hold_are_dashes():
    """Beside one that does: a mean over some of the campaigns would stand for all."""
    row = {"crossings": [], "generations": [{"steps": 10.0}]}
    seeds = {0: row | {"walked": [1.0, 2.0]}, 1: row | {"walked": []}, 2: row}
    assert first_visits(STUDY, {"walks": seeds}, [], 4)[1] == [["walks", *["-"] * 5]]


def test_labels_to_get_somewhere_and_how_many_times_as_many_as_the_first_sampler():
    header, rows = labels_needed(STUDY, {"best": EXPERT, "other": OTHER}, 100)
    assert header[:3] == ["sampler", "50 %", "times as many"] and header[5] == "80 %" and len(header) == 9
    assert rows[0] == ["best", "2 (2 to 3)", "1.0", "4 (3 to 4)", "1.0", "4 (3 to 4)", "1.0", "> 4 (4 to > 4)", "-"]
    assert rows[1][:3] == ["other", "> 2 (2 to > 2)", "> 0.8"]


def test_budgets_are_the_most_that_a_campaign_of_the_first_sampler_spent():
    """All that it reached counts, and of others only what fits."""

    def spending(*rows):
        keys = ("labels", "steps", "evaluations", "test_force_mae")
        return {"covered": [50] * 5, "generations": [dict(zip(keys, row, strict=True)) for row in rows]}

    first = {0: spending((0, 0, 0, 0.2), (4, 90, 7, 0.1)), 1: spending((0, 0, 0, 0.2), (4, 100, 8, 0.1))}
    dear = {0: spending((0, 0, 0, 0.2), (2, 100, 9, 0.06), (4, 200, 18, 0.05))}
    tables = budgets({"first": first, "dear": dear}, 100)
    assert list(tables) == ["labels: at most 4", "MD steps: at most 100", "network evaluations: at most 8"]
    rows = {name: {row[0]: row[3] for row in rows} for name, (_, rows) in tables.items()}
    assert [row["first"] for row in rows.values()] == ["100"] * 3
    assert [row["dear"] for row in rows.values()] == ["50", "60", "200"]


def test_each_campaign_by_itself():
    header, rows = each_campaign(STUDY, {"best": EXPERT, "other": {1: OTHER[1]}}, 100)
    columns = [
        header.index(name) for name in ("sampler", "seed", "covered, %", "labels to 80 %", "force MAE uniform, meV/Å")
    ]
    assert [[row[k] for k in columns] for row in rows] == [
        ["best", "0", "80", "4", "50"],
        ["best", "1", "90", "3", "30"],
        ["other", "1", "70", "> 3", "65"],
    ]
