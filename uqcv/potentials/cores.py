"""What training takes of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from uqcv.potentials.settings import TrainingSettings

# Frames times epochs from which compiling the step for a minute saves more than that (the code is kept for later),
# and starting processes pays off too.
WORTH_STARTING = 4000
MOST_THREADS = 4  # a batch of small molecules has too little work for more
CORES_PER_PROCESS = 2  # a second thread still pays off, and it is one process less to start


class Cores(NamedTuple):
    """Processes, and the CPU threads of each."""

    processes: int
    threads: int


def n_epochs(settings: TrainingSettings, warm: bool) -> int:
    """Return the largest number of epochs of a new potential, or of one that goes on (`warm`)."""
    return settings.warm_epochs if warm else settings.epochs


def is_long(settings: TrainingSettings, n_frames: int, warm: bool) -> bool:
    """Whether training on so many frames is worth a minute of preparation."""
    return n_frames * n_epochs(settings, warm) >= WORTH_STARTING


def training_cores(settings: TrainingSettings, n_frames: int, warm: bool) -> Cores:
    """Return what training on so many frames takes of the cores that torch may use."""
    cores, processes = torch.get_num_threads(), settings.processes
    if processes is None:
        on_cpu = torch.device(settings.device).type == "cpu"
        worthwhile = on_cpu and is_long(settings, n_frames, warm)
        processes = max(1, cores // CORES_PER_PROCESS) if worthwhile else 1
    processes = min(processes, settings.batch_size, n_frames)
    return Cores(processes, settings.threads or max(1, min(cores // processes, MOST_THREADS)))


@contextmanager
def limited_threads(number: int) -> Iterator[None]:
    """Let torch take so many CPU threads, and as many as before when the block ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
