"""Running the walkers of a generation in parallel; those that are done stay done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from uqcv.files import read_json, read_with
from uqcv.folders import remove_leftovers
from uqcv.processes import available_cores, run_in_processes
from uqcv.simulation.checkpoint import remove_checkpoint, require_same
from uqcv.simulation.walker import CHECKPOINT_FILE, END_FILE, PLAN_FILE, WalkerEnd, WalkerPlan


def run_walkers(
    plans: Sequence[WalkerPlan],
    n_processes: int | None,
    report: Callable[[float, str], None] | None = None,
    new_bias: bool = False,
) -> list[WalkerEnd]:
    """Run every walker that has not ended yet; return how all of them ended.

    A walker that was interrupted goes on from its last checkpoint; the result does not depend on interruptions.

    Parameters
    ----------
    plans
        What to run.
    n_processes
        Walkers at a time; None: one per core.
    report
        Called with the steps done by all.
    new_bias
        Whether all begin anew, whatever is there.

    Raises
    ------
    IdentityError
        If a walker that is there already is of another model, PLUMED input, start or setting.
    """
    for plan in plans:
        if new_bias:
            shutil.rmtree(plan.folder, ignore_errors=True)
        elif (plan.folder / PLAN_FILE).is_file():
            require_same(read_json(plan.folder / PLAN_FILE), plan.identity(), str(plan.folder))
    open_plans = []
    for plan in plans:
        if (plan.folder / END_FILE).is_file():
            remove_checkpoint(plan.folder / CHECKPOINT_FILE)  # a walker may have been killed just before it would
        else:
            open_plans.append(plan)
            _tidy(plan.folder)
    run_in_processes(_run, open_plans, n_processes or available_cores(), report)
    return [read_end(plan.folder) for plan in plans]


def _tidy(folder: Path) -> None:
    """Remove what a walker that was killed cannot go on with."""
    if (folder / CHECKPOINT_FILE).is_file():
        remove_leftovers(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _run(plan: WalkerPlan, progress: Callable[[int], None]) -> None:
    # Imported here, in the walker's own process: each engine starts with one thread of its own.
    import torch

    from uqcv.simulation.walker import run_walker

    torch.set_num_threads(1)
    run_walker(plan, progress)


def read_end(folder: Path) -> WalkerEnd:
    """Return how the walker in `folder` ended.

    Raises
    ------
    InputError
        If the file that says so does not.
    """
    path = folder / END_FILE
    return read_with(path, lambda p: WalkerEnd(**read_json(p)), "how a walker ended")
