"""Both ways of starting walkers are taken, in turn; how long each takes is for users to see."""

from pathlib import Path

from rich.console import Console

from uqcv.benchmarks import walkers
from uqcv.benchmarks.walkers import benchmark_walkers, walkers_table


def test_both_ways_side_by_side(case, monkeypatch):
    taken, run = [], walkers.run_walkers
    monkeypatch.setattr(walkers, "molecule", lambda *arguments: case)
    monkeypatch.setenv("PATH", "")  # no compiler is found, which would take most of the time
    monkeypatch.setattr(walkers, "run_walkers", lambda *a, copies: taken.append((copies, run(*a, copies=copies))))
    result = benchmark_walkers(Path("nowhere"), Path("molecule.pdb"), walkers=2, turns=1, seed=0)
    assert [copies for copies, _ in taken] == [True, True, False], "the first one compiles"
    assert all(len(ends) == 2 and all(end.steps > 0 for end in ends) for _, ends in taken)
    assert [row["way"] for row in result["rows"]] == ["copies", "fresh"]
    assert all(row["core"] > 0 and row["wall"] > 0 for row in result["rows"])


def test_ratios_are_to_the_first():
    console = Console(width=200, record=True)
    rows = [{"way": "copies", "wall": 2.0, "core": 1.0}, {"way": "fresh", "wall": 3.0, "core": 4.0}]
    console.print(walkers_table(rows))
    text = console.export_text()
    assert "1.50" in text and "4.00" in text and text.count("1.00") == 2
