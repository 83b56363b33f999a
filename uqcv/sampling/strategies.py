"""From a strategy and a bundle to the plans of what a generation runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.methods import networks_for
from uqcv.errors import InputError
from uqcv.sampling.bias import CEILING_ROOM, SHARED_FOLDER, Torsions, plumed_text, uncertainty_at
from uqcv.sampling.proposals import ProposalPlan
from uqcv.sampling.runner import Plan
from uqcv.sampling.settings import PROPOSERS, SamplingSettings
from uqcv.simulation.walker import WalkerPlan
from uqcv.structures import Structure


@dataclass(frozen=True)
class Site:
    """Where a generation samples.

    Attributes
    ----------
    folder
        Gets one folder per walker.
    bundle, topology
        Folder of the model, PDB file.
    reference
        The relaxed molecule that walkers must stay.
    minimum_energy
        Its energy, eV.
    torsions
        Those of the system, if it has any: name -> four atom indices from 0.
    """

    folder: Path
    bundle: Path
    topology: Path
    reference: Structure
    minimum_energy: float
    torsions: Torsions = field(default_factory=dict)


def choose_starts(
    training: Sequence[Structure], n_newest: int, settings: SamplingSettings, rng: np.random.Generator
) -> list[Structure]:
    """Return one training frame per start, different ones as long as there are enough.

    Parameters
    ----------
    training
        Training frames, oldest first, those of a harvest in its order: the most different first.
    n_newest
        How many at the end were labelled last; none in the first generation, which starts anywhere.
    settings
        Number of walkers or of proposed structures, and where they start.
    rng
        Chooses.
    """
    if not training:
        raise InputError("no training frames to start walkers from")
    newest = np.arange(len(training) - n_newest, len(training))
    if settings.start == "frontier" and n_newest:
        return [training[int(k)] for k in np.resize(newest, settings.n_starts)]
    pool = newest if settings.start == "newest" and n_newest else np.arange(len(training))
    picks = rng.choice(pool, size=settings.n_starts, replace=len(pool) < settings.n_starts)
    return [training[int(k)] for k in picks]


def plan_walkers(
    bundle: Bundle, site: Site, starts: Sequence[Structure], settings: SamplingSettings, seed: int, first: int = 0
) -> Sequence[Plan]:
    """Return the plan of each walker; without dynamics they share the starts.

    Parameters
    ----------
    bundle
        Loaded from `site.bundle`.
    site
        Folders and the molecule.
    starts
        One frame per walker, or per proposed structure.
    settings
        Strategy and limits.
    seed
        Walker k uses seed + k.
    first
        Number of the first walker.
    """
    if settings.sampler in PROPOSERS:
        return _plan_proposals(bundle, site, starts, settings, seed)
    return [_plan_walker(bundle, site, start, settings, seed, k) for k, start in enumerate(starts, first)]


def _plan_walker(
    bundle: Bundle, site: Site, start: Structure, settings: SamplingSettings, seed: int, k: int
) -> WalkerPlan:
    temperature = settings.temperatures[k % len(settings.temperatures)]
    return WalkerPlan(
        folder=_walker_folder(site, k),
        bundle=site.bundle,
        model=bundle.short_hash,
        topology=site.topology,
        start=start,
        reference=site.reference,
        plumed=plumed_text(bundle, len(start), settings, temperature, k, site.torsions),
        component=settings.bias.component,
        temperature=temperature,
        friction=settings.friction,
        time_step=settings.time_step,
        n_steps=round(settings.length / settings.time_step),
        stride=settings.stride,
        ceiling=uncertainty_at(bundle, settings.ceiling_error, settings.bias.component, CEILING_ROOM),
        energy_ceiling=site.minimum_energy + settings.max_energy,
        temperature_ceiling=settings.max_temperature_ratio * temperature,
        seed=seed + k,
        hydrogen_mass=settings.hydrogen_mass,
        validity=settings.validity,
        restraint=settings.restraint,
        dtype=settings.dtype,
        device=settings.device,
        compiled=settings.compiled,
        fused=settings.fused,
        checkpoint_interval=settings.checkpoint_interval,
        shared_folder=site.folder / SHARED_FOLDER if settings.bias.shared else None,
        n_networks=networks_for(bundle.settings.uncertainty).number,
    )


def _plan_proposals(
    bundle: Bundle, site: Site, starts: Sequence[Structure], settings: SamplingSettings, seed: int
) -> list[ProposalPlan]:
    assert settings.sampler in PROPOSERS
    return [
        ProposalPlan(
            folder=_walker_folder(site, k),
            bundle=site.bundle,
            topology=site.topology,
            model=bundle.short_hash,
            proposer=settings.sampler,
            starts=tuple(starts[k :: settings.walkers]),
            component=settings.bias.component,
            settings=settings.proposals,
            seed=seed + k,
            dtype=settings.dtype,
            device=settings.device,
            n_networks=networks_for(bundle.settings.uncertainty).number,
        )
        for k in range(min(settings.walkers, len(starts)))
    ]


def _walker_folder(site: Site, k: int) -> Path:
    return site.folder / f"walker-{k:02d}"
