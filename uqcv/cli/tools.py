"""Commands about the installation: what is wrong with it, and its `plumed` program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqcv.cli.options import path_argument, path_option
from uqcv.errors import InputError


def doctor(
    bundle: Annotated[Path | None, path_argument("folder that `uqcv fit` wrote; default: no model")] = None,
    plumed: Annotated[Path | None, path_option(help="PLUMED input to check, with the model if it is given")] = None,
    structure: Annotated[
        Path | None, path_option(help="extxyz of the model's system; default: the training frames beside the model")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="as JSON, for scripts")] = False,
) -> None:
    """Check the installation, and a model through PLUMED and OpenMM: a line for each check, and what to do.

    The exit code is 0 if all is well and 1 if anything is wrong. Everything happens in a temporary folder.
    """
    from uqcv.doctor.diagnosis import diagnose
    from uqcv.doctor.given import require_given
    from uqcv.doctor.registry import chosen_checks
    from uqcv.doctor.report import print_json, print_lines

    require_given(bundle, structure, plumed)
    findings = diagnose(chosen_checks(bundle is not None, plumed is not None), bundle, structure, plumed)
    is_well = print_json(findings) if json else print_lines(findings)
    raise typer.Exit(0 if is_well else 1)


def plumed(
    context: typer.Context,
    cv: Annotated[list[Path], path_option(help="folder that `uqcv export` wrote")] = [],  # noqa: B006
) -> None:
    """Run the `plumed` program, with PyCV working, such as: uqcv plumed --cv cv driver --plumed plumed.dat ..."""
    import subprocess

    from uqcv.simulation.plumed_kernel import plumed_program, program_environment

    for folder in cv:
        if not any(folder.glob("uqcv_*.py")):
            raise InputError(f"{folder}: no exported CV (uqcv_*.py); give a folder that `uqcv export` wrote")
    done = subprocess.run([plumed_program(), *context.args], env=program_environment(*cv), check=False)
    raise typer.Exit(done.returncode)
