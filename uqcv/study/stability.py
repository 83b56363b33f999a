"""Whether dynamics with the last potential of a campaign stays physical."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uqcv.active_learning.selection import farthest_points
from uqcv.active_learning.state import CampaignFolder
from uqcv.analysis.campaign import read_campaign
from uqcv.analysis.ramachandran import ramachandran_angles
from uqcv.colvars.bundle import Bundle
from uqcv.config import Config
from uqcv.files import read_json, write_json
from uqcv.processes import output_to
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.strategies import Site, plan_walkers
from uqcv.seeding import derive_seed
from uqcv.structures import Structure, read_structures
from uqcv.study.measures import MEASURES_FILE
from uqcv.study.oracle import Oracle
from uqcv.study.settings import MeasureSettings

FAR = 1e6  # eV, eV/Å or times: limits that nothing but a broken molecule meets


@dataclass(frozen=True)
class StabilityItem:
    """Runs of one campaign's last potential.

    Attributes
    ----------
    folder
        Of the campaign.
    config
        Its settings.
    settings
        How many runs, how long, how hot.
    starts
        One frame per run.
    """

    folder: Path
    config: Config
    settings: MeasureSettings
    starts: tuple[Structure, ...]

    @property
    def is_done(self) -> bool:
        """Whether all runs have ended."""
        path = self.folder / MEASURES_FILE
        return path.is_file() and "stability" in read_json(path)


def spread_starts(oracle: Oracle, n: int) -> tuple[Structure, ...]:
    """Return `n` frames of the coldest trajectory that differ most in their torsions, or as they come."""
    frames = next(iter(oracle.trajectories.values()))
    if oracle.free_energy is None:
        return tuple(frames[int(k)] for k in np.linspace(0, len(frames) - 1, n))
    angles = np.radians(ramachandran_angles(frames, oracle.torsions))
    circles = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return tuple(frames[int(k)] for k in np.resize(farthest_points(circles, [], n), n))


def run_stability(item: StabilityItem, progress: Callable[[int], None]) -> None:
    """Run them and add `stability`, the share that stayed whole at each temperature (K), to the measures."""
    if not item.is_done:
        with output_to(item.folder.with_suffix(".log")):
            stable = {f"{t:g}": _share(item, t) for t in item.settings.stability_temperatures}
        path = item.folder / MEASURES_FILE
        write_json(path, read_json(path) | {"stability": stable})
    progress(1)


def _share(item: StabilityItem, temperature: float) -> float:
    paths, campaign = CampaignFolder(item.folder), read_campaign(item.folder)
    last = paths.generation(campaign.generations[-1].index)
    sampling = item.config.sampling.model_copy(
        update={
            "sampler": "unbiased",
            "walkers": len(item.starts),
            "length": item.settings.stability_length,
            "temperatures": (temperature,),
            "ceiling_error": FAR,
            "max_energy": FAR,
            "max_temperature_ratio": FAR,
        }
    )
    folder = item.folder / "stability" / f"{temperature:g}K"
    site = Site(folder, last.bundle, paths.topology, read_structures(paths.relaxed)[0], 0.0)
    seed = derive_seed(item.config.seed, "stability")
    ends = run_walkers(plan_walkers(Bundle.load(last.bundle), site, item.starts, sampling, seed), 1)
    return sum(end.completed for end in ends) / len(ends)
