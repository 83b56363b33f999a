"""The benchmark runs what it names, and its numbers are consistent; how fast it is, is for its users to see."""

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from uqcv.benchmarks import speed
from uqcv.benchmarks.methods import METHODS, Conditions, Starter
from uqcv.benchmarks.tables import PARTS, plain, save_plot, speed_table, training_table
from uqcv.errors import InputError
from uqcv.potentials.passes import AutogradPasses
from uqcv.potentials.settings import TrainingSettings
from uqcv.structures import Structure, read_structures

ROWS = [
    {"system": "a", "atoms": n, "method": m, "ms_per_step": t * n, "spread": 0.1, "parts": {}, "peak_memory": 0.5}
    for n in (22, 100)
    for m, t in (("plain-compiled", 1.0), ("fused", 1.1))
]


def test_methods_side_by_side(case, monkeypatch, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(speed, "SECONDS_PER_TURN", 0.02)
    monkeypatch.setattr(speed, "WARM_UP", 2)
    monkeypatch.setattr(speed, "METHODS", ("plain-eager", "walker"))
    monkeypatch.setenv("PATH", "")  # no compiler is found, which would take most of the time
    rows = speed.time_methods(case, Conditions(2, 0, "float32", "cpu"))
    assert [row.method for row in rows] == ["plain-eager", "walker"]
    for row in rows:
        assert row.atoms == 22 and row.ms_per_step > 0 and row.spread >= 0
        assert 0.05 < row.peak_memory < 16, "GiB: torch alone takes more, 22 atoms take less"
        assert sum(row.parts.values()) == pytest.approx(row.ms_per_step)
        absent = {"plumed", "checks", "checkpoint"} if row.method.startswith("plain") else set()
        assert set(row.parts) == set(PARTS) - absent
        assert min(value for name, value in row.parts.items() if name != "glue") > 0
    assert list(here.iterdir()) == [], "PLUMED writes where the run is, not where the user is"


def test_hills_go_to_the_folder_of_the_run(case, monkeypatch, tmp_path):
    """PLUMED opens HILLS at the first hill, long after it was started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("uqcv.colvars.uncertainty_cv.compiled_passes", lambda network, *_: AutogradPasses(network))
    run = Starter(case, tmp_path / "runs", Conditions(1, 0, "float64", "cpu")).start("fused")
    run.step(130)  # a hill every 100 steps of 0.5 fs
    run.close()
    (path,) = (tmp_path / "runs").glob("fused-*/HILLS")
    hills = path.read_text().splitlines()
    times = [float(line.split()[0]) for line in hills if not line.startswith("#")]
    assert times == [0.05]
    assert set(run.watch.seconds) == {"forward", "backward", "plumed", "checks"} and min(run.watch.seconds.values()) > 0
    assert not (tmp_path / "HILLS").exists()


def test_a_shared_evaluation_is_one_and_an_unshared_one_two(case, tmp_path, monkeypatch):
    """What `pycv` and `pycv-shared` differ in, by counting forward passes."""
    counts = {}
    monkeypatch.setattr("uqcv.colvars.uncertainty_cv.compiled_passes", lambda network, *_: AutogradPasses(network))
    for method in ("pycv", "pycv-shared", "fused"):
        starter, made = Starter(case, tmp_path / "runs", Conditions(1, 0, "float64", "cpu")), []
        original = Starter._cv

        def kept(self, method, original=original, made=made):
            made.append(original(self, method))
            return made[-1]

        monkeypatch.setattr(Starter, "_cv", kept)
        run = starter.start(method)
        monkeypatch.setattr(Starter, "_cv", original)
        shared = starter._cv("fused")
        before = made[0].n_evaluations, shared.n_evaluations
        run.step(5)
        run.close()
        after = made[0].n_evaluations, shared.n_evaluations
        same = made[0] is shared
        counts[method] = after[0] - before[0] + (0 if same else after[1] - before[1])
    assert counts["pycv-shared"] == counts["fused"]
    assert counts["pycv"] == 2 * counts["fused"]


@pytest.mark.parametrize("text", ["", "[1]", '{"machine": {}}'])
def test_a_broken_partial_file_is_named(tmp_path, text):
    partial = tmp_path / "speed.json.partial"
    partial.write_text(text)
    with pytest.raises(InputError, match=r"speed.json.partial: cannot be read as a benchmark .*; delete it to begin"):
        speed.benchmark_speed(tmp_path, tmp_path, [], Conditions(2, 0, "float32", "cpu"), partial)
    assert list(tmp_path.iterdir()) == [partial] and partial.read_text() == text


def test_training_is_timed_on_one_core_and_on_all(case, monkeypatch):
    asked = []
    monkeypatch.setattr(speed, "available_cores", lambda: 3)
    monkeypatch.setattr(
        speed, "train", lambda *arguments, report: asked.append(arguments[3]) or [report(k, "") for k in (1, 2, 3)]
    )
    rows = speed.time_training(case, 0, "cpu")
    expected = [(1, 1), (1, 3), (3, 1)]
    assert [(row["processes"], row["threads"]) for row in rows] == 2 * expected
    assert [(s.processes, s.threads) for s in asked] == 2 * expected
    assert [s.compiled for s in asked] == 3 * [False] + 3 * [True]
    assert all(row["frames_per_second"] > 0 for row in rows)


def test_training_is_timed_for_real(case):
    frames = read_structures(case.training, labelled=True)
    settings = TrainingSettings(epochs=3, compiled=False)
    assert 0 < speed._seconds_per_epoch(frames, settings, 0) < 60


def test_it_goes_on_from_the_systems_that_are_done(case, monkeypatch, tmp_path):
    timed = []

    def time_methods(case, *arguments):
        if len(timed) == 1:
            raise KeyboardInterrupt
        timed.append(len(case.start))
        return [speed.Row(case.name, len(case.start), "fused", 1.0, 0.1, {}, 0.5)]

    crystal = replace(case, name="copper", start=Structure(np.full(100, 29), np.zeros((100, 3))))
    monkeypatch.setattr(speed, "molecule", lambda *arguments: case)
    monkeypatch.setattr(speed, "copper", lambda *arguments: crystal)
    monkeypatch.setattr(speed, "time_methods", time_methods)
    monkeypatch.setattr(speed, "time_training", lambda *arguments: [])
    partial = tmp_path / "speed.json.partial"

    def run(turns):
        return speed.benchmark_speed(tmp_path, tmp_path, [100], Conditions(turns, 0, "float32", "cpu"), partial)["rows"]

    with pytest.raises(KeyboardInterrupt):
        run(turns=2)
    timed[:] = [0, 0]
    assert [row["atoms"] for row in run(turns=2)] == [22, 100] and timed == [0, 0, 100]
    assert not partial.exists()
    timed.clear()
    with pytest.raises(KeyboardInterrupt):
        run(turns=2)
    timed[:] = [0, 0]
    run(turns=3)
    assert timed == [0, 0, 22, 100], "with other settings it begins again"


def test_only_what_was_asked_for_is_timed(case, monkeypatch):
    started = []

    class Here:
        def __init__(self, factory, case, folder, conditions, method):
            started.append(method)

        def wait(self):
            pass

        def call(self, name, *arguments):
            return {"step": 1.0} if name == "turn" else 0.5

        def close(self):
            started.append("closed")

    monkeypatch.setattr(speed, "RemoteObject", Here)
    rows = speed.time_methods(case, Conditions(2, 0, "float32", "cpu", ("fused",), starts=2))
    assert [row.method for row in rows] == ["plain-compiled", "fused"] and rows[0].ms_per_step == 1000.0
    assert started == [None, *2 * ["plain-compiled", "fused"], *5 * ["closed"]]


def test_a_method_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="--only fast was given; choose from plain-eager, plain-compiled"):
        speed._require([], Conditions(2, 0, "float32", "cpu", ("fast",)))


def test_tables_and_plot(tmp_path):
    assert plain(ROWS, ROWS[3]) == 100.0
    console = Console(record=True, width=200)
    training = {"system": "a", "method": "eager", "processes": 1, "threads": 1, "frames_per_second": 12.34}
    console.print(speed_table(ROWS), training_table([training]))
    text = console.export_text()
    assert "1.10" in text and "110.000 ± 0.100" in text and "12.3" in text
    assert save_plot(ROWS, tmp_path / "speed.png").stat().st_size > 1000


def test_every_method_of_the_table_is_known():
    assert [m for m in METHODS if m != "ensemble-5-loop"] == [
        "plain-eager", "plain-compiled", "pycv", "pycv-shared", "fused", "walker", "ensemble-5", "monitor",
    ]  # fmt: skip
