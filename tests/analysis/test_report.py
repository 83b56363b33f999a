import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from uqcv.analysis.campaign import read_campaign
from uqcv.analysis.report import campaign_status, summary_table, write_report
from uqcv.analysis.tables import read_table
from uqcv.errors import InputError
from uqcv.files import write_json

FIGURES = {"ramachandran", "learning_curve", "training"} | {
    f"{name}-{k:02d}" for name in ("calibration", "walkers") for k in range(3)
}


@pytest.fixture(scope="module")
def written(campaign_folder):
    return write_report(campaign_folder)


def test_each_figure_is_a_png_with_something_on_it(written):
    figures = [path for path in written if path.suffix == ".png"]
    assert {path.stem for path in figures} == FIGURES
    for path in figures:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert min(pixels.shape) > 300
        assert 0.005 < (pixels < 200).mean() < 0.7


def test_nothing_unfinished_is_left(written, campaign_folder):
    assert set((campaign_folder / "report").iterdir()) == set(written)


def test_the_page_holds_all_figures_and_numbers(written):
    page = next(path for path in written if path.name == "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(FIGURES)
    for words in ("n training", "<td>180</td>", "<td>32.4</td>", "State", "Figures"):
        assert words in page
    assert 'src="http' not in page


def test_the_summary_has_a_row_for_each_generation(written):
    table = read_table(next(path for path in written if path.name == "summary.csv"))
    assert table["n_training"].tolist() == [80, 130, 180]
    assert table["test_force_mae_meV_per_A"] == pytest.approx([90.0, 54.0, 32.4])
    assert table["test_energy_mae_meV"][0] == pytest.approx(30.0)
    assert table["walkers_completed"].tolist() == [2, 2, 2]
    assert table["labels_kept"].tolist()[:2] == [47, 47]
    assert np.isnan(table["labels_kept"][2])


def test_the_table_for_the_terminal_says_it_all(campaign_folder):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))
    console.print(summary_table(read_campaign(campaign_folder)))
    text = console.export_text()
    for words in (
        "2 completed",
        "2 bond broke",
        "1 running",
        "frames > uncertain",
        "460 > 170 > 150",
        "47 / 3",
        "54.0",
        "58/96",
    ):
        assert words in text


def test_status_is_ready_for_json(campaign_folder):
    status = json.loads(json.dumps(campaign_status(campaign_folder)))
    assert (status["stage"], status["labels"], len(status["generations"])) == ("sampling", 180, 3)
    last = status["generations"][2]
    assert last["outcomes"] == {"completed": 2, "running": 1, "bond broke": 1}
    assert last["labels_kept"] is None


def test_a_campaign_that_has_just_begun_has_a_report(tmp_path):
    write_json(tmp_path / "state.json", {"generation": 0, "stage": "initial"})
    assert [path.name for path in write_report(tmp_path)] == ["report.html"]
    assert campaign_status(tmp_path)["generations"] == []
    (tmp_path / "generation-00" / "walkers" / "walker-00").mkdir(parents=True)
    assert [path.name for path in write_report(tmp_path)] == ["summary.csv", "report.html"]


@pytest.mark.parametrize(
    "pieces",
    [
        ("topology.pdb", "generation-00/training", "generation-01/metrics.json", "generation-02/bundle"),
        ("reference", "generation-00/harvest", "generation-01/walkers", "generation-01/labels"),
    ],
)
def test_no_piece_is_needed(campaign_folder, tmp_path, pieces):
    folder = tmp_path / "campaign"
    shutil.copytree(campaign_folder, folder)
    for piece in pieces:
        path = folder / piece
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    names = {path.stem for path in write_report(folder)}
    assert {"summary", "learning_curve", "training", "calibration-02"} <= names


def test_status_loads_nothing_heavy():
    code = "import sys, uqcv.analysis.report; print({'torch', 'mdtraj', 'matplotlib', 'openmm'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_what_is_no_campaign_is_refused(tmp_path):
    for function in (write_report, campaign_status):
        with pytest.raises(InputError, match="not a campaign"):
            function(tmp_path)
