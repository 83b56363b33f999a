"""A potential together with its uncertainty: what a bundle holds, three kinds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from uqcv.potentials.ensemble import PotentialEnsemble
from uqcv.potentials.links import Links
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.radial import cosine_cutoff
from uqcv.uncertainty.atomic import AtomicUncertainty
from uqcv.uncertainty.ensemble import force_deviation
from uqcv.uncertainty.evidential import N_OUTPUTS as EVIDENTIAL_OUTPUTS
from uqcv.uncertainty.evidential import Evidential
from uqcv.uncertainty.gmm import GMMSettings, GMMUncertainty
from uqcv.uncertainty.last_layer import posterior_force_deviation
from uqcv.uncertainty.mean_variance import N_OUTPUTS as MEAN_VARIANCE_OUTPUTS
from uqcv.uncertainty.mean_variance import MeanVariance
from uqcv.uncertainty.settings import UncertaintySettings

N_OUTPUTS = {"mve": MEAN_VARIANCE_OUTPUTS, "evidential": EVIDENTIAL_OUTPUTS}


class Model(nn.Module):
    """Energies and uncertainties of atoms; abstract.

    Attributes
    ----------
    directions
        Directions in the space of latent features by which structures are told apart, shape (f, d), or None for all.
    is_second_order
        Whether uncertainties are made of derivatives, so that a bias needs second ones.
    """

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


class EnsembleModel(Model):
    """Mean energy of several networks, and how far their forces lie apart.

    Parameters
    ----------
    ensemble
        The networks.
    directions
        See `Model`; of the first network's features.
    """

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


def model_from_state(
    elements: Sequence[int], architecture: PaiNNSettings, settings: UncertaintySettings, state: Mapping[str, Any]
) -> Model:
    """Rebuild a model from what describes it and its `state_dict`."""
    method, directions = settings.method, state.get("directions")
    potential = Potential(elements, architecture, N_OUTPUTS.get(method, 0))
    model: Model
    if method == "ensemble":
        model = EnsembleModel(PotentialEnsemble([potential] * settings.ensemble.members), directions)
    elif method == "last_layer":
        model = LastLayerModel(potential, state["factor"], directions)
    else:
        own = {name.removeprefix("uncertainty."): v for name, v in state.items() if name.startswith("uncertainty.")}
        model = NetworkModel(potential, _uncertainty_from_state(settings, own), directions)
    model.load_state_dict(state)
    return model.eval()


def _uncertainty_from_state(settings: UncertaintySettings, state: dict[str, Any]) -> AtomicUncertainty:
    if settings.method == "mve":
        return MeanVariance()
    if settings.method == "evidential":
        return Evidential()
    return GMMUncertainty.from_state(gmm_settings(settings), state)


def gmm_settings(settings: UncertaintySettings) -> GMMSettings:
    """Return the settings of the mixture; the Mahalanobis distance is that of a single Gaussian."""
    one = {"n_components": 1, "per_element": False}
    return settings.gmm.model_copy(update=one) if settings.method == "mahalanobis" else settings.gmm
