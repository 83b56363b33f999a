"""The stages of one generation, on copies of a real campaign."""

import csv
import shutil

import numpy as np
import pytest
import torch

from uqcv.active_learning import generation
from uqcv.active_learning.generation import Generation
from uqcv.active_learning.harvesting import read_walkers
from uqcv.active_learning.reference_data import prepare
from uqcv.active_learning.state import CampaignFolder
from uqcv.colvars.bundle import Bundle
from uqcv.config import Config
from uqcv.files import read_json
from uqcv.potentials.storage import load_potential
from uqcv.simulation.cooling import AT_REST
from uqcv.simulation.topology import read_topology
from uqcv.simulation.trajectory import write_dcd
from uqcv.structures import read_structures


@pytest.fixture
def copied(tiny, tmp_path) -> CampaignFolder:
    shutil.copytree(tiny.folder.path, tmp_path / "copy")
    return CampaignFolder(tmp_path / "copy")


@pytest.fixture
def stage_of(copied, make_config):
    def make(number: int, changes: dict | None = None) -> Generation:
        config: Config = make_config(changes)
        return Generation(config, copied, number, prepare(config, copied))

    return make


def count(path) -> int:
    return len(read_structures(path, labelled=True))


def test_a_stage_with_a_result_does_nothing(copied, stage_of, files_of):
    before = files_of(copied.path)
    for number in (0, 1):
        work = stage_of(number)
        for stage in (work.gather, work.train, work.fit, work.evaluate, work.sample, work.harvest):
            stage()
        work.label(None)
    assert files_of(copied.path) == before


def test_what_a_crash_left_beside_a_result_is_removed(copied, stage_of):
    """Each had come to its end, and was killed before it could clear up."""
    paths = copied.generation(0)
    walker = paths.walkers / "walker-01"
    leftovers = [paths.checkpoint, walker / "checkpoint.zip", walker / "checkpoint.zip.diary"]
    for path in leftovers:
        path.write_bytes(b"of no use any more")
    work = stage_of(0)
    work.train()
    work.sample()
    assert [path for path in leftovers if path.exists()] == []


def test_energies_weigh_what_they_shall_in_a_generation(copied, stage_of):
    potential = copied.generation(1).potential
    found = []
    for changes in ({}, {"training.energy_weights": [1.0, 50.0]}, {"training.energy_weight": 50.0}):
        potential.unlink()
        stage_of(1, changes).train()
        found.append(load_potential(potential).state_dict())
    plain, listed, heavy = (torch.cat([t.flatten() for t in one.values()]) for one in found)
    assert torch.equal(listed, heavy) and not torch.equal(listed, plain)


def test_the_first_data_are_the_initial_ones(copied):
    first = copied.generation(0)
    assert first.training.read_bytes() == copied.initial.read_bytes()
    halves = read_structures(first.validation) + read_structures(first.calibration)
    held_out = read_structures(copied.held_out)
    assert len(halves) == len(held_out) and count(first.validation) == 4
    for one, other in zip(halves, held_out, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)


def grow(copied, work) -> tuple[int, int, int]:
    paths = copied.generation(1)
    for path in (paths.training, paths.validation, paths.calibration):
        path.unlink()
    work.gather()
    return count(paths.training), count(paths.validation), count(paths.calibration)


def test_new_labels_join_the_data(copied, stage_of):
    assert count(copied.generation(0).labelled) == 3
    assert grow(copied, stage_of(1)) == (11, 4, 4)
    training = read_structures(copied.generation(1).training)
    np.testing.assert_array_equal(training[0].positions, read_structures(copied.initial)[0].positions)
    assert [s.info["origin"] for s in training] == ["initial"] * 8 + ["generation 0"] * 3


def test_a_share_of_new_labels_is_held_out(copied, stage_of):
    assert grow(copied, stage_of(1, {"campaign.held_out_share": 0.4})) == (10, 5, 4)
    kept = read_structures(copied.generation(1).training)[8:] + read_structures(copied.generation(1).validation)[4:]
    labels = read_structures(copied.generation(0).labelled)
    assert {s.energy for s in kept} == {s.energy for s in labels}, "each label is used once"


def test_labels_that_are_too_high_stay_out(copied, stage_of):
    facts = prepare(stage_of(0).config, copied)
    above = sorted(s.energy - facts.minimum_energy for s in read_structures(copied.generation(0).labelled))
    work = stage_of(1, {"campaign.max_label_energy": 0.5 * (above[0] + above[1])})
    assert grow(copied, work) == (9, 4, 4)


def test_without_labels_the_data_stay(copied, stage_of):
    copied.generation(0).labelled.unlink()
    assert grow(copied, stage_of(1)) == (8, 4, 4)


def test_training_goes_on_from_the_last_potential(copied):
    weights = [load_potential(copied.generation(k).potential).state_dict() for k in range(2)]
    tensors = [k for k, v in weights[0].items() if v.is_floating_point() and v.numel() > 8]
    distances = [float((weights[1][k] - weights[0][k]).norm() / (weights[0][k].norm() + 1e-12)) for k in tensors]
    assert 0 < max(distances) < 0.5, "two epochs move a warm start a little; new weights would be elsewhere"
    rows = (copied.generation(1).path / "training" / "history.csv").read_text().splitlines()
    assert len(rows) == 1 + 2
    assert not copied.generation(1).checkpoint.exists()


def test_the_bundle_is_calibrated_on_this_generations_frames(copied):
    for k in range(2):
        paths = copied.generation(k)
        settings = Bundle.load(paths.bundle).settings
        assert settings.frame_calibration.n == count(paths.calibration)
        assert settings.provenance == {"campaign": "tiny", "generation": k, "seed": 0}
    first, second = (Bundle.load(copied.generation(k).bundle).hash for k in range(2))
    assert first != second


def test_metrics(copied):
    metrics = read_json(copied.generation(0).metrics)
    assert (metrics["generation"], metrics["n_training"]) == (0, 8)
    for name in ("validation", "test"):
        assert 0 < metrics[f"{name}_force_mae"] < metrics[f"{name}_force_rmse"]
        assert 0 <= metrics[f"{name}_coverage"] <= 1 and -1 <= metrics[f"{name}_spearman"] <= 1
    assert 1 <= metrics["bins_visited"] <= metrics["bins_relevant"]
    with open(copied.generation(0).scatter, newline="") as handle:
        rows = list(csv.DictReader(handle))
    errors = np.array([float(row["force_error"]) for row in rows])
    bundle = Bundle.load(copied.generation(0).bundle)
    test = read_structures(copied.test, labelled=True)
    assert len(rows) == len(test) == 16
    covered = np.array([float(row["expected_error"]) for row in rows]) >= errors
    assert covered.mean() == pytest.approx(metrics["test_coverage"])
    calibrated = bundle.settings.frame_calibration([float(row["uncertainty"]) for row in rows])
    np.testing.assert_allclose(calibrated, [float(row["expected_error"]) for row in rows])


def relabel(copied, work, budget) -> dict:
    shutil.rmtree(copied.generation(0).label_summary.parent)
    work.label(budget)
    return read_json(copied.generation(0).label_summary)


@pytest.mark.parametrize(("budget", "sent"), [(None, 3), (100, 3), (3, 3), (2, 2), (1, 1)])
def test_a_budget_is_kept_exactly(copied, stage_of, budget, sent):
    work = stage_of(0)
    before = read_structures(copied.generation(0).labelled)
    summary = relabel(copied, work, budget)
    assert (summary["sent"], summary["kept"], summary["failed"]) == (sent, sent, 0)
    assert work.label_count() == count(copied.generation(0).labelled) == sent
    labels = read_structures(copied.generation(0).labelled)
    assert [s.energy for s in labels] == [s.energy for s in before[:sent]], "the most different frames come first"


def test_the_summary_says_what_was_too_high(copied, stage_of):
    summary = relabel(copied, stage_of(0, {"campaign.max_label_energy": 1e-3}), None)
    assert (summary["sent"], summary["too_high"], summary["kept"]) == (3, 3, 0)
    facts = prepare(stage_of(0).config, copied)
    highest = max(s.energy for s in read_structures(copied.generation(0).labelled)) - facts.minimum_energy
    assert summary["highest_energy"] == pytest.approx(highest)


def test_labels_are_those_of_the_reference(copied, force_field):
    for frame in read_structures(copied.generation(0).labelled, labelled=True):
        again = force_field.label(frame)
        assert again.energy == pytest.approx(frame.energy, abs=1e-6)
        np.testing.assert_allclose(again.forces, frame.forces, atol=1e-5)


def test_what_is_labelled_is_not_harvested_again(copied, stage_of):
    """Held-out frames, and those whose labels were given up, are as known as those that are trained on."""
    paths = copied.generation(1)
    spent = [copied.generation(0).selected, paths.validation, paths.calibration]
    (walker, *others) = sorted(paths.walkers.glob("walker-*"))
    for other in others:
        shutil.rmtree(other)
    topology = read_topology(copied.topology)
    write_dcd(walker / "trajectory.dcd", topology, [s for path in spent for s in read_structures(path)])
    copied.generation(0).left_over.unlink()
    shutil.rmtree(paths.harvest.parent)
    stage_of(1, {"harvest.duplicate_tolerance": 1e-4, "harvest.fill": True}).harvest()
    assert read_json(paths.harvest)["funnel"][-1] == ["selected", 0]


def test_what_was_left_over_can_still_be_selected(copied, stage_of):
    """No walker of the second generation moves, so all that it selects are frames of the first."""
    left_over = read_structures(copied.generation(0).left_over)
    paths = copied.generation(1)
    shutil.rmtree(paths.harvest.parent)
    for trajectory in paths.walkers.glob("*/trajectory.dcd"):
        trajectory.unlink()
    stage_of(1).harvest()
    assert read_json(paths.harvest)["funnel"][0] == ["frames", len(left_over)]
    selected = read_structures(paths.selected)
    assert selected and {s.info["origin"] for s in selected} == {"generation 0"}
    assert all(any(np.allclose(s.positions, t.positions) for t in left_over) for s in selected)


def test_frames_that_are_too_high_are_not_selected(copied, stage_of):
    paths = copied.generation(0)
    shutil.rmtree(paths.harvest.parent)
    stage_of(0, {"harvest.max_energy": 1e-3}).harvest()
    steps = dict(read_json(paths.harvest)["funnel"])
    assert steps["uncertain"] > steps["physical"] == steps["selected"] == 0
    assert set(read_json(paths.harvest)["problems"]) == {"energy"}


def test_walkers_of_later_generations_are_hotter(copied, stage_of, monkeypatch):
    seen = []
    monkeypatch.setattr(generation, "walk", lambda bundle, site, starts, settings, *rest: seen.append(settings) or [])
    for number in (0, 1):
        stage_of(number, {"sampling.temperatures": [300, 400], "sampling.heating": 1.5}).sample()
    assert [settings.temperatures for settings in seen] == [(300.0, 400.0), (450.0, 600.0)]


def test_new_starts_are_cooled_as_what_is_labelled(copied, stage_of, monkeypatch):
    chosen = []

    def walk(bundle, site, starts, settings, seed, choose, title):
        chosen.extend(choose(read_walkers(copied.generation(0).walkers, copied.topology), starts))
        return []

    monkeypatch.setattr(generation, "walk", walk)
    stage_of(0, {"harvest.cooling": 5.0, "harvest.max_energy_at_rest": [1000.0]}).sample()
    assert len(chosen) == 2
    assert all(s.info["cooling_evaluations"] == 2 * 2 * 5 and AT_REST in s.info for s in chosen)
    assert not list(copied.generation(0).walkers.glob("cooled*"))


def test_nothing_selected_is_nothing_sent(copied, stage_of):
    copied.generation(0).selected.unlink()
    work = stage_of(0)
    assert relabel(copied, work, None) == {"sent": 0, "failed": 0, "too_high": 0, "kept": 0}
    assert work.label_count() == 0


def test_times_are_kept(copied, stage_of):
    work = stage_of(0)
    assert all(seconds > 0 for seconds in read_json(copied.generation(0).path / "seconds.json").values())
    before = read_json(copied.generation(0).path / "seconds.json")
    work.note_time("train", 1e6, 1e6)
    assert read_json(copied.generation(0).path / "seconds.json") == before, "a stage that was done keeps its time"
