"""Commands of a whole campaign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqcv.cli.options import (
    CampaignArgument,
    ConfigArgument,
    Seed,
    Setting,
    path_option,
    print_summary,
    resolved_config,
)


def run(
    config: ConfigArgument,
    out: Annotated[Path | None, path_option("--out", "-o", help="folder; default: runs/<name>")] = None,
    seed: Seed = None,
    settings: Setting = [],  # noqa: B006 (typer reads the default)
) -> None:
    """Run a campaign, or go on with it: train, fit, sample, harvest, label, repeat."""
    from uqcv.active_learning.manager import Campaign
    from uqcv.analysis.report import write_report
    from uqcv.progress import say

    resolved = resolved_config(config, settings, seed)
    folder = out or Path("runs") / resolved.name
    Campaign(resolved, folder).run()
    write_report(folder)
    print_summary(folder)
    say(f"pictures are in {folder / 'report'}")


def status(
    folder: CampaignArgument, json: Annotated[bool, typer.Option("--json", help="as JSON, for scripts")] = False
) -> None:
    """Say where a campaign stands."""
    from uqcv.analysis.report import campaign_status

    content = campaign_status(folder)
    if json:
        import json as json_module

        print(json_module.dumps(content, indent=2))
    else:
        print_summary(folder)
        print(", ".join(f"{k}: {v}" for k, v in content.items() if not isinstance(v, dict | list)))


def report(folder: CampaignArgument) -> None:
    """Draw the pictures of a campaign and print its table."""
    from uqcv.analysis.report import write_report

    for path in write_report(folder):
        print(path)
    print_summary(folder)
