"""Ways to spoil a file; each returns what does it, in the working directory."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqcv.structures import Structure, read_structures, write_structures

from .case import EXECUTED

Spoil = Callable[[], None]


def all_of(*spoils: Spoil) -> Spoil:
    """Spoil several things."""

    def spoil() -> None:
        for one in spoils:
            one()

    return spoil


def written(path: str, text: str) -> Spoil:
    """Write something else."""

    def spoil() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")

    return spoil


def empty(path: str) -> Spoil:
    """Leave nothing in it."""
    return written(path, "")


def replaced(path: str, old: str, new: str, count: int = -1) -> Spoil:
    """Replace some text, which must be there."""

    def spoil() -> None:
        text = Path(path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        Path(path).write_text(text.replace(old, new, count), encoding="utf-8")

    return spoil


def cut(path: str, n_bytes: int) -> Spoil:
    """Keep the first bytes only (or all but the last, if negative)."""
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[:n_bytes]) and None


def garbage(path: str) -> Spoil:
    """Fill it with bytes that mean nothing."""

    def spoil() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(np.random.default_rng(0).bytes(3000))

    return spoil


def gone(path: str) -> Spoil:
    """Remove it."""
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def folder_instead(path: str) -> Spoil:
    """Put a folder where a file is expected."""

    def spoil() -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).mkdir(parents=True)

    return spoil


def copied(path: str, to: str) -> Spoil:
    """Copy it."""
    return lambda: shutil.copyfile(path, to) and None


def mode(path: str, bits: int) -> Spoil:
    """Change who may read and write it."""
    return lambda: Path(path).chmod(bits)


def linked(path: str, to: str) -> Spoil:
    """Make it a link to something else."""
    return lambda: Path(path).symlink_to(to)


class _Malicious:
    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (Path(EXECUTED),)


def malicious(path: str, zipped: bool = True) -> Spoil:
    """Make it a file that runs a command when it is unpickled: in the format of torch, or a bare pickle."""

    def spoil() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as handle:
            torch.save({"weights": _Malicious()}, handle) if zipped else pickle.dump(_Malicious(), handle)

    return spoil


def torch_content(path: str, change: Callable[[Any], Any]) -> Spoil:
    """Change what torch reads from it."""

    def spoil() -> None:
        content = torch.load(path, weights_only=True) if Path(path).is_file() else {}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        torch.save(change(content), path)

    return spoil


def json_content(path: str, change: Callable[[Any], Any]) -> Spoil:
    """Change what is in a JSON file."""
    return lambda: Path(path).write_text(json.dumps(change(json.loads(Path(path).read_text())))) and None


def frames(path: str, change: Callable[[Structure], Structure], of: str = "training.extxyz") -> Spoil:
    """Change every frame."""
    return lambda: write_structures(Path(path), [change(s) for s in read_structures(Path(of))])
