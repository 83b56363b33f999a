"""Neighbour lists that stay true for many steps, of a size that seldom changes.

Verlet, doi 10.1103/PhysRev.159.98: pairs within cutoff + skin hold every pair within the cutoff until an atom has
moved half the skin. In a table of some more columns than there are neighbours they keep one shape, for which a network
is compiled once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.potentials.neighbors import SELF_DISTANCE, Graph, Pairs, find_pairs, positions_tensor, structure_graph
from uqcv.potentials.table_links import TableLinks
from uqcv.structures import Structure

ROOM = 1.2  # neighbours that there is room for, over the most that an atom had at first
GRAIN = 4  # room is a multiple of this


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
        self._room = -1
        self._at: tuple[NDArray, NDArray] | None = None
        self._graph: Graph | None = None

    def graph(self, positions: NDArray, cell: NDArray) -> Graph:
        """Return the graph at `positions` (Å, shape (n, 3)) in `cell` (Å, rows); its pairs may be beyond the cutoff."""
        if self._graph is None or not self._holds(positions, cell):
            self._graph = self._build(positions, cell)
            self._at = (np.array(positions), np.array(cell))
        return self._graph.at(positions_tensor(positions, self.dtype, self.device))

    def memory(self) -> dict[str, NDArray]:
        """Return where the present list was built, and its room: `recall` of them gives the same list again."""
        if self._at is None:
            return {}
        return {"positions": self._at[0], "cell": self._at[1], "room": np.array(self._room)}

    def recall(self, memory: Mapping[str, NDArray]) -> None:
        """Build the list that `memory` is of: sums over it round as they did."""
        self._room = int(memory["room"])
        self.graph(memory["positions"], memory["cell"])

    def _holds(self, positions: NDArray, cell: NDArray) -> bool:
        assert self._at is not None
        moved = np.square(positions - self._at[0]).sum(axis=1).max(initial=0.0)
        return bool(np.array_equal(cell, self._at[1])) and moved < (0.5 * self.skin) ** 2

    def _build(self, positions: NDArray, cell: NDArray) -> Graph:
        self.n_builds += 1
        pairs = find_pairs(positions, cell, self.pbc, self.cutoff + self.skin)
        most = int(np.bincount(pairs.i, minlength=1).max())
        if most > self._room:
            self._room = GRAIN * math.ceil(max(1.0, ROOM * most) / GRAIN)
        links, offsets = self._table(pairs, pairs.shifts @ cell)
        structure = Structure(self.numbers, positions, cell, self.pbc)
        return structure_graph(structure, self.dtype, links, offsets).to(self.device)

    def _table(self, pairs: Pairs, pair_offsets: NDArray) -> tuple[TableLinks, Tensor]:
        """Return links and offsets; an empty slot pairs an atom with a copy of it beyond any cutoff."""
        n, width = len(self.numbers), self._room
        order = np.argsort(pairs.i, kind="stable")
        counts = np.bincount(pairs.i, minlength=n)
        column = np.empty(len(order), dtype=np.int64)
        column[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        senders = np.repeat(np.arange(n)[:, None], width, axis=1)
        senders[pairs.i, column] = pairs.j
        place = pairs.i * width + column
        reverse = np.arange(n * width)
        reverse[place] = place[_reversed(pairs)]
        offsets = np.tile([SELF_DISTANCE, 0.0, 0.0], (n * width, 1))
        offsets[place] = pair_offsets
        links = TableLinks(torch.as_tensor(senders), torch.as_tensor(reverse.reshape(n, width)))
        return links, torch.as_tensor(offsets)


def _reversed(pairs: Pairs) -> NDArray[np.int64]:
    """Return for each pair i <- j the index of j <- i, between the same images."""
    here, there = pairs.shifts.T, -pairs.shifts.T
    reverse = np.empty(len(pairs.i), dtype=np.int64)
    reverse[np.lexsort((*here, pairs.j, pairs.i))] = np.lexsort((*there, pairs.i, pairs.j))
    return reverse
