"""Results that travel: what ran elsewhere is not run again, joins the report, and must be of the same settings."""

import json
import math
import shutil

import pytest

from uqcv.errors import InputError
from uqcv.study import run
from uqcv.study.report import write_study_report
from uqcv.study.results import RESULTS_FILE, portable, read_results
from uqcv.study.run import read_measures, run_study
from uqcv.study.settings import SamplerEntry, campaigns, load_study


@pytest.fixture(scope="module")
def results(study, studied, tmp_path_factory):
    """The file of a report, on its own."""
    path = tmp_path_factory.mktemp("elsewhere") / "results.json"
    write_study_report(study, studied)
    return shutil.copy(studied / RESULTS_FILE, path)


def test_they_are_the_measures(study, studied, results, tmp_path):
    items = campaigns(study, tmp_path)
    assert read_results(study, items, [results]) == read_measures(study, studied)
    assert read_measures(study, tmp_path, [results]) == read_measures(study, studied)


def test_a_report_is_the_same_without_the_campaigns(study, studied, results, tmp_path):
    _, tables, again = write_study_report(study, tmp_path, [results])
    assert tables.read_text() == (studied / "tables.md").read_text()
    assert again.read_bytes() == results.read_bytes()


def test_what_ran_elsewhere_is_not_run(study, results, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "make_oracle", lambda *arguments: pytest.fail("reference data were made"))
    run_study(study, tmp_path / "runs", results=[results])
    assert not (tmp_path / "runs").exists()


def test_a_campaign_that_is_missing_is_run(study, results, tmp_path, monkeypatch):
    """Measured by the same frames of the reference method as those that ran elsewhere."""
    ran, seeds = [], []
    monkeypatch.setattr(run, "_complete_all", lambda items, *rest: ran.extend((i.sampler, i.seed) for i in items))
    monkeypatch.setattr(run, "make_oracle", lambda config, *rest: seeds.append(config.seed))
    monkeypatch.setattr(run, "_begin", lambda *arguments: None)
    more = study.model_copy(update={"seeds": 2})
    run_study(more, tmp_path / "runs", results=[results])
    assert ran == [("plain", 4), ("turned", 4)] and seeds == [3]


def test_files_count_by_what_they_hold(study_file, tmp_path):
    """The same study in another folder has the same settings; another topology makes it another one."""
    here = portable(campaigns(load_study(study_file), tmp_path)[0].config)
    there = shutil.copytree(study_file.parent, tmp_path / "moved") / study_file.name
    assert portable(campaigns(load_study(there), tmp_path)[0].config) == here
    assert here["system"]["topology"].startswith("SHA-256 ") and "seed" not in here


def test_other_settings_are_refused(study, results, tmp_path):
    longer = SamplerEntry(settings=study.samplers["plain"].settings | {"sampling.length": 70.0})
    other = study.model_copy(update={"samplers": study.samplers | {"plain": longer}})
    words = r"results\.json: sampler plain: they are of another sampling\.length; leave the file out"
    for use in (run_study, write_study_report):
        with pytest.raises(InputError, match=words):
            use(other, tmp_path / "runs", results=[results])
    measures = study.measures.model_copy(update={"map_ceiling": 2.0})
    with pytest.raises(InputError, match=r"measures: they are of another map_ceiling"):
        read_measures(study.model_copy(update={"measures": measures}), tmp_path, [results])


def test_a_sampler_of_another_study_does_not_matter(study, results, tmp_path):
    alone = study.model_copy(update={"samplers": {"turned": study.samplers["turned"]}, "expert": None})
    assert list(read_measures(alone, tmp_path, [results])) == ["turned"]


GOOD = {"format": 1, "measures": {}, "samplers": {}}
BARE = {"generations": [{}], "covered": [], "crossings": []}
PART = {"settings": {}, "seeds": {"3": BARE}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "was given; a group of settings is expected"),
        ({}, "format is missing"),
        (GOOD | {"format": 2}, "format: 2 was given; input should be 1"),
        (GOOD | {"sampler": {}}, "unknown key sampler; did you mean samplers"),
        (GOOD | {"samplers": {"plain": {}}}, "samplers.plain.settings is missing"),
        (GOOD | {"samplers": {"plain": PART | {"seeds": {"three": {}}}}}, "samplers.plain.seeds.three"),
        (GOOD | {"samplers": {"plain": PART | {"seeds": {"3": BARE | {"walked": [math.nan]}}}}}, "walked.0.*finite"),
        (GOOD | {"samplers": {"plain": PART | {"seeds": {"3": {"generations": []}}}}}, "seeds.3.generations"),
    ],
)
def test_what_is_not_a_file_of_results(study, tmp_path, content, words):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"other\.json, results of a study: .*{words}"):
        read_measures(study, tmp_path, [path])


def test_a_campaign_that_shall_go_on_is_not_in_the_file(study, studied, results, tmp_path):
    """Its measures would stand for a longer one; the report shows them all the same."""
    copy = shutil.copytree(studied, tmp_path / "runs")
    longer = SamplerEntry(settings=study.samplers["plain"].settings | {"campaign.generations": 3})
    more = study.model_copy(update={"samplers": study.samplers | {"plain": longer}})
    _, tables, path = write_study_report(more, copy)
    assert "| plain | 1 |" in tables.read_text()
    assert list(json.loads(path.read_text())["samplers"]) == ["turned"]
