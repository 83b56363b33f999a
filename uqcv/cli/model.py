"""Commands that make a model, and those that use what it says: potential, uncertainty, collective variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uqcv.cli.options import BundleArgument, ConfigOption, Out, Setting, path_argument, path_option, resolved_sections
from uqcv.errors import InputError


def train(
    training: Annotated[Path, path_argument("labelled extxyz")],
    validation: Annotated[Path, path_argument("labelled extxyz that chooses the epoch")],
    out: Out = Path("training"),
    config: ConfigOption = None,
    start: Annotated[Path | None, path_option(help="potential.pt to go on from")] = None,
    seed: Annotated[int, typer.Option(help="of weights and batches")] = 0,
    settings: Setting = [],  # noqa: B006
) -> None:
    """Train a potential; an interrupted training goes on. Writes potential.pt and history.csv."""
    from uqcv.active_learning.stages import train_potential

    chosen = resolved_sections(config, settings, "potential", "training", "uncertainty")
    errors = train_potential(
        training, validation, out, chosen["potential"], chosen["training"], seed, start, chosen["uncertainty"]
    )
    print(f"validation: energy error {errors.energy_mae:.4f} eV, force error {1000 * errors.force_mae:.1f} meV/Å (MAE)")


def fit(
    potential: Annotated[Path, path_argument("potential.pt that `uqcv train` wrote")],
    training: Annotated[Path, path_argument("labelled extxyz that it was trained on")],
    calibration: Annotated[Path, path_argument("labelled extxyz that it has not seen")],
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

    chosen = resolved_sections(config, settings, "uncertainty")["uncertainty"]
    trained = load_networks(potential, networks_for(chosen))
    require_writable(out, folder=True)
    require_replaceable(out)
    seen, unseen = read_structures(training, labelled=True), read_structures(calibration, labelled=True)
    for structures, source in ((seen, training), (unseen, calibration)):
        require_elements(structures, trained[0].elements, source)
    fitted = fit_bundle(trained, seen, unseen, chosen, seed, {"potential": str(potential)})
    fitted.save(out)
    law, what = fitted.settings.frame_calibration, f"{chosen.method} speaks of {fitted.model.speaks_of}"
    print(f"{out}: bundle {fitted.short_hash}, calibrated on {law.n} frames at a coverage of {law.coverage:g}; {what}")


def export(
    bundle: BundleArgument,
    out: Annotated[Path, path_argument("folder to write")],
    top: Annotated[Path | None, path_option(help="PDB of the system; default: that of the training frames")] = None,
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


def evaluate(
    bundle: BundleArgument,
    trajectory: Annotated[Path, path_argument("DCD, XTC, PDB, ...")],
    top: Annotated[Path | None, path_option(help="PDB with the atoms of the trajectory")] = None,
    out: Out = Path("uncertainty"),
    dtype: Annotated[str, typer.Option(help="float64 or float32")] = "float64",
) -> None:
    """Evaluate a trajectory: a table per frame, one per atom, and a PDB with the uncertainty as B-factors."""
    from uqcv.active_learning.stages import evaluate_file

    for path in evaluate_file(bundle, trajectory, top, out, dtype):
        print(path)
