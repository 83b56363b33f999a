"""What became of a campaign: errors, coverage, free energy and costs after each generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uqcv.active_learning.evaluation import bins_covered, errors
from uqcv.active_learning.state import CampaignFolder
from uqcv.analysis.campaign import Campaign, Generation, read_campaign
from uqcv.analysis.perturbation import perturbed_map
from uqcv.analysis.ramachandran import RELEVANT_CEILING
from uqcv.colvars.batches import evaluate_batches
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames
from uqcv.files import read_json, read_yaml, write_json
from uqcv.sampling.settings import SamplingSettings
from uqcv.structures import read_structures
from uqcv.study.oracle import Oracle
from uqcv.study.settings import MeasureSettings
from uqcv.study.visits import first_visits, side_by_side
from uqcv.units import FS_TO_PS

TEMPERATURE = 300.0  # of the free energies that are compared, K
MEASURES_FILE = "measures.json"
WHOLE = ("covered", "crossings", "walked")  # of a campaign that is measured to its end
UNTIL_TRAINED = ("data", "train", "fit", "evaluate")


def measure_campaign(folder: Path, oracle: Oracle, settings: MeasureSettings) -> dict[str, Any]:
    """Return the measures of a campaign and leave them in its folder; generations that are measured stay so.

    Returns
    -------
    `generations`, one row each; `covered`, how many relevant bins hold a frame after each label, the initial frames
    first; `crossings`, simulated time (ps, all walkers together) until a minimum of the map was first visited, None if
    it never was; `walked`, the same of the relevant bins that were, in ascending order.
    """
    path = folder / MEASURES_FILE
    before = read_json(path) if path.is_file() else {"generations": []}
    for name in WHOLE:
        before.pop(name, None)  # they may be those of a shorter campaign
    campaign = read_campaign(folder)
    rows = list(before["generations"])
    for generation in campaign.generations[len(rows) :]:
        if not generation.metrics:
            break
        told = _spent(campaign, generation.index) | _of_labels(campaign, generation.index)
        rows.append(told | _of_model(folder, generation, oracle, settings))
        before.pop("stability", None)  # it was that of an earlier potential
        write_json(path, before | {"generations": rows})
    result = before | {"generations": rows}
    result |= {"covered": _covered(folder, campaign, oracle)} | _visits(campaign, oracle)
    write_json(path, result)
    return result


def is_measured(folder: Path, settings: MeasureSettings) -> bool:
    """Whether there is nothing left to measure of a campaign."""
    path = folder / MEASURES_FILE
    if not path.is_file():
        return False
    measures = read_json(path)
    trained = sum(bool(generation.metrics) for generation in read_campaign(folder).generations)
    is_whole = len(measures["generations"]) == trained and all(name in measures for name in WHOLE)
    return is_whole and ("stability" in measures or not settings.stability_runs)


def _of_model(folder: Path, generation: Generation, oracle: Oracle, settings: MeasureSettings) -> dict[str, Any]:
    """Return how good the potential of a generation is; errors in eV, eV/Å and kJ/mol."""
    bundle = Bundle.load(CampaignFolder(folder).generation(generation.index).bundle)
    names = ("test_force_mae", "test_force_rmse", "test_energy_mae", "validation_force_mae", "bins_visited")
    row: dict[str, Any] = {name: generation.metrics[name] for name in names if name in generation.metrics}
    for name, frames in oracle.trajectories.items():
        row |= errors(evaluate_frames(bundle, frames), frames, name)
    return row | _map_error(bundle, oracle, settings)


def _map_error(bundle: Bundle, oracle: Oracle, settings: MeasureSettings) -> dict[str, float]:
    if not oracle.samples or oracle.free_energy is None:
        return {}
    labels = np.array([s.energy for s in oracle.samples])
    model = perturbed_map(
        oracle.free_energy,
        [s.info["bin"] for s in oracle.samples],
        [s.info["log_weight"] for s in oracle.samples],
        evaluate_batches(bundle, oracle.samples)[0] - labels,
        TEMPERATURE,
    )
    effective = model.effective[oracle.free_energy < settings.map_ceiling]
    return {
        "map_error": model.error(oracle.free_energy, settings.map_ceiling),
        "map_effective_median": float(np.median(effective)),
        "map_effective_least": float(effective.min()),
    }


def _spent(campaign: Campaign, number: int) -> dict[str, float]:
    """Return what was spent until the potential of a generation was there."""
    names = ("labels", "steps", "evaluations", "seconds", "core_seconds", "wasted", "ended_early", "simulated_ps")
    spent, settings = dict.fromkeys(names, 0.0), _settings(campaign)["sampling"]
    for generation in campaign.generations[:number]:
        steps = sum(int(walker.end.get("steps", 0)) for walker in generation.walkers)
        spent["labels"] += generation.labels.get("sent", 0)
        spent["wasted"] += generation.labels.get("failed", 0) + generation.labels.get("too_high", 0)
        spent["ended_early"] += sum(not walker.end.get("completed", True) for walker in generation.walkers)
        spent["steps"] += steps
        spent["simulated_ps"] += steps * settings["time_step"] * FS_TO_PS
        looked_at = dict(generation.funnel).get("frames", 0) + _for_new_starts(generation, settings["walkers"])
        looked_at += int(generation.harvest.get("cooling_evaluations", 0))
        spent["evaluations"] += looked_at * _networks(campaign)
        spent["evaluations"] += sum(int(walker.end.get("evaluations", 0)) for walker in generation.walkers)
        for name in ("seconds", "core_seconds"):
            spent[name] += sum(_times(generation, name).values())
    for name in ("seconds", "core_seconds"):
        times = _times(campaign.generations[number], name)
        spent[name] += sum(times.get(stage, 0.0) for stage in UNTIL_TRAINED)
    return spent


def _of_labels(campaign: Campaign, number: int) -> dict[str, float]:
    """Return how far above the minimum (eV) the highest label lies that was there for the potential of a generation."""
    paths = [CampaignFolder(campaign.folder).generation(k).labelled for k in range(number)]
    frames = [frame for path in paths if path.is_file() for frame in read_structures(path)]
    energies = [frame.energy for frame in frames if frame.energy is not None]
    return {"highest_label": max(energies) - float(campaign.facts["minimum_energy"])} if energies else {}


def _for_new_starts(generation: Generation, together: int) -> int:
    """Return how many evaluations new starts took: of the frames of all parts before, and to cool some of them."""
    parts = side_by_side(generation, together)
    frames = [sum(len(walker.trace()["step"]) for walker in part) for part in parts[:-1]]
    paths = sorted((generation.folder / "walkers").glob("starts-*.extxyz"))
    cooling = [int(read_structures(path)[0].info.get("cooling_evaluations", 0)) for path in paths]
    return int(np.cumsum(frames).sum()) + sum(cooling)


def _times(generation: Generation, name: str) -> dict[str, float]:
    path = generation.folder / f"{name}.json"
    return dict(read_json(path)) if path.is_file() else {}


def _settings(campaign: Campaign) -> dict[str, Any]:
    return read_yaml(campaign.folder / "config.yaml")


def _networks(campaign: Campaign) -> int:
    uncertainty = _settings(campaign)["uncertainty"]
    return int(uncertainty["ensemble"]["members"]) if uncertainty["method"] == "ensemble" else 1


def _covered(folder: Path, campaign: Campaign, oracle: Oracle) -> list[int]:
    """Return how many relevant bins hold an initial frame or one of the first k labels, for k = 0, 1, ..."""
    if oracle.free_energy is None:
        return []
    ceiling = float(campaign.facts["minimum_energy"]) + _settings(campaign)["campaign"]["max_label_energy"]
    generations = len(campaign.generations)
    return bins_covered(CampaignFolder(folder), campaign.torsions, oracle.free_energy, ceiling, generations)


def _visits(campaign: Campaign, oracle: Oracle) -> dict[str, list[float | None]]:
    """Return when minima, and relevant bins, were first visited, in ps to a thousandth of a femtosecond."""
    if oracle.free_energy is None:
        return {"crossings": [], "walked": []}
    sampling = SamplingSettings(**_settings(campaign)["sampling"])
    visits = first_visits(campaign, sampling, len(oracle.free_energy)).round(6)
    minima = [float(visits[minimum]) for minimum in oracle.minima]
    relevant = visits[oracle.free_energy < RELEVANT_CEILING]
    walked = np.sort(relevant[np.isfinite(relevant)]).tolist()
    return {"crossings": [time if np.isfinite(time) else None for time in minima], "walked": walked}
