"""Energy and uncertainty of many structures of the same atoms at once, differentiable in their positions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.colvars.bundle import Bundle
from uqcv.errors import InputError
from uqcv.potentials.neighbors import Graph, build_graph, complete_graph, is_best_complete, merge_graphs
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import GLOBAL_POOLINGS, Pooling, compress, counted_atoms, pool, standardise

Array = NDArray[np.float64]
BATCH = 16  # structures at once; on a core more of them are slower again


class BatchedUncertainty:
    """Energy and pooled uncertainty of a batch.

    What a simulation asks one structure at a time by `UncertaintyCV`, and compiled, is here asked of many at once: a
    network in a batch costs a fraction for each of its structures.

    Parameters
    ----------
    bundle
        Potential and uncertainty.
    systems
        One structure for each of the batch; all of the same atoms in the same order, each with its own cell.
    component
        Pooling, one of those that need no positions.
    dtype, device
        Of torch.

    Raises
    ------
    InputError
        For a pooling over neighbourhoods.
    UnknownElementError
        If the bundle does not know an element.
    """

    def __init__(
        self,
        bundle: Bundle,
        systems: Sequence[Structure],
        component: Pooling = "mean",
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> None:
        if component not in GLOBAL_POOLINGS:
            raise InputError(f"{component} was given for a batch; one of {', '.join(GLOBAL_POOLINGS)} is expected")
        first = systems[0]
        bundle.model.require_elements(first.numbers.tolist())
        self._model = copy.deepcopy(bundle.model).to_dtype(dtype).to(device).requires_grad_(False)
        self._settings, self._systems = bundle.settings, list(systems)
        self._dtype, self._device = dtype, device
        numbers = torch.as_tensor(first.numbers)
        self._counted = counted_atoms(numbers, bundle.settings.pooling).to(device)
        self._pool = torch.vmap(partial(pool, kind=component, settings=bundle.settings.pooling))
        self._molecules: Graph | None = None
        if is_best_complete(len(first), first.pbc):
            self._molecules = merge_graphs([complete_graph(s, dtype) for s in systems]).to(device)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energies (eV) and the pooled uncertainties at positions (Å, shape (b, n, 3)); shape (b,) each."""
        graph = self._molecules or self._with_neighbours(positions)
        graph = graph.at(positions.reshape(-1, 3))
        species, members = self._model.potential.species(graph.numbers), self._model.members(graph.numbers)
        energies, scores = self._model.atomic(species, graph.vectors(), graph.links, members)
        z = standardise(scores, self._settings.standard_mean, self._settings.standard_deviation)
        values = compress(z) if self._settings.pooling.transform == "log" else z
        shape = positions.shape[:2]
        counted = values.reshape(shape).index_select(1, self._counted)
        return energies.reshape(shape).sum(dim=1), self._pool(counted)

    def _with_neighbours(self, positions: Tensor) -> Graph:
        places, cutoff = positions.detach().cpu().double().numpy(), self._settings.potential.cutoff
        moved = [s.with_positions(place) for s, place in zip(self._systems, places, strict=True)]
        return merge_graphs([build_graph(s, cutoff, self._dtype) for s in moved]).to(self._device)


def evaluate_batches(
    bundle: Bundle,
    structures: Sequence[Structure],
    component: Pooling = "mean",
    report: Callable[[float, str], None] | None = None,
) -> tuple[Array, Array]:
    """Return the energies (eV) and pooled uncertainties of structures of the same atoms, shape (k,) each.

    Parameters
    ----------
    bundle, structures, component
        As for `BatchedUncertainty`.
    report
        Called with the number of structures done.
    """
    energies, uncertainties = [np.zeros(0)], [np.zeros(0)]
    for start in range(0, len(structures), BATCH):
        batch = structures[start : start + BATCH]
        positions = torch.as_tensor(np.stack([s.positions for s in batch]))
        with torch.set_grad_enabled(bundle.model.is_second_order):
            found = BatchedUncertainty(bundle, batch, component)(positions)
        for values, kept in zip(found, (energies, uncertainties), strict=True):
            kept.append(values.detach().cpu().numpy())
        if report is not None:
            report(start + len(batch), "")
    return np.concatenate(energies), np.concatenate(uncertainties)
