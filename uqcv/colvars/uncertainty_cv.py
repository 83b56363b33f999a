"""The uncertainty as a function of positions, with its gradient, beside the energy of the same network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.colvars.bundle import Bundle
from uqcv.errors import InputError
from uqcv.potentials.neighbors import Graph, Pairs, build_graph, complete_pairs, find_pairs, has_complete_pairs
from uqcv.potentials.potential import pair_gradient, position_gradient, strain_gradient
from uqcv.potentials.radial import cosine_cutoff
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import Pooling, compress, counted_atoms, pool, standardise

Array = NDArray[np.float64]


class Evaluation:
    """One forward pass, from which energy, uncertainty and their derivatives are taken when asked for.

    Attributes
    ----------
    energy
        eV.
    atomic
        Transformed uncertainty of every atom, shape (n,).
    """

    def __init__(self, graph: Graph, vectors: Tensor, energy: Tensor, atomic: Tensor, pooled: Callable) -> None:
        self._graph, self._vectors, self._energy, self._atomic = graph, vectors, energy, atomic
        self._pooled = pooled
        self._values: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}

    @property
    def energy(self) -> float:
        """Energy in eV."""
        return float(self._energy.detach())

    @property
    def atomic(self) -> Array:
        """Uncertainty of each atom after the per-atom transform, shape (n,)."""
        return _array(self._atomic)

    def value(self, kind: Pooling) -> float:
        """Return the pooled uncertainty."""
        return float(self._value(kind).detach())

    def _value(self, kind: Pooling) -> Tensor:
        if kind not in self._values:
            self._values[kind] = self._pooled(kind, self._atomic, self._vectors)
        return self._values[kind]

    def _pair_gradient(self, name: str) -> Tensor:
        if name not in self._gradients:
            value = self._energy if name == "energy" else self._value(name)  # type: ignore[arg-type]
            self._gradients[name] = pair_gradient(value, self._vectors, retain_graph=True)
        return self._gradients[name]

    def forces(self) -> Array:
        """Return the forces, eV/Å, shape (n, 3)."""
        return -_array(position_gradient(self._pair_gradient("energy"), self._graph))

    def gradient(self, kind: Pooling) -> Array:
        """Return d U / d positions, 1/Å, shape (n, 3)."""
        return _array(position_gradient(self._pair_gradient(kind), self._graph))

    def strain_gradient(self, name: str) -> Array:
        """Return d U / d strain (no unit), or d E / d strain (eV) for the name 'energy'; shape (3, 3)."""
        gradient = self._pair_gradient(name)
        return _array(strain_gradient(gradient, self._vectors.detach(), self._graph)[0])


def _array(tensor: Tensor) -> Array:
    return tensor.detach().to("cpu", torch.float64).numpy()


class UncertaintyCV:
    """Energy and uncertainty of one system at any positions; the latest evaluation is shared by all who ask.

    Parameters
    ----------
    bundle
        Potential and uncertainty.
    numbers
        Atomic numbers of the system, shape (n,).
    pbc
        Periodicity of each direction.
    dtype
        torch precision of the evaluation.
    device
        torch device.

    Raises
    ------
    UnknownElementError
        If the bundle does not know an element.
    """

    def __init__(
        self,
        bundle: Bundle,
        numbers: Sequence[int],
        pbc: Sequence[bool] = (False, False, False),
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> None:
        self.bundle = bundle
        self.numbers = np.asarray(numbers, dtype=np.int64)
        self.pbc = np.asarray(pbc, dtype=bool)
        self.dtype, self.device = dtype, device
        self._settings = bundle.settings
        self._potential = copy.deepcopy(bundle.potential).to_dtype(dtype).to(device).requires_grad_(False)
        self._uncertainty = copy.deepcopy(bundle.uncertainty).to(device, dtype)
        tensor = torch.as_tensor(self.numbers, device=device)
        self._potential.species(tensor)
        self._uncertainty.require_elements(self.numbers.tolist())
        self._counted = counted_atoms(tensor, self._settings.pooling).to(device)
        self._fixed_pairs: Pairs | None = None
        if has_complete_pairs(len(self.numbers), self.pbc):
            self._fixed_pairs = complete_pairs(len(self.numbers))
        self._last: tuple[Array, Array, Evaluation] | None = None
        self.n_evaluations = 0

    def evaluate(self, positions: Array, cell: Array | None = None) -> Evaluation:
        """Return the evaluation at `positions` (Å, shape (n, 3)) in `cell` (Å, rows, shape (3, 3)).

        Asking again for the same positions costs nothing.

        Raises
        ------
        InputError
            If the number of atoms differs or a position is not finite.
        """
        cell = np.zeros((3, 3)) if cell is None or not self.pbc.any() else np.asarray(cell, dtype=float)
        if self._last is not None and np.array_equal(self._last[0], positions) and np.array_equal(self._last[1], cell):
            return self._last[2]
        self._require_positions(positions)
        evaluation = self._forward(positions, cell)
        self._last = (np.array(positions), np.array(cell), evaluation)
        return evaluation

    def _require_positions(self, positions: Array) -> None:
        expected = (len(self.numbers), 3)
        if positions.shape != expected:
            raise InputError(f"positions: shape {positions.shape} was given; {expected} is expected")
        if not np.isfinite(positions).all():
            raise InputError("positions: NaN or infinity was given; the simulation has blown up before this step")

    def _forward(self, positions: Array, cell: Array) -> Evaluation:
        self.n_evaluations += 1
        structure = Structure(self.numbers, positions, cell, self.pbc)
        cutoff = self._settings.potential.cutoff
        pairs = self._fixed_pairs or find_pairs(structure.positions, cell, self.pbc, cutoff)
        graph = build_graph(structure, cutoff, self.dtype, pairs).to(self.device)
        vectors = graph.vectors().requires_grad_(True)
        prediction = self._potential(graph, vectors)
        atomic = self._atomic(prediction.features, graph)

        def pooled(kind: Pooling, values: Tensor, at: Tensor) -> Tensor:
            return pool(values[self._counted], kind, self._settings.pooling, lambda: self._weights(graph, at))

        return Evaluation(graph, vectors, prediction.energies[0], atomic, pooled)

    def _atomic(self, features: Tensor, graph: Graph) -> Tensor:
        scores = self._uncertainty.score(features, graph.numbers)
        z = standardise(scores, self._settings.standard_mean, self._settings.standard_deviation)
        return compress(z) if self._settings.pooling.transform == "log" else z

    def _weights(self, graph: Graph, vectors: Tensor) -> Tensor:
        """Smooth neighbourhood weights between the atoms that count, for the local mean."""
        n = len(self.numbers)
        distances = vectors.square().sum(dim=1).sqrt()
        smooth = cosine_cutoff(distances, self._settings.pooling.local_radius)
        dense = smooth.new_zeros(n * n).index_add(0, graph.i * n + graph.j, smooth).reshape(n, n)
        dense = dense + torch.eye(n, dtype=dense.dtype, device=dense.device)
        return dense[self._counted][:, self._counted]


_shared: dict[tuple, UncertaintyCV] = {}


def shared_cv(
    bundle: Bundle, numbers: Sequence[int], pbc: Sequence[bool], dtype: torch.dtype, device: str
) -> UncertaintyCV:
    """Return this process's CV for a bundle and a system, so that a force and a bias share one forward pass."""
    key = (bundle.hash, tuple(int(z) for z in numbers), tuple(bool(p) for p in pbc), dtype, device)
    if key not in _shared:
        _shared[key] = UncertaintyCV(bundle, numbers, pbc, dtype, device)
    return _shared[key]
