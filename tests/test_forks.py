"""Work in copies of a process: what it has prepared is there. The rest is in `test_processes.py`."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from uqcv import forks
from uqcv.errors import BundleError, UqcvError
from uqcv.forks import prepared_once, run_in_forks
from uqcv.processes import core_seconds

prepared: list[str] = []


@dataclass(frozen=True)
class Prepare:
    what: str

    def __call__(self) -> None:
        prepared.append(f"{os.getpid()} {self.what}")


def prepare_badly() -> None:
    raise BundleError("nothing is there")


def note(path: Path, progress) -> None:
    path.write_text("\n".join([f"{os.getpid()} itself", *prepared]))


def noted(paths) -> list[list[str]]:
    return [path.read_text().splitlines() for path in paths]


def fail(path: Path, progress) -> None:
    raise BundleError("broken")


def kill_parent(path: Path, progress) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def compute(path: Path, progress) -> None:
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture
def paths(tmp_path) -> list[Path]:
    return [tmp_path / name for name in ("one", "two", "three")]


def test_it_is_prepared_once(paths):
    run_in_forks(note, paths, 2, Prepare("a"))
    lines = noted(paths)
    assert len({itself for itself, _ in lines}) == 3, "each has a process of its own"
    assert len({what for _, what in lines}) == 1 and not prepared
    assert is_gone(int(lines[0][1].split()[0]))


def test_without_preparation_each_begins_with_nothing(paths):
    run_in_forks(note, paths, 2, None)
    assert [len(lines) for lines in noted(paths)] == [1, 1, 1]


def test_where_nothing_can_be_copied_each_begins_with_nothing(paths, monkeypatch):
    monkeypatch.setattr(forks, "CAN_FORK", False)
    run_in_forks(note, paths, 2, Prepare("a"))
    assert [len(lines) for lines in noted(paths)] == [1, 1, 1]


def test_an_error_in_preparing_is_left_to_those_that_meet_it(paths):
    run_in_forks(note, paths, 2, prepare_badly)
    assert all(path.is_file() for path in paths)


def test_calls_that_need_the_same_share_a_process(paths):
    with prepared_once():
        run_in_forks(note, paths[:1], 1, Prepare("a"))
        with prepared_once():
            run_in_forks(note, paths[1:2], 1, Prepare("a"))
        run_in_forks(note, paths[2:], 1, Prepare("b"))
        (_, first), (_, second), (_, third) = noted(paths)
        assert first == second and first.endswith(" a") and third.endswith(" b")
        assert is_gone(int(first.split()[0])), "one at a time is kept"
    assert is_gone(int(third.split()[0]))


@pytest.mark.parametrize(("bad", "error"), [(fail, BundleError), (kill_parent, UqcvError)])
def test_after_an_error_a_new_process_is_prepared(bad, error, paths):
    with prepared_once():
        run_in_forks(note, paths[:1], 1, Prepare("a"))
        with pytest.raises(error):
            run_in_forks(bad, paths[:1], 1, Prepare("a"))
        run_in_forks(note, paths[1:2], 1, Prepare("a"))
    (_, first), (_, second) = noted(paths[:2])
    assert first != second


def test_one_that_died_while_it_was_kept_is_replaced(paths):
    with prepared_once():
        run_in_forks(note, paths[:1], 1, Prepare("a"))
        first = int(noted(paths[:1])[0][1].split()[0])
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        run_in_forks(note, paths[1:2], 1, Prepare("a"))
    assert noted(paths[1:2])[0][1] != f"{first} a"


def test_what_copies_compute_is_counted_while_their_process_stays(paths):
    with prepared_once():
        run_in_forks(note, paths[:1], 1, Prepare("a"))
        before = core_seconds()
        run_in_forks(compute, paths[:2], 2, Prepare("a"))
        there = core_seconds() - before
    assert there >= 1.0 and core_seconds() - before >= there
