"""What OpenMM does not tell: whether a system is still open for forces, and which error stopped a step."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import openmm

from uqcv.errors import InputError


def require_no_context(system: openmm.System, what: str) -> None:
    """Refuse to add a force that would act on nothing: a context keeps the forces that its system had when it was made.

    Parameters
    ----------
    system
        That is about to get a force.
    what
        What is added, for the message.

    Raises
    ------
    InputError
        If there is a context of this system.
    """
    if _has_context(system):
        gc.collect()  # a context that nobody can reach any more is none
    if _has_context(system):
        raise InputError(
            f"{what} was added to a system that has a Context (or Simulation) already, where it would act on nothing; "
            "add it first, then make the Context"
        )


def _has_context(system: openmm.System) -> bool:
    contexts = (thing for thing in gc.get_objects() if issubclass(type(thing), openmm.Context))
    return any(context._system.this == system.this for context in contexts)


class MayFail(Protocol):
    """A function behind a force, which keeps what it raised."""

    error: Exception | None


@contextmanager
def own_errors(*functions: MayFail | None) -> Iterator[None]:
    """Raise what one of the functions raised as itself; of an exception within a force OpenMM keeps only the text."""
    try:
        yield
    except openmm.OpenMMException as error:
        causes = (function.error for function in functions if function is not None)
        raise next(filter(None, causes), error) from error
