"""Fusing a PLUMED input with the network that runs: our own CV becomes a number that the engine hands to PLUMED.

The user writes PYCVINTERFACE as for any PLUMED. Where it imports the uncertainty of the very model that drives the
dynamics, PLUMED need not call Python: it gets U as an EXTRACV, gives dV/dU back, and one backward pass of
E + (dV/dU) U yields all forces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from uqcv.colvars.pycv import PyCV
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.simulation.exported_cvs import ExportedCV, component_reference, exported_cvs, extra_cv_name
from uqcv.simulation.plumed_atoms import listed_atoms
from uqcv.simulation.plumed_input import without_comments

KNOWN_WORDS = {"ATOMS", "IMPORT", "LABEL"}


@dataclass(frozen=True)
class FusedInput:
    """An input without our CV's PYCVINTERFACE.

    Attributes
    ----------
    text
        What PLUMED reads.
    pycv
        The CV that was replaced.
    components
        Component of the CV, by the name of the EXTRACV that stands for it.
    """

    text: str
    pycv: PyCV
    components: dict[str, str]


@dataclass(frozen=True)
class NotFused:
    """Why an input is not fused; empty if it has nothing of ours.

    Attributes
    ----------
    reason
        For a person.
    """

    reason: str


def fuse(text: str, cv: UncertaintyCV) -> FusedInput | NotFused:
    """Return `text` with the uncertainty of `cv` as EXTRACVs, or why that cannot be.

    Parameters
    ----------
    text
        A PLUMED input whose modules have been imported.
    cv
        What the running network evaluates; a PYCVINTERFACE is fused if its module evaluates the same object, that
        is, the same bundle by its hash, on the same atoms, in the same precision.
    """
    text = without_comments(text)
    own = list(exported_cvs(text))
    if not own:
        return NotFused("")
    if len(own) > 1:
        return NotFused("the input has several uncertainties")
    if own[0].pycv.cv is not cv:
        return NotFused("the PyCV is of another bundle, precision, device or system than the network that runs")
    if re.search(r"^\s*UNITS\b", text, re.MULTILINE):
        return NotFused("the input has UNITS, which PLUMED does not apply to numbers that the engine hands it")
    return _rewritten(text, own[0])


def _rewritten(text: str, own: ExportedCV) -> FusedInput | NotFused:
    unknown = sorted(set(own.words) - KNOWN_WORDS)
    if own.label is None:
        return NotFused("the PYCVINTERFACE has no label")
    if unknown:
        return NotFused(f"the PYCVINTERFACE has {', '.join(unknown)}")
    if listed_atoms(own.words.get("ATOMS", "")) != list(range(1, len(own.pycv.cv.numbers) + 1)):
        return NotFused("ATOMS are not all atoms of the system in their order")
    _, _, after = text[own.end :].partition("\n")  # a block may name its action again behind the last dots
    return _renamed(text[: own.start], after, own.label, own.pycv)


def _renamed(before: str, after: str, label: str, pycv: PyCV) -> FusedInput | NotFused:
    """Replace `label.py-component` everywhere by the label of an EXTRACV, in names made from it too.

    The EXTRACVs stand where the CV stood: LOAD must come before what it loads.
    """
    offered, reference = pycv.init["COMPONENTS"], component_reference(label)
    used = sorted(set(reference.findall(after)))
    names = {component: extra_cv_name(label, component) for component in used}
    after = reference.sub(lambda match: names[match[1]], after)
    if not used or not set(used) <= set(offered):
        return NotFused(f"components {', '.join(used) or 'none'} of {label} are used; it has {', '.join(offered)}")
    if re.search(rf"(?<![\w.-]){re.escape(label)}(?![\w-])", before + after):
        return NotFused(f"{label} is used otherwise than by the names of its components")
    if taken := [n for n in names.values() if re.search(rf"^\s*{n}\s*:|\bLABEL={n}\b", before + after, re.MULTILINE)]:
        return NotFused(f"the label {taken[0]}, which would stand for the CV, is taken")
    extra = "".join(f"{name}: EXTRACV NAME={name}\n" for name in names.values())
    return FusedInput(before + extra + after, pycv, {n: c for c, n in names.items()})
