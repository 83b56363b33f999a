"""Neural network interatomic potentials: energy, forces and per-atom invariant features."""
