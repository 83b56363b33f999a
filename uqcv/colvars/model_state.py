"""From the settings and tensors of a bundle to the model that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uqcv.colvars.force_models import EnsembleModel, LastLayerModel
from uqcv.colvars.models import Model, NetworkModel
from uqcv.potentials.ensemble import PotentialEnsemble
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.uncertainty.atomic import AtomicUncertainty
from uqcv.uncertainty.evidential import N_OUTPUTS as EVIDENTIAL_OUTPUTS
from uqcv.uncertainty.evidential import Evidential
from uqcv.uncertainty.gmm import GMMSettings, GMMUncertainty
from uqcv.uncertainty.mean_variance import N_OUTPUTS as MEAN_VARIANCE_OUTPUTS
from uqcv.uncertainty.mean_variance import MeanVariance
from uqcv.uncertainty.settings import UncertaintySettings

N_OUTPUTS = {"mve": MEAN_VARIANCE_OUTPUTS, "evidential": EVIDENTIAL_OUTPUTS}


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
