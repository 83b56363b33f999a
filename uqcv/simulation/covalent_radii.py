"""How large atoms are in a molecule, as ASE knows it."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

# Of single bonds, hydrogen to curium in order (sp3 carbon; low spin for Mn, Fe and Co), Å; beyond, ASE has none:
# Cordero et al., Dalton Trans. 2832 (2008), doi 10.1039/b801115j.
LAST = 96
SYMBOLS: list[str] = chemical_symbols[1 : LAST + 1]
COVALENT_RADII: NDArray[np.float64] = covalent_radii[1 : LAST + 1]
