"""Neighbour pairs and the graphs that networks consume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from vesin import NeighborList

from uqcv.structures import Structure

# Below this many atoms a molecule's complete pair list costs less than searching for neighbours, and it never
# changes along a trajectory; the cutoff function inside the network removes the distant pairs smoothly.
COMPLETE_PAIRS_MAX_ATOMS = 64


@dataclass(frozen=True)
class Pairs:
    """Directed pairs i <- j, each of them in both directions.

    Attributes
    ----------
    i, j
        Receiving and sending atom, shape (p,).
    shifts
        Whole numbers of cell vectors to add to atom j, shape (p, 3).
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    shifts: NDArray[np.float64]


def complete_pairs(n_atoms: int) -> Pairs:
    """Return all n(n-1) directed pairs of a molecule without periodicity."""
    i, j = np.nonzero(~np.eye(n_atoms, dtype=bool))
    return Pairs(i, j, np.zeros((len(i), 3)))


def has_complete_pairs(n_atoms: int, pbc: NDArray) -> bool:
    """Whether a system is served best by its complete pair list, which stays true along a trajectory."""
    return not pbc.any() and n_atoms <= COMPLETE_PAIRS_MAX_ATOMS


def find_pairs(positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float) -> Pairs:
    """Return the pairs within `cutoff`.

    Parameters
    ----------
    positions
        Å, shape (n, 3).
    cell
        Cell vectors as rows in Å, shape (3, 3).
    pbc
        Periodicity of each direction, shape (3,).
    cutoff
        Å.
    """
    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    i, j, shifts = search.compute(positions, cell, pbc, "ijS")
    return Pairs(i.astype(np.int64), j.astype(np.int64), shifts.astype(np.float64))


@dataclass(frozen=True)
class Graph:
    """One or several structures as tensors: what a potential is evaluated on.

    Attributes
    ----------
    numbers
        Atomic numbers, shape (n,).
    positions
        Å, shape (n, 3).
    cells
        Cell vectors as rows in Å, shape (s, 3, 3).
    structure_of_atom
        Index of the structure that each atom belongs to, shape (n,).
    i, j
        Receiving and sending atom of each pair, shape (p,).
    shifts
        Whole cell vectors added to atom j, shape (p, 3).
    """

    numbers: Tensor
    positions: Tensor
    cells: Tensor
    structure_of_atom: Tensor
    i: Tensor
    j: Tensor
    shifts: Tensor

    @property
    def n_structures(self) -> int:
        """Number of structures in the batch."""
        return len(self.cells)

    def vectors(self) -> Tensor:
        """Return r_j + shift - r_i in Å, shape (p, 3)."""
        plain = self.positions.index_select(0, self.j) - self.positions.index_select(0, self.i)
        cells = self.cells.index_select(0, self.structure_of_atom.index_select(0, self.i))
        return plain + torch.einsum("pa,pab->pb", self.shifts, cells)

    def to(self, device: torch.device | str) -> Graph:
        """Return the same graph on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def build_graph(
    structure: Structure, cutoff: float, dtype: torch.dtype = torch.float32, pairs: Pairs | None = None
) -> Graph:
    """Return the graph of one structure, of all pairs within `cutoff` (Å) unless `pairs` are given."""
    pairs = pairs or find_pairs(structure.positions, structure.cell, structure.pbc, cutoff)
    return Graph(
        numbers=torch.as_tensor(structure.numbers),
        positions=torch.as_tensor(structure.positions, dtype=dtype),
        cells=torch.as_tensor(structure.cell, dtype=dtype)[None],
        structure_of_atom=torch.zeros(len(structure), dtype=torch.long),
        i=torch.as_tensor(pairs.i),
        j=torch.as_tensor(pairs.j),
        shifts=torch.as_tensor(pairs.shifts, dtype=dtype),
    )


def merge_graphs(graphs: Sequence[Graph]) -> Graph:
    """Return one graph that holds all structures of `graphs`, in order."""
    atoms = np.cumsum([0] + [len(g.numbers) for g in graphs])
    structures = np.cumsum([0] + [g.n_structures for g in graphs])
    return Graph(
        numbers=torch.cat([g.numbers for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        cells=torch.cat([g.cells for g in graphs]),
        structure_of_atom=torch.cat([g.structure_of_atom + int(s) for g, s in zip(graphs, structures, strict=False)]),
        i=torch.cat([g.i + int(a) for g, a in zip(graphs, atoms, strict=False)]),
        j=torch.cat([g.j + int(a) for g, a in zip(graphs, atoms, strict=False)]),
        shifts=torch.cat([g.shifts for g in graphs]),
    )
