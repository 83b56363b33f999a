"""Output files that only grow, cut back to where they were at a checkpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from uqcv.errors import InputError

HEAD = 512  # bytes; a DCD file counts its frames in there


@dataclass(frozen=True)
class OutputMark:
    """Where an output file was.

    Attributes
    ----------
    path
        Relative to the checkpoint's folder.
    size
        Bytes.
    head
        The first bytes as hexadecimal digits: some formats count there what follows.
    """

    path: str
    size: int
    head: str

    @classmethod
    def of(cls, folder: Path, path: str) -> OutputMark:
        """Return the mark of a file as it is on the disk; its writer must have flushed it."""
        with open(folder / path, "rb+") as handle:
            os.fsync(handle.fileno())
            head = handle.read(HEAD)
            return cls(path, handle.seek(0, os.SEEK_END), head.hex())

    def cut_back(self, folder: Path) -> None:
        """Make the file what it was at the mark.

        Raises
        ------
        InputError
            If it is gone or shorter than it was.
        """
        path = folder / self.path
        size = path.stat().st_size if path.is_file() else 0
        if size < self.size:
            raise InputError(
                f"{path}: {size} bytes were found, {self.size} were there at the checkpoint; "
                "put the file back, or begin anew without the checkpoint"
            )
        with open(path, "rb+") as handle:
            handle.write(bytes.fromhex(self.head))
            handle.truncate(self.size)
            os.fsync(handle.fileno())
