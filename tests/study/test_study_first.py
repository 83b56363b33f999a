"""What campaigns of one seed begin with: the same for all samplers, whichever of them are there."""

import json
import shutil

import pytest

from uqcv.study.first import first_of, firsts, run_first
from uqcv.study.settings import SamplerEntry, campaigns

LATER = SamplerEntry(settings={"sampling.sampler": "random_torsions", "harvest.quantile": 0.5})


@pytest.fixture
def grown(study):
    """The study with one more sampler."""
    return study.model_copy(update={"samplers": {"later": LATER} | study.samplers})


def test_it_knows_nothing_of_samplers(grown, tmp_path):
    items = campaigns(grown, tmp_path)
    (first,) = firsts(items, tmp_path)
    assert all(first_of(item, tmp_path) == first for item in items)
    assert first.config.campaign.generations == 1 and not first.is_made
    other = campaigns(grown.model_copy(update={"settings": grown.settings | {"training.epochs": 4}}), tmp_path)
    assert first_of(other[0], tmp_path).folder != first.folder


def test_it_goes_on_for_another_sampler_than_it_began_for(grown, studied, tmp_path):
    shutil.copytree(studied / "first", tmp_path / "first")
    first = first_of(campaigns(grown, tmp_path, only=("later",))[0], tmp_path)
    assert first.is_made
    potential, state = first.folder / "generation-00" / "potential.pt", first.folder / "state.json"
    before = potential.stat().st_mtime_ns
    state.write_text(json.dumps(json.loads(state.read_text()) | {"stage": "fit", "finished": False}))
    assert not first.is_made
    run_first(first, lambda done: None)
    assert first.is_made and potential.stat().st_mtime_ns == before
