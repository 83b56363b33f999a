import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.errors import InputError
from uqcv.labeling.journal import open_journal

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**130), 2**130)


def written(path, entries, task="t"):
    with open_journal(path, ("value",), "busy") as journal:
        for entry in entries:
            journal.append(task, {"value": entry})


def values(path):
    with open_journal(path, ("value",), "busy") as journal:
        return [entry["value"] for entry in journal.entries]


@given(entries=st.lists(st.lists(numbers, max_size=3), min_size=1, max_size=4))
def test_what_is_read_back_is_what_was_written(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("journal") / "work.journal"
    written(path, entries)
    assert values(path) == entries


@given(cut=st.integers(1, 200))
def test_a_torn_line_costs_one_entry(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "work.journal"
    written(path, [math.pi] * 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - cut])
    kept = whole[: len(whole) - cut].count(b"\n")
    assert values(path) == [math.pi] * kept
    written(path, [math.e])
    assert values(path) == [math.pi] * kept + [math.e]


def test_an_empty_one_is_not_left_behind(tmp_path):
    path = tmp_path / "new" / "work.journal"
    with pytest.raises(ZeroDivisionError), open_journal(path, ("value",), "busy"):
        raise ZeroDivisionError
    assert not path.exists()
    written(path, [])
    assert not path.exists()


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / "work.journal"
    with open_journal(path, ("value",), "busy"), pytest.raises(InputError, match="busy"):
        written(path, [1])


@pytest.mark.parametrize("content", ["[1, 2]\n", '{"task": "t", "other": 1}\n', '{"value": 1}\n', "some text"])
def test_what_is_no_journal_is_left_alone(tmp_path, content):
    path = tmp_path / "work.journal"
    path.write_text(content)
    with pytest.raises(InputError, match=r"work\.journal: .*delete the file to begin anew"):
        written(path, [1])
    assert path.read_text() == content
