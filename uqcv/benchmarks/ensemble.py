"""An ensemble with a bias on its own disagreement: what one network is compared with.

In two forms, of which the faster one is the fair rival: all members as one network, batched over them, and one after
the other, each compiled. Batching wins where matrices are small; over tables of neighbours there is nothing to win.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.potentials.compiled_passes import compiled_passes
from uqcv.potentials.ensemble import PotentialEnsemble
from uqcv.potentials.links import Links
from uqcv.potentials.passes import Output, Passes
from uqcv.potentials.potential import Potential
from uqcv.simulation.dynamics import State
from uqcv.simulation.force_functions import positions_and_box
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.units import EV_PER_ANGSTROM_TO_KJMOL_PER_NM, EV_TO_KJMOL, NM_TO_ANGSTROM

MEMBERS = 5
SPREAD = 0.01  # relative change of the weights from member to member: it changes no time, and keeps dynamics tame


class _Member(nn.Module):
    """The energy of one potential."""

    def __init__(self, potential: Potential, numbers: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.potential = potential.to_dtype(dtype).requires_grad_(False)
        self.species: Tensor
        self.register_buffer("species", potential.species(numbers))

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> Output:
        return (self.potential.atomic(self.species, _vectors(positions, offsets, links), links)[0].sum(),)


def members_of(potential: Potential, numbers: Tensor, dtype: torch.dtype) -> list[_Member]:
    """Return networks that differ as members of an ensemble do."""
    return [_Member(_varied(potential, k), numbers, dtype).to(numbers.device) for k in range(MEMBERS)]


class Ensemble(nn.Module):
    """Mean energy and standard deviation of the energy (eV) over members that are evaluated together."""

    def __init__(self, members: Sequence[_Member]) -> None:
        super().__init__()
        self.potentials = PotentialEnsemble([member.potential for member in members])
        self.species: Tensor
        self.register_buffer("species", members[0].species)

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> Output:
        """Return mean and deviation."""
        vectors = _vectors(positions, offsets, links)
        energies = self.potentials.energies(self.species, vectors, links).sum(dim=1)
        return energies.mean(), energies.std()


def _vectors(positions: Tensor, offsets: Tensor, links: Links) -> Tensor:
    return links.of_senders(positions) - links.of_receivers(positions) + offsets


class Loop:
    """The passes of the same, one member after the other.

    Parameters
    ----------
    members
        Passes of each.
    """

    def __init__(self, members: Sequence[Passes]) -> None:
        self.members = members

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Output, Any]:
        """Return mean and deviation."""
        pairs = [member.forward(positions, offsets, links) for member in self.members]
        energies = torch.stack([energy.detach() for (energy,), _ in pairs])
        return (energies.mean(), energies.std()), (energies, [saved for _, saved in pairs])

    def backward(self, saved: Any, weights: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """Return the derivative of a weighted sum of both by positions."""
        energies, kept = saved
        leaf = energies.clone().requires_grad_(True)
        (factors,) = torch.autograd.grad((leaf.mean(), leaf.std()), leaf, weights)
        gradients = [m.backward(s, [f])[0] for m, s, f in zip(self.members, kept, factors.unbind(), strict=True)]
        return [torch.stack(gradients).sum(dim=0)]


def _varied(potential: Potential, seed: int) -> Potential:
    generator = torch.Generator().manual_seed(seed)
    member = copy.deepcopy(potential)
    with torch.no_grad():
        for weight in member.parameters():
            weight.mul_(1 + SPREAD * torch.randn(weight.shape, generator=generator))
    return member


class EnsembleForce:
    """The function of an `openmm.PythonForce`: one forward and one backward pass of each member, bias included.

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
    batched
        Whether the members are evaluated together.
    """

    def __init__(
        self,
        cv: UncertaintyCV,
        text: str,
        masses: np.ndarray,
        time_step: float,
        temperature: float,
        log: Path,
        batched: bool = True,
    ) -> None:
        self.cv = cv
        numbers = torch.as_tensor(cv.numbers, device=cv.device)
        members = members_of(cv.bundle.potential, numbers, cv.dtype)
        self.passes: Passes
        if batched:
            self.passes = compiled_passes(Ensemble(members), cv.is_complete)
        else:
            self.passes = Loop([compiled_passes(member, cv.is_complete) for member in members])
        self.bridge = PlumedBridge(text, masses, time_step, temperature, None, log, ("u",))

    def __call__(self, state: State) -> tuple[float, np.ndarray]:
        """Return energy (kJ/mol) and forces (kJ/mol/nm) of network and bias."""
        positions, box = positions_and_box(state, self.cv.is_periodic)
        cell = np.zeros((3, 3)) if box is None else box * NM_TO_ANGSTROM
        graph = self.cv.graph_at(positions * NM_TO_ANGSTROM, cell)
        (energy, deviation), saved = self.passes.forward(graph.positions, graph.offsets, graph.links)
        bias, forces = self.bridge.evaluate(state.getStepCount(), positions, box, [deviation.item()])
        slope = -self.bridge.extra_forces[0] / EV_TO_KJMOL
        weights = [energy.new_tensor(1.0), energy.new_tensor(slope)]
        (gradient,) = self.passes.backward(saved, weights)
        own = -gradient.to("cpu", torch.float64).numpy() * EV_PER_ANGSTROM_TO_KJMOL_PER_NM
        return energy.item() * EV_TO_KJMOL + bias, own + forces
