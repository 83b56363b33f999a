"""`uqcv reference`: frames and free energies of the reference method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqcv.cli.options import ConfigArgument, Out, Seed, Setting, path_option, resolved_config


def free_energy(
    config: ConfigArgument,
    out: Annotated[Path | None, path_option("--out", "-o", help="CSV; default: that of the YAML")] = None,
    length: Annotated[float, typer.Option(help="of the dynamics, fs")] = 1e7,
    seed: Annotated[int, typer.Option(help="of the dynamics")] = 1,
    grid: Annotated[int, typer.Option(help="bins along each torsion")] = 12,
) -> None:
    """Compute the free energy over the torsions with the reference method."""
    from uqcv.active_learning.stages import reference_surface

    print(reference_surface(resolved_config(config, [], None), out, length, seed, grid))


def reference_sample(
    config: ConfigArgument,
    out: Out = Path("frames.extxyz"),
    turn: Annotated[list[str], typer.Option(help="torsion=degrees to start at, such as phi=60")] = [],  # noqa: B006
    seed: Seed = None,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Write labelled frames of dynamics with the reference method, as `initial` of the settings says.

    Interrupted, the same command goes on.
    """
    from uqcv.active_learning.reference_dynamics import write_reference_frames
    from uqcv.folders import require_writable
    from uqcv.settings_input import read_angles

    require_writable(out)
    resolved = resolved_config(config, settings, seed)
    frames = write_reference_frames(resolved, read_angles(turn), out)
    print(f"{out}: {len(frames)} frames at {resolved.initial.temperature:g} K, seed {resolved.seed}")
