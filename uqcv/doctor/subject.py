"""The bundle that is examined, a structure for it, and its collective variable as `uqcv export` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export, module_name
from uqcv.doctor.check import Patient
from uqcv.errors import InputError
from uqcv.simulation.topology import reduced_cell
from uqcv.structures import Structure, read_structures, require_elements
from uqcv.uncertainty.pooling import POOLINGS

TRAINING_FILE = "training.extxyz"  # lies beside the bundle in campaigns
SPACING, PERIODIC_SPACING = 1.6, 2.6  # Å, of a structure that is made up
DISPLACEMENT = 0.03  # Å; at a symmetric place gradients that are wrong may be zero


@dataclass(frozen=True)
class Subject:
    """What checks of a bundle share.

    Attributes
    ----------
    bundle
        The model.
    structure
        Where it is examined, in a cell as OpenMM wants it.
    source
        Where the structure is from, for a person.
    cv_folder
        Where its collective variable is.
    """

    bundle: Bundle
    structure: Structure
    source: str
    cv_folder: Path

    @property
    def module(self) -> str:
        """Name of the exported module."""
        return module_name(self.bundle)

    @cached_property
    def head(self) -> str:
        """First line of a PLUMED input, which names the uncertainty `u`."""
        return f"u: PYCVINTERFACE ATOMS=1-{len(self.structure)} IMPORT={self.module}\n"


@lru_cache
def subject_of(patient: Patient) -> Subject:
    """Return the bundle of a patient in its structure; the same in each process."""
    assert patient.bundle is not None
    torch.set_num_threads(1)  # as walkers do; the fresh process waits meanwhile, and shall not slow this one down
    bundle = Bundle.load(patient.bundle)
    structure, source = _structure(bundle, patient)
    require_elements([structure], bundle.settings.elements, patient.structure or patient.bundle)
    noise = np.random.default_rng(0).normal(scale=DISPLACEMENT, size=structure.positions.shape)
    structure = structure.with_positions(structure.positions + noise)
    if structure.is_periodic:
        structure = reduced_cell(structure)
    folder = patient.scratch / "cv"
    if not folder.exists():
        export(bundle, folder, structure.numbers.tolist(), structure.pbc.tolist(), POOLINGS, "float64")
    return Subject(bundle, structure, source, folder)


def _structure(bundle: Bundle, patient: Patient) -> tuple[Structure, str]:
    assert patient.bundle is not None
    if patient.structure is not None:
        return _periodic_or_not(read_structures(patient.structure)[0]), str(patient.structure)
    beside = patient.bundle.parent / TRAINING_FILE
    if beside.is_file():
        first = read_structures(beside)[0]
        if tuple(first.numbers) == bundle.settings.reference_numbers:
            return _periodic_or_not(first), f"{beside}, first frame"
    return made_up(bundle), "made up, since none lies beside the bundle; give yours with --structure"


def _periodic_or_not(structure: Structure) -> Structure:
    if structure.is_periodic and not structure.pbc.all():
        raise InputError(
            f"a structure that is periodic along {int(structure.pbc.sum())} of 3 vectors was given; OpenMM knows "
            "all or none, give one of these with --structure"
        )
    return structure


def made_up(bundle: Bundle) -> Structure:
    """Return the atoms that a bundle was trained on, on a lattice: no real structure, but all derivatives are real."""
    numbers, periodic = np.array(bundle.settings.reference_numbers), any(bundle.settings.reference_pbc)
    edge = int(np.ceil(len(numbers) ** (1 / 3)))
    spacing = PERIODIC_SPACING if periodic else SPACING
    places = np.stack(np.meshgrid(*3 * [np.arange(edge)], indexing="ij"), axis=-1).reshape(-1, 3)[: len(numbers)]
    cell = spacing * edge * np.eye(3) if periodic else np.zeros((3, 3))
    return Structure(numbers, (spacing * places).astype(np.float64), cell, np.full(3, periodic))
