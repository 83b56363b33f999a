"""A walker with the real engines: how it ends, and that its files agree with one another."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from uqcv.colvars.export import module_name
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.processes import run_in_processes
from uqcv.simulation.frame_files import COLUMNS
from uqcv.simulation.plumed_input import fill_template
from uqcv.simulation.validity import MoleculeGuard, ValiditySettings
from uqcv.simulation.walker import WalkerPlan, run_walker
from uqcv.simulation.walker_end import read_end
from uqcv.units import EV_TO_KJMOL, KJMOL_TO_EV

ANYTHING_GOES = ValiditySettings(
    max_bond_stretch=1e9, min_bond_ratio=0, min_angle_ratio=0, new_bond=0, min_contact=0, keep_chirality=False
)
STRIDE, STEPS = 4, 40


def run_all(plans: list[WalkerPlan], progress) -> None:
    """Walkers one after the other in one process; imports cost more than their dynamics."""
    for plan in plans:
        run_walker(plan, progress)


def metadynamics(bundle, height: float = 1.0, pace: int = STRIDE) -> str:
    fields = {
        "atoms": "1-22", "module": module_name(bundle), "cv": "u.py-mean", "component": "mean", "sigma": 0.2,
        "height": height, "pace": pace, "bias_factor": 10.0, "temperature": 300.0, "wall": 1e3, "kappa": 10.0,
        "stride": STRIDE,
    }  # fmt: skip
    return fill_template("metad", fields)


@pytest.fixture(scope="module")
def plans(bundle, frames, force_field, topology_path, tmp_path_factory) -> dict[str, WalkerPlan]:
    """One walker for each way to end."""
    folder = tmp_path_factory.mktemp("walkers")
    start = frames[3]
    here = UncertaintyCV(bundle, start.numbers).evaluate(start.positions)
    free = WalkerPlan(
        folder=folder / "finished", bundle=bundle.save(folder / "bundle"), model=bundle.short_hash,
        topology=topology_path, start=start,
        reference=force_field.structure, plumed=metadynamics(bundle), component="mean", temperature=300.0,
        friction=0.001, time_step=0.5, n_steps=STEPS, stride=STRIDE, ceiling=1e9, energy_ceiling=1e9,
        temperature_ceiling=1e9, seed=1, validity=ANYTHING_GOES, dtype="float64",
    )  # fmt: skip
    torn = start.positions.copy()
    torn[1] += 2.0
    whole = replace(free, validity=ValiditySettings())
    variants = {
        "finished": free,
        "again": free,
        "other seed": replace(free, seed=2),
        "unbiased": replace(free, plumed=None, dtype="float32"),
        "uncertainty": replace(free, ceiling=here.value("mean") + 0.05, plumed=metadynamics(bundle, height=50.0)),
        "energy": replace(free, energy_ceiling=here.energy + 0.3, temperature=2000.0),
        "temperature": replace(free, temperature_ceiling=459.5, temperature=500.0),
        "hot": replace(whole, temperature=2000.0, n_steps=400),
        "restrained": replace(whole, temperature=2000.0, n_steps=400, restraint=0.5),
        "torn": replace(whole, start=start.with_positions(torn)),
        "NaN": replace(
            free,
            plumed=None,
            time_step=1e30,
            dtype="float32",
            ceiling=np.inf,
            energy_ceiling=np.inf,
            temperature_ceiling=np.inf,
        ),
    }
    return {name: replace(plan, folder=folder / name.replace(" ", "_")) for name, plan in variants.items()}


@pytest.fixture(scope="module")
def ends(plans):
    """How each walker ended; the second run of the same plan has a process of its own."""
    groups = [[plan for name, plan in plans.items() if name != "again"], [plans["again"]]]
    run_in_processes(run_all, groups, 1)
    return {name: read_end(plan.folder) for name, plan in plans.items()}


def table(plan: WalkerPlan) -> dict[str, np.ndarray]:
    with open(plan.folder / "frames.csv", newline="") as handle:
        rows = list(csv.reader(handle))
    assert tuple(rows[0]) == COLUMNS
    return dict(zip(COLUMNS, np.array(rows[1:], dtype=float).reshape(-1, len(COLUMNS)).T, strict=True))


def positions(plan: WalkerPlan) -> np.ndarray:
    """Frames of the trajectory in Å."""
    return mdtraj.load(str(plan.folder / "trajectory.dcd"), top=str(plan.topology)).xyz * 10.0


def hills(plan: WalkerPlan) -> np.ndarray:
    return np.loadtxt(plan.folder / "HILLS", ndmin=2)


def test_a_walker_finishes(ends, plans):
    assert (ends["finished"].reason, ends["finished"].completed, ends["finished"].steps) == ("finished", True, STEPS)
    assert ends["finished"].seconds > 0
    written = table(plans["finished"])
    np.testing.assert_array_equal(written["step"], np.arange(0, STEPS + 1, STRIDE))
    np.testing.assert_allclose(written["time_fs"], 0.5 * written["step"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("uncertainty", r"^uncertainty passed its ceiling: \S+ above \S+$"),
        ("energy", r"^energy passed its ceiling: \S+ eV above \S+ eV$"),
        ("temperature", r"^temperature passed its ceiling: \S+ K above 459.5 K$"),
        ("hot", r"^(bond|collapsed angle|new bond|contact|chirality) "),
        ("torn", r"^bond C0-H1 stretched to \S+ times its length$"),
        ("NaN", r"^blown up: "),
    ],
)
def test_why_a_walker_ends(ends, plans, name, words):
    end = ends[name]
    assert not end.completed
    assert re.search(words, end.reason), end.reason
    assert len(table(plans[name])["step"]) == end.steps / STRIDE, "the last frame is not recorded"
    assert (plans[name].folder / "trajectory.dcd").is_file() == (end.steps > 0), "no trajectory without frames"
    if name not in ("torn", "NaN"):
        assert 0 < end.steps < plans[name].n_steps, "it must have got somewhere before it ended"


def test_what_is_recorded_is_below_every_ceiling(ends, plans):
    for name, column in (("uncertainty", "uncertainty"), ("energy", "energy_eV"), ("temperature", "temperature_K")):
        limit = {"uncertainty": "ceiling", "energy": "energy_ceiling", "temperature": "temperature_ceiling"}[name]
        assert (table(plans[name])[column] <= getattr(plans[name], limit)).all()


def test_frames_and_rows_are_one_to_one(ends, plans, bundle, frames):
    for name in ("finished", "unbiased", "hot", "uncertainty"):
        written, at = table(plans[name]), positions(plans[name])
        assert len(at) == len(written["step"]) > 1
        cv = UncertaintyCV(bundle, frames[0].numbers)
        values = [cv.evaluate(x.astype(float)) for x in at]
        # DCD keeps seven digits of a position
        np.testing.assert_allclose(written["uncertainty"], [v.value("mean") for v in values], atol=2e-5)
        np.testing.assert_allclose(written["energy_eV"], [v.energy for v in values], atol=2e-4)


def test_a_restraint_holds_what_heat_would_break(ends, plans):
    assert ends["hot"].steps < ends["restrained"].steps
    assert json.loads((plans["restrained"].folder / "plan.json").read_text())["restraint"] == 0.5


def test_an_invalid_frame_leaves_no_trace(ends, plans, force_field):
    plan = plans["hot"]
    bonds = [(b[0].index, b[1].index) for b in force_field.topology.bonds()]
    guard = MoleculeGuard.from_structure(plan.reference, bonds, plan.validity)
    assert guard.problems(positions(plan)) == [None] * len(positions(plan))
    # a hill is due at each frame but the first; the frame that was broken deposited none
    expected = 0.0005 * STRIDE * np.arange(1, len(table(plan)["step"]))
    np.testing.assert_allclose(hills(plan)[:, 0], expected)
    assert hills(plan)[-1, 0] < 0.0005 * ends["hot"].steps
    assert ends["torn"].steps == 0
    assert all(line.startswith("#") for line in (plans["torn"].folder / "HILLS").read_text().splitlines())


def test_a_walker_that_finishes_deposits_its_last_hill(ends, plans):
    np.testing.assert_allclose(hills(plans["finished"])[:, 0], 0.0005 * np.arange(STRIDE, STEPS + 1, STRIDE))


def test_frames_agree_with_colvar(ends, plans):
    plan = plans["finished"]
    names = (plan.folder / "COLVAR").read_text().splitlines()[0].split()[2:]
    colvar = dict(zip(names, np.loadtxt(plan.folder / "COLVAR").T, strict=True))
    written = table(plan)
    np.testing.assert_allclose(colvar["time"], written["time_fs"] * 1e-3, atol=1e-12)
    np.testing.assert_allclose(colvar["u_mean"], written["uncertainty"], rtol=5e-9)
    np.testing.assert_allclose(colvar["metad.bias"], written["bias_eV"] * EV_TO_KJMOL, rtol=5e-9, atol=1e-12)
    assert colvar["metad.bias"].max() > 1.0 and written["bias_eV"].max() < 10 * KJMOL_TO_EV
    assert not colvar["wall.bias"].any()


def test_the_same_seed_gives_the_same_walker(ends, plans):
    for name in ("frames.csv", "HILLS", "COLVAR"):
        one, again = ((plans[which].folder / name).read_bytes() for which in ("finished", "again"))
        assert one == again, name
    np.testing.assert_array_equal(*(positions(plans[which]) for which in ("finished", "again")))
    other = table(plans["other seed"])
    assert table(plans["finished"])["uncertainty"][0] == other["uncertainty"][0], "the start is the same"
    assert (table(plans["finished"])["uncertainty"][1:] != other["uncertainty"][1:]).all()
    assert not np.allclose(table(plans["finished"])["temperature_K"][0], other["temperature_K"][0])


def test_plain_dynamics_has_no_bias(ends, plans):
    assert ends["unbiased"].completed
    assert not table(plans["unbiased"])["bias_eV"].any()
    assert not (plans["unbiased"].folder / "COLVAR").exists()


def test_the_temperature_is_that_of_the_velocities(ends, plans):
    """The thermostat is weak: the first frame has what Maxwell and Boltzmann gave, 66 degrees of freedom."""
    first = [table(plans[name])["temperature_K"][0] for name in ("finished", "other seed")]
    np.testing.assert_allclose(first, 300.0, rtol=4 * np.sqrt(2 / 66))


def test_the_plan_is_beside_the_results(ends, plans):
    written = json.loads((plans["hot"].folder / "plan.json").read_text())
    assert (written["temperature"], written["seed"], written["n_steps"]) == (2000.0, 1, 400)
    assert Path(plans["hot"].folder / "plumed.dat").read_text() == plans["hot"].plumed


class KilledError(Exception):
    """Stands for the end of a process between two frames."""


def interrupted_then_again(items: tuple[WalkerPlan, tuple[int, ...]], progress) -> None:
    """Run a walker, break off after some frames, leave half lines as a killed process does, and go on."""
    plan, moments = items
    for moment in moments:

        def report(steps: int, moment: int = moment) -> None:
            if steps >= moment:
                raise KilledError

        with pytest.raises(KilledError):
            run_walker(replace(plan, checkpoint_interval=0.0), report)
        for name in ("frames.csv", "trajectory.dcd", "HILLS", "COLVAR", "checkpoint.zip.diary"):
            with open(name, "ab") as handle:
                handle.write(b"1.0 2")
    run_walker(replace(plan, checkpoint_interval=0.0), progress)


@pytest.fixture(scope="module")
def resumed(plans) -> tuple[WalkerPlan, WalkerPlan]:
    """A walker interrupted thrice, once after its last step, and one that was not; hills fall on frames and between."""
    text = plans["finished"].plumed.replace(f"PACE={STRIDE}", "PACE=3")
    base = replace(plans["finished"], plumed=text, dtype="float32")
    killed, whole = (replace(base, folder=base.folder.with_name(name)) for name in ("killed", "whole"))
    run_in_processes(interrupted_then_again, [(killed, (12, 24, STEPS)), (whole, ())], 1)
    return killed, whole


def test_an_interrupted_walker_goes_on_to_the_same_end(resumed):
    killed, whole = resumed
    names = sorted(p.name for p in whole.folder.iterdir() if p.is_file())
    assert sorted(p.name for p in killed.folder.iterdir() if p.is_file()) == names
    assert not {"checkpoint.zip", "checkpoint.zip.diary"} & set(names)
    for name in ("frames.csv", "HILLS", "COLVAR", "plan.json"):
        assert (killed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    np.testing.assert_array_equal(positions(killed), positions(whole))
    assert read_end(killed.folder).steps == read_end(whole.folder).steps == STEPS
