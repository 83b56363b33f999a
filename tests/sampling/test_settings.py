"""Settings of sampling: what is no setting, or cannot be meant, is refused."""

from typing import get_args

import pytest
from pydantic import ValidationError

from uqcv.sampling.bias import SHARED_TEMPLATE, TEMPLATES
from uqcv.sampling.settings import PROPOSERS, BiasSettings, DynamicsName, SamplingSettings


def test_every_sampler_has_a_template_or_needs_none(root):
    assert set(TEMPLATES) == set(get_args(DynamicsName))
    there = {path.stem for path in (root / "plumed_inputs").glob("*.dat")}
    assert {name for name in TEMPLATES.values() if name} | {SHARED_TEMPLATE} == there


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampler": "metad"},
        {"walkers": 0},
        {"length": 0},
        {"temperatures": []},
        {"temperatures": [600, 0]},
        {"time_step": -0.5},
        {"frame_interval": 0},
        {"max_temperature_ratio": 1},
        {"heating": 0.9},
        {"restraint": 1},
        {"processes": 0},
        {"dtype": "float16"},
        {"bias": {"bias_factor": 1}},
        {"bias": {"sigma": 0}},
        {"bias": {"component": "median"}},
        {"bias": {"hight": 1}},
        {"walker": 3},
        {"bias": {"shared": True}, "walkers": 1},
        {"bias": {"shared": True}, "restarts": 1},
        {"sampler": "random_atoms", "restarts": 1},
        {"sampler": "random_atoms", "heating": 1.1},
        {"length": 100.0, "frame_interval": 20.0, "restarts": 5},
        {"bias": {"shared": True}, "sampler": "opes"},
        {"bias": {"shared": True}, "temperatures": [300, 400]},
    ],
)
def test_what_cannot_be_meant(wrong):
    with pytest.raises(ValidationError):
        SamplingSettings.model_validate(wrong)


@pytest.mark.parametrize("sampler", PROPOSERS)
def test_a_bias_that_would_be_ignored(sampler):
    words = f"bias.template opes with sampler {sampler}: a sampler with dynamics is expected"
    with pytest.raises(ValidationError, match=words):
        SamplingSettings(sampler=sampler, bias=BiasSettings(template="opes"))
    SamplingSettings(sampler="unbiased", bias=BiasSettings(template="opes"))


def test_an_attack_needs_a_pooling_without_positions():
    bias = BiasSettings(component="local_mean_max")
    for sampler in ("adversarial_atoms", "adversarial_torsions"):
        words = f"bias.component local_mean_max with sampler {sampler}: one of mean, max, smooth_max is expected"
        with pytest.raises(ValidationError, match=words):
            SamplingSettings(sampler=sampler, bias=bias)
        assert SamplingSettings(sampler=sampler, bias=BiasSettings(component="max")).attacks
    for sampler in ("random_atoms", "metadynamics"):
        assert not SamplingSettings(sampler=sampler, bias=bias).attacks


@pytest.mark.parametrize(("generation", "expected"), [(0, (300, 800)), (1, (360, 800)), (5, (700, 800))])
def test_later_generations_are_hotter(generation, expected):
    """But for what is hotter from the beginning than heating goes."""
    settings = SamplingSettings(temperatures=(300.0, 800.0), heating=1.2, hottest=700.0)
    assert settings.heated(generation).temperatures == pytest.approx(expected)
    assert SamplingSettings().heated(9) == SamplingSettings()


def test_settings_do_not_change():
    for settings, name in ((SamplingSettings(), "walkers"), (BiasSettings(), "height")):
        with pytest.raises(ValidationError):
            setattr(settings, name, 5)
