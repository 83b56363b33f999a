"""A study from its settings to its report: what is there is not made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from uqcv.active_learning.beginning import beginning
from uqcv.active_learning.manager import MAY_CHANGE, Campaign
from uqcv.active_learning.state import CampaignFolder
from uqcv.errors import InputError
from uqcv.files import about, read_json, write_json
from uqcv.folders import locked
from uqcv.processes import available_cores, output_to, run_in_processes
from uqcv.progress import progress
from uqcv.settings_input import first_difference
from uqcv.study.first import begin, first_of, firsts, run_first
from uqcv.study.measures import is_measured, measure_campaign
from uqcv.study.oracle import Oracle, make_oracle
from uqcv.study.results import Measured, portable, read_results
from uqcv.study.settings import Item, MeasureSettings, StudySettings, campaign_settings, campaigns
from uqcv.study.stability import measure_stability, spread_starts

STUDY_FILE = "study.json"
CAMPAIGN_SETTINGS = "campaign_settings"  # in that file


def run_study(
    study: StudySettings,
    folder: Path,
    only: tuple[str, ...] = (),
    processes: int | None = None,
    results: Sequence[Path] = (),
) -> None:
    """Run all campaigns of a study that are not finished, and measure them.

    Parameters
    ----------
    study
        Settings.
    folder
        Where everything goes; a study that was interrupted there goes on.
    only
        Samplers to run; the others are left as they are.
    processes
        Campaigns at a time, each on one core; None: one per core.
    results
        Files with measures of other campaigns of this study, which are not run again.

    Raises
    ------
    InputError
        If the folder holds another study, results are of other settings, or a campaign cannot be.
    """
    everything, n = campaigns(study, folder), processes or available_cores()
    elsewhere = read_results(study, everything, results)
    chosen = campaigns(study, folder, only)
    items = [item for item in chosen if item.seed not in elsewhere.get(item.sampler, {})]
    if not items:
        return
    with locked(folder):
        _require_same(study, folder)
        _require_possible(everything, items)
        write_json(folder / STUDY_FILE, _noted(study))
        # Of the study's first campaign, whichever run here, so that parts of a study are measured by the same frames.
        oracle = make_oracle(everything[0].config, study.measures, folder / "reference")
        unfinished = [item for item in items if not is_complete(item, study)]
        _begin(unfinished, folder, n)
        _complete_all(unfinished, oracle, study, n)


def _require_same(study: StudySettings, folder: Path) -> None:
    """Refuse a folder of a study with another campaign or measures; what may be added or go on longer is free."""
    path = folder / STUDY_FILE
    if not path.is_file():
        return
    before, now = _fixed(read_json(path)), _fixed(_noted(study))
    for content in (before, now):  # where the campaign's file lies does not matter if what it said is known
        content.pop("campaign" if CAMPAIGN_SETTINGS in before else CAMPAIGN_SETTINGS, None)
    if different := first_difference(before, now):
        raise InputError(f"{folder} holds a study with another {different}; give another --out")


def _noted(study: StudySettings) -> dict[str, Any]:
    """Return all settings of a study, and what decides about its campaigns: the same wherever their files lie."""
    campaign = portable(campaign_settings(study))
    for key in MAY_CHANGE:
        section, name = key.split(".")
        campaign[section].pop(name, None)
    return study.model_dump(mode="json") | {CAMPAIGN_SETTINGS: campaign}


def _fixed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a study that must stay as they are."""
    settings = {key: value for key, value in content.get("settings", {}).items() if key not in MAY_CHANGE}
    free = ("samplers", "seeds", "expert")
    return {key: value for key, value in content.items() if key not in free} | {"settings": settings}


def _require_possible(everything: list[Item], chosen: list[Item]) -> None:
    """Refuse campaigns that are there with other settings, and new ones that a later stage would refuse.

    Those that have ended would not be asked again, and their results would stand for settings that are not theirs.
    """
    for item in everything:
        if item.folder.exists():
            Campaign(item.config, item.folder)
    new = {item.sampler: item.config for item in chosen if not CampaignFolder(item.folder).config.is_file()}
    for name, config in new.items():
        with about(f"sampler {name}"):
            beginning(config)


def _begin(items: list[Item], folder: Path, processes: int) -> None:
    """Give each campaign that is not there its first potential."""
    new = [item for item in items if not item.folder.exists()]
    missing = [first for first in firsts(new, folder) if not first.is_made]
    if missing:
        with progress("first potentials", len(missing)) as update:
            run_in_processes(run_first, missing, processes, update, lambda first: str(first.folder))
    for item in new:
        begin(item, first_of(item, folder))


def _complete_all(items: list[Item], oracle: Oracle, study: StudySettings, processes: int) -> None:
    """Run each campaign to its end and measure it at once: what one meets keeps back nothing of the others."""
    if not items:
        return
    task = partial(complete, oracle=oracle, settings=study.measures)
    total = sum(item.config.campaign.generations + 1 for item in items)
    with progress(f"generations of {len(items)} campaigns, and measures", total) as update:
        run_in_processes(task, items, processes, update, lambda item: str(item.folder), input_is_shared=False)


def _is_finished(item: Item) -> bool:
    """Whether a campaign has run as far as it shall."""
    return CampaignFolder(item.folder).state.is_file() and Campaign(item.config, item.folder).is_at_its_end


def run_campaign(item: Item, progress: Callable[[int], None]) -> None:
    """Run one campaign, or go on with it; what it says goes to a file beside its folder."""
    with output_to(item.folder.with_suffix(".log")):
        Campaign(item.config, item.folder).run(lambda number: progress(number + 1))


def complete(item: Item, progress: Callable[[int], None], oracle: Oracle, settings: MeasureSettings) -> None:
    """Run one campaign as far as it shall, and measure it."""
    import torch

    if not _is_finished(item):
        run_campaign(item, progress)
    progress(item.config.campaign.generations)
    torch.set_num_threads(1)
    measure_campaign(item.folder, oracle, settings)
    if settings.stability_runs:
        with output_to(item.folder.with_suffix(".log")):
            measure_stability(item.folder, item.config, settings, spread_starts(oracle, settings.stability_runs))
    progress(item.config.campaign.generations + 1)


def is_complete(item: Item, study: StudySettings) -> bool:
    """Whether a campaign has run as far as it shall, and all of it is measured."""
    return _is_finished(item) and is_measured(item.folder, study.measures)


def read_measures(study: StudySettings, folder: Path, results: Sequence[Path] = ()) -> Measured:
    """Return the measures of all campaigns that have some: sampler -> seed -> what `measure_campaign` gave.

    Those in `folder` count more than those in files of results.
    """
    items = campaigns(study, folder)
    found = read_results(study, items, results)
    for item in items:
        path = item.folder / "measures.json"
        if path.is_file() and "covered" in (measures := read_json(path)):
            found.setdefault(item.sampler, {})[item.seed] = measures
    return {name: dict(sorted(found[name].items())) for name in study.samplers if name in found}
