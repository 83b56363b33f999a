"""Checks of the uncertainty's derivatives as PLUMED applies them, in nm and kJ/mol.

A restraint that is linear in U makes them forces and a virial; energies at displaced positions say what these must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.doctor.check import CheckError, Patient, require
from uqcv.doctor.subject import Subject, subject_of
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.units import ANGSTROM_TO_NM, FS_TO_PS

Array = NDArray[np.float64]
SLOPE = 100.0  # kJ/mol per unit of U
STEP, STRAIN_STEP = 1e-5, 1e-5  # nm; no unit
N_DIRECTIONS = 4
# Of the sum of |gradient times direction|. Central differences of fourth order in double precision leave 1e-8.
SLOPE_TOLERANCE = 1e-5
INVARIANCE_TOLERANCE = 1e-6  # of the largest force; double precision leaves 1e-11


class Restrained:
    """The bias SLOPE times U of a subject through PLUMED; kJ/mol, nm."""

    def __init__(self, subject: Subject, bridge: PlumedBridge) -> None:
        structure = subject.structure
        self.positions = structure.positions * ANGSTROM_TO_NM
        self.box = structure.cell * ANGSTROM_TO_NM if structure.is_periodic else None
        self._bridge = bridge

    def energy(self, positions: Array, box: Array | None = None) -> float:
        """Return the bias, in the subject's own box unless another is given."""
        return self._bridge.evaluate(0, positions, self.box if box is None else box)[0]

    def forces(self, positions: Array, box: Array | None = None) -> Array:
        """Return the forces, kJ/mol/nm."""
        return self._bridge.evaluate(0, positions, self.box if box is None else box)[1].copy()

    def virial(self) -> Array:
        """Return the virial of PLUMED, kJ/mol, shape (3, 3): the derivative of the bias with respect to strain."""
        self.forces(self.positions)
        return self._bridge.virial.copy()

    def strained(self, strain: Array) -> float:
        """Return the bias under a homogeneous strain, shape (3, 3)."""
        deformation = np.eye(3) + strain
        assert self.box is not None
        return self.energy(self.positions @ deformation, self.box @ deformation)


@contextmanager
def restrained(patient: Patient) -> Iterator[Restrained]:
    """Yield the bias of a patient's bundle; nothing is ever deposited."""
    subject = subject_of(patient)
    text = f"{subject.head}RESTRAINT ARG=u.py-mean AT=0 SLOPE={SLOPE:g}\n"
    masses = subject.structure.masses
    bridge = PlumedBridge(text, masses, 0.5 * FS_TO_PS, 300.0, subject.cv_folder, Path("plumed.log"))
    try:
        yield Restrained(subject, bridge)
    finally:
        bridge.discard()
        bridge.close()


def gradient(patient: Patient) -> str:
    """Compare forces with central differences of the bias."""
    with restrained(patient) as bias:
        forces = bias.forces(bias.positions)
        directions = np.random.default_rng(1).normal(size=(N_DIRECTIONS, *forces.shape))
        directions[0] = forces  # along itself a gradient is largest, and a wrong factor is seen at once
        directions /= np.sqrt((directions**2).sum(axis=(1, 2), keepdims=True))
        found = _slopes(lambda h, d: bias.energy(bias.positions + h * d), directions, STEP)
    return _compared(-forces, directions, found, "kJ/mol/nm")


def virial(patient: Patient) -> str:
    """Compare the virial with central differences of the bias under strain of positions and box."""
    if not subject_of(patient).structure.is_periodic:
        return "not periodic: nothing to check"
    with restrained(patient) as bias:
        computed = bias.virial()
        directions = np.random.default_rng(2).normal(size=(N_DIRECTIONS, 3, 3))
        directions += directions.transpose(0, 2, 1)
        directions /= np.sqrt((directions**2).sum(axis=(1, 2), keepdims=True))
        found = _slopes(lambda h, d: bias.strained(h * d), directions, STRAIN_STEP)
    return _compared(computed, directions, found, "kJ/mol")


def _slopes(function: Callable[[float, Array], float], directions: Array, step: float) -> Array:
    """Return central differences of fourth order along each direction."""

    def slope(direction: Array) -> float:
        near, far = (function(h, direction) - function(-h, direction) for h in (step, 2 * step))
        return (8 * near - far) / (12 * step)

    return np.array([slope(direction) for direction in directions])


def _compared(derivative: Array, directions: Array, slopes: Array, unit: str) -> str:
    """Compare a derivative along directions with the slopes there."""
    products = directions * derivative
    along, scale = products.sum(axis=(1, 2)), np.abs(products).sum(axis=(1, 2)).max()
    difference = float(np.abs(along - slopes).max())
    if not np.abs(slopes).max() > 0:
        raise CheckError("the uncertainty does not change with the positions", "look at the model: its features do not")
    detail = (
        f"largest difference {difference:.1e} of {scale:.1e} {unit} (at most {SLOPE_TOLERANCE:g} of it)"
        + factor_between(along, slopes)
    )
    return require(bool(difference <= SLOPE_TOLERANCE * scale), detail)


def factor_between(along: Array, slopes: Array) -> str:
    """Say by which factor derivatives differ from slopes, if it is the same everywhere and not 1."""
    largest = int(np.abs(slopes).argmax())
    factor = along[largest] / slopes[largest]
    if abs(factor - 1.0) < 1e-3 or not np.allclose(along, factor * slopes, atol=1e-3 * abs(along[largest])):
        return ""
    return f"; everywhere {factor:.4g} times what it should be: a unit or a sign is wrong"


def rotation(patient: Patient) -> str:
    """Compare the bias and its forces with those of the rotated structure."""
    turn = arbitrary_rotation()
    with restrained(patient) as bias:
        box = None if bias.box is None else bias.box @ turn
        before, forces = bias.energy(bias.positions), bias.forces(bias.positions)
        after, turned = bias.energy(bias.positions @ turn, box), bias.forces(bias.positions @ turn, box)
    scale, difference = float(np.abs(forces).max()), float(np.abs(turned - forces @ turn).max())
    detail = (
        f"U changes by {abs(after - before) / SLOPE:.1e} of {abs(before) / SLOPE:.2g}, forces by {difference:.1e} of "
        f"{scale:.1e} kJ/mol/nm (at most {INVARIANCE_TOLERANCE:g} of each)"
    )
    same = abs(after - before) <= INVARIANCE_TOLERANCE * max(abs(before), SLOPE)
    return require(bool(same and difference <= INVARIANCE_TOLERANCE * scale), detail)


def net_force(patient: Patient) -> str:
    """Add up the forces, and without a box their torques: both must vanish."""
    with restrained(patient) as bias:
        forces, centred = bias.forces(bias.positions), bias.positions - bias.positions.mean(axis=0)
    scale, lever = float(np.abs(forces).sum()), float(np.abs(centred).max())
    force = float(np.abs(forces.sum(axis=0)).max())
    torque = float(np.abs(np.cross(centred, forces).sum(axis=0)).max()) if bias.box is None else 0.0
    of_torque = f", torque {torque:.1e} of {scale * lever:.1e} kJ/mol" if bias.box is None else ", periodic: no torque"
    limit = INVARIANCE_TOLERANCE * scale
    detail = f"force {force:.1e} of {scale:.1e} kJ/mol/nm{of_torque} (at most {INVARIANCE_TOLERANCE:g} of each)"
    return require(force <= limit and torque <= limit * lever, detail)


def arbitrary_rotation() -> Array:
    """Return a rotation about no axis in particular, shape (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    rotation: Array = q * np.linalg.det(q)
    return rotation
