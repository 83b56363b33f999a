"""What PLUMED has been told, step by step: what brings its memory back.

A file of records of one size: the step as a 64-bit integer, then numbers in double precision. It only grows; a
checkpoint says how much of it counts.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DiaryMark:
    """How much of a diary counts: `size` in bytes, and the `checksum` (CRC-32) of that much."""

    size: int = 0
    checksum: int = 0


class Diary:
    """The diary of one PLUMED input, open for appending.

    Parameters
    ----------
    path
        The file.
    width
        Numbers in a record.
    mark
        What of the file counts; the rest is cut off.

    Raises
    ------
    InputError
        If what counts is not there.
    """

    def __init__(self, path: Path, width: int, mark: DiaryMark | None = None) -> None:
        self.path, self._width = Path(path).absolute(), width
        self._mark = mark or DiaryMark()
        if self._mark.size:
            self._require_whole()
        self._handle = open(self.path, "r+b" if self._mark.size else "wb")
        self._handle.truncate(self._mark.size)
        self._handle.seek(self._mark.size)

    def append(self, step: int, *parts: Array) -> None:
        """Add what was told at a step."""
        record = b"".join((np.int64(step).tobytes(), *(part.tobytes() for part in parts)))
        self._handle.write(record)
        self._mark = DiaryMark(self._mark.size + len(record), zlib.crc32(record, self._mark.checksum))

    def mark(self) -> DiaryMark:
        """Return how much was written, once it is on the disk."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        return self._mark

    def records(self) -> Iterator[tuple[int, Array]]:
        """Yield step and numbers of each record."""
        self._handle.flush()
        kind = self._kind
        with open(self.path, "rb") as handle:
            for _ in range(self._mark.size // kind.itemsize):
                record = np.fromfile(handle, kind, 1)[0]
                yield int(record["step"]), record["values"]

    @property
    def _kind(self) -> np.dtype:
        return np.dtype([("step", np.int64), ("values", np.float64, (self._width,))])

    def _require_whole(self) -> None:
        content = self.path.read_bytes()[: self._mark.size] if self.path.is_file() else b""
        if DiaryMark(len(content), zlib.crc32(content)) != self._mark or len(content) % self._kind.itemsize:
            raise InputError(
                f"{self.path}: not what the checkpoint beside it counts on ({len(content)} of {self._mark.size} bytes, "
                "or other content); begin anew without the checkpoint"
            )

    def close(self) -> None:
        """Close the file."""
        self._handle.close()
