"""Wrong data and options of `uqcv benchmark uq`, and networks that were trained for another uncertainty."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .case import Case
from .lines import FIT, TRAIN
from .spoiling import cut, garbage, written

COMPARE = "uqcv benchmark uq training.extxyz -o out --seeds 1"
NPZ = "uqcv benchmark uq data.npz -o out --seeds 1"


def arrays(**changes: np.ndarray | None) -> Callable[[], None]:
    """Write a file of rMD17 with some arrays of another kind."""

    def spoil() -> None:
        good = {
            "nuclear_charges": np.array([8, 1, 1]),
            "coords": np.arange(180.0).reshape(20, 3, 3),
            "energies": np.zeros(20),
            "forces": np.zeros((20, 3, 3)),
        }
        np.savez("data.npz", **{name: array for name, array in (good | changes).items() if array is not None})

    return spoil


def other_comparison() -> None:
    Path("out").mkdir()
    Path("out/settings.json").write_text('{"seeds": 7}')


CASES = (
    Case("data that are not there", "uqcv benchmark uq nowhere.extxyz -o out"),
    Case("frames without labels", "uqcv benchmark uq bare.extxyz -o out"),
    Case("too few frames", f"{COMPARE} --train 8"),
    Case("no frames left for a part", f"{COMPARE} --train 4 --validation 2 --calibration 2 --test 9"),
    Case("a key that frames do not have", f"{COMPARE} --group-key geometry"),
    Case("half of a pair of options", f"{COMPARE} --domain-key stage"),
    Case("a domain that no frame is of", f"{COMPARE} --domain-key stage --train-on initial",
         lambda: _with_stage("attack")),
    Case("an uncertainty that does not exist", f"{COMPARE} --only magic"),
    Case("a folder of another comparison", COMPARE, other_comparison),
    Case("an `.npz` of bytes that mean nothing", NPZ, garbage("data.npz")),
    Case("an `.npz` without forces", NPZ, arrays(forces=None)),
    Case("an `.npz` whose arrays do not fit", NPZ, arrays(forces=np.zeros((20, 4, 3)))),
    Case("an `.npz` of objects of Python", NPZ, arrays(energies=np.array([{}] * 20, dtype=object))),
    Case("an index that is outside of the data", f"{NPZ} --train-index rows.csv",
         lambda: (arrays()(), written("rows.csv", "0\n20\n")())),
    Case("a list of indices that is none", f"{NPZ} --train-index rows.csv",
         lambda: (arrays()(), written("rows.csv", "first\nsecond\n")())),
    Case("a test index alone", f"{NPZ} --test-index rows.csv", arrays()),
    Case("a device that is not there", f"{COMPARE} --set training.device=abacus"),
)  # fmt: skip


def _with_stage(value: str) -> None:
    path = Path("training.extxyz")
    path.write_text(path.read_text().replace("Properties=", f"stage={value} Properties="))


REFERENCE = "uqcv reference sample campaign.yaml -o out.extxyz --set initial.frames=2"

FRAMES = (
    Case("an angle without a number", f"{REFERENCE} --turn phi"),
    Case("a torsion that is not named", f"{REFERENCE} --turn chi=60"),
    Case("a start outside of the range to keep", f"{REFERENCE} --set 'initial.keep={{phi: [0, 150]}}'"),
    Case("an output below a file", f"{REFERENCE.replace('out.extxyz', 'potential.pt/out.extxyz')}"),
)

NETWORKS = (
    Case("a network without a second readout", f"{FIT} --set uncertainty.method=mve"),
    Case("one network for an ensemble", f"{FIT} --set uncertainty.method=ensemble"),
    Case("a network of an ensemble that is cut in the middle",
         f"{FIT} --set uncertainty.method=ensemble --set uncertainty.ensemble.members=2",
         lambda: (_second(), cut("potential-1.pt", 7000)())),
    Case("going on with another uncertainty", f"{TRAIN} --start potential.pt --set uncertainty.method=evidential"),
    Case("an ensemble of one", f"{TRAIN} --set uncertainty.method=ensemble --set uncertainty.ensemble.members=1"),
)  # fmt: skip


def _second() -> None:
    Path("potential-1.pt").write_bytes(Path("potential.pt").read_bytes())
