"""The uncertainty as a function of positions, with its gradient, beside the energy of the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.network import SUMMARY, EnergyNetwork, Output, UncertaintyNetwork
from uqcv.errors import InputError
from uqcv.potentials.compilation import compiled_or_eager
from uqcv.potentials.neighbors import Graph, build_graph, complete_graph, is_best_complete, positions_tensor
from uqcv.potentials.radial import cosine_cutoff
from uqcv.potentials.verlet import VerletList
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import Pooling, counted_atoms, pool

Array = NDArray[np.float64]
# Of neighbour lists for compiled networks, Å: pairs in it cost time, too few of them a search in every other step.
SKIN = 0.5
NO_CELL = np.zeros((3, 3))


class Evaluation:
    """One forward pass, from which energy, uncertainty and their derivatives are taken when asked for.

    Parameters
    ----------
    leaves
        Positions and, with periodicity, offsets of pairs: what derivatives are taken by.
    output
        Of the network.
    local
        Makes the local pooling from the uncertainties of the atoms.
    backward
        `torch.autograd.grad`, or what stands for it.
    """

    def __init__(
        self, leaves: tuple[Tensor, ...], output: Output, local: Callable[[Tensor], Tensor], backward: Callable
    ) -> None:
        self._leaves, self._output, self._make_local, self._backward = leaves, output, local, backward
        self._local: Tensor | None = None
        self._summary: list[float] = output[0].tolist()
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
        return self._summary[SUMMARY.index(kind)] if kind in SUMMARY else self._locally_pooled().item()

    def _locally_pooled(self) -> Tensor:
        if self._local is None:
            self._local = self._make_local(self._output[1])
        return self._local

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
        pairs = zip(self._leaves, self._gradient(name), strict=True)
        total = sum((_array(leaf).T @ gradient for leaf, gradient in pairs), start=np.zeros((3, 3)))
        return 0.5 * (total + total.T)

    def _gradient(self, name: str) -> list[Array]:
        if name not in self._gradients:
            self._gradients[name] = self._differentiate({name: 1.0})
        return self._gradients[name]

    def _differentiate(self, weights: Mapping[str, float]) -> list[Array]:
        """Return the derivatives of a weighted sum of energy and pooled uncertainties, from one backward pass."""
        summary = self._output[0]
        outputs = [summary]
        wanted = np.array([weights.get(name, 0.0) for name in SUMMARY[: len(summary)]])
        grads = [torch.from_numpy(wanted).to(summary.device)]
        if "local_mean_max" in weights:
            outputs.append(self._locally_pooled())
            grads.append(outputs[-1].new_tensor(weights["local_mean_max"]))
        gradients = self._backward(outputs, self._leaves, grads, retain_graph=True, materialize_grads=True)
        return [_array(gradient) for gradient in gradients]


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().astype(np.float64)


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
    uncertain
        Whether uncertainties will be asked for; plain dynamics go without them, until someone does.

    Attributes
    ----------
    network
        From positions (Å), offsets (Å) and links to the output of `UncertaintyNetwork` or `EnergyNetwork`.
    backward
        What takes derivatives, `torch.autograd.grad`; whoever times it puts something around it.
    is_complete
        Whether all pairs of atoms are evaluated, or those of a neighbour list.
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
        uncertain: bool = True,
    ) -> None:
        self.bundle = bundle
        self.numbers = np.asarray(numbers, dtype=np.int64)
        self.pbc = np.asarray(pbc, dtype=bool)
        self.is_complete = is_best_complete(len(self.numbers), self.pbc)
        self.dtype, self.device, self._compiled = dtype, device, compiled
        self._settings = bundle.settings
        self.uncertain = uncertain
        self.network: Callable[..., Output] = self._new_network()
        self.backward: Callable = torch.autograd.grad
        tensor = torch.as_tensor(self.numbers, device=device)
        self._counted = counted_atoms(tensor, self._settings.pooling).to(device)
        self._molecule: Graph | None = None
        if self.is_complete:
            anywhere = Structure(self.numbers, np.zeros((len(self.numbers), 3)))
            self._molecule = complete_graph(anywhere, dtype).to(device)
        cutoff = self._settings.potential.cutoff
        self._neighbors = VerletList(self.numbers, self.pbc, cutoff, SKIN, dtype, device) if compiled else None
        self._periodic = bool(self.pbc.any())
        self._last: tuple[bytes, Evaluation] | None = None
        self.n_evaluations = 0

    def _new_network(self) -> Callable[..., Output]:
        kind = UncertaintyNetwork if self.uncertain else EnergyNetwork
        network = kind(self.bundle, torch.as_tensor(self.numbers, device=self.device), self.dtype)
        return compiled_or_eager(network, tables=not self.is_complete) if self._compiled else network

    def need_uncertainty(self) -> None:
        """Evaluate uncertainties too from here on, if that is not so already; it changes the compiled network."""
        if not self.uncertain:
            self.uncertain, self._last = True, None
            self.network = self._new_network()

    def evaluate(self, positions: Array, cell: Array | None = None, uncertain: bool = True) -> Evaluation:
        """Return the evaluation at `positions` (Å, shape (n, 3)) in `cell` (Å, rows, shape (3, 3)).

        Asking again for the same positions costs nothing. Who asks for the energy alone says `uncertain=False`.

        Raises
        ------
        InputError
            If the number of atoms differs or a position is not finite.
        """
        if uncertain:
            self.need_uncertainty()
        positions = np.asarray(positions, dtype=np.float64)
        if positions.shape != (expected := (len(self.numbers), 3)):
            raise InputError(f"positions: shape {positions.shape} was given; {expected} is expected")
        cell = np.asarray(cell, dtype=np.float64) if self._periodic and cell is not None else NO_CELL
        place = positions.tobytes() + cell.tobytes()
        if self._last is None or self._last[0] != place:
            self._last = None  # its memory serves the next pass
            self._last = place, self._forward(positions, cell)
        return self._last[1]

    def _forward(self, positions: Array, cell: Array) -> Evaluation:
        if not np.isfinite(positions).all():
            raise InputError("positions: NaN or infinity was given; the simulation has blown up before this step")
        self.n_evaluations += 1
        graph = self.graph_at(positions, cell)
        leaves = (graph.positions, graph.offsets) if self._periodic else (graph.positions,)
        for leaf in leaves:
            leaf.requires_grad_(True)
        output = self.network(graph.positions, graph.offsets, graph.links)

        def local(atomic: Tensor) -> Tensor:
            counted = atomic[self._counted]
            return pool(counted, "local_mean_max", self._settings.pooling, lambda: self._weights(graph))

        return Evaluation(leaves, output, local, self.backward)

    def graph_at(self, positions: Array, cell: Array) -> Graph:
        """Return what the network is evaluated on at `positions` (Å) in `cell` (Å, rows)."""
        if self._molecule is not None:
            return self._molecule.at(positions_tensor(positions, self.dtype, self.device))
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


_shared: dict[tuple, UncertaintyCV] = {}


def shared_cv(
    bundle: Bundle,
    numbers: Sequence[int],
    pbc: Sequence[bool],
    dtype: torch.dtype,
    device: str,
    compiled: bool = False,
    uncertain: bool = True,
) -> UncertaintyCV:
    """Return this process's CV for a bundle and a system, so that a force and a bias share one forward pass."""
    key = (bundle.hash, tuple(int(z) for z in numbers), tuple(bool(p) for p in pbc), dtype, device, compiled)
    if key not in _shared:
        _shared[key] = UncertaintyCV(bundle, numbers, pbc, dtype, device, compiled, uncertain)
    if uncertain:
        _shared[key].need_uncertainty()
    return _shared[key]
