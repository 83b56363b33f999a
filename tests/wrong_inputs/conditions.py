"""Conditions that a machine can be in: files that may not be touched, a disk that is full, another run at work."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

CAPABILITIES_VERSION = 0x20080522  # of the kernel's interface, the third and last
IGNORE_PERMISSIONS = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, what makes root see no permissions


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def permissions_count() -> Iterator[None]:
    """Make permissions count for root too: this thread gives up what ignores them, and takes it back."""
    if os.geteuid() != 0:
        yield
        return
    libc, header, data = ctypes.CDLL(None, use_errno=True), _Header(CAPABILITIES_VERSION, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capget")
    before = data[0].effective
    data[0].effective = before & ~IGNORE_PERMISSIONS
    libc.capset(ctypes.byref(header), data)
    try:
        yield
    finally:
        data[0].effective = before
        libc.capset(ctypes.byref(header), data)


@contextmanager
def full_disk(room: int = 2000) -> Iterator[None]:
    """Let no file grow beyond `room` bytes: writing then fails as on a disk that is full, but for the reason given."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def another_run(lock: str) -> Callable[[], AbstractContextManager[None]]:
    """Hold the lock of another run."""

    @contextmanager
    def hold() -> Iterator[None]:
        with open(Path(lock), "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    return hold
