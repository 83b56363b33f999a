"""What a reference method is, and the settings that choose one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from uqcv.errors import LabelingError
from uqcv.structures import Structure

NOT_FINITE = "energy or forces are not finite"


class ReferenceMethod(ABC):
    """Gives the energies and forces that a potential learns.

    A method implements `energy_and_forces` and may raise whatever it likes there; others call `label`, which
    gives a complete, finite label or a `LabelingError`.
    """

    name: str
    """What was computed, in one line, with every setting that changes a label."""

    @abstractmethod
    def energy_and_forces(self, structure: Structure) -> tuple[float, NDArray[np.float64]]:
        """Return the energy in eV and the forces in eV/Å, shape (n, 3)."""

    @final
    def label(self, structure: Structure) -> Structure:
        """Return `structure` with energy (eV) and forces (eV/Å).

        Raises
        ------
        LabelingError
            If the calculation fails, or its energy or forces are not finite.
        """
        try:
            energy, forces = self.energy_and_forces(structure)
        except LabelingError:
            raise
        except Exception as error:
            raise LabelingError(f"{self.name}: {first_line(error)}") from error
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise LabelingError(f"{self.name}: {NOT_FINITE}; a structure without clashes is expected")
        return structure.with_labels(energy, forces)


class OpenMMReference(BaseModel):
    """A classical force field in vacuum: no cutoff, no constraints, double precision."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["openmm"] = "openmm"
    topology: Path = Field(description="PDB file with all atoms, hydrogens included; positions in Å")
    force_field: tuple[str, ...] = Field(
        ("amber14-all.xml",), min_length=1, description="OpenMM force-field files, no unit"
    )


class ASEReference(BaseModel):
    """Any ASE calculator."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["ase"] = "ase"
    calculator: str = Field(description="dotted name of the class, such as ase.calculators.emt.EMT; no unit")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the class, in the calculator's own units"
    )


ReferenceSettings = Annotated[OpenMMReference | ASEReference, Field(discriminator="kind")]


def build_reference(settings: OpenMMReference | ASEReference) -> ReferenceMethod:
    """Return the reference method that `settings` describe.

    Raises
    ------
    InputError
        If a file is missing or broken, or the force field or calculator does not exist.
    """
    # Imported late: a campaign with one method need not load the engine of the other.
    if isinstance(settings, OpenMMReference):
        from uqcv.labeling.openmm_forcefield import OpenMMForceField

        return OpenMMForceField(settings.topology, settings.force_field)
    from uqcv.labeling.ase_calculator import ASECalculatorMethod

    return ASECalculatorMethod(settings.calculator, settings.arguments)


def first_line(error: BaseException) -> str:
    """Return the first line of what `error` says, or its type if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
