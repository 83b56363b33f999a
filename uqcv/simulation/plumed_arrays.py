"""The memory that PLUMED reads and writes in each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class PlumedArrays:
    """What PLUMED is told and what it answers, in nm, kJ/mol and amu.

    PLUMED keeps pointers to these arrays: it is given them once, and each step fills them anew.

    Parameters
    ----------
    masses
        amu, shape (n,).
    extra
        Names of the EXTRACVs in the input.

    Attributes
    ----------
    positions, box, values
        What it is told: nm, shapes (n, 3) and (3, 3), and the value of each EXTRACV.
    told
        All of it in one place, shape (3 n + 9 + extra,).
    step
        Number of the step, shape (1,).
    bias, forces, virial, extra_forces
        What it answers: kJ/mol, shape (1,); kJ/mol/nm, (n, 3); kJ/mol, (3, 3); minus the derivative by each EXTRACV.
    """

    def __init__(self, masses: Array, extra: Sequence[str]) -> None:
        self._masses = np.array(masses, dtype=np.float64)
        self._extra = tuple(extra)
        self._ends = np.cumsum([3 * len(masses), 9])
        self.told = np.zeros(3 * len(masses) + 9 + len(extra))
        self.positions, self.box, self.values = self.parts(self.told)
        # What PLUMED adds to lies in one place, so that a step clears it at once.
        self._sums = np.zeros_like(self.told)
        self.forces, self.virial, self.extra_forces = self.parts(self._sums)
        self.bias = np.zeros(1)
        self.step = np.zeros(1, dtype=np.int64)  # PLUMED reads 64 bits here, a Python int would give it 32

    def parts(self, flat: Array) -> tuple[Array, Array, Array]:
        """Return the views of an array like `told`: of the atoms, of the box and of the EXTRACVs."""
        atoms, box, extra = np.split(flat, self._ends)
        return atoms.reshape(-1, 3), box.reshape(3, 3), extra

    def tell(self, step: int, positions: Array, box: Array | None, extra: Sequence[float]) -> None:
        """Fill in what is asked for, and clear what PLUMED adds to."""
        self._sums.fill(0.0)
        self.positions[:] = positions
        self.box[:] = 0.0 if box is None else box
        self.values[:] = extra
        self.step[0] = step

    def were_told(self, positions: Array, box: Array | None, extra: Sequence[float]) -> bool:
        """Whether the last evaluation was of these: some actions count how often they are asked (ACCELERATION)."""
        same_box = not self.box.any() if box is None else np.array_equal(self.box, box)
        return same_box and np.array_equal(self.positions, positions) and np.array_equal(self.values, extra)

    def are_finite(self) -> bool:
        """Whether all that PLUMED was told, and the bias, are numbers."""
        return bool(np.isfinite(self.bias[0]) and np.isfinite(self.told).all())

    def hand_over(self, command: Callable[..., Any]) -> None:
        """Give PLUMED the memory; it takes it only within a step."""
        arrays = {
            "setPositions": self.positions,
            "setMasses": self._masses,
            "setBox": self.box,
            "setForces": self.forces,
            "setVirial": self.virial,
        }
        for k, name in enumerate(self._extra):
            arrays[f"setExtraCV {name}"] = self.values[k : k + 1]
            arrays[f"setExtraCVForce {name}"] = self.extra_forces[k : k + 1]
        for name, array in arrays.items():
            command(name, array)
