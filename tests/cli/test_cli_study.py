"""Studies from the command line that are refused before anything runs; `tests/study` runs one."""

import pytest

STUDY = "name: s\ncampaign: campaign.yaml\nsamplers: {plain: {settings: {sampling.sampler: unbiased}}}\n"


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (STUDY, ("--only", "opes"), "--only opes was given; the study has plain"),
        (STUDY.replace("unbiased", "magic"), (), "sampling.sampler: 'magic' was given; input should be"),
        (STUDY.replace("campaign.yaml", "nowhere.yaml"), (), "nowhere.yaml: no such file"),
        (STUDY + "sampler: {}\n", (), "study.yaml: unknown key sampler; did you mean samplers?"),
        (STUDY, ("--report",), "no campaign has been measured; give the folder of a study that has run"),
    ],
)
def test_what_is_refused(refused, files, tmp_path, text, options, words):
    (tmp_path / "study.yaml").write_text(text)
    (tmp_path / "campaign.yaml").write_bytes((files / "campaign.yaml").read_bytes())
    (tmp_path / "topology.pdb").write_bytes((files / "topology.pdb").read_bytes())
    before = set(tmp_path.iterdir())
    assert words in refused("study", "study.yaml", "-o", "out", *options)
    assert set(tmp_path.iterdir()) == before
