"""Selected frames as they are labelled: cooled, where that is asked for, and only those that matter when cold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uqcv.active_learning.harvesting import Harvest
from uqcv.active_learning.selection import HarvestSettings
from uqcv.processes import run_in_processes
from uqcv.progress import progress
from uqcv.sampling.settings import SamplingSettings
from uqcv.simulation.cooling import AT_REST, CoolingPlan, cool
from uqcv.simulation.validity import MoleculeGuard
from uqcv.structures import Structure, read_structures


@dataclass(frozen=True)
class Cooler:
    """Cools what a harvest has selected.

    Attributes
    ----------
    bundle, topology
        Folder of the model, and PDB file.
    guard
        Knows the whole molecule.
    minimum_energy
        Of the molecule, eV.
    harvest
        How long, to which temperature, and which energies at rest are of interest.
    sampling
        Time step, masses, device and precision.
    place
        File that a process of its own leaves frames in; it is removed.
    seed
        Of velocities and thermostat.
    """

    bundle: Path
    topology: Path
    guard: MoleculeGuard
    minimum_energy: float
    harvest: HarvestSettings
    sampling: SamplingSettings
    place: Path
    seed: int

    def cooled(self, found: Harvest, title: str = "cooling") -> Harvest:
        """Return the harvest with cooled frames; one that does not stay whole is as it was.

        Where energies at rest have a ceiling, frames that would have been the next take the place of those above it.
        With `harvest.fill` the lowest of these come back where there are too few.
        """
        if not found.structures or not self.harvest.cooling:
            return found
        ceiling = self.harvest.max_energy_at_rest
        candidates = [*found.structures, *(found.left_over if ceiling is not None else [])]
        looked_at = self._run(candidates, len(found.structures), title)
        chosen = self._chosen([float(s.info[AT_REST]) for s in looked_at], len(found.structures))
        left_over = found.left_over if ceiling is None else candidates[len(looked_at) :]
        return replace(
            found,
            structures=[self._whole(candidates[k], looked_at[k]) for k in chosen],
            left_over=left_over,
            evaluations=(len(looked_at) + len(chosen)) * self._plan(candidates, 1).n_steps,
        )

    def _plan(self, frames: Sequence[Structure], wanted: int) -> CoolingPlan:
        harvest, sampling = self.harvest, self.sampling
        ceiling = np.inf if harvest.max_energy_at_rest is None else self.minimum_energy + harvest.max_energy_at_rest
        return CoolingPlan(
            self.place, self.bundle, self.topology, tuple(frames), wanted, ceiling, harvest.cooling_temperature,
            harvest.cooling, sampling.time_step, self.seed, self.guard, sampling.restraint, sampling.hydrogen_mass,
            sampling.dtype, sampling.device, sampling.compiled,
        )  # fmt: skip

    def _run(self, frames: Sequence[Structure], wanted: int, title: str) -> list[Structure]:
        with progress(title, wanted) as update:
            run_in_processes(cool, [self._plan(frames, wanted)], 1, lambda done, note: update(done, ""))
        found = read_structures(self.place)
        self.place.unlink()
        return found

    def _chosen(self, at_rest: Sequence[float], wanted: int) -> list[int]:
        """Return the frames that are low enough, in their order, and the lowest others if these shall fill up."""
        ceiling = self._plan([], 1).ceiling
        low = [k for k, energy in enumerate(at_rest) if energy <= ceiling]
        if not self.harvest.fill:
            return low
        others = sorted(set(range(len(at_rest))) - set(low), key=lambda k: at_rest[k])
        return low + others[: wanted - len(low)]

    def _whole(self, before: Structure, after: Structure) -> Structure:
        problem = self.guard.problem(after.positions, after.cell)
        kept = before if problem is not None else before.with_positions(after.positions)
        return kept.with_info(**{AT_REST: after.info[AT_REST]})
