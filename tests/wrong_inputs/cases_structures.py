"""Wrong structures: extxyz files that are given to train on, to fit, to label, to start from."""

from pathlib import Path

import numpy as np

from uqcv.structures import Structure

from .case import Case
from .lines import FIT, HARVEST, LABEL, SAMPLE, TRAIN
from .spoiling import (
    all_of,
    cut,
    empty,
    folder_instead,
    frames,
    garbage,
    gone,
    malicious,
    replaced,
    written,
)  # fmt: skip

TRAINING, HELD_OUT, BARE = "training.extxyz", "held_out.extxyz", "bare.extxyz"
FIRST = "22\nProperties=species:S:1:pos:R:3:forces:R:3 "
OWN = "initial: {file: training.extxyz,"


def _reversed(s: Structure) -> Structure:
    forces = None if s.forces is None else s.forces[::-1]
    return Structure(s.numbers[::-1], s.positions[::-1], energy=s.energy, forces=forces)


def _shorter(s: Structure) -> Structure:
    return Structure(s.numbers[:-1], s.positions[:-1])


def _periodic(s: Structure) -> Structure:
    return Structure(s.numbers, s.positions, 20 * np.eye(3), np.ones(3, dtype=bool))


def _nan_energy() -> None:
    path = Path(TRAINING)
    text = path.read_text().splitlines()
    text[1] = text[1].split("energy=")[0] + 'energy=nan pbc="F F F"'
    path.write_text("\n".join(text) + "\n")


CASES = (
    Case("no such file", "uqcv train nowhere.extxyz held_out.extxyz -o out"),
    Case("an empty file", TRAIN, empty(TRAINING)),
    Case("an empty file", LABEL, empty(BARE)),
    Case("a folder in place of the file", TRAIN, all_of(gone(HELD_OUT), folder_instead(HELD_OUT))),
    Case("bytes that mean nothing", TRAIN, garbage(TRAINING)),
    Case("cut in the middle of a frame", TRAIN, cut(TRAINING, 5000)),
    Case("cut in the middle of a line", SAMPLE, cut(TRAINING, 5030)),
    Case("fewer lines than atoms are announced", LABEL, replaced(BARE, "22\n", "23\n", 1)),
    Case("zero atoms", LABEL, written(BARE, "0\nProperties=species:S:1:pos:R:3\n")),
    Case("a huge number of atoms", LABEL, written(BARE, "1000000000000\nProperties=species:S:1:pos:R:3\nC 0 0 0\n")),
    Case("a pickle that wants to be executed", LABEL, malicious(BARE, zipped=False)),
    Case("no labels", "uqcv train bare.extxyz held_out.extxyz -o out"),
    Case("no forces", FIT, replaced(TRAINING, ":forces:R:3", ":velo:R:3")),
    Case("no energy", TRAIN, replaced(HELD_OUT, "energy=", "enthalpy=", 1)),
    Case("positions in nm", TRAIN, frames(TRAINING, lambda s: Structure(
        s.numbers, 0.1 * s.positions, energy=s.energy, forces=s.forces))),
    Case("positions in nm", LABEL, frames(BARE, lambda s: s.with_positions(0.1 * s.positions))),
    Case("declared kcal/mol", TRAIN, replaced(TRAINING, FIRST, FIRST + "energy_unit=kcal/mol ", 1)),
    Case("declared kJ/mol/nm", FIT, replaced(HELD_OUT, FIRST, FIRST + "force_unit=kJ/mol/nm ", 1)),
    Case("declared Bohr", SAMPLE, replaced(TRAINING, FIRST, FIRST + "length_unit=bohr ", 1)),
    Case("NaN among the positions", LABEL, replaced(BARE, "0.02631176", "nan       ", 1)),
    Case("infinity among the forces", TRAIN, replaced(TRAINING, "0.41160168", "inf       ", 1)),
    Case("NaN as energy", TRAIN, _nan_energy),
    Case("forces of another shape", TRAIN, replaced(TRAINING, ":forces:R:3", ":forces:R:2:more:R:1", 1)),
    Case("a word among the numbers", TRAIN, replaced(TRAINING, "0.02631176", "0.0263117x", 1)),
    Case("an element that does not exist", LABEL, replaced(BARE, "C  ", "Qq ", 1)),
    Case("an element that the potential does not know", FIT, replaced(TRAINING, "\nN ", "\nS ")),
    Case("an element that the potential does not know", f"{TRAIN} --start potential.pt",
         replaced(TRAINING, "\nN ", "\nS ")),
    Case("an element that the bundle does not know", HARVEST, replaced(TRAINING, "\nN ", "\nS ")),
    Case("atoms in another order", SAMPLE, frames(TRAINING, _reversed)),
    Case("atoms in another order", LABEL, frames(BARE, _reversed)),
    Case("atoms in another order", "uqcv run campaign.yaml -o out",
         all_of(frames(TRAINING, _reversed), replaced("campaign.yaml", "initial: {", OWN))),
    Case("another number of atoms", SAMPLE, frames(TRAINING, _shorter)),
    Case("another number of atoms", LABEL, frames(BARE, _shorter)),
    Case("a cell for a method that is for vacuum", LABEL, frames(BARE, _periodic)),
    Case("a cell for a bundle of a molecule", SAMPLE, frames(TRAINING, _periodic)),
    Case("periodic without a cell", LABEL, replaced(BARE, 'pbc="F F F"', 'pbc="T T T"')),
    Case("two atoms at one place", LABEL, frames(BARE, lambda s: s.with_positions(0 * s.positions))),
    Case("fewer frames than are held out", "uqcv run campaign.yaml -o out --set initial.held_out=600",
         replaced("campaign.yaml", "initial: {", OWN)),
    Case("fewer atoms than components", "uqcv fit potential.pt training.extxyz held_out.extxyz -o out "
         "--set uncertainty.gmm.n_components=1000"),
)  # fmt: skip
