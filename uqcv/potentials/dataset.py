"""Labelled structures as tensors, with their neighbour pairs found once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.potentials.neighbors import Graph, build_graph, complete_graph, is_best_complete, merge_graphs
from uqcv.structures import Structure, require_labels

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Batch:
    """Structures and their labels.

    Attributes
    ----------
    graph
        The structures.
    energies
        eV, shape (s,).
    forces
        eV/Å, shape (n, 3).
    """

    graph: Graph
    energies: Tensor
    forces: Tensor


class Dataset:
    """Labelled structures, ready for batches.

    Parameters
    ----------
    structures
        With energy and forces.
    cutoff
        Å.
    dtype, device
        Of the tensors; energies are always float64.

    Raises
    ------
    InputError
        If it is empty or a label is missing.
    """

    def __init__(
        self,
        structures: Sequence[Structure],
        cutoff: float,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        require_labels(structures, "training data")
        self.structures = list(structures)
        self.graphs = [graph.to(device) for graph in _graphs(structures, cutoff, dtype)]
        self.energies = torch.tensor([s.energy for s in structures], dtype=torch.float64, device=device)
        self.forces = [torch.as_tensor(s.forces, dtype=dtype, device=device) for s in structures]

    def __len__(self) -> int:
        return len(self.graphs)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the structures at `indices` as one batch."""
        return Batch(
            merge_graphs([self.graphs[k] for k in indices]),
            self.energies[list(indices)],
            torch.cat([self.forces[k] for k in indices]),
        )

    def parts(self, size: int, seed: int | None = None) -> list[list[int]]:
        """Return the indices of all structures, `size` at a time, shuffled if a seed is given."""
        order = np.arange(len(self)) if seed is None else np.random.default_rng(seed).permutation(len(self))
        return [order[start : start + size].tolist() for start in range(0, len(order), size)]

    def batches(self, size: int, seed: int | None = None) -> Iterator[Batch]:
        """Yield the batches of `parts`."""
        return map(self.batch, self.parts(size, seed))

    def fingerprint(self) -> str:
        """Return a hash of all positions and labels."""
        digest = hashlib.sha256()
        for s in self.structures:
            for array in (s.numbers, s.positions, s.cell, s.pbc, np.array(s.energy), s.forces):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _graphs(structures: Sequence[Structure], cutoff: float, dtype: torch.dtype) -> list[Graph]:
    """Return complete graphs of small molecules that are all of one size, else those of the pairs within `cutoff`."""
    one_size = len({len(s) for s in structures}) == 1
    if one_size and all(is_best_complete(len(s), s.pbc) for s in structures):
        return [complete_graph(s, dtype) for s in structures]
    return [build_graph(s, cutoff, dtype) for s in structures]


def element_offsets(structures: Sequence[Structure], elements: Sequence[int]) -> NDArray[np.float64]:
    """Return one energy (eV) per element, so that their sums are as near the labels as they can be.

    Least squares on the compositions; of the many solutions that a single composition allows, the smallest.
    """
    counts = np.array([[(s.numbers == z).sum() for z in elements] for s in structures], dtype=np.float64)
    energies = np.array([s.energy for s in structures], dtype=np.float64)
    offsets, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    return offsets.astype(np.float64)


def force_scale(structures: Sequence[Structure]) -> float:
    """Return the root mean square force component, eV/Å: the size of energy changes over an Å."""
    forces = np.concatenate([s.forces.ravel() for s in structures if s.forces is not None])
    return float(np.sqrt(np.mean(forces**2))) or 1.0
