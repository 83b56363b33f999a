"""What a step of biased dynamics costs by each method: energy, uncertainty and forces of both, side by side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.progress import say
from uqcv.structures import Structure
from uqcv.uncertainty.settings import Method

TURNS, PER_TURN = 7, 30


def time_methods(
    bundles: dict[Method, Path], frames: list[Structure], device: str = "cpu"
) -> dict[Method, dict[str, Any]]:
    """Return the median milliseconds of a step by each method, in its fastest form, which is compiled.

    Parameters
    ----------
    bundles
        Folder of each method's bundle.
    frames
        Structures of the same atoms, on which steps are taken in turn.
    device
        torch device.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as a walker
    try:
        cvs = {method: _started(method, path, frames[0], device) for method, path in bundles.items()}
        times: dict[Method, list[float]] = {method: [] for method in cvs}
        for turn in range(TURNS):
            for method, cv in cvs.items():
                times[method].append(_turn(cv, frames, turn))
        return {method: {"ms": float(np.median(own))} for method, own in times.items()}
    finally:
        torch.set_num_threads(before)


def _started(method: Method, path: Path, frame: Structure, device: str) -> UncertaintyCV:
    say(f"  compiling {method}")
    cv = UncertaintyCV(
        Bundle.load(path), frame.numbers.tolist(), frame.pbc.tolist(), torch.float32, device, compiled=True
    )
    _step(cv, frame)
    return cv


def _turn(cv: UncertaintyCV, frames: list[Structure], turn: int) -> float:
    chosen = [frames[(turn * PER_TURN + k) % len(frames)] for k in range(PER_TURN)]
    start = time.perf_counter()
    for frame in chosen:
        _step(cv, frame)
    return 1e3 * (time.perf_counter() - start) / PER_TURN


def _step(cv: UncertaintyCV, frame: Structure) -> None:
    evaluation = cv.evaluate(frame.positions, frame.cell)
    evaluation.value("mean")
    evaluation.forces({"mean": 1.0})
