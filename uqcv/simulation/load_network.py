"""Loading and compiling the network of a simulation, for all processes that begin as copies of this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.uncertainty_cv import shared_cv
from uqcv.structures import Structure


@dataclass(frozen=True)
class LoadNetwork:
    """Loads the network that walkers share, and compiles it if they do; for one system, equal ones do the same.

    Attributes
    ----------
    bundle
        Folder of the model.
    dtype, compiled
        Of the network, which is on the CPU.
    frame
        Any structure of the system.
    """

    bundle: Path
    dtype: str
    compiled: bool
    frame: Structure = field(compare=False)

    def __call__(self) -> None:
        """Do it in the current process, which gets one thread as walkers have it."""
        torch.set_num_threads(1)
        if not self.compiled:
            return
        bundle, frame = Bundle.load(self.bundle), self.frame
        dtype = getattr(torch, self.dtype)
        cv = shared_cv(bundle, frame.numbers.tolist(), frame.pbc.tolist(), dtype, "cpu", True)
        cv.warm_up(frame.positions, frame.cell)


def preparation(bundle: Path, dtype: str, device: str, compiled: bool, frame: Structure) -> LoadNetwork | None:
    """Return what prepares a process for copies that use a network, or None: no copy may use a GPU that was used."""
    return LoadNetwork(bundle, dtype, compiled, frame) if device == "cpu" else None
