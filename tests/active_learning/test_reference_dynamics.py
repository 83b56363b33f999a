"""Dynamics by the reference method: within ranges of torsions, and gone on with however it was interrupted."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from uqcv.active_learning import reference_dynamics
from uqcv.active_learning.reference_dynamics import write_reference_frames
from uqcv.errors import InputError
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.simulation.torsions import torsion_angle
from uqcv.structures import read_structures

PHI = (4, 6, 8, 14)
SHORT = {"initial.frames": 6, "initial.spacing": 5, "initial.equilibration": 10}


@pytest.fixture
def interrupt_at(monkeypatch):
    """Set how many frames are done when Ctrl-C comes; None for never."""
    limit = {"frames": None}

    @contextmanager
    def impatient(name, total):
        def update(done, note):
            if limit["frames"] is not None and done >= limit["frames"]:
                raise KeyboardInterrupt

        yield update

    monkeypatch.setattr(reference_dynamics, "progress", impatient)
    return lambda frames: limit.update(frames=frames)


def test_frames_of_another_conformer(make_config, tmp_path):
    config = make_config(SHORT | {"initial.keep": {"phi": [0, 150]}, "initial.frames": 3})
    found = write_reference_frames(config, {"phi": 65.0, "psi": -65.0}, tmp_path / "c7ax.extxyz")
    assert len(found) == 3 and all(s.is_labelled for s in found)
    assert all(0 <= torsion_angle(s.positions, PHI) <= 150 for s in found)
    assert len(read_structures(tmp_path / "c7ax.extxyz", labelled=True)) == 3
    with pytest.raises(InputError, match=r"--turn chi was given; system\.torsions has"):
        write_reference_frames(config, {"chi": 60.0}, tmp_path / "x.extxyz")
    with pytest.raises(
        InputError, match=r"initial\.keep: phi is -\d+\.\d degrees .*; 0 to 150 is expected: .* --turn phi=75"
    ):
        write_reference_frames(config, {}, tmp_path / "x.extxyz")
    assert [p.name for p in tmp_path.iterdir() if p.suffix in (".extxyz", ".journal")] == ["c7ax.extxyz"]


def test_it_shows_how_far_it_is(make_config, monkeypatch, tmp_path):
    updates = []

    @contextmanager
    def seen(name, total):
        yield lambda done, note: updates.append((name, done / total))

    monkeypatch.setattr(reference_dynamics, "progress", seen)
    write_reference_frames(make_config(SHORT), {}, tmp_path / "frames.extxyz")
    assert updates[-1] == ("reference frames, reference dynamics", 1.0) and len(updates) >= 4


@pytest.mark.parametrize("keep", [{}, {"phi": [-85, -60]}])
@pytest.mark.parametrize("at", [0.1, 2, 5])
def test_an_interrupted_run_goes_on(make_config, interrupt_at, monkeypatch, tmp_path, at, keep):
    config = make_config(SHORT | {"initial.keep": keep})
    whole, path = tmp_path / "whole.extxyz", tmp_path / "frames.extxyz"
    write_reference_frames(config, {}, whole)
    interrupt_at(at)
    with pytest.raises(KeyboardInterrupt):
        write_reference_frames(config, {}, path)
    assert not path.exists()
    interrupt_at(None)
    labelled, label = [], OpenMMForceField.label
    monkeypatch.setattr(OpenMMForceField, "label", lambda self, s: (labelled.append(s), label(self, s))[1])
    write_reference_frames(config, {}, path)
    assert path.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.journal"))
    rerun = len(labelled)
    labelled.clear()
    write_reference_frames(config, {}, whole)
    assert rerun < len(labelled), "what was done is not done again"


def test_more_frames_go_on_as_well_and_other_settings_do_not(make_config, interrupt_at, tmp_path):
    path = tmp_path / "frames.extxyz"
    interrupt_at(3)
    with pytest.raises(KeyboardInterrupt):
        write_reference_frames(make_config(SHORT), {}, path)
    interrupt_at(None)
    for other in ({"initial.temperature": 310}, {"initial.keep": {"phi": [-180, 0]}}, {"seed": 5}):
        with pytest.raises(InputError, match=r"frames\.extxyz\.journal: holds frames of other settings"):
            write_reference_frames(make_config(SHORT | other), {}, path)
    assert len(write_reference_frames(make_config(SHORT | {"initial.frames": 8}), {}, path)) == 8


def test_a_killed_command_goes_on(root, tmp_path):
    """`kill -9` in the middle, and the torn line that it may leave, cost at most a frame."""
    options = [f"--set={name}={value}" for name, value in {**SHORT, "initial.frames": 400}.items()]
    settings = root / "systems" / "alanine_dipeptide" / "campaign.yaml"
    path, journal = tmp_path / "frames.extxyz", tmp_path / "frames.extxyz.journal"
    command = [sys.executable, "-m", "uqcv.cli", "reference", "sample", str(settings), *options, "-o"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, str(path)], env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") >= 5):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not path.exists()
    done = journal.read_bytes()
    journal.write_bytes(done[:-20])
    for out in (path, tmp_path / "whole.extxyz"):
        subprocess.run([*command, str(out)], env=environment, check=True, capture_output=True)
    assert path.read_bytes() == (tmp_path / "whole.extxyz").read_bytes()
