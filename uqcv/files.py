"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from uqcv.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if the block ends well.

    The data are flushed to disk before the rename, so that after a crash `path` is either the old file or the
    whole new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(*handles: IO) -> None:
    """Wait until what was written to open files is on the disk."""
    for handle in handles:
        handle.flush()
        os.fsync(handle.fileno())


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


def read_json(path: Path) -> Any:
    """Read JSON; a broken file is named.

    Raises
    ------
    InputError
        If the file is missing or is not JSON.
    """
    return read_with(path, lambda p: json.loads(p.read_text(encoding="utf-8")), "JSON")


def read_with(path: Path, reader: Callable[[Path], Any], kind: str) -> Any:
    """Read `path` with `reader` and turn what it raises into one line that names the file.

    Raises
    ------
    InputError
        If the file is missing or `reader` cannot read it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file (expected {kind})")
    try:
        return reader(path)
    except InputError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{path}: cannot be read as {kind}: {reason}") from error


def require_writable(path: Path) -> None:
    """Refuse, before long work, a file that could not be written after it; its folder is made.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or the path is a folder.
    """
    folder = Path(path).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: its folder cannot be made ({error.strerror}); give another place") from error
    if Path(path).is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{path}: a folder, or in a folder that cannot be written to; give another place")
