"""Each stage by itself, from files to files."""

import csv
import shutil

import numpy as np
import pytest
import torch

from uqcv.active_learning.selection import HarvestSettings
from uqcv.active_learning.stages import (
    evaluate_file,
    harvest_walkers,
    label_file,
    reference_surface,
    sample_bundle,
    train_potential,
)
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames
from uqcv.errors import InputError
from uqcv.files import read_json
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.loss import measure_errors
from uqcv.potentials.storage import load_potential
from uqcv.structures import read_structures, write_structures


@pytest.fixture(scope="module")
def paths(tiny):
    return tiny.folder.generation(0)


@pytest.fixture(scope="module")
def settings(make_config):
    return make_config()


def test_a_training(paths, settings, tmp_path):
    def trained(name: str, seed: int = 0, start=None):
        errors = train_potential(
            paths.training, paths.validation, tmp_path / name, settings.potential, settings.training, seed, start
        )
        return errors, (tmp_path / name / "potential.pt")

    (errors, path), (_, again), (_, other) = trained("one"), trained("again"), trained("other", seed=1)
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["history.csv", "potential.pt"]
    assert len((tmp_path / "one" / "history.csv").read_text().splitlines()) == 1 + settings.training.epochs
    weights = [load_potential(p).state_dict() for p in (path, again, other)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert any(not torch.equal(weights[0][k], weights[2][k]) for k in weights[0])
    unseen = Dataset(read_structures(paths.validation), settings.potential.cutoff)
    assert measure_errors(load_potential(path), unseen, settings.training).force_mae == pytest.approx(errors.force_mae)
    trained("warm", start=path)
    rows = (tmp_path / "warm" / "history.csv").read_text().splitlines()
    assert len(rows) == 1 + settings.training.warm_epochs


def test_a_training_without_labels(paths, settings, tmp_path, frames):
    write_structures(tmp_path / "bare.extxyz", [frames[0].with_positions(frames[0].positions)])
    with pytest.raises(InputError, match=r"bare\.extxyz, frame 0: no energy and no forces; label it first"):
        train_potential(tmp_path / "bare.extxyz", paths.validation, tmp_path / "out", settings.potential,
                        settings.training, 0)  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_walkers_of_other_atoms(paths, settings, topology_path, crystals, tmp_path):
    write_structures(tmp_path / "other.extxyz", crystals[:1])
    with pytest.raises(InputError, match=r"other\.extxyz, frame 0: its atoms are not those of .*topology\.pdb"):
        sample_bundle(paths.bundle, tmp_path / "other.extxyz", topology_path, tmp_path / "walkers",
                      settings.sampling, 0)  # fmt: skip
    assert not (tmp_path / "walkers").exists()


def test_a_harvest_of_walkers(paths, settings, topology_path, tmp_path, tiny):
    out = tmp_path / "selected.extxyz"
    # the stage counts energies from the lowest training label, the campaign from the relaxed molecule: both are wide
    known = tmp_path / "known.extxyz"  # a campaign knows its held-out frames too
    parts = (paths.training, paths.validation, paths.calibration)
    write_structures(known, [s for path in parts for s in read_structures(path)])
    result = harvest_walkers(
        paths.bundle, paths.walkers, known, topology_path, out, settings.harvest, settings.sampling
    )
    selected, campaigns = read_structures(out), read_structures(paths.selected)
    assert [s.info["frame"] for s in selected] == [s.info["frame"] for s in campaigns]
    assert [list(step) for step in result.funnel.steps] == read_json(paths.harvest)["funnel"]


def test_a_harvest_that_finds_nothing_writes_nothing(paths, settings, topology_path, tmp_path):
    out = tmp_path / "selected.extxyz"
    result = harvest_walkers(
        paths.bundle, paths.walkers, paths.training, topology_path, out, HarvestSettings(ceiling=-1e9),
        settings.sampling,
    )  # fmt: skip
    assert result.structures == [] and not out.exists()


def test_a_folder_without_walkers(paths, settings, topology_path, tmp_path):
    with pytest.raises(InputError, match=r"no walker-\*/trajectory\.dcd with frames; give a folder that `uqcv sample`"):
        harvest_walkers(
            paths.bundle, tmp_path, paths.training, topology_path, tmp_path / "out", settings.harvest,
            settings.sampling,
        )  # fmt: skip


def test_labels_in_a_file(settings, frames, tmp_path):
    write_structures(tmp_path / "bare.extxyz", [s.with_positions(s.positions) for s in frames[:4]])
    labelled, failures = label_file(settings.reference, tmp_path / "bare.extxyz", tmp_path / "labelled.extxyz")
    assert failures == [] and read_json(tmp_path / "labelled.failures.json") == []
    written = read_structures(tmp_path / "labelled.extxyz", labelled=True)
    for one, other, known in zip(labelled, written, frames, strict=False):
        assert one.energy == pytest.approx(other.energy) == pytest.approx(known.energy, abs=1e-5)


def test_an_evaluation_of_a_trajectory(paths, topology_path, tmp_path, settings):
    walker = paths.walkers / "walker-00"
    written = evaluate_file(paths.bundle, walker / "trajectory.dcd", topology_path, tmp_path / "out", "float64")
    assert [path.name for path in written] == ["frames.csv", "atoms.csv", "uncertainty.pdb"]
    with open(written[0], newline="") as handle:
        values = [float(row[settings.sampling.bias.component]) for row in csv.DictReader(handle)]
    with open(walker / "frames.csv", newline="") as handle:
        seen = [float(row["uncertainty"]) for row in csv.DictReader(handle)]
    np.testing.assert_allclose(values, seen, atol=1e-4)  # single precision there, DCD here
    with pytest.raises(InputError, match="--dtype float16 was given; float32 or float64 is expected"):
        evaluate_file(paths.bundle, walker / "trajectory.dcd", topology_path, tmp_path / "out", "float16")


def test_an_evaluation_in_single_precision(paths, topology_path, tmp_path):
    frames = read_structures(paths.training)[:2]
    write_structures(tmp_path / "frames.extxyz", frames)
    walker = paths.walkers / "walker-00"
    columns = []
    for dtype in ("float32", "float64"):
        path = evaluate_file(paths.bundle, walker / "trajectory.dcd", topology_path, tmp_path / dtype, dtype)[0]
        with open(path, newline="") as handle:
            columns.append([float(row["mean"]) for row in csv.DictReader(handle)])
    np.testing.assert_allclose(*columns, atol=1e-4)
    assert columns[0] != columns[1]


@pytest.mark.parametrize(
    ("changes", "out", "words"),
    [
        ({"system.free_energy": None}, None, "needs an OpenMM reference, and --out or system.free_energy"),
        ({"reference": {"kind": "ase", "calculator": "ase.calculators.emt.EMT"}}, "f.csv", "needs an OpenMM reference"),
        ({"system.torsions": {"phi": [4, 6, 8, 14]}}, "f.csv", "system.torsions names 1 torsions; two are expected"),
    ],
)
def test_a_surface_that_cannot_be(make_config, tmp_path, changes, out, words):
    changes = dict(changes)
    reference = changes.pop("reference", None)
    config = make_config(changes)
    if reference:
        from uqcv.labeling.reference import ASEReference

        config = config.model_copy(update={"reference": ASEReference(**reference)})
    with pytest.raises(InputError, match=words):
        reference_surface(config, out and tmp_path / out, 1000.0, 0, 4)


def test_a_surface(make_config, tmp_path):
    path = reference_surface(make_config(), tmp_path / "f.csv", 2000.0, 1, 4)
    rows = np.genfromtxt(path, delimiter=",", comments="#")
    values = rows[np.isfinite(rows).all(axis=1)]
    assert len(values) >= 1 and values[:, -1].min() == pytest.approx(0.0, abs=1e-6)


def test_a_bundle_of_a_campaign_is_what_the_stage_reads(paths):
    """A bundle moves: it holds no paths."""
    moved = paths.path.parent.parent / "moved bundle"
    shutil.copytree(paths.bundle, moved)
    frames = read_structures(paths.training)[:3]
    one, other = (evaluate_frames(Bundle.load(folder), frames).pooled["mean"] for folder in (paths.bundle, moved))
    np.testing.assert_array_equal(one, other)
