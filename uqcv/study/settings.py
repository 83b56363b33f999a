"""A study: one campaign, run with many samplers and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from uqcv.config import Config, load_config
from uqcv.errors import InputError
from uqcv.files import about, read_yaml
from uqcv.settings_input import validated

# One core for each campaign: as many run side by side as there are cores, which wastes none of them.
ONE_CORE = {"training.processes": 1, "training.threads": 1, "sampling.processes": 1}


class SamplerEntry(BaseModel):
    """One sampler of a study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: int | None = Field(None, ge=1, description="number of campaigns; null: as many as the study says")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="what differs from the study's settings, by dotted key"
    )


class MeasureSettings(BaseModel):
    """What campaigns are measured by, beside their own test set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target: float = Field(0.95, gt=0, le=1, description="share of relevant bins that labels shall cover")
    trajectory_temperatures: tuple[float, ...] = Field(
        (300.0, 600.0), description="of the reference method's own trajectories, K"
    )
    trajectory_frames: int = Field(150, ge=1, description="labelled frames of each")
    samples_per_bin: int = Field(30, ge=2, description="frames of the reference method in each relevant bin")
    map_filling: float = Field(2.5e6, gt=0, description="time of metadynamics that leads to them, fs")
    map_ceiling: float = Field(20.0, gt=0, description="bins whose free energies are compared, kJ/mol")
    stability_runs: int = Field(8, ge=0, description="runs of the last potential at each temperature; 0: none")
    stability_length: float = Field(20000.0, gt=0, description="of each, fs")
    stability_temperatures: tuple[float, ...] = Field((300.0, 500.0), description="K")


class StudySettings(BaseModel):
    """All settings of a study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^\w[\w .+-]*$", description="names the folder of results; no path")
    campaign: Path = Field(description="YAML of the campaign, beside this file")
    seeds: int = Field(3, ge=1, description="of samplers that do not say otherwise")
    first_seed: int = Field(0, ge=0, description="seeds count from it: others than those that chose the settings")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="of all campaigns, where they differ from the YAML, by dotted key"
    )
    samplers: dict[str, SamplerEntry] = Field(min_length=1, description="name -> sampler, the most important first")
    expert: str | None = Field(None, description="the sampler that knows the answer, which others are compared with")
    measures: MeasureSettings = Field(default_factory=MeasureSettings, description="what is measured")


@dataclass(frozen=True)
class Item:
    """One campaign of a study.

    Attributes
    ----------
    sampler
        Its name in the study.
    seed
        Of the campaign.
    folder
        Where it runs.
    config
        All its settings.
    """

    sampler: str
    seed: int
    folder: Path
    config: Config


def load_study(path: Path) -> StudySettings:
    """Read a study's YAML; the path of its campaign starts at its folder.

    Raises
    ------
    InputError
        For an unknown key, a wrong type, a missing file, or an expert that is no sampler of it.
    """
    study: StudySettings = validated(StudySettings, read_yaml(path), str(path))
    wrong = [name for name in study.samplers if not name or set(name) & set("/\\ ") or name.startswith(".")]
    if wrong:
        raise InputError(f"{path}: the sampler {wrong[0]!r} cannot name a folder; give a name without spaces and /")
    if study.expert is not None and study.expert not in study.samplers:
        raise InputError(f"{path}: expert {study.expert} was given; one of {', '.join(study.samplers)} is expected")
    return study.model_copy(update={"campaign": Path(path).resolve().parent / study.campaign})


def campaigns(study: StudySettings, folder: Path, only: tuple[str, ...] = ()) -> list[Item]:
    """Return the campaigns of a study, the first seed of all samplers first; nothing is run or written.

    Parameters
    ----------
    study
        Settings.
    folder
        Of the study.
    only
        Samplers to leave the others out for.

    Raises
    ------
    InputError
        For settings that a campaign refuses, or an unknown sampler.
    """
    if unknown := sorted(set(only) - set(study.samplers)):
        raise InputError(f"--only {unknown[0]} was given; the study has {', '.join(study.samplers)}")
    chosen = {name: entry for name, entry in study.samplers.items() if not only or name in only}
    most = max(entry.seeds or study.seeds for entry in chosen.values())
    return [
        Item(name, seed, folder / "campaigns" / name / f"seed-{seed}", _config(study, name, seed))
        for seed in range(study.first_seed, study.first_seed + most)
        for name, entry in chosen.items()
        if seed < study.first_seed + (entry.seeds or study.seeds)
    ]


def campaign_settings(study: StudySettings) -> Config:
    """Return what the campaigns of a study have in common, whatever their samplers and seeds."""
    return load_config(study.campaign, ONE_CORE | study.settings)


def _config(study: StudySettings, name: str, seed: int) -> Config:
    with about(f"sampler {name}"):
        own = study.samplers[name].settings
        return load_config(study.campaign, ONE_CORE | study.settings | own | {"seed": seed})
