"""What a study measured, in one file: parts of it that ran elsewhere, or long ago, join its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from uqcv.active_learning.manager import WITHOUT_EFFECT
from uqcv.config import Config
from uqcv.errors import InputError
from uqcv.files import read_json, write_json
from uqcv.input_files import by_content
from uqcv.settings_input import first_difference, validated
from uqcv.study.settings import Item, StudySettings

RESULTS_FILE = "results.json"
AGAIN = "leave the file out, or measure with these settings again"
Measured = dict[str, dict[int, dict[str, Any]]]


class MeasuredCampaign(BaseModel):
    """What `measure_campaign` gives; what else stands there is kept."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    generations: list[dict[str, Any]] = Field(min_length=1, description="a row for each potential")
    covered: list[int] = Field(description="relevant bins that hold a frame after each label")
    crossings: list[float | None] = Field(description="ps until minima were first visited")
    walked: list[float] = Field(
        [], description="ps until relevant bins were, ascending; empty: not known, or no dynamics"
    )


class MeasuredSampler(BaseModel):
    """Campaigns of one sampler."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, Any] = Field(description="of all of them, see `portable`")
    seeds: dict[int, MeasuredCampaign] = Field(description="seed -> measures")


class Results(BaseModel):
    """The content of a file of results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(description="version of the file's form")
    measures: dict[str, Any] = Field(description="what was measured")
    samplers: dict[str, MeasuredSampler] = Field(description="name -> campaigns")


def write_results(
    study: StudySettings, items: Sequence[Item], measured: Mapping[str, Mapping[int, Any]], path: Path
) -> None:
    """Write measures, and the settings that they are of, to one file that means the same on any machine.

    Parameters
    ----------
    study
        Its settings.
    items
        Its campaigns.
    measured
        Those that have run as far as they shall: sampler -> seed -> measures.
    path
        The file.
    """
    settings = {item.sampler: portable(item.config) for item in items}
    samplers = {
        name: {"settings": settings[name], "seeds": {str(seed): m for seed, m in seeds.items()}}
        for name, seeds in measured.items()
    }
    write_json(path, {"format": 1, "measures": study.measures.model_dump(mode="json"), "samplers": samplers})


def read_results(study: StudySettings, items: Sequence[Item], paths: Sequence[Path]) -> Measured:
    """Return the measures of the campaigns of a study that files hold: sampler -> seed -> measures.

    Raises
    ------
    InputError
        If a file is not one of results, or holds campaigns of this study's samplers with other settings or measures.
    """
    wanted = {item.sampler: portable(item.config) for item in items}
    found: Measured = {}
    for path in paths:
        results: Results = validated(Results, read_json(path), f"{path}, results of a study")
        _require_same(results.measures, study.measures.model_dump(mode="json"), f"{path}: measures")
        for name in results.samplers.keys() & wanted.keys():
            part = results.samplers[name]
            _require_same(part.settings, wanted[name], f"{path}: sampler {name}")
            found.setdefault(name, {}).update({seed: m.model_dump() for seed, m in part.seeds.items()})
    return found


def portable(config: Config) -> dict[str, Any]:
    """Return the settings that decide what becomes of a campaign, but for its seed: files by what they hold."""
    content: dict[str, Any] = by_content(config.model_dump())
    del content["seed"]
    for key in WITHOUT_EFFECT:
        section, name = key.split(".")
        del content[section][name]
    return content


def _require_same(before: Any, now: Any, source: str) -> None:
    if different := first_difference(before, now):
        raise InputError(f"{source}: they are of another {different}; {AGAIN}")
