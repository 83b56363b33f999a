"""Folders are held by one, and hold all of a result or nothing of it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from uqcv.errors import InputError, OutputError
from uqcv.folders import (
    LOCK_FILE,
    all_or_nothing,
    hold,
    locked,
    remove_leftovers,
    require_writable,
    staged,
    temporary_name,
    writing,
)


def names(folder) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_new_folder_is_gone_when_nothing_came_of_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "runs" / "new"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_what_was_written_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "new"):
        (tmp_path / "new" / "state.json").write_text("{}")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["new", "new/state.json"]


def test_a_lock_that_was_just_removed_is_no_lock(tmp_path):
    with open(tmp_path / LOCK_FILE, "a") as handle:
        (tmp_path / LOCK_FILE).unlink()
        with pytest.raises(InputError, match="another run"):
            hold(handle, "another run")


def test_the_outermost_name_is_said(tmp_path):
    words = "bundle: No space left; free some space"
    with pytest.raises(OutputError, match=words) as caught, writing("bundle"), writing("bundle/.partial/weights.pt"):
        raise OSError(errno.ENOSPC, "No space left")
    assert "weights" not in str(caught.value)


def test_new_results_are_gone_and_old_ones_stay(tmp_path):
    old, new = tmp_path / "old.csv", tmp_path / "cv" / "module.py"
    old.write_text("old")
    with pytest.raises(ValueError), all_or_nothing(old, new):
        new.parent.mkdir()
        new.write_text("half of it")
        raise ValueError
    assert names(tmp_path) == ["old.csv"]


def test_files_come_together(tmp_path):
    out = tmp_path / "out"
    for end in (None, ValueError("full")):
        try:
            with staged(out) as place:
                (place / "frames.csv").write_text(str(end))
                assert not end or (out / "frames.csv").read_text() == "None"
                (place / "atoms.csv").write_text(str(end))
                if end:
                    raise end
        except ValueError:
            pass
        assert names(out) == ["atoms.csv", "frames.csv"]
        assert (out / "frames.csv").read_text() == (out / "atoms.csv").read_text() == "None"


def test_what_a_killed_process_was_making_is_removed(tmp_path):
    """But not what one that lives is making, nor hidden files of others."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    gone = process.pid
    for name in (
        f".uqcv-{gone}.weights.pt",
        f"labels/.uqcv-{gone}.labels.json",
        f".uqcv-{gone}.partial-x/.uqcv-{gone}.map.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    stays = [
        ".12ab.x",
        ".config.yaml",
        ".lock",
        f".uqcv-{os.getppid()}.x",
        temporary_name("x"),
        f"{gone}.x",
        f".{gone}.backup",
    ]
    for name in stays:
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted([*stays, "labels"])


@pytest.mark.parametrize(("place", "folder"), [("file", True), ("folder", False), ("file/below", True)])
def test_places_where_nothing_can_be(tmp_path, monkeypatch, place, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=f"^{place}: .*give another place"):
        require_writable(Path(place), folder)
    assert names(tmp_path) == ["file", "folder"]


def test_a_place_to_come_is_not_made(tmp_path):
    require_writable(tmp_path / "runs" / "new" / "out.csv")
    require_writable(tmp_path / "runs", folder=True)
    assert names(tmp_path) == []
