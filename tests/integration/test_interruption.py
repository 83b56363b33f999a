"""A campaign that is killed again and again comes to the same end as one that is left alone."""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from uqcv.colvars.bundle import Bundle
from uqcv.structures import read_structures

STAGES = ("reference", "data", "train", "fit", "evaluate", "sample", "harvest", "label")


def outcome(folder: Path) -> dict[str, object]:
    """What a campaign found."""
    found: dict[str, object] = {}
    for path in sorted(folder.glob("generation-*")):
        found |= {str(p.relative_to(folder)): p.read_bytes() for p in path.rglob("*.extxyz")}
        found |= {str(p.relative_to(folder)): p.read_bytes() for p in path.rglob("frames.csv")}
        found[f"{path.name} bundle"] = Bundle.load(path / "bundle").hash
    return found


def n_labels(folder: Path) -> int:
    return len(read_structures(folder / "generation-00" / "labels" / "labels.extxyz"))


def wait_for(folder: Path, stage: str, process) -> None:
    """Wait until a campaign is at a stage of its first generation, or beyond it, or has ended."""
    end = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < end:
        if stage == "reference":
            if (folder / "config.yaml").is_file():
                return
        elif (folder / "state.json").is_file():
            state = json.loads((folder / "state.json").read_text())  # it is valid at any moment
            if state["generation"] > 0 or (state["stage"] in STAGES and not before(state["stage"], stage)):
                return
        time.sleep(0.005)


def before(one: str, other: str) -> bool:
    return STAGES.index(one) < STAGES.index(other)


def members(group: int) -> list[str]:
    """What still runs in a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = path.read_text().rsplit(")", 1)
            state, _, its_group = rest.split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(name)
    return found


def stopped(start, yaml: Path, folder: Path, stage: str, delay: float, by: int) -> int:
    """Run a campaign, stop it `delay` seconds into a stage; return its exit code."""
    process = start("run", yaml, "-o", folder)
    wait_for(folder, stage, process)
    time.sleep(delay)
    os.kill(process.pid, by)
    process.communicate()
    return process.returncode


@pytest.fixture(scope="module")
def undisturbed(campaign_yaml, run_uqcv, tmp_path_factory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run_uqcv("run", campaign_yaml, "-o", folder)
    found = outcome(folder)
    assert n_labels(folder) >= 2
    return found


def check(start, run, yaml: Path, folder: Path, undisturbed, moments: list[tuple[str, float]], by: int) -> None:
    codes = [stopped(start, yaml, folder, stage, delay, by) for stage, delay in moments]
    assert -by in codes or 130 in codes, f"no run was stopped while it worked: {codes}"
    assert "Traceback" not in run("run", yaml, "-o", folder)
    again = outcome(folder)
    assert again.keys() == undisturbed.keys()
    assert [name for name in again if again[name] != undisturbed[name]] == []
    journal = (folder / "generation-00" / "labels" / "labels.extxyz.journal").read_text().splitlines()
    assert len(journal) == n_labels(folder), "each structure was labelled once"
    state = json.loads((folder / "state.json").read_text())
    assert (state["labels"], state["finished"]) == (n_labels(folder), True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_ten_moments(start_uqcv, run_uqcv, campaign_yaml, undisturbed, tmp_path, seed):
    chance = random.Random(seed)
    stages = sorted(chance.choices(STAGES, k=10), key=STAGES.index)
    moments = [(stage, chance.uniform(0.0, 2.0 if stage == "sample" else 0.2)) for stage in stages]
    check(start_uqcv, run_uqcv, campaign_yaml, tmp_path / "run", undisturbed, moments, signal.SIGKILL)


@pytest.mark.slow
def test_stopped_by_the_keyboard(start_uqcv, run_uqcv, campaign_yaml, undisturbed, tmp_path):
    """Ctrl-C: one line that says how to go on, exit code 130, and no walker is left."""
    process = start_uqcv("run", campaign_yaml, "-o", tmp_path / "run")
    wait_for(tmp_path / "run", "sample", process)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    # a walker that is still importing when the signal comes may begin a line of its own
    assert err.splitlines()[-1].endswith("uqcv: stopped; the same command goes on with what is written")
    end = time.monotonic() + 5
    while members(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert members(process.pid) == []
    run_uqcv("run", campaign_yaml, "-o", tmp_path / "run")
    assert outcome(tmp_path / "run") == undisturbed
