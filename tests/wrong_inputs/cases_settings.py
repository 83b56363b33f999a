"""Wrong settings: the YAML of a campaign, and `--set`."""

from .case import EXECUTED, Case
from .lines import LABEL, RUN, TRAIN
from .spoiling import cut, empty, folder_instead, garbage, replaced, written

YAML = "campaign.yaml"
OPENMM = "{kind: openmm, topology: topology.pdb}"
SAMPLE = "uqcv sample bundle training.extxyz --top topology.pdb -o out"

CASES = (
    Case("no such file", "uqcv run nowhere.yaml"),
    Case("an empty file", RUN, empty(YAML)),
    Case("a folder in place of the file", RUN, folder_instead(YAML)),
    Case("bytes that mean nothing", RUN, garbage(YAML)),
    Case("cut in the middle", RUN, cut(YAML, 84)),
    Case("a list in place of settings", RUN, written(YAML, "- name\n- system\n")),
    Case("a key that is given twice", RUN, replaced(YAML, "name: small", "name: small\nname: large")),
    Case("a setting that is given twice", RUN, replaced(YAML, "{epochs: 2,", "{epochs: 2, epochs: 20,")),
    Case("a misspelt section", RUN, replaced(YAML, "sampling:", "smapling:")),
    Case("a misspelt setting", TRAIN, replaced(YAML, "epochs", "epoch")),
    Case("a required section is missing", RUN, replaced(YAML, "reference:", "# reference:")),
    Case("another type", RUN, replaced(YAML, "walkers: 1", "walkers: few")),
    Case("a section that is no section", RUN, replaced(YAML, "{generations: 1}", "3")),
    Case("a number below its range", TRAIN, replaced(YAML, "epochs: 2", "epochs: -2")),
    Case("a number without end", RUN, replaced(YAML, "{epochs: 2,", "{learning_rate: 1e400,")),
    Case("not a number", RUN, replaced(YAML, "cutoff: 4.0", "cutoff: .nan")),
    Case("a network that fits no memory", TRAIN, replaced(YAML, "n_features: 8", "n_features: 1000000000")),
    Case("an object of Python, to be executed", RUN,
         replaced(YAML, "name: small", f"name: !!python/object/apply:os.mkdir [{EXECUTED}]")),
    Case("aliases that unfold without end", RUN,
         replaced(YAML, "name: small", "a: &a [1]\nb: &b [*a, *a]\nname: *b")),
    Case("a reference method that is not known", RUN, replaced(YAML, "kind: openmm", "kind: quantum")),
    Case("a force field that is not known", RUN,
         replaced(YAML, "{kind: openmm,", "{kind: openmm, force_field: [amber99.xml],")),
    Case("a calculator that is not there", LABEL,
         replaced(YAML, OPENMM, "{kind: ase, calculator: ase.calculators.none.NONE}")),
    Case("a calculator that is no class", LABEL, replaced(YAML, OPENMM, "{kind: ase, calculator: os.getcwd}")),
    Case("arguments that a calculator refuses", LABEL,
         replaced(YAML, OPENMM, "{kind: ase, calculator: ase.calculators.tip3p.TIP3P, arguments: {basis: large}}")),
    Case("torsions of atoms that are not there", RUN,
         replaced(YAML, "torsions: backbone", "torsions: {phi: [4, 6, 8, 14], psi: [6, 8, 14, 160]}")),
    Case("a range for a torsion that is not named", RUN,
         replaced(YAML, "{frames: 4,", "{keep: {chi: [0, 90]}, frames: 4,")),
    Case("a name with a path in it", "uqcv run campaign.yaml", replaced(YAML, "name: small", "name: ../small")),
    Case("`--set` without a value", f"{TRAIN} --set training.epochs"),
    Case("`--set` with broken YAML", f"{TRAIN} --set training.epochs=[2"),
    Case("`--set` of a setting that the command does not use", f"{SAMPLE} --set training.epochs=3"),
    Case("`--set` below something that is no section", f"{TRAIN} --set name.first=large"),
    Case("`--set` of a misspelt setting", f"{SAMPLE} --set sampling.walker=3"),
    Case("a device that is not there", f"{TRAIN} --set training.device=abacus"),
    Case("a GPU that is not there", f"{SAMPLE} --set sampling.device=cuda:97 --set sampling.compiled=false"),
    Case("a walk of more steps than can be counted", f"{SAMPLE} --set sampling.length=1e15"),
    Case("more walkers than can be", f"{SAMPLE} --set sampling.walkers=1000000000"),
    Case("a negative seed", "uqcv run campaign.yaml -o out --seed -1"),
    Case("a seed that is no number", "uqcv train training.extxyz held_out.extxyz --seed many"),
    Case("an option that does not exist", "uqcv run campaign.yaml --output out"),
    Case("a command that does not exist", "uqcv smaple bundle"),
    Case("a file of another kind", "uqcv run topology.pdb -o out"),
)  # fmt: skip
