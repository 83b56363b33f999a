"""`uqcv doctor` as it is typed: lines, exit codes, and what it refuses before it looks."""

import json
import subprocess
import sys

import pytest

from uqcv import cli
from uqcv.doctor import diagnosis
from uqcv.doctor.check import Finding
from uqcv.doctor.stack import container_share

GOOD = Finding("gradient", True, "largest difference 3e-7 of 1.2e+03", seconds=2.0)
BAD = Finding("plugin", False, "no plugin was found [here]", "install it")
UNKNOWN = Finding("program", None, "not checked (needs plugin)")


@pytest.fixture
def doctor(monkeypatch, capsys, tmp_path):
    """Run the command on findings that are given: exit code, and lines of standard output."""
    monkeypatch.chdir(tmp_path)

    def run(findings: list[Finding], *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(diagnosis, "diagnose", lambda *_: iter(findings))
        monkeypatch.setattr(sys, "argv", ["uqcv", "doctor", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), capsys.readouterr().out

    return run


def test_all_is_well(doctor):
    code, out = doctor([GOOD, GOOD])
    assert code == 0 and out.splitlines() == [
        "✓ gradient                      largest difference 3e-7 of 1.2e+03",
        "✓ gradient                      largest difference 3e-7 of 1.2e+03",
        "all is well: 2 checks in 4 s",
    ]


def test_something_is_wrong(doctor):
    code, out = doctor([GOOD, BAD, UNKNOWN])
    assert code == 1 and out.splitlines()[1:] == [
        "✗ plugin                        no plugin was found [here]",
        "                                → install it",
        "– program                       not checked (needs plugin)",
        "1 of 3 checks found something wrong: plugin",
    ]


def test_for_scripts(doctor):
    assert doctor([GOOD], "--json") == (0, doctor([GOOD], "--json")[1])
    code, out = doctor([GOOD, BAD, UNKNOWN], "--json")
    assert code == 1 and [f["ok"] for f in json.loads(out)] == [True, False, None]
    assert json.loads(out)[1] == {
        "name": "plugin", "ok": False, "detail": BAD.detail, "advice": "install it", "seconds": 0.0
    }  # fmt: skip


def test_the_process_that_reports_loads_nothing_heavy():
    """What is broken may not break the doctor."""
    code = (
        "import sys, uqcv.doctor.diagnosis, uqcv.doctor.registry, uqcv.doctor.report, uqcv.doctor.given\n"
        "print(sorted({'torch', 'openmm', 'mdtraj', 'ase', 'plumed', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "share"), [("max 100000\n", float("inf")), ("150000 100000\n", 1.5), (None, float("inf"))]
)
def test_the_cores_of_a_container(tmp_path, text, share):
    path = tmp_path / "cpu.max"
    if text is not None:
        path.write_text(text)
    assert container_share(path) == share
