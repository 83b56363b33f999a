"""What the doctor found, for a person or a script."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from uqcv.doctor.check import Finding

MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}
WIDTH = 30  # of the names, which details stand behind


def print_lines(findings: Iterable[Finding]) -> bool:
    """Print a line for each finding as soon as it is known; return whether all is well."""
    console, made = Console(highlight=False), []
    for finding in findings:
        console.print(_line(finding), soft_wrap=True)
        if finding.advice:
            console.print(Text(f"  {'':{WIDTH}}→ {finding.advice}"), soft_wrap=True)
        made.append(finding)
    console.print(_summary(made))
    return is_well(made)


def _line(finding: Finding) -> Text:
    mark, colour = MARKS[finding.ok]
    return Text.assemble((f"{mark} {finding.name:{WIDTH}}", colour), finding.detail)


def _summary(findings: list[Finding]) -> Text:
    wrong = [finding.name for finding in findings if finding.ok is False]
    seconds = sum(finding.seconds for finding in findings)
    if not wrong:
        return Text(f"all is well: {len(findings)} checks in {seconds:.0f} s", "green")
    return Text(f"{len(wrong)} of {len(findings)} checks found something wrong: {', '.join(wrong)}", "red")


def print_json(findings: Iterable[Finding]) -> bool:
    """Print all findings as a JSON list; return whether all is well."""
    made = list(findings)
    print(json.dumps([asdict(finding) for finding in made], indent=2, ensure_ascii=False))
    return is_well(made)


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong; what was not checked is behind something that is."""
    return all(finding.ok for finding in findings)
