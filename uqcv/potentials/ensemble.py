"""Several potentials of one architecture, evaluated together."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state

from uqcv.errors import InputError
from uqcv.potentials.links import Links
from uqcv.potentials.potential import Potential


class PotentialEnsemble(nn.Module):
    """Potentials whose weights are stacked, so that each operation is one over all members.

    Parameters
    ----------
    members
        Of the same elements and architecture, two at least; they are copied.

    Attributes
    ----------
    first
        The first member, for what one network alone is asked.

    Raises
    ------
    InputError
        If they differ in more than weights, or there is only one.
    """

    def __init__(self, members: Sequence[Potential]) -> None:
        super().__init__()
        if len({(m.elements, m.settings, m.n_outputs) for m in members}) != 1 or len(members) < 2:
            raise InputError(
                f"an ensemble of {len(members)} was given; at least two potentials of the same elements and "
                "architecture are expected"
            )
        self.first = copy.deepcopy(members[0])
        parameters, buffers = stack_module_state(list(members))
        stacks = {name: stack.detach() for name, stack in (parameters | buffers).items()}
        self._names = {name: name.replace(".", "-") for name in stacks if name != "species_of_number"}
        for name, stacked in self._names.items():
            self.register_buffer(stacked, stacks[name])

    @property
    def n_members(self) -> int:
        """Number of potentials."""
        return len(self.get_buffer("scale"))

    def to_dtype(self, dtype: torch.dtype) -> PotentialEnsemble:
        """Change the precision of the networks, but never of the element offsets; return self."""
        offsets = self.get_buffer("offsets").double(), self.first.offsets.double()
        self.to(dtype)
        self.offsets, self.first.offsets = offsets
        return self

    def energies(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        """Return the energies of all atoms by all members, eV, float64, shape (m, n).

        Parameters
        ----------
        species, vectors, links
            As for `Potential.atomic`.
        """
        return torch.vmap(lambda state: self._atomic(state, species, vectors, links))(self._stacks())

    def energies_and_forces(self, species: Tensor, vectors: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Return energies of atoms (m, n) in eV and forces on them (m, n, 3) in eV/Å, by all members."""

        def total(vectors: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            atomic = self._atomic(state, species, vectors, links)
            return atomic.sum(), atomic

        derivative = torch.vmap(grad_and_value(total, has_aux=True), in_dims=(None, 0))
        gradients, (_, atomic) = derivative(vectors, self._stacks())
        return atomic, links.sum_over_senders(gradients) - links.sum_over_receivers(gradients)

    def _atomic(self, state: dict[str, Tensor], species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        called: Tensor = functional_call(_EnergyOfAtoms(self.first), _prefixed(state), (species, vectors, links))
        return called

    def _stacks(self) -> dict[str, Tensor]:
        return {name: self.get_buffer(stacked) for name, stacked in self._names.items()}


class _EnergyOfAtoms(nn.Module):
    """What `functional_call` calls: it knows `forward` only."""

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def forward(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        return self.potential.atomic(species, vectors, links)[0]


def _prefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"potential.{name}": tensor for name, tensor in state.items()}
