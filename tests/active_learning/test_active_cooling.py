"""Selected frames are cooled if that is asked for, and stay as they were if that would break them."""

import shutil

import numpy as np
import pytest

from uqcv.active_learning.cooling import cooled, cooling_evaluations
from uqcv.active_learning.generation import Generation
from uqcv.active_learning.reference_data import prepare
from uqcv.active_learning.selection import HarvestSettings
from uqcv.active_learning.state import CampaignFolder
from uqcv.files import read_json
from uqcv.sampling.settings import SamplingSettings
from uqcv.structures import read_structures

PLAIN = SamplingSettings(compiled=False)


@pytest.fixture
def selected(tiny):
    return read_structures(tiny.folder.generation(0).selected)


@pytest.fixture
def cool(tiny, guard, tmp_path):
    """Frames of the tiny campaign, cooled by its first potential."""

    def run(frames, harvest: HarvestSettings, sampling: SamplingSettings = PLAIN):
        paths = tiny.folder.generation(0)
        return cooled(
            frames, paths.bundle, tiny.folder.topology, guard, harvest, sampling, tmp_path / "cooled.extxyz", 1
        )

    return run


def test_nothing_happens_unless_it_is_asked_for(cool, selected):
    assert cool(selected, HarvestSettings()) == selected
    assert cool([], HarvestSettings(cooling=10.0)) == []


def test_frames_that_would_break_stay_as_they_were(cool, selected, tmp_path):
    blown_up = PLAIN.model_copy(update={"time_step": 1e30})
    found = cool(selected, HarvestSettings(cooling=1e31), blown_up)
    for one, other in zip(found, selected, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-7)
    assert not list(tmp_path.iterdir())


def test_a_campaign_labels_what_was_cooled(tiny, make_config, selected, tmp_path):
    folder = CampaignFolder(shutil.copytree(tiny.folder.path, tmp_path / "copy"))
    paths = folder.generation(0)
    shutil.rmtree(paths.harvest.parent)
    config = make_config({"harvest.cooling": 20.0})
    Generation(config, folder, 0, prepare(config, folder)).harvest()
    found = read_structures(paths.selected)
    assert len(found) == len(selected) == 3
    for one, other in zip(found, selected, strict=True):
        assert 0.01 < np.abs(one.positions - other.positions).max() < 2.0
        assert one.info == other.info  # where it comes from
    assert read_json(paths.harvest)["cooling_evaluations"] == 3 * 20
    assert [path.name for path in paths.harvest.parent.glob("cooled*")] == []


def test_what_cooling_costs():
    assert cooling_evaluations(5, HarvestSettings(cooling=100.0), PLAIN.model_copy(update={"time_step": 0.5})) == 1000
    assert cooling_evaluations(5, HarvestSettings(), PLAIN) == 0
