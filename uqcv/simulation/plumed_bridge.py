"""PLUMED as a function of positions whose evaluation has no side effects.

PLUMED's `calc` also deposits hills and writes files. Here an evaluation only computes, and `update`, which
deposits and writes, is called once per step: lazily, at the first evaluation of a later step, when PLUMED still
holds the last evaluation of the step before. Any number of queries or barostat trials at one step thus see the
same bias and leave no trace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uqcv.errors import PlumedInputError, UqcvError
from uqcv.simulation.exported_cvs import want_components
from uqcv.simulation.plumed_input import import_modules, loads_plugin, uses_pycv
from uqcv.simulation.plumed_kernel import pycv_plugin, require_plumed
from uqcv.units import BOLTZMANN_KJMOL

Array = NDArray[np.float64]


class PlumedBridge:
    """A PLUMED input applied to one system; all in PLUMED's units: nm, kJ/mol, ps.

    Parameters
    ----------
    text
        The PLUMED input. The PyCV plugin is loaded if it is needed and the input does not.
    masses
        amu, shape (n,).
    time_step
        ps.
    temperature
        K, for actions that ask the engine for it.
    module_folder
        Folder of the exported CVs that the input imports.
    log
        Where PLUMED writes its log.
    extra
        Names of the EXTRACVs in the input, whose values `evaluate` is given.

    Raises
    ------
    MissingEngineError
        If PLUMED, its kernel or its plugin is missing.
    PlumedInputError
        If PLUMED refuses the input; with PLUMED's own words.
    """

    def __init__(
        self,
        text: str,
        masses: Array,
        time_step: float,
        temperature: float,
        module_folder: Path | None = None,
        log: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self._plumed_module = require_plumed()
        # PLUMED keeps pointers to these: it is given them once, and each step fills them anew.
        self._masses = np.array(masses, dtype=np.float64)
        self._positions, self._box = np.zeros((len(masses), 3)), np.zeros((3, 3))
        self._extra, self._values = tuple(extra), np.zeros(len(extra))
        # What PLUMED adds to lies in one place, so that a step clears it at once.
        self._sums = np.zeros(self._positions.size + self._box.size + len(extra))
        forces, virial, self._extra_forces = np.split(self._sums, np.cumsum([self._positions.size, self._box.size]))
        self._forces, self._virial = forces.reshape(-1, 3), virial.reshape(3, 3)
        self._bias = np.zeros(1)
        self._step = np.zeros(1, dtype=np.int64)  # PLUMED reads 64 bits here, a Python int would give it 32
        self._handed_over = False
        self._pending: int | None = None
        self._closed = False
        import_modules(text, module_folder)
        want_components(text)
        if uses_pycv(text) and not loads_plugin(text):
            text = f"LOAD FILE={pycv_plugin()}\n{text}"
        with _stderr_to(log):
            self._plumed = self._plumed_module.Plumed()
            self._start(text, time_step, temperature, log)

    def _start(self, text: str, time_step: float, temperature: float, log: Path | None) -> None:
        commands = (
            ("setMDEngine", "uqcv"),
            ("setNatoms", len(self._masses)),
            ("setTimestep", time_step),
            ("setKbT", BOLTZMANN_KJMOL * temperature),
            ("setLogFile", str(log) if log else "/dev/null"),
        )
        for name, value in commands:
            self._plumed.cmd(name, value)
        self._plumed.cmd("init")
        try:
            self._plumed.cmd("readInputLines", text)
        except self._plumed_module.PlumedError as error:
            raise PlumedInputError(f"PLUMED refuses the input: {_plumed_words(error)}") from error

    def evaluate(
        self, step: int, positions: Array, box: Array | None = None, extra: Sequence[float] = ()
    ) -> tuple[float, Array]:
        """Return the bias (kJ/mol) and its forces (kJ/mol/nm) at `positions`, without side effects.

        Parameters
        ----------
        step
            Number of the step. Going to a later one first commits the step before.
        positions
            nm, shape (n, 3).
        box
            Box vectors as rows, nm; zeros or None without periodicity.
        extra
            Value of each EXTRACV, in the order of their names.

        Raises
        ------
        UqcvError
            What an action raised: the CV's own exception if it was ours.
        """
        if self._pending is not None and step > self._pending:
            self.commit()
        self._sums.fill(0.0)
        self._positions[:] = positions
        self._box[:] = 0.0 if box is None else box
        self._values[:] = extra
        self._step[0] = step
        command = self._plumed.cmd
        try:
            command("setStepLong", self._step)
            if not self._handed_over:
                self._hand_over()
            command("prepareCalc")
            command("performCalcNoUpdate")
            command("getBias", self._bias)
        except self._plumed_module.PlumedError as error:
            raise _explained(error, step) from error
        self._pending = step
        return float(self._bias[0]), self._forces

    def _hand_over(self) -> None:
        """Give PLUMED the memory that it reads and writes; it takes it only within a step."""
        arrays = {
            "setPositions": self._positions,
            "setMasses": self._masses,
            "setBox": self._box,
            "setForces": self._forces,
            "setVirial": self._virial,
        }
        for k, name in enumerate(self._extra):
            arrays[f"setExtraCV {name}"] = self._values[k : k + 1]
            arrays[f"setExtraCVForce {name}"] = self._extra_forces[k : k + 1]
        for command, array in arrays.items():
            self._plumed.cmd(command, array)
        self._handed_over = True

    @property
    def extra_forces(self) -> list[float]:
        """Minus the derivative of the bias by each EXTRACV at the last evaluation, kJ/mol per its unit."""
        forces: list[float] = self._extra_forces.tolist()
        return forces

    @property
    def virial(self) -> Array:
        """Virial of the last evaluation, kJ/mol, shape (3, 3)."""
        return self._virial

    def commit(self) -> None:
        """Let PLUMED deposit and write for the step that was evaluated last, once."""
        if self._pending is not None:
            step, self._pending = self._pending, None
            try:
                self._plumed.cmd("update")
            except self._plumed_module.PlumedError as error:
                raise _explained(error, step) from error

    def discard(self) -> None:
        """Forget the step that was evaluated last: nothing is deposited or written for it."""
        self._pending = None

    def close(self) -> None:
        """Commit what is left and let PLUMED close its files."""
        if not self._closed:
            self._closed = True
            self.commit()
            self._plumed.finalize()


@contextmanager
def _stderr_to(log: Path | None) -> Iterator[None]:
    """Send what the kernel says about its own loading to a file beside its log instead of the terminal."""
    if log is None:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with open(log.with_suffix(".stderr"), "wb") as target:
        os.dup2(target.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _explained(error: Exception, step: int) -> UqcvError:
    cause = _cause()
    if cause is None:
        return UqcvError(f"step {step}: PLUMED stopped: {_plumed_words(error)}")
    return type(cause)(f"step {step}: {cause}")


def _cause() -> UqcvError | None:
    """Return the error of our own CV behind PLUMED's generic one."""
    from uqcv.colvars.pycv import last_error

    error = last_error.pop() if last_error else None
    return error if isinstance(error, UqcvError) or error is None else UqcvError(str(error))


def _plumed_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("(core/")]
    return " ".join(lines) or type(error).__name__
