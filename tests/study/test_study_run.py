"""A whole study: equal beginnings, measures that can be had again, and what is there stays."""

import json
import shutil

import numpy as np
import pytest

from uqcv.active_learning.evaluation import errors
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames
from uqcv.errors import InputError, UqcvError
from uqcv.structures import read_structures
from uqcv.study import run
from uqcv.study.report import write_study_report
from uqcv.study.run import read_measures, run_study
from uqcv.study.settings import SamplerEntry, load_study


def test_campaigns_of_a_seed_begin_alike(studied):
    (first,) = [path for path in (studied / "first").iterdir() if path.is_dir()]
    for sampler in ("plain", "turned"):
        folder = studied / "campaigns" / sampler / "seed-3"
        for name in ("reference/initial.extxyz", "generation-00/potential.pt", "generation-00/bundle/weights.pt"):
            assert (folder / name).read_bytes() == (first / name).read_bytes()
        assert (folder / "generation-01" / "potential.pt").is_file()
        assert "finished: 2 generations" in folder.with_suffix(".log").read_text()


def test_measures_are_those_of_the_potentials(study, studied):
    found = read_measures(study, studied)
    assert list(found) == ["plain", "turned"]
    frames = read_structures(studied / "reference" / "300K.extxyz")
    for sampler, seeds in found.items():
        rows = seeds[3]["generations"]
        assert [row["labels"] for row in rows] == [0, len(seeds[3]["covered"]) - 1]
        bundle = Bundle.load(studied / "campaigns" / sampler / "seed-3" / "generation-01" / "bundle")
        expected = errors(evaluate_frames(bundle, frames), frames, "300 K")
        assert rows[1]["300 K_force_mae"] == pytest.approx(expected["300 K_force_mae"])
        assert 0 < rows[1]["map_effective_least"] <= rows[1]["map_effective_median"] <= 1
        assert set(seeds[3]["stability"]) == {"300"}
        campaign = studied / "campaigns" / sampler / "seed-3"
        labels = read_structures(campaign / "generation-00" / "labels" / "labels.extxyz")
        minimum = json.loads((campaign / "reference" / "facts.json").read_text())["minimum_energy"]
        assert rows[1]["highest_label"] == pytest.approx(max(frame.energy for frame in labels) - minimum)
        ends = [json.loads(path.read_text()) for path in (campaign / "generation-00").glob("walkers/*/end.json")]
        assert "highest_label" not in rows[0] and rows[1]["ended_early"] == sum(not end["completed"] for end in ends)
        assert (np.diff(seeds[3]["covered"]) >= 0).all()
    first = [found[sampler][3]["generations"][0] for sampler in found]
    assert first[0] == first[1]  # even the time: it was spent once
    spent = {sampler: seeds[3]["generations"][1] for sampler, seeds in found.items()}
    walkers = studied / "campaigns" / "plain" / "seed-3" / "generation-00" / "walkers"
    end = json.loads((walkers / "walker-00" / "end.json").read_text())
    n_frames = len((walkers / "walker-00" / "frames.csv").read_text().splitlines()) - 1
    assert spent["plain"]["steps"] == end["steps"] == end["evaluations"] > 0
    assert spent["plain"]["evaluations"] == end["evaluations"] + n_frames  # of steps, and of the harvest
    assert (spent["turned"]["steps"], spent["turned"]["evaluations"]) == (0, 5)


def test_what_is_done_is_not_done_again(study, studied, monkeypatch):
    before = {p: p.stat().st_mtime_ns for p in studied.rglob("*.pt")}

    def refuse(*arguments):
        raise AssertionError("an evaluation was made again")

    monkeypatch.setattr("uqcv.study.measures.evaluate_frames", refuse)
    run_study(study, studied, processes=2)
    assert {p: p.stat().st_mtime_ns for p in studied.rglob("*.pt")} == before


def test_a_sampler_that_is_added_later(study, studied, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(studied, copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.pt")}
    later = SamplerEntry(settings={"sampling.sampler": "random_torsions", "sampling.proposals.frames": 4})
    run_study(study.model_copy(update={"samplers": study.samplers | {"later": later}}), copy, processes=2)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (copy / "campaigns" / "later" / "seed-3" / "measures.json").is_file()


def test_another_study_is_refused(study, studied):
    with pytest.raises(InputError, match=r"holds a study with another settings\.harvest\.max_frames; give another"):
        run_study(study.model_copy(update={"settings": study.settings | {"harvest.max_frames": 4}}), studied)
    with pytest.raises(InputError, match="--only opes was given; the study has plain, turned"):
        run_study(study, studied, only=("opes",))


def test_a_study_goes_on_from_wherever_its_settings_lie(study_file, studied, tmp_path, monkeypatch):
    there = shutil.copytree(study_file.parent, tmp_path / "moved") / study_file.name
    copy = shutil.copytree(studied, tmp_path / "runs")
    monkeypatch.setattr("uqcv.study.measures.evaluate_frames", None)  # nothing is made again
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.pt")}
    run_study(load_study(there), copy)
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*.pt")} == before
    campaign = there.with_name("campaign.yaml")
    campaign.write_text(campaign.read_text().replace("cutoff: 3.5", "cutoff: 4.5"))
    with pytest.raises(InputError, match=r"holds a study with another campaign_settings\.potential\.cutoff; give"):
        run_study(load_study(there), copy)


def changed(study, sampler, **settings):
    """The study with other settings of a sampler."""
    entry = SamplerEntry(settings=study.samplers[sampler].settings | settings)
    return study.model_copy(update={"samplers": study.samplers | {sampler: entry}})


def test_other_settings_of_a_sampler_that_has_run_are_refused(study, studied):
    before = {p: p.stat().st_mtime_ns for p in studied.rglob("*") if p.is_file()}
    other = changed(study, "plain", **{"sampling.length": 70.125})
    words = r"plain/seed-3 holds a campaign with another sampling\.length; give another --out, or remove it"
    for only in ((), ("turned",)):
        with pytest.raises(InputError, match=words):
            run_study(other, studied, only)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert "70.125" not in (studied / "study.json").read_text()


def test_campaigns_may_be_longer(study, studied, tmp_path, monkeypatch):
    """In one sampler or in all; what is to run is only noted here."""
    copy, ran = tmp_path / "runs", []
    shutil.copytree(studied, copy)
    monkeypatch.setattr(run, "_complete_all", lambda items, *rest: ran.append([item.sampler for item in items]))
    longer = {"campaign.generations": 3}
    for other in (changed(study, "plain", **longer), study.model_copy(update={"settings": study.settings | longer})):
        run_study(other, copy)
    assert ran == [["plain"], ["plain", "turned"]]


@pytest.mark.parametrize(("share", "expected"), [(0.01, ["turned"]), (0.9, ["plain", "turned"])])
def test_a_campaign_that_covers_enough_is_finished(study, studied, tmp_path, monkeypatch, share, expected):
    """It has two generations of five, and stays as it is unless it shall cover more."""
    copy, ran = tmp_path / "runs", []
    shutil.copytree(studied, copy)
    monkeypatch.setattr(run, "_complete_all", lambda items, *rest: ran.append([item.sampler for item in items]))
    longer = study.model_copy(update={"settings": study.settings | {"campaign.generations": 5}})
    run_study(changed(longer, "plain", **{"campaign.stop_at_coverage": share}), copy)
    assert ran == [expected]


def test_a_new_sampler_that_cannot_be_is_refused_before_anything_runs(study, tmp_path):
    other = changed(study, "plain", **{"sampling.bias.template": "nowhere.dat"})
    with pytest.raises(InputError, match=r"sampler plain: .*nowhere\.dat"):
        run_study(other, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_page_needs_no_network(study, studied):
    paths = write_study_report(study, studied)
    page = paths[0].read_text()
    assert "http" not in page.replace("http-equiv", "") and page.count("data:image/png;base64,") == 3
    for word in (
        "plain",
        "turned",
        "What came of it",
        "Gap to the expert",
        "First visits",
        "labels to 95 %",
        "times as many",
    ):
        assert word in page
    tables = paths[1].read_text()
    assert "| plain | 1 |" in tables
    gap = tables.split("### Gap to the expert")[1].split("###")[0]
    assert "| sampler minus turned |" in gap and "\n| plain |" in gap and "| turned |" not in gap


def test_an_expert_that_is_not_measured_is_not_compared_with(study, studied, tmp_path):
    shutil.copytree(studied / "campaigns" / "plain", tmp_path / "campaigns" / "plain")
    tables = write_study_report(study, tmp_path)[1].read_text()
    assert "| plain | 1 |" in tables and "Gap to the expert" not in tables


def test_nothing_to_report(study, tmp_path):
    with pytest.raises(InputError, match="no campaign has been measured"):
        write_study_report(study, tmp_path)


def test_a_campaign_that_was_interrupted_goes_on(study, studied, tmp_path):
    """The second generation of one campaign is lost, as after a kill: it comes again, bit for bit."""
    copy = tmp_path / "runs"
    shutil.copytree(studied, copy)
    folder = copy / "campaigns" / "turned" / "seed-3"
    expected = (folder / "generation-01" / "potential.pt").read_bytes()
    shutil.rmtree(folder / "generation-01")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"generation": 0, "stage": "label", "finished": False}))
    run.run_campaign(next(i for i in run.campaigns(study, copy) if i.sampler == "turned"), lambda done: None)
    assert (folder / "generation-01" / "potential.pt").read_bytes() == expected


def test_what_one_campaign_meets_keeps_back_nothing_of_the_others(study, studied, tmp_path):
    copy = shutil.copytree(studied, tmp_path / "runs")
    plain, turned = (copy / "campaigns" / name / "seed-3" for name in ("plain", "turned"))
    (plain / "measures.json").unlink()
    state = json.loads((turned / "state.json").read_text())
    (turned / "state.json").write_text(json.dumps(state | {"generation": 0, "stage": "label", "finished": False}))
    shutil.rmtree(turned / "generation-00" / "labels")
    (turned / "generation-00" / "harvest" / "selected.extxyz").write_text("cut")
    turned_first = study.model_copy(update={"samplers": dict(reversed(study.samplers.items()))})
    with pytest.raises(UqcvError, match=r"turned/seed-3: .*selected\.extxyz"):
        run_study(turned_first, copy, processes=1)
    assert (plain / "measures.json").read_text() == (studied / plain.relative_to(copy) / "measures.json").read_text()
