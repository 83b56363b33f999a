"""Checks of a bundle that take no engine: that it is whole, and that what is exported of it is it."""

from __future__ import annotations

from uqcv.colvars.bundle import Bundle
from uqcv.doctor.check import Patient, require
from uqcv.doctor.subject import DISPLACEMENT, subject_of
from uqcv.simulation.exported_cvs import exported_cvs
from uqcv.simulation.plumed_input import import_modules


def bundle(patient: Patient) -> str:
    """Load the bundle, which computes its hash anew."""
    assert patient.bundle is not None
    found = Bundle.load(patient.bundle)
    settings = found.settings
    return (
        f"hash {found.short_hash} is that of its content; {len(settings.reference_numbers)} atoms, elements "
        f"{', '.join(map(str, settings.elements))}, {settings.potential.n_features} features; "
        f"{settings.uncertainty.method} speaks of {found.model.speaks_of}"
    )


def structure(patient: Patient) -> str:
    """Find a structure to examine the bundle at."""
    subject = subject_of(patient)
    kind = "periodic" if subject.structure.is_periodic else "not periodic"
    return f"{len(subject.structure)} atoms, {kind}: {subject.source}; displaced by {DISPLACEMENT} Å"


def exported(patient: Patient) -> str:
    """Import what `uqcv export` writes, and compare its hash with that of the bundle."""
    subject = subject_of(patient)
    import_modules(subject.head, subject.cv_folder)
    (found,) = exported_cvs(subject.head)
    there, here = found.pycv.cv.bundle.hash, subject.bundle.hash
    return require(there == here, f"{subject.module} holds the hash {there[:12]}, that of the bundle is {here[:12]}")
