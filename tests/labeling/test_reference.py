from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from uqcv.errors import InputError, LabelingError
from uqcv.labeling.ase_calculator import ASECalculatorMethod
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference import ASEReference, OpenMMReference, ReferenceSettings, build_reference

SETTINGS = TypeAdapter(ReferenceSettings)


def test_the_kind_chooses_the_method(topology_path):
    openmm = SETTINGS.validate_python({"kind": "openmm", "topology": str(topology_path)})
    ase = SETTINGS.validate_python({"kind": "ase", "calculator": "ase.calculators.emt.EMT"})
    assert isinstance(build_reference(openmm), OpenMMForceField)
    assert isinstance(build_reference(ase), ASECalculatorMethod)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "gaussian"},
        {"kind": "openmm"},
        {"kind": "openmm", "topology": "a.pdb", "cutoff": 10},
        {"kind": "openmm", "topology": "a.pdb", "force_field": []},
    ],
)
def test_unknown_kinds_and_keys_are_refused(settings):
    with pytest.raises(ValidationError):
        SETTINGS.validate_python(settings)


def test_settings_are_frozen_and_say_their_unit():
    settings = OpenMMReference(topology=Path("a.pdb"))
    with pytest.raises(ValidationError):
        settings.topology = Path("b.pdb")
    for model in (OpenMMReference, ASEReference):
        fields = {name: f for name, f in model.model_fields.items() if name != "kind"}
        assert all(field.description for field in fields.values())


def test_a_label_keeps_the_structure(springs, copper):
    labelled = springs.label(copper.with_info(source="here"))
    assert labelled.is_labelled and labelled.info == {"source": "here"}
    assert np.array_equal(labelled.positions, copper.positions)


def test_whatever_fails_becomes_one_line(springs, copper):
    far = copper.with_positions(copper.positions + 10.0)
    with pytest.raises(LabelingError, match=r"^springs: too far$"):
        springs.label(far)


@pytest.mark.parametrize(
    ("energy", "forces"),
    [(float("nan"), np.zeros((3, 3))), (0.0, np.full((3, 3), np.inf))],
    ids=["energy", "forces"],
)
def test_labels_are_finite(springs, copper, monkeypatch, energy, forces):
    monkeypatch.setattr(springs, "energy_and_forces", lambda structure: (energy, forces))
    with pytest.raises(LabelingError, match="not finite"):
        springs.label(copper)


def test_a_missing_topology_is_named():
    with pytest.raises(InputError, match=r"nowhere\.pdb: no such file"):
        build_reference(OpenMMReference(topology=Path("nowhere.pdb")))
