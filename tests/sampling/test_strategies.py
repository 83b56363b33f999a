"""From a strategy to starts and plans."""

from dataclasses import fields

import numpy as np
import pytest

from uqcv.errors import InputError
from uqcv.sampling.settings import SamplingSettings
from uqcv.sampling.strategies import choose_starts, plan_walkers


def starts(frames, n_newest=0, seed=0, **changes):
    return choose_starts(frames, n_newest, SamplingSettings(**changes), np.random.default_rng(seed))


def test_starts_differ_as_long_as_there_are_enough(frames):
    chosen = starts(frames, walkers=12)
    assert len({s.positions.tobytes() for s in chosen}) == 12
    assert all(any(s is f for f in frames) for s in chosen)
    more = starts(frames[:3], walkers=7)
    assert len(more) == 7 and {s.positions.tobytes() for s in more} <= {s.positions.tobytes() for s in frames[:3]}


def test_starts_come_from_the_seed(frames):
    first, again, other = (starts(frames, seed=seed, walkers=6) for seed in (1, 1, 2))
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert any(a is not b for a, b in zip(first, other, strict=True))


def test_starts_are_the_newest_if_asked(frames):
    newest = {id(s) for s in frames[-5:]}
    assert {id(s) for s in starts(frames, n_newest=5, walkers=5, start="newest")} == newest
    anywhere = starts(frames, n_newest=5, walkers=20, start="random")
    assert not {id(s) for s in anywhere} <= newest
    assert len(starts(frames, n_newest=0, walkers=5, start="newest")) == 5


def test_starts_at_the_frontier_are_the_first_of_the_last_harvest(frames):
    for seed in (0, 1):
        assert [id(s) for s in starts(frames, n_newest=9, seed=seed, walkers=4)] == [id(s) for s in frames[-9:-5]]
    again = starts(frames, n_newest=3, walkers=5)
    assert [id(s) for s in again] == [id(frames[k]) for k in (-3, -2, -1, -3, -2)]
    assert len({id(s) for s in starts(frames, n_newest=0, walkers=5)}) == 5


def test_no_frames_to_start_from():
    with pytest.raises(InputError, match="no training frames"):
        starts([])


def test_plans(bundle, site, frames):
    settings = SamplingSettings(walkers=3, temperatures=(300.0, 500.0), length=100.0, frame_interval=5.0)
    plans = plan_walkers(bundle, site, frames[:3], settings, seed=40)
    assert [p.seed for p in plans] == [40, 41, 42]
    assert [p.temperature for p in plans] == [300.0, 500.0, 300.0]
    assert [p.temperature_ceiling for p in plans] == [900.0, 1500.0, 900.0]
    assert [p.folder.name for p in plans] == ["walker-00", "walker-01", "walker-02"]
    assert all(plan.start is frame for plan, frame in zip(plans, frames, strict=False))
    assert {(p.n_steps, p.stride) for p in plans} == {(100, 5)}
    assert {p.energy_ceiling for p in plans} == {site.minimum_energy + 3.0}
    assert "TEMP=500" in plans[1].plumed and "TEMP=300" in plans[2].plumed
    assert set(plans[0].summary()) < {f.name for f in fields(plans[0])}


def test_proposed_structures_share_the_starts(bundle, site, frames):
    settings = SamplingSettings(sampler="adversarial_atoms", walkers=3, proposals={"frames": 8, "attack_steps": 5})
    chosen = starts(frames, sampler="adversarial_atoms", proposals={"frames": 8})
    plans = plan_walkers(bundle, site, chosen, settings, seed=40)
    assert [len(p.starts) for p in plans] == [3, 3, 2]
    assert {id(s) for p in plans for s in p.starts} == {id(s) for s in chosen}
    assert [p.n_steps for p in plans] == [15, 15, 10]
    assert [p.folder.name for p in plans] == ["walker-00", "walker-01", "walker-02"]
