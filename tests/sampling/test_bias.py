"""From the calibrated uncertainty to PLUMED inputs."""

from typing import get_args

import numpy as np
import pytest

from uqcv.colvars.export import export, module_name
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError, PlumedInputError
from uqcv.sampling.bias import (
    CEILING_ROOM,
    TEMPLATES,
    WALL_ROOM,
    plumed_fields,
    plumed_text,
    try_bias,
    uncertainty_at,
)
from uqcv.sampling.settings import BiasSettings, DynamicsName, SamplingSettings
from uqcv.uncertainty.pooling import POOLINGS

TORSIONS = {"phi": (4, 6, 8, 14), "psi": (6, 8, 14, 16)}
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
    text = plumed_text(bundle, 22, settings, 300.0, torsions=TORSIONS)
    assert "${" not in text
    bridge = make_bridge(text, 22, exported[0])
    bias, forces = bridge.evaluate(0, molecule.positions * 0.1)
    assert np.isfinite(bias) and np.isfinite(forces).all()


def test_plain_dynamics_needs_no_plumed(bundle):
    assert plumed_text(bundle, 22, SamplingSettings(sampler="unbiased"), 300.0) is None
    assert set(get_args(DynamicsName)) - set(BIASED) == {"unbiased"}


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
    try_bias(SamplingSettings(sampler=sampler), 22, TORSIONS)


def test_torsions_are_counted_from_one_and_must_be_two(bundle):
    settings = SamplingSettings(sampler="torsion_metadynamics")
    text = plumed_text(bundle, 22, settings, 300.0, torsions=TORSIONS)
    assert "first: TORSION ATOMS=5,7,9,15\nsecond: TORSION ATOMS=7,9,15,17\n" in text
    with pytest.raises(InputError, match=r"torsion_metadynamics and 0 torsions were given; name two"):
        try_bias(settings, 22)


def test_the_driving_well_lowers_what_is_uncertain(bundle, exported, make_bridge, frames, molecule):
    """By nothing up to the median of held-out frames, and by A (1 - exp(-((U - median) / width)^2)) above it."""
    bias = BiasSettings(depth=7.0, width_ratio=2.5, kappa=0.0, component="mean")
    text = plumed_text(bundle, 22, SamplingSettings(sampler="uncertainty_driven", bias=bias), 300.0)
    bridge = make_bridge(text, 22, exported[0])
    cv = UncertaintyCV(bundle, molecule.numbers.tolist())
    held_out = np.array(bundle.settings.distributions["mean"].held_out)
    width = 2.5 * spread(held_out)
    above = 0
    for step, structure in enumerate((molecule, *frames[:8])):
        excess = max(0.0, cv.evaluate(structure.positions).value("mean") - float(np.quantile(held_out, 0.5)))
        above += excess > 0
        found = bridge.evaluate(step, structure.positions * 0.1)[0]
        assert found == pytest.approx(7.0 * (np.exp(-((excess / width) ** 2)) - 1), abs=1e-6)
    assert 0 < above < 9


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
