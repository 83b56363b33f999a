"""Neighbour pairs and the graphs that networks consume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from vesin import NeighborList

from uqcv.potentials.links import CompleteLinks, Links, ListedLinks, merge_links, with_itself
from uqcv.structures import Structure

# Below this many atoms all pairs of a molecule cost less than searching for neighbours, and they never change along
# a trajectory; the cutoff function inside the network removes the distant pairs smoothly.
COMPLETE_MAX_ATOMS = 64
# Where an atom stands in the complete links that pair it with itself: beyond any cutoff, Å.
SELF_DISTANCE = 1e3


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


def is_best_complete(n_atoms: int, pbc: NDArray) -> bool:
    """Whether a system is served best by all its pairs, which stay true along a trajectory."""
    return not pbc.any() and n_atoms <= COMPLETE_MAX_ATOMS


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
    links
        Which atoms are neighbours.
    offsets
        From the sender of each pair to the image of it that is meant, Å, shape (p, 3).
    """

    numbers: Tensor
    positions: Tensor
    cells: Tensor
    structure_of_atom: Tensor
    links: Links
    offsets: Tensor

    @property
    def n_structures(self) -> int:
        """Number of structures in the batch."""
        return len(self.cells)

    def atom_counts(self) -> Tensor:
        """Return the number of atoms of each structure, shape (s,)."""
        ones = torch.ones_like(self.structure_of_atom)
        return ones.new_zeros(self.n_structures).index_add(0, self.structure_of_atom, ones)

    def vectors(self) -> Tensor:
        """Return r_j + offset - r_i in Å, shape (p, 3)."""
        return self.links.of_senders(self.positions) - self.links.of_receivers(self.positions) + self.offsets

    def at(self, positions: Tensor) -> Graph:
        """Return the graph of the same atoms and pairs at other positions (Å, shape (n, 3))."""
        return Graph(self.numbers, positions, self.cells, self.structure_of_atom, self.links, self.offsets)

    def to(self, device: torch.device | str) -> Graph:
        """Return the same graph on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def positions_tensor(positions: NDArray, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return a tensor of positions with memory of its own; numpy converts small arrays several times faster."""
    return torch.from_numpy(positions.astype(np.float32 if dtype == torch.float32 else np.float64)).to(device, dtype)


def build_graph(structure: Structure, cutoff: float, dtype: torch.dtype = torch.float32) -> Graph:
    """Return the graph of one structure, of all pairs within `cutoff` (Å)."""
    pairs = find_pairs(structure.positions, structure.cell, structure.pbc, cutoff)
    links = ListedLinks(torch.as_tensor(pairs.i), torch.as_tensor(pairs.j), len(structure))
    return structure_graph(structure, dtype, links, torch.as_tensor(pairs.shifts @ structure.cell))


def complete_graph(structure: Structure, dtype: torch.dtype = torch.float32) -> Graph:
    """Return the graph of a molecule without periodicity, of all its pairs whatever their distance."""
    links = CompleteLinks(1, len(structure))
    far = torch.tensor([SELF_DISTANCE, 0.0, 0.0])
    return structure_graph(structure, dtype, links, with_itself(links)[:, None] * far)


def structure_graph(structure: Structure, dtype: torch.dtype, links: Links, offsets: Tensor) -> Graph:
    """Return the graph of one structure with given links and offsets (Å, shape (p, 3))."""
    return Graph(
        numbers=torch.as_tensor(structure.numbers),
        positions=torch.as_tensor(structure.positions, dtype=dtype),
        cells=torch.as_tensor(structure.cell, dtype=dtype)[None],
        structure_of_atom=torch.zeros(len(structure), dtype=torch.long),
        links=links,
        offsets=offsets.to(dtype),
    )


def merge_graphs(graphs: Sequence[Graph]) -> Graph:
    """Return one graph that holds all structures of `graphs`, in order."""
    structures = np.cumsum([0] + [g.n_structures for g in graphs])
    return Graph(
        numbers=torch.cat([g.numbers for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        cells=torch.cat([g.cells for g in graphs]),
        structure_of_atom=torch.cat([g.structure_of_atom + int(s) for g, s in zip(graphs, structures, strict=False)]),
        links=merge_links([g.links for g in graphs]),
        offsets=torch.cat([g.offsets for g in graphs]),
    )
