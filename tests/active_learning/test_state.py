"""Where a campaign stands: one small file, and a folder that one process holds."""

import json
import multiprocessing
from dataclasses import replace

import pytest

from uqcv.active_learning.state import CampaignFolder, CampaignState
from uqcv.errors import InputError


def hold(path, ready) -> None:
    """Hold a campaign's folder until this process is killed."""
    with CampaignFolder(path).locked():
        ready.set()
        multiprocessing.Event().wait(60)


def test_there_and_back(tmp_path):
    state = CampaignState(generation=3, stage="fit", labels=17, finished=True, reason="it is enough", seed=5)
    state.save(tmp_path / "state.json")
    assert CampaignState.load(tmp_path / "state.json") == state


def test_moving_on_keeps_the_rest():
    state = CampaignState(generation=1, stage="fit", labels=4, seed=9)
    assert state.at(2, "train") == replace(state, generation=2, stage="train")


@pytest.mark.parametrize("text", ['{"generation": 0, "stag": "fit"}', "[1, 2]", "{"])
def test_what_is_no_state(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"state\.json"):
        CampaignState.load(path)


def test_each_path_is_a_place_of_its_own(tmp_path):
    folder = CampaignFolder(tmp_path)
    parts = (folder, folder.generation(0), folder.generation(12))
    paths = [getattr(p, name) for p in parts for name, v in vars(type(p)).items() if isinstance(v, property)]
    assert len(paths) == len(set(paths)) > 30
    assert all(tmp_path in path.parents for path in paths)
    assert folder.generation(7).path.name == "generation-07"


def test_a_folder_is_held_by_one(tmp_path):
    folder = CampaignFolder(tmp_path / "new")
    words = "another run is at work here; wait for it, or give --out"
    with folder.locked(), pytest.raises(InputError, match=words), CampaignFolder(tmp_path / "new").locked():
        pass
    with folder.locked():
        pass


def test_a_killed_process_lets_go(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    process = spawn.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(InputError, match="another run is at work"), CampaignFolder(tmp_path).locked():
        pass
    process.kill()
    process.join()
    with CampaignFolder(tmp_path).locked():
        pass


def test_the_state_on_disk_is_plain(tmp_path):
    CampaignState(generation=1).save(tmp_path / "state.json")
    expected = {"generation": 1, "stage": "", "labels": 0, "finished": False, "reason": "", "seed": 0}
    assert json.loads((tmp_path / "state.json").read_text()) == expected
