"""From a strategy and a bundle to the plans of walkers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import module_name
from uqcv.colvars.pycv import component_name
from uqcv.errors import InputError
from uqcv.files import about
from uqcv.sampling.settings import SamplerName, SamplingSettings
from uqcv.simulation.plumed_input import fill_template, without_comments
from uqcv.simulation.plumed_trial import TRIAL_MODULE, try_input
from uqcv.simulation.walker import WalkerPlan
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import FS_TO_PS

# Standard deviations of held-out frames that walls and ceilings keep from them, whatever the calibration says.
WALL_ROOM, CEILING_ROOM = 4.0, 12.0

# PLUMED template of each sampler; without one a walker runs plain dynamics, and PLUMED is not needed.
TEMPLATES: dict[SamplerName, str | None] = {
    "metadynamics": "metad",
    "opes": "opes",
    "opes_explore": "opes_explore",
    "extended_lagrangian": "extended_lagrangian",
    "wall": "wall",
    "monitor": "monitor",
    "unbiased": None,
}
SHARED_TEMPLATE = "metad_shared"
SHARED_FOLDER = "bias"  # beside the folders of the walkers


Fields = dict[str, float | int | str]


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
    """

    folder: Path
    bundle: Path
    topology: Path
    reference: Structure
    minimum_energy: float


def uncertainty_at(bundle: Bundle, force_error: float, component: Pooling, room: float) -> float:
    """Return the uncertainty at which a limit stands.

    It is where the calibrated force error is `force_error` (eV/Å), but at least `room` standard deviations above
    most held-out frames: a poor potential expects large errors of everything, and must move all the same.
    """
    held_out = bundle.settings.distributions[component]
    nearest = held_out.quantile(0.95) + room * held_out.deviation
    return max(nearest, held_out.calibration.inverse(force_error))


def plumed_fields(
    bundle: Bundle, n_atoms: int, settings: SamplingSettings, temperature: float, walker: int = 0
) -> Fields:
    """Return the values of all template fields, in PLUMED's units (kJ/mol, nm, ps).

    Parameters
    ----------
    bundle
        Its distribution of the biased component gives what `settings.bias` leaves open.
    n_atoms
        Number of atoms.
    settings
        Of the bias, times and number of walkers.
    temperature
        K.
    walker
        Which one it is for.
    """
    bias = settings.bias
    spread = bundle.settings.distributions[bias.component].deviation
    wall = bias.wall if bias.wall is not None else uncertainty_at(bundle, bias.wall_error, bias.component, WALL_ROOM)
    sigma = bias.sigma if bias.sigma is not None else bias.sigma_ratio * spread
    own: Fields = {"module": module_name(bundle), "sigma": sigma, "wall": wall}
    return own | _fields_without_model(n_atoms, settings, temperature, walker)


def _fields_without_model(n_atoms: int, settings: SamplingSettings, temperature: float, walker: int) -> Fields:
    bias, time_step = settings.bias, settings.time_step
    return {
        "atoms": f"1-{n_atoms}",
        "component": component_name(bias.component),
        "cv": f"u.py-{component_name(bias.component)}",
        "height": bias.height,
        "pace": max(1, round(bias.pace / time_step)),
        "bias_factor": bias.bias_factor,
        "barrier": bias.barrier,
        "temperature": temperature,
        "kappa": bias.kappa,
        "spring": bias.spring,
        "relaxation": bias.relaxation * FS_TO_PS,
        "stride": settings.stride,
        "walkers": settings.walkers,
        "walker": walker,
        "shared_folder": f"../{SHARED_FOLDER}",
    }


def plumed_text(
    bundle: Bundle, n_atoms: int, settings: SamplingSettings, temperature: float, walker: int = 0
) -> str | None:
    """Return the PLUMED input of a walker, or None for plain dynamics."""
    template = _template(settings)
    return (
        None if template is None else _filled(template, plumed_fields(bundle, n_atoms, settings, temperature, walker))
    )


def try_bias(settings: SamplingSettings, n_atoms: int) -> None:
    """Refuse a bias that PLUMED would refuse, before there is a model.

    Parameters
    ----------
    settings
        Of the bias.
    n_atoms
        Number of atoms.

    Raises
    ------
    InputError
        With the name of the template and PLUMED's own words.
    """
    template, bias, temperature = _template(settings), settings.bias, settings.temperatures[0]
    if template is None:
        return
    for_now: Fields = {"module": TRIAL_MODULE, "sigma": bias.sigma or 1.0, "wall": bias.wall or 1.0}
    for_now["shared_folder"] = SHARED_FOLDER
    text = _filled(template, _fields_without_model(n_atoms, settings, temperature, 0) | for_now)
    with about(f"PLUMED template {template}"):
        try_input(text, n_atoms, temperature, settings.time_step * FS_TO_PS)


def _template(settings: SamplingSettings) -> str | None:
    return settings.bias.template or (SHARED_TEMPLATE if settings.bias.shared else TEMPLATES[settings.sampler])


def _filled(template: str, fields: Fields) -> str:
    try:
        text = fill_template(template, fields)
    except UnicodeDecodeError as error:
        raise InputError(f"PLUMED template {template}: it is not text; give a PLUMED input with ${{field}}s") from error
    if not without_comments(text).strip():
        raise InputError(
            f"PLUMED template {template}: no action is in it; give a PLUMED input, or sampling.sampler=unbiased"
        )
    return text


def choose_starts(
    training: Sequence[Structure], n_newest: int, settings: SamplingSettings, rng: np.random.Generator
) -> list[Structure]:
    """Return one training frame per walker, different ones as long as there are enough.

    Parameters
    ----------
    training
        Training frames, oldest first, those of a harvest in its order: the most different first.
    n_newest
        How many at the end were labelled last; none in the first generation, which starts anywhere.
    settings
        Number of walkers, and where they start.
    rng
        Chooses.
    """
    if not training:
        raise InputError("no training frames to start walkers from")
    newest = np.arange(len(training) - n_newest, len(training))
    if settings.start == "frontier" and n_newest:
        return [training[int(k)] for k in np.resize(newest, settings.walkers)]
    pool = newest if settings.start == "newest" and n_newest else np.arange(len(training))
    picks = rng.choice(pool, size=settings.walkers, replace=len(pool) < settings.walkers)
    return [training[int(k)] for k in picks]


def plan_walkers(
    bundle: Bundle, site: Site, starts: Sequence[Structure], settings: SamplingSettings, seed: int
) -> list[WalkerPlan]:
    """Return the plan of each walker.

    Parameters
    ----------
    bundle
        Loaded from `site.bundle`.
    site
        Folders and the molecule.
    starts
        One frame per walker.
    settings
        Strategy and limits.
    seed
        Walker k uses seed + k.
    """
    plans = []
    for k, start in enumerate(starts):
        temperature = settings.temperatures[k % len(settings.temperatures)]
        plans.append(
            WalkerPlan(
                folder=site.folder / f"walker-{k:02d}",
                bundle=site.bundle,
                model=bundle.short_hash,
                topology=site.topology,
                start=start,
                reference=site.reference,
                plumed=plumed_text(bundle, len(start), settings, temperature, k),
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
                dtype=settings.dtype,
                device=settings.device,
                compiled=settings.compiled,
                fused=settings.fused,
                checkpoint_interval=settings.checkpoint_interval,
                shared_folder=site.folder / SHARED_FOLDER if settings.bias.shared else None,
            )
        )
    return plans
