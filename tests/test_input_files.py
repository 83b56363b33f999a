"""Files that settings name count by what they hold."""

import json

import pytest

from uqcv.errors import InputError
from uqcv.input_files import by_content, file_digests, read_digests


@pytest.fixture
def settings(tmp_path):
    """A dump of settings with two files, one of them as text in a list."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    return {"path": tmp_path / "one", "more": {"list": (str(tmp_path / "two"), 3, None)}, "words": "one"}


def test_only_files_with_absolute_paths_are_told_by_their_content(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = by_content(settings)
    assert found["path"].startswith("SHA-256 ") and found["more"]["list"][0].startswith("SHA-256 ")
    assert found["path"] != found["more"]["list"][0]
    assert found["more"]["list"][1:] == [3, None] and found["words"] == "one", "a word that is no path"
    assert by_content({"path": tmp_path / "nowhere"}) == {"path": str(tmp_path / "nowhere")}


def test_what_files_held_then_is_known_without_them(settings, tmp_path):
    digests, then = file_digests(settings), by_content(settings)
    assert set(digests) == {str(tmp_path / "one"), str(tmp_path / "two")}
    (tmp_path / "one").write_text("another")
    (tmp_path / "two").unlink()
    assert by_content(settings, digests) == then
    now = by_content(settings)
    assert now["path"] != then["path"] and now["more"]["list"][0] == str(tmp_path / "two")


def test_digests_are_read_back(settings, tmp_path):
    path = tmp_path / "digests.json"
    assert read_digests(path) == {}
    path.write_text(json.dumps(file_digests(settings)))
    assert read_digests(path) == file_digests(settings)


@pytest.mark.parametrize("content", ["[]", '{"one": 1}', "{"])
def test_what_is_no_file_of_digests(tmp_path, content):
    path = tmp_path / "digests.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"digests\.json: .*remove it, and files are the same where"):
        read_digests(path)
