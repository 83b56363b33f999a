"""Checks that do to their process what engines do."""

import os
import sys
import time
from pathlib import Path


def fine(patient) -> str:
    print("noise")
    Path("left").write_text("behind")
    return "fine"


def raises(patient) -> str:
    raise KeyError("something\nin two lines")


def ends_its_process(patient) -> str:
    print("Fatal Error: no lock", file=sys.stderr, flush=True)
    os.abort()


def leaves(patient) -> str:
    os._exit(3)


def hangs(patient) -> str:
    time.sleep(100)
    return "never"
