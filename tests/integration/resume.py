"""Goes on with campaigns that a crash interrupted, without importing all that they need each time anew.

A process that has imported everything, and computed nothing, forks a child for each campaign, which is killed or ends.
It reads the paths of folders from its standard input, a line each, and answers each with an exit code; what was said
lies beside the folder.

    python resume.py SETTINGS CORE
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import uqcv.active_learning.cooling
import uqcv.active_learning.manager
import uqcv.analysis.plots
import uqcv.analysis.report
import uqcv.colvars.pycv
import uqcv.simulation.walker  # these are what a campaign imports late
from uqcv.cli.campaign import run
from uqcv.errors import UqcvError
from uqcv.sampling import runner


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked process; return its exit code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def serve_walkers(connection: Connection) -> None:
    """Run each item that comes in a process of its own; this one has computed nothing that they could inherit."""
    with contextlib.suppress(EOFError):
        while True:
            function, item = connection.recv()
            connection.send(in_child(lambda: function(item, lambda done: None)))  # noqa: B023 (called at once)


def go_on(settings: Path, folder: Path) -> None:
    """Run `uqcv run` in this process; walkers one after another, each in a process that was forked before."""
    ours, theirs = multiprocessing.Pipe()
    if not os.fork():
        ours.close()
        serve_walkers(theirs)
        os._exit(0)
    theirs.close()

    def run_in_forks(function: Callable, items: Sequence[Any], *_: object) -> None:
        for item in items:
            ours.send((function, item))
            if ours.recv():
                raise UqcvError("a walker failed")

    runner.run_in_forks = uqcv.active_learning.cooling.run_in_forks = run_in_forks
    with open(folder.with_suffix(".log"), "w") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    if not (folder / "report").is_dir():  # the pictures of what is compared anyhow would take most of the time
        uqcv.analysis.report.write_report = lambda folder: []
    run(settings, folder, settings=[])


def main() -> None:
    settings, core = Path(sys.argv[1]), int(sys.argv[2])
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        print(in_child(lambda: go_on(settings, Path(line.strip()))), flush=True)  # noqa: B023


if __name__ == "__main__":
    main()
