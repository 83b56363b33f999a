"""Where checks run: a process of their own, which an engine may end without ending the doctor."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

from uqcv.doctor.check import Check, Finding, Patient

WORDS_FILE = "words.txt"


class Worker:
    """Makes checks in a folder of its own; what engines print goes to a file there.

    Parameters
    ----------
    patient
        What is examined.
    folder
        In the scratch folder.
    """

    def __init__(self, patient: Patient, folder: Path) -> None:
        self._patient, self._folder = patient, folder
        os.chdir(folder)
        self._words = os.open(WORDS_FILE, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(self._words, descriptor)

    def prepare(self) -> None:
        """Import what takes seconds, while another process is at work."""
        importlib.import_module("uqcv.doctor.dynamics")

    def examine(self, check: Check) -> Finding:
        """Make a check, in a new folder: PLUMED names files as its input says."""
        os.ftruncate(self._words, 0)
        os.chdir(tempfile.mkdtemp(dir=self._folder))
        finding = check.examine(self._patient)
        sys.stdout.flush()
        sys.stderr.flush()
        return finding
