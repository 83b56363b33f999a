"""What a program does to a folder, call by call as the kernel saw it, and the folder as it was after each of them.

A process that is killed leaves a folder as the system's calls have made it so far, whoever made them: Python, torch,
OpenMM or PLUMED. So a list of these calls, with what they wrote, holds every folder that a crash can leave behind.
That the list is complete shows at its end: played back, it must give the folder that is there.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from same_end import Files

TRACED = (
    "open openat openat2 creat write pwrite64 writev pwritev pwritev2 lseek truncate ftruncate fallocate rename "
    "renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir fsync fdatasync "
    "copy_file_range sendfile splice chdir fchdir"
)
CALL = re.compile(r"(?P<time>[\d.]+) (?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
PATH = re.compile(r"(?:\\x[0-9a-f]{2})+")  # or data: all that is text is escaped
OPENED = re.compile(r"^(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True)
class Call:
    """A call that succeeded; `task` is the number of the thread that made it."""

    time: float
    task: int
    name: str
    arguments: str
    result: int

    @property
    def texts(self) -> list[bytes]:
        """What stands between quotation marks: paths, or data."""
        return [_bytes(found) for found in TEXT.findall(self.arguments)]

    @property
    def handle(self) -> tuple[int | None, str]:
        """The first argument, a number of an open file, and the path that it has."""
        found = OPENED.match(self.arguments)
        assert found, self
        return None if found[1] == "AT_FDCWD" else int(found[1]), _bytes(found[2]).decode()

    @property
    def numbers(self) -> list[int]:
        """The arguments that are numbers."""
        return [int(part) for part in self.arguments.split(", ") if re.fullmatch(r"-?\d+", part)]


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def record(command: Sequence[object], log: Path, **options) -> list[Call]:
    """Run a command to its end, which must be good; return its calls, and those of its processes, in their order."""
    log.mkdir()
    tracer = ["strace", "-ff", "-ttt", "-y", "-xx", "-s", str(2**26), "--seccomp-bpf", "-z", "-o", str(log / "calls")]
    traced = subprocess.run(
        [*tracer, "-e", "signal=none", "-e", f"trace=?{TRACED.replace(' ', ',?')}", *map(str, command)],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip
    assert traced.returncode == 0, traced.stderr
    calls = [call for path in log.iterdir() for call in _calls(path)]
    return sorted(calls, key=lambda call: call.time)


def _calls(path: Path) -> Iterator[Call]:
    task = int(path.suffix[1:])
    with open(path, encoding="ascii") as lines:
        for found in filter(None, map(CALL.match, lines)):
            yield Call(float(found["time"]), task, found["name"], found["arguments"], int(found["result"]))


@dataclass(frozen=True)
class Event:
    """A call that changes the folder, or makes what is in it last, and the folder after it.

    For one that writes, `half` is the folder when it has written only half of what it should.
    """

    kind: str
    path: str
    task: int
    after: Files = field(repr=False)
    half: Files | None = field(repr=False, default=None)


class Playback:
    """Plays calls back on a folder in which `files` lie; none, if it is not there yet.

    `cwd` is where the program was started.
    """

    def __init__(self, folder: Path, cwd: Path, files: Files) -> None:
        self.files = files
        self._folder, self._start = str(folder), str(cwd)
        self._cwd: dict[int, str] = {}
        self._places: dict[tuple[int, int], tuple[str, int | None]] = {}  # path and position; None: at the end
        self._players: dict[str, Callable[[Call], Event | None]] = {
            **dict.fromkeys(("open", "openat"), self._open),
            **dict.fromkeys(("write", "writev", "pwrite64", "pwritev"), self._write),
            **dict.fromkeys(("truncate", "ftruncate"), self._truncate),
            **dict.fromkeys(("fsync", "fdatasync"), self._fsync),
            **dict.fromkeys(("rename", "renameat", "renameat2"), self._rename),
            **dict.fromkeys(("unlink", "unlinkat", "rmdir"), self._remove),
            **dict.fromkeys(("mkdir", "mkdirat"), self._mkdir),
            "lseek": self._lseek,
            "chdir": self._chdir,
        }

    def events(self, calls: Sequence[Call]) -> list[Event]:
        """Return what happened to the folder."""
        return [event for call in calls if (event := self._play(call)) is not None]

    def _play(self, call: Call) -> Event | None:
        if call.name in self._players:
            return self._players[call.name](call)
        assert self._folder.encode() not in _bytes("".join(PATH.findall(call.arguments))), f"no playing back of {call}"
        return None

    def _event(self, call: Call, kind: str, path: str, changes: Files, half: bytes | None = None) -> Event:
        torn = None if half is None else {**self.files, path: half}
        self.files = {**self.files, **changes}
        return Event(kind, path, call.task, self.files, torn)

    def _inside(self, path: str, call: Call) -> str | None:
        """Return a path relative to the folder, or None if it lies elsewhere."""
        whole = os.path.normpath(os.path.join(self._cwd.get(call.task, self._start), path))
        relative = os.path.relpath(whole, self._folder)
        return None if relative.startswith("..") else relative

    def _chdir(self, call: Call) -> None:
        self._cwd[call.task] = os.path.join(self._cwd.get(call.task, self._start), call.texts[0].decode())

    def _paths(self, call: Call) -> list[str | None]:
        """Paths that a call names; those relative to an open folder are so."""
        base = call.handle[1] if call.name.rstrip("2").endswith("at") else ""
        return [self._inside(os.path.join(base, text.decode()), call) for text in call.texts]

    def _open(self, call: Call) -> Event | None:
        (path,) = self._paths(call)
        if path is None or "O_DIRECTORY" in call.arguments:
            return None
        self._places[call.task, call.result] = (path, None if "O_APPEND" in call.arguments else 0)
        if path not in self.files and "O_CREAT" in call.arguments:
            return self._event(call, "create", path, {path: b""})
        if "O_TRUNC" in call.arguments and self.files[path]:
            return self._event(call, "truncate", path, {path: b""})
        return None

    def _opened(self, call: Call) -> tuple[int, str] | None:
        handle, path = call.handle
        relative = self._inside(path, call)
        return None if relative is None or handle is None or path.startswith("pipe:") else (handle, relative)

    def _lseek(self, call: Call) -> None:
        if (opened := self._opened(call)) is not None:
            handle, path = opened
            if self._places.get((call.task, handle), (path, 0))[1] is not None:
                self._places[call.task, handle] = (path, call.result)

    def _write(self, call: Call) -> Event | None:
        if (opened := self._opened(call)) is None:
            return None
        handle, path = opened
        before, data = self.files[path] or b"", b"".join(call.texts)[: call.result]
        known, position = self._places.get((call.task, handle), (path, None))
        at = len(before) if position is None or known != path else position
        if call.name.startswith("pwrite"):
            at = call.numbers[-1]
        elif position is not None:
            self._places[call.task, handle] = (path, at + len(data))
        half = _over(before, data[: len(data) // 2], at) if len(data) > 1 else None
        return self._event(call, "write", path, {path: _over(before, data, at)}, half)

    def _truncate(self, call: Call) -> Event | None:
        path = self._inside(call.handle[1] if call.name == "ftruncate" else call.texts[0].decode(), call)
        if path is None:
            return None
        size, before = call.numbers[-1], self.files[path] or b""
        return self._event(call, "truncate", path, {path: before[:size].ljust(size, b"\0")})

    def _fsync(self, call: Call) -> Event | None:
        opened = self._opened(call)
        return None if opened is None else self._event(call, "fsync", opened[1], {})

    def _rename(self, call: Call) -> Event | None:
        old, new = self._paths(call)
        if old is None and new is None:
            return None
        assert old is not None and new is not None, f"into the folder or out of it: {call}"
        moved = {new + path[len(old) :]: self.files[path] for path in self._below(old)}
        self._forget(old)
        return self._event(call, "rename", new, moved)

    def _remove(self, call: Call) -> Event | None:
        (path,) = self._paths(call)
        if path is None:
            return None
        self._forget(path)
        return self._event(call, "remove", path, {})

    def _mkdir(self, call: Call) -> Event | None:
        (path,) = self._paths(call)
        return None if path is None else self._event(call, "mkdir", path, {path: None})

    def _below(self, path: str) -> list[str]:
        return [other for other in self.files if other == path or other.startswith(f"{path}/")]

    def _forget(self, path: str) -> None:
        gone = set(self._below(path))
        self.files = {other: content for other, content in self.files.items() if other not in gone}


def _over(before: bytes, data: bytes, at: int) -> bytes:
    """Return a content after a write."""
    return before[:at].ljust(at, b"\0") + data + before[at + len(data) :]


def write_files(files: Files, folder: Path) -> None:
    """Make a folder that holds `files`; nothing if not even the folder was there."""
    for name in sorted(files, key=lambda name: PurePosixPath(name).parts):
        content = files[name]
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
