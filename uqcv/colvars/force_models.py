"""Models whose uncertainties are made of forces, so that a bias on them takes second derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from uqcv.colvars.models import Model
from uqcv.potentials.ensemble import PotentialEnsemble
from uqcv.potentials.links import Links
from uqcv.potentials.potential import Potential
from uqcv.uncertainty.ensemble import force_deviation
from uqcv.uncertainty.last_layer import posterior_force_deviation


class EnsembleModel(Model):
    """Mean energy of several networks, and how far their forces lie apart.

    Parameters
    ----------
    ensemble
        The networks.
    directions
        See `Model`; of the first network's features.
    """

    speaks_of = "forces"
    is_second_order = True

    def __init__(self, ensemble: PotentialEnsemble, directions: Tensor | None = None) -> None:
        super().__init__()
        self.ensemble = ensemble
        self.register_buffer("directions", directions)

    @property
    def potential(self) -> Potential:
        """The first network."""
        return self.ensemble.first

    def energies(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        """See `Model`."""
        return self.ensemble.energies(species, vectors, links).mean(dim=0)

    def atomic(
        self, species: Tensor, vectors: Tensor, links: Links, members: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """See `Model`."""
        energies, forces = self.ensemble.energies_and_forces(species, vectors, links)
        return energies.mean(dim=0), force_deviation(forces)

    def to_dtype(self, dtype: torch.dtype) -> EnsembleModel:
        """See `Model`."""
        self.ensemble.to_dtype(dtype)
        return self


class LastLayerModel(Model):
    """One network, and how well its training determines the forces that its last layer gives.

    Parameters
    ----------
    potential
        The network.
    factor
        Of the posterior covariance of the weights of the last layer, shape (h, h); see `posterior_factor`.
    directions
        See `Model`.
    """

    speaks_of = "forces"
    is_second_order = True

    def __init__(self, potential: Potential, factor: Tensor, directions: Tensor | None = None) -> None:
        super().__init__()
        self.network = potential
        self.factor: Tensor
        self.register_buffer("factor", factor)
        self.register_buffer("directions", directions)

    @property
    def potential(self) -> Potential:
        """The network."""
        return self.network

    def energies(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        """See `Model`."""
        return self.network.atomic(species, vectors, links)[0]

    def atomic(
        self, species: Tensor, vectors: Tensor, links: Links, members: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """See `Model`."""

        def of_columns(vectors: Tensor) -> tuple[Tensor, Tensor]:
            energies, features = self.network.atomic(species, vectors, links)
            return self.network.hidden(features).sum(dim=0) @ self.factor, energies

        gradients, energies = torch.func.jacrev(of_columns, has_aux=True)(vectors)
        forces = links.sum_over_senders(gradients) - links.sum_over_receivers(gradients)
        return energies, posterior_force_deviation(forces)

    def to_dtype(self, dtype: torch.dtype) -> LastLayerModel:
        """See `Model`."""
        self.factor = self.factor.to(dtype)
        self.network.to_dtype(dtype)
        return self
