"""The uncertainty as a function of positions, with its gradient, beside the energy of the same network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.compilation import compiled_or_eager
from uqcv.errors import InputError
from uqcv.potentials.links import Links
from uqcv.potentials.neighbors import Graph, build_graph, complete_graph, is_best_complete
from uqcv.potentials.radial import cosine_cutoff
from uqcv.potentials.verlet import VerletList
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import Pooling, compress, counted_atoms, pool, standardise

Array = NDArray[np.float64]
# Of neighbour lists for compiled networks, Å: pairs in it cost time, too few of them a search in every other step.
SKIN = 0.5


class Evaluation:
    """One forward pass, from which energy, uncertainty and their derivatives are taken when asked for.

    Attributes
    ----------
    energy
        eV.
    atomic
        Transformed uncertainty of every atom, shape (n,).
    """

    def __init__(self, leaves: tuple[Tensor, ...], energy: Tensor, atomic: Tensor, pooled: Callable) -> None:
        self._leaves, self._energy, self._atomic, self._pooled = leaves, energy, atomic, pooled
        self._values: dict[str, Tensor] = {}
        self._gradients: dict[str, tuple[Tensor, ...]] = {}

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
            self._values[kind] = self._pooled(kind, self._atomic)
        return self._values[kind]

    def _gradient(self, name: str) -> tuple[Tensor, ...]:
        if name not in self._gradients:
            value = self._energy if name == "energy" else self._value(name)  # type: ignore[arg-type]
            self._gradients[name] = self._differentiate(value)
        return self._gradients[name]

    def _differentiate(self, value: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(value, self._leaves, retain_graph=True, materialize_grads=True)

    def forces(self, slopes: Mapping[Pooling, float] | None = None) -> Array:
        """Return the forces, eV/Å, shape (n, 3).

        Parameters
        ----------
        slopes
            Derivatives of a bias with respect to pooled uncertainties, eV: the forces are then those of energy and
            bias together, from one backward pass instead of one for each.
        """
        if not slopes:
            return -_array(self._gradient("energy")[0])
        total = self._energy + sum(slope * self._value(kind).double() for kind, slope in slopes.items())
        return -_array(self._differentiate(total)[0])

    def gradient(self, kind: Pooling) -> Array:
        """Return d U / d positions, 1/Å, shape (n, 3)."""
        return _array(self._gradient(kind)[0])

    def strain_gradient(self, name: str) -> Array:
        """Return d U / d strain (no unit), or d E / d strain (eV) for the name 'energy'; shape (3, 3).

        Under a homogeneous strain e, positions and cell vectors r become r (1 + e): the sum of r (x) d/dr over both.
        """
        pairs = zip(self._leaves, self._gradient(name), strict=True)
        total = np.sum([_array(leaf).T @ _array(gradient) for leaf, gradient in pairs], axis=0)
        return 0.5 * (total + total.T)


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
    compiled
        Whether to compile the network: takes a minute at first and pays off after some thousand evaluations.

    Attributes
    ----------
    network
        From positions (Å), offsets (Å) and links to the energy (eV) and the transformed uncertainty of each atom.
    n_evaluations
        Forward passes so far.

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
        compiled: bool = False,
    ) -> None:
        self.bundle = bundle
        self.numbers = np.asarray(numbers, dtype=np.int64)
        self.pbc = np.asarray(pbc, dtype=bool)
        complete = is_best_complete(len(self.numbers), self.pbc)
        self.dtype, self.device = dtype, device
        self._settings = bundle.settings
        tensor = torch.as_tensor(self.numbers, device=device)
        network = _Network(bundle, tensor, dtype, device)
        self.network = compiled_or_eager(network) if compiled else network
        self._counted = counted_atoms(tensor, self._settings.pooling).to(device)
        self._molecule: Graph | None = None
        if complete:
            anywhere = Structure(self.numbers, np.zeros((len(self.numbers), 3)))
            self._molecule = complete_graph(anywhere, dtype).to(device)
        cutoff = self._settings.potential.cutoff
        self._neighbors = VerletList(self.numbers, self.pbc, cutoff, SKIN, dtype, device) if compiled else None
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
        graph = self.graph_at(positions, cell)
        periodic = bool(self.pbc.any())
        leaves = (graph.positions, graph.offsets) if periodic else (graph.positions,)
        for leaf in leaves:
            leaf.requires_grad_(True)
        energy, atomic = self.network(graph.positions, graph.offsets, graph.links)

        def pooled(kind: Pooling, values: Tensor) -> Tensor:
            return pool(values[self._counted], kind, self._settings.pooling, lambda: self._weights(graph))

        return Evaluation(leaves, energy, atomic, pooled)

    def graph_at(self, positions: Array, cell: Array) -> Graph:
        """Return what the network is evaluated on at `positions` (Å) in `cell` (Å, rows)."""
        if self._molecule is not None:
            moved = torch.tensor(positions, dtype=self.dtype, device=self.device)
            return replace(self._molecule, positions=moved)
        if self._neighbors is not None:
            return self._neighbors.graph(positions, cell)
        structure = Structure(self.numbers, positions, cell, self.pbc)
        return build_graph(structure, self._settings.potential.cutoff, self.dtype).to(self.device)

    def _weights(self, graph: Graph) -> Tensor:
        """Smooth neighbourhood weights between the atoms that count, for the local mean."""
        n, links = len(self.numbers), graph.links.listed().to(self.device)
        distances = graph.vectors().square().sum(dim=1).sqrt()
        smooth = cosine_cutoff(distances, self._settings.pooling.local_radius)
        dense = smooth.new_zeros(n * n).index_add(0, links.i * n + links.j, smooth).reshape(n, n)
        dense = dense + torch.eye(n, dtype=dense.dtype, device=dense.device)
        return dense[self._counted][:, self._counted]


class _Network(nn.Module):
    """Energy (eV, float64) and transformed per-atom uncertainty of a fixed set of atoms.

    All that differs between bundles is a buffer, never a constant: compiled code can be used again for another
    bundle of the same architecture.
    """

    def __init__(self, bundle: Bundle, numbers: Tensor, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        settings = bundle.settings
        self.potential = copy.deepcopy(bundle.potential).to_dtype(dtype).to(device).requires_grad_(False)
        self.uncertainty = copy.deepcopy(bundle.uncertainty).to(device, dtype)
        self.transform = settings.pooling.transform
        self.species: Tensor
        self.standard: Tensor
        self.register_buffer("species", self.potential.species(numbers))
        standard = (settings.standard_mean, settings.standard_deviation)
        self.register_buffer("standard", torch.tensor(standard, dtype=dtype, device=device))
        self.members = self.uncertainty.members(numbers)

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        vectors = links.of_senders(positions) - links.of_receivers(positions) + offsets
        energies, features = self.potential.atomic(self.species, vectors, links)
        scores = self.uncertainty.score_members(features, self.members)
        z = standardise(scores, self.standard[0], self.standard[1])
        return energies.sum(), compress(z) if self.transform == "log" else z


_shared: dict[tuple, UncertaintyCV] = {}


def shared_cv(
    bundle: Bundle,
    numbers: Sequence[int],
    pbc: Sequence[bool],
    dtype: torch.dtype,
    device: str,
    compiled: bool = False,
) -> UncertaintyCV:
    """Return this process's CV for a bundle and a system, so that a force and a bias share one forward pass."""
    key = (bundle.hash, tuple(int(z) for z in numbers), tuple(bool(p) for p in pbc), dtype, device, compiled)
    if key not in _shared:
        _shared[key] = UncertaintyCV(bundle, numbers, pbc, dtype, device, compiled)
    return _shared[key]
