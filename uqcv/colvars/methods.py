"""What each uncertainty needs of a training, and how it is fitted to trained potentials."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uqcv.colvars.features import evaluation_graphs, latent_features, vibrational_covariance
from uqcv.colvars.force_models import EnsembleModel, LastLayerModel
from uqcv.colvars.model_state import N_OUTPUTS, gmm_settings
from uqcv.colvars.models import Model, NetworkModel
from uqcv.errors import InputError
from uqcv.potentials.ensemble import PotentialEnsemble
from uqcv.potentials.loss import ForceLoss, mean_square
from uqcv.potentials.potential import Potential, pair_gradient, position_gradient
from uqcv.structures import Structure
from uqcv.uncertainty.atomic import AtomicUncertainty
from uqcv.uncertainty.discriminant import discriminant_directions
from uqcv.uncertainty.evidential import Evidential, EvidentialLoss
from uqcv.uncertainty.gmm import GMMUncertainty
from uqcv.uncertainty.last_layer import posterior_factor
from uqcv.uncertainty.mean_variance import MeanVariance, MeanVarianceLoss
from uqcv.uncertainty.settings import UncertaintySettings


@dataclass(frozen=True)
class Networks:
    """What has to be trained.

    Attributes
    ----------
    number
        Of networks.
    n_outputs
        Of each one's second readout; 0 if there is none.
    force_loss
        What is made small of forces.
    bootstrap
        Whether all but the first are trained on frames drawn with replacement.
    """

    number: int = 1
    n_outputs: int = 0
    force_loss: ForceLoss = mean_square
    bootstrap: bool = False


def networks_for(settings: UncertaintySettings) -> Networks:
    """Return what the method of `settings` needs trained."""
    n_outputs = N_OUTPUTS.get(settings.method, 0)
    if settings.method == "ensemble":
        return Networks(settings.ensemble.members, bootstrap=settings.ensemble.bootstrap)
    if settings.method == "mve":
        return Networks(1, n_outputs, MeanVarianceLoss(beta=settings.mve.beta))
    if settings.method == "evidential":
        return Networks(1, n_outputs, EvidentialLoss(regularisation=settings.evidential.regularisation))
    return Networks()


def fit_model(
    networks: Sequence[Potential], training: Sequence[Structure], settings: UncertaintySettings, seed: int
) -> Model:
    """Return trained networks with the uncertainty of `settings`, fitted on the structures that they were trained on.

    Raises
    ------
    InputError
        If these are not the networks that the method needs.
    """
    _require_networks(networks, settings)
    potential = networks[0]
    features = latent_features(potential, training)
    directions = _directions(potential, training, features, settings.directions, seed)
    told = None if directions is None else torch.as_tensor(directions)
    if settings.method == "ensemble":
        return EnsembleModel(PotentialEnsemble(networks), told).eval()
    if settings.method == "last_layer":
        factor = posterior_factor(last_layer_information(potential, training), settings.last_layer)
        return LastLayerModel(potential, factor, told).eval()
    return NetworkModel(potential, _fitted(potential, training, features, directions, settings, seed), told).eval()


def _fitted(
    potential: Potential,
    training: Sequence[Structure],
    features: NDArray,
    directions: NDArray | None,
    settings: UncertaintySettings,
    seed: int,
) -> AtomicUncertainty:
    if settings.method == "mve":
        return MeanVariance()
    if settings.method == "evidential":
        return Evidential()
    gmm, numbers = gmm_settings(settings), np.concatenate([s.numbers for s in training])
    cutoff = potential.settings.cutoff
    if gmm.neighbourhood is not None and gmm.neighbourhood > cutoff:
        raise InputError(
            f"uncertainty.gmm.neighbourhood {gmm.neighbourhood:g} Å was given; at most the cutoff of the potential, "
            f"{cutoff:g} Å, is expected"
        )
    return GMMUncertainty(gmm).fit(features, numbers, seed, directions if gmm.sees == "directions" else None)


def _require_networks(networks: Sequence[Potential], settings: UncertaintySettings) -> None:
    needed = networks_for(settings)
    given = {network.n_outputs for network in networks}
    if len(networks) != needed.number or given != {needed.n_outputs}:
        raise InputError(
            f"{len(networks)} network(s) with {sorted(given)} outputs per atom were given; uncertainty.method "
            f"{settings.method} expects {needed.number} with {needed.n_outputs}: train with the same settings"
        )


def _directions(
    potential: Potential, training: Sequence[Structure], features: NDArray, n_directions: int | None, seed: int
) -> NDArray[np.float64] | None:
    if n_directions is None:
        return None
    vibration = vibrational_covariance(potential, training, np.random.default_rng(seed))
    return discriminant_directions(features, vibration, n_directions)


def atomic_scores(model: Model, structures: Sequence[Structure]) -> list[NDArray[np.float64]]:
    """Return the uncertainties of the atoms, before any transform, of each structure, in double precision."""
    model = copy.deepcopy(model).to_dtype(torch.float64)
    scores = []
    with torch.no_grad():
        for graph in evaluation_graphs(model.potential, structures):
            species, members = model.potential.species(graph.numbers), model.members(graph.numbers)
            scores.append(model.atomic(species, graph.vectors(), graph.links, members)[1].cpu().numpy())
    return np.split(np.concatenate(scores), np.cumsum([len(s) for s in structures])[:-1])


def last_layer_information(potential: Potential, structures: Sequence[Structure]) -> NDArray[np.float64]:
    """Return what labels of energies and forces say of the weights of the last layer, shape (h + 1, h + 1).

    H = mean_s g_s g_s^T / n_s^2 + mean_{i a} f_ia f_ia^T with g_s the sum of an s structure's activations and f_ia its
    derivatives by positions: the Gauss-Newton matrix of the loss of training with its usual weights.
    """
    of_energies: Tensor | float = 0.0
    of_forces: Tensor | float = 0.0
    for graph in evaluation_graphs(potential, structures):
        vectors = graph.vectors().detach().requires_grad_(True)
        features = potential.representation(potential.species(graph.numbers), vectors, graph.links)
        hidden = potential.hidden(features)
        sums = hidden.new_zeros(graph.n_structures, hidden.shape[1]).index_add(0, graph.structure_of_atom, hidden)
        columns = [pair_gradient(column, vectors, retain_graph=True) for column in sums.sum(dim=0)]
        jacobian = torch.stack([position_gradient(c, graph).flatten() for c in columns], dim=1).double()
        counts = graph.atom_counts()[:, None]
        means = torch.cat([sums / counts, torch.ones_like(counts)], dim=1).detach().double()
        of_energies = of_energies + means.T @ means
        of_forces = of_forces + jacobian.T @ jacobian
    assert isinstance(of_energies, Tensor) and isinstance(of_forces, Tensor)
    information = of_energies / len(structures)
    information[:-1, :-1] += of_forces / (3 * sum(len(s) for s in structures))
    return information.cpu().numpy()
