"""Settings as people type them: read, compared, and refused in one line that says what is wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from uqcv.errors import InputError

LONGEST_VALUE = 60  # characters of a wrong value that are shown


def read_overrides(settings: Sequence[str]) -> dict[str, Any]:
    """Return values by dotted key, from settings as they are typed: ``sampling.walkers=8``.

    Raises
    ------
    InputError
        For one without a value, or whose value is no YAML.
    """
    overrides = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text} was given; key=value is expected, such as sampling.walkers=8")
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text} was given; the value cannot be read as YAML") from error
    return overrides


def read_angles(turns: Sequence[str]) -> dict[str, float]:
    """Return what `name=degrees` says, by name.

    Raises
    ------
    InputError
        For anything else, an angle that is not finite, or a name that is given twice.
    """
    angles: dict[str, float] = {}
    for text in turns:
        name, _, value = text.partition("=")
        name = name.strip()
        try:
            angle = float(value)
        except ValueError:
            angle = math.nan
        if not math.isfinite(angle):
            raise InputError(f"--turn {text} was given; torsion=degrees is expected, such as phi=60")
        if name in angles:
            raise InputError(f"--turn {text} was given after --turn {name}={angles[name]:g}; give one angle for {name}")
        angles[name] = angle
    return angles


def validated(model: Any, raw: Any, source: str) -> Any:
    """Return `model` from plain values, or one line about the first thing that is wrong with them.

    Raises
    ------
    InputError
        Naming the source, the key, what was given and what is expected.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_problem(model, error)}") from error


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    problem = error.errors()[0]
    place = [str(p) for p in problem["loc"]]
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], _keys_of(model), n=1, cutoff=0.4)
        return f"unknown key {key}" + (f"; did you mean {close[0]}?" if close else "")
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":  # of settings that do not fit one another
        return f"{key}: {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    given = repr(problem["input"])
    given = given if len(given) <= LONGEST_VALUE else f"{given[:LONGEST_VALUE]}..."
    return f"{key}: {given} was given; {_expected(problem)}" if key else f"{given} was given; {_expected(problem)}"


def _expected(problem: Any) -> str:
    """Return what pydantic expected, in words of ours where its own name its classes."""
    if problem["type"] in ("model_type", "dict_type"):
        return "a group of settings is expected, one in a line"
    if problem["type"] == "union_tag_invalid":
        return f"{problem['ctx']['discriminator']} must be one of {problem['ctx']['expected_tags']}"
    if problem["type"] == "string_pattern_mismatch":
        return "letters, digits, spaces and any of _ . + - are expected"
    if problem["type"] == "tuple_type":
        return "a list is expected: values in brackets, with commas between"
    return problem["msg"][0].lower() + problem["msg"][1:]


def _keys_of(annotation: Any) -> list[str]:
    """Return the names of all settings within a type, which may be a union of models."""
    keys: list[str] = []
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            keys += [name, *_keys_of(info.annotation)]
    for inner in get_args(annotation):
        keys += _keys_of(inner)
    return keys


def first_difference(one: Any, other: Any, prefix: str = "") -> str | None:
    """Return the dotted name of the first setting that differs between two dumps, or None."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(k for k in other if k not in one)]:
            found = first_difference(one.get(key), other.get(key), f"{prefix}{key}.")
            if found:
                return found
        return None
    return None if one == other else prefix.rstrip(".")
