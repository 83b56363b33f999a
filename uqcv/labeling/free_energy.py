"""The free energy of two torsions by the reference method: what a trained model is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from pydantic import BaseModel, ConfigDict, Field

from uqcv import units
from uqcv.errors import InputError, LabelingError
from uqcv.labeling.openmm_forcefield import OpenMMForceField, langevin
from uqcv.labeling.stereochemistry import Stereochemistry
from uqcv.labeling.surface import FreeEnergySurface, reweighted
from uqcv.simulation.torsions import Torsion

MOST_STEPS = 2**31 - 1  # what OpenMM counts in one call
LARGEST_GRID = 1000  # bins along a torsion: a third of a degree


class MetadynamicsRecipe(BaseModel):
    """How the map is filled and then sampled; the defaults suit alanine dipeptide."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    time_step: float = Field(1.0, gt=0, description="fs")
    friction: float = Field(0.002, gt=0, description="1/fs")
    height: float = Field(1.0, gt=0, description="first height of the hills, kJ/mol")
    sigma: float = Field(20.0, gt=0, description="width of the hills, degrees")
    bias_factor: float = Field(10.0, gt=1, description="no unit")
    pace: int = Field(100, ge=1, description="time steps from hill to hill")
    stride: int = Field(50, ge=1, description="time steps from sample to sample")
    filling: float = Field(0.25, gt=0, lt=1, description="fraction of the length that deposits hills")


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
    run = _Biased(force_field, torsions, temperature, seed, recipe)
    run.fill(filling)
    angles, bias = run.sample(samples, recipe.stride, progress)
    stated = _stated(force_field, grid, temperature, length, seed, recipe)
    return FreeEnergySurface(reweighted(angles, bias, grid, temperature), stated)


class _Biased:
    """The molecule under metadynamics of its torsions; double precision on one core, faster than the CPU platform."""

    def __init__(
        self,
        force_field: OpenMMForceField,
        torsions: Mapping[str, Torsion],
        temperature: float,
        seed: int,
        recipe: MetadynamicsRecipe,
    ) -> None:
        start = force_field.structure.positions
        self._stereochemistry = Stereochemistry(force_field.topology, start)
        system = force_field.create_system()
        variables = [_variable(torsion, np.radians(recipe.sigma)) for torsion in torsions.values()]
        self._metadynamics = app.Metadynamics(
            system, variables, temperature, recipe.bias_factor, recipe.height, recipe.pace
        )
        self._bias_group = system.getForce(system.getNumForces() - 1).getForceGroup()
        integrator = langevin(temperature, recipe.friction, recipe.time_step, seed)
        self._simulation = app.Simulation(
            force_field.topology, system, integrator, openmm.Platform.getPlatformByName("Reference")
        )
        self._simulation.context.setPositions(start * units.ANGSTROM_TO_NM)
        self._simulation.context.setVelocitiesToTemperature(temperature, seed % (2**31 - 1) + 1)

    def fill(self, steps: int) -> None:
        """Deposit hills for `steps` time steps."""
        self._metadynamics.step(self._simulation, steps)

    def sample(
        self, samples: int, stride: int, progress: Callable[[int, int], None] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the torsions (degrees), shape (samples, 2), and the bias (kJ/mol), without more hills."""
        found = np.empty((samples, 3))
        for k in range(samples):
            self._simulation.step(stride)
            found[k] = self._torsions_and_bias()
            if progress:
                progress(k + 1, samples)
        self._require_same_molecule()
        return np.degrees(found[:, :2]), found[:, 2]

    def _torsions_and_bias(self) -> tuple[float, float, float]:
        phi, psi = self._metadynamics.getCollectiveVariables(self._simulation)
        state = self._simulation.context.getState(energy=True, groups={self._bias_group})
        return phi, psi, state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)

    def _require_same_molecule(self) -> None:
        positions = self._simulation.context.getState(positions=True).getPositions(asNumpy=True)
        if not self._stereochemistry.is_kept(positions.value_in_unit(unit.angstrom)):
            raise LabelingError(
                "the biased run changed a bond, a chiral center or an amide; give a lower bias_factor or height"
            )


def _variable(torsion: Torsion, sigma: float) -> app.BiasVariable:
    force = openmm.CustomTorsionForce("theta")
    force.addTorsion(*torsion, [])
    return app.BiasVariable(force, -np.pi, np.pi, sigma, True)


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
