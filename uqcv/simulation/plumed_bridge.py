"""PLUMED as a function of positions whose evaluation has no side effects.

PLUMED's `calc` also deposits hills and writes files. Here an evaluation only computes, and `update`, which
deposits and writes, is called once per step: lazily, at the first evaluation of a later step, when PLUMED still
holds the last evaluation of the step before. Any number of queries or barostat trials at one step thus see the
same bias and leave no trace.

PLUMED cannot save what it remembers. A bridge that keeps a diary can tell a new PLUMED all that changed it, and has
the same PLUMED again, whatever actions are in the input (plumed2 issues 37 and 125), unless it reads files that change.
"""

from __future__ import annotations

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
        # PLUMED keeps pointers to these: it is given them once, and each step fills them anew.
        self._masses = np.array(masses, dtype=np.float64)
        self._extra = tuple(extra)
        self._told = np.zeros(3 * len(masses) + 9 + len(extra))
        positions, box, self._values = np.split(self._told, np.cumsum([3 * len(masses), 9]))
        self._positions, self._box = positions.reshape(-1, 3), box.reshape(3, 3)
        # What PLUMED adds to lies in one place, so that a step clears it at once.
        self._sums = np.zeros(self._positions.size + self._box.size + len(extra))
        forces, virial, self._extra_forces = np.split(self._sums, np.cumsum([self._positions.size, self._box.size]))
        self._forces, self._virial = forces.reshape(-1, 3), virial.reshape(3, 3)
        self._bias = np.zeros(1)
        self._step = np.zeros(1, dtype=np.int64)  # PLUMED reads 64 bits here, a Python int would give it 32
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
            self._plumed = load_kernel()
            self.command: Callable[..., Any] = self._plumed.cmd
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
        elif step == self._pending and self._was_told(positions, box, extra):
            return float(self._bias[0]), self._forces
        elif step < max(self._committed, -1 if self._pending is None else self._pending):
            raise self._went_back(step)
        self._sums.fill(0.0)
        self._positions[:] = positions
        self._box[:] = 0.0 if box is None else box
        self._values[:] = extra
        self._step[0] = step
        command = self.command
        try:
            command("setStepLong", self._step)
            if not self._handed_over:
                self._hand_over()
            command("prepareCalc")
            command("performCalcNoUpdate")
            command("getBias", self._bias)
        except self._plumed_module.PlumedError as error:
            self._pending = None  # there is no evaluation that an update could be of
            raise self._outside(step) or explained(error, step) from error
        if problem := self._outside(step):
            self._pending = None
            raise problem
        if step > self._committed:
            self._pending = step
        return float(self._bias[0]), self._forces

    def _outside(self, step: int) -> UqcvError | None:
        """Return what is wrong if a value is outside of its grid."""
        problem = outside(self._axes, self._on_axes.tolist()) if self._axes else None
        return UqcvError(f"step {step}: {problem}") if problem else None

    def _was_told(self, positions: Array, box: Array | None, extra: Sequence[float]) -> bool:
        """Whether the last evaluation was of these: some actions count how often they are asked (ACCELERATION)."""
        same_box = not self._box.any() if box is None else np.array_equal(self._box, box)
        return same_box and np.array_equal(self._positions, positions) and np.array_equal(self._values, extra)

    def _went_back(self, step: int) -> UqcvError:
        last = self._committed if self._pending is None else self._pending
        return UqcvError(
            f"step {step} was asked for after step {last}: PLUMED holds what came between and cannot go back; "
            "restore a checkpoint of uqcv in a new process, or make the bias anew with its context"
        )

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
            self.command(command, array)
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
            self._diary.append(step, self._told)
        self._committed = step
        try:
            self.command("update")
        except self._plumed_module.PlumedError as error:
            raise explained(error, step) from error

    def _require_valid(self, step: int) -> None:
        if not self._memory.deposits_at(step):
            return
        finite = np.isfinite(self._bias[0]) and np.isfinite(self._told).all()
        problem = None if finite else "positions, box, values or bias are not finite"
        if problem is None and self.judge is not None:
            problem = self.judge(self._positions, self._box)
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
        diary = Diary(path, len(self._told), mark)
        for step, told in diary.records():
            self._retell(step, told)
        self._diary = diary

    def _retell(self, step: int, told: Array) -> None:
        positions, box, values = np.split(told, np.cumsum([self._positions.size, self._box.size]))
        self.evaluate(step, positions.reshape(-1, 3), box.reshape(3, 3), values.tolist())
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
                self._plumed.finalize()
                if self._diary is not None:
                    self._diary.close()
