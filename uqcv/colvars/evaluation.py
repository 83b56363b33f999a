"""One evaluation of a network: energy, uncertainty and what can be derived from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.colvars.network import SUMMARY
from uqcv.potentials.neighbors import Graph
from uqcv.potentials.passes import Passes
from uqcv.uncertainty.pooling import Pooling

Array = NDArray[np.float64]
LocalPooling = Callable[[Tensor, Graph], Tensor]


class _Local(NamedTuple):
    """The local pooling; its derivatives by the uncertainties of the atoms and, through its weights, by leaves."""

    value: float
    by_atomic: Tensor
    by_leaves: list[Tensor]


class Evaluation:
    """One forward pass, from which energy, uncertainty and their derivatives are taken when asked for.

    Parameters
    ----------
    passes
        Of the network.
    graph
        What they are evaluated on.
    periodic
        Whether derivatives are taken by offsets of pairs too, beside positions.
    local
        Makes the local pooling from the uncertainties of the atoms and a graph.
    """

    def __init__(self, passes: Passes, graph: Graph, periodic: bool, local: LocalPooling) -> None:
        self._backward, self._graph, self._periodic, self._make_local = passes.backward, graph, periodic, local
        self._output, self._saved = passes.forward(graph.positions, graph.offsets, graph.links)
        self._summary: list[float] = self._output[0].tolist()
        self._gradients: dict[str, list[Array]] = {}

    @property
    def energy(self) -> float:
        """Energy in eV."""
        return self._summary[0]

    @property
    def atomic(self) -> Array:
        """Uncertainty of each atom after the per-atom transform, shape (n,)."""
        return _array(self._output[1])

    def value(self, kind: Pooling) -> float:
        """Return the pooled uncertainty."""
        return self._summary[SUMMARY.index(kind)] if kind in SUMMARY else self._local.value

    def forces(self, slopes: Mapping[Pooling, float] | None = None) -> Array:
        """Return the forces, eV/Å, shape (n, 3).

        Parameters
        ----------
        slopes
            Derivatives of a bias with respect to pooled uncertainties, eV: the forces are then those of energy and
            bias together, from one backward pass instead of one for each.
        """
        if not slopes:
            return -self._gradient("energy")[0]
        return -self._differentiate({"energy": 1.0} | {str(k): s for k, s in slopes.items()})[0]

    def gradient(self, kind: Pooling) -> Array:
        """Return d U / d positions, 1/Å, shape (n, 3)."""
        return self._gradient(kind)[0]

    def strain_gradient(self, name: str) -> Array:
        """Return d U / d strain (no unit), or d E / d strain (eV) for the name 'energy'; shape (3, 3).

        Under a homogeneous strain e, positions and cell vectors r become r (1 + e): the sum of r (x) d/dr over both.
        """
        pairs = zip(self._leaves(), self._gradient(name), strict=True)
        total = sum((_array(leaf).T @ gradient for leaf, gradient in pairs), start=np.zeros((3, 3)))
        return 0.5 * (total + total.T)

    def _leaves(self) -> tuple[Tensor, ...]:
        """What derivatives are taken by."""
        return (self._graph.positions, self._graph.offsets) if self._periodic else (self._graph.positions,)

    def _gradient(self, name: str) -> list[Array]:
        if name not in self._gradients:
            self._gradients[name] = self._differentiate({name: 1.0})
        return self._gradients[name]

    def _differentiate(self, weights: Mapping[str, float]) -> list[Array]:
        """Return the derivatives of a weighted sum of energy and pooled uncertainties, from one backward pass."""
        summary = self._output[0]
        wanted = np.array([weights.get(name, 0.0) for name in SUMMARY[: len(self._summary)]])
        factors: list[Tensor | None] = [torch.from_numpy(wanted).to(summary.device), None]
        direct: Sequence[Tensor] = ()
        if slope := weights.get("local_mean_max"):
            factors[1] = slope * self._local.by_atomic
            direct = [slope * by_leaf for by_leaf in self._local.by_leaves]
        gradients = self._backward(self._saved, factors[: len(self._output)])
        if direct:
            gradients = [a + b for a, b in zip(gradients, direct, strict=True)]
        return [_array(gradient) for gradient in gradients]

    @cached_property
    def _local(self) -> _Local:
        atomic, *leaves = (tensor.detach().requires_grad_(True) for tensor in (self._output[1], *self._leaves()))
        graph = replace(self._graph, positions=leaves[0], offsets=leaves[1] if self._periodic else self._graph.offsets)
        value = self._make_local(atomic, graph)
        by_atomic, *by_leaves = torch.autograd.grad(value, (atomic, *leaves), materialize_grads=True)
        return _Local(value.item(), by_atomic, by_leaves)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().astype(np.float64)
