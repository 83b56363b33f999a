"""What the actions of a PLUMED input write, read and share, and which of them give hills their meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uqcv.simulation.plumed_actions import Action
from uqcv.simulation.plumed_memory import BIASES, MEMORYLESS

# Only these change nothing of what hills mean; what they write is no bias.
SILENT = frozenset({"PRINT", "DUMPATOMS", "DUMPGRID", "FLUSH", "RESTART", "LOAD", "INCLUDE", "ENDPLUMED"})
READERS = frozenset({"EXTERNAL", "READ"})  # their FILE is read; that of others is written
OTHERS = frozenset({"INCLUDE", "LOAD", "MOLINFO"})  # what these name is no result of a run
DEFAULT_FILES = {"METAD": "HILLS", "OPES_METAD": "KERNELS", "OPES_METAD_EXPLORE": "KERNELS"}
# Keywords that say where something is written, how often, or how it is tabulated.
IDLE = re.compile(r"FILE|FMT|LABEL|RESTART|WALKERS_\w+|GRID_\w+|\w+_[RW]FILE|\w+_WSTRIDE")


@dataclass(frozen=True)
class ActionFiles:
    """Files of one action.

    Attributes
    ----------
    written
        Files that it writes; with shared hills, its own.
    resumed
        Those of them that hold a bias that it reads again when it restarts.
    read
        Files of other runs that it reads.
    shared
        For each of `written` that other walkers read: what the names of all begin with.
    walker, n_walkers
        Which walker this is, and of how many.
    """

    written: tuple[Path, ...]
    resumed: tuple[Path, ...]
    read: tuple[Path, ...]
    shared: tuple[Path, ...]
    walker: int
    n_walkers: int


def files_of(action: Action) -> ActionFiles:
    """Return the files of an action, relative to the working directory."""
    words = action.words
    number, walker = (words.get(key, "").strip() for key in ("WALKERS_N", "WALKERS_ID"))
    n_walkers = int(number) if number.isdecimal() else 1
    own = [] if action.name in READERS | OTHERS else _own(action)
    bases = [Path(words.get("WALKERS_DIR", "."), name) for name in own] if n_walkers > 1 else []
    hills = [base.with_name(f"{base.name}.{walker or 0}") for base in bases] or list(map(Path, own))
    written = (*hills, *_named(action, "_WFILE"))
    read = (*_named(action, "_RFILE"), *([Path(words["FILE"])] if action.name in READERS and "FILE" in words else []))
    resumed = () if action.name in SILENT or bases else tuple(hills)
    return ActionFiles(written, resumed, read, tuple(bases), int(walker) if walker.isdecimal() else 0, n_walkers)


def _own(action: Action) -> list[str]:
    if action.name == "PBMETAD" and "FILE" not in action.words:
        return [f"HILLS.{argument}" for argument in action.words.get("ARG", "").split(",")]
    name = action.words.get("FILE", DEFAULT_FILES.get(action.name, ""))
    return [part for part in name.split(",") if part]


def _named(action: Action, ending: str) -> list[Path]:
    return [Path(value) for key, value in action.words.items() if key.endswith(ending)]


def meaning(actions: Sequence[Action]) -> list[str]:
    """Return the actions that give hills their meaning, without what only says where and how often things are written.

    A variable that no bias is made from is left out.
    """
    kept = [action for action in actions if action.name not in SILENT]
    while used := [action for action in kept if _is_used(action, kept)]:
        if len(used) == len(kept):
            break
        kept = used
    return [_essence(action) for action in used]


def _is_used(action: Action, others: Sequence[Action]) -> bool:
    if action.name not in MEMORYLESS or action.name in BIASES or action.label is None:
        return True
    name = re.compile(rf"(?<![\w.-]){re.escape(action.label)}(?![\w-])|\*")
    return any(name.search(value) for other in others if other is not action for value in other.words.values())


def _essence(action: Action) -> str:
    kept = [key for key in sorted(action.words) if action.name in READERS or not IDLE.fullmatch(key)]
    parts = [action.name, *(f"{key}={action.words[key]}" for key in kept), *sorted(action.flags)]
    return " ".join(parts if action.label is None else [f"{action.label}:", *parts])
