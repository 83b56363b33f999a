"""Making checks one after another, each whether or not others fail, and whatever they do to their process."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from uqcv.doctor.check import Check, Finding, Patient
from uqcv.doctor.worker import WORDS_FILE, Worker
from uqcv.errors import UqcvError
from uqcv.remote import RemoteObject

LONGEST = 300.0  # seconds that a check may take; one that hangs shall not hang the doctor


def diagnose(
    checks: Sequence[Check], bundle: Path | None = None, structure: Path | None = None, plumed: Path | None = None
) -> Iterator[Finding]:
    """Yield what each check finds, as soon as it is known; nothing is left behind.

    Parameters
    ----------
    checks
        In an order in which none comes before one that it needs.
    bundle, structure, plumed
        See `Patient`.
    """
    with tempfile.TemporaryDirectory(prefix="uqcv-doctor-") as scratch:
        given = (None if path is None else Path(path).absolute() for path in (bundle, structure, plumed))
        patient = Patient(Path(scratch).resolve(), Path.cwd(), *given)
        with contextlib.closing(_Ward(patient)) as ward:
            yield from _findings(ward, checks)


def _findings(ward: _Ward, checks: Sequence[Check]) -> Iterator[Finding]:
    healthy: set[str] = set()
    if any(check.is_fresh for check in checks):
        ward.make_fresh()
    for check in checks:
        missing = next((name for name in check.needs if name not in healthy), None)
        finding = ward.examine(check) if missing is None else check.without(missing)
        if finding.ok:
            healthy.add(check.name)
        yield finding


class _Ward:
    """The processes: one for most checks, made anew when it has died, and one for those that need a fresh one."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._current: _Bed | None = None
        self._fresh: _Bed | None = None

    def make_fresh(self) -> None:
        self._fresh = _Bed(self._patient)
        self._fresh.remote.send("prepare")

    def examine(self, check: Check) -> Finding:
        if check.is_fresh and self._fresh is not None:
            return self._fresh.examine(check, prepared=True)
        if self._current is None:
            self._current = _Bed(self._patient)
        finding = self._current.examine(check)
        if not self._current.is_alive:
            self._current = None
        return finding

    def close(self) -> None:
        for bed in (self._current, self._fresh):
            if bed is not None:
                bed.remote.close()


class _Bed:
    """One process and its folder."""

    def __init__(self, patient: Patient) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=patient.scratch))
        self.remote = RemoteObject(Worker, patient, self.folder)
        self.is_alive = True

    def examine(self, check: Check, prepared: bool = False) -> Finding:
        try:
            if prepared:
                self._receive()
            self.remote.send("examine", check)
            finding: Finding = self._receive()
        except TimeoutError:
            return self._died(check, f"no answer within {LONGEST:.0f} s")
        except UqcvError as error:
            return self._died(check, _death(self.remote.exitcode) or str(error))
        return finding

    def _receive(self) -> Finding:
        if not self.remote.answers(LONGEST):
            raise TimeoutError
        finding: Finding = self.remote.receive()
        return finding

    def _died(self, check: Check, how: str) -> Finding:
        self.is_alive = False
        self.remote.close()
        words = last_words(self.folder)
        return check.wrong(how if words is None else f"{how}: {words}")


def _death(exitcode: int | None) -> str | None:
    """Return how a process ended, or None if it has not."""
    if exitcode is None:
        return None
    if exitcode >= 0:
        return f"it ended the process with exit code {exitcode}"
    return f"it ended the process with signal {-exitcode} ({signal.Signals(-exitcode).name})"


def last_words(folder: Path) -> str | None:
    """Return the line in which a process said what ended it, as far as can be told.

    The bridge sends what a kernel says while it is loaded to a file beside its log, in the folder of the check.
    """
    folders = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime_ns)
    paths = [folder / WORDS_FILE, *(path for last in folders[-1:] for path in last.glob("*.stderr"))]
    text = "\n".join(path.read_text(errors="replace") for path in paths)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return next(iter([*errors[-1:], *lines[-1:]]), None)
