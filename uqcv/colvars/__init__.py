"""The uncertainty as a collective variable: bundles, values and gradients, and what PLUMED imports."""
