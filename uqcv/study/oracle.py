"""What all campaigns of a study are measured against, made once by the reference method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.active_learning.beginning import Torsions, backbone_or_named
from uqcv.active_learning.reference_dynamics import write_reference_frames
from uqcv.analysis.perturbation import local_minima
from uqcv.analysis.ramachandran import read_free_energy
from uqcv.config import Config
from uqcv.labeling.map_samples import map_samples
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference import build_reference
from uqcv.progress import progress
from uqcv.seeding import derive_seed
from uqcv.simulation.topology import read_topology
from uqcv.structures import Structure, read_structures, write_structures
from uqcv.study.settings import MeasureSettings

SPACING = 200.0  # fs between the frames of a trajectory
BASIN_CEILING = 15.0  # kJ/mol: bins that a minimum may be in


@dataclass(frozen=True)
class Oracle:
    """Reference data of a study.

    Attributes
    ----------
    trajectories
        Name, such as '300 K' -> labelled frames of the reference method's dynamics, from all its minima.
    torsions
        Those of the system; two if there is a map.
    free_energy
        kJ/mol, shape (grid, grid), or None.
    samples
        Frames in the bins of the map, see `map_samples`; none without a map.
    """

    trajectories: dict[str, list[Structure]]
    torsions: Torsions
    free_energy: NDArray[np.float64] | None
    samples: list[Structure]

    @property
    def minima(self) -> list[tuple[int, int]]:
        """Bins of the minima of the map, lowest first."""
        return [] if self.free_energy is None else local_minima(self.free_energy, BASIN_CEILING)


def make_oracle(config: Config, settings: MeasureSettings, folder: Path) -> Oracle:
    """Make the reference data of a study in `folder`, or read what is there."""
    torsions = _torsions(config)
    free_energy = reference_map(config)
    oracle = Oracle({}, torsions, free_energy, [])
    starts = [_centre(place, free_energy, torsions) for place in oracle.minima] or [{}]
    trajectories = {
        f"{t:g} K": _made(folder / f"{t:g}K.extxyz", partial(_dynamics, config, settings, t, starts, folder))
        for t in settings.trajectory_temperatures
    }
    samples: list[Structure] = []
    if free_energy is not None and isinstance(method := build_reference(config.reference), OpenMMForceField):
        samples = _made(folder / "map.extxyz", lambda: _samples(method, config.seed, settings, torsions, free_energy))
    return Oracle(trajectories, torsions, free_energy, samples)


def reference_map(config: Config) -> NDArray[np.float64] | None:
    """Return the free energy that campaigns are measured by, kJ/mol, or None without one or without two torsions."""
    path = config.system.free_energy
    return read_free_energy(path) if path is not None and len(_torsions(config)) == 2 else None


def _torsions(config: Config) -> Torsions:
    return backbone_or_named(config, read_topology(config.system.topology))


def _made(path: Path, make: Callable[[], list[Structure]]) -> list[Structure]:
    if not path.is_file():
        write_structures(path, make())
    return read_structures(path)


def _centre(place: tuple[int, int], free_energy: NDArray[np.float64] | None, torsions: Torsions) -> dict[str, float]:
    assert free_energy is not None
    width = 360.0 / len(free_energy)
    return {name: -180.0 + width * (k + 0.5) for name, k in zip(torsions, place, strict=True)}


def _dynamics(
    config: Config, settings: MeasureSettings, temperature: float, starts: list[dict[str, float]], folder: Path
) -> list[Structure]:
    frames: list[Structure] = []
    per_start = -(-settings.trajectory_frames // len(starts))
    own = {"temperature": temperature, "frames": per_start, "spacing": SPACING, "keep": {}}
    with progress(f"reference trajectories at {temperature:g} K", len(starts)) as update:
        for k, start in enumerate(starts):
            seed = derive_seed(config.seed, "study", k)
            initial = config.initial.model_copy(update=own)
            part = folder / "parts" / f"{temperature:g}K-{k}.extxyz"
            if not part.is_file():
                write_reference_frames(config.model_copy(update={"initial": initial, "seed": seed}), start, part)
            frames += read_structures(part, labelled=True)
            update(k + 1, "")
    return frames[: settings.trajectory_frames]


def _samples(
    method: OpenMMForceField, seed: int, settings: MeasureSettings, torsions: Torsions, free_energy: NDArray[np.float64]
) -> list[Structure]:
    wanted = free_energy < settings.map_ceiling
    with progress("reference frames in the bins of the map", int(wanted.sum()) * settings.samples_per_bin) as update:
        return map_samples(
            method, torsions, wanted, settings.samples_per_bin, seed=derive_seed(seed, "study", "map"),
            filling=settings.map_filling, progress=lambda done, total: update(done, ""),
        )  # fmt: skip
