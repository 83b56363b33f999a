"""Two atoms that wander, for what PLUMED does with them."""

import numpy as np


def wandering(n_steps: int) -> np.ndarray:
    """Return positions in nm, shape (n_steps, 2, 3); the same beginning for any length."""
    random = np.random.default_rng(0)
    start = np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    return start + np.cumsum(random.normal(scale=0.01, size=(n_steps, 2, 3)), axis=0)
