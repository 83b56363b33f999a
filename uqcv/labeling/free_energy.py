"""The free energy of two torsions by the reference method: what a trained model is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version

import openmm

from uqcv.errors import InputError
from uqcv.labeling.biased_dynamics import BiasedDynamics, MetadynamicsRecipe
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.surface import FreeEnergySurface, reweighted
from uqcv.simulation.torsions import Torsion

MOST_STEPS = 2**31 - 1  # what OpenMM counts in one call
LARGEST_GRID = 1000  # bins along a torsion: a third of a degree


def reference_free_energy(
    force_field: OpenMMForceField,
    torsions: Mapping[str, Torsion],
    grid: int = 12,
    temperature: float = 300.0,
    length: float = 1e7,
    seed: int = 0,
    recipe: MetadynamicsRecipe | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FreeEnergySurface:
    r"""Return the free energy of two torsions at `temperature`.

    Well-tempered metadynamics (doi 10.1103/PhysRevLett.100.020603) fills the map with a bias V. Then V is kept,
    so that the rest of the run is in equilibrium and each sample counts exactly `exp(V / kT)`:

        F(bin) = -kT log sum_{t in bin} exp(V(phi_t, psi_t) / kT)

    Parameters
    ----------
    force_field
        The reference method; the run starts at its PDB file.
    torsions
        The two torsions, phi first, as `backbone_torsions` gives them.
    grid
        Number of bins along each torsion.
    temperature
        In K.
    length
        Length of the whole run in fs, the filling included.
    seed
        The same seed gives the same surface.
    recipe
        How to fill and sample.
    progress
        Called with the samples done and wanted.

    Raises
    ------
    InputError
        If there are not two torsions, or the run is too short to be filled and sampled.
    LabelingError
        If the molecule became another one on the way.
    """
    recipe = recipe or MetadynamicsRecipe()
    if not 0 < length / recipe.time_step <= MOST_STEPS or grid > LARGEST_GRID:
        raise InputError(
            f"{length:g} fs and a grid of {grid} were given; "
            f"at most {MOST_STEPS} steps of {recipe.time_step:g} fs and a grid of at most {LARGEST_GRID} are expected"
        )
    steps = round(length / recipe.time_step)
    filling = round(steps * recipe.filling)
    samples = (steps - filling) // recipe.stride
    if len(torsions) != 2 or grid < 1 or filling < recipe.pace or samples < 1:
        raise InputError(
            f"{len(torsions)} torsions, a grid of {grid}, {length} fs: "
            "two torsions, a grid of 1 or more and time for a hill and a sample are expected"
        )
    run = BiasedDynamics(force_field, torsions, temperature, seed, recipe)
    run.fill(filling)
    angles, bias = run.sample(samples, recipe.stride, progress)
    stated = _stated(force_field, grid, temperature, length, seed, recipe)
    return FreeEnergySurface(reweighted(angles, bias, grid, temperature), stated)


def _stated(
    force_field: OpenMMForceField,
    grid: int,
    temperature: float,
    length: float,
    seed: int,
    recipe: MetadynamicsRecipe,
) -> dict[str, str]:
    return {
        "what": "free energy of phi and psi in kJ/mol, minimum 0, inf where never visited; centers of the bins",
        "method": "well-tempered metadynamics, then sampling under the bias kept, reweighted",
        "reference": force_field.name,
        "temperature": f"{temperature:g} K",
        "length": f"{length:g} fs",
        "seed": str(seed),
        "grid": str(grid),
        "recipe": recipe.model_dump_json().replace('"', "").strip("{}").replace(",", ", "),
        "versions": f"openmm {openmm.__version__}, uqcv {version('uqcv')}",
    }
