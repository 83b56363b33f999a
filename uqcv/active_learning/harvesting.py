"""From biased trajectories to the frames that are worth a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uqcv.active_learning.descriptors import (
    MOST_ATOMS,
    counted,
    distance_descriptor,
    impossible,
    require_describable,
    structure_descriptor,
    torsion_descriptor,
)
from uqcv.active_learning.selection import DescriptorName, Funnel, HarvestSettings, select, threshold_from_calibration
from uqcv.analysis.trajectories import load_trajectory, structures_of
from uqcv.colvars.batches import evaluate_batches
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.features import latent_features
from uqcv.colvars.fitting import evaluate_frames
from uqcv.progress import Update
from uqcv.sampling.bias import WALL_ROOM, uncertainty_at
from uqcv.simulation.frame_files import TRAJECTORY_FILE
from uqcv.simulation.torsions import HeavyTorsion
from uqcv.simulation.validity import MoleculeGuard
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import GLOBAL_POOLINGS, Pooling

Describe = Callable[[Sequence[Structure]], NDArray[np.float64]]
DIFFERENT = "not all frames have the same atoms"


@dataclass(frozen=True)
class Harvest:
    """Frames that were selected, and how.

    Attributes
    ----------
    structures
        Selected frames, the most different first; their info says walker, frame and uncertainty.
    funnel
        Frames left after each step.
    threshold
        Uncertainty above which a frame was unsure.
    problems
        First words of what made frames unphysical, with counts.
    left_over
        Those that would have been selected next, the most different first.
    evaluations
        How often a network was evaluated to cool those that were selected.
    """

    structures: list[Structure]
    funnel: Funnel
    threshold: float
    problems: dict[str, int]
    left_over: list[Structure] = field(default_factory=list)
    evaluations: int = 0


def read_walkers(folder: Path, topology: Path) -> list[Structure]:
    """Return the frames of all walkers in `folder`, in order; info says where each comes from."""
    return [frame for walker in sorted(folder.glob("walker-*")) for frame in read_frames(walker, topology)]


def read_frames(walker: Path, topology: Path) -> list[Structure]:
    """Return the frames of one walker, given its folder; none if it has left none."""
    path = walker / TRAJECTORY_FILE
    if not path.is_file() or not path.stat().st_size:
        return []
    # Not `read_trajectory`: colliding atoms in what was proposed are the guard's to judge, not a sign of another unit.
    frames = structures_of(load_trajectory(path, topology), path)
    return [s.with_info(walker=walker.name, frame=k) for k, s in enumerate(frames)]


def harvest(
    bundle: Bundle,
    frames: Sequence[Structure],
    known: Sequence[Structure],
    guard: MoleculeGuard,
    energy_ceiling: float,
    component: Pooling,
    settings: HarvestSettings,
    report: Update | None = None,
    torsions: Sequence[HeavyTorsion] = (),
) -> Harvest:
    """Select frames: unsure, physical, new, and different from one another.

    A frame is unsure if its uncertainty exceeds that of a share `settings.quantile` of the held-out frames, which
    the potential has never seen but which are of the kind that it knows. Frames are told apart as `describer` says.

    Parameters
    ----------
    bundle
        Of the generation that sampled.
    frames
        Of its walkers, and those that earlier generations left over.
    known
        What is labelled already.
    guard
        Knows the whole molecule.
    energy_ceiling
        Predicted energy (eV) above which a frame counts as unphysical.
    component
        Pooling that decides.
    settings
        Quantile, tolerance, numbers.
    report
        Called with the number of frames evaluated.
    torsions
        Of the molecule, see `heavy_torsions`.
    """
    threshold = threshold_from_calibration(bundle.settings.distributions[component].held_out, settings.quantile)
    if not frames:
        return Harvest([], Funnel().then("frames", 0), threshold, {})
    describe = describer(settings.descriptor, bundle, [*frames, *known], torsions)
    energies, values = _evaluate(bundle, frames, component, report)
    problems = [guard.problem(s.positions, s.cell) for s in frames]
    too_high = energies > energy_ceiling
    problems = [p or ("energy" if high else None) for p, high in zip(problems, too_high, strict=True)]
    if settings.ceiling is None:
        ceiling = uncertainty_at(bundle, settings.max_error, component, WALL_ROOM)
        settings = settings.model_copy(update={"ceiling": ceiling})
    chosen, funnel = select(
        values,
        describe(frames),
        describe(known),
        threshold,
        settings,
        np.array([p is None for p in problems]),
    )
    found, n = [frames[k].with_info(uncertainty=float(values[k])) for k in chosen], settings.max_frames
    return Harvest(found[:n], funnel, threshold, _counts(problems), found[n:])


def _evaluate(
    bundle: Bundle, frames: Sequence[Structure], component: Pooling, report: Update | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if component in GLOBAL_POOLINGS:
        return evaluate_batches(bundle, frames, component, report)
    evaluated = evaluate_frames(bundle, frames, report=report, forces=False)
    return evaluated.energies, evaluated.pooled[component]


def describer(
    kind: DescriptorName, bundle: Bundle, structures: Sequence[Structure], torsions: Sequence[HeavyTorsion]
) -> Describe:
    """Return what describes structures so that they can be told apart: an array of shape (k, D) of k of them.

    Parameters
    ----------
    kind
        What is asked for; by default torsions if the system has any, distances if it is a molecule, or else features.
    bundle
        Gives features.
    structures
        All that will be described.
    torsions
        Of the molecule.

    Raises
    ------
    InputError
        If what was asked for cannot be.
    """
    first = structures[0].numbers
    same = all(np.array_equal(s.numbers, first) for s in structures)
    if kind in ("torsions", "distances"):
        if not same:
            raise impossible(kind, DIFFERENT)
        require_describable(kind, structures[0].is_periodic, bool(torsions))
    is_molecule = same and not structures[0].is_periodic
    if kind == "torsions" or (kind == "auto" and is_molecule and torsions):
        return lambda chosen: np.stack([torsion_descriptor(s.positions, torsions) for s in chosen])
    if kind == "distances" or (kind == "auto" and is_molecule and len(counted(first)) <= MOST_ATOMS):
        return lambda chosen: np.stack([distance_descriptor(s.positions, s.numbers) for s in chosen])
    return partial(_by_features, bundle)


def _by_features(bundle: Bundle, structures: Sequence[Structure]) -> NDArray[np.float64]:
    """Describe by what the uncertainty sees of features: along its directions, if it has any."""
    features = bundle.model.described(torch.as_tensor(latent_features(bundle.potential, structures))).numpy()
    ends = np.cumsum([len(s) for s in structures])[:-1]
    known = bundle.settings.elements
    return np.stack(
        [structure_descriptor(f, s.numbers, known) for f, s in zip(np.split(features, ends), structures, strict=True)]
    )


def _counts(problems: Sequence[str | None]) -> dict[str, int]:
    words = [p.split()[0] for p in problems if p is not None]
    return {word: words.count(word) for word in sorted(set(words))}
