"""All commands, in the order in which help shows them, and how a run of one ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

import typer

from uqcv.cli.benchmark import speed, uq, walkers
from uqcv.cli.campaign import report, run, status
from uqcv.cli.model import evaluate, export, fit, train
from uqcv.cli.reference import free_energy, reference_sample
from uqcv.cli.sampling import harvest, label, sample
from uqcv.cli.study import study
from uqcv.cli.tools import doctor, plumed
from uqcv.errors import UqcvError, one_line, system_error

INTERRUPTED = 130  # 128 and the number of SIGINT
PASSES_ARGUMENTS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
COMMANDS: tuple[Callable[..., None], ...] = (
    *(run, status, report, study),
    *(train, fit, export, evaluate),
    *(sample, harvest, label),
    doctor,
)

app = typer.Typer(
    name="uqcv",
    help="Make a neural network potential find the structures that it was never trained on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in COMMANDS:
    app.command()(_command)
app.command(context_settings=PASSES_ARGUMENTS_ON)(plumed)

reference_app = typer.Typer(help="Reference data of a system.", no_args_is_help=True)
reference_app.command("free-energy")(free_energy)
reference_app.command("sample")(reference_sample)
app.add_typer(reference_app, name="reference")

benchmark_app = typer.Typer(help="What uqcv costs on this machine, measured side by side.", no_args_is_help=True)
benchmark_app.command("speed")(speed)
benchmark_app.command("walkers")(walkers)
benchmark_app.command("uq")(uq)
app.add_typer(benchmark_app, name="benchmark")


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
        print("uqcv: stopped; the same command goes on with what is written", file=sys.stderr)
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
