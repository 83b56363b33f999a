"""The command that compares samplers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqcv.cli.options import path_argument, path_option


def study(
    settings: Annotated[Path, path_argument("study YAML: a campaign, samplers, seeds")],
    out: Annotated[Path | None, path_option("--out", "-o", help="folder; default: runs/<name>")] = None,
    only: Annotated[list[str], typer.Option(help="samplers to run; default: all")] = [],  # noqa: B006
    processes: Annotated[int | None, typer.Option(min=1, help="campaigns at a time; default: one per core")] = None,
    results: Annotated[
        list[Path], path_option("--results", help="results.json of parts that ran elsewhere; these are not run again")
    ] = [],  # noqa: B006
    report: Annotated[bool, typer.Option("--report", help="only draw what has been measured so far")] = False,
) -> None:
    """Run campaigns with many samplers and seeds, measure them, and write report.html, tables.md and results.json.

    The same command goes on after an interruption, and adds samplers and seeds that were not there before.
    """
    from uqcv.study.report import write_study_report
    from uqcv.study.run import run_study
    from uqcv.study.settings import load_study

    chosen = load_study(settings)
    folder = (out or Path("runs") / chosen.name).resolve()
    if not report:
        run_study(chosen, folder, tuple(only), processes, results)
    for path in write_study_report(chosen, folder, results):
        print(path)
