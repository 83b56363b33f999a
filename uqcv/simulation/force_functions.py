"""The functions behind the forces of a network and of a PLUMED input, as OpenMM calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from uqcv.colvars.evaluation import Evaluation
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import UqcvError
from uqcv.simulation.bias_files import BiasFiles
from uqcv.simulation.contexts import require_no_context
from uqcv.simulation.fusing import FusedInput
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import EV_PER_ANGSTROM_TO_KJMOL_PER_NM, EV_TO_KJMOL, NM_TO_ANGSTROM

Array = NDArray[np.float64]
POTENTIAL_GROUP = 0


class NetworkForce:
    """Energy and forces of a potential as the function of an `openmm.PythonForce`.

    Parameters
    ----------
    cv
        Evaluates energy and uncertainty in one pass.

    Attributes
    ----------
    energy_zero
        Energy (eV) that is zero in OpenMM: the lowest training label, so that no digits drown in DFT totals.
    """

    def __init__(self, cv: UncertaintyCV) -> None:
        self.cv = cv
        self.energy_zero = cv.bundle.settings.lowest_energy
        self.fused: PlumedForce | None = None
        self.error: Exception | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What the forces are of."""
        return {"model": self.cv.bundle.short_hash, "precision": str(self.cv.dtype)}

    def __call__(self, state: openmm.State) -> tuple[float, Array]:
        """Return energy (kJ/mol) and forces (kJ/mol/nm), those of a fused bias included."""
        self.error = None
        positions, box = positions_and_box(state, self.cv.is_periodic)
        try:
            cell = None if box is None else box * NM_TO_ANGSTROM
            evaluation = self.cv.evaluate(positions * NM_TO_ANGSTROM, cell, uncertain=False)
            energy = (evaluation.energy - self.energy_zero) * EV_TO_KJMOL
            if self.fused is None:
                return energy, evaluation.forces() * EV_PER_ANGSTROM_TO_KJMOL_PER_NM
            bias, slopes, others = self.fused.evaluate_fused(state.getStepCount(), positions, box, evaluation)
            forces = evaluation.forces(slopes) * EV_PER_ANGSTROM_TO_KJMOL_PER_NM
            forces += others
            return energy + bias, forces
        except Exception as error:  # OpenMM keeps only the text of an exception
            self.error = _at_step(state.getStepCount(), error)
            raise self.error from error


def _at_step(step: int, error: Exception) -> Exception:
    """Return an error of ours with the step at which it came, unless it says that already."""
    if not isinstance(error, UqcvError) or str(error).startswith("step "):
        return error
    return type(error)(f"step {step}: {error}")


class PlumedForce:
    """The bias of a PLUMED input as the function of an `openmm.PythonForce`.

    Parameters
    ----------
    bridge
        PLUMED without side effects.
    periodic
        Whether PLUMED sees the box.
    fused
        The input whose EXTRACVs a network force evaluates; None if PLUMED evaluates everything itself.
    identity
        What the bias is of; hills of another mean nothing to it.
    files
        What it reads and writes.
    """

    def __init__(
        self,
        bridge: PlumedBridge,
        periodic: bool,
        fused: FusedInput | None,
        identity: Mapping[str, Any],
        files: BiasFiles,
    ) -> None:
        self.bridge = bridge
        self.files = files
        self.identity = dict(identity)
        self.periodic = periodic
        self.fused = fused
        self.bias = 0.0
        self.error: Exception | None = None

    def __call__(self, state: openmm.State) -> tuple[float, Array]:
        """Return bias (kJ/mol) and its forces (kJ/mol/nm)."""
        self.error = None
        positions, box = positions_and_box(state, self.periodic)
        try:
            self.bias, forces = self.bridge.evaluate(state.getStepCount(), positions, box)
        except Exception as error:  # OpenMM keeps only the text of an exception
            self.error = error
            raise
        return self.bias, forces.copy()

    def evaluate_fused(
        self, step: int, positions: Array, box: Array | None, evaluation: Evaluation
    ) -> tuple[float, dict[Pooling, float], Array]:
        """Return bias (kJ/mol), its derivatives by pooled uncertainties (eV), and its other forces (kJ/mol/nm).

        Parameters
        ----------
        step
            Number of the step.
        positions, box
            nm.
        evaluation
            Of the network at these positions.
        """
        assert self.fused is not None
        pycv, components = self.fused.pycv, self.fused.components.values()
        for component in components:
            pycv.warn_if_flat(evaluation, component)
        parts = [pycv.pooled(evaluation, component) for component in components]
        self.bias, forces = self.bridge.evaluate(step, positions, box, [value for value, _, _ in parts])
        slopes: dict[Pooling, float] = {}
        for (_, kind, derivative), force in zip(parts, self.bridge.extra_forces, strict=True):
            slopes[kind] = slopes.get(kind, 0.0) - force * derivative / EV_TO_KJMOL
        return self.bias, slopes, forces

    def close(self) -> None:
        """Commit the last step and close PLUMED's files."""
        self.bridge.close()


def positions_and_box(state: openmm.State, periodic: bool) -> tuple[Array, Array | None]:
    """Return positions (nm, shape (n, 3)) and box vectors (nm, rows), None without periodicity."""
    positions = np.empty((state._getNumParticles(), 3))
    # What getPositions(asNumpy=True) does, without its units: they take a twentieth of a step of a small molecule.
    state._getVectorAsNumpy(openmm.State.Positions, positions)
    if not periodic:
        return positions, None
    return positions, state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)


def add_function(system: openmm.System, function: Any, periodic: bool, group: int = POTENTIAL_GROUP) -> None:
    """Add a Python function of an `openmm.State` that returns energy (kJ/mol) and forces (kJ/mol/nm) to `system`.

    Raises
    ------
    InputError
        If the system has a context already, where the force would act on nothing.
    """
    require_no_context(system, type(function).__name__)
    force = openmm.PythonForce(function)
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setForceGroup(group)
    force.setName(type(function).__name__)
    system.addForce(force)
