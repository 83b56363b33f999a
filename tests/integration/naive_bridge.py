"""The coupling that one writes first: PLUMED's `calc` in every evaluation. For the tests that show what comes of it."""

import numpy as np
import openmm
import plumed


def add_naive_plumed(system: openmm.System, text: str) -> plumed.Plumed:
    n = system.getNumParticles()
    kernel = plumed.Plumed()
    for name, value in (("setNatoms", n), ("setTimestep", 0.0005), ("setKbT", 2.4943), ("setLogFile", "/dev/null")):
        kernel.cmd(name, value)
    kernel.cmd("init")
    kernel.cmd("readInputLines", text)
    memory = {"setMasses": np.ones(n), "setBox": np.zeros((3, 3)), "setVirial": np.zeros((3, 3))}

    def evaluate(state: openmm.State) -> tuple[float, np.ndarray]:
        positions, forces, bias = np.array(state.getPositions(asNumpy=True)._value), np.zeros((n, 3)), np.zeros(1)
        step = np.array([state.getStepCount()], dtype=np.int64)
        for name, array in {"setStepLong": step, "setPositions": positions, "setForces": forces, **memory}.items():
            kernel.cmd(name, array)
        kernel.cmd("calc")
        kernel.cmd("getBias", bias)
        return float(bias[0]), forces

    system.addForce(openmm.PythonForce(evaluate))
    return kernel
