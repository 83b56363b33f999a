"""Settings: strict, documented, anchored at their file, and the same when read back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from uqcv.config import Config, load_config, load_sections, save_config
from uqcv.errors import InputError

MINIMAL = """
name: test
system: {topology: molecule.pdb}
reference: {kind: openmm, topology: molecule.pdb}
"""


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "campaign.yaml").write_text(MINIMAL)
    return tmp_path / "campaign.yaml"


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model of settings within a type, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for info in annotation.model_fields.values():
            yield from models(info.annotation)
    for inner in get_args(annotation):
        yield from models(inner)


MODELS = sorted(set(models(Config)), key=lambda model: model.__name__)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_setting_is_described_and_strict(model):
    assert model.model_config["frozen"] and model.model_config["extra"] == "forbid"
    for name, info in model.model_fields.items():
        is_group = any(models(info.annotation))
        documented = info.description or (is_group and all(m.__doc__ for m in models(info.annotation)))
        is_tag = name == "kind"
        assert documented or is_tag, f"{model.__name__}.{name} has no description"


def test_all_models_were_found():
    names = {model.__name__ for model in MODELS}
    assert {"Config", "SamplingSettings", "BiasSettings", "GMMSettings", "OpenMMReference", "ASEReference"} <= names


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("smapling", "sampling"),
        ("sampling.walker", "walkers"),
        ("sampling.bias.hight", "height"),
        ("training.epoch", "epochs"),
        ("uncertainty.gmm.n_component", "n_components"),
        ("campaign.generation", "generations"),
        ("reference.forcefield", "force_field"),
    ],
)
def test_an_unknown_key_and_the_nearest_known_one(path, key, nearest):
    with pytest.raises(
        InputError, match=rf"campaign\.yaml: unknown key .*{key.split('.')[-1]}; did you mean {nearest}\?$"
    ):
        load_config(path, {key: 1})


def test_an_unknown_key_like_no_other(path):
    with pytest.raises(InputError, match=r"unknown key sampling\.qqqqqq$"):
        load_config(path, {"sampling.qqqqqq": 1})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("sampling.walkers", "many", r"sampling\.walkers: 'many' was given; .*integer"),
        ("sampling.length", -1, r"sampling\.length: -1 was given; .*greater than 0"),
        ("sampling.sampler", "metad", r"sampling\.sampler: 'metad' was given; .*metadynamics"),
        ("training.epochs", 2.5, r"training\.epochs: 2\.5 was given"),
        ("seed", -1, r"seed: -1 was given"),
        ("name", None, r"name: None was given; .*string"),
        ("campaign.held_out_share", 0.5, r"campaign\.held_out_share: 0\.5 was given; .*less than 0\.5"),
        ("reference.kind", "dft", r"reference: .*'dft'.*was given"),
        ("system.torsions", {"phi": [1, 2, 3]}, r"system\.torsions.*phi"),
        ("initial.keep", {"phi": [1]}, r"initial\.keep\.phi"),
    ],
)
def test_a_wrong_value_says_what_is_expected(path, key, value, words):
    with pytest.raises(InputError, match=words) as caught:
        load_config(path, {key: value})
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_what_is_missing(path):
    path.write_text("name: test\nsystem: {topology: a.pdb}\n")
    with pytest.raises(InputError, match="reference is missing"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [1, 2", "cannot be read as YAML"),
        ("- name\n- system\n", "a YAML mapping of settings is expected"),
        ("", "a YAML mapping of settings is expected"),
        ("name: \xff\xfe", None),
    ],
)
def test_what_is_not_yaml(path, text, words):
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=words or "cannot be read as YAML"):
        load_config(path)


def test_a_file_that_is_not_there(tmp_path):
    for path, words in (
        (tmp_path / "nowhere.yaml", "no such file"),
        (tmp_path, "a folder was given; a file is expected"),
    ):
        with pytest.raises(InputError, match=words):
            load_config(path)


def test_relative_paths_start_at_the_file(path, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    overrides = {"system.free_energy": "f.csv", "initial.file": "data/i.extxyz", "test.file": "/abs/t.extxyz"}
    config = load_config(path, overrides)
    assert config.system.topology == config.reference.topology == tmp_path / "molecule.pdb"
    assert config.system.free_energy == tmp_path / "f.csv"
    assert config.initial.file == tmp_path / "data" / "i.extxyz"
    assert config.test.file == Path("/abs/t.extxyz")
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("campaign.yaml"), overrides) == config


def test_a_template_of_ones_own_starts_at_the_file_too(path, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "mine.dat").write_text("# mine\n")
    config = load_config(path, {"sampling.bias.template": "mine.dat"})
    assert config.sampling.bias.template == str(tmp_path / "mine.dat")
    ours = load_config(path, {"sampling.bias.template": "opes"})
    assert ours.sampling.bias.template == "opes", "the name of one of ours stays"


def test_overrides(path):
    config = load_config(path, {"sampling.walkers": 9, "sampling.bias.height": 0.25, "seed": 12})
    assert (config.sampling.walkers, config.sampling.bias.height, config.seed) == (9, 0.25, 12)
    assert config.sampling.length == Config.model_fields["sampling"].default_factory().length
    with pytest.raises(InputError, match=r"--set name\.first: name is not a group of settings"):
        load_config(path, {"name.first": 1})


def test_there_and_back(path, tmp_path):
    config = load_config(path, {"sampling.temperatures": [300, 500], "initial.keep": {"phi": [-180, 0]}, "seed": 4})
    save_config(config, tmp_path / "elsewhere" / "resolved.yaml")
    assert load_config(tmp_path / "elsewhere" / "resolved.yaml") == config
    resolved = yaml.safe_load((tmp_path / "elsewhere" / "resolved.yaml").read_text())
    assert set(resolved) == set(Config.model_fields), "every setting is there"


def test_sections_without_a_campaign():
    sections = load_sections(None, {"training.epochs": 7}, ("potential", "training"))
    assert sections["training"].epochs == 7 and set(sections) == {"potential", "training"}
    with pytest.raises(InputError, match=r"--set sampling.walkers: this command uses the settings potential, training"):
        load_sections(None, {"sampling.walkers": 2}, ("potential", "training"))
    with pytest.raises(InputError, match=r"unknown key epoch; did you mean epochs\?"):
        load_sections(None, {"training.epoch": 2}, ("training",))


def test_sections_of_a_campaign(path):
    sections = load_sections(path, {"training.epochs": 7, "seed": 3}, ("training",))
    assert list(sections) == ["training"] and sections["training"].epochs == 7


def differences(one: Any, other: Any, prefix: str = "") -> set[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return set().union(*(differences(one.get(k), other.get(k), f"{prefix}{k}.") for k in keys))
    return set() if one == other else {prefix.rstrip(".")}


def test_the_campaigns_of_alanine_dipeptide(root):
    """The short one is the same campaign but for how long things take."""
    folder = root / "systems" / "alanine_dipeptide"
    full, short = (load_config(folder / f"{name}.yaml") for name in ("campaign", "campaign-short"))
    assert (full.name, short.name) == ("alanine_dipeptide", "alanine_dipeptide_short")
    for path in (full.system.topology, full.system.free_energy, full.reference.topology):
        assert path.is_file()
    meant = {
        "name", "initial.frames", "initial.held_out", "test.ramachandran_grid", "potential.n_features",
        "training.epochs", "training.warm_epochs", "sampling.walkers", "sampling.length", "sampling.compiled",
        "harvest.max_frames", "harvest.fill", "harvest.cooling", "harvest.max_error", "harvest.max_energy_at_rest",
        "harvest.remember", "sampling.temperatures",
        "training.energy_weights", "training.generation_epochs",
        "sampling.max_energy", "sampling.ceiling_error", "sampling.bias.height", "sampling.bias.sigma_ratio",
        "sampling.bias.bias_factor", "campaign.generations",
    }  # fmt: skip
    different = differences(full.model_dump(mode="json"), short.model_dump(mode="json"))
    assert {"name", "initial.frames", "sampling.length"} <= different <= meant


def test_the_full_campaign_says_only_what_differs_from_the_defaults(root):
    raw = yaml.safe_load((root / "systems" / "alanine_dipeptide" / "campaign.yaml").read_text())
    defaults = Config.model_validate(
        {"name": "x", "system": {"topology": "x"}, "reference": {"kind": "openmm", "topology": "x"}}
    ).model_dump(mode="json")

    def said(values: dict, known: dict, prefix: str = "") -> Iterator[str]:
        for key, value in values.items():
            if isinstance(value, dict) and isinstance(known.get(key), dict) and known[key]:
                yield from said(value, known[key], f"{prefix}{key}.")
            elif known.get(key) == value:
                yield f"{prefix}{key}"

    assert set(said(raw, defaults)) <= {"reference.kind", "reference.force_field"}


@pytest.mark.parametrize("limits", [[150, 0], [10, 10], [-190, 0], [0, 200]])
def test_ranges_that_hold_no_angle(path, limits):
    with pytest.raises(InputError, match=r"initial\.keep: phi: \[.*\] was given; two degrees within -180"):
        load_config(path, {"initial.keep": {"phi": limits}})


TWO = {"a": [0, 1, 2, 3], "b": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("system", "is_right"),
    [
        ({"free_energy": "map.csv", "torsions": "backbone"}, True),
        ({"free_energy": "map.csv", "torsions": TWO}, True),
        ({"free_energy": "map.csv", "torsions": {"a": TWO["a"]}}, False),
        ({"free_energy": "map.csv"}, False),
        ({"torsions": "backbone"}, False),
    ],
)
def test_coverage_ends_a_campaign_only_if_it_is_known(path, system, is_right):
    changes = {f"system.{key}": value for key, value in system.items()} | {"campaign.stop_at_coverage": 0.9}
    if is_right:
        assert load_config(path, changes).campaign.stop_at_coverage == 0.9
        return
    words = r"campaign\.yaml: campaign\.stop_at_coverage 0\.9 was given; it needs system\.free_energy and two"
    with pytest.raises(InputError, match=words):
        load_config(path, changes)


@pytest.mark.parametrize("share", [0, 1.1])
def test_a_share_is_a_share(path, share):
    with pytest.raises(InputError, match=r"campaign\.stop_at_coverage: .* was given"):
        load_config(path, {"campaign.stop_at_coverage": share})


LISTS = ("sampling.temperatures", "harvest.max_energy_at_rest", "training.energy_weights", "training.generation_epochs")


@pytest.mark.parametrize("key", LISTS)
def test_one_number_where_a_list_is_expected(root, key):
    path = root / "systems" / "alanine_dipeptide" / "campaign.yaml"
    with pytest.raises(InputError, match=rf"{key}: 0\.4 was given; a list is expected: values in brackets"):
        load_config(path, {key: 0.4})
