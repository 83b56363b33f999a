"""An ensemble with a bias on its own disagreement, in the fastest form there is: what one network is compared with."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.potentials.compilation import compiled_or_eager
from uqcv.potentials.links import Links
from uqcv.potentials.potential import Potential
from uqcv.simulation.dynamics import State
from uqcv.simulation.forces import positions_and_box
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.units import EV_PER_ANGSTROM_TO_KJMOL_PER_NM, EV_TO_KJMOL, NM_TO_ANGSTROM

MEMBERS = 5
SPREAD = 0.01  # relative change of the weights from member to member: it changes no time, and keeps dynamics tame


class _Atomic(nn.Module):
    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def forward(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        return self.potential.atomic(species, vectors, links)[0].sum()


class Ensemble(nn.Module):
    """Mean energy and standard deviation of the energy (eV) over members that are evaluated together."""

    def __init__(self, potential: Potential, numbers: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        members = [_Atomic(_varied(potential, k).to_dtype(dtype)).requires_grad_(False) for k in range(MEMBERS)]
        self.species = members[0].potential.species(numbers)
        self.template = copy.deepcopy(members[0])
        self.parameters_, self.buffers_ = stack_module_state(members)

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Return mean and deviation."""
        vectors = links.of_senders(positions) - links.of_receivers(positions) + offsets

        def one(parameters: dict, buffers: dict) -> Tensor:
            return functional_call(self.template, (parameters, buffers), (self.species, vectors, links))

        energies = torch.vmap(one)(self.parameters_, self.buffers_)
        return energies.mean(), energies.std()


def _varied(potential: Potential, seed: int) -> Potential:
    generator = torch.Generator().manual_seed(seed)
    member = copy.deepcopy(potential)
    with torch.no_grad():
        for weight in member.parameters():
            weight.mul_(1 + SPREAD * torch.randn(weight.shape, generator=generator))
    return member


class EnsembleForce:
    """The function of an `openmm.PythonForce`: one forward and one backward pass for all members and the bias.

    Parameters
    ----------
    cv
        Of one network: gives the graph.
    text
        PLUMED input on an EXTRACV named u.
    masses, time_step, temperature
        amu, ps, K, for PLUMED.
    log
        Of PLUMED.
    """

    def __init__(
        self, cv: UncertaintyCV, text: str, masses: np.ndarray, time_step: float, temperature: float, log: Path
    ) -> None:
        self.cv = cv
        numbers = torch.as_tensor(cv.numbers, device=cv.device)
        self.network = compiled_or_eager(Ensemble(cv.bundle.potential, numbers, cv.dtype).to(cv.device))
        self.bridge = PlumedBridge(text, masses, time_step, temperature, None, log, ("u",))

    def __call__(self, state: State) -> tuple[float, np.ndarray]:
        """Return energy (kJ/mol) and forces (kJ/mol/nm) of network and bias."""
        positions, box = positions_and_box(state, bool(self.cv.pbc.any()))
        cell = np.zeros((3, 3)) if box is None else box * NM_TO_ANGSTROM
        graph = self.cv.graph_at(positions * NM_TO_ANGSTROM, cell)
        graph.positions.requires_grad_(True)
        energy, deviation = self.network(graph.positions, graph.offsets, graph.links)
        bias, forces = self.bridge.evaluate(state.getStepCount(), positions, box, {"u": float(deviation.detach())})
        slope = -self.bridge.extra_forces["u"] / EV_TO_KJMOL
        (gradient,) = torch.autograd.grad(energy + slope * deviation, graph.positions)
        own = -gradient.to("cpu", torch.float64).numpy() * EV_PER_ANGSTROM_TO_KJMOL_PER_NM
        return float(energy.detach()) * EV_TO_KJMOL + bias, own + forces
