"""Work in copies of a process: what it has prepared is there. The rest is in `test_processes.py`."""

import os
from pathlib import Path

import pytest

from uqcv import forks
from uqcv.errors import BundleError
from uqcv.forks import run_in_forks

prepared: list[str] = []


def prepare(path: Path) -> None:
    prepared.append(f"{os.getpid()} for {path.name}")


def prepare_badly(path: Path) -> None:
    raise BundleError("nothing is there")


def note(path: Path, progress) -> None:
    path.write_text("\n".join([f"{os.getpid()} itself", *prepared]))


@pytest.fixture
def paths(tmp_path) -> list[Path]:
    return [tmp_path / name for name in ("one", "two", "three")]


def test_it_is_prepared_once_and_with_the_first(paths):
    run_in_forks(note, paths, 2, prepare)
    noted = [path.read_text().splitlines() for path in paths]
    assert len({lines[0] for lines in noted}) == 3, "each has a process of its own"
    assert len({lines[1] for lines in noted}) == 1 and noted[0][1].endswith(" for one")
    assert [len(lines) for lines in noted] == [2, 2, 2] and not prepared


def test_where_nothing_can_be_copied_each_begins_with_nothing(paths, monkeypatch):
    monkeypatch.setattr(forks, "CAN_FORK", False)
    run_in_forks(note, paths, 2, prepare)
    assert all(len(path.read_text().splitlines()) == 1 for path in paths)


def test_an_error_in_preparing_is_left_to_those_that_meet_it(paths):
    run_in_forks(note, paths, 2, prepare_badly)
    assert all(path.is_file() for path in paths)
