"""The networks of each uncertainty, trained by stages and by campaigns."""

import numpy as np
import pytest
import torch

from uqcv.active_learning.manager import Campaign
from uqcv.active_learning.networks import Places, load_networks, of_member, train_networks
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.methods import Networks
from uqcv.errors import InputError
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.storage import load_potential
from uqcv.seeding import derive_seed
from uqcv.uncertainty.settings import METHODS

TRAINING = TrainingSettings(epochs=3, batch_size=4, warmup_steps=2, compiled=False, threads=1, processes=1)

OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name not in ("gmm", "ensemble")]


@pytest.fixture
def trained(frames, network, tmp_path):
    def train(needed: Networks, name: str = "one", **changes):
        folder = tmp_path / name
        places = Places(folder / "potential.pt", folder / "checkpoint.pt", folder / "history.csv")
        settings = TRAINING.model_copy(update=changes)

        def seed_of(purpose: str) -> int:
            return derive_seed(0, purpose)

        networks = train_networks(needed, frames[:8], frames[8:12], network, settings, seed_of, places, "training")
        return networks, places

    return train


def same(one, other) -> bool:
    weights = one.state_dict(), other.state_dict()
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_members_differ_and_lie_side_by_side(trained):
    networks, places = trained(Networks(3))
    assert sorted(p.name for p in places.potential.parent.iterdir()) == [
        *(of_member(places.history, k).name for k in (1, 2)), "history.csv",
        *(of_member(places.potential, k).name for k in (1, 2)), "potential.pt",
    ]  # fmt: skip
    assert not same(networks[0], networks[1]) and not same(networks[1], networks[2])
    for network, read in zip(networks, load_networks(places.potential, Networks(3)), strict=True):
        assert same(network, read)


def test_the_first_member_is_the_network_alone(trained):
    (alone,), _ = trained(Networks(), "alone")
    (first, _), _ = trained(Networks(2), "two")
    assert same(alone, first)


def test_bootstrapped_members_see_other_frames(trained):
    plain, _ = trained(Networks(2), "plain")
    drawn, _ = trained(Networks(2, bootstrap=True), "drawn")
    assert same(plain[0], drawn[0]) and not same(plain[1], drawn[1])


def test_members_that_are_trained_are_not_trained_again(trained, monkeypatch):
    from uqcv.active_learning import networks

    (first, second), _ = trained(Networks(2), "whole")
    kept = networks.train

    def dies(*arguments, **keywords):
        if "killed" in str(arguments[6]) and "-1" in arguments[6].name:
            raise KeyboardInterrupt
        return kept(*arguments, **keywords)

    monkeypatch.setattr(networks, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        trained(Networks(2), "killed")
    epochs = []
    monkeypatch.setattr(networks, "train", lambda *a, **k: kept(*a[:8], lambda epoch, _: epochs.append(epoch), *a[9:]))
    again, _ = trained(Networks(2), "killed")
    assert epochs == [1, 2, 3], "only the second member had epochs to go"
    assert same(again[0], first) and same(again[1], second)


def test_networks_of_another_kind_are_refused(trained):
    _, places = trained(Networks())
    with pytest.raises(InputError, match=r"has 0 outputs per atom beside the energy, uncertainty\.method expects 3"):
        load_networks(places.potential, Networks(1, 3))
    with pytest.raises(InputError, match=r"potential-1\.pt: no such file"):
        load_networks(places.potential, Networks(2))


@pytest.mark.parametrize("method", ["ensemble", *OTHERS])
def test_a_campaign_with_another_uncertainty(make_config, tmp_path, method):
    changes = {"uncertainty.method": method, "uncertainty.ensemble.members": 2, "campaign.generations": 2}
    campaign = Campaign(make_config(changes), tmp_path / method)
    campaign.run()
    first, second = (campaign.folder.generation(k) for k in (0, 1))
    assert Bundle.load(second.bundle).settings.uncertainty.method == method
    assert of_member(second.potential, 1).is_file() == (method == "ensemble")
    if method == "ensemble":  # each member goes on from its own
        before, after = (load_potential(of_member(g.potential, 1)) for g in (first, second))
        assert not same(before, after)
        np.testing.assert_array_equal(before.offsets, after.offsets)
    assert (first.walkers / "walker-00" / "HILLS").stat().st_size > 0
