"""Walkers in processes of their own: what has ended stays, what was interrupted goes on."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from brief_walkers import ANYTHING_GOES, SETTINGS, wait_until

from uqcv.errors import IdentityError, InputError
from uqcv.files import write_json
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.strategies import plan_walkers
from uqcv.simulation.checkpoint import read_checkpoint
from uqcv.simulation.walker_end import read_end


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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "0123456789ab"}, r"walker-01 is of model \w{12}, this run has model 0123456789ab: .*--new-bias"),
        ({"seed": 77}, "walker-01 is of seed 4, this run has seed 77"),
        ({"plumed": "d: DISTANCE ATOMS=1,2"}, "walker-01 is of PLUMED input"),
    ],
)
def test_walkers_of_another_run_are_refused(change, words, plans, monkeypatch):
    monkeypatch.setattr("uqcv.sampling.runner.run_in_forks", lambda *arguments: None)  # nothing may be run
    for plan in plans:
        write_json(plan.folder / "plan.json", plan.identity())
        write_json(plan.folder / "end.json", {"reason": "finished", "completed": True, "steps": 1, "seconds": 1.0})
    assert len(run_walkers(plans, 1)) == 2
    with pytest.raises(IdentityError, match=words):
        run_walkers([plans[0], replace(plans[1], **change)], 1)
    with pytest.raises(InputError, match="no such file"):
        run_walkers(plans, 1, new_bias=True)  # they are gone, and nothing was run


def test_a_plan_that_says_nothing(plans):
    plans[0].folder.mkdir(parents=True)
    (plans[0].folder / "plan.json").write_text("[1]")
    with pytest.raises(InputError, match=r"plan.json: it does not say what the files beside it are of"):
        run_walkers(plans, 1)


def test_an_end_that_says_something_else(tmp_path):
    write_json(tmp_path / "end.json", {"why": "finished"})
    with pytest.raises(InputError, match=r"end.json: cannot be read as how a walker ended"):
        read_end(tmp_path)


@pytest.mark.slow  # compiles
def test_walkers_in_copies_are_those_in_fresh_processes(bundle, site, frames, monkeypatch):
    changes = {"sampler": "metadynamics", "compiled": True, "length": 100.0, "validity": ANYTHING_GOES}
    settings = SETTINGS.model_copy(update=changes)
    copied, fresh = (
        plan_walkers(bundle, replace(site, folder=site.folder / name), frames[:2], settings, 3)
        for name in ("copied", "fresh")
    )
    expected = run_walkers(copied, 1)
    monkeypatch.setattr("uqcv.forks.CAN_FORK", False)
    ends = run_walkers(fresh, 1)
    assert [(end.reason, end.steps) for end in ends] == [(end.reason, end.steps) for end in expected]
    for one, other in zip(copied, fresh, strict=True):
        same_files(one.folder, other.folder)


def same_files(one: Path, other: Path) -> None:
    for name in ("frames.csv", "HILLS", "COLVAR", "trajectory.dcd"):
        here, there = ((folder / name).read_bytes() for folder in (one, other))
        assert here[276:] == there[276:], name  # the head of a DCD file holds the time of day


def children(pid: int) -> list[int]:
    """Numbers of the processes that multiprocessing started from another."""
    numbers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(n) for n in numbers if "spawn_main" in Path(f"/proc/{n}/cmdline").read_text()]


@pytest.mark.slow
def test_a_walker_that_was_killed_goes_on_from_its_checkpoint(bundle, site, frames, alive):
    """Real processes, SIGKILL in the middle, metadynamics: the same frames, hills and COLVAR as without."""
    settings = SETTINGS.model_copy(
        update={
            "sampler": "metadynamics",
            "walkers": 1,
            "length": 500.0,
            "checkpoint_interval": 0.0,
            "validity": ANYTHING_GOES,
        }
    )
    whole, killed = (
        plan_walkers(bundle, replace(site, folder=site.folder / name), frames[:1], settings, 3)
        for name in ("whole", "killed")
    )
    expected = run_walkers(whole, 1)
    process = multiprocessing.get_context("spawn").Process(target=run_walkers, args=(killed, 1))
    process.start()
    folder = killed[0].folder
    wait_until(lambda: (folder / "frames.csv").is_file() and len((folder / "frames.csv").read_text().splitlines()) > 20)
    (between,) = children(process.pid)
    (walker,) = children(between)
    process.kill()
    process.join()
    wait_until(lambda: not alive(walker))
    assert (folder / "checkpoint.zip").is_file() and not (folder / "end.json").is_file()
    at = read_checkpoint(folder / "checkpoint.zip").header["step"]
    assert 0 < at < expected[0].steps
    said = []
    ends = run_walkers(killed, 1, lambda done, note: said.append(done))
    assert (ends[0].reason, ends[0].steps) == (expected[0].reason, expected[0].steps)
    same_files(killed[0].folder, whole[0].folder)
