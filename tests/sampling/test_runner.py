"""Walkers in processes of their own: what has ended stays, what was interrupted begins again."""

import pytest

from uqcv.sampling.runner import read_end, run_walkers
from uqcv.sampling.settings import SamplingSettings
from uqcv.sampling.strategies import plan_walkers

SETTINGS = SamplingSettings(
    sampler="unbiased", walkers=2, length=20.0, frame_interval=5.0, compiled=False, ceiling_error=1000.0,
    max_energy=1000.0, max_temperature_ratio=100.0, temperatures=(100.0,),
)  # fmt: skip


@pytest.fixture
def plans(bundle, site, frames):
    return plan_walkers(bundle, site, frames[:2], SETTINGS, seed=3)


def test_two_runs_are_one(plans):
    counts = []
    ends = run_walkers(plans, 2, lambda done, note: counts.append(done))
    assert len(ends) == 2 and counts[-1] == sum(end.steps for end in ends)
    assert [read_end(plan.folder) for plan in plans] == ends
    tables = [(plan.folder / "frames.csv").read_bytes() for plan in plans]
    assert tables[0] != tables[1], "walkers with other starts and seeds differ"
    untouched = (plans[0].folder / "end.json").stat().st_mtime_ns
    # the second one is interrupted half-way: no word of its end, half a table, a stray file
    (plans[1].folder / "end.json").unlink()
    (plans[1].folder / "frames.csv").write_bytes(tables[1][:60])
    (plans[1].folder / "HILLS").write_text("left behind")
    again = run_walkers(plans, 1)
    assert (plans[0].folder / "end.json").stat().st_mtime_ns == untouched
    assert [(plan.folder / "frames.csv").read_bytes() for plan in plans] == tables
    assert not (plans[1].folder / "HILLS").exists()
    assert [(end.reason, end.steps) for end in again] == [(end.reason, end.steps) for end in ends]
