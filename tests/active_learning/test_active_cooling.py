"""Selected frames are cooled if that is asked for, and stay as they were if that would break them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from uqcv.active_learning.cooling import Cooler
from uqcv.active_learning.generation import Generation
from uqcv.active_learning.harvesting import Harvest
from uqcv.active_learning.reference_data import prepare
from uqcv.active_learning.selection import Funnel, HarvestSettings
from uqcv.active_learning.state import CampaignFolder
from uqcv.colvars.bundle import Bundle
from uqcv.files import read_json
from uqcv.forks import prepared_once
from uqcv.sampling.settings import SamplingSettings
from uqcv.simulation.cooling import AT_REST
from uqcv.structures import read_structures

PLAIN = SamplingSettings(compiled=False)


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """What cools is prepared once for all tests of this file, as it is once for a generation."""
    with prepared_once():
        yield


@pytest.fixture(scope="module")
def found(tiny) -> Harvest:
    """What the first generation of the tiny campaign selected, and what it left over."""
    paths = tiny.folder.generation(0)
    return Harvest(read_structures(paths.selected), Funnel(), 0.0, {}, read_structures(paths.left_over))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cooling") / "cooled.extxyz"


@pytest.fixture(scope="module")
def cool(tiny, guard, place):
    """A harvest, cooled by the first potential of the tiny campaign."""

    def run(found: Harvest, harvest: HarvestSettings, sampling: SamplingSettings = PLAIN) -> Harvest:
        bundle = tiny.folder.generation(0).bundle
        lowest = Bundle.load(bundle).settings.lowest_energy
        return Cooler(
            bundle, tiny.folder.topology, guard, lowest, harvest, harvest.highest_at_rest(0), sampling, place, 1,
        ).cooled(found)  # fmt: skip

    return run


def test_nothing_happens_unless_it_is_asked_for(cool, found):
    assert cool(found, HarvestSettings()) is found
    empty = Harvest([], Funnel(), 0.0, {})
    assert cool(empty, HarvestSettings(cooling=10.0)) is empty


def test_frames_that_would_break_stay_as_they_were(cool, found, place):
    cooled = cool(found, HarvestSettings(cooling=10.0), PLAIN.model_copy(update={"time_step": 1e30}))
    for one, other in zip(cooled.structures, found.structures, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-7)
    assert not list(place.parent.iterdir())


def test_without_a_ceiling_all_are_cooled(cool, found):
    cooled = cool(found, HarvestSettings(cooling=10.0))
    assert cooled.evaluations == 3 * 2 * 10
    assert cooled.left_over is found.left_over and cooled.funnel is found.funnel
    for one, other in zip(cooled.structures, found.structures, strict=True):
        assert 0.01 < np.abs(one.positions - other.positions).max() < 2.0
        assert one.info == other.info | {AT_REST: one.info[AT_REST]}  # where it comes from


@pytest.fixture(scope="module")
def lowest(tiny) -> float:
    return Bundle.load(tiny.folder.generation(0).bundle).settings.lowest_energy


@pytest.fixture(scope="module")
def at_rest(cool, found) -> list[float]:
    """Energies of the first eight candidates, eV."""
    first = Harvest([*found.structures, *found.left_over][:8], Funnel(), 0.0, {})
    return [float(frame.info[AT_REST]) for frame in cool(first, HarvestSettings(cooling=10.0)).structures]


@pytest.mark.parametrize("fill", [False, True])
def test_the_next_take_the_place_of_those_that_are_too_high(cool, found, at_rest, lowest, fill):
    funnel = Funnel().then("frames", 90).then("selected", 3)
    few = Harvest(found.structures, funnel, 0.0, {}, [*found.left_over][: 8 - len(found.structures)])
    ceiling = sorted(at_rest)[1] - lowest + 1e-6  # two of eight are low enough where three are wanted
    cooled = cool(few, HarvestSettings(cooling=10.0, max_energy_at_rest=(ceiling,), fill=fill))
    expected = sorted(at_rest)[: 3 if fill else 2]
    assert sorted(float(frame.info[AT_REST]) for frame in cooled.structures) == pytest.approx(expected, abs=1e-6)
    assert cooled.funnel.steps == (("frames", 90), ("looked at", 8), ("low at rest", 2), ("selected", len(expected)))
    assert len(cooled.left_over) == 8 - len(expected), "the next potential may judge them otherwise"
    assert cooled.evaluations == 8 * 2 * 10


def test_what_was_not_looked_at_is_left_over(cool, found, at_rest, lowest):
    ceiling = max(at_rest) - lowest + 1e-3
    cooled = cool(found, HarvestSettings(cooling=10.0, max_energy_at_rest=(ceiling,)))
    assert len(cooled.structures) == 3 and len(cooled.left_over) == len(found.left_over)
    assert cooled.funnel.left == {"looked at": 3, "low at rest": 3, "selected": 3}
    few = cool(found, HarvestSettings(cooling=10.0, max_energy_at_rest=(ceiling,), remember=2))
    assert len(few.left_over) == 2


def test_a_campaign_labels_what_was_cooled(tiny, make_config, found, tmp_path):
    folder = CampaignFolder(shutil.copytree(tiny.folder.path, tmp_path / "copy"))
    paths = folder.generation(0)
    shutil.rmtree(paths.harvest.parent)
    config = make_config({"harvest.cooling": 10.0})
    Generation(config, folder, 0, prepare(config, folder)).harvest()
    selected = read_structures(paths.selected)
    assert len(selected) == len(found.structures) == 3 and all(AT_REST in frame.info for frame in selected)
    assert read_json(paths.harvest)["cooling_evaluations"] == 3 * 2 * 10
    assert not list(paths.harvest.parent.glob("cooled*"))
