"""The atoms of a CV of ours: those that it was exported for, in their order, or a refusal that names the first."""

import pytest

from uqcv.errors import PlumedInputError
from uqcv.simulation.plumed_atoms import listed_atoms, require_atoms
from uqcv.simulation.plumed_input import import_modules


@pytest.mark.parametrize(
    ("words", "atoms"),
    [
        ("1-4", [1, 2, 3, 4]),
        ("7", [7]),
        ("3,1,2", [3, 1, 2]),
        ("1-10:4,2", [1, 5, 9, 2]),
        ("@heavy", None),
        ("group", None),
        ("", None),
    ],
)
def test_lists_of_atoms(words, atoms):
    assert listed_atoms(words) == atoms


@pytest.fixture
def check(exported, molecule):
    folder, module = exported

    def require(atoms: str, numbers=None) -> None:
        text = f"u: PYCVINTERFACE ATOMS={atoms} IMPORT={module}\nPRINT ARG=u.py-mean"
        import_modules(text, folder)
        require_atoms(text, list(molecule.numbers) if numbers is None else numbers)

    return require


def test_the_same_atoms_pass(check):
    check("1-22")
    check("1-10,11-22")
    check("@protein")  # only PLUMED knows them


def test_atoms_at_another_place_of_a_larger_system(check, molecule):
    solvated = [8, 1, 1, *molecule.numbers]
    check("4-25", solvated)
    with pytest.raises(PlumedInputError, match=r"u: atom 1 is O in the topology; the CV expects C there: .*--top"):
        check("1-22", solvated)


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        ("1-21", r"u: 21 atoms were given in ATOMS; the CV was exported for 22"),
        ("2-23", r"u: ATOMS has atom 23; the system has 22 atoms"),
        ("2,1,3-22", r"u: atom 2 is H in the topology; the CV expects C there"),
    ],
)
def test_others_are_refused(check, atoms, words):
    with pytest.raises(PlumedInputError, match=words):
        check(atoms)
