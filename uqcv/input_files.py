"""Files that settings name: they are the same where they hold the same, wherever they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uqcv.errors import InputError
from uqcv.files import digest, read_json

ADVICE = "remove it, and files are the same where they have the same path"


def file_digests(settings: Any) -> dict[str, str]:
    """Return path -> digest of each file that a dump of settings names by its absolute path."""
    if isinstance(settings, dict):
        return file_digests(list(settings.values()))
    if isinstance(settings, (list, tuple)):
        return {path: found for value in settings for path, found in file_digests(value).items()}
    if isinstance(settings, (Path, str)) and Path(settings).is_absolute() and Path(settings).is_file():
        return {str(settings): digest(Path(settings).read_bytes())}
    return {}


def read_digests(path: Path) -> dict[str, str]:
    """Read what `file_digests` gave; nothing if there is no such file.

    Raises
    ------
    InputError
        If the file is something else.
    """
    content = read_json(path, ADVICE) if path.is_file() else {}
    if not (isinstance(content, dict) and all(isinstance(value, str) for value in content.values())):
        raise InputError(f"{path}: no digests of files; {ADVICE}")
    return content


def by_content(settings: Any, digests: Mapping[str, str] | None = None) -> Any:
    """Return a dump of settings that tells files by what they hold.

    Parameters
    ----------
    settings
        Dictionaries, lists and values.
    digests
        Of the files when the settings were noted, see `file_digests`; None: as the files are now.
    """
    digests = file_digests(settings) if digests is None else digests
    if isinstance(settings, dict):
        return {key: by_content(value, digests) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [by_content(value, digests) for value in settings]
    if not isinstance(settings, (Path, str)):
        return settings
    known = digests.get(str(settings))
    return str(settings) if known is None else f"SHA-256 {known}"
