"""What a study measured, in one file: parts of it that ran elsewhere, or long ago, join its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uqcv.active_learning.manager import WITHOUT_EFFECT
from uqcv.config import Config
from uqcv.errors import InputError
from uqcv.files import MEND, digest, read_json, write_json
from uqcv.settings_input import first_difference
from uqcv.study.settings import Item, StudySettings

RESULTS_FILE = "results.json"
FORMAT = 1
AGAIN = "leave the file out, or measure with these settings again"
Measured = dict[str, dict[int, dict[str, Any]]]


def write_results(
    study: StudySettings, items: Sequence[Item], measured: Mapping[str, Mapping[int, Any]], path: Path
) -> None:
    """Write measures, and the settings that they are of, to one file that means the same on any machine.

    Parameters
    ----------
    study
        Its settings.
    items
        Its campaigns.
    measured
        Sampler -> seed -> measures.
    path
        The file.
    """
    settings = {item.sampler: portable(item.config) for item in items}
    samplers = {
        name: {"settings": settings[name], "seeds": {str(seed): m for seed, m in seeds.items()}}
        for name, seeds in measured.items()
    }
    content = {"format": FORMAT, "measures": study.measures.model_dump(mode="json"), "samplers": samplers}
    write_json(path, content)


def read_results(study: StudySettings, items: Sequence[Item], paths: Sequence[Path]) -> Measured:
    """Return the measures of the campaigns of a study that files hold: sampler -> seed -> measures.

    Raises
    ------
    InputError
        If a file is not one of results, or holds campaigns of this study's samplers with other settings or measures.
    """
    wanted = {item.sampler: portable(item.config) for item in items}
    found: Measured = {}
    for path in paths:
        content = read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT or "samplers" not in content:
            raise InputError(f"{path}: not the results of a study (format {FORMAT}); {MEND}")
        _require_same(content["measures"], study.measures.model_dump(mode="json"), f"{path}: measures")
        for name, part in content["samplers"].items():
            if name in wanted:
                _require_same(part["settings"], wanted[name], f"{path}: sampler {name}")
                found.setdefault(name, {}).update({int(seed): m for seed, m in part["seeds"].items()})
    return found


def portable(config: Config) -> dict[str, Any]:
    """Return the settings that decide what becomes of a campaign, but for its seed: files by what they hold."""
    content: dict[str, Any] = _by_content(config.model_dump())
    del content["seed"]
    for key in WITHOUT_EFFECT:
        section, name = key.split(".")
        del content[section][name]
    return content


def _by_content(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _by_content(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_content(inner) for inner in value]
    if isinstance(value, (Path, str)) and Path(value).is_absolute() and Path(value).is_file():
        return f"SHA-256 {digest(Path(value).read_bytes())}"
    return value


def _require_same(before: Any, now: Any, source: str) -> None:
    if different := first_difference(before, now):
        raise InputError(f"{source}: they are of another {different}; {AGAIN}")
