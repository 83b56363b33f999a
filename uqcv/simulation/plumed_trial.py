"""Letting PLUMED read an input of which there is no model yet: what it refuses is known before hours of training."""

from __future__ import annotations

import contextlib
import re
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from uqcv.simulation.bias_files import BiasFiles
from uqcv.simulation.exported_cvs import HIDDEN_NAMES, component_reference, extra_cv_name
from uqcv.simulation.plumed_actions import Action, read_actions, read_statements
from uqcv.simulation.plumed_bridge import PlumedBridge

TRIAL_MODULE = "uqcv_trial"  # that stands in an input for the module of a model that is yet to come


def try_input(text: str, n_atoms: int, temperature: float, time_step: float) -> None:
    """Let PLUMED read an input in a folder that is thrown away, if that is all that it would touch.

    An input that names files elsewhere, or components without spelling them, is not tried.

    Parameters
    ----------
    text
        The input; a PYCVINTERFACE of `TRIAL_MODULE` is replaced by numbers that an engine would hand over.
    n_atoms
        Number of atoms.
    temperature
        K.
    time_step
        ps.

    Raises
    ------
    PlumedInputError
        With PLUMED's own words.
    """
    if HIDDEN_NAMES.search(text) or any(_leads_out(action) for action in read_actions(text)):
        return
    text, names = _without_model(text)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        BiasFiles.of(text).make_ready()
        PlumedBridge(text, np.ones(n_atoms), time_step, temperature, None, Path("plumed.log"), names).close()


def _leads_out(action: Action) -> bool:
    return any(part.startswith(("/", "~", "..")) for value in action.words.values() for part in value.split(","))


def _without_model(text: str) -> tuple[str, tuple[str, ...]]:
    """Return an input with an EXTRACV for each component of the model in use, and their names."""
    statements = list(read_statements(text))
    labels = [a.label for a, _ in statements if a.words.get("IMPORT") == TRIAL_MODULE and a.label is not None]
    names: dict[str, list[str]] = {}
    for label in labels:
        names[label] = sorted(
            {extra_cv_name(label, component) for component in component_reference(label).findall(text)}
        )
    lines = [
        "\n".join(f"{name}: EXTRACV NAME={name}" for name in names[action.label])
        if action.label in names
        else statement
        for action, statement in statements
    ]
    text = "\n".join(lines) + "\n"
    for label in labels:
        text = component_reference(label).sub(partial(_renamed, label), text)
    return text, tuple(name for of_label in names.values() for name in of_label)


def _renamed(label: str, match: re.Match[str]) -> str:
    return extra_cv_name(label, match[1])
