"""Wrong words to the engines: PLUMED templates, exported CVs, the `plumed` program, the benchmark."""

import json
from pathlib import Path

from .case import Case
from .lines import RUN
from .lines import SAMPLE as LINE
from .spoiling import empty, folder_instead, garbage, written

SAMPLE = f"{LINE} --set sampling.bias.template="
CAMPAIGN = f"{RUN} --set sampling.bias.template="
METAD = "METAD ARG=${cv} SIGMA=0.1 HEIGHT=1 PACE=5"
U = "u: PYCVINTERFACE ATOMS=${atoms} IMPORT=${module}\n"
PARTIAL = "speed.json.partial"
BENCHMARK = "uqcv benchmark speed -o speed.json --atoms 0"

TEMPLATES = (
    Case("no such template", f"{SAMPLE}nowhere"),
    Case("an empty template", f"{SAMPLE}mine.dat", empty("mine.dat")),
    Case("a template of comments", f"{SAMPLE}mine.dat", written("mine.dat", "# METAD ARG=${cv}\n")),
    Case("a folder in place of the template", f"{SAMPLE}mine.dat", folder_instead("mine.dat")),
    Case("bytes that mean nothing", f"{SAMPLE}mine.dat", garbage("mine.dat")),
    Case("a field that does not exist", f"{SAMPLE}mine.dat",
         written("mine.dat", U + "METAD ARG=${cv} SIGMA=${breadth}\n")),
    Case("a dollar sign by itself", f"{SAMPLE}mine.dat", written("mine.dat", U + "# costs 3 $\n")),
    Case("a keyword that PLUMED does not know", f"{SAMPLE}mine.dat",
         written("mine.dat", U + "METAD ARG=${cv} SIGMA=0.1 HIGHT=1 PACE=5\n"), leaves=("out*",)),
    Case("a module that is not there", f"{SAMPLE}mine.dat",
         written("mine.dat", "u: PYCVINTERFACE ATOMS=${atoms} IMPORT=nothing\n"), leaves=("out*",)),
    Case("atoms in another order", f"{SAMPLE}mine.dat",
         written("mine.dat", "u: PYCVINTERFACE ATOMS=2,1,3-22 IMPORT=${module}\n"), leaves=("out*",)),
    Case("a grid that ends before the uncertainty begins", f"{SAMPLE}mine.dat",
         written("mine.dat", U + METAD + " GRID_MIN=-9 GRID_MAX=-8 GRID_BIN=50\n"), leaves=("out*",)),
    Case("RESTART, which no checkpoint can bring back", f"{SAMPLE}mine.dat",
         written("mine.dat", f"RESTART\n{U}RESTRAINT ARG=${{cv}} AT=0 KAPPA=1\n"), leaves=("out*",)),
    Case("a keyword that PLUMED does not know, in a campaign", f"{CAMPAIGN}mine.dat",
         written("mine.dat", U + METAD.replace("HEIGHT", "HIGHT"))),
    Case("a shared bias that is not metadynamics",
         f"{LINE} --set sampling.bias.shared=true --set sampling.sampler=opes"),
    Case("a shared bias at two temperatures",
         f"{LINE} --set sampling.walkers=2 --set sampling.bias.shared=true --set sampling.temperatures=[300,400]"),
    Case("a shared bias of one walker", f"{LINE} --set sampling.bias.shared=true"),
    Case("walkers of another model", LINE, written("out/walker-00/plan.json", '{"model": "0123456789ab"}')),
    Case("walkers that do not say what they are of", LINE, written("out/walker-00/plan.json", "[1]")),
    Case("a sampler that does not exist", SAMPLE.replace("bias.template=", "sampler=magic")),
)  # fmt: skip

EXPORTS = (
    Case("a pooling that does not exist", "uqcv export bundle out --component median"),
    Case("a precision that does not exist", "uqcv export bundle out --dtype float16"),
    Case("a device that does not exist", "uqcv export bundle out --device abacus"),
)

PROGRAM = (
    Case("a folder that is no exported CV", "uqcv plumed --cv walkers info --version"),
    Case("no such folder", "uqcv plumed --cv nowhere info --version"),
)


DOCTOR = (
    Case("no such PLUMED input", "uqcv doctor bundle --plumed nowhere.dat"),
    Case("an empty PLUMED input", "uqcv doctor bundle --plumed mine.dat", empty("mine.dat")),
    Case("a PLUMED input of comments", "uqcv doctor --plumed mine.dat", written("mine.dat", "# METAD ARG=phi\n")),
    Case("bytes that mean nothing as PLUMED input", "uqcv doctor bundle --plumed mine.dat", garbage("mine.dat")),
    Case("a folder in place of the PLUMED input", "uqcv doctor --plumed walkers"),
    Case("no such structure", "uqcv doctor bundle --structure nowhere.extxyz"),
    Case("an empty structure", "uqcv doctor bundle --structure mine.extxyz", empty("mine.extxyz")),
    Case("bytes that mean nothing as structure", "uqcv doctor bundle --structure mine.extxyz", garbage("mine.extxyz")),
    Case("a structure without a bundle", "uqcv doctor --structure training.extxyz"),
)


def _partial(change) -> None:
    Path(PARTIAL).write_text(json.dumps(change({"machine": {}, "settings": {}, "rows": []})))


BENCHMARKS = (
    Case("what was kept is empty", BENCHMARK, empty(PARTIAL)),
    Case("what was kept means nothing", BENCHMARK, garbage(PARTIAL)),
    Case("what was kept is something else", BENCHMARK, written(PARTIAL, '{"rows": []}')),
    Case("what was kept is a list", BENCHMARK, written(PARTIAL, "[1, 2]")),
    Case("a molecule that is not there", f"{BENCHMARK} --molecule nowhere.pdb"),
    Case("a molecule that is no molecule", f"{BENCHMARK} --molecule mine.pdb", garbage("mine.pdb")),
    Case("a crystal that is too small", "uqcv benchmark speed -o speed.json --atoms 3"),
    Case("a crystal that fits no memory", "uqcv benchmark speed -o speed.json --atoms 1000000000000"),
    Case("a method that does not exist", f"{BENCHMARK} --only magic"),
    Case("a device that is not there", f"{BENCHMARK} --device abacus"),
    Case("a precision that does not exist", f"{BENCHMARK} --dtype float16"),
    Case("a folder as output", "uqcv benchmark speed -o walkers"),
    Case("no turns", f"{BENCHMARK} --turns 0"),
)
