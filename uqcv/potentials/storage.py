"""A trained potential in one file, read without executing what is in it."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from uqcv.errors import BundleError, InputError
from uqcv.files import atomic_path, read_with
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential

FORMAT_VERSION = 1


def save_tensors(content: Any, path: Path) -> None:
    """Write what torch can read without executing anything, atomically.

    Written to a file by torch itself, a full disk would be an error of torch that says nothing of disks.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_tensors(path: Path, kind: str, advice: str = "give a file that uqcv wrote") -> Any:
    """Read what `save_tensors` wrote; nothing in the file is executed.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds more than tensors and plain values, which could be executed.
    """
    return read_with(path, lambda p: _load(p, kind, advice), kind, advice)


def _load(path: Path, kind: str, advice: str) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: is not {kind}; {advice}") from error
        raise InputError(
            f"{path}: holds more than tensors and plain values, and nothing in it was executed; "
            f"{kind} is expected: {advice}"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: {kind} is expected, but it is empty, damaged or cut off; {advice}") from error


def save_potential(potential: Potential, path: Path) -> None:
    """Write architecture, elements and weights, atomically."""
    content = {
        "format_version": FORMAT_VERSION,
        "elements": list(potential.elements),
        "settings": potential.settings.model_dump(),
        "n_outputs": potential.n_outputs,
        "weights": potential.state_dict(),
    }
    save_tensors(content, path)


def load_potential(path: Path) -> Potential:
    """Read what `save_potential` wrote.

    Raises
    ------
    InputError
        If the file is missing or is not a potential.
    BundleError
        If it is of another format version, or its parts do not fit one another.
    """
    content: dict[str, Any] = read_tensors(path, "a potential of uqcv")
    if not (isinstance(content, dict) and "format_version" in content):
        raise InputError(f"{path}: is not a potential of uqcv; give a potential.pt that `uqcv train` wrote")
    version = content["format_version"]
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: potential format {version} was given; this uqcv reads format {FORMAT_VERSION}: train it again"
        )
    try:
        potential = Potential(content["elements"], PaiNNSettings(**content["settings"]), content.get("n_outputs", 0))
        potential.load_state_dict(content["weights"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise BundleError(
            f"{path}: its elements, settings and weights do not fit one another; train it again"
        ) from error
    if not all(bool(torch.isfinite(p).all()) for p in potential.parameters()):
        raise BundleError(f"{path}: weights are NaN or infinite; train it again with a lower learning rate")
    return potential.eval()
