"""What PLUMED's PyCV plugin imports: the uncertainty as an ordinary collective variable."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.evaluation import Evaluation
from uqcv.colvars.uncertainty_cv import UncertaintyCV, shared_cv
from uqcv.errors import InputError
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import ANGSTROM_TO_NM, NM_TO_ANGSTROM

# PLUMED replaces an exception from Python by a generic line; whoever drives PLUMED finds the cause here.
last_error: list[BaseException] = []
# Whether somebody looks there; under PLUMED's own program nobody does, and what went wrong is printed.
engine_listens = False

# PYCVINTERFACE drops the name of a component that is alone; this one is always there, so that `u.py-mean` is
# called the same whatever else was exported.
CALIBRATED = "error"


Component = tuple[float, np.ndarray, np.ndarray]


def component_name(pooling: Pooling) -> str:
    """Return what a pooling is called behind `py-`; PLUMED aborts the process at an underscore in a component."""
    return pooling.replace("_", "-")


class PyCV:
    """The two objects that PYCVINTERFACE looks for: `init` and `calculate`.

    Parameters
    ----------
    folder
        The bundle.
    expected_hash
        Hash of the bundle when it was exported.
    numbers
        Atomic numbers of the atoms in ATOMS, in their order.
    pbc
        Periodicity; without any, PLUMED's box is not looked at.
    components
        Poolings that become components, such as `py-mean` and `py-smooth-max`; `py-error`, the calibrated force
        error in eV/Å that belongs to the mean, is always there beside them.
    dtype, device, compiled
        As for `UncertaintyCV`.
    """

    def __init__(
        self,
        folder: Path,
        expected_hash: str,
        numbers: Sequence[int],
        pbc: Sequence[bool],
        components: Sequence[Pooling],
        dtype: str = "float64",
        device: str = "cpu",
        compiled: bool = False,
    ) -> None:
        bundle = Bundle.load(folder)
        if bundle.hash != expected_hash:
            raise InputError(
                f"{folder}: bundle {bundle.short_hash} was found, {expected_hash[:12]} was exported; export it again"
            )
        self.components = tuple(components)
        self._names = (*map(component_name, self.components), CALIBRATED)
        self._unasked = np.full((len(numbers), 3), np.nan), np.full((3, 3), np.nan)
        self._wanted: dict[str, set[str]] = {}
        self._looked_at: set[str] = set()
        self.cv: UncertaintyCV = shared_cv(bundle, numbers, pbc, getattr(torch, dtype), device, compiled)

    @property
    def init(self) -> dict[str, Any]:
        """Components with derivatives and without a period."""
        return {"COMPONENTS": {name: {"period": None, "derivative": True} for name in self._names}}

    def want(self, label: str, components: set[str]) -> None:
        """Leave out the derivatives of other components for the action `label`: nobody asks for them.

        They are then NaN, so that a mistake would be loud. Who said so before, in this process, is still served.
        """
        self._wanted[label] = self._wanted.get(label, set()) | components

    def calculate(self, action: Any) -> dict[str, Component]:
        """Return for each component its value, its gradient (1/nm) and its derivative with respect to the box.

        PLUMED's box derivative is minus the derivative with respect to strain, as in its virial.
        """
        try:
            last_error.clear()
            evaluation = self.cv.evaluate(action.getPositions() * NM_TO_ANGSTROM, self._cell(action))
            wanted = self._wanted.get(action.label)
            return {n: self._component(evaluation, n, wanted is None or n in wanted) for n in self._names}
        except BaseException as error:
            last_error.append(error)
            if not engine_listens:
                print(f"uqcv: step {action.getStep()}: {error}", file=sys.stderr, flush=True)
            raise

    def warn_if_flat(self, evaluation: Evaluation, component: str) -> None:
        """Say at the first evaluation, and only there, that a bias on a component acts on nothing."""
        if component in self._looked_at:
            return
        self._looked_at.add(component)
        _, kind, slope = self.pooled(evaluation, component)
        if slope == 0 or not evaluation.gradient(kind).any():
            print(
                f"uqcv: py-{component}: its gradient is exactly zero at the first structure, and a bias on it acts on "
                "nothing there; look at the structure (atoms apart by more than the cutoff?) and at the calibration",
                file=sys.stderr,
            )

    def pooled(self, evaluation: Evaluation, component: str) -> tuple[float, Pooling, float]:
        """Return the value of a component, the pooling that it is made from, and its derivative by that pooling."""
        if component != CALIBRATED:
            kind: Pooling = component.replace("-", "_")  # type: ignore[assignment]
            return evaluation.value(kind), kind, 1.0
        calibration, mean = self.cv.bundle.settings.frame_calibration, evaluation.value("mean")
        return float(calibration(mean)), "mean", float(calibration.slope(mean))

    def _component(self, evaluation: Evaluation, name: str, differentiated: bool) -> Component:
        value, kind, slope = self.pooled(evaluation, name)
        if not differentiated:
            return value, *self._unasked
        self.warn_if_flat(evaluation, name)
        gradient = evaluation.gradient(kind) / ANGSTROM_TO_NM
        return value, slope * gradient, -slope * evaluation.strain_gradient(kind)

    def _cell(self, action: Any) -> np.ndarray | None:
        return action.getPbc().getBox() * NM_TO_ANGSTROM if self.cv.is_periodic else None
