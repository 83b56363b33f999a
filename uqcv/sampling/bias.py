"""From a bundle to the PLUMED input of a walker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import module_name
from uqcv.colvars.pycv import component_name
from uqcv.errors import InputError
from uqcv.files import about
from uqcv.sampling.settings import SamplerName, SamplingSettings
from uqcv.simulation.plumed_input import fill_template, without_comments
from uqcv.simulation.plumed_trial import TRIAL_MODULE, try_input
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import FS_TO_PS

# Standard deviations of held-out frames that walls and ceilings keep from them, whatever the calibration says.
WALL_ROOM, CEILING_ROOM = 4.0, 12.0

# PLUMED template of each sampler with dynamics; without one a walker runs plainly, and PLUMED is not needed.
TEMPLATES: dict[SamplerName, str | None] = {
    "metadynamics": "metad",
    "opes": "opes",
    "opes_explore": "opes_explore",
    "extended_lagrangian": "extended_lagrangian",
    "uncertainty_driven": "uncertainty_driven",
    "torsion_metadynamics": "torsions",
    "wall": "wall",
    "monitor": "monitor",
    "unbiased": None,
}
SHARED_TEMPLATE = "metad_shared"
SHARED_FOLDER = "bias"  # beside the folders of the walkers

Fields = dict[str, float | int | str]
Torsions = Mapping[str, Sequence[int]]
NO_TORSIONS: Torsions = {}


def uncertainty_at(bundle: Bundle, force_error: float, component: Pooling, room: float) -> float:
    """Return the uncertainty at which a limit stands.

    It is where the calibrated force error is `force_error` (eV/Å), but at least `room` standard deviations above
    most held-out frames: a poor potential expects large errors of everything, and must move all the same.
    """
    held_out = bundle.settings.distributions[component]
    nearest = held_out.quantile(0.95) + room * held_out.deviation
    return max(nearest, held_out.calibration.inverse(force_error))


def plumed_fields(
    bundle: Bundle,
    n_atoms: int,
    settings: SamplingSettings,
    temperature: float,
    walker: int = 0,
    torsions: Torsions = NO_TORSIONS,
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
    torsions
        Of the system: name -> four atom indices from 0.
    """
    bias, held_out = settings.bias, bundle.settings.distributions[settings.bias.component]
    spread = held_out.deviation
    wall = bias.wall if bias.wall is not None else uncertainty_at(bundle, bias.wall_error, bias.component, WALL_ROOM)
    sigma = bias.sigma if bias.sigma is not None else bias.sigma_ratio * spread
    own: Fields = {"module": module_name(bundle), "sigma": sigma, "wall": wall}
    own |= {"centre": held_out.quantile(0.5), "width": bias.width_ratio * spread}
    return own | _fields_without_model(n_atoms, settings, temperature, walker, torsions)


def _fields_without_model(
    n_atoms: int, settings: SamplingSettings, temperature: float, walker: int, torsions: Torsions
) -> Fields:
    bias, time_step = settings.bias, settings.time_step
    return _torsion_fields(torsions) | {
        "atoms": f"1-{n_atoms}",
        "component": component_name(bias.component),
        "cv": f"u.py-{component_name(bias.component)}",
        "height": bias.height,
        "pace": max(1, round(bias.pace / time_step)),
        "bias_factor": bias.bias_factor,
        "barrier": bias.barrier,
        "depth": bias.depth,
        "torsion_sigma": bias.torsion_sigma,
        "temperature": temperature,
        "kappa": bias.kappa,
        "spring": bias.spring,
        "relaxation": bias.relaxation * FS_TO_PS,
        "stride": settings.stride,
        "walkers": settings.walkers,
        "walker": walker,
        "shared_folder": f"../{SHARED_FOLDER}",
    }


def _torsion_fields(torsions: Torsions) -> Fields:
    """Return the atoms of the first two torsions as PLUMED counts them, from 1."""
    names = ("first_torsion", "second_torsion")
    return {name: ",".join(str(k + 1) for k in atoms) for name, atoms in zip(names, torsions.values(), strict=False)}


def plumed_text(
    bundle: Bundle,
    n_atoms: int,
    settings: SamplingSettings,
    temperature: float,
    walker: int = 0,
    torsions: Torsions = NO_TORSIONS,
) -> str | None:
    """Return the PLUMED input of a walker, or None for plain dynamics; arguments as for `plumed_fields`."""
    template = _template(settings)
    if template is None:
        return None
    return _filled(template, plumed_fields(bundle, n_atoms, settings, temperature, walker, torsions))


def try_bias(settings: SamplingSettings, n_atoms: int, torsions: Torsions = NO_TORSIONS) -> None:
    """Refuse a bias that PLUMED would refuse, before there is a model.

    Parameters
    ----------
    settings
        Of the bias.
    n_atoms
        Number of atoms.
    torsions
        As for `plumed_fields`.

    Raises
    ------
    InputError
        With the name of the template and PLUMED's own words.
    """
    template, bias, temperature = _template(settings), settings.bias, settings.temperatures[0]
    if template is None:
        return
    if settings.sampler == "torsion_metadynamics" and len(torsions) != 2:
        raise InputError(
            f"sampler torsion_metadynamics and {len(torsions)} torsions were given; name two in system.torsions"
        )
    for_now: Fields = {"module": TRIAL_MODULE, "sigma": bias.sigma or 1.0, "wall": bias.wall or 1.0}
    for_now |= {"shared_folder": SHARED_FOLDER, "centre": 0.0, "width": 1.0}
    text = _filled(template, _fields_without_model(n_atoms, settings, temperature, 0, torsions) | for_now)
    with about(f"PLUMED template {template}"):
        try_input(text, n_atoms, temperature, settings.time_step * FS_TO_PS)


def _template(settings: SamplingSettings) -> str | None:
    return settings.bias.template or (SHARED_TEMPLATE if settings.bias.shared else TEMPLATES.get(settings.sampler))


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
