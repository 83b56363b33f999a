"""The uncertainty as a function of positions, with its gradient, beside the energy of the same network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.evaluation import Evaluation
from uqcv.colvars.network import EnergyNetwork, UncertaintyNetwork
from uqcv.errors import InputError
from uqcv.potentials.compilation import say_eager
from uqcv.potentials.compiled_passes import compiled_passes
from uqcv.potentials.neighbors import Graph, build_graph, complete_graph, is_best_complete, positions_tensor
from uqcv.potentials.passes import AutogradPasses, Passes
from uqcv.potentials.radial import cosine_cutoff
from uqcv.potentials.verlet import VerletList
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import counted_atoms, pool

Array = NDArray[np.float64]
# Of neighbour lists for compiled networks, Å: pairs in it cost time, too few of them a search in every other step.
SKIN = 0.5
NO_CELL = np.zeros((3, 3))


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
    passes
        Of the network, an `UncertaintyNetwork` or `EnergyNetwork`.
    is_periodic
        Whether any direction is.
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
        self.is_periodic = bool(self.pbc.any())
        self.is_complete = is_best_complete(len(self.numbers), self.pbc)
        self.dtype, self.device = dtype, device
        self._compiled = compiled and self._can_be_compiled()
        self._settings = bundle.settings
        self.uncertain = uncertain
        self.passes: Passes = self._new_passes()
        tensor = torch.as_tensor(self.numbers, device=device)
        self._counted = counted_atoms(tensor, self._settings.pooling).to(device)
        self._molecule: Graph | None = None
        if self.is_complete:
            anywhere = Structure(self.numbers, np.zeros((len(self.numbers), 3)))
            self._molecule = complete_graph(anywhere, dtype).to(device)
        self._neighbors = self._new_neighbors()
        self._last: tuple[bytes, Evaluation] | None = None
        self.n_evaluations = 0

    def _can_be_compiled(self) -> bool:
        """Whether there is a way to compile it: second derivatives can be recorded, but torch.compile refuses them."""
        recorded = self.is_complete and not self.is_periodic
        if recorded or not self.bundle.model.is_second_order:
            return True
        say_eager("uncertainties made of forces are compiled for molecules alone")
        return False

    def _new_passes(self) -> Passes:
        kind = UncertaintyNetwork if self.uncertain else EnergyNetwork
        network = kind(self.bundle, torch.as_tensor(self.numbers, device=self.device), self.dtype)
        if self._compiled:
            return compiled_passes(network, self.is_complete, self.is_periodic)
        return AutogradPasses(network, self.is_periodic)

    def _new_neighbors(self) -> VerletList | None:
        if not self._compiled:
            return None
        return VerletList(self.numbers, self.pbc, self._settings.potential.cutoff, SKIN, self.dtype, self.device)

    def need_uncertainty(self) -> None:
        """Evaluate uncertainties too from here on, if that is not so already; it changes the compiled network."""
        if not self.uncertain:
            self.uncertain, self._last = True, None
            self.passes = self._new_passes()

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
        cell = np.asarray(cell, dtype=np.float64) if self.is_periodic and cell is not None else NO_CELL
        place = positions.tobytes() + cell.tobytes()
        if self._last is None or self._last[0] != place:
            self._last = None  # its memory serves the next pass
            self._last = place, self._forward(positions, cell)
        return self._last[1]

    def warm_up(self, positions: Array, cell: Array | None = None) -> None:
        """Compile what a step needs, by taking one; nothing else of it is kept, on which rounding may depend."""
        self.evaluate(positions, cell).forces()
        self._last, self.n_evaluations, self._neighbors = None, 0, self._new_neighbors()

    def memory(self) -> dict[str, NDArray]:
        """Return what rounding depends on beside the positions: where the neighbour list was built."""
        return {} if self._neighbors is None else self._neighbors.memory()

    def recall(self, memory: Mapping[str, NDArray]) -> None:
        """Round as the CV did that `memory` is of."""
        if self._neighbors is not None:
            self._neighbors.recall(memory)

    def _forward(self, positions: Array, cell: Array) -> Evaluation:
        if not np.isfinite(positions).all():
            raise InputError("positions: NaN or infinity was given; the simulation has blown up before this step")
        self.n_evaluations += 1
        graph = self.graph_at(positions, cell)
        return Evaluation(self.passes, graph, self.is_periodic, self._pool_locally)

    def _pool_locally(self, atomic: Tensor, graph: Graph) -> Tensor:
        def weights() -> Tensor:
            return self._weights(graph)

        return pool(atomic[self._counted], "local_mean_max", self._settings.pooling, weights)

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
