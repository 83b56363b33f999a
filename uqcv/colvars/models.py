"""A potential together with its uncertainty: what every kind of model does, and the one of a single pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uqcv.potentials.links import Links
from uqcv.potentials.potential import Potential
from uqcv.potentials.radial import cosine_cutoff
from uqcv.uncertainty.atomic import AtomicUncertainty, Quantity


class Model(nn.Module):
    """Energies and uncertainties of atoms; abstract.

    Attributes
    ----------
    speaks_of
        What uncertainties are made of; see `AtomicUncertainty`.
    directions
        Directions in the space of latent features by which structures are told apart, shape (f, d), or None for all.
    is_second_order
        Whether uncertainties are made of derivatives, so that a bias needs second ones.
    """

    speaks_of: Quantity
    directions: Tensor | None
    is_second_order = False

    @property
    def potential(self) -> Potential:
        """The network that latent features are of."""
        raise NotImplementedError

    def members(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return groups of atoms that are treated differently, by name; the same for all positions of a system."""
        return {}

    def require_elements(self, numbers: Sequence[int]) -> None:
        """Refuse elements that the model does not know.

        Raises
        ------
        UnknownElementError
            Naming them.
        """
        self.potential.species(torch.as_tensor(list(numbers)))

    def energies(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        """Return the energies of the atoms, eV, float64, shape (n,); arguments as for `Potential.atomic`."""
        raise NotImplementedError

    def atomic(
        self, species: Tensor, vectors: Tensor, links: Links, members: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return energies (eV) and uncertainties of the atoms, shape (n,) each; groups are what `members` gave."""
        raise NotImplementedError

    def described(self, features: Tensor) -> Tensor:
        """Return what tells structures apart of latent features (n, f): shape (n, d), or the features themselves."""
        return features if self.directions is None else features @ self.directions

    def to_dtype(self, dtype: torch.dtype) -> Model:
        """Change the precision, but never of element offsets; return self."""
        raise NotImplementedError


class NetworkModel(Model):
    """One network with an uncertainty made from what it says of each atom.

    Parameters
    ----------
    potential
        The network.
    uncertainty
        Sees the outputs of the network's second readout if it has one, else its latent features.
    directions
        See `Model`.
    """

    def __init__(self, potential: Potential, uncertainty: AtomicUncertainty, directions: Tensor | None = None) -> None:
        super().__init__()
        self.network = potential
        self.uncertainty = uncertainty
        self.speaks_of = uncertainty.speaks_of
        self.register_buffer("directions", directions)

    @property
    def potential(self) -> Potential:
        """The network."""
        return self.network

    def members(self, numbers: Tensor) -> dict[str, Tensor]:
        """See `Model`."""
        return self.uncertainty.members(numbers)

    def require_elements(self, numbers: Sequence[int]) -> None:
        """See `Model`."""
        super().require_elements(numbers)
        self.uncertainty.require_elements(numbers)

    def energies(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        """See `Model`."""
        return self.network.atomic(species, vectors, links)[0]

    def atomic(
        self, species: Tensor, vectors: Tensor, links: Links, members: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """See `Model`."""
        energies, features = self.network.atomic(species, vectors, links)
        inputs = features if self.network.head is None else self.network.head(features)
        scores = self.uncertainty.score_members(inputs, members)
        radius = self.uncertainty.neighbourhood
        return energies, scores if radius is None else neighbourhood_mean(scores, vectors, links, radius)

    def to_dtype(self, dtype: torch.dtype) -> NetworkModel:
        """See `Model`."""
        self.uncertainty.to(dtype)
        self.network.to_dtype(dtype)
        return self


def neighbourhood_mean(values: Tensor, vectors: Tensor, links: Links, radius: float) -> Tensor:
    """Return for each atom the mean over itself and its neighbours, shape (n,), weighted by a cosine cutoff.

    Parameters
    ----------
    values
        Of the atoms, shape (n,).
    vectors, links
        As for `Potential.atomic`.
    radius
        Where weights end, Å.
    """
    weights = cosine_cutoff(vectors.square().sum(dim=1).sqrt(), radius)[:, None]
    near = links.sum_over_senders(weights * links.of_senders(values[:, None]))
    return (values + near[:, 0]) / (1 + links.sum_over_senders(weights)[:, 0])
