"""Settings of a campaign: strict, documented, and resolved into a file beside the results."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from uqcv.active_learning.selection import HarvestSettings
from uqcv.errors import InputError
from uqcv.files import read_yaml, write_text
from uqcv.labeling.reference import ReferenceSettings
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.settings import TrainingSettings
from uqcv.sampling.settings import SamplingSettings
from uqcv.uncertainty.settings import UncertaintySettings

LONGEST_VALUE = 60  # characters of a wrong value that are shown


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SystemSettings(_Strict):
    """The molecule or material."""

    topology: Path = Field(description="PDB file with all atoms and, for a molecule, its bonds")
    torsions: Literal["backbone"] | dict[str, tuple[int, int, int, int]] | None = Field(
        None, description="two torsions to draw maps of: 'backbone', or names with four atom indices from 0"
    )
    free_energy: Path | None = Field(None, description="CSV of the reference free energy over the torsions, kJ/mol")


class InitialSettings(_Strict):
    """The structures that the first potential is trained on."""

    file: Path | None = Field(None, description="labelled extxyz of your own; null: dynamics with the reference")
    frames: int = Field(100, ge=2, description="training frames of the first generation")
    held_out: int = Field(100, ge=4, description="frames kept from training: half validate, half calibrate")
    temperature: float = Field(300.0, gt=0, description="of the dynamics, K")
    time_step: float = Field(0.5, gt=0, description="of the dynamics, fs")
    spacing: float = Field(100.0, gt=0, description="time between frames, fs")
    equilibration: float = Field(2000.0, ge=0, description="time before the first frame, fs")
    keep: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="torsion -> range that the dynamics stays in, degrees"
    )

    @field_validator("keep")
    @classmethod
    def _require_ranges(cls, keep: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in keep.items():
            if not -180 <= low < high <= 180:
                raise ValueError(
                    f"{name}: [{low:g}, {high:g}] was given; two degrees within -180 and 180 are expected, lower first"
                )
        return keep


class TestSettings(_Strict):
    """Labelled structures that potentials are measured on and never see."""

    file: Path | None = Field(None, description="extxyz with labels")
    ramachandran_grid: int | None = Field(
        None, ge=2, description="make a uniform set on a grid x grid map of the torsions with the reference"
    )
    temperature: float = Field(300.0, gt=0, description="of the shaken structures, K")


class CampaignSettings(_Strict):
    """When the loop stops, and what it does with labels."""

    generations: int = Field(4, ge=1, description="potentials that are trained; all but the last one sample")
    label_budget: int | None = Field(None, ge=1, description="most labels of harvested frames; null: no limit")
    stop_at_coverage: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the relevant bins of system.free_energy that, once initial frames and labels cover it, "
        "ends the campaign with a last potential; null: no limit",
    )
    held_out_share: float = Field(
        0.1, ge=0, lt=0.5, description="share of new labels that joins validation and calibration, in turn"
    )
    max_label_energy: float = Field(
        3.0, gt=0, description="labelled frames higher above the minimum are kept out of training, eV"
    )


class Config(_Strict):
    """All settings of a campaign."""

    name: str = Field(pattern=r"^\w[\w .+-]*$", description="names the folder of results; no path")
    seed: int = Field(0, ge=0, description="all randomness comes from it")
    system: SystemSettings
    reference: ReferenceSettings = Field(description="the method that labels")
    initial: InitialSettings = Field(default_factory=InitialSettings)
    test: TestSettings = Field(default_factory=TestSettings)
    potential: PaiNNSettings = Field(default_factory=PaiNNSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    uncertainty: UncertaintySettings = Field(default_factory=UncertaintySettings)
    sampling: SamplingSettings = Field(default_factory=SamplingSettings)
    harvest: HarvestSettings = Field(default_factory=HarvestSettings)
    campaign: CampaignSettings = Field(default_factory=CampaignSettings)

    @model_validator(mode="after")
    def _coverage_is_of_a_map(self) -> Config:
        share, system = self.campaign.stop_at_coverage, self.system
        has_two = system.torsions == "backbone" or len(system.torsions or ()) == 2
        if share is not None and (system.free_energy is None or not has_two):
            raise ValueError(
                f"campaign.stop_at_coverage {share:g} was given; it needs system.free_energy and two system.torsions: "
                "give both, or null"
            )
        return self


def read_overrides(settings: Sequence[str]) -> dict[str, Any]:
    """Return values by dotted key, from settings as they are typed: ``sampling.walkers=8``.

    Raises
    ------
    InputError
        For one without a value, or whose value is no YAML.
    """
    overrides = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text} was given; key=value is expected, such as sampling.walkers=8")
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text} was given; the value cannot be read as YAML") from error
    return overrides


def read_angles(turns: Sequence[str]) -> dict[str, float]:
    """Return what `name=degrees` says, by name.

    Raises
    ------
    InputError
        For anything else, an angle that is not finite, or a name that is given twice.
    """
    angles: dict[str, float] = {}
    for text in turns:
        name, _, value = text.partition("=")
        name = name.strip()
        try:
            angle = float(value)
        except ValueError:
            angle = math.nan
        if not math.isfinite(angle):
            raise InputError(f"--turn {text} was given; torsion=degrees is expected, such as phi=60")
        if name in angles:
            raise InputError(f"--turn {text} was given after --turn {name}={angles[name]:g}; give one angle for {name}")
        angles[name] = angle
    return angles


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a campaign's YAML; relative paths in it start at its folder.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        Values by dotted key, such as ``{"sampling.sampler": "unbiased"}``.

    Raises
    ------
    InputError
        For an unknown key (with the nearest known one), a wrong type, or a missing file.
    """
    raw = read_yaml(path)
    for key, value in (overrides or {}).items():
        _override(raw, key, value)
    return _anchored(validated(Config, raw, str(path)), Path(path).resolve().parent)


def load_sections(path: Path | None, overrides: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return some sections of the settings: of a campaign's YAML if one is given, else the defaults.

    Raises
    ------
    InputError
        As `load_config`.
    """
    if path is not None:
        config = load_config(path, overrides)
        return {name: getattr(config, name) for name in names}
    raw: dict[str, Any] = {}
    for key, value in overrides.items():
        if key.split(".")[0] not in names:
            raise InputError(f"--set {key}: this command uses the settings {', '.join(names)}")
        _override(raw, key, value)
    models = {name: Config.model_fields[name].annotation for name in names}
    return {name: validated(model, raw.get(name, {}), f"--set {name}") for name, model in models.items() if model}


def validated(model: Any, raw: Any, source: str) -> Any:
    """Return `model` from plain values, or one line about the first thing that is wrong with them.

    Raises
    ------
    InputError
        Naming the source, the key, what was given and what is expected.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_problem(model, error)}") from error


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    problem = error.errors()[0]
    place = [str(p) for p in problem["loc"]]
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], _keys_of(model), n=1, cutoff=0.4)
        return f"unknown key {key}" + (f"; did you mean {close[0]}?" if close else "")
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":  # of settings that do not fit one another
        return f"{key}: {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    given = repr(problem["input"])
    given = given if len(given) <= LONGEST_VALUE else f"{given[:LONGEST_VALUE]}..."
    return f"{key}: {given} was given; {_expected(problem)}"


def _expected(problem: Any) -> str:
    """Return what pydantic expected, in words of ours where its own name its classes."""
    if problem["type"] in ("model_type", "dict_type"):
        return "a group of settings is expected, one in a line"
    if problem["type"] == "union_tag_invalid":
        return f"{problem['ctx']['discriminator']} must be one of {problem['ctx']['expected_tags']}"
    if problem["type"] == "string_pattern_mismatch":
        return "letters, digits, spaces and any of _ . + - are expected"
    return problem["msg"][0].lower() + problem["msg"][1:]


def _keys_of(annotation: Any) -> list[str]:
    """Return the names of all settings within a type, which may be a union of models."""
    keys: list[str] = []
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            keys += [name, *_keys_of(info.annotation)]
    for inner in get_args(annotation):
        keys += _keys_of(inner)
    return keys


def _override(raw: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise InputError(f"--set {key}: {parent} is not a group of settings")
    raw[last] = value


def _anchored(config: Config, folder: Path) -> Config:
    """Resolve relative paths against the folder of the YAML file."""

    def anchor(path: Path | None) -> Path | None:
        return None if path is None else (folder / path)

    system = config.system.model_copy(
        update={"topology": anchor(config.system.topology), "free_energy": anchor(config.system.free_energy)}
    )
    update: dict[str, Any] = {"system": system}
    if config.reference.kind == "openmm":
        update["reference"] = config.reference.model_copy(update={"topology": anchor(config.reference.topology)})
    for name in ("initial", "test"):
        section = getattr(config, name)
        update[name] = section.model_copy(update={"file": anchor(section.file)})
    template = config.sampling.bias.template
    if template is not None and (folder / template).is_file():  # else it is the name of one of ours
        bias = config.sampling.bias.model_copy(update={"template": str(folder / template)})
        update["sampling"] = config.sampling.model_copy(update={"bias": bias})
    return config.model_copy(update=update)


def save_config(config: Config, path: Path) -> None:
    """Write the resolved settings as YAML."""
    write_text(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def first_difference(one: Any, other: Any, prefix: str = "") -> str | None:
    """Return the dotted name of the first setting that differs between two dumps, or None."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(k for k in other if k not in one)]:
            found = first_difference(one.get(key), other.get(key), f"{prefix}{key}.")
            if found:
                return found
        return None
    return None if one == other else prefix.rstrip(".")
