"""What is displaced when structures are made without dynamics: atoms, or torsions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from uqcv.simulation.torsions import RotatableBond


class Coordinates(Protocol):
    """From displacements of a batch to its positions.

    Attributes
    ----------
    shape
        Of displacements, the batch first.
    """

    shape: tuple[int, ...]

    def __call__(self, displacements: Tensor) -> Tensor:
        """Return positions in Å, shape (b, n, 3), differentiable in `displacements`."""
        ...


class AtomDisplacements:
    """Each atom goes its own way, in Å.

    Parameters
    ----------
    positions
        Where all are at zero displacement, Å, shape (b, n, 3).
    """

    def __init__(self, positions: Tensor) -> None:
        self._positions = positions
        self.shape: tuple[int, ...] = tuple(positions.shape)

    def __call__(self, displacements: Tensor) -> Tensor:
        """See `Coordinates`; displacements in Å, shape (b, n, 3)."""
        return self._positions + displacements


class TorsionDisplacements:
    """Rigid parts turn about bonds, by angles in radians; lengths of bonds and angles between them stay.

    Parameters
    ----------
    positions
        As for `AtomDisplacements`.
    bonds
        About which parts turn, one after the other.
    """

    def __init__(self, positions: Tensor, bonds: Sequence[RotatableBond]) -> None:
        self._positions, self._bonds = positions, list(bonds)
        self._moved = [torch.as_tensor(bond.moved, device=positions.device)[:, None] for bond in bonds]
        self.shape: tuple[int, ...] = (len(positions), len(self._bonds))

    def __call__(self, displacements: Tensor) -> Tensor:
        """See `Coordinates`; displacements in radians, shape (b, k)."""
        positions = self._positions
        for bond, moved, angles in zip(self._bonds, self._moved, displacements.unbind(dim=1), strict=True):
            origin = positions[:, bond.moving, None]
            axis = origin - positions[:, bond.fixed, None]
            turned = origin + rotate(positions - origin, axis / axis.norm(dim=-1, keepdim=True), angles[:, None, None])
            positions = torch.where(moved, turned, positions)
        return positions


def rotate(vectors: Tensor, axes: Tensor, angles: Tensor) -> Tensor:
    """Return vectors turned about unit axes by angles in radians (Rodrigues' formula); shapes broadcast."""
    cosine, sine = torch.cos(angles), torch.sin(angles)
    along = (vectors * axes).sum(dim=-1, keepdim=True) * axes
    return cosine * vectors + sine * torch.linalg.cross(axes.expand_as(vectors), vectors) + (1 - cosine) * along
