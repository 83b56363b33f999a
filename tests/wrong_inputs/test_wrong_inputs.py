"""Every wrong input gives one clear line and spoils nothing, and docs/wrong_inputs.md shows that line."""

import re
from pathlib import Path

import pytest

from .case import Case, try_case
from .good_files import make_good_files
from .registry import GROUPS
from .table import document, row, shown

CASES = [(group, case) for group, cases in GROUPS.items() for case in cases]
COMMANDS = "run status report train fit export evaluate sample harvest label reference benchmark plumed doctor"


def name(value: object) -> str:
    return value.wrong if isinstance(value, Case) else ""


@pytest.fixture(scope="session")
def good(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    make_good_files(folder)
    return folder


@pytest.fixture(scope="session")
def written(root) -> dict[str, list[str]]:
    """The rows of each table in the document."""
    text = (root / "docs" / "wrong_inputs.md").read_text()
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    groups = zip(parts[::2], parts[1::2], strict=True)
    return {group: [line for line in part.splitlines() if line.startswith("| ")][1:] for group, part in groups}


@pytest.mark.parametrize(("group", "case"), CASES, ids=name)
def test_one_clear_line_and_nothing_half_written(good, written, tmp_path, group, case):
    result = try_case(case, good, tmp_path / "here")
    assert result.flaw is None, result.outcome.err
    assert row(case, shown(result.lines)) in written[group], "write docs/wrong_inputs.md anew, as it says itself"


def test_the_document_holds_these_cases_and_no_others(root, written):
    """Together with the test above: it is what the command in it writes."""
    rows = [line for lines in written.values() for line in lines]
    seen = {
        case: re.split(r"(?<!\\) \| ", line, maxsplit=2)[2][:-2] for (_, case), line in zip(CASES, rows, strict=True)
    }
    seen = {case: text.replace("\\|", "|") for case, text in seen.items()}
    assert document(seen) == (root / "docs" / "wrong_inputs.md").read_text()


def test_every_command_has_met_wrong_inputs():
    met = {case.command.split()[1] for _, case in CASES}
    assert met >= set(COMMANDS.split())
    assert len(CASES) == len({(case.wrong, case.command, group) for group, case in CASES}) > 55


def test_the_checks_can_fail(good, tmp_path):
    """A command that works is no refusal, and a file that is new is seen."""
    worked = try_case(Case("nothing", "uqcv export bundle out"), good, tmp_path / "here")
    assert worked.flaw == "exit code 0; 2 is expected"
    assert {"out", "out/bundle", "out/plumed.dat"} <= set(worked.touched)
