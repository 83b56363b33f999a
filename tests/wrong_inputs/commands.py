"""Running the command line as a user does, in this process or, where it must be, in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple, TextIO
from unittest import mock

from uqcv.cli import main

WIDTH = {"COLUMNS": "200", "TERMINAL_WIDTH": "200"}  # of the frames around what typer says


class Outcome(NamedTuple):
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str

    def without(self, folder: Path) -> Outcome:
        """Return the same without the path of the folder that the command ran in."""
        shorter = (text.replace(f"{folder}/", "").replace(str(folder), ".") for text in (self.out, self.err))
        return Outcome(self.code, *shorter)


def run_here(arguments: list[str]) -> Outcome:
    """Run the command line in this process."""
    code = 0
    with _captured(1, "stdout") as out, _captured(2, "stderr") as err, _wide():
        with mock.patch.object(sys, "argv", ["uqcv", *arguments]):
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        texts = [_text(file) for file in (out, err)]
    return Outcome(code, *texts)


@contextmanager
def _wide() -> Iterator[None]:
    """Set the width of frames; what a command sets in the environment beside it stays, as engines expect."""
    before = {name: os.environ.get(name) for name in WIDTH}
    os.environ.update(WIDTH)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _captured(descriptor: int, name: str) -> Iterator[TextIO]:
    """Catch what Python writes to a stream, and what others write to its descriptor."""
    redirect = redirect_stdout if name == "stdout" else redirect_stderr
    saved = os.dup(descriptor)
    with tempfile.TemporaryFile("w+", encoding="utf-8", buffering=1) as file:
        os.dup2(file.fileno(), descriptor)
        try:
            with redirect(file):
                yield file
        finally:
            os.dup2(saved, descriptor)
            os.close(saved)


def _text(file: TextIO) -> str:
    file.flush()
    file.seek(0)
    return file.read()


def run_apart(command: str) -> Outcome:
    """Run a line of the shell, in which `uqcv` is this Python's."""
    shell = f'uqcv() {{ "{sys.executable}" -m uqcv.cli "$@"; }}\n{command}'
    done = subprocess.run(["bash", "-c", shell], env=os.environ | WIDTH, capture_output=True, text=True, timeout=120)
    return Outcome(done.returncode, done.stdout, done.stderr)
