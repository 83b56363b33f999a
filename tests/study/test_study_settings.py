"""Studies that are refused, and the order of those that are not."""

import pytest
import yaml

from uqcv.errors import InputError
from uqcv.study.settings import campaigns, load_study


def test_seeds_come_one_after_the_other(study, tmp_path):
    entries = study.samplers | {"turned": study.samplers["turned"].model_copy(update={"seeds": 2})}
    items = campaigns(study.model_copy(update={"samplers": entries}), tmp_path)
    assert [(i.sampler, i.seed) for i in items] == [("plain", 3), ("turned", 3), ("turned", 4)]
    assert items[2].folder == tmp_path / "campaigns" / "turned" / "seed-4"
    assert items[0].config.sampling.sampler == "unbiased" and items[2].config.seed == 4
    assert items[0].config.harvest.max_frames == 3 and items[0].config.training.threads == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expert": "nobody"}, "expert nobody was given; one of plain, turned is expected"),
        ({"samplers": {"a/b": {}}}, "the sampler 'a/b' cannot name a folder"),
        ({"sampler": {}}, "unknown key sampler; did you mean samplers?"),
        ({"samplers": {}}, "samplers"),
    ],
)
def test_what_is_refused(study_file, tmp_path, change, words):
    content = yaml.safe_load(study_file.read_text()) | change
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=words.replace("?", r"\?")):
        load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize("name", ["study", "study-short", "study-long"])
def test_the_studies_of_alanine_dipeptide(root, tmp_path, name):
    shipped = load_study(root / "systems" / "alanine_dipeptide" / f"{name}.yaml")
    items = campaigns(shipped, tmp_path)
    assert {item.sampler for item in items} == set(shipped.samplers)
    assert all(item.config.name.startswith("alanine_dipeptide") for item in items)


def test_settings_that_a_campaign_refuses_are_named_before_anything_runs(study, tmp_path):
    wrong = study.model_copy(update={"settings": study.settings | {"sampling.walkrs": 2}})
    with pytest.raises(InputError, match=r"unknown key sampling\.walkrs; did you mean walkers"):
        campaigns(wrong, tmp_path)
    assert not list(tmp_path.iterdir())
