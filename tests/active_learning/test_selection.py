"""Selection: thresholds, and the funnel."""

import doctest
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from uqcv.active_learning import selection
from uqcv.active_learning.descriptors import structure_descriptor
from uqcv.active_learning.diversity import drop_duplicates, farthest_points, spread
from uqcv.active_learning.selection import (
    Funnel,
    HarvestSettings,
    select,
    threshold_from_calibration,
)
from uqcv.errors import InputError
from uqcv.structures import read_structures

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no reference data at {DATA}")
quick = settings(max_examples=60, deadline=None)


def test_threshold_is_an_observed_value():
    values = np.arange(1.0, 101.0)
    assert threshold_from_calibration(values, 0.95) == 95.0
    assert threshold_from_calibration(values[::-1], 1.0) == 100.0
    assert threshold_from_calibration([3.0], 0.0) == 3.0


@pytest.mark.parametrize(("values", "quantile"), [([], 0.5), ([1.0, np.nan], 0.5), ([1.0], 1.5)])
def test_threshold_refuses(values, quantile):
    with pytest.raises(InputError):
        threshold_from_calibration(values, quantile)


@quick
@given(seed=st.integers(0, 10_000), n=st.integers(0, 60), m=st.integers(0, 20), ceiling=st.none() | st.floats(0, 3))
def test_selection_keeps_its_promises(seed, n, m, ceiling):
    random = np.random.default_rng(seed)
    u, physical = random.normal(size=n), random.random(n) < 0.8
    points, known = random.normal(size=(n, 3)), random.normal(size=(m, 3))
    points[~physical] = np.nan
    chosen = HarvestSettings(ceiling=ceiling, duplicate_tolerance=0.5, max_frames=7, remember=0)
    picked, funnel = select(u, points, known, 0.2, chosen, physical)

    counts = [left for _, left in funnel.steps]
    assert counts == sorted(counts, reverse=True) and counts[0] == n and counts[-1] == len(picked) <= 7
    assert sum(funnel.fell.values()) == n - len(picked)
    assert len(set(picked.tolist())) == len(picked)
    assert (u[picked] > 0.2).all() and physical[picked].all()
    assert ceiling is None or (u[picked] <= ceiling).all()
    everything = np.vstack([known, points[picked]])
    gaps = np.linalg.norm(points[picked][:, None] - everything[None], axis=-1)
    assert ((gaps <= 0.5 * spread(known)).sum(axis=1) == 1).all()


def test_funnel_names_each_step():
    u = np.array([0.0, 2.0, 3.0, 9.0, 4.0, 4.0, np.nan])
    points = np.array([[0.0], [5.0], [6.0], [7.0], [8.0], [8.0], [9.0]])
    picked, funnel = select(
        u,
        points,
        [],
        1.0,
        HarvestSettings(ceiling=5.0, max_frames=2, remember=0),
        np.array([1, 1, 0, 1, 1, 1, 1], dtype=bool),
    )
    assert picked.tolist() == [4, 1]  # the most uncertain first, for nothing is known
    assert funnel.left == {
        "frames": 7, "uncertain": 5, "below the ceiling": 4, "physical": 3, "new": 2, "selected": 2,
    }  # fmt: skip
    assert funnel.fell["below the ceiling"] == 1
    assert str(funnel).startswith("7 frames > 5 uncertain > 4 below the ceiling")
    assert Funnel().fell == {}


def test_refusals():
    with pytest.raises(InputError, match="one of each"):
        select(np.zeros(3), np.zeros((2, 1)), [], 0.0, HarvestSettings())
    with pytest.raises(InputError, match="NaN"):
        farthest_points([[np.nan]], [], 1)
    with pytest.raises(InputError, match="expected"):
        drop_duplicates(np.zeros((2, 3)), np.zeros((2, 4)), 0.1)
    with pytest.raises(ValidationError):
        HarvestSettings(maximum=3)


def test_examples():
    assert doctest.testmod(selection).failed == 0


@needs_data
def test_ammonia_geometries_are_told_apart():
    """Of 138 frames 117 are distinct; the sorted distances of an atom stand in for latent features."""
    frames = read_structures(DATA / "ammonia_dft" / "ammonia_bp86.extxyz")
    positions = np.stack([frame.positions for frame in frames])
    features = np.sort(np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1), axis=-1)[..., 1:]
    descriptors = structure_descriptor(features, frames[0].numbers)
    geometry = np.array([frame.info["geometry"] for frame in frames])
    initial = np.array([frame.info["stage"] == "initial" for frame in frames])

    keep = drop_duplicates(descriptors, [], 0.0017)  # Å: the file's rounding moves copies by up to 0.0016
    assert len(set(geometry[keep])) == keep.sum() == 117
    u = np.array([frame.energy for frame in frames])  # a stand-in: far up the energy is where a model is unsure
    picked, funnel = select(
        u,
        descriptors,
        descriptors[initial],
        threshold_from_calibration(u[initial], 0.5),
        HarvestSettings(max_frames=10, remember=0),
    )
    assert len(picked) == 10 and not initial[picked].any(), str(funnel)
    assert funnel.left["new"] >= 10


def test_filling_up_gives_equal_numbers_and_uncertain_frames_first():
    rng = np.random.default_rng(3)
    points, known = rng.normal(size=(60, 4)), rng.normal(size=(20, 4))
    uncertainty = np.linspace(0.0, 1.0, 60)
    physical = np.arange(60) % 7 != 0
    scarce = HarvestSettings(max_frames=20, remember=0)
    few, _ = select(uncertainty, points, known, 0.9, scarce, physical)
    filled, funnel = select(uncertainty, points, known, 0.9, scarce.model_copy(update={"fill": True}), physical)
    assert len(few) < 20
    assert filled[: len(few)].tolist() == few.tolist()
    assert len(filled) == len(set(filled.tolist())) == funnel.left["selected"] == 20
    assert physical[filled].all()


@quick
@given(seed=st.integers(0, 10_000), n=st.integers(0, 40), remember=st.integers(0, 30), fill=st.booleans())
def test_what_is_remembered_would_have_been_next(seed, n, remember, fill):
    rng = np.random.default_rng(seed)
    u, points, known = rng.normal(size=n), rng.normal(size=(n, 3)), rng.normal(size=(4, 3))
    some = HarvestSettings(max_frames=5, remember=remember, fill=fill)
    picked, funnel = select(u, points, known, 0.0, some)
    plain, _ = select(u, points, known, 0.0, some.model_copy(update={"remember": 0}))
    more, _ = select(u, points, known, 0.0, HarvestSettings(max_frames=5 + remember, remember=0))
    assert picked[:5].tolist() == plain.tolist(), "what is remembered changes nothing of what is selected"
    assert picked.tolist() == (more if len(more) >= 5 else plain).tolist()
    assert funnel.left["selected"] == min(5, len(picked))


def test_filling_up_takes_no_copies():
    """Walkers begin at frames that are known."""
    known = np.arange(4.0)[:, None]
    frames = np.array([[0.0], [1.0], [9.0], [9.01], [7.0]])
    some = HarvestSettings(max_frames=5, duplicate_tolerance=0.1, fill=True)
    picked, funnel = select([0.0, 0.0, 2.0, 0.0, 0.0], frames, known, 1.0, some)
    assert picked.tolist() == [2, 4] and funnel.left["selected"] == 2


def test_each_generation_has_its_ceiling_at_rest_and_later_ones_the_last():
    settings = HarvestSettings(cooling=100.0, max_energy_at_rest=(0.3, 0.4))
    assert [settings.highest_at_rest(generation) for generation in range(4)] == [0.3, 0.4, 0.4, 0.4]
    assert HarvestSettings().highest_at_rest(2) == np.inf
    with pytest.raises(ValidationError, match="greater than 0"):
        HarvestSettings(cooling=100.0, max_energy_at_rest=(0.3, 0.0))
    with pytest.raises(ValidationError, match=r"0\.3, 0\.4 with cooling 0"):
        HarvestSettings(max_energy_at_rest=(0.3, 0.4))
