"""What a method makes of the settings, and tensors that are not those of a model."""

import pytest
import torch

from uqcv.colvars.model_state import gmm_settings, model_from_state
from uqcv.colvars.models import NetworkModel
from uqcv.uncertainty.mean_variance import MeanVariance


def test_the_mahalanobis_distance_is_that_of_one_gaussian(settings_for):
    own, one = gmm_settings(settings_for("gmm")), gmm_settings(settings_for("mahalanobis"))
    assert own == settings_for("gmm").gmm and own.n_components > 1
    assert one == own.model_copy(update={"n_components": 1, "per_element": False})


def test_tensors_of_another_method_are_refused(potential, network, settings_for):
    state = NetworkModel(potential, MeanVariance()).state_dict()
    with pytest.raises(RuntimeError, match="Missing key"):
        model_from_state(potential.elements, network, settings_for("mve"), state)
    with pytest.raises(KeyError, match="factor"):
        model_from_state(potential.elements, network, settings_for("last_layer"), state)


def test_directions_are_part_of_the_state(fitted, frames):
    bundle = fitted("mahalanobis", frames[:12], frames[24:30])
    settings, state = bundle.settings, bundle.model.state_dict()
    again = model_from_state(settings.elements, settings.potential, settings.uncertainty, state)
    torch.testing.assert_close(again.directions, bundle.model.directions)
    without = {name: value for name, value in state.items() if name != "directions"}
    assert model_from_state(settings.elements, settings.potential, settings.uncertainty, without).directions is None
