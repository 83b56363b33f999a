"""A whole comparison, small and real: from files to tables, and on after an interruption."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from uqcv.benchmarks.uq import run
from uqcv.benchmarks.uq.networks import TrainingItem, train_item
from uqcv.benchmarks.uq.run import compare
from uqcv.benchmarks.uq.tables import report
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames
from uqcv.errors import InputError, UnknownElementError
from uqcv.potentials.storage import load_potential
from uqcv.structures import read_structures, write_structures
from uqcv.uncertainty.ensemble import EnsembleSettings


def test_everything_is_there(compared, plan):
    folder, results = compared
    assert {(row["method"], row["test"]) for row in results["metrics"]} == {
        (method, test) for method in ("gmm", "ensemble") for test in ("in domain", "there")
    }
    written = json.loads((folder / "results.json").read_text())
    assert written["metrics"] == json.loads(json.dumps(results["metrics"]))
    assert len(list((folder / "figures").glob("*.png"))) == 6
    text = (folder / "tables.md").read_text()
    assert text == report(results) and "tested there (6 frames)" in text
    assert "Frames: training 8, validation 4, calibration 5, test 6" in text and "6 independent test frames" in text


def test_the_metrics_are_those_of_the_bundle(compared, frames):
    folder, results = compared
    place = folder / "train-8" / "seed-0"
    bundle = Bundle.load(place / "methods" / "gmm" / "bundle")
    tested = read_structures(place / "tests" / "there.extxyz")
    found = evaluate_frames(bundle, tested)
    mae = np.mean([np.abs(f - s.forces).mean() for f, s in zip(found.forces, tested, strict=True)])
    (row,) = [r for r in results["metrics"] if (r["method"], r["test"]) == ("gmm", "there")]
    assert row["metrics"]["force_mae"]["mean"] == pytest.approx(mae, rel=1e-12)


def test_the_ensemble_shares_its_first_network(compared):
    folder, _ = compared
    methods = folder / "train-8" / "seed-0" / "methods"
    one, several = (Bundle.load(methods / name / "bundle") for name in ("gmm", "ensemble"))
    for name, tensor in one.potential.state_dict().items():
        np.testing.assert_array_equal(tensor, several.potential.state_dict()[name])
    assert several.model.ensemble.n_members == 2


def test_what_is_done_is_not_done_again(compared, plan, monkeypatch):
    folder, results = compared
    network = folder / "train-8" / "seed-0" / "networks" / "plain.pt"
    lost = folder / "train-8" / "seed-0" / "methods" / "gmm" / "cost.json"
    before, cost = network.stat().st_mtime_ns, json.loads(lost.read_text())
    lost.unlink()  # as if the run had been killed before it was written
    again = compare(plan, folder, processes=2)
    assert network.stat().st_mtime_ns == before
    assert json.loads(lost.read_text())["training_seconds"] == cost["training_seconds"]
    assert again["metrics"] == results["metrics"] and again["differences"] == results["differences"]
    looked_at = compare(plan, folder)  # takes no part in the time that it took
    seconds, after, looking = (found["settings"]["wall_seconds"] for found in (results, again, looked_at))
    assert seconds < after == looking


@pytest.mark.slow  # goes on with a comparison three times
def test_what_is_damaged_is_named_and_made_again(compared, plan):
    folder, results = compared
    methods, networks = (folder / "train-8" / "seed-0" / name for name in ("methods", "networks"))
    scores = methods / "gmm" / "tests" / "there.npz"
    good = scores.read_bytes()
    scores.write_bytes(good[: len(good) // 2])
    with pytest.raises(InputError, match=r"gmm/tests/there\.npz: cannot be read as scores .*; remove it, and the same"):
        compare(plan, folder, processes=2)
    scores.unlink()
    again = compare(plan, folder, processes=2)
    assert again["metrics"] == results["metrics"]
    network = networks / "plain-1.pt"
    good = network.read_bytes()
    network.write_bytes(good[:900])
    (methods / "ensemble" / "cost.json").unlink()
    with pytest.raises(InputError, match=r"networks/plain-1\.pt: is no network of this comparison; remove it, and"):
        compare(plan, folder, processes=2)
    network.write_bytes(good)
    compare(plan, folder, processes=2)


@pytest.mark.slow  # trains a comparison three times over
def test_more_seeds_and_sizes_extend_a_comparison(compared, plan, tmp_path):
    folder = tmp_path / "extended"
    shutil.copytree(compared[0], folder)
    network = folder / "train-8" / "seed-0" / "networks" / "plain.pt"
    before = network.stat().st_mtime_ns
    more = replace(plan, seeds=2, training_sizes=(8, 10), methods=("gmm", "mahalanobis", "ensemble"))
    results = compare(more, folder, processes=2)
    assert network.stat().st_mtime_ns == before
    assert {row["training"] for row in results["metrics"]} == {8, 10}
    assert len(results["sets"]["10, in domain"]["frames"]) == 2
    assert "± " in report(results)


def test_test_sets_may_be_called_like_parts_of_a_split(plan, frames, tmp_path, monkeypatch):
    others = []
    for k, name in enumerate(("training", "calibration", "validation")):
        others.append(tmp_path / f"{name}.extxyz")
        write_structures(others[-1], frames[24 + 3 * k : 27 + 3 * k])
    monkeypatch.setattr(run, "_do", lambda *_: 0)
    monkeypatch.setattr(run, "collect", stop)
    source = replace(plan.source, other_files=tuple(others))
    with pytest.raises(KeyboardInterrupt):
        compare(replace(plan, source=source), tmp_path / "out")
    place = tmp_path / "out" / "train-8" / "seed-0"
    assert len(read_structures(place / "training.extxyz")) == 8
    assert len(read_structures(place / "tests" / "training.extxyz")) == 3


def stop(*_):
    raise KeyboardInterrupt


def test_members_on_drawn_frames_differ_from_those_on_all(compared, plan):
    """`ensemble.bootstrap` reaches the networks of a comparison; the first one, which others share, sees all frames."""
    place = compared[0] / "train-8" / "seed-0"
    ensemble = EnsembleSettings(members=2, bootstrap=True)
    settings = plan.architecture, plan.training, plan.uncertainty.model_copy(update={"ensemble": ensemble})
    copied = compared[0] / "drawn"
    copied.mkdir()
    for name in ("training", "validation"):
        (copied / f"{name}.extxyz").write_bytes((place / f"{name}.extxyz").read_bytes())
    for k in range(2):
        train_item(TrainingItem(copied, "plain", k, 0, *settings), lambda epoch: None)
    weights = [
        [load_potential(folder / "networks" / name).readout[0].weight for name in ("plain.pt", "plain-1.pt")]
        for folder in (place, copied)
    ]
    assert torch.equal(weights[0][0], weights[1][0])
    assert not torch.equal(weights[0][1], weights[1][1])


def test_elements_that_training_lacks_are_refused_before_it(plan, crystals, tmp_path):
    write_structures(tmp_path / "alloy.extxyz", crystals[:3])
    source = replace(plan.source, other_files=(tmp_path / "alloy.extxyz",))
    with pytest.raises(UnknownElementError, match=r"alloy\.extxyz: elements with atomic numbers \[29, 79\] were given"):
        compare(replace(plan, source=source), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.pt"))
