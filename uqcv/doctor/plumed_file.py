"""Checks of a PLUMED input of the user, by PLUMED itself, in a folder where it can do no harm."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import numpy as np
import torch

from uqcv.colvars.uncertainty_cv import shared_cv
from uqcv.doctor.check import CheckError, Patient
from uqcv.doctor.subject import subject_of
from uqcv.simulation.bias_files import BiasFiles
from uqcv.simulation.fusing import FusedInput, fuse
from uqcv.simulation.plumed_actions import read_actions
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.simulation.plumed_input import import_modules, imported_modules, read_plumed_input
from uqcv.simulation.plumed_memory import PERIODIC, plumed_memory
from uqcv.units import ANGSTROM_TO_NM, FS_TO_PS

OWN_MODULE = re.compile(r"uqcv_[0-9a-f]{12}")
ATOM_NUMBER = re.compile(r"\d+")
OPEN_PATHS = ("/", "~", "..")  # what stands at the beginning of paths that lead out of a folder
TIME_STEP, TEMPERATURE = 0.5, 300.0  # fs, K
LIBRARIES = ("LOAD",)  # actions whose files are only read, and may need what lies beside them
LOCAL_FILES = "inputs"
VALUE_WORDS = ("ARG", "LABEL")  # of keywords that take names
ATOM_WORDS = ("ATOM", "GROUP", "ENTITY", "CENTER", "ORIGIN")  # beginnings of keywords that take atoms


def accepted(patient: Patient) -> str:
    """Let PLUMED read the input, and evaluate it once if a structure is at hand."""
    text = _text(patient)
    _require_own_cvs(patient, text)
    n_atoms, source = _n_atoms(patient, text)
    with _bridge(patient, text, n_atoms) as bridge:
        detail = f"PLUMED reads its {len(read_actions(text))} actions; {n_atoms} atoms ({source})"
        if patient.bundle is None:
            return detail
        structure = subject_of(patient).structure
        box = structure.cell * ANGSTROM_TO_NM if structure.is_periodic else None
        bias, forces = bridge.evaluate(0, structure.positions * ANGSTROM_TO_NM, box)
        if not (np.isfinite(bias) and np.isfinite(forces).all()):
            raise CheckError(f"the bias at the bundle's structure is {bias:g} kJ/mol, or its forces are not finite")
        return f"{detail}; at its structure the bias is {bias:.4g} kJ/mol, forces up to {np.abs(forces).max():.3g}"


def fusing(patient: Patient) -> str:
    """Say whether the bias would share the backward pass of the network, and why not."""
    text = _text(patient)
    if patient.bundle is None:
        return "give the bundle too to know whether the bias is fused with its network"
    subject = subject_of(patient)
    numbers, pbc = subject.structure.numbers.tolist(), subject.structure.pbc.tolist()
    import_modules(text, subject.cv_folder)
    found = fuse(text, shared_cv(subject.bundle, numbers, pbc, torch.float64, "cpu"))
    if isinstance(found, FusedInput):
        return f"fused with the network of the bundle: {', '.join(found.components.values())} cost no pass of their own"
    return f"not fused (slower, same numbers): {found.reason or 'nothing in it is of this bundle'}"


def steps(patient: Patient) -> str:
    """Say at which steps something is deposited or written, and whether a checkpoint can bring it back."""
    text = _text(patient)
    memory = plumed_memory(text)
    said = [
        f"{action.label or action.name} each {action.words.get(PERIODIC[action.name][0], '1')}"
        for action in read_actions(text)
        if action.name in PERIODIC
    ]
    what = f"steps: {', '.join(said)}" if said else "nothing is deposited or written at known steps"
    diary = "each step" if memory.strides is None else "only these"
    if memory.shared:
        return f"{what}; walkers share hills: a checkpoint leaves them in their files"
    if memory.foreign is None:
        return f"{what}; a checkpoint keeps {diary}"
    return f"{what}; no checkpoint can be kept: {memory.foreign} makes PLUMED read files that change"


def files(patient: Patient) -> str:
    """Look up what the hills, states and grids are of that the input reads; nothing is touched."""
    assert patient.plumed is not None
    text = read_plumed_input(patient.plumed)
    import_modules(text, None if patient.bundle is None else subject_of(patient).cv_folder)
    with chdir(patient.home):
        found = BiasFiles.of(text)
        found.require_same()
        names = [str(path) for path in (*found.read, *(hills.base for hills in found.shared)) if path.exists()]
    return f"{', '.join(names)}: of this input" if names else "no hills, states or grids are there that it would read"


@contextmanager
def _bridge(patient: Patient, text: str, n_atoms: int) -> Iterator[PlumedBridge]:
    if patient.bundle is None:
        folder, masses = None, np.ones(n_atoms)
    else:
        subject = subject_of(patient)
        folder, masses = subject.cv_folder, subject.structure.masses
    bridge = PlumedBridge(text, masses, TIME_STEP * FS_TO_PS, TEMPERATURE, folder, Path("plumed.log"))
    try:
        yield bridge
    finally:
        bridge.discard()
        bridge.close()


def _text(patient: Patient) -> str:
    """Return the input in a form that touches no file elsewhere: PLUMED renames what it would replace."""
    assert patient.plumed is not None
    for folder in (patient.plumed.parent, patient.home):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))  # where the user's own modules are found
    return _kept_in(read_plumed_input(patient.plumed), patient)


def _kept_in(text: str, patient: Patient) -> str:
    """Let an input name copies of the files that it names."""
    for action in read_actions(text):
        if action.name not in LIBRARIES:
            for value in (v for k, v in action.words.items() if not k.startswith(ATOM_WORDS + VALUE_WORDS)):
                text = _with_copy(text, value, patient, action.name == "INCLUDE")
    return text


def _with_copy(text: str, value: str, patient: Patient, is_input: bool) -> str:
    """Copy the file that a word names, if there is one, and name the copy; make folders that it takes to be there."""
    assert patient.plumed is not None
    bases = (patient.home, patient.plumed.parent)
    there = next((base / value for base in bases if (base / value).is_file()), None)
    if there is None and not value.startswith(OPEN_PATHS):
        for path in (Path(value), Path(value).parent):
            if any((base / path).is_dir() for base in bases):
                path.mkdir(parents=True, exist_ok=True)
        return text
    copy = Path(LOCAL_FILES) / value.strip("/~.").replace("/", "-")
    copy.parent.mkdir(exist_ok=True)
    if there is not None and is_input:
        copy.write_text(_kept_in(read_plumed_input(there), patient))
    elif there is not None:
        shutil.copyfile(there, copy)
    return re.sub(rf"(?<==){re.escape(value)}(?=[\s,]|$)", str(copy), text)


def _require_own_cvs(patient: Patient, text: str) -> None:
    """Refuse a CV of another model than the bundle."""
    if patient.bundle is None:
        return
    expected = subject_of(patient).module
    others = [name for name, *_ in imported_modules(text) if OWN_MODULE.fullmatch(name) and name != expected]
    if others:
        raise CheckError(
            f"it imports {others[0]}, but the bundle is {expected}: another model is another collective variable",
            f"write IMPORT={expected} for this bundle and begin with new hills, or give the bundle that it is for",
        )


def _n_atoms(patient: Patient, text: str) -> tuple[int, str]:
    """Return how many atoms PLUMED is told there are, and how that is known."""
    if patient.bundle is not None:
        return len(subject_of(patient).structure), "of the bundle's structure"
    words = [v for action in read_actions(text) for k, v in action.words.items() if k.startswith(ATOM_WORDS)]
    numbers = [int(n) for word in words for n in ATOM_NUMBER.findall(word)]
    return max(numbers, default=1), "as many as it names"
