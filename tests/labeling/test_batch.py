import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from uqcv.errors import InputError
from uqcv.labeling.batch import Failure, label_structures
from uqcv.structures import Structure, read_structures


@pytest.fixture
def structures() -> list[Structure]:
    """Ten structures, of which the third and the eighth are too far for the springs."""
    positions = np.random.default_rng(0).normal(size=(10, 4, 3))
    positions[[2, 7], 0, 0] += 10.0
    return [Structure(np.full(4, 6), p, info={"k": k}) for k, p in enumerate(positions)]


def same(first: list[Structure], second: list[Structure]) -> bool:
    return all(
        a.energy == b.energy and np.array_equal(a.forces, b.forces) and a.info == b.info
        for a, b in zip(first, second, strict=True)
    )


def test_failures_are_recorded_and_skipped(springs, structures, tmp_path):
    seen = []
    labelled, failures = label_structures(
        springs, structures, tmp_path / "l.xyz", tmp_path / "f.json", lambda *done: seen.append(done)
    )
    assert failures == [Failure(2, "springs: too far"), Failure(7, "springs: too far")]
    assert json.loads((tmp_path / "f.json").read_text())[0] == {"index": 2, "reason": "springs: too far"}
    assert [s.info["k"] for s in labelled] == [0, 1, 3, 4, 5, 6, 8, 9]
    written = read_structures(tmp_path / "l.xyz", labelled=True)
    assert [s.energy for s in written] == pytest.approx([s.energy for s in labelled])
    assert seen == [(k, 10) for k in range(1, 11)]


def test_done_work_is_not_done_again(springs, structures, tmp_path):
    first = label_structures(springs, structures, tmp_path / "l.xyz")
    again = label_structures(springs, structures, tmp_path / "l.xyz")
    assert springs.labelled == 10
    assert same(first[0], again[0]) and first[1] == again[1]


@pytest.mark.parametrize("at", [0, 1, 5, 9])
def test_an_interrupted_run_goes_on(springs, structures, tmp_path, monkeypatch, at):
    whole = label_structures(springs, structures, tmp_path / "whole.xyz")
    monkeypatch.setattr(springs, "labelled", 0)

    def interrupt(done: int, wanted: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    path = tmp_path / "l.xyz"
    try:
        label_structures(springs, structures, path, progress=interrupt)
    except KeyboardInterrupt:
        assert not path.exists()
    resumed = label_structures(springs, structures, path)
    assert springs.labelled == 10
    assert same(whole[0], resumed[0]) and whole[1] == resumed[1]
    assert path.read_bytes() == (tmp_path / "whole.xyz").read_bytes()


@pytest.mark.parametrize("torn", [1, 20, 200])
def test_a_half_written_line_costs_one_label(springs, structures, tmp_path, torn):
    path, journal = tmp_path / "l.xyz", tmp_path / "l.xyz.journal"
    whole = label_structures(springs, structures, path)
    springs.labelled = 0
    journal.write_bytes(journal.read_bytes()[:-torn])
    resumed = label_structures(springs, structures, path)
    assert springs.labelled == 1
    assert same(whole[0], resumed[0])


def test_a_killed_process_goes_on(tmp_path, copper):
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from uqcv.labeling.ase_calculator import ASECalculatorMethod
        from uqcv.labeling.batch import label_structures
        from uqcv.structures import Structure
        positions = np.array([[0.0, 0.0, 0.0], [2.3, 0.1, 0.0], [1.1, 2.0, 0.3]])
        structures = [Structure([29] * 3, positions * s) for s in np.linspace(0.9, 1.2, 6)]
        die = lambda done, wanted: done == int(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL)
        label_structures(ASECalculatorMethod("ase.calculators.emt.EMT"), structures, Path(sys.argv[1]), progress=die)
    """)

    def run(name: str, kill_at: int) -> int:
        command = [sys.executable, "-c", script, str(tmp_path / name), str(kill_at)]
        return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode

    assert run("killed.xyz", 4) == -signal.SIGKILL
    assert len((tmp_path / "killed.xyz.journal").read_text().splitlines()) == 4
    assert run("killed.xyz", -1) == 0
    assert run("whole.xyz", -1) == 0
    assert (tmp_path / "killed.xyz").read_bytes() == (tmp_path / "whole.xyz").read_bytes()


@pytest.mark.parametrize(("seconds", "syncs"), [(0.0, 10), (1e9, 1)])
def test_a_power_cut_costs_no_more_than_a_moment(springs, structures, tmp_path, monkeypatch, seconds, syncs):
    """The journal is on the disk every so many seconds and at the end."""
    journal, seen, sync = tmp_path / "l.xyz.journal", [], os.fsync
    monkeypatch.setattr("uqcv.labeling.journal.SECONDS_BETWEEN_SYNCS", seconds)
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(os.fstat(handle).st_ino), sync(handle)))
    label_structures(springs, structures, tmp_path / "l.xyz")
    assert seen.count(journal.stat().st_ino) == syncs


def test_a_journal_of_another_task_is_refused(springs, structures, tmp_path):
    path = tmp_path / "l.xyz"
    label_structures(springs, structures, path)
    with pytest.raises(InputError, match="delete it, or label into another file"):
        label_structures(springs, structures[::-1], path)
    with pytest.raises(InputError, match="another method than stiff"):
        springs.name = "stiff"
        label_structures(springs, structures, path)


def test_nothing_labelled_leaves_no_file(springs, structures, tmp_path):
    labelled, failures = label_structures(springs, [structures[2]], tmp_path / "new" / "l.xyz")
    assert (labelled, len(failures)) == ([], 1)
    assert not (tmp_path / "new" / "l.xyz").exists()
