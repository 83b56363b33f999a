"""Commands from a model to new labels: walkers, selected frames, their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqcv.cli.options import (
    BundleArgument,
    ConfigArgument,
    ConfigOption,
    Out,
    Setting,
    path_argument,
    path_option,
    resolved_config,
    resolved_sections,
)


def sample(
    bundle: BundleArgument,
    start: Annotated[Path, path_argument("labelled extxyz with frames to start from")],
    top: Annotated[Path, path_option(help="PDB with atoms and bonds")],
    out: Out = Path("walkers"),
    config: ConfigOption = None,
    seed: Annotated[int, typer.Option(help="of starts, velocities and thermostats")] = 0,
    new_bias: Annotated[bool, typer.Option("--new-bias", help="throw away the walkers that are there")] = False,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Run walkers with a bundle; those that have ended are not run again, those that were interrupted go on."""
    from uqcv.active_learning.stages import sample_bundle

    chosen = resolved_sections(config, settings, "sampling")["sampling"]
    for k, end in enumerate(sample_bundle(bundle, start, top, out, chosen, seed, new_bias)):
        print(f"walker {k}: {end.reason} after {end.steps} steps, {1000 * end.seconds / max(1, end.steps):.2f} ms each")


def harvest(
    bundle: BundleArgument,
    walkers: Annotated[Path, path_argument("folder that `uqcv sample` wrote")],
    training: Annotated[Path, path_argument("extxyz that the bundle was trained on")],
    top: Annotated[Path, path_option(help="PDB with atoms and bonds")],
    out: Out = Path("selected.extxyz"),
    config: ConfigOption = None,
    seed: Annotated[int, typer.Option(help="of cooling, if harvest.cooling asks for it")] = 0,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Select the frames of walkers that are worth a label; says how many fell at each step."""
    from uqcv.active_learning.stages import harvest_walkers

    chosen = resolved_sections(config, settings, "harvest", "sampling")
    result = harvest_walkers(bundle, walkers, training, top, out, chosen["harvest"], chosen["sampling"], seed)
    print(f"{result.funnel}\nunsure: U above {result.threshold:.6g}; unphysical: {result.problems or 'none'}")


def label(
    config: ConfigArgument,
    structures: Annotated[Path, path_argument("extxyz to label")],
    out: Out = Path("labelled.extxyz"),
) -> None:
    """Label structures by the reference method of a campaign; failures are recorded and skipped."""
    from uqcv.active_learning.stages import label_file

    labelled, failures = label_file(resolved_config(config, [], None).reference, structures, out)
    print(f"{out}: {len(labelled)} labelled, {len(failures)} failed")
