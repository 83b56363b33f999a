"""Where a PLUMED input uses CVs that `uqcv export` wrote, and what of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from uqcv.colvars.pycv import PyCV
from uqcv.simulation.plumed_input import PYCV_ACTION, without_comments, without_remarks

LABEL_BEFORE = re.compile(r"(?P<label>[\w-]+)\s*:\s*$")
# What may name components without spelling them: wildcards, regular expressions, and files that are not at hand.
HIDDEN_NAMES = re.compile(r"\bARG\d*=\S*[*(]|^\s*INCLUDE\b", re.MULTILINE)


@dataclass(frozen=True)
class ExportedCV:
    """A PYCVINTERFACE of ours.

    Attributes
    ----------
    pycv
        The CV behind it.
    label
        None if it has none.
    words
        What the action is given, by keyword.
    start, end
        Where it stands in the input, label included.
    """

    pycv: PyCV
    label: str | None
    words: dict[str, str]
    start: int
    end: int


def exported_cvs(text: str) -> Iterator[ExportedCV]:
    """Yield every CV of ours in an input without comments, whose modules have been imported."""
    for match in PYCV_ACTION.finditer(text):
        words = dict(re.findall(r"(\w+)=(\S+)", match["words"]))
        pycv = getattr(sys.modules.get(words.get("IMPORT", "")), "_cv", None)
        if isinstance(pycv, PyCV):
            before = LABEL_BEFORE.search(text[: match.start()])
            label = before["label"] if before else words.get("LABEL")
            yield ExportedCV(pycv, label, words, before.start() if before else match.start(), match.end())


def component_reference(label: str) -> re.Pattern[str]:
    """Return the pattern of `label.py-component`, in names made from it too; components have no underscore."""
    return re.compile(rf"(?<![\w-]){re.escape(label)}\.py-([A-Za-z0-9-]+)")


def extra_cv_name(label: str, component: str) -> str:
    """Return what the EXTRACV is called that stands for a component of a CV of ours."""
    return f"{label}_{component}".replace("-", "_")


def want_components(text: str) -> None:
    """Tell each CV of ours which of its components an input uses: each costs a backward pass in every step."""
    text = without_comments(text)
    for found in exported_cvs(text):
        if found.label is not None and not HIDDEN_NAMES.search(text):
            found.pycv.want(found.label, set(component_reference(found.label).findall(text)))


def collective_variable(text: str) -> str | None:
    """Return the hashes of our CVs in an input, which cover pooling and calibration; None if it has none."""
    return ", ".join(found.pycv.cv.bundle.short_hash for found in exported_cvs(without_comments(text))) or None


def bias_identity(text: str) -> dict[str, Any]:
    """Return what a bias is of: the input, and our CVs in it."""
    return {
        "collective variable": collective_variable(text) or "PLUMED's own",
        "PLUMED input": without_remarks(text).splitlines(),
    }
