"""Conversion factors; the only place where one is written.

Inside uqcv: Å, eV, eV/Å, amu, K, fs. OpenMM and PLUMED speak nm, kJ/mol and ps.
Constants are CODATA 2018 (exact since the SI revision of 2019).

Multiply by ``A_TO_B`` to go from A to B.
"""

ELEMENTARY_CHARGE = 1.602176634e-19  # C
AVOGADRO = 6.02214076e23  # 1/mol
BOLTZMANN_SI = 1.380649e-23  # J/K

BOLTZMANN = BOLTZMANN_SI / ELEMENTARY_CHARGE  # eV/K
BOLTZMANN_KJMOL = BOLTZMANN_SI * AVOGADRO / 1000.0  # kJ/mol/K

NM_TO_ANGSTROM = 10.0
ANGSTROM_TO_NM = 0.1
EV_TO_KJMOL = ELEMENTARY_CHARGE * AVOGADRO / 1000.0  # 96.485...
KJMOL_TO_EV = 1.0 / EV_TO_KJMOL
EV_PER_ANGSTROM_TO_KJMOL_PER_NM = EV_TO_KJMOL * NM_TO_ANGSTROM
KJMOL_PER_NM_TO_EV_PER_ANGSTROM = 1.0 / EV_PER_ANGSTROM_TO_KJMOL_PER_NM
FS_TO_PS = 1e-3
PS_TO_FS = 1e3
