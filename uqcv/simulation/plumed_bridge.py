"""PLUMED as a function of positions whose evaluation has no side effects.

PLUMED's `calc` also deposits hills and writes files. Here an evaluation only computes, and `update`, which
deposits and writes, is called once per step: lazily, at the first evaluation of a later step, when PLUMED still
holds the last evaluation of the step before. Any number of queries or barostat trials at one step thus see the
same bias and leave no trace.

PLUMED cannot save what it remembers. A bridge that keeps a diary can tell a new PLUMED all that changed it, and has
the same PLUMED again, whatever actions are in the input (plumed2 issues 37 and 125), unless it reads files that change.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.colvars import pycv
from uqcv.errors import BrokenStructureError, PlumedInputError, UqcvError
from uqcv.files import flush_streams
from uqcv.simulation.diary import Diary, DiaryMark
from uqcv.simulation.exported_cvs import want_components
from uqcv.simulation.plumed_arrays import PlumedArrays
from uqcv.simulation.plumed_errors import explained, plumed_words, stderr_to
from uqcv.simulation.plumed_grids import outside, watched
from uqcv.simulation.plumed_input import import_modules, loads_plugin, uses_pycv
from uqcv.simulation.plumed_kernel import load_kernel, pycv_plugin, require_plumed
from uqcv.simulation.plumed_memory import plumed_memory
from uqcv.units import BOLTZMANN_KJMOL

Array = NDArray[np.float64]
# Says what is wrong with positions (nm, shape (n, 3)) in a box (nm, rows; zeros without), if anything is.
Judge = Callable[[Array, Array], str | None]


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

    Attributes
    ----------
    judge
        Asked before a hill or kernel is deposited: one at a structure that is not valid is refused, since other walkers
        may read it at once.
    command
        PLUMED itself: takes the name of a command and its value.

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
        pycv.engine_listens = True
        self._arrays = PlumedArrays(masses, extra)
        self._handed_over = False
        self._pending: int | None = None
        self._committed = -1
        self._closed = False
        self.judge: Judge | None = None
        self._memory = plumed_memory(text)
        self._diary: Diary | None = None
        import_modules(text, module_folder)
        want_components(text)
        if uses_pycv(text) and not loads_plugin(text):
            text = f"LOAD FILE={pycv_plugin()}\n{text}"
        text, self._axes = watched(text)
        self._on_axes = np.zeros(len(self._axes))
        with stderr_to(log):
            plumed = load_kernel()
            self.command: Callable[..., Any] = plumed.cmd
            self._finalize = weakref.finalize(self, plumed.finalize)  # at the end of Python at the latest
            self._start(text, time_step, temperature, log)

    def _start(self, text: str, time_step: float, temperature: float, log: Path | None) -> None:
        commands = (
            ("setMDEngine", "uqcv"),
            ("setNatoms", len(self._arrays.positions)),
            ("setTimestep", time_step),
            ("setKbT", BOLTZMANN_KJMOL * temperature),
            ("setLogFile", str(log) if log else "/dev/null"),
        )
        for name, value in commands:
            self.command(name, value)
        self.command("init")
        try:
            self.command("readInputLines", text)
        except self._plumed_module.PlumedError as error:
            raise PlumedInputError(f"PLUMED refuses the input: {plumed_words(error)}") from error
        for k in range(len(self._axes)):
            self.command(f"setMemoryForData axis{k}", self._on_axes[k : k + 1])

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
            What an action raised: the CV's own exception if it was ours; or that a value is outside of its grid.
        """
        if self._pending is not None and step > self._pending:
            self.commit()
        elif step == self._pending and self._arrays.were_told(positions, box, extra):
            return float(self._arrays.bias[0]), self._arrays.forces
        elif step < max(self._committed, -1 if self._pending is None else self._pending):
            raise self._went_back(step)
        arrays, command = self._arrays, self.command
        arrays.tell(step, positions, box, extra)
        try:
            command("setStepLong", arrays.step)
            if not self._handed_over:
                arrays.hand_over(command)
                self._handed_over = True
            command("prepareCalc")
            command("performCalcNoUpdate")
            command("getBias", arrays.bias)
        except self._plumed_module.PlumedError as error:
            self._pending = None  # there is no evaluation that an update could be of
            raise self._outside(step) or explained(error, step) from error
        if problem := self._outside(step):
            self._pending = None
            raise problem
        if step > self._committed:
            self._pending = step
        return float(arrays.bias[0]), arrays.forces

    def _outside(self, step: int) -> UqcvError | None:
        """Return what is wrong if a value is outside of its grid."""
        problem = outside(self._axes, self._on_axes.tolist()) if self._axes else None
        return UqcvError(f"step {step}: {problem}") if problem else None

    def _went_back(self, step: int) -> UqcvError:
        last = self._committed if self._pending is None else self._pending
        return UqcvError(
            f"step {step} was asked for after step {last}: PLUMED holds what came between and cannot go back; "
            "restore a checkpoint of uqcv in a new process, or make the bias anew with its context"
        )

    @property
    def extra_forces(self) -> list[float]:
        """Minus the derivative of the bias by each EXTRACV at the last evaluation, kJ/mol per its unit."""
        forces: list[float] = self._arrays.extra_forces.tolist()
        return forces

    @property
    def virial(self) -> Array:
        """Virial of the last evaluation, kJ/mol, shape (3, 3)."""
        return self._arrays.virial

    def commit(self) -> None:
        """Let PLUMED deposit and write for the step that was evaluated last, once.

        Raises
        ------
        BrokenStructureError
            If a hill would be deposited at a structure that is not valid; it is not.
        """
        if self._pending is None:
            return
        step, self._pending = self._pending, None
        self._require_valid(step)
        if self._diary is not None and (self._committed < 0 or self._memory.changes_at(step)):
            self._diary.append(step, self._arrays.told)
        self._committed = step
        try:
            self.command("update")
        except self._plumed_module.PlumedError as error:
            raise explained(error, step) from error

    def _require_valid(self, step: int) -> None:
        if not self._memory.deposits_at(step):
            return
        problem = None if self._arrays.are_finite() else "positions, box, values or bias are not finite"
        if problem is None and self.judge is not None:
            problem = self.judge(self._arrays.positions, self._arrays.box)
        if problem is not None:
            raise BrokenStructureError(f"step {step}: {problem}")

    @property
    def shares_hills(self) -> bool:
        """Whether all that PLUMED remembers is in files of hills that other walkers read too: no diary is needed."""
        return self._memory.shared

    def keep_diary(self, path: Path, mark: DiaryMark | None = None) -> None:
        """Record from here on what PLUMED is told, so that it can be told again.

        With a mark, the diary that is there is told to PLUMED first: it then remembers what it did when the mark was
        set, and its files are written anew up to there.

        Parameters
        ----------
        path
            The diary.
        mark
            How much of the diary counts.

        Raises
        ------
        UqcvError
            If PLUMED has been told steps already that no diary knows.
        PlumedInputError
            If PLUMED also depends on files that change while it runs: no diary knows these.
        InputError
            If the diary is not what the mark says.
        """
        if self._memory.foreign is not None:
            raise PlumedInputError(
                f"the input has {self._memory.foreign}: what PLUMED then reads changes while it runs, and a checkpoint "
                "cannot bring it back; leave it out (a checkpoint needs no RESTART), use no checkpoint, or, where "
                "METAD's hills are all that walkers share and remember, write RESTART in the first line"
            )
        if self._committed >= 0:
            raise UqcvError(f"step {self._committed} is done already: keep the diary from the first step on")
        diary = Diary(path, len(self._arrays.told), mark)
        for step, told in diary.records():
            self._retell(step, told)
        self._diary = diary

    def _retell(self, step: int, told: Array) -> None:
        positions, box, values = self._arrays.parts(told)
        self.evaluate(step, positions, box, values.tolist())
        self.commit()

    def mark(self, step: int) -> DiaryMark | None:
        """Commit what came before `step`, and return how much of the diary counts then, once it is on the disk.

        With shared hills there is no diary, and what PLUMED wrote is handed to the system.
        """
        if self._pending is not None and self._pending < step:
            self.commit()
        if self.shares_hills:
            flush_streams()
            return None
        if self._diary is None:
            raise UqcvError("no diary was kept of this bias from its first step on: it cannot be restored")
        return self._diary.mark()

    @property
    def pending(self) -> int | None:
        """Step that was evaluated and not yet committed, if there is one."""
        return self._pending

    def discard(self) -> None:
        """Forget the step that was evaluated last: nothing is deposited or written for it."""
        self._pending = None

    def close(self) -> None:
        """Commit what is left and let PLUMED close its files."""
        if not self._closed:
            self._closed = True
            try:
                self.commit()
            finally:
                self._finalize()
                if self._diary is not None:
                    self._diary.close()
