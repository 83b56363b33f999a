"""Each sampler has a page whose example and table are true."""

import re
from typing import get_args

import pytest
import yaml

from uqcv.config import load_config
from uqcv.sampling.settings import DynamicsName, ProposerName, SamplingSettings

SAMPLERS = (*get_args(DynamicsName), *get_args(ProposerName))


@pytest.fixture
def page(root, request) -> str:
    return (root / "docs" / "samplers" / f"{request.param}.md").read_text()


def test_there_are_no_other_pages(root):
    assert {path.stem for path in (root / "docs" / "samplers").iterdir()} == set(SAMPLERS)
    overview = (root / "docs" / "samplers.md").read_text()
    assert all(f"(samplers/{name}.md)" in overview for name in SAMPLERS)


@pytest.mark.parametrize(("page", "name"), [(name, name) for name in SAMPLERS], indirect=["page"])
def test_examples_are_settings_of_a_campaign(root, page, name):
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    given = yaml.safe_load(example)["sampling"]
    config = load_config(
        root / "systems" / "alanine_dipeptide" / "campaign.yaml", {"sampling": {"restarts": 0, **given}}
    )
    assert config.sampling.sampler == name


@pytest.mark.parametrize("page", SAMPLERS, indirect=True)
def test_defaults_are_those_of_the_settings(page):
    rows = re.findall(r"^\| `([\w.]+)` \| (\S+) \|", page, flags=re.MULTILINE)
    defaults = SamplingSettings().model_dump(mode="json")
    for key, given in rows:
        group, _, name = key.rpartition(".")
        known = (defaults[group] if group else defaults)[name]
        assert yaml.safe_load(given) == known, key


@pytest.mark.parametrize("page", SAMPLERS, indirect=True)
def test_plumed_inputs_that_are_named_exist(root, page):
    assert all((root / "plumed_inputs" / name).is_file() for name in re.findall(r"`plumed_inputs/(\S+?)`", page))
