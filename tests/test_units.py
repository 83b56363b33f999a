"""Conversion factors against ASE's and OpenMM's own."""

import pytest
from ase import units as ase_units
from openmm import unit

from uqcv import units


def test_factors_agree_with_openmm():
    kjmol = unit.kilojoule_per_mole
    ev = units.ELEMENTARY_CHARGE * unit.joule * unit.AVOGADRO_CONSTANT_NA
    assert pytest.approx(ev.value_in_unit(kjmol), rel=1e-9) == units.EV_TO_KJMOL
    kb = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(kjmol / unit.kelvin)
    assert pytest.approx(kb, rel=1e-6) == units.BOLTZMANN_KJMOL
    assert (1 * unit.angstrom).value_in_unit(unit.nanometer) == pytest.approx(units.ANGSTROM_TO_NM)
    assert (1 * unit.femtosecond).value_in_unit(unit.picosecond) == pytest.approx(units.FS_TO_PS)


def test_factors_agree_with_ase():
    # ASE's constants are CODATA 2014
    assert pytest.approx(ase_units.kB, rel=1e-6) == units.BOLTZMANN
    assert pytest.approx(ase_units.kJ / ase_units.mol, rel=1e-6) == units.KJMOL_TO_EV


def test_a_force_of_one_ev_per_angstrom():
    # 1 eV/Å is 96.485 kJ/mol over 0.1 nm
    assert pytest.approx(964.853321, rel=1e-9) == units.EV_PER_ANGSTROM_TO_KJMOL_PER_NM
    for forward, back in (
        (units.EV_TO_KJMOL, units.KJMOL_TO_EV),
        (units.EV_PER_ANGSTROM_TO_KJMOL_PER_NM, units.KJMOL_PER_NM_TO_EV_PER_ANGSTROM),
        (units.NM_TO_ANGSTROM, units.ANGSTROM_TO_NM),
        (units.PS_TO_FS, units.FS_TO_PS),
    ):
        assert forward * back == pytest.approx(1.0, rel=1e-15)
