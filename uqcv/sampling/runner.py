"""Running the walkers of a generation in parallel; those that are done stay done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from uqcv.folders import remove_leftovers
from uqcv.forks import Preparation, run_in_forks
from uqcv.processes import available_cores
from uqcv.simulation.checkpoint import remove_checkpoint
from uqcv.simulation.identity import read_identity, require_same
from uqcv.simulation.walker import CHECKPOINT_FILE, PLAN_FILE
from uqcv.simulation.walker_end import END_FILE, WalkerEnd, read_end


class Plan(Protocol):
    """What one process does, and leaves in a folder of its own.

    Attributes
    ----------
    folder
        Where it writes; `end.json` in it comes last.
    shared_folder
        Where those that share one bias keep it, or None.
    n_steps
        How much it is, for progress.
    """

    @property
    def folder(self) -> Path: ...  # noqa: D102

    @property
    def shared_folder(self) -> Path | None: ...  # noqa: D102

    @property
    def n_steps(self) -> int: ...  # noqa: D102

    def identity(self) -> dict[str, Any]:
        """Return what its result depends on."""
        ...

    @property
    def preparation(self) -> Preparation | None:
        """What loads what others of its kind need too, if processes can begin as copies of one that has."""
        ...

    def run(self, report: Callable[[int], None] | None = None) -> WalkerEnd:
        """Do it, in the current process; `report` is called with the steps done."""
        ...


def run_walkers(
    plans: Sequence[Plan],
    n_processes: int | None,
    report: Callable[[float, str], None] | None = None,
    new_bias: bool = False,
    copies: bool = True,
) -> list[WalkerEnd]:
    """Run every walker that has not ended yet; return how all of them ended.

    A walker that was interrupted goes on from its last checkpoint. The result does not depend on interruptions, unless
    walkers share a bias: then it depends on when each reads the hills of the others, in any case.

    Parameters
    ----------
    plans
        What to run.
    n_processes
        Walkers at a time; None: one per core, or all if they share a bias.
    report
        Called with the steps done by all.
    new_bias
        Whether all begin anew, whatever is there.
    copies
        Whether those on the CPU begin as copies of one process, which takes less time and changes nothing else.

    Raises
    ------
    IdentityError
        If a walker that is there already is of another model, PLUMED input, start or setting.
    """
    for plan in plans:
        if new_bias:
            for folder in (*plan.folder.parent.glob("walker-*"), *filter(None, [plan.shared_folder])):
                shutil.rmtree(folder, ignore_errors=True)
        elif (plan.folder / PLAN_FILE).is_file():
            require_same(read_identity(plan.folder / PLAN_FILE), plan.identity(), str(plan.folder))
    for plan in plans:
        _tidy(plan)
    open_plans = [plan for plan in plans if not (plan.folder / END_FILE).is_file()]
    sharing = sum(plan.shared_folder is not None for plan in plans)
    n = n_processes or max(sharing, available_cores())
    prepare = open_plans[0].preparation if copies and open_plans else None
    run_in_forks(_run, open_plans, n, prepare, report, _name)
    return [read_end(plan.folder) for plan in plans]


def _tidy(plan: Plan) -> None:
    """Remove what one that has ended does not need, and what one that was killed cannot go on with."""
    if (plan.folder / END_FILE).is_file():
        remove_checkpoint(plan.folder / CHECKPOINT_FILE)  # it may have been killed just before it would
        return
    if plan.shared_folder is not None:
        remove_leftovers(plan.shared_folder)
    if (plan.folder / CHECKPOINT_FILE).is_file():
        remove_leftovers(plan.folder)
    else:
        shutil.rmtree(plan.folder, ignore_errors=True)


def _run(plan: Plan, progress: Callable[[int], None]) -> None:
    _one_thread()
    plan.run(progress)


def _one_thread() -> None:
    # Imported here, in a process for walkers: each engine starts with one thread of its own.
    import torch

    torch.set_num_threads(1)


def _name(plan: Plan) -> str:
    return plan.folder.name
