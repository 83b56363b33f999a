"""OpenMM forces, the PLUMED bridge, one walker's run, and checks that a molecule is still whole."""
