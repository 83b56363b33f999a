"""Selected frames as they are labelled: cooled, where that is asked for and leaves the molecule whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uqcv.active_learning.selection import HarvestSettings
from uqcv.processes import run_in_processes
from uqcv.progress import progress
from uqcv.sampling.settings import SamplingSettings
from uqcv.simulation.cooling import CoolingPlan, cool
from uqcv.simulation.validity import MoleculeGuard
from uqcv.structures import Structure, read_structures


def cooled(
    frames: Sequence[Structure],
    bundle: Path,
    topology: Path,
    guard: MoleculeGuard,
    harvest: HarvestSettings,
    sampling: SamplingSettings,
    out: Path,
    seed: int,
    title: str = "cooling",
) -> list[Structure]:
    """Return frames after a short dynamics with strong friction; those that do not stay whole are as they were.

    Parameters
    ----------
    frames
        Selected ones; their info is kept.
    bundle, topology
        Folder of the model, and PDB file.
    guard
        Knows the whole molecule.
    harvest
        For how long, and to which temperature.
    sampling
        Time step, masses, device and precision.
    out
        File that a process of its own leaves them in; it is removed.
    seed
        Of velocities and thermostat.
    title
        What progress is called.
    """
    if not frames or not harvest.cooling:
        return list(frames)
    plan = CoolingPlan(
        out, bundle, topology, tuple(frames), harvest.cooling_temperature, harvest.cooling, sampling.time_step, seed,
        guard, sampling.restraint, sampling.hydrogen_mass, sampling.dtype, sampling.device, sampling.compiled,
    )  # fmt: skip
    with progress(title, len(frames)) as update:
        run_in_processes(cool, [plan], 1, lambda done, note: update(done, ""))
    found = read_structures(out)
    out.unlink()
    return [
        old.with_positions(new.positions) if guard.problem(new.positions, new.cell) is None else old
        for old, new in zip(frames, found, strict=True)
    ]


def cooling_evaluations(n_frames: int, harvest: HarvestSettings, sampling: SamplingSettings) -> int:
    """Return how often networks are evaluated to cool so many frames."""
    return n_frames * max(1, round(harvest.cooling / sampling.time_step)) if harvest.cooling else 0
