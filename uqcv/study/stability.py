"""Whether dynamics with the last potential of a campaign stays physical."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uqcv.active_learning.diversity import farthest_points
from uqcv.active_learning.state import CampaignFolder
from uqcv.analysis.campaign import read_campaign
from uqcv.analysis.ramachandran import ramachandran_angles
from uqcv.colvars.bundle import Bundle
from uqcv.config import Config
from uqcv.files import read_json, write_json
from uqcv.forks import prepared_once
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.strategies import Site, plan_walkers
from uqcv.seeding import derive_seed
from uqcv.structures import Structure, read_structures
from uqcv.study.measures import MEASURES_FILE
from uqcv.study.oracle import Oracle
from uqcv.study.settings import MeasureSettings

FAR = 1e6  # eV, eV/Å or times: limits that nothing but a broken molecule meets


def spread_starts(oracle: Oracle, n: int) -> tuple[Structure, ...]:
    """Return `n` frames of the coldest trajectory that differ most in their torsions, or as they come."""
    frames = next(iter(oracle.trajectories.values()))
    if oracle.free_energy is None:
        return tuple(frames[int(k)] for k in np.linspace(0, len(frames) - 1, n))
    angles = np.radians(ramachandran_angles(frames, oracle.torsions))
    circles = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return tuple(frames[int(k)] for k in np.resize(farthest_points(circles, [], n), n))


def measure_stability(
    folder: Path, config: Config, settings: MeasureSettings, starts: Sequence[Structure]
) -> dict[str, float]:
    """Return the share of runs that stayed whole at each temperature (K), and add it to the campaign's measures.

    Parameters
    ----------
    folder
        Of the campaign; it has been measured.
    config
        Its settings.
    settings
        How long and how hot.
    starts
        One frame per run.
    """
    path = folder / MEASURES_FILE
    measures = read_json(path)
    if "stability" not in measures:
        with prepared_once():
            measures["stability"] = {
                f"{t:g}": _share(folder, config, settings, starts, t) for t in settings.stability_temperatures
            }
        write_json(path, measures)
    return dict(measures["stability"])


def _share(
    folder: Path, config: Config, settings: MeasureSettings, starts: Sequence[Structure], temperature: float
) -> float:
    paths = CampaignFolder(folder)
    last = paths.generation(read_campaign(folder).generations[-1].index)
    plain = config.sampling.bias.model_copy(update={"template": None, "shared": False})
    own = {"sampler": "unbiased", "walkers": len(starts), "temperatures": (temperature,), "bias": plain}
    limits = {"ceiling_error": FAR, "max_energy": FAR, "max_temperature_ratio": FAR, "restraint": None}
    sampling = config.sampling.model_copy(update=own | limits | {"length": settings.stability_length})
    place = folder / "stability" / last.path.name / f"{temperature:g}K"
    site = Site(place, last.bundle, paths.topology, read_structures(paths.relaxed)[0], 0.0)
    plans = plan_walkers(Bundle.load(last.bundle), site, starts, sampling, derive_seed(config.seed, "stability"))
    ends = run_walkers(plans, 1)
    return sum(end.completed for end in ends) / len(ends)
