"""From the calibrated uncertainty to PLUMED inputs, starts and plans."""

from dataclasses import fields
from typing import get_args

import numpy as np
import pytest

from uqcv.colvars.export import export, module_name
from uqcv.errors import InputError, PlumedInputError
from uqcv.sampling.settings import BiasSettings, SamplerName, SamplingSettings
from uqcv.sampling.strategies import (
    CEILING_ROOM,
    TEMPLATES,
    WALL_ROOM,
    choose_starts,
    plan_walkers,
    plumed_fields,
    plumed_text,
    try_bias,
    uncertainty_at,
)
from uqcv.uncertainty.pooling import POOLINGS

BIASED = [name for name, template in TEMPLATES.items() if template]


def spread(values) -> float:
    """The deviation of usual frames, by their median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def values(bundle, time_step=0.5, **bias):
    settings = SamplingSettings(bias=BiasSettings(**bias), time_step=time_step)
    return plumed_fields(bundle, 22, settings, 310.0)


@pytest.mark.parametrize("component", POOLINGS)
def test_sigma_is_a_multiple_of_the_spread_of_held_out_frames(bundle, component):
    held_out = np.array(bundle.settings.distributions[component].held_out)
    assert values(bundle, component=component)["sigma"] == pytest.approx(2 * spread(held_out))
    assert values(bundle, component=component, sigma_ratio=0.7)["sigma"] == pytest.approx(0.7 * spread(held_out))


@pytest.mark.parametrize("component", POOLINGS)
def test_the_wall_stands_at_an_expected_error(bundle, component):
    wall = values(bundle, component=component, wall_error=1000.0)["wall"]
    assert bundle.settings.distributions[component].calibration(wall) == pytest.approx(1000.0)


@pytest.mark.parametrize("component", POOLINGS)
def test_limits_keep_their_room(bundle, component):
    held_out = np.array(bundle.settings.distributions[component].held_out)
    for error in (1e-9, 0.01, 0.1):
        wall = values(bundle, component=component, wall_error=error)["wall"]
        assert wall >= np.quantile(held_out, 0.95) + 4 * spread(held_out) - 1e-12
        assert uncertainty_at(bundle, error, component, CEILING_ROOM) > wall
    nearest = uncertainty_at(bundle, 1e-9, component, WALL_ROOM)
    assert nearest == pytest.approx(np.quantile(held_out, 0.95) + WALL_ROOM * spread(held_out))


def test_what_the_user_gives_is_taken(bundle):
    given = values(bundle, sigma=0.123, wall=-4.5, height=7.0, kappa=11.0, spring=12.0, barrier=13.0, bias_factor=14.0)
    expected = {"sigma": 0.123, "wall": -4.5, "height": 7, "kappa": 11, "spring": 12, "barrier": 13, "bias_factor": 14}
    assert {name: given[name] for name in expected} == expected


def test_times_are_in_steps_and_picoseconds(bundle):
    given = values(bundle, time_step=0.25, pace=50.0, relaxation=80.0)
    assert (given["pace"], given["relaxation"], given["temperature"]) == (200, pytest.approx(0.08), 310.0)
    assert values(bundle, time_step=0.5, pace=0.1)["pace"] == 1


def test_the_module_is_the_exported_one(bundle, tmp_path):
    assert export(bundle, tmp_path).stem == values(bundle)["module"] == module_name(bundle)


@pytest.mark.parametrize("component", POOLINGS)
@pytest.mark.parametrize("sampler", BIASED)
def test_plumed_accepts_every_sampler(bundle, exported, make_bridge, molecule, sampler, component):
    settings = SamplingSettings(sampler=sampler, bias=BiasSettings(component=component))
    text = plumed_text(bundle, 22, settings, 300.0)
    assert "${" not in text
    bridge = make_bridge(text, 22, exported[0])
    bias, forces = bridge.evaluate(0, molecule.positions * 0.1)
    assert np.isfinite(bias) and np.isfinite(forces).all()


def test_plain_dynamics_needs_no_plumed(bundle):
    assert plumed_text(bundle, 22, SamplingSettings(sampler="unbiased"), 300.0) is None
    assert set(get_args(SamplerName)) - set(BIASED) == {"unbiased"}


def test_a_template_of_the_user(bundle, tmp_path):
    mine = tmp_path / "mine.dat"
    mine.write_text("u: PYCVINTERFACE ATOMS=${atoms} IMPORT=${module}\n# ${sigma}\n")
    for sampler in ("metadynamics", "unbiased"):
        settings = SamplingSettings(sampler=sampler, bias=BiasSettings(template=str(mine), sigma=0.5))
        assert plumed_text(bundle, 22, settings, 300.0) == (
            f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module_name(bundle)}\n# 0.5\n"
        )
    mine.write_text("PRINT ARG=${no_such_field}")
    with pytest.raises(InputError, match=r"mine.dat: no value for the field \$\{no_such_field\}"):
        plumed_text(bundle, 22, settings, 300.0)


@pytest.mark.parametrize("sampler", BIASED)
def test_every_sampler_passes_its_trial(sampler):
    try_bias(SamplingSettings(sampler=sampler), 22)


def test_a_shared_bias_passes_its_trial():
    try_bias(SamplingSettings(bias=BiasSettings(shared=True)), 22)


def test_a_template_that_plumed_will_refuse_is_named_before_there_is_a_model(tmp_path):
    mine = tmp_path / "mine.dat"
    mine.write_text("u: PYCVINTERFACE ATOMS=${atoms} IMPORT=${module}\nMETAD ARG=${cv} SIGMA=${sigma} HIGHT=1\n")
    with pytest.raises(PlumedInputError, match=r"PLUMED template .*mine.dat: PLUMED refuses the input: .*METAD"):
        try_bias(SamplingSettings(bias=BiasSettings(template=str(mine))), 22)
    try_bias(SamplingSettings(sampler="unbiased"), 22)


def test_a_template_that_plumed_refuses(bundle, tmp_path, make_bridge, exported):
    mine = tmp_path / "mine.dat"
    mine.write_text("u: PYCVINTERFACE ATOMS=${atoms} IMPORT=${module}\nMETAD ARG=${cv} SIGMA=${sigma} HIGHT=1\n")
    text = plumed_text(bundle, 22, SamplingSettings(bias=BiasSettings(template=str(mine))), 300.0)
    with pytest.raises(PlumedInputError, match=r"PLUMED refuses the input: .*METAD"):
        make_bridge(text, 22, exported[0])


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
