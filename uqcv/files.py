"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from uqcv.errors import InputError, what_to_do
from uqcv.folders import make_folders, remove_empty, remove_if_there, sync_folder, temporary_name, writing

MEND = "mend it or give another file"
MERGE_TAG = "tag:yaml.org,2002:merge"  # `<<`, which may stand in a mapping more than once


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if the block ends well.

    The data are flushed to disk before the rename, and the rename before this returns. So after a crash `path` is
    either the old file or the whole new one, and what is written later is not there without it.

    Raises
    ------
    OutputError
        If the system refuses to write, such as on a disk that is full.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path.name))
    with writing(path):
        made = make_folders(path.parent)
        try:
            yield temporary
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            remove_if_there(temporary)
            remove_empty(made)
            raise


def flush_streams() -> None:
    """Hand what libraries in C have written, such as PLUMED, to the system: they keep it back by the block."""
    ctypes.CDLL(None).fflush(None)


def digest(content: str | bytes) -> str:
    """Return the first twelve hexadecimal digits of the SHA-256 of some content."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:12]


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically."""
    write_text(path, json.dumps(value, indent=2, default=float) + "\n")


def create_json(path: Path, value: Any) -> bool:
    """Write `value` to `path` atomically unless there is something already; return whether it was written.

    Of several processes that try at once, one does.
    """
    temporary = path.with_name(temporary_name(path.name))
    with writing(path):
        make_folders(path.parent)
        try:
            write_json(temporary, value)
            _link(temporary, path)
            sync_folder(path.parent)
        except FileExistsError:
            return False
        finally:
            remove_if_there(temporary)
    return True


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links; whoever reads at this very moment may see half
        with open(target, "xb") as handle:
            handle.write(source.read_bytes())


def read_json(path: Path, advice: str = MEND) -> Any:
    """Read JSON; a broken file is named.

    Raises
    ------
    InputError
        If the file is missing or is not JSON.
    """
    return read_with(path, lambda p: json.loads(p.read_text(encoding="utf-8")), "JSON", advice)


class _Loader(yaml.SafeLoader):
    """YAML without objects of Python, in which no key may be given twice: one of the two would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != MERGE_TAG]
        if twice := [key for key in keys if keys.count(key) > 1]:
            line = node.start_mark.line + 1
            raise InputError(f"the key {twice[0]} is given twice in the group that begins in line {line}; leave one")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, advice: str = MEND) -> dict[str, Any]:
    """Read a YAML file of settings.

    Raises
    ------
    InputError
        If it is missing, is not YAML, holds something else than settings, or gives one twice.
    """
    raw = read_with(path, lambda p: _parse_yaml(p, advice), "YAML", advice)
    if not isinstance(raw, dict):
        given = "nothing" if raw is None else "text" if isinstance(raw, str) else f"a {type(raw).__name__}"
        raise InputError(f"{path}: {given} was given; a YAML mapping of settings is expected; {advice}")
    return raw


def _parse_yaml(path: Path, advice: str) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        with about(path):
            return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        place = f" in line {at.line + 1}" if at else ""
        reason = f"{error.problem or error.context}{place}"
        raise InputError(f"{path}: cannot be read as YAML: {reason}; {advice}") from error


def read_with(path: Path, reader: Callable[[Path], Any], kind: str, advice: str = MEND) -> Any:
    """Read `path` with `reader` and turn what it raises into one line that names the file.

    What `reader` warns of is not shown: what matters is checked, and a refusal is one line.

    Parameters
    ----------
    path
        The file.
    reader
        Returns what is in it.
    kind
        What is expected in it.
    advice
        What to do if it is something else.

    Raises
    ------
    InputError
        If the file is missing, may not be read, or `reader` cannot read it.
    """
    path = Path(path)
    require_readable(path, kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {kind}: {_reason(error)}; {advice}") from error


@contextmanager
def about(source: object) -> Iterator[None]:
    """Name the source of what is wrong, in front of what is said about it."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{source}: {error}") from error


def require_readable(path: Path, kind: str) -> None:
    """Refuse what is no file that can be read.

    Raises
    ------
    InputError
        If there is nothing, a folder, or a file that may not be read.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            given = "folder" if stat.S_ISDIR(mode) else "device or pipe"
            raise InputError(f"{path}: a {given} was given; a file is expected ({kind})")
        open(path, "rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no such file (expected {kind})") from error
    except OSError as error:
        raise InputError(f"{path}: {what_to_do(error)} (expected {kind})") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    if isinstance(error, KeyError):
        return f"no {error}"
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
