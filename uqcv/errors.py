"""What can go wrong in a way that the user can mend: one clear line each."""

from __future__ import annotations

import errno


class UqcvError(Exception):
    """Base of all errors whose message is written for the user."""


class OutputError(UqcvError):
    """What was computed cannot be written: the disk is full, or the place may not be written to."""


class InputError(UqcvError):
    """A file, a setting or an argument is not what it should be."""


class BundleError(InputError):
    """A bundle is missing, incomplete, of another format, or altered."""


class UnknownElementError(InputError):
    """A structure holds an element that the model was not trained on."""


class PlumedInputError(InputError):
    """PLUMED refused an input; the message shows PLUMED's own words."""


class MissingEngineError(UqcvError):
    """A part of the installation is missing, such as the PLUMED kernel."""


class LabelingError(UqcvError):
    """A reference calculation did not give a usable label."""


class BrokenStructureError(UqcvError):
    """A structure is no longer what it was: a bond, a contact or the chirality broke."""


class IdentityError(InputError):
    """A bias, a checkpoint or a walker belongs to another collective variable, system or input."""


# What a system says, in the words of who can mend it.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def what_to_do(error: OSError) -> str:
    """Return the reason of an error of the system and what to do about it, in one line.

    >>> what_to_do(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device; free some space or give another place, then run the same command again'
    """
    reason = error.strerror or next(iter(str(error).strip().splitlines()), type(error).__name__)
    if error.errno in FULL:
        return f"{reason}; free some space or give another place, then run the same command again"
    if error.errno in FORBIDDEN:
        return f"{reason}; give another place or change its permissions"
    return f"{reason}; give another place"


def system_error(error: OSError, path: object = None) -> OutputError:
    """Return an error of the system as one line that names the file, if there is one."""
    place = path or error.filename
    return OutputError(f"{place}: {what_to_do(error)}" if place else what_to_do(error))


def one_line(error: BaseException) -> str | None:
    """Return what the user is told of an error that can be mended; None for one that is a mistake in the program."""
    if isinstance(error, UqcvError):
        return str(error)
    if isinstance(error, OSError):
        return str(system_error(error))
    # torch says that memory is short by a RuntimeError, of a class of its own on a GPU.
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory for what was asked; give smaller numbers, fewer frames or another machine"
    return None
