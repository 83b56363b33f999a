"""What a check is, what it is given and what it finds."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from uqcv.errors import UqcvError, one_line

REPORT = "this is a mistake of uqcv or of an engine; report it with this line"


class CheckError(UqcvError):
    """What a check found to be wrong.

    Parameters
    ----------
    detail
        What was found and what is expected.
    advice
        What to do, if it is not what the check says.
    """

    def __init__(self, detail: str, advice: str = "") -> None:
        super().__init__(detail)
        self.advice = advice


@dataclass(frozen=True)
class Patient:
    """What is examined.

    Attributes
    ----------
    scratch
        Folder that checks may write into.
    home
        Folder that the command was started in.
    bundle
        Folder of a model, or None.
    structure
        File with a structure of the system that the model is for, or None.
    plumed
        PLUMED input of the user, or None.
    """

    scratch: Path
    home: Path
    bundle: Path | None = None
    structure: Path | None = None
    plumed: Path | None = None


@dataclass(frozen=True)
class Finding:
    """What came of a check.

    Attributes
    ----------
    name
        Of the check.
    ok
        Whether all is well; None if that was not checked.
    detail
        What was found, or what is wrong.
    advice
        What to do if something is wrong.
    seconds
        What the check took.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes
    ----------
    name
        For a person.
    place
        Function as `module:name`; it is imported only where it runs. It takes a `Patient`, returns
        what it found, and raises where something is wrong.
    needs
        Names of checks without which this one says nothing.
    advice
        What to do if something is wrong.
    is_fresh
        Whether it needs a process in which nothing has happened yet.
    """

    name: str
    place: str
    needs: tuple[str, ...] = ()
    advice: str = REPORT
    is_fresh: bool = False

    def function(self) -> Callable[[Patient], str]:
        """Import and return the function."""
        module, name = self.place.split(":")
        found: Callable[[Patient], str] = getattr(importlib.import_module(module), name)
        return found

    def examine(self, patient: Patient) -> Finding:
        """Return what the check finds; whatever it raises is a finding."""
        start = time.perf_counter()
        try:
            finding = Finding(self.name, True, self.function()(patient))
        except Exception as error:
            finding = self.wrong(_words(error), error.advice if isinstance(error, CheckError) else "")
        return replace(finding, seconds=time.perf_counter() - start)

    def wrong(self, detail: str, advice: str = "") -> Finding:
        """Return the finding that something is wrong."""
        return Finding(self.name, False, detail, advice or self.advice)

    def without(self, missing: str) -> Finding:
        """Return the finding that nothing can be said, because of another check."""
        return Finding(self.name, None, f"not checked (needs {missing})")


def _words(error: Exception) -> str:
    """Return an error in one line, with its type where it was not written for the user."""
    text = one_line(error) or f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def require(is_so: bool, detail: str, advice: str = "") -> str:
    """Return `detail` if all is well.

    Raises
    ------
    CheckError
        With the same words if it is not.
    """
    if not is_so:
        raise CheckError(detail, advice)
    return detail
