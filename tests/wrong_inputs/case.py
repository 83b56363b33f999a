"""One wrong input: how it is made, the command that meets it, and what comes of it."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from .commands import Outcome, run_apart, run_here

EXECUTED = "executed"  # a file that a malicious pickle makes if it is unpickled
# What a command says of its work before it meets what is wrong is no part of the error.
TROUBLE = re.compile(r"Traceback|Warning|Error|^Exception", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A wrong input.

    Attributes
    ----------
    wrong
        What is wrong, for the table.
    command
        As it is typed, in a folder of good files that `spoil` has spoilt.
    spoil
        Makes the wrong input, in the working directory.
    under
        The condition under which the command runs, such as a disk that is full.
    leaves
        Patterns of files that may be there afterwards, or be changed: what is done is kept.
    apart
        Whether the command needs a shell and a process of its own.
    """

    wrong: str
    command: str
    spoil: Callable[[], None] = lambda: None
    under: Callable[[], AbstractContextManager[None]] = nullcontext
    leaves: tuple[str, ...] = ()
    apart: bool = False


@dataclass(frozen=True)
class Result:
    """What a case came to.

    Attributes
    ----------
    outcome
        Exit code and output.
    touched
        Files and folders that are new, changed or gone and that the case does not declare.
    executed
        Whether something in the input was executed.
    """

    outcome: Outcome
    touched: list[str]
    executed: bool

    @property
    def lines(self) -> list[str]:
        """What the user sees of the error: our line, or what stands in the frame that typer draws."""
        shown = self.outcome.err.splitlines()
        framed = [line.strip("│ ") for line in shown if line.startswith("│")]
        return [line for line in shown if line.startswith("uqcv: ")] or framed or shown

    @property
    def flaw(self) -> str | None:
        """Say which part of the rule is broken, or None."""
        code, _, err = self.outcome
        ours = [line for line in err.splitlines() if line.startswith("uqcv: ")]
        is_usage = err.startswith("Usage: ")
        if code != 2:
            return f"exit code {code}; 2 is expected"
        if TROUBLE.search(err) and not is_usage:
            return "more than one clear line"
        if not is_usage and (len(ours) != 1 or err.splitlines()[-1] != ours[0]):
            return f"{len(ours)} lines of ours; one is expected, at the end"
        if self.touched:
            return f"touched {', '.join(self.touched)}"
        return "something was executed" if self.executed else None


def try_case(case: Case, good: Path, folder: Path) -> Result:
    """Run a case in `folder`, which becomes a spoilt copy of `good`."""
    shutil.copytree(good, folder)
    with chdir(folder):
        case.spoil()
        before = _contents(folder)
        with case.under():
            outcome = run_apart(case.command) if case.apart else run_here(shlex.split(case.command)[1:])
        touched = [name for name in _changed(before, _contents(folder)) if not _declared(name, case)]
    return Result(outcome.without(folder), touched, (folder / EXECUTED).exists())


def _contents(folder: Path) -> dict[str, str]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): _content(path) for path in paths}


def _content(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "folder or link"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return "may not be read"


def _changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in sorted(before | after) if before.get(name) != after.get(name)]


def _declared(name: str, case: Case) -> bool:
    return any(fnmatch(name, pattern) for pattern in case.leaves)
