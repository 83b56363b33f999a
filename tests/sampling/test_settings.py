"""Settings of sampling: what is no setting, or cannot be meant, is refused."""

from typing import get_args

import pytest
from pydantic import ValidationError

from uqcv.sampling.bias import SHARED_TEMPLATE, TEMPLATES
from uqcv.sampling.settings import BiasSettings, DynamicsName, SamplingSettings


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
        {"time_step": -0.5},
        {"frame_interval": 0},
        {"max_temperature_ratio": 1},
        {"processes": 0},
        {"dtype": "float16"},
        {"bias": {"bias_factor": 1}},
        {"bias": {"sigma": 0}},
        {"bias": {"component": "median"}},
        {"bias": {"hight": 1}},
        {"walker": 3},
        {"bias": {"shared": True}, "walkers": 1},
        {"bias": {"shared": True}, "sampler": "opes"},
        {"bias": {"shared": True}, "temperatures": [300, 400]},
    ],
)
def test_what_cannot_be_meant(wrong):
    with pytest.raises(ValidationError):
        SamplingSettings.model_validate(wrong)


def test_settings_do_not_change():
    for settings, name in ((SamplingSettings(), "walkers"), (BiasSettings(), "height")):
        with pytest.raises(ValidationError):
            setattr(settings, name, 5)
