"""Settings of a campaign: strict, documented, and resolved into a file beside the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from uqcv.active_learning.selection import HarvestSettings
from uqcv.errors import InputError
from uqcv.files import read_yaml, write_text
from uqcv.labeling.reference import ReferenceSettings
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.settings import TrainingSettings
from uqcv.sampling.settings import SamplingSettings
from uqcv.settings_input import validated
from uqcv.uncertainty.settings import UncertaintySettings


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
