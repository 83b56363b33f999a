"""Walkers that start anew within a generation, with real dynamics."""

import numpy as np

from uqcv.active_learning.harvesting import read_walkers
from uqcv.active_learning.restarts import walk
from uqcv.sampling.settings import SamplingSettings
from uqcv.simulation.validity import ValiditySettings
from uqcv.structures import read_structures

# The potential of the tests holds no molecule together for long.
SETTINGS = SamplingSettings(
    sampler="unbiased", walkers=1, restarts=2, length=60.0, frame_interval=5.0, processes=1, compiled=False,
    temperatures=(100.0,), ceiling_error=1000.0, max_energy=1000.0, max_temperature_ratio=100.0,
    validity=ValiditySettings(
        max_bond_stretch=1e9, min_bond_ratio=0, min_angle_ratio=0, new_bond=0, min_contact=0, keep_chirality=False
    ),
)  # fmt: skip


def test_each_part_starts_where_it_was_told_to(bundle, site, frames, topology_path):
    questions, answers = [], [lambda seen: seen[-1:-3:-1], lambda seen: []]

    def choose(seen, used):
        questions.append((len(seen), len(used)))
        return answers.pop(0)(seen)

    ends = walk(bundle, site, frames[:1], SETTINGS, 3, choose)
    walked = read_walkers(site.folder, topology_path)
    assert len(ends) == 3 and all(end.completed and end.steps == 20 for end in ends)
    assert questions == [(5, 1), (10, 2)] and len(walked) == 3 * 5
    for k in (1, 2):  # nothing was chosen for the last part, which starts where the one before it did
        (start,) = read_structures(site.folder / f"starts-{k}.extxyz")
        np.testing.assert_allclose(start.positions, walked[4].positions, atol=1e-6)
    # Run again, nothing is chosen, and nothing run, a second time.
    assert walk(bundle, site, frames[:1], SETTINGS, 3, choose) == ends
