"""Cooling through OpenMM: strain goes, conformers stay, and the same plan gives the same frames."""

from dataclasses import replace

import numpy as np
import pytest

from uqcv.colvars.batches import evaluate_batches
from uqcv.labeling.reference_md import sample_reference
from uqcv.processes import run_in_processes
from uqcv.simulation.cooling import CoolingPlan, cool
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
        temperature=100.0, time=60.0, time_step=1.0, seed=5, guard=guard, restraint=0.5, hydrogen_mass=3.0,
        dtype="float64",
    )  # fmt: skip


@pytest.fixture(scope="module")
def cooled(plan) -> list[Structure]:
    """Its result; beside it lie that of the same plan, and one of frames that cannot be cooled."""
    again = replace(plan, out=plan.out.with_name("again.extxyz"))
    broken = replace(
        plan,
        out=plan.out.with_name("broken.extxyz"),
        frames=plan.frames[:1],
        time_step=1e30,
        time=9e30,
        dtype="float32",
    )
    run_in_processes(run_all, [[plan], [again, broken]], 1)
    return read_structures(plan.out)


def test_strain_goes(cooled, hot, bundle, force_field):
    """A third of the temperature is left of the potential energy above the relaxed molecule, by the network itself."""
    lowest, before, after = (
        evaluate_batches(bundle, frames)[0].mean() for frames in ([force_field.structure], hot, cooled)
    )
    assert after - lowest < 0.6 * (before - lowest)


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
