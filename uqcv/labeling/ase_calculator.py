"""Any ASE calculator as the reference method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.errors import InputError
from uqcv.labeling.reference import ReferenceMethod, first_line
from uqcv.structures import Structure


class ASECalculatorMethod(ReferenceMethod):
    """Label with an ASE calculator, made once and used for all structures.

    Parameters
    ----------
    calculator
        Dotted name of the class, such as ``ase.calculators.emt.EMT``.
    arguments
        Its keyword arguments.

    Raises
    ------
    InputError
        If there is no such class, or it refuses the arguments.
    """

    def __init__(self, calculator: str, arguments: Mapping[str, Any] | None = None) -> None:
        arguments = dict(arguments or {})
        stated = ", ".join(f"{key}={value!r}" for key, value in sorted(arguments.items()))
        self.name = f"ASE {calculator}({stated})"
        create = _import_class(calculator)
        try:
            self._calculator = create(**arguments)
        except Exception as error:
            raise InputError(f"{self.name}: {first_line(error)}; give arguments that the class accepts") from error

    def energy_and_forces(self, structure: Structure) -> tuple[float, NDArray[np.float64]]:
        """Return the energy in eV and the forces in eV/Å, shape (n, 3).

        With electronic smearing the energy is the free energy, of which the forces are the derivative.
        """
        atoms = structure.to_ase()
        atoms.calc = self._calculator
        forces = atoms.get_forces()
        energy = atoms.get_potential_energy()
        return float(self._calculator.results.get("free_energy", energy)), forces


def _import_class(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"calculator {name!r}: {first_line(error)}; "
            "give the dotted name of an installed class, such as ase.calculators.emt.EMT"
        ) from error
    if not (isinstance(found, type) and hasattr(found, "get_forces")):
        raise InputError(f"calculator {name!r} is no class of a calculator; give one, such as ase.calculators.emt.EMT")
    return found
