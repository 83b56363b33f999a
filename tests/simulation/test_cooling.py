"""Cooling through OpenMM: strain goes, conformers stay, and the same plan gives the same frames."""

from dataclasses import replace

import numpy as np
import pytest

from uqcv.colvars.batches import evaluate_batches
from uqcv.labeling.reference_md import sample_reference
from uqcv.processes import run_in_processes
from uqcv.simulation.cooling import AT_REST, CoolingPlan, cool
from uqcv.simulation.torsions import heavy_torsions, torsion_angle
from uqcv.simulation.validity import MoleculeGuard
from uqcv.structures import Structure, read_structures


def run_all(plans: list[CoolingPlan], progress) -> None:
    for plan in plans:
        cool(plan, progress)


@pytest.fixture(scope="module")
def hot(force_field) -> list[Structure]:
    """Alanine dipeptide at 900 K."""
    return sample_reference(force_field, force_field.structure, 4, temperature=900.0, spacing=10.0, seed=3)


@pytest.fixture(scope="module")
def plan(bundle, hot, force_field, topology_path, tmp_path_factory) -> CoolingPlan:
    folder = tmp_path_factory.mktemp("cooling")
    guard = MoleculeGuard.from_structure(force_field.structure)
    return CoolingPlan(
        folder / "cooled.extxyz", bundle.save(folder / "bundle"), topology_path, tuple(hot),
        wanted=len(hot), ceiling=np.inf, temperature=300.0, time=60.0, time_step=1.0,
        seed=5, guard=guard, restraint=0.5, hydrogen_mass=3.0,
        dtype="float64",
    )  # fmt: skip


@pytest.fixture(scope="module")
def cooled(plan) -> list[Structure]:
    """Its result; beside it lie that of the same plan, of the first low frame, and of what cannot be cooled."""
    again = replace(plan, out=plan.out.with_name("again.extxyz"))
    broken = replace(
        plan,
        out=plan.out.with_name("broken.extxyz"),
        frames=plan.frames[:1],
        time_step=1e30,
        time=9e30,
        dtype="float32",
    )
    run_in_processes(run_all, [[plan]], 1)
    found = read_structures(plan.out)
    one = replace(plan, out=plan.out.with_name("one.extxyz"), wanted=1, ceiling=ceiling_of_one(found))
    run_in_processes(run_all, [[again, one, broken]], 1)
    return found


def ceiling_of_one(frames: list[Structure]) -> float:
    """An energy between that of the lowest frame at rest and that of the next."""
    lowest, second = sorted(frame.info[AT_REST] for frame in frames)[:2]
    return 0.5 * (lowest + second)


def test_strain_goes(cooled, hot, bundle, force_field):
    """Frames at rest are below warm ones, and these below hot ones, by the network itself."""
    before, after = (evaluate_batches(bundle, frames, "mean")[0] for frames in (hot, cooled))
    at_rest = np.array([frame.info[AT_REST] for frame in cooled])
    assert at_rest.mean() < after.mean() < at_rest.mean() + 0.6 * (before.mean() - at_rest.mean())


def test_the_search_ends_with_as_many_as_are_wanted(cooled, plan):
    found = read_structures(plan.out.with_name("one.extxyz"))
    at_rest = [frame.info[AT_REST] for frame in cooled]
    assert len(found) == 1 + int(np.argmin(at_rest))
    np.testing.assert_allclose([frame.info[AT_REST] for frame in found], at_rest[: len(found)], atol=1e-9)


def test_torsions_stay_but_those_of_amides(cooled, hot, force_field):
    torsions = heavy_torsions(force_field.topology)
    turns = np.array(
        [[torsion_angle(s.positions, t.atoms) - torsion_angle(o.positions, t.atoms) for t in torsions]
         for s, o in zip(cooled, hot, strict=True)]
    )  # fmt: skip
    turns = np.abs((turns + 180) % 360 - 180)
    is_amide = np.array([t.is_amide for t in torsions])
    assert is_amide.sum() == 2 == (~is_amide).sum()
    assert turns[:, ~is_amide].max() < 10 < turns[:, is_amide].max()


def test_what_is_known_of_a_frame_stays(cooled, plan, hot):
    assert len(cooled) == len(hot)
    for one, other in zip(cooled, hot, strict=True):
        assert one.numbers.tolist() == other.numbers.tolist() and one.energy is None
        assert 0.05 < np.abs(one.positions - other.positions).max() < 2.0


def test_the_same_plan_gives_the_same_frames(cooled, plan):
    assert plan.out.with_name("again.extxyz").read_bytes() == plan.out.read_bytes()


def test_a_frame_that_blows_up_stays_as_it_was(cooled, plan):
    (kept,) = read_structures(plan.out.with_name("broken.extxyz"))
    np.testing.assert_allclose(kept.positions, plan.frames[0].positions, atol=1e-7)
