"""Metadynamics of 2000 steps on each uncertainty, with real engines and networks that are good enough for it."""

import numpy as np
import pytest
import torch

from uqcv.colvars.fitting import fit_bundle
from uqcv.colvars.methods import networks_for
from uqcv.labeling.reference_md import sample_reference
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.settings import BiasSettings, SamplingSettings
from uqcv.sampling.strategies import Site, plan_walkers
from uqcv.uncertainty.ensemble import EnsembleSettings
from uqcv.uncertainty.settings import METHODS, UncertaintySettings

pytestmark = pytest.mark.slow
NETWORK = PaiNNSettings(n_features=32, cutoff=3.5)
TRAINING = TrainingSettings(epochs=60, threads=1, processes=1)
# Small hills and no ceiling: a walker that finds what it looks for would end before its time.
SAMPLING = SamplingSettings(
    walkers=1, length=2000.0, compiled=False, ceiling_error=1e3, bias=BiasSettings(height=0.3, wall_error=100.0)
)


@pytest.fixture(scope="module")
def labelled(force_field):
    return sample_reference(force_field, force_field.structure, 160, 300.0, 50.0, seed=5, equilibration=1000.0)


@pytest.mark.parametrize("method", METHODS)
def test_2000_steps(method, labelled, force_field, topology_path, tmp_path):
    settings = UncertaintySettings(method=method, ensemble=EnsembleSettings(members=3))
    needed, networks = networks_for(settings), []
    data, unseen = (Dataset(part, NETWORK.cutoff) for part in (labelled[::2], labelled[1:40:2]))
    for k in range(needed.number):
        torch.manual_seed(k)
        fresh = new_potential(data, Potential((1, 6, 7, 8), NETWORK, needed.n_outputs))
        networks.append(train(fresh, data, unseen, TRAINING, k, force_loss=needed.force_loss))
    bundle = fit_bundle(networks, labelled[::2], labelled[41::2], settings, seed=0)
    lowest = force_field.label(force_field.structure).energy
    site = Site(tmp_path / "walkers", bundle.save(tmp_path / "b"), topology_path, force_field.structure, lowest)
    plans = plan_walkers(bundle, site, labelled[:1], SAMPLING, seed=1)
    (end,) = run_walkers(plans, 1)
    print(f"{method}: {end.reason} after {end.steps} steps, {1000 * end.seconds / end.steps:.1f} ms each")
    assert end.steps == 2000 and "finished" in end.reason
    hills = np.loadtxt(plans[0].folder / "HILLS", ndmin=2)
    assert len(hills) == 40 and np.isfinite(hills).all()
    assert np.ptp(hills[:, 1]) > 0, "the uncertainty has to move"
