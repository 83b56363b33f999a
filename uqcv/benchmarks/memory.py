"""Memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

KIB_PER_GIB = 1024**2
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory() -> float:
    """Return the most memory that this process held at a time, GiB; on Linux since `forget_peak`."""
    if STATUS.is_file():
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / KIB_PER_GIB
    # Elsewhere there is only the peak of its whole life: bytes on a Mac, KiB on other systems.
    unit = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / KIB_PER_GIB


def forget_peak() -> None:
    """Let the peak begin anew from what is held now, where the system can."""
    if FORGET.is_file():
        FORGET.write_text("5")
