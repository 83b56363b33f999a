"""What the files of a bias are of: said in a file beside each, because PLUMED takes no line of ours in its own.

Hills, states and grids of an uncertainty mean nothing to another one, and PLUMED cannot know: after retraining, the CV
has the same name and other values. Whatever an input reads is therefore looked up first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uqcv.errors import IdentityError, InputError
from uqcv.files import create_json, write_json
from uqcv.folders import remove_if_there
from uqcv.simulation.exported_cvs import collective_variable
from uqcv.simulation.identity import read_identity, require_same
from uqcv.simulation.plumed_actions import read_actions, with_included
from uqcv.simulation.plumed_files import files_of, meaning

NOT_OURS = "PLUMED's own"


@dataclass(frozen=True)
class SharedHills:
    """Hills that several walkers read: a file of each.

    Attributes
    ----------
    base
        What the names of all begin with.
    walker, n_walkers
        Which one this is, and of how many.
    restarts
        Whether it reads what is there when it starts.
    """

    base: Path
    walker: int
    n_walkers: int
    restarts: bool

    def file(self, walker: int) -> Path:
        """Return the file of a walker."""
        return self.base.with_name(f"{self.base.name}.{walker}")

    @property
    def are_there(self) -> bool:
        """Whether a walker has deposited any."""
        files = map(self.file, range(self.n_walkers))
        return any(path.stat().st_size for path in files if path.is_file())

    def make_ready(self) -> None:
        """Make the files that PLUMED would miss on a restart, and cut off what a killed walker began to write."""
        if self.restarts:
            for k in range(self.n_walkers):
                self.file(k).touch()
            cut_torn_line(self.file(self.walker))


@dataclass(frozen=True)
class BiasFiles:
    """The files of a PLUMED input, relative to the working directory.

    Attributes
    ----------
    identity
        What they are of: our CVs by their hashes, and the actions that give hills their meaning.
    written
        Files that it writes.
    read
        Files with a bias that it reads: of other runs, or of its own when it restarts.
    appended
        Other files that it goes on writing when it restarts.
    shared
        Hills that other walkers read.
    """

    identity: dict[str, Any]
    written: tuple[Path, ...]
    read: tuple[Path, ...]
    appended: tuple[Path, ...]
    shared: tuple[SharedHills, ...]

    @classmethod
    def of(cls, text: str) -> BiasFiles:
        """Read them off an input, whose modules have been imported."""
        text = with_included(text)
        actions, restarts = read_actions(text), False
        written: list[Path] = []
        read: list[Path] = []
        appended: list[Path] = []
        shared: list[SharedHills] = []
        for action in actions:
            restarts = bool(action.restarts) if action.name == "RESTART" else restarts
            again = restarts if action.restarts is None else action.restarts
            files = files_of(action)
            written += files.written
            read += [*files.read, *(files.resumed if again else ())]
            appended += files.written if again and not files.resumed and not files.shared else ()
            shared += [SharedHills(base, files.walker, files.n_walkers, again) for base in files.shared]
        identity = {"collective variable": collective_variable(text) or NOT_OURS, "PLUMED input": meaning(actions)}
        return cls(identity, tuple(written), tuple(read), tuple(appended), tuple(shared))

    @property
    def is_ours(self) -> bool:
        """Whether an uncertainty is in it."""
        return self.identity["collective variable"] != NOT_OURS

    def require_same(self) -> None:
        """Refuse to read what is of something else, before PLUMED does; nothing is changed.

        Raises
        ------
        IdentityError
            Naming what it is of and what this input is of.
        InputError
            If it ends within a line, or is empty: PLUMED would leave the last hill out, or all.
        """
        for hills in self.shared:
            self._require_known(hills.base, hills.are_there)
        for path in filter(Path.is_file, self.read):
            self._require_known(path, True)
            require_whole(path)
        for path in filter(Path.is_file, self.appended):
            self._require_known(path, False)

    def _require_known(self, path: Path, holds_bias: bool) -> None:
        if identity_file(path).is_file():
            self._require(read_identity(identity_file(path)), path)
        elif self.is_ours and holds_bias:
            raise IdentityError(self._unknown(path))

    def make_ready(self) -> None:
        """Make what walkers share: what their hills are of, said by the first of them, and their files.

        Half lines are cut off that PLUMED would go on writing behind.

        Raises
        ------
        IdentityError
            If another walker has said something else.
        """
        for hills in self.shared:
            if not create_json(identity_file(hills.base), self.identity):
                self._require(read_identity(identity_file(hills.base)), hills.base)
            hills.make_ready()
        for path in filter(Path.is_file, self.appended):
            cut_torn_line(path)

    def _require(self, found: dict[str, Any], path: Path) -> None:
        if "collective variable" not in found:
            raise IdentityError(self._unknown(path))
        require_same(found, {key: value for key, value in self.identity.items() if key in found}, str(path))

    def _unknown(self, path: Path) -> str:
        mine = self.identity["collective variable"]
        return (
            f"{path}: nothing says which uncertainty it is of (in {identity_file(path).name}), this run has "
            f'{mine}; if it is of that, write {{"collective variable": "{mine}"}} there; else begin anew without it'
        )

    def backups(self) -> set[Path]:
        """Return the copies that PLUMED has made of files that it writes anew."""
        return {copy for path in self.written for copy in path.parent.glob(f"bck.*.{path.name}")}

    def claim(self, old_backups: set[Path]) -> None:
        """Say beside each file that is written what it is of; what was said of a file that PLUMED put aside goes along.

        Parameters
        ----------
        old_backups
            What `backups` returned before PLUMED read the input.
        """
        for copy in sorted(self.backups() - old_backups):
            said = identity_file(copy.with_name(copy.name.split(".", 2)[2]))
            if said.is_file():
                said.replace(identity_file(copy))
        for path in filter(is_kept, self.written):
            if self.is_ours:
                write_json(identity_file(path), self.identity)
            else:
                remove_if_there(identity_file(path))


def identity_file(path: Path) -> Path:
    """Return the file that says what `path` is of."""
    return path.with_name(f"{path.name}.identity.json")


def require_whole(path: Path) -> None:
    """Refuse a file that PLUMED would read without its last line, or without any, and say nothing.

    Raises
    ------
    InputError
        Saying what is wrong.
    """
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path}: it is empty, and RESTART would find nothing in it; remove it, or leave out RESTART")
    if not content.endswith(b"\n"):
        line = content.count(b"\n") + 1
        raise InputError(f"{path}: line {line} has no end, and PLUMED would leave it out; complete or delete that line")


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without an end, which no other walker has read: PLUMED would go on writing behind it."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with open(path, "rb+") as handle:
            handle.truncate(content.rfind(b"\n") + 1)
            os.fsync(handle.fileno())


def is_kept(path: Path) -> bool:
    """Whether what is written there stays: not in a device or a pipe."""
    return not path.is_relative_to("/dev") and (path.is_file() or not path.exists())
