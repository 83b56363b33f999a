"""Neighbour lists that stay true for many steps, of a size that seldom changes.

Verlet, doi 10.1103/PhysRev.159.98: pairs within cutoff + skin hold every pair within the cutoff until an atom has
moved half the skin. Filled up to a round number of pairs they keep one shape, for which a network is compiled once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.potentials.links import ListedLinks
from uqcv.potentials.neighbors import SELF_DISTANCE, Graph, Pairs, find_pairs, structure_graph
from uqcv.structures import Structure

ROOM = 1.1  # pairs that there is room for, over those found first
GRAIN = 64  # room is a multiple of this


class VerletList:
    """The graph of one system at any positions.

    Parameters
    ----------
    numbers
        Atomic numbers, shape (n,).
    pbc
        Periodicity of each direction, shape (3,).
    cutoff, skin
        Å.
    dtype, device
        Of the tensors.

    Attributes
    ----------
    n_builds
        How often pairs were searched.
    """

    def __init__(
        self,
        numbers: Sequence[int] | NDArray,
        pbc: NDArray,
        cutoff: float,
        skin: float,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self.numbers, self.pbc = np.asarray(numbers), np.asarray(pbc, dtype=bool)
        self.cutoff, self.skin = cutoff, skin
        self.dtype, self.device = dtype, device
        self.n_builds = 0
        self._room = 0
        self._at: tuple[NDArray, NDArray] | None = None
        self._graph: Graph | None = None

    def graph(self, positions: NDArray, cell: NDArray) -> Graph:
        """Return the graph at `positions` (Å, shape (n, 3)) in `cell` (Å, rows); its pairs may be beyond the cutoff."""
        if self._graph is None or not self._holds(positions, cell):
            self._graph = self._build(positions, cell)
            self._at = (np.array(positions), np.array(cell))
        return self._graph.at(torch.tensor(positions, dtype=self.dtype, device=self.device))

    def _holds(self, positions: NDArray, cell: NDArray) -> bool:
        assert self._at is not None
        moved = np.square(positions - self._at[0]).sum(axis=1).max(initial=0.0)
        return bool(np.array_equal(cell, self._at[1])) and moved < (0.5 * self.skin) ** 2

    def _build(self, positions: NDArray, cell: NDArray) -> Graph:
        self.n_builds += 1
        pairs = find_pairs(positions, cell, self.pbc, self.cutoff + self.skin)
        if len(pairs.i) > self._room:
            self._room = GRAIN * math.ceil(max(1.0, ROOM * len(pairs.i)) / GRAIN)
        i, j, offsets = self._filled_up(pairs, cell)
        structure = Structure(self.numbers, positions, cell, self.pbc)
        return structure_graph(structure, self.dtype, ListedLinks(i, j, len(self.numbers)), offsets).to(self.device)

    def _filled_up(self, pairs: Pairs, cell: NDArray) -> tuple[Tensor, Tensor, Tensor]:
        """Return pairs and offsets with room for more: atom 0 and a copy of it beyond any cutoff."""
        empty = self._room - len(pairs.i)
        far = np.tile([SELF_DISTANCE, 0.0, 0.0], (empty, 1))
        nothing = np.zeros(empty, dtype=np.int64)
        return (
            torch.as_tensor(np.concatenate([pairs.i, nothing])),
            torch.as_tensor(np.concatenate([pairs.j, nothing])),
            torch.as_tensor(np.concatenate([pairs.shifts @ cell, far])),
        )
