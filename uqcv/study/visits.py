"""When the walkers of a campaign first came to each bin of the map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uqcv.analysis.campaign import Campaign, Generation, Walker
from uqcv.sampling.settings import SamplingSettings
from uqcv.units import FS_TO_PS

Floats = NDArray[np.float64]


def first_visits(campaign: Campaign, sampling: SamplingSettings, grid: int) -> Floats:
    """Return the simulated time, ps of all walkers together, until one was first in each bin of the map.

    Walkers of a part run side by side; one that has ended adds nothing more.

    Parameters
    ----------
    campaign
        With two torsions.
    sampling
        Its settings.
    grid
        Bins of each torsion.

    Returns
    -------
    Shape (grid, grid), the first torsion along the first axis; infinite where none was.
    """
    visits, elapsed = np.full((grid, grid), np.inf), 0
    parts = [part for g in campaign.generations for part in side_by_side(g, sampling.walkers)]
    for part in parts:
        steps = np.array([int(walker.end.get("steps", 0)) for walker in part])
        if not steps.any():
            continue  # structures without dynamics
        first = sampling.stride * _first_frames(part, campaign, grid)
        new = np.isfinite(first) & np.isinf(visits)
        taken = elapsed + np.minimum(first[new][:, None], steps).sum(axis=1)
        visits[new] = taken * sampling.time_step * FS_TO_PS
        elapsed += int(steps.sum())
    return visits


def side_by_side(generation: Generation, together: int) -> list[tuple[Walker, ...]]:
    """Return the walkers of each part of a generation, which started together."""
    walkers = generation.walkers
    return [walkers[k : k + together] for k in range(0, len(walkers), together)]


def _first_frames(walkers: Sequence[Walker], campaign: Campaign, grid: int) -> Floats:
    """Return the index of the first frame of any walker in each bin, infinity where there is none."""
    first = np.full((grid, grid), np.inf)
    for walker in walkers:
        angles = walker.angles(campaign.topology, campaign.torsions)
        bins = np.floor((angles + 180.0) / (360.0 / grid)).astype(int) % grid
        np.minimum.at(first, tuple(bins.T), np.arange(len(bins)))
    return first
