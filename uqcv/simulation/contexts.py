"""Whether a system is still open for forces."""

from __future__ import annotations

import gc

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
    contexts = (thing for thing in gc.get_objects() if issubclass(type(thing), openmm.Context))
    if any(context._system.this == system.this for context in contexts):
        raise InputError(
            f"{what} was added to a system that has a Context (or Simulation) already, where it would act on nothing; "
            "add it first, then make the Context"
        )
