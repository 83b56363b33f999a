"""Arguments and options that commands share, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def path_argument(help: str) -> Any:
    """Return an argument that is a path; what cannot be read is said in a line of ours, by who reads it."""
    return typer.Argument(help=help, readable=False)


def path_option(*names: str, help: str) -> Any:
    """Return an option that is a path; see `path_argument`."""
    return typer.Option(*names, help=help, readable=False)


Out = Annotated[Path, path_option("--out", "-o", help="where results go")]
Seed = Annotated[int | None, typer.Option(help="overrides the seed of the settings")]
Setting = Annotated[list[str], typer.Option("--set", help="a setting as key=value, such as sampling.walkers=8")]
ConfigOption = Annotated[Path | None, path_option("--config", "-c", help="campaign YAML whose settings are used")]
ConfigArgument = Annotated[Path, path_argument("campaign YAML")]
BundleArgument = Annotated[Path, path_argument("folder that `uqcv fit` wrote")]
CampaignArgument = Annotated[Path, path_argument("folder of a campaign")]


def resolved_config(path: Path, settings: list[str], seed: int | None) -> Any:
    """Return the settings of a campaign YAML; the command line wins."""
    from uqcv.config import load_config
    from uqcv.settings_input import read_overrides

    return load_config(path, read_overrides(settings) | ({} if seed is None else {"seed": seed}))


def resolved_sections(path: Path | None, settings: list[str], *names: str) -> dict[str, Any]:
    """Return some sections of the settings: of a campaign YAML if it is given, else defaults; the command line wins."""
    from uqcv.config import load_sections
    from uqcv.settings_input import read_overrides

    return load_sections(path, read_overrides(settings), names)


def print_summary(folder: Path) -> None:
    """Print the table of a campaign."""
    from rich.console import Console

    from uqcv.analysis.campaign import read_campaign
    from uqcv.analysis.report import summary_table

    Console().print(summary_table(read_campaign(folder)))
