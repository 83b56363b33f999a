"""Wrong models: bundles, potentials and training checkpoints; nothing in them is ever executed."""

from .case import Case
from .lines import EVALUATE, FIT, HARVEST, SAMPLE, TRAIN
from .spoiling import (
    copied,
    cut,
    empty,
    folder_instead,
    garbage,
    gone,
    json_content,
    malicious,
    torch_content,
    written,
)  # fmt: skip

JSON, WEIGHTS = "bundle/bundle.json", "bundle/weights.pt"
EXPORT = "uqcv export bundle out"
START = "uqcv train training.extxyz held_out.extxyz --start potential.pt -o out -c campaign.yaml"
CHECKPOINT = "out/checkpoint.pt"


def _wider(header: dict) -> dict:
    header["settings"]["potential"]["n_features"] = 1_000_000_000
    return header


def _other_mean(header: dict) -> dict:
    header["settings"]["standard_mean"] += 1.0
    return header


def _without_elements(header: dict) -> dict:
    del header["settings"]["elements"]
    return header


def _strange_element(header: dict) -> dict:
    header["settings"]["elements"] = [1, 6, 7, 800]
    return header


def _nan_weights(content: dict) -> dict:
    content["weights"] = {k: v * float("nan") if v.is_floating_point() else v for k, v in content["weights"].items()}
    return content


BUNDLES = (
    Case("no such folder", "uqcv export nowhere out"),
    Case("a file in place of the folder", "uqcv export potential.pt out"),
    Case("a folder that is no bundle", "uqcv evaluate walkers trajectory.dcd --top topology.pdb -o out"),
    Case("an empty `bundle.json`", EXPORT, empty(JSON)),
    Case("a `bundle.json` cut in the middle", SAMPLE, cut(JSON, 1000)),
    Case("a `bundle.json` of bytes that mean nothing", EXPORT, garbage(JSON)),
    Case("a `bundle.json` that holds a list", EXPORT, written(JSON, "[1, 2]")),
    Case("a bundle of another format", EXPORT, json_content(JSON, lambda header: header | {"format_version": 99})),
    Case("a bundle without its settings", EXPORT, json_content(JSON, lambda header: header | {"settings": None})),
    Case("a setting is missing", EXPORT, json_content(JSON, _without_elements)),
    Case("a setting was altered", EVALUATE, json_content(JSON, _other_mean)),
    Case("an element that does not exist", EVALUATE, json_content(JSON, _strange_element)),
    Case("a network that fits no memory", EVALUATE, json_content(JSON, _wider)),
    Case("no `weights.pt`", HARVEST, gone(WEIGHTS)),
    Case("an empty `weights.pt`", EVALUATE, empty(WEIGHTS)),
    Case("a `weights.pt` cut in the middle", EVALUATE, cut(WEIGHTS, 8000)),
    Case("a `weights.pt` of bytes that mean nothing", EXPORT, garbage(WEIGHTS)),
    Case("a folder in place of `weights.pt`", EXPORT, folder_instead(WEIGHTS)),
    Case(
        "weights of another network",
        EVALUATE,
        torch_content(WEIGHTS, lambda c: c | {"network.more": c["network.scale"]}),
    ),
    Case("a potential in place of `weights.pt`", EVALUATE, copied("potential.pt", WEIGHTS)),
    Case("a `weights.pt` that wants to be executed", EVALUATE, malicious(WEIGHTS)),
    Case("a bare pickle as `weights.pt`", EXPORT, malicious(WEIGHTS, zipped=False)),
)

POTENTIALS = (
    Case("no such file", "uqcv fit nowhere.pt training.extxyz held_out.extxyz -o out"),
    Case("an empty file", FIT, empty("potential.pt")),
    Case("cut in the middle", FIT, cut("potential.pt", 7000)),
    Case("bytes that mean nothing", START, garbage("potential.pt")),
    Case("a folder in place of the file", FIT, folder_instead("potential.pt")),
    Case("a bundle in place of a potential", "uqcv fit bundle training.extxyz held_out.extxyz -o out"),
    Case("another format", FIT, torch_content("potential.pt", lambda c: c | {"format_version": 7})),
    Case("a file of torch that is no potential", START, copied(WEIGHTS, "potential.pt")),
    Case("weights that do not fit the settings", FIT,
         torch_content("potential.pt", lambda c: c | {"elements": [1, 6]})),
    Case("a setting that is not known", FIT,
         torch_content("potential.pt", lambda c: c | {"settings": c["settings"] | {"depth": 3}})),
    Case("its settings are missing", START,
         torch_content("potential.pt", lambda c: {k: v for k, v in c.items() if k != "settings"})),
    Case("weights that are NaN", FIT, torch_content("potential.pt", _nan_weights)),
    Case("a file that wants to be executed", FIT, malicious("potential.pt")),
    Case("a file that wants to be executed", START, malicious("potential.pt")),
    Case("a bare pickle", FIT, malicious("potential.pt", zipped=False)),
)  # fmt: skip

CHECKPOINTS = (
    Case("an empty file", TRAIN, written(CHECKPOINT, "")),
    Case("bytes that mean nothing", TRAIN, garbage(CHECKPOINT)),
    Case("a file of torch that is no checkpoint", TRAIN, torch_content(CHECKPOINT, lambda _: [1, 2])),
    Case("a file that wants to be executed", TRAIN, malicious(CHECKPOINT)),
    Case("a folder in place of the file", TRAIN, folder_instead(CHECKPOINT)),
)
