"""At which steps PLUMED changes what it remembers, or writes: read from its input.

PLUMED has no way to save its memory (plumed2 issue 125), but it is a function of what it has been told: told the same
again, it remembers and writes the same. Only the steps that change something need to be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from uqcv.simulation.plumed_actions import Action, read_actions, with_included

# What depends on the present step alone, given none but ordinary keywords.
MEMORYLESS = frozenset(
    """
    UNITS LOAD PYCVINTERFACE EXTRACV MOLINFO WHOLEMOLECULES GROUP CENTER COM POSITION DISTANCE ANGLE TORSION GYRATION
    RMSD CUSTOM MATHEVAL COMBINE CONSTANT RESTRAINT UPPER_WALLS LOWER_WALLS BIASVALUE FLUSH RESTART
    """.split()  # noqa: SIM905 (a list of words, not of quotes)
)
BIASES = frozenset({"RESTRAINT", "UPPER_WALLS", "LOWER_WALLS", "BIASVALUE"})  # of these
# What changes every so many steps: the keyword that says so, and the keywords with which that is all.
PERIODIC = {
    "PRINT": ("STRIDE", "ARG FILE FMT"),
    "DUMPATOMS": ("STRIDE", "ATOMS FILE UNITS PRECISION"),
    "METAD": (
        "PACE",
        "ARG SIGMA HEIGHT BIASFACTOR TEMP FILE FMT GRID_MIN GRID_MAX GRID_BIN GRID_SPACING GRID_SPARSE GRID_NOSPLINE "
        "INTERVAL WALKERS_N WALKERS_ID WALKERS_DIR WALKERS_RSTRIDE",
    ),
    "OPES_METAD": (
        "PACE",
        "ARG SIGMA BARRIER BIASFACTOR TEMP FILE FMT SIGMA_MIN EPSILON KERNEL_CUTOFF NO_ZED FIXED_SIGMA",
    ),
}  # fmt: skip
PERIODIC["OPES_METAD_EXPLORE"] = PERIODIC["OPES_METAD"]
# Keywords that make an action remember what it otherwise would not, such as the neighbours of the last step.
LISTS = frozenset({"NLIST", "NL_STRIDE", "NL_CUTOFF"})


@dataclass(frozen=True)
class PlumedMemory:
    """When PLUMED changes what it remembers.

    Attributes
    ----------
    strides
        It may change at the multiples of these steps and at no others; None: at every step.
    paces
        Hills and kernels are deposited at multiples of these.
    foreign
        What makes it read files that change while it runs, as the input says it; None if nothing does.
    shared
        Whether it remembers nothing but hills that other walkers read too, and reads them all when it starts.
    """

    strides: frozenset[int] | None
    paces: frozenset[int]
    foreign: str | None = None
    shared: bool = False

    def changes_at(self, step: int) -> bool:
        """Whether an update at `step` may change anything."""
        return self.strides is None or any(step % stride == 0 for stride in self.strides)

    def deposits_at(self, step: int) -> bool:
        """Whether a hill or kernel may be deposited at `step`."""
        return any(step % pace == 0 for pace in self.paces)


def plumed_memory(text: str) -> PlumedMemory:
    """Return when the actions of an input change what PLUMED remembers; what is not known may at every step."""
    actions = read_actions(with_included(text))
    strides = [_stride(action) for action in actions]
    known = None if None in strides else frozenset(s for s in strides if s)
    depositing = [action for action in actions if "PACE" in action.words]
    paces = frozenset(_whole(action.words["PACE"]) or 1 for action in depositing)
    restarts = any(action.restarts for action in actions if action.name == "RESTART")
    shared = bool(depositing) and all(_n_walkers(action) > 1 for action in depositing)
    foreign = next(filter(None, map(_foreign, actions)), None)
    return PlumedMemory(known, paces, foreign, shared and restarts and known is not None)


def _stride(action: Action) -> int | None:
    """Return every how many steps an action changes something, 0 for never, None if that is not known."""
    if action.name in MEMORYLESS:
        return None if action.keywords & LISTS else 0
    keyword, ordinary = PERIODIC.get(action.name, ("", ""))
    if not keyword or not action.keywords <= {keyword, *ordinary.split()} or _adapts(action):
        return None
    return _whole(action.words.get(keyword, "1"))


def _foreign(action: Action) -> str | None:
    """Return what makes an action read files that it, or another walker, goes on writing."""
    if action.restarts:
        return "RESTART" if action.name == "RESTART" else "RESTART=YES"
    return next((key for key in sorted(action.keywords) if key.startswith("WALKERS_")), None)


def _n_walkers(action: Action) -> int:
    return _whole(action.words.get("WALKERS_N", "")) or 1


def _adapts(action: Action) -> bool:
    """Whether a kernel's width is measured on the way."""
    return action.name.startswith("OPES") and not _numbers(action.words.get("SIGMA", "ADAPTIVE").split(","))


def _numbers(words: Iterable[str]) -> bool:
    try:
        return all(float(word) > 0 for word in words)
    except ValueError:
        return False


def _whole(word: str) -> int | None:
    return int(word) if word.isdecimal() and int(word) > 0 else None
