"""Measures of a campaign that was interrupted, and simulated times."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from uqcv.analysis.campaign import read_campaign
from uqcv.analysis.ramachandran import ramachandran_angles
from uqcv.analysis.trajectories import read_trajectory
from uqcv.files import read_json, write_json
from uqcv.study.measures import is_measured, measure_campaign
from uqcv.study.oracle import make_oracle
from uqcv.study.report import write_study_report
from uqcv.study.run import read_measures
from uqcv.study.settings import campaigns


@pytest.fixture
def interrupted(study, studied, tmp_path):
    """A study whose first campaign was killed while it was measured, after its last potential."""
    shutil.copytree(studied, tmp_path / "runs")
    item = campaigns(study, tmp_path / "runs")[0]
    path = item.folder / "measures.json"
    write_json(path, {"generations": read_json(path)["generations"]})
    return item


def test_measures_that_were_interrupted_are_no_measures(study, interrupted):
    unstable = study.measures.model_copy(update={"stability_runs": 0})
    assert not is_measured(interrupted.folder, study.measures) and not is_measured(interrupted.folder, unstable)
    folder = interrupted.folder.parents[2]
    assert list(read_measures(study, folder)) == ["turned"]
    assert all(path.is_file() for path in write_study_report(study, folder))
    before = read_json(interrupted.folder / "measures.json")["generations"]
    measure_campaign(
        interrupted.folder, make_oracle(interrupted.config, study.measures, folder / "reference"), unstable
    )
    assert is_measured(interrupted.folder, unstable)
    assert list(read_measures(study, folder)) == ["plain", "turned"]
    assert read_measures(study, folder)["plain"][3]["generations"] == before


def test_walkers_that_have_ended_add_nothing_to_the_time_of_a_first_visit(study, interrupted):
    """Of two walkers of one part: one ends after two steps, the other goes on to the bin that is looked for."""
    campaign = read_campaign(interrupted.folder)
    (walker,) = campaign.generations[0].walkers
    other = walker.folder.with_name("walker-01")
    shutil.copytree(walker.folder, other)
    write_json(other / "end.json", read_json(other / "end.json") | {"steps": 2})
    config = interrupted.folder / "config.yaml"
    config.write_text(config.read_text().replace("walkers: 1", "walkers: 2"))
    frames = read_trajectory(walker.folder / "trajectory.dcd", campaign.topology)
    grid = 720
    places = np.floor((ramachandran_angles(frames, campaign.torsions) + 180.0) / (360.0 / grid)).astype(int).tolist()
    late = max(k for k, place in enumerate(places) if place not in places[:k])
    assert 4 * late > 2, "the other walker has ended by then"
    free_energy = np.full((grid, grid), 20.0)
    free_energy[tuple(places[late])] = 0.0
    oracle = make_oracle(interrupted.config, study.measures, interrupted.folder.parents[2] / "reference")
    measures = measure_campaign(interrupted.folder, replace(oracle, free_energy=free_energy), study.measures)
    assert measures["crossings"] == [pytest.approx((4 * late + 2) * 1e-3)]  # steps of 1 fs, in ps
    first = [k for k, place in enumerate(places) if place not in places[:k]]
    assert measures["walked"] == pytest.approx([(4 * k + min(4 * k, 2)) * 1e-3 for k in first])
