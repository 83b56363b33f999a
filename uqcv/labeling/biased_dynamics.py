"""Metadynamics of two torsions with the reference method: hills fill the map, then the bias is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from pydantic import BaseModel, ConfigDict, Field

from uqcv import units
from uqcv.errors import LabelingError
from uqcv.labeling.openmm_forcefield import OpenMMForceField, langevin
from uqcv.labeling.stereochemistry import Stereochemistry
from uqcv.simulation.torsions import Torsion


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


class BiasedDynamics:
    """The molecule under metadynamics of its torsions; double precision on one core, faster than the CPU platform.

    Parameters
    ----------
    force_field
        The reference method; the run starts at its PDB file.
    torsions
        As `backbone_torsions` gives them.
    temperature
        K.
    seed
        The same seed gives the same run.
    recipe
        Of hills and samples.
    """

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
        self, samples: int, stride: int, progress: Callable[[int, int], None] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the torsions (degrees), shape (samples, 2), and the bias (kJ/mol), without more hills.

        Raises
        ------
        LabelingError
            If the molecule became another one on the way.
        """
        found = np.empty((samples, 3))
        for k in range(samples):
            self._simulation.step(stride)
            found[k] = self._torsions_and_bias()
            if progress:
                progress(k + 1, samples)
        self._require_same_molecule()
        return np.degrees(found[:, :2]), found[:, 2]

    def positions(self) -> NDArray[np.float64]:
        """Return where the atoms are, Å, shape (n, 3)."""
        found = self._simulation.context.getState(positions=True).getPositions(asNumpy=True)
        return np.asarray(found.value_in_unit(unit.angstrom))

    def _torsions_and_bias(self) -> tuple[float, float, float]:
        phi, psi = self._metadynamics.getCollectiveVariables(self._simulation)
        state = self._simulation.context.getState(energy=True, groups={self._bias_group})
        return phi, psi, state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)

    def _require_same_molecule(self) -> None:
        if not self._stereochemistry.is_kept(self.positions()):
            raise LabelingError(
                "the biased run changed a bond, a chiral center or an amide; give a lower bias_factor or height"
            )


def _variable(torsion: Torsion, sigma: float) -> app.BiasVariable:
    force = openmm.CustomTorsionForce("theta")
    force.addTorsion(*torsion, [])
    return app.BiasVariable(force, -np.pi, np.pi, sigma, True)
