"""Checks of a bundle, called as functions: what they take as its structure, and what they find wrong with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from uqcv.doctor.check import Finding, Patient
from uqcv.doctor.derivatives import factor_between
from uqcv.doctor.registry import BUNDLE
from uqcv.doctor.subject import subject_of
from uqcv.structures import Structure, write_structures

CHECKS = {check.name: check for check in BUNDLE}
GRADIENT, VIRIAL, ROTATION = "gradient of U through PLUMED", "virial under strain", "rotation"


@pytest.fixture
def patient_with(tmp_path, monkeypatch):
    """A patient in a scratch folder of its own."""

    def make(model, structure: Structure | None = None, training: Structure | None = None) -> Patient:
        for name in ("scratch", "home", "given"):
            (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / "scratch")
        given = tmp_path / "given"
        model.save(given / "bundle")
        if structure is not None:
            write_structures(given / "mine.extxyz", [structure])
        if training is not None:
            write_structures(given / "training.extxyz", [training])
        path = None if structure is None else given / "mine.extxyz"
        return Patient(tmp_path / "scratch", tmp_path / "home", given / "bundle", path)

    return make


def find(patient: Patient, *names: str) -> list[Finding]:
    return [CHECKS[name].examine(patient) for name in names]


def test_a_structure_that_is_given(patient_with, bundle, frames, molecule):
    patient = patient_with(bundle, structure=molecule, training=frames[0])
    (finding,) = find(patient, "structure")
    assert finding.ok and "mine.extxyz" in finding.detail
    moved = np.abs(subject_of(patient).structure.positions - molecule.positions)
    assert 0 < moved.max() < 0.2


@pytest.mark.parametrize("kind", ["bundle", "crystal_bundle"])
def test_without_a_structure_one_is_made_up(patient_with, kind, request):
    patient = patient_with(request.getfixturevalue(kind))
    findings = find(patient, *CHECKS)
    assert all(f.ok for f in findings), findings
    assert "made up, since none lies beside the bundle; give yours with --structure" in findings[1].detail


def test_training_frames_of_another_system_are_not_taken(patient_with, bundle, crystal):
    (finding,) = find(patient_with(bundle, training=crystal), "structure")
    assert finding.ok and "made up" in finding.detail


def test_a_cell_that_openmm_would_refuse(patient_with, crystal_bundle, crystal, rotation):
    """Left-handed, turned and not reduced: the same crystal."""
    cell = np.array([[1, 0, 0], [3, 1, 0], [0, 0, -1]]) @ crystal.cell @ rotation
    turned = Structure(crystal.numbers, crystal.positions @ rotation, cell, crystal.pbc)
    findings = find(patient_with(crystal_bundle, structure=turned), VIRIAL, "fused against unfused")
    assert all(f.ok for f in findings), findings


def test_a_structure_of_other_elements(patient_with, bundle, crystal):
    (finding,) = find(patient_with(bundle, structure=crystal), "structure")
    assert finding.ok is False and "mine.extxyz: elements with atomic numbers [29, 79]" in finding.detail
    assert finding.advice == "give another with --structure"


def test_a_slab(patient_with, crystal_bundle, crystal):
    slab = Structure(crystal.numbers, crystal.positions, crystal.cell, np.array([True, True, False]))
    (finding,) = find(patient_with(crystal_bundle, structure=slab), "structure")
    assert finding.ok is False and "periodic along 2 of 3 vectors" in finding.detail


def another_number(folder: Path) -> None:
    content = torch.load(folder / "weights.pt", weights_only=True)
    weights = content["network.readout.0.weight"]
    weights.view(-1)[0] += 1e-3
    torch.save(content, folder / "weights.pt")


def another_byte(folder: Path) -> None:
    weights = torch.load(folder / "weights.pt", weights_only=True)["network.readout.0.weight"]
    content = bytearray((folder / "weights.pt").read_bytes())
    content[content.index(weights.numpy().tobytes())] ^= 1
    (folder / "weights.pt").write_bytes(content)


def another_setting(folder: Path) -> None:
    header = json.loads((folder / "bundle.json").read_text())
    header["settings"]["uncertainty"]["pooling"]["sharpness"] *= 2
    (folder / "bundle.json").write_text(json.dumps(header))


def another_hash(folder: Path) -> None:
    header = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(header | {"hash": "0" * 64}))


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (another_number, "altered after it was written"),
        (another_byte, "altered after it was written"),
        (another_setting, "altered after it was written"),
        (another_hash, "its header says 000000000000"),
        (gone, "not a bundle (no bundle.json)"),
    ],
)
def test_a_bundle_that_is_not_what_it_was(patient_with, bundle, spoil, words):
    patient = patient_with(bundle)
    spoil(patient.bundle)
    (finding,) = find(patient, "bundle")
    assert finding.ok is False and words in finding.detail
    assert finding.advice == "give a folder that `uqcv fit` wrote, or fit it again"


def test_an_exported_cv_of_another_hash(patient_with, bundle):
    patient = patient_with(bundle)
    folder = subject_of(patient).cv_folder
    module = next(folder.glob("uqcv_*.py"))
    module.write_text(module.read_text().replace(bundle.hash, "0" * 64))
    (finding,) = find(patient, "exported CV")
    assert finding.ok is False
    assert f"bundle {bundle.short_hash} was found, 000000000000 was exported; export it again" in finding.detail


def test_a_bundle_says_of_what_its_uncertainty_speaks(patient_with, bundle):
    (finding,) = find(patient_with(bundle), "bundle")
    assert finding.ok and finding.detail.endswith("16 features; gmm speaks of features")


def test_a_factor_is_named_only_where_it_is_one():
    slopes = np.array([3.0, -1.0, 2.0])
    assert factor_between(slopes, slopes) == ""
    assert factor_between(slopes + np.array([0, 0.5, 0]), slopes) == ""
    assert "everywhere 10 times" in factor_between(10 * slopes, slopes)
    assert "everywhere -1 times" in factor_between(-slopes, slopes)
