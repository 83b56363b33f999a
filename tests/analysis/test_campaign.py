import shutil

import numpy as np
import pytest

from uqcv.analysis.campaign import read_campaign
from uqcv.analysis.tables import csv_text, read_table
from uqcv.errors import InputError
from uqcv.files import write_json, write_text


def test_a_campaign_is_read_as_it_was_written(campaign_folder, torsions):
    campaign = read_campaign(campaign_folder)
    assert campaign.state["stage"] == "sampling"
    assert [g.index for g in campaign.generations] == [0, 1, 2]
    assert {name: tuple(atoms) for name, atoms in campaign.torsions.items()} == torsions
    free_energy = campaign.free_energy()
    assert free_energy is not None
    assert free_energy.shape == (12, 12)
    first = campaign.generations[0]
    assert first.metrics["n_training"] == 80
    assert first.funnel[0] == ("frames", 460)
    assert len(first.history()["validation_loss"]) == 80
    assert first.training_angles(campaign.torsions).shape == (40, 2)
    assert set(first.scatter()) == {"frame", "uncertainty", "expected_error", "force_error"}


def test_walkers_say_how_they_ended(campaign_folder):
    walkers = read_campaign(campaign_folder).generations[2].walkers
    assert [w.outcome for w in walkers] == ["completed", "running", "completed", "bond broke"]
    assert [w.has_ended for w in walkers] == [True, False, True, True]
    assert walkers[0].name == "walker-00"


def test_frames_and_their_torsions_go_together(campaign_folder):
    campaign = read_campaign(campaign_folder)
    for walker in campaign.generations[0].walkers:
        angles = walker.angles(campaign.topology, campaign.torsions)
        assert angles.shape == (len(walker.trace()["step"]), 2)
        assert np.abs(angles).max() <= 180.0


def test_a_campaign_that_has_just_begun_is_empty(tmp_path, torsions):
    write_json(tmp_path / "state.json", {"generation": 0, "stage": "labels"})
    (tmp_path / "generation-00" / "walkers" / "walker-00").mkdir(parents=True)
    campaign = read_campaign(tmp_path)
    (generation,) = campaign.generations
    (walker,) = generation.walkers
    assert campaign.torsions == {}
    assert campaign.free_energy() is None
    assert generation.history() == generation.scatter() == walker.trace() == {}
    assert generation.funnel == []
    assert walker.outcome == "running"
    assert len(walker.angles(campaign.topology, torsions)) == len(generation.training_angles(torsions)) == 0


def test_a_trajectory_without_a_frame_is_a_fault_only_after_the_end(campaign_folder, tmp_path):
    folder = tmp_path / "campaign"
    shutil.copytree(campaign_folder, folder)
    for k in (0, 1):
        path = folder / f"generation-02/walkers/walker-{k:02d}/trajectory.dcd"
        path.write_bytes(path.read_bytes()[:300])
    campaign = read_campaign(folder)
    ended, running, *_ = campaign.generations[2].walkers
    assert len(running.angles(campaign.topology, campaign.torsions)) == 0
    with pytest.raises(InputError, match=r"walker-00/trajectory\.dcd: cannot be read"):
        ended.angles(campaign.topology, campaign.torsions)


def test_generations_are_in_the_order_of_their_numbers(tmp_path):
    write_json(tmp_path / "state.json", {})
    for name in ("generation-100", "generation-02", "generation-11", "generation-03.partial"):
        (tmp_path / name).mkdir()
    assert [g.index for g in read_campaign(tmp_path).generations] == [2, 11, 100]


def test_what_is_no_campaign_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a campaign"):
        read_campaign(tmp_path)
    write_text(tmp_path / "state.json", "{")
    with pytest.raises(InputError, match=r"state\.json: cannot be read as JSON"):
        read_campaign(tmp_path)
    write_json(tmp_path / "state.json", [1])
    with pytest.raises(InputError, match="a list was given; an object"):
        read_campaign(tmp_path)


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    path = tmp_path / "frames.csv"
    path.write_text("step,uncertainty\n1,0.5\n2,0.75\n3,0.")
    assert {name: values.tolist() for name, values in read_table(path).items()} == {
        "step": [1.0, 2.0],
        "uncertainty": [0.5, 0.75],
    }
    for begun in ("", "step,unc", "step,uncertainty\n"):
        path.write_text(begun)
        assert read_table(path) == {}


@pytest.mark.parametrize("text", ["a,b\n1,x\n", "a,b\n1,2\n3\n", "a,b\n1,2,3\n"])
def test_broken_tables_are_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t\.csv: cannot be read as a table of numbers"):
        read_table(tmp_path / "t.csv")


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"t\.csv: no column c; it has a, b"):
        read_table(tmp_path / "t.csv", required=("a", "c"))


def test_csv_keeps_every_digit_and_leaves_the_unknown_empty(tmp_path):
    values = np.array([0.1, 1 / 3, 1e-300])
    write_text(tmp_path / "t.csv", csv_text({"n": [1, 2, None], "x": values}))
    table = read_table(tmp_path / "t.csv")
    assert table["x"].tolist() == values.tolist()
    assert np.isnan(table["n"][2])
