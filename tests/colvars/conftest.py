"""Bundles of all uncertainties, their networks briefly trained."""

import pytest
import torch

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import fit_bundle
from uqcv.colvars.methods import networks_for
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.uncertainty.ensemble import EnsembleSettings
from uqcv.uncertainty.settings import UncertaintySettings

TRAINING = TrainingSettings(epochs=2, batch_size=6, warmup_steps=2, compiled=False)


@pytest.fixture(scope="session")
def settings_for(uncertainty):
    """Return the settings of a method, with few networks and small mixtures."""

    def of(method) -> UncertaintySettings:
        gmm = uncertainty.gmm.model_copy(update={"sees": "features", "neighbourhood": 2.5})
        return uncertainty.model_copy(update={"method": method, "ensemble": EnsembleSettings(members=3), "gmm": gmm})

    return of


@pytest.fixture(scope="session")
def fitted(network, settings_for):
    """Return the bundle of a method, its networks briefly trained on some structures."""

    def fit(method, structures, held_out) -> Bundle:
        settings, networks = settings_for(method), []
        needed = networks_for(settings)
        data, unseen = (Dataset(part, network.cutoff) for part in (structures, held_out))
        known = sorted({int(z) for z in structures[0].numbers})
        for k in range(needed.number):
            torch.manual_seed(k)
            fresh = new_potential(data, Potential(known, network, needed.n_outputs))
            networks.append(train(fresh, data, unseen, TRAINING, k, force_loss=needed.force_loss))
        return fit_bundle(networks, structures, held_out, settings, seed=0)

    return fit
