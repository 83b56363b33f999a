"""`uqcv benchmark`: what is compared on the machine, and on the data, of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqcv.cli.options import ConfigOption, Out, path_argument, path_option, resolved_sections

METHODS = "gmm, mahalanobis, last_layer, ensemble, mve, evidential"  # what tells them apart takes a second to import
SET = "a setting of potential, training or uncertainty as key=value, such as training.epochs=200"


def speed(
    out: Annotated[Path, path_option("--out", "-o", help="JSON to write; a plot goes beside it")] = Path("speed.json"),
    folder: Annotated[Path, path_option(help="keeps the potentials, which are trained once")] = Path("runs/speed"),
    atoms: Annotated[list[int], typer.Option(help="sizes of the crystals; 0: none")] = [100, 1000, 5000],  # noqa: B006
    turns: Annotated[int, typer.Option(min=1, help="turns of each method; medians are over turns")] = 7,
    molecule: Annotated[Path | None, path_option(help="PDB that amber14 knows; default: alanine dipeptide")] = None,
    only: Annotated[list[str], typer.Option(help="methods to time beside plain-compiled, without training")] = [],  # noqa: B006
    starts: Annotated[int, typer.Option(min=1, help="processes of each method")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="of everything")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
) -> None:
    """Time plain, biased and fused dynamics, an ensemble of five, and training, side by side.

    A benchmark that was stopped goes on from OUT.partial, with the next system.
    """
    from rich.console import Console

    from uqcv.benchmarks.cases import MOLECULE
    from uqcv.benchmarks.methods import Conditions
    from uqcv.benchmarks.speed import benchmark_speed
    from uqcv.benchmarks.tables import save_plot, speed_table, training_table
    from uqcv.files import write_json
    from uqcv.folders import require_writable

    require_writable(out)
    sizes, partial = [n for n in atoms if n], out.with_name(f"{out.name}.partial")
    conditions = Conditions(turns, seed, dtype, device, tuple(only), starts)
    result = benchmark_speed(folder, molecule or MOLECULE, sizes, conditions, partial)
    write_json(out, result)
    tables = [speed_table(result["rows"]), *([training_table(result["training"])] if result["training"] else [])]
    Console().print(*tables)
    print(f"{out} and {save_plot(result['rows'], out.with_suffix('.png'))}, seed {seed}")


def walkers(
    out: Annotated[Path, path_option("--out", "-o", help="JSON to write")] = Path("walkers.json"),
    folder: Annotated[Path, path_option(help="keeps the potential, which is trained once")] = Path("runs/speed"),
    number: Annotated[int, typer.Option("--walkers", min=1, help="as many at a time as there are cores")] = 8,
    turns: Annotated[int, typer.Option(min=1, help="turns of each way; medians are over turns")] = 5,
    molecule: Annotated[Path | None, path_option(help="PDB that amber14 knows; default: alanine dipeptide")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of everything")] = 0,
) -> None:
    """Time the start of walkers as copies of one process, as in a campaign, and each by itself, side by side."""
    from rich.console import Console

    from uqcv.benchmarks.cases import MOLECULE
    from uqcv.benchmarks.walkers import benchmark_walkers, walkers_table
    from uqcv.files import write_json
    from uqcv.folders import require_writable

    require_writable(out)
    result = benchmark_walkers(folder, molecule or MOLECULE, number, turns, seed)
    write_json(out, result)
    Console().print(walkers_table(result["rows"]))
    print(f"{out}, seed {seed}")


def uq(
    data: Annotated[list[Path], path_argument("labelled extxyz, or .npz of rMD17; together they are the domain")],
    out: Out = Path("runs/uq"),
    train: Annotated[list[int], typer.Option(min=2, help="numbers of training frames; default: half of all")] = [],  # noqa: B006
    validation: Annotated[int | None, typer.Option(min=1, help="choose the epoch; default: a tenth")] = None,
    calibration: Annotated[int | None, typer.Option(min=2, help="frames that calibrate; default: a fifth")] = None,
    test: Annotated[int | None, typer.Option(min=3, help="test frames in the domain; default: the rest")] = None,
    other: Annotated[list[Path], path_option(help="labelled file that is another test set")] = [],  # noqa: B006
    domain_key: Annotated[str | None, typer.Option(help="key of info that tells domains apart")] = None,
    train_on: Annotated[str | None, typer.Option(help="its value in the domain; others are test sets")] = None,
    group_key: Annotated[str | None, typer.Option(help="key of info: frames of one value stay together")] = None,
    train_index: Annotated[Path | None, path_option(help="rows that are the domain, as in rMD17's splits")] = None,
    test_index: Annotated[Path | None, path_option(help="rows that are the test set in the domain")] = None,
    only: Annotated[list[str], typer.Option(help=f"uncertainties to compare: {METHODS}; default: all")] = [],  # noqa: B006
    seeds: Annotated[int, typer.Option(min=1, help="of splits, networks and mixtures, from 0")] = 3,
    processes: Annotated[int | None, typer.Option(min=1, help="at a time; default: one for each core")] = None,
    config: ConfigOption = None,
    settings: Annotated[list[str], typer.Option("--set", help=SET)] = [],  # noqa: B006
) -> None:
    """Compare uncertainties on your data: train, calibrate and test each of them with every seed.

    Writes results.json, tables.md and figures into OUT; the same command goes on after an interruption, and one with
    more --seeds, --train or --only extends what is there.
    """
    from uqcv.benchmarks.uq.data import Source
    from uqcv.benchmarks.uq.plan import make_plan, require_no_method
    from uqcv.benchmarks.uq.run import compare
    from uqcv.benchmarks.uq.tables import report as tables_of
    from uqcv.settings_input import read_overrides

    require_no_method(read_overrides(settings))
    # Each atom as it is, and all atoms in a frame: what a collective variable leaves out counts here too.
    plain = ["uncertainty.pooling.transform=none", "uncertainty.pooling.atoms=all"]
    chosen = resolved_sections(config, [*plain, *settings], "potential", "training", "uncertainty")
    source = Source(tuple(data), tuple(other), domain_key, train_on, group_key, train_index, test_index)
    held_out = {"validation": validation, "calibration": calibration, "test": test}
    plan = make_plan(source, train, held_out, seeds, only, chosen)
    print(tables_of(compare(plan, out, processes)))
    print(f"{out / 'tables.md'}, results.json and figures are in {out}; seeds 0 to {seeds - 1}")
