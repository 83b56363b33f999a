"""Walkers that share one bias, in real processes: one is killed, one is poisoned with NaN, and the others go on."""

import multiprocessing
import os
import signal
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brief_walkers import ANYTHING_GOES, SETTINGS, wait_until

from uqcv.errors import IdentityError, UqcvError
from uqcv.processes import run_in_processes
from uqcv.sampling.settings import BiasSettings
from uqcv.sampling.strategies import plan_walkers
from uqcv.simulation import force_functions
from uqcv.simulation.bias_files import BiasFiles
from uqcv.simulation.plumed_input import import_modules
from uqcv.simulation.walker import WalkerPlan, run_walker
from uqcv.simulation.walker_end import read_end

POISONED, KILLED, LONGEST = 1, 2, 3
PACE, BIAS_FACTOR = 5, 8.0
POISON_AT = 63
SHARED = SETTINGS.model_copy(
    update={
        "sampler": "metadynamics",
        "walkers": 4,
        "length": 120.0,
        "validity": ANYTHING_GOES,
        "dtype": "float64",
        "bias": BiasSettings(shared=True, pace=PACE, height=0.5, bias_factor=BIAS_FACTOR, sigma=0.3, wall_error=1000.0),
    }
)


def run_perhaps_poisoned(plan: WalkerPlan, progress) -> None:
    """Run a walker; the positions of one become NaN at a step between two hills."""
    if plan.folder.name == f"walker-{POISONED:02d}":
        honest = force_functions.positions_and_box

        def poisoned(state, periodic):
            positions, box = honest(state, periodic)
            if state.getStepCount() >= POISON_AT:
                positions[7] = np.nan
            return positions, box

        force_functions.positions_and_box = poisoned
    run_walker(plan, progress)


def run_all(plans: list[WalkerPlan], said: Path) -> None:
    try:
        run_in_processes(run_perhaps_poisoned, plans, len(plans), name=lambda plan: plan.folder.name)
    except UqcvError as error:
        said.write_text(str(error))


def process_in(folder: Path) -> int | None:
    """Return the process whose working directory is `folder`."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == folder.resolve():
                return int(entry.name)
        except OSError:
            pass
    return None


def hills(folder: Path, walker: int) -> np.ndarray:
    """Rows of time (ps), centre, width, height (kJ/mol)."""
    lines = [line.split() for line in (folder / f"HILLS.{walker}").read_text().splitlines() if line[0] != "#"]
    return np.array([[float(x) for x in line[:4]] for line in lines])


def sum_of(rows: np.ndarray, at: float) -> float:
    """Sum of PLUMED's stretched Gaussians, kJ/mol; in a file their heights are those of the free energy."""
    cutoff = 6.25
    exponents = 0.5 * ((at - rows[:, 1]) / rows[:, 2]) ** 2
    heights = rows[:, 3] * (BIAS_FACTOR - 1) / BIAS_FACTOR
    stretch = 1 / (1 - np.exp(-cutoff))
    return float((heights * np.where(exponents < cutoff, stretch * (np.exp(-exponents) - np.exp(-cutoff)), 0)).sum())


@pytest.fixture(scope="module")
def plans(bundle, frames, force_field, topology_path, tmp_path_factory):
    from uqcv.sampling.strategies import Site

    folder = tmp_path_factory.mktemp("shared")
    site = Site(folder, bundle.save(folder / "bundle"), topology_path, force_field.structure, -1e3)
    endless = {"ceiling": 1e9, "energy_ceiling": 1e9, "temperature_ceiling": 1e9}
    made = [replace(plan, **endless) for plan in plan_walkers(bundle, site, frames[:4], SHARED, seed=3)]
    made[KILLED] = replace(made[KILLED], checkpoint_interval=0.0)
    return [*made[:LONGEST], replace(made[LONGEST], n_steps=2 * made[LONGEST].n_steps)]


@pytest.fixture(scope="module")
def outcome(plans, alive) -> dict:
    """What was said, and the hills of the killed walker when it was killed."""
    folder = plans[0].folder.parent
    process = multiprocessing.get_context("spawn").Process(target=run_all, args=(plans, folder / "said"))
    process.start()
    wait_until(lambda: (folder / "bias" / f"HILLS.{KILLED}").is_file() and len(hills(folder / "bias", KILLED)) > 8, 120)
    pid = process_in(plans[KILLED].folder)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    left = hills(folder / "bias", KILLED)
    process.join()
    return {"said": (folder / "said").read_text(), "left": left}


def test_the_others_finish_and_the_dead_is_named(plans, outcome):
    assert outcome["said"].startswith(f"walker-{KILLED:02d}: ") and "exit code -9" in outcome["said"]
    ends = {k: read_end(plan.folder) for k, plan in enumerate(plans) if k != KILLED}
    assert [ends[k].completed for k in (0, LONGEST)] == [True, True]
    assert not ends[POISONED].completed and "blown up" in ends[POISONED].reason
    assert not (plans[KILLED].folder / "end.json").exists()


def test_the_bias_is_the_sum_of_all_hills(plans, outcome, read_table):
    folder = plans[0].folder.parent / "bias"
    rows = [hills(folder, k) for k in range(4)]
    assert all(len(own) > 5 and np.isfinite(own).all() for own in rows)
    assert rows[POISONED][-1, 0] <= POISON_AT * 1e-3, "no hill of a frame that is not valid"
    assert (rows[KILLED] == outcome["left"]).all(), "what it deposited stays"
    lines = read_table(plans[LONGEST].folder / "COLVAR")

    def own(time: float) -> np.ndarray:
        return rows[LONGEST][rows[LONGEST][:, 0] < time - 1e-9]

    time, value, bias, _ = lines[-1]  # when all others had ended
    assert bias == pytest.approx(sum_of(np.concatenate([*rows[:LONGEST], own(time)]), value), rel=1e-9)
    assert any(bias > 1.1 * sum_of(own(time), value) > 0 for time, value, bias, _ in lines), "others take part"


def test_the_killed_one_goes_on(plans, outcome):
    plan = plans[KILLED]
    before = (plan.folder / "COLVAR").read_text().splitlines()
    with open(plan.folder / "COLVAR", "a") as handle:
        handle.write(" 0.0990 1.23")  # PLUMED writes by the block: a kill may leave half a line
    run_in_processes(run_perhaps_poisoned, [plan], 1)
    assert read_end(plan.folder).completed
    rows = hills(plan.folder.parent / "bias", KILLED)
    assert (rows[: len(outcome["left"])] == outcome["left"]).all() and len(rows) > len(outcome["left"])
    assert len(set(rows[:, 1])) == len(rows), "no hill twice"
    times = [line.split()[0] for line in (plan.folder / "COLVAR").read_text().splitlines() if line[0] != "#"]
    assert len(times) == len(set(times)) == plan.n_steps // plan.stride + 1 >= len(before) - 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("SIGMA=0.3", "SIGMA=0.2", r"HILLS is of PLUMED input with `metad: METAD .*SIGMA=0.3.*`, .*SIGMA=0.2"),
        ("u.py-smooth-max", "u.py-mean", r"HILLS is of PLUMED input with `metad: METAD ARG=u.py-smooth-max"),
    ],
)
def test_a_walker_with_another_input_is_refused(old, new, words, plans, outcome):
    text = plans[0].plumed
    import_modules(text, plans[0].folder / "cv")
    with chdir(plans[0].folder):
        BiasFiles.of(text).require_same()
        with pytest.raises(IdentityError, match=words):
            BiasFiles.of(text.replace(old, new)).require_same()
