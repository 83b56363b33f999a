"""A trained potential in one file, read without executing what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from uqcv.errors import BundleError
from uqcv.files import atomic_path, read_with
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential

FORMAT_VERSION = 1


def save_potential(potential: Potential, path: Path) -> None:
    """Write architecture, elements and weights, atomically."""
    content = {
        "format_version": FORMAT_VERSION,
        "elements": list(potential.elements),
        "settings": potential.settings.model_dump(),
        "weights": potential.state_dict(),
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_potential(path: Path) -> Potential:
    """Read what `save_potential` wrote.

    Raises
    ------
    InputError
        If the file is missing or is not a potential.
    BundleError
        If it is of another format version.
    """
    content: dict[str, Any] = read_with(path, lambda p: torch.load(p, weights_only=True), "a potential of uqcv")
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: potential format {version} was given; this uqcv reads format {FORMAT_VERSION}")
    potential = Potential(content["elements"], PaiNNSettings(**content["settings"]))
    potential.load_state_dict(content["weights"])
    return potential.eval()
