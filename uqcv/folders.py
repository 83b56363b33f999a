"""Places to write to: whether they can be, who holds them, and what is left of them when something fails."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from uqcv.errors import InputError, OutputError, system_error

LOCK_FILE = ".lock"
FAILURES = (errno.EIO, errno.ENOSPC, errno.EDQUOT)  # of a disk; anything else means that it cannot be asked


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says against writing `path` into one line that names it.

    Raises
    ------
    OutputError
        For any `OSError` in the block, also one of a file within `path`, whose own name says nothing to the user.
    """
    try:
        yield
    except OSError as error:
        raise system_error(error, path) from error
    except OutputError as error:
        if isinstance(error.__cause__, OSError):
            raise system_error(error.__cause__, path) from error.__cause__
        raise


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, on the disk too; return the new ones, the deepest first."""
    new = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in new:
        sync_folder(path.parent)
    return new


def temporary_name(name: str) -> str:
    """Return a name for what is in the making; it says which process is at it."""
    return f".uqcv-{os.getpid()}.{name}"


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left in the making, in a folder and all below it."""
    for path in sorted(folder.rglob(".uqcv-*")):
        maker = re.match(r"\.uqcv-(\d+)\.", path.name)
        if maker and not _is_running(int(maker[1])):
            shutil.rmtree(path, ignore_errors=True)
            remove_if_there(path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: a power cut could else undo a rename.

    A file system that does not know this for folders is taken as it is.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in FAILURES:
            raise


def sync_files(folder: Path) -> None:
    """Wait until the files that lie in a folder are on the disk, whoever has written them."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process may be at work there
            if path.is_file():
                with open(path, "rb") as handle:
                    os.fsync(handle.fileno())


def remove_if_there(path: Path) -> None:
    """Remove a file, and say nothing if there is none or it cannot be."""
    with suppress(OSError):
        path.unlink()


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove those of the folders in which nothing lies, in this order."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder: a second run in it is refused. The lock is gone with its process, however that ends.

    A folder that is new is gone again if nothing was written into it.

    Raises
    ------
    InputError
        If another process holds it.
    OutputError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    with writing(folder):
        new = make_folders(folder)
        handle = open(folder / LOCK_FILE, "a")
    with handle:
        hold(handle, f"{folder}: another run is at work here; wait for it, or give --out")
        try:
            yield
        finally:
            remove_if_there(folder / LOCK_FILE)
            remove_empty(new)


def hold(handle: IO[Any], refusal: str) -> None:
    """Lock an open file until it is closed.

    Raises
    ------
    InputError
        With the words of `refusal`, if another process holds it or has just removed it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise InputError(refusal) from error
    if not os.fstat(handle.fileno()).st_nlink:
        raise InputError(refusal)


@contextmanager
def all_or_nothing(*paths: Path) -> Iterator[None]:
    """Remove those of the paths that are new if the block raises."""
    new = [path for path in paths if not path.exists()]
    folders = [p for path in new for p in path.parents if not p.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            remove_if_there(path)
        remove_empty(folders)
        raise


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield a folder whose files go to `folder` together, if the block ends well.

    Raises
    ------
    OutputError
        If the system refuses to write.
    """
    folder = Path(folder)
    with writing(folder):
        new = make_folders(folder)
        try:
            with tempfile.TemporaryDirectory(prefix=temporary_name("partial-"), dir=folder) as scratch:
                yield Path(scratch)
                for path in sorted(Path(scratch).iterdir()):
                    os.replace(path, folder / path.name)
            sync_folder(folder)
        except BaseException:
            remove_empty(new)
            raise


def require_writable(path: Path, folder: bool = False) -> None:
    """Refuse, before long work, a place that could not be written to after it; nothing is made.

    Parameters
    ----------
    path
        File or folder to write.
    folder
        Whether it is a folder.

    Raises
    ------
    InputError
        If it is a folder in place of a file or a file in place of a folder, or nothing can be written there.
    """
    path = Path(path)
    there = [p for p in (path, *path.parents) if p.exists()]
    if path in there and path.is_dir() != folder:
        given, expected = ("file", "folder") if folder else ("folder", "file")
        raise InputError(f"{path}: a {given} was given; a {expected} to write is expected, give another place")
    nearest = there[0] if path.is_dir() else next(p for p in there if p != path)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(f"{path}: nothing can be written in {nearest}; give another place") from error
