"""What is evaluated in each step: a potential, alone or with its uncertainty, as one module for a compiler.

All that differs between bundles is a buffer, never a constant: compiled code can be used again for another bundle of
the same architecture.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from uqcv.colvars.bundle import Bundle
from uqcv.potentials.links import Links
from uqcv.potentials.passes import Output
from uqcv.uncertainty.pooling import GLOBAL_POOLINGS, compress, counted_atoms, pool, standardise

# First output of a network: energy in eV, then pooled uncertainties; float64, so that one backward pass with one tensor
# of weights gives the forces of any bias. Behind it comes what there is of each atom.
SUMMARY: tuple[str, ...] = ("energy", *GLOBAL_POOLINGS)


class EnergyNetwork(nn.Module):
    """Energy of a fixed set of atoms.

    Parameters
    ----------
    bundle
        The potential; it is copied.
    numbers
        Atomic numbers, shape (n,).
    dtype
        Precision of the network; energies are always float64.
    """

    def __init__(self, bundle: Bundle, numbers: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = copy.deepcopy(bundle.model).to_dtype(dtype).to(numbers.device).requires_grad_(False)
        self.species: Tensor
        self.register_buffer("species", self.model.potential.species(numbers))

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> Output:
        """Return the energy (eV, shape (1,)) at positions (Å, shape (n, 3)) with offsets of pairs (Å, shape (p, 3))."""
        return (self.model.energies(self.species, _vectors(positions, offsets, links), links).sum()[None],)


class UncertaintyNetwork(EnergyNetwork):
    """Energy and uncertainty of a fixed set of atoms.

    Parameters
    ----------
    bundle, numbers, dtype
        As for `EnergyNetwork`.
    """

    def __init__(self, bundle: Bundle, numbers: Tensor, dtype: torch.dtype) -> None:
        super().__init__(bundle, numbers, dtype)
        settings, device = bundle.settings, numbers.device
        members = self.model.members(numbers)
        self._groups = tuple(members)
        for name, indices in members.items():
            self.register_buffer(f"members_{name}", indices)
        self.pooling = settings.pooling
        self.standard: Tensor
        self.counted: Tensor
        standard = (settings.standard_mean, settings.standard_deviation)
        self.register_buffer("standard", torch.tensor(standard, dtype=dtype, device=device))
        self.register_buffer("counted", counted_atoms(numbers, settings.pooling).to(device))

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> Output:
        """Return the `SUMMARY` and the transformed uncertainty of each atom, shape (n,)."""
        members = {name: self.get_buffer(f"members_{name}") for name in self._groups}
        vectors = _vectors(positions, offsets, links)
        energies, scores = self.model.atomic(self.species, vectors, links, members)
        z = standardise(scores, self.standard[0], self.standard[1])
        values = compress(z) if self.pooling.transform == "log" else z
        counted = values.index_select(0, self.counted)
        pooled = [pool(counted, kind, self.pooling) for kind in GLOBAL_POOLINGS]
        return torch.cat([energies.sum()[None], torch.stack(pooled).double()]), values


def _vectors(positions: Tensor, offsets: Tensor, links: Links) -> Tensor:
    return links.of_senders(positions) - links.of_receivers(positions) + offsets
