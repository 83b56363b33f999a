"""Command line: parse, import late, call."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from uqcv.errors import InputError, UqcvError, one_line, system_error

INTERRUPTED = 130  # 128 and the number of SIGINT

app = typer.Typer(
    name="uqcv",
    help="Make a neural network potential find the structures that it was never trained on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
reference_app = typer.Typer(help="Reference data of a system.", no_args_is_help=True)
app.add_typer(reference_app, name="reference")
benchmark_app = typer.Typer(help="What uqcv costs on this machine, measured side by side.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")


def _path_argument(help: str) -> Any:
    """Return an argument that is a path; what cannot be read is said in a line of ours, by who reads it."""
    return typer.Argument(help=help, readable=False)


def _path_option(*names: str, help: str) -> Any:
    """Return an option that is a path; see `_path_argument`."""
    return typer.Option(*names, help=help, readable=False)


Out = Annotated[Path, _path_option("--out", "-o", help="where results go")]
Seed = Annotated[int | None, typer.Option(help="overrides the seed of the settings")]
Setting = Annotated[list[str], typer.Option("--set", help="a setting as key=value, such as sampling.walkers=8")]
ConfigOption = Annotated[Path | None, _path_option("--config", "-c", help="campaign YAML whose settings are used")]
ConfigArgument = Annotated[Path, _path_argument("campaign YAML")]
BundleArgument = Annotated[Path, _path_argument("folder that `uqcv fit` wrote")]
CampaignArgument = Annotated[Path, _path_argument("folder of a campaign")]


@app.command()
def run(
    config: ConfigArgument,
    out: Annotated[Path | None, _path_option("--out", "-o", help="folder; default: runs/<name>")] = None,
    seed: Seed = None,
    settings: Setting = [],  # noqa: B006 (typer reads the default)
) -> None:
    """Run a campaign, or go on with it: train, fit, sample, harvest, label, repeat."""
    from uqcv.active_learning.manager import Campaign
    from uqcv.analysis.report import write_report
    from uqcv.progress import say

    resolved = _config(config, settings, seed)
    folder = out or Path("runs") / resolved.name
    Campaign(resolved, folder).run()
    write_report(folder)
    _print_summary(folder)
    say(f"pictures are in {folder / 'report'}")


@app.command()
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
        _print_summary(folder)
        print(", ".join(f"{k}: {v}" for k, v in content.items() if not isinstance(v, dict | list)))


@app.command()
def report(folder: CampaignArgument) -> None:
    """Draw the pictures of a campaign and print its table."""
    from uqcv.analysis.report import write_report

    for path in write_report(folder):
        print(path)
    _print_summary(folder)


@app.command()
def train(
    training: Annotated[Path, _path_argument("labelled extxyz")],
    validation: Annotated[Path, _path_argument("labelled extxyz that chooses the epoch")],
    out: Out = Path("training"),
    config: ConfigOption = None,
    start: Annotated[Path | None, _path_option(help="potential.pt to go on from")] = None,
    seed: Annotated[int, typer.Option(help="of weights and batches")] = 0,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Train a potential; an interrupted training goes on. Writes potential.pt and history.csv."""
    from uqcv.active_learning.stages import train_potential

    chosen = _sections(config, settings, "potential", "training", "uncertainty")
    errors = train_potential(
        training, validation, out, chosen["potential"], chosen["training"], seed, start, chosen["uncertainty"]
    )
    print(f"validation: energy error {errors.energy_mae:.4f} eV, force error {1000 * errors.force_mae:.1f} meV/Å (MAE)")


@app.command()
def fit(
    potential: Annotated[Path, _path_argument("potential.pt that `uqcv train` wrote")],
    training: Annotated[Path, _path_argument("labelled extxyz that it was trained on")],
    calibration: Annotated[Path, _path_argument("labelled extxyz that it has not seen")],
    out: Out = Path("bundle"),
    config: ConfigOption = None,
    seed: Annotated[int, typer.Option(help="of the mixture's start")] = 0,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Fit the uncertainty of a potential, calibrate it, and write both as a bundle."""
    from uqcv.active_learning.networks import load_networks
    from uqcv.colvars.bundle import require_replaceable
    from uqcv.colvars.fitting import fit_bundle
    from uqcv.colvars.methods import networks_for
    from uqcv.folders import require_writable
    from uqcv.structures import read_structures, require_elements

    chosen = _sections(config, settings, "uncertainty")["uncertainty"]
    trained = load_networks(potential, networks_for(chosen))
    require_writable(out, folder=True)
    require_replaceable(out)
    seen, unseen = read_structures(training, labelled=True), read_structures(calibration, labelled=True)
    for structures, source in ((seen, training), (unseen, calibration)):
        require_elements(structures, trained[0].elements, source)
    fitted = fit_bundle(trained, seen, unseen, chosen, seed, {"potential": str(potential)})
    fitted.save(out)
    law = fitted.settings.frame_calibration
    print(f"{out}: bundle {fitted.short_hash}, calibrated on {law.n} frames at a coverage of {law.coverage:g}")


@app.command()
def export(
    bundle: BundleArgument,
    out: Annotated[Path, _path_argument("folder to write")],
    top: Annotated[Path | None, _path_option(help="PDB of the system; default: that of the training frames")] = None,
    component: Annotated[list[str], typer.Option(help="pooled values to offer")] = ["mean"],  # noqa: B006
    dtype: Annotated[str, typer.Option(help="float64 or float32")] = "float64",
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
) -> None:
    """Write the uncertainty as a collective variable for any PLUMED with the PyCV plugin."""
    from uqcv.colvars.bundle import Bundle
    from uqcv.colvars.export import export as export_bundle
    from uqcv.folders import require_writable
    from uqcv.potentials.devices import require_device
    from uqcv.simulation.plumed_kernel import pycv_plugin
    from uqcv.structures import require_elements

    model = Bundle.load(bundle)
    numbers = pbc = None
    if top is not None:
        from uqcv.analysis.trajectories import read_trajectory

        system = read_trajectory(top, top)[0]
        require_elements([system], model.settings.elements, top)
        numbers, pbc = system.numbers.tolist(), system.pbc.tolist()
    if dtype not in ("float32", "float64"):
        raise InputError(f"--dtype {dtype} was given; float32 or float64 is expected")
    require_device(device)
    require_writable(out, folder=True)
    components: Any = tuple(component)
    path = export_bundle(model, out, numbers, pbc, components, dtype, device, plugin=str(pycv_plugin()))
    print(f"{path}: see {out / 'plumed.dat'}; put {out} on PYTHONPATH, or use `uqcv plumed --cv {out} ...`")


@app.command()
def evaluate(
    bundle: BundleArgument,
    trajectory: Annotated[Path, _path_argument("DCD, XTC, PDB, ...")],
    top: Annotated[Path | None, _path_option(help="PDB with the atoms of the trajectory")] = None,
    out: Out = Path("uncertainty"),
    dtype: Annotated[str, typer.Option(help="float64 or float32")] = "float64",
) -> None:
    """Evaluate a trajectory: a table per frame, one per atom, and a PDB with the uncertainty as B-factors."""
    from uqcv.active_learning.stages import evaluate_file

    for path in evaluate_file(bundle, trajectory, top, out, dtype):
        print(path)


@app.command()
def sample(
    bundle: BundleArgument,
    start: Annotated[Path, _path_argument("labelled extxyz with frames to start from")],
    top: Annotated[Path, _path_option(help="PDB with atoms and bonds")],
    out: Out = Path("walkers"),
    config: ConfigOption = None,
    seed: Annotated[int, typer.Option(help="of starts, velocities and thermostats")] = 0,
    new_bias: Annotated[bool, typer.Option("--new-bias", help="throw away the walkers that are there")] = False,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Run walkers with a bundle; those that have ended are not run again, those that were interrupted go on."""
    from uqcv.active_learning.stages import sample_bundle

    chosen = _sections(config, settings, "sampling")["sampling"]
    for k, end in enumerate(sample_bundle(bundle, start, top, out, chosen, seed, new_bias)):
        print(f"walker {k}: {end.reason} after {end.steps} steps, {1000 * end.seconds / max(1, end.steps):.2f} ms each")


@app.command()
def harvest(
    bundle: BundleArgument,
    walkers: Annotated[Path, _path_argument("folder that `uqcv sample` wrote")],
    training: Annotated[Path, _path_argument("extxyz that the bundle was trained on")],
    top: Annotated[Path, _path_option(help="PDB with atoms and bonds")],
    out: Out = Path("selected.extxyz"),
    config: ConfigOption = None,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Select the frames of walkers that are worth a label; says how many fell at each step."""
    from uqcv.active_learning.stages import harvest_walkers

    chosen = _sections(config, settings, "harvest", "sampling")
    result = harvest_walkers(bundle, walkers, training, top, out, chosen["harvest"], chosen["sampling"])
    print(f"{result.funnel}\nunsure: U above {result.threshold:.6g}; unphysical: {result.problems or 'none'}")


@app.command()
def label(
    config: ConfigArgument,
    structures: Annotated[Path, _path_argument("extxyz to label")],
    out: Out = Path("labelled.extxyz"),
) -> None:
    """Label structures by the reference method of a campaign; failures are recorded and skipped."""
    from uqcv.active_learning.stages import label_file

    labelled, failures = label_file(_config(config, [], None).reference, structures, out)
    print(f"{out}: {len(labelled)} labelled, {len(failures)} failed")


@reference_app.command("free-energy")
def free_energy(
    config: ConfigArgument,
    out: Annotated[Path | None, _path_option("--out", "-o", help="CSV; default: that of the YAML")] = None,
    length: Annotated[float, typer.Option(help="of the dynamics, fs")] = 1e7,
    seed: Annotated[int, typer.Option(help="of the dynamics")] = 1,
    grid: Annotated[int, typer.Option(help="bins along each torsion")] = 12,
) -> None:
    """Compute the free energy over the torsions with the reference method."""
    from uqcv.active_learning.stages import reference_surface

    print(reference_surface(_config(config, [], None), out, length, seed, grid))


@reference_app.command("sample")
def reference_sample(
    config: ConfigArgument,
    out: Out = Path("frames.extxyz"),
    turn: Annotated[list[str], typer.Option(help="torsion=degrees to start at, such as phi=60")] = [],  # noqa: B006
    seed: Seed = None,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Write labelled frames of dynamics with the reference method, as `initial` of the settings says."""
    from uqcv.active_learning.reference_data import reference_frames
    from uqcv.config import read_angles
    from uqcv.folders import require_writable
    from uqcv.structures import write_structures

    require_writable(out)
    resolved = _config(config, settings, seed)
    frames = reference_frames(resolved, read_angles(turn))
    write_structures(out, frames)
    print(f"{out}: {len(frames)} frames at {resolved.initial.temperature:g} K, seed {resolved.seed}")


@benchmark_app.command("speed")
def benchmark_speed(
    out: Annotated[Path, _path_option("--out", "-o", help="JSON to write; a plot goes beside it")] = Path("speed.json"),
    folder: Annotated[Path, _path_option(help="keeps the potentials, which are trained once")] = Path("runs/speed"),
    atoms: Annotated[list[int], typer.Option(help="sizes of the crystals; 0: none")] = [100, 1000, 5000],  # noqa: B006
    turns: Annotated[int, typer.Option(min=1, help="turns of each method; medians are over turns")] = 7,
    molecule: Annotated[Path | None, _path_option(help="PDB that amber14 knows; default: alanine dipeptide")] = None,
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
    from uqcv.benchmarks.speed import benchmark_speed as measure
    from uqcv.benchmarks.tables import save_plot, speed_table, training_table
    from uqcv.files import write_json
    from uqcv.folders import require_writable

    require_writable(out)
    sizes, partial = [n for n in atoms if n], out.with_name(f"{out.name}.partial")
    conditions = Conditions(turns, seed, dtype, device, tuple(only), starts)
    result = measure(folder, molecule or MOLECULE, sizes, conditions, partial)
    write_json(out, result)
    tables = [speed_table(result["rows"]), *([training_table(result["training"])] if result["training"] else [])]
    Console().print(*tables)
    print(f"{out} and {save_plot(result['rows'], out.with_suffix('.png'))}, seed {seed}")


@benchmark_app.command("uq")
def benchmark_uq(
    data: Annotated[list[Path], _path_argument("labelled extxyz, or .npz of rMD17; together they are the domain")],
    out: Out = Path("runs/uq"),
    train: Annotated[list[int], typer.Option(min=2, help="numbers of training frames; default: half")] = [],  # noqa: B006
    validation: Annotated[int | None, typer.Option(min=1, help="frames that choose the epoch")] = None,
    calibration: Annotated[int | None, typer.Option(min=2, help="frames that calibrate")] = None,
    test: Annotated[int | None, typer.Option(min=3, help="test frames in the domain; default: the rest")] = None,
    other: Annotated[list[Path], _path_option(help="labelled file that is another test set")] = [],  # noqa: B006
    domain_key: Annotated[str | None, typer.Option(help="key of info that tells domains apart")] = None,
    train_on: Annotated[str | None, typer.Option(help="its value in the domain; others are test sets")] = None,
    group_key: Annotated[str | None, typer.Option(help="key of info: frames of one value stay together")] = None,
    train_index: Annotated[Path | None, _path_option(help="rows that are the domain, as in rMD17's splits")] = None,
    test_index: Annotated[Path | None, _path_option(help="rows that are the test set in the domain")] = None,
    only: Annotated[list[str], typer.Option(help="uncertainties to compare; default: all")] = [],  # noqa: B006
    seeds: Annotated[int, typer.Option(min=1, help="of splits, networks and mixtures, from 0")] = 3,
    processes: Annotated[int | None, typer.Option(min=1, help="at a time; default: one for each core")] = None,
    config: ConfigOption = None,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Compare uncertainties on your data: train, calibrate and test each of them with every seed.

    Writes results.json, tables.md and figures into OUT; the same command goes on after an interruption.
    """
    from uqcv.benchmarks.uq.data import Source
    from uqcv.benchmarks.uq.plan import make_plan
    from uqcv.benchmarks.uq.run import compare
    from uqcv.benchmarks.uq.tables import report as tables_of

    # Each atom as it is, and all atoms in a frame: what a collective variable leaves out counts here too.
    plain = ["uncertainty.pooling.transform=none", "uncertainty.pooling.atoms=all"]
    chosen = _sections(config, [*plain, *settings], "potential", "training", "uncertainty")
    source = Source(tuple(data), tuple(other), domain_key, train_on, group_key, train_index, test_index)
    held_out = {"validation": validation, "calibration": calibration, "test": test}
    plan = make_plan(source, train, held_out, seeds, only, chosen)
    print(tables_of(compare(plan, out, processes)))
    print(f"{out / 'tables.md'}, results.json and figures are in {out}; seeds 0 to {seeds - 1}")


@app.command()
def doctor(
    bundle: Annotated[Path | None, _path_argument("folder that `uqcv fit` wrote; default: no model")] = None,
    plumed: Annotated[Path | None, _path_option(help="PLUMED input to check, with the model if it is given")] = None,
    structure: Annotated[
        Path | None, _path_option(help="extxyz of the model's system; default: the training frames beside the model")
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


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def plumed(
    context: typer.Context,
    cv: Annotated[list[Path], _path_option(help="folder that `uqcv export` wrote")] = [],  # noqa: B006
) -> None:
    """Run the `plumed` program, with PyCV working, such as: uqcv plumed --cv cv driver --plumed plumed.dat ..."""
    import subprocess

    from uqcv.simulation.plumed_kernel import plumed_program, program_environment

    for folder in cv:
        if not any(folder.glob("uqcv_*.py")):
            raise InputError(f"{folder}: no exported CV (uqcv_*.py); give a folder that `uqcv export` wrote")
    done = subprocess.run([plumed_program(), *context.args], env=program_environment(*cv), check=False)
    raise typer.Exit(done.returncode)


def _config(path: Path, settings: list[str], seed: int | None) -> Any:
    from uqcv.config import load_config, read_overrides

    return load_config(path, read_overrides(settings) | ({} if seed is None else {"seed": seed}))


def _sections(path: Path | None, settings: list[str], *names: str) -> dict[str, Any]:
    from uqcv.config import load_sections, read_overrides

    return load_sections(path, read_overrides(settings), names)


def _print_summary(folder: Path) -> None:
    from rich.console import Console

    from uqcv.analysis.campaign import read_campaign
    from uqcv.analysis.report import summary_table

    Console().print(summary_table(read_campaign(folder)))


def main() -> None:
    """Run the command line; an error of ours, or of the system, is one line and exit code 2."""
    try:
        _run_app()
    except (UqcvError, OSError, MemoryError, RuntimeError) as error:
        line = one_line(error)
        if line is None:
            raise
        print(f"uqcv: {line}", file=sys.stderr)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer turns an interrupt into exit code 130 without a word.
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        print("uqcv: stopped; run the same command again to go on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _run_app() -> None:
    try:
        app()
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            # Python would try again at its end, and print more than one line.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno != errno.EPIPE:  # whoever reads us may stop reading
                raise system_error(error, "standard output") from None


if __name__ == "__main__":
    main()
