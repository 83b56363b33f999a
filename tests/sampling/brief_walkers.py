"""Walkers that take seconds, and waiting for what they do."""

import time

from uqcv.sampling.settings import SamplingSettings
from uqcv.simulation.validity import ValiditySettings

SETTINGS = SamplingSettings(
    sampler="unbiased", walkers=2, length=20.0, frame_interval=5.0, compiled=False, ceiling_error=1000.0,
    max_energy=1000.0, max_temperature_ratio=100.0, temperatures=(100.0,),
)  # fmt: skip

# The potential of the tests holds no molecule together for long.
ANYTHING_GOES = ValiditySettings(
    max_bond_stretch=1e9, min_bond_ratio=0, min_angle_ratio=0, new_bond=0, min_contact=0, keep_chirality=False
)


def wait_until(is_so, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
