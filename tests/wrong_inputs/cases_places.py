"""Wrong places: files that may not be read, folders that may not be written to, disks that are full."""

from .case import Case
from .conditions import full_disk, permissions_count
from .lines import EVALUATE, FIT, FREE_ENERGY, HARVEST, LABEL, SAMPLE, TRAIN
from .spoiling import linked, mode

HARVEST_ALL = (f"{HARVEST} --set harvest.fill=true --set harvest.quantile=0 --set harvest.duplicate_tolerance=0 "
               "--set sampling.max_energy=1000 --set harvest.max_error=1000")  # fmt: skip
SHORT = f"{FREE_ENERGY} --length 400"
FILE = "campaign.yaml/"

UNREADABLE = (
    Case("a YAML file", "uqcv run campaign.yaml -o out", mode("campaign.yaml", 0), permissions_count),
    Case("structures", TRAIN, mode("training.extxyz", 0), permissions_count),
    Case("a PDB file", SAMPLE, mode("topology.pdb", 0), permissions_count),
    Case("a trajectory", EVALUATE, mode("trajectory.dcd", 0), permissions_count),
    Case("a potential", FIT, mode("potential.pt", 0), permissions_count),
    Case("the `weights.pt` of a bundle", EVALUATE, mode("bundle/weights.pt", 0), permissions_count),
    Case("the folder of a bundle", EVALUATE, mode("bundle", 0), permissions_count),
    Case("the `state.json` of a campaign", "uqcv status campaign", mode("campaign/state.json", 0), permissions_count),
    Case("the folder of a campaign", "uqcv status campaign", mode("campaign", 0), permissions_count),
)

READ_ONLY = (
    Case("a campaign", "uqcv run campaign.yaml -o out", mode(".", 0o555), permissions_count),
    Case("a training", TRAIN, mode(".", 0o555), permissions_count),
    Case("a bundle", FIT, mode(".", 0o555), permissions_count),
    Case("walkers", SAMPLE, mode(".", 0o555), permissions_count),
    Case("an evaluation", EVALUATE, mode(".", 0o555), permissions_count),
    Case("an exported CV", "uqcv export bundle out", mode(".", 0o555), permissions_count),
    Case("labels", LABEL, mode(".", 0o555), permissions_count),
    Case("a selection", HARVEST_ALL, mode(".", 0o555), permissions_count),
    Case("a report", "uqcv report campaign", mode("campaign", 0o555), permissions_count),
    Case("a free energy", SHORT,
         mode(".", 0o555), permissions_count),
    Case("a benchmark", "uqcv benchmark speed -o out.json", mode(".", 0o555), permissions_count),
    Case("a campaign that goes on", "uqcv run campaign.yaml -o campaign", mode("campaign", 0o555), permissions_count),
)  # fmt: skip

NO_FOLDER = (
    Case("a campaign below a file", f"uqcv run campaign.yaml -o {FILE}out"),
    Case("a training below a file", f"{TRAIN.replace('-o out', f'-o {FILE}out')}"),
    Case("a bundle in place of a file", FIT.replace("-o out", "-o potential.pt")),
    Case("walkers below a file", SAMPLE.replace("-o out", f"-o {FILE}out")),
    Case("an evaluation in place of a file", EVALUATE.replace("-o out", "-o campaign.yaml")),
    Case("an exported CV in place of a file", "uqcv export bundle potential.pt"),
    Case("labels in place of a folder", LABEL.replace("-o out.extxyz", "-o walkers")),
    Case("a selection in place of a folder", HARVEST_ALL.replace("-o out.extxyz", "-o walkers")),
    Case("a free energy in place of a folder", SHORT.replace("-o out.csv", "-o walkers")),
    Case("a benchmark in `/proc`", "uqcv benchmark speed -o /proc/none/speed.json"),
    Case("a bundle over a folder of other files", FIT.replace("-o out", "-o campaign")),
    Case("a name that is too long", f"uqcv export bundle {300 * 'x'}"),
    Case("a name that is too long to read", f"uqcv status {300 * 'x'}"),
)

FULL = (
    Case("a training", TRAIN, under=full_disk),
    Case("a bundle", FIT, under=full_disk),
    Case("an exported CV", "uqcv export bundle out", under=full_disk),
    Case("an evaluation", EVALUATE, under=full_disk),
    Case("walkers", SAMPLE, under=full_disk, leaves=("out*",)),
    Case("a selection", HARVEST_ALL, under=full_disk),
    Case("labels", LABEL, under=full_disk, leaves=("out.extxyz.journal",)),
    Case("labels, with a device in place of the journal", LABEL, linked("out.extxyz.journal", "/dev/full")),
    Case("a free energy", SHORT, under=full_disk),
    Case("a report", "uqcv report campaign", under=full_disk, leaves=("campaign/report",)),
    Case("a new campaign", "uqcv run campaign.yaml -o out", under=full_disk, leaves=("out*",)),
    Case("standard output", "uqcv status campaign > /dev/full", apart=True),
)
