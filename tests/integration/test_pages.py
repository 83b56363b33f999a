"""What pages show of the recorded study is what its file of results holds."""

import re
from pathlib import Path

import pytest

from uqcv.files import read_json
from uqcv.study.report import write_study_report
from uqcv.study.settings import load_study

Rows = list[dict[str, str]]


def tables(text: str) -> list[Rows]:
    """All tables of a page, each row by the names of its columns."""
    found = re.findall(r"^\|(.+)\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    cells = [[_cells(header), *map(_cells, body.strip().split("\n"))] for header, body in found]
    return [[dict(zip(header, row, strict=True)) for row in rows] for header, *rows in cells]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture(scope="module")
def recorded(root) -> Path:
    return root / "systems" / "alanine_dipeptide" / "study.results.json"


@pytest.fixture(scope="module")
def reported(root, recorded, tmp_path_factory) -> list[Rows]:
    """The tables that `uqcv study` writes of what is recorded."""
    study = load_study(recorded.with_name("study.yaml"))
    paths = write_study_report(study, tmp_path_factory.mktemp("study"), [recorded])
    return tables(paths[1].read_text())


def of_report(rows: Rows, reported: list[Rows]) -> Rows:
    """The rows of the table of the report that has these columns, and of them only these."""
    (own,) = [found for found in reported if rows[0].keys() <= found[0].keys()]
    return [{name: row[name] for name in rows[0]} for row in own]


def test_tables_of_the_page_are_those_of_the_report(root, reported):
    shown = [rows for rows in tables((root / "docs" / "alanine_dipeptide.md").read_text()) if "sampler" in rows[0]]
    assert shown
    for rows in shown:
        assert rows == of_report(rows, reported)


def test_rows_of_the_readme_are_those_of_the_report(root, reported):
    """There samplers have other names."""
    (rows,) = [rows for rows in tables((root / "README.md").read_text()) if "sampler" in rows[0]]
    every = [list(row.values())[1:] for row in of_report(rows, reported)]
    assert all(list(row.values())[1:] in every for row in rows)


def test_seeds_of_metadynamics_are_those_that_are_recorded(root, recorded):
    rows = next(rows for rows in tables((root / "docs" / "alanine_dipeptide.md").read_text()) if "seed" in rows[0])
    seeds = read_json(recorded)["samplers"]["metadynamics"]["seeds"]
    for (seed, measures), row in zip(seeds.items(), rows, strict=True):
        covered, last = measures["covered"], measures["generations"][-1]
        needed = next(k for k, n in enumerate(covered) if n >= 62)
        expected = [seed, ", ".join(str(n) for n in covered[::25]), f"{needed}", f"{1000 * last['test_force_mae']:.1f}"]
        expected += [f"{last['map_error']:.2f}", f"{measures['crossings'][2]:.0f}", f"{last['highest_label']:.2f}"]
        assert list(row.values()) == [*expected, f"{last['ended_early']:.0f}"]
