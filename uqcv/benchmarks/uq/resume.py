"""Whether a folder is free for a comparison, or holds the same one, or one that this one extends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uqcv.benchmarks.uq.data import digests
from uqcv.benchmarks.uq.plan import Plan
from uqcv.benchmarks.uq.split import Sizes
from uqcv.errors import InputError
from uqcv.files import read_json, write_json
from uqcv.folders import LOCK_FILE, remove_leftovers, temporary_name
from uqcv.settings_input import first_difference

PATHS = ("files", "other_files", "train_index", "test_index")  # typed so or so, they are the same data
GROWING = ("seeds", "training_sizes", "methods")  # more of them leave what is done as it is
OURS = (LOCK_FILE, temporary_name("").split("-")[0])  # what a run leaves that was killed at once
ANOTHER = "another --out"


def described(plan: Plan, sizes: Sequence[Sizes]) -> dict[str, Any]:
    """Return all that decides about the result, with the digests of the data, as plain values."""
    held_out = {part: getattr(sizes[0], part) for part in ("validation", "calibration", "test")}
    numbers = {"training_sizes": [own.training for own in sizes], "held_out": held_out}
    return {**plan.as_json(), **numbers, "data": digests(plan.source)}


def begin(settings: dict[str, Any], folder: Path) -> None:
    """Note the settings of a comparison in its folder, which this process holds.

    Raises
    ------
    InputError
        If the folder holds another comparison, or something else.
    """
    path = folder / "settings.json"
    if path.is_file():
        before = read_json(path, f"give {ANOTHER} or remove the folder")
        if not (isinstance(before, dict) and set(before) == set(settings)):
            raise InputError(f"{path}: is not that of a comparison by this uqcv; give {ANOTHER} or remove the folder")
        _require_same(before, settings, folder)
    elif others := sorted(p.name for p in folder.iterdir() if not p.name.startswith(OURS)):
        raise InputError(f"{folder}: holds {others[0]} and is no comparison; a new folder is expected: give {ANOTHER}")
    remove_leftovers(folder)
    write_json(path, settings)


def _require_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    one, other = _compared(before), _compared(now)
    if one["data"] != other["data"]:
        raise InputError(
            f"{folder}: holds a comparison on other data (their SHA-256 in settings.json differ); "
            f"give the data of then or {ANOTHER}"
        )
    if lost := [key for key in GROWING if not _extends(now[key], before[key])]:
        key, remedy = lost[0], "give those and more, or"
    elif found := first_difference(one, other):
        key, remedy = found, "give that or"
    else:
        return
    old, new = (_shown(_value(settings, key)) for settings in (before, now))
    raise InputError(f"{folder}: holds a comparison with {key} {old}; {new} was given: {remedy} {ANOTHER}")


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    source = {key: value for key, value in settings["source"].items() if key not in PATHS}
    return {**{key: value for key, value in settings.items() if key not in GROWING}, "source": source}


def _extends(new: Any, old: Any) -> bool:
    return new >= old if isinstance(new, int) else set(new) >= set(old)


def _value(settings: Any, key: str) -> Any:
    for name in key.split("."):
        settings = settings[name] if isinstance(settings, Mapping) and name in settings else None
    return settings


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
