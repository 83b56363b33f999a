"""Checks are independent: whatever one does to its process, the others are made."""

import tempfile

import pytest

from uqcv.doctor import diagnosis
from uqcv.doctor.check import REPORT, Check
from uqcv.doctor.diagnosis import diagnose
from uqcv.doctor.registry import BUNDLE, PLUMED_FILE, STACK, chosen_checks


def check(name: str, *needs: str, is_fresh: bool = False) -> Check:
    return Check(name, f"strange_checks:{name}", needs, f"mend {name}", is_fresh)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    yield
    assert not any((tmp_path / "scratch").iterdir()) and not any((tmp_path / "home").iterdir()), "something is left"


def found(*checks: Check) -> list[tuple]:
    return [(f.name, f.ok, f.detail, f.advice) for f in diagnose(checks)]


def test_what_a_check_raises_is_a_finding(capfd):
    assert found(check("raises"), check("fine")) == [
        ("raises", False, "KeyError: 'something\\nin two lines'", "mend raises"),
        ("fine", True, "fine", ""),
    ]
    assert capfd.readouterr() == ("", ""), "what engines print is not for the user"


def test_a_process_that_ends_is_a_finding():
    signal, code, fine = found(check("ends_its_process"), check("leaves"), check("fine"))
    assert signal[1:3] == (False, "it ended the process with signal 6 (SIGABRT): Fatal Error: no lock")
    assert code[1:3] == (False, "it ended the process with exit code 3")
    assert fine[1] is True


def test_what_hangs_is_a_finding(monkeypatch):
    monkeypatch.setattr(diagnosis, "LONGEST", 1.0)
    hangs, fine = found(check("hangs"), check("fine"))
    assert hangs[1:3] == (False, "no answer within 1 s") and fine[1] is True


def test_what_needs_something_broken_is_not_checked():
    results = found(check("raises"), check("fine", "raises"), check("leaves", "fine"))
    assert [ok for _, ok, _, _ in results] == [False, None, None]
    assert results[1][2] == "not checked (needs raises)" and results[2][2] == "not checked (needs fine)"


def test_a_module_that_cannot_be_imported_is_a_finding():
    ((_, ok, detail, _),) = found(Check("gone", "no_such_module:check"))
    assert ok is False and detail == "ModuleNotFoundError: No module named 'no_such_module'"


@pytest.mark.parametrize("checks", [STACK, BUNDLE, PLUMED_FILE])
def test_every_check_is_there(checks):
    for one in checks:
        assert one.function().__doc__ and one.advice


def test_no_check_comes_before_what_it_needs():
    checks = chosen_checks(with_bundle=True, with_plumed=True)
    names = [one.name for one in checks]
    assert len(set(names)) == len(names)
    for k, one in enumerate(checks):
        assert set(one.needs) <= set(names[:k])
    assert set(chosen_checks(False, True)) == {*STACK, *PLUMED_FILE}
    assert {one.name for one in checks if one.advice == REPORT} <= {one.name for one in (*BUNDLE, *PLUMED_FILE)}
