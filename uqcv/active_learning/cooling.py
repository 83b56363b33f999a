"""Selected frames as they are labelled: cooled, where that is asked for, and only those that matter when cold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.active_learning.harvesting import Harvest
from uqcv.active_learning.selection import HarvestSettings
from uqcv.forks import run_in_forks
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
        How long, and to which temperature.
    highest_at_rest
        Energy at rest above the minimum up to which a frame is of interest, eV; infinite: any.
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
    highest_at_rest: float
    sampling: SamplingSettings
    place: Path
    seed: int

    def cooled(self, found: Harvest, title: str = "cooling") -> Harvest:
        """Return the harvest with cooled frames; one that does not stay whole is as it was.

        Where energies at rest have a ceiling, frames that would have been the next take the place of those above it.
        These are left over, to be judged by the next potential; with `harvest.fill` the lowest come back where there
        are too few.
        """
        wanted = len(found.structures)
        if not wanted or not self.harvest.cooling:
            return found
        if np.isinf(self.highest_at_rest):
            return self._with(found, found.structures, self._run(found.structures, wanted, title), list(range(wanted)))
        candidates = [*found.structures, *found.left_over]
        cold = self._run(candidates, wanted, title)
        at_rest = np.array([float(frame.info[AT_REST]) for frame in cold])
        chosen = self._chosen(at_rest, wanted)
        others = [frame for k, frame in enumerate(candidates) if k not in chosen]
        low = int((at_rest <= self.ceiling).sum())
        return replace(
            self._with(found, candidates, cold, chosen),
            left_over=others[: self.harvest.remember],
            funnel=found.funnel.judged(len(cold), low, len(chosen)),
        )

    def _with(
        self, found: Harvest, frames: Sequence[Structure], cold: Sequence[Structure], chosen: Sequence[int]
    ) -> Harvest:
        structures = [self._whole(frames[k], cold[k]) for k in chosen]
        return replace(found, structures=structures, evaluations=len(cold) * 2 * self._plan([], 1).n_steps)

    @property
    def ceiling(self) -> float:
        """Energy at rest up to which a frame is of interest, eV."""
        return self.minimum_energy + self.highest_at_rest

    def _plan(self, frames: Sequence[Structure], wanted: int) -> CoolingPlan:
        harvest, sampling = self.harvest, self.sampling
        return CoolingPlan(
            self.place, self.bundle, self.topology, tuple(frames), wanted, self.ceiling, harvest.cooling_temperature,
            harvest.cooling, sampling.time_step, self.seed, self.guard, sampling.restraint, sampling.hydrogen_mass,
            sampling.dtype, sampling.device, sampling.compiled,
        )  # fmt: skip

    def _run(self, frames: Sequence[Structure], wanted: int, title: str) -> list[Structure]:
        with progress(title, wanted) as update:
            plan = self._plan(frames, wanted)
            run_in_forks(cool, [plan], 1, plan.preparation, lambda done, note: update(done, ""))
        found = read_structures(self.place)
        self.place.unlink()
        return found

    def _chosen(self, at_rest: NDArray[np.float64], wanted: int) -> list[int]:
        """Return the frames that are low enough, in their order, and the lowest others if these shall fill up."""
        low = np.flatnonzero(at_rest <= self.ceiling).tolist()
        others = [k for k in np.argsort(at_rest).tolist() if k not in low]
        return low + (others[: wanted - len(low)] if self.harvest.fill else [])

    def _whole(self, before: Structure, after: Structure) -> Structure:
        problem = self.guard.problem(after.positions, after.cell)
        kept = before if problem is not None else before.with_positions(after.positions)
        return kept.with_info(**{AT_REST: after.info[AT_REST]})
