"""Files are whole or not there, and what cannot be read is named in one line."""

import errno
import json
import os

import pytest

from uqcv.errors import InputError, OutputError
from uqcv.files import atomic_path, read_json, read_with, write_json, write_text


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_old_file_stays_when_the_block_raises(tmp_path):
    path = tmp_path / "state.json"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert names(tmp_path) == ["state.json"]


def test_the_old_file_stays_until_the_block_ends(tmp_path):
    path = tmp_path / "state.json"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent, "a rename is atomic only within a folder"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["state.json"]


def test_a_block_that_writes_nothing_changes_nothing(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(OutputError, match="a: No such file"), atomic_path(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_text() == "old"


def test_a_power_cut_undoes_nothing_that_something_later_counts_on(tmp_path, monkeypatch):
    """The content, then the name, then the folder that holds the name; new folders before what lies in them."""
    done: list[object] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.fstat(handle).st_ino), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("rename"), replace(old, new)))
    folder = tmp_path / "generation" / "01"
    write_text(folder / "state.json", "new")
    inodes = [path.stat().st_ino for path in (folder.parent, tmp_path, folder / "state.json", folder)]
    assert done == [*inodes[:3], "rename", inodes[3]]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_file_system_that_does_not_sync_folders(tmp_path, monkeypatch, number):
    """It is taken as it is; a disk that fails is not."""

    def refuse(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if number == errno.EIO:
        with pytest.raises(OutputError, match="a: Input/output error"):
            write_text(tmp_path / "a", "new")
    else:
        write_text(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"]


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "generation" / "01" / "log", "å")
    assert (tmp_path / "generation" / "01" / "log").read_text(encoding="utf-8") == "å"


def test_json_round_trip(tmp_path):
    value = {"seed": 3, "energies": [0.1, -1e-300], "name": "Å", "none": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == [1]
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', "\x00\x01"])
def test_broken_json_is_one_line_with_the_name(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"state\.json: cannot be read as JSON") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.json: no such file \(expected JSON\)"):
        read_json(tmp_path / "nothing.json")


def test_only_the_first_line_of_what_a_reader_says(tmp_path):
    (tmp_path / "a").write_text("x")

    def reader(path):
        raise ValueError("first\nsecond")

    with pytest.raises(InputError) as caught:
        read_with(tmp_path / "a", reader, "numbers")
    assert str(caught.value).endswith("a: cannot be read as numbers: first; mend it or give another file")
