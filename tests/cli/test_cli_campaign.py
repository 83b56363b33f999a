"""A tiny campaign from the command line, and what is none."""

import json
from pathlib import Path


def test_run_then_status_then_report(uqcv, files, tmp_path):
    settings = ("--set", "campaign.generations=1", "--set", "uncertainty.gmm.n_components=2", "--seed", 5)
    code, out, err = uqcv("run", files / "campaign.yaml", "-o", "campaign", *settings)
    assert code == 0 and "finished: 1 generations" in err and "Traceback" not in err, err
    assert "seed: 5" in (tmp_path / "campaign" / "config.yaml").read_text()
    code, out, err = uqcv("status", "campaign", "--json")
    content = json.loads(out)
    assert code == 0 and (content["generation"], content["finished"], content["labels"]) == (0, True, 0), err
    code, out, _ = uqcv("status", "campaign")
    assert code == 0 and "reason: 1 generations" in out
    code, out, err = uqcv("report", "campaign")
    assert code == 0, err
    assert all(Path(line).is_file() for line in out.splitlines() if line.endswith(".png"))
    # the same again finds all done; another seed is refused and spoils nothing
    before = (tmp_path / "campaign" / "config.yaml").read_bytes()
    code, _, err = uqcv("run", files / "campaign.yaml", "-o", "campaign", *settings[:-2], "--seed", 6)
    assert code == 2 and "holds a campaign with another seed" in err.splitlines()[-1]
    assert (tmp_path / "campaign" / "config.yaml").read_bytes() == before


def test_what_is_no_campaign(refused, tmp_path):
    for command in ("status", "report"):
        assert "not a campaign" in refused(command, tmp_path)
