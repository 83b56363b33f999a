"""Dynamics by the reference method as settings ask for it: within ranges of torsions, gone on with when interrupted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from uqcv.active_learning.beginning import Torsions, backbone_or_named, starting_structure
from uqcv.config import Config
from uqcv.errors import InputError
from uqcv.files import digest
from uqcv.folders import remove_if_there
from uqcv.labeling.journal import open_journal
from uqcv.labeling.reference import ReferenceMethod, build_reference
from uqcv.labeling.reference_md import JOURNAL_KEYS, sample_reference
from uqcv.labeling.relaxation import relax
from uqcv.progress import progress
from uqcv.seeding import derive_seed
from uqcv.simulation.topology import read_topology
from uqcv.simulation.torsions import bond_pairs, torsion_angle, turn
from uqcv.structures import Structure, write_structures


def write_reference_frames(config: Config, turned: Mapping[str, float], path: Path) -> list[Structure]:
    """Write labelled frames of dynamics by the reference method, as `config.initial` says, and return them.

    Parameters
    ----------
    config
        Of a campaign.
    turned
        Torsions (degrees) to turn the molecule to before it is relaxed, such as those of another conformer.
    path
        Of the extxyz file; until it is there a journal lies beside it.

    Raises
    ------
    InputError
        For a torsion that `config.system` does not name, a start that `config.initial.keep` does not hold, or a
        journal of other settings.
    """
    method, topology = build_reference(config.reference), read_topology(config.system.topology)
    torsions = backbone_or_named(config, topology)
    start = starting_structure(config, topology)
    for name, angle in turned.items():
        if name not in torsions:
            raise InputError(f"--turn {name} was given; system.torsions has {sorted(torsions)}")
        positions = turn(start.positions, bond_pairs(topology), torsions[name], angle)
        start = start.with_positions(positions)
    task = task_of(config, method, start, "reference frames")
    start = relax(method, start)
    return write_dynamics(path, config, method, start, torsions, config.initial.frames, "reference frames", task)


def task_of(config: Config, method: ReferenceMethod, start: Structure, purpose: str) -> str:
    """Return a name for all that decides the frames of a dynamics but their number."""
    settings = config.initial.model_dump(mode="json", exclude={"frames", "held_out", "file"})
    molecule = [start.numbers.tolist(), start.positions.tolist(), start.cell.tolist(), start.pbc.tolist()]
    return digest(json.dumps([method.name, settings, molecule, derive_seed(config.seed, purpose)]))


def write_dynamics(
    path: Path,
    config: Config,
    method: ReferenceMethod,
    start: Structure,
    torsions: Torsions,
    n_frames: int,
    purpose: str,
    task: str,
) -> list[Structure]:
    """Write labelled frames of dynamics from `start`, and return them; run again, it goes on where it was interrupted.

    Parameters
    ----------
    path
        Of the extxyz file.
    config
        Whose `initial` says temperature, spacing and so on, and whose seed decides.
    method
        The reference method.
    start
        Where the dynamics starts, relaxed.
    torsions
        Name -> atoms, of which `config.initial.keep` speaks.
    n_frames
        How many.
    purpose
        Name of the random numbers, and of the frames' origin.
    task
        See `task_of`; of the structure that was relaxed, since relaxing it again may differ in the last digits.

    Raises
    ------
    InputError
        If `config.initial.keep` does not hold the start, or the journal beside `path` is of another task.
    """
    settings = config.initial

    def left(structure: Structure) -> str | None:
        """Return the torsion that is outside of its range, if one is."""
        angles = {name: torsion_angle(structure.positions, torsions[name]) for name in settings.keep}
        return next((k for k, (low, high) in settings.keep.items() if not low <= angles[k] <= high), None)

    if name := left(start):
        raise InputError(_outside(name, torsion_angle(start.positions, torsions[name]), settings.keep[name]))
    begun, refusal = (
        Path(f"{path}.journal"),
        f"{path}: another run is at work on it; wait for it, or give another --out",
    )
    with (
        open_journal(begun, JOURNAL_KEYS, refusal) as journal,
        progress(f"{purpose}, reference dynamics", n_frames) as update,
    ):
        frames = sample_reference(
            method,
            start,
            n_frames,
            settings.temperature,
            settings.spacing,
            time_step=settings.time_step,
            seed=derive_seed(config.seed, purpose),
            equilibration=settings.equilibration,
            accept=(lambda structure: left(structure) is None) if settings.keep else None,
            report=lambda done: update(done, ""),
            journal=journal,
            task=task,
        )
        frames = [s.with_info(origin=purpose) for s in frames]
        write_structures(path, frames)
        remove_if_there(begun)
    return frames


def _outside(name: str, angle: float, wanted: tuple[float, float]) -> str:
    low, high = wanted
    return (
        f"initial.keep: {name} is {angle:.1f} degrees where the dynamics starts, relaxed; {low:g} to {high:g} is "
        f"expected: give another range, or another start (uqcv reference sample --turn {name}={(low + high) / 2:g})"
    )
